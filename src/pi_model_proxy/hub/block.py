"""What a conversation is made of: ordered blocks, richer than any one dialect.

Source of the list: `openai_chat`, `openai_responses` and `anthropic_messages` request and answer
schemas; the rules of replay (`Opaque`) follow what each vendor documents for thinking signatures
and encrypted reasoning.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

__all__ = [
    "AudioBlock",
    "Block",
    "CacheMark",
    "Citation",
    "DataSource",
    "DocumentBlock",
    "FileSource",
    "ImageBlock",
    "Opaque",
    "RawBlock",
    "ReasoningBlock",
    "RefusalBlock",
    "Source",
    "TextBlock",
    "TextSource",
    "ToolCallBlock",
    "ToolResultBlock",
    "UrlSource",
]


class CacheMark(msgspec.Struct, frozen=True):
    """Ask the upstream to cache the prompt up to and including the block that carries it."""

    ttl: Literal["5m", "1h"] | None = None
    """None: the upstream's default life time."""
    at: str = ""
    """JSON path of the mark itself, as the caller spelt it; empty for marks of our own."""


class Opaque(msgspec.Struct, frozen=True, kw_only=True):
    """A token that only its maker can read; replayed byte for byte to where it came from, or dropped."""

    kind: Literal[
        "anthropic_signature",
        "anthropic_redacted",
        "openai_encrypted",
        "reasoning_details",
        "gemini_signature",
        "pi_signature",
        "pi_redacted",
    ]
    data: str
    """As received. For `reasoning_details`: the JSON text of the list."""
    item_id: str | None = None
    """The id that must travel with it (Responses reasoning items)."""
    origin: str = ""
    """`provider/model` that made it, when the way back told; empty: unknown, believed by its kind alone."""


class DataSource(msgspec.Struct, frozen=True, tag="data"):
    """Bytes sent along with the request."""

    media_type: str
    data: str
    """Standard base64."""


class UrlSource(msgspec.Struct, frozen=True, tag="url"):
    """A web address that the upstream fetches; we never do."""

    url: str


class FileSource(msgspec.Struct, frozen=True, tag="file"):
    """A file stored at the provider whose dialect names it."""

    file_id: str


class TextSource(msgspec.Struct, frozen=True, tag="text"):
    """A plain-text document."""

    text: str


Source: TypeAlias = DataSource | UrlSource | FileSource | TextSource


class Citation(msgspec.Struct, frozen=True, kw_only=True):
    """Where a stretch of the answer's text comes from."""

    url: str | None = None
    title: str | None = None
    cited_text: str | None = None
    start: int | None = None
    """First character of the stretch within its text block; None when the whole block is meant."""
    end: int | None = None
    dialect: str = ""
    raw: str = ""
    """The citation as its dialect wrote it (JSON text), for the same dialect on the way out."""


class TextBlock(msgspec.Struct, frozen=True, tag="text", kw_only=True):
    """Plain text."""

    text: str
    citations: tuple[Citation, ...] = ()
    cache: CacheMark | None = None
    at: str = ""
    """JSON path in the caller's request; empty in answers. So for every block."""


class RefusalBlock(msgspec.Struct, frozen=True, tag="refusal", kw_only=True):
    """The model's words for declining."""

    text: str
    at: str = ""


class ImageBlock(msgspec.Struct, frozen=True, tag="image", kw_only=True):
    """A picture."""

    source: Source
    detail: str | None = None
    cache: CacheMark | None = None
    at: str = ""


class DocumentBlock(msgspec.Struct, frozen=True, tag="document", kw_only=True):
    """A PDF or text file."""

    source: Source
    name: str | None = None
    context: str | None = None
    citations: bool = False
    cache: CacheMark | None = None
    at: str = ""


class AudioBlock(msgspec.Struct, frozen=True, tag="audio", kw_only=True):
    """Sound."""

    data: str
    """Standard base64."""
    format: str
    """`wav` or `mp3`."""
    at: str = ""


class ReasoningBlock(msgspec.Struct, frozen=True, tag="reasoning", kw_only=True):
    """The model's thinking; may be empty text with an opaque token only."""

    text: str = ""
    opaque: Opaque | None = None
    summary: bool = False
    """True when `text` is a summary the provider wrote, not the thinking itself."""
    field: str = ""
    """The chat field the text arrived in (`reasoning_content`, `reasoning`, ...), for replay; empty elsewhere."""
    at: str = ""


class ToolCallBlock(msgspec.Struct, frozen=True, tag="tool_call", kw_only=True):
    """The model wants a tool to run."""

    id: str
    name: str
    arguments: str = ""
    """JSON text as written; may be empty or broken. For a custom tool: its free-form input."""
    custom: bool = False
    namespace: str | None = None
    item_id: str | None = None
    """The Responses item id (`fc_...`), which pairs with a reasoning item."""
    opaque: Opaque | None = None
    cache: CacheMark | None = None
    at: str = ""


class ToolResultBlock(msgspec.Struct, frozen=True, tag="tool_result", kw_only=True):
    """What a tool gave back."""

    call_id: str
    content: tuple[TextBlock | ImageBlock | DocumentBlock | RawBlock, ...] = ()
    is_error: bool = False
    name: str | None = None
    cache: CacheMark | None = None
    at: str = ""


class RawBlock(msgspec.Struct, frozen=True, tag="raw", kw_only=True):
    """Something only one dialect can say; kept as JSON text for that dialect, dropped and listed elsewhere."""

    dialect: str
    type_name: str
    """The dialect's own type name, e.g. `server_tool_use`."""
    data: str
    """JSON text of the whole block or item."""
    at: str = ""


Block: TypeAlias = (
    TextBlock
    | RefusalBlock
    | ImageBlock
    | DocumentBlock
    | AudioBlock
    | ReasoningBlock
    | ToolCallBlock
    | ToolResultBlock
    | RawBlock
)
