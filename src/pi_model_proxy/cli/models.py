"""`pi-model-proxy models`: what can be asked for, and why not what cannot."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from pi_model_proxy.cli.arguments import Parser, add_settings, inputs_from
from pi_model_proxy.cli.console import Console, columns, wrapped
from pi_model_proxy.cli.pi_view import look
from pi_model_proxy.config import Environment, load
from pi_model_proxy.gateway import Listing, ListingEntry

__all__ = ["parser", "run", "table", "why_not"]

DESCRIPTION = """\
List the models of pi's files: context window and largest answer in tokens,
price in US dollars per million tokens (in/out), what they can do and how the
request is paid. A model without a login, key or client half is left out unless
you ask for --all. Reads files only: no server needs to run, no network is asked.
"""

EPILOG = """\
Examples:
  pi-model-proxy models                   what can be used now
  pi-model-proxy models sonnet            whose name has "sonnet"
  pi-model-proxy models 'openai/gpt-5*'   whose name fits the pattern
  pi-model-proxy models --all groq        also what cannot be used, and why
  pi-model-proxy models --json | jq -r '.[].id'

The name in the first column is what a request puts in "model". Add :low, :high
or another thinking level to it to ask for that.
"""

PAID_BY: Final = {"api_key": "key", "oauth": "login", "none": "none"}
HEADINGS: Final = ("MODEL", "CONTEXT", "OUTPUT", "$/M IN", "OUT", "CAN", "VIA")
RIGHT: Final = frozenset({1, 2, 3, 4})
NARROWEST_NAME: Final = 24
"""Columns that names get at least; longer ones take a line of their own on a narrow terminal."""
THOUSAND: Final = 1000
MILLION: Final = 1_000_000


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("models", description=DESCRIPTION, epilog=EPILOG, operands="[PATTERN]")
    made.add_argument(
        "pattern", metavar="PATTERN", nargs="?", help="part of a name, or a pattern with * and ?"
    )
    made.add_argument("-a", "--all", action="store_true", help="also list what cannot be used, and why")
    made.add_argument(
        "--json", action="store_true", help="print a JSON array of all that match, usable or not"
    )
    add_settings(made, shown={"agent_dir", "subscriptions", "only_enabled_models"})
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:
    """Print the models; status 1 when none matches.

    Raises:
        ConfigError: the settings cannot be used.
    """
    configuration = load(inputs_from(arguments, environment))
    listing, snapshot = look(configuration, environment)
    matching = [entry for entry in listing.entries if _matches(entry, arguments.pattern)]
    usable = [entry for entry in matching if entry.usable]
    if arguments.json:
        console.json([_as_json(entry) for entry in matching])
        return 0 if matching else 1
    for problem in snapshot.problems:
        if problem.severity == "error":
            console.complain_of(problem)
    _print(console, usable, [entry for entry in matching if not entry.usable], everything=arguments.all)
    if not matching or not (usable or arguments.all):
        _explain_nothing(console, listing, arguments.pattern, matching)
        return 1
    return 0


def _matches(entry: ListingEntry, pattern: str | None) -> bool:
    if pattern is None:
        return True
    wanted = pattern.lower()
    names = (entry.ref.lower(), entry.bare.lower(), entry.offer.model.name.lower())
    if any(mark in wanted for mark in "*?["):
        return any(fnmatchcase(name, wanted) for name in names)
    return any(wanted in name for name in names)


def _print(
    console: Console, usable: Sequence[ListingEntry], others: Sequence[ListingEntry], *, everything: bool
) -> None:
    for line in table(usable, width=console.width):
        console.line(line)
    if usable:
        console.line()
        hidden = f"; {len(others)} more cannot be used (--all says why)" if others and not everything else ""
        console.line(console.paint.dim(f"{_count(usable)}{hidden}"))
    if everything and others:
        console.line(
            f"Cannot be used ({len(others)}):" if not usable else f"\nCannot be used ({len(others)}):"
        )
        for entry in others:
            for line in wrapped(
                f"{entry.ref}  {why_not(entry)}", width=console.width, indent="      ", first="  "
            ):
                console.line(line)


def _count(entries: Sequence[ListingEntry]) -> str:
    providers = {entry.offer.model.provider for entry in entries}
    models = f"{len(entries)} model" + ("" if len(entries) == 1 else "s")
    return f"{models} of {len(providers)} provider" + ("" if len(providers) == 1 else "s")


def _explain_nothing(
    console: Console, listing: Listing, pattern: str | None, matching: Sequence[ListingEntry]
) -> None:
    if matching:
        what = f"{len(matching)} models match, none can be used: --all says why"
        if not listing.usable:
            what += "; `pi-model-proxy login` lists the logins, --demo adds models that need none"
    elif pattern is not None and listing.entries:
        what = f"no model's name fits {pattern!r}; without a pattern all are listed"
    else:
        what = "there are no models; `pi-model-proxy check` looks for the reason"
    console.complain("note", what)


def why_not(entry: ListingEntry) -> str:
    """Return why a model cannot be used; empty when it can."""
    if entry.usable:
        return ""
    if not entry.offer.usable:
        return entry.offer.reason or "its provider has no key and no login"
    if not entry.served:
        return f"its API kind, {entry.offer.model.api}, has no client half in this version"
    return "its address is this gateway itself"


def table(entries: Iterable[ListingEntry], *, width: int) -> list[str]:
    """Return the models as aligned lines of at most `width` columns, if names allow; none without models."""
    rows = [_row(entry) for entry in entries]
    if not rows:
        return []
    rest = columns([HEADINGS[1:], *(row[1:] for row in rows)], right=frozenset(index - 1 for index in RIGHT))
    names = [HEADINGS[0], *(row[0] for row in rows)]
    space = width - 2 - max(len(line) for line in rest)
    across = min(max(len(name) for name in names), max(space, NARROWEST_NAME))
    lines: list[str] = []
    for name, facts in zip(names, rest, strict=True):
        if len(name) > across:
            lines.append(name)
            lines.append(f"{'':<{across}}  {facts}")
        else:
            lines.append(f"{name:<{across}}  {facts}")
    return lines


def _row(entry: ListingEntry) -> tuple[str, ...]:
    model = entry.offer.model
    abilities = ["think"] if model.reasoning else []
    abilities += ["img"] if "image" in model.input else []
    return (
        entry.ref,
        _tokens(model.context_window),
        _tokens(model.max_tokens),
        _dollars(model.cost.input),
        _dollars(model.cost.output),
        ",".join(abilities) or "-",
        PAID_BY.get(entry.offer.account, entry.offer.account or "-"),
    )


def _tokens(count: int) -> str:
    if count < THOUSAND:
        return str(count)
    thousands = f"{count / THOUSAND:.3g}"
    # 999,999 rounds to 1e+03 thousands, which is a million.
    return f"{count / MILLION:.3g}M" if count >= MILLION or "e" in thousands else f"{thousands}K"


def _dollars(price: float) -> str:
    if price == 0:
        return "0"
    return f"{price:.2f}" if price >= 0.01 else f"{price:.2g}"  # noqa: PLR2004 - a cent


def _as_json(entry: ListingEntry) -> dict[str, Any]:
    model = entry.offer.model
    return {
        "id": entry.ref,
        "provider": model.provider,
        "name": model.name or model.id,
        "api": model.api,
        "context_window": model.context_window,
        "max_output_tokens": model.max_tokens,
        "price": {
            "input": model.cost.input,
            "output": model.cost.output,
            "cache_read": model.cost.cache_read,
            "cache_write": model.cost.cache_write,
        },
        "reasoning": model.reasoning,
        "input": list(model.input),
        "account": entry.offer.account,
        "served": entry.usable,
        "reason": why_not(entry),
    }
