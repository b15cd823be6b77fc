"""The log's file: mode 0600, rotated, made anew when it was moved away. One writer at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import msgspec

__all__ = ["LineSink", "LogFile", "LogSettings"]


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the log is and how large it may grow."""

    path: Path
    max_bytes: int
    """A file that would grow past this is rotated first; 0 = never."""
    keep: int
    """Rotated files kept, `<path>.1` the youngest."""


class LineSink(Protocol):
    """Where whole lines go; used by one thread."""

    def write(self, data: bytes, count: int) -> bool:
        """Take `count` lines; False when they are lost. May wait; never raises."""
        ...

    def close(self) -> None:
        """Let go of what is open."""
        ...


class LogFile:
    """Implements `LineSink`. A file that cannot be written is complained of once, until it can be again."""

    def __init__(self, settings: Callable[[], LogSettings], complain: Callable[[str], None]) -> None:
        self._settings = settings
        self._complain = complain
        self._file: int | None = None
        self._path: Path | None = None
        self._size = 0
        self._broken = False

    def write(self, data: bytes, count: int) -> bool:
        """See `LineSink.write`."""
        del count
        try:
            for part in self._parts(data):
                self._append(part)
        except OSError as error:
            self.close()
            if not self._broken:
                self._broken = True
                self._complain(
                    f"the request log cannot be written ({error.strerror}); requests are served without it"
                )
            return False
        self._broken = False
        return True

    def _parts(self, data: bytes) -> list[bytes]:
        """Return what may go into one file each: all of it, or line by line where the file is nearly full."""
        limit = self._settings().max_bytes
        return data.splitlines(keepends=True) if limit and self._size + len(data) > limit else [data]

    def _append(self, data: bytes) -> None:
        file = self._opened(len(data))
        while data:
            written = os.write(file, data)
            data = data[written:]
            self._size += written

    def close(self) -> None:
        """See `LineSink.close`; the next write opens it again."""
        if self._file is not None:
            os.close(self._file)
        self._file = None

    def _opened(self, growth: int) -> int:
        settings = self._settings()
        if self._path != settings.path or (
            self._file is not None and not _same_file(self._file, settings.path)
        ):
            self.close()
            self._path = settings.path
        if self._file is None:
            self._file, self._size = _open_log(settings.path)
        if settings.max_bytes and self._size and self._size + growth > settings.max_bytes:
            self.close()
            _rotate(settings.path, settings.keep)
            self._file, self._size = _open_log(settings.path)
        return self._file


def _open_log(path: Path) -> tuple[int, int]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    file = os.open(path, flags, 0o600)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        os.close(file)
        raise OSError(0, "it is not a regular file")
    if status.st_mode & 0o077:
        os.fchmod(file, 0o600)
    return file, status.st_size


def _same_file(file: int, path: Path) -> bool:
    try:
        here, there = os.fstat(file), path.stat()
    except OSError:
        return False
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _rotate(path: Path, keep: int) -> None:
    if keep <= 0:
        path.unlink(missing_ok=True)
        return
    for number in range(keep - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    path.replace(path.with_name(f"{path.name}.1"))
