"""Every edge case that our list of protocol facts numbers (1 to 107) is a test that bears its number."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[2]
NUMBERS = range(1, 108)
_NAMED = re.compile(r"test_vector((?:_\d{3})+)(?:_|\b)")


def test_every_numbered_vector_is_a_test() -> None:
    found = {
        int(number)
        for path in TESTS.rglob("test_*.py")
        if path != Path(__file__)
        for match in _NAMED.finditer(path.read_text(encoding="utf-8"))
        for number in match[1].split("_")[1:]
    }
    assert sorted(set(NUMBERS) - found) == []
    assert sorted(found - set(NUMBERS)) == []
