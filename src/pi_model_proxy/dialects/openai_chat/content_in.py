"""The content of a caller's message, part by part, as hub blocks.

Source: OpenAI's chat completions request schema (openai-python 3.54.0), with the leniency that
recorded requests of coding agents need: parts of other dialects are kept raw, keys nobody knows
are collected for the list of what was dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

import msgspec

from pi_model_proxy.dialects.media import base64_of, readable, source_of
from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    CacheMark,
    DataSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Source,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)

__all__ = ["DIALECT", "MARKS", "ContentReader", "cache_mark"]

DIALECT: Final = "openai_chat"
MARKS: Final = frozenset({"cache_control", "prompt_cache_breakpoint"})
"""Members that mark the end of what is to be cached, in Anthropic's words and in OpenAI's."""

_TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text"})

_OF_TEXT: Final = frozenset({"type", "text"}) | MARKS
_OF_REFUSAL: Final = frozenset({"type", "refusal"})
_OF_THINKING: Final = frozenset({"type", "thinking", "closed"})
_OF_IMAGE: Final = frozenset({"type", "image_url"}) | MARKS
_OF_IMAGE_URL: Final = frozenset({"url", "detail"})
_OF_AUDIO: Final = frozenset({"type", "input_audio"})
_OF_FILE: Final = frozenset({"type", "file"}) | MARKS
_OF_FILE_BODY: Final = frozenset({"file_data", "file_id", "filename"})
_OF_CACHE_CONTROL: Final = frozenset({"type", "ttl"})
_OF_BREAKPOINT: Final = frozenset({"mode", "ttl"})
_TTLS: Final[dict[str, Literal["5m", "1h"] | None]] = {"5m": "5m", "1h": "1h", "30m": None, "12h": "1h"}
"""Anthropic's life times, and OpenAI's as the nearest of them; OpenAI's 30 minutes are its default."""

_Markable = TextBlock | ImageBlock | DocumentBlock | ToolCallBlock | ToolResultBlock


def cache_mark(fields: Fields, dropped: list[str]) -> CacheMark | None:
    """Read `cache_control` (as OpenRouter and LiteLLM clients send it) or `prompt_cache_breakpoint`."""
    values = fields.values
    if MARKS.isdisjoint(values):
        return None
    for name, known in (
        ("cache_control", _OF_CACHE_CONTROL),
        ("prompt_cache_breakpoint", _OF_BREAKPOINT),
    ):
        value = values.get(name)
        if isinstance(value, dict):
            mark = Fields(value, fields.path(name))
            mark.unread(known, dropped)
            ttl = value.get("ttl")
            if ttl is not None and (not isinstance(ttl, str) or ttl not in _TTLS):
                dropped.append(mark.path("ttl"))
                ttl = None
            return CacheMark(_TTLS[ttl] if ttl else None, at=mark.at)
        if value is not None:
            dropped.append(fields.path(name))
    return None


class ContentReader:
    """Reads content; what the hub has no words for is collected in `dropped`."""

    def __init__(self, dropped: list[str]) -> None:
        self.dropped = dropped
        self._readers: dict[str, Callable[[Fields], Block]] = {
            "refusal": self._refusal,
            "thinking": self._thinking,
            "image_url": self._image,
            "input_audio": self._audio,
            "file": self._file,
        }

    def blocks(self, message: Fields) -> list[Block]:
        """Return a message's content: a string, or parts.

        Raises:
            BadRequest: names the JSON path.
        """
        content = message.values.get("content")
        if content is None:
            return []
        if isinstance(content, str):
            return [TextBlock(text=content, at=message.path("content"))] if content else []
        if not isinstance(content, list):
            message.refuse("content", "must be a string or an array of parts")
        at = message.path("content")
        blocks: list[Block] = []
        for index, part in enumerate(content):
            place = f"{at}[{index}]"
            if isinstance(part, str):
                blocks.append(TextBlock(text=part, at=place))
            elif isinstance(part, dict):
                blocks.append(self._part(Fields(part, place)))
            else:
                message.refuse(f"content[{index}]", "must be an object with a `type`")
        return blocks

    def mark_last(self, message: Fields, blocks: list[Block]) -> None:
        """Give the mark that a message itself carries to its last block, as LiteLLM does."""
        mark = cache_mark(message, self.dropped)
        if mark is None:
            return
        last = blocks[-1] if blocks else None
        if isinstance(last, _Markable) and last.cache is None:
            blocks[-1] = msgspec.structs.replace(last, cache=mark)
        else:
            self.dropped.append(mark.at)

    def _part(self, part: Fields) -> Block:
        kind = part.text("type") or ("text" if "text" in part.values else "")
        if kind in _TEXT_PARTS:
            part.unread(_OF_TEXT, self.dropped)
            return TextBlock(text=part.text("text") or "", cache=cache_mark(part, self.dropped), at=part.at)
        reader = self._readers.get(kind)
        if reader is not None:
            return reader(part)
        if not kind:
            part.refuse("type", "must name the part's type, e.g. `text` or `image_url`")
        data = msgspec.json.encode(part.values).decode()
        return RawBlock(dialect=DIALECT, type_name=kind, data=data, at=part.at)

    def _refusal(self, part: Fields) -> Block:
        part.unread(_OF_REFUSAL, self.dropped)
        return RefusalBlock(text=part.text("refusal") or "", at=part.at)

    def _thinking(self, part: Fields) -> Block:
        """Read Mistral's content part; its text is a list of text parts."""
        part.unread(_OF_THINKING, self.dropped)
        value = part.values.get("thinking")
        if isinstance(value, str):
            return ReasoningBlock(text=value, at=part.at)
        text = ""
        for index, each in enumerate(value if isinstance(value, list) else ()):
            at = f"{part.path('thinking')}[{index}]"
            if isinstance(each, dict) and isinstance(each.get("text"), str):
                Fields(each, at).unread(_OF_TEXT, self.dropped)
                text += each["text"]
            else:
                self.dropped.append(at)
        return ReasoningBlock(text=text, at=part.at)

    def _image(self, part: Fields) -> Block:
        part.unread(_OF_IMAGE, self.dropped)
        image = part.values.get("image_url")
        holder = Fields({"url": image}, part.at) if isinstance(image, str) else part.object("image_url")
        url = (holder.text("url") if holder else None) or ""
        if holder is None or not url:
            part.refuse("image_url", "must be an object with a `url`")
        holder.unread(_OF_IMAGE_URL, self.dropped)
        name = "image_url" if isinstance(image, str) else "url"
        mark = cache_mark(part, self.dropped)
        return ImageBlock(
            source=source_of(holder, name, url), detail=holder.text("detail"), cache=mark, at=part.at
        )

    def _audio(self, part: Fields) -> Block:
        part.unread(_OF_AUDIO, self.dropped)
        audio = part.object("input_audio")
        if audio is None:
            part.refuse("input_audio", "must be an object with `data` and `format`")
        data = base64_of(audio, "data", audio.filled_text("data"))
        return AudioBlock(data=data, format=audio.filled_text("format"), at=part.at)

    def _file(self, part: Fields) -> Block:
        part.unread(_OF_FILE, self.dropped)
        file = part.object("file")
        if file is None:
            part.refuse("file", "must be an object with `file_data` or `file_id`")
        file.unread(_OF_FILE_BODY, self.dropped)
        name, mark = file.text("filename"), cache_mark(part, self.dropped)
        file_id = file.text("file_id")
        if file_id:
            if file.text("file_data"):
                self.dropped.append(file.path("file_data"))
            return DocumentBlock(source=FileSource(file_id), name=name, cache=mark, at=part.at)
        data = file.filled_text("file_data")
        source: Source = (
            source_of(file, "file_data", data)
            if data[:5].lower() == "data:"
            else DataSource("application/pdf", base64_of(file, "file_data", data))
        )
        match source:
            case DataSource(media_type=media_type) if media_type.startswith("image/"):
                if name:
                    self.dropped.append(file.path("filename"))
                return ImageBlock(source=source, cache=mark, at=part.at)
            case DataSource():
                source = readable(source)
        return DocumentBlock(source=source, name=name, cache=mark, at=part.at)
