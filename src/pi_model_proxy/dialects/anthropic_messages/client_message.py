"""An upstream's whole answer (some ignore `stream`), read into the same events as its stream.

Source: dialects.md §2.1 (`message`), §6.1 (200 with an error body).
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.client_blocks import BlockWriter
from pi_model_proxy.dialects.anthropic_messages.stop_reasons import finish_of
from pi_model_proxy.dialects.anthropic_messages.stream_events import FAMILY, StopDetails, StreamEvent
from pi_model_proxy.dialects.anthropic_messages.usage import UsageReport, UsageTally
from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Event, Failure, Start, Usage, UsageUpdate

__all__ = ["MessageEnds", "WholeMessage", "decode_message", "read_message"]


class MessageEnds(msgspec.Struct):
    """A `message` object without its content; everything optional, so that a foreign object can be told from a broken one."""

    type: str | None = None
    id: str | None = None
    model: str | None = None
    stop_reason: str | None = None
    stop_sequence: str | None = None
    stop_details: StopDetails | None = None
    usage: UsageReport | None = None

    @property
    def detail(self) -> str | None:
        """Why the model declined, when it says so."""
        details = self.stop_details
        return None if details is None else details.explanation or details.category


class WholeMessage(MessageEnds):
    """A `message` object."""

    content: list[msgspec.Raw] | None = None
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_message_decoder = msgspec.json.Decoder(WholeMessage)
_NOT_A_MESSAGE: Final = (
    "The provider answered 200 with something that is no message; check the provider's base URL."
)


def read_message(body: bytes) -> WholeMessage | UpstreamError:
    """Return the answer, or what went wrong when it is none."""
    body = mend_body(body)
    try:
        message = _message_decoder.decode(body)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return BrokenStream(f"{_NOT_A_MESSAGE} ({error})")
    if message.type == "error" or (message.content is None and _says_error(message)):
        return error_from_payload(msgspec.json.decode(body), family=FAMILY)
    if message.content is None or message.stop_reason is None:
        return BrokenStream(_NOT_A_MESSAGE)
    return message


def _says_error(message: WholeMessage) -> bool:
    return isinstance(message.error, msgspec.Raw) and bytes(message.error) not in {b"null", b"false", b'""'}


def decode_message(body: bytes, names: ToolNames) -> list[Event]:
    """Return the events of a plain answer; a failure is the only event when it is none."""
    message = read_message(body)
    if isinstance(message, UpstreamError):
        return [Failure(message)]
    usage = UsageTally().take(message.usage) or Usage()
    events: list[Event] = [Start(id=message.id or "", model=message.model or "", usage=usage)]
    blocks = BlockWriter(names)
    try:
        for index, raw in enumerate(message.content or ()):
            blocks.start(StreamEvent(index=index, content_block=raw), events)
        blocks.stop(events)
    except BrokenStream as error:
        return [Failure(error)]
    finish = finish_of(
        message.stop_reason or "",
        called=blocks.called,
        stop_sequence=message.stop_sequence,
        detail=message.detail,
    )
    return [*events, UsageUpdate(usage), finish]
