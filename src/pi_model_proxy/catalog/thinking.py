"""Which thinking levels a model has, and what to do with one it lacks.

Source: pi 1.5.2 `dist/models.js` `getSupportedThinkingLevels`, `clampThinkingLevel`.
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.catalog.model import Model

__all__ = ["THINKING_LEVELS", "clamp_level", "split_level", "supported_levels"]

THINKING_LEVELS: Final = ("off", "minimal", "low", "medium", "high", "xhigh", "max")
"""Every level, weakest first."""

OPT_IN_LEVELS: Final = frozenset({"xhigh", "max"})
"""Levels that a model only has when its level map names them."""


def supported_levels(model: Model) -> tuple[str, ...]:
    """Return the levels `model` accepts, weakest first; never empty unless its map forbids every one."""
    if not model.reasoning:
        return ("off",)
    return tuple(level for level in THINKING_LEVELS if _is_supported(model, level))


def clamp_level(model: Model, level: str) -> str:
    """Return `level`, or the nearest one `model` supports: upwards first, then downwards.

    An unknown level gives the weakest supported one; a model whose map forbids every level gives `off`.
    """
    supported = supported_levels(model)
    if level in supported:
        return level
    if level not in THINKING_LEVELS:
        return supported[0] if supported else "off"
    asked = THINKING_LEVELS.index(level)
    nearest_first = (*THINKING_LEVELS[asked:], *reversed(THINKING_LEVELS[:asked]))
    return next((candidate for candidate in nearest_first if candidate in supported), "off")


def split_level(name: str) -> tuple[str, str | None]:
    """Split `anthropic/claude-x:high` into name and level; a suffix that is no level stays in the name."""
    base, colon, suffix = name.rpartition(":")
    return (base, suffix) if colon and suffix in THINKING_LEVELS else (name, None)


def _is_supported(model: Model, level: str) -> bool:
    if level in model.thinking_level_map:
        return model.thinking_level_map[level] is not None
    return level not in OPT_IN_LEVELS
