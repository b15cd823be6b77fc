"""JSON as people write it: what is forgiven, what is not, and where errors point."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pi_model_proxy.wire.lenient_json import JsonSyntaxError, Position, format_path, parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param('{"a": 1}', {"a": 1}, id="plain JSON"),
        pytest.param("\ufeff[1]", [1], id="a byte order mark"),
        pytest.param('{"a": 1, // why\n "b": 2}', {"a": 1, "b": 2}, id="a comment to the end of the line"),
        pytest.param("[1] // the end", [1], id="a comment at the end of the file"),
        pytest.param("/* first */ [1, /* two\nlines */ 2]", [1, 2], id="a comment between marks"),
        pytest.param('{"a": [1, 2,], }', {"a": [1, 2]}, id="trailing commas"),
        pytest.param("[1, // why\n]", [1], id="a comment after a trailing comma"),
        pytest.param('["http://x", "/* no */", ",]"]', ["http://x", "/* no */", ",]"], id="strings are left alone"),
        pytest.param(r'["\"//", "\\"]', ['"//', "\\"], id="even with escapes"),
        pytest.param('{"a": 1, "a": 2}', {"a": 2}, id="of a name given twice the last one counts"),
        pytest.param("[12345678901234567890, 1e400]", [12345678901234567890.0, float("inf")], id="large numbers as JavaScript has them"),
    ],
)  # fmt: skip
def test_what_is_forgiven(text: str, value: object) -> None:
    assert parse(text).value == value


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        pytest.param("", 1, 1, "empty", id="nothing"),
        pytest.param(" // only a comment\n", 1, 1, "empty", id="nothing but a comment"),
        pytest.param('{\n  "a": 1\n  "b": 2\n}', 3, 3, "','", id="a comma forgotten"),
        pytest.param('{"a": [1, 2', 1, 12, "ends in the middle", id="cut off"),
        pytest.param('{\n// c\n"a" 1}', 3, 5, "':'", id="a colon forgotten, below a comment"),
        pytest.param("{'a': 1}", 1, 2, 'not "\'"', id="single quotes"),
        pytest.param("[1, # no\n2]", 1, 5, "not '#'", id="a comment of another language"),
        pytest.param("[1, /* never closed", 1, 5, "not '/'", id="a comment that never closes"),
        pytest.param('["NaN", NaN]', 1, 9, "NaN is not a JSON number", id="not a number"),
        pytest.param('{"a":\n -Infinity}', 2, 2, "-Infinity is not a JSON number", id="no end"),
        pytest.param("[1,,2]", 1, 4, "value", id="two commas"),
        pytest.param("[" * 100_000, 1, 1, "deeply", id="nesting without end"),
        pytest.param("[1] 2", 1, 5, "extra data", id="something after the end"),
    ],
)
def test_what_is_not_forgiven_is_named_with_line_and_column(
    text: str, line: int, column: int, says: str
) -> None:
    with pytest.raises(JsonSyntaxError, match=f"line {line}, column {column}: ") as caught:
        parse(text)

    assert caught.value.position == Position(line, column)
    assert says in caught.value.message


def test_comments_between_marks_can_be_refused() -> None:
    with pytest.raises(JsonSyntaxError):
        parse("/* no */ []", block_comments=False)

    assert parse("// yes\n[]", block_comments=False).value == []


TEXT = """{
  // providers
  "a/b": {"models": [ {"id": 1}, {"id": 2, /* x */ "cost": {"input": 3}} ]},
  "twice": 1, "twice": {"in": [true]},
}"""


@pytest.mark.parametrize(
    ("path", "position", "of_name"),
    [
        pytest.param((), Position(1, 1), Position(1, 1), id="the whole"),
        pytest.param(("a/b",), Position(3, 10), Position(3, 3), id="a member"),
        pytest.param(("a/b", "models", 1), Position(3, 34), Position(3, 34), id="an element"),
        pytest.param(("a/b", "models", 1, "cost", "input"), Position(3, 70), Position(3, 61), id="deep down, after a comment"),
        pytest.param(("twice", "in", 0), Position(4, 32), Position(4, 32), id="in the last of two"),
        pytest.param(("a/b", "nothing"), Position(3, 10), Position(3, 10), id="not there"),
        pytest.param(("nowhere", "at", "all"), Position(1, 1), Position(1, 1), id="not there at all"),
        pytest.param(("a/b", "models", 7), Position(3, 21), Position(3, 21), id="beyond the last element"),
        pytest.param(("a/b", 0), Position(3, 10), Position(3, 10), id="an element of no array"),
    ],
)  # fmt: skip
def test_a_path_is_found_again(path: tuple[str | int, ...], position: Position, of_name: Position) -> None:
    document = parse(TEXT)

    assert document.position_of(path) == position
    assert document.position_of_name(path) == of_name


@pytest.mark.parametrize(
    ("path", "written"),
    [
        (("providers", "acme", "models", 0, "id"), "providers.acme.models[0].id"),
        (("a/b", "c d", "kimi-coding"), '["a/b"]["c d"].kimi-coding'),
        ((3, "x"), "[3].x"),
        ((), ""),
    ],
)
def test_paths_are_written_as_people_write_them(path: tuple[str | int, ...], written: str) -> None:
    assert format_path(path) == written


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)  # fmt: skip


@given(json_values, st.sampled_from([None, 2]))
def test_plain_json_reads_as_the_standard_library_reads_it(value: Any, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=indent)

    assert parse(text).value == json.loads(text)


@given(st.text('{}[],:"/*\\ \n1ab', max_size=30))
def test_any_text_is_read_or_refused_with_a_place_inside_it(text: str) -> None:
    line, column = place_of_the_error(text)

    lines = text.split("\n")
    assert 1 <= line <= len(lines)
    assert 1 <= column <= len(lines[line - 1]) + 1


def place_of_the_error(text: str) -> Position:
    try:
        parse(text)
    except JsonSyntaxError as error:
        return error.position
    return Position(1, 1)
