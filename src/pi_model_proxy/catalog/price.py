"""What a request cost, in US dollars.

Source: pi 1.5.2 `dist/models.js` `calculateCost`.
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.catalog.model import Price, PriceTier

__all__ = ["cost_of"]

TOKENS_PER_RATE: Final = 1_000_000
"""Rates are dollars per million tokens."""

HOUR_CACHE_FACTOR: Final = 2
"""Anthropic charges twice the base input rate for cache entries that live an hour."""


def cost_of(
    price: Price,
    input_tokens: int,
    output_tokens: int,
    *,
    cache_read_tokens: int = 0,
    cache_write_5m_tokens: int = 0,
    cache_write_1h_tokens: int = 0,
) -> float:
    """Return what a request cost at `price`, in US dollars, unrounded.

    The counts must not overlap, except that `output_tokens` includes reasoning.
    """
    cached = cache_read_tokens + cache_write_5m_tokens + cache_write_1h_tokens
    rates = _rates(price, input_tokens + cached) if price.tiers else price
    dollars = rates.input * input_tokens + rates.output * output_tokens
    if cached:
        dollars += rates.cache_read * cache_read_tokens + rates.cache_write * cache_write_5m_tokens
        dollars += rates.input * HOUR_CACHE_FACTOR * cache_write_1h_tokens
    return dollars / TOKENS_PER_RATE


def _rates(price: Price, total_input_tokens: int) -> Price | PriceTier:
    """Return the rates for the whole request: those of the highest tier that is strictly exceeded."""
    exceeded = [tier for tier in price.tiers if total_input_tokens > tier.input_tokens_above]
    return max(exceeded, key=lambda tier: tier.input_tokens_above, default=price)
