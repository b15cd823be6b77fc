"""How an upstream of this format is asked to think.

Sources: dialects.md §1.3; pi 1.5.2 `dist/api/anthropic-messages.js` (`mapThinkingLevelToEffort`,
`buildParams`) and `dist/api/simple-options.js` (`adjustMaxTokensForThinking`).
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks
from pi_model_proxy.dialects.reasoning import LevelChoice, budget_for_level
from pi_model_proxy.hub import Target

__all__ = ["MIN_BUDGET", "Limit", "ThinkingPlan", "no_thinking", "plan_thinking", "tool_loop_lacks_thinking"]

MIN_BUDGET: Final = 1024
"""The smallest budget Anthropic takes."""
MIN_ANSWER: Final = 1024
"""Tokens left for the answer beside the thinking."""
_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium"}
"""Every other level is `high`, unless the model's map has a word of its own."""
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})

Display = Literal["summarized", "omitted"]


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How long the whole answer may be, thinking included."""

    tokens: int
    named: bool
    """Whether the caller named it; else it is the model's own cap."""
    cap: int
    """The model's."""


class ThinkingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that say it."""

    thinking: dict[str, Any] | None = None
    effort: str | None = None
    max_tokens: int
    lost: bool = False
    """Whether thinking was asked for but does not fit."""

    @property
    def on(self) -> bool:
        """Whether the model will think."""
        return self.thinking is not None and self.thinking["type"] != "disabled"


def no_thinking(target: Target, limit: Limit) -> ThinkingPlan:
    """Return the plan without thinking; a model that cannot be told so is told nothing."""
    can_disable = target.reasoning and target.thinking_levels.get("off", "") is not None
    return ThinkingPlan(thinking={"type": "disabled"} if can_disable else None, max_tokens=limit.tokens)


def plan_thinking(
    choice: LevelChoice | None,
    target: Target,
    quirks: Quirks,
    *,
    limit: Limit,
    display: Display = "summarized",
) -> ThinkingPlan:
    """Return how `target` is asked for `choice`; nobody asked (None) means: say nothing."""
    if choice is None:
        return ThinkingPlan(max_tokens=limit.tokens)
    if choice.level == "off":
        return no_thinking(target, limit)
    if quirks.thinks_adaptively:
        effort = None if choice.auto else choice.word or _EFFORTS.get(choice.level, "high")
        return ThinkingPlan(
            thinking={"type": "adaptive", "display": display}, effort=effort, max_tokens=limit.tokens
        )
    budget, max_tokens = _fitted(choice, limit)
    if budget < MIN_BUDGET:
        return msgspec.structs.replace(no_thinking(target, limit), lost=True)
    thinking = {"type": "enabled", "budget_tokens": budget, "display": display}
    return ThinkingPlan(thinking=thinking, max_tokens=max_tokens)


def _fitted(choice: LevelChoice, limit: Limit) -> tuple[int, int]:
    """Return budget and `max_tokens`, the former below the latter with room for an answer."""
    if choice.budget is not None and MIN_BUDGET <= choice.budget < limit.tokens:
        # The caller counted its budget within its limit, as this format does.
        return choice.budget, limit.tokens
    budget = max(choice.budget or budget_for_level(choice.level), MIN_BUDGET)
    max_tokens = limit.tokens
    if limit.named:
        # The caller's limit was meant for the answer: the thinking comes on top.
        max_tokens = max(limit.tokens, min(limit.tokens + budget, limit.cap))
    return min(budget, max_tokens - MIN_ANSWER), max_tokens


def tool_loop_lacks_thinking(messages: list[dict[str, Any]]) -> bool:
    """Tell whether the tool loop in progress has a call whose turn does not begin with thinking.

    Budget models refuse that: "Expected `thinking` or `redacted_thinking`, but found `tool_use`"
    (anomalyco/opencode#6176). Turns before the last prompt do not matter.
    """
    for message in reversed(messages):
        content = message["content"]
        kinds = [block.get("type") for block in content] if isinstance(content, list) else ["text"]
        if message["role"] == "user" and "tool_result" not in kinds:
            return False
        if message["role"] == "assistant" and "tool_use" in kinds and kinds[0] not in _THOUGHTS:
            return True
    return False
