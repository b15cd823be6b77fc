"""Answers of upstreams that know no stop sequences, ended where the caller wants. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pi_model_proxy.dialects.base import StreamDecoder
from pi_model_proxy.dialects.stopping import StopFilter
from pi_model_proxy.hub import ArgumentsDelta, Event, Failure, Finish, TextDelta, Usage, UsageUpdate

__all__ = ["StoppedDecoder", "Stopping"]

CHARS_A_TOKEN: Final = 4
"""English prose in every vendor's tokenizer, roughly; the figure is marked as estimated."""


class Stopping:
    """A `StopFilter` that also says what the answer used: an upstream given up early never tells."""

    def __init__(self, stops: Iterable[str], *, input_tokens: int) -> None:
        self._filter = StopFilter(stops)
        self._input_tokens = input_tokens
        self._chars = 0
        self._told = False

    @property
    def done(self) -> bool:
        """The answer has ended."""
        return self._filter.done

    def feed(self, event: Event) -> list[Event]:
        """Return what may be passed on now that `event` is known."""
        if isinstance(event, TextDelta | ArgumentsDelta):
            self._chars += len(event.text)
        self._told |= isinstance(event, UsageUpdate)
        passed = self._filter.feed(event)
        if self.done and passed and isinstance(passed[-1], Finish) and not self._told:
            output = -(-self._chars // CHARS_A_TOKEN)
            passed.insert(-1, UsageUpdate(Usage(input=self._input_tokens, output=output, estimated=True)))
        return passed


class StoppedDecoder:
    """Implements `StreamDecoder` around another."""

    def __init__(self, decoder: StreamDecoder, stopping: Stopping) -> None:
        self._decoder = decoder
        self._stopping = stopping

    @property
    def done(self) -> bool:
        """See `StreamDecoder.done`."""
        return self._stopping.done or self._decoder.done

    @done.setter
    def done(self, value: bool) -> None:
        self._decoder.done = value

    def feed(self, chunk: bytes) -> list[Event]:
        """See `StreamDecoder.feed`."""
        return self._passed(self._decoder.feed(chunk))

    def close(self) -> list[Event]:
        """See `StreamDecoder.close`."""
        return self._passed(self._decoder.close())

    def _passed(self, events: Iterable[Event]) -> list[Event]:
        passed: list[Event] = []
        for event in events:
            passed += self._stopping.feed(event)
            if isinstance(event, Failure):
                break
        return passed
