"""The application before a gateway that only keeps a diary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from pi_model_proxy.config import Settings
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.gateway import Call, Caller, Gateway, IdSource
from pi_model_proxy.ledger import Entry
from pi_model_proxy.server.app import App
from pi_model_proxy.server.http1 import Http1Server, Limits
from pi_model_proxy.server.state import ServerState


class Recorder:
    """Keeps what has been settled."""

    def __init__(self) -> None:
        self.begun: list[Entry] = []
        self.settled: list[Entry] = []

    def begin(self, entry: Entry) -> None:
        self.begun.append(entry)

    def settle(self, entry: Entry) -> None:
        self.settled.append(entry)


class Snapshot:
    loaded = True


class Source:
    def __init__(self) -> None:
        self.snapshot = Snapshot()


class FakeGateway:
    """Answers every request in the way `how` says."""

    def __init__(self) -> None:
        self.ids = IdSource()
        self.recorder = Recorder()
        self.sources = (Source(),)
        self.calls: list[Call] = []
        self.how = "plain"
        self.entered = asyncio.Event()

    async def answer(self, dialect: str, call: Call, caller: Caller, entry: Entry) -> None:
        entry.dialect = dialect
        self.calls.append(call)
        self.entered.set()
        match self.how:
            case "plain":
                caller.answer(200, b'{"ok":true}', {"content-type": "application/json"})
            case "silent":
                await asyncio.Event().wait()
            case "begun":
                caller.start(200, {"content-type": "text/event-stream"})
                caller.write(b"data: 1\n\n")
                await asyncio.Event().wait()
            case "stream":
                caller.start(200, {"content-type": "text/event-stream"})
                for number in range(3):
                    caller.write(b"data: %d\n\n" % number)
                    if caller.congested:
                        await caller.drain()
                caller.write(b"", last=True)
            case "fails late":
                caller.start(200, {})
                caller.write(b"data: 1\n\n")
                raise GatewayError("too late to be told")
            case _:
                raise ZeroDivisionError

    def note_error(self, entry: Entry, error: GatewayError) -> None:
        entry.error = error.message


class Rooms:
    """An application with settings that may change."""

    def __init__(self, **settings: Any) -> None:
        self.gateway = FakeGateway()
        self.settings = Settings(log_path=Path("/nowhere/log"), agent_dir=Path("/nowhere"), **settings)
        self.told: list[str] = []
        self.state = ServerState(
            cast("Gateway", self.gateway),
            lambda: self.settings,
            tell=lambda problem: self.told.append(problem.what),
        )
        self.app = App(self.state)
        self.port = 0

    def change(self, **settings: Any) -> None:
        self.settings = msgspec.structs.replace(self.settings, **settings)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Http1Server]:
        server = Http1Server(
            self.app.serve, limits=Limits, most_connections=lambda: 100, request_id=lambda: "req_test"
        )
        listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0)
        self.port = listener.sockets[0].getsockname()[1]
        try:
            yield server
        finally:
            listener.close()
            await server.close()


def ask(
    *headers: str, path: str = "/v1/chat/completions", body: bytes = b"{}", method: str = "POST"
) -> bytes:
    lines = "".join(f"{line}\r\n" for line in headers)
    named = "" if any(line.lower().startswith("host:") for line in headers) else "Host: localhost\r\n"
    typed = (
        ""
        if any(line.lower().startswith("content-type:") for line in headers)
        else "Content-Type: application/json\r\n"
    )
    length = f"Content-Length: {len(body)}\r\n"
    return f"{method} {path} HTTP/1.1\r\n{named}{typed}{lines}{length}\r\n".encode() + body
