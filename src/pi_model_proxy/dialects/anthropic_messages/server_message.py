"""A whole answer as one JSON object.

Source: dialects.md §2.1 (`message`), §4, §5.2.
"""

from __future__ import annotations

from typing import Any

from pi_model_proxy.dialects.anthropic_messages.answer_parts import (
    are_arguments_whole,
    citation_object,
    hides_reasoning,
    input_object,
    message_id,
    raw_object_of,
    tool_use_object,
)
from pi_model_proxy.dialects.anthropic_messages.envelope import wrap
from pi_model_proxy.dialects.anthropic_messages.stop_reasons import stop_reason_of
from pi_model_proxy.dialects.anthropic_messages.usage import usage_object
from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.hub import (
    Block,
    Message,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    ToolCallBlock,
)
from pi_model_proxy.wire import ascii_json

__all__ = ["encode_message"]


def encode_message(message: Message, context: AnswerContext) -> bytes:
    """Return the answer's body: what the stream of the same events adds up to."""
    hides = hides_reasoning(context)
    shown = [block for block in message.blocks if not (hides and isinstance(block, ReasoningBlock))]
    content = _content(shown, context) or _content(_only_text(message.blocks), context)
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    truncated = not all(call.custom or are_arguments_whole(call.arguments) for call in calls)
    reason = stop_reason_of(message.finish, called=bool(calls), truncated=truncated)
    body: dict[str, Any] = {
        "id": message_id(message.id, context),
        "type": "message",
        "role": "assistant",
        "model": context.model,
        "content": content,
        "stop_reason": reason,
        "stop_sequence": message.finish.stop_sequence,
        "usage": usage_object(message.usage),
    }
    if reason == "refusal" and message.finish.detail:
        body["stop_details"] = {"type": "refusal", "category": None, "explanation": message.finish.detail}
    return ascii_json(body)


def _only_text(blocks: tuple[Block, ...]) -> list[Block]:
    """Return thinking without its tokens, joined: the answer of last resort when nothing else came."""
    text = "".join(block.text for block in blocks if isinstance(block, ReasoningBlock))
    return [ReasoningBlock(text=text)] if text else []


def _content(blocks: list[Block], context: AnswerContext) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for block in blocks:
        written = _content_block(block, context, len(content))
        if written is not None:
            content.append(written)
    return content


def _content_block(block: Block, context: AnswerContext, position: int) -> dict[str, Any] | None:
    match block:
        case TextBlock(text=text) if text or block.citations:
            written: dict[str, Any] = {"type": "text", "text": text}
            if block.citations:
                written["citations"] = [citation_object(citation) for citation in block.citations]
            return written
        case RefusalBlock(text=text) if text:
            return {"type": "text", "text": text}
        case ReasoningBlock():
            return _thinking(block, context)
        case ToolCallBlock(arguments=arguments):
            given = {"input": arguments} if block.custom else input_object(arguments)
            return {**tool_use_object(block, context, position), "input": given}
        case RawBlock():
            return raw_object_of(block)
        case _:
            return None


def _thinking(block: ReasoningBlock, context: AnswerContext) -> dict[str, Any] | None:
    opaque = block.opaque
    if opaque is not None and opaque.kind == "anthropic_redacted" and not block.text:
        return {"type": "redacted_thinking", "data": opaque.data}
    if not block.text and opaque is None:
        return None
    origin = f"{context.target.provider}/{context.target.model}"
    native = opaque is not None and opaque.kind != "anthropic_redacted"
    signature = wrap(opaque, origin) if opaque is not None and native else ""
    return {"type": "thinking", "thinking": block.text, "signature": signature}
