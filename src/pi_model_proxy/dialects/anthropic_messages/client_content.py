"""Turns and blocks, as an upstream of this format takes them.

Sources: dialects.md §1.1 AM (param blocks), §7 (structure); pi 1.5.2
`dist/api/anthropic-messages.js` (`convertMessages`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.answer_parts import input_object
from pi_model_proxy.dialects.anthropic_messages.client_cache import Marks
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrap_input
from pi_model_proxy.dialects.surrogates import clean_json, clean_text
from pi_model_proxy.hub import (
    Block,
    CacheMark,
    DataSource,
    DocumentBlock,
    ImageBlock,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    UrlSource,
)

__all__ = ["ContentWriter"]

IMAGE_TYPES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
IMAGE_ALIASES: Final = {"image/jpg": "image/jpeg"}
PDF: Final = "application/pdf"
TEXT_TYPES: Final = ("text/", "application/json")
FIRST_USER: Final = "(The conversation begins with the assistant.)"
"""A conversation must begin with the user's words; some histories do not."""

Json = dict[str, Any]
_object_decoder = msgspec.json.Decoder(dict[str, Any])


class ContentWriter:
    """Writes turns; what cannot be said is listed in `losses` or refused."""

    def __init__(self, names: ToolNames, losses: Losses, marks: Marks) -> None:
        self._names = names
        self._losses = losses
        self._marks = marks

    def system(self, instructions: Iterable[TextBlock]) -> list[Json]:
        """Return the system blocks; a mark on an empty one moves to the block before it."""
        blocks: list[Json] = []
        for block in instructions:
            if block.text.strip():
                written = {"type": "text", "text": clean_text(block.text)}
                blocks.append(self._marks.write(written, block.cache, block.at))
            elif blocks and "cache_control" not in blocks[-1]:
                blocks[-1] = self._marks.write(blocks[-1], block.cache, block.at)
            elif not blocks:
                self._marks.lose(block.cache, block.at)
        return blocks

    def messages(self, turns: Iterable[Turn]) -> list[Json]:
        """Return the messages: neighbours of one side joined, instructions right before the next answer."""
        messages: list[Json] = []
        held: list[Json] = []
        for turn in turns:
            content = [written for block in turn.blocks for written in self._block(block)]
            if not content:
                continue
            if turn.role == "system":
                held += content
                continue
            role = "assistant" if turn.role == "assistant" else "user"
            if role == "assistant" and held:
                messages.append({"role": "system", "content": held})
                held = []
            if messages and messages[-1]["role"] == role:
                messages[-1]["content"] += content
            else:
                messages.append({"role": role, "content": content})
        if held:
            messages.append({"role": "system", "content": held})
        return _begun_by_user(messages)

    def _block(self, block: Block) -> list[Json]:
        """Return what a block becomes."""
        written: Json = {}
        mark: CacheMark | None = None
        match block:
            case TextBlock(text=text, cache=mark):
                written = {"type": "text", "text": text}
            case RefusalBlock(text=text):
                written = {"type": "text", "text": text}
            case ImageBlock(cache=mark):
                written = self._image(block)
            case DocumentBlock(cache=mark):
                written = self._document(block)
            case ReasoningBlock():
                written = _thinking(block)
            case ToolCallBlock(cache=mark):
                written = self._call(block)
            case ToolResultBlock(cache=mark):
                written = self._result(block)
            case RawBlock(data=data):
                written = clean_json(_object_decoder.decode(data))
            case _:
                self._losses.refuse(block.at, why="the provider takes no audio")
        return [self._marks.write(written, mark, block.at)]

    def _call(self, block: ToolCallBlock) -> Json:
        arguments = wrap_input(block.arguments) if block.custom else block.arguments
        return {
            "type": "tool_use",
            "id": block.id,
            "name": self._names.wire(block.name, block.namespace),
            "input": clean_json(input_object(arguments)),
        }

    def _result(self, block: ToolResultBlock) -> Json:
        written: Json = {"type": "tool_result", "tool_use_id": block.call_id}
        content = [part for each in block.content for part in self._block(each)]
        if len(content) == 1 and content[0].keys() == {"type", "text"}:
            written["content"] = content[0]["text"]
        elif content:
            written["content"] = content
        if block.is_error:
            written["is_error"] = True
        return written

    def _image(self, block: ImageBlock) -> Json:
        if block.detail not in {None, "auto"}:
            self._losses.member(block.at, "image.detail", why="the provider looks at every picture alike")
        return {"type": "image", "source": self._image_source(block)}

    def _image_source(self, block: ImageBlock) -> Json:
        if not isinstance(block.source, DataSource):
            return self._url_source(block)
        media_type = block.source.media_type.lower()
        media_type = IMAGE_ALIASES.get(media_type, media_type)
        if media_type not in IMAGE_TYPES:
            self._losses.refuse(block.at, why=f"`{media_type}` is no picture the provider reads")
        return {"type": "base64", "media_type": media_type, "data": block.source.data}

    def _url_source(self, block: ImageBlock | DocumentBlock) -> Json:
        url = block.source.url if isinstance(block.source, UrlSource) else ""
        if not url:
            self._losses.refuse(block.at, why="the file is stored at another provider")
        return {"type": "url", "url": url}

    def _document(self, block: DocumentBlock) -> Json:
        written: Json = {"type": "document", "source": self._document_source(block)}
        if block.name:
            written["title"] = clean_text(block.name)
        if block.context:
            written["context"] = clean_text(block.context)
        if block.citations:
            written["citations"] = {"enabled": True}
        return written

    def _document_source(self, block: DocumentBlock) -> Json:
        match block.source:
            case DataSource(media_type=media_type, data=data) if media_type.lower() == PDF:
                return {"type": "base64", "media_type": PDF, "data": data}
            case DataSource(media_type=media_type, data=data):
                text = _decoded_text(data) if media_type.lower().startswith(TEXT_TYPES) else None
                if text is None:
                    self._losses.refuse(
                        block.at, why=f"the provider reads no documents of type `{media_type}`"
                    )
                return {"type": "text", "media_type": "text/plain", "data": text}
            case TextSource(text=text):
                return {"type": "text", "media_type": "text/plain", "data": text}
            case _:
                return self._url_source(block)


def _decoded_text(data: str) -> str | None:
    try:
        return base64.b64decode(data, validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return None


def _thinking(block: ReasoningBlock) -> Json:
    opaque = block.opaque
    if opaque is not None and opaque.kind == "anthropic_redacted":
        return {"type": "redacted_thinking", "data": opaque.data}
    return {
        "type": "thinking",
        "thinking": block.text,
        "signature": opaque.data if opaque is not None else "",
    }


def _begun_by_user(messages: list[Json]) -> list[Json]:
    first = next((message["role"] for message in messages if message["role"] != "system"), "user")
    if first == "user":
        return messages
    return [{"role": "user", "content": [{"type": "text", "text": FIRST_USER}]}, *messages]
