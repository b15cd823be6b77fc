"""The events of an upstream's stream as types; fields nobody needs are not even decoded.

Source: dialects.md §2.1 (event table).
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.usage import UsageReport
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.wire import Frame

__all__ = ["FAMILY", "KNOWN_EVENTS", "ContentBlock", "StreamEvent", "read_event"]

FAMILY: Final = "anthropic"
KNOWN_EVENTS: Final = frozenset({
    "message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta",
    "content_block_stop", "ping", "error",
})  # fmt: skip


_ABSENT: Final = msgspec.Raw()
"""Raw JSON that is not there is empty: msgspec knows no `Raw | None`."""


class StopDetails(msgspec.Struct, gc=False):
    """Why the model declined."""

    category: str | None = None
    explanation: str | None = None


class Delta(msgspec.Struct, gc=False):
    """`delta` of a block's or the message's event."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: msgspec.Raw = _ABSENT
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None


class ContentBlock(msgspec.Struct, gc=False):
    """`content_block` as far as its kind is known."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    data: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = _ABSENT
    citations: list[msgspec.Raw] | None = None


class MessageStub(msgspec.Struct, gc=False):
    """`message` of a `message_start`."""

    id: str | None = None
    model: str | None = None
    usage: UsageReport | None = None


class StreamEvent(msgspec.Struct, gc=False):
    """Any event."""

    type: str = ""
    index: int | None = None
    delta: Delta | None = None
    content_block: msgspec.Raw = _ABSENT
    message: MessageStub | None = None
    usage: UsageReport | None = None


class _Type(msgspec.Struct, gc=False):
    type: str | None = None


_event_decoder = msgspec.json.Decoder(StreamEvent)
_type_decoder = msgspec.json.Decoder(_Type)


def read_event(frame: Frame) -> StreamEvent:
    """Return what a frame says; an event of an unknown type may hold anything.

    Raises:
        BrokenStream: not JSON, or a known event whose members are of the wrong type.
    """
    try:
        return _event_decoder.decode(frame.data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        mended = mend_body(frame.data)
        if mended is not frame.data:
            return read_event(Frame(frame.event, mended))
        type_name = _type_of(frame)
        if type_name in KNOWN_EVENTS - {"error", "ping"} or not type_name:
            raise BrokenStream(
                f"The provider sent an event that is no valid JSON of its kind ({error})."
            ) from error
        return StreamEvent(type=type_name)


def _type_of(frame: Frame) -> str:
    try:
        return _type_decoder.decode(frame.data).type or frame.event
    except (msgspec.DecodeError, ValueError, RecursionError):
        return "" if frame.event in KNOWN_EVENTS else frame.event
