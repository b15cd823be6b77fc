"""What is wrong with a configuration, and the nearest name to one that is unknown."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from pi_model_proxy.sources import Problem

__all__ = ["ConfigError", "near_name", "sentence"]


def sentence(problem: Problem) -> str:
    """Return a problem in one line: where, what, what to do."""
    text = f"{problem.where}: {problem.what}" if problem.where else problem.what
    return f"{text}; {problem.fix}" if problem.fix else text


class ConfigError(Exception):
    """The settings cannot be used; carries everything that is wrong with them, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(sentence(problem) for problem in problems))
        self.problems = tuple(problems)
        """Errors first come, and whatever warnings were found beside them."""


def near_name(name: str, known: Iterable[str]) -> str:
    """Return the known name most like `name`, or empty when none is; case, `-` and `_` do not matter."""
    by_letters = {_letters(each): each for each in known}
    matches = difflib.get_close_matches(_letters(name), by_letters, n=1)
    return by_letters[matches[0]] if matches else ""


def _letters(name: str) -> str:
    return name.lower().replace("-", "").replace("_", "")
