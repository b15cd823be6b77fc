"""The JSON of a Responses stream, as far as we read it.

Source: OpenAI's Responses streaming reference. Every field may be absent: llama.cpp (b11434)
numbers neither events nor items nor parts, GitHub Copilot changes item ids from event to event.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from pi_model_proxy.hub import Citation, Usage

__all__ = ["Annotation", "Content", "Item", "Response", "StreamEvent", "citation", "read"]

T = TypeVar("T")
_NOTHING = msgspec.Raw()


class StreamEvent(msgspec.Struct, gc=False):
    """Any event: which of the fields it has follows from its type."""

    type: str = ""
    delta: str | None = None
    item_id: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    item: msgspec.Raw = _NOTHING
    annotation: msgspec.Raw = _NOTHING
    response: msgspec.Raw = _NOTHING


class Content(msgspec.Struct):
    """A part of a message, of a summary or of reasoning."""

    type: str = ""
    text: str | None = None
    refusal: str | None = None
    annotations: list[msgspec.Raw] | None = None


class Item(msgspec.Struct):
    """An output item of a type that we translate."""

    type: str = ""
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    namespace: str | None = None
    arguments: str | dict[str, Any] | None = None
    """Text; some servers write the object itself."""
    input: str | None = None
    content: list[Content] | None = None
    summary: list[Content] | None = None
    encrypted_content: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class Response(msgspec.Struct):
    """The answer as a whole: in the first and last events of a stream, or alone."""

    object: str = ""
    id: str | None = None
    model: str | None = None
    status: str | None = None
    output: list[msgspec.Raw] | None = None
    usage: msgspec.Raw = _NOTHING
    incomplete_details: msgspec.Raw = _NOTHING
    error: msgspec.Raw = _NOTHING

    @property
    def incomplete_reason(self) -> str | None:
        """Why the answer was cut."""
        details = read(self.incomplete_details, _Incomplete)
        return details.reason if details else None

    @property
    def counts(self) -> Usage | None:
        """What the answer used; None when it does not say."""
        said = read(self.usage, _Usage)
        return _apart(said) if said else None


class Annotation(msgspec.Struct):
    """Where a stretch of text comes from."""

    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None


def read(raw: msgspec.Raw | bytes, shape: type[T]) -> T | None:
    """Return the JSON in `raw` as `shape`, or None when it is absent, null or something else."""
    try:
        return msgspec.json.decode(raw, type=shape)
    except (ValueError, RecursionError):  # msgspec's DecodeError and bad UTF-8 are ValueErrors
        return None


def citation(raw: msgspec.Raw, dialect: str) -> Citation | None:
    """Return an annotation as a citation; None when it is no object."""
    said = read(raw, Annotation)
    if said is None:
        return None
    return Citation(
        url=said.url,
        title=said.title,
        start=said.start_index,
        end=said.end_index,
        dialect=dialect,
        raw=bytes(raw).decode("utf-8", "replace"),
    )


def _apart(counts: _Usage) -> Usage:
    """Return the counts without overlap: OpenAI includes cached and cache-write tokens in `input_tokens`."""
    details = counts.input_tokens_details or _InputDetails()
    thought = counts.output_tokens_details or _OutputDetails()
    cached = max(0, details.cached_tokens or 0)
    written = max(0, details.cache_write_tokens or 0)
    return Usage(
        input=max(0, (counts.input_tokens or 0) - cached - written),
        cache_read=cached,
        cache_write_5m=written,
        output=max(0, counts.output_tokens or 0),
        reasoning=max(0, thought.reasoning_tokens or 0),
    )
