"""How each provider's login is refreshed: pure request building and answer parsing.

Source of every literal: pi-ai 1.5.2, `dist/auth/oauth/<provider>.js`. A provider that is not in
`OAUTH_ROWS` can be used until its access token lapses; refreshing it takes pi itself.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec

from pi_model_proxy.credentials.auth_file import OAuthCredential

__all__ = [
    "OAUTH_ROWS",
    "BadTokenAnswer",
    "OAuthRow",
    "Post",
    "TokenRequest",
    "build_request",
    "describe_refusal",
    "parse_answer",
    "token_url",
    "token_url_variable",
]

Post = Callable[[str, Mapping[str, str], bytes, float], Awaitable[tuple[int, bytes]]]
"""`await post(url, headers, body, timeout_s)` gives status and body (bounded); raises `UpstreamError` when no answer came."""


class BadTokenAnswer(Exception):
    """The token endpoint's answer lacks what a login needs; the message holds no token."""


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One POST to a token endpoint. Holds the refresh token, so `repr` shows the address only."""

    url: str
    headers: Mapping[str, str]
    body: bytes

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"TokenRequest(url={self.url!r})"


class OAuthRow(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider's login is refreshed."""

    provider: str
    url: str
    host_variables: tuple[str, ...] = ()
    """Environment variables of the provider's own that replace scheme and host of `url`."""
    client_id: str = ""
    """Empty: each login has its own, stored as `clientId`."""
    json_body: bool = False
    """True: the fields are sent as JSON; else form-encoded."""
    fields: tuple[tuple[str, str], ...] = ()
    """Further fields of the request."""
    margin_s: float = 0.0
    """Taken off the lifetime when the expiry is stored."""
    stores_scopes: bool = False
    """True: the granted scopes are stored as `scopes`."""
    account_claim: tuple[str, str] = ("", "")
    """JWT claim and field that hold the account id, stored as `accountId`."""
    retry_delays_s: tuple[float, ...] = ()
    """Pauses before another try after no answer, 429 or 5xx; empty: one try."""


OAUTH_ROWS: Final[Mapping[str, OAuthRow]] = {
    row.provider: row
    for row in (
        OAuthRow(
            provider="anthropic",
            url="https://platform.claude.com/v1/oauth/token",
            client_id="9d1c250a-e61b-44d9-88ed-5944d1962f5e",
            json_body=True,
            margin_s=300,
        ),
        OAuthRow(
            provider="openai",
            url="https://auth.openai.com/api/accounts/oauth/token",
            fields=(("resource", "https://api.openai.com/v1"),),
            margin_s=180,
            stores_scopes=True,
        ),
        OAuthRow(
            provider="openai-codex",
            url="https://auth.openai.com/oauth/token",
            client_id="app_EMoamEEZ73f0CkXaXp7hrann",
            account_claim=("https://api.openai.com/auth", "chatgpt_account_id"),
        ),
        OAuthRow(
            provider="xai",
            url="https://auth.x.ai/oauth2/token",
            client_id="b1a00492-073a-47ea-816f-4c329264a828",
            margin_s=300,
        ),
        OAuthRow(
            provider="kimi-coding",
            url="https://auth.kimi.com/api/oauth/token",
            host_variables=("KIMI_CODE_OAUTH_HOST", "KIMI_OAUTH_HOST"),
            client_id="17e5f671-d194-4dfb-9706-5516cb48c098",
            retry_delays_s=(1.0, 2.0, 4.0),
        ),
    )
}
"""Every login we can refresh, by provider id."""


def token_url_variable(provider: str) -> str:
    """Return the environment variable that overrides a provider's token address."""
    return f"PI_MODEL_PROXY_{provider.upper().replace('-', '_')}_TOKEN_URL"


def token_url(row: OAuthRow, environment: Mapping[str, str]) -> str:
    """Return where to refresh: our own override, else the provider's host variable, else the row's.

    Raises:
        ValueError: the override is neither https nor on loopback, or is no address; says which variable.
    """
    name = token_url_variable(row.provider)
    override = environment.get(name, "").strip()
    if override:
        _check_address(name, override)
        return override
    for name in row.host_variables:
        host = environment.get(name, "").strip().rstrip("/")
        if host:
            _check_address(name, host)
            return host + urlsplit(row.url).path
    return row.url


def _check_address(variable: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"{variable} is not a URL") from error
    if parts.username or parts.password or parts.fragment or not host:
        raise ValueError(f"{variable} must be a plain URL with a host, without user, password or fragment")
    if parts.scheme == "https" or (parts.scheme == "http" and _is_loopback(host)):
        return
    raise ValueError(f"{variable} must begin with https:// (http:// is allowed for this machine only)")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def build_request(row: OAuthRow, credential: OAuthCredential, environment: Mapping[str, str]) -> TokenRequest:
    """Return the request that exchanges the refresh token for new tokens.

    Raises:
        ValueError: an override is not allowed, or the login lacks a field it needs; says which.
    """
    client_id = row.client_id or credential.extras.get("clientId")
    if not isinstance(client_id, str) or not client_id.strip():
        raise ValueError("the stored login has no `clientId`")
    fields = {
        "grant_type": "refresh_token",
        "client_id": client_id,
        "refresh_token": credential.refresh,
        **dict(row.fields),
    }
    if row.json_body:
        content_type, body = "application/json", json.dumps(fields).encode()
    else:
        content_type, body = "application/x-www-form-urlencoded", urlencode(fields).encode()
    headers = {"accept": "application/json", "content-type": content_type}
    return TokenRequest(url=token_url(row, environment), headers=headers, body=body)


def parse_answer(row: OAuthRow, body: bytes, spent: OAuthCredential, *, now_ms: float) -> dict[str, Any]:
    """Return the fields to store over the login's entry, ready for JSON.

    Asks for an access token and nothing else: by now the old refresh token may be spent, so an
    answer that leaves something out must not cost the login. What is missing stays as it was
    (RFC 6749 §6 for the refresh token), and a missing lifetime counts as one hour.
    `spent` is the login that was exchanged; `now_ms` is the time of the answer.

    Raises:
        BadTokenAnswer: there is no access token in it.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadTokenAnswer("the answer is not JSON") from error
    access = _text(answer, "access_token")
    if not access:
        raise BadTokenAnswer("the answer has no `access_token`")
    fields: dict[str, Any] = {
        "type": "oauth",
        "access": access,
        "refresh": _text(answer, "refresh_token") or spent.refresh,
        "expires": int(now_ms + (_lifetime_s(answer) - row.margin_s) * 1000),
    }
    if row.stores_scopes and (scope := _text(answer, "scope")):
        fields["scopes"] = scope.split()
    if row.account_claim[0] and (account := _account_id(access, row.account_claim)):
        fields["accountId"] = account
    return fields


def _text(answer: object, name: str) -> str:
    value = answer.get(name) if isinstance(answer, dict) else None
    return value.strip() if isinstance(value, str) else ""


def _lifetime_s(answer: Mapping[str, Any]) -> float:
    value = answer.get("expires_in")
    try:
        lifetime_s = float(value) if isinstance(value, int | float | str) else _DEFAULT_LIFETIME_S
    except (ValueError, OverflowError):
        return _DEFAULT_LIFETIME_S
    return lifetime_s if 0 < lifetime_s < _LONGEST_LIFETIME_S else _DEFAULT_LIFETIME_S


_DEFAULT_LIFETIME_S: Final = 3600.0
"""pi's own assumption for xAI (`DEFAULT_TOKEN_LIFETIME_SECONDS`)."""
_LONGEST_LIFETIME_S: Final = 100 * 366 * 86_400
"""A hundred years: beyond it the number is not a lifetime."""


def _account_id(access: str, claim: tuple[str, str]) -> str:
    """Read the account id from a JWT's payload, or nothing; the signature is the provider's affair."""
    parts = access.split(".")
    try:
        payload = parts[1] if len(parts) == _JWT_PARTS else ""
        account = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))[claim[0]][
            claim[1]
        ]
    except (binascii.Error, ValueError, KeyError, TypeError, IndexError, RecursionError):
        return ""
    return account if isinstance(account, str) else ""


_JWT_PARTS: Final = 3


def describe_refusal(status: int, body: bytes) -> tuple[str, bool]:
    """Return what a refused refresh says, without secrets, and whether trying again is useless."""
    code = ""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if isinstance(answer, dict):
        code = _error_code(answer.get("error"))
    final = code in _FINAL_CODES or (status in {400, 401, 403} and code not in _PASSING_CODES)
    return (f"HTTP {status} {code}" if code else f"HTTP {status}"), final


_FINAL_CODES: Final = frozenset(
    {"invalid_grant", "invalid_client", "unauthorized_client", "refresh_token_reused"}
)
_PASSING_CODES: Final = frozenset(
    {"temporarily_unavailable", "server_error", "slow_down", "rate_limit_error"}
)
_LONGEST_CODE: Final = 40


def _error_code(error: object) -> str:
    """Return the error's code when it looks like one: never free text, which might quote a token."""
    if isinstance(error, dict):
        error = error.get("code") or error.get("type")
    if (
        isinstance(error, str)
        and len(error) <= _LONGEST_CODE
        and error.replace("_", "").isalpha()
        and error.isascii()
    ):
        return error
    return ""
