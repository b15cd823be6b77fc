"""An answer in Anthropic's Messages dialect: one JSON object, or its events (dialects.md §2.1, §4, §5.2)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.answer import Call, Redacted, Refusal, Text, Thinking, pieces
from support.strict_provider.rules_messages_turns import prefix_digest
from support.strict_provider.speech import Speech
from support.strict_provider.sse import frame
from support.strict_provider.vault import digest

__all__ = ["frames", "whole"]

STOP_REASONS: Final = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
    "refusal": "refusal",
    "stop_sequence": "stop_sequence",
    "pause": "pause_turn",
    "context_full": "model_context_window_exceeded",
}
EMPTY: Final[dict[str, dict[str, Any]]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
    "redacted_thinking": {},
}
"""What a block looks like before its first delta."""


def whole(speech: Speech) -> dict[str, Any]:
    """Return the message of a request that did not stream."""
    return {
        **_envelope(speech),
        "content": [block for block, _ in _blocks(speech)],
        **_ending(speech),
        "usage": _usage(speech),
    }


def frames(speech: Speech) -> list[bytes]:
    """Return the events of a streamed message, one frame each."""
    return [frame(event, event=event["type"], escaped=speech.style.escaped) for event in _events(speech)]


def _events(speech: Speech) -> Iterator[dict[str, Any]]:
    start = {**_usage(speech), "output_tokens": 1}
    start.pop("output_tokens_details")
    message = {
        **_envelope(speech),
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "stop_details": None,
    }
    yield {"type": "message_start", "message": {**message, "usage": start}}
    for index, (block, fragments) in enumerate(_blocks(speech)):
        yield {
            "type": "content_block_start",
            "index": index,
            "content_block": {**block, **EMPTY[block["type"]]},
        }
        if index == 0:
            yield {"type": "ping"}
        for delta in _deltas(speech, block, fragments):
            yield {"type": "content_block_delta", "index": index, "delta": delta}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": _ending(speech), "usage": _usage(speech)}
    yield {"type": "message_stop"}


def _blocks(speech: Speech) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each content block, and the text that its deltas cut up."""
    for part in speech.answer.parts:
        match part:
            case Text(text):
                yield {"type": "text", "text": text}, text
            case Thinking(text):
                shown = "" if speech.asked.hidden_thinking else text
                yield {"type": "thinking", "thinking": shown, "signature": _signature(speech, shown)}, shown
            case Redacted():
                yield {"type": "redacted_thinking", "data": _seal(speech, "")}, ""
            case Call(name, arguments, call_id):
                block = {"type": "tool_use", "id": call_id or speech.ids.new("toolu_"), "name": name}
                yield {**block, "input": _object(arguments)}, arguments
            case Refusal():
                continue  # the words go to stop_details


def _object(arguments: str) -> Any:
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return {}


def _deltas(speech: Speech, block: dict[str, Any], fragments: str) -> Iterator[dict[str, Any]]:
    cut = pieces(fragments, speech.style.piece_chars)
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": piece} for piece in cut)
    elif block["type"] == "thinking":
        yield from ({"type": "thinking_delta", "thinking": piece} for piece in cut)
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "tool_use":
        yield from ({"type": "input_json_delta", "partial_json": piece} for piece in cut)


def _signature(speech: Speech, shown: str) -> str:
    return "" if speech.model.messages.empty_signature else _seal(speech, shown)


def _seal(speech: Speech, shown: str) -> str:
    prefix = prefix_digest(speech.asked.body)
    return speech.vault.seal("thinking", model=speech.asked.model, text=digest(shown), prefix=prefix)


def _envelope(speech: Speech) -> dict[str, Any]:
    return {"id": speech.ids.new("msg_"), "type": "message", "role": "assistant", "model": speech.asked.model}


def _ending(speech: Speech) -> dict[str, Any]:
    ending = speech.answer.ending()
    explanation = next((part.text for part in speech.answer.parts if isinstance(part, Refusal)), None)
    refused = STOP_REASONS[ending] == "refusal"
    details = {"type": "refusal", "category": None, "explanation": explanation} if refused else None
    matched = speech.answer.stop_sequence if ending == "stop_sequence" else None
    return {"stop_reason": STOP_REASONS[ending], "stop_sequence": matched, "stop_details": details}


def _usage(speech: Speech) -> dict[str, Any]:
    usage = speech.answer.usage
    return {
        "input_tokens": speech.fresh_tokens(),
        "cache_creation_input_tokens": usage.cache_write_5m + usage.cache_write_1h,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": speech.answer.output_tokens(),
        "output_tokens_details": {"thinking_tokens": speech.answer.reasoning_tokens()},
        "service_tier": "standard",
    }
