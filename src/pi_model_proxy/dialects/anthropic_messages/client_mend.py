"""The repeats this format needs: what an upstream refuses for reasons that nothing told beforehand.

Strict tools have limits that depend on all their schemas together; a thinking signature may turn
out to be another model's. Both are mended once, before any byte of an answer.

Sources: dialects.md §1.4 (AM strict), §3.1; pi 1.5.2 `dist/api/strict-tool-limits.js`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.client_thinking import tool_loop_lacks_thinking
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.wire import compact_json, edit_object, join_array, raw_array, raw_object

__all__ = ["mend"]

STRICT_LIMITS: Final = (
    "The compiled grammar is too large",
    "Too many strict tools (",
    "Schemas contains too many parameters with union types (",
)
FOREIGN_THINKING: Final = (
    "Invalid `signature` in `thinking` block",
    "Invalid `data` in `redacted_thinking` block",
)
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})


class _Block(msgspec.Struct):
    type: str = ""


class _Message(msgspec.Struct):
    role: str = ""
    content: list[msgspec.Raw] | str = ""


class _Thinking(msgspec.Struct):
    type: str = ""


_block_decoder = msgspec.json.Decoder(_Block)
_message_decoder = msgspec.json.Decoder(_Message)
_thinking_decoder = msgspec.json.Decoder(_Thinking)


def mend(body: bytes, error: UpstreamError) -> bytes | None:
    """Return a body that may be accepted where `body` met `error`, or None; all else keeps its bytes."""
    if error.kind != "bad_request":
        return None
    try:
        if any(text in error.message for text in STRICT_LIMITS):
            return _without_strictness(raw_object(body))
        if any(text in error.message for text in FOREIGN_THINKING):
            return _without_thinking(raw_object(body))
    except (msgspec.DecodeError, ValueError, RecursionError):
        # A caller's own body may be anything; then there is nothing we know to mend.
        return None
    return None


def _without_strictness(members: dict[str, bytes]) -> bytes | None:
    tools = raw_array(members.get("tools", b"[]"))
    if not tools:
        return None
    plain = [edit_object(raw_object(tool), put={}, remove=["strict"]) for tool in tools]
    return edit_object(members, put={"tools": join_array(plain)})


def _without_thinking(members: dict[str, bytes]) -> bytes | None:
    kept: list[bytes] = []
    removed = False
    for raw in raw_array(members.get("messages", b"[]")):
        message = _message_decoder.decode(raw)
        blocks = message.content if isinstance(message.content, list) else []
        left = [bytes(block) for block in blocks if _block_decoder.decode(block).type not in _THOUGHTS]
        if len(left) == len(blocks):
            kept.append(raw)
            continue
        removed = True
        if left:
            kept.append(edit_object(raw_object(raw), put={"content": join_array(left)}))
    if not removed:
        return None
    put = {"messages": join_array(kept)}
    thinking = _thinking_decoder.decode(members.get("thinking", b"{}")).type
    if thinking == "enabled" and tool_loop_lacks_thinking([_decoded(raw) for raw in kept]):
        put["thinking"] = compact_json({"type": "disabled"})
    return edit_object(members, put=put)


def _decoded(raw: bytes) -> dict[str, Any]:
    message = _message_decoder.decode(raw)
    blocks = message.content if isinstance(message.content, list) else []
    return {
        "role": message.role,
        "content": [{"type": _block_decoder.decode(block).type} for block in blocks],
    }
