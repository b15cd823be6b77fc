"""A sliding window over requests: at most so many in the last minute."""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["WINDOW_S", "SlidingWindow"]

WINDOW_S: Final = 60.0


class SlidingWindow:
    """Counts admissions of the last `WINDOW_S` seconds; memory is bounded by the limit."""

    def __init__(self) -> None:
        self._admitted: deque[float] = deque()

    def admit(self, limit: int, now: float) -> float:
        """Return 0 and count the request, or the seconds until one more would be admitted.

        `limit` is requests a window, 0 for none; `now` is monotonic seconds. A lowered limit holds at once.
        """
        if limit <= 0:
            self._admitted.clear()
            return 0.0
        while self._admitted and self._admitted[0] <= now - WINDOW_S:
            self._admitted.popleft()
        if len(self._admitted) >= limit:
            return max(0.001, self._admitted[len(self._admitted) - limit] + WINDOW_S - now)
        self._admitted.append(now)
        return 0.0
