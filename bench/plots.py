"""Plots as SVG text: horizontal bars with their spread, readable in a light and in a dark page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from samples import Spread

WIDTH, LABELS, VALUES = 880, 330, 120
"""Pixels: the whole, the labels' column, the column of written values."""
ROW, BAR, HEAD, FOOT = 26, 14, 48, 34
OURS_COLOUR, OTHERS_COLOUR, BAD_COLOUR = "#2a7fb8", "#9aa3ab", "#c8503c"
MUST_COLOUR, AIM_COLOUR = "#c8503c", "#3c9a55"
STYLE = (
    "text{font:13px system-ui,sans-serif;fill:#24292f}.title{font-weight:600;font-size:15px}.small{font-size:11px}"
    ".grid{stroke:#8886;stroke-width:1}.whisker{stroke:#24292f;stroke-width:1.5}"
    "@media(prefers-color-scheme:dark){text{fill:#e6edf3}.whisker{stroke:#e6edf3}}"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar; `must` and `aim` are drawn as marks where there are any."""

    label: str
    spread: Spread
    written: str
    ours: bool = True
    missed: bool = False
    must: float | None = None
    aim: float | None = None

    @property
    def colour(self) -> str:
        """Return its colour."""
        if self.missed:
            return BAD_COLOUR
        return OURS_COLOUR if self.ours else OTHERS_COLOUR


STEPS = tuple(step * 10.0**decade for decade in range(-6, 9) for step in (1, 2, 5))
"""Where an axis may begin, end and have its lines."""
MOST_TICKS = 11
"""With more lines than this only the powers of ten are drawn."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A logarithmic axis."""

    low: float
    high: float

    @staticmethod
    def around(values: Sequence[float]) -> Scale:
        """Return a scale on which all values lie, none of them at its very begin: a bar is to be seen."""
        known = [value for value in values if value > 0]
        low = max(step for step in STEPS if step < min(known) * 0.95)
        return Scale(low, min(step for step in STEPS if step >= max(known)))

    def x(self, value: float) -> float:
        """Return a value's place in pixels."""
        clamped = min(max(value, self.low), self.high)
        share = math.log(clamped / self.low) / math.log(self.high / self.low)
        return LABELS + share * (WIDTH - LABELS - VALUES)

    def ticks(self) -> list[float]:
        """Return the places of the grid's lines."""
        found = [step for step in STEPS if self.low <= step <= self.high]
        return found if len(found) <= MOST_TICKS else [step for step in found if step in STEPS[::3]]


def line(css: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a line."""
    return f'<line class="{css}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def mark(colour: str, x: float, y: float) -> str:
    """Return a mark across a bar."""
    return f'<rect x="{x - 1.5:.1f}" y="{y - 3:.1f}" width="3" height="{BAR + 6}" fill="{colour}" stroke="#fff" stroke-width="0.8"/>'


def text(words: str, x: float, y: float, css: str = "", anchor: str = "start") -> str:
    """Return a line of text."""
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'


def plain(value: float) -> str:
    """Return a tick's value without needless digits."""
    return f"{value:,.0f}" if value >= 1 else f"{value:g}"


def bars(title: str, rows: Sequence[Bar], unit: str) -> str:
    """Return a plot of bars on a logarithmic axis, each with its range as a whisker."""
    marks = [bound for row in rows for bound in (row.must, row.aim) if bound]
    scale = Scale.around([row.spread.low for row in rows] + [row.spread.high for row in rows] + marks)
    height = HEAD + ROW * len(rows) + FOOT
    bottom = HEAD + ROW * len(rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        f"<style>{STYLE}</style>",
        text(title, 8, 24, "title"),
    ]
    for tick in scale.ticks():
        parts.append(line("grid", scale.x(tick), HEAD - 6, scale.x(tick), bottom))
        parts.append(text(plain(tick), scale.x(tick), bottom + 15, "small", "middle"))
    parts.append(text(unit, LABELS, bottom + 30, "small"))
    for number, row in enumerate(rows):
        top = HEAD + ROW * number + (ROW - BAR) / 2
        middle, begin = top + BAR / 2, scale.x(scale.low)
        end = scale.x(row.spread.middle)
        parts += [
            text(row.label, LABELS - 10, middle + 4, anchor="end"),
            f'<rect x="{begin:.1f}" y="{top:.1f}" width="{max(1.0, end - begin):.1f}" height="{BAR}" rx="2" fill="{row.colour}"/>',
            line("whisker", scale.x(row.spread.low), middle, scale.x(row.spread.high), middle),
            *(mark(MUST_COLOUR, scale.x(bound), top) for bound in (row.must,) if bound),
            *(mark(AIM_COLOUR, scale.x(bound), top) for bound in (row.aim,) if bound),
            text(row.written, WIDTH - VALUES + 10, middle + 4),
        ]
    return "\n".join([*parts, "</svg>"]) + "\n"
