"""What a JSON value must look like: small named kinds, and the three questions asked of an object.

A kind carries the words a vendor uses for it, so that a rule can object in the vendor's voice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

__all__ = [
    "ARRAY",
    "BOOLEAN",
    "INTEGER",
    "NULL",
    "NUMBER",
    "OBJECT",
    "STRING",
    "Kind",
    "Shape",
    "either",
    "estimate_tokens",
    "literal",
    "lone_surrogate",
    "missing_fields",
    "nullable",
    "unknown_fields",
    "words_for",
    "wrong_fields",
]

IMAGE_TOKENS: Final = 1600
"""What one picture or file counts for in `estimate_tokens`, whatever its bytes."""

SURROGATE: Final = re.compile("[\ud800-\udfff]")

MEDIA_TYPES: Final = ("image", "image_url", "input_image", "document", "file", "input_file", "input_audio")


@dataclass(frozen=True, slots=True)
class Kind:
    """A sort of JSON value: how vendors name it, and whether a value is one."""

    words: str
    accepts: Callable[[Any], bool]
    values: tuple[str, ...] = ()
    """The literals, when the kind is a closed set of strings."""


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


STRING: Final = Kind("a string", lambda value: isinstance(value, str))
INTEGER: Final = Kind("an integer", _is_integer)
NUMBER: Final = Kind("a decimal", lambda value: _is_integer(value) or isinstance(value, float))
BOOLEAN: Final = Kind("a boolean", lambda value: isinstance(value, bool))
OBJECT: Final = Kind("an object", lambda value: isinstance(value, dict))
ARRAY: Final = Kind("an array", lambda value: isinstance(value, list))
NULL: Final = Kind("null", lambda value: value is None)


def either(*kinds: Kind) -> Kind:
    """Return the kind that accepts what any of `kinds` accepts."""
    return Kind(
        " or ".join(kind.words for kind in kinds),
        lambda value: any(kind.accepts(value) for kind in kinds),
        tuple(text for kind in kinds for text in kind.values),
    )


def nullable(kind: Kind) -> Kind:
    """Return `kind` that also takes null."""
    return either(kind, NULL)


def literal(*values: str) -> Kind:
    """Return the kind of exactly these strings."""
    return Kind(
        "one of " + ", ".join(f"'{value}'" for value in values),
        lambda value: isinstance(value, str) and value in values,
        values,
    )


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of an object: those that must be there and those that may."""

    required: Mapping[str, Kind]
    optional: Mapping[str, Kind]

    def known(self) -> dict[str, Kind]:
        """Return every field with its kind."""
        return {**self.required, **self.optional}


def unknown_fields(value: Mapping[str, Any], known: Collection[str]) -> Iterator[str]:
    """Yield the names in `value` that nobody knows, in the order they came."""
    return (name for name in value if name not in known)


def missing_fields(value: Mapping[str, Any], required: Collection[str]) -> Iterator[str]:
    """Yield the required names that `value` lacks."""
    return (name for name in required if name not in value)


def wrong_fields(value: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Iterator[tuple[str, Kind]]:
    """Yield each present field whose value is of another kind, with the kind it should be."""
    return ((name, kinds[name]) for name in value if name in kinds and not kinds[name].accepts(value[name]))


def words_for(value: object) -> str:
    """Return what OpenAI calls this sort of value in "but got … instead"."""
    if isinstance(value, bool):
        return "a boolean"
    names = {int: "an integer", float: "a decimal", str: "a string", list: "an array", dict: "an object"}
    return names.get(type(value), "null")


def lone_surrogate(value: object) -> str | None:
    """Return the first string anywhere in `value` (keys too) that cannot be written as UTF-8."""
    if isinstance(value, str):
        return value if SURROGATE.search(value) else None
    children: Collection[object] = ()
    if isinstance(value, dict):
        children = [*value.keys(), *value.values()]
    elif isinstance(value, list):
        children = value
    return next((found for child in children if (found := lone_surrogate(child)) is not None), None)


def estimate_tokens(value: object) -> int:
    """Return a count of tokens that is the same for the same request: four characters each."""
    return _weight(value) // 4 + 1


def _weight(value: object) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        return sum(_weight(item) for item in value)
    if isinstance(value, dict):
        if value.get("type") in MEDIA_TYPES:
            return IMAGE_TOKENS * 4
        return sum(len(str(name)) + _weight(item) for name, item in value.items())
    return 1
