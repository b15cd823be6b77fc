"""The file itself: made, checked, brought up to date, locked for writing. Used by one thread.

Any number of processes may hold the file open (workers, a second server, applications that mount the gateway). SQLite
up to 3.51.2 can corrupt a write-ahead log when two connections write or checkpoint in the same moment (sqlite.org,
"WAL-reset bug"), and the system's SQLite is as old as the system. So whoever opens, writes, checkpoints or closes
holds `<file>.lock` meanwhile; the kernel lets go of it when its holder dies.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from pi_model_proxy.storage.migrations import MIGRATIONS

__all__ = ["DatabaseFile", "TooNew", "is_corrupt"]

LOCK_S: Final = 5.0
"""How long somebody else may be writing before this is given up."""
LOCK_PAUSE_S: Final = 0.002
CHECKPOINT_PAGES: Final = 1000
MAX_ASIDE: Final = 3
"""Files that were set aside and are kept; older ones go."""
_CORRUPT: Final = frozenset({11, 26})
"""SQLITE_CORRUPT, SQLITE_NOTADB."""
_BESIDE: Final = ("-wal", "-shm", "-journal")


class TooNew(Exception):
    """A later version of this program has changed the tables."""


def is_corrupt(error: sqlite3.Error) -> bool:
    """Tell whether the file is no sound database, rather than busy, full or out of reach."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in _CORRUPT


class DatabaseFile:
    """One open connection."""

    def __init__(self, path: Path) -> None:
        """Open the file, making it where there is none.

        Raises:
            OSError: it cannot be opened, or is no plain file of this user's.
            TimeoutError: another process has been writing for too long.
            sqlite3.Error: SQLite refuses it.
            TooNew: it belongs to a later version.
        """
        self.path = path
        self.aside: tuple[Path, sqlite3.Error] | None = None
        """Where the file that was found damaged is now, and what was wrong with it."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(
            f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600
        )
        try:
            with self.locked():
                self.connection = self._opened()
        except BaseException:
            os.close(self._lock)
            raise

    def _opened(self) -> sqlite3.Connection:
        """Return a connection to a sound file, setting a damaged one aside; the lock is held."""
        try:
            return self._connected()
        except sqlite3.Error as error:
            if not is_corrupt(error):
                raise
            self.aside = set_aside(self.path), error
        return self._connected()

    def _connected(self) -> sqlite3.Connection:
        self._made = _make_private(self.path)
        connection = sqlite3.connect(self.path, timeout=LOCK_S, isolation_level=None)
        try:
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    @property
    def is_current(self) -> bool:
        """Whether the path still leads to this file: a user may have moved or removed it."""
        try:
            found = os.stat(self.path)  # noqa: PTH116 - asked before every piece of work
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self._made

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one that writes.

        Raises:
            TimeoutError: another process has been writing for too long.
        """
        until_s = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until_s:
                    raise TimeoutError(f"another process has been writing to it for {LOCK_S:g} s") from None
                time.sleep(LOCK_PAUSE_S)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Write in one go: all of it counts, or nothing.

        Raises:
            TimeoutError, sqlite3.Error: nothing has been written.
        """
        connection = self.connection
        with self.locked():
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close the connection; the last one to do so empties the write-ahead log into the file."""
        try:
            with self.locked():
                self.connection.close()
        except TimeoutError:
            pass  # left to the end of the process: closing might write beside the one who is writing
        finally:
            os.close(self._lock)


def _prepare(connection: sqlite3.Connection) -> None:
    """Check the file and bring its tables up to date."""
    run = connection.execute
    (version,) = run("PRAGMA user_version").fetchone()
    if version > len(MIGRATIONS):
        raise TooNew(f"it was written by a later version ({version}, this one knows {len(MIGRATIONS)})")
    (verdict,) = run("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        error = sqlite3.DatabaseError("the integrity check failed")
        error.sqlite_errorcode = min(_CORRUPT)
        raise error
    if version == 0:
        run("PRAGMA auto_vacuum = INCREMENTAL")
    run("PRAGMA journal_mode = WAL")
    run("PRAGMA synchronous = NORMAL")
    run("PRAGMA secure_delete = ON")
    run(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
    for number, step in enumerate(MIGRATIONS[version:], version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")


def _make_private(path: Path) -> tuple[int, int]:
    """Make sure of a plain file that only its owner can read; return its device and number.

    A file that is there is not opened: closing it again would take this process's other connections their locks.

    Raises:
        OSError: it is no plain file, or cannot be made one.
    """
    if not os.path.lexists(path):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "it is not a regular file")
    if status.st_mode & 0o077:
        path.chmod(0o600)
    return status.st_dev, status.st_ino


def set_aside(path: Path) -> Path:
    """Move a file that cannot be used out of the way, and return its new name.

    Raises:
        OSError: it cannot be moved.
    """
    aside = path.with_name(f"{path.name}.corrupt-{time.strftime('%Y%m%d-%H%M%S')}")
    path.replace(aside)
    for ending in _BESIDE:
        beside = Path(f"{path}{ending}")
        if beside.exists():
            beside.replace(f"{aside}{ending}")
    for older in sorted(path.parent.glob(f"{path.name}.corrupt-*[0-9]"))[:-MAX_ASIDE]:
        for ending in ("", *_BESIDE):
            Path(f"{older}{ending}").unlink(missing_ok=True)
    return aside
