"""The process around the application: port, loop, signals, draining."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from pi_model_proxy.config import CHECK_INTERVAL_S, Environment, Settings, SettingsWatcher
from pi_model_proxy.credentials import release_held_locks
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.gateway import Listing
from pi_model_proxy.server.app import App
from pi_model_proxy.server.build import House, MoreSources
from pi_model_proxy.server.port import PortError, bind
from pi_model_proxy.server.protocol import Connections, protocol_factory
from pi_model_proxy.sources import Problem

__all__ = ["DRAIN_S", "Announcement", "serve"]

DRAIN_S: Final = 15.0
"""How long running answers may take after the first signal."""
MOST_DESCRIPTORS: Final = 65_536
"""As many as are asked for; the usual soft limit of 1,024 is too few for 1,000 streams of two sockets each."""
EXIT_FAILED: Final = 1
EXIT_NOW: Final = 130
GC_THRESHOLD: Final = 20_000
"""Young objects before a collection: a request makes a few hundred, nearly all die with it."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What is known once the server serves, for the banner."""

    url: str
    settings: Settings
    listing: Listing
    ready_after_s: float


class _Server:
    """One server from its port to its end."""

    def __init__(self, sock: socket.socket, watcher: SettingsWatcher, house: House) -> None:
        self._sock = sock
        self._watcher = watcher
        self._house = house
        self._connections = Connections()
        self._stop = asyncio.Event()
        self._started_s = time.monotonic()

    async def run(
        self, announce: Callable[[Announcement], None], complain: Callable[[Problem], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_tell(complain))
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # `nohup` ignores SIGHUP, and means it. A script's `&` ignores SIGINT, and does not mean us.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._signalled)
        async with self._house as app:
            host, port = self._sock.getsockname()[:2]
            app.state.gateway.own_addresses = ((host, port),)
            factory = protocol_factory(app, self._connections, _descriptors())
            server = await loop.create_server(factory, sock=self._sock)
            keeper = loop.create_task(self._keep(app, announce, complain))
            try:
                await self._stop.wait()
                app.state.draining = True
                server.close()
                await self._drain()
            finally:
                keeper.cancel()
                with suppress(asyncio.CancelledError):
                    await keeper

    def _signalled(self) -> None:
        if self._stop.is_set():
            # No clean-up will run: a lock of pi's left behind would keep pi waiting for half a minute.
            release_held_locks()
            os._exit(EXIT_NOW)
        self._stop.set()

    async def _keep(
        self, app: App, announce: Callable[[Announcement], None], complain: Callable[[Problem], None]
    ) -> None:
        """Announce once everything has been read, then follow the configuration file."""
        await self._house.pi_files.ready()
        settings = self._watcher.current
        host, port = self._sock.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        announce(
            Announcement(
                url=f"http://{shown}:{port}",
                settings=settings,
                listing=app.state.gateway.listing(),
                ready_after_s=time.monotonic() - self._started_s,
            )
        )
        gc.collect()
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD, 20, 20)
        known = self._watcher.problems
        while True:
            await asyncio.sleep(CHECK_INTERVAL_S)
            if self._watcher.refresh():
                for problem in self._watcher.problems:
                    if problem not in known:
                        complain(problem)
                known = self._watcher.problems

    async def _drain(self) -> None:
        """Let running answers end, but not for ever."""
        for connection in list(self._connections.connections):
            connection.shutdown()
        until = time.monotonic() + DRAIN_S
        while self._connections.tasks and time.monotonic() < until:
            await asyncio.wait(set(self._connections.tasks), timeout=until - time.monotonic())
        for task in list(self._connections.tasks):
            task.cancel()
        if self._connections.tasks:
            await asyncio.wait(set(self._connections.tasks), timeout=1)


def _descriptors() -> int:
    """Return how many descriptors this process may open, after asking for enough."""
    soft, hard = (
        MOST_DESCRIPTORS if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    wanted = min(hard, MOST_DESCRIPTORS)
    if soft >= wanted:
        return soft
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    except (OSError, ValueError):
        return soft
    return wanted


def _tell(
    complain: Callable[[Problem], None],
) -> Callable[[asyncio.AbstractEventLoop, dict[str, Any]], None]:
    """Return what the loop calls for an error outside any request: one line of ours, not a traceback of its own."""

    def handler(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        what = f"{context.get('message', 'an error')} ({type(error).__name__})"
        complain(Problem(where="event loop", what=what, severity="warning"))

    return handler


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - where there is none, asyncio's own loop serves
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def serve(
    watcher: SettingsWatcher,
    environment: Environment,
    *,
    announce: Callable[[Announcement], None],
    complain: Callable[[Problem], None],
    more_sources: MoreSources | None = None,
) -> int:
    """Serve until a signal says stop; return the exit status.

    `announce` is called once, when models can be asked; `complain` whenever something is wrong
    that a user should know (with `logLevel` `debug`, for each request too). The first SIGTERM or SIGINT
    (or SIGHUP: the terminal is gone) drains, a second ends at once.
    """
    # Without any handler Python prints the warnings of libraries on the console.
    logging.getLogger().addHandler(logging.NullHandler())
    settings = watcher.current
    try:
        sock = bind(settings.host, settings.port)
    except PortError as error:
        complain(
            Problem(
                where=f"{settings.host}:{settings.port}", what=str(error), fix=error.fix, severity="error"
            )
        )
        return EXIT_FAILED
    house = House(lambda: watcher.current, environment, complain, more_sources)

    async def run() -> None:
        await _Server(sock, watcher, house).run(announce, complain)

    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run())
    except CredentialError as error:
        complain(Problem(where="start", what=error.message, severity="error"))
        return EXIT_FAILED
    finally:
        sock.close()
    return 0
