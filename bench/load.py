"""The load generator: so many connections, each asking again as soon as it is answered. Prints one JSON object.

Opens its connections over `--ramp` seconds, warms up for `--warm` seconds, prints `measuring` on a line of its own and
counts for `--seconds`. Whoever started it reads the processes' CPU time at that line and at the end. Every answer is
checked: status 200, whole, from the scripted upstream. Plain sockets and epoll, no parser and no event loop library: it
shares a core with the upstream and must not be what limits a system. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import re
import select
import socket
import sys
import time
from array import array
from dataclasses import dataclass, field
from typing import Final

from dialects import DIALECTS, MARK, STAMP, STAMP_DIGITS, Script, compact, conversation
from typing_extensions import override

READ_BYTES: Final = 65_536
"""Well below the size from which the C library asks the kernel for each buffer (128 KiB)."""
WRITE_BYTES: Final = 262_144
END_OF_CHUNKS: Final = b"\r\n0\r\n\r\n"
CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
STREAMED: Final = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked\r\n", re.IGNORECASE)
OK: Final = b"HTTP/1.1 200"
MARK_BYTES: Final = MARK.encode()
STAMPED: Final = 1 + STAMP_DIGITS
LONGEST_OPENING_S: Final = 10.0
OPENING_STEP_S: Final = 0.02
TIMED_FROM_US: Final = 1_000
"""Delays of chunks that come faster than this are not noted: there, only their number counts."""
SAID_OF_AN_ERROR: Final = 400
"""Bytes of a bad answer that are shown."""


def numbers() -> array[int]:
    """Return an empty list of 64-bit numbers."""
    return array("q")


@dataclass(slots=True)
class Tally:
    """What was counted while measuring; times in nanoseconds."""

    answers: int = 0
    errors: int = 0
    first_error: str = ""
    chunks: int = 0
    latencies: array[int] = field(default_factory=numbers)
    firsts: array[int] = field(default_factory=numbers)
    delays: array[int] = field(default_factory=numbers)


class Caller:
    """One connection that asks, waits for the whole answer, and asks again."""

    __slots__ = (
        "begun",
        "connected",
        "generator",
        "number",
        "opened",
        "request",
        "socket",
        "tally",
        "unsent",
    )

    def __init__(self, generator: Generator, request: bytes, tally: Tally) -> None:
        self.generator = generator
        self.request = request
        self.tally = tally
        self.unsent = memoryview(b"")
        self.connected = self.opened = False
        self.socket = socket.socket()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(0)
        self.number = self.socket.fileno()
        # Never waited for: a system that accepts slowly must not hold up what is read from it.
        with contextlib.suppress(BlockingIOError):
            self.socket.connect(("127.0.0.1", generator.port))

    def ask(self) -> None:
        """Send the request, as much of it as the kernel takes now."""
        self.begun = time.monotonic_ns()
        try:
            sent = self.socket.send(self.request)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self.fail(f"sending: {error}")
            return
        if sent < len(self.request):
            self.unsent = memoryview(self.request)[sent:]
            self.generator.watch(self, select.EPOLLIN | select.EPOLLOUT)

    def on_writable(self) -> None:
        """Ask, once connected; else send more of a large request."""
        if not self.connected:
            self.connected = True
            self.generator.watch(self, select.EPOLLIN)
            self.ask()
            return
        try:
            self.unsent = self.unsent[self.socket.send(self.unsent[:WRITE_BYTES]) :]
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(f"sending: {error}")
            return
        if not self.unsent:
            self.generator.watch(self, select.EPOLLIN)

    def on_readable(self) -> None:
        """Take what has come."""
        try:
            data = self.socket.recv(READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(f"receiving: {error}")
            return
        self.opened = True
        if data:
            self.take(data)
        else:
            self.fail("the connection was closed")

    def take(self, data: bytes) -> None:
        """Read a part of the answer."""
        raise NotImplementedError

    def finish(self) -> None:
        """Count the answer and ask again."""
        self.tally.answers += 1
        self.tally.latencies.append(time.monotonic_ns() - self.begun)
        self.ask()

    def fail(self, reason: str) -> None:
        """Count an error and give this connection up: an error in a benchmark ends its meaning."""
        self.tally.errors += 1
        self.tally.first_error = self.tally.first_error or reason
        self.generator.forget(self)


class PlainCaller(Caller):
    """Asks for answers in one piece."""

    __slots__ = ("got",)

    def __init__(self, generator: Generator, request: bytes, tally: Tally) -> None:
        super().__init__(generator, request, tally)
        self.got = b""

    @override
    def take(self, data: bytes) -> None:
        if self.got:
            data = self.got + data
        head_end = data.find(b"\r\n\r\n")
        length = CONTENT_LENGTH.search(data, 0, head_end) if head_end > 0 else None
        if length is not None:
            whole = len(data) >= head_end + 4 + int(length[1])
        else:
            whole = data.endswith(END_OF_CHUNKS)
        if not whole:
            self.got = data
            return
        self.got = b""
        if data.startswith(OK) and MARK_BYTES in data:
            self.finish()
        else:
            self.fail(f"a bad answer: {data[:SAID_OF_AN_ERROR]!r}")


class StreamCaller(Caller):
    """Asks for streams and notes how late each chunk comes."""

    __slots__ = ("chunks", "expected", "tail", "timed")

    def __init__(self, generator: Generator, request: bytes, tally: Tally, script: Script) -> None:
        super().__init__(generator, request, tally)
        self.expected = script.chunks
        self.timed = script.interval_us >= TIMED_FROM_US
        self.chunks = 0
        self.tail = b""

    @override
    def take(self, data: bytes) -> None:
        if not self.chunks and not self.tail and not (data.startswith(OK) and STREAMED.search(data)):
            self.fail(f"a bad answer: {data[:SAID_OF_AN_ERROR]!r}")
            return
        before = self.chunks
        if self.timed:
            unread = self.note_delays(self.tail + data if self.tail else data)
        else:
            # What was looked at already stays in the tail, so its chunks must not be counted again.
            self.chunks = min(self.expected, before + data.count(STAMP))
            unread = (self.tail + data)[-len(END_OF_CHUNKS) :]
        self.tally.chunks += self.chunks - before
        if not before and self.chunks:
            self.tally.firsts.append(time.monotonic_ns() - self.begun)
        if unread.endswith(END_OF_CHUNKS):
            self.end()
        else:
            self.tail = unread

    def note_delays(self, data: bytes) -> bytes:
        """Count chunks with their delays; return what the next bytes may complete.

        Responses repeats the whole text at the end: stamps beyond the script's number are not chunks.
        """
        now = time.monotonic_ns()
        at = data.find(STAMP)
        while at >= 0 and self.chunks < self.expected:
            end = at + STAMPED
            if end > len(data):
                return data[at:]
            self.chunks += 1
            self.tally.delays.append(now - int(data[at + 1 : end]))
            at = data.find(STAMP, end)
        return data[-len(END_OF_CHUNKS) :].replace(STAMP, b".")

    def end(self) -> None:
        """Count a whole stream, or an error."""
        chunks, self.chunks, self.tail = self.chunks, 0, b""
        if chunks == self.expected:
            self.finish()
        else:
            self.fail(f"a stream of {chunks} instead of {self.expected} chunks, so ended with an error")


class Generator:
    """All connections and the loop that serves them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.poll = select.epoll()
        self.callers: dict[int, Caller] = {}

    def add(self, caller: Caller) -> None:
        """Let a connection begin."""
        self.callers[caller.number] = caller
        self.poll.register(caller.number, select.EPOLLOUT)

    def watch(self, caller: Caller, events: int) -> None:
        """Change what is waited for on a connection."""
        if caller.number in self.callers:
            self.poll.modify(caller.number, events)

    def forget(self, caller: Caller) -> None:
        """Close a connection."""
        if self.callers.pop(caller.number, None) is not None:
            self.poll.unregister(caller.number)
            caller.socket.close()

    def wait_until_open(self) -> None:
        """Serve the connections until each has had a byte of an answer; too long a wait for it is an error."""
        end_s = time.monotonic() + LONGEST_OPENING_S
        while not all(caller.opened for caller in self.callers.values()):
            self.run_until(time.monotonic() + OPENING_STEP_S)
            if time.monotonic() > end_s:
                break
        for caller in [caller for caller in self.callers.values() if not caller.opened]:
            caller.fail(f"no first byte within {LONGEST_OPENING_S:.0f} s")

    def run_until(self, end_s: float) -> None:
        """Serve the connections until then, or until none is left."""
        while self.callers:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return
            for number, events in self.poll.poll(left_s):
                caller = self.callers.get(number)
                if caller is None:
                    continue
                if events & select.EPOLLOUT:
                    caller.on_writable()
                if events & ~select.EPOLLOUT:
                    caller.on_readable()


def write_request(arguments: argparse.Namespace, model: str, script: Script | None, body_bytes: int) -> bytes:
    """Return the bytes of the request that is sent over and over."""
    dialect = DIALECTS[arguments.dialect]
    turns = conversation(script or Script(0, 0), body_bytes)
    body = compact(dialect.request(model, turns, streaming=script is not None))
    head = (
        f"POST {dialect.path} HTTP/1.1\r\nhost: 127.0.0.1:{arguments.port}\r\n"
        f"content-type: application/json\r\naccept: */*\r\nuser-agent: bench\r\n"
        f"{dialect.headers}{''.join(f'{line}{chr(13)}{chr(10)}' for line in arguments.header)}"
        f"content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def percentile(nanoseconds: array[int], share: float) -> float | None:
    """Return the value below which that share lies, in microseconds; None of nothing."""
    if not nanoseconds:
        return None
    ordered = sorted(nanoseconds)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000


def figures(tally: Tally, beside: Tally, seconds: float, cpu_s: float) -> dict[str, object]:
    """Return what is printed."""
    return {
        "seconds": seconds,
        "answers": tally.answers,
        "chunks": tally.chunks,
        "errors": tally.errors + beside.errors,
        "first_error": tally.first_error or beside.first_error,
        "latency_p50_us": percentile(tally.latencies, 0.5),
        "latency_p99_us": percentile(tally.latencies, 0.99),
        "first_p50_us": percentile(tally.firsts, 0.5),
        "delay_p50_us": percentile(tally.delays, 0.5),
        "delay_p99_us": percentile(tally.delays, 0.99),
        "delay_max_us": percentile(tally.delays, 1.0),
        "beside_answers": beside.answers,
        "own_cpu_share": cpu_s / seconds,
    }


def generate(arguments: argparse.Namespace) -> dict[str, object]:
    """Hold the connections for the warm-up and the measurement; return the figures."""
    generator = Generator(arguments.port)
    script = Script(arguments.chunks, arguments.interval_us) if arguments.chunks else None
    request = write_request(arguments, arguments.model, script, arguments.body_bytes)
    tally, beside = Tally(), Tally()
    begun = time.monotonic()
    for number in range(arguments.connections):
        if script is None:
            generator.add(PlainCaller(generator, request, tally))
        else:
            generator.add(StreamCaller(generator, request, tally, script))
        generator.run_until(begun + arguments.ramp * (number + 1) / arguments.connections)
    if arguments.beside_bytes:
        large = write_request(arguments, arguments.model, None, arguments.beside_bytes)
        generator.add(PlainCaller(generator, large, beside))
    generator.wait_until_open()
    generator.run_until(time.monotonic() + arguments.warm)
    counted = Tally(errors=tally.errors, first_error=tally.first_error)
    beside_counted = Tally(errors=beside.errors, first_error=beside.first_error)
    for caller in generator.callers.values():
        caller.tally = counted if caller.tally is tally else beside_counted
    print("measuring", flush=True)
    begun, begun_cpu = time.monotonic(), time.process_time()
    generator.run_until(begun + arguments.seconds)
    seconds, cpu_s = time.monotonic() - begun, time.process_time() - begun_cpu
    return figures(counted, beside_counted, seconds, cpu_s)


def main() -> int:
    """Parse the command line, generate load, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--dialect", choices=DIALECTS, default="chat")
    parser.add_argument(
        "--header", action="append", default=[], help="a line to send, such as 'authorization: …'"
    )
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--chunks", type=int, default=0, help="stream answers of so many chunks")
    parser.add_argument("--interval-us", type=int, default=0, help="time between chunks; 0 sends all at once")
    parser.add_argument("--body-bytes", type=int, default=1_024)
    parser.add_argument(
        "--beside-bytes", type=int, default=0, help="one more connection that asks with such bodies"
    )
    parser.add_argument("--ramp", type=float, default=0.0)
    parser.add_argument("--warm", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=4.0)
    gc.disable()
    print(json.dumps(generate(parser.parse_args())), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
