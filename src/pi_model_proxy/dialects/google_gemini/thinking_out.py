"""How much a model behind Google's API is asked to think.

Sources: dialects.md §1.3; pi 1.5.2 `dist/api/google-generative-ai.js` (`streamSimple`,
`getGoogleBudget`) and `google-shared.js` (`getDisabledGoogleThinkingConfig`).

One difference from pi: where thinking cannot be switched off (2.5 Pro refuses a budget of 0), the
least that the model takes is asked for, and the wish is listed.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.google_gemini.families import Family
from pi_model_proxy.dialects.reasoning import LevelChoice, choose_level, is_wish_lost
from pi_model_proxy.hub import ReasoningWish, Target

__all__ = ["ThinkingPlan", "thinking_plan"]

DYNAMIC: Final = -1
"""The budget that leaves the amount to the model."""
_NONE: Final = frozenset({"off", "none"})

Json = dict[str, Any]


class ThinkingPlan(msgspec.Struct, frozen=True):
    """What is said about thinking."""

    config: Json
    """`thinkingConfig`; empty when nothing is to be said."""
    lost: bool = False
    """Whether the wish could not be met at all."""
    clamped: bool = False
    """Whether another amount than was asked for is the best there is."""


def thinking_plan(wish: ReasoningWish | None, target: Target, family: Family) -> ThinkingPlan:
    """Return how `target` is asked to think."""
    choice = choose_level(wish, target)
    if choice is None:
        return ThinkingPlan({}, lost=is_wish_lost(wish, None))
    if _asks_for_none(wish, target) or choice.level == "off":
        return _least(choice, family)
    hidden = wish is not None and wish.visible == "none"
    config: Json = {} if hidden else {"includeThoughts": True}
    if family.thinks_by_level:
        if not choice.auto:
            config["thinkingLevel"] = _word(choice).upper()
        return ThinkingPlan(config, clamped=choice.clamped)
    budget, is_exact = _budget(choice, family)
    config["thinkingBudget"] = budget
    return ThinkingPlan(config, clamped=choice.clamped or not is_exact)


def _asks_for_none(wish: ReasoningWish | None, target: Target) -> bool:
    if target.level is not None:
        return target.level == "off"
    if wish is None:
        return False
    if wish.mode == "budget":
        return (wish.budget or 0) <= 0
    return wish.mode == "off" or wish.level in _NONE


def _least(choice: LevelChoice, family: Family) -> ThinkingPlan:
    """Return the config for no thinking, or for as little as the model can."""
    if family.thinks_by_level and choice.level != "off":
        return ThinkingPlan({"thinkingLevel": _word(choice).upper()}, clamped=True)
    if not family.thinks_by_level and not family.budgets.can_be_off:
        return ThinkingPlan({"thinkingBudget": family.budgets.least}, clamped=True)
    return ThinkingPlan({"thinkingBudget": 0}, clamped=choice.level != "off")


def _word(choice: LevelChoice) -> str:
    return (choice.word or choice.level).lower()


def _budget(choice: LevelChoice, family: Family) -> tuple[int, bool]:
    """Return the budget, and whether it is the one that was asked for."""
    budgets = family.budgets
    if choice.auto:
        return DYNAMIC, True
    if choice.budget is not None:
        fitted = min(max(choice.budget, budgets.least), budgets.most)
        return fitted, fitted == choice.budget
    if not budgets.levels:
        return DYNAMIC, True
    return budgets.levels.get(_word(choice), budgets.levels["high"]), True
