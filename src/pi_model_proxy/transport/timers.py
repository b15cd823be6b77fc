"""Many deadlines, few timers of the event loop.

Nearly every deadline of a gateway is cancelled long before it is due, and most of them are the same number of
seconds away. Those share one timer: setting and cancelling a deadline is then one entry in a dictionary, which is
in the order of its deadlines because it is in the order of its making.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

__all__ = ["Deadline", "Timers", "timers_of"]

MAX_QUEUES: Final = 64
"""Above this, queues in which nothing waits are forgotten first."""
EARLY_S: Final = 0.001
"""Done this much early rather than late: uvloop's clock stands still for a millisecond."""


class Deadline:
    """One thing to do at a moment, unless it is cancelled before."""

    __slots__ = ("_act", "_queue", "due_s")

    def __init__(self, due_s: float, act: Callable[[], None], queue: _Queue) -> None:
        self.due_s = due_s
        """On the event loop's clock."""
        self._act: Callable[[], None] | None = act
        self._queue = queue

    def cancel(self) -> None:
        """Never do it; may be called at any time, and twice."""
        self._act = None
        self._queue.waiting.pop(self, None)

    def happen(self) -> None:
        """Do it, unless what was due a moment before has cancelled it."""
        act, self._act = self._act, None
        if act is not None:
            act()


class _Queue:
    """Deadlines that were all set for the same number of seconds ahead."""

    __slots__ = ("_loop", "delay_s", "timer", "waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, delay_s: float) -> None:
        self._loop = loop
        self.delay_s = delay_s
        self.waiting: dict[Deadline, None] = {}
        self.timer: asyncio.TimerHandle | None = None

    def add(self, act: Callable[[], None]) -> Deadline:
        due_s = self._loop.time() + self.delay_s
        deadline = Deadline(due_s, act, self)
        self.waiting[deadline] = None
        if self.timer is None:
            self.timer = self._loop.call_at(due_s, self._look)
        return deadline

    def _look(self) -> None:
        """Have done what is due; come again for the oldest of the rest, if there is one."""
        self.timer = None
        limit_s = self._loop.time() + EARLY_S
        due: list[Deadline] = []
        for deadline in self.waiting:
            if deadline.due_s > limit_s:
                self.timer = self._loop.call_at(deadline.due_s, self._look)
                break
            due.append(deadline)
        for deadline in due:
            del self.waiting[deadline]
            # Each in a callback of its own: what one of them raises does not keep the others from being done.
            self._loop.call_soon(deadline.happen)


class Timers:
    """Deadlines of one event loop."""

    __slots__ = ("_loop", "_queues")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queues: dict[float, _Queue] = {}

    def after(self, delay_s: float, act: Callable[[], None]) -> Deadline:
        """Call `act` in `delay_s` seconds, from the event loop, unless the deadline is cancelled before.

        Delays come from settings: there are few different ones, and each keeps a queue.
        """
        queue = self._queues.get(delay_s)
        if queue is None:
            if len(self._queues) >= MAX_QUEUES:
                self._forget_idle()
            queue = self._queues[delay_s] = _Queue(self._loop, delay_s)
        return queue.add(act)

    def _forget_idle(self) -> None:
        for delay_s, queue in list(self._queues.items()):
            if not queue.waiting:
                if queue.timer is not None:
                    queue.timer.cancel()
                del self._queues[delay_s]


_timers: Final[dict[asyncio.AbstractEventLoop, Timers]] = {}


def timers_of(loop: asyncio.AbstractEventLoop) -> Timers:
    """Return the timers of `loop`; always the same ones."""
    timers = _timers.get(loop)
    if timers is None:
        for closed in [known for known in tuple(_timers) if known.is_closed()]:
            _timers.pop(closed, None)
        timers = _timers[loop] = Timers(loop)
    return timers
