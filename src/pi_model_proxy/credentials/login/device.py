"""A login by device code, without any I/O: the requests, and what their answers mean.

Source: RFC 8628; pi-ai 1.5.2, `dist/auth/oauth/{device-code,trusted-url,openai-codex,github-copilot,xai,kimi-coding,
meta,radius}.js`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from pi_model_proxy.credentials.copilot import on_domain
from pi_model_proxy.credentials.login.browser import LoginDenied
from pi_model_proxy.credentials.login.rows import Device
from pi_model_proxy.credentials.oauth_requests import TokenRequest, encode_fields, error_code
from pi_model_proxy.credentials.oauth_rows import OAuthRow, on_own_host, overridden_url, token_url

__all__ = [
    "BadDeviceAnswer",
    "DeviceCode",
    "Poll",
    "Polled",
    "device_request",
    "poll_request",
    "read_device",
    "read_poll",
]

DEFAULT_INTERVAL_S: Final = 5.0
"""RFC 8628 §3.2."""
LEAST_INTERVAL_S: Final = 1.0
LONGEST_INTERVAL_S: Final = 120.0
SLOW_DOWN_S: Final = 5.0
"""RFC 8628 §3.5."""
DEFAULT_LIFETIME_S: Final = 900.0
"""pi's limit where the provider names none."""
LONGEST_LIFETIME_S: Final = 3600.0
GRANT_TYPE: Final = "urn:ietf:params:oauth:grant-type:device_code"
_HTTP_OK: Final = range(200, 300)
_CODEX_PENDING: Final = frozenset({403, 404})


class BadDeviceAnswer(Exception):
    """The provider's answer is not what the protocol says; the message holds no secret."""


class DeviceCode(msgspec.Struct, frozen=True, kw_only=True):
    """A code for the user, and one for us; `repr` shows the user's page only."""

    device_code: str
    user_code: str
    page: str
    """Where the user goes: with the code in it, if the provider offers that."""
    interval_s: float
    lifetime_s: float

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"DeviceCode(page={self.page!r})"


class Poll(Enum):
    """How a login stands."""

    PENDING = "the user has not decided yet"
    SLOW_DOWN = "we ask too often"
    DONE = "tokens, or a code for them"


class Polled(msgspec.Struct, frozen=True, kw_only=True):
    """One answer while waiting."""

    poll: Poll
    interval_s: float | None = None
    """The new interval, when the provider names one."""


def _device_url(oauth: OAuthRow, device: Device, environment: Mapping[str, str], enterprise: str) -> str:
    override = overridden_url(oauth.provider, "DEVICE", environment)
    return override or on_domain(on_own_host(device.url, device.host_variables, environment), enterprise)


def device_request(
    oauth: OAuthRow, device: Device, environment: Mapping[str, str], *, enterprise: str
) -> TokenRequest:
    """Return the request for a code.

    Raises:
        ValueError: an override is not allowed; says which.
    """
    fields = {"client_id": oauth.client_id, **dict(device.fields)}
    headers, body = encode_fields(fields, as_json=device.is_codex, more_headers=device.headers)
    return TokenRequest(url=_device_url(oauth, device, environment, enterprise), headers=headers, body=body)


def read_device(device: Device, status: int, body: bytes) -> DeviceCode:
    """Return the code that the provider gave out.

    Raises:
        BadDeviceAnswer: it gave none.
    """
    if status not in _HTTP_OK:
        raise BadDeviceAnswer(
            f"the provider gave no device code (HTTP {status} {error_code(body)}".rstrip() + ")"
        )
    answer = _object(body)
    page = (
        device.page or _page(answer.get("verification_uri_complete")) or _page(answer.get("verification_uri"))
    )
    code = answer.get("device_auth_id" if device.is_codex else "device_code")
    user_code = answer.get("user_code")
    if not (
        isinstance(code, str) and code and isinstance(user_code, str) and user_code.isprintable() and page
    ):
        raise BadDeviceAnswer("the provider's device code lacks `device_code`, `user_code` or a web address")
    return DeviceCode(
        device_code=code,
        user_code=user_code,
        page=page,
        interval_s=_between(answer.get("interval"), LEAST_INTERVAL_S, LONGEST_INTERVAL_S)
        or DEFAULT_INTERVAL_S,
        lifetime_s=_between(answer.get("expires_in"), 0, LONGEST_LIFETIME_S) or DEFAULT_LIFETIME_S,
    )


def poll_request(
    oauth: OAuthRow, device: Device, code: DeviceCode, environment: Mapping[str, str], *, enterprise: str
) -> TokenRequest:
    """Return the request that asks whether the user has decided.

    Raises:
        ValueError: an override is not allowed; says which.
    """
    if device.is_codex:
        fields = {"device_auth_id": code.device_code, "user_code": code.user_code}
    else:
        fields = {
            "client_id": oauth.client_id,
            "device_code": code.device_code,
            "grant_type": GRANT_TYPE,
        }
    headers, body = encode_fields(fields, as_json=device.is_codex, more_headers=device.headers)
    url = device.poll_url(_device_url(oauth, device, environment, enterprise), token_url(oauth, environment))
    return TokenRequest(url=url, headers=headers, body=body)


def read_poll(device: Device, status: int, body: bytes) -> Polled:
    """Return how the login stands; when it is done, `body` is what was waited for.

    Raises:
        LoginDenied: the user or the provider refused, or the code has lapsed.
        BadDeviceAnswer: the answer makes no sense.
    """
    code = error_code(body)
    if code == "slow_down":
        interval_s = _between(_object(body).get("interval"), LEAST_INTERVAL_S, LONGEST_INTERVAL_S)
        return Polled(poll=Poll.SLOW_DOWN, interval_s=interval_s)
    if code in {"authorization_pending", "deviceauth_authorization_pending"}:
        return Polled(poll=Poll.PENDING)
    if code in _REFUSALS:
        raise LoginDenied(_REFUSALS[code])
    if status in _HTTP_OK and not code:
        return Polled(poll=Poll.DONE)
    if device.is_codex and status in _CODEX_PENDING:
        return Polled(poll=Poll.PENDING)
    raise BadDeviceAnswer(f"the provider said HTTP {status} {code}".rstrip() + " while we waited")


_REFUSALS: Final[Mapping[str, str]] = {
    "access_denied": "the login was denied in the browser",
    "authorization_denied": "the login was denied in the browser",
    "expired_token": "the code has lapsed before it was used",
}


def _object(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadDeviceAnswer("the provider's answer is not JSON") from error
    if not isinstance(answer, dict):
        raise BadDeviceAnswer("the provider's answer is not a JSON object")
    return answer


def _between(value: object, least: float, most: float) -> float | None:
    """Read a number of seconds; None when it is none, or not above zero (OpenAI writes it as a string)."""
    try:
        seconds = (
            float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
        )
    except (ValueError, OverflowError):
        return None
    return min(max(seconds, least), most) if seconds > 0 else None


def _page(value: object) -> str:
    """Return a web address that is safe to show and to open; empty for anything else (pi's `trustedHttpUrl`)."""
    if not isinstance(value, str) or not value.isprintable() or " " in value:
        return ""
    try:
        parts = urlsplit(value)
    except ValueError:
        return ""
    return value if parts.scheme in {"http", "https"} and parts.hostname else ""
