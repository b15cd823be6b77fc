"""Single parts as Google's API takes and gives them: media, calls, and what their arguments must be."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from pi_model_proxy.dialects.contents import arguments_object
from pi_model_proxy.dialects.google_gemini.chunks import DIALECT
from pi_model_proxy.dialects.names import wrap_input
from pi_model_proxy.dialects.surrogates import clean_json, clean_text
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    DataSource,
    DocumentBlock,
    ImageBlock,
    RawBlock,
    ToolCallBlock,
    UrlSource,
)

__all__ = [
    "answer_part",
    "are_args_whole",
    "args_object",
    "audio_part",
    "call_part",
    "data_part",
    "heading_of",
    "malformed_message",
    "raw_part",
    "url_part",
]

_object_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_AUDIO_TYPES: Final = {"mp3": "audio/mp3", "wav": "audio/wav"}
_BY_SUFFIX: Final = {
    "png": "image/png",
    "webp": "image/webp",
    "heic": "image/heic",
    "heif": "image/heif",
    "gif": "image/gif",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "html": "text/html",
    "csv": "text/csv",
    "md": "text/markdown",
}
"""Google wants a type beside an address; the end of the path is all there is to tell it by."""
MAX_SHOWN_CHARS: Final = 200
_TYPE_ALIASES: Final = {"image/jpg": "image/jpeg"}

Json = dict[str, Any]


def data_part(source: DataSource) -> Json:
    """Return bytes as a part."""
    media_type = source.media_type.lower()
    return {"inlineData": {"mimeType": _TYPE_ALIASES.get(media_type, media_type), "data": source.data}}


def url_part(source: UrlSource, default_type: str) -> Json:
    """Return an address as a part; Google fetches it (since January 2026, public and signed ones)."""
    try:
        suffix = urlsplit(source.url).path.rpartition(".")[2].lower()
    except ValueError:
        suffix = ""
    return {"fileData": {"mimeType": _BY_SUFFIX.get(suffix, default_type), "fileUri": clean_text(source.url)}}


def audio_part(block: AudioBlock) -> Json:
    """Return sound as a part."""
    media_type = _AUDIO_TYPES.get(block.format, f"audio/{block.format}")
    return {"inlineData": {"mimeType": media_type, "data": block.data}}


def heading_of(document: DocumentBlock) -> str:
    """Return a document's name and context as text before it: this format has no place for them."""
    lines = [clean_text(line) for line in (document.name, document.context) if line]
    return "\n".join(lines) + "\n\n" if lines else ""


def raw_part(block: RawBlock) -> Json:
    """Return a part of this very format."""
    part: Json = clean_json(_object_decoder.decode(block.data))
    return part


def are_args_whole(arguments: str) -> bool:
    """Tell whether a call's arguments are a complete JSON object; none at all are, too."""
    if not arguments.strip():
        return True
    try:
        _object_decoder.decode(arguments)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False
    return True


def args_object(arguments: str) -> Json:
    """Return arguments as the object that `args` must be; what is none is kept under `_raw`."""
    args: Json = clean_json(arguments_object(arguments))
    return args


# Answers.


def call_part(block: ToolCallBlock, arguments: str, *, signature: str | None, made_id: str) -> Json:
    """Return a call of an answer; `made_id` stands in where the upstream gave none."""
    args = wrap_input(arguments) if block.custom else arguments
    call = {"id": block.id or made_id, "name": block.name, "args": args_object(args)}
    part: Json = {"functionCall": call}
    if signature:
        part["thoughtSignature"] = signature
    return part


def answer_part(block: Block) -> Json | None:
    """Return a part of an answer that is neither text, thinking nor call; None for what callers could not read."""
    match block:
        case ImageBlock(source=DataSource() as source):
            return data_part(source)
        case RawBlock(dialect=dialect) if dialect == DIALECT:
            return raw_part(block)
        case AudioBlock():
            return audio_part(block)
        case _:
            return None


def malformed_message(name: str, arguments: str) -> str:
    """Return what is said of a call whose arguments broke off."""
    shown = arguments[:MAX_SHOWN_CHARS]
    return f"The call of {name} broke off before its arguments were complete: {shown}"
