"""Values that fit a JSON Schema, always the same ones; pure."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["sample"]

MAX_DEPTH: Final = 8
"""Deeper schemas (recursive ones) are filled with null from here on."""

MAX_STRING: Final = 1000
"""No text is longer, whatever the schema asks."""

_FORMATS: Final = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "email": "demo@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
}
_ALTERNATIVES: Final = ("anyOf", "oneOf", "allOf")


def sample(schema: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return a value that `schema` allows, as far as it says so in the common keywords."""
    return _sample(schema, schema, "value", 0)


def _sample(schema: object, root: dict[str, Any], name: str, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(schema, dict) or depth > MAX_DEPTH:
        return None
    for keyword in ("const", "default"):
        if keyword in schema:
            return schema[keyword]
    for keyword in ("enum", "examples"):
        if isinstance(schema.get(keyword), list) and schema[keyword]:
            return schema[keyword][0]
    if isinstance(schema.get("$ref"), str):
        return _sample(_resolved(schema["$ref"], root), root, name, depth + 1)
    for keyword in _ALTERNATIVES:
        options = schema.get(keyword)
        if isinstance(options, list) and options and "properties" not in schema:
            real = [each for each in options if isinstance(each, dict) and each.get("type") != "null"]
            return _sample(real[0] if real else None, root, name, depth + 1)
    return _by_type(schema, root, name, depth)


def _by_type(schema: dict[str, Any], root: dict[str, Any], name: str, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    type_ = _type(schema)
    if type_ == "object":
        return _object(schema, root, depth)
    if type_ == "array":
        count = max(1, _whole(schema.get("minItems"), 1))
        return [_sample(schema.get("items"), root, name, depth + 1) for _ in range(min(count, MAX_DEPTH))]
    least = _whole(schema.get("minimum"), 1)
    scalars: dict[str, Any] = {"integer": least, "number": float(least), "boolean": True, "null": None}
    return scalars[type_] if type_ in scalars else _string(schema, name)


def _string(schema: dict[str, Any], name: str) -> str:
    text = _FORMATS.get(str(schema.get("format")), f"demo {name}")
    least = min(_whole(schema.get("minLength"), 0), MAX_STRING)
    most = max(0, _whole(schema.get("maxLength"), MAX_STRING))
    return text.ljust(least, ".")[:most]


def _type(schema: dict[str, Any]) -> str:
    declared = schema.get("type")
    if isinstance(declared, list):
        declared = next((each for each in declared if each != "null"), "null")
    if declared is None:
        return "object" if "properties" in schema else "string"
    return str(declared)


def _object(schema: dict[str, Any], root: dict[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    known = properties if isinstance(properties, dict) else {}
    required = schema.get("required")
    wanted = [name for name in required if name in known] if isinstance(required, list) else list(known)
    return {name: _sample(known[name], root, name, depth + 1) for name in wanted or known}


def _whole(value: object, default: int) -> int:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else default


def _resolved(reference: str, root: dict[str, Any]) -> object:
    """Follow a reference within the schema; anything else leads nowhere."""
    found: object = root
    for step in reference.removeprefix("#/").split("/"):
        found = found.get(step) if isinstance(found, dict) else None
    return found
