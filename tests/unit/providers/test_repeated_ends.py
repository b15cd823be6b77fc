"""An address may already end in the path that its API kind adds."""

from __future__ import annotations

import pytest

from pi_model_proxy.catalog import Model
from pi_model_proxy.providers import base_url_of

OURS = "https://codex.example/backend-api"


@pytest.mark.parametrize("written", [OURS, f"{OURS}/", f"{OURS}/codex", f"{OURS}/codex/responses"])
def test_a_codex_address_may_be_written_with_its_path(written: str) -> None:
    model = Model(id="m", provider="openai-codex", api="openai-codex-responses", base_url=written)
    assert base_url_of(model, {}) == OURS


def test_another_kind_keeps_what_looks_like_it() -> None:
    model = Model(id="m", provider="corp", api="openai-responses", base_url=f"{OURS}/codex")
    assert base_url_of(model, {}) == f"{OURS}/codex"
