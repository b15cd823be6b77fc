"""A token endpoint with rotating refresh tokens: each is good once, and a second use costs the login.

Shapes: pi.md §5.2 (Anthropic, JSON body), §5.3–§5.4 (OpenAI, form body; access tokens are JWTs).
"""

from __future__ import annotations

import base64
import json
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qs

__all__ = ["Login", "TokenDesk", "TokenReply", "TokenTrouble"]

Format = Literal["opaque", "jwt"]

ANTHROPIC_PREFIX: Final = "sk-ant-oat01-"
ACCOUNT_CLAIM: Final = "https://api.openai.com/auth"
EXPIRES_IN_S: Final = 28_800


@dataclass(frozen=True, slots=True)
class Login:
    """A pair of tokens as a client would store them."""

    access: str
    refresh: str
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenTrouble:
    """What goes wrong with the next token request."""

    status: int | None = None
    """Answer this status instead, and grant nothing."""
    gate: str | None = None
    """Grant, but let the answer wait at this gate."""
    lost: bool = False
    """Grant, then reset the connection: the answer never arrives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenReply:
    """What the endpoint says, and how badly it fares on the way."""

    status: int
    body: dict[str, Any]
    trouble: TokenTrouble = field(default_factory=TokenTrouble)


class TokenDesk:
    """Grants and rotates tokens; counts every refresh."""

    def __init__(self, *, access_format: Format = "opaque", expires_in_s: int = EXPIRES_IN_S) -> None:
        self._format = access_format
        self._expires_in_s = expires_in_s
        self._lock = threading.RLock()
        self._issued = 0
        self._live: dict[str, str] = {}
        """Refresh tokens that are good, by account."""
        self._access: dict[str, str] = {}
        """Account by access token."""
        self._spent: dict[str, str] = {}
        """Account by refresh token that has been used."""
        self._troubles: deque[TokenTrouble] = deque()
        self.requests = 0
        """Token requests that came in."""
        self.refreshes = 0
        """Refreshes that were granted."""
        self.reuses = 0
        """Times a spent refresh token came back."""

    def issue(self, account: str = "account-1") -> Login:
        """Return a fresh login, as if the user had just signed in."""
        with self._lock:
            self._issued += 1
            login = Login(self._new_access(account), f"refresh-{account}-{self._issued:06d}", account)
            self._live[login.refresh] = account
            self._access[login.access] = account
            return login

    def knows(self, access: str) -> bool:
        """Tell whether this access token is good."""
        with self._lock:
            return access in self._access

    def expire(self, access: str) -> None:
        """Make an access token stale, as time would."""
        with self._lock:
            self._access.pop(access, None)

    def logged_in(self, account: str = "account-1") -> bool:
        """Tell whether the account still has a refresh token that works."""
        with self._lock:
            return account in self._live.values()

    def trouble(self, *troubles: TokenTrouble) -> None:
        """Queue what goes wrong with the next token requests, one each."""
        with self._lock:
            self._troubles.extend(troubles)

    def answer(self, content_type: str, raw: bytes) -> TokenReply:
        """Return the reply to one token request."""
        with self._lock:
            self.requests += 1
            trouble = self._troubles.popleft() if self._troubles else TokenTrouble()
            if trouble.status is not None:
                return TokenReply(status=trouble.status, body={"error": "server_error"}, trouble=trouble)
            fields = _fields(content_type, raw)
            if fields is None:
                return _no("invalid_request", f"cannot read a body of type {content_type!r}")
            if fields.get("grant_type") != "refresh_token":
                return _no("unsupported_grant_type", "only refresh_token is served")
            if not fields.get("client_id"):
                return _no("invalid_client", "client_id is missing")
            return self._refresh(str(fields.get("refresh_token")), trouble)

    def _refresh(self, refresh: str, trouble: TokenTrouble) -> TokenReply:
        if refresh in self._spent:
            self.reuses += 1
            self._revoke(self._spent[refresh])
            return _no("invalid_grant", "Refresh token already used; the login has been revoked")
        account = self._live.pop(refresh, None)
        if account is None:
            return _no("invalid_grant", "Refresh token not found or invalid")
        self._spent[refresh] = account
        self.refreshes += 1
        login = self.issue(account)
        body: dict[str, Any] = {
            "token_type": "Bearer",
            "access_token": login.access,
            "refresh_token": login.refresh,
            "expires_in": self._expires_in_s,
            "scope": "user:inference user:profile chatgpt.tokens.use.direct",
        }
        if self._format == "jwt":
            body["id_token"] = login.access
        return TokenReply(status=200, body=body, trouble=trouble)

    def _revoke(self, account: str) -> None:
        self._live = {token: owner for token, owner in self._live.items() if owner != account}
        self._access = {token: owner for token, owner in self._access.items() if owner != account}

    def _new_access(self, account: str) -> str:
        if self._format == "opaque":
            return f"{ANTHROPIC_PREFIX}{account}-{self._issued:06d}"
        claims = {ACCOUNT_CLAIM: {"chatgpt_account_id": account}, "n": self._issued}
        parts = [{"alg": "none", "typ": "JWT"}, claims, {"signed": False}]
        return ".".join(
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts
        )


def _no(code: str, description: str) -> TokenReply:
    return TokenReply(status=400, body={"error": code, "error_description": description})


def _fields(content_type: str, raw: bytes) -> dict[str, Any] | None:
    try:
        if content_type.startswith("application/x-www-form-urlencoded"):
            return {name: values[0] for name, values in parse_qs(raw.decode(), strict_parsing=True).items()}
        if content_type.startswith("application/json"):
            found = json.loads(raw)
            return found if isinstance(found, dict) else None
    except ValueError:
        return None
    return None
