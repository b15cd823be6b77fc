"""Small pieces for tests of the Gemini format: targets, events of an upstream, answers as callers read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from pi_model_proxy.dialects.base import AnswerContext, Outgoing, StreamEncoder
from pi_model_proxy.dialects.google_gemini import CLIENT
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.hub import Event, Message, Request, Target, Turn, fold, unfold

__all__ = [
    "LEVELS",
    "answered",
    "body_of",
    "context",
    "event",
    "events_of",
    "frames",
    "message_of",
    "objects_of",
    "request",
    "target",
]

Json = dict[str, Any]

LEVELS = {
    "off": None,
    "minimal": None,
    "low": "low",
    "medium": "medium",
    "high": "high",
    "xhigh": None,
    "max": None,
}
"""The level map of Gemini 3 Pro."""


def target(model: str = "gemini-3-flash-preview", **changes: Any) -> Target:
    """A reasoning model at Google's own API."""
    fields: Json = {
        "provider": "google",
        "model": model,
        "public_model": f"google/{model}",
        "kind": "google-generative-ai",
        "reasoning": True,
        "max_output": 65_536,
    }
    return Target(**{**fields, **changes})


def context(of: Target | None = None, **changes: Any) -> AnswerContext:
    """What an answer must carry."""
    fields: Json = {
        "model": "acme/m",
        "answer_id": "a1",
        "created": 1_760_000_000,
        "target": of or target(),
    }
    return AnswerContext(**{**fields, **changes})


def request(*turns: Turn, **fields: Any) -> Request:
    """A hub request from a chat caller."""
    return Request(dialect="openai_chat", model="m", turns=turns, **fields)


def body_of(outgoing: Outgoing) -> Any:
    """The body as the upstream reads it."""
    return json.loads(outgoing.body)


# An upstream's answer.


def event(*parts: Json, **fields: Any) -> Json:
    """One event: parts, and members of the candidate (`finishReason`) or of the event (`usageMetadata`)."""
    of_event = {"usageMetadata", "promptFeedback", "modelVersion", "responseId"}
    candidate: Json = {"content": {"parts": list(parts), "role": "model"}, "index": 0}
    candidate |= {name: value for name, value in fields.items() if name not in of_event}
    return {"candidates": [candidate], **{name: value for name, value in fields.items() if name in of_event}}


def frames(*events: Json, end: str = "\r\n\r\n") -> bytes:
    """Events as Google frames them."""
    return "".join(f"data: {json.dumps(each)}{end}" for each in events).encode()


def events_of(*events: Json, names: ToolNames | None = None) -> list[Event]:
    """What a stream of these events means."""
    decoder = CLIENT.stream_decoder(target(), names or ToolNames())
    return [*decoder.feed(frames(*events)), *decoder.close()]


def message_of(*events: Json) -> Message:
    """The whole answer that these events spell."""
    return fold(events_of(*events))


# An answer of ours.


def objects_of(stream: bytes) -> list[Any]:
    """The events of a stream of ours."""
    assert all(frame.startswith(b"data: ") for frame in stream.split(b"\n\n") if frame)
    return [json.loads(frame[6:]) for frame in stream.split(b"\n\n") if frame]


def answered(encoder: StreamEncoder, message: Message | Sequence[Event]) -> bytes:
    """A whole answer as a stream."""
    events: Iterable[Event] = unfold(message) if isinstance(message, Message) else message
    return b"".join(encoder.feed(each) for each in events)
