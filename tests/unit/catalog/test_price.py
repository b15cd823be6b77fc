"""Costs, with figures that pi's `calculateCost` gives."""

from __future__ import annotations

import pytest

from pi_model_proxy.catalog import Price, PriceTier, cost_of

PLAIN = Price(input=3, output=15, cache_read=0.3, cache_write=3.75)
TIERED = Price(
    input=1,
    output=10,
    tiers=(
        PriceTier(input_tokens_above=272_000, input=4, output=40),
        PriceTier(input_tokens_above=128_000, input=2, output=20),
    ),
)


def test_each_sort_of_token_has_its_rate() -> None:
    assert cost_of(PLAIN, 1_000_000, 0) == pytest.approx(3.0)
    assert cost_of(PLAIN, 0, 100_000) == pytest.approx(1.5)
    assert cost_of(PLAIN, 0, 0, cache_read_tokens=10_000) == pytest.approx(0.003)
    assert cost_of(PLAIN, 0, 0, cache_write_5m_tokens=1000) == pytest.approx(0.00375)
    together = cost_of(PLAIN, 1_000_000, 100_000, cache_read_tokens=10_000, cache_write_5m_tokens=1000)
    assert together == pytest.approx(4.50675)


def test_cache_entries_that_live_an_hour_cost_twice_the_input_rate() -> None:
    cost = cost_of(PLAIN, 0, 0, cache_write_5m_tokens=2000, cache_write_1h_tokens=1000)

    assert cost == pytest.approx((2000 * 3.75 + 1000 * 6) / 1e6)


@pytest.mark.parametrize(
    ("input_tokens", "cached", "rate"),
    [
        pytest.param(128_000, 0, 1, id="reaching a threshold is not exceeding it"),
        pytest.param(128_001, 0, 2, id="one token above prices the whole request"),
        pytest.param(1, 128_000, 2, id="cached input counts"),
        pytest.param(300_000, 0, 4, id="the highest tier exceeded counts, in whatever order they stand"),
    ],
)
def test_long_requests_have_their_own_rates(input_tokens: int, cached: int, rate: int) -> None:
    cost = cost_of(TIERED, input_tokens, 1_000_000, cache_read_tokens=cached)

    assert cost == pytest.approx(rate * input_tokens / 1e6 + rate * 10)


def test_a_free_model_costs_nothing() -> None:
    assert cost_of(Price(), 10**9, 10**9) == 0
