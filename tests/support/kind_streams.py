"""Builds requests for, and answers of, the kinds that have a client half only."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pi_model_proxy.dialects.base import ClientHalf, Outgoing
from pi_model_proxy.dialects.names import NO_NAMES, ToolNames
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import (
    Event,
    Failure,
    Message,
    Request,
    Target,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    check_order,
    fold,
)

__all__ = [
    "answered",
    "calling",
    "decode",
    "encoded",
    "event_frame",
    "exception_frame",
    "failure_of",
    "frame",
    "message_of",
    "pieces",
    "request",
    "said",
    "sse",
    "target",
]

Json = dict[str, Any]


def target(client: ClientHalf, **changes: Any) -> Target:
    """Return a target of `client`'s kind."""
    values: Json = {"provider": "acme", "model": "m", "public_model": "acme/m", "kind": client.kind}
    return Target(**{**values, **changes})


def request(*turns: Turn, **changes: Any) -> Request:
    """Return a request of a chat client unless told otherwise; without turns, one that says `hi`."""
    values: Json = {"dialect": "openai_chat", "model": "acme/m", "turns": turns or (said("hi"),)}
    return Request(**{**values, **changes})


def said(*blocks: Any, role: Any = "user") -> Turn:
    """Return a turn of these blocks; strings are text."""
    return Turn(
        role=role, blocks=tuple(TextBlock(text=each) if isinstance(each, str) else each for each in blocks)
    )


def calling(*ids: str, name: str = "weather", arguments: str = "{}") -> Turn:
    """Return an assistant's turn that calls."""
    return said(*(ToolCallBlock(id=each, name=name, arguments=arguments) for each in ids), role="assistant")


def answered(call_id: str, *content: Any, **changes: Any) -> Turn:
    """Return a tool's turn; strings are text."""
    parts = tuple(TextBlock(text=each) if isinstance(each, str) else each for each in content)
    return Turn(role="tool", blocks=(ToolResultBlock(call_id=call_id, content=parts, **changes),))


def encoded(client: ClientHalf, asked: Request, goes_to: Target | None = None) -> tuple[Json, Outgoing]:
    """Return the body that goes upstream, and all that goes with it."""
    outgoing = client.encode_request(asked, goes_to or target(client))
    body: Json = json.loads(outgoing.body)
    return body, outgoing


# Answers.


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Cut bytes into pieces of one size."""
    return (data[start : start + size] for start in range(0, len(data), size))


def decode(
    client: ClientHalf,
    data: bytes,
    *,
    goes_to: Target | None = None,
    names: ToolNames = NO_NAMES,
    size: int = 1 << 20,
) -> list[Event]:
    """Return the events of a stream that arrives in pieces of `size` bytes; their order is the hub's."""
    decoder = client.stream_decoder(goes_to or target(client), names)
    events = [event for piece in pieces(data, size) for event in decoder.feed(piece)]
    events += decoder.close()
    assert check_order(events) is None, check_order(events)
    assert decoder.done
    return events


def message_of(client: ClientHalf, data: bytes, **how: Any) -> Message:
    """Return the whole answer that a stream makes."""
    return fold(decode(client, data, **how))


def failure_of(events: Iterable[Event]) -> UpstreamError:
    """Return why an answer broke off."""
    last = list(events)[-1]
    assert isinstance(last, Failure), last
    return last.error


def sse(*events: Any, done: bool = False) -> bytes:
    """Return the bytes of a stream of server-sent events."""
    frames = "".join(f"data: {json.dumps(event)}\n\n" for event in events)
    return (frames + ("data: [DONE]\n\n" if done else "")).encode()


def frame(headers: Mapping[str, str], payload: bytes = b"") -> bytes:
    """Return one message of Amazon's event-stream encoding."""
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    written = b"".join(
        struct.pack(">B", len(name)) + name + struct.pack(">BH", 7, len(value)) + value
        for name, value in pairs
    )
    prelude = struct.pack(">II", 16 + len(written) + len(payload), len(written))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + written + payload
    return body + struct.pack(">I", zlib.crc32(body))


def event_frame(type_: str, **payload: Any) -> bytes:
    """Return one event of Bedrock's."""
    headers = {":event-type": type_, ":content-type": "application/json", ":message-type": "event"}
    return frame(headers, json.dumps(payload).encode())


def exception_frame(type_: str, **payload: Any) -> bytes:
    """Return one exception of Bedrock's."""
    headers = {":exception-type": type_, ":content-type": "application/json", ":message-type": "exception"}
    return frame(headers, json.dumps(payload).encode())
