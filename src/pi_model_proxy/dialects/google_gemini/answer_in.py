"""An upstream's answer, streamed or whole, read into hub events.

Source: dialects.md §2.4, §5.1; pi 1.5.2 `dist/api/google-generative-ai.js` (`stream`).

There is no terminator: an answer is complete when its connection ends after a `finishReason`. Older
servers write one on every event, so the last counts and nothing ends before the connection does.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.google_gemini.blocks_in import BlockWriter
from pi_model_proxy.dialects.google_gemini.chunks import FAMILY, Candidate, Chunk, Part, raw_parts, read_chunk
from pi_model_proxy.dialects.google_gemini.finish import blocked, finish_of
from pi_model_proxy.dialects.google_gemini.framing import ObjectReader
from pi_model_proxy.dialects.google_gemini.usage import read_usage
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Event, Failure, Finish, Start, Usage, UsageUpdate

__all__ = ["CUT_SHORT", "GeminiDecoder", "decode_message", "stream_error"]

CUT_SHORT: Final = "The provider's answer ended without a `finishReason`: it is not complete; try again."
NOT_AN_ANSWER: Final = "The provider answered 200 with something that is no answer of this format; check the provider's base URL."


class GeminiDecoder:
    """One answer's bytes to events; see `StreamDecoder`."""

    def __init__(self, names: ToolNames) -> None:
        self.done = False
        self._objects = ObjectReader()
        self._blocks = BlockWriter(names)
        self._started = False
        self._usage: Usage | None = None
        self._finish_reason: str | None = None
        self._finish_message: str | None = None
        self._block_reason: str | None = None

    def feed(self, chunk: bytes) -> list[Event]:
        """See `StreamDecoder.feed`."""
        events: list[Event] = []
        if not self.done:
            try:
                for data in self._objects.feed(chunk):
                    self._take(read_chunk(data), data, events)
            except UpstreamError as error:
                self._fail(error, events)
        return events

    def close(self) -> list[Event]:
        """See `StreamDecoder.close`."""
        events: list[Event] = []
        if not self.done:
            try:
                for data in self._objects.close():
                    self._take(read_chunk(data), data, events)
                self._end(events)
            except UpstreamError as error:
                self._fail(error, events)
        return events

    def _fail(self, error: UpstreamError, events: list[Event]) -> None:
        self.done = True
        events.append(Failure(error))

    def _take(self, chunk: Chunk, data: bytes, events: list[Event]) -> None:
        """Read one object.

        Raises:
            UpstreamError: it tells of an error, or is broken.
        """
        if chunk.error:
            raise stream_error(chunk.error)
        if not self._started:
            self._started = True
            self._blocks.answer_id = chunk.response_id or ""
            events.append(Start(id=chunk.response_id or "", model=chunk.model_version or ""))
        if chunk.candidates:
            self._candidate(chunk.candidates[0], data, events)
        if chunk.usage_metadata is not None:
            usage = read_usage(chunk.usage_metadata)
            if usage != self._usage:
                self._usage = usage
                events.append(UsageUpdate(usage))
        feedback = chunk.prompt_feedback
        if feedback is not None and feedback.block_reason:
            self._block_reason = feedback.block_reason
            self._finish_message = feedback.block_reason_message or self._finish_message

    def _candidate(self, candidate: Candidate, data: bytes, events: list[Event]) -> None:
        blocks = self._blocks
        parts = candidate.content.parts if candidate.content is not None else None
        for index, part in enumerate(parts or ()):
            if part.function_call is not None:
                if part.text:
                    blocks.text(Part(text=part.text, thought=part.thought), events)
                blocks.call(part.function_call, part.thought_signature, events)
            elif part.text is not None:
                blocks.text(part, events)
            else:
                blocks.other(part, raw_parts(data)[index], events)
        if candidate.grounding_metadata or candidate.citation_metadata:
            blocks.cite(candidate, events)
        if candidate.finish_reason:
            self._finish_reason = candidate.finish_reason
            self._finish_message = candidate.finish_message or self._finish_message

    def _end(self, events: list[Event]) -> None:
        """Write the end.

        Raises:
            UpstreamError: the answer is not complete, or the model gave up on it.
        """
        if self._finish_reason is None and self._block_reason is None:
            raise BrokenStream(CUT_SHORT if self._started else NOT_AN_ANSWER)
        self._blocks.stop(events)
        if self._finish_reason is not None:
            finish: Finish | UpstreamError = finish_of(
                self._finish_reason, self._finish_message, called=self._blocks.called
            )
        else:
            finish = blocked(self._block_reason or "", self._finish_message)
        if isinstance(finish, UpstreamError):
            raise finish
        self.done = True
        events.append(finish)


def stream_error(payload: msgspec.Raw) -> UpstreamError:
    """Return what an error object inside an answer means."""
    try:
        said = msgspec.json.decode(mend_body(bytes(payload)))
    except (msgspec.DecodeError, ValueError, RecursionError):
        said = None
    return error_from_payload({"error": said} if isinstance(said, dict) else said, family=FAMILY)


def decode_message(body: bytes, names: ToolNames) -> list[Event]:
    """Return the events of a plain answer, be it an object or an array of them."""
    decoder = GeminiDecoder(names)
    events = [*decoder.feed(body), *decoder.close()]
    # A failure of an answer that never began is all there is to say.
    return events[-1:] if isinstance(events[-1], Failure) and len(events) <= 2 else events  # noqa: PLR2004 - Start, Failure
