"""How an upstream of this format is asked to think.

Sources: dialects.md §1.3; pi 1.5.2 `dist/api/anthropic-messages.js` (`mapThinkingLevelToEffort`,
`buildParams`). Budgets: `dialects.budgets`.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks
from pi_model_proxy.dialects.budgets import MIN_BUDGET, Limit, fitted_budget
from pi_model_proxy.dialects.reasoning import LevelChoice
from pi_model_proxy.hub import Target

__all__ = ["ThinkingPlan", "no_thinking", "plan_thinking", "tool_loop_lacks_thinking"]

_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium"}
"""Every other level is `high`, unless the model's map has a word of its own."""
_THOUGHTS: Final = frozenset({"thinking", "redacted_thinking"})

Display = Literal["summarized", "omitted"]


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
    budget, max_tokens = fitted_budget(choice, limit)
    if budget < MIN_BUDGET:
        return msgspec.structs.replace(no_thinking(target, limit), lost=True)
    thinking = {"type": "enabled", "budget_tokens": budget, "display": display}
    return ThinkingPlan(thinking=thinking, max_tokens=max_tokens)


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
