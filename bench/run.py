"""`make bench`: ours, nginx and LiteLLM in front of the same local upstream, in turns, on one pinned core.

The system under test has the machine's first core for itself; the load generator and the upstream share the second.
All systems run all the time and are measured one after the other in every round, in changing order, so that a noisy
neighbour hits them alike. CPU time per request is the steadiest figure; rates depend on what else the machine does.
Linux only (`/proc`). Writes docs/benchmarks.md when every system could be measured; exit status 1 when a target was missed.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import processes
import report
from systems import KEY, ROOT, SYSTEMS, Launch, MissingSystemError, System

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENT = ROOT / "docs" / "benchmarks.md"
HERE = Path(__file__).resolve().parent
DIRECT = "direct"

ABOUT = (
    "Written by `make bench`: pi-model-proxy, an nginx that only passes on, and LiteLLM's proxy in front of the same"
    " scripted upstream on loopback, in turns. The system under test has a core for itself; the load generator and"
    " the upstream share another. Ours and LiteLLM check a key, read the model's name and swap the credential; ours"
    " also writes its log line per request; nginx does none of that. Figures are medians of the rounds with their"
    " range; ratios are taken within a round. CPU time is the process tree's."
)

CONNECTIONS = 16
STREAMS = 50
STREAM_INTERVAL_MS = 20
IDLE_WAIT_S = 2.0
STARTS = 3
"""How often a quick system is started to time it; slow ones once."""


@dataclass(slots=True)
class Running:
    """A system that has been started; `pid` is 0 for the direct line."""

    name: str
    port: int
    model: str
    pid: int
    samples: dict[str, list[float]] = field(default_factory=dict)

    def note(self, key: str, value: float) -> None:
        """Add one sample."""
        self.samples.setdefault(key, []).append(value)


def say(text: str) -> None:
    """Print one line at once."""
    print(f"bench: {text}", flush=True)


def cores() -> tuple[int, int]:
    """Return the core for the system under test and the one for everything else (the same one if there is no other)."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


def spawn(
    command: list[str], core: int, log: Path, environment: dict[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that, with its children, may only run on one core; its output goes to a file."""
    with log.open("ab") as sink:
        return subprocess.Popen(
            command,
            stdout=sink,
            stderr=sink,
            env=environment,
            # Single-threaded here, and there is no other way to pin children before they exec.
            preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509
        )


@contextlib.contextmanager
def process(
    command: list[str], core: int, log: Path, environment: dict[str, str] | None = None
) -> Iterator[int]:
    """Run a process until the block ends; yields its id."""
    running = spawn(command, core, log, environment)
    try:
        yield running.pid
    finally:
        running.terminate()
        try:
            running.wait(timeout=20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


def free_port() -> int:
    """Return a loopback port that nobody listened on a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def answers(port: int, model: str) -> bool:
    """Ask once; whether a whole answer with status 200 came."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        body = json.dumps({"model": model, "messages": [{"role": "user", "content": "Hello?"}]})
        headers = {"content-type": "application/json", "authorization": f"Bearer {KEY}"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        answer = connection.getresponse()
        return answer.status == 200 and b"bench-answer-ok" in answer.read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_for_answer(port: int, model: str, timeout_s: float, log: Path) -> float:
    """Ask until a first answer comes; return the seconds that it took."""
    begun = time.monotonic()
    while time.monotonic() - begun < timeout_s:
        if answers(port, model):
            return time.monotonic() - begun
        time.sleep(0.005)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
    raise MissingSystemError(f"no answer within {timeout_s:.0f} s of its start; it said:\n{tail}")


def time_start(system: System, launch: Launch, port: int, log: Path) -> float:
    """Start a system only to see how long its first answer takes."""
    with process(launch.command, cores()[0], log, launch.environment):
        return wait_for_answer(port, launch.model, system.start_timeout_s, log)


def start(system: System, scratch: Path, upstream: int, stack: contextlib.ExitStack) -> Running:
    """Start a system for the whole run and take what is measured once: start, idle memory."""
    folder = scratch / system.name
    folder.mkdir()
    folder.chmod(0o755)
    port = free_port()
    launch = system.launch(folder, port, upstream)
    log = folder / "output.log"
    running = Running(system.name, port, launch.model, 0)
    if system.start_timeout_s < 60:
        for _ in range(STARTS - 1):
            running.note("start_s", time_start(system, launch, port, log))
    running.pid = stack.enter_context(process(launch.command, cores()[0], log, launch.environment))
    running.note("start_s", wait_for_answer(port, launch.model, system.start_timeout_s, log))
    time.sleep(IDLE_WAIT_S)
    running.note("idle_pss_mib", processes.pss_kib(running.pid) / 1024)
    say(f"{system.title} {system.version()}: first answer after {running.samples['start_s'][-1]:.2f} s")
    return running


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """One kind of load: what the generator is told."""

    connections: int
    warm_s: float
    seconds: float
    stream: bool = False


def measure(running: Running, load: Load) -> tuple[dict[str, float], int]:
    """Run the generator once; return its figures and the system's CPU nanoseconds while it counted."""
    command = [
        sys.executable, str(HERE / "load.py"), "--port", str(running.port), "--model", running.model, "--key", KEY,
        "--connections", str(load.connections), "--warm", str(load.warm_s), "--seconds", str(load.seconds),
        *(["--stream"] if load.stream else []),
    ]  # fmt: skip
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {cores()[1]}),  # noqa: PLW1509  # as in spawn
    ) as generator:
        assert generator.stdout is not None
        generator.stdout.readline()  # "measuring"
        before = processes.cpu_ns(running.pid) if running.pid else 0
        said = generator.stdout.readline()
        after = processes.cpu_ns(running.pid) if running.pid else 0
    if generator.returncode or not said:
        raise MissingSystemError(f"the load generator failed against {running.name}; its words are above")
    figures = json.loads(said)
    if figures["errors"]:
        raise MissingSystemError(
            f"{running.name} gave {figures['errors']} errors, first: {figures['first_error']}"
        )
    return figures, after - before


def measure_requests(running: Running, arguments: argparse.Namespace) -> None:
    """Plain answers at 16 connections: CPU per request and rate."""
    warm = 4.0 if running.name == "litellm" else 1.5
    load = Load(connections=CONNECTIONS, warm_s=warm, seconds=arguments.seconds)
    figures, cpu = measure(running, load)
    running.note("answers_per_s", figures["answers"] / figures["seconds"])
    if running.pid and figures["answers"]:
        running.note("request_cpu_us", cpu / figures["answers"] / 1000)


def measure_latency(running: Running, arguments: argparse.Namespace) -> None:
    """Plain answers on one connection: the median time of an answer."""
    figures, _ = measure(running, Load(connections=1, warm_s=0.5, seconds=arguments.seconds / 2))
    running.note("p50_us", figures["latency_p50_us"])


def measure_streams(running: Running, arguments: argparse.Namespace) -> None:
    """Paced streams: CPU per chunk and how late chunks come."""
    load = Load(connections=STREAMS, warm_s=1.0, seconds=arguments.seconds, stream=True)
    figures, cpu = measure(running, load)
    running.note("chunks_per_s", figures["chunks"] / figures["seconds"])
    running.note("chunk_delay_us", figures["delay_p50_us"])
    if running.pid and figures["chunks"]:
        running.note("chunk_cpu_us", cpu / figures["chunks"] / 1000)


MEASURES = (measure_requests, measure_latency, measure_streams)


def hold_rounds(field_of_systems: list[Running], arguments: argparse.Namespace) -> None:
    """Measure everything so many times, the systems in another order each time."""
    for number in range(arguments.rounds):
        shift = number % len(field_of_systems)
        order = field_of_systems[shift:] + field_of_systems[:shift]
        for measurement in MEASURES:
            for running in order:
                measurement(running, arguments)
        direct = field_of_systems[0]
        for running in field_of_systems[1:]:
            running.note("added_p50_us", running.samples["p50_us"][-1] - direct.samples["p50_us"][-1])
        say(f"round {number + 1} of {arguments.rounds} done")
    for running in field_of_systems[1:]:
        running.note("loaded_pss_mib", processes.pss_kib(running.pid) / 1024)


def compare(arguments: argparse.Namespace) -> tuple[report.Samples, dict[str, str]]:
    """Start the upstream and every system that can be had, measure, stop; return samples and titles with versions."""
    titles = {DIRECT: "no proxy"}
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pi-model-proxy-bench-")))
        scratch.chmod(0o755)  # nginx's worker may be another user
        upstream = free_port()
        command = [sys.executable, str(HERE / "upstream.py"), "--port", str(upstream)]
        command += ["--interval-ms", str(STREAM_INTERVAL_MS)]
        stack.enter_context(process(command, cores()[1], scratch / "upstream.log"))
        wait_for_answer(upstream, "bench", 10, scratch / "upstream.log")
        started = [Running(DIRECT, upstream, "bench", 0)]
        for system in SYSTEMS:
            if system.name not in arguments.only:
                continue
            try:
                started.append(start(system, scratch, upstream, stack))
                titles[system.name] = f"{system.title} {system.version()}"
            except (MissingSystemError, FileNotFoundError) as error:
                say(f"left out {system.title}: {error}")
        hold_rounds(started, arguments)
        return {running.name: running.samples for running in started}, titles


def machine() -> str:
    """Describe the machine in one line."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"


def write_document(lines: list[str], arguments: argparse.Namespace) -> None:
    """Write docs/benchmarks.md."""
    rounds = f"{arguments.rounds} rounds of {arguments.seconds:g} s per figure"
    loads = (
        f"plain answers of 1 KB at {CONNECTIONS} connections and at one, {STREAMS} streams with a chunk every"
        f" {STREAM_INTERVAL_MS} ms"
    )
    head = [
        "# Benchmarks",
        "",
        ABOUT,
        "",
        f"{datetime.now(UTC):%Y-%m-%d}; {machine()}. {rounds}: {loads}.",
        "",
    ]
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text("\n".join(head + lines).rstrip() + "\n")
    say(f"written to {DOCUMENT.relative_to(ROOT)}")


def main() -> int:
    """Compare, print, write the document when nothing was left out, judge."""
    names = [system.name for system in SYSTEMS]
    parser = argparse.ArgumentParser(description="Compare with nginx and LiteLLM on this machine.")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=4.0, help="how long each figure is counted (default: 4)"
    )
    parser.add_argument("--only", nargs="*", choices=names, default=names, help="leave the other systems out")
    arguments = parser.parse_args()
    if not Path("/proc/self/schedstat").exists() or not hasattr(os, "sched_setaffinity"):
        print("bench: needs Linux with /proc/*/schedstat: CPU time is read there", file=sys.stderr)
        return 1
    if cores()[0] == cores()[1]:
        say("only one core: the load generator disturbs what it measures, trust no figure but CPU time")
    try:
        samples, titles = compare(arguments)
    except MissingSystemError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    verdicts, met = report.judge(samples)
    ratio_lines = report.ratio_table(samples, titles)
    lines = [*report.figures_table(samples, titles), "", *ratio_lines, "", *verdicts]
    print("", *lines, "", sep="\n")
    if set(names) <= set(samples):
        write_document(lines, arguments)
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
