"""The table of `make agents`: what failed is seen, and what was not run is not counted as good."""

from __future__ import annotations

from agents.report import Outcome, Untested, page, summary


def outcome(scene: str, error: str | None = None, *, model: str = "stub-chat/vision") -> Outcome:
    return Outcome(client="codex", version="1.0", face="responses", model=model, scene=scene, error=error)


def row(outcomes: list[Outcome]) -> str:
    lines = page(outcomes, [], date="2026-01-01", ours="0").splitlines()
    return next(line for line in lines if line.startswith("| codex"))


def test_scenes_of_one_client_count_in_one_row_over_all_upstreams() -> None:
    found = [outcome("text"), outcome("text", model="stub-messages/vision"), outcome("tools streamed")]
    assert row(found) == "| codex | 1.0 | responses | ok 2/2 | — | ok 1/1 | — | — |"


def test_one_failure_among_many_marks_the_cell_and_is_told_below() -> None:
    found = [outcome("text"), outcome("text", "BadRequestError:\n`no`"), outcome("kept")]
    assert row(found) == "| codex | 1.0 | responses | FAILED 1/2 | — | — | — | ok 1/1: kept |"
    text = page(found, [], date="2026-01-01", ours="0")
    assert "* codex, responses, `stub-chat/vision`, text: `BadRequestError: 'no'`" in text
    assert "**2 of 3 scenes went as they should.**" in text


def test_a_client_that_was_not_run_is_named_with_its_reason() -> None:
    untested = [Untested(client="goose", why="no such package")]
    assert "* goose: no such package" in page([outcome("text")], untested, date="2026-01-01", ours="0")
    assert "NOT TESTED  goose: no such package" in summary([outcome("text")], untested)
    assert summary([outcome("text")], untested)[-1] == "1 of 1 scenes went as they should."
