"""One streamed answer on its way to its caller: pieces go from socket to socket without waking a task."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.base import Pipe
from pi_model_proxy.errors import BrokenStream, GatewayError, UpstreamTimeout
from pi_model_proxy.gateway.answer import drain
from pi_model_proxy.gateway.caller import Caller
from pi_model_proxy.transport import Deadline, UpstreamResponse, timers_of

__all__ = ["PING_AFTER_S", "Pacing", "Stream"]

PING_AFTER_S: Final = 15.0
"""Silence after which a stream gets a sign of life (proxies and SDKs give up at 60 s and more)."""


class Pacing(msgspec.Struct, frozen=True, kw_only=True):
    """How long is too long, in seconds."""

    silence_s: float
    total_until_s: float | None = None
    """Moment, on the event loop's clock, at which any answer ends; None = no limit."""
    ping_s: float = PING_AFTER_S


class Stream:
    """Carries one answer; owns the watch over it."""

    def __init__(
        self,
        pipe: Pipe,
        caller: Caller,
        headers: Mapping[str, str],
        pacing: Pacing,
        *,
        redact: Callable[[GatewayError], None],
    ) -> None:
        self._pipe = pipe
        self._facts = pipe.facts
        self._caller = caller
        self._headers = headers
        self._redact = redact
        self._response: UpstreamResponse | None = None
        self.began_s: float | None = None
        """Monotonic moment of the first byte; None before the commit point."""
        self._watch = _Watch(pacing, ping=self._ping, give_up=self._give_up)
        self._gave_up: GatewayError | None = None

    async def run(self, response: UpstreamResponse) -> GatewayError | None:
        """Carry the answer to its end; return the error that was told inside the stream, if one was.

        Raises:
            GatewayError: the answer failed before anything of it was sent.
        """
        self._response = response
        self._watch.begin()
        try:
            error = await self._carry(response)
        finally:
            self._watch.end()
        if error is None:
            self._commit()
            self._caller.write(b"", last=True)
            await drain(response)
            return None
        response.abort()
        self._redact(error)
        if self.began_s is None:
            raise error
        self._caller.write(self._pipe.fail(error), last=True)
        return error

    async def _carry(self, response: UpstreamResponse) -> GatewayError | None:
        facts = self._facts
        try:
            while not await response.deliver(self._take):
                if self._is_over:
                    break
                self._watch.upstream_waits = True
                await self._caller.drain()
                self._watch.upstream_waits = False
                self._watch.heard()
            else:
                if not self._is_over:
                    self._pass_on(self._pipe.close())
        except GatewayError as error:
            return self._gave_up or error
        if facts.failure is None and not facts.done:
            return BrokenStream("The provider's stream ended before its answer was complete; try again.")
        return facts.failure

    @property
    def _is_over(self) -> bool:
        return self._facts.done or self._facts.failure is not None

    def _take(self, piece: bytes) -> bool:
        """Pass a piece on; tell whether more is wanted now."""
        self._watch.heard()
        facts = self._facts
        self._pass_on(self._pipe.feed(piece))
        return not (facts.done or facts.failure is not None or self._caller.congested)

    def _pass_on(self, data: bytes) -> None:
        if self._facts.began:
            if self.began_s is None:
                self._commit()
            if data:
                self._watch.said()
                self._caller.write(data)

    def _commit(self) -> None:
        if self.began_s is None:
            self.began_s = time.monotonic()
            self._caller.start(200, self._headers)

    def _ping(self) -> None:
        self._commit()
        self._caller.write(self._pipe.ping())

    def _give_up(self, error: GatewayError) -> None:
        self._gave_up = error
        if self._response is not None:
            self._response.abort()


class _Watch:
    """Signs of life for the caller, and an end for what takes too long; sets a timer only where it must."""

    __slots__ = (
        "_deadline", "_give_up", "_heard_s", "_loop", "_pacing", "_ping", "_said_s", "_timer", "upstream_waits",
    )  # fmt: skip

    def __init__(
        self, pacing: Pacing, *, ping: Callable[[], None], give_up: Callable[[GatewayError], None]
    ) -> None:
        self._pacing = pacing
        self._ping = ping
        self._give_up = give_up
        self._loop = asyncio.get_running_loop()
        self._heard_s = self._said_s = 0.0
        self._deadline: Deadline | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.upstream_waits = False
        """The upstream is silent because we do not read: its caller is slow."""

    def begin(self) -> None:
        self._heard_s = self._said_s = self._loop.time()
        pacing = self._pacing
        if pacing.total_until_s is not None and pacing.total_until_s - self._said_s < pacing.ping_s:
            self._timer = self._loop.call_at(min(self._next_due()), self._look)
        else:
            # Most answers are over before anything is due, and this kind of timer costs nearly nothing to give up.
            self._deadline = timers_of(self._loop).after(min(pacing.ping_s, pacing.silence_s), self._look)

    def heard(self) -> None:
        """The upstream has said something."""
        self._heard_s = self._loop.time()

    def said(self) -> None:
        """The caller has been told something."""
        self._said_s = self._loop.time()

    def end(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        if self._timer is not None:
            self._timer.cancel()

    def _next_due(self) -> tuple[float, float, float]:
        """Return when the silence, the whole answer and the patience of callers end."""
        pacing = self._pacing
        total_until_s = float("inf") if pacing.total_until_s is None else pacing.total_until_s
        return self._heard_s + pacing.silence_s, total_until_s, self._said_s + pacing.ping_s

    def _look(self) -> None:
        self._timer = None
        now_s = self._loop.time()
        if self.upstream_waits:
            # Neither is owed anything: the caller has not read what it was told.
            self._heard_s = self._said_s = now_s
        silent_until_s, total_until_s, ping_at_s = self._next_due()
        if now_s >= total_until_s:
            self._give_up(_too_long("The answer took longer than totalTimeoutMs allows."))
            return
        if now_s >= silent_until_s:
            self._give_up(
                _too_long(
                    f"The provider was silent for {self._pacing.silence_s:g} s in mid-answer (requestTimeoutMs)."
                )
            )
            return
        if now_s >= ping_at_s:
            self._said_s = now_s
            self._ping()
        self._timer = self._loop.call_at(min(self._next_due()), self._look)


def _too_long(text: str) -> UpstreamTimeout:
    return UpstreamTimeout(text, proxy_error="http_response_timeout")
