"""A look at pi's lock that neither takes nor touches it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from pi_model_proxy.credentials.lock import acquire_lock
from pi_model_proxy.credentials.lock_health import LockHealth, look_at_lock

NOW_S = 1_800_000_000.0


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    return tmp_path / "auth.json.lock"


def stamp(lock: Path, age_s: float) -> None:
    os.utime(lock, (NOW_S - age_s, NOW_S - age_s))


def state(tmp_path: Path) -> tuple[str, float]:
    (look,) = look_at_lock(tmp_path / "auth.json", now_s=NOW_S)
    return look.state, look.age_s


def test_no_lock_is_free(tmp_path: Path) -> None:
    assert state(tmp_path) == ("free", 0.0)


@pytest.mark.parametrize(
    ("age_s", "said"), [(0.5, "held"), (29.0, "held"), (31.0, "stale"), (-500.0, "held")]
)
def test_a_lock_is_held_as_long_as_it_is_stamped(tmp_path: Path, lock: Path, age_s: float, said: str) -> None:
    lock.mkdir()
    stamp(lock, age_s)
    assert state(tmp_path) == (said, age_s)
    assert lock.stat().st_mtime == NOW_S - age_s


def test_a_file_in_its_place_can_be_taken_by_nobody(tmp_path: Path, lock: Path) -> None:
    lock.touch()
    stamp(lock, 1)
    assert state(tmp_path)[0] == "stuck"


def test_an_old_lock_with_something_in_it_can_be_taken_over_by_nobody(tmp_path: Path, lock: Path) -> None:
    lock.mkdir()
    (lock / "note").touch()
    stamp(lock, 60)
    assert state(tmp_path)[0] == "stuck"


def test_our_own_lock_is_seen_as_held_and_stays_ours(tmp_path: Path) -> None:
    held = acquire_lock(tmp_path / "auth.json")
    try:
        (look,) = look_at_lock(tmp_path / "auth.json", now_s=os.stat(tmp_path / "auth.json.lock").st_mtime)
        assert look.state == "held"
        held.check()
    finally:
        held.release()


def test_a_link_s_own_lock_is_looked_at_too(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere"
    real.mkdir()
    (tmp_path / "auth.json").symlink_to(real / "auth.json")
    looks = look_at_lock(tmp_path / "auth.json", now_s=NOW_S)
    assert [look.path for look in looks] == [f"{real}/auth.json.lock", f"{tmp_path}/auth.json.lock"]


def test_a_folder_that_may_not_be_written_to_is_told() -> None:
    # Below pytest's own folders nobody but their owner may go.
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o555)
        (look,) = look_as_another_user(folder)
        assert not look.can_be_made
        folder.chmod(0o777)
        (look,) = look_as_another_user(folder)
        assert look.can_be_made


def look_as_another_user(folder: Path) -> tuple[LockHealth, ...]:
    """Look as `nobody` where we are root, whom no mode keeps out."""
    if os.geteuid() != 0:
        return look_at_lock(folder / "auth.json", now_s=NOW_S)
    os.setresuid(65534, 65534, 0)
    try:
        return look_at_lock(folder / "auth.json", now_s=NOW_S)
    finally:
        os.setresuid(0, 0, 0)
