"""How a model on Bedrock is asked to think: fields of its vendor's own format, passed on as they are.

Sources: dialects.md §1.3; pi 1.5.2 `dist/api/bedrock-converse-stream.js`
(`buildAdditionalModelRequestFields`, `mapThinkingLevelToEffort`). Switching thinking off is said by
saying nothing, as pi does.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.bedrock_converse.models import Traits
from pi_model_proxy.dialects.budgets import MIN_BUDGET, Limit, fitted_budget
from pi_model_proxy.dialects.reasoning import LevelChoice

__all__ = ["ThinkingPlan", "plan_thinking", "tool_loop_lacks_thinking"]

Json = dict[str, Any]

BINDING_BETA: Final = "thinking-binding-controls-2026-08-01"
INTERLEAVED_BETA: Final = "interleaved-thinking-2025-05-14"
_CLAUDE_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium"}
"""Every other level is `high`, unless the model's map has a word of its own."""
_GPT_EFFORTS: Final = {"minimal": "low"}
"""OpenAI's GPT models refuse `minimal` here; every other level is its own word."""
_OSS_EFFORTS: Final = {"minimal": "low", "low": "low", "medium": "medium"}


class ThinkingPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The fields that say it."""

    fields: dict[str, Any] = {}
    """For `additionalModelRequestFields`."""
    max_tokens: int
    lost: bool = False
    """Whether something was asked for that cannot be said, or does not fit."""

    @property
    def on(self) -> bool:
        """Whether Claude will think; its rules about thinking hold then."""
        return "thinking" in self.fields


def plan_thinking(choice: LevelChoice | None, traits: Traits, limit: Limit) -> ThinkingPlan:
    """Return how a model is asked for `choice`; nobody asked (None) means: say nothing."""
    plain = ThinkingPlan(max_tokens=limit.tokens)
    if choice is not None and traits.thinking == "untold":
        return msgspec.structs.replace(plain, lost=True)
    if choice is None or choice.level == "off":
        return plain
    if traits.thinking == "budget":
        return _budgeted(choice, traits, limit)
    return msgspec.structs.replace(plain, fields=_by_level(choice, traits))


def _by_level(choice: LevelChoice, traits: Traits) -> Json:
    match traits.thinking:
        case "adaptive":
            return _adaptive(choice, traits)
        case "effort":
            return {"reasoning": {"effort": choice.word or _GPT_EFFORTS.get(choice.level, choice.level)}}
        case _:
            return {"reasoning_effort": _OSS_EFFORTS.get(choice.level, "high")}


def _adaptive(choice: LevelChoice, traits: Traits) -> Json:
    thinking: Json = {"type": "adaptive", **_display(traits)}
    fields: Json = {"thinking": thinking}
    if not choice.auto:
        fields["output_config"] = {"effort": choice.word or _CLAUDE_EFFORTS.get(choice.level, "high")}
    if traits.binds_thinking:
        thinking["block_binding"] = {"prefix_mismatch_behavior": "drop_block"}
        fields["anthropic_beta"] = [BINDING_BETA]
    return fields


def _budgeted(choice: LevelChoice, traits: Traits, limit: Limit) -> ThinkingPlan:
    budget, max_tokens = fitted_budget(choice, limit)
    if budget < MIN_BUDGET:
        return ThinkingPlan(max_tokens=limit.tokens, lost=True)
    thinking = {"type": "enabled", "budget_tokens": budget, **_display(traits)}
    return ThinkingPlan(
        fields={"thinking": thinking, "anthropic_beta": [INTERLEAVED_BETA]}, max_tokens=max_tokens
    )


def _display(traits: Traits) -> Json:
    # Never `omitted`: Bedrock takes no thinking back whose text is empty, so its signature would be of no use.
    return {"display": "summarized"} if traits.takes_display else {}


def tool_loop_lacks_thinking(messages: list[Json]) -> bool:
    """Tell whether the tool loop in progress has a call whose turn does not begin with thinking.

    Claude with a budget refuses that: "Expected `thinking` or `redacted_thinking`, but found
    `tool_use`" (anomalyco/opencode#6176). Turns before the last prompt do not matter.
    """
    for message in reversed(messages):
        content = message["content"]
        if message["role"] == "user":
            if not any("toolResult" in block for block in content):
                return False
        elif any("toolUse" in block for block in content) and "reasoningContent" not in content[0]:
            return True
    return False
