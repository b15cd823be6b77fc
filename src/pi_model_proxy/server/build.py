"""Puts the rooms together: configuration, sources, transport, recorder, gateway, application."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Protocol

from pi_model_proxy.config import (
    Environment,
    Inputs,
    Settings,
    SettingsWatcher,
    pi_files_settings,
    read_environment,
    sentence,
)
from pi_model_proxy.gateway import Gateway, Memory, Vault
from pi_model_proxy.ledger import JsonlLog, LogFile, LogSettings
from pi_model_proxy.server.app import App
from pi_model_proxy.server.asgi import Receive, Scope, Send, serve_scope
from pi_model_proxy.server.crew import Crew
from pi_model_proxy.server.state import ServerState
from pi_model_proxy.sources import (
    CatalogFetcher,
    LocalServers,
    LocalSettings,
    ModelSource,
    PiFiles,
    PiSide,
    Problem,
    fetch_with,
)
from pi_model_proxy.storage import Database, ResponseStore, StoreLimits, ThoughtStore
from pi_model_proxy.transport.http1 import Http1Transport

__all__ = ["House", "MoreSources", "MountedApp", "create_app", "open_log_file"]


class MoreSources(Protocol):
    """Opens further model sources for the life of the server (the demo models, say)."""

    async def __call__(self, stack: AsyncExitStack) -> Sequence[ModelSource]:
        """Return the sources; what they need is entered on `stack`."""
        ...


class House:
    """Everything one server owns; enter it to start, leave it to stop."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        environment: Environment,
        complain: Callable[[Problem], None],
        more_sources: MoreSources | None = None,
        crew: Crew | None = None,
    ) -> None:
        self._settings = settings
        self._crew = crew
        self._environment = environment
        self._complain = complain
        self._more_sources = more_sources
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> App:
        """Start every room; model endpoints answer 503 until the files have been read."""
        settings = self._settings()
        ca_file = str(settings.ca_file) if settings.ca_file else None
        transport = Http1Transport(self._environment, ca_file=ca_file)
        self._stack.push_async_callback(transport.close)
        crew = self._crew
        log = open_log_file(self._settings, self._complain) if crew is None else crew.log
        recorder = JsonlLog(log)
        self._stack.callback(recorder.close)
        self.pi_files = PiFiles(pi_files_settings(self._settings(), self._environment), post=transport.post)
        self._stack.push_async_callback(self.pi_files.close)
        await self.pi_files.start()
        local = LocalServers(
            LocalSettings(
                environment=self._environment,
                discovers=lambda: self._settings().discover_local,
                own_port=settings.port,
            ),
            post=transport.post,
            pi=lambda: self.pi_files.snapshot,
            stored=self.pi_files.stored_key,
        )
        self._stack.push_async_callback(local.close)
        await local.start()
        offline = "PI_OFFLINE" in self._environment
        lists = CatalogFetcher(
            fetch_with(transport),
            PiSide(
                snapshot=lambda: self.pi_files.snapshot,
                lease=self.pi_files.lease,
                take=self.pi_files.take_lists,
            ),
            wanted=lambda: not offline and self._settings().refresh_catalog,
        )
        self._stack.push_async_callback(lists.close)
        await lists.start()
        more = await self._more_sources(self._stack) if self._more_sources else ()
        gateway = Gateway(
            settings=self._current,
            sources=(self.pi_files, *more, local),
            transport=transport,
            recorder=recorder,
            instance=crew.instance if crew is not None else None,
        )
        self._last = settings
        state = ServerState(gateway, self._current, tell=self._complain)
        database = open_database(self._settings, self._complain)
        self._stack.callback(database.close)

        def limits() -> StoreLimits:
            return store_limits(self._settings())

        state.memory = Memory(
            gateway, ResponseStore(database, limits), lambda: self._settings().max_body_bytes
        )
        gateway.vault = Vault(ThoughtStore(database, limits), lambda: self._settings().keep_thinking)
        if crew is not None:
            state.board, state.window = crew.board, crew.window
        return App(state)

    async def __aexit__(self, *_: object) -> None:
        """Finish what has begun (a token refresh, log lines) and close everything."""
        await self._stack.aclose()

    def _current(self) -> Settings:
        """Return the settings in force, handing changes on to whoever keeps a copy."""
        settings = self._settings()
        if settings is not self._last:
            self._last = settings
            self.pi_files.configure(pi_files_settings(self._settings(), self._environment))
        return settings


def open_log_file(settings: Callable[[], Settings], complain: Callable[[Problem], None]) -> LogFile:
    """Return the request log's file, wherever the settings of the moment say that it is."""

    def where() -> LogSettings:
        now = settings()
        return LogSettings(path=now.log_path, max_bytes=now.log_max_bytes, keep=now.log_keep)

    def complain_of_it(text: str) -> None:
        complain(Problem(where=str(settings().log_path), what=text, fix="see logPath", severity="warning"))

    return LogFile(where, complain_of_it)


def open_database(settings: Callable[[], Settings], complain: Callable[[Problem], None]) -> Database:
    """Return the database, wherever the settings of the moment say that it is; nothing is opened yet."""

    def complain_of_it(text: str) -> None:
        complain(Problem(where=str(settings().db_path), what=text, fix="see dbPath", severity="warning"))

    return Database(lambda: settings().db_path, complain_of_it)


def store_limits(settings: Settings) -> StoreLimits:
    """Return how much may be kept."""
    return StoreLimits(
        max_responses=settings.store_max_responses,
        max_bytes=settings.store_max_bytes,
        max_age_s=settings.store_max_age_hours * 3600,
    )


class MountedApp:
    """The gateway as an ASGI application inside another one; starts at the lifespan, else at the first request."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._app: App | None = None
        self._starting = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        app = await self._started()
        # A mounting application leaves its own prefix in root_path.
        prefix = scope.get("root_path", "")
        if prefix and scope["path"].startswith(prefix):
            scope = {**scope, "path": scope["path"][len(prefix) :] or "/"}
        await serve_scope(app.serve, scope, receive, send)

    async def _started(self) -> App:
        async with self._starting:
            if self._app is None:
                self._app = await self._house.__aenter__()
            return self._app

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._started()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._house.__aexit__()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(
    flags: Mapping[str, str | bool] | None = None,
    *,
    config_file: str | None = None,
    more_sources: MoreSources | None = None,
) -> MountedApp:
    """Return the gateway as an ASGI application to mount.

    Args:
        flags: settings by their Python names, as the command line would give them (`{"strict": True}`).
        config_file: another file than `~/.pi/model-proxy.json`.
        more_sources: opens model sources beside pi's files (`pi_model_proxy.demo.open_demo`, say).

    Raises:
        ConfigError: the settings cannot be used.
    """
    environment = read_environment()
    watcher = SettingsWatcher(Inputs(environment=environment, flags=flags or {}, config_file=config_file))

    def current() -> Settings:
        watcher.refresh()
        return watcher.current

    def complain(problem: Problem) -> None:
        sys.stderr.write(f"pi-model-proxy: {problem.severity}: {sentence(problem)}\n")

    return MountedApp(House(current, environment, complain, more_sources))
