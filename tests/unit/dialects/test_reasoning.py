"""The one table between thinking levels, budgets and what a target can do."""

from __future__ import annotations

import pytest

from pi_model_proxy.dialects.reasoning import (
    LEVELS,
    LevelChoice,
    budget_for_level,
    choose_level,
    is_wish_lost,
    level_for_budget,
)
from pi_model_proxy.hub import ReasoningWish
from support.messages_wire import target

ADAPTIVE_ONLY = {"off": None, "minimal": None, "low": "low", "medium": "medium", "high": "high", "max": "max"}


@pytest.mark.parametrize(
    ("tokens", "level"),
    [
        (-1, "off"),
        (0, "off"),
        (1, "minimal"),
        (1024, "minimal"),
        (1025, "low"),
        (2048, "low"),
        (8192, "medium"),
        (10_000, "high"),
        (20_000, "high"),
        (24_576, "high"),
        (31_999, "xhigh"),
    ],
)
def test_a_budget_stands_for_the_least_level_that_covers_it(tokens: int, level: str) -> None:
    assert level_for_budget(tokens) == level


def test_the_budgets_are_pis_and_each_level_comes_back_from_its_own() -> None:
    budgets = [budget_for_level(level) for level in LEVELS]
    assert budgets == [0, 1024, 2048, 8192, 16_384, 16_384, 16_384]
    for level in ("off", "minimal", "low", "medium", "high"):
        assert level_for_budget(budget_for_level(level)) == level


def test_a_level_the_model_has_is_taken_with_its_own_word() -> None:
    choice = choose_level(ReasoningWish(mode="level", level="low"), target(thinking_levels={"low": "lite"}))
    assert choice == LevelChoice(level="low", word="lite")


@pytest.mark.parametrize(
    ("asked", "levels", "chosen"),
    [
        ("xhigh", {}, "high"),
        ("xhigh", {"max": "max"}, "max"),
        ("minimal", {"minimal": None}, "low"),
        ("max", {"xhigh": "x"}, "xhigh"),
        ("off", ADAPTIVE_ONLY, "low"),
        ("none", {}, "off"),
    ],
)
def test_an_unsupported_level_moves_up_and_only_then_down(
    asked: str, levels: dict[str, str | None], chosen: str
) -> None:
    choice = choose_level(ReasoningWish(mode="level", level=asked), target(thinking_levels=levels))
    assert choice is not None
    assert (choice.level, choice.clamped) == (chosen, asked not in {chosen, "none"})


def test_the_model_name_s_level_wins_over_the_body() -> None:
    choice = choose_level(ReasoningWish(mode="level", level="low"), target(level="high"))
    assert choice == LevelChoice(level="high")


def test_off_is_off_and_where_that_cannot_be_the_least() -> None:
    assert choose_level(ReasoningWish(mode="off"), target()) == LevelChoice(level="off")
    least = choose_level(ReasoningWish(mode="off"), target(thinking_levels=ADAPTIVE_ONLY))
    assert least == LevelChoice(level="low", word="low", clamped=True)


def test_a_budget_is_kept_beside_its_level() -> None:
    choice = choose_level(ReasoningWish(mode="budget", budget=5000), target())
    assert choice == LevelChoice(level="medium", budget=5000)
    assert choose_level(ReasoningWish(mode="budget", budget=0), target()) == LevelChoice(level="off")


def test_auto_leaves_the_amount_to_the_model_unless_a_level_is_named() -> None:
    assert choose_level(ReasoningWish(mode="auto"), target()) == LevelChoice(level="medium", auto=True)
    named = choose_level(ReasoningWish(mode="auto", level="high"), target())
    assert named == LevelChoice(level="high")


def test_nobody_asked_means_nothing_is_said() -> None:
    assert choose_level(None, target()) is None
    assert not is_wish_lost(None, None)


@pytest.mark.parametrize(
    ("wish", "lost"),
    [
        (ReasoningWish(mode="level", level="high"), True),
        (ReasoningWish(mode="auto"), True),
        (ReasoningWish(mode="budget", budget=2000), True),
        (ReasoningWish(mode="budget", budget=0), False),
        (ReasoningWish(mode="level", level="none"), False),
        (ReasoningWish(mode="off"), False),
    ],
)
def test_a_model_that_cannot_think_loses_only_wishes_to_think(wish: ReasoningWish, lost: bool) -> None:
    choice = choose_level(wish, target(reasoning=False))
    assert choice is None
    assert is_wish_lost(wish, choice) is lost


def test_a_level_that_is_none_is_lost() -> None:
    wish = ReasoningWish(mode="level", level="ultra")
    assert choose_level(wish, target()) is None
    assert is_wish_lost(wish, None)
    assert not is_wish_lost(wish, LevelChoice(level="low"))


def test_a_model_without_any_level_is_told_nothing() -> None:
    nothing: dict[str, str | None] = dict.fromkeys(LEVELS)
    assert choose_level(ReasoningWish(mode="level", level="low"), target(thinking_levels=nothing)) is None
