"""What the families of models behind Bedrock take; told from the model's id and name, as pi tells it.

Bedrock has one format for all, but passes each vendor's own rules on. The id names the family
(`us.anthropic.claude-opus-4-8`), but for ARNs of inference profiles, where only the display name can.

Source: pi 1.5.2 `dist/api/bedrock-converse-stream.js` (`isAnthropicClaudeModel`,
`supportsAdaptiveThinking`, `supportsThinkingBlockBinding`, `supportsPromptCaching`,
`buildAdditionalModelRequestFields`); dialects.md §0 (Claude from Opus 4.7 on refuses sampling parameters).
"""

from __future__ import annotations

import functools
import re
from typing import Final, Literal, TypeAlias

import msgspec

from pi_model_proxy.hub import Identity

__all__ = ["Thinking", "Traits", "traits_of"]

Thinking: TypeAlias = Literal["adaptive", "budget", "effort", "flat_effort", "untold"]
"""How a model is told to think: Claude's two ways, `reasoning.effort`, `reasoning_effort`, or not at all."""

MAX_KEPT: Final = 4096
"""Models whose traits are remembered."""
_SEPARATORS: Final = re.compile(r"[\s_.:]+")
_CLAUDE_IDS: Final = ("anthropic.claude", "anthropic/claude")
_BOUND: Final = ("opus-4-7", "opus-4-8", "opus-5", "sonnet-5", "haiku-5", "fable-5")
_ADAPTIVE: Final = (*_BOUND, "opus-4-6", "sonnet-4-6")
_CACHED: Final = ("opus-5", "sonnet-5", "haiku-5", "fable-5", "-4-", "claude-3-7-sonnet", "claude-3-5-haiku")
_GOVERNMENT: Final = ("us-gov.", "arn:aws-us-gov:")
_GOVERNED: Final = "us-gov-"
"""How regions of the government's begin."""
NOBODY: Final = Identity()


class Traits(msgspec.Struct, frozen=True, kw_only=True):
    """What one model takes."""

    is_claude: bool = False
    """Claude's own rules hold: signatures, an output limit, text only in results that are errors."""
    thinking: Thinking = "untold"
    takes_cache_points: bool = False
    takes_sampling: bool = True
    """Whether `temperature` and its like are still taken."""
    binds_thinking: bool = False
    """Whether thinking is bound to system text and tools, and stale thinking can be dropped instead of refused."""
    takes_display: bool = True
    """Whether `thinking.display` is known (not in GovCloud)."""


@functools.lru_cache(maxsize=MAX_KEPT)
def traits_of(model: str, name: str = "", identity: Identity = NOBODY) -> Traits:
    """Return what the model with this id takes; `name` is what the catalogue calls it, `identity` the account's."""
    lowered = [word.lower() for word in (model, name) if word]
    words = (*lowered, *(_SEPARATORS.sub("-", word) for word in lowered))

    def has(parts: tuple[str, ...]) -> bool:
        return any(part in word for word in words for part in parts)

    is_claude = any(part in word for word in lowered for part in _CLAUDE_IDS) or "claude" in name.lower()
    if is_claude:
        is_government = model.lower().startswith(_GOVERNMENT) or identity.region.startswith(_GOVERNED)
        return Traits(
            is_claude=True,
            thinking="adaptive" if has(_ADAPTIVE) else "budget",
            takes_cache_points=has(_CACHED),
            takes_sampling=not has(_BOUND),
            binds_thinking=has(_BOUND) and not is_government,
            takes_display=not is_government,
        )
    thinking: Thinking = "flat_effort" if has(("gpt-oss",)) else "effort" if has(("gpt-",)) else "untold"
    # An inference profile's ARN does not tell whose model it is (pi: `AWS_BEDROCK_FORCE_CACHE`).
    return Traits(thinking=thinking, takes_cache_points=identity.forces_cache_marks)
