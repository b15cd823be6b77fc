"""An upstream that plays a script on raw sockets, and the client that is tested against it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import uvloop

from pi_model_proxy.transport import Deadlines, UpstreamHead, UpstreamRequest
from pi_model_proxy.transport.http1 import Http1Transport

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Run = Callable[[Coroutine[Any, Any, Any]], Any]
LOOPS: dict[str, Run] = {"asyncio": asyncio.run, "uvloop": uvloop.run}
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
DEADLINES = Deadlines(connect_s=5, headers_s=5)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    lengths = [
        int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
    ]
    return head + await reader.readexactly(lengths[0] if lengths else 0)


@asynccontextmanager
async def upstream(script: Script, **options: Any) -> AsyncIterator[str]:
    """Yield `http://127.0.0.1:port`; each connection plays `script`, then closes."""

    serving: set[asyncio.Task[None] | None] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.current_task())
        try:
            await script(reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, **options)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        for task in filter(None, serving):
            task.cancel()
        await asyncio.gather(*filter(None, serving), return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports close in the next turn


@asynccontextmanager
async def transport(
    environment: dict[str, str] | None = None, *, ca_file: str | None = None
) -> AsyncIterator[Http1Transport]:
    client = Http1Transport(environment or {}, ca_file=ca_file)
    try:
        yield client
    finally:
        await client.close()


def once(*answers: bytes) -> Script:
    """Answer one request with these pieces, then close."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        for answer in answers:
            writer.write(answer)
            await writer.drain()

    return script


def forever(answer: bytes = OK) -> tuple[Script, list[int]]:
    """Answer every request; the list counts the answers of each connection."""
    return keep_alive(1_000_000, answer)


def keep_alive(dies_after: int, answer: bytes = OK) -> tuple[Script, list[int]]:
    """A server whose connections close silently after `dies_after` answers; counts answers a connection."""
    connections: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        connections.append(0)
        for _ in range(dies_after):
            await read_request(reader)
            connections[number] += 1
            writer.write(answer)
            await writer.drain()
        await read_request(reader)

    return script, connections


def post(url: str, body: bytes = b"{}") -> UpstreamRequest:
    return UpstreamRequest(UpstreamHead("POST", f"{url}/x", {"content-type": "application/json"}), body)


async def whole(response: Any) -> bytes:
    chunks = []
    while chunk := await response.read():
        chunks.append(chunk)
    response.release()
    return b"".join(chunks)


async def ask(client: Http1Transport, url: str, body: bytes = b"{}") -> tuple[int, bytes]:
    response = await client.open(post(url, body), DEADLINES)
    return response.status, await whole(response)


async def fetch(script: Script, **changes: Any) -> tuple[int, bytes]:
    """Ask a scripted upstream once."""
    async with upstream(script) as url, transport() as client:
        response = await client.open(post(url), Deadlines(**{"connect_s": 5, "headers_s": 5} | changes))
        return response.status, await whole(response)
