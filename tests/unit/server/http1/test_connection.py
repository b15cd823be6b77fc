"""One connection after another, over real sockets on both event loops: what is answered, in which order, and what closes."""

from __future__ import annotations

import asyncio
import json
import re

import pytest

from unit.server.http1.served import (
    CLOSE,
    MAX_BODY,
    STREAM,
    Place,
    Run,
    chunked,
    get,
    post,
    rest,
    serving,
    statuses,
)


def body_of(heard: bytes) -> bytes:
    return heard.partition(b"\r\n\r\n")[2]


def unchunked(body: bytes) -> bytes:
    """Read chunks, strictly."""
    out = b""
    while True:
        size, _, body = body.partition(b"\r\n")
        out += body[: int(size, 16)]
        assert body[int(size, 16) :][:2] == b"\r\n"
        body = body[int(size, 16) + 2 :]
        if size == b"0":
            assert body == b""
            return out


def test_an_answer_has_its_length_and_nothing_that_nobody_asked_for(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(post(b"/echo", b"hello", CLOSE))
            assert heard == (
                b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 7\r\nconnection: close\r\n\r\n/echo 5"
            )

    run(story())


def test_requests_are_answered_in_order_on_one_connection(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            pipelined = post(b"/a") + get(b"/stream") + chunked(b"/c", b"hel", b"lo") + get(b"/d", CLOSE)
            for pieces in ([pipelined], [pipelined[at : at + 1] for at in range(len(pipelined))]):
                heard = await place.talk(*pieces)
                assert statuses(heard) == [200, 200, 200, 200]
                places = [heard.index(each) for each in (b"/a 5", b"data: 0", b"data: 4", b"/c 5", b"/d 0")]
                assert places == sorted(places)

    run(story())


def test_the_next_request_waits_for_the_answer_before_it(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(get(b"/gated") + get(b"/after", CLOSE))
            await place.house.entered.wait()
            assert place.house.asked == [("GET", "/gated", b"")]
            place.house.gate.set()
            assert re.findall(rb"late|/after 0", await rest(reader)) == [b"late", b"/after 0"]

    run(story())


def test_a_stream_is_chunked_and_ends(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(get(b"/stream", CLOSE))
            assert b"transfer-encoding: chunked\r\n" in heard
            assert unchunked(body_of(heard)) == STREAM

    run(story())


def test_the_first_bytes_of_a_stream_do_not_wait_for_the_next(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(get(b"/begun", CLOSE))
            assert (await reader.readuntil(b"begun ")).startswith(b"HTTP/1.1 200 OK\r\n")
            place.house.gate.set()
            assert (await rest(reader)).endswith(b"ended\r\n0\r\n\r\n")

    run(story())


def test_headers_do_not_wait_for_a_body_that_takes_its_time(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(get(b"/headfirst", CLOSE))
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
            place.house.gate.set()
            assert await rest(reader) == b"4\r\nbody\r\n0\r\n\r\n"

    run(story())


@pytest.mark.parametrize("value", [b"a\r\nx-evil: 1", b"a\nx-evil: 1", b"a\rx-evil: 1", b"a\r\n\r\n<script>"])
def test_a_header_of_an_answer_cannot_break_out_of_its_line(run: Run, value: bytes) -> None:
    async def story() -> None:
        async with serving() as place:
            assert await place.talk(post(b"/injecting", value)) == b""
            assert "break out" in place.complaints[0]

    run(story())


@pytest.mark.parametrize("body", [b"", b"four", b"sixsix"])
def test_an_answer_of_another_length_than_it_said_ends_the_connection(run: Run, body: bytes) -> None:
    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(post(b"/liar", body) + get(b"/next"))
            assert len(body_of(heard)) < 5
            assert "length" in place.complaints[0]
            assert body_of(await place.talk(post(b"/liar", b"fives", CLOSE))) == b"fives"

    run(story())


def test_http_1_0_gets_no_chunks_and_its_connection_is_closed(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(get(b"/stream", version=b"1.0"))
            assert b"transfer-encoding" not in heard
            assert b"connection: close\r\n" in heard
            assert body_of(heard) == STREAM
            assert body_of(await place.talk(post(b"/echo", version=b"1.0"))) == b"/echo 5"

    run(story())


def test_http_1_0_may_ask_for_another_request(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            first = get(b"/a", b"Connection: keep-alive", version=b"1.0")
            heard = await place.talk(first + get(b"/b", version=b"1.0"))
            assert re.findall(rb"connection: \S+|/[ab] 0", heard) == [
                b"connection: keep-alive",
                b"/a 0",
                b"connection: close",
                b"/b 0",
            ]

    run(story())


def test_head_is_told_what_get_would_be_and_no_body(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(get(b"/echo", method=b"HEAD") + get(b"/stream", CLOSE, method=b"HEAD"))
            assert statuses(heard) == [200, 200]
            assert heard.count(b"\r\n\r\n") == 2
            assert heard.endswith(b"\r\n\r\n")
            assert b"content-length: 7\r\n" in heard
            assert b"data" not in heard

    run(story())


def test_an_answer_without_content_says_nothing_of_a_length(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(post(b"/empty") + get(b"/echo", CLOSE))
            assert heard.startswith(b"HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK")

    run(story())


def test_a_long_answer_is_whole(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            assert body_of(await place.talk(get(b"/huge", CLOSE))) == b"h" * 300_000

    run(story())


def test_who_expects_to_be_told_to_go_on_is_told_once_its_body_is_wanted(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            head, _, body = post(b"/echo", b"hello", b"Expect: 100-continue", CLOSE).partition(b"\r\n\r\n")
            reader, writer = await place.connect()
            writer.write(head + b"\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(body)
            assert statuses(await rest(reader)) == [200]

    run(story())


def test_who_sends_its_body_without_waiting_is_not_told_to(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            assert statuses(await place.talk(post(b"/echo", b"hello", b"Expect: 100-continue", CLOSE))) == [
                200
            ]

    run(story())


def test_who_has_begun_to_send_its_body_is_not_told_to_either(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            data = post(b"/echo", b"hello", b"Expect: 100-continue", CLOSE)
            reader, writer = await place.connect()
            writer.write(data[:-2])
            await place.house.entered.wait()
            await asyncio.sleep(0)
            writer.write(data[-2:])
            assert statuses(await rest(reader)) == [200]

    run(story())


def test_who_is_refused_instead_may_send_its_body_or_not_and_so_loses_the_connection(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=1.0) as place:
            head, _, _ = post(b"/early", b"hello", b"Expect: 100-continue").partition(b"\r\n\r\n")
            reader, writer = await place.connect()
            writer.write(head + b"\r\n\r\n")
            heard = await reader.readuntil(b"\r\n\r\n")
            assert statuses(heard) == [401]
            assert b"connection: close\r\n" in heard
            # It takes the refusal for an answer to go on with, and sends another request.
            writer.write(get(b"/smuggled"))
            assert statuses(await rest(reader)) == []
            assert place.house.asked == [("POST", "/early", b"")]

    run(story())


def test_an_early_answer_comes_before_the_body_and_the_connection_serves_on(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            head, _, body = post(b"/early", b"x" * 200_000).partition(b"\r\n\r\n")
            reader, writer = await place.connect()
            writer.write(head + b"\r\n\r\n" + body[:10])
            assert statuses(await reader.readuntil(b"no")) == [401]
            writer.write(body[10:] + get(b"/next", CLOSE))
            assert body_of(await rest(reader)) == b"/next 0"

    run(story())


def test_a_refused_body_that_had_to_wait_is_read_on_and_the_connection_serves_on(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(post(b"/refusing", b"x" * 2_000_000) + get(b"/next", CLOSE))
            await place.house.entered.wait()
            (connection,) = place.server.connections
            await place.wait_for(lambda: connection._paused)
            place.house.gate.set()
            heard = await rest(reader)
            assert statuses(heard) == [401, 200]
            assert heard.endswith(b"/next 0")

    run(story())


def test_a_body_that_says_it_is_too_long_is_not_waited_for(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(post(b"/echo", b"x" * (MAX_BODY + 1))[:-MAX_BODY])
            assert statuses(await reader.readuntil(b"\r\n\r\n")) == [413]

    run(story())


@pytest.mark.parametrize("how", ["announced", "chunked"])
def test_a_body_beyond_the_limit_is_refused_and_read_on_so_that_the_answer_arrives(
    run: Run, how: str
) -> None:
    async def story() -> None:
        async with serving() as place:
            body = b"x" * 20 * MAX_BODY
            data = (
                post(b"/echo", body)
                if how == "announced"
                else chunked(b"/echo", body[:500_000], body[500_000:])
            )
            reader, writer = await place.connect()
            writer.write(data)
            await writer.drain()
            heard = await rest(reader)
            assert statuses(heard) == [413]
            assert b"x-error: BodyTooLarge\r\nconnection: close" in heard.replace(
                b"content-length: %d\r\n" % len(body_of(heard)), b""
            )

    run(story())


def test_a_body_of_many_pieces_arrives_in_one(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            body = bytes(range(256)) * 390
            for data in (
                post(b"/echo", body, CLOSE),
                chunked(b"/echo", *[body[at : at + 999] for at in range(0, len(body), 999)]),
            ):
                reader, writer = await place.connect()
                for at in range(0, len(data), 7001):
                    writer.write(data[at : at + 7001])
                    await asyncio.sleep(0)
                assert b"/echo 99840" in await reader.readuntil(b"99840")
                assert place.house.asked[-1][2] == body

    run(story())


def test_chunks_that_cannot_be_read_are_the_handlers_to_answer_and_close(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(chunked(b"/echo", b"abc")[:-5] + b"zz\r\n" + get(b"/smuggled"))
            assert statuses(heard) == [400]
            assert b"x-error: BadRequest\r\n" in heard
            assert b"connection: close\r\n" in heard
            assert place.house.asked == []

    run(story())


def test_what_is_no_request_is_refused_in_our_words(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(get())
            await reader.readuntil(b"/echo 0")
            writer.write(b"\0\0\r\n\r\n" + get(b"/smuggled"))
            heard = await rest(reader)
            assert statuses(heard) == [400]
            assert json.loads(body_of(heard))["error"]["type"] == "invalid_request_error"
            assert b"x-request-id: req_test\r\n" in heard
            assert b"connection: close\r\n" in heard
            assert [path for _, path, _ in place.house.asked] == ["/echo"]

    run(story())


def test_garbage_behind_a_request_ends_the_connection_without_a_word_after_its_answer(run: Run) -> None:
    """Told to a caller that sends another request just then, the refusal would be that one's answer."""

    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(get(b"/stream") + b"\0\0\r\n\r\n" + get(b"/smuggled"))
            assert statuses(heard) == [200]
            assert heard.endswith(b"\r\n0\r\n\r\n")
            assert [path for _, path, _ in place.house.asked] == ["/stream"]

    run(story())


@pytest.mark.parametrize(
    "headers", [[b"Upgrade: websocket", b"Connection: Upgrade"], [b"Connection: Upgrade", b"Upgrade: h2c"]]
)
def test_an_upgrade_is_ignored_and_nothing_behind_it_is_read(run: Run, headers: list[bytes]) -> None:
    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(get(b"/echo", *headers) + get(b"/smuggled"))
            assert statuses(heard) == [200]
            assert b"connection: close\r\n" in heard
            assert [path for _, path, _ in place.house.asked] == ["/echo"]

    run(story())


def test_half_an_answer_does_not_look_like_a_whole_one(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            heard = await place.talk(get(b"/half"))
            assert heard.endswith(b"\r\n\r\n4\r\nhalf\r\n")
            reader, writer = await place.connect()
            writer.write(get(b"/half", version=b"1.0"))
            with pytest.raises(ConnectionResetError):
                await reader.read()

    run(story())


def test_a_handlers_mistake_costs_its_connection_and_is_told(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            assert await place.talk(get(b"/broken")) == b""
            assert place.complaints == ["a handler's mistake"]
            assert statuses(await place.talk(get(b"/echo", CLOSE))) == [200]

    run(story())


async def held_back(place: Place, amount: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await place.connect()
    writer.write(get(b"/gated") + get(b"/x", b"X: " + b"y" * 30_000) * (amount // 30_000))
    await place.house.entered.wait()
    return reader, writer


def test_bytes_behind_a_request_in_hand_wait_in_the_callers_own_memory(run: Run) -> None:
    """Back-pressure towards a caller that asks faster than it is answered."""

    async def story() -> None:
        async with serving() as place:
            reader, writer = await held_back(place, 20_000_000)
            (connection,) = place.server.connections
            unsent = -1
            async with asyncio.timeout(10):
                while (now := writer.transport.get_write_buffer_size()) != unsent:
                    unsent = now
                    await asyncio.sleep(0.05)
            assert unsent > 5_000_000
            assert connection._intake.waiting_bytes < 1_000_000
            place.house.gate.set()
            writer.write(get(b"/last", CLOSE))
            heard = await rest(reader)
            assert heard.endswith(b"/last 0")
            assert len(statuses(heard)) == 668

    run(story())


def test_a_stopping_server_closes_idle_connections_and_lets_answers_end(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            idle_reader, _ = await place.connect()
            busy_reader, busy = await place.connect()
            begun_reader, begun = await place.connect()
            busy.write(get(b"/gated") + get(b"/never"))
            begun.write(get(b"/begun") + get(b"/never"))
            await begun_reader.readuntil(b"begun ")
            draining = asyncio.get_running_loop().create_task(place.server.drain(10))
            assert await rest(idle_reader) == b""
            assert len(place.server.tasks()) == 2
            place.house.gate.set()
            heard = await rest(busy_reader)
            assert heard.endswith(b"late")
            assert b"connection: close\r\n" in heard
            assert (await rest(begun_reader)).endswith(b"ended\r\n0\r\n\r\n")
            await draining
            late_reader, _ = await place.connect()
            assert await rest(late_reader) == b""
            assert ("GET", "/never", b"") not in place.house.asked

    run(story())


def test_a_stopping_server_sends_all_of_an_answer_to_a_slow_reader(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(get(b"/torrent"))
            await place.wait_for(lambda: place.house.sent > 0)
            draining = asyncio.get_running_loop().create_task(place.server.drain(10))
            heard = await rest(reader)
            assert heard.endswith(b"\r\n0\r\n\r\n")
            await draining

    run(story())


def test_what_does_not_end_in_time_is_cut_short_and_may_say_so(run: Run) -> None:
    async def story() -> None:
        async with serving() as place:
            reader, writer = await place.connect()
            writer.write(get(b"/stubborn"))
            await place.house.entered.wait()
            await place.server.drain(0.05)
            assert statuses(await rest(reader)) == [503]
            assert place.server.connections == set()

    run(story())
