"""An upstream's Responses stream as hub events.

Source: OpenAI's Responses streaming reference; dialects.md §2.3, §5.1 and §6.3; what llama.cpp
(b11434) and GitHub Copilot do otherwise is said where it matters.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_responses.outputs import Outputs
from pi_model_proxy.dialects.openai_responses.payloads import Response, StreamEvent, read
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Event, Failure, Finish, FinishReason, Ping, Start, UsageUpdate
from pi_model_proxy.wire import Frame, FrameDecoder

__all__ = ["ResponsesDecoder"]

FAMILY: Final = "openai"
_DONE: Final = b"[DONE]"
_BRACE: Final = ord("{")
_TERMINAL: Final = frozenset({
    "response.completed", "response.incomplete", "response.failed", "response.cancelled", "response.done",
})  # fmt: skip
"""`response.done` is the ChatGPT backend's other word for `response.completed`."""
_DELTAS: Final = {
    "response.output_text.delta": ("message", "output_text"),
    "response.refusal.delta": ("message", "refusal"),
    "response.reasoning_summary_text.delta": ("reasoning", "summary"),
    "response.reasoning_text.delta": ("reasoning", "content"),
}
_WHOLES: Final = {name.removesuffix("delta") + "done": kind for name, kind in _DELTAS.items()}
_ARGUMENTS: Final = {
    "response.function_call_arguments": "function_call",
    "response.custom_tool_call_input": "custom_tool_call",
}
_READ: Final = frozenset({
    *_TERMINAL, *_DELTAS, *_WHOLES,
    *(f"{name}.{word}" for name in _ARGUMENTS for word in ("delta", "done")),
    "response.created", "response.in_progress", "response.queued", "response.output_item.added",
    "response.output_item.done", "response.output_text.annotation.added",
})  # fmt: skip
"""Events whose form matters to us; any other may look as it likes."""

_decode_event: Final = msgspec.json.Decoder(StreamEvent).decode
_CUT_MESSAGE: Final = "The provider closed the connection before its answer was complete; try again."


class ResponsesDecoder:
    """Implements `StreamDecoder`.

    `Start` waits for the first item: OpenAI sends `response.created` at once and tells of an
    overload or a rate limit right after it, when another target could still be tried.
    """

    def __init__(self, names: ToolNames, *, tells_tokens_late: bool = False) -> None:
        """Take the request's names, and whether encrypted reasoning may come with the terminal event only."""
        self.done = False
        self._frames = FrameDecoder()
        self._outputs = Outputs(names, tells_tokens_late=tells_tokens_late)
        self._started = False
        self._start = Start()

    def feed(self, chunk: bytes) -> list[Event]:
        if self.done:
            return []
        events: list[Event] = []
        try:
            self._read_frames(self._frames.feed(chunk), events)
        except UpstreamError as error:
            self._fail(error, events)
        return events

    def close(self) -> list[Event]:
        if self.done:
            return []
        events: list[Event] = []
        try:
            self._read_frames(self._frames.close(), events)
            if not self.done:
                raise BrokenStream(_CUT_MESSAGE)
        except UpstreamError as error:
            self._fail(error, events)
        return events

    def whole(self, body: bytes) -> list[Event]:
        """Return the events of an answer that came as one JSON object."""
        events: list[Event] = []
        try:
            self._read_whole(body, events)
        except UpstreamError as error:
            self._fail(error, events)
        return events

    def _read_whole(self, body: bytes, events: list[Event]) -> None:
        body = mend_body(body)
        response = read(body, Response)
        if response is None or response.object != "response" or response.output is None:
            payload = read(body, dict[str, Any])
            if payload and (payload.get("error") or payload.get("detail")):
                raise error_from_payload(payload, family=FAMILY)
            raise BrokenStream("The provider's answer is not a Responses object; check the model's API kind.")
        if response.status in {"queued", "in_progress"}:
            raise BrokenStream(f"The provider answered with an unfinished response (`{response.status}`).")
        self._end(f"response.{response.status or 'completed'}", response, events)

    def _fail(self, error: UpstreamError, events: list[Event]) -> None:
        """Pass on what is still good, then the failure."""
        self._pass_on(events)
        self.done = True
        events.append(Failure(error))

    def _read_frames(self, frames: list[Frame], events: list[Event]) -> None:
        for frame in frames:
            if self.done:
                return
            data = frame.data
            if not data or (data[0] != _BRACE and data.strip() in {b"", _DONE}):
                continue
            self._read_event(self._event(frame), frame, events)

    def _event(self, frame: Frame) -> StreamEvent:
        try:
            event = _decode_event(frame.data)
        except (ValueError, RecursionError) as error:
            event = self._odd_event(frame, error)
        if not event.type:
            event.type = frame.event
        return event

    def _odd_event(self, frame: Frame, error: Exception) -> StreamEvent:
        """Read an event that is not what it should be: one we do not need may be anything, one we need may be mended.

        Raises:
            BrokenStream: it is not JSON, or an event that we need has another form.
        """
        mended = mend_body(frame.data)  # a lone surrogate is valid JSON to most, but not to msgspec
        whole = read(mended, StreamEvent)
        if whole is not None:
            return whole
        payload = read(mended, dict[str, Any])
        if payload is None:
            raise BrokenStream(
                "The provider sent an event that is no JSON object; the answer was given up."
            ) from error
        type_ = payload.get("type") or frame.event
        if type_ in _READ:
            raise BrokenStream(
                f"The provider sent a `{type_}` event of another form than its format has; the answer was given up."
            ) from error
        return StreamEvent(type=type_ if isinstance(type_, str) else "")

    def _read_event(self, event: StreamEvent, frame: Frame, events: list[Event]) -> None:
        type_ = event.type
        if type_ in _DELTAS:
            self._read_text(event)
        elif type_ in _TERMINAL:
            self._read_terminal(event, events)
            return
        elif type_ in {"error", ""}:
            self._read_error(type_, frame.data)
        elif type_ == "keepalive":
            if self._started:
                events.append(Ping())
        else:
            self._read_rest(event)
        self._pass_on(events, begin=type_ == "response.output_item.added")

    def _read_text(self, event: StreamEvent) -> None:
        item, kind = _DELTAS[event.type]
        part = (kind, _index(event))
        self._outputs.say(item, event.output_index, event.item_id, part=part, text=event.delta or "")

    def _read_rest(self, event: StreamEvent) -> None:
        outputs, number, item_id = self._outputs, event.output_index, event.item_id
        name, _, word = event.type.rpartition(".")
        if name in _ARGUMENTS and word == "delta":
            outputs.argue(_ARGUMENTS[name], number, item_id, event.delta or "")
        elif name in _ARGUMENTS and word == "done":
            outputs.argue_all(_ARGUMENTS[name], number, item_id, event.arguments or event.input or "")
        elif event.type in _WHOLES:
            item, kind = _WHOLES[event.type]
            text = event.refusal if kind == "refusal" else event.text
            outputs.say_all(item, number, item_id, part=(kind, _index(event)), text=text or "")
        elif event.type == "response.output_item.added":
            outputs.begin(event.item, number)
        elif event.type == "response.output_item.done":
            outputs.end(event.item, number)
        elif event.type == "response.output_text.annotation.added":
            outputs.cite(number, item_id, _index(event), event.annotation)
        elif event.type == "response.created":
            self._learn(read(event.response, Response))

    def _learn(self, response: Response | None) -> None:
        if response is not None and not self._started:
            self._start = Start(id=response.id or self._start.id, model=response.model or self._start.model)

    def _pass_on(self, events: list[Event], *, begin: bool = False) -> None:
        """Add what the items have become; `Start` first."""
        said = self._outputs.take()
        if not self._started and (said or begin):
            self._started = True
            events.append(self._start)
        events += said

    def _read_error(self, type_: str, data: bytes) -> None:
        """Raise what an `error` event says, flat or nested; an event without a type is one if it holds an `error`."""
        payload = read(mend_body(data), dict[str, Any]) or {}
        if type_ or payload.get("error"):
            raise error_from_payload(payload, family=FAMILY)

    def _read_terminal(self, event: StreamEvent, events: list[Event]) -> None:
        response = read(event.response, Response)
        if response is None:
            raise BrokenStream(f"The provider's `{event.type}` holds no response; the answer was given up.")
        self._end(event.type, response, events)

    def _end(self, type_: str, response: Response, events: list[Event]) -> None:
        self._learn(response)
        word = response.status or type_.removeprefix("response.")
        error = read(response.error, object)
        if word in {"failed", "cancelled"} or type_ == "response.failed" or (error and not response.output):
            payload = error or {
                "message": f"The provider's answer ended as `{word}` without saying why; try again."
            }
            raise error_from_payload(payload, family=FAMILY)
        cut_by = response.incomplete_reason
        cut = word == "incomplete" or cut_by is not None
        self._outputs.reconcile(response.output or [])
        self._outputs.end_all(cut=cut)
        self._pass_on(events, begin=True)
        counts = response.counts
        if counts is not None:
            events.append(UsageUpdate(counts))
        native = f"{word}.{cut_by}" if cut_by else word
        events.append(Finish(reason=self._reason(cut_by, cut=cut), native=native))
        self.done = True

    def _reason(self, cut_by: str | None, *, cut: bool) -> FinishReason:
        if cut:
            return "content_filter" if cut_by == "content_filter" else "length"
        if self._outputs.has_call:
            return "tool_calls"
        return "refusal" if self._outputs.has_refusal else "stop"


def _index(event: StreamEvent) -> int:
    """Return which part of its item the event is about; servers that do not number have one part an item."""
    if event.summary_index is not None:
        return event.summary_index
    return event.content_index or 0
