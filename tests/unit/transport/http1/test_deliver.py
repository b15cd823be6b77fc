"""Pieces of a stream, handed on in the moment they arrive."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable

import pytest

from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.transport import UpstreamResponse
from pi_model_proxy.transport.http1.answer import PAUSE_ABOVE_BYTES, Answer
from unit.transport.http1.lines import CHUNKED, HEAD, SIZED, SPLITS, Line, begun
from unit.transport.raw_upstream import (
    DEADLINES,
    Run,
    Script,
    ask,
    forever,
    post,
    read_request,
    transport,
    upstream,
    whole,
)

OPEN = HEAD + b"transfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Taker:
    """Takes pieces and keeps them; wants no more after one of `last`."""

    def __init__(self, *last: bytes) -> None:
        self.last = last
        self.pieces: list[bytes] = []

    def __call__(self, piece: bytes) -> bool:
        self.pieces.append(piece)
        return piece not in self.last

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


async def delivering(answer: Answer, take: Callable[[bytes], bool]) -> asyncio.Task[bool]:
    """Let `deliver` begin to wait."""
    task = asyncio.ensure_future(answer.deliver(take))
    await asyncio.sleep(0)
    return task


def opened(*pieces: bytes) -> tuple[Answer, Line]:
    return begun(asyncio.get_running_loop(), OPEN, *pieces)


# Without a socket.


@pytest.mark.parametrize("kind", SPLITS)
def test_pieces_are_the_body_wherever_the_answer_is_split(run: Run, kind: str) -> None:
    sent, body, reusable = SPLITS[kind]

    async def main() -> None:
        for cut in range(1, len(sent) + 1):
            answer, line = begun(asyncio.get_running_loop(), sent[:cut])
            take = Taker()
            task = await delivering(answer, take) if answer.has_head else None
            if sent[cut:]:
                answer.feed(sent[cut:])
            if not reusable:
                answer.end_of_input(orderly=True)
            assert await (task or answer.deliver(take))
            assert take.body == body
            answer.release()
            assert line.diary == ["kept" if reusable else "closed"]

    run(main())


def test_pieces_that_come_byte_by_byte_are_the_body(run: Run) -> None:
    async def main() -> None:
        answer, _ = opened()
        take = Taker()
        task = await delivering(answer, take)
        for at in range(len(OPEN), len(CHUNKED)):
            answer.feed(CHUNKED[at : at + 1])
        assert await task
        assert take.body == b"hello"

    run(main())


def test_a_piece_is_given_before_the_event_loop_has_its_turn(run: Run) -> None:
    async def main() -> None:
        answer, _ = opened()
        take = Taker()
        task = await delivering(answer, take)
        for piece in (b"one", b"two"):
            answer.feed(chunk(piece))
            assert take.pieces[-1] == piece
        assert not task.done()
        answer.feed(END)
        assert await task

    run(main())


def test_all_that_one_read_brings_comes_in_one_piece(run: Run) -> None:
    async def main() -> None:
        answer, _ = opened(chunk(b"here "), chunk(b"before, "))
        take = Taker()
        task = await delivering(answer, take)
        answer.feed(chunk(b"then ") + chunk(b"two") + END)
        assert await task
        assert take.pieces == [b"here before, ", b"then two"]

    run(main())


@pytest.mark.parametrize("at_once", [True, False], ids=["already here", "arriving"])
def test_who_wants_no_more_is_given_no_more_and_may_go_on_by_reading(run: Run, at_once: bool) -> None:
    async def main() -> None:
        answer, line = opened(*([chunk(b"enough")] if at_once else []))
        take = Taker(b"enough")
        task = await delivering(answer, take)
        if not at_once:
            answer.feed(chunk(b"enough"))
        answer.feed(chunk(b"late"))
        assert not await task
        assert take.pieces == [b"enough"]
        assert await answer.read() == b"late"
        answer.feed(chunk(b"more") + END)
        assert await answer.deliver(take)
        assert take.pieces == [b"enough", b"more"]
        answer.release()
        assert line.diary == ["kept"]

    run(main())


def test_an_end_that_comes_with_the_last_wanted_piece_is_seen_by_reading(run: Run) -> None:
    async def main() -> None:
        answer, line = opened()
        take = Taker(b"[DONE]")
        task = await delivering(answer, take)
        answer.feed(chunk(b"[DONE]") + END)
        assert not await task
        assert await answer.read() == b""
        answer.release()
        assert line.diary == ["kept"]

    run(main())


@pytest.mark.parametrize("at_once", [True, False], ids=["already here", "arriving"])
@pytest.mark.parametrize("aborts", [True, False], ids=["aborting", "not aborting"])
def test_what_take_raises_comes_out_of_deliver(run: Run, at_once: bool, aborts: bool) -> None:
    async def main() -> None:
        answer, line = opened(*([chunk(b"bad")] if at_once else []))

        def take(piece: bytes) -> bool:
            if aborts:
                answer.abort()
            raise LookupError(piece)

        task = await delivering(answer, take)
        if not at_once:
            answer.feed(chunk(b"bad"))
        with pytest.raises(LookupError, match="bad"):
            await task
        assert line.diary == (["aborted"] if aborts else [])
        if not aborts:
            answer.feed(chunk(b"good") + END)
            assert await answer.read() == b"good"

    run(main())


def test_nothing_is_given_once_deliver_is_cancelled(run: Run) -> None:
    async def main() -> None:
        answer, _ = opened()
        take = Taker()
        task = await delivering(answer, take)
        task.cancel()
        answer.feed(chunk(b"kept"))  # before the cancelled task has its turn
        with pytest.raises(asyncio.CancelledError):
            await task
        assert take.pieces == []
        assert await answer.read() == b"kept"

    run(main())


def test_who_pauses_is_given_nothing_until_resumed_and_then_by_the_event_loop(run: Run) -> None:
    async def main() -> None:
        answer, _ = opened()
        take = Taker()
        task = await delivering(answer, take)
        answer.pause()
        answer.feed(chunk(b"held ") + chunk(b"back"))
        answer.feed(END)
        for _ in range(5):
            await asyncio.sleep(0)
        assert take.pieces == []
        assert not task.done()
        answer.resume()
        assert take.pieces == []
        assert await task
        assert take.pieces == [b"held back"]

    run(main())


def test_who_pauses_again_at_once_is_still_given_nothing(run: Run) -> None:
    async def main() -> None:
        answer, _ = opened()
        take = Taker()
        task = await delivering(answer, take)
        answer.pause()
        answer.feed(chunk(b"held"))
        answer.resume()
        answer.pause()
        await asyncio.sleep(0)
        assert take.pieces == []
        answer.resume()
        answer.resume()
        answer.feed(END)
        assert await task
        assert take.pieces == [b"held"]

    run(main())


def test_a_paused_answer_is_given_whole_before_its_error(run: Run) -> None:
    async def main() -> None:
        answer, line = opened()
        take = Taker()
        task = await delivering(answer, take)
        answer.pause()
        answer.feed(chunk(b"before"))
        answer.end_of_input(orderly=False)
        await asyncio.sleep(0)
        assert not task.done()
        answer.resume()
        with pytest.raises(BrokenStream):
            await task
        assert take.pieces == [b"before"]
        assert line.diary == ["aborted"]

    run(main())


def test_what_is_held_back_stops_the_socket_at_the_limit(run: Run) -> None:
    async def main() -> None:
        answer, line = opened()
        take = Taker()
        task = await delivering(answer, take)
        for _ in range(8):
            answer.feed(chunk(b"x" * PAUSE_ABOVE_BYTES))
        assert line.diary == []
        answer.pause()
        answer.feed(chunk(b"x" * PAUSE_ABOVE_BYTES))
        answer.feed(chunk(b"x"))
        assert line.diary == ["pause"]
        answer.resume()
        await asyncio.sleep(0)
        assert line.diary == ["pause", "resume"]
        assert len(take.body) == 9 * PAUSE_ABOVE_BYTES + 1
        task.cancel()

    run(main())


@pytest.mark.parametrize(
    ("rest", "proxy_error"),
    [(b"XYZ\r\n", "http_response_transfer_coding"), (None, "http_response_incomplete")],
    ids=["a bad chunk", "the end of the connection"],
)
@pytest.mark.parametrize("together", [True, False], ids=["in one read", "later"])
def test_an_error_comes_after_the_pieces_before_it(
    run: Run, rest: bytes | None, proxy_error: str, together: bool
) -> None:
    async def main() -> None:
        answer, line = opened()
        take = Taker()
        task = await delivering(answer, take)
        if together and rest is not None:
            answer.feed(chunk(b"good") + rest)
        else:
            answer.feed(chunk(b"good"))
            if rest is None:
                answer.end_of_input(orderly=True)
            else:
                answer.feed(rest)
        for _ in range(2):
            with pytest.raises(BrokenStream) as caught:
                await task
            assert caught.value.proxy_error == proxy_error
            task = asyncio.ensure_future(answer.deliver(take))
        with pytest.raises(BrokenStream):
            await task
        assert take.pieces == [b"good"]
        assert line.diary == ["aborted"]

    run(main())


@pytest.mark.parametrize("wants_more", [True, False])
@pytest.mark.parametrize("how", ["abort", "release"])
def test_an_answer_given_up_within_take_gives_nothing_more(run: Run, how: str, wants_more: bool) -> None:
    async def main() -> None:
        answer, line = opened()
        pieces: list[bytes] = []

        def take(piece: bytes) -> bool:
            pieces.append(piece)
            getattr(answer, how)()
            return wants_more

        task = await delivering(answer, take)
        answer.feed(chunk(b"first"))
        answer.feed(chunk(b"second"))
        if wants_more:
            with pytest.raises(BrokenStream):
                await task
        else:
            assert not await task
        assert pieces == [b"first"]
        assert line.diary == ["aborted" if how == "abort" else "closed"]

    run(main())


def test_an_answer_released_within_its_last_take_is_at_its_end(run: Run) -> None:
    async def main() -> None:
        answer, line = opened()

        def take(_: bytes) -> bool:
            answer.release()
            return True

        task = await delivering(answer, take)
        answer.feed(chunk(b"all") + END)
        assert await task
        assert line.diary == ["kept"]

    run(main())


def test_surplus_does_not_touch_the_answer(run: Run) -> None:
    async def main() -> None:
        for pieces in ((chunk(b"all") + END + SIZED,), (chunk(b"all") + END, SIZED)):
            answer, line = opened()
            take = Taker()
            task = await delivering(answer, take)
            for piece in pieces:
                answer.feed(piece)
            assert await task
            assert take.pieces == [b"all"]
            answer.release()
            assert line.diary == ["closed"]

    run(main())


def test_only_one_may_wait_for_an_answer(run: Run) -> None:
    async def main() -> None:
        answer, _ = opened()
        take = Taker()
        task = await delivering(answer, take)
        waits: list[Awaitable[object]] = [answer.deliver(take), answer.read()]
        for wait in waits:
            with pytest.raises(RuntimeError, match="one task"):
                await wait
        answer.feed(chunk(b"still given") + END)
        assert await task
        assert take.pieces == [b"still given"]

    run(main())


def test_compressed_pieces_are_inflated_and_a_lie_is_an_error(run: Run) -> None:
    async def main() -> None:
        head = HEAD + b"content-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n"
        packed = gzip.compress(b"hello" * 100)
        answer, _ = begun(asyncio.get_running_loop(), head)
        take = Taker()
        task = await delivering(answer, take)
        for at in range(len(packed)):
            answer.feed(chunk(packed[at : at + 1]))
        answer.feed(END)
        assert await task
        assert take.body == b"hello" * 100
        lie, line = begun(asyncio.get_running_loop(), head)
        task = await delivering(lie, take)
        lie.feed(chunk(b"not gzip"))
        with pytest.raises(BrokenStream, match="compressed"):
            await task
        assert line.diary == ["aborted"]

    run(main())


# With sockets.


async def dribble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        await read_request(reader)
        for piece in (OPEN, *(chunk(b"%d," % number) for number in range(6)), END):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
            await asyncio.sleep(0)


def test_a_delivery_cancelled_at_any_moment_loses_and_doubles_nothing(run: Run) -> None:
    async def main() -> None:
        async with upstream(dribble) as url, transport() as client:
            for turns in range(1, 15):
                response = await client.open(post(url), DEADLINES)
                take = Taker()
                ended = False
                while not ended:
                    task = asyncio.ensure_future(response.deliver(take))
                    for _ in range(turns):
                        await asyncio.sleep(0)
                    task.cancel()
                    try:
                        ended = await task
                    except asyncio.CancelledError:
                        await asyncio.sleep(0)
                response.release()
                assert take.body == b"0,1,2,3,4,5,"

    run(main())


def test_a_request_cancelled_while_it_delivers_leaves_nothing_behind(run: Run) -> None:
    async def main() -> None:
        async with upstream(dribble) as url, transport() as client:

            async def one(take: Taker) -> None:
                response = await client.open(post(url), DEADLINES)
                try:
                    await response.deliver(take)
                finally:
                    response.release()

            for turns in range(40):
                task = asyncio.ensure_future(one(Taker()))
                for _ in range(turns):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
                for _ in range(5):
                    await asyncio.sleep(0)
                assert client._connections == {c for idle in client._pool._idle.values() for c in idle}
                assert await ask(client, url) == (200, b"0,1,2,3,4,5,")

    run(main())


SIZE = 64 * 1024 * 1024


def flood(full: asyncio.Event, sent: list[int]) -> Script:
    """Send `SIZE` bytes as fast as they are taken; `full` says that they no longer are."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % SIZE)
        while sum(sent) < SIZE:
            writer.write(b"x" * 65536)
            sent.append(65536)
            if writer.transport.get_write_buffer_size() > 65536:
                full.set()
            await writer.drain()

    return script


async def halt(full: asyncio.Event, sent: list[int]) -> None:
    """Return when the upstream has been stopped for good."""
    await full.wait()
    before = -1
    while before != len(sent):
        before = len(sent)
        for _ in range(300):
            await asyncio.sleep(0)


def test_a_paused_delivery_stops_a_fast_upstream(run: Run) -> None:
    async def main() -> None:
        full, sent = asyncio.Event(), list[int]()
        async with upstream(flood(full, sent)) as url, transport() as client:
            response = await client.open(post(url), DEADLINES)
            size = 0

            def take(piece: bytes) -> bool:
                nonlocal size
                if size == 0:
                    response.pause()
                size += len(piece)
                return True

            task = asyncio.ensure_future(response.deliver(take))
            await halt(full, sent)
            assert sum(sent) < SIZE / 2
            assert 0 < size < 1024 * 1024
            response.resume()
            assert await task
            assert size == SIZE
            response.release()

    run(main())


def test_a_taker_that_wants_no_more_stops_a_fast_upstream(run: Run) -> None:
    async def main() -> None:
        full, sent = asyncio.Event(), list[int]()
        async with upstream(flood(full, sent)) as url, transport() as client:
            response: UpstreamResponse = await client.open(post(url), DEADLINES)
            sizes: list[int] = []

            def take(piece: bytes) -> bool:
                sizes.append(len(piece))
                return False

            assert not await response.deliver(take)
            await halt(full, sent)
            assert sum(sent) < SIZE / 2
            assert len(sizes) == 1
            assert sizes[0] + len(await whole(response)) == SIZE

    run(main())


def test_a_delivered_connection_serves_again_and_a_poisoned_one_does_not(run: Run) -> None:
    good = OPEN + chunk(b"hello") + END

    async def main(answer: bytes) -> list[int]:
        script, connections = forever(answer)
        async with upstream(script) as url, transport() as client:
            for _ in range(3):
                response = await client.open(post(url), DEADLINES)
                take = Taker()
                assert await response.deliver(take)
                assert take.body == b"hello"
                response.release()
        return connections

    assert run(main(good)) == [3]
    assert run(main(good + b"HTTP/1.1 200 OK\r\n")) == [1, 1, 1]
