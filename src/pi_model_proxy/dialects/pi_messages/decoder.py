"""An upstream's pi-messages stream as hub events.

Blocks are numbered and may overlap; the `..._end` of each repeats all of it, of which only what the
deltas left out is passed on.

Source: pi 1.5.2 `dist/api/pi-messages.js` (`createEventConverter`: a number must be that of an open
block or the next one; a stream without `done` or `error` is broken).
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.answer_blocks import AnswerBlocks
from pi_model_proxy.dialects.answer_json import read_answer
from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.pi_messages.events import StreamEvent, ToolCall, usage_of
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Event, Failure, Finish, FinishReason, Opaque, Start, UsageUpdate
from pi_model_proxy.wire import Frame, FrameDecoder, compact_json

__all__ = ["FAMILY", "PiMessagesDecoder"]

FAMILY: Final = ""
"""The words are those of whichever provider is behind."""
_DONE: Final = b"[DONE]"
_NO_ERROR: Final = frozenset({b"", b"null"})
_REASONS: Final[dict[str, FinishReason]] = {"stop": "stop", "length": "length", "toolUse": "tool_calls"}
_CUT: Final = "The provider closed the connection before its answer was complete; try again."
_STATUS: Final = re.compile(r"\s*([45]\d\d)\b")
"""pi's error texts begin with the status, where the provider behind gave one."""
_event_decoder: Final = msgspec.json.Decoder(StreamEvent)


class PiMessagesDecoder:
    """Implements `StreamDecoder`.

    `Start` waits for the first block: an `error` before that comes when another target could still be tried.
    """

    def __init__(self, names: ToolNames) -> None:
        self.done = False
        self._frames = FrameDecoder()
        self._blocks = AnswerBlocks(names)
        self._events: list[Event] = []
        self._started = False
        self._begun = 0
        """How many blocks have begun."""
        self._bare_calls: set[int] = set()
        """Calls whose arguments have not been said."""

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        try:
            self._read_frames(self._frames.feed(chunk))
        except UpstreamError as error:
            self._fail(error)
        return self._take()

    def close(self) -> list[Event]:
        if self.done:
            return []
        try:
            self._read_frames(self._frames.close())
            if not self.done:
                raise BrokenStream(_CUT)
        except UpstreamError as error:
            self._fail(error)
        return self._take()

    def whole(self, body: bytes) -> list[Event]:
        """Return why an answer that is no stream is none: the format has no other form."""
        payload = read_answer(body, dict[str, Any])
        if payload and any(payload.get(name) for name in ("error", "message", "detail")):
            self._fail(error_from_payload(payload, family=FAMILY))
        else:
            self._fail(
                BrokenStream("The provider's answer is no pi-messages stream; check the model's API kind.")
            )
        return self._take()

    def _take(self) -> list[Event]:
        self._flush()
        events, self._events = self._events, []
        return events

    def _flush(self, start: Start | None = None) -> None:
        """Line up what the blocks have become; `Start` before anything else."""
        said = self._blocks.take()
        if not self._started and (said or start is not None):
            self._started = True
            self._events.append(start or Start())
        self._events += said

    def _fail(self, error: UpstreamError) -> None:
        self._flush()
        self.done = True
        self._events.append(Failure(error))

    def _read_frames(self, frames: list[Frame]) -> None:
        for frame in frames:
            data = frame.data.strip()
            if data and data != _DONE:
                self._read(frame)
                self._flush()
            if self.done:
                return

    def _read(self, frame: Frame) -> None:
        try:
            event: StreamEvent | None = _event_decoder.decode(frame.data)
        except (ValueError, RecursionError):
            event = read_answer(frame.data, StreamEvent)
        if event is None:
            raise BrokenStream(
                "The provider sent an event of another form than its format has; the answer was given up."
            )
        name, _, phase = event.type.partition("_")
        if name in _KINDS and phase in _PHASES:
            self._read_block(event, name, phase, self._number(event))
        elif event.type == "done":
            self._end(event)
        elif event.type == "error" or bytes(event.error) not in _NO_ERROR:
            self._read_error(event, frame)

    def _number(self, event: StreamEvent) -> int:
        """Return which block an event is about.

        Raises:
            BrokenStream: there is no such block.
        """
        number = event.content_index
        is_start = event.type.endswith("_start")
        limit = self._begun if is_start else self._begun - 1
        if number is None or not 0 <= number <= limit:
            raise BrokenStream(
                f"The provider sent `{event.type}` for block {number}, which is not there; the answer was given up."
            )
        if is_start:
            self._begun = max(self._begun, number + 1)
        return number

    def _read_block(self, event: StreamEvent, name: str, phase: str, number: int) -> None:
        match name, phase:
            case "toolcall", "start":
                self._blocks.call(number, event.tool_name or "", call_id=event.id or "")
                self._bare_calls.add(number)
            case "toolcall", "delta":
                self._argue(number, event.delta)
            case "toolcall", "end":
                self._end_call(number, event.tool_call or ToolCall())
            case _, "end":
                self._end_text(number, event)
            case _:
                # pi begins a block of text or thinking with nothing in it; so do we, for it may stay empty.
                self._blocks.say(number, "reasoning" if name == "thinking" else "text", event.delta)

    def _argue(self, number: int, text: str) -> None:
        if text and self._blocks.argue(number, text):
            self._bare_calls.discard(number)

    def _end_call(self, number: int, call: ToolCall) -> None:
        if number in self._bare_calls and call.arguments and not call.arguments_error:
            self._argue(number, compact_json(call.arguments).decode())
        if call.thought_signature and self._blocks.kind_of(number) == "call":
            self._blocks.seal(number, Opaque(kind="pi_signature", data=call.thought_signature))
        self._blocks.stop(number)

    def _end_text(self, number: int, event: StreamEvent) -> None:
        if event.content:
            self._blocks.complete(number, event.content)
        if event.content_signature and self._blocks.kind_of(number) == "reasoning":
            data = event.content_signature
            self._blocks.seal(
                number,
                Opaque(kind="pi_redacted", data=data)
                if event.redacted
                else Opaque(kind="pi_signature", data=data),
            )
        self._blocks.stop(number)

    def _count(self, event: StreamEvent) -> None:
        usage = usage_of(event.usage)
        if usage is not None and self._started:
            self._events.append(UsageUpdate(usage))

    def _end(self, event: StreamEvent) -> None:
        reason = _REASONS.get(event.reason)
        if reason is None:
            raise UpstreamError(f"The provider broke its answer off: {event.reason[:100]!r}.", family=FAMILY)
        self._blocks.stop_all()
        self._flush(Start(id=event.response_id or "", model=event.response_model or ""))
        self._count(event)
        if self._blocks.called and reason == "stop":
            reason = "tool_calls"
        elif reason == "tool_calls" and not self._blocks.called:
            reason = "stop"
        self._events.append(Finish(reason=reason, native=event.reason))
        self.done = True

    def _read_error(self, event: StreamEvent, frame: Frame) -> None:
        """Raise what an `error` event says; the answer's counts, which it may bring, go first."""
        self._flush()
        self._count(event)
        if event.error_message is None:
            raise error_from_payload(read_answer(frame.data, object), family=FAMILY)
        found = _STATUS.match(event.error_message)
        raise error_from_payload(
            {"message": event.error_message}, family=FAMILY, status=int(found[1]) if found else None
        )


_KINDS: Final = frozenset({"text", "thinking", "toolcall"})
_PHASES: Final = frozenset({"start", "delta", "end"})
