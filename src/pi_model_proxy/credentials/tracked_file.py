"""Reading files that another program rewrites in place, without taking its lock.

pi truncates and rewrites its files (pi-coding-agent 1.5.2, `auth-storage.js`), so a reader may see
an empty or half-written file for about a millisecond: such a read is repeated a few times, and
what was read last in good order stays in force. Changes are noticed as pi notices them, by
device, inode, size, mtime and ctime (`dist/utils/paths.js`, `getFileRevision`).
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

import msgspec

__all__ = [
    "FileRead",
    "Malformed",
    "Revision",
    "TrackedFile",
    "read_file",
    "revision_of",
    "why_commands_are_refused",
]

Revision = tuple[int, int, int, int, int]
"""Device, inode, size, mtime and ctime, the last two in nanoseconds."""

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
"""More than this is not one of pi's files."""
RETRY_DELAYS_S: Final = (0.002, 0.005, 0.01, 0.02, 0.05)
"""Pauses before an empty or malformed file is read again; pi's own window is about 1 ms."""
_UNCHANGED_READS: Final = 4
"""How often a file that changes while it is read is read again."""

T = TypeVar("T")


class Fault(msgspec.Struct, frozen=True):
    """One thing that is wrong with a file."""

    where: str
    """`path:line:column`, or the path alone."""
    what: str
    """Holds none of the file's content."""


class Malformed(ValueError):
    """The text is not what the file should hold; `line` and `column` count from 1, 0 = unknown."""

    def __init__(self, what: str, *, line: int = 0, column: int = 0, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(what)
        self.what = what
        self.line = line
        self.column = column
        self.faults = faults
        """Every fault with its place, when there are several."""

    def faults_in(self, path: Path) -> tuple[Fault, ...]:
        """Return what is wrong and where, at least one."""
        where = f"{path}:{self.line}:{self.column}" if self.line else str(path)
        return self.faults or (Fault(where, self.what),)


class FileRead(msgspec.Struct, frozen=True, kw_only=True):
    """One consistent look at a file."""

    text: str | None = None
    """Content without its byte order mark; None when there is no file."""
    revision: Revision | None = None
    refuses_commands: str = ""
    """Why `!command` values in this file must not be run; empty when they may."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"FileRead(revision={self.revision!r})"


def _revision(status: os.stat_result) -> Revision:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def revision_of(path: Path) -> Revision | None:
    """Return the file's revision (links followed), or None when it cannot be looked at."""
    try:
        return _revision(os.stat(path))  # noqa: PTH116 - on a hot path; a Path method costs three times as much
    except OSError:
        return None


def why_commands_are_refused(status: os.stat_result, *, user_id: int) -> str:
    """Return why a file of this owner and mode may not run commands; empty when it may."""
    if status.st_uid != user_id:
        return "the file belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return f"other users may write to the file (mode {stat.S_IMODE(status.st_mode):04o}; chmod go-w mends it)"
    return ""


def read_file(path: Path) -> FileRead:
    """Read `path` whole, again if it changed meanwhile; a missing file is not an error.

    Raises:
        OSError: it exists but cannot be read.
        Malformed: it is not UTF-8.
    """
    content, status = b"", None
    for _ in range(_UNCHANGED_READS):
        try:
            content, status, steady = _read_descriptor(path)
        except FileNotFoundError:
            return FileRead()
        if steady:
            break
    if status is None:
        return FileRead()
    try:
        text = content.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Malformed(
            "not UTF-8", line=line, column=error.start - content.rfind(b"\n", 0, error.start)
        ) from error
    refuses = why_commands_are_refused(status, user_id=os.geteuid())
    return FileRead(text=text, revision=_revision(status), refuses_commands=refuses)


def _read_descriptor(path: Path) -> tuple[bytes, os.stat_result, bool]:
    """Return content, status, and whether the file stayed the same while it was read."""
    # Without O_NONBLOCK a named pipe of that name would hold us up for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        before = os.fstat(descriptor)
        if not stat.S_ISREG(before.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        if before.st_size > MAX_FILE_BYTES:
            raise OSError(errno.EFBIG, f"larger than {MAX_FILE_BYTES} bytes", str(path))
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(MAX_FILE_BYTES)
        after = os.fstat(descriptor)
    finally:
        os.close(descriptor)
    return content, after, _revision(before) == _revision(after)


class TrackedFile(Generic[T]):
    """A file's meaning, kept up to date; the last good one stays while the file is broken.

    Not safe to use from two threads at once.
    """

    def __init__(
        self,
        path: Path,
        *,
        parse: Callable[[str], T],
        absent: T,
        empty_is_absent: bool = True,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Take what to read and how.

        `parse` turns text into a value or raises `Malformed`; `absent` is the value without a file,
        and of an empty file too where `empty_is_absent`.
        """
        self.path = path
        self._parse = parse
        self._sleep = sleep
        self._absent = absent
        self._empty_is_absent = empty_is_absent
        self._held_something = False
        self._revision: Revision | None = None
        self._checked = False
        self.value: T = absent
        self.exists = False
        self.is_blank = False
        """Whether there is a file with nothing in it."""
        self.refuses_commands = ""
        self.faults: tuple[Fault, ...] = ()
        """What is wrong with the file now; empty when nothing is."""

    def changed(self) -> bool:
        """Whether the file is another than at the last `read`; one `stat`."""
        return not self._checked or revision_of(self.path) != self._revision

    def read(self) -> bool:
        """Read the file if it changed; return whether value or faults are new. May sleep 90 ms.

        An empty or malformed file is taken for a write in progress and read again a few times.
        """
        if not self.changed():
            return False
        before = (self.value, self.exists, self.faults, self.refuses_commands)
        for delay_s in (*RETRY_DELAYS_S, None):
            self._revision = revision_of(self.path)
            self.faults, again = self._read_once()
            if not again or delay_s is None:
                break
            self._sleep(delay_s)
        self._checked = True
        return before != (self.value, self.exists, self.faults, self.refuses_commands)

    def _read_once(self) -> tuple[tuple[Fault, ...], bool]:
        """Take the file as it is now; return what is wrong and whether that may be a torn read."""
        try:
            seen = read_file(self.path)
            if seen.text is None:
                self.value, self.exists, self.refuses_commands = self._absent, False, ""
                self.is_blank = False
                self._revision, self._held_something = None, False
                return (), False
            blank = self.is_blank = not seen.text.strip()
            if blank and self._held_something:
                return (Fault(str(self.path), "the file is empty; what it held before stays in force"),), True
            value = self._absent if blank and self._empty_is_absent else self._parse(seen.text)
        except Malformed as error:
            return error.faults_in(self.path), True
        except OSError as error:
            return (
                Fault(str(self.path), f"cannot be read ({error.strerror or type(error).__name__})"),
            ), False
        self.value, self.exists, self.refuses_commands = value, True, seen.refuses_commands
        self._revision = seen.revision
        self._held_something = bool(seen.text.strip("{} \t\r\n"))
        return (), blank
