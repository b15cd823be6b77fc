"""Tokens in the one place that clients hand back."""

from __future__ import annotations

import base64

import pytest

from pi_model_proxy.dialects.google_gemini.signatures import (
    OUR_MARK,
    STAND_IN,
    Carried,
    is_valid,
    pack,
    standard_base64,
    unpack,
)
from pi_model_proxy.hub import Opaque, ReasoningBlock

CARRIED = [
    Carried(
        kind="openai_encrypted", data="blob>?", item_id="rs_1", origin="openai/gpt", text="hm ü", summary=True
    ),
    Carried(kind="anthropic_signature", data="s", before_text=True),
]


def test_what_is_packed_comes_back_from_either_alphabet() -> None:
    packed = pack(CARRIED)
    assert packed.startswith(OUR_MARK)
    assert is_valid(packed)
    assert unpack(packed) == CARRIED
    assert unpack(packed.replace("+", "-").replace("/", "_").rstrip("=")) == CARRIED


@pytest.mark.parametrize("broken", [OUR_MARK, OUR_MARK + "!", OUR_MARK + "e30=", OUR_MARK + "W3siayI6MX1d"])
def test_a_broken_package_holds_nothing(broken: str) -> None:
    assert unpack(broken) == []


def test_googles_own_signature_is_no_package() -> None:
    assert unpack("QUJD") is None
    assert unpack("") is None


@pytest.mark.parametrize(
    ("text", "valid"),
    [("QUJD", True), ("QUI=", True), ("QUJ", False), ("QU-_", False), ("", False), ("QU J", False)],
)
def test_only_standard_base64_is_sent(text: str, valid: bool) -> None:
    assert is_valid(text) == valid
    assert base64.b64decode(standard_base64("-_8")) == b"\xfb\xff"
    assert len(STAND_IN) % 4 == 0


def test_googles_token_and_a_missing_one_need_no_carrying() -> None:
    own = ReasoningBlock(opaque=Opaque(kind="gemini_signature", data="QUJD"))
    assert Carried.of(own, "a/b") is None
    assert Carried.of(ReasoningBlock(text="x"), "a/b") is None
