from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_model_proxy.wire import (
    ascii_json,
    compact_json,
    edit_object,
    escape_separators,
    join_array,
    raw_array,
    raw_object,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)


def test_members_that_are_not_edited_keep_every_byte() -> None:
    text = b'{ "model" : "a", "x": {"b":1,  "a":"\\u003c"}, "n": 1.50e1 }'
    edited = edit_object(raw_object(text), put={"model": b'"b"', "new": b"[]"}, remove=["absent"])
    assert edited == b'{"model":"b","x":{"b":1,  "a":"\\u003c"},"n":1.50e1,"new":[]}'


def test_members_are_removed_by_name() -> None:
    assert edit_object(raw_object(b'{"a":1,"b":2}'), put={}, remove=["a"]) == b'{"b":2}'


def test_arrays_come_apart_and_together_again() -> None:
    assert join_array(raw_array(b'[1, {"a" : 2},"x"]')) == b'[1,{"a" : 2},"x"]'


@pytest.mark.parametrize("wrong", [b"", b"[]", b"null", b'{"a":', b"\xff"])
def test_what_is_no_object_is_refused(wrong: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeDecodeError)):
        raw_object(wrong)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(VALUES)
def test_ascii_json_says_the_same_in_ascii(value: object) -> None:
    data = ascii_json(value)
    assert data.isascii()
    assert json.loads(data) == value == json.loads(compact_json(value))


def test_ascii_json_escapes_beyond_the_first_plane_as_pairs() -> None:
    assert ascii_json("é😀\u2028") == b'"\\u00e9\\ud83d\\ude00\\u2028"'


def test_separators_that_break_readers_are_escaped_and_nothing_else_is() -> None:
    text = '{"a":"x\u2028\u2029\u0085é"}'
    data = escape_separators(text.encode())
    assert data == '{"a":"x\\u2028\\u2029\\u0085é"}'.encode()
    assert json.loads(data) == json.loads(text)


def test_line_breaks_between_tokens_cannot_break_a_frame() -> None:
    assert escape_separators(b'{\r\n "a": 1\n}') == b'{   "a": 1 }'
