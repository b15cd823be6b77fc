"""From a URL to where its request goes and the first lines of its head. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

from pi_model_proxy.transport.http1 import faults
from pi_model_proxy.transport.upstream import UpstreamHead

__all__ = ["Place", "Prepared", "Route", "encode_head", "route_to"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_KEPT_IN_TARGET: Final = "/%:@!$&'()*+,;=~?-._"
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_UNSENDABLE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""RFC 9110 §5.6.2."""
_OURS: Final = frozenset({
    "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
})  # fmt: skip
"""Framing and connection are the transport's business, whatever a configured header says."""
_WITH_LENGTH: Final = frozenset({"POST", "PUT", "PATCH"})
"""Methods that announce a length even of an empty body (RFC 9110 §8.6)."""
MAX_LABELS: Final = 512


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a connection ends: a provider, or a proxy."""

    host: str
    port: int
    tls: bool

    @property
    def authority(self) -> str:
        """`host:port`, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Where requests for one URL go; routes with the same `key` share connections."""

    place: Place
    proxy: Place | None = None
    proxy_authorization: str = ""
    """The header line for the proxy, or empty."""
    authorization: str
    """The header line for a user name in the URL, or empty; a header of the request goes before it."""
    target: str
    """The request target: a path, or the whole URL when a proxy is asked to forward."""
    key: str
    """What a pooled connection must have in common with a request."""
    start: str
    """The header lines that are the same for every request."""

    @property
    def tunnels(self) -> bool:
        """Whether the proxy is asked for a tunnel (RFC 9110 §9.3.6)."""
        return self.proxy is not None and self.place.tls


def route_to(url: str, proxy_url: str | None) -> Route:
    """Return the way to `url`.

    Raises:
        UpstreamUnreachable: the URL, or the proxy's, is none that can be asked.
    """
    try:
        parts, place = _split(url)
    except ValueError as error:
        raise faults.bad_url() from error
    path = quote(parts.path or "/", safe=_KEPT_IN_TARGET)
    target = f"{path}?{quote(parts.query, safe=_KEPT_IN_TARGET)}" if parts.query else path
    host = place.authority.removesuffix(f":{_DEFAULT_PORTS[parts.scheme]}")
    start = f"host: {host}\r\n"
    authorization = f"authorization: {_basic(parts)}\r\n" if parts.username is not None else ""
    key = f"{parts.scheme}://{place.authority}"
    if proxy_url is None:
        return Route(place=place, target=target, key=key, start=start, authorization=authorization)
    try:
        proxy_parts, proxy = _split(proxy_url)
    except ValueError as error:
        raise faults.bad_proxy() from error
    to_proxy = f"proxy-authorization: {_basic(proxy_parts)}\r\n" if proxy_parts.username is not None else ""
    if not place.tls:
        target, start = f"http://{host}{target}", start + to_proxy
    return Route(
        place=place,
        proxy=proxy,
        proxy_authorization=to_proxy,
        target=target,
        key=f"{key} by {proxy_url}",
        start=start,
        authorization=authorization,
    )


def _split(url: str) -> tuple[SplitResult, Place]:
    """Take an address apart.

    Raises:
        ValueError: it is no http(s) address (`urlsplit` would drop line breaks in silence).
    """
    if _CONTROL.search(url):
        raise ValueError("an address has no spaces or control characters")
    parts = urlsplit(url)
    default_port = _DEFAULT_PORTS.get(parts.scheme)
    host = parts.hostname
    if default_port is None or not host:
        raise ValueError("not an http or https address")
    host = host.encode("idna").decode("ascii")
    if not re.fullmatch(r"[a-z0-9._:-]+", host) or parts.port == 0:
        raise ValueError("not a host name")
    return parts, Place(host=host, port=parts.port or default_port, tls=parts.scheme == "https")


def _basic(parts: SplitResult) -> str:
    userinfo = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(userinfo.encode()).decode("ascii")


def encode_head(route: Route, method: str, headers: Mapping[str, str]) -> bytes:
    """Return a request's head but for its length, and the empty line that ends it.

    Raises:
        UpstreamUnreachable: a header would break out of its line.
    """
    lines = [method, " ", route.target, " HTTP/1.1\r\n", route.start]
    if route.authorization and "authorization" not in headers:
        lines.append(route.authorization)
    if "accept-encoding" not in headers:
        lines.append("accept-encoding: identity\r\n")
    for name, value in headers.items():
        label = _labels.get(name)
        if label is None:
            label = _label(name)
        if not value.isprintable() and _UNSENDABLE.search(value):
            raise faults.unsendable(name)
        if label:
            lines += (label, value, "\r\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


class Prepared:
    """What one transport derives from an `UpstreamHead`, once for all its requests."""

    __slots__ = ("_always_with_length", "_head", "owner", "route")

    def __init__(self, owner: object, route: Route, head: UpstreamHead) -> None:
        self.owner = owner
        """The transport; the same head means something else to one with other proxies."""
        self.route = route
        self._head = encode_head(route, head.method, head.headers)
        self._always_with_length = head.method in _WITH_LENGTH

    def with_body(self, body: bytes) -> bytes:
        """Return the whole request."""
        if body or self._always_with_length:
            return b"%bcontent-length: %d\r\n\r\n%b" % (self._head, len(body), body)
        return self._head + b"\r\n"

    def before_body(self, length: int) -> bytes:
        """Return the head alone, when a body of so many bytes follows."""
        return b"%bcontent-length: %d\r\n\r\n" % (self._head, length)


_labels: Final[dict[str, str]] = {}
"""Header names that were found sendable, with what is written for them."""


def _label(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise faults.unsendable(name)
    if len(_labels) >= MAX_LABELS:
        _labels.clear()
    _labels[name] = label = "" if name.lower() in _OURS else f"{name}: "
    return label
