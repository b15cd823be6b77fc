"""One connection: requests in, answers out, in order, by one task."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, cast

import msgspec
from typing_extensions import override

from pi_model_proxy.server.http1.intake import Intake
from pi_model_proxy.server.http1.line import MIN_BODY_RATE, Http1Line
from pi_model_proxy.server.http1.refusals import Refusal, refusal_answer
from pi_model_proxy.server.line import Line
from pi_model_proxy.transport.timers import timers_of

__all__ = ["Connection", "Handler", "House", "Limits"]

Handler = Callable[[Line], Coroutine[Any, Any, None]]

READ_AHEAD_BYTES: Final = 64 * 1024
"""Bytes that may wait unread behind the request that is being answered; above that the socket is not read, and that its
caller has gone is noticed no sooner than something is written to it."""
LINGER_S: Final = 5.0
"""How long the body of a request that was answered before its end is read on: a caller that still writes would
lose the answer in a reset."""
HALF_CLOSE_S: Final = 0.1
"""How long a caller that will send nothing more may still get its answer.

An end of input is what a killed program and a caller that only says "that was all" (`nc -N`) look like at first. The
second gets what can be told in this time; an upstream is not kept busy for the first."""
FOREVER: Final = float("inf")
_RESET: Final = struct.pack("ii", 1, 0)
"""`SO_LINGER` on, for 0 s: the end of the connection is an error to whoever reads."""


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much and how long is too much and too long; seconds and bytes."""

    max_head_bytes: int = 64 * 1024
    head_s: float = 15.0
    """From the first byte of a request (or the beginning of the connection) to the end of its head."""
    body_s: float = 20.0
    """Without a byte of a body that is waited for."""
    keep_alive_s: float = 75.0
    """Idle between two requests."""
    write_s: float = 60.0
    """Without a byte taken by a caller for whom some are waiting; 0 = no limit."""


class House(Protocol):
    """What a connection's server is to it."""

    limits: Limits
    handle: Handler

    def entered(self, connection: Connection) -> None:
        """A connection was accepted."""
        ...

    def left(self, connection: Connection) -> None:
        """It is gone."""
        ...

    def request_id(self) -> str:
        """Return an id for an answer of the connection's own."""
        ...


class Connection(asyncio.Protocol):
    """Both event loops set TCP_NODELAY themselves."""

    __slots__ = (
        "_closing", "_drain", "_due_s", "_half_closed", "_house", "_intake", "_is_kept_alive", "_limits", "_line", "_loop", "_paused",
        "_request", "_since_s", "_stuck_s", "_transport", "_unsent", "congested", "heard_s", "is_answering", "task",
    )  # fmt: skip

    def __init__(self, house: House, loop: asyncio.AbstractEventLoop) -> None:
        self._house = house
        self._limits = house.limits
        self._loop = loop
        self._intake = Intake(house.limits.max_head_bytes)
        self._transport: asyncio.Transport | None = None
        self._line: Http1Line | None = None
        self.is_answering = False
        """A request is in hand."""
        self.task: asyncio.Task[None] | None = None
        """Answers one request after the other; there from the first one to the end of the connection."""
        self._request: asyncio.Future[None] | None = None
        """What the task waits for between two requests."""
        self.heard_s = 0.0
        """When bytes came last, or an answer ended; of several idle connections the one silent longest goes first."""
        self.congested = False
        self._drain: asyncio.Future[None] | None = None
        self._paused = False
        self._closing = False
        """Serve no further request."""
        self._half_closed = False
        self._due_s = FOREVER
        """When whatever is waited for is too late."""
        self._is_kept_alive = False
        """Idle after an answer: what is waited for is the first byte of a request."""
        self._since_s = 0.0
        """When the request in hand came."""
        self._unsent = 0
        self._stuck_s = 0.0

    # What the event loop says.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A caller is here."""
        self._transport = cast("asyncio.Transport", transport)
        self.heard_s = self._loop.time()
        self._due_s = self.heard_s + self._limits.head_s
        self._house.entered(self)

    @override
    def data_received(self, data: bytes) -> None:
        """Read as far as somebody wants to know."""
        self.heard_s = self._loop.time()
        intake, line = self._intake, self._line
        intake.feed(data)
        if line is None:
            self._next(refuse=self._refuse)
        elif line.collects and not intake.complete:
            self._since_body(line)
            line.collect()
        elif not self.is_answering:
            self._forget_rest()
        elif intake.waiting_bytes > READ_AHEAD_BYTES:
            self._pause()

    @override
    def eof_received(self) -> bool:
        """The caller sends nothing more: it has gone, or waits for its answer; see `HALF_CLOSE_S`."""
        if not self.is_answering or not self._intake.complete or self._half_closed:
            return False
        line = self._line
        if line is not None and line.finished and not self._intake.waiting_bytes:
            return False
        self._half_closed = True
        timers_of(self._loop).after(HALF_CLOSE_S, self.abort)
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """There is nobody to answer any more."""
        self._transport = None
        self._house.left(self)
        self._due_s = FOREVER
        line = self._line
        if line is None or not self.is_answering:
            self._line = None
        elif not line.finished and self.task is not None:
            line.left = True
            self.task.cancel()
        if self._request is not None and not self._request.done():
            self._request.set_result(None)
        self._wake()

    @override
    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self.congested = True
        self._unsent, self._stuck_s = 0, self._loop.time()
        if self._line is not None:
            self._line.congested = True

    @override
    def resume_writing(self) -> None:
        """The socket takes more."""
        self.congested = False
        if self._line is not None:
            self._line.congested = False
        self._wake()

    # From one request to the next.

    def _next(self, *, refuse: Callable[[Refusal], None]) -> None:
        """Begin to answer the next request, if its head is here; `refuse` what is none."""
        try:
            head = self._intake.head()
        except Refusal as refusal:
            refuse(refusal)
            return
        if head is None:
            self._wait_for_head()
            return
        self._since_s = self.heard_s
        self._due_s = FOREVER
        self._line = Http1Line(self, self._intake, head, self.congested, head.keep_alive)
        self.is_answering = True
        if self.task is None:
            self.task = self._loop.create_task(self._serve())
        elif self._request is not None:
            self._request.set_result(None)

    def _wait_for_head(self) -> None:
        if self._half_closed:
            self.close()
        elif self._is_kept_alive:
            self._is_kept_alive = False
            self._due_s = self.heard_s + self._limits.head_s

    async def _serve(self) -> None:
        """Answer one request after the other, to the end of the connection: a task for each would cost more."""
        try:
            while (line := self._line) is not None:
                try:
                    await self._house.handle(line)
                except Exception as error:  # noqa: BLE001 - a handler's mistake costs one connection, never the process
                    self._report(error)
                finally:
                    self.is_answering = False
                    self._served(line)
                if self._transport is None:
                    break
                if not self.is_answering:
                    self._request = self._loop.create_future()
                    await self._request
                    self._request = None
        finally:
            self.task = None

    def _report(self, error: Exception) -> None:
        self._loop.call_exception_handler({"message": "a request's handler failed", "exception": error})

    def _served(self, line: Http1Line) -> None:
        """Go on after an answer."""
        if self._transport is None:
            self._line = None
        elif not line.finished:
            self._break_off(self._transport, line)
        elif self._intake.complete or line.is_late:
            self._go_on(line)
        else:
            self._due_s = self._loop.time() + LINGER_S
            self._resume()
            self._forget_rest()

    def _break_off(self, transport: asyncio.Transport, line: Http1Line) -> None:
        """Close in mid-answer, so that half of it does not look like the whole."""
        if line.started and line.needs_close:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            transport.abort()
        else:
            self.close()

    def _forget_rest(self) -> None:
        """Read what is left of a request whose answer is out."""
        line = self._line
        if line is None or self._transport is None or self._transport.is_closing():
            return
        try:
            while self._intake.waiting_bytes and not self._intake.complete:
                self._intake.body()
        except Refusal:
            self.close()
            return
        if self._intake.complete:
            self._go_on(line)

    def _go_on(self, line: Http1Line) -> None:
        """Serve the next request, or close."""
        self._line = None
        if not line.keep_alive or self._closing:
            self.close()
            return
        self.heard_s = self._loop.time()
        self._due_s = self.heard_s + self._limits.keep_alive_s
        self._is_kept_alive = True
        self._resume()
        if self._intake.waiting_bytes or self._half_closed:
            # A refusal of bytes that came behind a request could be taken for the answer to the next one.
            self._next(refuse=self._close_instead)

    def _refuse(self, refusal: Refusal) -> None:
        """Answer what never became a request, and close."""
        self.send(refusal_answer(refusal, self._house.request_id()))
        self.close()

    def _close_instead(self, _: Refusal) -> None:
        self.close()

    # Time.

    def look(self, now_s: float) -> None:
        """End what is too late; called now and then by the server."""
        transport = self._transport
        if transport is None:
            return
        if self.congested or transport.is_closing():
            self._look_at_reader(transport, now_s)
        elif now_s >= self._due_s:
            self._due_s = FOREVER
            self._too_late()

    def _look_at_reader(self, transport: asyncio.Transport, now_s: float) -> None:
        unsent = transport.get_write_buffer_size()
        if unsent < self._unsent or not self._unsent:
            self._stuck_s = now_s
        elif self._limits.write_s and now_s - self._stuck_s >= self._limits.write_s:
            transport.abort()
        self._unsent = unsent

    def _too_late(self) -> None:
        line = self._line
        if line is not None and line.collects:
            line.body_is_late(self._limits.body_s)
        elif line is None and self._intake.in_head:
            self._refuse(
                Refusal(
                    408,
                    f"The request's headers were not complete after {self._limits.head_s:g} s (headerTimeoutMs).",
                )
            )
        else:
            self.close()

    def _since_body(self, line: Http1Line) -> None:
        idle_s = self._limits.body_s
        self._due_s = min(self.heard_s, self._since_s + line.body_bytes / MIN_BODY_RATE) + idle_s

    # What the server says.

    @property
    def is_idle(self) -> bool:
        """Whether nothing is being answered."""
        return self._line is None and self._transport is not None and not self._transport.is_closing()

    def shut(self) -> None:
        """Serve no further request; close now, or after the answer that is under way."""
        self._closing = True
        if self._line is None:
            self.close()
        elif not self._line.started:
            self._line.keep_alive = False

    def refuse_entry(self, refusal: Refusal) -> None:
        """Send the caller away before it has said a word."""
        self._closing = True
        self._refuse(refusal)

    def close(self) -> None:
        """Close once what was written is sent."""
        self._closing = True
        self._due_s = FOREVER
        if self._transport is not None:
            self._unsent = 0
            self._transport.close()

    # What a line says: see `Wire`.

    def send(self, data: bytes) -> None:
        """See `Wire.send`."""
        if self._transport is not None:
            self._transport.write(data)

    def send_all(self, pieces: list[bytes]) -> None:
        """See `Wire.send_all`."""
        if self._transport is not None:
            self._transport.writelines(pieces)

    def flush_later(self, line: Http1Line) -> None:
        """See `Wire.flush_later`."""
        self._loop.call_soon(line.flush)

    def read_on(self) -> None:
        """See `Wire.read_on`."""
        if self._paused:
            self._resume()
        if self._line is not None and not self._intake.complete:
            self._since_body(self._line)

    def abort(self) -> None:
        """See `Wire.abort`."""
        if self._transport is not None:
            self._transport.abort()

    async def drained(self) -> None:
        """See `Wire.drained`."""
        while self.congested and self._transport is not None:
            self._drain = self._loop.create_future()
            try:
                await self._drain
            finally:
                self._drain = None

    def _wake(self) -> None:
        if self._drain is not None and not self._drain.done():
            self._drain.set_result(None)

    def _pause(self) -> None:
        if not self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = True
            self._transport.pause_reading()

    def _resume(self) -> None:
        if self._paused and self._transport is not None and not self._transport.is_closing():
            self._paused = False
            self._transport.resume_reading()
