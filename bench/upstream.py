"""The upstream that every system under test is put in front of: a scripted Chat Completions server.

It answers any `POST` at once: 1 KB of JSON, or, when the body asks for a stream, `--chunks` events, one every
`--interval-ms`. Each event carries the monotonic clock, so that the load generator can tell its delay. As little work
as Python allows: on the benchmark's second core it must never be what limits a system.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from typing import cast

import httptools
import uvloop
from typing_extensions import override

MARK = "bench-answer-ok"
"""In every plain answer: the load generator counts nothing without it."""

USAGE = {"prompt_tokens": 200, "completion_tokens": 150, "total_tokens": 350}
ANSWER = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "bench",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": f"{MARK} " + "word " * 140},
                "finish_reason": "stop",
            }
        ],
        "usage": USAGE,
    }
).encode()
PLAIN = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(ANSWER),
    ANSWER,
)
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
DONE = b"data: [DONE]\n\n"


def chunk(delta: str, finish: str, more: str = "") -> bytes:
    """Return one event of a stream, its delta and finish reason given as JSON text."""
    return (
        '{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":"bench",'
        f'"choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]{more}}}'
    ).encode()


FIRST = b"data: %b\n\n" % chunk('{"role":"assistant","content":""}', "null")
BEFORE_TIME, AFTER_TIME = (b"data: %b\n\n" % chunk('{"content":"@#"}', "null")).split(b"#")
LAST = b"data: %b\n\n" % chunk("{}", '"stop"', f',"usage":{json.dumps(USAGE)}')


def framed(data: bytes) -> bytes:
    """Return the bytes as one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    """One kept-alive connection."""

    def __init__(self, chunks: int, interval_s: float) -> None:
        self.chunks = chunks
        self.interval_s = interval_s
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""
        self.timer: asyncio.TimerHandle | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        if self.timer is not None:
            self.timer.cancel()

    @override
    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body = b""

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        if b'"stream":true' not in self.body and b'"stream": true' not in self.body:
            self.transport.write(PLAIN)
            return
        self.transport.write(STREAM_HEAD + framed(FIRST))
        self.tick(self.chunks)

    def tick(self, left: int) -> None:
        """Send the next event of the stream, or its end."""
        if left == 0:
            self.transport.write(framed(LAST) + framed(DONE) + b"0\r\n\r\n")
            return
        self.transport.write(framed(BEFORE_TIME + b"%016d" % time.monotonic_ns() + AFTER_TIME))
        self.timer = asyncio.get_running_loop().call_later(self.interval_s, self.tick, left - 1)


async def serve(port: int, chunks: int, interval_s: float) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(chunks, interval_s), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--interval-ms", type=float, default=20.0)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.chunks, arguments.interval_ms / 1000))


if __name__ == "__main__":
    main()
