"""The JSON of Bedrock's events and answers, as far as we read it.

Source: botocore 1.44.5, service model `bedrock-runtime` (`ConverseStreamOutput`, `ConverseResponse`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pi_model_proxy.dialects.answer_json import Count, read_answer, whole_count
from pi_model_proxy.hub import Citation, Usage

__all__ = ["Answer", "Delta", "Payload", "Reasoning", "Stopped", "citation", "usage_of"]

_NOTHING = msgspec.Raw()


class ToolUse(msgspec.Struct, rename="camel"):
    tool_use_id: str = ""
    name: str = ""
    input: str | dict[str, Any] | None = None
    """In a stream a piece of text, in a whole answer the object."""


class ReasoningText(msgspec.Struct, rename="camel"):
    text: str = ""
    signature: str | None = None


class Reasoning(msgspec.Struct, rename="camel"):
    """Thinking: in a stream the text itself, in a whole answer within `reasoningText`."""

    text: str | None = None
    signature: str | None = None
    redacted_content: str | None = None
    """Base64."""
    reasoning_text: ReasoningText | None = None


class CitedText(msgspec.Struct, rename="camel"):
    text: str = ""


class CitationsContent(msgspec.Struct, rename="camel"):
    content: list[CitedText] | None = None
    citations: list[msgspec.Raw] | None = None


class Delta(msgspec.Struct, rename="camel"):
    """More of a block, or a whole one."""

    text: str | None = None
    tool_use: ToolUse | None = None
    reasoning_content: Reasoning | None = None
    citation: msgspec.Raw = _NOTHING
    citations_content: CitationsContent | None = None


class Stopped(msgspec.Struct):
    """What Claude tells of its own when asked for it."""

    stop_sequence: str | None = None


class Payload(msgspec.Struct, rename="camel"):
    """Any event or exception: which of the fields it has follows from its type."""

    content_block_index: int = 0
    start: Delta | None = None
    delta: Delta | None = None
    stop_reason: str = ""
    additional_model_response_fields: msgspec.Raw = _NOTHING
    usage: msgspec.Raw = _NOTHING
    message: str | None = None
    original_status_code: int | None = None
    original_message: str | None = None


class Message(msgspec.Struct, rename="camel"):
    content: list[Delta] | None = None


class Output(msgspec.Struct, rename="camel"):
    message: Message | None = None


class Answer(msgspec.Struct, rename="camel"):
    """An answer that was not streamed."""

    output: Output | None = None
    stop_reason: str = ""
    additional_model_response_fields: msgspec.Raw = _NOTHING
    usage: msgspec.Raw = _NOTHING


class _CacheDetail(msgspec.Struct, rename="camel"):
    ttl: str = ""
    input_tokens: Count = None


class _Usage(msgspec.Struct, rename="camel"):
    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_write_input_tokens: Count = None
    cache_details: list[_CacheDetail] | None = None


class _Web(msgspec.Struct, rename="camel"):
    url: str | None = None


class _Location(msgspec.Struct, rename="camel"):
    web: _Web | None = None


class _Citation(msgspec.Struct, rename="camel"):
    title: str | None = None
    source_content: list[CitedText] | None = None
    location: msgspec.Raw = _NOTHING


def usage_of(raw: msgspec.Raw) -> Usage | None:
    """Return the counts; None when there are none. Cached tokens are beside `inputTokens`, not inside."""
    said = read_answer(raw, _Usage)
    if said is None:
        return None
    written = whole_count(said.cache_write_input_tokens)
    long = sum(whole_count(detail.input_tokens) for detail in said.cache_details or () if detail.ttl == "1h")
    return Usage(
        input=whole_count(said.input_tokens),
        cache_read=whole_count(said.cache_read_input_tokens),
        cache_write_5m=max(0, written - long),
        cache_write_1h=long,
        output=whole_count(said.output_tokens),
    )


def citation(raw: msgspec.Raw, dialect: str) -> Citation | None:
    """Return a citation; None when it is no object."""
    said = read_answer(raw, _Citation)
    if said is None:
        return None
    location = read_answer(said.location, _Location)
    cited = "".join(part.text for part in said.source_content or ())
    return Citation(
        url=location.web.url if location is not None and location.web is not None else None,
        title=said.title,
        cited_text=cited or None,
        dialect=dialect,
        raw=bytes(raw).decode("utf-8", "replace"),
    )
