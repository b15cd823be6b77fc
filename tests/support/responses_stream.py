"""Builds what a Responses upstream says and reads what our decoder makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pi_model_proxy.dialects.names import NO_NAMES, ToolNames
from pi_model_proxy.dialects.openai_responses import CLIENT
from pi_model_proxy.hub import Event, Failure, Message, Request, Target, check_order, fold

__all__ = ["CREATED", "decode", "encoded", "failure_of", "message_of", "request", "sse", "target"]

CREATED: dict[str, Any] = {
    "type": "response.created",
    "response": {
        "id": "resp_1",
        "object": "response",
        "status": "in_progress",
        "model": "gpt-x",
        "output": [],
    },
}


def target(**changes: Any) -> Target:
    """Return a target that thinks, at OpenAI, with what its catalogue says of such models."""
    values: dict[str, Any] = {
        "provider": "openai",
        "model": "gpt-x",
        "public_model": "openai/gpt-x",
        "kind": "openai-responses",
        "reasoning": True,
        "thinking_levels": {"off": "none", "minimal": None, "xhigh": "xhigh"},
        "hosted_by_vendor": True,
        "max_output": 100_000,
        "compat": {"supportsStrictMode": True, "supportsOpenAIGrammarTools": True},
    }
    return Target(**{**values, **changes})


def request(**changes: Any) -> Request:
    """Return a request of an Anthropic client unless told otherwise."""
    return Request(**{"dialect": "anthropic_messages", "model": "openai/gpt-x", **changes})


def encoded(asked: Request, goes_to: Target | None = None) -> dict[str, Any]:
    """Return the body that goes upstream."""
    body: dict[str, Any] = json.loads(CLIENT.encode_request(asked, goes_to or target()).body)
    return body


def sse(events: Iterable[dict[str, Any]]) -> bytes:
    """Return the bytes of a stream, numbered as OpenAI numbers it."""
    frames = (
        f"event: {event['type']}\ndata: {json.dumps({**event, 'sequence_number': number})}\n\n"
        for number, event in enumerate(events)
    )
    return "".join(frames).encode()


def decode(data: bytes, names: ToolNames = NO_NAMES, *, pieces: int = 0) -> list[Event]:
    """Return the events of a whole stream, fed in chunks of `pieces` bytes (0: at once), in legal order."""
    decoder = CLIENT.stream_decoder(target(), names)
    step = pieces or max(1, len(data))
    events: list[Event] = []
    for start in range(0, len(data), step):
        events += decoder.feed(data[start : start + step])
    events += decoder.close()
    assert check_order(events) is None, check_order(events)
    assert decoder.done
    return events


def message_of(events: Iterable[dict[str, Any]], names: ToolNames = NO_NAMES) -> Message:
    """Return the answer that a stream of these payloads spells."""
    return fold(decode(sse(events), names))


def failure_of(events: list[Event]) -> Failure:
    """Return the failure that `events` end in."""
    last = events[-1]
    assert isinstance(last, Failure), last
    return last
