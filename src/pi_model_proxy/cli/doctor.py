"""`pi-model-proxy doctor`: everything that can be wrong between you and an answer, each with its remedy."""

from __future__ import annotations

import time
from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pi_model_proxy import __version__
from pi_model_proxy.catalog import catalog_index
from pi_model_proxy.cli.accounts import account_rows
from pi_model_proxy.cli.arguments import Parser, add_settings, inputs_from
from pi_model_proxy.cli.check import configuration_problems
from pi_model_proxy.cli.checkup import (
    LEVELS,
    TOPICS,
    Finding,
    Level,
    account_findings,
    address_findings,
    clock_findings,
    command_findings,
    database_findings,
    file_findings,
    found,
    lock_findings,
    log_findings,
    network_findings,
    program_findings,
    reach_findings,
)
from pi_model_proxy.cli.checkup.accounts import logins_in
from pi_model_proxy.cli.console import Console, wrapped
from pi_model_proxy.cli.pi_view import look, read_state
from pi_model_proxy.config import ConfigError, Configuration, Environment, load
from pi_model_proxy.sources import NOT_RENEWED, Snapshot

__all__ = ["parser", "run"]

DESCRIPTION = """\
Look at everything that could keep a request from its answer: this program and
its libraries, the configuration, address and port, the files of pi and of ours
and who may read them, pi's lock, the clock, each provider's login or key,
commands that give keys, the request log, the database, proxies, certificates.
Each finding is `ok`, a `note`, a `warning` or an `error`, and says what mends it.

Changes nothing, renews no login, shows no secret. Keys that auth.json has from a
`!command` are fetched by running it, as the server does. Without --online no
provider is asked; with it, each that has a credential gets one GET of its
address without any credential, and so do the servers that renew logins.
"""

EPILOG = """\
Examples:
  pi-model-proxy doctor
  pi-model-proxy doctor --online             also: do the providers answer?
  pi-model-proxy doctor --quiet              only what wants attention
  pi-model-proxy doctor --agent-dir /srv/pi/agent --port 8080
  pi-model-proxy doctor --json | jq -r '.findings[] | select(.level != "ok") | .what'

Options and settings are those of `serve`: give the same ones to have the same
server examined. Exit status: 0 no errors (warnings and notes do not count),
1 errors, 2 the command line cannot be understood. `check` looks at configuration
and pi's files alone; `accounts` tells more of logins and keys.
"""

EXIT_ERRORS: Final = 1


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("doctor", description=DESCRIPTION, epilog=EPILOG)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument(
        "--online",
        action="store_true",
        help="ask each provider's address, without credential, and compare clocks",
    )
    made.add_argument("-q", "--quiet", action="store_true", help="leave out what is ok")
    add_settings(made, shown={"port", "host", "agent_dir", "ca_file", "log_path", "db_path", "demo"})
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:
    """Print what was found; status 1 when there are errors."""
    findings: list[Finding] = [*program_findings()]
    try:
        configuration = load(inputs_from(arguments, environment))
    except ConfigError as error:
        findings += [found("configuration", problem) for problem in error.problems]
        what = "nothing else can be looked at until the configuration is mended"
        findings.append(Finding(topic="configuration", level="note", what=what))
    else:
        findings += _examined(configuration, environment, is_online=arguments.online)
    counts = Counter(finding.level for finding in findings)
    if arguments.json:
        shown = [each for each in findings if not arguments.quiet or each.level != "ok"]
        console.json(_as_json(shown, counts, is_online=arguments.online))
    else:
        _print(console, findings, counts, quiet=arguments.quiet)
    return EXIT_ERRORS if counts["error"] else 0


def _examined(
    configuration: Configuration, environment: Environment, *, is_online: bool
) -> Iterator[Finding]:
    settings = configuration.settings
    try:
        listing, snapshot = look(configuration, environment)
        state = read_state(configuration, environment)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        fix = "mend its permissions, or name another with --agent-dir"
        yield Finding(topic="files", level="error", where=str(settings.agent_dir), what=what, fix=fix)
        return
    problems = configuration_problems(configuration, listing)
    yield from (found("configuration", problem) for problem in problems)
    if not problems:
        said = "fine" if configuration.file_found else "there is none, and none is needed"
        yield Finding(topic="configuration", level="ok", where=str(configuration.file), what=said)
    yield from address_findings(settings)
    yield from file_findings(
        settings.agent_dir, state, own=(configuration.file, settings.log_path, settings.db_path)
    )
    yield from _told_by_sources(snapshot)
    logins = logins_in(state)
    yield from lock_findings(settings.agent_dir, has_logins=bool(logins))
    yield from clock_findings(
        time.time(),
        made_s=catalog_index().generated_at_ms / 1000,
        expiries_ms={provider: login.expires_ms for provider, login in logins.items()},
        changed_s=_changed_s(settings.agent_dir.glob("*.json")),
    )
    rows = account_rows(configuration, environment, snapshot, state)
    yield from account_findings(rows, state, environment, agent_dir=settings.agent_dir)
    if not listing.usable:
        what = "no provider has a login or key that can be used, so no model can be served"
        fix = "`pi-model-proxy login` lists the logins; or set a provider's variable; or try --demo"
        yield Finding(topic="accounts", level="warning", what=what, fix=fix)
    yield from command_findings(state)
    yield from log_findings(configuration)
    yield from database_findings(configuration)
    yield from network_findings(settings, environment)
    if is_online:
        yield from reach_findings(settings, environment, snapshot, state)


def _told_by_sources(snapshot: Snapshot) -> Iterator[Finding]:
    """Yield what the sources say of pi's files beyond what the accounts' own findings say."""
    reasons = {report.reason for report in snapshot.providers}
    for problem in snapshot.problems:
        if problem.what not in reasons and not problem.what.startswith(NOT_RENEWED):
            yield found("files", problem)


def _changed_s(paths: Iterable[Path]) -> dict[str, float]:
    """Return when files were changed, by path; those that are gone meanwhile left out."""
    changed: dict[str, float] = {}
    for path in paths:
        with suppress(OSError):
            changed[str(path)] = path.stat().st_mtime
    return changed


def _print(
    console: Console, findings: Sequence[Finding], counts: Mapping[Level, int], *, quiet: bool
) -> None:
    for topic, title in TOPICS.items():
        shown = [each for each in findings if each.topic == topic and not (quiet and each.level == "ok")]
        if shown:
            console.line(console.paint.bold(title))
        for finding in sorted(shown, key=lambda each: LEVELS.index(each.level)):
            _print_finding(console, finding)
    if not quiet or len(findings) > counts.get("ok", 0):
        console.line()
    told = [f"{counts.get(level, 0)} {level}{'s' * (counts.get(level, 0) != 1)}" for level in LEVELS[:3]]
    console.line(f"{', '.join(told)}; {counts.get('ok', 0)} looked at and found in order.")


def _print_finding(console: Console, finding: Finding) -> None:
    paint = {"error": console.paint.red, "warning": console.paint.yellow}.get(
        finding.level, console.paint.dim
    )
    place = f"{console.short(finding.where)}: " if finding.where else ""
    width, indent = console.prose_width, " " * 11
    head, *rest = wrapped(f"{place}{finding.what}", width=width, indent=indent, first=f"  {finding.level:<9}")
    console.line(paint(head[: len(indent)]) + head[len(indent) :])
    for line in rest:
        console.line(line)
    for detail in finding.details:
        for line in wrapped(detail, width=width, indent=" " * 13, first=indent):
            console.line(console.paint.dim(line))
    if finding.fix:
        for line in wrapped(f"→ {finding.fix}", width=width, indent=" " * 13, first=indent):
            console.line(line)


def _as_json(findings: Sequence[Finding], counts: Mapping[Level, int], *, is_online: bool) -> dict[str, Any]:
    return {
        "ok": counts.get("error", 0) == 0,
        "version": __version__,
        "online": is_online,
        "counts": {level: counts.get(level, 0) for level in LEVELS},
        "findings": [
            {
                "topic": each.topic,
                "level": each.level,
                "where": each.where,
                "what": each.what,
                "fix": each.fix,
                "details": list(each.details),
            }
            for each in findings
        ],
    }
