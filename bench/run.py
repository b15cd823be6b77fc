"""`make bench`: ours and its peers in front of the same local upstream, in turns, each pinned to the same core.

All systems run all the time and are measured one after the other in every round, in changing order, so that a noisy
neighbour hits them alike. The load generator and the upstream have the other cores. Linux only (`/proc`). Writes
docs/benchmarks.md when nothing was left out; exit status 1 when a target's *must* was missed, or a kept ratio dropped.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import kept
import processes
import report
import targets
from arena import Arena, started, upstream_running
from certificates import Certificates, make_certificates
from measures import Trial, note_added, note_start
from peers import ROOT, MissingSystemError
from plan import FULL, QUICK, Plan
from programme import measures_of
from systems import SYSTEMS

DOCUMENT = ROOT / "docs" / "benchmarks.md"
PLOTS = ROOT / "docs" / "benchmarks"
LAST = ROOT / ".cache" / "bench" / "last.json"
KIB = 1_024


def say(text: str) -> None:
    """Print one line at once."""
    print(f"bench: {text}", flush=True)


def make_authority(folder: Path) -> Certificates | None:
    """Return a run's certificates; without them TLS is left out, with a word."""
    try:
        return make_certificates(folder)
    except MissingSystemError as error:
        say(str(error))
        return None


def start_systems(arena: Arena, plan: Plan, names: list[str], stack: contextlib.ExitStack) -> None:
    """Start every system that can be had, for the whole run; what cannot is noted with its reason."""
    for system in SYSTEMS:
        if system.name not in names:
            continue
        try:
            arena.versions[system.name] = system.version()
            running = stack.enter_context(started(arena, system))
        except (MissingSystemError, OSError) as error:
            arena.missing[system.name] = str(error)
            say(f"left out {system.title}: {error}")
            continue
        arena.running.append(running)
        note_start(Trial(arena, running, plan, 0))
        say(f"{system.title} {arena.versions[system.name]}: first answer after {running.start_s:.2f} s")


def hold_rounds(arena: Arena, plan: Plan) -> int:
    """Take every test so many times, the systems in another order each time; return how many rounds there was time for."""
    begun = time.monotonic()
    took_s = 0.0
    for turn in range(plan.rounds):
        round_begun = time.monotonic()
        if turn and round_begun - begun + took_s > plan.limit_s:
            say(f"time is up after {turn} of {plan.rounds} rounds")
            return turn
        hold_round(arena, plan, turn)
        took_s = time.monotonic() - round_begun
        say(f"round {turn + 1} of {plan.rounds}: {took_s:.0f} s")
    return plan.rounds


def hold_round(arena: Arena, plan: Plan, turn: int) -> None:
    """Take every test once with every system that takes part in it."""
    shift = turn % len(arena.running)
    order = arena.running[shift:] + arena.running[:shift]
    for measure in measures_of(plan):
        for running in order:
            if measure.takes_part(running, plan, turn):
                take(measure.take, Trial(arena, running, plan, turn))
    for running in arena.running:
        if running.pid:
            arena.samples.note(running.name, "loaded_pss_mib", turn, processes.pss_kib(running.pid) / KIB)
    note_added(arena, turn)


def take(test: Callable[[Trial], None], trial: Trial) -> None:
    """Take one test; a system that does not come up for it has an error."""
    try:
        test(trial)
    except MissingSystemError as error:
        trial.arena.samples.note_errors(trial.running.name, 1, str(error))


def compare(plan: Plan, names: list[str]) -> tuple[Arena, int]:
    """Start everything, measure, stop; return what was seen, in how many rounds."""
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pi-model-proxy-bench-")))
        scratch.chmod(0o755)  # nginx's worker may be another user
        cores = processes.Cores.of_this_machine()
        arena = stack.enter_context(upstream_running(scratch, cores, make_authority(scratch)))
        start_systems(arena, plan, names, stack)
        rounds = hold_rounds(arena, plan)
    return arena, rounds


def machine() -> str:
    """Describe the machine in one line."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    named = (line.partition(":")[2].strip() for line in lines if "model name" in line)
    model = next(named, platform.machine())
    python = platform.python_version()
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, Python {python}"


def write_document(
    arena: Arena, plan: Plan, rounds: int, verdicts: list[targets.Verdict], drops: list[kept.Drop]
) -> None:
    """Write the results into docs/benchmarks.md and the plots beside it."""
    about = [
        f"{datetime.now(UTC):%Y-%m-%d}; {machine()}. `{plan.name}`: rounds held {rounds}, {plan.seconds:g} s per figure.",
        "",
        *report.circumstances(arena.samples),
    ]
    lines = [
        *about,
        *report.targets_table(verdicts),
        *report.drops_table(drops),
        *report.write_plots(arena.samples, verdicts, PLOTS),
        *report.figures_tables(arena.samples, arena.missing),
        *report.pairs_table(arena.samples),
        *report.notes(arena.samples, arena.versions, arena.missing),
    ]
    DOCUMENT.write_text(report.replace_results(DOCUMENT.read_text(), lines))
    say(f"written to {DOCUMENT.relative_to(ROOT)}")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    names = [system.name for system in SYSTEMS]
    parser = argparse.ArgumentParser(description="Compare with nginx and other gateways on this machine.")
    parser.add_argument("--full", action="store_true", help="every system in every test (about half an hour)")
    parser.add_argument("--keep", action="store_true", help="keep today's ratios in bench/kept.json")
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="leave the other systems out")
    parser.add_argument("--rounds", type=int, help="so many instead of the plan's")
    parser.add_argument("--seconds", type=float, help="how long a figure is counted, instead of the plan's")
    return parser.parse_args()


def plan_of(arguments: argparse.Namespace) -> Plan:
    """Return the plan that the command line asks for."""
    plan = FULL if arguments.full else QUICK
    given = {name: getattr(arguments, name) for name in ("rounds", "seconds") if getattr(arguments, name)}
    return dataclasses.replace(plan, **given)


def main() -> int:
    """Compare, print, judge; write the document when nothing was left out."""
    arguments = parse_arguments()
    if not Path("/proc/self/schedstat").exists() or not hasattr(os, "sched_setaffinity"):
        print("bench: needs Linux with /proc/*/schedstat: CPU time is read there", file=sys.stderr)
        return 1
    if len(os.sched_getaffinity(0)) == 1:
        say("only one core: the load generator disturbs what it measures, trust no figure but CPU time")
    processes.allow_many_files()
    plan = plan_of(arguments)
    begun = time.monotonic()
    try:
        arena, rounds = compare(plan, arguments.only)
    except MissingSystemError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    arena.samples.save(LAST)
    verdicts = targets.judge(arena.samples)
    drops = kept.drops(kept.load(plan.name), verdicts)
    lines = [*report.figures_tables(arena.samples, arena.missing), *report.pairs_table(arena.samples)]
    lines += [*report.targets_table(verdicts), *report.drops_table(drops)]
    print(
        "",
        *report.circumstances(arena.samples),
        *lines,
        *report.notes(arena.samples, arena.versions, arena.missing),
        sep="\n",
    )
    whole = set(arguments.only) == {system.name for system in SYSTEMS}
    if whole and plan in {QUICK, FULL}:
        write_document(arena, plan, rounds, verdicts, drops)
    if arguments.keep:
        kept.keep(plan.name, {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine()}, verdicts)
        say("today's ratios are kept in bench/kept.json")
    say(f"took {time.monotonic() - begun:.0f} s")
    missed = [verdict for verdict in verdicts if verdict.missed]
    for verdict in missed:
        say(
            f"MISSED: {verdict.target.title}: {verdict.written}, must be {verdict.target.bound(verdict.target.must)}"
        )
    return 1 if missed or drops else 0


if __name__ == "__main__":
    sys.exit(main())
