"""Several workers on one port: what they share, and how one of them begins."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from typing import Final

import msgspec

from pi_model_proxy.ledger import HandOver, LineSink
from pi_model_proxy.server.board import Board, SharedWindow
from pi_model_proxy.server.port import bind
from pi_model_proxy.server.supervisor import Supervisor

__all__ = ["Crew", "serve_with_workers"]

KERNEL_DEALS: Final = sys.platform == "linux"
"""Whether the kernel spreads connections over sockets that share a port; elsewhere all workers accept from one."""


class Crew(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker has in common with the others."""

    log: LineSink
    board: Board
    window: SharedWindow
    instance: str
    """Under which name all of them mark requests, so that a loop through another worker is one."""
    supervisor: socket.socket
    """Its end means that the supervisor has gone."""
    is_spokesman: bool
    """Whether this one tells the user what every worker sees."""
    is_first: bool
    """Whether nobody had its place before: it announces itself."""

    @property
    def listens_unready(self) -> bool:
        """Whether it takes connections before it can answer for models.

        One does, so that `/health` answers from the first moment. The others wait until it is ready too: a caller that
        had heard "ready" from one worker could be told "not ready" by another.
        """
        return self.is_spokesman and self.is_first


def serve_with_workers(
    count: int,
    sock: socket.socket,
    work: Callable[[socket.socket, Crew], int],
    *,
    log: LineSink,
    tell: Callable[[str], None],
) -> int:
    """Serve on `sock` with `count` processes; return the exit status.

    `work(listening socket, crew)` runs in each worker. `sock` is bound already and, where the kernel deals
    connections out, does not listen: it keeps the port while workers come and go.
    """
    host, port = sock.getsockname()[:2]
    board, window = Board(count), SharedWindow()
    instance = os.urandom(8).hex()

    def begin(index: int, link: socket.socket, is_first: bool) -> int:  # noqa: FBT001 - the supervisor's call
        window.attach()
        listening = bind(host, port, shared=True, listens=False) if KERNEL_DEALS else sock
        crew = Crew(
            log=HandOver(link),
            board=board,
            window=window,
            instance=instance,
            supervisor=link,
            is_spokesman=index == 0,
            is_first=is_first,
        )
        return work(listening, crew)

    try:
        return Supervisor(count, begin, board=board, log=log, tell=tell).run()
    finally:
        window.remove()
