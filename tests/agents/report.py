"""What came of it: a table for the terminal, a page for docs/."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Outcome", "Untested", "page", "summary"]

SCENES: Final = ("text", "stream", "tools", "structured")
SHOWN_CHARS: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One scene of one client, over one dialect, before one kind of upstream."""

    client: str
    version: str
    face: str
    model: str
    scene: str
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Untested:
    """A client that could not be run here, and why."""

    client: str
    why: str


def _column(scene: str) -> str:
    """Return the column a scene counts in: its own name's first word, or `more`."""
    first = scene.split(maxsplit=1)[0]
    return first if first in SCENES else "more"


def _cell(found: Sequence[Outcome]) -> str:
    if not found:
        return "—"
    good = sum(outcome.error is None for outcome in found)
    mark = "ok" if good == len(found) else "FAILED"
    return f"{mark} {good}/{len(found)}"


def _rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    keys = list(dict.fromkeys((found.client, found.version, found.face) for found in outcomes))
    rows = []
    for key in keys:
        mine = [found for found in outcomes if (found.client, found.version, found.face) == key]
        cells = [
            _cell([found for found in mine if _column(found.scene) == column]) for column in (*SCENES, "more")
        ]
        more = sorted({found.scene for found in mine if _column(found.scene) == "more"})
        rows.append([*key, *cells[:-1], cells[-1] + (f": {', '.join(more)}" if more else "")])
    return rows


def summary(outcomes: Sequence[Outcome], untested: Iterable[Untested]) -> list[str]:
    """Return the lines for the terminal."""
    rows = [["client", "version", "dialect", "text", "streaming", "tools", "typed", "more"], *_rows(outcomes)]
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    lines += [f"NOT TESTED  {each.client}: {each.why}" for each in untested]
    lines += [
        f"FAILED  {found.client}, {found.face}, {found.model}, {found.scene}: {(found.error or '')[:SHOWN_CHARS]}"
        for found in outcomes
        if found.error is not None
    ]
    good = sum(found.error is None for found in outcomes)
    return [*lines, f"{good} of {len(outcomes)} scenes went as they should."]


def page(outcomes: Sequence[Outcome], untested: Sequence[Untested], *, date: str, ours: str) -> str:
    """Return docs/agents.md."""
    good = sum(found.error is None for found in outcomes)
    lines = [
        "# Clients in front of it",
        "",
        "Written by `make agents`; do not edit. It installs each client into an environment of its own, in the newest version that",
        "the package indexes have, and runs it against the installed gateway, with strict scripted upstreams of three kinds",
        "(chat, Responses, Messages) behind it that refuse whatever the vendor would refuse.",
        "",
        f"Last run: {date}, pi-model-proxy {ours}. **{good} of {len(outcomes)} scenes went as they should.**",
        "",
        "Numbers count scenes, over all three kinds of upstream. *Tools* is a whole loop: the client runs its own tool (the coding",
        "agents: their shell) and the model sees the result. Coding agents always stream, so their *text* is streamed. — means that",
        "the client has no such thing, or that it was not tried.",
        "",
        "| client | version | dialect | text | streaming | tools | typed answer | more |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *("| " + " | ".join(row) + " |" for row in _rows(outcomes)),
    ]
    failures = [found for found in outcomes if found.error is not None]
    if failures:
        lines += ["", "## What went wrong", ""]
        lines += [
            f"* {found.client}, {found.face}, `{found.model}`, {found.scene}: `{one_line(found.error)}`"
            for found in failures
        ]
    if untested:
        lines += ["", "## Not tested", ""]
        lines += [f"* {each.client}: {each.why}" for each in untested]
    return "\n".join([*lines, ""])


def one_line(text: str | None) -> str:
    """Return `text` fit for a list in Markdown."""
    return " ".join((text or "").split()).replace("`", "'")[:SHOWN_CHARS]
