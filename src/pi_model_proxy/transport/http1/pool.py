"""Idle connections, the latest used first."""

from __future__ import annotations

import asyncio
from typing import Final

from pi_model_proxy.transport.http1.connection import Connection

__all__ = ["IDLE_CONNECTION_S", "MAX_IDLE_PER_PLACE", "Pool"]

IDLE_CONNECTION_S: Final = 30.0
"""Providers and load balancers close idle connections after 60 s or more; we do so first."""
MAX_IDLE_PER_PLACE: Final = 256


class Pool:
    """Keeps idle connections for `IDLE_CONNECTION_S`, at most `MAX_IDLE_PER_PLACE` to one place."""

    def __init__(self) -> None:
        self._idle: dict[str, list[Connection]] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    def take(self, key: str) -> Connection | None:
        """Return a connection that nothing speaks against, or None."""
        idle = self._idle.get(key)
        while idle:
            connection = idle.pop()
            if connection.is_fresh():
                return connection
            connection.abort()
        return None

    def put(self, connection: Connection) -> None:
        """Keep a connection whose answer has been read to its end."""
        loop = connection.loop
        connection.idle_since_s = loop.time()
        idle = self._idle.get(connection.key)
        if idle is None:
            idle = self._idle[connection.key] = []
        elif len(idle) >= MAX_IDLE_PER_PLACE:
            idle.pop(0).abort()
        idle.append(connection)
        if self._sweeper is None:
            self._sweeper = loop.call_later(IDLE_CONNECTION_S, self._sweep, loop)

    def forget(self, connection: Connection) -> None:
        """Drop a connection that closed while it was idle."""
        idle = self._idle.get(connection.key)
        if idle and connection in idle:
            idle.remove(connection)

    def close(self) -> None:
        """Close every idle connection."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for idle in self._idle.values():
            for connection in idle:
                connection.abort()
        self._idle.clear()

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what has been idle for too long, and come again when the next one will have been."""
        self._sweeper = None
        limit = loop.time() - IDLE_CONNECTION_S
        oldest: list[float] = []
        for key, idle in list(self._idle.items()):
            while idle and idle[0].idle_since_s <= limit:
                idle.pop(0).abort()
            if idle:
                oldest.append(idle[0].idle_since_s)
            else:
                del self._idle[key]
        if oldest:
            self._sweeper = loop.call_at(min(oldest) + IDLE_CONNECTION_S, self._sweep, loop)
