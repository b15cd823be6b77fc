"""Reading files that somebody else rewrites in place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pi_model_proxy.credentials import Fault, Malformed, TrackedFile, parse_object, read_file, revision_of
from pi_model_proxy.credentials.tracked_file import RETRY_DELAYS_S, why_commands_are_refused


class Watched(TrackedFile[dict[str, object]]):
    """A JSON object; `while_waiting` is called at each pause with the number of the pause."""

    def __init__(self, path: Path, *while_waiting: str) -> None:
        self.pauses: list[float] = []
        self.steps = list(while_waiting)
        super().__init__(path, parse=parse_object, absent={}, sleep=self.wait)

    def wait(self, delay_s: float) -> None:
        self.pauses.append(delay_s)
        if self.steps:
            self.path.write_text(self.steps.pop(0))


def test_a_missing_file_counts_as_absent_and_is_not_created(tmp_path: Path) -> None:
    file = Watched(tmp_path / "auth.json")
    assert not file.read()
    assert (file.value, file.exists, file.faults) == ({}, False, ())
    assert list(tmp_path.iterdir()) == []


def test_a_change_is_noticed_by_its_revision_and_read_once(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text('{"a": 1}')
    file = Watched(path)
    assert file.read()
    assert not file.changed()
    assert not file.read()
    replacement = tmp_path / "new"
    replacement.write_text('{"b": 1}')
    replacement.replace(path)
    assert file.changed()
    assert file.read()
    assert file.value == {"b": 1}


def test_a_byte_order_mark_is_dropped(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_bytes(b"\xef\xbb\xbf{}")
    assert read_file(path).text == "{}"


@pytest.mark.parametrize("torn", ["", '{"a": 2, "b'], ids=["empty", "half written"])
def test_a_torn_read_is_repeated_until_the_write_is_done(tmp_path: Path, torn: str) -> None:
    path = tmp_path / "auth.json"
    path.write_text('{"a": 1}')
    file = Watched(path, torn, '{"a": 2, "b": 3}')
    file.read()
    path.write_text(torn)
    assert file.read()
    assert (file.value, file.faults) == ({"a": 2, "b": 3}, ())
    assert file.pauses == list(RETRY_DELAYS_S[:2])


def test_a_file_torn_at_the_very_first_look_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text("")
    file = Watched(path, '{"a": 1}')
    assert file.read()
    assert file.value == {"a": 1}


def test_a_broken_file_keeps_the_last_good_state_and_names_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text('{"a": 1}')
    file = Watched(path)
    file.read()
    path.write_text('{\n  "a": 2,\n  oops "secret-looking"\n}')
    assert file.read()
    assert file.value == {"a": 1}
    (fault,) = file.faults
    assert fault.where == f"{path}:3:3"
    assert "secret-looking" not in fault.what
    assert not file.changed(), "a file that stays broken is not read over and over"
    path.write_text('{"a": 3}')
    file.read()
    assert (file.value, file.faults) == ({"a": 3}, ())


def test_a_file_that_becomes_empty_keeps_the_last_good_state(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text('{"a": 1}')
    file = Watched(path)
    file.read()
    path.write_text("")
    file.read()
    assert file.value == {"a": 1}
    assert file.faults == (Fault(str(path), "the file is empty; what it held before stays in force"),)


def test_a_file_emptied_by_a_logout_is_believed(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text('{"a": 1}')
    file = Watched(path)
    file.read()
    path.write_text("{}")
    file.read()
    assert (file.value, file.faults) == ({}, ())


def test_a_link_is_followed_and_a_change_of_its_target_is_noticed(tmp_path: Path) -> None:
    target, link = tmp_path / "real.json", tmp_path / "auth.json"
    target.write_text('{"a": 1}')
    link.symlink_to(target)
    file = Watched(link)
    file.read()
    target.write_text('{"a": 22}')
    assert file.changed()
    file.read()
    assert file.value == {"a": 22}


def test_a_named_pipe_or_a_folder_is_refused_without_hanging(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.json")
    (tmp_path / "folder.json").mkdir()
    for name in ("pipe.json", "folder.json"):
        file = Watched(tmp_path / name)
        file.read()
        assert file.faults == (Fault(str(tmp_path / name), "cannot be read (not a regular file)"),)


def test_text_that_is_not_utf8_is_named_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_bytes(b'{\n "a": "\xff"}')
    with pytest.raises(Malformed) as caught:
        read_file(path)
    assert (caught.value.line, caught.value.column) == (2, 8)


def test_a_read_never_shows_its_text(tmp_path: Path) -> None:
    path = tmp_path / "auth.json"
    path.write_text("hunter2")
    assert "hunter2" not in repr(read_file(path))


def test_revision_of_a_missing_file_is_none(tmp_path: Path) -> None:
    assert revision_of(tmp_path / "nothing") is None


@pytest.mark.parametrize(
    ("mode", "user_id", "refused"),
    [
        pytest.param(0o600, os.getuid(), "", id="private"),
        pytest.param(0o644, os.getuid(), "", id="readable by all"),
        pytest.param(0o664, os.getuid(), "mode 0664", id="writable by the group"),
        pytest.param(0o602, os.getuid(), "mode 0602", id="writable by others"),
        pytest.param(0o600, os.getuid() + 1, "another user", id="somebody else's"),
    ],
)
def test_commands_run_only_from_files_that_nobody_else_can_write(
    tmp_path: Path, mode: int, user_id: int, refused: str
) -> None:
    path = tmp_path / "auth.json"
    path.write_text("{}")
    path.chmod(mode)
    assert refused in why_commands_are_refused(path.stat(), user_id=user_id)
    assert bool(refused) == bool(why_commands_are_refused(path.stat(), user_id=user_id))
