"""A plain answer on its way to a caller of the same format: its JSON stays but for the model's name."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.openai_chat.answer_in import failure_in, read_finish, stream_error
from pi_model_proxy.dialects.openai_chat.chunk_repair import CALLED
from pi_model_proxy.dialects.openai_chat.chunks import EMPTY, Chunk, read_chunk, unreadable
from pi_model_proxy.dialects.openai_chat.quirks import Quirks, quirks_of
from pi_model_proxy.dialects.openai_chat.usage import NO_COUNTS, Counts, read_usage, usage_json, usage_of
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Finish
from pi_model_proxy.wire import (
    Frame,
    ascii_json,
    compact_json,
    edit_object,
    members_of,
    object_of,
    raw_object,
)

__all__ = ["relay_message"]

_CALLS: Final = b'"tool_calls"'
_NOTHING: Final = frozenset({b"", b"null"})


class _Choice(msgspec.Struct):
    finish_reason: str | None = None
    usage: msgspec.Raw = EMPTY


class _Answer(msgspec.Struct):
    """What is looked at of an answer that stays as it is."""

    choices: list[_Choice]
    usage: Counts | None = None
    model: str | None = None
    id: str | None = None
    error: msgspec.Raw = EMPTY


_answer: Final = msgspec.json.Decoder(_Answer).decode


def relay_message(body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
    """Return a plain answer under the caller's model name, and what it says."""
    return _kept_message(body, context) or _edited_message(body, context)


def _kept_message(body: bytes, context: AnswerContext) -> tuple[bytes, Facts] | None:
    """Return the answer with nothing but the model's name changed; None when more must be, or it is none."""
    try:
        if not body.isascii():
            body.decode()  # what is no UTF-8 is no answer
        answer = _answer(body)
        members = members_of(body)  # which refuses halves of characters: those are mended on the long way
    except (ValueError, RecursionError):
        return None
    counts = answer.usage
    if answer.error != EMPTY or (counts is not None and counts == NO_COUNTS):
        return None
    native = None
    for choice in answer.choices:
        native = native or choice.finish_reason
        if counts is None and choice.usage != EMPTY:
            return None
    finish = _finish(native) if native else None
    if finish is None or (finish.reason == "stop" and _CALLS in body):
        return None
    members["model"] = msgspec.Raw(ascii_json(context.model))
    facts = Facts(
        began=True,
        done=True,
        finish=finish,
        usage=None if counts is None else usage_of(counts),
        upstream_model=answer.model or "",
        upstream_id=answer.id or "",
    )
    return object_of(members), facts


def _finish(native: str) -> Finish | None:
    try:
        return Finish(reason=read_finish(native), native=native)
    except UpstreamError:
        return None  # the long way tells the caller


def _edited_message(body: bytes, context: AnswerContext) -> tuple[bytes, Facts]:
    facts = Facts()
    try:
        chunk = read_chunk(body)
        if chunk is None:
            raise BrokenStream("The provider answered 200 with JSON that is no chat completion.")
        error = stream_error(Frame("", body), chunk.error) or failure_in(chunk)
        if error is not None:
            raise error
        _learn_plain(chunk, facts, quirks_of(context.target.compat))
        put = {"model": ascii_json(context.model)}
        if facts.usage is not None and bytes(chunk.usage) in _NOTHING:
            put["usage"] = ascii_json(usage_json(facts.usage))
        whole = raw_object(mend_body(body))
        if facts.finish is not None and facts.finish.reason == "stop" and _CALLS in body:
            put |= _ended_with_calls(whole["choices"])
        renamed = edit_object(whole, put=put)
    except UpstreamError as error:
        facts.failure = error
        return b"", facts
    except (RecursionError, ValueError):  # nested too deeply, or no UTF-8
        facts.failure = unreadable()
        return b"", facts
    facts.began = facts.done = True
    return renamed, facts


def _ended_with_calls(raw: bytes) -> dict[str, bytes]:
    """Return the choices that say `stop` and hold calls all the same with the word that makes agents run them."""
    choices: list[Any] = msgspec.json.decode(raw)
    mended = False
    for choice in choices:
        said = choice.get("message")
        if isinstance(said, dict) and said.get("tool_calls") and choice.get("finish_reason") == "stop":
            choice["finish_reason"] = CALLED
            mended = True
    return {"choices": compact_json(choices)} if mended else {}


def _learn_plain(chunk: Chunk, facts: Facts, quirks: Quirks) -> None:
    facts.upstream_id, facts.upstream_model = chunk.id or "", chunk.model or ""
    counts = [chunk.usage, *(choice.usage for choice in chunk.choices or ())]
    facts.usage = next((read_usage(raw) for raw in counts if bytes(raw) not in _NOTHING), None)
    native = next((choice.finish_reason for choice in chunk.choices or () if choice.finish_reason), None)
    if native is None and quirks.supports_finish_reason:
        raise BrokenStream("The provider's answer has no finish_reason: it is not complete; try again.")
    facts.finish = Finish(reason=read_finish(native or "stop"), native=native)
