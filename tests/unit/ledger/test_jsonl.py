from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pi_model_proxy.hub import Usage
from pi_model_proxy.ledger import Attempt, Entry, JsonlLog, LogFile, LogSettings, moment_text


def an_entry(request_id: str = "req_1") -> Entry:
    moment = moment_text(1_700_000_000.5)
    return Entry(request_id=request_id, timestamp=moment, method="POST", path="/v1/messages")


def line_bytes(request_id: str) -> int:
    return len(msgspec.json.encode(an_entry(request_id))) + 1


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def open_log(tmp_path: Path, complaints: list[str]) -> Callable[..., JsonlLog]:
    def make(path: Path = tmp_path / "logs" / "log.jsonl", *, max_bytes: int = 0, keep: int = 2) -> JsonlLog:
        settings = LogSettings(path=path, max_bytes=max_bytes, keep=keep)
        return JsonlLog(LogFile(lambda: settings, complaints.append))

    return make


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_holds_the_original_fields_under_their_names(
    tmp_path: Path, open_log: Callable[..., JsonlLog]
) -> None:
    entry = an_entry()
    entry.status, entry.latency_ms, entry.model = 200, 12.3, "a/b"
    entry.count(Usage(input=10, cache_read=100, cache_write_5m=50, output=7, reasoning=3))
    entry.cost_usd = 0.00123
    entry.attempts.append(Attempt(provider="a", status=200))
    log = open_log(tmp_path / "log.jsonl")
    log.settle(entry)
    log.close()
    (line,) = lines(tmp_path / "log.jsonl")
    assert line["timestamp"] == "2023-11-14T22:13:20.500Z"
    assert {
        k: line[k]
        for k in ("method", "path", "status", "latency_ms", "model", "input_tokens", "output_tokens")
    } == {
        "method": "POST",
        "path": "/v1/messages",
        "status": 200,
        "latency_ms": 12.3,
        "model": "a/b",
        "input_tokens": 160,
        "output_tokens": 7,
    }
    assert (line["cache_read_tokens"], line["cache_write_tokens"], line["reasoning_tokens"]) == (100, 50, 3)
    assert line["error"] is None
    assert line["attempts"] == [{"provider": "a", "status": 200, "error": None, "upstream_id": None}]


def test_every_settled_request_is_one_line_in_a_private_file(
    tmp_path: Path, open_log: Callable[..., JsonlLog]
) -> None:
    log = open_log()
    for number in range(700):
        log.settle(an_entry(f"req_{number}"))
    log.close()
    path = tmp_path / "logs" / "log.jsonl"
    assert [line["request_id"] for line in lines(path)] == [f"req_{number}" for number in range(700)]
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_may_read_is_closed_to_them(
    tmp_path: Path, open_log: Callable[..., JsonlLog]
) -> None:
    path = tmp_path / "log.jsonl"
    path.touch(mode=0o644)
    log = open_log(path)
    log.settle(an_entry())
    log.close()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_full_file_is_rotated_and_only_so_many_are_kept(
    tmp_path: Path, open_log: Callable[..., JsonlLog]
) -> None:
    path = tmp_path / "log.jsonl"
    for number in range(5):
        log = open_log(path, max_bytes=line_bytes("req_1") + 10)
        log.settle(an_entry(f"req_{number}"))
        log.close()
    assert lines(path)[0]["request_id"] == "req_4"
    assert lines(tmp_path / "log.jsonl.1")[0]["request_id"] == "req_3"
    assert lines(tmp_path / "log.jsonl.2")[0]["request_id"] == "req_2"
    assert not (tmp_path / "log.jsonl.3").exists()


def test_no_kept_files_means_the_old_one_goes(tmp_path: Path, open_log: Callable[..., JsonlLog]) -> None:
    path = tmp_path / "log.jsonl"
    for number in range(2):
        log = open_log(path, max_bytes=10, keep=0)
        log.settle(an_entry(f"req_{number}"))
        log.close()
    assert [line["request_id"] for line in lines(path)] == ["req_1"]
    assert list(tmp_path.iterdir()) == [path]


def test_a_log_that_is_a_folder_stops_nobody_and_is_complained_of_once(
    tmp_path: Path, open_log: Callable[..., JsonlLog], complaints: list[str]
) -> None:
    log = open_log(tmp_path)
    log.settle(an_entry())
    log.close()
    log.settle(an_entry())
    log.close()
    assert log.lost == 2
    assert len(complaints) == 1
    assert "cannot be written" in complaints[0]


def test_a_symbolic_link_is_not_followed(
    tmp_path: Path, open_log: Callable[..., JsonlLog], complaints: list[str]
) -> None:
    target = tmp_path / "victim"
    target.write_text("keep")
    link = tmp_path / "log.jsonl"
    link.symlink_to(target)
    log = open_log(link)
    log.settle(an_entry())
    log.close()
    assert target.read_text() == "keep"
    assert complaints


def test_a_file_moved_away_is_made_anew(tmp_path: Path, open_log: Callable[..., JsonlLog]) -> None:
    path = tmp_path / "log.jsonl"
    log = open_log(path)
    log.settle(an_entry("req_a"))
    log.close()
    log.settle(an_entry("req_b"))
    path.rename(tmp_path / "moved")
    log.settle(an_entry("req_c"))
    log.close()
    kept = [line["request_id"] for file in tmp_path.iterdir() for line in lines(file)]
    assert sorted(kept) == ["req_a", "req_b", "req_c"]


def test_nothing_secret_has_a_place_in_an_entry() -> None:
    assert not {"prompt", "messages", "headers", "authorization", "body"} & set(Entry.__struct_fields__)


def test_lines_that_come_together_do_not_outgrow_the_limit(
    tmp_path: Path, open_log: Callable[..., JsonlLog]
) -> None:
    path = tmp_path / "log.jsonl"
    limit = 3 * line_bytes("req_0")
    log = open_log(path, max_bytes=limit, keep=5)
    for number in range(9):
        log.settle(an_entry(f"req_{number}"))
    log.close()
    files = sorted(tmp_path.glob("log.jsonl*"))
    assert len(files) == 3
    assert all(file.stat().st_size <= limit for file in files)


def test_a_request_that_ends_after_the_log_was_closed_is_written_too(
    tmp_path: Path, open_log: Callable[..., JsonlLog]
) -> None:
    log = open_log(tmp_path / "log.jsonl")
    log.settle(an_entry("req_1"))
    log.close()
    log.settle(an_entry("req_2"))
    assert [line["request_id"] for line in lines(tmp_path / "log.jsonl")] == ["req_1", "req_2"]
