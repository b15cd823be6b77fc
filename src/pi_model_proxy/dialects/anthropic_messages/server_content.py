"""Content blocks of a caller's messages, read into hub blocks.

Sources: dialects.md §1.1 AM (param blocks), §1.2; block types that only Anthropic runs stay raw.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pi_model_proxy.dialects.anthropic_messages.envelope import unwrap
from pi_model_proxy.dialects.reading import Fields
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

_MARKED: Final = frozenset({"type", "cache_control"})
_OF_TEXT: Final = _MARKED | {"text"}
_OF_IMAGE: Final = _MARKED | {"source"}
_OF_DOCUMENT: Final = _MARKED | {"source", "title", "context", "citations"}
_OF_SEARCH_RESULT: Final = _MARKED | {"source", "title", "content"}
_OF_THINKING: Final = frozenset({"type", "thinking", "signature"})
_OF_REDACTED: Final = frozenset({"type", "data"})
_OF_TOOL_USE: Final = _MARKED | {"id", "name", "input", "caller"}
_OF_TOOL_RESULT: Final = _MARKED | {"tool_use_id", "content", "is_error"}
_OF_REFERENCE: Final = _MARKED | {"tool_name"}
_OF_COMPACTION: Final = _MARKED | {"content"}
_OF_MARK: Final = frozenset({"type", "ttl"})
_OF_SOURCE: Final = {
    "base64": frozenset({"type", "media_type", "data"}),
    "url": frozenset({"type", "url"}),
    "file": frozenset({"type", "file_id"}),
    "text": frozenset({"type", "media_type", "data"}),
    "content": frozenset({"type", "content"}),
}
_DIRECT: Final = {"type": "direct"}
"""The caller of a tool that the model called by itself, as every other dialect's models do."""


def cache_mark(fields: Fields, dropped: list[str]) -> CacheMark | None:
    """Return the mark that a block, a tool or the body carries; keys of betas (`scope`) mean nothing elsewhere."""
    if fields.values.get("cache_control") is None:
        return None
    mark = fields.object("cache_control")
    if mark is None:  # pragma: no cover - it is not null
        return None
    mark.unread(_OF_MARK, dropped)
    ttl = mark.text("ttl")
    if ttl not in {None, "5m", "1h"}:
        dropped.append(mark.path("ttl"))
    return CacheMark(ttl="1h" if ttl == "1h" else "5m" if ttl == "5m" else None, at=mark.at)


class ContentReader:
    """Reads content; collects in `dropped` the paths of what the hub has no place for."""

    def __init__(self, dropped: list[str]) -> None:
        self.dropped = dropped
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
            message.refuse("content", "must be a string or an array of content blocks")
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

    def _mark(self, fields: Fields) -> CacheMark | None:
        return cache_mark(fields, self.dropped)

    def _text(self, fields: Fields) -> TextBlock:
        # Citations of an earlier answer have no place in other dialects' requests: unread, so listed.
        fields.unread(_OF_TEXT, self.dropped)
        return TextBlock(text=fields.needed_text("text"), cache=self._mark(fields), at=fields.at)

    def _image(self, fields: Fields) -> ImageBlock:
        fields.unread(_OF_IMAGE, self.dropped)
        return ImageBlock(source=self._source(fields), cache=self._mark(fields), at=fields.at)

    def _document(self, fields: Fields) -> DocumentBlock:
        fields.unread(_OF_DOCUMENT, self.dropped)
        citations = fields.object("citations")
        return DocumentBlock(
            source=self._source(fields),
            name=fields.text("title"),
            context=fields.text("context"),
            citations=bool(citations and citations.flag("enabled")),
            cache=self._mark(fields),
            at=fields.at,
        )

    def _source(self, fields: Fields) -> Source:
        source = fields.object("source")
        if source is None:
            fields.refuse("source", "must be an object; it is missing")
        kind = source.needed_text("type")
        source.unread(_OF_SOURCE.get(kind, frozenset()), self.dropped)
        match kind:
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
                pass
        return source.refuse("type", "must be one of base64, url, file, text, content")

    def _flattened(self, source: Fields) -> str:
        """Return the text of content blocks inside a document; what else they hold is listed."""
        texts: list[str] = []
        for block in self.blocks(source):
            if isinstance(block, TextBlock):
                texts.append(block.text)
                if block.cache is not None:
                    self.dropped.append(block.cache.at)
            else:
                self.dropped.append(block.at)
        return "\n".join(texts)

    def _search_result(self, fields: Fields) -> TextBlock:
        citations = fields.object("citations")
        if citations is None or not citations.flag("enabled"):
            fields.unread(_OF_SEARCH_RESULT | {"citations"}, self.dropped)
        else:
            fields.unread(_OF_SEARCH_RESULT, self.dropped)
        heading = f"Search result: {fields.text('title') or ''} ({fields.text('source') or ''})"
        text = f"{heading}\n{self._flattened(fields)}"
        return TextBlock(text=text, cache=self._mark(fields), at=fields.at)

    def _thinking(self, fields: Fields) -> ReasoningBlock:
        fields.unread(_OF_THINKING, self.dropped)
        opaque = unwrap(fields.text("signature") or "")
        return ReasoningBlock(text=fields.text("thinking") or "", opaque=opaque, at=fields.at)

    def _redacted(self, fields: Fields) -> ReasoningBlock:
        fields.unread(_OF_REDACTED, self.dropped)
        opaque = Opaque(kind="anthropic_redacted", data=fields.needed_text("data"))
        return ReasoningBlock(opaque=opaque, at=fields.at)

    def _tool_use(self, fields: Fields) -> ToolCallBlock:
        fields.unread(_OF_TOOL_USE, self.dropped)
        if fields.values.get("caller", _DIRECT) not in (None, _DIRECT):
            self.dropped.append(fields.path("caller"))
        return ToolCallBlock(
            id=fields.needed_text("id"),
            name=fields.needed_text("name"),
            arguments=_arguments(fields.values.get("input")),
            cache=self._mark(fields),
            at=fields.at,
        )

    def _tool_result(self, fields: Fields) -> ToolResultBlock:
        fields.unread(_OF_TOOL_RESULT, self.dropped)
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
            cache=self._mark(fields),
            at=fields.at,
        )

    def _tool_reference(self, fields: Fields) -> TextBlock:
        # Deferred tools are sent along in full elsewhere, so a reference only has to be named.
        fields.unread(_OF_REFERENCE, self.dropped)
        text = f"Tool found: {fields.needed_text('tool_name')}"
        return TextBlock(text=text, cache=self._mark(fields), at=fields.at)

    def _compaction(self, fields: Fields) -> TextBlock | None:
        summary = fields.text("content")
        if not summary:
            self.dropped.append(fields.at)
            return None
        fields.unread(_OF_COMPACTION, self.dropped)
        return TextBlock(text=summary, cache=self._mark(fields), at=fields.at)


def _arguments(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if value is None:
        return ""
    return value if isinstance(value, str) else compact_json(value).decode()
