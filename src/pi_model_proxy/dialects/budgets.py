"""Thinking budgets in tokens, which share their room with the answer.

Sources: dialects.md §1.3 (AM budget rules); pi 1.5.2 `dist/api/simple-options.js`
(`adjustMaxTokensForThinking`).
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.estimate import estimate_input_tokens
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.reasoning import LevelChoice, budget_for_level
from pi_model_proxy.hub import Request, Target

__all__ = ["MIN_BUDGET", "Limit", "fitted_budget", "output_limit"]

MIN_BUDGET: Final = 1024
"""The smallest budget Anthropic takes."""
MIN_ANSWER: Final = 1024
"""Tokens left for the answer beside the thinking."""
FALLBACK_MAX_OUTPUT: Final = 16_384
"""Tokens, where the catalogue knows no cap (pi's own default)."""
CONTEXT_MARGIN_TOKENS: Final = 4096
MIN_ROOM_TOKENS: Final = 1024


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How long the whole answer may be, thinking included."""

    tokens: int
    named: bool
    """Whether the caller named it; else it is the model's own cap."""
    cap: int
    """The model's."""


def output_limit(request: Request, target: Target, losses: Losses) -> Limit:
    """Return the limit for a format that must be told one: the caller's, else what fits into the model's window."""
    cap = target.max_output or FALLBACK_MAX_OUTPUT
    asked = request.max_output
    if asked is None:
        room = target.context_tokens - estimate_input_tokens(request) - CONTEXT_MARGIN_TOKENS
        fits = min(cap, max(room, MIN_ROOM_TOKENS)) if target.context_tokens else cap
        return Limit(tokens=fits, named=False, cap=cap)
    if not target.max_output:
        return Limit(tokens=asked, named=True, cap=cap)
    if asked > cap:
        losses.field("max_output")
    return Limit(tokens=min(asked, cap), named=True, cap=cap)


def fitted_budget(choice: LevelChoice, limit: Limit) -> tuple[int, int]:
    """Return budget and output limit, the former below the latter with room for an answer.

    A budget below `MIN_BUDGET` means: it does not fit.
    """
    if choice.budget is not None and MIN_BUDGET <= choice.budget < limit.tokens:
        # The caller counted its budget within its limit, as Anthropic's format does.
        return choice.budget, limit.tokens
    budget = max(choice.budget or budget_for_level(choice.level), MIN_BUDGET)
    tokens = limit.tokens
    if limit.named:
        # The caller's limit was meant for the answer: the thinking comes on top.
        tokens = max(limit.tokens, min(limit.tokens + budget, limit.cap))
    return min(budget, tokens - MIN_ANSWER), tokens
