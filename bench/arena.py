"""The systems of one run: started in front of one upstream, asked until they answer, ended when the run ends."""

from __future__ import annotations

import contextlib
import http.client
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import processes
from certificates import Certificates
from dialects import DIALECTS, MARK, Script, compact, conversation
from peers import MissingSystemError
from processes import Cores
from samples import Samples
from systems import DIRECT, PLAIN, Route, System, Upstream, direct_routes

UPSTREAM_PROGRAM = Path(__file__).resolve().parent / "upstream.py"
UPSTREAM_START_S = 10.0
POLL_S = 0.004
ASK_TIMEOUT_S = 20.0
SAID_LINES = 15
"""Lines of a system's own output that are shown when it does not start."""


@dataclass(slots=True)
class Running:
    """A system that answers; `pid` is 0 for the direct line."""

    name: str
    pid: int
    routes: Mapping[str, Route]
    start_s: float = 0.0
    warm_s: float = 0.0
    """How long it must still be under load before its first figure."""


@dataclass(slots=True)
class Arena:
    """What is common to all systems of a run, and those that run."""

    scratch: Path
    cores: Cores
    upstream: Upstream
    samples: Samples = field(default_factory=Samples)
    running: list[Running] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    """Systems that could not be had, each with the reason."""
    starts: int = 0


def ask(route: Route) -> int:
    """Ask once for a plain answer; return its status, 0 when none or a wrong one came."""
    dialect = DIALECTS[route.dialect]
    connection = http.client.HTTPConnection("127.0.0.1", route.port, timeout=ASK_TIMEOUT_S)
    lines = [*route.headers, *dialect.headers.split("\r\n")]
    headers = {name: value for name, mark, value in (line.partition(": ") for line in lines) if mark}
    turns = conversation(Script(chunks=0, interval_us=0), body_bytes=0)
    body = compact(dialect.request(route.model, turns, streaming=False))
    try:
        connection.request("POST", dialect.path, body, headers | {"content-type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
    return answer.status if answer.status != 200 or MARK.encode() in said else 0


def wait_for_port(port: int, until_s: float) -> bool:
    """Wait until somebody listens; whether somebody does."""
    while time.monotonic() < until_s:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return True
        except OSError:
            time.sleep(POLL_S)
    return False


def wait_for_answer(route: Route, until_s: float) -> bool:
    """Ask until a first good answer comes; whether it came."""
    while time.monotonic() < until_s:
        if ask(route) == 200:
            return True
        time.sleep(POLL_S)
    return False


@contextlib.contextmanager
def started(arena: Arena, system: System) -> Iterator[Running]:
    """Run a new instance of a system until the block ends; yields it once it has answered.

    Raises:
        MissingSystemError: it cannot be had or does not answer.
    """
    arena.starts += 1
    folder = arena.scratch / f"{system.name}-{arena.starts}"
    folder.mkdir()
    folder.chmod(0o755)  # nginx's worker may be another user
    launch = system.launch(folder, processes.free_port(), arena.upstream)
    log = folder / "output.log"
    begun = time.monotonic()
    until = begun + system.start_timeout_s
    with processes.process(launch.command, arena.cores.system, log, launch.environment, launch.folder) as pid:
        routes = launch.routes
        if wait_for_port(routes[PLAIN].port, until):
            routes = launch.connect(routes)
        if not wait_for_answer(routes[PLAIN], until):
            said = "\n".join(log.read_text(errors="replace").splitlines()[-SAID_LINES:])
            raise MissingSystemError(f"no answer within {system.start_timeout_s:.0f} s; it said:\n{said}")
        yield Running(system.name, pid, routes, start_s=time.monotonic() - begun, warm_s=system.warm_s)


@contextlib.contextmanager
def upstream_running(scratch: Path, cores: Cores, certificates: Certificates | None) -> Iterator[Arena]:
    """Start the scripted upstream; yields a field whose only member is the direct line to it."""
    port, tls_port = processes.free_port(), processes.free_port()
    command = [sys.executable, str(UPSTREAM_PROGRAM), "--port", str(port)]
    if certificates is not None:
        command += ["--tls-port", str(tls_port), "--certificate", str(certificates.server)]
    log = scratch / "upstream.log"
    with processes.process(command, cores.upstream, log):
        if not wait_for_port(port, time.monotonic() + UPSTREAM_START_S):
            raise MissingSystemError(f"the scripted upstream does not start: {log.read_text()}")
        upstream = Upstream(
            port=port, tls_port=tls_port, authority=certificates.authority if certificates else None
        )
        direct = Running(DIRECT, 0, direct_routes(upstream))
        yield Arena(scratch, cores, upstream, running=[direct])
