"""OpenAI's way of saying no: a sentence, the parameter's path, and a code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from support.strict_provider.rulebook import Objection
from support.strict_provider.shapes import (
    Kind,
    Shape,
    missing_fields,
    unknown_fields,
    words_for,
    wrong_fields,
)

__all__ = [
    "check_shape",
    "empty_array",
    "invalid",
    "missing",
    "not_allowed_without",
    "too_long",
    "unknown",
    "unsupported",
    "wrong_type",
    "wrong_value",
]


def missing(where: str) -> Objection:
    """Object to a required parameter that is not there."""
    return Objection(
        where=where, words=f"Missing required parameter: '{where}'.", code="missing_required_parameter"
    )


def unknown(where: str) -> Objection:
    """Object to a parameter that nobody knows."""
    return Objection(where=where, words=f"Unknown parameter: '{where}'.", code="unknown_parameter")


def unsupported(where: str, advice: str = "") -> Objection:
    """Object to a parameter that this model does not take."""
    words = f"Unsupported parameter: '{where}' is not supported with this model.{advice and ' '}{advice}"
    return Objection(where=where, words=words, code="unsupported_parameter")


def wrong_type(where: str, kind: Kind, value: object) -> Objection:
    """Object to a value of the wrong type."""
    words = f"Invalid type for '{where}': expected {kind.words}, but got {words_for(value)} instead."
    return Objection(where=where, words=words, code="invalid_type")


def wrong_value(where: str, value: object, supported: tuple[str, ...]) -> Objection:
    """Object to a string outside a closed set."""
    options = ", ".join(f"'{option}'" for option in supported)
    return Objection(
        where=where, words=f"Invalid value: '{value}'. Supported values are: {options}.", code="invalid_value"
    )


def invalid(where: str, words: str, code: str = "invalid_value") -> Objection:
    """Object in words of one's own."""
    return Objection(where=where, words=words, code=code)


def too_long(where: str, *, limit: int, length: int, what: str = "string") -> Objection:
    """Object to a string or array above its limit."""
    article = "a string" if what == "string" else "an array"
    words = (
        f"Invalid '{where}': {what} too long. Expected {article} with maximum length {limit}, "
        f"but got {article} with length {length} instead."
    )
    return Objection(where=where, words=words, code=f"{what}_above_max_length")


def empty_array(where: str) -> Objection:
    """Object to an array without elements."""
    words = (
        f"Invalid '{where}': empty array. Expected an array with minimum length 1, "
        "but got an empty array instead."
    )
    return Objection(where=where, words=words, code="empty_array")


def not_allowed_without(where: str, other: str) -> Objection:
    """Object to a parameter whose companion is absent."""
    words = f"Invalid value for '{where}': '{where}' is only allowed when '{other}' are specified."
    return Objection(where=where, words=words)


def check_shape(value: Mapping[str, Any], shape: Shape, where: str) -> Iterator[Objection]:
    """Object to missing, unknown and ill-typed fields of one object."""
    prefix = f"{where}." if where else ""
    for name in missing_fields(value, shape.required):
        yield missing(f"{prefix}{name}")
    for name in unknown_fields(value, shape.known()):
        yield unknown(f"{prefix}{name}")
    for name, kind in wrong_fields(value, shape.known()):
        found = value[name]
        if kind.values and isinstance(found, str):
            yield wrong_value(f"{prefix}{name}", found, kind.values)
        else:
            yield wrong_type(f"{prefix}{name}", kind, found)
