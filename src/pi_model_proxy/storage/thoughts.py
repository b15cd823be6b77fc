"""The vault's table: what a caller cannot carry, under what it does send back. What is in a row is not looked into."""

from __future__ import annotations

import time
from asyncio import Future
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from pi_model_proxy.storage.database import Database
from pi_model_proxy.storage.responses import StoreLimits

if TYPE_CHECKING:
    from sqlite3 import Connection

__all__ = ["ThoughtStore"]

MAX_THOUGHTS: Final = 100_000
"""Rows."""
PRUNE_AFTER: Final = 50
"""So many answers are kept before the limits are looked at again; the first time at once."""
MAX_PRUNED: Final = 1000
MAX_KEYS: Final = 500
"""Keys of one question; SQLite takes some more."""


class ThoughtStore:
    """The table `thoughts`. Every method returns a future that may end in `StorageFailed`."""

    def __init__(
        self, database: Database, limits: Callable[[], StoreLimits], clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._limits = limits
        self._clock = clock
        self._since_pruned = PRUNE_AFTER

    @property
    def exists(self) -> bool:
        """Whether anything can have been kept, here or by another process."""
        return self._database.exists

    def keep(self, keys: Sequence[str], owner: str, body: bytes) -> Future[None]:
        """Keep `body` for its owner under each of the keys; what was there under them goes."""
        now = self._clock()

        def work(connection: Connection) -> None:
            rows = [(key, owner, now, len(body), body) for key in keys]
            connection.executemany("INSERT OR REPLACE INTO thoughts VALUES (?, ?, ?, ?, ?)", rows)
            self._since_pruned += 1
            if self._since_pruned >= PRUNE_AFTER:
                self._since_pruned = 0
                _prune(connection, self._limits(), now)

        return self._database.write(work, size=len(body) * len(keys))

    def find(self, keys: Sequence[str]) -> Future[list[tuple[str, str, bytes]]]:
        """Return key, owner and body of everything under the last `MAX_KEYS` of these keys."""
        asked = keys[-MAX_KEYS:]

        def work(connection: Connection) -> list[tuple[str, str, bytes]]:
            marks = ",".join("?" * len(asked))
            sql = f"SELECT key, owner, body FROM thoughts WHERE key IN ({marks})"  # noqa: S608 - question marks only
            return list(connection.execute(sql, asked))

        return self._database.read(work)


def _prune(connection: Connection, limits: StoreLimits, now: float) -> None:
    connection.execute("DELETE FROM thoughts WHERE used < ?", (now - limits.max_age_s,))
    number, size = connection.execute("SELECT count(*), total(bytes) FROM thoughts").fetchone()
    if number <= MAX_THOUGHTS and size <= limits.max_bytes:
        return
    oldest = "SELECT rowid, bytes FROM thoughts ORDER BY used LIMIT ?"
    for row, held in connection.execute(oldest, (MAX_PRUNED,)).fetchall():
        if number <= MAX_THOUGHTS and size <= limits.max_bytes:
            break
        connection.execute("DELETE FROM thoughts WHERE rowid = ?", (row,))
        number, size = number - 1, size - held
