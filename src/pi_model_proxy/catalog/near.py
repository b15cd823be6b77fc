"""Which known names look like the one asked for."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable
from typing import Final

__all__ = ["find_near"]

GRAM: Final = 3
"""Letters that are compared at a time."""
LONGEST_NAME: Final = 200
"""Characters of the asked name that count; a caller may send anything."""
LEAST_LIKENESS: Final = 0.3
"""Below this a suggestion would puzzle more than help."""
_PUNCTUATION: Final = re.compile(r"[^a-z0-9]+")


def find_near(names: Iterable[str], asked: str, *, limit: int = 3) -> tuple[str, ...]:
    """Return up to `limit` names like `asked`, the likest first.

    Likeness is the share of three-letter pieces two names have in common (Dice's coefficient), whatever the case.
    A name that contains the whole of `asked`, or whose id is `asked`, comes first, and there punctuation does not
    count: `gpt5` is `openai/gpt-5`, and so is `other/gpt-5`.
    """
    wanted = asked[:LONGEST_NAME].strip().lower()
    core = _PUNCTUATION.sub("", wanted.rpartition("/")[2])
    if not core:
        return ()
    pieces = _pieces(wanted)
    scored = ((_likeness(name.lower(), wanted, core, pieces), name) for name in names)
    near = heapq.nsmallest(limit, ((-score, name) for score, name in scored if score >= LEAST_LIKENESS))
    return tuple(name for _, name in near)


def _likeness(name: str, wanted: str, core: str, pieces: frozenset[str]) -> float:
    found = _pieces(name)
    shared = 2 * len(found & pieces) / (len(found) + len(pieces))
    bare = _PUNCTUATION.sub("", name.rpartition("/")[2])
    if name == wanted or bare == core:
        return 2 + shared
    return 1 + shared if core in bare else shared


def _pieces(name: str) -> frozenset[str]:
    padded = f" {name} "
    return frozenset(padded[start : start + GRAM] for start in range(len(padded) - GRAM + 1))
