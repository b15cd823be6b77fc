"""One request and the way back to its caller on a connection of ours; implements `server.line.Line`.

Source: RFC 9112 §6.1 and §7.1 (chunks), §9.3 and §9.6 (persistence); RFC 9110 §6.4.1 (answers without a body), §10.1.1
(`100-continue`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final, Protocol

import msgspec

from pi_model_proxy.errors import BadRequest, BodyTimeout, BodyTooLarge, GatewayError
from pi_model_proxy.server.http1.heads import RequestHead
from pi_model_proxy.server.http1.intake import Intake
from pi_model_proxy.server.http1.refusals import Refusal
from pi_model_proxy.wire import SharedHeaders, header_lines

__all__ = ["MIN_BODY_RATE", "Http1Line", "Wire"]

MIN_BODY_RATE: Final = 1024
"""Bytes a second below which, after `bodyTimeoutMs`, a body counts as stopped: drops would keep a connection for ever."""
JOINED_BYTES: Final = 64 * 1024
"""Longer pieces are not copied to stand in one piece with their framing."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_LAST_CHUNK: Final = b"0\r\n\r\n"
_WITHOUT_BODY: Final = frozenset({204, 304})
_STATUS_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode() for status in HTTPStatus
}


class Wire(Protocol):
    """The connection, as one of its lines sees it."""

    def send(self, data: bytes) -> None:
        """Write bytes; a connection that is gone takes them without a word."""
        ...

    def send_all(self, pieces: list[bytes]) -> None:
        """Write bytes that are long enough to be worth no copy."""
        ...

    def flush_later(self, line: Http1Line) -> None:
        """Call `line.flush` at the end of this turn of the event loop."""
        ...

    def read_on(self) -> None:
        """Read what the caller sends, and tell a line that waits what comes of its body, or that nothing did."""
        ...

    def abort(self) -> None:
        """Close at once."""
        ...

    async def drained(self) -> None:
        """Return once most of what was written is gone."""
        ...


class Http1Line(msgspec.Struct, eq=False):
    """Belongs to one task from the head of a request to the end of its answer.

    A struct because that is made at once: a dozen assignments would be a tenth of what a connection does for a request.
    """

    _wire: Wire
    _intake: Intake
    head: RequestHead
    congested: bool
    keep_alive: bool
    """The connection may serve another request."""
    started: bool = False
    finished: bool = False
    left: bool = False
    is_late: bool = False
    """Its body has stopped arriving; the rest is not waited for again."""
    needs_close: bool = False
    """Only the end of the connection ends the answer."""
    _held: bytes = b""
    """Head of the answer that waits to leave together with the first bytes of the body."""
    _chunked: bool = False
    _silent: bool = False
    """The answer has no body, whatever is written: HEAD, 204, 304."""
    _promised: int | None = None
    """Body bytes that are still owed."""
    _is_asked_for: bool = False
    _limit: int = 0
    _size: int = 0
    _collected: list[bytes] = []
    _waiter: asyncio.Future[None] | None = None

    # The request's body.

    @property
    def collects(self) -> bool:
        """Whether somebody waits for the body."""
        return self._waiter is not None

    @property
    def body_bytes(self) -> int:
        """How much of the body has come."""
        return self._size

    def body_here(self, limit: int) -> bytes | None:
        """See `Line.body_here`."""
        intake = self._intake
        if not intake.complete or self.head.length > limit:
            return None
        self._is_asked_for = True
        # Also now: only a socket that is read tells that its caller has gone.
        self._wire.read_on()
        return intake.body()

    async def body(self, limit: int) -> bytes:
        """See `Line.body`."""
        head, intake = self.head, self._intake
        if head.length > limit:
            raise self._too_large(limit)
        here = self.body_here(limit)
        if here is not None:
            return here
        self._limit, self._is_asked_for = limit, True
        if intake.waiting_bytes:
            self.collect()
        # Also when the body is all here: only a socket that is read tells that its caller has gone.
        self._wire.read_on()
        if not intake.complete:
            await self._wait_for_body(head)
        collected = self._collected
        if not collected:
            return b""
        body = collected[0] if len(collected) == 1 else b"".join(collected)
        collected.clear()
        return body

    async def _wait_for_body(self, head: RequestHead) -> None:
        if head.expects_continue and not self._size:
            self._wire.send(_CONTINUE)
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def collect(self) -> None:
        """Take what the connection has read; wake whoever waits once that is all, or too much.

        Raises:
            BodyTooLarge, BadRequest: nobody waits yet, so whoever asks is told at once.
        """
        try:
            piece = self._intake.body()
            self._size += len(piece)
            if self._size > self._limit:
                raise self._too_large(self._limit)
        except Refusal as refusal:
            self.keep_alive = False
            self._fail(BadRequest(f"The request's body cannot be read. {refusal.message}"))
            return
        except BodyTooLarge as error:
            self._fail(error)
            return
        if piece:
            self._collected.append(piece)
        waiter = self._waiter
        if self._intake.complete and waiter is not None and not waiter.done():
            waiter.set_result(None)

    def body_is_late(self, idle_s: float) -> None:
        """Tell whoever waits for the body that it has stopped arriving."""
        self.keep_alive = False
        self.is_late = True
        self._fail(
            BodyTimeout(
                f"The request body stopped arriving for {idle_s:g} s (bodyTimeoutMs), "
                f"or came slower than {MIN_BODY_RATE} bytes/s."
            )
        )

    def _fail(self, error: GatewayError) -> None:
        self._collected.clear()
        waiter = self._waiter
        if waiter is None:
            raise error
        if not waiter.done():
            waiter.set_exception(error)

    def _too_large(self, limit: int) -> BodyTooLarge:
        self.keep_alive = False
        return BodyTooLarge(
            f"The request body is larger than {limit} bytes (maxBodyBytes); send less, or raise the limit."
        )

    # The answer.

    def start(self, status: int, headers: Mapping[str, str], request_id: str = "") -> None:
        """See `Line.start`."""
        self._held = self._begin(status, headers, request_id, None)
        self._wire.flush_later(self)

    def answer(self, status: int, body: bytes, headers: Mapping[str, str], request_id: str = "") -> None:
        """See `Line.answer`."""
        head = self._begin(status, headers, request_id, len(body))
        self.finished = True
        if self._silent:
            self._wire.send(head)
        elif len(body) <= JOINED_BYTES:
            self._wire.send(head + body)
        else:
            self._wire.send_all([head, body])

    def _begin(self, status: int, headers: Mapping[str, str], request_id: str, length: int | None) -> bytes:
        """Return the head of the answer, its framing decided."""
        if self.started:
            raise RuntimeError("an answer has one head")
        self.started = True
        line = _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status
        named = b"x-request-id: %b\r\n" % request_id.encode("ascii") if request_id else b""
        if type(headers) is not SharedHeaders:
            lines, length = self._lines(headers, length)
        else:
            lines = headers.lines
        framing = self._usual_framing(length) if self._is_usual(status) else self._framing(status, length)
        return b"%b%b%b%b\r\n" % (line, lines, named, framing)

    def _lines(self, headers: Mapping[str, str], length: int | None) -> tuple[bytes, int | None]:
        """Return the lines of headers that may say something of the framing too, and the length they promise."""
        rest = dict(headers)
        if rest.pop("connection", None) is not None:
            self.keep_alive = False
        promised = rest.pop("content-length", None)
        return header_lines(rest), length if promised is None else int(promised)

    def _is_usual(self, status: int) -> bool:
        """Whether nothing but the length of the body decides about the framing."""
        return self.keep_alive and self.head.is_usual and status not in _WITHOUT_BODY

    def _usual_framing(self, length: int | None) -> bytes:
        self._promised = length
        if length is None:
            self._chunked = True
            return b"transfer-encoding: chunked\r\n"
        return b"content-length: %d\r\n" % length

    def _framing(self, status: int, length: int | None) -> bytes:
        request = self.head
        lines = b""
        if request.expects_continue and not self._is_asked_for:
            # Whether the body still comes is the caller's choice: its next bytes could be either.
            self.keep_alive = False
        self._silent = request.method == "HEAD" or status in _WITHOUT_BODY
        if status in _WITHOUT_BODY:
            length = None
        if length is not None:
            lines = self._usual_framing(length)
        elif not self._silent:
            if request.is_http_1_0:
                self.needs_close, self.keep_alive = True, False
            else:
                lines = self._usual_framing(None)
        if not self.keep_alive:
            lines += b"connection: close\r\n"
        elif request.is_http_1_0:
            lines += b"connection: keep-alive\r\n"
        return lines

    def write(self, data: bytes, *, last: bool = False) -> None:
        """See `Line.write`."""
        if self.finished or not self.started:
            raise RuntimeError("body bytes belong between the head of an answer and its end")
        if last:
            self.finished = True
        if self._silent:
            data = b""
        elif not self._chunked:
            self._keep_promise(len(data), last=last)
        elif not data:
            data = _LAST_CHUNK if last else b""
        elif len(data) > JOINED_BYTES:
            self._write_long(data)
            return
        elif last:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data)
        else:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if self._held:
            data, self._held = self._held + data, b""
        if data:
            self._wire.send(data)

    def _write_long(self, data: bytes) -> None:
        before = self._held + b"%x\r\n" % len(data)
        self._held = b""
        self._wire.send_all([before, data, b"\r\n0\r\n\r\n" if self.finished else b"\r\n"])

    def _keep_promise(self, size: int, *, last: bool) -> None:
        """Count body bytes whose number was announced."""
        if self._promised is None:
            return
        self._promised -= size
        if self._promised < 0 or (last and self._promised):
            self._wire.abort()
            raise RuntimeError("the body of an answer has not the length that its head says")

    def flush(self) -> None:
        """Send a head to which no body has come yet."""
        if self._held:
            held, self._held = self._held, b""
            self._wire.send(held)

    def abandon(self) -> None:
        """See `Line.abandon`."""
        self.finished, self.keep_alive = True, False
        self._wire.abort()

    async def drain(self) -> None:
        """See `Line.drain`."""
        await self._wire.drained()
