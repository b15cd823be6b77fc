"""The database file: private, checked, shared by processes, and never in the way."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from pi_model_proxy.errors import StorageFailed
from pi_model_proxy.storage import Database
from pi_model_proxy.storage import file as file_module
from pi_model_proxy.storage.file import DatabaseFile
from pi_model_proxy.storage.migrations import MIGRATIONS

Make = Callable[[], Database]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "folder" / "model-proxy.db"


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def database(path: Path, said: list[str]) -> Database:
    return Database(lambda: path, said.append)


def insert(key: str) -> Callable[[sqlite3.Connection], None]:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO thoughts VALUES (?, 'o', 0, 1, x'00')", (key,))

    return work


def count(connection: sqlite3.Connection) -> int:
    (number,) = connection.execute("SELECT count(*) FROM thoughts").fetchone()
    return int(number)


def run(story: Callable[[], Awaitable[None]], database: Database) -> None:
    async def told() -> None:
        try:
            await asyncio.wait_for(story(), 30)
        finally:
            database.close()

    asyncio.run(told())


def test_what_was_written_is_there_for_the_next_process(database: Database, path: Path) -> None:
    async def story() -> None:
        await database.write(insert("a"))
        assert await database.read(count) == 1

    run(story, database)
    with sqlite3.connect(path) as reopened:
        assert count(reopened) == 1
        assert reopened.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert reopened.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert reopened.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    reopened.close()


def test_only_its_owner_can_read_it(database: Database, path: Path) -> None:
    async def story() -> None:
        await database.write(insert("a"))
        for each in path.parent.iterdir():
            assert stat.S_IMODE(each.stat().st_mode) == 0o600, each
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    run(story, database)


def test_who_never_uses_it_pays_nothing(database: Database, path: Path) -> None:
    before = threading.active_count()
    database.close()
    assert threading.active_count() == before
    assert not path.parent.exists()


def test_writes_that_wait_together_are_committed_together(database: Database, path: Path) -> None:
    async def story() -> None:
        go_on = threading.Event()
        first = database.write(lambda _: go_on.wait(20))
        rest = [database.write(insert(str(number))) for number in range(100)]
        changes: list[int] = []
        last = database.read(lambda connection: changes.append(connection.total_changes))
        go_on.set()
        await asyncio.gather(first, *rest, last)
        assert changes == [100]

    run(story, database)
    # Each commit of its own would have left a frame of each page it changed.
    assert path.stat().st_size < 200_000


def test_a_write_that_fails_takes_no_other_with_it(database: Database) -> None:
    async def story() -> None:
        given = [database.write(insert(key)) for key in ("a", "a", "b")]
        results = await asyncio.gather(*given, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), StorageFailed, type(None)]
        assert await database.read(count) == 2

    run(story, database)


@pytest.mark.parametrize("damage", ["text", "middle"])
def test_a_damaged_file_is_set_aside_and_said(
    path: Path, said: list[str], database: Database, damage: str
) -> None:
    path.parent.mkdir()
    if damage == "text":
        path.write_bytes(b"this is no database at all, however long it may be" * 100)
    else:
        file = DatabaseFile(path)
        with file.transaction() as connection:
            for number in range(2000):
                insert(f"{number:0100d}")(connection)
        file.close()
        data = bytearray(path.read_bytes())
        data[8192:60_000] = b"\xa5" * (60_000 - 8192)
        path.write_bytes(data)

    async def story() -> None:
        await database.write(insert("a"))
        assert await database.read(count) == 1

    run(story, database)
    assert len(said) == 1
    assert "damaged" in said[0]
    (aside,) = path.parent.glob("model-proxy.db.corrupt-*[0-9]")
    assert aside.name in said[0]


def test_a_file_of_a_later_version_is_left_alone(path: Path, said: list[str], database: Database) -> None:
    DatabaseFile(path).close()
    with sqlite3.connect(path) as later:
        later.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    later.close()

    async def story() -> None:
        for _ in range(2):
            with pytest.raises(StorageFailed):
                await database.write(insert("a"))

    run(story, database)
    assert ["later version" in text for text in said] == [True]
    assert not list(path.parent.glob("*.corrupt-*"))


def test_a_file_that_was_removed_is_made_anew(path: Path, database: Database) -> None:
    async def story() -> None:
        await database.write(insert("a"))
        for each in path.parent.iterdir():
            each.unlink()
        await database.write(insert("b"))
        assert await database.read(count) == 1

    run(story, database)


def test_a_link_in_its_place_is_not_followed(path: Path, said: list[str], database: Database) -> None:
    path.parent.mkdir()
    elsewhere = path.parent / "elsewhere"
    path.symlink_to(elsewhere)

    async def story() -> None:
        with pytest.raises(StorageFailed):
            await database.write(insert("a"))

    run(story, database)
    assert not elsewhere.exists()
    assert len(said) == 1


def test_whoever_comes_after_the_end_is_told_so(database: Database) -> None:
    async def story() -> None:
        await database.write(insert("a"))
        database.close()
        with pytest.raises(StorageFailed):
            await database.write(insert("b"))

    run(story, database)


def test_work_on_a_slow_disk_does_not_hold_up_the_event_loop(database: Database) -> None:
    async def story() -> None:
        go_on = threading.Event()
        slow = database.write(lambda _: go_on.wait(20))
        waiting = [database.write(insert(str(number)), size=2**20) for number in range(200)]
        began_s = time.monotonic()
        overloaded = [future for future in waiting if future.done()]
        assert time.monotonic() - began_s < 5
        go_on.set()
        await slow
        results = await asyncio.gather(*waiting, return_exceptions=True)
        refused = [result for result in results if isinstance(result, StorageFailed)]
        assert len(refused) == len(overloaded) > 0

    run(story, database)


def test_nobody_writes_beside_another_and_who_waits_too_long_gives_up(
    path: Path, said: list[str], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = DatabaseFile(path)

    async def story() -> None:
        await database.write(insert("a"))
        monkeypatch.setattr(file_module, "LOCK_S", 0.05)
        with other.locked():
            with pytest.raises(StorageFailed, match="another process"):
                await database.write(insert("b"))
            assert await database.read(count) == 1  # reading waits for nobody
        await database.write(insert("c"))
        assert await database.read(count) == 2

    run(story, database)
    other.close()
    assert len(said) == 1


WRITER = """
import asyncio, sys
from pathlib import Path
from pi_model_proxy.storage import Database
path, name = sys.argv[1:]
database = Database(lambda: Path(path), print)
async def story():
    for number in range(60):
        await database.write(
            lambda c: c.execute("INSERT INTO thoughts VALUES (?, 'o', 0, 1, x'00')", (f"{name}{number}",)) and None
        )
asyncio.run(story())
database.close()
"""


def test_processes_that_write_at_once_leave_a_sound_file(path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(path), name]) for name in "abc"]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert count(connection) == 180
    connection.close()


def test_a_mistake_in_one_piece_of_work_keeps_nobody_waiting(database: Database, said: list[str]) -> None:
    def mistaken(connection: sqlite3.Connection) -> None:
        raise ZeroDivisionError(f"secret text beside {connection}")

    async def story() -> None:
        for work in (database.write, database.read):
            with pytest.raises(StorageFailed, match="ZeroDivisionError"):
                await work(mistaken)
        await database.write(insert("a"))
        assert await database.read(count) == 1
        database.close()

    asyncio.run(story())
    assert not any("secret" in line for line in said)
