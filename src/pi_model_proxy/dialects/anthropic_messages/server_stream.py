"""Hub events to a caller's event stream.

The grammar (dialects.md §2.1, §2.9, §2.10)::

    stream := message_start (ping* block)* message_delta message_stop    | ... error
    block  := content_block_start(i) content_block_delta(i)* content_block_stop(i)     i = 0, 1, 2, ...

Clients take it literally: an index with a gap loses text silently, a second `signature_delta`
overwrites the first, and a `message_delta` without `usage` or `stop_sequence` throws.
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.anthropic_messages.answer_parts import (
    MAX_HIDDEN_CHARS,
    are_arguments_whole,
    citation_object,
    hides_reasoning,
    message_id,
    raw_object_of,
    tool_use_object,
)
from pi_model_proxy.dialects.anthropic_messages.envelope import wrap
from pi_model_proxy.dialects.anthropic_messages.server_errors import error_object
from pi_model_proxy.dialects.anthropic_messages.stop_reasons import stop_reason_of
from pi_model_proxy.dialects.anthropic_messages.usage import usage_object
from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    CitationDelta,
    Event,
    Failure,
    Finish,
    Opaque,
    OpaqueDelta,
    Ping,
    RawBlock,
    ReasoningBlock,
    Start,
    TextDelta,
    ToolCallBlock,
    Usage,
    UsageUpdate,
)
from pi_model_proxy.wire import ascii_json, ascii_text, encode_frame

__all__ = ["PING_FRAME", "MessagesStreamEncoder", "error_frame"]

PING_FRAME: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_STOP_FRAME: Final = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_DELTA_HEAD: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%s","%s":'
)
_DELTA_TAIL: Final = b"}}\n\n"
_INPUT_HEAD: Final = '{"input":"'
_INPUT_TAIL: Final = '"}'
"""What stands around a custom tool's free text."""


def error_frame(error: GatewayError) -> bytes:
    """Return the event that ends an answer which has begun; nothing may follow it."""
    return encode_frame(ascii_json(error_object(error, request_id=None)), event=b"error")


class MessagesStreamEncoder:
    """One answer as a stream; blocks that turn out empty are never begun."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._hides = hides_reasoning(context)
        self._usage = Usage()
        self._index = -1
        self._stub: Block | None = None
        """The hub block that is open; None between blocks."""
        self._open = False
        """Whether its `content_block_start` has been written."""
        self._head = b""
        self._opaque: Opaque | None = None
        self._arguments: list[str] = []
        self._called = False
        self._truncated = False
        self._hidden: list[str] = []
        self._hidden_chars = 0
        self._ended = False

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        if self._ended:
            return b""
        out = b""
        match event:
            case TextDelta(text=text):
                out = self._text(text)
            case ArgumentsDelta(text=text):
                out = self._argue(text)
            case BlockStart(block=block):
                out = self._begin(block)
            case BlockStop():
                out = self._end_block()
            case Finish():
                out, self._ended = self._finish(event), True
            case Failure(error=error):
                out, self._ended = error_frame(error), True
            case _:
                out = self._aside(event)
        return out

    def ping(self) -> bytes:
        """See `StreamEncoder.ping`."""
        return PING_FRAME

    def _aside(self, event: Event) -> bytes:
        """Take an event that writes no text."""
        match event:
            case OpaqueDelta(opaque=opaque):
                self._opaque = opaque
            case CitationDelta(citation=citation):
                delta = {"type": "citations_delta", "citation": citation_object(citation)}
                return self._opened() + _frame("content_block_delta", index=self._index, delta=delta)
            case UsageUpdate(usage=usage):
                self._usage = usage
            case Start():
                self._usage = event.usage or self._usage
                return self._start(event)
            case Ping():
                return PING_FRAME
        return b""

    def _start(self, event: Start) -> bytes:
        message: dict[str, Any] = {
            "id": message_id(event.id, self._context),
            "type": "message",
            "role": "assistant",
            "model": self._context.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_object(self._usage),
        }
        return _frame("message_start", message=message)

    def _begin(self, block: Block) -> bytes:
        self._stub, self._opaque, self._arguments = block, None, []
        match block:
            case ToolCallBlock():
                self._called = True
                begun = self._write_start(
                    {**tool_use_object(block, self._context, self._index + 1), "input": {}}
                )
                return begun + self._argued(_INPUT_HEAD) if block.custom else begun
            case ReasoningBlock(opaque=opaque):
                self._opaque = opaque
            case RawBlock():
                native = raw_object_of(block)
                return self._write_start(native) if native is not None else b""
        return b""

    def _write_start(self, content_block: dict[str, Any]) -> bytes:
        self._open = True
        self._index += 1
        self._head = _DELTA_HEAD % (self._index, *_DELTAS.get(content_block["type"], (b"", b"")))
        return _frame("content_block_start", index=self._index, content_block=content_block)

    def _opened(self) -> bytes:
        """Begin the open hub block on the wire, if that has not been done."""
        if self._open:
            return b""
        if isinstance(self._stub, ReasoningBlock):
            return self._write_start({"type": "thinking", "thinking": "", "signature": ""})
        return self._write_start({"type": "text", "text": ""})

    def _text(self, text: str) -> bytes:
        if not text:
            return b""
        if self._hides and isinstance(self._stub, ReasoningBlock):
            self._hide(text)
            return b""
        opened = b"" if self._open else self._opened()
        return opened + self._head + ascii_text(text) + _DELTA_TAIL

    def _argue(self, text: str) -> bytes:
        if not text:
            return b""
        if isinstance(self._stub, ToolCallBlock) and self._stub.custom:
            text = ascii_text(text)[1:-1].decode()  # free text stands in a member: input is an object here
        return self._argued(text)

    def _argued(self, text: str) -> bytes:
        self._arguments.append(text)
        return self._head + ascii_text(text) + _DELTA_TAIL

    def _hide(self, text: str) -> None:
        if self._hidden_chars < MAX_HIDDEN_CHARS:
            self._hidden.append(text)
            self._hidden_chars += len(text)

    def _end_block(self) -> bytes:
        out = b""
        stub, self._stub = self._stub, None
        if isinstance(stub, ToolCallBlock) and stub.custom:
            out = self._argued(_INPUT_TAIL)
        if isinstance(stub, ReasoningBlock) and self._opaque is not None and not self._hides:
            self._stub = stub
            out = self._signed(self._opaque)
            self._stub = None
        elif isinstance(stub, ToolCallBlock) and not are_arguments_whole("".join(self._arguments)):
            self._truncated = True
        if self._open:
            out += _frame("content_block_stop", index=self._index)
        self._open = False
        return out

    def _signed(self, opaque: Opaque) -> bytes:
        """Write the token of thinking that ends: whole, once, right before the block's stop."""
        if opaque.kind == "anthropic_redacted" and not self._open:
            return self._write_start({"type": "redacted_thinking", "data": opaque.data})
        if opaque.kind == "anthropic_redacted":
            return b""
        target = self._context.target
        signature = wrap(opaque, f"{target.provider}/{target.model}")
        delta = {"type": "signature_delta", "signature": signature}
        return self._opened() + _frame("content_block_delta", index=self._index, delta=delta)

    def _finish(self, finish: Finish) -> bytes:
        out = b""
        if self._index < 0 and self._hidden:
            # Nothing but thinking came: an empty answer would look like a fault.
            self._hides, self._stub = False, ReasoningBlock()
            out = self._text("".join(self._hidden)) + self._end_block()
        reason = stop_reason_of(finish, called=self._called, truncated=self._truncated)
        delta: dict[str, Any] = {"stop_reason": reason, "stop_sequence": finish.stop_sequence}
        if reason == "refusal" and finish.detail:
            delta["stop_details"] = {"type": "refusal", "category": None, "explanation": finish.detail}
        return out + _frame("message_delta", delta=delta, usage=usage_object(self._usage)) + _STOP_FRAME


_DELTAS: Final[dict[str, tuple[bytes, bytes]]] = {
    "text": (b"text_delta", b"text"),
    "thinking": (b"thinking_delta", b"thinking"),
    "tool_use": (b"input_json_delta", b"partial_json"),
}
"""Content block type to the type and the member of its deltas."""


def _frame(event_type: str, **members: Any) -> bytes:  # noqa: ANN401 - any JSON value
    return encode_frame(ascii_json({"type": event_type, **members}), event=event_type.encode())
