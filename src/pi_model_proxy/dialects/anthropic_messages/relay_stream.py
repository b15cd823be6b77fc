"""An upstream's stream on its way to a caller of the same format, event by event.

Framing is ours: each event is written anew, with its `event:` line, raw line separators escaped.
The JSON inside stays as it is but for the model's name in `message_start`, tool names under a
login, and what SDKs cannot do without (dialects.md §2.9, vector 81).
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.client_stream import CUT_SHORT
from pi_model_proxy.dialects.anthropic_messages.relay_answer import read_named, renamed_call
from pi_model_proxy.dialects.anthropic_messages.server_stream import PING_FRAME, error_frame
from pi_model_proxy.dialects.anthropic_messages.stop_reasons import CALLED, ENDED, finish_of
from pi_model_proxy.dialects.anthropic_messages.stream_events import FAMILY, StreamEvent, read_event
from pi_model_proxy.dialects.anthropic_messages.usage import UsageTally
from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.errors import error_from_payload
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BrokenStream, GatewayError
from pi_model_proxy.wire import (
    Frame,
    FrameDecoder,
    compact_json,
    edit_object,
    encode_frame,
    escape_separators,
    members_of,
    object_of,
    raw_object,
)

__all__ = ["MessagesPipe"]

_COUNTS: Final = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
_NULL: Final = b"null"
_NO_USAGE: Final = msgspec.Raw(_NULL)
_ZERO: Final = msgspec.Raw(b"0")
_END_MARK: Final = b"[DONE]"
_BRACE, _END_BRACE = b"{}"
_DELTA_HEAD: Final = b"event: content_block_delta\ndata: "


class _Delta(msgspec.Struct, gc=False):
    """A delta event, checked to be JSON and otherwise not looked into."""

    index: int


_read_delta: Final = msgspec.json.Decoder(_Delta).decode


class MessagesPipe:
    """Implements `Pipe` for one answer."""

    def __init__(self, context: AnswerContext, names: ToolNames) -> None:
        self.facts = Facts()
        self._context = context
        self._model = msgspec.Raw(compact_json(context.model))
        self._names = names
        self._frames = FrameDecoder()
        self._tally = UsageTally()
        self._called = False
        self._stop_reason: str | None = None
        self._stop_sequence: str | None = None
        self._detail: str | None = None

    def feed(self, chunk: bytes) -> bytes:
        """See `Pipe.feed`."""
        if self.facts.done or self.facts.failure is not None:
            return b""
        try:
            frames = self._frames.feed(chunk)
        except BrokenStream as error:
            self.facts.failure = error
            return b""
        return self._relay(frames)

    def close(self) -> bytes:
        """See `Pipe.close`."""
        if self._over:
            return b""
        out = self._relay(self._frames.close())
        if not self._over:
            self.facts.failure = BrokenStream(CUT_SHORT)
        return out

    def fail(self, error: GatewayError) -> bytes:
        """See `Pipe.fail`."""
        return error_frame(error)

    def ping(self) -> bytes:
        """See `Pipe.ping`."""
        return PING_FRAME

    @property
    def _over(self) -> bool:
        return self.facts.done or self.facts.failure is not None

    def _relay(self, frames: list[Frame]) -> bytes:
        out: list[bytes] = []
        try:
            for frame in frames:
                if frame.event == "content_block_delta" and self.facts.began:
                    data = frame.data
                    if data and data[0] == _BRACE and data[-1] == _END_BRACE:
                        # By far the most events; nothing in them concerns us but that they are whole.
                        out.append(_DELTA_HEAD + escape_separators(_checked(data)) + b"\n\n")
                        continue
                out.append(self._frame(frame))
                if self._over:
                    break
        except BrokenStream as error:
            self.facts.failure = error
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            self.facts.failure = BrokenStream(f"The provider sent an event that is no valid JSON ({error}).")
        return b"".join(out)

    def _frame(self, frame: Frame) -> bytes:
        data = frame.data
        if not data or data == _END_MARK:
            return b""
        event = read_event(frame)
        name = event.type or frame.event
        if name == "error":
            self.facts.failure = error_from_payload(msgspec.json.decode(mend_body(data)), family=FAMILY)
            return b""
        if name == "message_start":
            return self._start(event, data)
        if not self.facts.began:
            if name.startswith("content_block") or name in {"message_delta", "message_stop"}:
                raise BrokenStream("The provider's answer does not begin with `message_start`; try again.")
            return b""
        return encode_frame(escape_separators(self._settled(name, event, data)), event=name.encode())

    def _start(self, event: StreamEvent, data: bytes) -> bytes:
        if self.facts.began:
            return b""
        if event.message is None:
            raise BrokenStream("The provider began its answer without a message; try again.")
        self.facts.began = True
        self.facts.upstream_id, self.facts.upstream_model = event.message.id or "", event.message.model or ""
        self.facts.usage = self._tally.take(event.message.usage)
        members = members_of(mend_body(data))
        message = members_of(members["message"])
        message["model"] = self._model
        message["usage"] = _whole_usage(message.get("usage", _NO_USAGE))
        if not event.message.id:
            message["id"] = msgspec.Raw(compact_json(f"msg_{self._context.answer_id}"))
        members["message"] = msgspec.Raw(object_of(message))
        return encode_frame(escape_separators(object_of(members)), event=b"message_start")

    def _settled(self, name: str, event: StreamEvent, data: bytes) -> bytes:
        """Return an event's data, with what SDKs need put in, and note what it says."""
        match name:
            case "message_delta":
                self._note_delta(event)
                whole = event.usage is not None and event.usage.output_tokens is not None
                called = self._called and self._stop_reason == ENDED
                if whole and not called and b'"stop_sequence"' in data:
                    return data
                return _whole_delta(data, called=called)
            case "message_stop":
                self._note_stop()
            case "content_block_start" if event.content_block:
                block = read_named(event.content_block)
                self._called = self._called or block.type == "tool_use"
                renamed = renamed_call(bytes(event.content_block), block, self._names)
                return (
                    data if renamed is None else edit_object(raw_object(data), put={"content_block": renamed})
                )
        return data

    def _note_delta(self, event: StreamEvent) -> None:
        self.facts.usage = self._tally.take(event.usage) or self.facts.usage
        delta = event.delta
        if delta is not None:
            self._stop_reason = delta.stop_reason or self._stop_reason
            self._stop_sequence = delta.stop_sequence or self._stop_sequence
            if delta.stop_details is not None:
                self._detail = delta.stop_details.explanation or delta.stop_details.category

    def _note_stop(self) -> None:
        if self._stop_reason is None:
            raise BrokenStream("The provider ended its answer without a `stop_reason`; try again.")
        self.facts.done = True
        self.facts.finish = finish_of(
            self._stop_reason, called=self._called, stop_sequence=self._stop_sequence, detail=self._detail
        )


def _checked(data: bytes) -> bytes:
    """Return a delta's JSON when it is some; halves of characters, which are refused, are mended."""
    try:
        _read_delta(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        data = mend_body(data)
        _read_delta(data)
    return data


def _whole_usage(raw: msgspec.Raw) -> msgspec.Raw:
    """Return `usage` with all four counts; Claude Code breaks where one is missing (BerriAI/litellm#24176)."""
    usage = {} if raw == _NO_USAGE else members_of(raw)
    for name in _COUNTS:
        if usage.get(name, _NO_USAGE) == _NO_USAGE:
            usage[name] = _ZERO
    return msgspec.Raw(object_of(usage))


def _whole_delta(data: bytes, *, called: bool) -> bytes:
    """Return a `message_delta` with the members whose absence makes SDKs throw (vllm-project/vllm#55324).

    `called`: the answer holds a call, although its end was given another word (dialects.md §5.2).
    """
    members = raw_object(data)
    delta = raw_object(members.get("delta", b"{}"))
    usage = raw_object(members["usage"]) if members.get("usage", _NULL) != _NULL else {}
    delta.setdefault("stop_sequence", _NULL)
    if called:
        delta["stop_reason"] = CALLED
    if usage.get("output_tokens", _NULL) == _NULL:
        usage["output_tokens"] = b"0"
    return edit_object(
        members, put={"delta": edit_object(delta, put={}), "usage": edit_object(usage, put={})}
    )
