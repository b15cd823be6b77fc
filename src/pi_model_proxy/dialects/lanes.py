"""Puts blocks that arrive side by side one after the other.

The hub's law: one block at a time. Formats that number their parts may let them overlap; the first
begins at once, what later ones say waits until those before them are complete.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Block,
    BlockStart,
    BlockStop,
    CitationDelta,
    Event,
    OpaqueDelta,
    TextDelta,
)

__all__ = ["MAX_HELD_CHARS", "Lane", "Lanes"]

MAX_HELD_CHARS: Final = 16 * 1024 * 1024
"""So much may wait for earlier blocks to end; more breaks the stream."""
MAX_BLOCKS: Final = 10_000
"""An answer of more blocks is no answer."""

Delta = TextDelta | ArgumentsDelta | OpaqueDelta | CitationDelta


class Lane:
    """One block on its way; made by `Lanes.open`."""

    __slots__ = ("closed", "held", "index", "stub")

    def __init__(self, stub: Block, index: int) -> None:
        self.stub = stub
        self.index = index
        self.held: list[Delta] = []
        self.closed = False


class Lanes:
    """Collects the events of several blocks in the hub's order; `take` hands them out."""

    def __init__(self) -> None:
        self._queue: deque[Lane] = deque()
        self._opened = 0
        self._held = 0
        self._events: list[Event] = []

    def open(self, stub: Block) -> Lane:
        """Begin a block after those begun before.

        Raises:
            BrokenStream: there have been more than `MAX_BLOCKS`.
        """
        if self._opened == MAX_BLOCKS:
            raise BrokenStream(
                f"The provider sent more than {MAX_BLOCKS} parts in one answer; it was given up."
            )
        lane = Lane(stub, self._opened)
        self._opened += 1
        self._queue.append(lane)
        if lane is self._queue[0]:
            self._events.append(BlockStart(index=lane.index, block=stub))
        return lane

    def add(self, lane: Lane, delta: Delta, *, chars: int = 0) -> None:
        """Say more in `lane`; `delta.index` must be the lane's, `chars` is how much memory it takes.

        Raises:
            BrokenStream: more than `MAX_HELD_CHARS` wait for an earlier block.
        """
        if lane is self._queue[0]:
            self._events.append(delta)
            return
        self._held += chars
        if self._held > MAX_HELD_CHARS:
            raise BrokenStream(
                "The provider mixed up the parts of its answer beyond measure; it was given up."
            )
        lane.held.append(delta)

    def close(self, lane: Lane) -> None:
        """End a block; those that waited for it go ahead. Closing twice does nothing."""
        lane.closed = True
        while self._queue and self._queue[0].closed:
            self._events.append(BlockStop(self._queue.popleft().index))
            if self._queue:
                following = self._queue[0]
                self._events.append(BlockStart(index=following.index, block=following.stub))
                self._events += following.held
                following.held = []

    def take(self) -> list[Event]:
        """Return the events since the last call."""
        events, self._events = self._events, []
        return events
