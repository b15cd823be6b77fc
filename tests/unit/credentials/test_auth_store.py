"""Logging in and out of auth.json: one entry changes, as pi would change it, and a kill costs nothing."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.credentials import (
    LockTimings,
    LockUnavailable,
    WriteRefused,
    finish_journal,
    journal_path,
    remove_entry,
    store_entry,
)

LOGIN = {"type": "oauth", "refresh": "r", "access": "a", "expires": 7}
OTHERS: dict[str, Any] = {
    "zeta": {"type": "api_key", "key": "z", "unknown": [1, {"deep": None}]},
    "anthropic": {"type": "oauth", "access": "old", "refresh": "old", "expires": 1, "accountId": "old"},
    "google-antigravity": {"type": "oauth", "projectId": "ä😀"},
}
QUICK = LockTimings(wait_s=0.2)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "agent" / "auth.json"
    path.parent.mkdir()
    path.write_text(json.dumps(OTHERS, indent=2, ensure_ascii=False))
    path.chmod(0o600)
    return path


def names(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_login_takes_the_place_of_the_entry_and_nothing_else_changes(path: Path) -> None:
    store_entry(path, "anthropic", LOGIN)
    assert path.read_text() == json.dumps({**OTHERS, "anthropic": LOGIN}, indent=2, ensure_ascii=False)
    assert mode(path) == 0o600
    assert names(path) == ["auth.json"]


def test_a_first_login_comes_last_as_in_pi(path: Path) -> None:
    store_entry(path, "xai", LOGIN)
    assert list(json.loads(path.read_text())) == [*OTHERS, "xai"]


def test_folder_and_file_are_made_as_pi_makes_them(tmp_path: Path) -> None:
    path = tmp_path / "new" / "agent" / "auth.json"
    store_entry(path, "xai", LOGIN)
    assert json.loads(path.read_text()) == {"xai": LOGIN}
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    assert names(path) == ["auth.json"]


@pytest.mark.parametrize("is_there", [True, False])
def test_a_link_stays_a_link(tmp_path: Path, path: Path, *, is_there: bool) -> None:
    target = tmp_path / "dotfiles" / "real.json"
    target.parent.mkdir()
    if is_there:
        path.rename(target)
    else:
        path.unlink()
    path.symlink_to(target)
    store_entry(path, "xai", LOGIN)
    assert path.is_symlink()
    assert json.loads(target.read_text())["xai"] == LOGIN
    assert names(target) == ["real.json"]


def test_a_mode_that_somebody_chose_is_kept(path: Path) -> None:
    path.chmod(0o640)
    store_entry(path, "xai", LOGIN)
    assert mode(path) == 0o640


@pytest.mark.parametrize("text", ["", "  ", "\ufeff{}", "{}"])
def test_an_empty_file_is_a_file_without_entries(path: Path, text: str) -> None:
    path.write_text(text)
    store_entry(path, "xai", LOGIN)
    assert json.loads(path.read_text()) == {"xai": LOGIN}


@pytest.mark.parametrize("text", ['{"a": ', "[]", "nonsense", "\x00"])
def test_a_file_that_cannot_be_understood_is_left_as_it_is(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(WriteRefused, match="left as it is"):
        store_entry(path, "xai", LOGIN)
    with pytest.raises(WriteRefused, match="left as it is"):
        remove_entry(path, "xai")
    assert path.read_text() == text
    assert names(path) == ["auth.json"]


def test_what_an_early_pi_kept_elsewhere_is_taken_over_when_the_file_is_made(tmp_path: Path) -> None:
    old = {"anthropic": {"access": "a", "refresh": "r", "expires": 5}, "odd": 3}
    (tmp_path / "oauth.json").write_text(json.dumps(old))
    keys = {"apiKeys": {"groq": "k", "anthropic": "no", "bad": 1}, "theme": "x"}
    (tmp_path / "settings.json").write_text(json.dumps(keys))
    path = tmp_path / "auth.json"
    store_entry(path, "xai", LOGIN)
    assert json.loads(path.read_text()) == {
        "anthropic": {"type": "oauth", "access": "a", "refresh": "r", "expires": 5},
        "groq": {"type": "api_key", "key": "k"},
        "xai": LOGIN,
    }
    assert json.loads((tmp_path / "settings.json").read_text()) == keys


def test_a_logout_takes_one_entry_out(path: Path) -> None:
    assert remove_entry(path, "anthropic")
    kept = {name: entry for name, entry in OTHERS.items() if name != "anthropic"}
    assert path.read_text() == json.dumps(kept, indent=2, ensure_ascii=False)
    before = path.stat()
    assert not remove_entry(path, "anthropic")
    assert path.stat() == before, "nothing is written when there is nothing to take out"
    assert names(path) == ["auth.json"]


def test_a_logout_without_a_file_makes_none(tmp_path: Path) -> None:
    assert not remove_entry(tmp_path / "auth.json", "xai")
    assert list(tmp_path.iterdir()) == []


def test_another_process_that_has_pis_lock_is_waited_for(path: Path) -> None:
    Path(f"{path}.lock").mkdir()
    with pytest.raises(LockUnavailable):
        store_entry(path, "xai", LOGIN, timings=QUICK)
    assert json.loads(path.read_text()) == OTHERS


def test_logins_at_the_same_time_lose_none(path: Path) -> None:
    timings = LockTimings(longest_delay_s=0.02)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store_entry(path, f"p{number}", LOGIN, timings=timings), range(16)))
    assert sorted(json.loads(path.read_text())) == sorted([*OTHERS, *(f"p{number}" for number in range(16))])
    assert names(path) == ["auth.json"]


def test_a_renewed_login_that_waits_to_be_written_is_never_overwritten(path: Path) -> None:
    path.write_text("")
    waiting = json.dumps({"provider": "anthropic", "spent": "x", "fields": {"access": "new"}})
    journal_path(path).write_text(waiting)
    with pytest.raises(WriteRefused, match="waits to be written"):
        store_entry(path, "xai", LOGIN)
    assert journal_path(path).read_text() == waiting


def test_a_login_that_pi_made_meanwhile_wins_over_an_interrupted_one(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, 1, only="replace"), pytest.raises(Killed):
        store_entry(path, "anthropic", LOGIN)
    theirs = {**OTHERS, "anthropic": {**LOGIN, "access": "of pi"}}
    path.write_text(json.dumps(theirs))
    with pytest.raises(WriteRefused):
        finish_journal(path, check_lock=lambda: None)
    assert json.loads(path.read_text()) == theirs
    assert not journal_path(path).exists()


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, step: int, *, only: str = "") -> Iterator[Callable[[], int]]:
    """Let the process die before its `step`th change of a file; gives how many there were."""
    seen = 0

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal seen
            seen += 1
            if seen == step:
                raise Killed
            return real(*arguments, **named)

        return call

    with monkeypatch.context() as patch:
        targets: tuple[tuple[Any, str], ...] = (
            (os, "open"),
            (os, "link"),
            (os, "fsync"),
            (Path, "replace"),
            (Path, "unlink"),
        )
        for owner, name in targets:
            if not only or name == only:
                patch.setattr(owner, name, dying(getattr(owner, name)))
        yield lambda: seen


@pytest.mark.parametrize("entry", [LOGIN, None], ids=["login", "logout"])
@pytest.mark.parametrize("in_place", [False, True], ids=["exchanged", "bind mount"])
def test_a_kill_at_any_instant_leaves_a_readable_file(
    path: Path, monkeypatch: pytest.MonkeyPatch, entry: dict[str, Any] | None, *, in_place: bool
) -> None:
    after = {name: OTHERS[name] for name in OTHERS if name != "anthropic"}
    wanted = {**OTHERS, "anthropic": entry} if entry else after

    def change() -> None:
        if entry is None:
            remove_entry(path, "anthropic")
        else:
            store_entry(path, "anthropic", entry)

    if in_place:

        def busy(*_: object) -> None:
            raise OSError(errno.EBUSY, "a mount point")

        monkeypatch.setattr(Path, "replace", busy)
    outcomes = set()
    for step in range(1, 100):
        path.write_text(json.dumps(OTHERS))
        journal_path(path).unlink(missing_ok=True)
        with killed_at(monkeypatch, step) as steps:
            try:
                change()
            except Killed:
                died = True
            else:
                died = steps() >= step
        content = json.loads(path.read_text())
        assert content in (OTHERS, wanted)
        Path(f"{path}.lock").rmdir() if Path(f"{path}.lock").exists() else None
        change()  # whoever comes next finds everything in order
        assert json.loads(path.read_text()) == wanted
        outcomes.add(content == wanted)
        if not died:
            break
    assert step > 5
    assert outcomes == {True, False}
