"""An upstream's answer, streamed or plain, as hub events.

Sources: dialects.md §2.2 (grammar and vendor deviations), §5 (finish reasons); pi-ai 1.5.2
`dist/api/openai-completions.js` (an answer without `finish_reason` is broken unless the provider
never sends one).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_chat.assembly import Assembly
from pi_model_proxy.dialects.openai_chat.chunks import (
    Choice,
    Chunk,
    Delta,
    Fragment,
    decoded,
    read_chunk,
    unreadable,
)
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT
from pi_model_proxy.dialects.openai_chat.reasoning_in import ReasoningReader
from pi_model_proxy.dialects.openai_chat.usage import read_usage
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Citation, Event, Failure, Finish, FinishReason, Start, Usage, UsageUpdate
from pi_model_proxy.wire import Frame, FrameDecoder

__all__ = ["ChatStreamDecoder", "decode_message", "failure_in", "is_done", "read_finish", "stream_error"]

FAMILY: Final = "openai"

_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "end": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "end_turn": "stop",
    "completed": "stop",
    "stop_sequence": "stop_sequence",
    "length": "length",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "context_full",
    "model_context_window_exceeded": "context_full",
    "tool_calls": "tool_calls",
    "tool_use": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
    "safety": "content_filter",
    "sensitive": "content_filter",
    "refusal": "refusal",
}
"""Words of vendors; those not here (`error`, `network_error`, `insufficient_system_resource`, ...) are failures."""


_NO_ERROR: Final = frozenset({b"", b"null", b"false", b"{}", b'""'})
_NULL: Final = b"null"
_BRACE: Final = ord("{")


def read_finish(native: str) -> FinishReason:
    """Return what a `finish_reason` means.

    Raises:
        UpstreamError: it names a failure, or something nobody has documented.
    """
    reason = _REASONS.get(native.lower())
    if reason is None:
        overloaded = native == "insufficient_system_resource"  # DeepSeek: cut off for want of machines
        raise UpstreamError(
            f"The provider broke its answer off: finish_reason {native[:100]!r}.",
            kind="overloaded" if overloaded else "upstream",
            status=503 if overloaded else 502,
            family=FAMILY,
            code=native[:100],
        )
    return reason


def stream_error(frame: Frame, error: msgspec.Raw) -> UpstreamError | None:
    """Return the error a frame brings, if it brings one; `error` is its chunk's member of that name."""
    if error and bytes(error) not in _NO_ERROR:
        return error_from_payload(decoded(error), family=FAMILY)
    if frame.event == "error":
        return error_from_payload(decoded(frame.data), family=FAMILY)
    return None


def is_done(frame: Frame) -> bool:
    """Tell whether a frame is the `[DONE]` that ends a stream."""
    return frame.data.lstrip().startswith(b"[DONE]")


def failure_in(chunk: Chunk) -> UpstreamError | None:
    """Return why a plain answer is none: an error object, another dialect's answer, or nothing at all."""
    if chunk.choices:
        return None
    if chunk.object == "response":
        return BrokenStream(
            "The provider answered a chat request with a Responses object; set this model's `api` to "
            "`openai-responses` in models.json."
        )
    return BrokenStream("The provider answered 200 but without `choices`; that is no chat completion.")


def _counts(raw: msgspec.Raw) -> msgspec.Raw | None:
    return raw if raw and bytes(raw) != _NULL else None


class _Answer:
    """What one answer has said so far; shared by both decoders."""

    def __init__(self, names: ToolNames, *, supports_finish_reason: bool) -> None:
        self._assembly = Assembly(names)
        self._reasoning = ReasoningReader(self._assembly)
        self._requires_finish = supports_finish_reason
        self._started = False
        self._native: str | None = None
        self._stop_sequence: str | None = None
        self._usage: Usage | None = None
        self._events: list[Event] = []

    def word(self, chunk: Chunk) -> Event | None:
        """Return the event of a chunk that is one more piece of the text being written; None for any other.

        By far the most chunks are; `read` makes the same of them.
        """
        choices = chunk.choices
        if not choices or len(choices) != 1 or not self._started:
            return None
        choice = choices[0]
        delta = choice.delta
        if delta is None or not delta.content or choice.index or choice.finish_reason or choice.usage:
            return None
        if (chunk.usage and bytes(chunk.usage) != _NULL) or delta != Delta(content=delta.content):
            return None
        return self._assembly.more_text(delta.content)

    def read(self, chunk: Chunk) -> list[Event]:
        """Return the events of one chunk.

        Raises:
            UpstreamError: the chunk says that the answer broke off, or contradicts itself.
        """
        choice = None
        for each in chunk.choices or ():
            if not each.index:
                choice = each
                break
        counts = _counts(chunk.usage) or (_counts(choice.usage) if choice is not None else None)
        if not self._started and (choice is not None or counts):
            self._start(chunk)
        if choice is not None:
            self._choice(choice)
        if counts:
            self._count(counts)
        return self._take()

    def _take(self) -> list[Event]:
        events, self._events = self._events + self._assembly.take(), []
        return events

    def _start(self, chunk: Chunk) -> None:
        self._started = True
        self._assembly.seed = f"{chunk.id or ''}:{chunk.created or ''}"
        self._events.append(Start(id=chunk.id or "", model=chunk.model or ""))

    def _choice(self, choice: Choice) -> None:
        whole = choice.delta or _numbered(choice.message)
        for delta in choice.parts or ((whole,) if whole else ()):
            self._delta(delta)
        if choice.finish_reason:
            self._native = choice.finish_reason
            if isinstance(choice.stop_reason, str) and choice.stop_reason not in _REASONS:
                self._stop_sequence = choice.stop_reason

    def _delta(self, delta: Delta) -> None:
        # Reasoning first: a delta that holds both means the thinking came before (vector 59).
        self._reasoning.read(delta)
        if delta.content:
            self._assembly.text("text", delta.content)
        if delta.refusal:
            self._assembly.text("refusal", delta.refusal)
        if delta.annotations:
            self._annotations(delta.annotations)
        for fragment in delta.tool_calls or ():
            self._assembly.call(fragment)
        if delta.function_call is not None:
            self._assembly.call(Fragment(index=-1, function=delta.function_call))

    def _annotations(self, raw: msgspec.Raw) -> None:
        entries = decoded(raw)
        part = self._assembly.last_text()
        for entry in entries if isinstance(entries, list) and part else ():
            about = entry.get("url_citation") if isinstance(entry, dict) else None
            if isinstance(about, dict) and part:
                self._assembly.cite(part, _citation(entry, about, offset=part.offset))

    def _count(self, raw: msgspec.Raw) -> None:
        usage = read_usage(raw)
        if usage is not None and usage != self._usage:
            self._usage = usage
            self._events += [*self._assembly.take(), UsageUpdate(usage)]

    @property
    def has_finished(self) -> bool:
        """Whether all that is missing is the terminator."""
        return self._native is not None or (self._started and not self._requires_finish)

    def finish(self) -> list[Event]:
        """Return the last events.

        Raises:
            UpstreamError: the answer is not complete, or its finish names a failure.
        """
        if not self.has_finished:
            raise BrokenStream(
                "The provider's answer ended without a finish_reason: it is not complete; try again."
            )
        reason = read_finish(self._native or "stop")
        self._assembly.finish()
        events = self._take()
        events.append(
            Finish(
                reason=self._corrected(reason),
                stop_sequence=self._stop_sequence if reason == "stop" else None,
                native=self._native,
            )
        )
        return events

    def _corrected(self, reason: FinishReason) -> FinishReason:
        """Believe the calls that came rather than the word for them (dialects.md §5.2)."""
        if reason in {"stop", "stop_sequence"}:
            if self._assembly.called:
                return "tool_calls"
            if self._stop_sequence is not None:
                return "stop_sequence"
            return "refusal" if self._assembly.refused else reason
        return "stop" if reason == "tool_calls" and not self._assembly.called else reason


def _numbered(message: Delta | None) -> Delta | None:
    """Number the calls of a plain answer: there each entry is a call of its own, whatever its id."""
    for position, fragment in enumerate(message.tool_calls or () if message else ()):
        if fragment.index is None:
            fragment.index = position
    return message


def _citation(entry: dict[str, Any], about: dict[str, Any], *, offset: int) -> Citation:
    url, title = about.get("url"), about.get("title")
    start, end = about.get("start_index"), about.get("end_index")
    return Citation(
        url=url if isinstance(url, str) else None,
        title=title if isinstance(title, str) else None,
        start=max(0, start - offset) if isinstance(start, int) else None,
        end=max(0, end - offset) if isinstance(end, int) else None,
        dialect=DIALECT,
        raw=msgspec.json.encode(entry).decode(),
    )


class ChatStreamDecoder:
    """Reads an upstream's stream; one object a stream."""

    def __init__(self, names: ToolNames, *, supports_finish_reason: bool = True) -> None:
        self.done = False
        """The upstream's own terminal event has been seen, or the answer has failed."""
        self._frames = FrameDecoder()
        self._answer = _Answer(names, supports_finish_reason=supports_finish_reason)

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that `chunk` completes."""
        events: list[Event] = []
        if self.done:
            return events
        try:
            for frame in self._frames.feed(chunk):
                self._frame(frame, events)
                if self.done:
                    break
        except UpstreamError as error:
            self._fail(error, events)
        except RecursionError:
            self._fail(unreadable(), events)
        return events

    def close(self) -> list[Event]:
        """Return the last events of a connection that ended."""
        events: list[Event] = []
        if self.done:
            return events
        try:
            for frame in self._frames.close():
                self._frame(frame, events)
            if not self.done:
                events += self._answer.finish()
                self.done = True
        except UpstreamError as error:
            self._fail(error, events)
        except RecursionError:
            self._fail(unreadable(), events)
        return events

    def _frame(self, frame: Frame, events: list[Event]) -> None:
        data = frame.data
        if not data or self.done:
            return
        if data[0] != _BRACE and is_done(frame):
            events += self._answer.finish()
            self.done = True
            return
        chunk = read_chunk(data)
        if chunk is None:
            return
        if chunk.error or frame.event:
            error = stream_error(frame, chunk.error)
            if error is not None:
                raise error
        word = self._answer.word(chunk)
        if word is None:
            events += self._answer.read(chunk)
        else:
            events.append(word)

    def _fail(self, error: UpstreamError, events: list[Event]) -> None:
        self.done = True
        events.append(Failure(error))


def decode_message(body: bytes, names: ToolNames, *, supports_finish_reason: bool = True) -> list[Event]:
    """Return the events of a plain answer."""
    answer = _Answer(names, supports_finish_reason=supports_finish_reason)
    try:
        chunk = read_chunk(body)
        if chunk is None:
            return [Failure(BrokenStream("The provider answered 200 with JSON that is no chat completion."))]
        error = stream_error(Frame("", body), chunk.error) or failure_in(chunk)
        if error is not None:
            return [Failure(error)]
        return [*answer.read(chunk), *answer.finish()]
    except UpstreamError as error:
        return [Failure(error)]
    except RecursionError:
        return [Failure(unreadable())]
