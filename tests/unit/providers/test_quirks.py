"""Detected compat flags, compared with pi's own functions (`golden/make_compat_golden.mjs`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.catalog import builtin_models, builtin_provider_ids
from pi_model_proxy.providers import COMPAT_DEFAULTS, detected_compat

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "compat.json").read_text())


@pytest.mark.parametrize("kind", ["openai-completions", "openai-responses", "anthropic-messages"])
def test_every_flag_is_detected_as_pi_detects_it(kind: str) -> None:
    rows = [row for row in GOLDEN["rows"] if row[2] == kind]
    wrong = {}
    for provider, base_url, _, model_id, answer in rows:
        expected = GOLDEN["answers"][answer]
        detected = detected_compat(provider, base_url, kind, model_id)
        if {name: detected[name] for name in expected} != expected:
            wrong[provider, base_url, model_id] = expected

    assert len(rows) > 300
    assert not wrong


def test_the_comparison_covers_every_model_of_the_catalogue() -> None:
    asked = {(provider, base_url, kind, model_id) for provider, base_url, kind, model_id, _ in GOLDEN["rows"]}

    for provider in builtin_provider_ids():
        for model in builtin_models(provider):
            if model.api in {"openai-completions", "openai-responses", "anthropic-messages"}:
                assert (model.provider, model.base_url, model.api, model.id) in asked


def test_chat_models_of_anthropic_get_cache_marks_on_openrouter_alone() -> None:
    def of(provider: str, model_id: str) -> object:
        flags = detected_compat(provider, "https://openrouter.ai/api/v1", "openai-completions", model_id)
        return flags.get("cacheControlFormat")

    assert of("openrouter", "anthropic/claude") == "anthropic"
    assert of("openrouter", "openai/gpt") is None
    assert of("acme", "anthropic/claude") is None


def test_only_anthropic_itself_has_message_threads() -> None:
    def of(provider: str, base_url: str) -> object:
        return detected_compat(provider, base_url, "anthropic-messages", "m")["supportsMessageThreads"]

    assert of("anthropic", "https://api.anthropic.com") is True
    assert of("anthropic", "http://127.0.0.1:1") is False
    assert of("acme", "https://api.anthropic.com") is False


def test_a_kind_without_flags_has_none() -> None:
    assert detected_compat("google", "https://x", "google-generative-ai", "m") == {}


def test_the_defaults_are_not_changed_by_a_detection() -> None:
    before = json.dumps(COMPAT_DEFAULTS["openai-completions"])
    detected_compat("zai", "https://api.z.ai", "openai-completions", "m")["supportsStore"] = "changed"

    assert json.dumps(COMPAT_DEFAULTS["openai-completions"]) == before
