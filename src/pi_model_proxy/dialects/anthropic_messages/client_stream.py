"""An upstream's event stream, read into hub events.

Source: dialects.md §2.1, §2.7 (rules), §5.1. Compatible servers bend the grammar: `event:` lines or
`message_start` missing, whole inputs in `content_block_start`, `[DONE]` at the end, unknown events.
What can be understood is; an answer that stops without `message_stop` never counts as complete.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.client_blocks import BlockWriter
from pi_model_proxy.dialects.anthropic_messages.stop_reasons import finish_of
from pi_model_proxy.dialects.anthropic_messages.stream_events import FAMILY, StreamEvent, read_event
from pi_model_proxy.dialects.anthropic_messages.usage import UsageTally
from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Event, Failure, Ping, Start, UsageUpdate
from pi_model_proxy.wire import Frame, FrameDecoder

__all__ = ["MessagesStreamDecoder"]

CUT_SHORT: Final = "The provider's answer broke off before `message_stop`; try again."
_END_MARK: Final = b"[DONE]"
"""Some compatible servers end as OpenAI does; it says nothing that `message_stop` has not said."""


class MessagesStreamDecoder:
    """One answer's bytes to events; see `StreamDecoder`."""

    def __init__(self, names: ToolNames) -> None:
        self.done = False
        self._frames = FrameDecoder()
        self._tally = UsageTally()
        self._blocks = BlockWriter(names)
        self._started = False
        self._stop_reason: str | None = None
        self._stop_sequence: str | None = None
        self._detail: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """See `StreamDecoder.feed`."""
        if self.done:
            return []
        events: list[Event] = []
        try:
            for frame in self._frames.feed(chunk):
                self._take(frame, events)
                if self.done:
                    break
        except BrokenStream as error:
            self._fail(error, events)
        return events

    def close(self) -> list[Event]:
        """See `StreamDecoder.close`."""
        if self.done:
            return []
        events: list[Event] = []
        try:
            for frame in self._frames.close():
                self._take(frame, events)
        except BrokenStream as error:
            self._fail(error, events)
        if not self.done:
            self._fail(BrokenStream(CUT_SHORT), events)
        return events

    def _fail(self, error: UpstreamError, events: list[Event]) -> None:
        self.done = True
        events.append(Failure(error))

    def _take(self, frame: Frame, events: list[Event]) -> None:
        if not frame.data or frame.data == _END_MARK:
            return
        event = read_event(frame)
        match event.type or frame.event:
            case "content_block_delta":
                self._ensure_started(events)
                self._blocks.delta(event, events)
            case "content_block_start":
                self._ensure_started(events)
                self._blocks.start(event, events)
            case "content_block_stop":
                self._blocks.stop(events)
            case "message_start":
                self._start(event, events)
            case "message_delta":
                self._message_delta(event, events)
            case "message_stop":
                self._stop(events)
            case "error":
                self._fail(error_from_payload(_payload(frame.data), family=FAMILY), events)
            case "ping" if self._started:
                events.append(Ping())

    def _start(self, event: StreamEvent, events: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        message = event.message
        if message is None:
            events.append(Start())
            return
        usage = self._tally.take(message.usage)
        events.append(Start(id=message.id or "", model=message.model or "", usage=usage))

    def _ensure_started(self, events: list[Event]) -> None:
        if not self._started:
            self._started = True
            events.append(Start())

    def _message_delta(self, event: StreamEvent, events: list[Event]) -> None:
        self._ensure_started(events)
        self._blocks.stop(events)
        delta = event.delta
        if delta is not None:
            self._stop_reason = delta.stop_reason or self._stop_reason
            self._stop_sequence = delta.stop_sequence or self._stop_sequence
            if delta.stop_details is not None:
                self._detail = delta.stop_details.explanation or delta.stop_details.category
        usage = self._tally.take(event.usage)
        if usage is not None and event.usage is not None:
            events.append(UsageUpdate(usage))

    def _stop(self, events: list[Event]) -> None:
        if self._stop_reason is None:
            raise BrokenStream("The provider ended its answer without a `stop_reason`; try again.")
        self._blocks.stop(events)
        events.append(
            finish_of(
                self._stop_reason,
                called=self._blocks.called,
                stop_sequence=self._stop_sequence,
                detail=self._detail,
            )
        )
        self.done = True


def _payload(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Return an error's JSON; its words may hold bytes that are no UTF-8."""
    try:
        return msgspec.json.decode(mend_body(data.decode("utf-8", "replace").encode()))
    except (ValueError, RecursionError) as error:
        raise BrokenStream("The provider sent an error that cannot be read; try again.") from error
