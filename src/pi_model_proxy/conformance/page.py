"""The table as one HTML file: no script, nothing fetched, plots as inline SVG."""

from __future__ import annotations

from html import escape
from statistics import median
from typing import Final

from pi_model_proxy.conformance.report import MARKS, way
from pi_model_proxy.conformance.run import Cell, Result

__all__ = ["as_html"]

COLOURS: Final = {"pass": "#2e7d4f", "fail": "#c0392b", "n/a": "#8a8f98"}
_BAR_WIDTH: Final = 420
_ROW: Final = 26
_LEFT: Final = 150

_STYLE: Final = """
body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#1d2026;background:#fff}
table{border-collapse:collapse;width:100%;margin:1rem 0}th,td{border:1px solid #d5d9df;padding:.3rem .5rem;text-align:left}
td.mark{white-space:nowrap}.pass{color:#2e7d4f}.fail{color:#c0392b;font-weight:600}.na{color:#6b7079}
small{color:#6b7079}svg text{font:13px system-ui,sans-serif;fill:#1d2026}
"""


def as_html(result: Result) -> str:
    """Return the page."""
    counts = result.counts
    models = ", ".join(
        sorted({escape(getattr(result.models, name)) for name in result.models.__struct_fields__})
    )
    summary = (
        f"{counts['pass']} of {counts['pass'] + counts['fail']} passed, {counts['fail']} failed, "
        f"{counts['n/a']} not applicable; {result.took_s:.1f} s"
    )
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Conformance</title>',
            f"<style>{_STYLE}</style></head><body>",
            f"<h1>Conformance of {escape(result.url)}</h1>",
            f"<p>{result.at}; models: {models}</p><p><strong>{summary}</strong></p>",
            _plot_states(result),
            _plot_times(result),
            _table(result),
            _list(result, "fail", "Failed"),
            _list(result, "n/a", "Not applicable, by the vendor's documentation"),
            "</body></html>",
            "",
        ]
    )


def _plot_states(result: Result) -> str:
    """Draw a bar for each dialect: how many of its cells are in each state."""
    bars = []
    for row, dialect in enumerate(result.dialects):
        cells = [cell for cell in result.cells if cell.dialect == dialect.id]
        left = float(_LEFT)
        for state, colour in COLOURS.items():
            number = sum(cell.state == state for cell in cells)
            width = _BAR_WIDTH * number / len(cells)
            bars.append(
                f'<rect x="{left:.1f}" y="{row * _ROW + 3}" width="{width:.1f}" height="{_ROW - 8}" fill="{colour}">'
                f"<title>{number} {state}</title></rect>"
            )
            left += width
        passed, asked = (
            sum(cell.state in states for cell in cells) for states in ({"pass"}, {"pass", "fail"})
        )
        bars.append(
            _words(0, row, dialect.title) + _words(_LEFT + _BAR_WIDTH + 8, row, f"{passed} of {asked}")
        )
    return _figure("Cells passed (green), failed (red), not applicable (grey)", bars, len(result.dialects))


def _plot_times(result: Result) -> str:
    """Draw a bar for each dialect: the median time of a passed cell."""
    times = [
        median(
            [cell.took_s for cell in result.cells if cell.dialect == dialect.id and cell.state == "pass"]
            or [0.0]
        )
        for dialect in result.dialects
    ]
    longest = max(times, default=0.0) or 1.0
    bars = []
    for row, (dialect, took_s) in enumerate(zip(result.dialects, times, strict=True)):
        width = _BAR_WIDTH * took_s / longest
        bars.append(
            f'<rect x="{_LEFT}" y="{row * _ROW + 3}" width="{width:.1f}" height="{_ROW - 8}" fill="#3b6ea5"/>'
            + _words(0, row, dialect.title)
            + _words(_LEFT + _BAR_WIDTH + 8, row, f"{took_s * 1000:.0f} ms")
        )
    return _figure("Median time of a passed cell", bars, len(result.dialects))


def _words(x: int, row: int, text: str) -> str:
    return f'<text x="{x}" y="{row * _ROW + 17}">{escape(text)}</text>'


def _figure(caption: str, parts: list[str], rows: int) -> str:
    size = f'width="{_LEFT + _BAR_WIDTH + 100}" height="{rows * _ROW + 4}"'
    return f'<figure><figcaption>{caption}</figcaption><svg role="img" {size}>{"".join(parts)}</svg></figure>'


def _table(result: Result) -> str:
    found = {(cell.check, cell.dialect, cell.streamed): cell for cell in result.cells}
    head = "".join(f"<th>{escape(dialect.title)}</th>" for dialect in result.dialects)
    rows = []
    for check in result.checks:
        marks = ""
        for dialect in result.dialects:
            pair = (found.get((check.id, dialect.id, streamed)) for streamed in (False, True))
            marks += f'<td class="mark">{" ".join(_mark(cell) for cell in pair if cell)}</td>'
        told = f"{escape(check.what)}<br><small>{escape(check.how)}</small>"
        rows.append(f"<tr><td><code>{check.id}</code></td><td>{told}</td>{marks}</tr>")
    return f"<table><tr><th>Check</th><th></th>{head}</tr>{''.join(rows)}</table><p>Whole, streamed; each mark leads to what it stands on.</p>"


def _mark(cell: Cell) -> str:
    title = escape(f"{way(cell)}: {cell.why or cell.state}", quote=True)
    kind = "na" if cell.state == "n/a" else cell.state
    return (
        f'<a class="{kind}" href="{escape(cell.cites, quote=True)}" title="{title}">{MARKS[cell.state]}</a>'
    )


def _list(result: Result, state: str, title: str) -> str:
    items = [
        f"<li><code>{cell.check}</code>, {cell.dialect}, {way(cell)}: {escape(cell.why)} "
        f'(<a href="{escape(cell.cites, quote=True)}">{escape(cell.cites)}</a>)</li>'
        for cell in result.cells
        if cell.state == state
    ]
    return f"<h2>{title}</h2><ul>{''.join(items)}</ul>" if items else ""
