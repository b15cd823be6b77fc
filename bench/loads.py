"""One run of the load generator against one system: what it is told, and what came of it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import processes
from processes import Cores
from systems import Route

GENERATOR = Path(__file__).resolve().parent / "load.py"
GRACE_S = 20.0
"""How much longer than told a generator may take before it is ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One kind of load; `chunks` of 0 means plain answers, `interval_us` of 0 all chunks at once."""

    connections: int
    seconds: float
    warm_s: float
    ramp_s: float = 0.0
    chunks: int = 0
    interval_us: int = 0
    body_bytes: int = 1_024
    beside_bytes: int = 0

    def command(self, route: Route) -> list[str]:
        """Return the generator's command line."""
        options = {
            "port": route.port, "model": route.model, "dialect": route.dialect, "connections": self.connections,
            "chunks": self.chunks, "interval-us": self.interval_us, "body-bytes": self.body_bytes,
            "beside-bytes": self.beside_bytes, "ramp": self.ramp_s, "warm": self.warm_s, "seconds": self.seconds,
        }  # fmt: skip
        command = [sys.executable, str(GENERATOR)]
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        for line in route.headers:
            command += ["--header", line]
        return command

    @property
    def longest_s(self) -> float:
        """After how long it is ended."""
        return self.ramp_s + self.warm_s + self.seconds + GRACE_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The generator's figures, and what the system spent while they were counted (0 without a system)."""

    seconds: float = 0.0
    answers: int = 0
    chunks: int = 0
    errors: int = 0
    first_error: str = ""
    latency_p50_us: float | None = None
    latency_p99_us: float | None = None
    first_p50_us: float | None = None
    delay_p50_us: float | None = None
    delay_p99_us: float | None = None
    delay_max_us: float | None = None
    beside_answers: int = 0
    own_cpu_share: float = 0.0
    cpu_ns: int = 0
    core_busy_ns: int = 0

    def rate(self, number: int) -> float | None:
        """Return so many a second."""
        return number / self.seconds if self.seconds else None

    def cpu_us_each(self, number: int) -> float | None:
        """Return the system's CPU microseconds for each of them."""
        return self.cpu_ns / number / 1_000 if self.cpu_ns and number else None

    @property
    def others_share(self) -> float | None:
        """Return how much of the system's core others used meanwhile; near 0 on a quiet machine."""
        if not self.cpu_ns or not self.seconds:
            return None
        return max(0.0, (self.core_busy_ns - self.cpu_ns) / 1e9 / self.seconds)

    @property
    def core_share(self) -> float | None:
        """Return how much of its core the system used."""
        return self.cpu_ns / 1e9 / self.seconds if self.cpu_ns and self.seconds else None


def failed(reason: str) -> Outcome:
    """Return what a run without figures comes to: one error."""
    return Outcome(errors=1, first_error=reason)


def put_under(
    load: Load, route: Route, pid: int, cores: Cores, meanwhile: Callable[[], None] | None = None
) -> Outcome:
    """Run the generator once; `meanwhile` is called as soon as it counts."""
    with processes.pinned(cores.load):
        started = subprocess.Popen(
            load.command(route), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    with started as generator:
        assert generator.stdout is not None
        assert generator.stderr is not None
        guard = threading.Timer(load.longest_s, generator.kill)
        guard.start()
        try:
            generator.stdout.readline()  # "measuring"
            busy_before = processes.core_busy_ns(cores.system)
            before = processes.cpu_ns(pid) if pid else 0
            if meanwhile is not None:
                meanwhile()
            said = generator.stdout.readline()
            after = processes.cpu_ns(pid) if pid else 0
            busy_after = processes.core_busy_ns(cores.system)
            words = generator.stderr.read()
        finally:
            guard.cancel()
    if not said:
        return failed(words.strip().rpartition("\n")[2] or f"no figures within {load.longest_s:.0f} s")
    figures: dict[str, Any] = json.loads(said)
    if figures["seconds"] < load.seconds / 2:  # every connection had failed: what was counted means nothing
        return Outcome(errors=figures["errors"], first_error=figures["first_error"])
    return Outcome(**figures, cpu_ns=after - before, core_busy_ns=busy_after - busy_before)
