"""From an opened upstream to the caller: streamed event by event, or whole.

The commit point is the first real event. Before it every failure is a status in the caller's
dialect; after it, the dialect's error frame. Whatever happens, the upstream is let go.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.base import AnswerContext, Facts, Pipe
from pi_model_proxy.errors import BrokenStream, GatewayError, UpstreamTimeout
from pi_model_proxy.gateway.attempts import Opened, read_all
from pi_model_proxy.gateway.caller import Caller
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.gateway.translate import Translation, note
from pi_model_proxy.hub import Event, Failure, Folder
from pi_model_proxy.transport import UpstreamResponse

__all__ = ["PING_AFTER_S", "Pacing", "Stream", "plain_answer", "stream_pipe", "whole_as_stream"]

PING_AFTER_S: Final = 15.0
"""Silence after which a stream gets a sign of life (proxies and SDKs give up at 60 s and more)."""
DRAIN_S: Final = 0.25
"""How long to wait for the formal end of a stream whose terminal event is through, to keep its connection."""
_SSE: Final = "text/event-stream"


class Pacing(msgspec.Struct, frozen=True, kw_only=True):
    """How long is too long, in seconds."""

    silence_s: float
    total_until_s: float | None = None
    """Monotonic moment at which any answer ends; None = no limit."""
    ping_s: float = PING_AFTER_S


def is_stream(response: UpstreamResponse) -> bool:
    """Tell whether the upstream streams, whatever it was asked."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower() == _SSE


def stream_pipe(plan: Plan, opened: Opened, context: AnswerContext) -> Pipe:
    """Return the way from this upstream's stream to the caller's."""
    if plan.relays and plan.dialect.relay is not None:
        return plan.dialect.relay.stream_pipe(context)
    return Translation(plan.decoder(opened.outgoing), plan.server.stream_encoder(context))


class Stream:
    """One streamed answer on its way to its caller."""

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
        self._caller = caller
        self._headers = headers
        self._pacing = pacing
        self._redact = redact
        self._last_write_s = time.monotonic()
        self.began_s: float | None = None
        """Monotonic moment of the first byte; None before the commit point."""

    async def run(self, response: UpstreamResponse) -> GatewayError | None:
        """Carry the answer to its end; return the error that was told inside the stream, if one was.

        Raises:
            GatewayError: the answer failed before anything of it was sent.
        """
        error = await self._carry(response)
        if error is None:
            await self._commit()
            await self._caller.write(b"", last=True)
            await _drain(response)
            return None
        response.abort()
        self._redact(error)
        if self.began_s is None:
            raise error
        await self._caller.write(self._pipe.fail(error), last=True)
        return error

    async def _carry(self, response: UpstreamResponse) -> GatewayError | None:
        facts = self._pipe.facts
        try:
            while not facts.done and facts.failure is None:
                chunk = await self._read(response)
                data = self._pipe.feed(chunk) if chunk else self._pipe.close()
                if facts.began:
                    await self._commit()
                    await self._write(data)
                if not chunk:
                    break
        except GatewayError as error:
            return error
        if facts.failure is None and not facts.done:
            return BrokenStream("The provider's stream ended before its answer was complete; try again.")
        return facts.failure

    async def _commit(self) -> None:
        if self.began_s is None:
            self.began_s = time.monotonic()
            await self._caller.start(200, self._headers)

    async def _write(self, data: bytes) -> None:
        if data:
            self._last_write_s = time.monotonic()
            await self._caller.write(data)

    async def _read(self, response: UpstreamResponse) -> bytes:
        """Return the next bytes, giving signs of life to the caller while there are none.

        Raises:
            UpstreamTimeout: the upstream was silent, or the whole answer took, too long.
        """
        pacing = self._pacing
        silent_until = time.monotonic() + pacing.silence_s
        give_up = min(silent_until, pacing.total_until_s or silent_until)
        while True:
            wake = min(give_up, self._last_write_s + pacing.ping_s)
            try:
                async with asyncio.timeout(max(0.0, wake - time.monotonic())):
                    return await response.read()
            except TimeoutError:
                if time.monotonic() >= give_up:
                    raise _too_long(pacing, silent=give_up == silent_until) from None
                await self._commit()
                await self._write(self._pipe.ping())


def _too_long(pacing: Pacing, *, silent: bool) -> UpstreamTimeout:
    if silent:
        text = f"The provider was silent for {pacing.silence_s:g} s in mid-answer (requestTimeoutMs)."
    else:
        text = "The answer took longer than totalTimeoutMs allows."
    return UpstreamTimeout(text, proxy_error="http_response_timeout")


async def _drain(response: UpstreamResponse) -> None:
    """Read the formal end of a stream that has said all, so that its connection can serve again."""
    try:
        async with asyncio.timeout(DRAIN_S):
            while await response.read():
                pass
    except (TimeoutError, BrokenStream):
        # The answer is complete either way; only the connection is lost.
        response.abort()
    response.release()


def whole_as_stream(plan: Plan, opened: Opened, body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
    """Return a plain answer as a stream: some upstreams ignore `stream: true`."""
    encoder = plan.server.stream_encoder(context)
    facts = Facts()
    out: list[bytes] = []
    for event in plan.events(body, opened.outgoing):
        if not note(event, facts):
            break
        out.append(encoder.feed(event))
    return b"".join(out), facts


async def plain_answer(plan: Plan, opened: Opened, context: AnswerContext) -> tuple[bytes, Facts]:
    """Return the whole answer in the caller's dialect.

    A translated answer, and one that streams though it was not asked to, is the fold of its events.

    Raises:
        UpstreamError: the answer is an error, broken, or not one at all.
    """
    response = opened.response
    streamed = is_stream(response)
    if not streamed and plan.relays and plan.dialect.relay is not None:
        body, facts = plan.dialect.relay.message(await read_all(response), context)
        if facts.failure is not None:
            raise facts.failure
        return body, facts
    facts = Facts()
    folder = Folder()
    if streamed:
        await _fold_stream(plan, opened, folder, facts)
    else:
        whole = await read_all(response)
        _collect(plan.events(whole, opened.outgoing), folder, facts)
    return plan.server.encode_message(folder.message(), context), facts


async def _fold_stream(plan: Plan, opened: Opened, folder: Folder, facts: Facts) -> None:
    decoder = plan.decoder(opened.outgoing)
    response = opened.response
    while not facts.done:
        chunk = await response.read()
        _collect(decoder.feed(chunk) if chunk else decoder.close(), folder, facts)
        if not chunk:
            break
    await _drain(response)


def _collect(events: Iterable[Event], folder: Folder, facts: Facts) -> None:
    for event in events:
        note(event, facts)
        if isinstance(event, Failure):
            raise event.error
        folder.feed(event)
