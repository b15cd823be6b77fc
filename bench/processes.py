"""What `/proc` says about a process and everything that it started: CPU time and memory."""

from __future__ import annotations

from pathlib import Path

PROC = Path("/proc")


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


def pss_kib(root: int) -> int:
    """Return the tree's proportional set size in KiB: shared pages are counted by their share."""
    total = 0
    for pid in tree(root):
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    return total


def core_busy_ns(core: int) -> int:
    """Return how long one core has been busy with anything since boot, from `/proc/stat` (10 ms steps)."""
    for line in (PROC / "stat").read_text().splitlines():
        fields = line.split()
        if fields[0] == f"cpu{core}":
            user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
            return (user + nice + system + irq + softirq + steal) * 10_000_000
    return 0
