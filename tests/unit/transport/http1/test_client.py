from __future__ import annotations

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pi_model_proxy.errors import BrokenStream, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from pi_model_proxy.transport import Deadlines, UpstreamRequest
from pi_model_proxy.transport.http1 import Http1Transport

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"
DEADLINES = Deadlines(connect_s=2, headers_s=2)


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        (
            int(line.split(b":")[1])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"content-length")
        ),
        0,
    )
    return head + await reader.readexactly(length)


@asynccontextmanager
async def upstream(script: Script) -> AsyncIterator[str]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def transport(environment: dict[str, str] | None = None) -> AsyncIterator[Http1Transport]:
    client = Http1Transport(environment or {})
    try:
        yield client
    finally:
        await client.close()


def once(answer: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()

    return script


def post(url: str, body: bytes = b"{}") -> UpstreamRequest:
    return UpstreamRequest(
        method="POST", url=f"{url}/x", headers={"content-type": "application/json"}, body=body
    )


async def fetch(script: Script, **changes: Any) -> tuple[int, bytes]:
    async with upstream(script) as url, transport() as client:
        response = await client.open(post(url), Deadlines(**{"connect_s": 2, "headers_s": 2} | changes))
        chunks = []
        while chunk := await response.read():
            chunks.append(chunk)
        response.release()
        return response.status, b"".join(chunks)


def run(coroutine: Any) -> Any:
    return asyncio.run(coroutine)


def test_an_answer_arrives_as_it_was_sent() -> None:
    assert run(fetch(once(OK))) == (200, b"hi")


def test_only_the_headers_we_mean_are_sent() -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    run(fetch(script))
    names = {line.split(b":")[0].lower() for line in seen[0].split(b"\r\n\r\n")[0].split(b"\r\n")[1:]}
    assert names == {b"host", b"accept-encoding", b"content-type", b"content-length"}


def test_a_redirect_is_returned_not_followed() -> None:
    assert (
        run(fetch(once(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n")))[
            0
        ]
        == 302
    )


@pytest.mark.parametrize(
    ("answer", "proxy_error"),
    [
        (b"", "connection_terminated"),
        (b"\x00\x01garbage\r\n\r\n", "http_protocol_error"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 2 * 1024 * 1024 + b"\r\n\r\n", "http_protocol_error"),
    ],
    ids=["closed before the headers", "no HTTP", "an endless header"],
)
def test_no_answer_is_named(answer: bytes, proxy_error: str) -> None:
    with pytest.raises(UpstreamUnreachable) as caught:
        run(fetch(once(answer)))
    assert caught.value.proxy_error == proxy_error
    assert caught.value.status == 502


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\nXYZ\r\n",
    ],
    ids=["short body", "chunks without an end", "a bad chunk"],
)
def test_a_cut_body_is_broken_never_complete(answer: bytes) -> None:
    # A bad chunk in the same packet as the headers is found before there is an answer to read.
    with pytest.raises((BrokenStream, UpstreamUnreachable)):
        run(fetch(once(answer)))


def test_a_refused_connection_is_named() -> None:
    async def main() -> None:
        async with transport() as client:
            await client.open(post("http://127.0.0.1:1"), DEADLINES)

    with pytest.raises(UpstreamUnreachable) as caught:
        run(main())
    assert caught.value.proxy_error == "connection_refused"
    assert "127.0.0.1" in caught.value.message


def test_an_unknown_host_is_named() -> None:
    async def main() -> None:
        async with transport() as client:
            await client.open(post("http://no-such-host.invalid"), DEADLINES)

    with pytest.raises(UpstreamUnreachable) as caught:
        run(main())
    assert caught.value.proxy_error == "dns_error"


def test_silence_before_the_headers_ends_at_the_deadline() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    with pytest.raises(UpstreamTimeout, match="requestTimeoutMs"):
        run(fetch(silent, headers_s=0.05))


def test_plain_text_on_a_tls_port_is_a_tls_error() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.write(b"HTTP/1.1 400 no\r\n\r\n")

    async def main() -> None:
        async with upstream(plain) as url, transport() as client:
            await client.open(post(url.replace("http:", "https:")), DEADLINES)

    with pytest.raises(UpstreamUnreachable) as caught:
        run(main())
    assert caught.value.proxy_error == "tls_protocol_error"


def keep_alive(dies_after: int) -> tuple[Script, list[int]]:
    """A server whose connections close silently after `dies_after` answers; counts answers a connection."""
    connections: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(connections)
        connections.append(0)
        for _ in range(dies_after):
            await read_request(reader)
            connections[number] += 1
            writer.write(OK)
            await writer.drain()
        await read_request(reader)

    return script, connections


def test_connections_are_pooled() -> None:
    script, connections = keep_alive(100)

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(5):
                response = await client.open(post(url), DEADLINES)
                while await response.read():
                    pass
                response.release()

    run(main())
    assert connections == [5]


def test_a_stale_pooled_connection_is_replaced_without_a_word() -> None:
    script, connections = keep_alive(1)

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            for _ in range(5):
                response = await client.open(post(url), DEADLINES)
                assert response.status == 200
                while await response.read():
                    pass
                response.release()

    run(main())
    assert connections == [1, 1, 1, 1, 1]


def test_a_fresh_connection_that_closes_is_not_asked_twice() -> None:
    asked: list[int] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        asked.append(1)

    with pytest.raises(UpstreamUnreachable):
        run(fetch(script))
    assert asked == [1]


def test_an_aborted_answer_closes_its_connection() -> None:
    async def main() -> bool:
        closed = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n")
            await writer.drain()
            await reader.read()
            closed.set()

        async with upstream(script) as url, transport() as client:
            response = await client.open(post(url), DEADLINES)
            assert await response.read() == b"hi"
            response.abort()
            response.abort()
            async with asyncio.timeout(1):
                return await closed.wait()

    assert run(main())


def test_a_cancelled_read_loses_nothing() -> None:
    async def main() -> bytes:
        go = asyncio.Event()

        async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await read_request(reader)
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
            await writer.drain()
            await go.wait()
            writer.write(b"hi")
            await writer.drain()

        async with upstream(script) as url, transport() as client:
            response = await client.open(post(url), DEADLINES)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await response.read()
            go.set()
            return await response.read()

    assert run(main()) == b"hi"


def test_compression_nobody_asked_for_is_undone() -> None:
    body = gzip.compress(b"hello" * 100)
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    assert run(fetch(once(answer))) == (200, b"hello" * 100)


def test_a_decompression_bomb_is_given_up() -> None:
    body = gzip.compress(b"\0" * 64 * 1024 * 1024)
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(body) + body
    with pytest.raises(BrokenStream, match="32 MiB"):
        run(fetch(once(answer)))


@pytest.mark.parametrize("encoding", [b"br", b"gzip"])
def test_compression_that_cannot_be_undone_is_broken(encoding: bytes) -> None:
    answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: %b\r\ncontent-length: 4\r\n\r\nabcd" % encoding
    with pytest.raises(BrokenStream):
        run(fetch(once(answer)))


def test_a_proxy_is_used_for_the_hosts_it_is_for() -> None:
    seen: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(OK)

    async def main() -> None:
        async with upstream(script) as proxy:
            async with transport({"HTTP_PROXY": proxy, "NO_PROXY": "direct.invalid"}) as client:
                response = await client.open(post("http://far.invalid"), DEADLINES)
                assert response.status == 200
                response.abort()
                with pytest.raises(UpstreamUnreachable):
                    await client.open(post("http://direct.invalid"), DEADLINES)

    run(main())
    assert seen[0].startswith(b"POST http://far.invalid/x HTTP/1.1\r\n")


def test_control_requests_return_the_whole_answer() -> None:
    async def main() -> tuple[int, bytes]:
        async with upstream(once(OK)) as url, transport() as client:
            return await client.post(f"{url}/token", {"content-type": "application/json"}, b"{}", 2)

    assert run(main()) == (200, b"hi")


def test_an_endless_control_answer_is_given_up() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 3 * 1024 * 1024)
        await writer.drain()

    async def main() -> None:
        async with upstream(script) as url, transport() as client:
            await client.post(f"{url}/token", {}, b"{}", 2)

    with pytest.raises(UpstreamError):
        run(main())


def test_an_untrusted_ca_file_is_an_error_at_first_use() -> None:
    async def main() -> None:
        client = Http1Transport({}, ca_file="/nonexistent/ca.pem")
        await client.open(post("https://127.0.0.1:1"), DEADLINES)

    with pytest.raises((UpstreamError, OSError, ssl.SSLError)):
        run(main())
