"""Callers that go, callers that do not read, and what becomes of whoever answers them; on both event loops."""

from __future__ import annotations

import asyncio
import socket
import struct
import time

import pytest
from typing_extensions import override

from unit.server.http1.served import CLOSE, Place, Run, get, post, rest, serving, statuses

ABORTED_WITHIN_S = 0.25


def reset(writer: asyncio.StreamWriter) -> None:
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize("how", ["close", "reset", "half-close"])
@pytest.mark.parametrize("path", [b"/gated", b"/begun"])
def test_who_leaves_ends_the_task_that_answers_it_in_time(run: Run, path: bytes, how: str) -> None:
    async def story() -> None:
        async with serving() as place:
            _, writer = await place.connect()
            writer.write(post(path))
            await place.house.entered.wait()
            left_s = time.monotonic()
            match how:
                case "close":
                    writer.close()
                case "reset":
                    reset(writer)
                case _:
                    writer.write_eof()
            await place.wait_for(lambda: bool(place.house.ended))
            assert place.house.ended == ["left"]
            assert time.monotonic() - left_s < ABORTED_WITHIN_S
            await place.empties()

    run(story())


def test_who_will_send_no_more_still_gets_a_quick_answer(run: Run) -> None:
    """`printf … | nc -N`: all of the requests, then an end of input."""

    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(post(b"/a") + get(b"/stream") + post(b"/c"))
            writer.write_eof()
            heard = await rest(reader)
            assert statuses(heard) == [200, 200, 200]
            assert heard.endswith(b"/c 5")
            assert place.house.ended == ["finished"] * 3

    run(story())


def test_who_leaves_in_the_middle_of_its_body_is_not_waited_for(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            _, writer = await place.connect()
            writer.write(post()[:-2])
            await place.house.entered.wait()
            writer.close()
            await place.wait_for(lambda: place.house.ended == ["left"])
            assert place.house.asked == []

    run(story())


def test_who_leaves_between_the_end_of_its_answer_and_the_end_of_its_task_cancels_nothing(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(get(b"/echo", CLOSE))
            await rest(reader)
            writer.close()
            await place.empties()
            assert place.house.ended == ["finished"]

    run(story())


@pytest.mark.parametrize("turns", range(12))
def test_whenever_it_leaves_nothing_is_left_behind(run: Run, turns: int) -> None:
    """Cancelled at every await: in the body, in the gate, in the stream, in the drain."""

    async def story() -> None:
        async with serving() as place:
            for data in (post()[:-1], get(b"/gated"), get(b"/stream"), get(b"/begun"), get(b"/torrent")):
                _, writer = await place.connect()
                writer.write(data)
                for _ in range(turns):
                    await asyncio.sleep(0)
                reset(writer)
            await place.empties()
            assert place.server.tasks() == set()
            assert place.complaints == []
            assert statuses(await place.talk(get(b"/echo", CLOSE))) == [200]

    run(story())


@pytest.mark.parametrize("shutdown", [False, True], ids=["left", "stopped"])
def test_a_task_cancelled_by_its_server_may_still_say_so(run: Run, *, shutdown: bool) -> None:
    async def story() -> None:
        async with serving() as place:
            _, writer = await place.connect()
            writer.write(get(b"/gated"))
            await place.house.entered.wait()
            if shutdown:
                (task,) = place.server.tasks()
                task.cancel()
            else:
                reset(writer)
            await place.wait_for(lambda: bool(place.house.ended))
            assert place.house.ended == ["cancelled" if shutdown else "left"]

    run(story())


class Transport(asyncio.Transport):
    """A socket that does nothing but note whether it is read."""

    def __init__(self) -> None:
        super().__init__()
        self.is_read = True

    @override
    def pause_reading(self) -> None:
        self.is_read = False

    @override
    def resume_reading(self) -> None:
        self.is_read = True

    @override
    def is_closing(self) -> bool:
        return False

    @override
    def abort(self) -> None:
        pass


def test_while_a_request_is_answered_its_socket_is_read_however_its_body_came(run: Run) -> None:
    """Otherwise nobody would learn that its caller has gone."""

    async def story() -> None:
        async with serving() as place:
            data = post(b"/gated", b"x" * 90_000)
            for at in (20, 200, 300, 20_000):
                connection, transport = place.server(), Transport()
                connection.connection_made(transport)
                place.house.entered.clear()
                connection.data_received(data[:at])
                connection.data_received(data[at:])
                await place.house.entered.wait()
                await asyncio.sleep(0)
                assert len(place.house.asked[-1][2]) == 90_000
                assert transport.is_read
                connection.connection_lost(None)

    run(story())


async def not_reading(place: Place, path: bytes = b"/torrent") -> asyncio.StreamReader:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    sock.setblocking(False)
    reader, writer = await place.connect(sock)
    writer.write(get(path, CLOSE))
    return reader


async def settled(place: Place) -> int:
    """Return how much was written once that grows no more."""
    sent = -1
    while sent != place.house.sent:
        sent = place.house.sent
        await asyncio.sleep(0.05)
    return sent


def test_who_does_not_read_makes_its_answer_wait_and_gets_it_whole_in_the_end(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader = await not_reading(place)
            await place.wait_for(lambda: place.house.sent > 0)
            sent = await settled(place)
            assert sent < 16 * 2**20
            (connection,) = place.server.connections
            transport = connection._transport
            assert transport is not None
            assert transport.get_write_buffer_size() < 256 * 1024
            size = 0
            while data := await reader.read(2**20):
                size += len(data)
            assert size > 64 * 2**20
            assert place.house.ended == ["finished"]

    run(story())


def test_who_takes_nothing_for_too_long_is_closed(run: Run) -> None:
    async def story() -> None:
        async with serving(write_s=0.2) as place:
            await not_reading(place)
            await place.empties()
            assert place.house.ended == ["left"]

    run(story())


def test_who_takes_a_little_now_and_then_is_not_closed(run: Run) -> None:
    async def story() -> None:
        async with serving(write_s=0.3) as place:
            reader = await not_reading(place, b"/vast")
            until_s = time.monotonic() + 0.9
            while time.monotonic() < until_s:
                await reader.readexactly(500_000)
                await asyncio.sleep(0.02)
            (connection,) = place.server.connections
            assert connection.congested

    run(story())


def test_without_a_write_timeout_the_caller_may_take_its_time(run: Run) -> None:
    async def story() -> None:
        async with serving(write_s=0, head_s=0.1, keep_alive_s=0.1, body_s=0.1) as place:
            await not_reading(place)
            await settled(place)
            await asyncio.sleep(0.3)
            assert place.house.ended == []

    run(story())


def test_an_answer_that_nobody_takes_does_not_keep_its_connection_for_ever(run: Run) -> None:
    """Its task has ended, and `close` alone would wait for the reader."""

    async def story() -> None:
        async with serving(write_s=0.2) as place:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(sock, ("127.0.0.1", place.port))
            await loop.sock_sendall(sock, get(b"/huge") * 30 + get(b"/huge", CLOSE))
            await place.wait_for(lambda: len(place.house.ended) > 3)
            await place.empties()
            sock.close()

    run(story())
