"""Suggestions for names nobody has."""

from __future__ import annotations

import pytest

from pi_model_proxy.catalog import builtin_models, builtin_provider_ids, find_near

NAMES = [model.ref for provider in builtin_provider_ids() for model in builtin_models(provider)]


@pytest.mark.parametrize(
    ("asked", "first"),
    [
        pytest.param("anthropic/claude-opus-5-5x", "anthropic/claude-opus-5-5", id="a letter too many"),
        pytest.param("OpenAI/GPT-5", "openai/gpt-5", id="the wrong case"),
        pytest.param("openai/gtp-5-mini", "openai/gpt-5-mini", id="letters the wrong way round"),
        pytest.param("deepseek-v4-pro", "deepseek/deepseek-v4-pro", id="the id alone"),
        pytest.param("google/gemini 4 argon", "google/gemini-4-argon", id="spaces"),
        pytest.param("openai/o3mini", "openai/o3-mini", id="without its dashes"),
        pytest.param("openay/gpt-5-pro", "openai/gpt-5-pro", id="a misspelt provider"),
    ],
)
def test_the_name_meant_is_suggested_first(asked: str, first: str) -> None:
    assert find_near(NAMES, asked)[0] == first


@pytest.mark.parametrize(("asked", "likely"), [("gpt5", "gpt-5"), ("grok4", "grok-4")])
def test_punctuation_does_not_count(asked: str, likely: str) -> None:
    assert all(likely in name for name in find_near(NAMES, asked))


def test_a_part_of_a_name_is_enough() -> None:
    assert all("sonnet" in name for name in find_near(NAMES, "sonnet"))


@pytest.mark.parametrize("asked", ["", "   ", "/", "-/-", "\ud800", "zzzzzz", "x" * 100_000])
def test_nothing_is_suggested_when_nothing_is_near(asked: str) -> None:
    assert find_near(NAMES, asked) == ()


def test_suggestions_are_few_and_stable() -> None:
    assert len(find_near(NAMES, "claude", limit=2)) == 2
    assert find_near(["b/m", "a/m"], "m") == ("a/m", "b/m")
