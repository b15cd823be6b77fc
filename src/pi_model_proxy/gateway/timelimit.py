"""A limit on how long a task may take, cheap enough for every request."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

from pi_model_proxy.transport import timers_of

__all__ = ["TimeLimit"]


class TimeLimit:
    """`with TimeLimit(seconds):` raises `TimeoutError` from whatever the task awaits once the time is over.

    The same bargain as `asyncio.timeout`, on the shared timers of `transport.timers`.
    """

    __slots__ = ("_cancelling", "_deadline", "_expired", "_limit_s", "_loop", "_task")

    def __init__(self, limit_s: float, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Limit the current task; `loop`, when it is known, saves asking the system for the process's id."""
        self._loop = asyncio.get_running_loop() if loop is None else loop
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a time limit is for a task")
        self._task = task
        self._limit_s = limit_s
        self._expired = False

    def __enter__(self) -> Self:
        self._cancelling = self._task.cancelling()
        self._deadline = timers_of(self._loop).after(self._limit_s, self._expire)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadline.cancel()
        # Somebody else's cancellation counts for more than ours.
        if (
            self._expired
            and self._task.uncancel() <= self._cancelling
            and isinstance(error, asyncio.CancelledError)
        ):
            raise TimeoutError from error

    def _expire(self) -> None:
        self._expired = True
        self._task.cancel()
