"""One server from its port to its end: connections, signals, draining."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import msgspec

from pi_model_proxy.config import CHECK_INTERVAL_S, Settings, SettingsWatcher
from pi_model_proxy.credentials import release_held_locks
from pi_model_proxy.gateway import Listing
from pi_model_proxy.server.app import App
from pi_model_proxy.server.build import House
from pi_model_proxy.server.crew import Crew
from pi_model_proxy.server.http1 import Http1Server, Limits
from pi_model_proxy.server.port import BACKLOG
from pi_model_proxy.sources import Problem

__all__ = ["DRAIN_S", "Announcement", "Server"]

DRAIN_S: Final = 15.0
"""How long running answers may take after the first signal."""
MOST_DESCRIPTORS: Final = 65_536
"""As many as are asked for; the usual soft limit of 1,024 is too few for 1,000 streams of two sockets each."""
DESCRIPTORS_KEPT: Final = 32
"""Descriptors that are not for callers: listener, log, files being read, commands."""
EXIT_NOW: Final = 130
OPENING_POLL_S: Final = 0.01
GC_THRESHOLD: Final = 20_000
"""Young objects before a collection: a request makes a few hundred, nearly all die with it."""


class Announcement(msgspec.Struct, frozen=True, kw_only=True):
    """What is known once the server serves, for the banner."""

    url: str
    settings: Settings
    listing: Listing
    ready_after_s: float


class Server:
    """One server from its port to its end."""

    def __init__(
        self, sock: socket.socket, watcher: SettingsWatcher, house: House, crew: Crew | None = None
    ) -> None:
        self._sock = sock
        self._crew = crew
        self._watcher = watcher
        self._house = house
        self._stop = asyncio.Event()
        self._started_s = time.monotonic()

    async def run(
        self, announce: Callable[[Announcement], None], complain: Callable[[Problem], None]
    ) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_tell(complain))
        self._heed_signals(loop)
        if self._crew is not None:
            loop.add_reader(self._crew.supervisor.fileno(), self._orphaned)
        async with self._house as app:
            host, port = self._sock.getsockname()[:2]
            app.state.gateway.own_addresses = ((host, port),)
            connections = self._connections(app)
            if self._crew is not None and not self._crew.listens_unready:
                await self._house.pi_files.ready()
                while not (self._crew.board.is_open or self._stop.is_set()):  # noqa: ASYNC110 - another process opens
                    await asyncio.sleep(OPENING_POLL_S)
            server = await loop.create_server(connections, sock=self._sock, backlog=BACKLOG)
            keeper = loop.create_task(self._keep(app, announce, complain))
            try:
                await self._stop.wait()
                app.state.draining = True
                server.close()
                await connections.drain(DRAIN_S)
            finally:
                await connections.close()
                keeper.cancel()
                with suppress(asyncio.CancelledError):
                    await keeper

    def _heed_signals(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._crew is not None:
            # A terminal signals every process; the supervisor passes on what it hears, once.
            loop.add_signal_handler(signal.SIGTERM, self._signalled)
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            return
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            # `nohup` ignores SIGHUP, and means it. A script's `&` ignores SIGINT, and does not mean us.
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                loop.add_signal_handler(number, self._signalled)

    def _orphaned(self) -> None:
        """The supervisor has gone; so do we, after what is running."""
        if self._crew is not None:
            asyncio.get_running_loop().remove_reader(self._crew.supervisor.fileno())
        self._stop.set()

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
        if self._crew is not None:
            self._crew.board.open()
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

    def _connections(self, app: App) -> Http1Server:
        descriptors = max(1, (_descriptors() - DESCRIPTORS_KEPT) // 2)
        ids = app.state.gateway.ids
        return Http1Server(
            app.serve,
            limits=lambda: limits_of(self._watcher.current),
            most_connections=lambda: self._watcher.current.max_connections or descriptors,
            request_id=lambda: f"req_{ids.hex(12)}",
        )


def limits_of(settings: Settings) -> Limits:
    """Return what a connection must be told of the settings."""
    return Limits(
        max_head_bytes=settings.max_header_bytes,
        head_s=settings.header_timeout_ms / 1000,
        body_s=settings.body_timeout_ms / 1000,
        keep_alive_s=settings.keep_alive_timeout_ms / 1000,
        write_s=settings.write_timeout_ms / 1000,
    )


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
