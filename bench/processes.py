"""Processes: started on one core, ended for certain, and what `/proc` says of them and of all that they started."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
END_TIMEOUT_S = 20
IDLE_SAMPLE_S, IDLE_SHARE, LONGEST_UNTIL_IDLE_S = 0.04, 0.05, 8.0
"""A tree is idle that used less than this share of a core for so long."""
OPEN_FILES = 16_384
"""What a thousand streams through a proxy need, with room."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which core each part of the benchmark is pinned to."""

    system: int
    upstream: int
    load: int

    @staticmethod
    def of_this_machine() -> Cores:
        """Give the system under test the first core, and the others what is left."""
        usable = sorted(os.sched_getaffinity(0))
        return Cores(system=usable[0], upstream=usable[min(1, len(usable) - 1)], load=usable[-1])


def allow_many_files() -> None:
    """Raise this process's and its children's limit of open files as far as is needed and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def free_port() -> int:
    """Return a loopback port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def pinned(core: int) -> Iterator[None]:
    """Let what is started inside the block run on one core only, with all that it starts."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextlib.contextmanager
def process(
    command: list[str],
    core: int,
    log: Path,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[int]:
    """Run a process on one core until the block ends, its output going to a file; yields its id."""
    with log.open("ab") as sink, pinned(core):
        running = subprocess.Popen(command, stdout=sink, stderr=sink, env=environment, cwd=folder)
    try:
        yield running.pid
    finally:
        running.terminate()
        try:
            running.wait(timeout=END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def tree(root: int) -> list[int]:
    """Return the ids of a process and of all its descendants that live now."""
    children: dict[int, list[int]] = {}
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        # The name, in brackets, may hold blanks: the parent's id is the second field after it.
        parent = int(stat.rpartition(")")[2].split()[1])
        children.setdefault(parent, []).append(int(folder.name))
    found, queue = [], [root]
    while queue:
        pid = queue.pop()
        found.append(pid)
        queue += children.get(pid, [])
    return found


def cpu_ns(root: int) -> int:
    """Return the CPU time in nanoseconds that the tree's threads have had (scheduler's own count, not ticks)."""
    total = 0
    for pid in tree(root):
        for thread in (PROC / str(pid) / "task").glob("*"):
            try:
                total += int((thread / "schedstat").read_text().split()[0])
            except (FileNotFoundError, ProcessLookupError):
                continue  # the thread ended; its last microseconds are lost
    return total


def core_busy_ns(core: int) -> int:
    """Return how long a core has been busy with anything since boot, from `/proc/stat` (10 ms steps)."""
    for line in (PROC / "stat").read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[:8])
            return (user + nice + system + irq + softirq + steal) * 10_000_000
    return 0


def wait_until_idle(root: int) -> None:
    """Wait until a process tree has done what was left over from its load, but not for ever."""
    end_s = time.monotonic() + LONGEST_UNTIL_IDLE_S
    while time.monotonic() < end_s:
        begun, before = time.monotonic(), cpu_ns(root)
        time.sleep(IDLE_SAMPLE_S)
        if (cpu_ns(root) - before) / 1e9 < IDLE_SHARE * (time.monotonic() - begun):
            return


def pss_kib(root: int) -> int:
    """Return the tree's proportional set size in KiB: shared pages are counted by their share."""
    total = 0
    for pid in tree(root):
        try:
            lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # ended while we looked
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total
