"""What is known of one model: its limits, prices, thinking levels and quirks.

Source: the model record of pi-ai 1.5.2 (`dist/types.d.ts`, `dist/providers/model-schema.js`).
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["Model", "Price", "PriceTier"]


class PriceTier(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Rates that hold for the whole request once its total input exceeds `input_tokens_above`."""

    input_tokens_above: int | float
    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0


class Price(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """US dollars per million tokens."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0
    tiers: tuple[PriceTier, ...] = ()


class Model(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One chat model that a provider offers, after every override has been applied."""

    provider: str
    """Provider id, e.g. `anthropic`."""
    id: str
    """The id the upstream knows; may contain `/` and `:`."""
    name: str = ""
    """Display name; empty means: use the id."""
    api: str
    """pi's API kind, e.g. `openai-completions`."""
    base_url: str = ""
    """May hold `{NAME}` placeholders that the credential's environment fills (Cloudflare)."""
    reasoning: bool = False
    thinking_level_map: dict[str, str | None] = {}
    """Level (`off` ... `max`) to the upstream's own word; None = unsupported; absent = default (`pi.md` §6.1)."""
    input: tuple[str, ...] = ("text",)
    """Subset of `text`, `image`."""
    input_limits: dict[str, Any] = {}
    """pi's limits on images and request size: `maxRequestBytes`, `images.{maxPerMessage,maxPerRequest,resize}`."""
    cost: Price = Price()
    context_window: int = 128_000
    """Tokens."""
    max_tokens: int = 16_384
    """Largest output, in tokens."""
    prompt_cache: dict[str, float] = {}
    """Lifetime of a cached prompt in seconds, by retention: `short`, `long`."""
    headers: dict[str, str | None] = {}
    """Static headers; None removes a header of that name."""
    sampling_params: dict[str, Any] = {}
    """Merged last into OpenAI-style bodies."""
    sampling_params_by_thinking_level: dict[str, dict[str, Any]] = {}
    compat: dict[str, Any] = {}
    """pi's compat flags as written (camelCase); the dialect room turns them into quirks."""

    @property
    def ref(self) -> str:
        """The public name, `provider/id`."""
        return f"{self.provider}/{self.id}"
