"""The request log: one JSON line a request, handed in groups to whoever writes them, by a thread of its own."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Final

import msgspec

from pi_model_proxy.ledger.entry import Attempt, Entry
from pi_model_proxy.ledger.logfile import LineSink

__all__ = ["JsonlLog"]

_encode: Final = msgspec.json.Encoder().encode

QUEUE_LINES: Final = 10_000
"""Lines that may wait for a slow disk; further ones are counted and left out, never waited for."""
GROUP_LINES: Final = 500
GATHER_S: Final = 0.02
"""How long the writer lets lines gather before it writes them."""
CLOSE_S: Final = 5.0
"""How long the end waits for lines still queued."""


class JsonlLog:
    """Implements `Recorder`. A log that cannot be written never stops an answer."""

    def __init__(self, sink: LineSink) -> None:
        self._sink = sink
        self._waiting: deque[bytes] = deque()
        self._work = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        self.lost = 0
        """Lines that could not be kept."""

    def begin(self, entry: Entry) -> None:
        """The log only knows finished requests."""

    def attempt(self, entry: Entry, attempt: Attempt) -> None:
        """Keep the attempt with its request."""
        entry.attempts.append(attempt)

    def settle(self, entry: Entry) -> None:
        """Queue the line."""
        if len(self._waiting) >= QUEUE_LINES:
            self.lost += 1
            return
        self._waiting.append(_encode(entry) + b"\n")
        if self._stopping and self._thread is None:
            # Closed already: the last words of an answer that ended with the process.
            self._write_waiting()
            self._sink.close()
            return
        if not self._work.is_set():
            # Waking a thread costs more than all the rest: it is done once for all lines of a moment.
            if self._thread is None:
                self._thread = threading.Thread(target=self._write_lines, name="request-log", daemon=True)
                self._thread.start()
            self._work.set()

    def close(self) -> None:
        """Write what is queued and close the file."""
        self._stopping = True
        self._work.set()
        if self._thread is not None:
            self._thread.join(timeout=CLOSE_S)  # a disk that hangs must not keep the process
            self._thread = None

    def _write_lines(self) -> None:
        stopping = False
        while not stopping:
            self._work.wait()
            if not self._stopping:
                time.sleep(GATHER_S)
            # In this order: an end that is told after the look sets the event again.
            self._work.clear()
            stopping = self._stopping
            self._write_waiting()
        self._sink.close()

    def _write_waiting(self) -> None:
        waiting = self._waiting
        while waiting:
            lines = [waiting.popleft() for _ in range(min(len(waiting), GROUP_LINES))]
            if not self._sink.write(b"".join(lines), len(lines)):
                self.lost += len(lines)
