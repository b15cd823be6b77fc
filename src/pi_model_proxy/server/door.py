"""Who may come in: Host, Origin, Sec-Fetch-Site, content type, key. Closed by default, decided in one place.

Threats: DNS rebinding (Host), web pages (Origin, CORS simple requests), other local users (key).
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection, Mapping
from functools import lru_cache
from typing import Final, Protocol

from pi_model_proxy.errors import BadRequest, Forbidden, NotAuthenticated, UnsupportedMedia
from pi_model_proxy.server.query import read_query

__all__ = [
    "OPEN_PATHS",
    "DoorSettings",
    "allowed_origin",
    "authenticated",
    "check_host",
    "check_origin",
    "check_type",
]

OPEN_PATHS: Final = frozenset({"/health", "/livez", "/readyz", "/"})
"""Paths that need no key; OPTIONS needs none either. Everything else does."""

MAX_HOST_CHARS: Final = 260
"""A domain name has at most 253 (RFC 1035 §2.3.4), a port six more."""
_HOST: Final = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN: Final = re.compile(rf"https?://{_HOST.pattern}", re.IGNORECASE)
"""A page's; not `null`, and not two of them."""
_LOOPBACK_V4: Final = re.compile(r"127(?:\.[0-9]{1,3}){3}")


class DoorSettings(Protocol):
    """What the door must be told; the configuration offers it under the same names."""

    @property
    def api_key(self) -> str | None:
        """The gateway's own key; None = none needed."""
        ...

    @property
    def allowed_hosts(self) -> Collection[str]:
        """Host names beside the loopback ones."""
        ...

    @property
    def allowed_origins(self) -> Collection[str]:
        """Origins beside the loopback ones; `*` for any."""
        ...


def _is_loopback(name: str) -> bool:
    name = name.strip("[]").rstrip(".").lower()
    return (
        name == "localhost"
        or name.endswith(".localhost")
        or name == "::1"
        or _LOOPBACK_V4.fullmatch(name) is not None
    )


def check_host(host: str | None, allowed: Collection[str]) -> None:
    """Let in requests for a loopback name, any port, or a listed one.

    Raises:
        BadRequest: there is no Host, or it is not one by the grammar of RFC 9110 §7.2.
        Forbidden: the name is not ours (a page that re-bound its own name to this address).
    """
    ours = _is_ours(host, tuple(allowed)) if host and len(host) <= MAX_HOST_CHARS else None
    if ours is None:
        raise BadRequest("Host: missing or malformed; send one such as 127.0.0.1:9876.")
    if not ours:
        raise Forbidden(
            "Host: this name is not one of the gateway's; use 127.0.0.1 or localhost, or list it in allowedHosts."
        )


@lru_cache(maxsize=64)
def _is_ours(host: str, allowed: tuple[str, ...]) -> bool | None:
    """Tell whether a Host is one of our names; None when it is none at all by the grammar."""
    match = _HOST.fullmatch(host)
    if match is None:
        return None
    name = match["name"].lower()
    listed = {entry.lower() for entry in allowed}
    return _is_loopback(name) or name in listed or host.lower() in listed


def allowed_origin(origin: str, allowed: Collection[str]) -> bool:
    """Tell whether a page of this origin may ask: loopback pages, listed ones, or any when `*` is listed."""
    if (
        "*" in allowed
        or origin in allowed
        or origin.lower() in {entry.lower().rstrip("/") for entry in allowed}
    ):
        return True
    match = _ORIGIN.fullmatch(origin)
    return match is not None and _is_loopback(match["name"])


def check_origin(headers: Mapping[str, str], allowed: Collection[str]) -> None:
    """Let in requests that no foreign web page can have made.

    Raises:
        Forbidden: the Origin is not allowed, or the browser says the request is cross-site.
    """
    origin = headers.get("origin")
    if origin is not None:
        if not allowed_origin(origin, allowed):
            raise Forbidden(
                "Origin: pages of this origin may not use the gateway; list it in allowedOrigins if it is yours."
            )
        return
    if headers.get("sec-fetch-site", "").strip().lower() == "cross-site":
        raise Forbidden("Sec-Fetch-Site: cross-site requests need an Origin that allowedOrigins lists.")


def check_type(content_type: str | None, *, or_form: bool = False) -> None:
    """Let in JSON bodies only: what a page can post without a preflight is not JSON.

    With `or_form` also forms with files, which a page can post: there `check_origin` alone keeps foreign pages out.

    Raises:
        UnsupportedMedia: the content type is missing or another one.
    """
    media = (content_type or "").partition(";")[0].strip().lower()
    if or_form and media == "multipart/form-data":
        return
    if media != "application/json" and not (media.startswith("application/") and media.endswith("+json")):
        wanted = "multipart/form-data or application/json" if or_form else "application/json"
        raise UnsupportedMedia(f"Content-Type: send {wanted}.")


def authenticated(headers: Mapping[str, str], key: str | None) -> bool:
    """Tell whether the request carries the gateway's key, in either header, compared in constant time."""
    if not key:
        return True
    wanted = key.encode()
    scheme, _, token = headers.get("authorization", "").partition(" ")
    by_bearer = scheme.lower() == "bearer" and hmac.compare_digest(token.strip().encode(), wanted)
    by_header = hmac.compare_digest(headers.get("x-api-key", "").strip().encode(), wanted)
    return by_bearer or by_header


def require_key(headers: Mapping[str, str], key: str | None) -> None:
    """Let in requests that carry the key.

    Raises:
        NotAuthenticated: it is missing or wrong.
    """
    if not authenticated(headers, key):
        raise NotAuthenticated(
            "The gateway's API key is missing or wrong; send it as Authorization: Bearer or x-api-key."
        )


def with_google_key(headers: Mapping[str, str], query: str) -> Mapping[str, str]:
    """Return `headers` with the key where `require_key` looks for it: Google's clients send it elsewhere.

    Raises:
        BadRequest: the query cannot be read.
    """
    if "x-goog-api-key" in headers:
        return {**headers, "x-api-key": headers["x-goog-api-key"]}
    if headers.get("authorization") or headers.get("x-api-key"):
        return headers
    given = read_query(query).get("key", [])
    return {**headers, "x-api-key": given[0]} if given else headers
