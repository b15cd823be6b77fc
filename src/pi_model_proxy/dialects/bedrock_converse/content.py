"""Turns and blocks, as Bedrock takes them.

Sources: dialects.md §1.1 BR, §7; pi 1.5.2 `dist/api/bedrock-converse-stream.js` (`convertMessages`).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from pi_model_proxy.dialects.bedrock_converse.cache_points import CachePoints
from pi_model_proxy.dialects.bedrock_converse.media import MediaWriter
from pi_model_proxy.dialects.contents import arguments_object
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrap_input
from pi_model_proxy.dialects.surrogates import clean_json, clean_text
from pi_model_proxy.hub import (
    Block,
    CacheMark,
    DocumentBlock,
    ImageBlock,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)

__all__ = ["DIALECT", "ContentWriter"]

DIALECT: Final = "bedrock_converse"
EMPTY: Final = "<empty>"
"""pi's word where a text must stand and there is none."""
FIRST_USER: Final = "(The conversation begins with the assistant.)"
"""A conversation must begin with the user's words; some histories do not."""
BESIDE_DOCUMENT: Final = "(See the document.)"
"""A message with a document is refused without a text beside it."""

Json = dict[str, Any]

_FOREIGN: Final = {
    "user": (ReasoningBlock, ToolCallBlock),
    "assistant": (ImageBlock, DocumentBlock, ToolResultBlock),
}
"""By role: what only the other side may say."""


class ContentWriter:
    """Writes turns; what cannot be said is listed in `losses` or refused."""

    def __init__(self, names: ToolNames, points: CachePoints, losses: Losses) -> None:
        self._names = names
        self._points = points
        self._losses = losses
        self._media = MediaWriter(losses)

    def system(self, instructions: Iterable[TextBlock]) -> list[Json]:
        """Return the system blocks; a mark on an empty one belongs to what stands before it."""
        blocks: list[Json] = []
        for block in instructions:
            if block.text.strip():
                blocks.append({"text": clean_text(block.text)})
            self._points.add(blocks, block.cache, block.at)
        return blocks

    def messages(self, turns: Iterable[Turn]) -> list[Json]:
        """Return the messages: sides alternate, the user begins."""
        messages: list[Json] = []
        for turn in turns:
            role = "assistant" if turn.role == "assistant" else "user"
            content: list[Json] = []
            for block in turn.blocks:
                if isinstance(block, _FOREIGN[role]):
                    self._losses.path(block.at, why="a message of this side cannot hold it")
                else:
                    self._block(block, content)
            if content and messages and messages[-1]["role"] == role:
                messages[-1]["content"] += content
            elif content:
                messages.append({"role": role, "content": content})
        for message in messages:
            content = message["content"]
            if any("document" in block for block in content) and not any(
                "text" in block for block in content
            ):
                content.insert(0, {"text": BESIDE_DOCUMENT})
        if messages and messages[0]["role"] == "assistant":
            messages.insert(0, {"role": "user", "content": [{"text": FIRST_USER}]})
        return messages

    def _block(self, block: Block, content: list[Json]) -> None:
        """Add what a block becomes to a message."""
        mark: CacheMark | None = None
        match block:
            case TextBlock(text=text, cache=mark):
                content.append({"text": text})
            case RefusalBlock(text=text):
                content.append({"text": text})
            case ImageBlock(cache=mark):
                content.append(self._media.image(block))
            case DocumentBlock(cache=mark):
                content.append(self._media.document(block))
            case ReasoningBlock():
                self._reasoning(block, content)
            case ToolCallBlock(cache=mark):
                content.append(self._call(block))
            case ToolResultBlock():
                content.append(self._result(block))
                for part in block.content:
                    # No point may stand within a result; behind it the prefix is a little longer.
                    if isinstance(part, TextBlock | ImageBlock | DocumentBlock):
                        self._points.add(content, part.cache, part.at)
                mark = block.cache
            case _:
                self._losses.refuse(block.at, why="the provider takes no audio")
        self._points.add(content, mark, block.at)

    def _reasoning(self, block: ReasoningBlock, content: list[Json]) -> None:
        opaque = block.opaque
        if opaque is not None and opaque.item_id is not None:
            self._losses.path(block.at, why="a token of another format: here they have no id")
        elif opaque is not None and opaque.kind != "anthropic_signature":
            content.append({"reasoningContent": {"redactedContent": opaque.data}})
        elif not block.text.strip():
            self._losses.path(block.at, why="thinking without text")
        else:
            signature = {"signature": opaque.data} if opaque is not None else {}
            content.append({"reasoningContent": {"reasoningText": {"text": block.text, **signature}}})

    def _call(self, block: ToolCallBlock) -> Json:
        arguments = wrap_input(block.arguments) if block.custom else block.arguments
        return {
            "toolUse": {
                "toolUseId": block.id,
                "name": self._names.wire(block.name, block.namespace),
                "input": _document(clean_json(arguments_object(arguments))),
            }
        }

    def _result(self, block: ToolResultBlock) -> Json:
        content: list[Json] = []
        for part in block.content:
            match part:
                case ImageBlock():
                    content.append(self._media.image(part))
                case DocumentBlock():
                    content.append(self._media.document(part))
                case TextBlock(text=text):
                    content.append({"text": text})
                case _:
                    self._losses.path(part.at, why="the provider cannot be shown this")
        return {
            "toolResult": {
                "toolUseId": block.call_id,
                "content": content or [{"text": EMPTY}],
                "status": "error" if block.is_error else "success",
            }
        }


def _document(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Return a JSON value as Amazon's documents can hold it: no member's name is empty."""
    match value:
        case dict():
            return {name: _document(each) for name, each in value.items() if name}
        case list():
            return [_document(each) for each in value]
        case _:
            return value
