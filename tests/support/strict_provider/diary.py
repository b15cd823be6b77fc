"""What arrived, and what became of it; written by the server's thread, read by the test's."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from support.strict_provider.glimpse import Dialect
from support.strict_provider.rulebook import Verdict

__all__ = ["Arrival", "Diary"]

MAX_ARRIVALS: Final = 50_000
"""Older arrivals are forgotten."""

PATIENCE_S: Final = 5.0


@dataclass(slots=True, kw_only=True)
class Arrival:
    """One request and its fate. Times are seconds since it arrived."""

    number: int
    connection: int
    """Number of the connection it came on, from 1."""
    method: str
    target: str
    """As it stood in the request line."""
    headers: tuple[tuple[str, str], ...]
    """Lower-case names, in order, repeated ones included."""
    raw: bytes
    """The body, byte for byte."""
    at: float
    """Monotonic seconds at which the body was complete."""
    body: Any = None
    """The body as JSON; None when it is not JSON."""
    dialect: Dialect | None = None
    verdict: Verdict | None = None
    """The rule that refused it, if one did."""
    told: str = ""
    """What answered: a script's or fault's name, `refused`, `models`, …"""
    status: int | None = None
    """Status sent; None before the head, or when there never was one."""
    holding: str = ""
    """The gate at which the answer waits."""
    bytes_sent: int = 0
    finished_after_s: float | None = None
    """When the last step of the answer was done; None if the peer left before."""
    peer_left_after_s: float | None = None
    """When the peer closed the connection, during the answer or later."""

    @property
    def path(self) -> str:
        """The path without its query, also of an absolute target."""
        _, _, rest = self.target.rpartition("://")
        plain = rest if rest == self.target else "/" + rest.partition("/")[2]
        return plain.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def header(self, name: str) -> str | None:
        """Return the first header of this name, any case."""
        return next((value for found, value in self.headers if found == name.lower()), None)

    @property
    def aborted(self) -> bool:
        """Whether the peer left before the answer was done."""
        return self.peer_left_after_s is not None and self.finished_after_s is None


class Diary:
    """Every arrival in order, with ways to wait for what has not happened yet."""

    def __init__(self, watch: Callable[[Arrival], None] | None = None) -> None:
        self._watch = watch
        self._arrivals: deque[Arrival] = deque(maxlen=MAX_ARRIVALS)
        self._changed = threading.Condition()
        self._count = 0

    def add(self, **facts: Any) -> Arrival:
        """Write down a new arrival."""
        with self._changed:
            self._count += 1
            arrival = Arrival(number=self._count, **facts)
            self._arrivals.append(arrival)
            self._changed.notify_all()
            return arrival

    def note(self, arrival: Arrival, **facts: Any) -> None:
        """Write down what became of an arrival, and wake who waits."""
        with self._changed:
            for name, value in facts.items():
                setattr(arrival, name, value)
            self._changed.notify_all()
        if self._watch is not None:
            self._watch(arrival)

    def arrivals(self, dialect: Dialect | None = None) -> list[Arrival]:
        """Return the arrivals so far (of one dialect), oldest first."""
        with self._changed:
            return [arrival for arrival in self._arrivals if dialect in {None, arrival.dialect}]

    def last(self) -> Arrival:
        """Return the newest arrival.

        Raises:
            LookupError: nothing has arrived yet.
        """
        arrivals = self.arrivals()
        if not arrivals:
            raise LookupError("nothing has arrived at the strict provider")
        return arrivals[-1]

    def refusals(self) -> list[Arrival]:
        """Return the arrivals that broke a rule."""
        return [arrival for arrival in self.arrivals() if arrival.verdict is not None]

    def clear(self) -> None:
        """Forget every arrival."""
        with self._changed:
            self._arrivals.clear()

    def wait_for(self, happened: Callable[[Diary], bool], timeout_s: float = PATIENCE_S) -> None:
        """Wait until `happened(self)` holds; it is asked again whenever something is written down.

        Raises:
            TimeoutError: it did not happen in `timeout_s` seconds.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not happened(self):
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    break
            if not happened(self):
                told = [(arrival.path, arrival.told, arrival.status) for arrival in self._arrivals]
                raise TimeoutError(f"waited {timeout_s} s in vain; arrived so far: {told[-10:]}")

    def wait_for_arrivals(self, count: int, timeout_s: float = PATIENCE_S) -> list[Arrival]:
        """Wait until `count` requests have arrived, and return all."""
        self.wait_for(lambda diary: len(diary.arrivals()) >= count, timeout_s)
        return self.arrivals()

    def wait_until_left(self, arrival: Arrival, timeout_s: float = PATIENCE_S) -> float:
        """Wait until the peer has closed the arrival's connection; return the seconds since it arrived."""
        self.wait_for(lambda _: arrival.peer_left_after_s is not None, timeout_s)
        return arrival.peer_left_after_s or 0.0

    def wait_until_held(self, gate: str, timeout_s: float = PATIENCE_S) -> Arrival:
        """Wait until an answer stands at a gate, and return its arrival."""
        self.wait_for(lambda diary: any(arrival.holding == gate for arrival in diary.arrivals()), timeout_s)
        return next(arrival for arrival in self.arrivals() if arrival.holding == gate)
