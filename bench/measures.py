"""The tests: each puts one system under one kind of load and notes figures under keys that name their unit."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import processes
from arena import Arena, Running, ask, started
from loads import Load, Outcome, put_under
from plan import Plan
from samples import slope
from systems import DIRECT, PLAIN, SYSTEMS

BURST_CONNECTIONS, BURST_CHUNKS, BURST_US = 16, 500, 1
STREAMS, STREAM_CHUNKS, STREAM_INTERVAL_US = 100, 100, 20_000
CROWD, CROWD_RAMP_S = 1_000, 0.8
FAST_US, SLOW_US = 20_000, 200_000
FEW = 10
"""Streams that are opened first, so that what is made once is not counted as memory of a stream."""
FIRST_CHUNK_US = 2_000
"""How long after its first and only chunk the stream ends in the first-byte test."""
LARGE_BODY = 10_000_000
BODIES = {"1 KB": 1_024, "64 KB": 65_536, "1 MB": 1_048_576, "10 MB": LARGE_BODY}
STREAMS_BESIDE = 20
SETTLE_S = 1.0
"""How long a started system is left alone before its idle memory is read."""
SOAK_SAMPLE_S = 0.25
MICRO, KIB = 1_000, 1_024
NOT_SERVED = frozenset({404, 405, 501})
"""Statuses that say a pair of dialects is not to be had; any other failure is an error."""

ADDED = {
    "json1_p50_us": "json1_p50_us",
    "first_us": "first_us",
    "slow_p50_us": "slow_p50_us",
    "slow_p99_us": "slow_p50_us",
    **{f"body {name} ms": f"body {name} ms" for name in BODIES},
}
"""What a system adds: its figure less a figure of the direct line.

What a chunk's delay is more than the direct line's median counts as added, so that the 99th percentile of what is added
is that of the delays less that median (the direct line's own 99th percentile is noise that a proxy need not share)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One system in one round."""

    arena: Arena
    running: Running
    plan: Plan
    turn: int

    def note(self, key: str, value: float | None) -> None:
        """Keep a figure."""
        self.arena.samples.note(self.running.name, key, self.turn, value)

    def put_under(
        self, load: Load, route: str = PLAIN, meanwhile: Callable[[], None] | None = None
    ) -> Outcome:
        """Put the system under load; its errors are counted whatever comes of it."""
        running = self.running
        outcome = put_under(load, running.routes[route], running.pid, self.arena.cores, meanwhile)
        self.arena.samples.note_errors(running.name, outcome.errors, outcome.first_error)
        if outcome.others_share is not None:
            self.arena.samples.others_shares.append(outcome.others_share)
        if running.pid:
            processes.wait_until_idle(running.pid)  # or it would disturb who is measured next
        return outcome

    def warm_up(self) -> None:
        """Before its first figure: let just-in-time compilers and pools settle."""
        if self.running.warm_s:
            self.put_under(Load(connections=16, warm_s=0, seconds=self.running.warm_s))
            self.running.warm_s = 0.0

    def memory_kib(self) -> float | None:
        """Return the system's memory now."""
        return processes.pss_kib(self.running.pid) if self.running.pid else None


@contextlib.contextmanager
def on_a_new_instance(trial: Trial) -> Iterator[Trial]:
    """Take a trial on a process just started, noting its start and its idle memory."""
    system = next(system for system in SYSTEMS if system.name == trial.running.name)
    with started(trial.arena, system) as running:
        fresh = Trial(trial.arena, running, trial.plan, trial.turn)
        note_start(fresh)
        yield fresh


def note_start(trial: Trial) -> None:
    """Note what is measured of a system that has just started."""
    trial.note("start_s", trial.running.start_s)
    time.sleep(SETTLE_S)
    memory = trial.memory_kib()
    trial.note("idle_pss_mib", memory / KIB if memory else None)


def answers_at(connections: int) -> Callable[[Trial], None]:
    """Return the test of plain answers of 1 KB at so many connections."""

    def take(trial: Trial) -> None:
        trial.warm_up()
        outcome = trial.put_under(Load(connections=connections, warm_s=0.3, seconds=trial.plan.seconds))
        trial.note(f"json{connections}_rate", outcome.rate(outcome.answers))
        trial.note(f"json{connections}_cpu_us", outcome.cpu_us_each(outcome.answers))
        trial.note(f"json{connections}_p50_us", outcome.latency_p50_us)
        trial.note(f"json{connections}_core", outcome.core_share)

    return take


def first_chunk(trial: Trial) -> None:
    """Streams one at a time: how long until the first chunk is there."""
    load = Load(connections=1, warm_s=0.3, seconds=trial.plan.seconds, chunks=1, interval_us=FIRST_CHUNK_US)
    trial.note("first_us", trial.put_under(load).first_p50_us)


def burst_load(plan: Plan, interval_us: int) -> Load:
    """Return the load of streams whose chunks come without a pause."""
    return Load(
        connections=BURST_CONNECTIONS,
        warm_s=0.3,
        seconds=plan.seconds,
        chunks=BURST_CHUNKS,
        interval_us=interval_us,
    )


def bursts(trial: Trial) -> None:
    """Streams whose chunks come without a pause, each written by itself: chunks a second, CPU per chunk."""
    outcome = trial.put_under(burst_load(trial.plan, BURST_US))
    trial.note("burst_rate", outcome.rate(outcome.chunks))
    trial.note("burst_cpu_us", outcome.cpu_us_each(outcome.chunks))


def blobs(trial: Trial) -> None:
    """Streams whose chunks come all in one piece, so that reading and writing cost next to nothing."""
    outcome = trial.put_under(burst_load(trial.plan, 0))
    trial.note("blob_rate", outcome.rate(outcome.chunks))
    trial.note("blob_cpu_us", outcome.cpu_us_each(outcome.chunks))


def paced_load(plan: Plan) -> Load:
    """Return the load of a hundred streams with a chunk every 20 ms."""
    return Load(
        connections=STREAMS,
        ramp_s=0.2,
        warm_s=0.2,
        seconds=plan.seconds,
        chunks=STREAM_CHUNKS,
        interval_us=STREAM_INTERVAL_US,
    )


def paced(route: str, key: str) -> Callable[[Trial], None]:
    """Return the test of paced streams over a route."""

    def take(trial: Trial) -> None:
        outcome = trial.put_under(paced_load(trial.plan), route)
        trial.note(f"{key}_cpu_us", outcome.cpu_us_each(outcome.chunks))
        trial.note(f"{key}_delay_us", outcome.delay_p50_us)
        trial.note(f"{key}_rate", outcome.rate(outcome.chunks))

    return take


def crowd_load(plan: Plan, interval_us: int, streams: int = CROWD) -> Load:
    """Return the load of a thousand streams that outlast the test."""
    longest_s = CROWD_RAMP_S + 0.4 + plan.seconds * 1.5
    return Load(
        connections=streams,
        ramp_s=CROWD_RAMP_S * streams / CROWD,
        warm_s=0.4,
        seconds=plan.seconds * 1.5 if streams == CROWD else 0.3,
        chunks=int(longest_s * 2 * 1_000_000 / interval_us),
        interval_us=interval_us,
    )


def fast_crowd(trial: Trial) -> None:
    """A thousand streams with a chunk every 20 ms: how many of the 50,000 chunks a second arrive, and how late."""
    outcome = trial.put_under(crowd_load(trial.plan, FAST_US))
    rate = outcome.rate(outcome.chunks)
    trial.note("fast_delivered", rate / (CROWD * 1_000_000 / FAST_US) if rate else None)
    trial.note("fast_cpu_us", outcome.cpu_us_each(outcome.chunks))
    trial.note("fast_p50_us", outcome.delay_p50_us)
    trial.note("fast_p99_us", outcome.delay_p99_us)


def slow_crowd(trial: Trial) -> None:
    """A thousand streams with a chunk every 200 ms: how late they come."""
    outcome = trial.put_under(crowd_load(trial.plan, SLOW_US))
    trial.note("slow_rate", outcome.rate(outcome.chunks))
    trial.note("slow_p50_us", outcome.delay_p50_us)
    trial.note("slow_p99_us", outcome.delay_p99_us)


def weigh_streams(route: str, key: str) -> Callable[[Trial], None]:
    """Return the test of what memory an open stream takes, on a new process whose heap has not grown yet."""

    def take(trial: Trial) -> None:
        with on_a_new_instance(trial) as fresh:
            fresh.put_under(crowd_load(trial.plan, SLOW_US, FEW), route)
            few_kib = fresh.memory_kib()
            many_kib: list[float | None] = []
            many = crowd_load(trial.plan, SLOW_US)
            fresh.put_under(many, route, lambda: many_kib.append(fresh.memory_kib()))
        if few_kib and many_kib and many_kib[0]:
            trial.note(f"{key}_kib", (many_kib[0] - few_kib) / (CROWD - FEW))
            trial.note(f"{key}s_open_pss_mib", many_kib[0] / KIB)

    return take


def pair(name: str) -> Callable[[Trial], None]:
    """Return the tests of one pair of dialects (caller's>upstream's), paced and in bursts."""

    def take(trial: Trial) -> None:
        route = trial.running.routes.get(name)
        if route is None or ask(route) in NOT_SERVED:
            return  # a dialect that is not there yet; the report lists the pairs that were measured
        outcome = trial.put_under(paced_load(trial.plan), name)
        trial.note(f"{name} paced_cpu_us", outcome.cpu_us_each(outcome.chunks))
        outcome = trial.put_under(burst_load(trial.plan, BURST_US), name)
        trial.note(f"{name} burst_cpu_us", outcome.cpu_us_each(outcome.chunks))
        trial.note(f"{name} burst_rate", outcome.rate(outcome.chunks))

    return take


def body(name: str) -> Callable[[Trial], None]:
    """Return the test of request bodies of one size, one at a time."""

    def take(trial: Trial) -> None:
        load = Load(connections=1, warm_s=0.3, seconds=trial.plan.seconds, body_bytes=BODIES[name])
        p50_us = trial.put_under(load).latency_p50_us
        trial.note(f"body {name} ms", p50_us / MICRO if p50_us else None)

    return take


def stall(trial: Trial) -> None:
    """Paced streams while 10 MB bodies come one after the other: the longest delay of any chunk."""
    load = Load(
        connections=STREAMS_BESIDE,
        ramp_s=0.2,
        warm_s=0.4,
        seconds=trial.plan.seconds * 1.25,
        chunks=STREAM_CHUNKS,
        interval_us=STREAM_INTERVAL_US,
        beside_bytes=LARGE_BODY,
    )
    outcome = trial.put_under(load)
    if outcome.beside_answers:
        trial.note("stall_ms", outcome.delay_max_us / MICRO if outcome.delay_max_us else None)


def soak(trial: Trial) -> None:
    """Plain answers for a while: how memory grows with the number of answers."""
    points: list[tuple[float, float]] = []

    def weigh() -> None:
        begun = time.monotonic()
        while (passed := time.monotonic() - begun) < trial.plan.soak_s - SOAK_SAMPLE_S:
            points.append((passed, trial.memory_kib() or 0))
            time.sleep(SOAK_SAMPLE_S)

    load = Load(connections=16, warm_s=1.0, seconds=trial.plan.soak_s)
    outcome = trial.put_under(load, meanwhile=weigh)
    rate = outcome.rate(outcome.answers)
    if rate and len(points) > 2:
        trial.note("growth_kib", slope(points) / rate * 10_000)


def note_added(arena: Arena, turn: int) -> None:
    """Note what each system adds to the direct line's figures of the same round."""
    for running in arena.running:
        if running.name == DIRECT:
            continue
        for key, floor_key in ADDED.items():
            seen = arena.samples.by_round(running.name, key).get(turn)
            floor = arena.samples.by_round(DIRECT, floor_key).get(turn)
            if seen is not None and floor is not None:
                arena.samples.note(running.name, f"{key} added", turn, seen - floor)
