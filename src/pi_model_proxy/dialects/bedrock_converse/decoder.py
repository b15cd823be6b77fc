"""An upstream's event stream as hub events.

Sources: dialects.md §2.5 (events; text and thinking begin without a `contentBlockStart`), §4.1,
§5.1; pi 1.5.2 `dist/api/bedrock-converse-stream.js`. The counts come after `messageStop`, so the
end of the answer waits for them.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.answer_blocks import AnswerBlocks
from pi_model_proxy.dialects.answer_json import read_answer
from pi_model_proxy.dialects.bedrock_converse.content import DIALECT
from pi_model_proxy.dialects.bedrock_converse.payloads import (
    Answer,
    Delta,
    Payload,
    Reasoning,
    Stopped,
    citation,
    usage_of,
)
from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import Event, Failure, Finish, FinishReason, Opaque, Start, Usage, UsageUpdate
from pi_model_proxy.wire import EventMessage, EventStreamDecoder

__all__ = ["FAMILY", "ConverseDecoder"]

FAMILY: Final = ""
"""Amazon's words are neither OpenAI's nor Anthropic's."""
MAX_TOKEN_CHARS: Final = 8 * 1024 * 1024
"""The thinking's tokens of one answer may be this long together."""
_CUT: Final = "The provider closed the connection before its answer was complete; try again."
_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "context_full",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "refusal",
}
"""Words not here (`malformed_model_output`, `malformed_tool_use`, ...) are failures."""
_ERRORS: Final = range(400, 600)


class ConverseDecoder:
    """Implements `StreamDecoder`.

    `Start` waits for the first block: an exception right after `messageStart` comes when another
    target could still be tried.
    """

    def __init__(self, names: ToolNames, *, is_claude: bool) -> None:
        """Take the request's names, and whether thinking is sealed in Claude's way."""
        self.done = False
        self._messages = EventStreamDecoder()
        self._answer = _Answer(names, is_claude=is_claude)

    def feed(self, chunk: bytes) -> list[Event]:
        events: list[Event] = []
        if self.done:
            return events
        self._messages.feed(chunk)
        try:
            while (message := self._messages.next()) is not None:
                self._take(message)
                events += self._answer.take()
                if self.done:
                    break
        except UpstreamError as error:
            self._fail(error, events)
        return events

    def close(self) -> list[Event]:
        if self.done:
            return []
        events: list[Event] = []
        try:
            if not self._answer.has_stopped or not self._messages.is_between:
                raise BrokenStream(_CUT)
            self._answer.finish()
            self.done = True
            events += self._answer.take()
        except UpstreamError as error:
            self._fail(error, events)
        return events

    def whole(self, body: bytes) -> list[Event]:
        """Return the events of an answer that came as one JSON object."""
        events: list[Event] = []
        try:
            self._answer.read_whole(body)
            events += self._answer.take()
        except UpstreamError as error:
            self._fail(error, events)
        return events

    def _fail(self, error: UpstreamError, events: list[Event]) -> None:
        """Pass on what is still good, then the failure."""
        events += self._answer.take()
        self.done = True
        events.append(Failure(error))

    def _take(self, message: EventMessage) -> None:
        headers = message.headers
        kind = headers.get(":message-type", "event")
        if kind == "error":
            code = headers.get(":error-code", "")
            raise error_from_payload(
                {"type": code, "message": headers.get(":error-message", "")}, family=FAMILY
            )
        if kind == "exception":
            raise _exception(headers.get(":exception-type", ""), message.payload)
        if kind == "event":
            self.done = self._answer.read(headers.get(":event-type", ""), message.payload)


def _exception(type_: str, data: bytes) -> UpstreamError:
    said = read_answer(data, Payload) or Payload()
    words = [said.message or "", said.original_message or ""]
    text = ": ".join(dict.fromkeys(word for word in words if word))
    status = said.original_status_code if said.original_status_code in _ERRORS else None
    return error_from_payload({"type": type_, "message": text}, family=FAMILY, status=status)


class _Answer:
    """What one answer has said so far, streamed or whole."""

    def __init__(self, names: ToolNames, *, is_claude: bool) -> None:
        self._blocks = AnswerBlocks(names)
        self._is_claude = is_claude
        self._events: list[Event] = []
        self._started = False
        self._finish: Finish | None = None
        self._counted = False
        self._signatures: dict[int, list[str]] = {}
        self._redacted: dict[int, list[bytes]] = {}
        self._token_chars = 0

    @property
    def has_stopped(self) -> bool:
        """Whether all that may be missing are the counts."""
        return self._finish is not None

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        self._flush()
        events, self._events = self._events, []
        return events

    def _flush(self, *, begin: bool = False) -> None:
        """Line up what the blocks have become; `Start` before anything else."""
        said = self._blocks.take()
        if not self._started and (said or begin):
            self._started = True
            self._events.append(Start())
        self._events += said

    def read(self, type_: str, data: bytes) -> bool:
        """Take one event; tell whether the answer is complete.

        Raises:
            UpstreamError: the event has another form than its format has, or names a failure.
        """
        if type_ not in _EVENTS:
            return False  # `messageStart` says only whose turn it is; others are not ours to understand
        payload = read_answer(data, Payload)
        if payload is None:
            raise BrokenStream(
                f"The provider sent a `{type_[:50]}` event of another form than its format has; the answer was given up."
            )
        index = payload.content_block_index
        match type_:
            case "contentBlockStart" if payload.start is not None:
                self._start(index, payload.start)
            case "contentBlockDelta" if payload.delta is not None:
                self._delta(index, payload.delta)
            case "contentBlockStop":
                self._stop(index)
            case "messageStop":
                self._end(payload.stop_reason, payload.additional_model_response_fields)
            case "metadata":
                self._count(usage_of(payload.usage))
        if self._finish is None or not self._counted:
            return False
        self.finish()
        return True

    def read_whole(self, body: bytes) -> None:
        """Take an answer that came as one JSON object.

        Raises:
            UpstreamError: it is none, or names a failure.
        """
        answer = read_answer(body, Answer)
        if answer is None or answer.output is None or answer.output.message is None:
            payload = read_answer(body, dict[str, Any])
            if payload and (payload.get("message") or payload.get("Message") or payload.get("error")):
                raise error_from_payload(payload, family=FAMILY)
            raise BrokenStream("The provider's answer is no Converse answer; check the model's API kind.")
        for index, block in enumerate(answer.output.message.content or ()):
            if block.tool_use is not None:
                self._start(index, block)
            self._delta(index, block)
            self._stop(index)
        self._end(answer.stop_reason, answer.additional_model_response_fields)
        self._count(usage_of(answer.usage))
        self.finish()

    def _start(self, index: int, start: Delta) -> None:
        if start.tool_use is not None:
            self._stop(index)
            self._blocks.call(index, start.tool_use.name, call_id=start.tool_use.tool_use_id)

    def _delta(self, index: int, delta: Delta) -> None:
        if delta.tool_use is not None:
            self._argue(index, delta.tool_use.input)
        if delta.reasoning_content is not None:
            self._think(index, delta.reasoning_content)
        if delta.text is not None:
            self._say(index, delta.text)
        cited = citation(delta.citation, DIALECT)
        if cited is not None:
            self._blocks.cite(index, cited)
        if delta.citations_content is not None:
            self._say(index, "".join(part.text for part in delta.citations_content.content or ()))
            for raw in delta.citations_content.citations or ():
                found = citation(raw, DIALECT)
                if found is not None:
                    self._blocks.cite(index, found)

    def _say(self, index: int, text: str) -> None:
        if self._blocks.kind_of(index) not in {None, "text"}:
            self._stop(index)
        self._blocks.say(index, "text", text)

    def _argue(self, index: int, told: str | dict[str, Any] | None) -> None:
        text = told if isinstance(told, str) else msgspec.json.encode(told).decode() if told else ""
        if not self._blocks.argue(index, text) and text:
            raise BrokenStream(
                "The provider sent arguments of a tool call it never began; the answer was given up."
            )

    def _think(self, index: int, said: Reasoning) -> None:
        whole = said.reasoning_text
        if self._blocks.kind_of(index) not in {None, "reasoning"}:
            self._stop(index)
        self._blocks.say(index, "reasoning", said.text or (whole.text if whole is not None else ""))
        signature = said.signature or (whole.signature if whole is not None else None)
        if signature:
            self._bound(len(signature))
            self._signatures.setdefault(index, []).append(signature)
        if said.redacted_content:
            self._bound(len(said.redacted_content))
            self._redacted.setdefault(index, []).append(_bytes_of(said.redacted_content))

    def _bound(self, chars: int) -> None:
        self._token_chars += chars
        if self._token_chars > MAX_TOKEN_CHARS:
            raise BrokenStream(
                "The provider's thinking tokens grew beyond every bound; the answer was given up."
            )

    def _stop(self, index: int) -> None:
        """End a block; thinking gets its token, which came in pieces."""
        signature, redacted = self._signatures.pop(index, None), self._redacted.pop(index, None)
        if redacted is not None:
            data = base64.b64encode(b"".join(redacted)).decode()
            sealed = (
                Opaque(kind="anthropic_redacted", data=data)
                if self._is_claude
                else Opaque(kind="openai_encrypted", data=data)
            )
            self._blocks.seal(index, sealed)
        elif signature is not None:
            self._blocks.seal(index, Opaque(kind="anthropic_signature", data="".join(signature)))
        self._blocks.stop(index)

    def _end(self, native: str, additional: msgspec.Raw) -> None:
        reason = _REASONS.get(native)
        if reason is None:
            raise UpstreamError(
                f"The provider broke its answer off: stopReason {native[:100]!r}.",
                family=FAMILY,
                code=native[:100] or None,
            )
        for index in (*self._signatures, *self._redacted):
            self._stop(index)
        self._blocks.stop_all()
        if self._blocks.called and reason == "stop":
            reason = "tool_calls"
        elif reason == "tool_calls" and not self._blocks.called:
            reason = "stop"
        met = read_answer(additional, Stopped) if reason == "stop_sequence" else None
        self._finish = Finish(
            reason=reason, native=native, stop_sequence=met.stop_sequence if met is not None else None
        )

    def _count(self, usage: Usage | None) -> None:
        self._counted = True
        if usage is not None:
            self._flush(begin=True)
            self._events.append(UsageUpdate(usage))

    def finish(self) -> None:
        """Say that the answer is complete."""
        if self._finish is not None:
            self._flush(begin=True)
            self._events.append(self._finish)


_EVENTS: Final = frozenset({
    "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata",
})  # fmt: skip


def _bytes_of(text: str) -> bytes:
    """Return what base64 stands for.

    Raises:
        BrokenStream: it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BrokenStream("The provider's hidden thinking is no base64; the answer was given up.") from error
