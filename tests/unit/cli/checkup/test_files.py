"""Who may read and write the files, and how pi's lock is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pi_model_proxy.cli.checkup import files
from pi_model_proxy.cli.checkup.files import FileFacts, judged, judged_lock, lock_findings, looked_at
from pi_model_proxy.credentials.lock_health import LockHealth


def facts(mode: int, *, is_ours: bool = True) -> FileFacts:
    return FileFacts(path=Path("/f"), mode=mode, is_ours=is_ours)


@pytest.mark.parametrize(
    ("mode", "secret", "level", "fix"),
    [
        (0o600, True, "ok", ""),
        (0o640, True, "warning", "chmod 600 /f"),
        (0o604, True, "warning", "chmod 600 /f"),
        (0o644, False, "ok", ""),
        (0o664, False, "warning", "chmod go-w /f"),
        (0o602, True, "warning", "chmod 600 /f"),
    ],
)
def test_others_may_not_write_and_not_read_keys(mode: int, secret: bool, level: str, fix: str) -> None:
    found = judged(facts(mode), holds_secrets=secret)
    assert (found.level, found.fix) == (level, fix)


def test_another_user_s_file_can_change_at_any_time() -> None:
    found = judged(facts(0o600, is_ours=False), holds_secrets=True)
    assert found.level == "warning"
    assert found.fix.startswith("chown ")


def test_a_link_is_followed_and_named(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    real.touch(mode=0o600)
    link = tmp_path / "auth.json"
    link.symlink_to(real)
    found = looked_at(link)
    assert found is not None
    assert judged(found, holds_secrets=True).what == f"mode 0600, a link to {real}"
    assert looked_at(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("look", "level", "said"),
    [
        (LockHealth(path="/l"), "ok", "nobody holds it"),
        (LockHealth(path="/l", state="held", age_s=1.5), "ok", "stamped 1 s ago"),
        (LockHealth(path="/l", state="held", age_s=-3600), "warning", "1 h 0 min in the future"),
        (LockHealth(path="/l", state="stale", age_s=90), "note", "1 min ago"),
        (LockHealth(path="/l", state="stuck", why="it is no folder"), "error", "it is no folder"),
    ],
)
def test_a_lock_is_told_with_what_it_means(look: LockHealth, level: str, said: str) -> None:
    found = judged_lock(look)
    assert found.level == level
    assert said in found.what
    assert bool(found.fix) == (level != "ok")


@pytest.mark.parametrize(("has_logins", "level"), [(True, "warning"), (False, "note")])
def test_a_read_only_folder_matters_where_there_are_logins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_logins: bool, level: str
) -> None:
    looks = (LockHealth(path=str(tmp_path / "auth.json.lock"), can_be_made=False),)
    monkeypatch.setattr(files, "look_at_lock", lambda *_, **__: looks)
    worry, free = lock_findings(tmp_path, has_logins=has_logins)
    assert (worry.level, worry.where) == (level, str(tmp_path))
    assert "read-only" in worry.what
    assert free.level == "ok"
