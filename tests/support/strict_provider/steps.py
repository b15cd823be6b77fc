"""What happens on the wire, one small step at a time; a plan is an iterable of these.

A plan that ends without `HangUp`, `Reset` or `Doom` leaves the connection open for the next request.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Doom", "HangUp", "Hold", "Linger", "Pause", "Reset", "Send", "Step"]


@dataclass(frozen=True, slots=True)
class Send:
    """Write these bytes."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Pause:
    """Do nothing for a while."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Hold:
    """Do nothing until the test opens this gate."""

    gate: str


@dataclass(frozen=True, slots=True)
class Linger:
    """Do nothing until the peer leaves."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """Close the connection in an orderly way, with or without the answer being whole."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Tear the connection down (RST)."""


@dataclass(frozen=True, slots=True)
class Doom:
    """Keep the connection open, and reset it at the first byte of the next request: a stale connection."""


Step = Send | Pause | Hold | Linger | HangUp | Reset | Doom
