"""pi's lock: the protocol of proper-lockfile, seen from both sides."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pi_model_proxy.credentials import (
    HeldLock,
    LockLost,
    LockTimings,
    LockUnavailable,
    acquire_lock,
    lock_paths,
    release_held_locks,
)

# A tenth of a second stands for the protocol's second.
QUICK = LockTimings(
    heartbeat_s=0.05, lost_after_s=0.8, stale_after_s=1.0, observe_s=0.1, wait_s=3.0, longest_delay_s=0.05
)

HOLDER = """
import os, sys, time
path, beat_s, beats = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
os.mkdir(path)
print("held", flush=True)
for _ in range(beats):
    time.sleep(beat_s)
    os.utime(path)
os.rmdir(path)
"""


@pytest.fixture
def auth_json(tmp_path: Path) -> Path:
    path = tmp_path / "auth.json"
    path.write_text("{}")
    return path


@contextmanager
def another_process(lock: Path, *, beat_s: float, beats: int) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the lock and renews it `beats` times."""
    command = [sys.executable, "-c", HOLDER, str(lock), str(beat_s), str(beats)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def eventually_lost(lock: HeldLock) -> str:
    """Wait until the lock notices that it is not ours any more, and return what it says."""
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        try:
            lock.check()
        except LockLost as lost:
            return str(lost)
        time.sleep(0.01)
    return "never noticed"


def test_the_lock_is_a_directory_beside_the_file_and_gone_after_release(auth_json: Path) -> None:
    lock = acquire_lock(auth_json, timings=QUICK)
    assert Path(f"{auth_json}.lock").is_dir()
    lock.check()
    lock.release()
    assert not Path(f"{auth_json}.lock").exists()
    lock.release()


def test_the_heartbeat_renews_the_mtime_while_the_caller_is_busy(auth_json: Path) -> None:
    lock = acquire_lock(auth_json, timings=QUICK)
    stamps: set[int] = set()
    deadline = time.monotonic() + 2
    while len(stamps) < 4 and time.monotonic() < deadline:  # a busy loop, as a blocked event loop would be
        stamps.add(Path(f"{auth_json}.lock").stat().st_mtime_ns)
    lock.check()
    lock.release()
    assert len(stamps) >= 4


def test_an_old_pi_is_never_given_ten_seconds_without_a_stamp() -> None:
    timings = LockTimings()
    assert timings.heartbeat_s * 4 <= timings.lost_after_s < 10
    assert timings.stale_after_s >= 30


def test_a_second_caller_waits_for_the_first(auth_json: Path) -> None:
    first = acquire_lock(auth_json, timings=QUICK)
    got: list[HeldLock] = []
    waiter = threading.Thread(target=lambda: got.append(acquire_lock(auth_json, timings=QUICK)))
    waiter.start()
    waiter.join(0.2)
    assert got == []
    first.release()
    waiter.join(3)
    got[0].check()
    got[0].release()


def test_another_process_that_keeps_its_lock_alive_is_waited_for(auth_json: Path) -> None:
    with another_process(Path(f"{auth_json}.lock"), beat_s=0.1, beats=15) as holder:
        started = time.monotonic()
        lock = acquire_lock(auth_json, timings=QUICK)  # stale after 1.0 s, were it not kept alive
        assert time.monotonic() - started > 1.2
        assert holder.wait(1) == 0
        lock.release()


def test_the_lock_of_a_process_that_died_is_taken_over_once_it_is_stale(auth_json: Path) -> None:
    with another_process(Path(f"{auth_json}.lock"), beat_s=0.1, beats=1000) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        lock = acquire_lock(auth_json, timings=QUICK)
        lock.check()
        lock.release()
    assert not Path(f"{auth_json}.lock").exists()


def test_a_lock_left_over_for_hours_is_taken_over_after_a_short_watch(auth_json: Path) -> None:
    left_over = Path(f"{auth_json}.lock")
    left_over.mkdir()
    os.utime(left_over, (1_000_000_000, 1_000_000_000))
    started = time.monotonic()
    lock = acquire_lock(auth_json, timings=QUICK)
    assert 0.1 <= time.monotonic() - started < 0.9
    lock.release()


def test_a_foreign_lock_younger_than_the_limit_is_never_touched(auth_json: Path) -> None:
    foreign = Path(f"{auth_json}.lock")
    foreign.mkdir()
    stamp = time.time() - 25
    os.utime(foreign, (stamp, stamp))
    before = foreign.stat()
    with pytest.raises(LockUnavailable, match="held by another process"):
        acquire_lock(auth_json, timings=LockTimings(wait_s=0.3))
    after = foreign.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_whoever_loses_the_race_for_a_stale_lock_waits_for_the_winner(
    auth_json: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(f"{auth_json}.lock")
    path.mkdir()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    rmdir = os.rmdir
    winner: list[HeldLock] = []

    def too_late(directory: str) -> None:
        if not winner:  # another process removes it, and takes it, just before
            rmdir(directory)
            winner.append(acquire_lock(auth_json, timings=QUICK))
            threading.Timer(0.3, winner[0].release).start()
            raise FileNotFoundError(directory)
        rmdir(directory)

    monkeypatch.setattr(os, "rmdir", too_late)
    started = time.monotonic()
    lock = acquire_lock(auth_json, timings=QUICK)
    assert time.monotonic() - started >= 0.3
    lock.check()
    lock.release()


def test_a_lock_taken_over_and_removed_by_a_rival_at_once_is_taken_again(
    auth_json: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(f"{auth_json}.lock")
    path.mkdir()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    mkdir = os.mkdir
    made: list[str] = []

    def undone(directory: str) -> None:
        mkdir(directory)
        made.append(directory)
        if len(made) == 1:
            threading.Timer(0.005, os.rmdir, [directory]).start()

    monkeypatch.setattr(os, "mkdir", undone)
    lock = acquire_lock(auth_json, timings=QUICK)
    assert len(made) == 2
    lock.check()
    lock.release()


def test_a_leftover_that_cannot_be_removed_is_named(auth_json: Path) -> None:
    path = Path(f"{auth_json}.lock")
    path.mkdir()
    (path / "not-empty").touch()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    with pytest.raises(LockUnavailable, match="remove it by hand"):
        acquire_lock(auth_json, timings=QUICK)


def test_a_vanished_lock_directory_counts_as_lost(auth_json: Path) -> None:
    lock = acquire_lock(auth_json, timings=QUICK)
    Path(f"{auth_json}.lock").rmdir()
    assert "taken over" in eventually_lost(lock)
    lock.release()


def test_a_stamp_that_fails_once_is_tried_again(auth_json: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    utime = os.utime
    failures: list[str] = []

    def fails_once(path: str, *, ns: tuple[int, int]) -> None:
        if not failures:
            failures.append(path)
            raise OSError(5, "I/O error")
        utime(path, ns=ns)

    monkeypatch.setattr(os, "utime", fails_once)
    lock = acquire_lock(auth_json, timings=QUICK)
    first = Path(f"{auth_json}.lock").stat().st_mtime_ns
    deadline = time.monotonic() + 3
    while Path(f"{auth_json}.lock").stat().st_mtime_ns == first and time.monotonic() < deadline:
        time.sleep(0.01)
    assert failures
    lock.check()
    lock.release()


def test_a_link_in_a_read_only_folder_is_locked_beside_its_target_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "auth.json").symlink_to(tmp_path / "real.json")
    mkdir = os.mkdir

    def refuse_beside_link(path: str) -> None:
        if path.endswith("auth.json.lock"):
            raise OSError(30, "Read-only file system")
        mkdir(path)

    monkeypatch.setattr(os, "mkdir", refuse_beside_link)
    lock = acquire_lock(tmp_path / "auth.json", timings=QUICK)
    assert (tmp_path / "real.json.lock").is_dir()
    lock.release()


def test_an_mtime_in_the_future_is_not_taken_for_a_fresh_stamp_for_ever(auth_json: Path) -> None:
    foreign = Path(f"{auth_json}.lock")
    foreign.mkdir()
    future = time.time() + 3600
    os.utime(foreign, (future, future))
    started = time.monotonic()
    lock = acquire_lock(auth_json, timings=QUICK)
    assert time.monotonic() - started >= QUICK.stale_after_s
    lock.release()


def test_a_lock_that_was_taken_over_is_noticed_and_left_to_its_new_holder(auth_json: Path) -> None:
    lock = acquire_lock(auth_json, timings=LockTimings(heartbeat_s=60))
    path = Path(f"{auth_json}.lock")
    path.rmdir()
    path.mkdir()
    with pytest.raises(LockLost, match="taken over"):
        lock.check()
    lock.release()
    assert path.is_dir()


def test_a_changed_mtime_is_noticed_as_a_takeover(auth_json: Path) -> None:
    lock = acquire_lock(auth_json, timings=LockTimings(heartbeat_s=60))
    os.utime(f"{auth_json}.lock", (1, 1))
    with pytest.raises(LockLost):
        lock.check()
    lock.release()


def test_the_heartbeat_never_stamps_a_directory_that_is_not_ours(auth_json: Path) -> None:
    lock = acquire_lock(auth_json, timings=QUICK)
    path = Path(f"{auth_json}.lock")
    path.rmdir()
    path.mkdir()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    time.sleep(QUICK.heartbeat_s * 4)  # the heartbeat itself must notice, not a `check`
    assert path.stat().st_mtime == 1_000_000_000
    lock.release()


def test_a_lock_that_could_not_be_renewed_in_time_counts_as_lost(auth_json: Path) -> None:
    lock = acquire_lock(auth_json, timings=LockTimings(heartbeat_s=60, lost_after_s=0.05))
    assert "not renewed" in eventually_lost(lock)
    lock.release()


def test_a_wait_can_be_given_up(auth_json: Path) -> None:
    Path(f"{auth_json}.lock").mkdir()
    ending = threading.Event()
    ending.set()
    with pytest.raises(LockUnavailable, match="process is ending"):
        acquire_lock(auth_json, give_up=ending)


def test_a_linked_file_is_locked_beside_its_target_and_beside_the_link(tmp_path: Path) -> None:
    elsewhere = tmp_path / "dotfiles"
    elsewhere.mkdir()
    (elsewhere / "pi-auth.json").write_text("{}")
    agent_dir = tmp_path / "agent"
    agent_dir.mkdir()
    (agent_dir / "auth.json").symlink_to(elsewhere / "pi-auth.json")
    lock = acquire_lock(agent_dir / "auth.json", timings=QUICK)
    names = [elsewhere / "pi-auth.json.lock", agent_dir / "auth.json.lock"]
    assert lock_paths(agent_dir / "auth.json") == tuple(str(name) for name in names)
    assert all(name.is_dir() for name in names)
    time.sleep(QUICK.heartbeat_s * 3)
    lock.check()
    lock.release()
    assert not any(name.exists() for name in names)


def test_a_linked_agent_dir_has_one_lock_only(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "auth.json").write_text("{}")
    (tmp_path / "agent").symlink_to(tmp_path / "real")
    assert lock_paths(tmp_path / "agent" / "auth.json") == (str(tmp_path / "real" / "auth.json.lock"),)
    acquire_lock(tmp_path / "agent" / "auth.json", timings=QUICK).release()


def test_when_the_links_own_lock_is_held_nothing_is_kept(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "auth.json").symlink_to(tmp_path / "real.json")
    (tmp_path / "auth.json.lock").mkdir()
    with pytest.raises(LockUnavailable):
        acquire_lock(tmp_path / "auth.json", timings=LockTimings(wait_s=0.1))
    assert not (tmp_path / "real.json.lock").exists()


def test_a_read_only_folder_is_told_apart_from_a_held_lock(auth_json: Path) -> None:
    folder = auth_json.parent
    folder.chmod(0o555)
    root = os.geteuid() == 0
    if root:  # whom no mode stops
        os.seteuid(65534)
    try:
        with pytest.raises(LockUnavailable) as caught:
            acquire_lock(auth_json, timings=QUICK)
        # a parent of the test folder may be closed to others: that is no permission either
        assert caught.value.read_only
    finally:
        if root:
            os.seteuid(0)
        folder.chmod(0o755)


def test_a_process_that_ends_leaves_no_lock_behind(auth_json: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from pi_model_proxy.credentials import acquire_lock\n"
        "acquire_lock(Path(sys.argv[1])); print('held', flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(auth_json)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "held\n"
    assert not Path(f"{auth_json}.lock").exists()


def test_every_held_lock_can_be_released_at_once(tmp_path: Path) -> None:
    for name in ("one.json", "two.json"):
        (tmp_path / name).write_text("{}")
        acquire_lock(tmp_path / name, timings=QUICK)
    release_held_locks()
    assert list(tmp_path.glob("*.lock")) == []
