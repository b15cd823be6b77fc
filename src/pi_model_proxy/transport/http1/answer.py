"""One answer: llhttp's callbacks on one side, `UpstreamResponse` on the other.

Source: RFC 9112 §6 (message body length), §7.1 (chunks), §9.3 (persistence), RFC 9110 §15.2 (1xx).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import httptools

from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.transport.http1 import faults
from pi_model_proxy.transport.http1.headers import Headers, end_of_head, framing_of
from pi_model_proxy.transport.inflate import Inflater

__all__ = ["MAX_HEADER_BYTES", "PAUSE_ABOVE_BYTES", "Answer", "Line"]

MAX_HEADER_BYTES: Final = 64 * 1024
"""All header lines of an answer, interim ones included; also trailers, and framing between two pieces of body."""
PAUSE_ABOVE_BYTES: Final = 128 * 1024
"""Unread body at which we stop reading from the socket, which is how a slow caller slows its upstream.

`read` takes all of it, so reading resumes with an empty buffer."""

_SWITCHING_PROTOCOLS: Final = 101
_FIRST_INTERIM, _FIRST_FINAL = 100, 200
_KNOWN_CODINGS: Final = frozenset({"", "chunked", "identity"})


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
        "_chunks", "_error", "_has_length", "_head", "_head_start", "_held", "_inflater", "_interim", "_keep_alive",
        "_line", "_loop", "_parser", "_paused", "_take", "_thrown", "_unread", "_unsettled_bytes", "_waiter",
        "_wants_more", "complete", "has_head", "headers", "on_body", "status", "surplus",
    )  # fmt: skip

    # Known with the head:
    status: int
    headers: Mapping[str, str]
    _has_length: bool
    _keep_alive: bool
    _inflater: Inflater | None
    # Known while `deliver` waits:
    _thrown: BaseException | None
    _wants_more: bool

    def __init__(self, line: Line, loop: asyncio.AbstractEventLoop) -> None:
        self._line: Line | None = line
        self._loop = loop
        self._head = b""
        self._head_start = 0
        self._interim = False
        self._chunks: list[bytes] = []
        self.on_body = self._chunks.append
        """What llhttp says of a piece of the body; a method here would cost half of all that a piece costs."""
        self._unread = 0
        self._unsettled_bytes = 0
        self._paused = False
        self._held = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._take: Callable[[bytes], bool] | None = None
        self.has_head = False
        self.complete = False
        self.surplus = False
        """Whether bytes came that belong to no answer."""
        # A parser per answer, which costs a quarter of a microsecond: nothing of one answer can reach the next.
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(
            # Hand-written local servers end lines with a bare LF. We forward no framing, so nothing can be smuggled.
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )

    # What the connection says.

    def feed(self, data: bytes) -> None:
        """Take bytes that the connection received."""
        parser = self._parser
        if parser is None:
            self.surplus = True
            return
        if not self.has_head:
            self._head = self._head + data if self._head else data
        chunks = self._chunks
        known = len(chunks)
        try:
            parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._stumble()
        if self.complete:
            self._parser = None
        elif len(chunks) > known:
            self._unsettled_bytes = 0
            if self._take is None or self._held:
                self._fill(len(data))
        else:
            self._unsettled_bytes += len(data)
            if self._unsettled_bytes > MAX_HEADER_BYTES and self._error is None:
                self._stumble()
        if self._take is not None:
            self._give()
        elif self._waiter is not None:
            self.wake()

    def _stumble(self) -> None:
        """Note that llhttp cannot go on, or should not."""
        if self.complete:
            self.surplus = True
        else:
            self._break(faults.broken(faults.BAD_FRAMING) if self.has_head else faults.not_http())

    def _fill(self, size: int) -> None:
        """Count unread bytes; above the limit, stop the socket."""
        self._unread += size
        if self._unread > PAUSE_ABOVE_BYTES and not self._paused and self._line is not None:
            self._paused = True
            self._line.pause_reading()

    def end_of_input(self, *, orderly: bool) -> None:
        """The connection brings no more bytes."""
        if self.complete:
            self._keep_alive = False
        elif self._error is None:
            if not self.has_head:
                self._break(faults.closed(began=bool(self._head)))
            elif orderly and not self._has_length:
                self.complete, self._keep_alive, self._parser = True, False, None
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
        """Whether the headers are here, or will never be."""
        return self.has_head or self._error is not None

    def check_head(self) -> None:
        """Return when the headers are here, or are still to come.

        Raises:
            UpstreamError: they will not come.
        """
        if self._error is not None and not self.has_head:
            raise self._error

    def news(self) -> asyncio.Future[None]:
        """Return a future that ends when something happens; there is one waiter at a time."""
        if self._waiter is not None and not self._waiter.done():
            raise RuntimeError("an answer is read by one task at a time")
        self._waiter = waiter = self._loop.create_future()
        return waiter

    def wake(self) -> None:
        """Let the waiter look again."""
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    # What llhttp says; see also `on_body`.

    def on_message_begin(self) -> None:
        """A second answer to one request is not ours."""
        if self.complete:
            raise _GivenUp

    def on_headers_complete(self) -> None:
        """Take status and headers, or skip an interim answer."""
        parser = self._parser
        if parser is None:
            raise _GivenUp
        start, end = self._head_start, end_of_head(self._head, self._head_start)
        if end > MAX_HEADER_BYTES:
            raise _GivenUp
        status = parser.get_status_code()
        if status < _FIRST_FINAL:
            # An upgrade that nobody asked for is no answer.
            if status == _SWITCHING_PROTOCOLS or status < _FIRST_INTERIM:
                raise _GivenUp
            self._interim = True
            self._head_start = end
            return
        head = self._head[start:end]
        self._head = b""
        framing = framing_of(head)
        if framing.coding not in _KNOWN_CODINGS:
            self._error = faults.not_unwrapped()
            raise _GivenUp
        self._has_length = framing.has_length
        self._inflater = Inflater(framing.encoding) if framing.encoding else None
        self._keep_alive = parser.should_keep_alive()
        self.status, self.headers, self.has_head = status, Headers(head), True

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
                if data := self._unread_bytes():
                    return data
            elif self._is_at_end():
                return b""
            else:
                await self.news()

    def whole(self) -> bytes | None:
        """See `UpstreamResponse.whole`."""
        if not self.complete or self._error is not None:
            return None
        return self._unread_bytes() if self._chunks else b""

    async def deliver(self, take: Callable[[bytes], bool]) -> bool:
        """See `UpstreamResponse.deliver`."""
        while True:
            if self._chunks and not self._held:
                if not self._give_all(take):
                    return False
            elif not self._chunks and self._is_at_end():
                return True
            else:
                news = self.news()
                self._take, self._wants_more, self._thrown = take, True, None
                try:
                    await news
                finally:
                    self._take = None
                if self._thrown is not None:
                    raise self._thrown
                if not self._wants_more:
                    return False

    def _give(self) -> None:
        """Call `take` with what is here; wake `deliver` when it has something to say."""
        waiter, take = self._waiter, self._take
        if take is None or waiter is None or waiter.done():
            return
        if self._chunks:
            if self._held:
                return
            try:
                self._wants_more = self._give_all(take)
            except BaseException as error:  # noqa: BLE001 - it comes out of `deliver`
                self._thrown = error
                self.wake()
                return
        if not self._wants_more or self.complete or self._error is not None or self._line is None:
            self.wake()

    def _give_all(self, take: Callable[[bytes], bool]) -> bool:
        """Give what is here; tell whether more is wanted."""
        data = self._unread_bytes()
        return not data or take(data)

    def pause(self) -> None:
        """See `UpstreamResponse.pause`."""
        self._held = True

    def resume(self) -> None:
        """See `UpstreamResponse.resume`."""
        if self._held:
            self._held = False
            self._loop.call_soon(self._give)

    def _is_at_end(self) -> bool:
        """Tell whether the body is at its end, when nothing of it is unread.

        Raises:
            UpstreamError: it will never be.
        """
        if self._error is not None:
            self.abort()
            raise self._error
        if not self.complete and self._line is None:
            raise faults.broken(faults.INCOMPLETE)
        return self.complete

    def release(self) -> None:
        """See `UpstreamResponse.release`."""
        line = self._line
        if line is not None:
            self._line = self._parser = None
            self._chunks.clear()
            if self._paused:
                line.resume_reading()
            whole = self.complete and not self.surplus and self._error is None
            line.finished(reusable=whole and self._keep_alive)

    def abort(self) -> None:
        """See `UpstreamResponse.abort`."""
        line, self._line, self._parser = self._line, None, None
        if line is not None:
            line.abort()

    def _unread_bytes(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._unread = 0
        if self._paused and self._line is not None:
            self._paused = False
            self._line.resume_reading()
        return self._inflated(self._inflater, data) if self._inflater is not None else data

    def _inflated(self, inflater: Inflater, data: bytes) -> bytes:
        try:
            return inflater.feed(data)
        except BrokenStream as error:
            self._error = self._error or error
            self.abort()
            raise

    def _break(self, error: UpstreamError) -> None:
        if self._error is None:
            self._error = error
        self._parser = None
