"""The seam towards upstreams: open, read, abort. No HTTP library is imported above it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

__all__ = ["Deadlines", "UpstreamRequest", "UpstreamResponse", "UpstreamTransport"]


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """How long an upstream may take, in seconds."""

    connect_s: float
    """TCP, proxy and TLS together."""
    headers_s: float
    """From the request's last byte to the answer's headers."""


class UpstreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready for the wire."""

    method: str
    url: str
    headers: Mapping[str, str]
    """Names in lower case; `host` and `content-length` are the transport's business."""
    body: bytes = b""


class UpstreamResponse(Protocol):
    """An answer whose headers have arrived."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case; of repeated headers the values joined by commas."""

    async def read(self) -> bytes:
        """Return the next bytes as soon as there are any, `b""` at the end.

        Safe to cancel: no bytes are lost. Compression that was not asked for is undone, bounded.

        Raises:
            BrokenStream: reset, wrong length, bad chunk, or more data than a bomb guard allows.
        """
        ...

    def release(self) -> None:
        """The answer has been read to its end: the connection may serve again. Otherwise the same as `abort`."""
        ...

    def abort(self) -> None:
        """Close the connection now. May be called at any time, and twice."""
        ...


class UpstreamTransport(Protocol):
    """Sends requests to providers."""

    async def open(self, request: UpstreamRequest, deadlines: Deadlines) -> UpstreamResponse:
        """Send `request` and return once the answer's headers are here.

        Redirects are returned as they are, never followed. A pooled connection that turns out to
        be stale before the first byte is replaced by another, without a word.

        Raises:
            UpstreamUnreachable: no answer came; `proxy_error` says how.
            UpstreamTimeout: a deadline passed.
        """
        ...

    async def close(self) -> None:
        """Close every connection."""
        ...
