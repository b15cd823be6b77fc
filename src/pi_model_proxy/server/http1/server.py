"""What the connections of one server share: the handler, the limits, the clock, the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from pi_model_proxy.server.http1.connection import Connection, Handler, Limits
from pi_model_proxy.server.http1.refusals import Refusal
from pi_model_proxy.transport.timers import Deadline, timers_of

__all__ = ["Http1Server"]

LONGEST_TICK_S: Final = 1.0
"""Limits of time are looked at this often, or four times in the shortest of them: so a request sets no timer."""
CLOSING_S: Final = 1.0
"""How long what has been cut short may take to end."""


class Http1Server:
    """Makes a protocol for each connection: give it to `loop.create_server`."""

    def __init__(
        self,
        handle: Handler,
        *,
        limits: Callable[[], Limits],
        most_connections: Callable[[], int],
        request_id: Callable[[], str],
    ) -> None:
        self.handle = handle
        self.request_id = request_id
        self.limits = limits()
        self.connections: set[Connection] = set()
        self._limits_now = limits
        self._most_connections = most_connections
        self._loop = asyncio.get_running_loop()
        self._tick: Deadline | None = None
        self._is_shut = False
        self._empty = asyncio.Event()

    def __call__(self) -> Connection:
        """Return the protocol of a new connection; the limits of that moment hold for its life."""
        limits = self._limits_now()
        if limits != self.limits:
            self.limits = limits
        return Connection(self, self._loop)

    def entered(self, connection: Connection) -> None:
        """See `House.entered`."""
        self.connections.add(connection)
        if self._tick is None:
            self._set_tick()
        if self._is_shut:
            connection.shut()
        elif len(self.connections) > self._most_connections():
            self._make_room(connection)

    def left(self, connection: Connection) -> None:
        """See `House.left`."""
        self.connections.discard(connection)
        if not self.connections:
            self._empty.set()

    async def drain(self, patience_s: float) -> None:
        """Serve nobody new; return once every answer under way has been sent, or been cut short after `patience_s`."""
        self._is_shut = True
        for connection in tuple(self.connections):
            connection.shut()
        await self._emptied(patience_s)
        for task in self.tasks():
            task.cancel()
        await self._emptied(CLOSING_S)

    async def _emptied(self, patience_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience_s):
                while self.connections:
                    self._empty.clear()
                    await self._empty.wait()

    def tasks(self) -> set[asyncio.Task[None]]:
        """Return what is answering right now."""
        return {connection.task for connection in self.connections if connection.task is not None}

    async def close(self) -> None:
        """Drop every connection, and wait for those who were answering."""
        if self._tick is not None:
            self._tick.cancel()
            self._tick = None
        tasks = self.tasks()
        for connection in tuple(self.connections):
            connection.abort()
        await self._emptied(CLOSING_S)
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_S)

    def _make_room(self, newcomer: Connection) -> None:
        """Close the connection that has asked for nothing for longest: idle ones must not keep others out."""
        idle = [other for other in self.connections if other.is_idle and other is not newcomer]
        if idle:
            min(idle, key=_heard_s).close()
        else:
            newcomer.refuse_entry(
                Refusal(503, "Every connection is in use (maxConnections); try again in a second.")
            )

    def _set_tick(self) -> None:
        limits = self.limits
        times = (limits.head_s, limits.body_s, limits.keep_alive_s, limits.write_s)
        tick_s = min(LONGEST_TICK_S, min(each for each in times if each) / 4)
        self._tick = timers_of(self._loop).after(tick_s, self._look)

    def _look(self) -> None:
        self._tick = None
        now_s = self._loop.time()
        for connection in tuple(self.connections):
            connection.look(now_s)
        if self.connections:
            self._set_tick()


def _heard_s(connection: Connection) -> float:
    return connection.heard_s
