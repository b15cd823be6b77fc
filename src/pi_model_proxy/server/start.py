"""From settings to a running process, or to several of them: the port, the event loop, the exit status."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Final

from pi_model_proxy.config import Environment, Settings, SettingsWatcher
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.server.build import House, MoreSources, open_log_file
from pi_model_proxy.server.crew import KERNEL_DEALS, Crew, serve_with_workers
from pi_model_proxy.server.port import PortError, bind
from pi_model_proxy.server.run import Announcement, Server
from pi_model_proxy.sources import Problem

__all__ = ["serve"]

EXIT_FAILED: Final = 1


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
        sock = _take_port(settings)
    except PortError as error:
        complain(
            Problem(
                where=f"{settings.host}:{settings.port}", what=str(error), fix=error.fix, severity="error"
            )
        )
        return EXIT_FAILED

    def work(listening: socket.socket, crew: Crew | None) -> int:
        speaks = crew is None or crew.is_spokesman
        tell = complain if speaks else _say_nothing
        say = announce if speaks and (crew is None or crew.is_first) else _say_nothing
        house = House(lambda: watcher.current, environment, tell, more_sources, crew)
        return _run(Server(listening, watcher, house, crew), say, tell)

    try:
        if settings.workers == 1:
            return work(sock, None)
        return serve_with_workers(
            settings.workers,
            sock,
            work,
            log=open_log_file(lambda: watcher.current, complain),
            tell=lambda text: complain(Problem(where="workers", what=text, severity="warning")),
        )
    finally:
        sock.close()


def _take_port(settings: Settings) -> socket.socket:
    """Return a socket on the port; one that only keeps it, when workers are to share it.

    Raises:
        PortError: somebody has it.
    """
    sock = bind(settings.host, settings.port)
    if settings.workers == 1 or not KERNEL_DEALS:
        return sock
    # Nobody had it. A shared port could be taken although another gateway of this user's shares it already.
    port = sock.getsockname()[1]
    sock.close()
    return bind(settings.host, port, shared=True, listens=False)


def _say_nothing(_: object) -> None:
    """Another worker tells the user the same."""


def _run(
    server: Server, announce: Callable[[Announcement], None], complain: Callable[[Problem], None]
) -> int:
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(server.run(announce, complain))
    except CredentialError as error:
        complain(Problem(where="start", what=error.message, severity="error"))
        return EXIT_FAILED
    return 0


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop  # noqa: PLC0415 - where there is none, asyncio's own loop serves
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
