"""What was measured: one figure per system, kind and round, and the statistics that are made of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Samples:
    """Figures by system, then by key, then by round; the errors; and how quiet the machine was."""

    figures: dict[str, dict[str, dict[int, float]]] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    first_errors: dict[str, str] = field(default_factory=dict)
    others_shares: list[float] = field(default_factory=list)
    """How much of the tested system's core others used, for each run of the load generator."""

    def note(self, system: str, key: str, turn: int, value: float | None) -> None:
        """Keep one figure; None is none."""
        if value is not None:
            self.figures.setdefault(system, {}).setdefault(key, {})[turn] = value

    def note_errors(self, system: str, number: int, first: str) -> None:
        """Count errors; the first one's words are kept."""
        self.errors[system] = self.errors.get(system, 0) + number
        if number:
            self.first_errors.setdefault(system, first)

    def by_round(self, system: str, key: str) -> dict[int, float]:
        """Return a figure's samples."""
        return self.figures.get(system, {}).get(key, {})

    def of(self, system: str, key: str) -> list[float]:
        """Return a figure's samples in the order of rounds."""
        return list(self.by_round(system, key).values())

    def ratios(self, above: tuple[str, str], below: tuple[str, str]) -> list[float]:
        """Return one (system, key) over another, within each round that has both."""
        first, second = self.by_round(*above), self.by_round(*below)
        return [value / second[turn] for turn, value in first.items() if second.get(turn, 0) > 0]

    def save(self, path: Path) -> None:
        """Write everything to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        value = {"figures": self.figures, "errors": self.errors, "first_errors": self.first_errors}
        path.write_text(json.dumps(value))


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with the smallest and the largest value."""

    middle: float
    low: float
    high: float

    @staticmethod
    def of(values: Iterable[float]) -> Spread | None:
        """Return the spread, None of nothing."""
        known = list(values)
        return Spread(statistics.median(known), min(known), max(known)) if known else None

    def written(self, digits: int) -> str:
        """Return `middle (low–high)`, or the middle alone where they are the same."""
        words = [f"{value:,.{digits}f}" for value in (self.middle, self.low, self.high)]
        return words[0] if words[1] == words[2] else f"{words[0]} ({words[1]}–{words[2]})"


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the steepness of the straight line through points (least squares)."""
    return statistics.linear_regression(*zip(*points, strict=True)).slope
