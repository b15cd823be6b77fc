"""Builds what callers and upstreams say in the Messages format, and reads what our codec makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pi_model_proxy.dialects.anthropic_messages import CLIENT, RELAY, SERVER
from pi_model_proxy.dialects.base import AnswerContext, Outgoing
from pi_model_proxy.dialects.names import NO_NAMES, ToolNames
from pi_model_proxy.hub import Event, Failure, Message, Request, Target, TextBlock, Turn, check_order, fold
from support.strict_provider.rulebook import Case
from support.strict_provider.rules_messages import MESSAGES_RULES
from support.strict_provider.traits import MessagesTraits
from support.strict_provider.vault import Vault

__all__ = [
    "ADAPTIVE",
    "BUDGET",
    "IDENTITY_TEXT",
    "START",
    "Context",
    "answer_context",
    "ask",
    "decoded",
    "failure_of",
    "frames",
    "message_of",
    "parsed",
    "plain_answer",
    "refusal",
    "relayed",
    "sent",
    "sse",
    "stop",
    "target",
    "text_block",
    "user",
]

IDENTITY_TEXT = "You are Claude Code, Anthropic's official CLI for Claude."
ADAPTIVE: dict[str, Any] = {
    "model": "claude-opus-4-8",
    "compat": {
        "forceAdaptiveThinking": True,
        "supportsTemperature": False,
        "supportsMidConvoSystemMessages": True,
    },
    "thinking_levels": {"off": None, "xhigh": "xhigh", "max": "max"},
}
BUDGET: dict[str, Any] = {"model": "claude-sonnet-4-5", "compat": {}, "thinking_levels": {}}
START: dict[str, Any] = {
    "type": "message_start",
    "message": {
        "id": "msg_01",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 10,
            "cache_creation_input_tokens": 50,
            "cache_read_input_tokens": 100,
            "output_tokens": 1,
        },
    },
}


def target(**changes: Any) -> Target:
    """Return a thinking budget model at Anthropic unless told otherwise."""
    values: dict[str, Any] = {
        "provider": "anthropic",
        "public_model": "anthropic/claude",
        "kind": "anthropic-messages",
        "reasoning": True,
        "hosted_by_vendor": True,
        "max_output": 64_000,
        "context_tokens": 200_000,
        **BUDGET,
    }
    return Target(**{**values, **changes})


def user(text: str = "hi", **more: Any) -> Turn:
    """Return a user turn."""
    return Turn(role="user", blocks=(TextBlock(text=text, at="messages[0].content"),), **more)


def ask(**changes: Any) -> Request:
    """Return a request of a chat client unless told otherwise."""
    return Request(**{"dialect": "openai_chat", "model": "anthropic/claude", "turns": (user(),), **changes})


def sent(request: Request, goes_to: Target | None = None) -> tuple[dict[str, Any], Outgoing]:
    """Return the body that goes upstream, and all that goes with it."""
    outgoing = CLIENT.encode_request(request, goes_to or target())
    body: dict[str, Any] = json.loads(outgoing.body)
    return body, outgoing


def relayed(
    body: Mapping[str, Any] | bytes, goes_to: Target | None = None, **headers: str
) -> tuple[dict[str, Any], Outgoing]:
    """Return what becomes of a caller's own body on its way to the same format."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    outgoing = RELAY.encode_request(
        raw, goes_to or target(), {k.replace("_", "-"): v for k, v in headers.items()}
    )
    written: dict[str, Any] = json.loads(outgoing.body)
    return written, outgoing


def refusal(outgoing: Outgoing, **traits: Any) -> str | None:
    """Return why the strict provider would refuse a request; None when it is in order."""
    known = MessagesTraits(**traits)
    case = Case(body=json.loads(outgoing.body), traits=known, vault=Vault(), headers=dict(outgoing.headers))
    verdict = MESSAGES_RULES.judge(case)
    return None if verdict is None else f"{verdict.rule}: {verdict.objection.words}"


def sse(*events: Mapping[str, Any]) -> bytes:
    """Return a stream of events, named as Anthropic names them."""
    return b"".join(
        f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        for event in events
    )


def text_block(index: int, *texts: str) -> list[dict[str, Any]]:
    """Return the events of a text block."""
    deltas = [
        {"type": "content_block_delta", "index": index, "delta": {"type": "text_delta", "text": text}}
        for text in texts
    ]
    started = {"type": "content_block_start", "index": index, "content_block": {"type": "text", "text": ""}}
    return [started, *deltas, {"type": "content_block_stop", "index": index}]


def stop(reason: str = "end_turn", output: int = 5, **delta: Any) -> list[dict[str, Any]]:
    """Return the two events that end an answer."""
    return [
        {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None, **delta},
            "usage": {"output_tokens": output},
        },
        {"type": "message_stop"},
    ]


def decoded(stream: bytes, names: ToolNames = NO_NAMES) -> list[Event]:
    """Return the events of a whole stream, whose order must be lawful."""
    decoder = CLIENT.stream_decoder(target(), names)
    events = decoder.feed(stream) + decoder.close()
    assert check_order(events) is None, check_order(events)
    return events


def message_of(stream: bytes, names: ToolNames = NO_NAMES) -> Message:
    """Return the answer a stream spells."""
    return fold(decoded(stream, names))


def failure_of(events: Iterable[Event]) -> Failure:
    """Return the failure that ends `events`."""
    last = list(events)[-1]
    assert isinstance(last, Failure)
    return last


class Context(AnswerContext, frozen=True, kw_only=True):
    """A context that says whether thinking is shown."""

    shows_reasoning: bool = True


def answer_context(**changes: Any) -> Context:
    """Return what every answer carries."""
    values: dict[str, Any] = {"model": "acme/model", "answer_id": "abc123", "created": 0, "target": target()}
    return Context(**{**values, **changes})


def frames(events: Iterable[Event], context: AnswerContext | None = None) -> list[dict[str, Any]]:
    """Return the frames our server half writes for `events`."""
    encoder = SERVER.stream_encoder(context or answer_context())
    return parsed(b"".join(encoder.feed(event) for event in events))


def parsed(stream: bytes) -> list[dict[str, Any]]:
    """Return the data of each frame, whose name must equal its type."""
    found: list[dict[str, Any]] = []
    for frame in stream.decode().split("\n\n")[:-1]:
        name, data = frame.split("\n")
        found.append(json.loads(data.removeprefix("data: ")))
        assert name == f"event: {found[-1]['type']}"
    return found


def plain_answer(message: Message, context: AnswerContext | None = None) -> dict[str, Any]:
    """Return the body our server half writes for a whole answer."""
    body: dict[str, Any] = json.loads(SERVER.encode_message(message, context or answer_context()))
    return body
