"""Callers that are slow, idle or too many; on both event loops."""

from __future__ import annotations

import asyncio
import json
import time

from unit.server.http1.served import CLOSE, Place, Run, chunked, get, post, rest, serving, statuses


async def heard_after(place: Place, *pieces: bytes, pause_s: float = 0.05) -> tuple[bytes, float]:
    """Send pieces slowly; return what came until the server closed, and how long that took."""
    began_s = time.monotonic()
    reader, writer = await place.connect()
    listening = asyncio.get_running_loop().create_task(rest(reader))
    for piece in pieces:
        writer.write(piece)
        await asyncio.wait({listening}, timeout=pause_s)
        if listening.done():
            break
    heard = await listening
    writer.close()
    return heard, time.monotonic() - began_s


def test_a_head_that_does_not_end_is_408(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=0.2) as place:
            for data in (get()[:-2], b"G", b"\r\n\r\nGET /"):
                heard, took_s = await heard_after(place, data)
                assert statuses(heard) == [408]
                assert json.loads(heard.partition(b"\r\n\r\n")[2])["error"]["type"] == "invalid_request_error"
                assert 0.2 <= took_s < 1

    run(story())


def test_a_dribbled_head_is_not_given_more_time(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=0.3) as place:
            heard, took_s = await heard_after(place, *[get()[at : at + 1] for at in range(30)])
            assert statuses(heard) == [408]
            assert took_s < 1

    run(story())


def test_a_connection_that_says_nothing_is_closed_without_a_word(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=0.2) as place:
            assert (await heard_after(place))[0] == b""
            assert (await heard_after(place, b"\r\n", b"\r\n"))[0] == b""

    run(story())


def test_an_idle_connection_is_kept_and_then_closed(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=0.1, keep_alive_s=0.5) as place:
            heard, took_s = await heard_after(place, get(), get(), pause_s=0.3)
            assert statuses(heard) == [200, 200]
            assert 0.8 <= took_s < 2

    run(story())


def test_an_empty_line_does_not_keep_a_connection(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=0.2, keep_alive_s=60) as place:
            heard, took_s = await heard_after(place, get(), b"\r\n")
            assert statuses(heard) == [200]
            assert took_s < 1

    run(story())


def test_a_new_request_on_an_old_connection_has_all_of_its_time(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=0.5, keep_alive_s=0.3) as place:
            heard, _ = await heard_after(place, get(), get()[:9], get(b"/echo", CLOSE)[9:], pause_s=0.2)
            assert statuses(heard) == [200, 200]

    run(story())


def test_a_body_that_stops_is_told_so(run: Run) -> None:
    async def story() -> None:
        async with serving(body_s=0.2) as place:
            for data in (post()[:-1], chunked(b"/echo", b"abc")[:-5]):
                heard, took_s = await heard_after(place, data)
                assert statuses(heard) == [408]
                assert b"x-error: BodyTimeout\r\n" in heard
                assert b"connection: close\r\n" in heard
                assert took_s < 1

    run(story())


def test_a_body_in_drops_is_given_up_and_one_that_flows_is_not(run: Run) -> None:
    async def story() -> None:
        async with serving(body_s=0.4) as place:
            dribbled = post(b"/echo", b"x" * 90_000, CLOSE)
            heard, took_s = await heard_after(place, dribbled[:90], *[b"x"] * 100)
            assert statuses(heard) == [408]
            assert took_s < 1.5
            flowing = [dribbled[at : at + 5000] for at in range(0, len(dribbled), 5000)]
            heard, took_s = await heard_after(place, *flowing)
            assert statuses(heard) == [200]
            assert took_s > 0.8

    run(story())


def test_a_slow_handler_is_no_slow_caller(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=0.1, body_s=0.1, keep_alive_s=0.1, write_s=0.1) as place:
            reader, writer = await place.connect()
            writer.write(post(b"/gated", b"hello", CLOSE))
            await asyncio.sleep(0.4)
            place.house.gate.set()
            assert (await rest(reader)).endswith(b"late")

    run(story())


def test_a_request_that_had_to_wait_for_the_one_before_has_all_of_its_time(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=0.4, body_s=0.4, keep_alive_s=0.4) as place:
            for at in (10, -2):
                place.house.gate.clear()
                reader, writer = await place.connect()
                second = post(b"/echo", b"hello", CLOSE)
                writer.write(get(b"/gated") + second[:at])
                await asyncio.sleep(0.6)
                place.house.gate.set()
                await reader.readuntil(b"late")
                await asyncio.sleep(0.2)
                writer.write(second[at:])
                assert statuses(await rest(reader)) == [200]

    run(story())


def test_the_rest_of_a_body_that_nobody_wants_is_not_waited_for_for_ever(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=0.2, body_s=0.2) as place:
            reader, writer = await place.connect()
            writer.write(post(b"/early", b"x" * 5000)[:-1])
            assert statuses(await reader.readuntil(b"no")) == [401]
            (connection,) = place.server.connections
            now_s = asyncio.get_running_loop().time()
            connection.look(now_s + 4.9)
            assert place.server.connections
            connection.look(now_s + 5.1)
            await place.empties()

    run(story())


def test_the_connection_that_was_silent_longest_makes_room(run: Run) -> None:
    async def story() -> None:
        async with serving(most_connections=8) as place:
            callers = [await place.connect() for _ in range(8)]
            silent, *others = [callers[at] for at in (5, 2, 7, 0, 1, 6, 3, 4)]
            for reader, writer in (silent, *others):
                writer.write(get())
                await reader.readuntil(b"/echo 0")
                await asyncio.sleep(0.005)  # uvloop's clock counts milliseconds
            newcomer, writer = await place.connect()
            writer.write(get(b"/echo", CLOSE))
            assert await rest(silent[0]) == b""
            assert statuses(await rest(newcomer)) == [200]
            for reader, writer in others:
                writer.write(get(b"/echo", CLOSE))
                assert statuses(await rest(reader)) == [200]

    run(story())


def test_when_all_are_busy_one_more_is_told_to_come_later(run: Run) -> None:
    async def story() -> None:
        async with serving(most_connections=2) as place:
            busy = [await place.connect() for _ in range(2)]
            for _, writer in busy:
                writer.write(get(b"/gated", CLOSE))
            await place.wait_for(lambda: len(place.server.tasks()) == 2)
            reader, writer = await place.connect()
            heard = await rest(reader)
            assert statuses(heard) == [503]
            assert b"maxConnections" in heard
            place.house.gate.set()
            for busy_reader, _ in busy:
                assert statuses(await rest(busy_reader)) == [200]

    run(story())


def test_200_slow_callers_keep_nobody_waiting(run: Run) -> None:
    async def story() -> None:
        async with serving(head_s=1.0, body_s=1.0) as place:
            slow = [await place.connect() for _ in range(200)]
            for number, (_, writer) in enumerate(slow):
                writer.write((get()[:-2], post()[:-1], b"", get(b"/gated"))[number % 4])
            began_s = time.monotonic()
            for _ in range(50):
                assert statuses(await place.talk(get(b"/echo", CLOSE))) == [200]
            assert time.monotonic() - began_s < 1.0
            await place.wait_for(lambda: len(place.server.connections) == 50)

    run(story())
