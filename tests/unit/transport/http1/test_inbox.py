"""One buffer for all connections of an event loop."""

from __future__ import annotations

import asyncio

import uvloop
from typing_extensions import override

from pi_model_proxy.transport.http1.inbox import Inbox, new_inbox, read_by
from unit.transport.raw_upstream import DEADLINES, Run, post, read_request, transport, upstream, whole


def test_answers_that_arrive_by_turns_through_one_buffer_keep_apart(run: Run) -> None:
    names = iter(range(100))

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        name = b"%02d" % next(names)
        writer.write(b"HTTP/1.1 200 OK\r\nx-name: %b\r\ncontent-length: 120000\r\n\r\n" % name)
        for _ in range(60):
            writer.write(name * 1000)
            await writer.drain()
            await asyncio.sleep(0)

    async def main() -> None:
        async with upstream(script) as url, transport() as client:

            async def one() -> str:
                response = await client.open(post(url), DEADLINES)
                name = response.headers["x-name"]
                assert await whole(response) == name.encode() * 60_000
                return name

            assert len(set(await asyncio.gather(*(one() for _ in range(10))))) == 10

    run(main())


class Inner(asyncio.Protocol):
    """A connection that keeps a diary."""

    def __init__(self) -> None:
        self.diary: list[object] = []

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
        self.diary.append(exc)

    @override
    def pause_writing(self) -> None:
        self.diary.append("full")

    @override
    def resume_writing(self) -> None:
        self.diary.append("empty")


def test_what_is_read_is_kept_when_the_buffer_is_filled_again() -> None:
    inner, error = Inner(), ConnectionResetError()
    inbox = Inbox(inner, new_inbox())
    inbox.connection_made(asyncio.Transport())
    for data in (b"first", b"then"):
        inbox.get_buffer(-1)[: len(data)] = data
        inbox.buffer_updated(len(data))
    inbox.pause_writing()
    inbox.resume_writing()
    inbox.eof_received()
    inbox.connection_lost(error)
    assert inner.diary == ["made", b"first", b"then", "full", "empty", "end", error]


def test_asyncios_own_loop_is_given_the_buffer_and_uvloop_is_not() -> None:
    async def main() -> bool:
        inner = Inner()
        return read_by(inner, new_inbox()) is inner

    assert not asyncio.run(main())
    assert uvloop.run(main())
