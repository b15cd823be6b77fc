"""Anthropic's way of saying no: a dotted path, a colon, and pydantic's sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from support.strict_provider.rulebook import Objection
from support.strict_provider.shapes import Kind, Shape, missing_fields, unknown_fields, wrong_fields

__all__ = ["check_shape", "extra", "no", "required", "should_be"]

PYDANTIC = {
    "a string": "Input should be a valid string",
    "an integer": "Input should be a valid integer",
    "a decimal": "Input should be a valid number",
    "a boolean": "Input should be a valid boolean",
    "an object": "Input should be a valid dictionary",
    "an array": "Input should be a valid list",
}


def no(where: str, words: str) -> Objection:
    """Object to what stands at `where`."""
    return Objection(where=where, words=f"{where}: {words}")


def extra(where: str) -> Objection:
    """Object to a field that nobody knows."""
    return no(where, "Extra inputs are not permitted")


def required(where: str) -> Objection:
    """Object to a field that is not there."""
    return no(where, "Field required")


def should_be(where: str, kind: Kind) -> Objection:
    """Object to a value of the wrong kind."""
    if kind.values:
        options = " or ".join(f"'{value}'" for value in kind.values)
        return no(where, f"Input should be {options}")
    first = kind.words.split(" or ")[0]
    return no(where, PYDANTIC.get(first, f"Input should be {kind.words}"))


def check_shape(value: Mapping[str, Any], shape: Shape, where: str) -> Iterator[Objection]:
    """Object to missing, unknown and ill-typed fields of one object."""
    prefix = f"{where}." if where else ""
    for name in missing_fields(value, shape.required):
        yield required(f"{prefix}{name}")
    for name in unknown_fields(value, shape.known()):
        yield extra(f"{prefix}{name}")
    for name, kind in wrong_fields(value, shape.known()):
        yield should_be(f"{prefix}{name}", kind)
