"""Which models a name or pattern of pi's settings means.

    anthropic/claude-opus-5-5      exactly that
    claude-opus-5-5                that id, wherever it is offered
    opus                           what looks most like it
    anthropic/*:high               every one that matches, thinking hard

Source: pi 1.5.2 `dist/core/model-resolver.js` (`resolveModelReference`, `resolveModelScopeFromModels`), for
`enabledModels` in settings.json.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from pi_model_proxy.catalog.glob import matches_glob
from pi_model_proxy.catalog.model import Model
from pi_model_proxy.catalog.thinking import split_level

__all__ = ["Selected", "Selection", "select_models"]

WILDCARDS: Final = "*?["
_DATED: Final = re.compile(r"-\d{8}$")

COLLATION: Final = "_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz"
"""ASCII in the order of the Unicode collation, by which pi sorts (`localeCompare`); letters of either case together."""


class Selected(msgspec.Struct, frozen=True):
    """One model that a pattern means."""

    model: Model
    level: str | None = None
    """The thinking level that the pattern asks for."""


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of patterns selects."""

    selected: tuple[Selected, ...] = ()
    """In the order of the patterns, each model once."""
    notes: tuple[str, ...] = ()
    """What the user should know: a pattern that selects nothing, or several providers."""


class _Found(msgspec.Struct, frozen=True):
    """The models that one pattern means; of one without wildcards several when only their providers differ."""

    models: tuple[Model, ...]
    level: str | None = None
    notes: tuple[str, ...] = ()


def select_models(patterns: Sequence[str], models: Sequence[Model]) -> Selection:
    """Return what `enabledModels` selects among `models`, which pi takes to be those that can be used now."""
    selected: dict[tuple[str, str], Selected] = {}
    notes: list[str] = []
    for pattern in patterns:
        is_glob = any(wildcard in pattern for wildcard in WILDCARDS)
        found = _match_glob(pattern, models) if is_glob else _find(pattern, models)
        notes += found.notes if found.models else [f'no model matches "{pattern}"']
        for model in found.models:
            selected.setdefault((model.provider, model.id), Selected(model, found.level))
    return Selection(selected=tuple(selected.values()), notes=tuple(notes))


def _match_glob(pattern: str, models: Sequence[Model]) -> _Found:
    text, level = split_level(pattern)
    literal = _find_reference(text.strip(), models, is_fuzzy=False)  # an id may hold brackets: `model[1m]`
    if literal:
        return _Found(literal, level, _ambiguity(pattern, literal))
    return _Found(
        tuple(model for model in models if matches_glob(model.ref, text) or matches_glob(model.id, text)),
        level,
    )


def _find(pattern: str, models: Sequence[Model]) -> _Found:
    """Find what a pattern without wildcards means; suffixes after colons are taken off one by one.

    Of several suffixes the outermost one counts; one that is no thinking level voids them all.
    """
    text = pattern.strip()
    level: str | None = None
    notes: tuple[str, ...] = ()
    while pattern.strip():
        found = _find_reference(text, models, is_fuzzy=True) or _best_match(_similar(text, models))
        if found:
            return _Found(found, None if notes else level, notes + _ambiguity(pattern, found))
        shorter, suffix = split_level(text)
        if suffix is None:
            shorter, colon, unknown = text.rpartition(":")
            if not colon:
                break
            notes = notes or (f'"{unknown}" in "{pattern}" is no thinking level; the default is used',)
        level = level or suffix
        text = shorter
    return _Found(())


def _find_reference(text: str, models: Sequence[Model], *, is_fuzzy: bool) -> tuple[Model, ...]:
    """Return the model that `text` names as `provider/id` or as an id; several when it is offered more than once."""
    lower = text.lower()
    same_id = [model for model in models if model.id.lower() == lower]
    named = _find_named(text, models, same_id, is_fuzzy=is_fuzzy)
    if named is not None:
        return (named,)
    if len({model.provider for model in same_id}) == 1:
        return (same_id[0],)
    return tuple(same_id)


def _find_named(
    text: str, models: Sequence[Model], same_id: Sequence[Model], *, is_fuzzy: bool
) -> Model | None:
    """Return the model meant when `text` begins with a provider, whose id may hold slashes itself."""
    provider, rest = _split_provider(text, models)
    if not provider:
        return None
    offered = [model for model in models if model.provider == provider]
    exact = next((model for model in offered if model.id.lower() == rest.lower()), None)
    whole = next((model for model in same_id if model.provider == provider), None)
    similar = _likest(_similar(rest, offered)) if is_fuzzy else None
    return exact or whole or similar


def _split_provider(text: str, models: Sequence[Model]) -> tuple[str, str]:
    """Split off the longest known provider id; empty strings when `text` begins with none."""
    best = ("", "")
    lower = text.lower()
    for provider in dict.fromkeys(model.provider for model in models):
        prefix = provider.strip().lower()
        slash = lower.find("/", len(prefix))
        if not prefix or len(best[0]) >= len(provider) or slash < 0 or lower[:slash].strip() != prefix:
            continue
        rest = text[slash + 1 :].strip()
        if rest:
            best = (provider, rest)
    return best


def _similar(text: str, models: Sequence[Model]) -> list[Model]:
    lower = text.lower()
    return [model for model in models if lower in model.id.lower() or lower in model.name.lower()]


def _best_match(similar: Sequence[Model]) -> tuple[Model, ...]:
    """Return the likest model, from every provider that offers it."""
    best = _likest(similar)
    if best is None:
        return ()
    tied = [model for model in similar if model.id == best.id]
    return tuple(tied) if len({model.provider for model in tied}) > 1 else (best,)


def _likest(similar: Sequence[Model]) -> Model | None:
    """Prefer aliases over dated versions, then the id that sorts last: the latest version, by custom."""
    aliases = [model for model in similar if model.id.endswith("-latest") or not _DATED.search(model.id)]
    return max(aliases or similar, key=lambda model: _sort_key(model.id), default=None)


def _sort_key(text: str) -> tuple[list[int], list[bool]]:
    """Order text as `localeCompare` does: by letter, then lower case before upper."""
    letters = [COLLATION.find(character.lower()) for character in text]
    return [place if place >= 0 else len(COLLATION) for place in letters], [
        letter.isupper() for letter in text
    ]


def _ambiguity(pattern: str, models: Sequence[Model]) -> tuple[str, ...]:
    providers = sorted({model.provider for model in models})
    if len(providers) < 2:  # noqa: PLR2004 - one is no choice
        return ()
    return (f'"{pattern}" is offered by {", ".join(providers)}; write provider/id to choose one',)
