"""Small things several formats make of the same contents, and read of the same JSON."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects.answer_json import read_answer, whole_count
from pi_model_proxy.dialects.contents import arguments_object, text_of_file


class Shape(msgspec.Struct):
    text: str = ""


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("", {}),
        (" ", {}),
        ('{"a":1}', {"a": 1}),
        ("[]", {"_raw": "[]"}),
        ("{", {"_raw": "{"}),
        ("[" * 5000, {"_raw": "[" * 5000}),
    ],
)
def test_arguments_are_an_object_whatever_they_were(arguments: str, found: dict[str, Any]) -> None:
    assert arguments_object(arguments) == found


@pytest.mark.parametrize(
    ("media_type", "data", "text"),
    [
        ("text/plain", "aGk=", "hi"),
        ("TEXT/csv", "aGk=", "hi"),
        ("application/json", "e30=", "{}"),
        ("application/pdf", "aGk=", None),
        ("text/plain", "//8=", None),
        ("text/plain", "a", None),
    ],
)
def test_only_text_files_are_text(media_type: str, data: str, text: str | None) -> None:
    assert text_of_file(media_type, data) == text


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        (b'{"text":"a"}', "a"),
        (b'{"text":"\\ud83d"}', "\ufffd"),
        (b'{"text":7}', None),
        (b'{"text":"\\ud83d"', None),
        (b"\xff", None),
        (b"[" * 5000, None),
        (msgspec.Raw(), None),
    ],
)
def test_an_upstreams_json_is_read_or_not_there(raw: bytes | msgspec.Raw, found: str | None) -> None:
    answer = read_answer(raw, Shape)
    assert (answer.text if answer is not None else None) == found


@pytest.mark.parametrize(("number", "count"), [(None, 0), (3, 3), (2.9, 2), (-4, 0)])
def test_counts_can_be_added_up(number: float | None, count: int) -> None:
    assert whole_count(number) == count
