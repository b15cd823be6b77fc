"""CPU time per request of our upstream transport and of aiohttp's client, in turns, against one scripted upstream.

The upstream (bench/upstream.py) is a process of its own; what is measured is this process's CPU time, which is the
client's whole cost, the event loop's included. Run with the interpreter of the product's environment; aiohttp is
measured when it is installed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from pi_model_proxy.transport import Deadlines, UpstreamRequest
from pi_model_proxy.transport.http1 import Http1Transport

if TYPE_CHECKING:
    from collections.abc import Callable

DEADLINES = Deadlines(connect_s=10, headers_s=120)
HEADERS = {
    "content-type": "application/json",
    "accept": "application/json",
    "authorization": "Bearer 0123456789abcdef",
    "user-agent": "pi-model-proxy-bench",
}
PLAIN_BODY = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "word " * 150}]}).encode()
STREAM_BODY = PLAIN_BODY[:-1] + b', "stream": true}'


def ask_with_ours(url: str) -> tuple[Any, Any]:
    """Return how to ask once with our transport, and how to close it."""
    transport = Http1Transport({})

    async def ask(body: bytes) -> int:
        request = UpstreamRequest(method="POST", url=url, headers=HEADERS, body=body)
        response = await transport.open(request, DEADLINES)
        size = 0
        while chunk := await response.read():
            size += len(chunk)
        response.release()
        return size

    return ask, transport.close


def ask_with_aiohttp(url: str) -> tuple[Any, Any]:
    """Return how to ask once with aiohttp's client, set up as a gateway needs it."""
    import aiohttp  # noqa: PLC0415 - only when it is there

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
    )

    async def ask(body: bytes) -> int:
        async with asyncio.timeout(DEADLINES.headers_s):
            response = await session.post(url, data=body, headers=HEADERS, allow_redirects=False)
        size = 0
        while chunk := await response.content.readany():
            size += len(chunk)
        response.release()
        return size

    return ask, session.close


async def spend(
    make: Callable[[str], tuple[Any, Any]], url: str, body: bytes, load: argparse.Namespace
) -> float:
    """Return CPU microseconds per request."""
    ask, close = make(url)
    left = load.requests

    async def work() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            if not await ask(body):
                raise RuntimeError("an empty answer")

    await asyncio.gather(*(ask(body) for _ in range(load.connections)))
    began = time.process_time()
    await asyncio.gather(*(work() for _ in range(load.connections)))
    spent_s = time.process_time() - began
    await close()
    requests: int = load.requests
    return spent_s / requests * 1e6


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int) -> None:
    """Return when somebody listens."""
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError("the upstream does not start")


def main() -> None:
    """Measure and print one table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    load = parser.parse_args()
    clients = {"ours": ask_with_ours}
    if importlib.util.find_spec("aiohttp"):
        clients["aiohttp"] = ask_with_aiohttp
    loops = {"uvloop": uvloop.run, "asyncio": asyncio.run}
    port = free_port()
    upstream = Path(__file__).with_name("upstream.py")
    command = [sys.executable, str(upstream), "--port", str(port), "--chunks", "20", "--interval-ms", "0"]
    with subprocess.Popen(command) as process:
        try:
            wait_for(port)
            url = f"http://127.0.0.1:{port}/v1/chat/completions"
            samples: dict[tuple[str, str, str], list[float]] = {}
            for _ in range(load.rounds):
                for kind, body in (("plain", PLAIN_BODY), ("20 events", STREAM_BODY)):
                    for loop_name, run in loops.items():
                        for name, make in clients.items():
                            spent = run(spend(make, url, body, load))
                            samples.setdefault((kind, loop_name, name), []).append(spent)
        finally:
            process.terminate()
    print(
        f"{load.connections} connections, {load.requests} requests, {load.rounds} rounds; CPU µs per request"
    )
    for (kind, loop_name, name), values in samples.items():
        print(
            f"{kind:10} {loop_name:8} {name:8} {statistics.median(values):7.1f}  ({min(values):.1f}-{max(values):.1f})"
        )


if __name__ == "__main__":
    main()
