"""Requests to token endpoints and what their answers mean: pure.

Source of every shape: pi-ai 1.5.2, `dist/auth/oauth/<provider>.js`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from pi_model_proxy.credentials.auth_file import OAuthCredential
from pi_model_proxy.credentials.copilot import enterprise_domain, on_domain
from pi_model_proxy.credentials.oauth_rows import Grant, OAuthRow, token_url

__all__ = [
    "BadTokenAnswer",
    "Post",
    "TokenRequest",
    "build_request",
    "describe_refusal",
    "encode_fields",
    "error_code",
    "parse_answer",
]

Post = Callable[[str, Mapping[str, str], bytes, float], Awaitable[tuple[int, bytes]]]
"""`await post(url, headers, body, timeout_s)` gives status and body (bounded); raises `UpstreamError` when no answer came.

A request without a body is a GET."""


class BadTokenAnswer(Exception):
    """The token endpoint's answer lacks what a login needs; the message holds no token."""


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request to a token endpoint. Holds the refresh token, so `repr` shows the address only."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    """Empty: a GET."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"TokenRequest(url={self.url!r})"


def encode_fields(
    fields: Mapping[str, str], *, as_json: bool, more_headers: tuple[tuple[str, str], ...] = ()
) -> tuple[dict[str, str], bytes]:
    """Return headers and body that carry `fields`."""
    if as_json:
        content_type, body = "application/json", json.dumps(fields).encode()
    else:
        content_type, body = "application/x-www-form-urlencoded", urlencode(fields).encode()
    return {"accept": "application/json", "content-type": content_type, **dict(more_headers)}, body


def build_request(row: OAuthRow, credential: OAuthCredential, environment: Mapping[str, str]) -> TokenRequest:
    """Return the request that exchanges the refresh token for new tokens.

    Raises:
        ValueError: an override is not allowed, or the login lacks a field it needs; says which.
    """
    url = token_url(row, environment)
    if row.grant is Grant.NONE:
        raise ValueError("the key does not lapse, so there is nothing to renew")
    if row.grant is Grant.REFRESH:
        fields = {
            "grant_type": "refresh_token",
            "client_id": _client_id(row, credential),
            "refresh_token": credential.refresh,
            **dict(row.fields),
        }
        headers, body = encode_fields(fields, as_json=row.json_body, more_headers=row.headers)
        return TokenRequest(url=url, headers=headers, body=body)
    headers = {
        "accept": "application/json",
        "authorization": f"Bearer {credential.refresh}",
        **dict(row.headers),
    }
    if row.grant is Grant.MINT:
        return TokenRequest(url=url, headers={**headers, "content-type": "application/json"}, body=b"{}")
    if url == row.url:
        url = on_domain(url, enterprise_domain(credential.extras))
    return TokenRequest(url=url, headers=headers, body=b"")


def _client_id(row: OAuthRow, credential: OAuthCredential) -> str:
    client_id = row.client_id or credential.extras.get("clientId")
    if not isinstance(client_id, str) or not client_id.strip():
        raise ValueError("the stored login has no `clientId`")
    return client_id


def parse_answer(row: OAuthRow, body: bytes, spent: OAuthCredential, *, now_ms: float) -> dict[str, Any]:
    """Return the fields to store over the login's entry, ready for JSON.

    Asks for an access token and nothing else: by now the old refresh token may be spent, so an
    answer that leaves something out must not cost the login. What is missing stays as it was
    (RFC 6749 §6 for the refresh token), and a missing lifetime counts as the row says.
    `spent` is the login that was exchanged; `now_ms` is the time of the answer.

    Raises:
        BadTokenAnswer: there is no access token in it.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadTokenAnswer("the answer is not JSON") from error
    access = _text(answer, row.access_name)
    if not access:
        raise BadTokenAnswer(f"the answer has no `{row.access_name}`")
    fields: dict[str, Any] = {
        "type": "oauth",
        "access": access,
        "refresh": _new_refresh(row, answer, spent),
        "expires": _expires_ms(row, answer, now_ms),
    }
    scope = _text(answer, "scope")
    if row.stores_scope and scope:
        fields["scope"] = scope
    if row.stores_scopes and scope:
        fields["scopes"] = scope.split()
    if row.account_claim[0] and (account := _account_id(access, row.account_claim)):
        fields["accountId"] = account
    return fields


def _new_refresh(row: OAuthRow, answer: object, spent: OAuthCredential) -> str:
    """Only an OAuth refresh token rotates; the others stay as they were."""
    if row.grant is not Grant.REFRESH:
        return spent.refresh
    return _text(answer, "refresh_token") or spent.refresh


def _expires_ms(row: OAuthRow, answer: Mapping[str, Any], now_ms: float) -> int:
    if row.grant is Grant.NONE:
        return NEVER_MS
    if row.grant is Grant.MINT:
        return int(now_ms + row.lifetime_s * 1000)
    at_s = answer.get("expires_at")
    if row.grant is Grant.COPILOT and isinstance(at_s, int | float) and not isinstance(at_s, bool):
        lifetime_s = at_s - now_ms / 1000
        if 0 < lifetime_s < _LONGEST_LIFETIME_S:
            return int(at_s * 1000 - row.margin_s * 1000)
    return int(now_ms + (_lifetime_s(row, answer) - row.margin_s) * 1000)


NEVER_MS: Final = 2**53 - 1
"""JavaScript's `Number.MAX_SAFE_INTEGER`, which pi stores for a key that does not lapse."""


def _text(answer: object, name: str) -> str:
    value = answer.get(name) if isinstance(answer, dict) else None
    return value.strip() if isinstance(value, str) else ""


def _lifetime_s(row: OAuthRow, answer: Mapping[str, Any]) -> float:
    value = answer.get("expires_in")
    try:
        lifetime_s = float(value) if isinstance(value, int | float | str) else row.lifetime_s
    except (ValueError, OverflowError):
        return row.lifetime_s
    return lifetime_s if 0 < lifetime_s < _LONGEST_LIFETIME_S else row.lifetime_s


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
    code = error_code(body)
    final = code in _FINAL_CODES or (status in {400, 401, 403} and code not in _PASSING_CODES)
    return (f"HTTP {status} {code}" if code else f"HTTP {status}"), final


_FINAL_CODES: Final = frozenset(
    {"invalid_grant", "invalid_client", "unauthorized_client", "refresh_token_reused"}
)
_PASSING_CODES: Final = frozenset(
    {"temporarily_unavailable", "server_error", "slow_down", "rate_limit_error"}
)
_LONGEST_CODE: Final = 40


def error_code(body: bytes) -> str:
    """Return an error answer's code when it looks like one: never free text, which might quote a token."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    error = answer.get("error") if isinstance(answer, dict) else None
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
