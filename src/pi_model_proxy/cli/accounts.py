"""`pi-model-proxy accounts`: which login or key each provider is asked with, and why."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any, Final

import msgspec

from pi_model_proxy.cli.arguments import Parser, add_settings, inputs_from
from pi_model_proxy.cli.console import PROGRAM, Console, wrapped
from pi_model_proxy.cli.models import PAID_BY
from pi_model_proxy.cli.pi_view import look, read_state
from pi_model_proxy.cli.status import duration
from pi_model_proxy.cli.terms import terms_of
from pi_model_proxy.config import Configuration, Environment, load
from pi_model_proxy.providers import provider_row
from pi_model_proxy.sources import AccountView, PiState, Problem, ProviderReport, Snapshot, view_accounts

__all__ = ["NEVER_MS", "Row", "account_rows", "lapses", "parser", "run"]

DESCRIPTION = """\
Say for each provider which login or key is used, where it comes from, when it
lapses, and what else is there and does not count. The order is pi's: an entry of
auth.json, then apiKey of models.json, then the environment; the first that is
there owns the provider, usable or not. Shows no secret, asks no network, renews
nothing.
"""

EPILOG = """\
Examples:
  pi-model-proxy accounts                  providers with a login or key
  pi-model-proxy accounts --all            also those without, and what they need
  pi-model-proxy accounts 'openai*'        whose id fits the pattern
  pi-model-proxy accounts --json | jq -r '.accounts[] | select(.usable) | .provider'

`status` in the JSON is the word that `pi auth check --no-refresh` has for it;
`readable` is false when pi cannot read auth.json or models.json as a whole.
"""

NEVER_MS: Final = 4_102_444_800_000
"""The year 2100: a login that lapses later never does (openrouter's key)."""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One provider, as pi's files have it and as it is used here."""

    view: AccountView
    report: ProviderReport


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("accounts", description=DESCRIPTION, epilog=EPILOG, operands="[PATTERN]")
    made.add_argument(
        "pattern", metavar="PATTERN", nargs="?", help="a provider's id, or a pattern with * and ?"
    )
    made.add_argument("-a", "--all", action="store_true", help="also providers without a login or key")
    made.add_argument("--json", action="store_true", help="print one JSON object")
    add_settings(made, shown={"agent_dir", "subscriptions"})
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:
    """Print the accounts; status 1 when none can be used.

    Raises:
        ConfigError: the settings cannot be used.
    """
    configuration = load(inputs_from(arguments, environment))
    _, snapshot = look(configuration, environment)
    state = read_state(configuration, environment)
    rows = [
        row
        for row in account_rows(configuration, environment, snapshot, state)
        if _matches(row.report.provider, arguments.pattern)
    ]
    if arguments.json:
        told = {"agent_dir": str(configuration.settings.agent_dir), "readable": not state.is_invalid}
        console.json({**told, **_as_json(rows, snapshot.problems)})
    else:
        _print(console, rows, snapshot.problems, everything=arguments.all or arguments.pattern is not None)
    return 0 if any(row.report.usable for row in rows) else 1


def account_rows(
    configuration: Configuration, environment: Environment, snapshot: Snapshot, state: PiState
) -> list[Row]:
    """Return a row for each of pi's providers that has models or a credential, in catalogue order."""
    views = {
        view.provider: view
        for view in view_accounts(
            state,
            environment,
            subscriptions=configuration.settings.subscriptions,
            file_exists=lambda path: os.path.exists(_at_home(path, environment)),  # noqa: PTH110 - a string, as given
        )
    }
    return [
        Row(view=view, report=report) for report in snapshot.providers if (view := views.get(report.provider))
    ]


def _at_home(path: str, environment: Environment) -> str:
    return str(environment.home) + path[1:] if path.startswith("~") else path


def _matches(provider: str, pattern: str | None) -> bool:
    return pattern is None or fnmatchcase(provider, pattern.lower())


def _print(console: Console, rows: Sequence[Row], problems: Sequence[Problem], *, everything: bool) -> None:
    for problem in problems:
        if problem.severity == "error":
            console.complain_of(problem)
    shown = [row for row in rows if everything or row.view.places or row.report.chosen]
    for row in shown:
        _print_row(console, row)
    hidden = len(rows) - len(shown)
    if not shown:
        console.line(f"No provider has a login or key yet: `{PROGRAM} login` lists the logins.")
    if hidden:
        console.line(
            console.paint.dim(f"{hidden} more have neither login nor key (--all says what they need).")
        )


def _print_row(console: Console, row: Row) -> None:
    report = row.report
    source = f" from {report.chosen}" if report.chosen else ""
    if report.usable:
        head = f"{PAID_BY.get(report.account, report.account)}{source}"
        when = lapses(row)
        head += f"; {when}" if when else ""
    else:
        head = f"not usable{source.replace(' from', ':', 1)}: {report.reason}"
    head = f"{console.paint.bold(report.provider)}: {head}"
    for line in wrapped(head, width=console.prose_width, indent="    ", first=""):
        console.line(line)
    for place in row.view.places:
        if not place.used and place.why != report.reason:
            for line in wrapped(f"not {place.where}: {place.why}", width=console.prose_width, indent="    "):
                console.line(line)
    if report.subscription and (terms := terms_of(report.provider)):
        for line in wrapped(terms, width=console.prose_width, indent="    "):
            console.line(console.paint.dim(line))


def lapses(row: Row) -> str:
    """Say when a login's access token lapses, and what becomes of it then; empty for what is no login."""
    expires_ms = row.report.expires_ms
    if row.report.account != "oauth" or expires_ms is None:
        return ""
    if expires_ms >= NEVER_MS:
        return "does not lapse"
    left_s = expires_ms / 1000 - time.time()
    renewed = "renewed at the next request" if row.view.renews else "not renewed here"
    if left_s <= 0:
        return f"lapsed {duration(-left_s)} ago, {renewed}"
    return f"lapses in {duration(left_s)}, {'renewed by itself' if row.view.renews else renewed}"


def _terms(report: ProviderReport) -> dict[str, str]:
    login = provider_row(report.provider).login
    if login is None or not login.note:
        return {}
    return {"text": login.note, "source": login.source, "as_of": login.as_of}


def _as_json(rows: Sequence[Row], problems: Sequence[Problem]) -> dict[str, Any]:
    return {
        "accounts": [_account(row) for row in rows],
        "problems": [
            {"severity": each.severity, "where": each.where, "what": each.what, "fix": each.fix}
            for each in problems
        ],
    }


def _account(row: Row) -> dict[str, Any]:
    report, view = row.report, row.view
    expires_ms = report.expires_ms
    is_dated = expires_ms is not None and 0 <= expires_ms < NEVER_MS
    return {
        "provider": report.provider,
        "name": report.name,
        "status": view.status,
        "auth_type": view.auth_type,
        "usable": report.usable,
        "account": report.account,
        "from": report.chosen,
        "reason": report.reason,
        "expires_ms": expires_ms,
        "expires_at": datetime.fromtimestamp(expires_ms / 1000, UTC).isoformat(timespec="seconds")
        if is_dated and expires_ms is not None
        else None,
        "renewed_here": view.renews,
        "subscription": report.subscription,
        "terms": _terms(report) if report.subscription else None,
        "places": [{"where": place.where, "used": place.used, "why": place.why} for place in view.places],
        "models": report.models,
    }
