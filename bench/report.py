"""The measured figures as Markdown tables and plots, written between the markers of docs/benchmarks.md."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import plots
from kept import Drop
from measures import BODIES
from programme import PAIRS
from samples import Samples, Spread
from systems import DIRECT, NGINX, OURS, SYSTEMS, TITLES
from targets import Verdict

BEGIN, END = "<!-- begin: results (written by make bench) -->", "<!-- end: results -->"
NOTHING = "–"
QUIET_SHARE = 0.05
"""How much of the core others may use, by the median, in a run that is called quiet."""
AGAINST_NGINX = re.compile(r",? against nginx('s own)?")


@dataclass(frozen=True, slots=True)
class Figure:
    """A row: its key among the samples, its title with the unit, and digits after the point."""

    key: str
    title: str
    digits: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A table of figures, systems beside one another."""

    title: str
    figures: tuple[Figure, ...]


def at_once(number: int) -> str:
    """Return how many requests run, in words."""
    return "1 at a time" if number == 1 else f"{number} at once"


TABLES = (
    Table(
        "Plain answers of 1 KB",
        (
            Figure("json1_p50_us", "1 at a time: p50, µs"),
            Figure("json1_p50_us added", "1 at a time: added p50, µs"),
            *(
                figure
                for number in (1, 16, 64, 256)
                for figure in (
                    Figure(f"json{number}_cpu_us", f"{at_once(number)}: CPU µs per request"),
                    Figure(f"json{number}_rate", f"{at_once(number)}: answers/s"),
                    Figure(f"json{number}_core", f"{number} at once: share of its core in use", 2),
                )
                if number > 1 or not figure.key.endswith("core")
            ),
        ),
    ),
    Table(
        "Streams",
        (
            Figure("first_us", "first byte, 1 at a time: p50, µs"),
            Figure("first_us added", "added first byte: p50, µs"),
            Figure("burst_rate", "bursts, 16 at once: chunks/s"),
            Figure("burst_cpu_us", "bursts: CPU µs per chunk", 1),
            Figure("blob_rate", "bursts in one piece, 16 at once: chunks/s"),
            Figure("blob_cpu_us", "bursts in one piece: CPU µs per chunk", 1),
            Figure("paced_cpu_us", "100 streams, 20 ms: CPU µs per chunk", 1),
            Figure("paced_delay_us", "100 streams, 20 ms: chunk delay p50, µs"),
            Figure("paced_rate", "100 streams, 20 ms: chunks/s (5,000 offered)"),
            Figure("paced_tls_cpu_us", "the same, TLS upstream: CPU µs per chunk", 1),
            Figure("paced_tls_delay_us", "the same, TLS upstream: chunk delay p50, µs"),
        ),
    ),
    Table(
        "1,000 streams at once",
        (
            Figure("fast_delivered", "20 ms: delivered of 50,000 chunks/s offered", 3),
            Figure("fast_cpu_us", "20 ms: CPU µs per chunk", 1),
            Figure("fast_p50_us", "20 ms: chunk delay p50, µs"),
            Figure("fast_p99_us", "20 ms: chunk delay p99, µs"),
            Figure("slow_rate", "200 ms: chunks/s (5,000 offered)"),
            Figure("slow_p50_us", "200 ms: chunk delay p50, µs"),
            Figure("slow_p99_us", "200 ms: chunk delay p99, µs"),
            Figure("slow_p99_us added", "200 ms: added chunk delay p99, µs"),
        ),
    ),
    Table(
        "Bodies, 1 at a time",
        (
            *(Figure(f"body {name} ms", f"{name}: p50, ms", 2) for name in BODIES),
            Figure("body 10 MB ms added", "10 MB: added p50, ms", 2),
            Figure("stall_ms", "longest delay of a chunk of 20 streams beside 10 MB bodies, ms", 1),
        ),
    ),
    Table(
        "Memory and start",
        (
            Figure("start_s", "start to first answer, s", 2),
            Figure("idle_pss_mib", "idle PSS, MiB", 1),
            Figure("streams_open_pss_mib", "PSS with 1,000 streams open, MiB", 1),
            Figure("loaded_pss_mib", "PSS after the load of a round, MiB", 1),
            Figure("stream_kib", "user memory per open stream, KiB", 1),
            Figure("stream_tls_kib", "the same, TLS upstream, KiB", 1),
            Figure("growth_kib", "growth under steady load, KiB per 10,000 answers", 1),
        ),
    ),
)


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Write a Markdown table, its first row being the head, padded so that it reads in a terminal as well."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]

    def line(row: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return [line(rows[0]), rule, *map(line, rows[1:])]


def titled(name: str, versions: Mapping[str, str]) -> str:
    """Return a system's title with its version."""
    return f"{TITLES[name]} {versions.get(name, '')}".strip()


def figures_tables(samples: Samples, missing: Mapping[str, str]) -> list[str]:
    """Return all tables of figures; a system that could not be had has a column of n/a."""
    names = [name for name in TITLES if name in samples.figures or name in missing]
    lines: list[str] = []
    for content in TABLES:
        rows = []
        for figure in content.figures:
            cells = [cell(samples, name, figure, missing) for name in names]
            if any(value not in {NOTHING, "n/a"} for value in cells):
                rows.append([figure.title, *cells])
        if rows:
            lines += [f"### {content.title}", "", *table([["", *map(TITLES.__getitem__, names)], *rows]), ""]
    return lines


def cell(samples: Samples, name: str, figure: Figure, missing: Mapping[str, str]) -> str:
    """Return one figure of one system."""
    if name in missing:
        return "n/a"
    spread = Spread.of(samples.of(name, figure.key))
    return spread.written(figure.digits) if spread else NOTHING


def pairs_table(samples: Samples) -> list[str]:
    """Return ours for every pair of dialects, translated ones as a multiple of their caller's pass-through."""
    rows = [
        [
            "caller → upstream",
            "CPU µs per paced chunk",
            "against pass-through",
            "burst chunks/s",
            "against pass-through",
        ]
    ]
    for caller, callee in PAIRS:
        name, base = f"{caller}>{callee}", f"{caller}>{caller}"
        cpu = Spread.of(samples.of(OURS, f"{name} paced_cpu_us"))
        rate = Spread.of(samples.of(OURS, f"{name} burst_rate"))
        if cpu is None or rate is None:
            continue
        costs = Spread.of(samples.ratios((OURS, f"{name} paced_cpu_us"), (OURS, f"{base} paced_cpu_us")))
        rates = Spread.of(samples.ratios((OURS, f"{name} burst_rate"), (OURS, f"{base} burst_rate")))
        same = "(pass-through)" if caller == callee else NOTHING
        rows.append(
            [
                f"{caller} → {callee}",
                cpu.written(1),
                costs.written(2) if costs and caller != callee else same,
                rate.written(0),
                rates.written(2) if rates and caller != callee else same,
            ]
        )
    return ["### Translation", "", *table(rows), ""] if len(rows) > 1 else []


def targets_table(verdicts: Sequence[Verdict]) -> list[str]:
    """Return the targets with what was seen."""
    rows = [["target", "must", "aim for", "seen", "verdict"]]
    rows += [
        [
            verdict.target.title,
            verdict.target.bound(verdict.target.must),
            verdict.target.bound(verdict.target.aim),
            verdict.written,
            verdict.word,
        ]
        for verdict in verdicts
    ]
    return ["### Targets", "", *table(rows), ""]


def drops_table(drops: Sequence[Drop]) -> list[str]:
    """Return what is worse than what was kept."""
    if not drops:
        return []
    rows = [["worse than kept, beyond noise", "kept", "seen"]]
    rows += [[drop.title, drop.kept, drop.seen] for drop in drops]
    return [*table(rows), ""]


def notes(samples: Samples, versions: Mapping[str, str], missing: Mapping[str, str]) -> list[str]:
    """Return what each system does in the tests, what is missing and why, and every error."""
    lines = ["### What each does here", ""]
    for system in SYSTEMS:
        if system.name in missing:
            reason = " ".join(missing[system.name].split())
            lines.append(f"- **{system.title}**: n/a, not measured: {reason}")
        elif system.name in versions:
            lines.append(f"- **{titled(system.name, versions)}** {system.does}")
    lines.append("")
    wrong = {name: number for name, number in samples.errors.items() if number}
    if wrong:
        lines += ["Errors:", ""]
        lines += [
            f"- {TITLES[name]}: {number}, the first: `{samples.first_errors[name][:160]}`"
            for name, number in wrong.items()
        ]
    else:
        lines.append("No system gave an error in any test.")
    return [*lines, ""]


# --- plots ------------------------------------------------------------------------------------------------------------


def targets_plot(verdicts: Sequence[Verdict]) -> str:
    """Return ours as multiples of nginx, with the bounds."""
    rows = [
        plots.Bar(
            label=AGAINST_NGINX.sub("", verdict.target.title),
            spread=verdict.seen,
            written=verdict.target.written(verdict.seen.middle),
            missed=verdict.missed,
            must=verdict.target.must,
            aim=verdict.target.aim,
        )
        for verdict in verdicts
        if verdict.seen is not None
        and "nginx" in verdict.target.title
        and "main job" not in verdict.target.title
    ]
    unit = "multiple of nginx; red mark: must, green mark: aim (rates at least, costs at most)"
    return plots.bars("pi-model-proxy as a multiple of nginx", rows, unit) if rows else ""


def systems_plot(samples: Samples, key: str, title: str) -> str:
    """Return every system's figure as a multiple of nginx's."""
    rows = []
    for system in SYSTEMS:
        spread = Spread.of(samples.ratios((system.name, key), (NGINX, key)))
        if spread:
            written = f"{spread.middle:,.1f}" if spread.middle < 100 else f"{spread.middle:,.0f}"
            rows.append(
                plots.Bar(label=system.title, spread=spread, written=written, ours=system.name == OURS)
            )
    return plots.bars(title, rows, "multiple of nginx") if len(rows) > 1 else ""


def write_plots(samples: Samples, verdicts: Sequence[Verdict], folder: Path) -> list[str]:
    """Write the plots; return the lines that show them."""
    drawn = {
        "against-nginx": (targets_plot(verdicts), "pi-model-proxy as a multiple of nginx"),
        "cpu-per-request": (
            systems_plot(samples, "json16_cpu_us", "CPU per request, 16 at once"),
            "CPU per request of every system",
        ),
        "cpu-per-chunk": (
            systems_plot(samples, "paced_cpu_us", "CPU per paced chunk, 100 streams"),
            "CPU per paced chunk of every system",
        ),
        "first-byte": (
            systems_plot(samples, "first_us added", "Added time to the first byte, 1 at a time"),
            "Added first byte of every system",
        ),
    }
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, (picture, words) in drawn.items():
        path = folder / f"{name}.svg"
        path.unlink(missing_ok=True)
        if picture:
            path.write_text(picture)
            lines += [f"![{words}]({folder.name}/{path.name})", ""]
    return lines


def replace_results(document: str, lines: Sequence[str]) -> str:
    """Return the document with other lines between its markers.

    Raises:
        ValueError: a marker is missing.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/benchmarks.md has lost a marker: {BEGIN} … {END}")
    return "\n".join([before + BEGIN, "", *lines, END]) + after


def circumstances(samples: Samples) -> list[str]:
    """Return what bounds every rate, and how quiet the machine was."""
    lines = []
    rate = Spread.of(samples.of(DIRECT, "json64_rate"))
    burst = Spread.of(samples.of(DIRECT, "burst_rate"))
    if rate is not None and burst is not None:
        lines.append(
            f"The load generator and the upstream reach {rate.written(0)} answers/s and {burst.written(0)} burst"
            " chunks/s without a proxy between them: no rate below can be higher."
        )
    others = Spread.of(samples.others_shares)
    if others is not None:
        word = (
            "quiet"
            if others.middle < QUIET_SHARE
            else "**not quiet**: trust ratios of CPU time, not rates and delays"
        )
        lines.append(
            f"Other programs used {others.middle:.0%} of the tested systems' core meanwhile (median of all measurements,"
            f" {others.high:.0%} at most): {word}."
        )
    return [*lines, ""]
