"""The table as text, JSON and JUnit."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Final
from xml.etree import ElementTree as ET

from pi_model_proxy.conformance.run import Cell, Result

__all__ = ["as_json", "as_junit", "as_table", "way"]

MARKS: Final = {"pass": "ok", "fail": "FAIL", "n/a": "n/a"}
_XML_HEAD: Final = '<?xml version="1.0" encoding="utf-8"?>\n'
_CONTROL: Final = {code: None for code in range(32) if code not in {9, 10, 13}}
"""Characters that XML 1.0 cannot hold (https://www.w3.org/TR/xml/#charsets)."""


def way(cell: Cell) -> str:
    """Return how a cell was asked."""
    return "streamed" if cell.streamed else "whole"


def as_table(result: Result) -> list[str]:
    """Return lines: the table, then what failed, then what is n/a, then the counts."""
    found = {(cell.check, cell.dialect, cell.streamed): cell for cell in result.cells}
    rows = [("", *(dialect.title for dialect in result.dialects))]
    for check in result.checks:
        marks = []
        for dialect in result.dialects:
            pair = (found.get((check.id, dialect.id, streamed)) for streamed in (False, True))
            marks.append(" ".join((MARKS[cell.state] if cell else "-").ljust(4) for cell in pair).rstrip())
        rows.append((check.id, *marks))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
    lines.append("(each cell: whole, streamed; - is not asked)")
    lines += _told(result, "fail", "Failed")
    lines += _told(result, "n/a", "Not applicable, by the vendor's documentation")
    counts = result.counts
    asked = counts["pass"] + counts["fail"]
    lines.append("")
    lines.append(
        f"{counts['pass']} of {asked} passed, {counts['fail']} failed, {counts['n/a']} n/a; {result.took_s:.1f} s"
    )
    return lines


def _told(result: Result, state: str, title: str) -> list[str]:
    cells = [cell for cell in result.cells if cell.state == state]
    if not cells:
        return []
    lines = ["", f"{title}:"]
    for (check, dialect, why), same in groupby(cells, key=lambda cell: (cell.check, cell.dialect, cell.why)):
        ways = list(same)
        lines.append(f"  {check}, {dialect} ({', '.join(map(way, ways))}): {why}")
        lines.append(f"      {ways[0].cites}")
    return lines


def as_json(result: Result) -> dict[str, Any]:
    """Return all of it for machines."""
    return {
        "url": result.url,
        "at": result.at,
        "took_s": round(result.took_s, 3),
        "models": result.models,
        "counts": result.counts,
        "checks": [
            {"id": check.id, "what": check.what, "how": check.how, "topic": check.topic}
            for check in result.checks
        ],
        "cells": result.cells,
    }


def as_junit(result: Result) -> bytes:
    """Return a report as CI systems read it (https://github.com/testmoapp/junitxml): a suite per dialect."""
    counts = result.counts
    top = ET.Element(
        "testsuites",
        name="pi-model-proxy conformance",
        tests=str(len(result.cells)),
        failures=str(counts["fail"]),
        skipped=str(counts["n/a"]),
        time=f"{result.took_s:.3f}",
    )
    for dialect in result.dialects:
        cells = [cell for cell in result.cells if cell.dialect == dialect.id]
        suite = ET.SubElement(
            top,
            "testsuite",
            name=dialect.id,
            tests=str(len(cells)),
            failures=str(sum(cell.state == "fail" for cell in cells)),
            skipped=str(sum(cell.state == "n/a" for cell in cells)),
            timestamp=result.at,
        )
        for cell in cells:
            _case(suite, cell)
    ET.indent(top)
    return f"{_XML_HEAD}{ET.tostring(top, encoding='unicode')}\n".encode()


def _case(suite: ET.Element, cell: Cell) -> None:
    name = f"{cell.check} ({way(cell)})"
    case = ET.SubElement(
        suite, "testcase", classname=f"conformance.{cell.dialect}", name=name, time=f"{cell.took_s:.3f}"
    )
    said = f"{cell.why} [{cell.cites}]".translate(_CONTROL)
    if cell.state == "fail":
        ET.SubElement(case, "failure", message=said)
    elif cell.state == "n/a":
        ET.SubElement(case, "skipped", message=said)
