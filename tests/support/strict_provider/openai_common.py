"""What Chat Completions and Responses check alike: sampling, metadata, function schemas, pictures.

Sources: dialects.md §1.1 CC/RS, §1.2, §1.4; vendor words as OpenAI's API returns them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from support.strict_provider.openai_words import invalid, too_long, wrong_type
from support.strict_provider.rulebook import Objection
from support.strict_provider.schema_checks import (
    arrays_without_items,
    image_bytes,
    image_type,
    malformed,
    root_combinators,
    strict_complaints,
)
from support.strict_provider.shapes import STRING

__all__ = [
    "check_image",
    "check_metadata",
    "check_name",
    "check_range",
    "check_schema",
    "mentions_json",
]

NAME: Final = re.compile(r"^[a-zA-Z0-9_-]+$")
NAME_MAX: Final = 64
METADATA_PAIRS: Final = 16
METADATA_KEY: Final = 64
METADATA_VALUE: Final = 512
DATA_URL: Final = re.compile(r"^data:([^;,]*);base64,(.*)$", re.DOTALL)
IMAGE_TYPES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")


def check_range(body: Mapping[str, Any], name: str, low: float, high: float) -> Iterator[Objection]:
    """Object to a number outside `low`..`high`; null and absence are fine."""
    value = body.get(name)
    if value is None:
        return
    sort = "integer" if isinstance(value, int) and isinstance(low, int) else "decimal"
    if value > high:
        words = f"Invalid '{name}': {sort} above maximum value. Expected a value <= {high}, but got {value} instead."
        yield invalid(name, words, f"{sort}_above_max_value")
    if value < low:
        words = f"Invalid '{name}': {sort} below minimum value. Expected a value >= {low}, but got {value} instead."
        yield invalid(name, words, f"{sort}_below_min_value")


def check_name(name: str, where: str) -> Iterator[Objection]:
    """Object to a tool or schema name outside `^[a-zA-Z0-9_-]{1,64}$` (dialects.md §1.4 Names)."""
    if len(name) > NAME_MAX:
        yield too_long(where, limit=NAME_MAX, length=len(name))
    elif not NAME.match(name):
        yield invalid(
            where,
            f"Invalid '{where}': string does not match pattern. Expected a string that matches the pattern '{NAME.pattern}'.",
        )


def check_metadata(body: Mapping[str, Any]) -> Iterator[Objection]:
    """Object to more than 16 pairs, long keys and values, and values that are no strings."""
    pairs: dict[str, Any] = body.get("metadata") or {}
    if len(pairs) > METADATA_PAIRS:
        words = (
            f"Invalid 'metadata': too many properties. Expected an object with at most {METADATA_PAIRS} properties, "
            f"but got an object with {len(pairs)} properties instead."
        )
        yield invalid("metadata", words, "object_above_max_properties")
    for key, value in pairs.items():
        if len(key) > METADATA_KEY:
            yield too_long(f"metadata.{key}", limit=METADATA_KEY, length=len(key))
        if not isinstance(value, str):
            yield wrong_type(f"metadata.{key}", STRING, value)
        elif len(value) > METADATA_VALUE:
            yield too_long(f"metadata.{key}", limit=METADATA_VALUE, length=len(value))


def check_schema(schema: Mapping[str, Any], *, name: str, where: str, strict: bool) -> Iterator[Objection]:
    """Object to a function schema that is no object, has a choice at its root, or breaks strict mode."""
    prefix = f"Invalid schema for function '{name}': "
    for words in malformed(schema):
        yield invalid(where, f"{prefix}{words}.", "invalid_function_parameters")
        return
    if schema.get("type") != "object":
        found = schema.get("type") or "None"
        words = f"{prefix}schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{found}\"'."
        yield invalid(where, words, "invalid_function_parameters")
    for keyword in root_combinators(schema):
        words = (
            f"{prefix}schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top "
            f"level ('{keyword}' found)."
        )
        yield invalid(where, words, "invalid_function_parameters")
    for path in arrays_without_items(schema):
        context = path.replace(".", ", ").lstrip(", ")
        yield invalid(
            where,
            f"{prefix}In context=({context}), array schema missing items.",
            "invalid_function_parameters",
        )
    if strict:
        yield from (
            invalid(where, prefix + words, "invalid_function_parameters")
            for words in strict_complaints(schema)
        )


def check_image(url: str, where: str) -> Iterator[Objection]:
    """Object to what is neither an http(s) address nor a data URL of a picture in one of four formats."""
    if url.startswith(("http://", "https://")):
        return
    match = DATA_URL.match(url)
    if match is None:
        yield invalid(where, f"Invalid '{where}'. Expected a base64-encoded data URL or an HTTP(S) URL.")
        return
    media_type, data = match.groups()
    raw = image_bytes(data)
    if raw is None:
        yield invalid(where, f"Invalid '{where}'. Expected a valid base64-encoded image.", "invalid_base64")
    elif media_type not in IMAGE_TYPES or image_type(raw) is None:
        words = (
            "You uploaded an unsupported image. Please make sure your image has of one the following formats: "
            "['png', 'jpeg', 'gif', 'webp']."
        )
        yield invalid(where, words, "invalid_image_format")


def mentions_json(value: object) -> bool:
    """Tell whether the word "json" stands anywhere in the messages, as `json_object` demands."""
    if isinstance(value, str):
        return "json" in value.lower()
    if isinstance(value, dict):
        return any(mentions_json(item) for item in value.values())
    return isinstance(value, list) and any(mentions_json(item) for item in value)
