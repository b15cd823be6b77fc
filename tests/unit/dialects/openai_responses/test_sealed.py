"""A reasoning item comes back exactly as it was, whatever dialect carried its pieces."""

from __future__ import annotations

import pytest

from pi_model_proxy.dialects.openai_responses.sealed import joined, sealed, unsealed

BLOB = "gAAAAABo-_=="


@pytest.mark.parametrize(
    "parts",
    [
        [],
        ["one"],
        ["one", "two"],
        ["one\n\nwith a gap", "\n\ntwo\n\n", "three"],
        [""],
        ["", "one", "", "two"],
        ["one", ""],
    ],
)
def test_the_parts_of_a_summary_come_back_as_they_were(parts: list[str]) -> None:
    assert unsealed(sealed(BLOB, parts, is_summary=True), joined(parts)) == (BLOB, parts)


def test_a_summary_of_one_part_needs_nothing_beside_the_blob() -> None:
    assert sealed(BLOB, ["one"], is_summary=True) == sealed(BLOB, [], is_summary=True) == BLOB


@pytest.mark.parametrize("text", ["one", "one\n\ntwo, rewritten", "oneXXtwo", "one\n\ntw"])
def test_a_text_that_was_changed_on_its_way_is_one_part(text: str) -> None:
    assert unsealed(sealed(BLOB, ["one", "two"], is_summary=True), text) == (BLOB, [text])


def test_a_text_that_was_lost_on_its_way_is_no_part() -> None:
    assert unsealed(sealed(BLOB, ["one", "two"], is_summary=True), "") == (BLOB, [])


@pytest.mark.parametrize("data", ["b#x", "b#-1,4", "b#" + "1," * 5000 + "1", "b#²"])
def test_nonsense_after_the_blob_is_passed_over(data: str) -> None:
    assert unsealed(data, "text") == ("b", ["text"])


def test_thinking_that_is_no_summary_is_not_sent_back_as_one() -> None:
    assert unsealed(sealed(BLOB, [], is_summary=False), "the thinking itself") == (BLOB, [])
