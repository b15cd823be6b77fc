"""Content parts of a caller's items, as hub blocks.

Source: OpenAI's Responses reference, `ResponseInputContent` and `ResponseOutputMessage.content`
(openai-python 3.54.0). Parts of other formats that agents mix in (`text`, `image_url`) are read too.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from pi_model_proxy.dialects.media import base64_of, readable, source_of
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import (
    AudioBlock,
    CacheMark,
    DataSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    RawBlock,
    RefusalBlock,
    TextBlock,
    UrlSource,
)
from pi_model_proxy.wire import compact_json

__all__ = ["MARKS", "PartBlock", "cache_mark", "read_content", "texts_of"]

PartBlock: TypeAlias = TextBlock | RefusalBlock | ImageBlock | DocumentBlock | AudioBlock | RawBlock

MARKS: Final = frozenset({"cache_control", "prompt_cache_breakpoint"})
"""Members that mark the end of what is to be cached, in Anthropic's words and in OpenAI's."""

_TEXTS: Final = frozenset({"input_text", "output_text", "text", "summary_text", "reasoning_text"})
_OF_TEXT: Final = frozenset({"type", "text"}) | MARKS
_OF_REFUSAL: Final = frozenset({"type", "refusal"})
_OF_IMAGE: Final = frozenset({"type", "image_url", "file_id", "detail"}) | MARKS
_OF_FILE: Final = frozenset({"type", "file_id", "file_url", "file_data", "filename"}) | MARKS
_OF_AUDIO: Final = frozenset({"type", "input_audio", "data", "format"})
_OF_MARK: Final = {
    "prompt_cache_breakpoint": frozenset({"mode", "ttl"}),
    "cache_control": frozenset({"type", "ttl"}),
}
_TTLS: Final[dict[str, Literal["5m", "1h"] | None]] = {"5m": "5m", "1h": "1h", "30m": None, "12h": "1h"}
"""Anthropic's life times, and OpenAI's as the nearest of them; OpenAI's 30 minutes are its default."""


def cache_mark(holder: Fields, dropped: list[str]) -> CacheMark | None:
    """Return the mark that a part, an item or a tool carries; what of it is unknown is added to `dropped`."""
    if MARKS.isdisjoint(holder.values):
        return None
    for name, known in _OF_MARK.items():
        mark = holder.object(name)
        if mark is not None:
            mark.unread(known, dropped)
            ttl = mark.text("ttl")
            if ttl is not None and ttl not in _TTLS:
                dropped.append(mark.path("ttl"))
            return CacheMark(ttl=_TTLS.get(ttl or ""), at=mark.at)
    return None


def read_content(holder: Fields, name: str, dropped: list[str]) -> list[PartBlock]:
    """Return the blocks of a member that is a string or an array of parts; none when it is null.

    What of a part the hub has no words for is added to `dropped`.

    Raises:
        BadRequest: names the JSON path.
    """
    content = holder.values.get(name)
    at = holder.path(name)
    if content is None:
        return []
    if isinstance(content, str):
        return [TextBlock(text=content, at=at)]
    if isinstance(content, dict):  # one part without its array
        return [_part(Fields(content, at), dropped)]
    if not isinstance(content, list):
        holder.refuse(name, "must be a string or an array of parts")
    blocks: list[PartBlock] = []
    for index, part in enumerate(content):
        place = f"{at}[{index}]"
        if isinstance(part, str):
            blocks.append(TextBlock(text=part, at=place))
        elif isinstance(part, dict):
            blocks.append(_part(Fields(part, place), dropped))
        else:
            holder.refuse(f"{name}[{index}]", "must be an object with a `type`")
    return blocks


def texts_of(holder: Fields, name: str) -> list[str]:
    """Return the texts of an array of text parts (a summary); other parts have none."""
    return [part.text("text") or "" for part in holder.objects(name)]


def _part(part: Fields, dropped: list[str]) -> PartBlock:
    kind = part.text("type") or ("text" if "text" in part.values else "")
    if kind in _TEXTS:
        part.unread(_OF_TEXT, dropped)
        return TextBlock(text=part.text("text") or "", cache=cache_mark(part, dropped), at=part.at)
    match kind:
        case "refusal":
            part.unread(_OF_REFUSAL, dropped)
            return RefusalBlock(text=part.text("refusal") or "", at=part.at)
        case "input_image" | "image_url" | "computer_screenshot":
            part.unread(_OF_IMAGE, dropped)
            return _image(part, cache_mark(part, dropped))
        case "input_file":
            part.unread(_OF_FILE, dropped)
            return _file(part, cache_mark(part, dropped), dropped)
        case "input_audio":
            part.unread(_OF_AUDIO, dropped)
            return _audio(part)
        case "":
            part.refuse("type", "must name the part's type, e.g. `input_text` or `input_image`")
    return RawBlock(dialect=DIALECT, type_name=kind, data=compact_json(part.values).decode(), at=part.at)


def _image(part: Fields, cache: CacheMark | None) -> ImageBlock:
    detail, file_id = part.text("detail"), part.text("file_id")
    if file_id:
        return ImageBlock(source=FileSource(file_id), detail=detail, cache=cache, at=part.at)
    holder, name = part, "image_url"
    if isinstance(part.values.get("image_url"), dict):  # as chat writes it
        holder, name = part.object("image_url") or part, "url"
    source = source_of(holder, name, holder.filled_text(name))
    return ImageBlock(source=source, detail=detail or holder.text("detail"), cache=cache, at=part.at)


def _file(part: Fields, cache: CacheMark | None, dropped: list[str]) -> DocumentBlock | ImageBlock:
    name, file_id, url = part.text("filename"), part.text("file_id"), part.text("file_url")
    if file_id:
        return DocumentBlock(source=FileSource(file_id), name=name, cache=cache, at=part.at)
    if url:
        return DocumentBlock(source=UrlSource(url), name=name, cache=cache, at=part.at)
    data = part.text("file_data")
    if not data:
        part.refuse("file_data", "must be given, or `file_url`, or `file_id`")
    if data[:5].lower() == "data:":
        source = source_of(part, "file_data", data)
    else:
        source = DataSource(media_type="application/pdf", data=base64_of(part, "file_data", data))
    if isinstance(source, DataSource) and source.media_type.startswith("image/"):
        dropped += [part.path("filename")] if name else []  # pictures have no names
        return ImageBlock(source=source, cache=cache, at=part.at)
    document = readable(source) if isinstance(source, DataSource) else source
    return DocumentBlock(source=document, name=name, cache=cache, at=part.at)


def _audio(part: Fields) -> AudioBlock:
    audio = part.object("input_audio") or part
    return AudioBlock(
        data=base64_of(audio, "data", audio.filled_text("data")),
        format=audio.filled_text("format"),
        at=part.at,
    )
