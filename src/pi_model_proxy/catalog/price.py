"""What a request cost, in US dollars.

Source: pi 1.5.2 `dist/models.js` `calculateCost`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.catalog.model import Price, PriceTier

__all__ = ["Cost", "cost_of"]

TOKENS_PER_RATE: Final = 1_000_000
"""Rates are dollars per million tokens."""

HOUR_CACHE_FACTOR: Final = 2
"""Anthropic charges twice the base input rate for cache entries that live an hour."""


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """US dollars, unrounded."""

    input: float = 0.0
    output: float = 0.0
    cache_read: float = 0.0
    cache_write: float = 0.0

    @property
    def total(self) -> float:
        """The whole request."""
        return self.input + self.output + self.cache_read + self.cache_write


def cost_of(
    price: Price,
    *,
    input_tokens: int,
    output_tokens: int,
    cache_read_tokens: int = 0,
    cache_write_tokens: int = 0,
    cache_write_1h_tokens: int = 0,
) -> Cost:
    """Return what a request cost at `price`.

    `input_tokens`, `cache_read_tokens` and `cache_write_tokens` must not overlap; `output_tokens` includes
    reasoning. `cache_write_1h_tokens` is the part of `cache_write_tokens` that lives an hour.
    """
    rates = _rates(price, input_tokens + cache_read_tokens + cache_write_tokens)
    short_writes = cache_write_tokens - cache_write_1h_tokens
    hour_rate = rates.input * HOUR_CACHE_FACTOR
    return Cost(
        input=rates.input / TOKENS_PER_RATE * input_tokens,
        output=rates.output / TOKENS_PER_RATE * output_tokens,
        cache_read=rates.cache_read / TOKENS_PER_RATE * cache_read_tokens,
        cache_write=(rates.cache_write * short_writes + hour_rate * cache_write_1h_tokens) / TOKENS_PER_RATE,
    )


def _rates(price: Price, total_input_tokens: int) -> Price | PriceTier:
    """Return the rates for the whole request: those of the highest tier that is strictly exceeded."""
    exceeded = [tier for tier in price.tiers if total_input_tokens > tier.input_tokens_above]
    return max(exceeded, key=lambda tier: tier.input_tokens_above, default=price)
