"""Content blocks of a caller's messages, read into hub blocks.

Sources: dialects.md §1.1 AM (param blocks), §1.2; block types that only Anthropic runs stay raw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pi_model_proxy.dialects.anthropic_messages.envelope import unwrap
from pi_model_proxy.dialects.anthropic_messages.reading import Fields
from pi_model_proxy.errors import BadRequest
from pi_model_proxy.hub import (
    Block,
    CacheMark,
    DataSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    Opaque,
    RawBlock,
    ReasoningBlock,
    Source,
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolResultBlock,
    UrlSource,
)
from pi_model_proxy.wire import compact_json

__all__ = ["DIALECT", "ContentReader", "cache_mark"]

DIALECT: Final = "anthropic_messages"


def cache_mark(fields: Fields) -> CacheMark | None:
    """Return the mark that a block, a tool or the body carries; keys of betas (`scope`) mean nothing elsewhere."""
    mark = fields.object("cache_control")
    if mark is None:
        return None
    ttl = mark.text("ttl")
    return CacheMark(ttl="1h" if ttl == "1h" else "5m" if ttl == "5m" else None)


class ContentReader:
    """Reads content; collects the paths of what the hub has no place for."""

    def __init__(self) -> None:
        self.dropped: list[str] = []
        self._readers: dict[str, Callable[[Fields], Block | None]] = {
            "text": self._text,
            "image": self._image,
            "document": self._document,
            "search_result": self._search_result,
            "thinking": self._thinking,
            "redacted_thinking": self._redacted,
            "tool_use": self._tool_use,
            "tool_result": self._tool_result,
            "tool_reference": self._tool_reference,
            "compaction": self._compaction,
        }

    def blocks(self, message: Fields) -> list[Block]:
        """Return the blocks of a member `content`: a string, an array of blocks, or nothing.

        Raises:
            BadRequest: names the JSON path.
        """
        content = message.values.get("content")
        if isinstance(content, str):
            return [TextBlock(text=content, at=message.path("content"))]
        if content is not None and not isinstance(content, list):
            raise message.refuse("content", "a string or an array of content blocks")
        read = (self._block(fields) for fields in message.objects("content"))
        return [block for block in read if block is not None]

    def _block(self, fields: Fields) -> Block | None:
        type_name = fields.needed_text("type")
        reader = self._readers.get(type_name)
        if reader is not None:
            return reader(fields)
        # A block of a type we do not know may be one of next month's: it is kept for its own dialect.
        return RawBlock(
            dialect=DIALECT, type_name=type_name, data=compact_json(fields.values).decode(), at=fields.at
        )

    def _text(self, fields: Fields) -> TextBlock:
        # Citations of an earlier answer tell the model nothing; they are not sent again.
        return TextBlock(text=fields.needed_text("text"), cache=cache_mark(fields), at=fields.at)

    def _image(self, fields: Fields) -> ImageBlock:
        if fields.values.get("transformations") is not None:
            self.dropped.append(fields.path("transformations"))
        return ImageBlock(source=self._source(fields), cache=cache_mark(fields), at=fields.at)

    def _document(self, fields: Fields) -> DocumentBlock:
        citations = fields.object("citations")
        return DocumentBlock(
            source=self._source(fields),
            name=fields.text("title"),
            context=fields.text("context"),
            citations=bool(citations and citations.flag("enabled")),
            cache=cache_mark(fields),
            at=fields.at,
        )

    def _source(self, fields: Fields) -> Source:
        source = fields.object("source")
        if source is None:
            raise fields.refuse("source", "an object; it is missing")
        match source.needed_text("type"):
            case "base64":
                return DataSource(
                    media_type=source.needed_text("media_type"), data=source.needed_text("data")
                )
            case "url":
                return UrlSource(url=source.needed_text("url"))
            case "file":
                return FileSource(file_id=source.needed_text("file_id"))
            case "text":
                return TextSource(text=source.needed_text("data"))
            case "content":
                return TextSource(text=self._flattened(source))
            case _:
                raise source.refuse("type", "one of base64, url, file, text, content")

    def _flattened(self, source: Fields) -> str:
        """Return the text of content blocks inside a document; pictures among them are listed."""
        texts: list[str] = []
        for block in self.blocks(source):
            if isinstance(block, TextBlock):
                texts.append(block.text)
            else:
                self.dropped.append(block.at)
        return "\n".join(texts)

    def _search_result(self, fields: Fields) -> TextBlock:
        heading = f"Search result: {fields.text('title') or ''} ({fields.text('source') or ''})"
        return TextBlock(text=f"{heading}\n{self._flattened(fields)}", cache=cache_mark(fields), at=fields.at)

    @staticmethod
    def _thinking(fields: Fields) -> ReasoningBlock:
        opaque = unwrap(fields.text("signature") or "")
        return ReasoningBlock(text=fields.text("thinking") or "", opaque=opaque, at=fields.at)

    @staticmethod
    def _redacted(fields: Fields) -> ReasoningBlock:
        opaque = Opaque(kind="anthropic_redacted", data=fields.needed_text("data"))
        return ReasoningBlock(opaque=opaque, at=fields.at)

    @staticmethod
    def _tool_use(fields: Fields) -> ToolCallBlock:
        return ToolCallBlock(
            id=fields.needed_text("id"),
            name=fields.needed_text("name"),
            arguments=_arguments(fields.values.get("input")),
            cache=cache_mark(fields),
            at=fields.at,
        )

    def _tool_result(self, fields: Fields) -> ToolResultBlock:
        content: list[TextBlock | ImageBlock | DocumentBlock | RawBlock] = []
        for block in self.blocks(fields):
            if isinstance(block, TextBlock | ImageBlock | DocumentBlock | RawBlock):
                content.append(block)
            else:
                raise BadRequest(f"{block.at}: such a block cannot stand in a tool result.", param=block.at)
        return ToolResultBlock(
            call_id=fields.needed_text("tool_use_id"),
            content=tuple(content),
            is_error=bool(fields.flag("is_error")),
            cache=cache_mark(fields),
            at=fields.at,
        )

    @staticmethod
    def _tool_reference(fields: Fields) -> TextBlock:
        # Deferred tools are sent along in full elsewhere, so a reference only has to be named.
        return TextBlock(text=f"Tool found: {fields.needed_text('tool_name')}", at=fields.at)

    @staticmethod
    def _compaction(fields: Fields) -> TextBlock | None:
        summary = fields.text("content")
        return TextBlock(text=summary, cache=cache_mark(fields), at=fields.at) if summary else None


def _arguments(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    return value if isinstance(value, str) else compact_json(value).decode()
