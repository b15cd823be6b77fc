"""Thinking levels, as pi supports and clamps them."""

from __future__ import annotations

import pytest

from pi_model_proxy.catalog import Model, clamp_level, split_level, supported_levels


def model(*, reasoning: bool = True, **levels: str | None) -> Model:
    return Model(provider="p", id="m", api="a", reasoning=reasoning, thinking_level_map=levels)


NARROW = model(off=None, minimal=None, low="low", medium=None, high="high", max="max")


def test_a_model_that_does_not_reason_is_off() -> None:
    assert supported_levels(model(reasoning=False, high="high")) == ("off",)


def test_levels_up_to_high_are_there_unless_denied_and_those_above_only_when_named() -> None:
    assert supported_levels(model()) == ("off", "minimal", "low", "medium", "high")
    assert supported_levels(NARROW) == ("low", "high", "max")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        pytest.param("high", "high", id="supported"),
        pytest.param("medium", "high", id="the next higher one"),
        pytest.param("off", "low", id="even when asked for none"),
        pytest.param("xhigh", "max", id="above the usual ones"),
        pytest.param("nonsense", "low", id="the weakest for a word that is no level"),
    ],
)
def test_an_unsupported_level_moves_up_first(asked: str, given: str) -> None:
    assert clamp_level(NARROW, asked) == given


def test_an_unsupported_level_moves_down_when_there_is_nothing_above() -> None:
    assert clamp_level(model(high=None), "max") == "medium"


def test_a_model_whose_map_denies_everything_is_off() -> None:
    nothing = model(off=None, minimal=None, low=None, medium=None, high=None)

    assert supported_levels(nothing) == ()
    assert clamp_level(nothing, "high") == clamp_level(nothing, "nonsense") == "off"


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("anthropic/claude:high", ("anthropic/claude", "high")),
        ("local/qwen3:8b", ("local/qwen3:8b", None)),
        ("plain", ("plain", None)),
        (":off", ("", "off")),
    ],
)
def test_only_a_level_is_split_off_a_name(name: str, split: tuple[str, str | None]) -> None:
    assert split_level(name) == split
