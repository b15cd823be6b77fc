"""Connections: several addresses, TLS that is verified, and proxies on the way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.errors import UpstreamTimeout, UpstreamUnreachable
from pi_model_proxy.transport import Deadlines
from pi_model_proxy.transport.http1 import dial
from unit.transport.certified import FAR, ca, secure, serving
from unit.transport.raw_upstream import (
    DEADLINES,
    Run,
    Script,
    ask,
    forever,
    post,
    transport,
    upstream,
    whole,
)


@asynccontextmanager
async def tunnelling(url: str, heads: list[bytes], **options: Any) -> AsyncIterator[str]:
    """A CONNECT proxy that leads everybody to `url`."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        near = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        try:
            writer.write(b"HTTP/1.1 200 Connection established\r\n")
            await writer.drain()
            writer.write(b"via: test\r\n\r\n")
            await asyncio.gather(copy(reader, near[1]), copy(near[0], writer))
        finally:
            near[1].transport.abort()

    async with upstream(script, **options) as proxy:
        yield proxy


def test_a_trusted_certificate_is_accepted_and_its_connection_pooled(run: Run, certificates: Path) -> None:
    script, connections = forever()
    names: list[str | None] = []

    async def main() -> None:
        async with upstream(script, ssl=serving(certificates, names)) as url:
            async with transport(ca_file=ca(certificates)) as client:
                for _ in range(3):
                    assert await ask(client, secure(url, "localhost")) == (200, b"hi")

    run(main())
    assert connections == [3]
    assert names == ["localhost"]


@pytest.mark.parametrize(
    ("trusted", "host"),
    [(False, "localhost"), (True, "127.0.0.1")],
    ids=["an unknown authority", "another name"],
)
def test_a_certificate_that_is_not_trusted_is_named(
    run: Run, certificates: Path, trusted: bool, host: str
) -> None:
    asked: list[int] = []

    async def main() -> None:
        async with upstream(forever()[0], ssl=serving(certificates)) as url:
            async with transport(ca_file=ca(certificates) if trusted else None) as client:
                await client.open(post(secure(url, host)), DEADLINES)

    with pytest.raises(UpstreamUnreachable, match=f"{host}.*caFile") as caught:
        run(main())
    assert caught.value.proxy_error == "tls_certificate_error"
    assert asked == []


def test_a_long_answer_and_a_long_body_pass_through_tls(run: Run, certificates: Path) -> None:
    body = b"x" * 4 * 1024 * 1024
    script, connections = forever(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    async def main() -> None:
        async with upstream(script, ssl=serving(certificates), limit=2**24) as url:
            async with transport(ca_file=ca(certificates)) as client:
                for _ in range(2):
                    assert await ask(client, secure(url, "localhost"), body) == (200, body)

    run(main())
    assert connections == [2]


@pytest.mark.parametrize("content", [None, b"no certificate"], ids=["missing", "not PEM"])
def test_a_ca_file_that_cannot_be_used_is_named(run: Run, tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    async def main() -> None:
        async with transport(ca_file=str(path)) as client:
            await client.open(post("https://127.0.0.1:1"), DEADLINES)

    with pytest.raises(UpstreamUnreachable, match="caFile"):
        run(main())


@pytest.mark.parametrize("proxy_tls", [False, True], ids=["plain proxy", "TLS proxy"])
def test_tls_goes_end_to_end_through_a_proxys_tunnel(run: Run, certificates: Path, proxy_tls: bool) -> None:
    script, connections = forever()
    names: list[str | None] = []
    heads: list[bytes] = []

    async def main() -> None:
        async with upstream(script, ssl=serving(certificates, names)) as url:
            options = {"ssl": serving(certificates)} if proxy_tls else {}
            async with tunnelling(url, heads, **options) as proxy:
                port = proxy.rpartition(":")[2]
                address = (
                    f"https://us:p%20w@localhost:{port}" if proxy_tls else f"http://us:p%20w@127.0.0.1:{port}"
                )
                async with transport({"HTTPS_PROXY": address}, ca_file=ca(certificates)) as client:
                    for _ in range(3):
                        assert await ask(client, f"https://{FAR}") == (200, b"hi")

    run(main())
    (head,) = heads
    assert head.split(b"\r\n") == [
        b"CONNECT far.example:443 HTTP/1.1",
        b"host: far.example:443",
        b"proxy-authorization: Basic dXM6cCB3",
        b"",
        b"",
    ]
    assert names == [FAR]
    assert connections == [3]


def test_a_certificate_is_checked_inside_a_tunnel_too(run: Run, certificates: Path) -> None:
    async def main() -> None:
        async with upstream(forever()[0], ssl=serving(certificates)) as url:
            async with tunnelling(url, []) as proxy:
                async with transport({"HTTPS_PROXY": proxy}, ca_file=ca(certificates)) as client:
                    await client.open(post("https://other.example"), DEADLINES)

    with pytest.raises(UpstreamUnreachable, match=r"other\.example") as caught:
        run(main())
    assert caught.value.proxy_error == "tls_certificate_error"


def saying(answer: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        if not answer:
            return
        await reader.read()

    return script


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 403 Forbidden\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\n\r\nsurplus",
        b"HTTP/1.1 200 OK\r\n\r\nsurplus\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * 100_000,
        b"",
    ],
    ids=[
        "no password",
        "forbidden",
        "more than an answer",
        "and more",
        "another protocol",
        "an endless head",
        "closed",
    ],
)
def test_a_proxy_that_refuses_a_tunnel_is_named(run: Run, answer: bytes) -> None:
    async def main() -> None:
        async with upstream(saying(answer)) as proxy, transport({"HTTPS_PROXY": proxy}) as client:
            await client.open(post(f"https://{FAR}"), DEADLINES)

    with pytest.raises(UpstreamUnreachable, match="proxy refused") as caught:
        run(main())
    assert caught.value.proxy_error == "proxy_internal_response"


def test_a_proxy_that_is_not_there_is_named(run: Run) -> None:
    async def main() -> None:
        async with transport({"HTTPS_PROXY": "http://127.0.0.1:1"}) as client:
            await client.open(post(f"https://{FAR}"), DEADLINES)

    with pytest.raises(UpstreamUnreachable, match="proxy could not be reached") as caught:
        run(main())
    assert caught.value.proxy_error == "destination_unavailable"


@pytest.mark.parametrize("way", ["proxy", "tls"])
def test_silence_on_the_way_ends_at_the_connect_deadline(run: Run, way: str) -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await reader.read()

    async def main() -> None:
        async with upstream(silent) as url:
            environment = {"HTTPS_PROXY": url} if way == "proxy" else {}
            target = f"https://{FAR}" if way == "proxy" else url.replace("http:", "https:")
            async with transport(environment) as client:
                try:
                    await client.open(post(target), Deadlines(connect_s=0.05, headers_s=5))
                finally:
                    assert not client._connections

    with pytest.raises(UpstreamTimeout, match="connectTimeoutMs") as caught:
        run(main())
    assert caught.value.proxy_error == "connection_timeout"


def test_a_dial_cancelled_at_any_moment_leaves_nothing_behind(run: Run, certificates: Path) -> None:
    async def main() -> int:
        turns = 0
        async with upstream(forever()[0], ssl=serving(certificates)) as url:
            async with (
                tunnelling(url, []) as proxy,
                transport({"HTTPS_PROXY": proxy}, ca_file=ca(certificates)) as client,
            ):
                while True:
                    task = asyncio.ensure_future(client.open(post(f"https://{FAR}"), DEADLINES))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    if task.done():
                        assert await whole(task.result()) == b"hi"
                        return turns
                    task.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await task
                    for _ in range(5):
                        await asyncio.sleep(0)
                    assert not client._connections
                    turns += 1

    assert run(main()) > 10


class Addresses:
    """Stands in for `_connect_to`: named addresses that answer, hang or refuse; keeps a diary."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        self.sockets: list[socket.socket] = []

    async def __call__(self, address: str) -> socket.socket:
        self.diary.append(f"try {address}")
        if address.startswith("refuse"):
            raise ConnectionRefusedError(address)
        if address.startswith("unreachable"):
            raise OSError(address)
        if address.startswith("hang"):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.diary.append(f"leave {address}")
                raise
        sock = socket.socket()
        self.sockets.append(sock)
        return sock


@pytest.mark.parametrize(
    ("addresses", "diary"),
    [
        (["good", "hang"], ["try good"]),
        (["refuse", "good"], ["try refuse", "try good"]),
        (["hang", "good"], ["try hang", "try good", "leave hang"]),
        (["hang", "refuse", "good"], ["try hang", "try refuse", "try good", "leave hang"]),
    ],
    ids=" ".join,
)
def test_the_first_address_that_answers_wins(
    run: Run, monkeypatch: pytest.MonkeyPatch, addresses: list[str], diary: list[str]
) -> None:
    network = Addresses()
    monkeypatch.setattr(dial, "_connect_to", network)
    monkeypatch.setattr(dial, "NEXT_ADDRESS_AFTER_S", 0.02)

    async def main() -> None:
        winner = await dial._race(addresses)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert network.sockets == [winner]
        winner.close()

    run(main())
    assert network.diary == diary


def test_two_addresses_that_answer_at_once_leave_one_socket(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = Addresses()
    go: list[Callable[[], None]] = []

    async def together(address: str) -> socket.socket:
        event = asyncio.Event()
        go.append(event.set)
        if len(go) == 2:
            for start in go:
                start()
        await event.wait()
        return await network(address)

    monkeypatch.setattr(dial, "_connect_to", together)
    monkeypatch.setattr(dial, "NEXT_ADDRESS_AFTER_S", 0.02)

    async def main() -> None:
        winner = await dial._race(["good 1", "good 2"])
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(network.sockets) == 2
        assert [sock for sock in network.sockets if sock.fileno() != -1] == [winner]
        winner.close()

    run(main())


def test_a_refusal_is_told_before_other_failures(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "_connect_to", Addresses())
    with pytest.raises(ConnectionRefusedError):
        run(dial._race(["unreachable", "refuse", "unreachable"]))


def test_the_families_take_turns() -> None:
    found: list[Any] = [(10, 1), (10, 2), (10, 3), (2, 4), (2, 5)]
    assert dial._by_turns(found) == [(10, 1), (2, 4), (10, 2), (2, 5), (10, 3)]


def test_a_name_with_several_addresses_leads_to_the_one_that_listens(run: Run) -> None:
    async def main() -> None:
        async with upstream(forever()[0]) as url, transport() as client:
            assert await ask(client, url.replace("127.0.0.1", "localhost")) == (200, b"hi")

    run(main())
