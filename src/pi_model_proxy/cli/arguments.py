"""Command lines: a parser that answers in one line, and the settings as flags."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Collection, Sequence
from typing import Any, Final, NoReturn

from typing_extensions import override

from pi_model_proxy.cli.console import DEFAULT_WIDTH, PROGRAM
from pi_model_proxy.config import DEFAULT_FILE, SETTINGS, Environment, Inputs, Setting, YesNo, near_name

__all__ = ["Parser", "UsageError", "add_settings", "inputs_from"]

HELP_WIDTH: Final = 100
HELP_COLUMN: Final = 26


class UsageError(Exception):
    """The command line cannot be understood; the message says what to do."""


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        width = min(shutil.get_terminal_size((DEFAULT_WIDTH, 24)).columns, HELP_WIDTH)
        super().__init__(prog, max_help_position=HELP_COLUMN, width=width)


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` where argparse would print its usage and exit; flags are never guessed from prefixes."""

    def __init__(self, command: str, *, description: str, epilog: str, operands: str = "") -> None:
        super().__init__(
            prog=f"{PROGRAM} {command}",
            usage=f"{PROGRAM} {command} [OPTIONS] {operands}".rstrip(),
            description=description,
            epilog=epilog,
            formatter_class=_HelpFormatter,
            allow_abbrev=False,
        )

    @override
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Return what `words` ask for.

        Raises:
            UsageError: a word is unknown; names the nearest flag.
        """
        namespace, unknown = self.parse_known_args(words)
        if unknown:
            word = unknown[0].partition("=")[0]
            near = near_name(word, self._option_string_actions) if word.startswith("-") else ""
            hint = f"; did you mean {near}?" if near else ""
            self.error(f"unknown {'option' if word.startswith('-') else 'argument'} {word}{hint}")
        return namespace


def add_settings(parser: Parser, *, shown: Collection[str] | None = None) -> None:
    """Add every setting as a flag, and `--config`.

    Args:
        parser: The sub-command's.
        shown: Settings that its help lists; the others are understood all the same. None lists all.
    """
    files = parser.add_argument_group("Configuration file")
    files.add_argument("--config", metavar="FILE", help=f"read this file instead of {DEFAULT_FILE}")
    groups: dict[str, Any] = {}
    for setting in SETTINGS:
        visible = shown is None or setting.name in shown
        if visible and setting.group not in groups:
            groups[setting.group] = parser.add_argument_group(setting.group)
        target = groups[setting.group] if visible else parser
        options: dict[str, Any] = {
            "dest": setting.name,
            "default": argparse.SUPPRESS,
            "help": _help(setting) if visible else argparse.SUPPRESS,
        }
        if isinstance(setting.kind, YesNo):
            options["action"] = argparse.BooleanOptionalAction
        else:
            options["metavar"] = setting.kind.metavar
        target.add_argument(setting.flag, **options)


def _help(setting: Setting) -> str:
    default = setting.default
    known = "" if default in (None, [], {}, False) else f" Default: {_plain(default)}."
    return f"{setting.help}{known}".replace("%", "%%")


def _plain(default: object) -> str:
    return "true" if default is True else str(default)


def inputs_from(namespace: argparse.Namespace, environment: Environment) -> Inputs:
    """Return what the settings are made from on this command line."""
    given = vars(namespace)
    flags = {setting.name: given[setting.name] for setting in SETTINGS if setting.name in given}
    return Inputs(environment=environment, flags=flags, config_file=namespace.config)
