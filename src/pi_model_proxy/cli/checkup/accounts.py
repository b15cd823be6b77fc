"""Each provider's credential: which source won, why the others did not, what a renewal would do, and the terms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from pi_model_proxy.cli.accounts import NEVER_MS, Row, lapses
from pi_model_proxy.cli.checkup.finding import Finding, Level
from pi_model_proxy.cli.console import PROGRAM
from pi_model_proxy.cli.models import PAID_BY
from pi_model_proxy.cli.terms import terms_of
from pi_model_proxy.credentials import (
    ApiKeyCredential,
    OAuthCredential,
    Refresher,
    auth_path,
    is_command,
    oauth_row,
    token_url,
)
from pi_model_proxy.errors import UpstreamUnreachable
from pi_model_proxy.sources import PiState

__all__ = ["account_findings", "command_findings", "logins_in"]


def logins_in(state: PiState) -> dict[str, OAuthCredential]:
    """Return the logins by provider."""
    return {name: entry for name, entry in state.entries.items() if isinstance(entry, OAuthCredential)}


def account_findings(
    rows: Sequence[Row], state: PiState, environment: Mapping[str, str], *, agent_dir: Path
) -> Iterator[Finding]:
    """Judge each provider for which something is written down; asks and renews nothing."""
    # Only asked what it would do.
    refresher = Refresher(auth_path(agent_dir), post=_ask_nobody, environment=environment)
    refresher.use_gateways(state.gateways)
    for row in rows:
        if row.view.places or row.report.chosen:
            yield _judged(row, _dry_refresh(row, state, environment, refresher))


class _Renewal(msgspec.Struct, frozen=True):
    """What the next request would do about a login."""

    what: str = ""
    """Empty where there is no login that lapses."""
    fails: bool = False
    """Whether the provider cannot be asked because of it."""


async def _ask_nobody(
    _url: str, _headers: Mapping[str, str], _body: bytes, _timeout_s: float
) -> tuple[int, bytes]:
    raise UpstreamUnreachable("a dry decision asks no network")


def _judged(row: Row, renewal: _Renewal) -> Finding:
    report = row.report
    details = [f"renewal: {renewal.what}"] if renewal.what else []
    details += [
        f"not {place.where}: {place.why}"
        for place in row.view.places
        if not place.used and place.why != report.reason
    ]
    if report.subscription and (terms := terms_of(report.provider)):
        details.append(terms)
    how = PAID_BY.get(report.account, report.account)
    when = lapses(row)
    what = f"{how} from {report.chosen}; {report.models} model{'s' * (report.models != 1)}{f'; {when}' if when else ''}"
    level: Level = "ok"
    fix = ""
    if not report.usable:
        # Many keep more providers in models.json than they have keys for.
        level = "warning" if report.chosen.startswith("auth.json") else "note"
        what = f"not usable{f': {report.chosen}' if report.chosen else ''}: {report.reason}"
        fix = f"`{PROGRAM} accounts {report.provider}` says what it needs"
    elif renewal.fails:
        level = "warning"
        fix = f"log in again: `{PROGRAM} login {report.provider}`, or `/login` in pi"
    return Finding(
        topic="accounts", level=level, where=report.provider, what=what, fix=fix, details=tuple(details)
    )


def _dry_refresh(row: Row, state: PiState, environment: Mapping[str, str], refresher: Refresher) -> _Renewal:
    login = logins_in(state).get(row.report.provider)
    if login is None or row.report.account != "oauth" or login.expires_ms >= NEVER_MS:
        return _Renewal()
    provider, has_lapsed = row.report.provider, refresher.lapsed(login)
    if why := refresher.why_not(provider, login):
        return _Renewal(f"none, {why}", has_lapsed)
    if state.entries_are_old:
        why = "the login is in a file of an early pi: start `pi` once, which moves it to auth.json"
        return _Renewal(f"none, {why}", has_lapsed)
    if not refresher.due(login):
        return _Renewal("not due; it comes due five minutes before the login lapses")
    known = oauth_row(provider, state.gateways)
    try:
        host = urlsplit(token_url(known, environment)).hostname if known is not None else ""
    except ValueError as error:
        return _Renewal(f"due, but it would fail: {error}", has_lapsed)
    return _Renewal(f"due: the next request asks {host} for new tokens first, under pi's lock")


def command_findings(state: PiState) -> Iterator[Finding]:
    """Say which `!command` values there are, and whether they may be run; never what they are."""
    stored = [
        name
        for name, entry in state.entries.items()
        if isinstance(entry, ApiKeyCredential) and entry.key and is_command(entry.key)
    ]
    configured = [
        provider.id
        for provider in state.composition.providers
        if provider.config is not None and provider.config.api_key and is_command(provider.config.api_key)
    ]
    for file, names, refused in (
        ("auth.json", stored, state.refused_in_auth),
        ("models.json", configured, state.refused_in_models),
    ):
        if not names:
            continue
        told = f"{len(names)} key(s) come from a command: {', '.join(names)}"
        if refused:
            what = f"{told}; none is run, because {refused}"
            fix = "make the file yours, and writable by nobody else"
            yield Finding(topic="commands", level="error", where=file, what=what, fix=fix)
        else:
            yield Finding(
                topic="commands", level="ok", where=file, what=f"{told}; the file is yours alone to write"
            )
