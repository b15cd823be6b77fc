"""Just enough HTTP/1.1 to be a provider, with the wire in plain sight so that it can be misused on purpose."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from typing_extensions import override
else:
    Method = TypeVar("Method")

    def override(method: Method) -> Method:
        """Stand in for `typing.override`, which Python 3.11 lacks: this package is stdlib only."""
        return method


__all__ = ["BadHttp", "Connection", "HttpRequest", "PeerLeft"]

MAX_HEAD_BYTES: Final = 1024 * 1024
MAX_BODY_BYTES: Final = 512 * 1024 * 1024
READ_AHEAD_BYTES: Final = 1024 * 1024
"""Buffered input at which reading pauses."""
WRITE_AHEAD_BYTES: Final = 64 * 1024
"""Buffered output at which writing waits for the peer to read."""


class BadHttp(Exception):
    """The peer does not speak HTTP/1.1."""


class PeerLeft(Exception):
    """The peer has closed the connection."""


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One request, as it came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    """Lower-case names."""
    body: bytes

    def header(self, name: str) -> str:
        """Return the first header of this lower-case name, or an empty string."""
        return next((value for found, value in self.headers if found == name), "")


class Connection(asyncio.Protocol):
    """One accepted connection: bytes in, bytes out, and the moment the peer leaves."""

    def __init__(self, began: Callable[[Connection], None], left: Callable[[Connection], None]) -> None:
        self._began = began
        self._left = left
        self._buffer = bytearray()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._transport: asyncio.Transport | None = None
        self._doomed = False
        self.gone = asyncio.Event()
        """Set once the peer has closed its side."""
        self.gone_at = 0.0
        self.closed_here = False
        """Whether this side closed first."""
        self.number = 0

    # ── what asyncio calls ──

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_AHEAD_BYTES)
        self._began(self)

    @override
    def data_received(self, data: bytes) -> None:
        if self._doomed:
            self.reset()
            return
        self._buffer += data
        if len(self._buffer) > READ_AHEAD_BYTES:
            self._tap.pause_reading()
        self._arrived.set()

    @override
    def eof_received(self) -> bool:
        self._leave()
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._leave()

    @override
    def pause_writing(self) -> None:
        self._writable.clear()

    @override
    def resume_writing(self) -> None:
        self._writable.set()

    # ── what the server calls ──

    async def read_request(self) -> HttpRequest:
        """Return the next request.

        Raises:
            PeerLeft: the peer closed instead.
            BadHttp: what came is not a request.
        """
        lines = (await self._until(b"\r\n\r\n", MAX_HEAD_BYTES)).decode("latin-1").split("\r\n")
        words = lines[0].split(" ")
        if len(words) != 3 or not words[2].startswith("HTTP/1."):
            raise BadHttp(f"not a request line: {lines[0][:80]!r}")
        pairs = [line.partition(":") for line in lines[1:]]
        headers = tuple((name.strip().lower(), value.strip()) for name, _, value in pairs)
        request = HttpRequest(words[0], words[1], headers, b"")
        if request.header("expect").lower() == "100-continue":
            await self.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return HttpRequest(words[0], words[1], headers, await self._read_body(request))

    async def write(self, data: bytes) -> None:
        """Write, and wait until the peer has taken most of it.

        Raises:
            PeerLeft: the peer closed before or meanwhile.
        """
        for start in range(0, len(data), WRITE_AHEAD_BYTES):
            if self.gone.is_set() or self._tap.is_closing():
                raise PeerLeft
            self._tap.write(data[start : start + WRITE_AHEAD_BYTES])
            if not self._writable.is_set():
                await self._first(self._writable)

    async def pause(self, seconds: float | None, opened: asyncio.Event | None = None) -> None:
        """Wait for a while, or for an event; without either, for the peer to leave.

        Raises:
            PeerLeft: the peer closed meanwhile.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._first(opened or asyncio.Event())
        except TimeoutError:
            return

    def doom(self) -> None:
        """Reset this connection as soon as another byte arrives."""
        if self._buffer:
            self.reset()
        self._doomed = True

    def reset(self) -> None:
        """Send RST: no lingering, nothing flushed."""
        self.closed_here = self.closed_here or not self.gone.is_set()
        if self._transport is not None and not self._transport.is_closing():
            sock = self._transport.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()

    def close(self) -> None:
        """Send what is buffered, then FIN."""
        self.closed_here = self.closed_here or not self.gone.is_set()
        if self._transport is not None:
            self._transport.close()

    # ── inside ──

    @property
    def _tap(self) -> asyncio.Transport:
        assert self._transport is not None, "the connection has not been made"
        return self._transport

    def _leave(self) -> None:
        if not self.gone.is_set():
            self.gone_at = time.monotonic()
            self.gone.set()
            self._arrived.set()
            self._left(self)

    async def _first(self, event: asyncio.Event) -> None:
        """Wait for `event` or the peer's leaving, whichever comes first."""
        waits = [asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.gone.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if self.gone.is_set():
            raise PeerLeft

    async def _more(self) -> None:
        """Wait for another byte."""
        if self.gone.is_set():
            raise PeerLeft
        self._arrived.clear()
        self._tap.resume_reading()
        await self._arrived.wait()

    async def _until(self, mark: bytes, limit: int) -> bytes:
        """Return what comes before `mark`, and drop the mark."""
        searched = 0
        while (found := self._buffer.find(mark, max(0, searched - len(mark)))) < 0:
            searched = len(self._buffer)
            if searched > limit:
                raise BadHttp(f"more than {limit} bytes without {mark!r}")
            await self._more()
        taken = bytes(self._buffer[:found])
        del self._buffer[: found + len(mark)]
        return taken

    async def _exactly(self, count: int) -> bytes:
        if count > MAX_BODY_BYTES:
            raise BadHttp(f"a body of {count} bytes is more than this provider takes")
        while len(self._buffer) < count:
            await self._more()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _read_body(self, request: HttpRequest) -> bytes:
        if request.header("transfer-encoding").lower() == "chunked":
            return await self._read_chunks()
        length = request.header("content-length") or "0"
        if not length.isdigit():
            raise BadHttp(f"content-length is {length[:20]!r}")
        return await self._exactly(int(length))

    async def _read_chunks(self) -> bytes:
        body = bytearray()
        while True:
            size_text = (await self._until(b"\r\n", MAX_HEAD_BYTES)).partition(b";")[0]
            try:
                size = int(size_text, 16)
            except ValueError as error:
                raise BadHttp(f"chunk size is {size_text[:20]!r}") from error
            if size == 0:
                while await self._until(b"\r\n", MAX_HEAD_BYTES):
                    pass  # trailers
                return bytes(body)
            body += await self._exactly(size)
            if await self._exactly(2) != b"\r\n":
                raise BadHttp("a chunk does not end in CRLF")
            if len(body) > MAX_BODY_BYTES:
                raise BadHttp("the chunks add up to more than this provider takes")
