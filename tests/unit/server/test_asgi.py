"""The application as an ASGI one: what it asks of the server that carries it, and what it sends."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from pi_model_proxy.server import asgi
from pi_model_proxy.server.asgi import serve_scope
from unit.server.rooms import Rooms

Message = MutableMapping[str, Any]


def scope(*headers: tuple[bytes, bytes], method: str = "POST", path: str = "/v1/chat/completions") -> Message:
    given = [(b"host", b"localhost"), (b"content-type", b"application/json"), *headers]
    return {"type": "http", "method": method, "path": path, "query_string": b"", "headers": given}


def part(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Server:
    """An ASGI server's two functions; `inbox` ends with silence."""

    def __init__(self, *inbox: Message) -> None:
        self.inbox: asyncio.Queue[Message] = asyncio.Queue()
        for message in inbox:
            self.inbox.put_nowait(message)
        self.sent: list[Message] = []

    async def send(self, message: Message) -> None:
        await asyncio.sleep(0)
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])


async def ask(rooms: Rooms, server: Server, asked: Message) -> None:
    async with asyncio.timeout(10):
        await serve_scope(rooms.app.serve, asked, server.inbox.get, server.send)


def test_a_body_in_parts_is_one_body_and_the_answer_has_its_length() -> None:
    async def story() -> None:
        rooms, server = Rooms(), Server(part(b'{"a"', more=True), part(b":1}"))
        await ask(rooms, server, scope((b"content-length", b"7")))
        assert rooms.gateway.calls[0].body == b'{"a":1}'
        assert "content-length" not in rooms.gateway.calls[0].headers
        assert (server.status, server.body) == (200, b'{"ok":true}')
        assert server.headers[b"content-length"] == b"11"
        assert server.headers[b"x-request-id"].startswith(b"req_")
        assert not server.sent[-1]["more_body"]

    asyncio.run(story())


def test_a_stream_leaves_piece_by_piece() -> None:
    async def story() -> None:
        rooms, server = Rooms(), Server(part(b"{}"))
        rooms.gateway.how = "stream"
        await ask(rooms, server, scope())
        assert [message.get("body") for message in server.sent] == [
            None,
            b"data: 0\n\n",
            b"data: 1\n\n",
            b"data: 2\n\n",
            b"",
        ]

    asyncio.run(story())


def test_a_caller_that_leaves_ends_its_answer() -> None:
    async def story() -> None:
        rooms, server = Rooms(), Server(part(b"{}"))
        rooms.gateway.how = "silent"
        asking = asyncio.get_running_loop().create_task(ask(rooms, server, scope()))
        await rooms.gateway.entered.wait()
        server.inbox.put_nowait({"type": "http.disconnect"})
        await asking
        (entry,) = rooms.gateway.recorder.settled
        assert (entry.status, entry.ended_by) == (499, "client")
        assert entry.latency_ms < 1000
        assert server.sent == []

    asyncio.run(story())


def test_a_caller_that_leaves_in_mid_body_is_not_answered() -> None:
    async def story() -> None:
        rooms, server = Rooms(), Server(part(b"{", more=True), {"type": "http.disconnect"})
        await ask(rooms, server, scope())
        assert server.sent == []
        assert rooms.gateway.recorder.settled[0].ended_by == "client"

    asyncio.run(story())


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_beyond_the_limit_is_refused_and_read_on_before_the_answers_end(announced: bool) -> None:
    async def story() -> None:
        rooms = Rooms(max_body_bytes=2000)
        server = Server(*[part(b"x" * 1000, more=True)] * 9, part(b"x" * 1000))
        length = [(b"content-length", b"10000")] if announced else []
        await ask(rooms, server, scope(*length))
        assert server.status == 413
        assert server.headers[b"connection"] == b"close"
        assert server.inbox.empty()
        assert rooms.gateway.calls == []

    asyncio.run(story())


def test_a_body_that_stops_is_told_so(monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        monkeypatch.setattr(asgi, "BODY_IDLE_S", 0.05)
        server = Server(part(b"{", more=True))
        await ask(Rooms(), server, scope())
        assert server.status == 408
        assert server.headers[b"connection"] == b"close"

    asyncio.run(story())


def test_two_hosts_are_none() -> None:
    async def story() -> None:
        server = Server(part(b"{}"))
        await ask(Rooms(), server, scope((b"host", b"localhost")))
        assert server.status == 400

    asyncio.run(story())


def test_a_get_asks_for_no_body() -> None:
    async def story() -> None:
        server = Server()
        await ask(Rooms(), server, scope(method="GET", path="/livez"))
        assert (server.status, server.body) == (200, b'{"status":"ok"}')

    asyncio.run(story())
