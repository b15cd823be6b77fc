"""Chat completions for tests: chunks, targets, and one call for each way through the codec."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pi_model_proxy.dialects.base import AnswerContext, Pipe
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_chat import CLIENT, RELAY, SERVER
from pi_model_proxy.hub import Event, Failure, Message, Request, Target, TextBlock, Turn, check_order, fold

Json = dict[str, Any]

DONE = b"data: [DONE]\n\n"


def target(**changes: Any) -> Target:
    """Return a model of an ordinary provider."""
    given: Json = {
        "provider": "acme",
        "model": "acme-1",
        "public_model": "acme/acme-1",
        "kind": "openai-completions",
        **changes,
    }
    return Target(**given)


def context(**changes: Any) -> AnswerContext:
    """Return what an answer must carry."""
    given: Json = {
        "model": "acme/acme-1",
        "answer_id": "abc123",
        "created": 1_700_000_000,
        "wants_usage": False,
        "target": target(),
        **changes,
    }
    return AnswerContext(**given)


def request(*turns: Turn, **changes: Any) -> Request:
    """Return a hub request, as another dialect's server half would have read it."""
    given: Json = {
        "dialect": "anthropic_messages",
        "model": "acme/acme-1",
        "turns": turns or (Turn(role="user", blocks=(TextBlock(text="hi"),)),),
        **changes,
    }
    return Request(**given)


def body(outgoing_body: bytes) -> Json:
    """Return an outgoing body decoded."""
    decoded: Json = json.loads(outgoing_body)
    return decoded


def encoded(hub: Request, where: Target | None = None) -> Json:
    """Return the body the client half sends."""
    return body(CLIENT.encode_request(hub, where or target()).body)


def chunk(delta: Json | None = None, finish: str | None = None, **top: Any) -> Json:
    """Return one chunk; without a delta it has no choices."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-up",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "acme-1",
        "choices": choices,
        **top,
    }


def call(index: int | None, **fragment: Any) -> Json:
    """Return a chunk with one fragment of a tool call; `name`, `arguments` go into its function."""
    function = {name: fragment.pop(name) for name in ("name", "arguments") if name in fragment}
    place = {} if index is None else {"index": index}
    made = {"function": function} if function else {}
    return chunk({"tool_calls": [{**place, **fragment, **made}]})


def sse(chunks: Iterable[Any], *, done: bool = True) -> bytes:
    """Return chunks (or raw JSON bytes) as a stream."""
    frames = b"".join(
        b"data: " + (each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n\n"
        for each in chunks
    )
    return frames + (DONE if done else b"")


def decode(stream: bytes, *, where: Target | None = None, names: ToolNames | None = None) -> list[Event]:
    """Return the events of a whole stream, whose order is lawful."""
    decoder = CLIENT.stream_decoder(where or target(), names or ToolNames())
    events = [*decoder.feed(stream), *decoder.close()]
    assert check_order(events) is None, events
    return events


def message(*chunks: Any, **options: Any) -> Message:
    """Return the whole answer that a stream of `chunks` spells."""
    return fold(decode(sse(chunks), **options))


def failure(stream: bytes, **options: Any) -> Failure:
    """Return the failure a stream ends in."""
    last = decode(stream, **options)[-1]
    assert isinstance(last, Failure), last
    return last


def frames(stream: bytes) -> list[Any]:
    """Return the data of a stream's frames, decoded; `[DONE]` as it is, comments left out."""
    found: list[Any] = []
    for frame in stream.split(b"\n\n"):
        if frame.startswith(b"data: "):
            data = frame.removeprefix(b"data: ")
            assert b"\n" not in data
            found.append(data.decode() if data == b"[DONE]" else json.loads(data))
    return found


def written(events: Iterable[Event], **changes: Any) -> list[Any]:
    """Return the frames the server half writes for `events`."""
    encoder = SERVER.stream_encoder(context(**changes))
    return frames(b"".join(encoder.feed(event) for event in events))


def relayed(stream: bytes, **changes: Any) -> tuple[bytes, Pipe]:
    """Return what a relay makes of a whole stream, and its pipe."""
    pipe = RELAY.stream_pipe(context(**changes))
    return pipe.feed(stream) + pipe.close(), pipe
