"""Work on the database from the event loop, done by one thread that exists once there is some.

Writes that wait together are committed together. A write's future is done when it is committed, so what has been
acknowledged survives the end of the process. Whoever never reads or writes pays nothing: no file, no thread, and
SQLite is not even imported.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pi_model_proxy.errors import StorageFailed

if TYPE_CHECKING:
    from sqlite3 import Connection


__all__ = ["Database", "Work"]

T = TypeVar("T")
Work = Callable[["Connection"], T]

MAX_WAITING: Final = 1000
"""Pieces of work that may wait for a slow disk."""
MAX_WAITING_BYTES: Final = 128 * 1024 * 1024
"""What they may hold together."""
MAX_GROUP: Final = 200
"""Pieces of work that are taken up together."""
CLOSE_S: Final = 5.0


class Job:
    """One piece of work and who waits for it."""

    __slots__ = ("future", "loop", "size", "work", "writes")

    def __init__(self, work: Work[Any], loop: asyncio.AbstractEventLoop, size: int, *, writes: bool) -> None:
        self.work = work
        self.loop = loop
        self.size = size
        self.writes = writes
        self.future: asyncio.Future[Any] = loop.create_future()


class Database:
    """The one file, for one process. Any number of processes may have one each."""

    def __init__(self, path: Callable[[], Path], complain: Callable[[str], None]) -> None:
        """`complain` is told, by another thread, when the file cannot be used or had to be set aside."""
        self._path = path
        self._complain = complain
        self._jobs: queue.Queue[Job | None] = queue.Queue(MAX_WAITING)
        self._size = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def exists(self) -> bool:
        """Whether there is a file: a question asked before it need not make one."""
        return self._path().exists()

    def read(self, work: Work[T]) -> asyncio.Future[T]:
        """Return the future of what `work(connection)` returns.

        The future's error is `StorageFailed` when the database cannot be used.
        """
        return self._take_up(work, 0, writes=False)

    def write(self, work: Work[T], *, size: int = 0) -> asyncio.Future[T]:
        """Return the future of what `work(connection)` returns, done once that has been committed.

        `size` is roughly how many bytes the work holds. The future's error is `StorageFailed` when nothing was written.
        """
        return self._take_up(work, size, writes=True)

    def _take_up(self, work: Work[Any], size: int, *, writes: bool) -> asyncio.Future[Any]:
        job = Job(work, asyncio.get_running_loop(), size, writes=writes)
        with self._lock:
            if self._closed or self._size + size > MAX_WAITING_BYTES:
                job.future.set_exception(
                    StorageFailed("The store is closed or overloaded; nothing was kept.")
                )
                return job.future
            try:
                self._jobs.put_nowait(job)
            except queue.Full:
                job.future.set_exception(StorageFailed("The store is overloaded; nothing was kept."))
                return job.future
            self._size += size
            if self._thread is None:
                self._thread = threading.Thread(target=self._serve, name="storage", daemon=True)
                self._thread.start()
        return job.future

    def close(self) -> None:
        """Finish what waits, and close the file."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is None:
            return
        try:
            self._jobs.put(None, timeout=CLOSE_S)
        except queue.Full:
            return  # a disk that hangs must not keep the process
        thread.join(timeout=CLOSE_S)

    def _serve(self) -> None:
        from pi_model_proxy.storage.keeper import Keeper  # noqa: PLC0415 - SQLite, once somebody needs it

        keeper = Keeper(self._path, self._complain)
        going_on = True
        while going_on:
            jobs, going_on = self._waiting()
            with self._lock:
                self._size -= sum(job.size for job in jobs)
            keeper.do(jobs)
        keeper.close()

    def _waiting(self) -> tuple[list[Job], bool]:
        """Return the work that waits, at least one piece, and whether there will be more."""
        first = self._jobs.get()
        if first is None:
            return [], False
        jobs = [first]
        while len(jobs) < MAX_GROUP:
            try:
                job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                return jobs, False
            jobs.append(job)
        return jobs, True
