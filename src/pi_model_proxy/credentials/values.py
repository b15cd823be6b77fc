"""pi's syntax for configured values: `$NAME`, `${NAME}`, `$$`, `$!` and `!command`. Pure.

Source: pi-coding-agent 1.5.2, `dist/core/resolve-config-value.js`. A value that begins with `!` is
a shell command; any other is a template. Each name is looked up in the credential's own `env`
first, then in the process environment; an empty value counts as missing, and one missing name
leaves the whole value unresolved.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

__all__ = ["Variable", "fill_template", "is_command", "missing_variables", "parse_template", "variables_in"]

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Variable(msgspec.Struct, frozen=True):
    """A reference to an environment variable inside a template."""

    name: str


Part = str | Variable


def is_command(value: str) -> bool:
    """Whether `value` is to be run by a shell rather than filled in."""
    return value.startswith("!")


def parse_template(value: str) -> tuple[Part, ...]:
    """Split a template into literal text and variables, as pi does.

    A `$` that begins nothing known stays a `$`; `${bad-name}` stays as written; `${` without
    its `}` is a literal `$` and the text after it is read on.
    """
    parts: list[Part] = []
    index = 0
    while index < len(value):
        dollar = value.find("$", index)
        if dollar < 0:
            parts.append(value[index:])
            break
        if dollar > index:
            parts.append(value[index:dollar])
        part, index = _after_dollar(value, dollar)
        parts.append(part)
    return tuple(parts)


def _after_dollar(value: str, dollar: int) -> tuple[Part, int]:
    """Return the part that the `$` at `dollar` begins, and where reading goes on."""
    following = value[dollar + 1 : dollar + 2]
    if following in {"$", "!"}:
        return following, dollar + 2
    if following == "{":
        end = value.find("}", dollar + 2)
        if end < 0:
            return "$", dollar + 1
        name = value[dollar + 2 : end]
        known = _NAME.fullmatch(name) is not None
        return (Variable(name) if known else value[dollar : end + 1]), end + 1
    match = _NAME.match(value, dollar + 1)
    if match is None:
        return "$", dollar + 1
    return Variable(match.group()), match.end()


def variables_in(value: str) -> tuple[str, ...]:
    """Return the variable names a template refers to, each once, in order; none for a command."""
    if is_command(value):
        return ()
    return tuple(dict.fromkeys(part.name for part in parse_template(value) if isinstance(part, Variable)))


def fill_template(value: str, *, own: Mapping[str, str], environment: Mapping[str, str]) -> str | None:
    """Return the template with every variable filled in, or None when one is missing or empty.

    `own` is the credential's `env`; it wins over `environment`.
    """
    filled: list[str] = []
    for part in parse_template(value):
        text = part if isinstance(part, str) else (own.get(part.name) or environment.get(part.name))
        if text is None or (isinstance(part, Variable) and not text):
            return None
        filled.append(text)
    return "".join(filled)


def missing_variables(
    value: str, *, own: Mapping[str, str], environment: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the names a template refers to that have no value, in order."""
    return tuple(name for name in variables_in(value) if not (own.get(name) or environment.get(name)))
