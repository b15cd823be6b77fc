"""When a worker takes its share of the connections."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest

from pi_model_proxy.config import Settings, SettingsWatcher
from pi_model_proxy.ledger import LineSink
from pi_model_proxy.server.app import App
from pi_model_proxy.server.board import Board, SharedWindow
from pi_model_proxy.server.build import House
from pi_model_proxy.server.crew import Crew
from pi_model_proxy.server.port import bind
from pi_model_proxy.server.run import Announcement, Server
from pi_model_proxy.sources import Problem
from unit.server.rooms import Rooms


class SlowFiles:
    """Files of pi's that are read when the test says so."""

    def __init__(self) -> None:
        self.read = asyncio.Event()
        self.waited_for = asyncio.Event()

    async def ready(self) -> None:
        self.waited_for.set()
        await self.read.wait()


class SlowHouse:
    def __init__(self) -> None:
        self.pi_files = SlowFiles()
        self.app = Rooms().app

    async def __aenter__(self) -> App:
        return self.app

    async def __aexit__(self, *_: object) -> None:
        """Nothing was opened."""


class Settled:
    """Settings that stay as they are."""

    current = Settings(log_path=Path("/nowhere/log"), agent_dir=Path("/nowhere"))
    problems: tuple[Problem, ...] = ()


def accepts(sock: socket.socket) -> bool:
    try:
        socket.create_connection(sock.getsockname()[:2], timeout=5).close()
    except ConnectionRefusedError:
        return False
    return True


def unheard(_: Announcement | Problem) -> None:
    """Nobody reads the console here."""


@pytest.fixture
def signals() -> Iterator[None]:
    """A worker ignores the terminal's signals; this process must not, afterwards."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(
    ("is_spokesman", "is_first", "listens"),
    [(True, True, True), (False, True, False), (True, False, False), (False, False, False)],
)
def test_only_the_first_spokesman_takes_connections_before_the_models_are_known(
    is_spokesman: bool,
    is_first: bool,
    listens: bool,
) -> None:
    ours, theirs = socket.socketpair()
    window = SharedWindow()
    crew = Crew(
        log=cast("LineSink", None),
        board=Board(1),
        window=window,
        instance="0" * 16,
        supervisor=theirs,
        is_spokesman=is_spokesman,
        is_first=is_first,
    )

    async def story() -> None:
        house = SlowHouse()
        sock = bind("127.0.0.1", 0, shared=True, listens=False)
        server = Server(sock, cast("SettingsWatcher", Settled()), cast("House", house), crew)
        with ours, theirs, sock:
            running = asyncio.get_running_loop().create_task(server.run(unheard, unheard))
            await house.pi_files.waited_for.wait()
            assert accepts(sock) is listens
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(story())
    window.remove()


class NoCollector:
    """What becomes of the garbage of this process is not a server's business here."""

    def collect(self) -> None: ...

    def freeze(self) -> None: ...

    def set_threshold(self, *_: int) -> None: ...


@pytest.mark.usefixtures("signals")
def test_a_worker_that_is_ready_first_waits_for_the_one_that_listens_already(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pi_model_proxy.server.run.gc", NoCollector())
    ours, theirs = socket.socketpair()
    window, board = SharedWindow(), Board(2)
    crew = Crew(
        log=cast("LineSink", None),
        board=board,
        window=window,
        instance="0" * 16,
        supervisor=theirs,
        is_spokesman=False,
        is_first=True,
    )

    async def story() -> None:
        house = SlowHouse()
        house.pi_files.read.set()
        house.app.state.gateway.listing = lambda: None  # type: ignore[assignment, return-value, method-assign]
        sock = bind("127.0.0.1", 0, shared=True, listens=False)
        server = Server(sock, cast("SettingsWatcher", Settled()), cast("House", house), crew)
        announced = asyncio.Event()
        with ours, theirs, sock:
            running = asyncio.get_running_loop().create_task(server.run(lambda _: announced.set(), unheard))
            await house.pi_files.waited_for.wait()
            for _ in range(10):
                await asyncio.sleep(0)
            assert not accepts(sock)
            board.open()
            await asyncio.wait_for(announced.wait(), 20)
            assert accepts(sock)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running

    asyncio.run(story())
    window.remove()
