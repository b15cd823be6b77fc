"""A look at the database file that changes nothing, not even by opening it.

Somebody else's write-ahead log is opened and closed in turn with those who write (see `file.py`); where there is none,
nobody has the file open, and it is read as a file that cannot change, which leaves nothing beside it.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

import msgspec

from pi_model_proxy.storage.file import LOCK_PAUSE_S, is_corrupt
from pi_model_proxy.storage.migrations import MIGRATIONS

__all__ = ["DatabaseHealth", "examine_database", "has_wal_bug"]

CHECK_S: Final = 3.0
"""Longest check; writers give up after `LOCK_S`, which is longer."""
STEPS_BETWEEN_LOOKS: Final = 20_000
"""Of SQLite's machine, between two looks at the clock."""
WAL_BUG_FIXED: Final = (3, 51, 3)
"""sqlite.org/wal.html, "WAL-reset bug"."""


class DatabaseHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said of the file; holds nothing of its content."""

    exists: bool = False
    size: int = 0
    """Bytes, with the write-ahead log."""
    trouble: str = ""
    """Why it cannot be used; empty when it can."""
    is_damaged: bool = False
    """True when the server will set it aside and begin a new one."""
    unchecked: str = ""
    """Why its integrity was not looked at in full; empty when it was."""
    set_aside: tuple[str, ...] = ()
    """Names of damaged files beside it."""


def has_wal_bug(version: tuple[int, ...]) -> bool:
    """Whether two connections of this SQLite that write at once could damage a write-ahead log."""
    return version < WAL_BUG_FIXED


def examine_database(path: Path) -> DatabaseHealth:
    """Return how the database file is; takes `CHECK_S` and a little at most."""
    aside = tuple(sorted(each.name for each in path.parent.glob(f"{path.name}.corrupt-*[0-9]")))
    try:
        status = path.lstat()
    except FileNotFoundError:
        return DatabaseHealth(set_aside=aside)
    except OSError as error:
        return DatabaseHealth(trouble=_told(error), set_aside=aside)
    health = DatabaseHealth(exists=True, size=status.st_size + _log_size(path), set_aside=aside)
    if not stat.S_ISREG(status.st_mode):
        return msgspec.structs.replace(health, trouble="it is not a regular file")
    return _opened(path, health)


def _opened(path: Path, health: DatabaseHealth) -> DatabaseHealth:
    """Add what can only be said of an open file."""
    said = {}
    try:
        version, verdict = _read(path, time.monotonic() + CHECK_S)
    except TimeoutError:
        said = {"unchecked": "another process is writing to it"}
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_INTERRUPT:
            return msgspec.structs.replace(health, trouble=str(error), is_damaged=is_corrupt(error))
        said = {"unchecked": f"that takes longer than {CHECK_S:g} s"}
    except OSError as error:
        said = {"trouble": _told(error)}
    else:
        if version > len(MIGRATIONS):
            said = {
                "trouble": f"it was written by a later version ({version}, this one knows {len(MIGRATIONS)})"
            }
        elif verdict != "ok":
            return msgspec.structs.replace(health, trouble="the integrity check failed", is_damaged=True)
    return msgspec.structs.replace(health, **said)


def _told(error: OSError) -> str:
    return f"it cannot be read ({error.strerror or type(error).__name__})"


def _log_size(path: Path) -> int:
    try:
        return Path(f"{path}-wal").stat().st_size
    except OSError:
        return 0


def _read(path: Path, until_s: float) -> tuple[int, str]:
    """Return the number of the last migration, and SQLite's verdict."""
    with _turn(path, until_s):
        if not Path(f"{path}-wal").exists():
            with closing(_connected(path, "mode=ro&immutable=1", until_s)) as connection:
                return _checked(connection)
        connection = _connected(path, "mode=ro", until_s)
        try:
            connection.execute("PRAGMA schema_version").fetchone()  # opens the log, now that it is our turn
        except BaseException:
            connection.close()
            raise
    try:
        return _checked(connection)
    finally:
        with _turn(path, time.monotonic() + CHECK_S):
            connection.close()


def _connected(path: Path, options: str, until_s: float) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.as_uri()}?{options}", uri=True, timeout=0, isolation_level=None)
    connection.set_progress_handler(lambda: time.monotonic() > until_s, STEPS_BETWEEN_LOOKS)
    return connection


def _checked(connection: sqlite3.Connection) -> tuple[int, str]:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return version, verdict


@contextmanager
def _turn(path: Path, until_s: float) -> Iterator[None]:
    """Keep writers out meanwhile; a file that no server of ours has opened yet has no lock.

    Raises:
        TimeoutError: another process has been writing for too long.
    """
    try:
        lock = os.open(f"{path}.lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        yield
        return
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > until_s:
                    raise TimeoutError from None
                time.sleep(LOCK_PAUSE_S)
        yield
    finally:
        os.close(lock)
