"""`--workers N`: one process that starts the workers, replaces one that dies, and writes their log.

It runs no event loop and no thread, so that a worker can be forked from it at any time. Each worker has a socket
pair with it: log lines come up, and its end tells a worker that the supervisor has gone.
"""

from __future__ import annotations

import os
import selectors
import signal
import socket
import time
from collections.abc import Callable
from typing import Final

from pi_model_proxy.ledger import LineSink
from pi_model_proxy.server.board import Board

__all__ = ["EXIT_NOW", "Supervisor"]

EXIT_NOW: Final = 130
QUICK_DEATH_S: Final = 2.0
"""A worker that lives shorter than this did not serve: the next one waits longer, and the third such ends it all."""
MOST_QUICK_DEATHS: Final = 3
RESTART_PAUSE_S: Final = 0.5
READ_BYTES: Final = 1024 * 1024
LAST_WORDS_S: Final = 1.0
PATIENCE_S: Final = 20.0
"""After the first signal: a little longer than a worker takes to drain."""
_STOPPING: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class _Worker:
    """One worker process, as its supervisor sees it."""

    __slots__ = ("index", "is_heard", "lines", "pid", "sock", "started_s")

    def __init__(self, index: int, pid: int, sock: socket.socket) -> None:
        self.index = index
        self.pid = pid
        self.sock = sock
        self.started_s = time.monotonic()
        self.is_heard = True
        """Its socket is waited for."""
        self.lines = bytearray()
        """The beginning of a line whose rest has not come."""


class Supervisor:
    """Keeps `count` workers alive until a signal ends them."""

    def __init__(
        self,
        count: int,
        work: Callable[[int, socket.socket, bool], int],
        *,
        board: Board,
        log: LineSink,
        tell: Callable[[str], None],
    ) -> None:
        """`work(index, socket, is_first)` runs in the child; what it returns is its exit status."""
        self._count = count
        self._work = work
        self._board = board
        self._log = log
        self._tell = tell
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._signals_in, self._signals_out = socket.socketpair()
        self._stopping_since_s: float | None = None
        self._quick_deaths = 0
        self._due: list[tuple[float, int]] = []
        """When to start which worker again."""
        self._status = 0

    def run(self) -> int:
        """Serve until a signal says stop, or until workers die at once; return the exit status."""
        self._signals_in.settimeout(0)
        self._signals_out.settimeout(0)
        self._selector.register(self._signals_in, selectors.EVENT_READ)
        signal.set_wakeup_fd(self._signals_out.fileno(), warn_on_full_buffer=False)
        for number in (*_STOPPING, signal.SIGCHLD):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _noticed)
        for index in range(self._count):
            self._start(index, is_first=True)
        try:
            while self._workers or self._due:
                self._step()
        finally:
            self._log.close()
            signal.set_wakeup_fd(-1)
            self._selector.close()
            self._signals_in.close()
            self._signals_out.close()
        return self._status

    def _step(self) -> None:
        now_s = time.monotonic()
        for due_s, index in [each for each in self._due if each[0] <= now_s]:
            self._due.remove((due_s, index))
            if self._stopping_since_s is None:
                self._start(index, is_first=False)
        wait_s = min((due_s for due_s, _ in self._due), default=now_s + 1.0) - now_s
        for key, _ in self._selector.select(max(0.0, min(1.0, wait_s))):
            if key.fileobj is self._signals_in:
                self._hear_signals()
            else:
                self._read(key.data)
        self._bury()
        if self._stopping_since_s is not None and time.monotonic() - self._stopping_since_s > PATIENCE_S:
            self._signal_all(signal.SIGKILL)

    def _start(self, index: int, *, is_first: bool) -> None:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            ours.close()
            self._become_worker(index, theirs, is_first=is_first)
        theirs.close()
        ours.settimeout(0)
        worker = self._workers[pid] = _Worker(index, pid, ours)
        self._selector.register(ours, selectors.EVENT_READ, worker)

    def _become_worker(self, index: int, sock: socket.socket, *, is_first: bool) -> None:
        """Do a worker's work in the child that was just forked; does not return."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (*_STOPPING, signal.SIGCHLD):
                if signal.getsignal(number) is _noticed:
                    signal.signal(number, signal.SIG_DFL)
            for worker in self._workers.values():
                worker.sock.close()
            self._selector.close()
            self._signals_in.close()
            self._signals_out.close()
            self._board.index = index
            status = self._work(index, sock, is_first)
        finally:
            # Nothing of the supervisor's own ending (its `finally`s, its exit handlers) is this process's.
            os._exit(status)

    def _hear_signals(self) -> None:
        for number in self._signals_in.recv(64):
            if number == signal.SIGCHLD:
                continue
            if self._stopping_since_s is not None:
                # A second signal: each worker knows what that means (and lets go of pi's locks first).
                self._status = EXIT_NOW
                self._stopping_since_s = time.monotonic() - PATIENCE_S + LAST_WORDS_S
                self._signal_all(signal.SIGTERM)
            else:
                self._stopping_since_s = time.monotonic()
                self._due.clear()
                self._signal_all(signal.SIGTERM)

    def _signal_all(self, number: int) -> None:
        for pid in self._workers:
            os.kill(pid, number)

    def _read(self, worker: _Worker) -> bool:
        """Write the whole lines that a worker has handed over; False when there will be no more."""
        try:
            data = worker.sock.recv(READ_BYTES)
        except BlockingIOError:
            return True
        except TimeoutError:
            data = b""  # somebody else holds the other end: a process that the worker left behind
        except OSError:
            data = b""
        if not data:
            if worker.is_heard:
                worker.is_heard = False
                self._selector.unregister(worker.sock)
            return False
        worker.lines += data
        whole = worker.lines.rfind(b"\n") + 1
        if whole:
            lines = bytes(worker.lines[:whole])
            del worker.lines[:whole]
            self._log.write(lines, lines.count(b"\n"))
        return True

    def _bury(self) -> None:
        """Take leave of workers that have ended, and replace those that should not have."""
        for pid in list(self._workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if not ended:
                continue
            worker = self._workers.pop(pid)
            self._finish_reading(worker)
            self._board.forget_active(worker.index)
            # Perhaps it was the one for which the others wait.
            self._board.open()
            if self._stopping_since_s is None:
                self._replace(worker, os.waitstatus_to_exitcode(status))

    def _finish_reading(self, worker: _Worker) -> None:
        """Take what the worker handed over before it ended."""
        worker.sock.settimeout(LAST_WORDS_S)
        while self._read(worker):
            pass
        worker.sock.close()

    def _replace(self, worker: _Worker, code: int) -> None:
        lived_s = time.monotonic() - worker.started_s
        how = f"killed by signal {-code}" if code < 0 else f"exit status {code}"
        if lived_s < QUICK_DEATH_S:
            self._quick_deaths += 1
        else:
            self._quick_deaths = 0
        if self._quick_deaths >= MOST_QUICK_DEATHS:
            self._tell(f"workers end as soon as they start ({how}); giving up")
            self._status = 1
            self._stopping_since_s = time.monotonic()
            self._due.clear()
            self._signal_all(signal.SIGTERM)
            return
        self._tell(f"worker {worker.index + 1} ended ({how}); another one takes its place")
        pause_s = RESTART_PAUSE_S * self._quick_deaths
        self._due.append((time.monotonic() + pause_s, worker.index))


def _noticed(number: int, frame: object) -> None:
    """Let the wake-up socket tell; a handler must be there for that."""
    del number, frame
