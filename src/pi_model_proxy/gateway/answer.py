"""From an opened upstream to the caller: streamed event by event, or whole.

The commit point is the first real event. Before it every failure is a status in the caller's
dialect; after it, the dialect's error frame. Whatever happens, the upstream is let go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pi_model_proxy.dialects.base import AnswerContext, Facts, Pipe
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.gateway.attempts import Opened, read_all, read_at_once
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.gateway.timelimit import TimeLimit
from pi_model_proxy.gateway.translate import Translation, note
from pi_model_proxy.hub import Event, Failure, Folder
from pi_model_proxy.transport import UpstreamResponse

__all__ = ["answer_at_once", "drain", "is_stream", "plain_answer", "stream_pipe", "whole_as_stream"]

DRAIN_S: Final = 0.25
"""How long to wait for the formal end of a stream whose terminal event is through, to keep its connection."""
_JSON: Final = "application/json"
_SSE: Final = "text/event-stream;"
_STREAMS: Final = frozenset({"text/event-stream", "application/vnd.amazon.eventstream"})


def is_stream(response: UpstreamResponse) -> bool:
    """Tell whether the upstream streams, whatever it was asked."""
    given = response.headers.get("content-type", "")
    if given == _JSON:
        return False
    return given.startswith(_SSE) or given.partition(";")[0].strip().lower() in _STREAMS


def stream_pipe(plan: Plan, opened: Opened, context: AnswerContext) -> Pipe:
    """Return the way from this upstream's stream to the caller's."""
    if plan.relay is not None:
        return plan.relay.stream_pipe(context)
    return Translation(plan.decoder(opened.outgoing), plan.way.server.stream_encoder(context), plan.filler())


async def drain(response: UpstreamResponse) -> None:
    """Read the formal end of a stream that has said all, so that its connection can serve again."""
    try:
        if response.whole() is not None:
            response.release()
            return
        with TimeLimit(DRAIN_S):
            while await response.read():
                pass
    except (TimeoutError, BrokenStream):
        # The answer is complete either way; only the connection is lost.
        response.abort()
    response.release()


def whole_as_stream(plan: Plan, opened: Opened, body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
    """Return a plain answer as a stream: some upstreams ignore `stream: true`."""
    encoder = plan.way.server.stream_encoder(context)
    facts = Facts()
    out: list[bytes] = []
    for event in plan.filler().filled(plan.events(body, opened.outgoing)):
        if not note(event, facts):
            break
        out.append(encoder.feed(event))
    return b"".join(out), facts


def answer_at_once(plan: Plan, opened: Opened, context: AnswerContext) -> tuple[bytes, Facts] | None:
    """Return what `plain_answer` does, if all of the answer is here already, as most short ones are; else None.

    Raises:
        UpstreamError: as there.
    """
    if is_stream(opened.response):
        return None
    whole = read_at_once(opened.response)
    return None if whole is None else _answer_of(plan, opened, whole, context)


async def plain_answer(plan: Plan, opened: Opened, context: AnswerContext) -> tuple[bytes, Facts]:
    """Return the whole answer in the caller's dialect.

    A translated answer, and one that streams though it was not asked to, is the fold of its events.

    Raises:
        UpstreamError: the answer is an error, broken, or not one at all.
    """
    if not is_stream(opened.response):
        return _answer_of(plan, opened, await read_all(opened.response), context)
    facts, folder = Facts(), Folder()
    await _fold_stream(plan, opened, folder, facts)
    return plan.way.server.encode_message(folder.message(), context), facts


def _answer_of(plan: Plan, opened: Opened, whole: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
    if plan.relay is not None:
        body, facts = plan.relay.message(whole, context)
        if facts.failure is not None:
            raise facts.failure
        return body, facts
    facts, folder = Facts(), Folder()
    _collect(plan.filler().filled(plan.events(whole, opened.outgoing)), folder, facts)
    return plan.way.server.encode_message(folder.message(), context), facts


async def _fold_stream(plan: Plan, opened: Opened, folder: Folder, facts: Facts) -> None:
    decoder, filler = plan.decoder(opened.outgoing), plan.filler()
    response = opened.response
    while not facts.done:
        chunk = await response.read()
        _collect(filler.filled(decoder.feed(chunk) if chunk else decoder.close()), folder, facts)
        if not chunk:
            break
    await drain(response)


def _collect(events: Iterable[Event], folder: Folder, facts: Facts) -> None:
    for event in events:
        note(event, facts)
        if isinstance(event, Failure):
            raise event.error
        folder.feed(event)
