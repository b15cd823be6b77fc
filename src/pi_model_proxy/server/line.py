"""The way to one caller and back, whatever carries it: our own HTTP/1.1 server or another ASGI server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["Head", "Line"]


class Head:
    """What a request says before its body."""

    __slots__ = ("headers", "method", "path", "prepared", "query")

    def __init__(self, method: str, path: str, query: str, headers: Mapping[str, str]) -> None:
        self.method = method
        self.path = path
        """Decoded once, without the query."""
        self.query = query
        self.headers = headers
        """Names in lower case; of repeated ones the values joined by commas. No `content-length`."""
        self.prepared: object = None
        """What an application derived from the rest; the next request of this caller with the same head finds it."""


class Line(Protocol):
    """One request on its connection. What is sent to a caller that has left goes nowhere."""

    @property
    def head(self) -> Head:
        """The request."""
        ...

    congested: bool
    """The caller reads more slowly than we write: `await drain()` before more is written."""
    started: bool
    """Status and headers are on their way."""
    finished: bool
    """The whole answer is."""
    left: bool
    """The caller went before the answer was finished."""

    def body_here(self, limit: int) -> bytes | None:
        """Return the whole body if it came with the head, as most do, and is not longer than `limit` bytes; else None."""
        ...

    async def body(self, limit: int) -> bytes:
        """Return the whole body; asked for once.

        Raises:
            BodyTooLarge: it is, or says it will be, longer than `limit` bytes.
            BodyTimeout: it stopped arriving.
            BadRequest: its framing cannot be read, or the caller left in mid-body.
        """
        ...

    def start(self, status: int, headers: Mapping[str, str], request_id: str = "") -> None:
        """Send status and headers, and `x-request-id`, when it is given, a token.

        `connection: close` among the headers ends the connection after this answer.
        """
        ...

    def write(self, data: bytes, *, last: bool = False) -> None:
        """Send body bytes."""
        ...

    def answer(self, status: int, body: bytes, headers: Mapping[str, str], request_id: str = "") -> None:
        """Send a whole answer at once; `content-length` is added here. See `start`."""
        ...

    def abandon(self) -> None:
        """Break off an answer that has begun and cannot be completed, so that nobody takes it for whole."""
        ...

    async def drain(self) -> None:
        """Return once the caller has taken most of what was written."""
        ...
