"""JSON Schema and image facts that more than one dialect checks; each function returns plain words."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

__all__ = [
    "MAX_IMAGE_BYTES",
    "arrays_without_items",
    "image_bytes",
    "image_type",
    "malformed",
    "objects",
    "root_combinators",
    "strict_complaints",
    "unsupported_keywords",
]

MAX_IMAGE_BYTES: Final = 5 * 1024 * 1024

COMBINATORS: Final = ("oneOf", "anyOf", "allOf", "enum", "not")

ANTHROPIC_UNSUPPORTED: Final = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "maxItems", "uniqueItems",
    "minContains", "maxContains", "minProperties", "maxProperties",
})  # fmt: skip
ANTHROPIC_FORMATS: Final = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
})  # fmt: skip

MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
)

TYPES: Final = ("object", "array", "string", "number", "integer", "boolean", "null")
SCHEMA_MAPS: Final = ("properties", "$defs", "definitions", "patternProperties")
SCHEMA_LISTS: Final = ("anyOf", "oneOf", "allOf", "prefixItems")
SCHEMA_SINGLES: Final = ("items", "additionalProperties", "not", "if", "then", "else")


def root_combinators(schema: Mapping[str, Any]) -> list[str]:
    """Return the combinators that stand at the root, where no vendor takes them."""
    return [name for name in COMBINATORS if name in schema]


def objects(schema: object, where: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every subschema with its path, the root first; properties are not mistaken for keywords."""
    if not isinstance(schema, dict):
        return
    yield where, schema
    for name in SCHEMA_MAPS:
        for key, child in schema[name].items() if isinstance(schema.get(name), dict) else ():
            yield from objects(child, f"{where}.{name}.{key}")
    for name in SCHEMA_LISTS:
        for index, child in enumerate(schema[name] if isinstance(schema.get(name), list) else ()):
            yield from objects(child, f"{where}.{name}.{index}")
    for name in SCHEMA_SINGLES:
        yield from objects(schema.get(name), f"{where}.{name}")


def malformed(schema: object, where: str = "") -> Iterator[str]:
    """Yield what is no JSON Schema at all, as a validator of the metaschema would put it."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield f"{schema!r} is not of type 'object', 'boolean'"
        return
    for name, (words, fits) in KEYWORDS.items():
        if name in schema and not fits(schema[name]):
            yield f"In context=({where}), {schema[name]!r} is not {words}"
            return
    for name in SCHEMA_MAPS:
        for key, child in schema.get(name, {}).items():
            yield from malformed(child, f"{where}.{name}.{key}")
    for name in SCHEMA_LISTS:
        for index, child in enumerate(schema.get(name, [])):
            yield from malformed(child, f"{where}.{name}.{index}")
    for name in SCHEMA_SINGLES:
        if name in schema:
            yield from malformed(schema[name], f"{where}.{name}")


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _a_list(value: object) -> bool:
    return isinstance(value, list)


def _schemas(value: object) -> bool:
    return isinstance(value, list) and bool(value)


def _a_map(value: object) -> bool:
    return isinstance(value, dict)


def _types(value: object) -> bool:
    names = value if isinstance(value, list) else [value]
    return bool(names) and all(name in TYPES for name in names)


def _a_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


KEYWORDS: Final[dict[str, tuple[str, Callable[[object], bool]]]] = {
    "type": ("one of the simple types", _types),
    "required": ("a list of strings", _strings),
    "enum": ("a list", _a_list),
    "format": ("a string", lambda value: isinstance(value, str)),
    "minItems": ("a non-negative integer", _a_count),
    **dict.fromkeys(SCHEMA_MAPS, ("an object", _a_map)),
    **dict.fromkeys(SCHEMA_LISTS, ("a non-empty list", _schemas)),
}
"""Keywords whose value other checks rely on."""


def _is_of(schema: Mapping[str, Any], type_name: str) -> bool:
    kind = schema.get("type")
    return kind == type_name or (isinstance(kind, list) and type_name in kind)


def strict_complaints(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what OpenAI's strict mode dislikes (dialects.md §1.4 "CC/RS strict")."""
    for where, node in objects(schema):
        if not _is_of(node, "object"):
            continue
        context = f"In context=({where.replace('.', ', ').lstrip(', ')}), "
        if node.get("additionalProperties") is not False:
            yield f"{context}'additionalProperties' is required to be supplied and to be false."
        properties = list(node.get("properties", {}))
        absent = [name for name in properties if name not in node.get("required", [])]
        if absent:
            yield (
                f"{context}'required' is required to be supplied and to be an array including every key "
                f"in properties. Missing '{absent[0]}'."
            )


def arrays_without_items(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of arrays that do not say what they hold."""
    return (where for where, node in objects(schema) if _is_of(node, "array") and "items" not in node)


def unsupported_keywords(schema: Mapping[str, Any]) -> Iterator[str]:
    """Yield what Anthropic's strict tools and output format dislike (dialects.md §1.4 "AM strict")."""
    for _, node in objects(schema):
        if _is_of(node, "object") and node.get("additionalProperties") is not False:
            yield "For 'object' type, 'additionalProperties' must be explicitly set to false"
        for name in sorted(ANTHROPIC_UNSUPPORTED & set(node)):
            yield f"For '{node.get('type', 'any')}' type, property '{name}' is not supported"
        if node.get("minItems", 0) not in (0, 1):
            yield "For 'array' type, 'minItems' values other than 0 or 1 are not supported"
        if "format" in node and node["format"] not in ANTHROPIC_FORMATS:
            yield f"String format '{node['format']}' is not supported"


def image_bytes(data: str) -> bytes | None:
    """Return the bytes behind standard base64, or None when it is not that."""
    try:
        return base64.b64decode(data, validate=True) or None
    except (binascii.Error, ValueError):
        return None


def image_type(raw: bytes) -> str | None:
    """Return the media type that the first bytes show, or None."""
    if raw[:4] == b"RIFF" and raw[8:12] == b"WEBP":
        return "image/webp"
    return next((name for magic, name in MAGIC if raw.startswith(magic)), None)
