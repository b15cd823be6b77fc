"""The request log: one JSON line a request, mode 0600, rotated, written by a thread in groups."""

from __future__ import annotations

import os
import queue
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from pi_model_proxy.ledger.entry import Attempt, Entry

__all__ = ["JsonlLog", "LogSettings", "log_line"]

QUEUE_LINES: Final = 10_000
"""Lines that may wait for a slow disk; further ones are counted and left out, never waited for."""
GROUP_LINES: Final = 500
CLOSE_S: Final = 5.0
"""How long the end waits for lines still queued."""
_STOP: Final = b""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the log is and how large it may grow."""

    path: Path
    max_bytes: int
    """A file that would grow past this is rotated first; 0 = never."""
    keep: int
    """Rotated files kept, `<path>.1` the youngest."""


class JsonlLog:
    """Implements `Recorder`. A log that cannot be written never stops an answer."""

    def __init__(self, settings: Callable[[], LogSettings], complain: Callable[[str], None]) -> None:
        self._settings = settings
        self._complain = complain
        self._queue: queue.Queue[bytes] = queue.Queue(QUEUE_LINES)
        self._thread: threading.Thread | None = None
        self._file: int | None = None
        self._path: Path | None = None
        self._size = 0
        self._broken = False
        self.lost = 0
        """Lines that could not be kept."""

    def begin(self, entry: Entry) -> None:
        """The log only knows finished requests."""

    def attempt(self, entry: Entry, attempt: Attempt) -> None:
        """Keep the attempt with its request."""
        entry.attempts.append(attempt)

    def settle(self, entry: Entry) -> None:
        """Queue the line."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._write_lines, name="request-log", daemon=True)
            self._thread.start()
        try:
            self._queue.put_nowait(log_line(entry))
        except queue.Full:
            self.lost += 1

    def close(self) -> None:
        """Write what is queued and close the file."""
        if self._thread is not None:
            with suppress(queue.Full):  # a disk that hangs must not keep the process
                self._queue.put(_STOP, timeout=CLOSE_S)
            self._thread.join(timeout=CLOSE_S)
            self._thread = None

    def _write_lines(self) -> None:
        stopping = False
        while not stopping:
            lines = [self._queue.get()]
            while len(lines) < GROUP_LINES and not self._queue.empty():
                lines.append(self._queue.get_nowait())
            stopping = _STOP in lines
            self._write(b"".join(lines), sum(1 for line in lines if line))
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _write(self, data: bytes, count: int) -> None:
        if not data:
            return
        try:
            file = self._opened(len(data))
            while data:
                written = os.write(file, data)
                data = data[written:]
                self._size += written
        except OSError as error:
            self.lost += count
            self._reset()
            if not self._broken:
                self._broken = True
                self._complain(
                    f"the request log cannot be written ({error.strerror}); requests are served without it"
                )
        else:
            self._broken = False

    def _opened(self, growth: int) -> int:
        settings = self._settings()
        if self._path != settings.path or (
            self._file is not None and not _same_file(self._file, settings.path)
        ):
            self._reset()
            self._path = settings.path
        if self._file is None:
            self._file, self._size = _open_log(settings.path)
        if settings.max_bytes and self._size and self._size + growth > settings.max_bytes:
            self._reset()
            _rotate(settings.path, settings.keep)
            self._file, self._size = _open_log(settings.path)
        return self._file

    def _reset(self) -> None:
        if self._file is not None:
            os.close(self._file)
        self._file = None


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


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    """Return a second in ISO form; neighbouring lines share it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def log_line(entry: Entry) -> bytes:
    """Return the line for one request, the original extension's fields under their own names."""
    usage = entry.usage
    line: dict[str, Any] = {
        "timestamp": f"{_second(int(entry.timestamp))}.{int(entry.timestamp % 1 * 1000):03d}Z",
        "request_id": entry.request_id,
        "method": entry.method,
        "path": entry.path,
        "status": entry.status,
        "latency_ms": round(entry.latency_ms, 1),
        "first_byte_ms": None if entry.first_byte_ms is None else round(entry.first_byte_ms, 1),
        "model": entry.model or None,
        "model_asked": entry.model_asked or None,
        "provider": entry.provider or None,
        "account": entry.account or None,
        "dialect": entry.dialect or None,
        "client": entry.client or None,
        "stream": entry.stream,
        "input_tokens": None if usage is None else usage.total_input,
        "output_tokens": None if usage is None else usage.output,
        "cache_read_tokens": None if usage is None else usage.cache_read,
        "cache_write_tokens": None if usage is None else usage.cache_write,
        "reasoning_tokens": None if usage is None else usage.reasoning,
        "estimated": usage.estimated if usage is not None else False,
        "cost_usd": None if entry.cost is None else round(entry.cost, 8),
        "finish": entry.finish or None,
        "ended_by": entry.ended_by,
        "error": entry.error or None,
        "error_kind": entry.error_kind or None,
        "dropped": list(entry.dropped),
        "attempts": [
            {
                "provider": a.provider,
                "status": a.status,
                "error": a.error or None,
                "upstream_id": a.upstream_id or None,
            }
            for a in entry.attempts
        ],
    }
    return msgspec.json.encode(line) + b"\n"
