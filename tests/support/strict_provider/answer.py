"""What the provider is to say, before any dialect has its way with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from support.strict_provider.traits import UsagePlace

__all__ = [
    "Answer",
    "Call",
    "Ids",
    "Pace",
    "Part",
    "Redacted",
    "Refusal",
    "Stop",
    "Style",
    "Text",
    "Thinking",
    "Usage",
    "pieces",
]

Stop = Literal[
    "auto", "stop", "length", "content_filter", "refusal", "stop_sequence", "pause", "context_full"
]


@dataclass(frozen=True, slots=True)
class Text:
    """Words for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Thinking:
    """Visible thinking; each dialect signs or seals it in its own way."""

    text: str


@dataclass(frozen=True, slots=True)
class Redacted:
    """Thinking that nobody may read; dialects without such a thing leave it out."""


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. `arguments` is JSON text, sent as it stands; empty text means no argument fragment at all."""

    name: str
    arguments: str = "{}"
    id: str | None = None
    """None: an id of the dialect's own sort."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The model declines, in words."""

    text: str


Part = Text | Thinking | Redacted | Call | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, disjoint on the input side; None: counted from request and answer."""

    fresh: int | None = None
    cache_read: int = 0
    cache_write_5m: int = 0
    cache_write_1h: int = 0
    output: int | None = None
    """Includes `reasoning`."""
    reasoning: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """How an answer is cut into events; None leaves it to the model's traits."""

    piece_chars: int = 6
    """Characters per delta."""
    interleave_calls: bool = False
    """Chat: fragments of parallel calls alternate (vector 61)."""
    reasoning_fields: tuple[str, ...] | None = None
    usage_place: UsagePlace | None = None
    deltas: bool = True
    """Responses: False sends only the `*.done` aggregates (vector 71)."""
    escaped: bool = False
    """Whether JSON is ASCII-escaped; raw UTF-8 shows raw U+2028 and friends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How the bytes leave."""

    chunk_bytes: int = 0
    """Cut the stream every so many bytes, wherever that falls; 0: one write per event."""
    pause_s: float = 0.0
    """Seconds between writes."""
    hold_after: int | None = None
    """Events to send before waiting for the gate."""
    gate: str = "gate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One scripted answer."""

    parts: tuple[Part, ...]
    stop: Stop = "auto"
    """`auto`: tool calls if there are any, a refusal if there is one, else the end."""
    stop_sequence: str | None = None
    usage: Usage = field(default_factory=Usage)
    style: Style = field(default_factory=Style)
    pace: Pace = field(default_factory=Pace)

    def calls(self) -> list[Call]:
        """Return the tool calls, in order."""
        return [part for part in self.parts if isinstance(part, Call)]

    def ending(self) -> str:
        """Return the stop with `auto` resolved: one of `Stop` or `tool_calls`."""
        if self.stop != "auto":
            return self.stop
        if self.calls():
            return "tool_calls"
        return "refusal" if any(isinstance(part, Refusal) for part in self.parts) else "stop"

    def output_tokens(self) -> int:
        """Return the output count: given, or four characters each."""
        if self.usage.output is not None:
            return self.usage.output
        texts = [
            part.arguments if isinstance(part, Call) else getattr(part, "text", "") for part in self.parts
        ]
        return sum(len(text) for text in texts) // 4 + 1

    def reasoning_tokens(self) -> int:
        """Return the part of the output that was thinking."""
        thought = sum(len(part.text) for part in self.parts if isinstance(part, Thinking)) // 4
        return self.usage.reasoning or min(thought, self.output_tokens())


class Ids:
    """Makes ids that look like the vendors' and never repeat within a provider."""

    def __init__(self) -> None:
        self._made = 0

    def new(self, prefix: str) -> str:
        """Return a fresh id: the prefix and 24 characters."""
        self._made += 1
        return f"{prefix}{self._made:024x}"


def pieces(text: str, size: int) -> Iterator[str]:
    """Yield `text` in pieces of `size` characters; nothing for an empty text."""
    return (text[start : start + size] for start in range(0, len(text), size))
