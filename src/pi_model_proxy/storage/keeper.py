"""Does the work, in the storage thread: opens the file, groups writes, survives a file that is damaged or gone."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import groupby
from pathlib import Path
from typing import Any

from pi_model_proxy.errors import StorageFailed
from pi_model_proxy.storage.database import Job
from pi_model_proxy.storage.file import DatabaseFile, TooNew, is_corrupt

__all__ = ["Keeper"]

_FORESEEN = (sqlite3.Error, OSError, TooNew)
"""What opening or using the file may raise; `TimeoutError` is an `OSError`."""


class Keeper:
    """Owns the connection."""

    def __init__(self, path: Callable[[], Path], complain: Callable[[str], None]) -> None:
        self._path = path
        self._complain = complain
        self._file: DatabaseFile | None = None
        self._is_broken = False
        """Complained of, and not yet in order again."""

    def do(self, jobs: Sequence[Job]) -> None:
        """Do work in order; writes that follow each other are one transaction."""
        for writes, group in groupby(jobs, key=lambda job: job.writes):
            if writes:
                self._write(list(group))
            else:
                for job in group:
                    self._read(job)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
        self._file = None

    def _read(self, job: Job) -> None:
        try:
            result = job.work(self._opened().connection)
        except Exception as error:  # noqa: BLE001 - a mistake costs one job; whoever waits for others must hear of them
            self._give_up([job], error)
        else:
            self._is_broken = False
            _settle(job, result)

    def _write(self, jobs: list[Job]) -> None:
        done: list[tuple[Job, Any]] = []
        try:
            file = self._opened()
            with file.transaction() as connection:
                for job in jobs:
                    connection.execute("SAVEPOINT job")
                    try:
                        result = job.work(connection)
                    except sqlite3.IntegrityError as error:
                        connection.execute("ROLLBACK TO job")
                        result = StorageFailed(f"It is there already ({error}); nothing was kept.")
                    connection.execute("RELEASE job")
                    done.append((job, result))
        except Exception as error:  # noqa: BLE001 - as above
            self._give_up(jobs, error)
            return
        self._is_broken = False
        for job, result in done:
            _settle(job, result)

    def _opened(self) -> DatabaseFile:
        """Return the file, opened anew when its path leads elsewhere now.

        Raises:
            sqlite3.Error, OSError, TooNew: it cannot be used.
        """
        path, file = self._path(), self._file
        if file is not None and file.path == path and file.is_current:
            return file
        self.close()
        file = self._file = DatabaseFile(path)
        if file.aside is not None:
            aside, error = file.aside
            self._complain(
                f"the database was damaged ({error}); it is set aside as {aside.name}, and a new one is begun"
            )
        return file

    def _give_up(self, jobs: Sequence[Job], error: Exception) -> None:
        # What nobody foresaw may quote what was to be kept.
        why = str(error) if isinstance(error, _FORESEEN) else type(error).__name__
        if isinstance(error, sqlite3.Error) and is_corrupt(error):
            self.close()  # the next piece of work opens it again, which sets it aside
        elif not self._is_broken:
            self._is_broken = True
            self._complain(f"the database cannot be used ({why}); requests are served without it")
        for job in jobs:
            _settle(job, StorageFailed(f"The database cannot be used ({why})."))


def _settle(job: Job, result: object) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        job.loop.call_soon_threadsafe(_tell, job.future, result)


def _tell(future: asyncio.Future[Any], result: object) -> None:
    if future.cancelled():
        return
    if isinstance(result, StorageFailed):
        future.set_exception(result)
    else:
        future.set_result(result)
