"""The load generator: so many connections, each asking again as soon as it is answered. Prints one JSON object.

Warms up for `--warm` seconds, prints `measuring` on a line of its own and counts for `--seconds`. Whoever started it
reads the processes' CPU time at that line and at the end. Every answer is checked: status 200, whole, and from the
scripted upstream.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import sys
import time
from dataclasses import dataclass, field
from typing import cast

import httptools
import uvloop
from typing_extensions import override

MARK = b"bench-answer-ok"
EVENT_TIME = re.compile(rb"@(\d{16})")
CONVERSATION = [
    {"role": "system", "content": "You are a terse assistant. " * 12},
    {"role": "user", "content": "What is the meaning of this request? " * 8},
    {"role": "assistant", "content": "It has none. " * 12},
    {"role": "user", "content": "Then answer in one word."},
]
MAX_TAIL = 64
"""Bytes kept between two reads, so that an event's time split over them is still found."""


@dataclass(slots=True)
class Tally:
    """What was counted while measuring; times in nanoseconds."""

    answers: int = 0
    errors: int = 0
    chunks: int = 0
    latencies: list[int] = field(default_factory=list)
    delays: list[int] = field(default_factory=list)
    first_error: str = ""


class Caller(asyncio.Protocol):
    """One connection that asks, waits for the whole answer, and asks again."""

    def __init__(self, request: bytes, tally: Tally, *, streaming: bool) -> None:
        self.request = request
        self.tally = tally
        self.streaming = streaming
        self.body = bytearray()
        self.chunks = 0
        self.stopped = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.ask()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if not self.stopped:
            self.fail(f"connection closed by the other side ({exc})")

    def ask(self) -> None:
        """Send the request."""
        self.parser = httptools.HttpResponseParser(self)
        self.body.clear()
        self.chunks = 0
        self.begun = time.monotonic_ns()
        self.transport.write(self.request)

    @override
    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.body += data
        if self.streaming:
            self.count_events()

    def count_events(self) -> None:
        """Count the events that have arrived and note their delays; drop what was counted."""
        now = time.monotonic_ns()
        end = 0
        for match in EVENT_TIME.finditer(self.body):
            self.chunks += 1
            self.tally.chunks += 1
            self.tally.delays.append(now - int(match[1]))
            end = match.end()
        del self.body[: max(end, len(self.body) - MAX_TAIL)]

    def on_message_complete(self) -> None:
        whole = self.chunks > 0 if self.streaming else MARK in self.body
        if self.parser.get_status_code() != 200 or not whole:
            self.fail(f"status {self.parser.get_status_code()}: {bytes(self.body[:300])!r}")
            return
        self.tally.answers += 1
        self.tally.latencies.append(time.monotonic_ns() - self.begun)
        if not self.stopped:
            asyncio.get_running_loop().call_soon(self.ask)

    def fail(self, reason: str) -> None:
        """Count an error and give this connection up: an error in a benchmark ends its meaning."""
        self.tally.errors += 1
        self.tally.first_error = self.tally.first_error or reason
        self.stop()

    def stop(self) -> None:
        """Close the connection."""
        self.stopped = True
        self.transport.close()


def write_request(port: int, model: str, key: str, *, streaming: bool) -> bytes:
    """Return the bytes of the request that is sent over and over."""
    body: dict[str, object] = {"model": model, "messages": CONVERSATION}
    if streaming:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    data = json.dumps(body, separators=(",", ":")).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/json\r\naccept: */*\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


async def generate(arguments: argparse.Namespace) -> dict[str, object]:
    """Hold the connections for the warm-up and the measurement; return the figures."""
    request = write_request(arguments.port, arguments.model, arguments.key, streaming=arguments.stream)
    tally = Tally()
    loop = asyncio.get_running_loop()
    callers: list[Caller] = []
    for _ in range(arguments.connections):
        _, caller = await loop.create_connection(
            lambda: Caller(request, tally, streaming=arguments.stream), "127.0.0.1", arguments.port
        )
        callers.append(caller)
    await asyncio.sleep(arguments.warm)
    fresh = Tally(errors=tally.errors, first_error=tally.first_error)
    for caller in callers:
        caller.tally = fresh
    print("measuring", flush=True)
    begun = time.monotonic()
    await asyncio.sleep(arguments.seconds)
    seconds = time.monotonic() - begun
    answers, chunks = fresh.answers, fresh.chunks
    for caller in callers:
        caller.stop()
    return {
        "seconds": seconds,
        "answers": answers,
        "chunks": chunks,
        "errors": fresh.errors,
        "first_error": fresh.first_error,
        "latency_p50_us": middle(fresh.latencies),
        "delay_p50_us": middle(fresh.delays),
    }


def middle(nanoseconds: list[int]) -> float | None:
    """Return the median in microseconds, None of nothing."""
    return statistics.median(nanoseconds) / 1000 if nanoseconds else None


def main() -> int:
    """Parse the command line, generate load, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--key", default="none")
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--warm", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--stream", action="store_true")
    print(json.dumps(uvloop.run(generate(parser.parse_args()))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
