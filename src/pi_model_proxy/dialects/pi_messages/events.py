"""The events of a pi-messages stream, as far as we read them.

Source: pi 1.5.2 `dist/api/pi-messages.d.ts` (`PiMessagesEvent`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pi_model_proxy.dialects.answer_json import Count, read_answer, whole_count
from pi_model_proxy.hub import Usage

__all__ = ["StreamEvent", "ToolCall", "usage_of"]

_NOTHING = msgspec.Raw()


class ToolCall(msgspec.Struct, rename="camel"):
    """A call as it is in the end."""

    arguments: dict[str, Any] | None = None
    thought_signature: str | None = None
    arguments_error: str | None = None
    """Why the arguments could not be read; they are empty then."""


class StreamEvent(msgspec.Struct, rename="camel"):
    """Any event: which of the fields it has follows from its type."""

    type: str = ""
    content_index: int | None = None
    delta: str = ""
    content: str | None = None
    content_signature: str | None = None
    redacted: bool | None = None
    id: str | None = None
    tool_name: str | None = None
    tool_call: ToolCall | None = None
    reason: str = ""
    usage: msgspec.Raw = _NOTHING
    error_message: str | None = None
    response_id: str | None = None
    response_model: str | None = None
    error: msgspec.Raw = _NOTHING


class _Usage(msgspec.Struct, rename="camel"):
    input: Count = None
    output: Count = None
    cache_read: Count = None
    cache_write: Count = None
    cache_write_1h: Count = msgspec.field(name="cacheWrite1h", default=None)
    reasoning: Count = None


def usage_of(raw: msgspec.Raw) -> Usage | None:
    """Return the counts; None when there are none. pi keeps cached tokens beside `input`, not inside."""
    said = read_answer(raw, _Usage)
    if said is None:
        return None
    written, output = whole_count(said.cache_write), whole_count(said.output)
    long = min(written, whole_count(said.cache_write_1h))
    return Usage(
        input=whole_count(said.input),
        cache_read=whole_count(said.cache_read),
        cache_write_5m=written - long,
        cache_write_1h=long,
        output=output,
        reasoning=min(output, whole_count(said.reasoning)),
    )
