"""2,000 strange requests, and those that once failed; `make fuzz N=…` sends as many as you like."""

from __future__ import annotations

from pathlib import Path

from fuzz.asking import asked, kept
from fuzz.running import CORPUS, attack, look_back, victim

REQUESTS = 2_000


def test_no_request_gets_anything_but_an_answer_of_ours(tmp_path: Path) -> None:
    """Every endpoint, mutated in path, query, headers, fields and bytes; see `fuzz.asking`."""
    corpus = [kept(file.name, file.read_bytes()) for file in sorted(CORPUS.glob("*.http"))]
    assert corpus
    with victim(tmp_path) as gateway:
        outcome = attack(gateway, [*corpus, *map(asked, range(REQUESTS))])
        wrong = look_back(gateway, REQUESTS)
    assert [(request.name, why) for request, why in outcome.failures] == []
    assert wrong == []
    assert outcome.statuses[200] > REQUESTS // 5, "too little of it is understood to test anything"
    assert len(outcome.statuses) > 8, outcome.statuses


def test_a_request_belongs_to_its_number() -> None:
    assert [asked(number) for number in range(300)] == [asked(number) for number in range(300)]
