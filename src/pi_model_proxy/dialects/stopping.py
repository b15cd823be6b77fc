"""Stop sequences for upstreams whose format has none: the answer is cut where the caller wants it to end.

Works on hub events, so any format can use it; pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from pi_model_proxy.hub import BlockStart, BlockStop, Event, Failure, Finish, TextBlock, TextDelta

__all__ = ["StopFilter"]


class StopFilter:
    """Passes events on until the answer's text holds a stop sequence, then ends the answer.

    Only text counts, not thinking and not tool calls, as with the formats that know stop
    sequences. Text that may be the beginning of one is held back until later text decides.
    """

    def __init__(self, stops: Iterable[str]) -> None:
        self._stops = tuple(stop for stop in stops if stop)
        self._open_text: int | None = None
        self._held = ""
        self.done = False
        """The answer has ended: give up the upstream; every further event is swallowed."""

    def feed(self, event: Event) -> list[Event]:
        """Return what may be passed on now that `event` is known."""
        if self.done:
            return []
        match event:
            case TextDelta(index=index, text=text) if index == self._open_text:
                return self._text(index, text)
            case BlockStart(index=index, block=TextBlock()):
                self._open_text = index
            case BlockStop(index=index) if index == self._open_text:
                self._open_text = None
                return [*self._release(index), event]
            case Failure() | Finish():
                self.done = True
                if self._open_text is not None:
                    return [*self._release(self._open_text), event]
        return [event]

    def _text(self, index: int, text: str) -> list[Event]:
        text = self._held + text
        found = [(at + len(stop), at, stop) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            # The first to be complete, wherever the text was split; of two that end together the longer.
            _end, at, stop = min(found)
            self.done = True
            said: list[Event] = [TextDelta(index, text[:at])] if at else []
            return [*said, BlockStop(index), Finish(reason="stop_sequence", stop_sequence=stop)]
        keep = self._beginning(text)
        self._held = text[len(text) - keep :]
        passed = text[: len(text) - keep]
        return [TextDelta(index, passed)] if passed else []

    def _beginning(self, text: str) -> int:
        """Return how many characters at the end of `text` may be the beginning of a stop sequence."""
        longest = min(len(text), max(map(len, self._stops), default=1) - 1)
        for length in range(longest, 0, -1):
            tail = text[-length:]
            if any(stop.startswith(tail) for stop in self._stops):
                return length
        return 0

    def _release(self, index: int) -> list[Event]:
        held, self._held = self._held, ""
        return [TextDelta(index, held)] if held else []
