"""Checks decoded JSON against a JSON Schema, as far as pi's schema for models.json goes.

Only the keywords that schema uses are known; a keyword this module does not know is an error when the schema is
read, so that no rule of a later schema is passed over in silence.

Source: JSON Schema 2020-12 (https://json-schema.org/draft/2020-12/json-schema-validation); the schema itself is
`data/models.schema.json`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from pi_model_proxy.wire import lenient_json

__all__ = ["Schema", "Violation"]

PASSED_OVER: Final = frozenset({"$comment", "$defs", "$id", "$schema", "additionalProperties"})
"""Say nothing about validity here; pi's schema gives `additionalProperties` only as `true`."""

ANY_NAME: Final = "^.*$"
"""The only pattern of pi's schema: a record with any names."""

Path = tuple[lenient_json.PathStep, ...]


class Violation(NamedTuple):
    """One rule that a value breaks."""

    path: Path
    """Of the value at fault; of the object that lacks a member."""
    message: str
    """What it should be, as the rest of a sentence that begins with the path."""


class Schema:
    """A JSON Schema, ready to check values."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Take a decoded schema.

        Raises:
            ValueError: it uses a keyword that is not understood here.
        """
        self._root = document
        self._definitions: Mapping[str, Any] = document.get("$defs", {})
        for schema in (document, *self._definitions.values()):
            _refuse_unknown_keywords(schema)

    def violations(self, value: object) -> list[Violation]:
        """Return every rule `value` breaks, outermost first; an empty list when it is valid."""
        return list(self._check(value, self._root, ()))

    def _check(self, value: object, schema: Mapping[str, Any], path: Path) -> Iterator[Violation]:
        while "$ref" in schema:
            schema = self._definitions[schema["$ref"].removeprefix("#/$defs/")]
        if "anyOf" in schema:
            yield from self._check_any_of(value, schema["anyOf"], path)
            return
        wrong = _wrong_type(value, schema) or _wrong_choice(value, schema) or _wrong_size(value, schema)
        if wrong:
            yield Violation(path, wrong)
        elif isinstance(value, dict):
            yield from self._check_members(value, schema, path)
        elif isinstance(value, list) and "items" in schema:
            for index, item in enumerate(value):
                yield from self._check(item, schema["items"], (*path, index))

    def _check_any_of(
        self, value: object, options: list[Mapping[str, Any]], path: Path
    ) -> Iterator[Violation]:
        if not any(self._is_valid(value, option, path) for option in options):
            yield Violation(path, f"must be {' or '.join(_describe(option) for option in options)}")

    def _is_valid(self, value: object, schema: Mapping[str, Any], path: Path) -> bool:
        return next(self._check(value, schema, path), None) is None

    def _check_members(
        self, value: Mapping[str, object], schema: Mapping[str, Any], path: Path
    ) -> Iterator[Violation]:
        for name in schema.get("required", ()):
            if name not in value:
                yield Violation(path, f'lacks "{name}"')
        named = schema.get("properties", {})
        others = schema.get("patternProperties", {}).get(ANY_NAME)
        for name, item in value.items():
            rule = named.get(name, others)
            if rule is not None:
                yield from self._check(item, rule, (*path, name))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "string": ("a string", lambda value: isinstance(value, str)),
    "number": ("a number", _is_number),
    "integer": ("a whole number", lambda value: _is_number(value) and float(value).is_integer()),  # type: ignore[arg-type]  # a number by now
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "object": ("an object {...}", lambda value: isinstance(value, dict)),
    "array": ("an array [...]", lambda value: isinstance(value, list)),
    "null": ("null", lambda value: value is None),
}


def _wrong_type(value: object, schema: Mapping[str, Any]) -> str | None:
    if "type" not in schema:
        return None
    description, fits = _TYPES[schema["type"]]
    return None if fits(value) else f"must be {description}, not {_name_of(value)}"


def _wrong_choice(value: object, schema: Mapping[str, Any]) -> str | None:
    choices = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if choices is None or value in choices:
        return None
    return "must be " + " or ".join(f'"{choice}"' for choice in choices)


_SIZES: Final[Mapping[str, tuple[str, Callable[[Any, Any], bool]]]] = {
    "minLength": ("must have at least {} character(s)", lambda value, limit: len(value) >= limit),
    "maxItems": ("must have at most {} elements", lambda value, limit: len(value) <= limit),
    "minimum": ("must be at least {}", lambda value, limit: value >= limit),
    "maximum": ("must be at most {}", lambda value, limit: value <= limit),
    "exclusiveMinimum": ("must be greater than {}", lambda value, limit: value > limit),
}


def _wrong_size(value: object, schema: Mapping[str, Any]) -> str | None:
    for keyword, (message, fits) in _SIZES.items():
        if keyword in schema and not fits(value, schema[keyword]):
            return message.format(schema[keyword])
    return None


def _describe(schema: Mapping[str, Any]) -> str:
    if "const" in schema:
        return f'"{schema["const"]}"'
    if "enum" in schema:
        return " or ".join(f'"{choice}"' for choice in schema["enum"])
    return _TYPES[schema["type"]][0]


def _name_of(value: object) -> str:
    """Name the type of a value without showing it: it may be a secret."""
    return next(description for description, fits in _TYPES.values() if fits(value))


_NESTED: Final = {"properties", "patternProperties"}
_KNOWN: Final = (
    PASSED_OVER | _NESTED | _SIZES.keys() | {"$ref", "anyOf", "type", "enum", "const", "required", "items"}
)


def _refuse_unknown_keywords(schema: Mapping[str, Any]) -> None:
    unknown = schema.keys() - _KNOWN
    if unknown:
        raise ValueError(f"the schema uses keywords that are not checked here: {', '.join(sorted(unknown))}")
    if schema.get("additionalProperties", True) is not True or schema.get("patternProperties", {}).keys() - {
        ANY_NAME
    }:
        raise ValueError("the schema limits names of members, which is not checked here")
    for keyword in _NESTED & schema.keys():
        for nested in schema[keyword].values():
            _refuse_unknown_keywords(nested)
    for nested in (*schema.get("anyOf", ()), *([schema["items"]] if "items" in schema else ())):
        _refuse_unknown_keywords(nested)
