"""`pi-model-proxy check`: every mistake that can be seen without asking a network."""

from __future__ import annotations

from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pi_model_proxy.cli.arguments import Parser, add_settings, inputs_from
from pi_model_proxy.cli.console import Console, wrapped
from pi_model_proxy.cli.gaps import Gap, gaps
from pi_model_proxy.cli.models import PAID_BY
from pi_model_proxy.cli.paths import check_database, check_log
from pi_model_proxy.cli.pi_view import look
from pi_model_proxy.cli.terms import with_source
from pi_model_proxy.config import (
    ConfigError,
    Configuration,
    Environment,
    check_model_names,
    load,
)
from pi_model_proxy.gateway import Listing
from pi_model_proxy.sources import Problem, ProviderReport, Snapshot

__all__ = ["configuration_problems", "parser", "run"]

DESCRIPTION = """\
Look for mistakes in the configuration and in pi's files: what is wrong, where,
and what to do. Exit status: 0 nothing is wrong (warnings do not count), 1 there
are errors, 2 the check itself could not run. Changes nothing, asks no network.
"""

EPILOG = """\
Examples:
  pi-model-proxy check
  pi-model-proxy check --json
  pi-model-proxy check --agent-dir /srv/pi/agent
  pi-model-proxy check && systemctl --user restart pi-model-proxy
"""

EXIT_ERRORS: Final = 1
EXIT_CANNOT: Final = 2
SEVERITIES: Final = ("error", "warning", "note")


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """All that was found."""

    configuration: tuple[Problem, ...]
    files: tuple[Problem, ...] = ()
    providers: tuple[ProviderReport, ...] = ()
    gaps: tuple[Gap, ...] = ()
    usable_models: int = 0

    @property
    def problems(self) -> tuple[Problem, ...]:
        return (*self.configuration, *self.files)


def parser() -> Parser:
    """Return the parser of this sub-command."""
    made = Parser("check", description=DESCRIPTION, epilog=EPILOG)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    add_settings(made)
    return made


def run(arguments: Namespace, console: Console, environment: Environment) -> int:
    """Print what was found and return the exit status."""
    try:
        configuration = load(inputs_from(arguments, environment))
    except ConfigError as error:
        findings = Findings(configuration=error.problems)
    else:
        try:
            listing, snapshot = look(configuration, environment)
        except OSError as error:
            console.complain("error", f"{configuration.settings.agent_dir} cannot be read: {error}")
            return EXIT_CANNOT
        findings = _gather(configuration, listing, snapshot)
    if arguments.json:
        console.json(_as_json(findings))
    else:
        _print(console, findings)
    return EXIT_ERRORS if any(problem.severity == "error" for problem in findings.problems) else 0


def _gather(configuration: Configuration, listing: Listing, snapshot: Snapshot) -> Findings:
    return Findings(
        configuration=(
            *configuration_problems(configuration, listing),
            *check_log(configuration),
            *check_database(configuration),
        ),
        files=snapshot.problems,
        providers=tuple(report for report in snapshot.providers if report.account or report.usable),
        gaps=tuple(gaps(listing)),
        usable_models=len(listing.usable),
    )


def configuration_problems(configuration: Configuration, listing: Listing) -> tuple[Problem, ...]:
    """Return what is doubtful about the settings, the names of models in them among it."""
    names = check_model_names(configuration.settings, configuration.origins, listing.directory)
    return (*configuration.problems, *names)


def _print(console: Console, findings: Findings) -> None:
    _print_section(console, "Configuration", findings.configuration)
    _print_section(console, "pi's files", findings.files)
    if findings.providers:
        console.line(console.paint.bold("Providers with a key or login"))
        for report in findings.providers:
            _print_provider(console, report)
    if findings.gaps:
        console.line(console.paint.bold("Models that cannot be served yet"))
        for gap in findings.gaps:
            for line in wrapped(str(gap), width=console.prose_width, indent=" " * 4, first="  "):
                console.line(line)
    counts = Counter(problem.severity for problem in findings.problems)
    said = ", ".join(
        f"{counts[severity]} {severity}{'s' * (counts[severity] != 1)}" for severity in SEVERITIES[:2]
    )
    console.line()
    console.line(f"{said}; {findings.usable_models} models can be used.")


def _print_section(console: Console, title: str, problems: Sequence[Problem]) -> None:
    console.line(console.paint.bold(title) + ("" if problems else "  fine"))
    for problem in sorted(problems, key=lambda each: SEVERITIES.index(_severity(each))):
        severity = _severity(problem)
        place = f"{console.short(problem.where)}: " if problem.where else ""
        for line in wrapped(
            f"{place}{problem.what}", width=console.prose_width, indent=" " * 11, first=f"  {severity:<9}"
        ):
            console.line(_painted(console, severity, line) if line.startswith(f"  {severity}") else line)
        if problem.fix:
            for line in wrapped(
                f"→ {problem.fix}", width=console.prose_width, indent=" " * 13, first=" " * 11
            ):
                console.line(line)


def _print_provider(console: Console, report: ProviderReport) -> None:
    how = PAID_BY.get(report.account, report.account)
    source = f" from {report.chosen}" if report.chosen else ""
    state = f"{report.models} models" if report.usable else f"not usable: {report.reason}"
    text = f"{report.provider}: {how}{source}; {state}"
    for line in wrapped(text, width=console.prose_width, indent=" " * 4, first="  "):
        console.line(line)
    for extra in (with_source(report.note, report.provider), *report.passed_over):
        for line in wrapped(extra, width=console.prose_width, indent=" " * 4) if extra else ():
            console.line(console.paint.dim(line))


def _severity(problem: Problem) -> str:
    return problem.severity if problem.severity in SEVERITIES else "note"


def _painted(console: Console, severity: str, line: str) -> str:
    paint = {"error": console.paint.red, "warning": console.paint.yellow}.get(severity, console.paint.dim)
    return paint(line)


def _as_json(findings: Findings) -> dict[str, Any]:
    counts = Counter(_severity(problem) for problem in findings.problems)
    return {
        "ok": counts["error"] == 0,
        "errors": counts["error"],
        "warnings": counts["warning"],
        "usable_models": findings.usable_models,
        "not_served_yet": [{"api": gap.kind, "models": gap.models} for gap in findings.gaps],
        "problems": [
            {"severity": _severity(each), "where": each.where, "what": each.what, "fix": each.fix}
            for each in findings.problems
        ],
        "providers": [
            {
                "provider": each.provider,
                "account": each.account,
                "usable": each.usable,
                "from": each.chosen,
                "reason": each.reason,
                "models": each.models,
                "note": each.note,
            }
            for each in findings.providers
        ],
    }
