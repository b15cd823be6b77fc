"""Lone surrogates become U+FFFD and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest

from pi_model_proxy.dialects.surrogates import clean_json, clean_json_text, clean_text, mend_body


@pytest.mark.parametrize(
    ("body", "mended"),
    [
        (rb'{"a":"\ud83d"}', rb'{"a":"\ufffd"}'),
        (rb'"\ud83d\ud83d\ude00"', rb'"\ufffd\ud83d\ude00"'),
        (rb'"\uDE00 \uD83D"', rb'"\ufffd \ufffd"'),
        (rb'"\\\ud83d"', rb'"\\\ufffd"'),
    ],
)
def test_an_escaped_half_is_replaced(body: bytes, mended: bytes) -> None:
    assert mend_body(body) == mended


@pytest.mark.parametrize("body", [rb'{"a":"\ud83d\ude00"}', rb'"\\ud83d"', b'{"plain":1}', rb'"\n\u00e9"'])
def test_a_body_without_halves_is_the_very_same_object(body: bytes) -> None:
    assert mend_body(body) is body


def test_text_keeps_whole_characters_and_loses_halves() -> None:
    assert clean_text("é\ud83d😀\ude00") == "é\ufffd😀\ufffd"


def test_json_in_a_string_is_cleaned_inside_and_out() -> None:
    assert (
        clean_json_text('{"a":"\\ud83d","b":"\ud83d","c":"\\\\ud83d"}')
        == '{"a":"\\ufffd","b":"\ufffd","c":"\\\\ud83d"}'
    )
    assert clean_json_text('{"a":"\\uD83D\\uDE00"}') == '{"a":"\\uD83D\\uDE00"}'


def test_a_value_is_cleaned_in_names_and_depth() -> None:
    value: dict[str, Any] = {"\ud83d": [{"x": "\ude00"}, 1, None, True]}
    assert clean_json(value) == {"\ufffd": [{"x": "\ufffd"}, 1, None, True]}
