"""One content block after the other, from an upstream's parts to the hub's events.

A text part continues the one before it; a call is whole. A token (`thoughtSignature`) belongs to the
part it stands on and closes it: parts with and without one must not be joined. The hub has no token
on text, so one that stood there follows the text as thinking without words.

Source: dialects.md §2.4, vectors 26 and 66; Google's page on thought signatures.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.google_gemini.call_ids import CallIdMaker
from pi_model_proxy.dialects.google_gemini.chunks import DIALECT, Candidate, FunctionCall, Part
from pi_model_proxy.dialects.google_gemini.grounding import MAX_CITED_CHARS, citations_in
from pi_model_proxy.dialects.names import ToolNames, unwrap_input
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    CitationDelta,
    DataSource,
    Event,
    ImageBlock,
    Opaque,
    OpaqueDelta,
    RawBlock,
    ReasoningBlock,
    TextBlock,
    TextDelta,
)
from pi_model_proxy.wire import compact_json

__all__ = ["BlockWriter"]

_NO_ARGS: Final = frozenset({b"", b"null"})
_MARKS: Final = frozenset({"thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata"})
"""Members that say something about a part; the other one says what it is."""


class BlockWriter:
    """Writes block events; holds the open block's state."""

    def __init__(self, names: ToolNames) -> None:
        self.answer_id = ""
        self.called = False
        """Whether a call has been written."""
        self._names = names
        self._ids = CallIdMaker()
        self._index = -1
        self._kind = ""
        """`text` or `thought`; empty between blocks."""
        self._signature: str | None = None
        """The token of the open block, written when it ends."""
        self._said: list[str] | None = []
        """The open text, to count its characters for citations; None when it grew too long."""
        self._said_chars = 0

    def text(self, part: Part, events: list[Event]) -> None:
        """Take a piece of text or thinking: it continues the open block, unless that has had its token."""
        kind = "thought" if part.thought else "text"
        text, signature = part.text or "", part.thought_signature
        if self._kind != kind or self._signature is not None:
            if not text and not signature:
                return
            if kind == "text" and not text:
                self._lone_token(signature or "", events)
                return
            self._begin(kind, events)
        if text:
            events.append(TextDelta(self._index, text))
            if kind == "text":
                self._keep(text)
        if signature:
            self._signature = signature

    def call(self, call: FunctionCall, signature: str | None, events: list[Event]) -> None:
        """Write a call, which is always whole.

        Raises:
            BrokenStream: it comes in pieces, which nobody asked for.
        """
        if call.partial_args:
            raise BrokenStream("The provider sent a call's arguments in pieces, which was not asked for.")
        self.stop(events)
        self.called = True
        name = call.name or ""
        arguments = _arguments(call.args)
        call_id = self._ids.take(call.id, answer_id=self.answer_id, name=name, arguments=arguments)
        stub = self._names.call_stub(name, call_id=call_id)
        if stub.custom:
            arguments = unwrap_input(arguments)
        self._start(stub, events)
        if arguments:
            events.append(ArgumentsDelta(self._index, arguments))
        if signature:
            events.append(OpaqueDelta(self._index, _token(signature)))
        events.append(BlockStop(self._index))

    def other(self, part: Part, raw: dict[str, Any], events: list[Event]) -> None:
        """Write a part that is neither text nor a call: a picture, or what only this format can say."""
        kind = next((name for name in raw if name not in _MARKS), "")
        blob = part.inline_data
        if not kind:
            if part.thought_signature:
                self._lone_token(part.thought_signature, events)
            return
        self.stop(events)
        is_picture = (
            blob is not None and (blob.mime_type or "").startswith("image/") and not part.thought_signature
        )
        if blob is not None and is_picture:
            source = DataSource(media_type=blob.mime_type or "", data=blob.data or "")
            self._start(ImageBlock(source=source), events)
        else:
            self._start(RawBlock(dialect=DIALECT, type_name=kind, data=compact_json(raw).decode()), events)
        events.append(BlockStop(self._index))

    def cite(self, candidate: Candidate, events: list[Event]) -> None:
        """Write where the open text comes from."""
        if self._kind != "text":
            return
        said = None if self._said is None else "".join(self._said)
        found = citations_in(candidate.grounding_metadata, candidate.citation_metadata, said)
        events += [CitationDelta(self._index, citation) for citation in found]

    def stop(self, events: list[Event]) -> None:
        """End the open block, if there is one; a token that stood on text follows in a block of its own."""
        kind, signature = self._kind, self._signature
        self._kind, self._signature = "", None
        if not kind:
            return
        if kind == "thought" and signature is not None:
            events.append(OpaqueDelta(self._index, _token(signature)))
        events.append(BlockStop(self._index))
        if kind == "text" and signature is not None:
            self._start(ReasoningBlock(), events)
            events += [OpaqueDelta(self._index, _token(signature)), BlockStop(self._index)]

    def _lone_token(self, signature: str, events: list[Event]) -> None:
        """Take a token on no text at all: it belongs to the open text, else it stands alone."""
        if self._kind == "text" and self._signature is None:
            self._signature = signature
            return
        self.stop(events)
        self._start(ReasoningBlock(), events)
        events += [OpaqueDelta(self._index, _token(signature)), BlockStop(self._index)]

    def _begin(self, kind: str, events: list[Event]) -> None:
        self.stop(events)
        self._start(TextBlock(text="") if kind == "text" else ReasoningBlock(summary=True), events)
        self._kind, self._said, self._said_chars = kind, [], 0

    def _start(self, block: Block, events: list[Event]) -> None:
        self._index += 1
        events.append(BlockStart(index=self._index, block=block))

    def _keep(self, text: str) -> None:
        if self._said is not None:
            self._said_chars += len(text)
            self._said.append(text)
            if self._said_chars > MAX_CITED_CHARS:
                self._said = None


def _token(signature: str) -> Opaque:
    return Opaque(kind="gemini_signature", data=signature)


def _arguments(args: msgspec.Raw) -> str:
    """Return a call's arguments as compact JSON.

    Raises:
        BrokenStream: beyond what numbers or stacks can hold.
    """
    if bytes(args) in _NO_ARGS:
        return ""
    try:
        return compact_json(msgspec.json.decode(args)).decode()
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise BrokenStream(f"The provider sent a call whose arguments cannot be read ({error}).") from error
