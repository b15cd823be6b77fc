"""A conversation as pi's own messages.

Sources: pi 1.5.2 `dist/types.d.ts` (`Message`, `Tool`), `dist/utils/transcript.js` (system prompt and
tools are a leading system message), `dist/api/pi-messages.js`. What pi records about a message
(when, what it cost) is no part of a conversation: it is sent as zero, always the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pi_model_proxy.dialects.contents import arguments_object, text_of_file
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrap_input, wrapped_schema
from pi_model_proxy.dialects.surrogates import clean_json, clean_text
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    DataSource,
    DocumentBlock,
    ImageBlock,
    ReasoningBlock,
    RefusalBlock,
    Target,
    TextBlock,
    TextSource,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)

__all__ = ["DIALECT", "KIND", "ContextWriter"]

DIALECT: Final = "pi_messages"
KIND: Final = "pi-messages"

Json = dict[str, Any]
_NO_USAGE: Final[Json] = {
    "input": 0,
    "output": 0,
    "cacheRead": 0,
    "cacheWrite": 0,
    "totalTokens": 0,
    "cost": {"input": 0, "output": 0, "cacheRead": 0, "cacheWrite": 0, "total": 0},
}


class ContextWriter:
    """Writes the turns of one request, which `repair_history` has seen to."""

    def __init__(self, target: Target, names: ToolNames, losses: Losses) -> None:
        self._target = target
        self._names = names
        self._losses = losses

    def write(self, instructions: Iterable[str], tools: Iterable[Tool], turns: Iterable[Turn]) -> list[Json]:
        """Return the messages, the leading one with prompt and tools if there are any.

        Raises:
            UnsupportedFeature: a block cannot be said to this target and cannot be left out.
        """
        messages = [message for turn in turns for message in self._turn(turn)]
        leading: Json = {
            "role": "system",
            "content": "\n\n".join(clean_text(text) for text in instructions if text),
        }
        added = [self._tool(tool) for tool in tools]
        if added:
            leading["toolsAdded"] = added
        if leading["content"] or added:
            messages.insert(0, {**leading, "timestamp": 0})
        return messages

    def _turn(self, turn: Turn) -> list[Json]:
        match turn.role:
            case "tool":
                return [self._result(block) for block in turn.blocks if isinstance(block, ToolResultBlock)]
            case "assistant":
                return self._answer(turn)
            case role:
                content = [part for block in turn.blocks for part in self._parts(block)]
                return [{"role": role, "content": content, "timestamp": 0}] if content else []

    # What the caller's side says.

    def _parts(self, block: Block) -> list[Json]:
        match block:
            case TextBlock(text=text, cache=cache, at=at):
                self._losses.mark(cache, at)
                return [{"type": "text", "text": text}]
            case RefusalBlock(text=text):
                return [{"type": "text", "text": text}]
            case ImageBlock():
                return [self._image(block)]
            case DocumentBlock():
                return [self._document(block)]
            case AudioBlock():
                self._losses.refuse(block.at, why="the provider takes text and pictures only")
            case _:
                # A call or thinking in a caller's turn: no dialect can say that.
                self._losses.path(block.at)
        return []

    def _image(self, block: ImageBlock) -> Json:
        self._losses.mark(block.cache, block.at)
        if block.detail not in {None, "auto"}:
            self._losses.member(block.at, "image.detail")
        if not isinstance(block.source, DataSource):
            self._losses.refuse(block.at, why="the provider fetches no pictures; send its content")
        return {"type": "image", "data": block.source.data, "mimeType": block.source.media_type}

    def _document(self, block: DocumentBlock) -> Json:
        self._losses.mark(block.cache, block.at)
        if block.citations:
            self._losses.member(block.at, "document.citations")
        match block.source:
            case TextSource(text=text):
                said: str | None = text
            case DataSource(media_type=media_type, data=data):
                said = text_of_file(media_type, data)
            case _:
                said = None
        if said is None:
            self._losses.refuse(block.at, why="the provider takes text and pictures only; send its text")
        heading = "\n".join(clean_text(text) for text in (block.name, block.context) if text)
        return {"type": "text", "text": f"{heading}\n\n{said}" if heading else said}

    def _result(self, block: ToolResultBlock) -> Json:
        self._losses.mark(block.cache, block.at)
        return {
            "role": "toolResult",
            "toolCallId": block.call_id,
            "toolName": self._names.wire(block.name) if block.name else "",
            "content": [part for each in block.content for part in self._parts(each)],
            "isError": block.is_error,
            "timestamp": 0,
        }

    # What the model said before.

    def _answer(self, turn: Turn) -> list[Json]:
        content: list[Json] = []
        for block in turn.blocks:
            match block:
                case TextBlock() | RefusalBlock():
                    content += self._parts(block)
                case ReasoningBlock():
                    content.append(_thinking(block))
                case ToolCallBlock():
                    content.append(self._call(block))
                case _:
                    self._losses.path(block.at, why="an assistant turn holds text and calls only")
        if not content:
            return []
        called = any(part["type"] == "toolCall" for part in content)
        return [
            {
                "role": "assistant",
                "content": content,
                "api": KIND,
                "provider": self._target.provider,
                "model": self._target.model,
                "usage": _NO_USAGE,
                "stopReason": "toolUse" if called else "stop",
                "timestamp": 0,
            }
        ]

    def _call(self, block: ToolCallBlock) -> Json:
        self._losses.mark(block.cache, block.at)
        arguments = wrap_input(block.arguments) if block.custom else block.arguments
        signature = {"thoughtSignature": block.opaque.data} if block.opaque is not None else {}
        return {
            "type": "toolCall",
            "id": block.id,
            "name": self._names.wire(block.name, block.namespace),
            "arguments": clean_json(arguments_object(arguments)),
            **signature,
        }

    def _tool(self, tool: Tool) -> Json:
        self._losses.mark(tool.cache, tool.at)
        if tool.grammar is not None:
            self._losses.of_tool(tool, "grammar", why="the provider knows no grammars")
        schema = (
            wrapped_schema()
            if tool.kind == "custom"
            else clean_json(tool.schema or {"type": "object", "properties": {}})
        )
        written: Json = {
            "name": self._names.wire(tool.name, tool.namespace),
            "description": clean_text(tool.description or ""),
            "parameters": schema,
        }
        if tool.strict:
            # The caller wants it where it can be had: pi's "require" would be an error where it cannot.
            written["constrainedSampling"] = {"type": "json_schema", "strict": "prefer"}
        return written


def _thinking(block: ReasoningBlock) -> Json:
    written: Json = {"type": "thinking", "thinking": block.text}
    if block.opaque is not None:
        written["thinkingSignature"] = block.opaque.data
        if block.opaque.kind == "pi_redacted":
            written["redacted"] = True
    return written
