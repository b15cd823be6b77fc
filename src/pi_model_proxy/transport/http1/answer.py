"""One answer: llhttp's callbacks on one side, `UpstreamResponse` on the other.

Source: RFC 9112 §6 (message body length), §7.1 (chunks), §9.3 (persistence), RFC 9110 §15.2 (1xx).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final, Protocol

import httptools

from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.transport.http1 import faults
from pi_model_proxy.transport.inflate import Inflater

__all__ = ["MAX_HEADER_BYTES", "PAUSE_ABOVE_BYTES", "Answer", "Line"]

MAX_HEADER_BYTES: Final = 64 * 1024
"""All header lines of an answer, interim ones and trailers included; also framing between two pieces of body."""
PAUSE_ABOVE_BYTES: Final = 128 * 1024
"""Unread body at which we stop reading from the socket, which is how a slow caller slows its upstream.

`read` takes all of it, so reading resumes with an empty buffer."""

_SWITCHING_PROTOCOLS: Final = 101
_FIRST_INTERIM, _FIRST_FINAL = 100, 200


class Line(Protocol):
    """The connection, as its answer sees it."""

    def pause_reading(self) -> None:
        """Stop taking bytes from the socket."""
        ...

    def resume_reading(self) -> None:
        """Take bytes again."""
        ...

    def finished(self, *, reusable: bool) -> None:
        """The answer needs the connection no more."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...


class _GivenUp(Exception):
    """Stop parsing."""


class Answer:
    """Implements `UpstreamResponse`; fed by its connection until it is complete, broken or given up."""

    __slots__ = (
        "_chunks", "_encoding", "_error", "_fields", "_has_length", "_head_bytes", "_inflater", "_interim",
        "_keep_alive", "_line", "_loop", "_parser", "_paused", "_surplus", "_unread", "_unsettled_bytes", "_waiter",
        "complete", "has_head", "headers", "received", "status",
    )  # fmt: skip

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        self._line: Line | None = line
        self._loop = loop
        # A parser per answer: nothing of one answer (trailers, a half-read header) can reach the next.
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            # Hand-written local servers end lines with a bare LF. We forward no framing, so nothing can be smuggled.
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._fields: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._interim = False
        self._keep_alive = False
        self._has_length = False
        self._chunks: list[bytes] = []
        self._unread = 0
        self._unsettled_bytes = 0
        self._paused = False
        self._surplus = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._inflater: Inflater | None = None
        self._encoding = ""
        self.received = False
        """Whether one byte has come: from then on the request is never sent again."""
        self.has_head = False
        self.complete = False
        self.status = 0
        self.headers: Mapping[str, str] = {}

    # What the connection says.

    def feed(self, data: bytes) -> None:
        """Take bytes that the connection received."""
        self.received = True
        if self.complete or self._parser is None:
            self._surplus = True
            return
        unread = self._unread
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.complete:
                self._surplus = True
            else:
                self._break(faults.broken(faults.BAD_FRAMING) if self.has_head else faults.not_http())
        if self.complete:
            self._parser = None
        elif self._unread > unread:
            self._unsettled_bytes = 0
            if self._unread > PAUSE_ABOVE_BYTES and not self._paused and self._line is not None:
                self._paused = True
                self._line.pause_reading()
        else:
            self._unsettled_bytes += len(data)
            if self._unsettled_bytes > MAX_HEADER_BYTES and self._error is None:
                self._break(faults.broken(faults.BAD_FRAMING) if self.has_head else faults.not_http())
        self.wake()

    def end_of_input(self, *, orderly: bool) -> None:
        """The connection brings no more bytes."""
        self._keep_alive = False
        if self.complete or self._error is not None:
            return
        if not self.has_head:
            self._break(faults.closed(began=self.received))
        elif orderly and not self._has_length:
            self.complete, self._parser = True, None
        else:
            self._break(faults.broken(faults.INCOMPLETE))
        self.wake()

    def fail(self, error: UpstreamError) -> None:
        """Give up waiting for the headers."""
        if not self.has_head:
            self._break(error)
            self.wake()

    @property
    def settled(self) -> bool:
        """Whether `wait_for_head` would return or raise at once."""
        return self.has_head or self._error is not None

    async def wait_for_head(self) -> None:
        """Return once status and headers are here.

        Raises:
            UpstreamError: they will not come.
        """
        while not self.has_head:
            if self._error is not None:
                raise self._error
            await self.wait()

    async def wait(self) -> None:
        """Return when something happened; there is one waiter at a time."""
        if self._waiter is not None:
            raise RuntimeError("an answer is read by one task at a time")
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    # What llhttp says.

    def on_message_begin(self) -> None:
        """A second answer to one request is not ours."""
        if self.complete:
            raise _GivenUp

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; count a trailer."""
        self._head_bytes += len(name) + len(value) + 4
        if self._head_bytes > MAX_HEADER_BYTES:
            raise _GivenUp
        if not self.has_head:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Take status and headers, or skip an interim answer."""
        parser = self._parser
        if parser is None:
            raise _GivenUp
        status = parser.get_status_code()
        if status < _FIRST_FINAL:
            # An upgrade that nobody asked for is no answer.
            if status == _SWITCHING_PROTOCOLS or status < _FIRST_INTERIM:
                raise _GivenUp
            self._interim = True
            self._fields.clear()
            return
        headers: dict[str, str] = {}
        for raw_name, raw_value in self._fields:
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]},{value}" if name in headers else value
        self._fields.clear()
        if not self._know_framing(headers):
            self._error = faults.not_unwrapped()
            raise _GivenUp
        encoding = headers.get("content-encoding", "").strip().lower()
        self._encoding = "" if encoding == "identity" else encoding
        self._keep_alive = parser.should_keep_alive()
        self.status, self.headers, self.has_head = status, headers, True

    def _know_framing(self, headers: Mapping[str, str]) -> bool:
        coding = headers.get("transfer-encoding", "").strip().lower()
        self._has_length = coding == "chunked" or (not coding and "content-length" in headers)
        return coding in {"", "chunked", "identity"}

    def on_body(self, data: bytes) -> None:
        """Keep a piece of the body."""
        self._chunks.append(data)
        self._unread += len(data)

    def on_message_complete(self) -> None:
        """The whole answer is here, unless it was an interim one."""
        if self._interim:
            self._interim = False
        else:
            self.complete = True

    # What the gateway says: see `UpstreamResponse`.

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`."""
        while True:
            if self._chunks:
                data = self._take()
                if not self._encoding:
                    return data
                if data := self._inflate(data):
                    return data
            elif self._error is not None:
                self.abort()
                raise self._error
            elif self.complete:
                return b""
            elif self._line is None:
                raise faults.broken(faults.INCOMPLETE)
            else:
                await self.wait()

    def release(self) -> None:
        """See `UpstreamResponse.release`."""
        line, self._line = self._line, None
        if line is not None:
            self._chunks.clear()
            whole = self.complete and not self._surplus and self._error is None
            self._parser = None
            if self._paused:
                line.resume_reading()
            line.finished(reusable=whole and self._keep_alive)

    def abort(self) -> None:
        """See `UpstreamResponse.abort`."""
        line, self._line, self._parser = self._line, None, None
        if line is not None:
            line.abort()

    def _take(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._unread = 0
        if self._paused and self._line is not None:
            self._paused = False
            self._line.resume_reading()
        return data

    def _inflate(self, data: bytes) -> bytes:
        try:
            if self._inflater is None:
                self._inflater = Inflater(self._encoding)
            return self._inflater.feed(data)
        except BrokenStream as error:
            self._error = self._error or error
            self.abort()
            raise

    def _break(self, error: UpstreamError) -> None:
        if self._error is None:
            self._error = error
        self._parser = None

    def wake(self) -> None:
        """Let the waiter look again."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
