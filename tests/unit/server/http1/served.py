"""Our HTTP server with a small house behind it, on a loopback port; callers hold raw sockets."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import uvloop

from pi_model_proxy.errors import GatewayError
from pi_model_proxy.server.http1 import Http1Server, Limits
from pi_model_proxy.server.line import Line

Run = Callable[[Coroutine[Any, Any, Any]], Any]
LOOPS: dict[str, Run] = {"asyncio": asyncio.run, "uvloop": uvloop.run}
PATIENCE_S = 10.0
MAX_BODY = 100_000
STREAM = b"".join(b"data: %d\n\n" % number for number in range(5))


class House:
    """Answers by path, and remembers what it was asked and how each request ended."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.headers: list[dict[str, str]] = []
        self.ended: list[str] = []
        self.gate = asyncio.Event()
        self.entered = asyncio.Event()
        self.sent = 0
        """Bytes of an endless answer."""

    async def handle(self, line: Line) -> None:
        path = line.head.path
        self.entered.set()
        try:
            if path == "/early":
                line.answer(401, b"no", {})
                self.note(line, b"")
                return
            if path == "/refusing":
                await self.gate.wait()
                line.answer(401, b"no", {})
                return
            body = await line.body(MAX_BODY)
            self.note(line, body)
            await getattr(self, f"answer_{path[1:]}", self.answer_echo)(line, body)
        except GatewayError as error:
            line.answer(error.status, error.message.encode(), {"x-error": type(error).__name__})
        except asyncio.CancelledError:
            self.ended.append("left" if line.left else "cancelled")
            raise
        self.ended.append("finished" if line.finished else "unfinished")

    def note(self, line: Line, body: bytes) -> None:
        self.asked.append((line.head.method, line.head.path, body))
        self.headers.append(dict(line.head.headers))

    async def answer_echo(self, line: Line, body: bytes) -> None:
        line.answer(200, b"%s %d" % (line.head.path.encode(), len(body)), {"content-type": "text/plain"})

    async def answer_gated(self, line: Line, body: bytes) -> None:
        await self.gate.wait()
        line.answer(200, b"late", {})

    async def answer_stream(self, line: Line, body: bytes) -> None:
        line.start(200, {"content-type": "text/event-stream"})
        for number in range(5):
            line.write(b"data: %d\n\n" % number)
            await asyncio.sleep(0)
        line.write(b"", last=True)

    async def answer_begun(self, line: Line, body: bytes) -> None:
        """Begins a stream, and ends it when the gate opens."""
        line.start(200, {})
        line.write(b"begun ")
        await self.gate.wait()
        line.write(b"ended", last=True)

    async def answer_headfirst(self, line: Line, body: bytes) -> None:
        """Sends its headers, and a body when the gate opens."""
        line.start(200, {})
        await self.gate.wait()
        line.write(b"body", last=True)

    async def answer_liar(self, line: Line, body: bytes) -> None:
        """Announces 5 bytes and sends as many as it was sent."""
        line.start(200, {"content-length": "5"})
        line.write(body[:1])
        line.write(body[1:], last=True)

    async def answer_injecting(self, line: Line, body: bytes) -> None:
        line.answer(200, b"", {"x-told": body.decode()})

    async def answer_torrent(self, line: Line, body: bytes) -> None:
        """Says 64 MiB, waiting for its reader as a gateway does."""
        line.start(200, {})
        for _ in range(1024):
            if line.congested:
                await line.drain()
            line.write(b"x" * 65_536)
            self.sent += 65_536
        line.write(b"", last=True)

    async def answer_stubborn(self, line: Line, body: bytes) -> None:
        """Never answers, unless it must."""
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            line.answer(503, b"stopped", {})
            raise

    async def answer_vast(self, line: Line, body: bytes) -> None:
        line.answer(200, bytes(64 * 2**20), {})

    async def answer_half(self, line: Line, body: bytes) -> None:
        line.start(200, {})
        line.write(b"half")

    async def answer_broken(self, line: Line, body: bytes) -> None:
        raise LookupError("a handler's mistake")

    async def answer_empty(self, line: Line, body: bytes) -> None:
        line.answer(204, b"", {})

    async def answer_huge(self, line: Line, body: bytes) -> None:
        line.answer(200, b"h" * 300_000, {})


class Place:
    """A running server, seen from outside."""

    def __init__(self, house: House, server: Http1Server, port: int) -> None:
        self.house = house
        self.server = server
        self.port = port
        self.complaints: list[str] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(
        self, sock: socket.socket | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Return a connection that is closed at the end of the test, if not before."""
        if sock is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        else:
            await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
            reader, writer = await asyncio.open_connection(sock=sock, limit=1)
        self._writers.append(writer)
        return reader, writer

    async def hang_up(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        for _ in range(5):
            await asyncio.sleep(0)

    async def talk(self, *pieces: bytes) -> bytes:
        """Send the pieces, each in a packet of its own, and return all that comes until the server closes."""
        reader, writer = await self.connect()
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            return await rest(reader)
        finally:
            writer.close()

    async def wait_for(self, happened: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_S):
            while not happened():
                await asyncio.sleep(0.002)

    async def empties(self) -> None:
        """Return once no connection is left."""
        await self.wait_for(lambda: not self.server.connections)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Return all that comes until the server closes."""
    heard: list[bytes] = []
    with suppress(ConnectionResetError):
        async with asyncio.timeout(PATIENCE_S):
            while data := await reader.read(2**18):
                heard.append(data)
    return b"".join(heard)


@asynccontextmanager
async def serving(most_connections: int = 1000, **limits: Any) -> AsyncIterator[Place]:
    loop = asyncio.get_running_loop()
    house = House()
    server = Http1Server(
        house.handle,
        limits=lambda: Limits(**limits),
        most_connections=lambda: most_connections,
        request_id=lambda: "req_test",
    )
    listener = await loop.create_server(server, "127.0.0.1", 0)
    place = Place(house, server, listener.sockets[0].getsockname()[1])
    loop.set_exception_handler(lambda _, context: place.complaints.append(str(context.get("exception"))))
    try:
        yield place
    finally:
        house.gate.set()
        await place.hang_up()
        listener.close()
        await server.close()


def post(path: bytes = b"/echo", body: bytes = b"hello", *headers: bytes, version: bytes = b"1.1") -> bytes:
    lines = b"".join(line + b"\r\n" for line in headers)
    return (
        b"POST %s HTTP/%s\r\nHost: localhost\r\nContent-Length: %d\r\n%s\r\n"
        % (path, version, len(body), lines)
        + body
    )


def chunked(path: bytes = b"/echo", *chunks: bytes, trailers: bytes = b"") -> bytes:
    head = b"POST %s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" % path
    return (
        head
        + b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in chunks)
        + b"0\r\n"
        + trailers
        + b"\r\n"
    )


def get(path: bytes = b"/echo", *headers: bytes, version: bytes = b"1.1", method: bytes = b"GET") -> bytes:
    lines = b"".join(line + b"\r\n" for line in headers)
    return b"%s %s HTTP/%s\r\nHost: localhost\r\n%s\r\n" % (method, path, version, lines)


CLOSE = b"Connection: close"


def statuses(heard: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", heard)]
