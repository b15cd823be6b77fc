"""An answer in OpenAI's Chat Completions dialect: one JSON object, or its chunks (dialects.md §2.2, §4, §5.2)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby, zip_longest
from typing import Any, Final

from support.strict_provider.answer import Call, Part, Refusal, Text, Thinking, pieces
from support.strict_provider.speech import Speech
from support.strict_provider.sse import DONE, frame
from support.strict_provider.traits import UsagePlace
from support.strict_provider.vault import digest

__all__ = ["frames", "whole"]

FINISH_REASONS: Final = {
    "stop": "stop",
    "tool_calls": "tool_calls",
    "length": "length",
    "content_filter": "content_filter",
    "refusal": "stop",
    "stop_sequence": "stop",
    "pause": "stop",
    "context_full": "length",
}

Delta = dict[str, Any]


def whole(speech: Speech) -> dict[str, Any]:
    """Return the completion of a request that did not stream."""
    choices = [
        {"index": index, "message": _message(speech), "logprobs": None, "finish_reason": _finish(speech)}
        for index in range(_choices(speech))
    ]
    if _usage_place(speech) == "choice":
        choices[0]["usage"] = _usage(speech)
    body = {**_envelope(speech, "chat.completion"), "choices": choices}
    return body if _usage_place(speech) in {"none", "choice"} else {**body, "usage": _usage(speech)}


def frames(speech: Speech) -> list[bytes]:
    """Return the chunks of a streamed completion and `[DONE]`, one frame each."""
    return [*(frame(chunk, escaped=speech.style.escaped) for chunk in _chunks(speech)), DONE]


def _chunks(speech: Speech) -> Iterator[dict[str, Any]]:
    envelope = _envelope(speech, "chat.completion.chunk")
    place = _usage_place(speech)
    last = place == "always" or (place == "asked" and _asks_for_usage(speech))
    if last:
        envelope["usage"] = None
    for index in range(_choices(speech)):
        for delta in _deltas(speech):
            choice = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
            yield {**envelope, "choices": [choice]}
        choice = {"index": index, "delta": {}, "logprobs": None, "finish_reason": _finish(speech)}
        if place == "choice":
            choice["usage"] = _usage(speech)
        on_finish = {"usage": _usage(speech)} if place == "finish_chunk" else {}
        yield {**envelope, "choices": [choice], **on_finish}
    if last:
        yield {**envelope, "choices": [], "usage": _usage(speech)}


def _deltas(speech: Speech) -> Iterator[Delta]:
    """Yield the deltas of one choice, the role first."""
    yield {"role": "assistant", "content": None if speech.answer.calls() else "", "refusal": None}
    number = 0
    for is_call, group in groupby(speech.answer.parts, lambda part: isinstance(part, Call)):
        if not is_call:
            for part in group:
                yield from _spoken(speech, part)
            continue
        calls = [
            list(_fragments(speech, part, index))
            for index, part in enumerate(group, number)
            if isinstance(part, Call)
        ]
        number += len(calls)
        if speech.style.interleave_calls:
            yield from (delta for round_ in zip_longest(*calls) for delta in round_ if delta is not None)
        else:
            yield from (delta for call in calls for delta in call)


def _spoken(speech: Speech, part: Part) -> Iterator[Delta]:
    size = speech.style.piece_chars
    match part:
        case Text(text):
            yield from ({"content": piece} for piece in pieces(text, size))
        case Refusal(text):
            yield from ({"refusal": piece} for piece in pieces(text, size))
        case Thinking(text):
            for piece in pieces(text, size):
                shown = _reasoning(speech, piece)
                if shown:
                    yield shown
            sealed = _sealed(speech, text)
            if sealed:
                yield sealed
        case _:
            return


def _fragments(speech: Speech, call: Call, index: int) -> Iterator[Delta]:
    """Yield a call's fragments: id, type and name first, arguments after."""
    kind, field = ("custom", "input") if _is_custom(speech, call) else ("function", "arguments")
    call_id = call.id or speech.ids.new("call_")
    yield {
        "tool_calls": [{"index": index, "id": call_id, "type": kind, kind: {"name": call.name, field: ""}}]
    }
    for piece in pieces(call.arguments, speech.style.piece_chars):
        yield {"tool_calls": [{"index": index, kind: {field: piece}}]}


def _is_custom(speech: Speech, call: Call) -> bool:
    return any(tool.custom and tool.name == call.name for tool in speech.asked.tools)


def _fields(speech: Speech) -> tuple[str, ...]:
    given = speech.style.reasoning_fields
    return speech.model.chat.reasoning_fields if given is None else given


def _reasoning(speech: Speech, text: str) -> Delta:
    """Return the fields in which this server shows a piece of its thinking."""
    shown: Delta = {name: text for name in _fields(speech) if name != "reasoning_details"}
    if "reasoning_details" in _fields(speech):
        shown["reasoning_details"] = [
            {"type": "reasoning.text", "text": text, "format": "unknown", "index": 0}
        ]
    return shown


def _sealed(speech: Speech, text: str) -> Delta:
    """Return the opaque token that follows the thinking, where a server has one."""
    token = speech.vault.seal("details", text=digest(text), model=speech.asked.model)
    if "reasoning_details" in _fields(speech):
        detail = {
            "type": "reasoning.encrypted",
            "data": token,
            "id": speech.ids.new("rs_"),
            "format": "unknown",
            "index": 1,
        }
        return {"reasoning_details": [detail]}
    return {"reasoning_opaque": token} if "reasoning_text" in _fields(speech) else {}


def _message(speech: Speech) -> dict[str, Any]:
    answer = speech.answer
    text = "".join(part.text for part in answer.parts if isinstance(part, Text))
    refusal = "".join(part.text for part in answer.parts if isinstance(part, Refusal))
    thought = "".join(part.text for part in answer.parts if isinstance(part, Thinking))
    silent = (answer.calls() or refusal) and not text
    message: dict[str, Any] = {
        "role": "assistant",
        "content": None if silent else text,
        "refusal": refusal or None,
        "annotations": [],
    }
    if thought:
        shown, sealed = _reasoning(speech, thought), _sealed(speech, thought)
        details = shown.get("reasoning_details", []) + sealed.get("reasoning_details", [])
        message |= {**shown, **sealed, **({"reasoning_details": details} if details else {})}
    if answer.calls():
        message["tool_calls"] = [_call(speech, call) for call in answer.calls()]
    return message


def _call(speech: Speech, call: Call) -> dict[str, Any]:
    kind, field = ("custom", "input") if _is_custom(speech, call) else ("function", "arguments")
    arguments = call.arguments or ("" if kind == "custom" else "{}")
    return {
        "id": call.id or speech.ids.new("call_"),
        "type": kind,
        kind: {"name": call.name, field: arguments},
    }


def _envelope(speech: Speech, kind: str) -> dict[str, Any]:
    return {
        "id": speech.ids.new("chatcmpl-"),
        "object": kind,
        "created": speech.created,
        "model": speech.asked.model,
        "service_tier": "default",
        "system_fingerprint": "fp_strict",
    }


def _choices(speech: Speech) -> int:
    return int(speech.asked.body.get("n") or 1)


def _finish(speech: Speech) -> str:
    return FINISH_REASONS[speech.answer.ending()]


def _usage_place(speech: Speech) -> UsagePlace:
    return speech.style.usage_place or speech.model.chat.usage_place


def _asks_for_usage(speech: Speech) -> bool:
    return bool((speech.asked.body.get("stream_options") or {}).get("include_usage"))


def _usage(speech: Speech) -> dict[str, Any]:
    usage, prompt, completion = speech.answer.usage, speech.input_tokens(), speech.answer.output_tokens()
    written = usage.cache_write_5m + usage.cache_write_1h
    cached: dict[str, int] = {"cached_tokens": usage.cache_read, "audio_tokens": 0}
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {**cached, "cache_write_tokens": written} if written else cached,
        "completion_tokens_details": {
            "reasoning_tokens": speech.answer.reasoning_tokens(),
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
