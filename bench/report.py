"""Figures into words: medians with their spread, ratios within a round, targets, and the document."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Samples = dict[str, dict[str, list[float]]]
"""System → figure → one sample per round (figures taken once have one sample)."""

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Figure:
    """A column: its key among the samples, its title with the unit, and digits after the point."""

    key: str
    title: str
    digits: int = 0


FIGURES = (
    Figure("request_cpu_us", "CPU µs per request"),
    Figure("answers_per_s", "answers/s"),
    Figure("p50_us", "p50 µs, c=1"),
    Figure("added_p50_us", "added p50 µs, c=1"),
    Figure("chunk_cpu_us", "CPU µs per chunk"),
    Figure("chunks_per_s", "chunks/s"),
    Figure("chunk_delay_us", "chunk delay p50 µs"),
    Figure("idle_pss_mib", "idle PSS MiB", 1),
    Figure("loaded_pss_mib", "PSS MiB after load", 1),
    Figure("start_s", "start to first answer, s", 2),
)
RATIOS = ("request_cpu_us", "answers_per_s", "p50_us", "added_p50_us", "chunk_cpu_us")


@dataclass(frozen=True, slots=True)
class Target:
    """A promise about our own figure, alone (`peer` empty) or as a ratio to a peer's in the same round."""

    title: str
    key: str
    peer: str
    at_most: float


TARGETS = (
    Target("CPU per request ≤ 1/60 of LiteLLM's", "request_cpu_us", "litellm", 1 / 60),
    Target("CPU per request ≤ 12 times nginx's", "request_cpu_us", "nginx", 12),
    Target("idle PSS ≤ 60 MiB", "idle_pss_mib", "", 60),
    Target("start to first answer ≤ 1 s", "start_s", "", 1),
)


def spread(values: Sequence[float], digits: int) -> str:
    """Write a median and, of several samples, their range."""
    if not values:
        return "–"
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) == 1:
        return middle
    return f"{middle} ({min(values):,.{digits}f}–{max(values):,.{digits}f})"


def ratios(samples: Samples, key: str, above: str, below: str) -> list[float]:
    """Return one system's figure over another's, round by round."""
    pairs = zip(samples.get(above, {}).get(key, []), samples.get(below, {}).get(key, []), strict=False)
    return [first / second for first, second in pairs if second > 0]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a Markdown table, its first row being the head, padded so that it reads in a terminal as well."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [line(rows[0]), rule, *map(line, rows[1:])]


def figures_table(samples: Samples, titles: Mapping[str, str]) -> list[str]:
    """One row per figure, one column per system."""
    rows = [["", *(titles[name] for name in samples)]]
    for figure in FIGURES:
        cells = [spread(samples[name].get(figure.key, []), figure.digits) for name in samples]
        if any(cell != "–" for cell in cells):
            rows.append([figure.title, *cells])
    return table(rows)


def ratio_table(samples: Samples, titles: Mapping[str, str]) -> list[str]:
    """Ours over each peer, round by round: below 1 is cheaper for costs, more for rates."""
    peers = [name for name in samples if name not in {OURS, "direct"}]
    if OURS not in samples or not peers:
        return []
    rows = [["ours as a multiple of", *(titles[name] for name in peers)]]
    rows += [
        [figure.title, *(spread(ratios(samples, figure.key, OURS, name), 3) for name in peers)]
        for figure in FIGURES
        if figure.key in RATIOS
    ]
    return table(rows)


def judge(samples: Samples) -> tuple[list[str], bool]:
    """Return the targets' table and whether every target that could be judged was met (on medians)."""
    rows = [["target", "seen", "verdict"]]
    met = True
    for target in TARGETS:
        if target.peer:
            values = ratios(samples, target.key, OURS, target.peer)
        else:
            values = samples.get(OURS, {}).get(target.key, [])
        if not values:
            rows.append([target.title, "–", "not measured"])
            continue
        good = statistics.median(values) <= target.at_most
        met = met and good
        if target.at_most < 1:  # a small fraction reads better as 1/n
            seen = f"1/{1 / statistics.median(values):.0f} (1/{1 / min(values):.0f}–1/{1 / max(values):.0f})"
        else:
            seen = spread(values, 2)
        rows.append([target.title, seen, "met" if good else "MISSED"])
    return table(rows), met
