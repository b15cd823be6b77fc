"""Wildcards over names, as pi's settings use them.

Source: minimatch 10 (https://github.com/isaacs/minimatch) with `nocase`, which pi 1.5.2 hands its patterns to. Names
are read as paths, so that `*` and `?` stop at a slash and `**` does not: `openrouter/*` does not match
`openrouter/anthropic/claude`, `openrouter/**` does.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Final

__all__ = ["matches_glob"]

MAX_PATTERN: Final = 1024
"""Characters of a pattern that is still looked at; nobody's list of models needs more."""
MAX_BRACES: Final = 256
"""Patterns that one with `{a,b}` may stand for."""

POSIX_CLASSES: Final = {
    "[:alnum:]": "a-zA-Z0-9",
    "[:alpha:]": "a-zA-Z",
    "[:digit:]": "0-9",
    "[:lower:]": "a-zA-Z",
    "[:punct:]": r"!-/:-@\[-`{-~",
    "[:space:]": r"\s",
    "[:upper:]": "a-zA-Z",
    "[:xdigit:]": "0-9A-Fa-f",
}
"""Character classes by name; upper and lower case are the same here."""


def matches_glob(name: str, pattern: str) -> bool:
    """Whether `pattern` matches the whole of `name`, whatever the case.

    Understands `*`, `?`, `[...]`, `**` between slashes, `{a,b}`, `{1..3}` and `!` before a whole pattern; a pattern that
    begins with `#` is a comment and matches nothing. Minimatch's `+(a|b)` and its kin are not understood.
    """
    if len(pattern) > MAX_PATTERN or pattern.startswith("#"):
        return False
    bare = pattern.lstrip("!")
    is_negated = (len(pattern) - len(bare)) % 2 == 1
    if not bare:
        return is_negated if name else not is_negated
    parts = name.split("/")
    found = any(_matches_parts(parts, expanded.split("/")) for expanded in expand_braces(bare))
    return found is not is_negated


def expand_braces(pattern: str) -> list[str]:
    """Return the patterns that `pattern` stands for, at most `MAX_BRACES`; `a{b,c}` gives `ab` and `ac`."""
    found = _find_braces(pattern)
    if found is None:
        return [pattern]
    before, options, after = found
    tails = expand_braces(after)
    heads = [head for option in options for head in expand_braces(option)]
    whole = (before + head + tail for head, tail in itertools.product(heads[:MAX_BRACES], tails))
    return list(itertools.islice(whole, MAX_BRACES))


def _find_braces(pattern: str) -> tuple[str, list[str], str] | None:
    """Return the first braces that hold a choice, with what stands before and after them."""
    for start in (index for index, character in enumerate(pattern) if character == "{"):
        end, commas = _close_braces(pattern, start)
        if end < 0:
            continue
        if commas:
            cuts = [start, *commas, end]
            return (
                pattern[:start],
                [pattern[a + 1 : b] for a, b in itertools.pairwise(cuts)],
                pattern[end + 1 :],
            )
        numbers = re.fullmatch(r"(-?\d{1,4})\.\.(-?\d{1,4})", pattern[start + 1 : end])
        if numbers:
            first, last = int(numbers[1]), int(numbers[2])
            step = 1 if last >= first else -1
            return (
                pattern[:start],
                [str(number) for number in range(first, last + step, step)],
                pattern[end + 1 :],
            )
    return None


def _close_braces(pattern: str, start: int) -> tuple[int, list[int]]:
    """Return where the brace at `start` closes (-1: never), and the commas of its own level."""
    depth = 0
    commas: list[int] = []
    for index in range(start, len(pattern)):
        character = pattern[index]
        if character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if not depth:
                return index, commas
        elif character == "," and depth == 1:
            commas.append(index)
    return -1, []


def _matches_parts(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Match path parts; `**` stands for any number of parts that do not begin with a dot."""
    if not patterns:
        return not names
    if patterns[0] == "**":
        rest = patterns[1:]
        for skipped in range(len(names) + 1):
            if skipped and names[skipped - 1].startswith("."):
                return False
            if rest and _matches_parts(names[skipped:], rest):
                return True
        return not rest and bool(names)
    if not names:
        return False
    return _part_matches(names[0], patterns[0]) and _matches_parts(names[1:], patterns[1:])


def _part_matches(name: str, pattern: str) -> bool:
    if name.startswith(".") and pattern[:1] in {"*", "?", "["}:
        return False
    if pattern.strip("*") == "" and pattern:
        return bool(name)
    return re.fullmatch(_as_expression(pattern), name, re.IGNORECASE | re.DOTALL) is not None


def _as_expression(pattern: str) -> str:
    """Return one part of a pattern as a regular expression."""
    expression, index = "", 0
    while index < len(pattern):
        character = pattern[index]
        index += 1
        if character == "*":
            expression += "" if expression.endswith(".*?") else ".*?"
        elif character == "?":
            expression += "."
        elif character == "[":
            text, length = _as_class(pattern, index)
            expression += text
            index += length
        elif character == "\\" and index < len(pattern):
            expression += re.escape(pattern[index])
            index += 1
        else:
            expression += re.escape(character)
    return expression


def _as_class(pattern: str, start: int) -> tuple[str, int]:
    """Return the brackets that open before `start` as an expression, and how many characters they take."""
    is_negated = pattern[start : start + 1] in {"!", "^"}
    index = first = start + is_negated
    members = ""
    while index < len(pattern):
        if pattern[index] == "]" and index > first:
            return _class_expression(members, is_negated=is_negated), index + 1 - start
        posix = next((name for name in POSIX_CLASSES if pattern.startswith(name, index)), None)
        if posix:
            members += POSIX_CLASSES[posix]
            index += len(posix)
            continue
        low, index = _class_member(pattern, index)
        is_range = pattern[index : index + 1] == "-" and pattern[index + 1 : index + 2] not in {"", "]"}
        high, index = _class_member(pattern, index + 1) if is_range else (low, index)
        members += (
            f"{re.escape(low)}-{re.escape(high)}" if low <= high else ""
        )  # a range upside down holds nothing
    return r"\[", 0  # never closed: a bracket is a bracket


def _class_member(pattern: str, index: int) -> tuple[str, int]:
    """Return the character at `index`, or the one a backslash there protects, and where to go on."""
    step = 1 if pattern[index] == "\\" and index + 1 < len(pattern) else 0
    return pattern[index + step], index + step + 1


def _class_expression(members: str, *, is_negated: bool) -> str:
    if not members:
        return "." if is_negated else "(?!)"
    return f"[{'^' if is_negated else ''}{members}]"
