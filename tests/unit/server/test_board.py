"""Shared memory of workers; forking needs a process without threads, so these stories run in one of their own."""

from __future__ import annotations

import subprocess
import sys

from pi_model_proxy.server.board import Board, SharedWindow

FORK_FOUR = """
import os, sys
from pi_model_proxy.server.board import Board, SharedWindow
board, window = Board(4), SharedWindow()
readers = []
for index in range(4):
    read, write = os.pipe()
    if os.fork() == 0:
        board.index = index
        window.attach()
        admitted = sum(window.admit(60, 1000.0 + number / 1000) == 0.0 for number in range(50))
        board.note(admitted, 1)
        os.write(write, b"%d" % admitted)
        os._exit(0)
    os.close(write)
    readers.append(read)
admitted = [int(os.read(read, 10)) for read in readers]
for _ in range(4):
    os.wait()
board.forget_active(3)
window.remove()
print(sum(admitted), *board.totals())
"""


def test_workers_share_one_limit_and_know_each_others_counts() -> None:
    said = subprocess.run(
        [sys.executable, "-c", FORK_FOUR], capture_output=True, text=True, timeout=30, check=True
    )
    assert said.stdout.split() == ["60", "60", "3"]


def test_the_shared_window_slides_as_the_private_one_does() -> None:
    window = SharedWindow()
    window.attach()
    try:
        assert [window.admit(2, now) for now in (100.0, 110.0)] == [0.0, 0.0]
        assert window.admit(2, 120.0) == 40.0
        assert window.admit(2, 160.5) == 0.0
        assert window.admit(0, 161.0) == 0.0
        assert window.admit(1, 162.0) > 0, "a lowered limit holds at once"
    finally:
        window.remove()


def test_a_lock_of_a_dead_process_keeps_nobody_waiting() -> None:
    program = (
        "import os, fcntl\n"
        "from pi_model_proxy.server.board import SharedWindow\n"
        "window = SharedWindow()\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    window.attach()\n"
        "    fcntl.flock(window._file, fcntl.LOCK_EX)\n"
        "    os._exit(9)\n"
        "os.waitpid(pid, 0)\n"
        "window.attach()\n"
        "print(window.admit(5, 1.0))\n"
        "window.remove()\n"
    )
    said = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert said.stdout.strip() == "0.0"


def test_counts_of_a_worker_that_never_said_anything_are_nothing() -> None:
    assert Board(3).totals() == (0, 0)
