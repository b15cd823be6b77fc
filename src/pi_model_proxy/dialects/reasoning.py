"""How much a model shall think: the one table between levels, budgets and what a target can do.

Sources: dialects.md §1.3; pi 1.5.2 `dist/models.js` (`getSupportedThinkingLevels`,
`clampThinkingLevel`) and `dist/api/simple-options.js` (`DEFAULT_THINKING_BUDGETS`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.hub import ReasoningWish, Target

__all__ = ["LEVELS", "LevelChoice", "budget_for_level", "choose_level", "is_wish_lost", "level_for_budget"]

LEVELS: Final = ("off", "minimal", "low", "medium", "high", "xhigh", "max")
"""Every level, from least to most; `off` is none at all."""

_ALIASES: Final = {"none": "off"}
"""OpenAI's word for `off`."""
_AUTO_LEVEL: Final = "medium"
"""What "as much as it takes" means to a target that must be told a level (pi's own default)."""
_BUDGETS: Final = {
    "minimal": 1024,
    "low": 2048,
    "medium": 8192,
    "high": 16_384,
    "xhigh": 16_384,
    "max": 16_384,
}
"""Tokens. pi gives `xhigh` and `max` no more than `high`: models that take budgets know no higher level."""
_BUDGET_CEILINGS: Final = ((0, "off"), (1024, "minimal"), (2048, "low"), (8192, "medium"), (24_576, "high"))
"""The least level that covers a budget; 24,576 is the largest one that Gemini's `high` stands for."""
_NEEDS_MENTION: Final = frozenset({"xhigh", "max"})
"""Levels that a model has only when its map names them."""


class LevelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """How a target is asked to think."""

    level: str
    """One of `LEVELS` that the target supports."""
    word: str | None = None
    """The upstream's own word for `level` when its map has one; else the format's default word counts."""
    auto: bool = False
    """The caller left the amount to the model: a format that can say so (or stay silent) should."""
    budget: int | None = None
    """Tokens, exactly as the caller asked; None when a level was asked for."""
    clamped: bool = False
    """True when the caller named another level, which the target does not support."""


def level_for_budget(tokens: int) -> str:
    """Return the least level that covers a budget in tokens."""
    return next((level for ceiling, level in _BUDGET_CEILINGS if tokens <= ceiling), "xhigh")


def budget_for_level(level: str) -> int:
    """Return the budget in tokens that stands for a level; 0 for `off`."""
    return _BUDGETS.get(level, 0)


def choose_level(wish: ReasoningWish | None, target: Target) -> LevelChoice | None:
    """Return how `target` shall think, or None when nothing is to be said about it.

    A level in the model's name (`...:high`) wins over the body's. An unsupported level moves to
    the next higher supported one, else to the next lower, as in pi. None means: nobody asked, the
    target cannot think, or the level asked for is no level (see `is_wish_lost`).
    """
    if not target.reasoning:
        return None
    if target.level is not None:
        return _choice(target.level, target)
    return None if wish is None else _wished(wish, target)


def _wished(wish: ReasoningWish, target: Target) -> LevelChoice | None:
    budget = wish.budget or 0
    match wish.mode:
        case "off":
            level = "off"
        case "budget":
            level = level_for_budget(budget)
        case _:
            level = wish.level or _AUTO_LEVEL
    choice = _choice(level, target)
    if choice is None:
        return None
    return msgspec.structs.replace(
        choice,
        auto=wish.mode == "auto" and wish.level is None,
        budget=budget if wish.mode == "budget" and budget > 0 else None,
        clamped=choice.clamped and (wish.mode == "off" or (wish.mode != "budget" and wish.level is not None)),
    )


def is_wish_lost(wish: ReasoningWish | None, choice: LevelChoice | None) -> bool:
    """Tell whether the caller asked for thinking that `choice` (from `choose_level`) does not give."""
    if wish is None or choice is not None or wish.mode == "off":
        return False
    asks_for_none = _ALIASES.get(wish.level or "", wish.level) == "off" or (
        wish.budget is not None and wish.budget <= 0
    )
    return not asks_for_none


def _choice(level: str, target: Target) -> LevelChoice | None:
    asked = _ALIASES.get(level, level)
    supported = [each for each in LEVELS if _supports(target, each)]
    if asked not in LEVELS or not supported:
        return None
    rank = LEVELS.index(asked)
    above = [each for each in supported if LEVELS.index(each) >= rank]
    chosen = above[0] if above else supported[-1]
    return LevelChoice(level=chosen, word=target.thinking_levels.get(chosen), clamped=chosen != asked)


def _supports(target: Target, level: str) -> bool:
    if level in target.thinking_levels:
        return target.thinking_levels[level] is not None
    return level not in _NEEDS_MENTION
