"""Asks and hears as a Responses caller does, of the server half and the relay alone."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.openai_responses import RELAY, SERVER
from pi_model_proxy.hub import Event, Message, Request, Target
from support.responses_grammar import check_response, check_stream

__all__ = [
    "answer", "answered", "asked", "asking", "context", "final", "relayed", "relayed_body", "target", "told", "types",
]  # fmt: skip

Json = dict[str, Any]


def target(**changes: Any) -> Target:
    """Return a model somewhere that speaks whatever it speaks."""
    values: Json = {
        "provider": "acme",
        "model": "m-1",
        "public_model": "acme/m",
        "kind": "openai-completions",
    }
    return Target(**{**values, **changes})


def context(body: Json | None = None, **changes: Any) -> AnswerContext:
    """Return what an answer to `body` must carry."""
    values: Json = {
        "model": "acme/m",
        "answer_id": "0123456789abcdef01234567",
        "created": 1_760_000_000,
        "target": target(),
        "body": b"" if body is None else json.dumps(body).encode(),
    }
    return AnswerContext(**{**values, **changes})


def asking(**fields: Any) -> bytes:
    """Return the bytes of a request."""
    return json.dumps({"model": "acme/m", "input": "hi", **fields}).encode()


def asked(**fields: Any) -> Request:
    """Return what a request means."""
    return SERVER.decode_request(asking(**fields))


def told(events: Iterable[Event], where: AnswerContext | None = None) -> list[Json]:
    """Return the events of the stream that `events` become, after checking its grammar."""
    encoder = SERVER.stream_encoder(where or context())
    return check_stream(b"".join(encoder.feed(event) for event in events))


def final(events: Iterable[Event], where: AnswerContext | None = None) -> Json:
    """Return the whole response in the stream's last event."""
    response: Json = told(events, where)[-1]["response"]
    return response


def answer(message: Message, where: AnswerContext | None = None) -> Json:
    """Return a plain answer, after checking its form."""
    body: Json = json.loads(SERVER.encode_message(message, where or context()))
    check_response(body)
    return body


def answered(payloads: Iterable[Json]) -> list[str]:
    """Return the types of a stream's events, deltas once."""
    names: list[str] = []
    for payload in payloads:
        name = str(payload["type"])
        if not (names and names[-1] == name and name.endswith(".delta")):
            names.append(name)
    return names


def types(payloads: Iterable[Json]) -> list[str]:
    """Return the types of a stream's events."""
    return [str(payload["type"]) for payload in payloads]


def relayed(data: bytes, where: AnswerContext | None = None, *, pieces: int = 0) -> tuple[bytes, Facts]:
    """Return what becomes of an upstream's stream, fed in chunks of `pieces` bytes (0: at once), and its facts."""
    pipe = RELAY.stream_pipe(where or context())
    step = pieces or max(1, len(data))
    out = b"".join(pipe.feed(data[start : start + step]) for start in range(0, len(data), step))
    return out + pipe.close(), pipe.facts


def relayed_body(goes_to: Target | None = None, **fields: Any) -> tuple[Json, tuple[str, ...]]:
    """Return the body that a relay sends on, and what it lists as dropped."""
    outgoing = RELAY.encode_request(asking(**fields), goes_to or target(kind="openai-responses"), {})
    return json.loads(outgoing.body), outgoing.dropped
