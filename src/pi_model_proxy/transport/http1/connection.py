"""One connection: a request out, its answer in, then perhaps another."""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Final, cast

from typing_extensions import override

from pi_model_proxy.transport.http1 import faults
from pi_model_proxy.transport.http1.answer import Answer
from pi_model_proxy.transport.http1.route import Prepared, Route
from pi_model_proxy.transport.timers import timers_of

__all__ = ["Connection"]

JOINED_BYTES: Final = 64 * 1024
"""A body up to this long leaves in one write with its head."""
SLICE_BYTES: Final = 256 * 1024
"""A longer one leaves in slices, each waiting until the socket has taken most of the one before."""


class Connection(asyncio.Protocol):
    """Belongs to one request at a time, or to the pool.

    Both event loops set TCP_NODELAY themselves.
    """

    __slots__ = (
        "_answer", "_congested", "_headers_s", "_on_free", "_on_lost", "_readable", "_sent", "_timers", "_transport",
        "idle_since_s", "key", "loop",
    )  # fmt: skip

    def __init__(
        self, route: Route, on_free: Callable[[Connection], None], on_lost: Callable[[Connection], None]
    ) -> None:
        self.key = route.key
        self.idle_since_s = 0.0
        self._on_free = on_free
        self._on_lost = on_lost
        self.loop = asyncio.get_running_loop()
        self._timers = timers_of(self.loop)
        self._transport: asyncio.Transport | None = None
        self._readable: Callable[[int], object] | None = None
        self._answer: Answer | None = None
        self._congested = False
        self._sent = True
        self._headers_s = 0.0

    # What the event loop says.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection stands, TLS included."""
        self._transport = cast("asyncio.Transport", transport)
        self._readable = _poller(self._transport)

    @override
    def data_received(self, data: bytes) -> None:
        """Hand bytes to the answer; on an idle connection, or after an answer's end, they are poison."""
        answer = self._answer
        if answer is None or answer.complete:
            self._drop()
        else:
            answer.feed(data)

    @override
    def eof_received(self) -> None:
        """The other side says no more; the loop closes the transport."""
        if self._answer is not None:
            self._answer.end_of_input(orderly=True)
        else:
            self._drop()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """There is no connection any more."""
        self._transport = None
        if self._answer is not None:
            self._answer.end_of_input(orderly=exc is None)
        self._on_lost(self)

    @override
    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._congested = True

    @override
    def resume_writing(self) -> None:
        """The socket takes more."""
        self._congested = False
        if self._answer is not None:
            self._answer.wake()

    # What the client says.

    async def ask(self, prepared: Prepared, body: bytes, headers_s: float | None) -> Answer:
        """Send a request and return its answer once the headers are here.

        Raises:
            Unanswered: the connection closed before one byte of an answer.
            UpstreamUnreachable: what came is no answer.
            UpstreamTimeout: nothing came in `headers_s`.
        """
        answer = self._answer = Answer(self, self.loop)
        deadline = None
        if headers_s is not None:
            self._headers_s = headers_s
            deadline = self._timers.after(headers_s, self._too_slow)
        try:
            if self._transport is None:
                answer.end_of_input(orderly=True)
            elif len(body) <= JOINED_BYTES:
                self._transport.write(prepared.with_body(body))
            else:
                self._sent = False
                self._transport.write(prepared.before_body(len(body)))
                await self._send(body, answer)
            while not answer.has_head:
                answer.check_head()
                await answer.news()
        except BaseException:
            self.abort()
            raise
        finally:
            if deadline is not None:
                deadline.cancel()
        return answer

    async def _send(self, body: bytes, answer: Answer) -> None:
        """Send a long body, unless the answer comes before its end (a refusal, mostly)."""
        view = memoryview(body)
        for start in range(0, len(view), SLICE_BYTES):
            while self._congested and not answer.settled:
                await answer.news()
            if answer.settled or self._transport is None:
                return
            self._transport.write(view[start : start + SLICE_BYTES])
            # Other streams have their turn between two slices, however much the socket takes at once.
            await asyncio.sleep(0)
        self._sent = True

    def _too_slow(self) -> None:
        if self._answer is not None:
            self._answer.fail(faults.too_slow_to_answer(self._headers_s))

    def is_fresh(self) -> bool:
        """Whether nothing has arrived since the last answer, not even in the kernel's buffer.

        Bytes or an end that the event loop has not seen yet would be taken for the next answer.
        """
        return self._transport is not None and self._readable is not None and not self._readable(0)

    # What the answer says.

    def pause_reading(self) -> None:
        """See `Line.pause_reading`."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """See `Line.resume_reading`."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def finished(self, *, reusable: bool) -> None:
        """See `Line.finished`."""
        self._answer = None
        transport = self._transport
        if (
            reusable
            and self._sent
            and transport is not None
            and not transport.is_closing()
            and transport.get_write_buffer_size() == 0
        ):
            self._on_free(self)
        else:
            self._drop()

    def abort(self) -> None:
        """See `Line.abort`; an answer that is still being read learns of it."""
        answer, self._answer = self._answer, None
        self._drop()
        if answer is not None:
            answer.end_of_input(orderly=False)

    def _drop(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()


def _poller(transport: asyncio.Transport) -> Callable[[int], object]:
    """Return a function that tells whether the socket has something to read, without waiting."""
    socket = transport.get_extra_info("socket")
    if hasattr(select, "poll"):
        poller = select.poll()
        poller.register(socket.fileno(), select.POLLIN)
        return poller.poll
    return lambda _: select.select([socket], [], [], 0)[0]
