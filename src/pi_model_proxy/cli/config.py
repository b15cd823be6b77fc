"""`pi-model-proxy config`: every setting, its value, and what set it."""

from __future__ import annotations

from argparse import Namespace
from typing import Any, Final

import msgspec

from pi_model_proxy.cli.arguments import Parser, add_settings, inputs_from
from pi_model_proxy.cli.console import Console
from pi_model_proxy.config import SETTINGS, Configuration, Environment, Settings, encode_schema, load, show
from pi_model_proxy.sources import Problem

__all__ = ["parser", "run", "tree"]

DESCRIPTION = """\
Show the settings that `serve` would use with the same options: value, and where
it came from. Flag > variable > file > default. Keys are never shown.
"""

EPILOG = """\
Examples:
  pi-model-proxy config                       what is in force
  pi-model-proxy config --port 8080           what would be, with this flag
  pi-model-proxy config --json                for scripts
  pi-model-proxy config --schema > schema.json    JSON Schema of the file

The file is ~/.pi/model-proxy.json unless --config or PI_MODEL_PROXY_CONFIG names
another. Comments and trailing commas are allowed. An example:
  {
    "defaultModel": "anthropic/claude-sonnet-4-5",
    "aliases": { "fast": "groq/llama-3.3-70b-versatile" }, // names of your own
    "rateLimit": 60,
  }
"""

LONGEST_VALUE: Final = 32
"""Columns; a longer value does not widen the others' rows."""


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("config", description=DESCRIPTION, epilog=EPILOG)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument(
        "--schema", action="store_true", help="print the JSON Schema of the file and nothing else"
    )
    add_settings(made)
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:
    """Print the settings.

    Raises:
        ConfigError: they cannot be used.
    """
    if arguments.schema:
        console.line(encode_schema().rstrip())
        return 0
    configuration = load(inputs_from(arguments, environment))
    if arguments.json:
        console.json(tree(configuration))
        return 0
    absent = "" if configuration.file_found else " (there is no such file; nothing needs it)"
    console.line(console.paint.dim(f"# file: {console.short(configuration.file)}{absent}"))
    for line in _lines(configuration, console):
        console.line(line)
    for problem in configuration.problems:
        console.complain_of(problem)
    return 0


def tree(configuration: Configuration) -> dict[str, Any]:
    """Return the settings as JSON: value, source and place of each, keys masked."""
    return {
        "file": str(configuration.file),
        "file_found": configuration.file_found,
        "settings": {
            setting.key: {
                "value": show(getattr(configuration.settings, setting.name)),
                "source": configuration.origins[setting.name].source,
                "where": configuration.origins[setting.name].where,
            }
            for setting in SETTINGS
            if setting.name in Settings.__struct_fields__
        },
        "problems": [_problem(problem) for problem in configuration.problems],
    }


def _problem(problem: Problem) -> dict[str, str]:
    return {
        "severity": problem.severity,
        "where": problem.where,
        "what": problem.what,
        "fix": problem.fix,
    }


def _lines(configuration: Configuration, console: Console) -> list[str]:
    """Return one line a setting; a value too long for its column moves its origin to a line below."""
    settings, origins = configuration.settings, configuration.origins
    shown = [setting for setting in SETTINGS if setting.name in Settings.__struct_fields__]
    values = {setting.name: _value(getattr(settings, setting.name), console) for setting in shown}
    key_width = max(len(setting.key) for setting in shown)
    value_width = max((len(value) for value in values.values() if len(value) <= LONGEST_VALUE), default=0)
    lines: list[str] = []
    for setting in shown:
        origin = origins[setting.name]
        came_from = f"{origin.source} {console.short(origin.where)}".rstrip()
        start = f"{setting.key:<{key_width}}  {values[setting.name]:<{value_width}}"
        if len(start) + 2 + len(came_from) > console.width or len(values[setting.name]) > value_width:
            lines += [start.rstrip(), f"{'':<{key_width}}  {console.paint.dim(came_from)}"]
        else:
            lines.append(f"{start}  {console.paint.dim(came_from)}")
    return lines


def _value(value: object, console: Console) -> str:
    if value is None:
        return "-"
    shown = show(value)
    return console.short(shown) if isinstance(shown, str) else msgspec.json.encode(shown).decode()
