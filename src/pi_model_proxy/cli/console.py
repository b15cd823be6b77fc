"""Where a command prints: width, colour and wrapping in one place."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TextIO

import msgspec

from pi_model_proxy.config import sentence
from pi_model_proxy.sources import Problem

__all__ = ["DEFAULT_WIDTH", "PROGRAM", "Console", "Paint", "columns", "open_console", "wrapped"]

PROGRAM: Final = "pi-model-proxy"
DEFAULT_WIDTH: Final = 80
WIDEST: Final = 100
"""Prose is not wrapped wider than this."""
ANY_WIDTH: Final = 10_000
"""Width of a pipe: one line a row, for `grep`."""


class Paint(msgspec.Struct, frozen=True):
    """Colours, or none."""

    on: bool = False

    def bold(self, text: str) -> str:
        return self._code("1", text)

    def dim(self, text: str) -> str:
        return self._code("2", text)

    def red(self, text: str) -> str:
        return self._code("31", text)

    def yellow(self, text: str) -> str:
        return self._code("33", text)

    def _code(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.on else text


class Console:
    """Standard output and error of one run."""

    def __init__(
        self, out: TextIO, err: TextIO, *, paint: Paint, width: int, home: Path | None = None
    ) -> None:
        self._out = out
        self._err = err
        self.paint = paint
        """How to colour what goes to standard output."""
        self.width = width
        """Columns of standard output; very many when it is no terminal."""
        self.prose_width = DEFAULT_WIDTH if width >= ANY_WIDTH else min(width, WIDEST)
        """Columns for running text, which nobody greps line by line."""
        self._home = home

    def line(self, text: str = "") -> None:
        """Print one line, or several, on standard output."""
        self._out.write(text + "\n")

    def draw(self, text: str) -> None:
        """Write over the line that was drawn last; for a terminal only."""
        self._out.write(f"\r\x1b[K{text}")
        self._out.flush()

    def json(self, value: object) -> None:
        """Print a value as indented JSON."""
        self.line(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())

    def complain(self, severity: str, text: str) -> None:
        """Print `pi-model-proxy: error: ...` on standard error.

        What would move the cursor or change colours is shown as an escape: some of it comes from callers and providers.
        """
        self._err.write(f"{PROGRAM}: {severity}: {_shown(text)}\n")

    def complain_of(self, problem: Problem) -> None:
        """Print a problem on standard error in one line, with its place and its remedy."""
        severity = problem.severity if problem.severity in {"error", "warning"} else "note"
        self.complain(severity, sentence(problem))

    def flush(self) -> None:
        """Hand over what is buffered, so that a closed pipe shows here and not at exit."""
        self._out.flush()

    def short(self, path: Path | str) -> str:
        """Return a path with the home folder written `~`, as people write it."""
        text, home = str(path), str(self._home or "")
        return "~" + text[len(home) :] if home and (text == home or text.startswith(home + "/")) else text


def _shown(text: str) -> str:
    """Return `text` with an escape in the place of every character that is not to be seen, but for line ends."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text)


def open_console(environment: Mapping[str, str], *, home: Path | None = None) -> Console:
    """Return the console of this process: colour only on a terminal that wants it (https://no-color.org)."""
    terminal = sys.stdout.isatty()
    colour = terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    width = shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns if terminal else ANY_WIDTH
    return Console(sys.stdout, sys.stderr, paint=Paint(colour), width=width, home=home)


def wrapped(text: str, *, width: int, indent: str = "", first: str | None = None) -> list[str]:
    """Return `text` as lines of at most `width` columns, words whole."""
    lines = textwrap.wrap(
        text,
        width,
        initial_indent=indent if first is None else first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines or [""]


def columns(
    rows: Sequence[Sequence[str]], *, right: frozenset[int] = frozenset(), gap: str = "  "
) -> list[str]:
    """Return rows as lines with aligned columns; those in `right` are set flush right."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        gap.join(
            cell.rjust(width) if index in right else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
