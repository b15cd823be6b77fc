"""How the settings of models.json merge into a model.

Source: pi 1.5.2 `dist/core/provider-composer.js` `applyModelOverride`, `mergeCompat`, `mergeInputLimits`,
`mergeSamplingParamsByThinkingLevel`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from pi_model_proxy.catalog.model import Model, Price
from pi_model_proxy.catalog.models_file import ModelOverride, PriceChange
from pi_model_proxy.catalog.thinking import THINKING_LEVELS

__all__ = ["apply_override", "in_tokens", "known_levels", "merge_compat"]

NESTED_FLAGS: Final = ("openRouterRouting", "vercelGatewayRouting", "chatTemplateKwargs", "chatTemplateArgs")
"""Compat flags whose members merge; every other flag is replaced as a whole."""

MOST_TOKENS: Final = 2**53
"""Where JavaScript's whole numbers end; nobody's window is larger."""

T = TypeVar("T")


def apply_override(model: Model, override: ModelOverride) -> Model:
    """Return `model` with what `override` sets."""
    window, limit = override.context_window, override.max_tokens
    return msgspec.structs.replace(
        model,
        name=_or(override.name, model.name),
        reasoning=_or(override.reasoning, model.reasoning),
        thinking_level_map={**model.thinking_level_map, **known_levels(override.thinking_level_map or {})},
        input=_or(override.input, model.input),
        input_limits=merge_input_limits(model.input_limits, override.input_limits),
        cost=_change_price(model.cost, override.cost),
        prompt_cache={**model.prompt_cache, **(override.prompt_cache or {})},
        context_window=model.context_window if window is None else in_tokens(window),
        max_tokens=model.max_tokens if limit is None else in_tokens(limit),
        sampling_params={**model.sampling_params, **(override.sampling_params or {})},
        sampling_params_by_thinking_level=_merge_by_level(
            model.sampling_params_by_thinking_level, override.sampling_params_by_thinking_level or {}
        ),
        compat=merge_compat(model.compat, override.compat),
    )


def merge_compat(base: dict[str, Any], override: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `base` with the flags of `override`; those of `NESTED_FLAGS` merge member by member."""
    if not override:
        return base
    merged = {**base, **override}
    for flag in NESTED_FLAGS:
        inner, outer = base.get(flag), override.get(flag)
        if isinstance(inner, dict) or isinstance(outer, dict):
            merged[flag] = {**(inner or {}), **(outer or {})}
    return merged


def merge_input_limits(base: dict[str, Any], override: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return `base` with the limits of `override`; `images` and its `resize` merge member by member."""
    if not override:
        return base
    merged = {**base, **override}
    images = override.get("images")
    if images is not None:
        kept = base.get("images") or {}
        merged["images"] = {**kept, **images}
        if images.get("resize") is not None:
            merged["images"]["resize"] = {**(kept.get("resize") or {}), **images["resize"]}
    return merged


def known_levels(by_level: Mapping[str, T]) -> dict[str, T]:
    """Return the members that are named after a thinking level."""
    return {level: value for level, value in by_level.items() if level in THINKING_LEVELS}


def in_tokens(count: float) -> int:
    """Return a count as a whole number: JSON allows `1e5`, and even `1e999`."""
    return int(min(count, MOST_TOKENS))


def _or(chosen: T | None, kept: T) -> T:
    return kept if chosen is None else chosen


def _change_price(price: Price, change: PriceChange | None) -> Price:
    if change is None:
        return price
    return Price(
        input=_or(change.input, price.input),
        output=_or(change.output, price.output),
        cache_read=_or(change.cache_read, price.cache_read),
        cache_write=_or(change.cache_write, price.cache_write),
        tiers=_or(change.tiers, price.tiers),
    )


def _merge_by_level(
    base: dict[str, dict[str, Any]], override: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, Any]]:
    return {
        **base,
        **{level: {**base.get(level, {}), **values} for level, values in known_levels(override).items()},
    }
