"""One thing that was looked at, and what came of it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from pi_model_proxy.sources import Problem

__all__ = ["LEVELS", "TOPICS", "Finding", "Level", "found"]

Level = Literal["error", "warning", "note", "ok"]
LEVELS: Final[tuple[Level, ...]] = ("error", "warning", "note", "ok")
"""Worst first."""

TOPICS: Final = {
    "program": "Program",
    "configuration": "Configuration",
    "address": "Address and key",
    "files": "Files",
    "lock": "pi's lock",
    "clock": "Clock",
    "accounts": "Accounts",
    "commands": "Commands for keys",
    "log": "Request log",
    "database": "Database",
    "network": "Network",
    "reach": "Reachability",
}
"""Word in the JSON and heading, in the order in which they are told."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found; never a secret."""

    topic: str
    """A key of `TOPICS`."""
    level: Level
    what: str
    where: str = ""
    """File, variable, flag or provider; empty where `what` says it."""
    fix: str = ""
    """What to do; empty when there is nothing to be done."""
    details: tuple[str, ...] = ()
    """More about it, a line each."""


def found(topic: str, problem: Problem) -> Finding:
    """Return a problem of another room as a finding."""
    level: Level = (
        "error" if problem.severity == "error" else "warning" if problem.severity == "warning" else "note"
    )
    return Finding(topic=topic, level=level, what=problem.what, where=problem.where, fix=problem.fix)
