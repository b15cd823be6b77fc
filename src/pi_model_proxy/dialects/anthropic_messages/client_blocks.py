"""One content block after the other, from an upstream's events to the hub's.

The hub wants blocks strictly one after the other; here a delta of the wrong kind closes the open
block and begins its own (sgl-project/sglang#24293: text deltas on a tool block), and a block that
is still open when the next one begins is closed.
"""

from __future__ import annotations

from typing import Any, Final, TypeVar

import msgspec

from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT
from pi_model_proxy.dialects.anthropic_messages.stream_events import ContentBlock, StreamEvent
from pi_model_proxy.dialects.names import ToolNames, unwrap_input
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    Opaque,
    OpaqueDelta,
    RawBlock,
    ReasoningBlock,
    TextBlock,
    TextDelta,
)
from pi_model_proxy.wire import compact_json

__all__ = ["BlockWriter", "citation_of"]

MAX_HELD_CHARS: Final = 4 * 1024 * 1024
"""Streamed input that is kept until its block ends: of a server's own tool, of a free-form tool."""
_NO_INPUT: Final = frozenset({b"", b"{}", b"null"})

T = TypeVar("T")
_block_decoder = msgspec.json.Decoder(ContentBlock)
_any_decoder = msgspec.json.Decoder(dict[str, Any])


class BlockWriter:
    """Writes block events; holds the open block's state."""

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._index = -1
        self._kind = ""
        """`text`, `thinking`, `tool_use` or `raw`; empty between blocks."""
        self._wire_index: int | None = None
        self._signature: list[str] = []
        self._input = b""
        """A tool's whole input, where it came with the block's start."""
        self._fragmented = False
        self._custom = False
        """Whether the call is of a free-form tool that went out as a function: its input is unwrapped at the end."""
        self._raw: dict[str, Any] = {}
        self._held: list[str] = []
        self._held_size = 0
        self.called = False
        """Whether a tool call has begun."""

    def start(self, event: StreamEvent, events: list[Event]) -> None:
        """Begin a block.

        Raises:
            BrokenStream: the block is no object of its kind.
        """
        self.stop(events)
        raw = event.content_block
        if not raw:
            raise BrokenStream("The provider began a content block without saying which; try again.")
        block = _read(raw, _block_decoder)
        self._wire_index = event.index
        match block.type:
            case "text":
                self._begin("text", TextBlock(text=""), events)
                self._write_text(block.text, events)
                events += [CitationDelta(self._index, citation_of(each)) for each in block.citations or ()]
            case "thinking":
                self._begin("thinking", ReasoningBlock(summary=True), events)
                self._write_text(block.thinking, events)
                self._signature = [block.signature] if block.signature else []
            case "redacted_thinking":
                opaque = Opaque(kind="anthropic_redacted", data=block.data or "")
                self._begin("thinking", ReasoningBlock(opaque=opaque), events)
            case "tool_use":
                self._begin_call(block, events)
            case _:
                self._kind, self._raw = "raw", _read(raw, _any_decoder)

    def delta(self, event: StreamEvent, events: list[Event]) -> None:
        """Take a delta.

        Raises:
            BrokenStream: it belongs to a block that is not open, so that its text has no place.
        """
        delta = event.delta
        if delta is None:
            return
        if self._kind and event.index is not None and self._wire_index not in {None, event.index}:
            raise BrokenStream("The provider mixed the parts of several content blocks; try again.")
        match delta.type:
            case "text_delta":
                self._switch_to("text", events)
                self._write_text(delta.text, events)
            case "input_json_delta":
                self._write_arguments(delta.partial_json or "", events)
            case "thinking_delta":
                self._switch_to("thinking", events)
                self._write_text(delta.thinking, events)
            case "signature_delta" if delta.signature:
                self._switch_to("thinking", events)
                self._signature.append(delta.signature)
            case "citations_delta" if delta.citation and self._kind == "text":
                events.append(CitationDelta(self._index, citation_of(delta.citation)))

    def stop(self, events: list[Event]) -> None:
        """End the open block, if there is one."""
        if not self._kind:
            return
        if self._kind == "raw":
            self._write_raw(events)
        elif self._kind == "tool_use":
            self._end_call(events)
        if self._signature:
            opaque = Opaque(kind="anthropic_signature", data="".join(self._signature))
            events.append(OpaqueDelta(self._index, opaque))
        events.append(BlockStop(self._index))
        self._kind, self._wire_index, self._signature = "", None, []

    def _begin(self, kind: str, block: Block, events: list[Event]) -> None:
        self._kind = kind
        self._index += 1
        events.append(BlockStart(index=self._index, block=block))

    def _begin_call(self, block: ContentBlock, events: list[Event]) -> None:
        self.called = True
        self._input = bytes(block.input)
        self._fragmented = False
        stub = self._names.call_stub(block.name or "", call_id=block.id or "")
        self._custom = stub.custom
        self._begin("tool_use", stub, events)

    def _end_call(self, events: list[Event]) -> None:
        whole = "" if self._fragmented or self._input in _NO_INPUT else self._input.decode("utf-8", "replace")
        if self._custom:
            whole = unwrap_input("".join(self._held) or whole)
        if whole:
            events.append(ArgumentsDelta(self._index, whole))
        self._held, self._held_size = [], 0

    def _switch_to(self, kind: str, events: list[Event]) -> None:
        """Make sure that the open block is of the delta's kind, so that its text is not lost."""
        if self._kind != kind:
            self.stop(events)
            self._begin(kind, TextBlock(text="") if kind == "text" else ReasoningBlock(summary=True), events)

    def _write_text(self, text: str | None, events: list[Event]) -> None:
        if text:
            events.append(TextDelta(self._index, text))

    def _write_arguments(self, text: str, events: list[Event]) -> None:
        if not text:
            return
        if self._kind not in {"raw", "tool_use"}:
            raise BrokenStream("The provider sent a tool's input outside of a tool call; try again.")
        self._fragmented = True
        if self._kind == "tool_use" and not self._custom:
            events.append(ArgumentsDelta(self._index, text))
            return
        self._held_size += len(text)
        if self._held_size > MAX_HELD_CHARS:
            raise BrokenStream(f"The provider sent a tool's input of more than {MAX_HELD_CHARS} characters.")
        self._held.append(text)

    def _write_raw(self, events: list[Event]) -> None:
        """Write a block that only this format knows: whole, with the input that was streamed for it."""
        streamed = "".join(self._held)
        if streamed:
            try:
                self._raw["input"] = msgspec.json.decode(streamed)
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                raise BrokenStream(
                    "The provider sent broken input of a tool of its own; try again."
                ) from error
        self._index += 1
        block = RawBlock(
            dialect=DIALECT, type_name=str(self._raw.get("type", "")), data=compact_json(self._raw).decode()
        )
        events.append(BlockStart(index=self._index, block=block))
        self._raw, self._held, self._held_size = {}, [], 0


def _read(raw: msgspec.Raw, decoder: msgspec.json.Decoder[T]) -> T:
    try:
        return decoder.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BrokenStream(f"The provider began a content block that is none ({error}).") from error


class _Cited(msgspec.Struct):
    url: str | None = None
    title: str | None = None
    document_title: str | None = None
    cited_text: str | None = None


_citation_decoder = msgspec.json.Decoder(_Cited)


def citation_of(raw: msgspec.Raw) -> Citation:
    """Return a citation, with the JSON text it came as."""
    text = bytes(raw).decode("utf-8", "replace")
    try:
        cited = _citation_decoder.decode(raw)
    except (msgspec.DecodeError, ValueError, RecursionError):
        cited = _Cited()
    title = cited.title or cited.document_title
    return Citation(url=cited.url, title=title, cited_text=cited.cited_text, dialect=DIALECT, raw=text)
