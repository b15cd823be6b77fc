"""The blocks of an answer while it arrives, under the numbers its format gives them.

For decoders whose format says which block each piece belongs to. Blocks may overlap there
(`lanes` puts them in the hub's order); names and free-form inputs of tools come out as the caller
wrote them.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final, Literal, TypeAlias

from pi_model_proxy.dialects.lanes import MAX_HELD_CHARS, Lane, Lanes
from pi_model_proxy.dialects.names import ToolNames, unwrap_input
from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    Citation,
    CitationDelta,
    Event,
    Opaque,
    OpaqueDelta,
    ReasoningBlock,
    TextBlock,
    TextDelta,
)

__all__ = ["AnswerBlocks", "Kind"]

Kind: TypeAlias = Literal["text", "reasoning", "call"]

_TAIL_CHARS: Final = 64
_GIVEN_UP: Final = "The provider's tool calls grew past what a request can hold; the answer was given up."


class _Open:
    """A block that is not complete."""

    __slots__ = ("kind", "lane", "length", "opaque", "pieces", "tail", "wrapped")

    def __init__(self, kind: Kind, lane: Lane, *, wrapped: bool) -> None:
        self.kind = kind
        self.lane = lane
        self.wrapped = wrapped
        """Whether these are the arguments of a function around a free-form tool."""
        self.length = 0
        self.tail = ""
        """How much has been said, and how that ended."""
        self.pieces: list[str] = []
        """What a wrapped call has said so far."""
        self.opaque: Opaque | None = None

    def missing(self, whole: str) -> str:
        """Return what of `whole` has not been said; nothing when it is another text than was said."""
        return whole[self.length :] if whole[: self.length].endswith(self.tail) else ""


class AnswerBlocks:
    """Collects the pieces of one answer; `take` hands out the events they make.

    Raises:
        BrokenStream: from any method that adds, when the answer grows beyond every bound.
    """

    def __init__(self, names: ToolNames) -> None:
        self._names = names
        self._lanes = Lanes()
        self._open: dict[Hashable, _Open] = {}
        self._ids: set[str] = set()
        self._call_chars = 0
        self.called = False
        """Whether a tool call has begun."""

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        return self._lanes.take()

    def kind_of(self, key: Hashable) -> Kind | None:
        """Return what kind of block is open under `key`."""
        found = self._open.get(key)
        return None if found is None else found.kind

    def say(self, key: Hashable, kind: Literal["text", "reasoning"], text: str) -> None:
        """Add text to the block under `key`, which begins with it; a block of another kind there ends first."""
        found = self._begun(key, kind)
        if text:
            self._add(found, clean_text(text))

    def complete(self, key: Hashable, whole: str) -> None:
        """Add what the whole text or arguments of an open block have beyond what was said."""
        found = self._open.get(key)
        if found is not None:
            missing = found.missing(clean_text(whole))
            if missing:
                self._add(found, missing)

    def call(self, key: Hashable, name: str, *, call_id: str) -> None:
        """Begin a tool call; an id that an earlier call of this answer has, or none at all, is replaced."""
        self.stop(key)
        stub = self._names.call_stub(name, call_id=self._distinct(call_id))
        self.called = True
        self._open[key] = _Open("call", self._lanes.open(stub), wrapped=stub.custom)

    def argue(self, key: Hashable, text: str) -> bool:
        """Add to a call's arguments; False when no call is open under `key`."""
        found = self._open.get(key)
        if found is None or found.kind != "call":
            return False
        if text:
            self._add(found, clean_text(text))
        return True

    def cite(self, key: Hashable, citation: Citation) -> None:
        """Add a citation to the text block under `key`, which begins with it."""
        found = self._begun(key, "text")
        self._lanes.add(found.lane, CitationDelta(found.lane.index, citation), chars=len(citation.raw))

    def seal(self, key: Hashable, opaque: Opaque) -> None:
        """Give the open block under `key` its token, replacing an earlier one; thinking begins with it."""
        found = self._open.get(key) or self._begun(key, "reasoning")
        found.opaque = opaque

    def stop(self, key: Hashable) -> None:
        """End the block under `key`, if there is one."""
        found = self._open.pop(key, None)
        if found is None:
            return
        index = found.lane.index
        if found.wrapped:
            whole = unwrap_input("".join(found.pieces))
            self._lanes.add(found.lane, ArgumentsDelta(index, whole), chars=len(whole))
        if found.opaque is not None:
            self._lanes.add(found.lane, OpaqueDelta(index, found.opaque), chars=len(found.opaque.data))
        self._lanes.close(found.lane)

    def stop_all(self) -> None:
        """End whatever is open."""
        for key in tuple(self._open):
            self.stop(key)

    def _begun(self, key: Hashable, kind: Literal["text", "reasoning"]) -> _Open:
        found = self._open.get(key)
        if found is not None and found.kind == kind:
            return found
        self.stop(key)
        stub: Block = TextBlock(text="") if kind == "text" else ReasoningBlock()
        found = self._open[key] = _Open(kind, self._lanes.open(stub), wrapped=False)
        return found

    def _add(self, found: _Open, text: str) -> None:
        found.length += len(text)
        found.tail = (found.tail + text)[-_TAIL_CHARS:]
        if found.kind != "call":
            self._lanes.add(found.lane, TextDelta(found.lane.index, text), chars=len(text))
            return
        self._call_chars += len(text)
        if self._call_chars > MAX_HELD_CHARS:
            raise BrokenStream(_GIVEN_UP)
        if found.wrapped:
            found.pieces.append(text)
        else:
            self._lanes.add(found.lane, ArgumentsDelta(found.lane.index, text), chars=len(text))

    def _distinct(self, call_id: str) -> str:
        given = call_id or "call"
        distinct = given
        while distinct in self._ids:
            distinct = f"{given}_{len(self._ids)}"
        self._ids.add(distinct)
        return distinct
