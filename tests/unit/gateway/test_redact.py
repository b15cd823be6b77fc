from __future__ import annotations

import pytest

from pi_model_proxy.gateway import Redactor


def test_every_known_secret_is_taken_out() -> None:
    text = Redactor(["tok-abcdef", "tok-abcdef-longer", "x"]).clean(
        "bad key tok-abcdef-longer and tok-abcdef, x"
    )
    assert text == "bad key [redacted] and [redacted], x"


@pytest.mark.parametrize(
    "secret",
    [
        "sk-ant-api03-abcdefghijklmnop",
        "Bearer abcdefgh12345678",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.sig",
        "ghp_abcdefghijklmnopqrst",
        "AIzaSyAbcdefghijklmnop",
        "ya29.a0AfH6SMBabcdefgh-ijk_lmn",
        "ASIAIOSFODNN7EXAMPLE",
        "x-amz-security-token:FwoGZXIvYXdzEBYaDHqa0AP1/abc+def==",
        "Signature=" + "0123456789abcdef" * 4,
    ],
)
def test_what_looks_like_a_key_is_taken_out_too(secret: str) -> None:
    cleaned = Redactor().clean(f"Incorrect API key provided: {secret}. See the docs.")
    assert secret not in cleaned
    assert "[redacted]" in cleaned


def test_ordinary_words_stay() -> None:
    text = "messages[3].content: the task-force asked about risk-adjusted skies; sk-1 is fine"
    assert Redactor().clean(text) == text
