"""Whom a request goes to, as far as a codec must know: limits, thinking levels, quirks, identity."""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Identity", "Target"]


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """What a subscription login must say of itself in the body, as pi does; never more."""

    system_text: str | None = None
    """Sent as the first system block, alone."""
    tool_names: tuple[str, ...] = ()
    """Tool names sent in exactly this casing and restored in the answer."""
    omitted_fields: frozenset[str] = frozenset()
    """Body fields the login's backend refuses."""
    deployment: str = ""
    """What this account calls the model (Azure); empty: its id."""
    api_version: str = ""
    """The API version this account asks for (Azure); empty: the kind's own."""
    region: str = ""
    """Where this account's requests are answered (Bedrock); some regions take less."""
    forces_cache_marks: bool = False
    """The user says that the model takes cache marks, whatever its id tells (Bedrock)."""


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One model at one provider, with everything that shapes the body."""

    provider: str
    model: str
    """The id the upstream knows."""
    public_model: str
    """The name the caller used or would use, which every answer carries."""
    model_name: str = ""
    """The catalogue's display name: tells the family of a model whose id does not (an ARN on Bedrock)."""
    kind: str
    """pi's API kind."""
    reasoning: bool = False
    thinking_levels: dict[str, str | None] = {}
    """pi's `thinkingLevelMap`: level to the upstream's word, None = unsupported, absent = default."""
    takes_images: bool = True
    max_output: int = 16_384
    """Largest output in tokens; 0 when unknown."""
    context_tokens: int = 128_000
    compat: dict[str, Any] = {}
    """pi's compat flags, detected ones included; `dialects.quirks` gives them types."""
    sampling_params: dict[str, Any] = {}
    """Merged last into OpenAI-style bodies."""
    sampling_params_by_level: dict[str, dict[str, Any]] = {}
    level: str | None = None
    """Thinking level from the model name's suffix (`...:high`); wins over the body's."""
    identity: Identity = Identity()
    auto_cache: bool = False
    """Place prompt-cache marks as pi does, for callers whose dialect has none."""
    strict: bool = False
    """Refuse what cannot be said instead of dropping it."""
    hosted_by_vendor: bool = False
    """True at the dialect's own vendor (api.openai.com, api.anthropic.com), whose special fields all work."""
