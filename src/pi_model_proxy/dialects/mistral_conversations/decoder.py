"""An upstream's answer, streamed or plain, as hub events.

Sources: Mistral's streaming reference (`data:` events, `[DONE]`; content is text or a list of
chunks, thinking among them); dialects.md §5.1; pi 1.5.2 `dist/api/mistral-conversations.js`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.answer_blocks import AnswerBlocks
from pi_model_proxy.dialects.answer_json import read_answer
from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.mistral_conversations.chunks import (
    Call,
    Choice,
    Chunk,
    Delta,
    Function,
    Part,
    usage_of,
)
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Event, Failure, Finish, FinishReason, Start, Usage, UsageUpdate
from pi_model_proxy.wire import Frame, FrameDecoder, compact_json

__all__ = ["FAMILY", "MistralDecoder"]

FAMILY: Final = ""
"""Mistral's words are neither OpenAI's nor Anthropic's."""
_DONE: Final = b"[DONE]"
_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "model_length": "context_full",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}
"""Words not here (`error`) are failures."""
_CUT: Final = "The provider's answer ended without a finish_reason: it is not complete; try again."
_chunk_decoder: Final = msgspec.json.Decoder(Chunk)


class MistralDecoder:
    """Implements `StreamDecoder`."""

    def __init__(self, names: ToolNames) -> None:
        self.done = False
        self._frames = FrameDecoder()
        self._blocks = AnswerBlocks(names)
        self._events: list[Event] = []
        self._started = False
        self._native: str | None = None
        self._usage: Usage | None = None
        self._number = 0
        """Of the block of text or thinking that is open, else of the next block."""
        self._speaking: Literal["text", "reasoning"] | None = None
        self._calls: dict[int | str, _Known] = {}

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
                self._finish()
        except UpstreamError as error:
            self._fail(error)
        return self._take()

    def whole(self, body: bytes) -> list[Event]:
        """Return the events of an answer that came as one JSON object."""
        try:
            chunk = read_answer(body, Chunk)
            if chunk is None or not chunk.choices:
                payload = read_answer(body, dict[str, Any])
                if payload and any(payload.get(name) for name in ("error", "message", "detail")):
                    raise error_from_payload(payload, family=FAMILY)
                raise BrokenStream(
                    "The provider answered 200 but without `choices`; that is no chat completion."
                )
            self._read(chunk)
            self._finish()
        except UpstreamError as error:
            self._fail(error)
        return self._take()

    def _take(self) -> list[Event]:
        self._flush()
        events, self._events = self._events, []
        return events

    def _flush(self) -> None:
        """Line up what the blocks have become before what follows them."""
        self._events += self._blocks.take()

    def _fail(self, error: UpstreamError) -> None:
        self._flush()
        self.done = True
        self._events.append(Failure(error))

    def _read_frames(self, frames: list[Frame]) -> None:
        for frame in frames:
            if frame.data.lstrip().startswith(_DONE):
                self._finish()
                return
            if frame.data.strip():
                self._read_frame(frame)

    def _read_frame(self, frame: Frame) -> None:
        try:
            chunk = _chunk_decoder.decode(frame.data)
        except (ValueError, RecursionError) as error:
            whole = read_answer(frame.data, Chunk)
            if whole is None:
                raise BrokenStream(
                    "The provider sent an event of another form than its format has; the answer was given up."
                ) from error
            chunk = whole
        payload = read_answer(chunk.error, object)
        if payload or frame.event == "error" or chunk.object == "error":
            raise error_from_payload(payload or read_answer(frame.data, object), family=FAMILY)
        self._read(chunk)

    def _read(self, chunk: Chunk) -> None:
        choice = next((each for each in chunk.choices or () if not each.index), None)
        usage = usage_of(chunk.usage)
        if not self._started and (choice is not None or usage is not None):
            self._started = True
            self._events.append(Start(id=chunk.id or "", model=chunk.model or ""))
        if choice is not None:
            self._choose(choice)
        if usage is not None and usage != self._usage:
            self._usage = usage
            self._flush()
            self._events.append(UsageUpdate(usage))

    def _choose(self, choice: Choice) -> None:
        delta = choice.delta or choice.message or Delta()
        for part in delta.content if isinstance(delta.content, list) else (delta.content or "",):
            self._say(part)
        for position, call in enumerate(delta.tool_calls or ()):
            self._call(call, position if choice.delta is None else None)
        self._native = choice.finish_reason or self._native

    def _say(self, part: Part | str) -> None:
        if isinstance(part, str):
            self._speak("text", part)
        elif part.type == "thinking":
            texts = part.thinking if isinstance(part.thinking, list) else [Part(text=part.thinking or "")]
            self._speak("reasoning", "".join(each.text or "" for each in texts))
        elif part.type == "text":
            self._speak("text", part.text or "")

    def _speak(self, kind: Literal["text", "reasoning"], text: str) -> None:
        if not text:
            return  # some models say nothing around thinking and calls; that begins no block
        if self._speaking != kind:
            self._hush()
            self._speaking = kind
        self._blocks.say(self._number, kind, text)

    def _hush(self) -> None:
        """End the block of text or thinking that is open, if one is."""
        self._blocks.stop(self._number)
        self._speaking = None
        self._number += 1

    def _call(self, call: Call, position: int | None) -> None:
        """Take a call or more of one; a whole answer's calls are told apart by their position."""
        given = call.id if call.id != "null" else None
        function = call.function or Function()
        key = position if position is not None else call.index if call.index is not None else given or 0
        told = function.arguments
        text = told if isinstance(told, str) else compact_json(told).decode() if told else ""
        known = self._calls.get(key)
        if known is None or (given and function.name and given != known.id):
            if not function.name:
                if text:
                    raise BrokenStream("The provider called a tool without naming it; try again.")
                return
            self._hush()
            known = self._calls[key] = _Known(self._number, given or "")
            self._blocks.call(known.number, function.name, call_id=known.id)
            self._number += 1
        self._blocks.argue(known.number, text)

    def _finish(self) -> None:
        """Say that the answer is complete.

        Raises:
            UpstreamError: it is not, or its finish names a failure.
        """
        if self._native is None:
            raise BrokenStream(_CUT)
        reason = _REASONS.get(self._native)
        if reason is None:
            raise UpstreamError(
                f"The provider broke its answer off: finish_reason {self._native[:100]!r}.",
                family=FAMILY,
                code=self._native[:100],
            )
        self._blocks.stop_all()
        self._flush()
        if self._blocks.called and reason == "stop":
            reason = "tool_calls"
        elif reason == "tool_calls" and not self._blocks.called:
            reason = "stop"
        self._events.append(Finish(reason=reason, native=self._native))
        self.done = True


class _Known:
    """A call that has begun: the number of its block, and the id the upstream gave it."""

    __slots__ = ("id", "number")

    def __init__(self, number: int, call_id: str) -> None:
        self.number = number
        self.id = call_id
