"""A look at the database that changes nothing."""

from __future__ import annotations

import fcntl
import sqlite3
from pathlib import Path

import pytest

from pi_model_proxy.storage import health
from pi_model_proxy.storage.file import DatabaseFile
from pi_model_proxy.storage.health import examine_database, has_wal_bug
from pi_model_proxy.storage.migrations import MIGRATIONS


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a folder" / "model-proxy.db"


def files_at(path: Path) -> dict[str, bytes]:
    """Everything beside the database; its shared memory holds readers' marks, which any look changes."""
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if not each.name.endswith("-shm")}


def test_a_file_that_is_not_there_is_not_made(path: Path) -> None:
    assert examine_database(path) == health.DatabaseHealth()
    assert not path.parent.exists()


def test_a_sound_file_that_nobody_has_open_is_left_as_it_is(path: Path) -> None:
    DatabaseFile(path).close()
    before = files_at(path)
    found = examine_database(path)
    assert (found.exists, found.trouble, found.unchecked) == (True, "", "")
    assert found.size == path.stat().st_size
    assert files_at(path) == before
    assert sorted(before) == ["model-proxy.db", "model-proxy.db.lock"]


def test_what_a_server_has_written_and_not_yet_checkpointed_is_looked_at_too(path: Path) -> None:
    served = DatabaseFile(path)
    try:
        with served.transaction() as connection:
            connection.execute("INSERT INTO thoughts VALUES ('k', 'o', 0, 1, x'00')")
        before = files_at(path)
        found = examine_database(path)
        assert (found.trouble, found.unchecked) == ("", "")
        assert found.size > path.stat().st_size
        assert files_at(path) == before
        with served.transaction() as connection:
            connection.execute("INSERT INTO thoughts VALUES ('l', 'o', 0, 1, x'00')")
    finally:
        served.close()


def test_a_file_that_is_no_database_is_damaged_and_stays_where_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all " * 200)
    found = examine_database(path)
    assert found.is_damaged
    assert found.trouble == "file is not a database"
    assert path.read_bytes().startswith(b"no database")


def test_damage_in_the_middle_of_a_table_is_found(path: Path) -> None:
    made = DatabaseFile(path)
    with made.transaction() as connection:
        connection.executemany(
            "INSERT INTO thoughts VALUES (?, 'o', 0, 1, zeroblob(900))", [(str(each),) for each in range(300)]
        )
    made.close()
    content = bytearray(path.read_bytes())
    middle = len(content) // 2 // 4096 * 4096
    content[middle : middle + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    assert examine_database(path).is_damaged


def test_a_later_version_s_file_is_in_trouble_but_not_damaged(path: Path) -> None:
    DatabaseFile(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    found = examine_database(path)
    assert not found.is_damaged
    assert "later version" in found.trouble


def test_a_folder_or_a_link_in_its_place_is_no_database(path: Path) -> None:
    path.mkdir(parents=True)
    assert examine_database(path).trouble == "it is not a regular file"
    link = path.parent / "link.db"
    link.symlink_to(path)
    assert examine_database(link).trouble == "it is not a regular file"


def test_while_another_process_writes_for_long_nothing_is_claimed(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    DatabaseFile(path).close()
    monkeypatch.setattr(health, "CHECK_S", 0.05)
    with Path(f"{path}.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert examine_database(path).unchecked == "another process is writing to it"
    assert examine_database(path).unchecked == ""


def test_a_check_that_takes_too_long_is_broken_off(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    DatabaseFile(path).close()
    monkeypatch.setattr(health, "CHECK_S", -1.0)
    monkeypatch.setattr(health, "STEPS_BETWEEN_LOOKS", 1)
    assert "takes longer" in examine_database(path).unchecked


def test_files_that_were_set_aside_are_named(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all " * 200)
    DatabaseFile(path).close()
    (aside,) = examine_database(path).set_aside
    assert aside.startswith("model-proxy.db.corrupt-20")


@pytest.mark.parametrize(
    ("version", "has_it"), [((3, 40, 1), True), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 52, 0), False)]
)
def test_the_versions_with_the_bug(version: tuple[int, ...], has_it: bool) -> None:
    assert has_wal_bug(version) is has_it
