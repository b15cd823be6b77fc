"""What our upstream transport costs, beside bare protocols (the floor) and aiohttp's client (when it is installed).

All clients take turns in this process against one scripted upstream (upstream.py, a process of its own). What is
measured is this process's CPU time: the client's whole cost, the event loop's and the kernel's for it included. Run
with the interpreter of the product's environment:

    python bench/transport.py              # CPU per request and per piece of a stream
    python bench/transport.py --memory     # memory per open stream
    python bench/transport.py --bodies     # 10 MB there and back, and how long other streams wait meanwhile
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import importlib.util
import multiprocessing
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import uvloop
from arena import wait_for_port
from certificates import make_certificates
from dialects import CHAT, Script, compact
from processes import free_port
from typing_extensions import override

from pi_model_proxy.transport import Deadlines, UpstreamHead, UpstreamRequest
from pi_model_proxy.transport.http1 import Http1Transport

DEADLINES = Deadlines(connect_s=30, headers_s=120)
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "authorization": "Bearer 0123456789abcdef",
    "user-agent": "pi-model-proxy-bench",
}
LOOPS: dict[str, Any] = {"uvloop": uvloop.run, "asyncio": asyncio.run}
PIECES = 20
PACED_STREAMS, PACE_MS, PACED_PIECES = 100, 20, 100
OPEN_STREAMS = 500
LARGE_BYTES = 10 * 1024 * 1024

Ask = Callable[[bytes], Awaitable[int]]
"""Sends a body and returns how many bytes the answer has."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """Where the scripted upstream listens."""

    port: int
    tls_port: int
    ca_file: str

    def url(self, *, tls: bool) -> str:
        """Return where Chat Completions are served."""
        place = f"https://localhost:{self.tls_port}" if tls else f"http://127.0.0.1:{self.port}"
        return place + CHAT.path


def body_of(chunks: int | None, interval_ms: int = 0, *, size: int = 1024) -> bytes:
    """Return a request; for a stream when `chunks` is given."""
    script = Script(chunks or 0, interval_ms * 1000).spoken()
    turns = [{"role": "user", "content": "word " * (size // 5)}, {"role": "user", "content": script}]
    return compact({"model": "bench", "messages": turns} | ({} if chunks is None else {"stream": True}))


# --- clients ----------------------------------------------------------------------------------------------------------


@contextmanager
def ours(upstream: Upstream, *, tls: bool) -> Iterator[Ask]:
    """Our transport."""
    transport = Http1Transport({}, ca_file=upstream.ca_file)
    head = UpstreamHead("POST", upstream.url(tls=tls), HEADERS)

    async def ask(body: bytes) -> int:
        response = await transport.open(UpstreamRequest(head, body), DEADLINES)
        size = 0

        def take(piece: bytes) -> bool:
            nonlocal size
            size += len(piece)
            return True

        if (whole := response.whole()) is not None:
            size = len(whole)
        else:
            await response.deliver(take)
        response.release()
        return size

    yield ask


class Bare(asyncio.Protocol):
    """The least that asks and finds the end of an answer: no parser, no deadline, no check."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.missing = self.size = 0

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self.size += len(data)
        if self.missing < 0:
            at = data.find(b"content-length: ")
            self.missing = 0
            if at >= 0:
                self.missing = int(data[at + 16 : data.find(b"\r\n", at)]) + data.find(b"\r\n\r\n") + 4
        if self.size >= self.missing if self.missing else data.endswith(b"\r\n0\r\n\r\n"):
            self.answered.set_result(None)

    async def ask(self, request: bytes) -> int:
        """Return the size of the answer, its head included."""
        self.answered = self.loop.create_future()
        self.missing, self.size = -1, 0
        self.transport.write(request)
        await self.answered
        return self.size


@contextmanager
def floor(upstream: Upstream, *, tls: bool) -> Iterator[Ask]:
    """What no client written in Python on these event loops can undercut."""
    idle: list[Bare] = []
    lines = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    start = f"POST {CHAT.path} HTTP/1.1\r\nhost: localhost\r\n{lines}".encode()
    context = ssl.create_default_context(cafile=upstream.ca_file) if tls else None
    port = upstream.tls_port if tls else upstream.port

    async def ask(body: bytes) -> int:
        if idle:
            bare = idle.pop()
        else:
            name = "localhost" if tls else None
            loop = asyncio.get_running_loop()
            _, bare = await loop.create_connection(Bare, "127.0.0.1", port, ssl=context, server_hostname=name)
        size = await bare.ask(b"%bcontent-length: %d\r\n\r\n%b" % (start, len(body), body))
        idle.append(bare)
        return size

    yield ask


@contextmanager
def aiohttp_client(upstream: Upstream, *, tls: bool) -> Iterator[Ask]:
    """aiohttp's client, set up as a gateway needs it."""
    import aiohttp  # noqa: PLC0415 - only when it is there

    context = ssl.create_default_context(cafile=upstream.ca_file)
    url = upstream.url(tls=tls)
    session: aiohttp.ClientSession | None = None

    async def ask(body: bytes) -> int:
        nonlocal session
        if session is None:
            session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=context),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
            )
        async with asyncio.timeout(DEADLINES.headers_s):
            response = await session.post(url, data=body, headers=HEADERS, allow_redirects=False)
        size = 0
        while chunk := await response.content.readany():
            size += len(chunk)
        response.release()
        return size

    yield ask
    if session is not None and session.connector is not None:
        session.connector._close()  # noqa: SLF001 - its loop may be closed by now


CLIENTS: dict[str, Any] = {"ours": ours, "floor": floor}
if importlib.util.find_spec("aiohttp"):
    CLIENTS["aiohttp"] = aiohttp_client


# --- CPU --------------------------------------------------------------------------------------------------------------


async def many(ask: Ask, body: bytes, requests: int, connections: int) -> float:
    """Return CPU microseconds per request."""
    left = requests

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            if not await ask(body):
                raise RuntimeError("an empty answer")

    await asyncio.gather(*(ask(body) for _ in range(connections)))
    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(connections)))
    return (time.process_time() - began) / requests * 1e6


async def paced(ask: Ask) -> float:
    """Return CPU microseconds per piece of streams that send one every `PACE_MS`."""
    await asyncio.gather(*(ask(body_of(None)) for _ in range(PACED_STREAMS)))
    began = time.process_time()
    await asyncio.gather(*(ask(body_of(PACED_PIECES, PACE_MS)) for _ in range(PACED_STREAMS)))
    return (time.process_time() - began) / (PACED_STREAMS * PACED_PIECES) * 1e6


def cpu(upstream: Upstream, load: argparse.Namespace) -> None:
    """Measure CPU time and print a table."""

    def asking(body: bytes) -> Any:
        return lambda ask: many(ask, body, load.requests, load.connections)

    tests: dict[str, tuple[Any, bool]] = {
        "plain": (asking(body_of(None)), False),
        "plain, TLS": (asking(body_of(None)), True),
        f"{PIECES} events at once": (asking(body_of(PIECES)), False),
        f"an event every {PACE_MS} ms": (paced, False),
        f"an event every {PACE_MS} ms, TLS": (paced, True),
    }
    samples: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(load.rounds):
        for test, (measure, tls) in tests.items():
            for loop, run in LOOPS.items():
                for name, make in CLIENTS.items():
                    with make(upstream, tls=tls) as ask:
                        samples.setdefault((test, loop, name), []).append(run(measure(ask)))
    print(
        f"CPU µs per request or event; {load.connections} connections, {PACED_STREAMS} streams, median of {load.rounds}"
    )
    for (test, loop, name), values in samples.items():
        print(
            f"{test:26} {loop:8} {name:8} {statistics.median(values):7.1f}  ({min(values):.1f}-{max(values):.1f})"
        )


# --- memory -----------------------------------------------------------------------------------------------------------


def anonymous_kib() -> int:
    """Return this process's own memory in KiB."""
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss_Anon:"):
            return int(line.split()[1])
    raise RuntimeError("this system does not tell a process's memory")


async def open_streams(ask: Ask) -> float:
    """Return KiB per stream that is open and has had a few events."""
    await ask(body_of(PIECES))
    gc.collect()
    before = anonymous_kib()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(cast("Any", ask(body_of(1000, 500)))) for _ in range(OPEN_STREAMS)]
        await asyncio.sleep(6)
        gc.collect()
        after = anonymous_kib()
        for task in tasks:
            task.cancel()
    return (after - before) / OPEN_STREAMS


def _memory_of(name: str, loop: str, upstream: Upstream, tls: bool) -> None:  # noqa: FBT001 - a process's target
    with CLIENTS[name](upstream, tls=tls) as ask:
        print(f"{'TLS' if tls else 'plain':6} {loop:8} {name:8} {LOOPS[loop](open_streams(ask)):7.1f}")


def memory(upstream: Upstream, load: argparse.Namespace) -> None:
    """Measure memory, each time in a new process, and print a table."""
    del load
    print(f"KiB per open stream, {OPEN_STREAMS} streams")
    spawning = multiprocessing.get_context("spawn")
    for tls in (False, True):
        for loop in LOOPS:
            for name in CLIENTS:
                process = spawning.Process(target=_memory_of, args=(name, loop, upstream, tls))
                process.start()
                process.join()


# --- large bodies -----------------------------------------------------------------------------------------------------


async def large(ask: Ask) -> tuple[float, float, float]:
    """Return ms and CPU ms of one long request body, and the CPU ms of the event loop's longest turn."""
    body = body_of(None, size=LARGE_BYTES)
    await ask(body)
    longest = last = 0.0
    done = False

    def look() -> None:
        nonlocal longest, last
        now = time.process_time()
        longest, last = max(longest, now - last), now
        if not done:
            asyncio.get_running_loop().call_soon(look)

    last = time.process_time()
    look()
    began, cpu_began = time.perf_counter(), time.process_time()
    for _ in range(10):
        await ask(body)
    spent, cpu_spent = time.perf_counter() - began, time.process_time() - cpu_began
    done = True
    return spent * 100, cpu_spent * 100, longest * 1000


def bodies(upstream: Upstream, load: argparse.Namespace) -> None:
    """Measure long bodies and print a table."""
    del load
    print(f"a body of {LARGE_BYTES // 1024 // 1024} MiB: ms, CPU ms, CPU ms of the longest turn of the loop")
    for tls in (False, True):
        for loop, run in LOOPS.items():
            for name, make in CLIENTS.items():
                with make(upstream, tls=tls) as ask:
                    times = " ".join(f"{value:7.1f}" for value in run(large(ask)))
                    print(f"{'TLS' if tls else 'plain':6} {loop:8} {name:8} {times}")


# --- the upstream -----------------------------------------------------------------------------------------------------


@contextmanager
def serving() -> Iterator[Upstream]:
    """Run the scripted upstream."""
    port, tls_port = free_port(), free_port()
    with tempfile.TemporaryDirectory() as name:
        certificates = make_certificates(Path(name))
        command = [sys.executable, str(Path(__file__).with_name("upstream.py")), "--port", str(port)]
        command += ["--tls-port", str(tls_port), "--certificate", str(certificates.server)]
        with subprocess.Popen(command) as process:
            try:
                if not wait_for_port(tls_port, time.monotonic() + 10):
                    raise RuntimeError("the upstream does not start")
                yield Upstream(port, tls_port, str(certificates.authority))
            finally:
                process.terminate()


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", dest="measure", action="store_const", const=memory, default=cpu)
    parser.add_argument("--bodies", dest="measure", action="store_const", const=bodies)
    load = parser.parse_args()
    with serving() as upstream:
        load.measure(upstream, load)


if __name__ == "__main__":
    main()
