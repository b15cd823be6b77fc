"""Tool call ids of exactly nine letters and digits."""

from __future__ import annotations

import re

import pytest

from pi_model_proxy.dialects.mistral_conversations import ids as ids_module
from pi_model_proxy.dialects.mistral_conversations.ids import ShortIds

LEGAL = re.compile(r"[A-Za-z0-9]{9}")


@pytest.mark.parametrize(
    "call_id", ["", "a", "call_0fypS1hVX", "äöüäöüäöü", "123 56789", "x" * 500, "\ud800"]
)
def test_every_id_becomes_legal_and_stays_the_same(call_id: str) -> None:
    wire = ShortIds().wire(call_id)
    assert LEGAL.fullmatch(wire)
    assert ShortIds().wire(call_id) == wire


def test_legal_ids_keep_themselves() -> None:
    assert ShortIds().wire("aB3dE6gH9") == "aB3dE6gH9"


def test_different_ids_stay_different_even_where_hashes_meet(monkeypatch: pytest.MonkeyPatch) -> None:
    hashes = {"a": "sameshash", "b": "sameshash", "1:b": "otherhash"}
    monkeypatch.setattr(ids_module, "_hashed", hashes.__getitem__)
    ids = ShortIds()
    assert [ids.wire(each) for each in ("a", "b", "a", "b")] == ["sameshash", "otherhash"] * 2
