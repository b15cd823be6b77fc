"""What several workers must know of each other: shared memory made before they are forked.

Each worker writes only its own counters. The window of admissions is shared, under a lock that the kernel
takes back from a worker that dies.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pi_model_proxy.limits import WINDOW_S

__all__ = ["Board", "SharedWindow"]

_COUNTERS: Final = struct.Struct("=qq")
"""Per worker: requests answered, requests being answered."""
_COUNT: Final = struct.Struct("=q")
"""Admissions so far."""
_MOMENT: Final = struct.Struct("=d")


class Board:
    """Counters of every worker; `index` is the one that this process writes."""

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self.index = 0
        self._memory = mmap.mmap(-1, _COUNTERS.size * workers + 1)

    @property
    def is_open(self) -> bool:
        """Whether nobody listens any more who cannot answer for models yet; see `Crew.listens_unready`."""
        return self._memory[-1] != 0

    def open(self) -> None:
        """Say that from now on whoever listens can answer."""
        self._memory[-1] = 1

    def note(self, answered: int, active: int) -> None:
        """Say what this worker has done and does."""
        _COUNTERS.pack_into(self._memory, _COUNTERS.size * self.index, answered, active)

    def forget_active(self, index: int) -> None:
        """A worker has died: what it was answering, it answers no more."""
        answered, _ = _COUNTERS.unpack_from(self._memory, _COUNTERS.size * index)
        _COUNTERS.pack_into(self._memory, _COUNTERS.size * index, answered, 0)

    def totals(self) -> tuple[int, int]:
        """Return requests answered and requests being answered, of all workers together."""
        each = [_COUNTERS.unpack_from(self._memory, _COUNTERS.size * index) for index in range(self.workers)]
        return sum(answered for answered, _ in each), sum(active for _, active in each)


class SharedWindow:
    """A sliding window over the admissions of all workers; see `limits.SlidingWindow`.

    The moments of the last `MAX_LIMIT` admissions are kept in a ring; a higher limit counts as that one.
    """

    MAX_LIMIT: Final = 100_000

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _COUNT.size + _MOMENT.size * self.MAX_LIMIT)
        # Opened by path in each process: a lock belongs to the opening, and forked ones share theirs.
        descriptor, path = tempfile.mkstemp(prefix="pi-model-proxy-")
        os.close(descriptor)
        self._path = Path(path)
        self._file: int | None = None

    def attach(self) -> None:
        """Get this process's own hold on the lock; called once after each fork."""
        self._file = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)

    def remove(self) -> None:
        """Take the lock's file away; called once, by the process that made it."""
        self._path.unlink()

    def admit(self, limit: int, now: float) -> float:
        """See `limits.SlidingWindow.admit`; `now` is the machine's monotonic clock, the same for all workers."""
        if limit <= 0:
            return 0.0
        limit = min(limit, self.MAX_LIMIT)
        with self._locked():
            (count,) = _COUNT.unpack_from(self._memory, 0)
            if count >= limit:
                # So many ago is the oldest one that still stands in the way.
                oldest_s: float = _MOMENT.unpack_from(self._memory, self._place(count - limit))[0]
                if oldest_s > now - WINDOW_S:
                    return max(0.001, oldest_s + WINDOW_S - now)
            _MOMENT.pack_into(self._memory, self._place(count), now)
            _COUNT.pack_into(self._memory, 0, count + 1)
        return 0.0

    def _place(self, number: int) -> int:
        return _COUNT.size + _MOMENT.size * (number % self.MAX_LIMIT)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if self._file is None:
            raise RuntimeError("attach first")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)
