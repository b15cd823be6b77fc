"""The order of things at the door, what is remembered of a head, and what the log says; over real connections."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pi_model_proxy.config.secret import Secret
from unit.server.rooms import Rooms, ask

Answer = tuple[int, dict[str, str], bytes]
KEY = "gateway-key-1234"
WITH_KEY = f"Authorization: Bearer {KEY}"


class Caller:
    """One kept connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, *headers: str, **request: Any) -> Answer:
        self.writer.write(ask(*headers, **request))
        return await self.hear()

    async def hear(self) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines)
        status = int(first.split()[1])
        if "content-length" in headers:
            return status, headers, await self.reader.readexactly(int(headers["content-length"]))
        if status == 204:
            return status, headers, b""
        return status, headers, await self.reader.readuntil(b"\r\n0\r\n\r\n")


def tell(rooms: Callable[[], Rooms], story: Callable[[Rooms, Caller], Awaitable[None]]) -> None:
    async def run() -> None:
        house = rooms()
        async with house.serving(), asyncio.timeout(10):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            try:
                await story(house, Caller(reader, writer))
            finally:
                writer.transport.abort()
                await asyncio.sleep(0)

    asyncio.run(run())


def with_key() -> Rooms:
    return Rooms(api_key=Secret(KEY))


def test_an_equal_head_is_let_in_again_and_is_a_request_of_its_own() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        first = await caller.ask(WITH_KEY, body=b'{"a":1}')
        second = await caller.ask(WITH_KEY, body=b'{"bb":22}')
        assert (first[0], second[0]) == (200, 200)
        assert first[1]["x-request-id"] != second[1]["x-request-id"]
        assert [call.body for call in rooms.gateway.calls] == [b'{"a":1}', b'{"bb":22}']
        assert len(rooms.gateway.recorder.settled) == 2
        assert rooms.gateway.recorder.settled[0].request_id == first[1]["x-request-id"]

    tell(with_key, story)


@pytest.mark.parametrize(
    "other", [(), ("Authorization: Bearer gateway-key-1235",), ("X-Api-Key: wrong",), ("authorization: x",)]
)
def test_a_head_that_was_let_in_lets_no_other_in(other: tuple[str, ...]) -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        assert (await caller.ask(WITH_KEY))[0] == 200
        assert (await caller.ask(*other))[0] == 401
        assert (await caller.ask(WITH_KEY))[0] == 200
        assert len(rooms.gateway.calls) == 2

    tell(with_key, story)


def test_a_head_that_was_let_in_is_looked_at_again_when_settings_change() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        headers = (WITH_KEY, "Origin: https://app.example", "Host: box.lan")
        rooms.change(allowed_origins=("https://app.example",), allowed_hosts=("box.lan",))
        status, answered, _ = await caller.ask(*headers)
        assert (status, answered["access-control-allow-origin"]) == (200, "https://app.example")
        rooms.change(allowed_origins=())
        assert (await caller.ask(*headers))[0] == 403
        rooms.change(allowed_origins=("https://app.example",), allowed_hosts=())
        assert (await caller.ask(*headers))[0] == 403
        rooms.change(allowed_hosts=("box.lan",), api_key=Secret("another-key-5678"))
        assert (await caller.ask(*headers))[0] == 401
        rooms.change(api_key=None)
        assert (await caller.ask(*headers))[0] == 200

    tell(with_key, story)


def test_a_head_that_was_refused_is_looked_at_again_when_settings_change() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        assert (await caller.ask())[0] == 401
        assert (await caller.ask())[0] == 401
        rooms.change(api_key=None)
        assert (await caller.ask())[0] == 200

    tell(with_key, story)


def test_equal_heads_count_against_the_rate_limit() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        assert [(await caller.ask())[0] for _ in range(4)] == [200, 200, 429, 429]
        assert rooms.gateway.recorder.settled[-1].status == 429

    tell(lambda: Rooms(rate_limit=2), story)


def test_equal_heads_are_refused_while_the_gateway_drains() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        assert (await caller.ask())[0] == 200
        rooms.state.draining = True
        status, headers, _ = await caller.ask()
        assert (status, headers["retry-after"]) == (503, "1")

    tell(Rooms, story)


def test_the_first_thing_that_is_wrong_is_what_is_told() -> None:
    """Host → origin → key → route → method → rate limit → ready → type → body."""

    async def story(rooms: Rooms, caller: Caller) -> None:
        wrong = {
            "Host: evil.example": 403,
            "Origin: https://evil.example": 403,
            "X-Api-Key: wrong": 401,
        }
        rooms.state.draining = True
        for count, status in enumerate(wrong.values()):
            headers = [*list(wrong)[count:], "Content-Type: text/plain"]
            assert (await caller.ask(*headers, path="/nowhere"))[0] == status
        headers = [WITH_KEY, "Content-Type: text/plain"]
        assert (await caller.ask(*headers, path="/nowhere"))[0] == 404
        assert (await caller.ask(*headers, method="PUT"))[0] == 405
        assert (await caller.ask(*headers))[0] == 503
        assert (await caller.ask(*headers))[0] == 429
        rooms.change(rate_limit=0)
        rooms.state.draining = False
        assert (await caller.ask(*headers, body=b"x" * 5000))[0] == 415
        assert (await caller.ask(WITH_KEY, body=b"x" * 5000))[0] == 413
        assert rooms.gateway.calls == []

    tell(lambda: Rooms(api_key=Secret(KEY), rate_limit=1, max_body_bytes=4096), story)


def test_a_preflight_needs_no_key_and_reaches_nothing() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        for _ in range(2):
            status, headers, body = await caller.ask(
                "Origin: http://localhost:3000", method="OPTIONS", body=b""
            )
            assert (status, body) == (204, b"")
            assert headers["access-control-allow-origin"] == "http://localhost:3000"
            assert "content-length" not in headers
        assert rooms.gateway.recorder.settled == []

    tell(with_key, story)


def test_every_answer_carries_the_callers_own_request_id_when_it_is_sane() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        for given, kept in (("my-id.1", True), ("a b", False), ("x" * 200, False)):
            _, headers, _ = await caller.ask(f"X-Request-Id: {given}")
            assert (headers["x-request-id"] == given) is kept
            assert kept or headers["x-request-id"].startswith("req_")

    tell(Rooms, story)


def test_a_stream_carries_them_too() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        rooms.gateway.how = "stream"
        status, headers, body = await caller.ask(path="/v1/messages")
        assert status == 200
        assert headers["request-id"] == headers["x-request-id"]
        assert headers["vary"] == "origin"
        assert body.count(b"data: ") == 3

    tell(Rooms, story)


def test_the_log_knows_the_callers_product() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        await caller.ask("User-Agent: OpenAI/Python 1.99 (more)")
        await caller.ask("User-Agent: curl/8", "X-Pi-Model-Proxy-Client: my-tool/2")
        assert [entry.client for entry in rooms.gateway.recorder.settled] == ["OpenAI/Python", "my-tool/2"]

    tell(Rooms, story)


def test_a_bug_costs_one_request_and_not_the_connection() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        rooms.gateway.how = "bug"
        status, headers, body = await caller.ask()
        assert status == 500
        assert "ZeroDivisionError" in json.loads(body)["error"]["message"]
        assert headers["x-pi-model-proxy-error"] == "proxy_internal_error"
        rooms.gateway.how = "plain"
        assert (await caller.ask())[0] == 200

    tell(Rooms, story)


def test_an_error_after_the_beginning_ends_the_answer_and_tells_nothing_more() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        rooms.gateway.how = "fails late"
        status, _, body = await caller.ask()
        assert (status, body) == (200, b"9\r\ndata: 1\n\n\r\n0\r\n\r\n")
        (entry,) = rooms.gateway.recorder.settled
        assert (entry.status, entry.error) == (200, "too late to be told")

    tell(Rooms, story)


@pytest.mark.parametrize(("how", "status"), [("silent", 499), ("begun", 200)])
def test_who_leaves_is_logged_as_the_one_who_ended_it(how: str, status: int) -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        rooms.gateway.how = how
        caller.writer.write(ask())
        await rooms.gateway.entered.wait()
        if how == "begun":
            await caller.reader.readuntil(b"data: 1")
        caller.writer.transport.abort()
        while not rooms.gateway.recorder.settled:
            await asyncio.sleep(0.005)
        (entry,) = rooms.gateway.recorder.settled
        assert (entry.status, entry.ended_by) == (status, "client")
        assert rooms.state.active == 0

    tell(Rooms, story)


def test_a_stopping_process_says_so_to_those_who_wait_longest() -> None:
    async def run() -> None:
        rooms = Rooms()
        rooms.gateway.how = "silent"
        async with rooms.serving() as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", rooms.port)
            writer.write(ask())
            await rooms.gateway.entered.wait()
            await server.drain(0.01)
            status, headers, body = await Caller(reader, writer).hear()
            assert (status, headers["connection"], headers["retry-after"]) == (503, "close", "1")
            assert json.loads(body)["error"]["code"] == "not_ready"
            (entry,) = rooms.gateway.recorder.settled
            assert entry.ended_by == "shutdown"
            writer.close()

    asyncio.run(run())


def test_debug_tells_of_each_request_but_not_of_probes() -> None:
    async def story(rooms: Rooms, caller: Caller) -> None:
        await caller.ask()
        await caller.ask(path="/livez", method="GET", body=b"")
        assert len(rooms.told) == 1
        assert rooms.told[0].startswith("200 in ")

    tell(lambda: Rooms(log_level="debug"), story)


@pytest.mark.parametrize("how", ["plain", "stream"])
def test_requests_leave_nothing_for_the_garbage_collector(how: str) -> None:
    """It runs rarely here, and would hold up every stream when it does."""

    async def story(rooms: Rooms, caller: Caller) -> None:
        rooms.gateway.how = how
        for _ in range(3):
            await caller.ask()
        rooms.gateway.calls.clear()
        gc.collect()
        gc.disable()
        try:
            for number in range(100):
                assert (await caller.ask(f"X-Request-Id: r{number}"))[0] == 200
                assert (await caller.ask())[0] == 200
            assert gc.collect() < 100
        finally:
            gc.enable()

    tell(Rooms, story)
