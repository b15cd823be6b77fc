"""TLS between a connection and its socket: every split, every end, both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from pi_model_proxy.errors import BrokenStream, UpstreamUnreachable
from pi_model_proxy.transport.http1.inbox import new_inbox
from pi_model_proxy.transport.http1.tls import RECORD_BYTES, Tls
from unit.transport.certified import ca, secure, serving
from unit.transport.raw_upstream import (
    DEADLINES,
    OK,
    Run,
    Script,
    ask,
    post,
    read_request,
    transport,
    upstream,
    whole,
)


class Inner(asyncio.Protocol):
    """A connection that keeps a diary."""

    def __init__(self) -> None:
        self.diary: list[Any] = []

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.diary.append("made")

    @override
    def data_received(self, data: bytes) -> None:
        self.diary.append(data)

    @override
    def eof_received(self) -> None:
        self.diary.append("end")

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.diary.append(("lost", type(exc)))


class Socket(asyncio.Transport):
    """What lies beneath."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []
        self.diary: list[str] = []

    @override
    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    @override
    def writelines(self, list_of_data: Any) -> None:
        self.sent += [bytes(data) for data in list_of_data]

    @override
    def abort(self) -> None:
        self.diary.append("aborted")

    @override
    def close(self) -> None:
        self.diary.append("closed")

    @override
    def is_closing(self) -> bool:
        return False

    def taken(self) -> bytes:
        sent = b"".join(self.sent)
        self.sent.clear()
        return sent


class Pair:
    """Our side, and an upstream's in memory."""

    def __init__(
        self,
        certificates: Path,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        *,
        host: str = "localhost",
        inbox: memoryview | None = None,
    ) -> None:
        context = ssl.create_default_context(cafile=ca(certificates))
        context.maximum_version = version
        self.inner = Inner()
        self.socket = Socket()
        self.tls = Tls(self.inner, context, host, inbox=inbox or new_inbox())
        self._to_upstream, self._from_upstream = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._upstream = serving(certificates).wrap_bio(
            self._to_upstream, self._from_upstream, server_side=True
        )
        self.tls.connection_made(self.socket)

    def shake_hands(self, step: int = 1 << 20) -> None:
        """Go on to the end of the handshake, so many bytes at once."""
        done = False
        while not done:
            self._to_upstream.write(self.socket.taken())
            with contextlib.suppress(ssl.SSLWantReadError):
                self._upstream.do_handshake()
                done = True
            answer = self._from_upstream.read()
            for at in range(0, len(answer), step):
                self.tls.data_received(answer[at : at + step])
        self._to_upstream.write(self.socket.taken())
        assert self.inner.diary == ["made"]
        self.inner.diary.clear()

    def says(self, *records: bytes, ends: bool = False) -> bytes:
        """Return what the upstream sends for these."""
        for record in records:
            self._upstream.write(record)
        if ends:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._upstream.unwrap()
        return self._from_upstream.read()

    def hears(self) -> bytes:
        """Return what has come to the upstream."""
        self._to_upstream.write(self.socket.taken())
        heard = b""
        while self._to_upstream.pending or self._upstream.pending():
            heard += self._upstream.read()
        return heard


@pytest.fixture(params=["TLS 1.2", "TLS 1.3"])
def version(request: pytest.FixtureRequest) -> ssl.TLSVersion:
    return {"TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}[request.param]


@pytest.fixture
def play(run: Run, certificates: Path, version: ssl.TLSVersion) -> Callable[..., None]:
    """Runs a scene with a pair."""

    def play(scene: Callable[[Pair], None], *, step: int = 1 << 20) -> None:
        async def main() -> None:
            pair = Pair(certificates, version)
            pair.shake_hands(step)
            await pair.tls.stand()
            scene(pair)

        run(main())

    return play


def test_a_handshake_may_come_byte_by_byte(play: Callable[..., None]) -> None:
    def scene(pair: Pair) -> None:
        pair.tls.data_received(pair.says(b"hello"))
        assert pair.inner.diary == [b"hello"]

    play(scene, step=1)


def test_a_record_may_be_split_at_every_byte(play: Callable[..., None]) -> None:
    def scene(pair: Pair) -> None:
        for cut in range(1, 30):
            record = pair.says(b"hello")
            pair.tls.data_received(record[:cut])
            if record[cut:]:
                pair.tls.data_received(record[cut:])
            assert pair.inner.diary == [b"hello"]
            pair.inner.diary.clear()

    play(scene)


def test_the_records_of_one_read_come_joined(play: Callable[..., None]) -> None:
    def scene(pair: Pair) -> None:
        records = pair.says(b"one ", b"two ", b"three")
        pair.tls.data_received(records[:-1])
        pair.tls.data_received(records[-1:])
        assert pair.inner.diary == [b"one two ", b"three"]

    play(scene)


def test_much_at_once_comes_whole(play: Callable[..., None]) -> None:
    def scene(pair: Pair) -> None:
        body = bytes(range(256)) * 1024
        pair.tls.data_received(pair.says(body))
        assert b"".join(pair.inner.diary) == body

    play(scene)


def test_connections_that_share_a_buffer_keep_their_bytes_apart(run: Run, certificates: Path) -> None:
    async def main() -> None:
        inbox = new_inbox()
        pairs = [Pair(certificates, inbox=inbox) for _ in range(2)]
        for pair in pairs:
            pair.shake_hands()
        halves = [pair.says(letter * 5000) for pair, letter in zip(pairs, (b"a", b"b"), strict=True)]
        for part in (slice(0, 2000), slice(2000, None)):
            for pair, half in zip(pairs, halves, strict=True):
                sent = half[part]
                pair.tls.get_buffer(-1)[: len(sent)] = sent
                pair.tls.buffer_updated(len(sent))
        assert [pair.inner.diary for pair in pairs] == [[b"a" * 5000], [b"b" * 5000]]

    run(main())


@pytest.mark.parametrize("size", [1, RECORD_BYTES, RECORD_BYTES + 1, 10 * RECORD_BYTES + 7])
def test_what_is_written_arrives(play: Callable[..., None], size: int) -> None:
    def scene(pair: Pair) -> None:
        body = bytes(range(256)) * (size // 256 + 1)
        pair.tls.write(body[:size])
        assert pair.hears() == body[:size]
        pair.tls.write(memoryview(body)[:size])
        assert pair.hears() == body[:size]

    play(scene)


def test_a_closing_alert_is_an_orderly_end_after_what_came_with_it(play: Callable[..., None]) -> None:
    def scene(pair: Pair) -> None:
        pair.tls.data_received(pair.says(b"last words", ends=True))
        pair.tls.connection_lost(None)
        assert pair.inner.diary == [b"last words", "end", ("lost", type(None))]
        assert pair.socket.diary == ["aborted"]
        assert pair.tls.is_closing()

    play(scene)


def test_an_end_without_a_closing_alert_is_no_orderly_one(play: Callable[..., None]) -> None:
    def scene(pair: Pair) -> None:
        pair.tls.data_received(pair.says(b"a part"))
        pair.tls.eof_received()
        pair.tls.connection_lost(None)
        assert pair.inner.diary == [b"a part", ("lost", ConnectionAbortedError)]

    play(scene)


@pytest.mark.parametrize("together", [True, False])
def test_bytes_that_are_no_record_end_the_connection(play: Callable[..., None], together: bool) -> None:
    def scene(pair: Pair) -> None:
        good, bad = pair.says(b"good"), b"HTTP/1.1 200 OK\r\n\r\n"
        for data in (good + bad,) if together else (good, bad):
            pair.tls.data_received(data)
        pair.tls.data_received(good)
        pair.tls.write(b"more")
        pair.tls.connection_lost(None)
        assert pair.inner.diary == [b"good", ("lost", ssl.SSLError)]
        assert pair.socket.diary == ["aborted"]

    play(scene)


def test_a_changed_record_ends_the_connection(play: Callable[..., None]) -> None:
    def scene(pair: Pair) -> None:
        record = bytearray(pair.says(b"pay 100"))
        record[-1] ^= 1
        pair.tls.data_received(bytes(record))
        assert pair.inner.diary == [("lost", ssl.SSLError)]

    play(scene)


def test_a_lost_socket_is_told_once_and_takes_no_more(play: Callable[..., None]) -> None:
    def scene(pair: Pair) -> None:
        pair.tls.connection_lost(ConnectionResetError())
        pair.tls.connection_lost(None)
        pair.tls.abort()
        pair.tls.write(b"more")
        pair.tls.data_received(pair.says(b"late"))
        assert pair.inner.diary == [("lost", ConnectionResetError)]
        assert pair.socket.sent == []

    play(scene)


def test_an_aborted_connection_hears_nothing_more_but_its_end(play: Callable[..., None]) -> None:
    def scene(pair: Pair) -> None:
        pair.tls.abort()
        pair.tls.data_received(pair.says(b"late"))
        pair.tls.connection_lost(None)
        assert pair.inner.diary == [("lost", type(None))]
        assert pair.socket.diary == ["aborted"]

    play(scene)


@pytest.mark.parametrize("end", ["garbage", "closed", "reset"])
def test_a_handshake_that_fails_says_why(run: Run, certificates: Path, end: str) -> None:
    async def main() -> None:
        pair = Pair(certificates)
        hello = pair.socket.taken()
        assert hello
        if end == "garbage":
            pair.tls.data_received(b"SSH-2.0-OpenSSH_9\r\n")
            assert pair.socket.diary == ["closed"]
        elif end == "closed":
            pair.tls.eof_received()
        else:
            pair.tls.connection_lost(ConnectionResetError())
        pair.tls.connection_lost(None)
        with pytest.raises(ssl.SSLError if end == "garbage" else ConnectionError):
            await pair.tls.stand()
        assert pair.inner.diary == []

    run(main())


def test_a_certificate_for_another_name_is_refused_with_an_alert(run: Run, certificates: Path) -> None:
    async def main() -> None:
        pair = Pair(certificates, host="other.example")
        with pytest.raises(ssl.SSLError, match="alert"):
            pair.shake_hands()
        # What was still to be sent is not thrown away with the connection.
        assert pair.socket.diary == ["closed"]
        with pytest.raises(ssl.SSLCertVerificationError):
            await pair.tls.stand()
        assert pair.inner.diary == []

    run(main())


def test_a_server_that_speaks_first_and_plainly_is_a_tls_error(run: Run) -> None:
    async def banner(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()

    async def main() -> None:
        async with upstream(banner) as url, transport() as client:
            await client.open(post(url.replace("http:", "https:")), DEADLINES)

    with pytest.raises(UpstreamUnreachable) as caught:
        run(main())
    assert caught.value.proxy_error == "tls_protocol_error"


def ending(answer: bytes, how: str) -> Script:
    """Answer once; end with a closing alert or without one."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(answer)
        await writer.drain()
        if how == "alert":
            writer.close()
        else:
            writer.transport.abort()

    return script


@pytest.mark.parametrize("how", ["alert", "no alert"])
def test_a_body_without_a_length_needs_a_closing_alert(run: Run, certificates: Path, how: str) -> None:
    async def main() -> bytes:
        script = ending(b"HTTP/1.1 200 OK\r\n\r\nall of it", how)
        async with (
            upstream(script, ssl=serving(certificates)) as url,
            transport(ca_file=ca(certificates)) as client,
        ):
            response = await client.open(post(secure(url, "localhost")), DEADLINES)
            assert await response.read() == b"all of it"
            return await whole(response)

    if how == "alert":
        assert run(main()) == b""
    else:
        with pytest.raises(BrokenStream) as caught:
            run(main())
        assert caught.value.proxy_error == "http_response_incomplete"


@pytest.mark.parametrize("how", ["alert", "no alert"])
def test_a_body_with_a_length_is_whole_however_the_connection_ends(
    run: Run, certificates: Path, how: str
) -> None:
    async def main() -> None:
        async with (
            upstream(ending(OK, how), ssl=serving(certificates)) as url,
            transport(ca_file=ca(certificates)) as client,
        ):
            for _ in range(3):
                assert await ask(client, secure(url, "localhost")) == (200, b"hi")

    run(main())


def test_a_handshake_cancelled_at_any_moment_leaves_nothing_behind(run: Run, certificates: Path) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await read_request(reader)
            writer.write(OK)

    async def main() -> int:
        complaints: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        turns, running = 0, True
        async with (
            upstream(script, ssl=serving(certificates)) as url,
            transport(ca_file=ca(certificates)) as client,
        ):
            await ask(client, secure(url, "localhost"))
            while running:
                client._pool.close()
                task = asyncio.ensure_future(ask(client, secure(url, "localhost")))
                for _ in range(turns):
                    await asyncio.sleep(0)
                running = not task.done()
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                turns += 1
                for _ in range(5):
                    await asyncio.sleep(0)
                assert client._connections == {c for idle in client._pool._idle.values() for c in idle}
        return turns if not complaints else -1

    assert run(main()) > 5
