"""The seam towards upstreams: open, read, abort. No HTTP library is imported above it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

__all__ = [
    "AnswerHeaders",
    "Deadlines",
    "UpstreamHead",
    "UpstreamRequest",
    "UpstreamResponse",
    "UpstreamTransport",
]


class Deadlines(msgspec.Struct, frozen=True, kw_only=True):
    """How long an upstream may take, in seconds."""

    connect_s: float
    """TCP, proxy and TLS together."""
    headers_s: float | None
    """From the request's last byte to the answer's headers; None: somebody else watches."""


class UpstreamHead:
    """Everything of a request but its body; made once for many requests to the same place with the same credential."""

    __slots__ = ("headers", "method", "prepared", "url")

    def __init__(self, method: str, url: str, headers: Mapping[str, str]) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        """Names in lower case; `host` and `content-length` are the transport's business."""
        self.prepared: object = None
        """What a transport derived from the rest, to be found again with the next request; its own business."""


class UpstreamRequest(msgspec.Struct, frozen=True):
    """One request, ready for the wire."""

    head: UpstreamHead
    body: bytes = b""


class AnswerHeaders(Mapping[str, str]):
    """Headers that know a quicker way to some of them than one look at each."""

    __slots__ = ()

    @abstractmethod
    def beginning(self, *starts: str) -> dict[str, str]:
        """Return those whose name begins with one of `starts` (lower case)."""
        ...


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

    def whole(self) -> bytes | None:
        """Return all that is unread when the body's end is here too, as of most short answers it is; else None.

        Raises:
            BrokenStream: compressed otherwise than announced, as in `read`.
        """
        ...

    async def deliver(self, take: Callable[[bytes], bool]) -> bool:
        """Give each piece of the body to `take` in the moment it arrives; return True at the body's end.

        `take` is called from the event loop's callback, so that a piece of a stream wakes no task. When it returns
        False, nothing more is given and `deliver` returns False; `read` or `deliver` may then go on. What `take`
        raises comes out of `deliver`. Safe to cancel, as `read` is; not to be mixed with a `read` at the same time.

        Raises:
            BrokenStream: as `read` does.
        """
        ...

    def pause(self) -> None:
        """Give nothing more to `take`, and soon read nothing more from the socket, until `resume`."""
        ...

    def resume(self) -> None:
        """Go on after `pause`; what has arrived meanwhile is given from the event loop, not from within this call."""
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
