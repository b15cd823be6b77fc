"""Writing new tokens: one entry changes, everything else survives, and so does a kill."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from pi_model_proxy.credentials import (
    LockLost,
    OAuthCredential,
    WriteRefused,
    finish_journal,
    journal_path,
    write_journal,
)

SPENT = OAuthCredential(access="a1", refresh="r1", expires_ms=1.0)
FIELDS = {"type": "oauth", "access": "a2", "refresh": "r2", "expires": 99}
CONTENT: dict[str, dict[str, object]] = {
    "zeta": {"type": "api_key", "key": "z", "unknown": [1, {"deep": None}]},
    "anthropic": {
        "custom": "ä😀",
        "type": "oauth",
        "access": "a1",
        "refresh": "r1",
        "expires": 1,
        "future": 1.5,
    },
    "google-antigravity": {"type": "oauth", "projectId": "old provider"},
}


def still_ours() -> None:
    """A lock that is never lost."""


@pytest.fixture
def auth_json(tmp_path: Path) -> Path:
    path = tmp_path / "auth.json"
    path.write_text(json.dumps(CONTENT, indent=2, ensure_ascii=False))
    path.chmod(0o640)
    return path


def store(path: Path) -> None:
    write_journal(path, "anthropic", spent=SPENT, fields=FIELDS)
    assert finish_journal(path, check_lock=still_ours)


def test_only_the_entry_changes_and_order_and_unknown_fields_survive(auth_json: Path) -> None:
    store(auth_json)
    expected = {**CONTENT, "anthropic": {**CONTENT["anthropic"], **FIELDS}}
    assert auth_json.read_text() == json.dumps(expected, indent=2, ensure_ascii=False)


def test_the_file_is_exchanged_with_its_mode_and_nothing_else_is_left(auth_json: Path) -> None:
    inode = auth_json.stat().st_ino
    store(auth_json)
    assert auth_json.stat().st_ino != inode
    assert stat.S_IMODE(auth_json.stat().st_mode) == 0o640
    assert [path.name for path in auth_json.parent.iterdir()] == ["auth.json"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_owner_is_kept(auth_json: Path) -> None:
    os.chown(auth_json, 1234, 2345)
    store(auth_json)
    assert (auth_json.stat().st_uid, auth_json.stat().st_gid) == (1234, 2345)


def test_a_link_stays_a_link_and_its_target_is_written(auth_json: Path, tmp_path: Path) -> None:
    target = tmp_path / "kept" / "real.json"
    target.parent.mkdir()
    auth_json.rename(target)
    auth_json.symlink_to(target)
    store(auth_json)
    assert auth_json.is_symlink()
    assert json.loads(target.read_text())["anthropic"]["access"] == "a2"


def test_the_journal_is_private_and_lies_beside_the_resolved_file(auth_json: Path) -> None:
    write_journal(auth_json, "anthropic", spent=SPENT, fields=FIELDS)
    journal = journal_path(auth_json)
    assert journal.parent == auth_json.parent
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    assert "r1" not in journal.read_text(), "the spent token is known by its digest only"


def test_without_a_journal_there_is_nothing_to_do(auth_json: Path) -> None:
    before = auth_json.stat()
    assert not finish_journal(auth_json, check_lock=still_ours)
    assert auth_json.stat() == before


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(None, id="logged out"),
        pytest.param({"type": "api_key", "key": "k"}, id="a key by now"),
        pytest.param({"type": "oauth", "access": "a9", "refresh": "r9", "expires": 5}, id="another login"),
        pytest.param(
            {"type": "oauth", "access": "a9", "refresh": "r1", "expires": 5}, id="refreshed by another"
        ),
    ],
)
def test_a_credential_that_was_changed_meanwhile_is_left_alone(auth_json: Path, entry: object) -> None:
    root: dict[str, object] = {**CONTENT, "anthropic": entry}
    if entry is None:
        del root["anthropic"]
    auth_json.write_text(json.dumps(root))
    before = auth_json.read_bytes()
    write_journal(auth_json, "anthropic", spent=SPENT, fields=FIELDS)
    with pytest.raises(WriteRefused) as refused:
        finish_journal(auth_json, check_lock=still_ours)
    assert refused.value.superseded
    assert auth_json.read_bytes() == before
    assert not journal_path(auth_json).exists()


@pytest.mark.parametrize(
    "content", ["", " \n", '{"anthropic": {"ty', "[]"], ids=["empty", "blank", "torn", "no object"]
)
def test_a_file_that_cannot_be_understood_is_never_overwritten_and_the_tokens_are_kept(
    auth_json: Path, content: str
) -> None:
    good = auth_json.read_bytes()
    write_journal(auth_json, "anthropic", spent=SPENT, fields=FIELDS)
    auth_json.write_text(content)
    with pytest.raises(WriteRefused) as refused:
        finish_journal(auth_json, check_lock=still_ours)
    assert not refused.value.superseded
    assert auth_json.read_text() == content
    auth_json.write_bytes(good)  # its owner mends it
    assert finish_journal(auth_json, check_lock=still_ours)
    assert json.loads(auth_json.read_text())["anthropic"]["refresh"] == "r2"


def test_a_file_that_was_removed_is_not_made_again(auth_json: Path) -> None:
    write_journal(auth_json, "anthropic", spent=SPENT, fields=FIELDS)
    auth_json.unlink()
    with pytest.raises(WriteRefused):
        finish_journal(auth_json, check_lock=still_ours)
    assert not auth_json.exists()


def test_a_journal_cut_short_is_dropped(auth_json: Path) -> None:
    journal_path(auth_json).write_text('{"provider": "anthropic", "sp')
    before = auth_json.read_bytes()
    assert not finish_journal(auth_json, check_lock=still_ours)
    assert auth_json.read_bytes() == before
    assert not journal_path(auth_json).exists()


def test_without_the_lock_nothing_is_written_and_the_journal_stays(auth_json: Path) -> None:
    def lost() -> None:
        raise LockLost("taken over")

    before = auth_json.read_bytes()
    write_journal(auth_json, "anthropic", spent=SPENT, fields=FIELDS)
    with pytest.raises(LockLost):
        finish_journal(auth_json, check_lock=lost)
    assert auth_json.read_bytes() == before
    assert journal_path(auth_json).exists()


@pytest.mark.parametrize("code", [errno.EBUSY, errno.EXDEV], ids=["EBUSY", "EXDEV"])
def test_a_bind_mount_is_rewritten_in_place(
    auth_json: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def cannot(self: Path, target: Path) -> Path:
        raise OSError(code, "cannot replace a mount point")

    monkeypatch.setattr(Path, "replace", cannot)
    inode = auth_json.stat().st_ino
    store(auth_json)
    assert auth_json.stat().st_ino == inode
    assert json.loads(auth_json.read_text())["anthropic"]["access"] == "a2"
    assert [path.name for path in auth_json.parent.iterdir()] == ["auth.json"]


def test_a_rewriting_in_place_that_was_cut_short_is_finished_from_the_journal(
    auth_json: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cannot(self: Path, target: Path) -> Path:
        raise OSError(errno.EBUSY, "cannot replace a mount point")

    monkeypatch.setattr(Path, "replace", cannot)
    write_journal(auth_json, "anthropic", spent=SPENT, fields=FIELDS)

    def cut(target: Path, data: bytes) -> None:
        target.write_bytes(data[: len(data) // 2])
        raise OSError(errno.EIO, "killed")

    monkeypatch.setattr("pi_model_proxy.credentials.auth_write._rewrite_in_place", cut)
    with pytest.raises(OSError, match="killed"):
        finish_journal(auth_json, check_lock=still_ours)
    monkeypatch.undo()
    assert finish_journal(auth_json, check_lock=still_ours)
    root = json.loads(auth_json.read_text())
    assert root["anthropic"]["refresh"] == "r2"
    assert list(root) == list(CONTENT)


def test_a_lone_surrogate_survives(auth_json: Path) -> None:
    root = {**CONTENT, "odd": {"type": "api_key", "key": "\ud800"}}
    auth_json.write_text(json.dumps(root))
    store(auth_json)
    assert json.loads(auth_json.read_text())["odd"]["key"] == "\ud800"


def test_a_leftover_temporary_file_or_link_in_its_place_does_no_harm(auth_json: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    Path(f"{auth_json}.model-proxy-new").symlink_to(victim)
    journal_path(auth_json).symlink_to(victim)
    store(auth_json)
    assert victim.read_text() == "untouched"
    assert json.loads(auth_json.read_text())["anthropic"]["access"] == "a2"
