"""A plain answer on its way to a caller of the same format: its JSON stays but for the names of model and tools."""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.client_message import MessageEnds, read_message
from pi_model_proxy.dialects.anthropic_messages.stop_reasons import CALLED, ENDED, finish_of
from pi_model_proxy.dialects.anthropic_messages.usage import UsageTally
from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.wire import (
    compact_json,
    edit_object,
    join_array,
    members_of,
    object_of,
    raw_array,
    raw_object,
)

__all__ = ["Named", "read_named", "relay_message", "renamed_call"]


class Named(msgspec.Struct):
    """A content block as far as its name matters."""

    type: str = ""
    name: str | None = None


class _Answer(MessageEnds):
    content: list[Named] | None = None


read_named: Final = msgspec.json.Decoder(Named).decode
_read_answer: Final = msgspec.json.Decoder(_Answer).decode


def relay_message(body: bytes, context: AnswerContext, names: ToolNames) -> tuple[bytes, Facts]:
    """Return a plain answer under the caller's model and tool names, and what it says."""
    return _kept_message(body, context, names) or _edited_message(body, context, names)


def _kept_message(body: bytes, context: AnswerContext, names: ToolNames) -> tuple[bytes, Facts] | None:
    """Return the answer with nothing but the model's name changed; None when more must be, or it is none."""
    try:
        members = members_of(body)  # which refuses halves of characters: those are mended on the long way
        message = _read_answer(body)
    except (ValueError, RecursionError):
        return None
    if message.type == "error" or message.content is None or message.stop_reason is None:
        return None
    called = False
    for kind in message.content:
        if kind.type == "tool_use":
            called = True
            if kind.name is not None and names.original(kind.name) != kind.name:
                return None
    members["model"] = msgspec.Raw(compact_json(context.model))
    if called and message.stop_reason == ENDED:
        members["stop_reason"] = msgspec.Raw(CALLED)
    return object_of(members), _facts(message, called=called)


def _edited_message(body: bytes, context: AnswerContext, names: ToolNames) -> tuple[bytes, Facts]:
    message = read_message(body)
    if isinstance(message, UpstreamError):
        return b"", Facts(failure=message)
    try:
        members = raw_object(mend_body(body))
        blocks = raw_array(members["content"])
        kinds = [read_named(block) for block in blocks]
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return b"", Facts(
            failure=BrokenStream(f"The provider's answer holds a content block that is none ({error}).")
        )
    renamed = [renamed_call(raw, kind, names) for raw, kind in zip(blocks, kinds, strict=True)]
    put = {"model": compact_json(context.model)}
    if any(each is not None for each in renamed):
        put["content"] = join_array(new or old for new, old in zip(renamed, blocks, strict=True))
    called = any(kind.type == "tool_use" for kind in kinds)
    if called and message.stop_reason == ENDED:
        put["stop_reason"] = CALLED
    return edit_object(members, put=put), _facts(message, called=called)


def _facts(message: MessageEnds, *, called: bool) -> Facts:
    return Facts(
        began=True,
        done=True,
        finish=finish_of(
            message.stop_reason or "",
            called=called,
            stop_sequence=message.stop_sequence,
            detail=message.detail,
        ),
        usage=UsageTally().take(message.usage),
        upstream_model=message.model or "",
        upstream_id=message.id or "",
    )


def renamed_call(raw: bytes, block: Named, names: ToolNames) -> bytes | None:
    """Return a call's block under the caller's own name of the tool; None when that is the one it has."""
    if block.type != "tool_use" or block.name is None:
        return None
    original = names.original(block.name)
    return (
        None if original == block.name else edit_object(raw_object(raw), put={"name": compact_json(original)})
    )
