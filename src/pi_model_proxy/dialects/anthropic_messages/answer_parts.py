"""The parts of an answer that the stream and the whole message have in common."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT
from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.names import legal_id
from pi_model_proxy.hub import Citation, RawBlock, ToolCallBlock

__all__ = [
    "MAX_HIDDEN_CHARS",
    "are_arguments_whole",
    "citation_object",
    "hides_reasoning",
    "input_object",
    "message_id",
    "raw_object_of",
    "tool_use_object",
]

MAX_HIDDEN_CHARS: Final = 1024 * 1024
"""Thinking that nobody asked for is kept up to here, in case the answer turns out to hold nothing else."""

_object_decoder = msgspec.json.Decoder(dict[str, Any])
_raw_decoder = msgspec.json.Decoder(msgspec.Raw)


def hides_reasoning(context: AnswerContext) -> bool:
    """Tell whether thinking stays out of the answer: the caller asked for none, in its body or by the model's name."""
    # The field is read softly until `AnswerContext` has it; shown is the default.
    return not context.shows_reasoning and context.target.level in {None, "off"}


def message_id(upstream_id: str, context: AnswerContext) -> str:
    """Return an id as SDKs expect it: the upstream's own when it is one."""
    return upstream_id if upstream_id.startswith("msg_") else f"msg_{context.answer_id}"


def tool_use_object(block: ToolCallBlock, context: AnswerContext, position: int) -> dict[str, Any]:
    """Return a `tool_use` block without its input."""
    call_id = legal_id(block.id) if block.id else f"toolu_{context.answer_id}_{position}"
    return {"type": "tool_use", "id": call_id, "name": block.name}


def are_arguments_whole(arguments: str) -> bool:
    """Tell whether a call's arguments are complete JSON; none at all are, too."""
    if not arguments.strip():
        return True
    try:
        _raw_decoder.decode(arguments)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


def input_object(arguments: str) -> dict[str, Any]:
    """Return arguments as the object that `input` must be; what is none is kept under `_raw`."""
    if not arguments.strip():
        return {}
    try:
        return _object_decoder.decode(arguments)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return {"_raw": arguments}


def raw_object_of(block: RawBlock) -> dict[str, Any] | None:
    """Return a block of this very format; None for another's, which callers could not read."""
    if block.dialect != DIALECT:
        return None
    native = _object_decoder.decode(block.data)
    return native if isinstance(native.get("type"), str) else None


def citation_object(citation: Citation) -> dict[str, Any]:
    """Return a citation; one of another format becomes the kind that names a web address."""
    if citation.dialect == DIALECT:
        return _object_decoder.decode(citation.raw)
    return {
        "type": "web_search_result_location",
        "url": citation.url or "",
        "title": citation.title,
        "cited_text": citation.cited_text or "",
        "encrypted_index": "",
    }
