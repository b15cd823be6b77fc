"""What is printed of texts that callers and providers have a say in."""

from __future__ import annotations

import io

import pytest

from pi_model_proxy.cli.console import Console, Paint


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /\x1b[31m: 404", "GET /\\x1b[31m: 404"),
        ("a\rb\x00c\x7f", "a\\rb\\x00c\\x7f"),
        ("right to left \u202e", "right to left \\u202e"),
        ("half a character \ud800", "half a character \\ud800"),
        ("two\nlines, é and 漢", "two\nlines, é and 漢"),
    ],
)
def test_nothing_that_is_complained_of_moves_the_cursor(text: str, shown: str) -> None:
    err = io.StringIO()
    Console(io.StringIO(), err, paint=Paint(), width=80).complain("note", text)
    assert err.getvalue() == f"pi-model-proxy: note: {shown}\n"
