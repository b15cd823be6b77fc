"""The seam towards callers: a request in, bytes out, a disconnect known.

A caller that leaves is known by cancellation: whoever serves the connection cancels the coroutine
that answers it, and everything below closes what it opened on the way out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

__all__ = ["Call", "Caller"]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request, its body complete, past every check of the door."""

    request_id: str
    method: str
    path: str
    """Decoded once, without the query."""
    query: str = ""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""
    arrived_s: float = 0.0
    """Monotonic seconds when the request line came."""
    strict: bool = False
    """Refuse what the target cannot say instead of dropping it."""


class Caller(Protocol):
    """Where the answer goes. Sending never waits; whoever sends much looks at `congested` and waits in `drain`."""

    congested: bool
    """The caller reads more slowly than we write: `await drain()` before more is written."""

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """Send status and headers; once. The seam adds what every answer carries (request id, CORS)."""
        ...

    def write(self, data: bytes, *, last: bool = False) -> None:
        """Send body bytes."""
        ...

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a whole answer, in one piece; `content-length` is added here."""
        ...

    async def drain(self) -> None:
        """Return once the caller has taken most of what was written."""
        ...
