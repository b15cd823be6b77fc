"""What OpenAI asks of a JSON Schema, for tools and for the form of an answer.

Source: OpenAI's guides on function calling and structured outputs ("Supported schemas"), and
dialects.md §1.4: the root must be an object without alternatives; a strict schema names every
property as required and closes every object.
"""

from __future__ import annotations

from typing import Any, Final

__all__ = ["is_strict_schema", "tool_parameters"]

_ROOT_REFUSED: Final = frozenset({"anyOf", "oneOf", "allOf", "enum", "not"})
_STRICT_REFUSED: Final = frozenset({
    "allOf", "not", "dependentRequired", "dependentSchemas", "if", "then", "else", "patternProperties",
    "oneOf", "propertyNames", "unevaluatedProperties", "minProperties", "maxProperties", "uniqueItems",
})  # fmt: skip
_MAPS_OF_SCHEMAS: Final = frozenset({"properties", "$defs", "definitions", "patternProperties"})
_LISTS_OF_SCHEMAS: Final = frozenset({"anyOf", "prefixItems"})
_ALL_LISTS_OF_SCHEMAS: Final = _LISTS_OF_SCHEMAS | {"oneOf", "allOf"}
_SCHEMAS: Final = frozenset({"items", "additionalProperties", "not", "if", "then", "else"})


def tool_parameters(schema: dict[str, Any] | None) -> tuple[dict[str, Any], bool]:
    """Return the schema of a tool's arguments with an object at its root, and whether something was lost.

    Alternatives at the root are joined into one object: what some of them know may be given,
    what all of them ask for must be.
    """
    if not schema:
        return {"type": "object", "properties": {}}, False
    root = {name: value for name, value in schema.items() if name not in _ROOT_REFUSED}
    lost = len(root) != len(schema) or schema.get("type", "object") != "object"
    properties = dict(_members(root, "properties"))
    required = _names(root, "required")
    for keyword in ("allOf", "anyOf", "oneOf"):
        listed = schema.get(keyword)
        options = [each for each in listed if isinstance(each, dict)] if isinstance(listed, list) else []
        for option in options:
            properties = _members(option, "properties") | properties
        asked = [set(_names(option, "required")) for option in options]
        if asked:
            common = set.union(*asked) if keyword == "allOf" else set.intersection(*asked)
            required += [name for name in properties if name in common and name not in required]
    root["type"] = "object"
    root["properties"] = properties
    if required:
        root["required"] = required
    return _with_items(root), lost


def _with_items(schema: dict[str, Any]) -> dict[str, Any]:
    """Return `schema` with every array saying what it holds, if only that this may be anything.

    Vendor's words without: "array schema missing items". A list of no alternatives, which no
    validator takes, goes.
    """
    changed = {
        name: _mended(name, value)
        for name, value in schema.items()
        if not (name in _ALL_LISTS_OF_SCHEMAS and value == [])
    }
    if _is_of(schema, "array"):
        changed.setdefault("items", {})
    return changed


def _mended(name: str, value: object) -> object:
    if name in _MAPS_OF_SCHEMAS and isinstance(value, dict):
        return {key: _with_items(each) if isinstance(each, dict) else each for key, each in value.items()}
    if name in _ALL_LISTS_OF_SCHEMAS and isinstance(value, list):
        return [_with_items(each) if isinstance(each, dict) else each for each in value]
    return _with_items(value) if name in _SCHEMAS and isinstance(value, dict) else value


def _is_of(schema: dict[str, Any], type_: str) -> bool:
    declared = schema.get("type")
    return type_ in declared if isinstance(declared, list) else declared == type_


def is_strict_schema(schema: object) -> bool:
    """Tell whether `schema` lies within the subset that `strict: true` demands."""
    try:
        return _is_strict(schema)
    except RecursionError:
        return False


def _is_strict(schema: object) -> bool:
    if not isinstance(schema, dict):
        return False
    if _STRICT_REFUSED & schema.keys():
        return False
    if "properties" in schema or _is_of(schema, "object"):
        properties = schema.get("properties")
        if not isinstance(properties, dict) or schema.get("additionalProperties") is not False:
            return False
        if set(properties) - set(_names(schema, "required")):
            return False
    return all(_is_strict(each) for each in _parts(schema))


def _members(schema: dict[str, Any], keyword: str) -> dict[str, Any]:
    value = schema.get(keyword)
    return value if isinstance(value, dict) else {}


def _names(schema: dict[str, Any], keyword: str) -> list[str]:
    value = schema.get(keyword)
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _parts(schema: dict[str, Any]) -> list[object]:
    """Return the schemas that `schema` holds."""
    parts: list[object] = []
    for name, value in schema.items():
        if name in _MAPS_OF_SCHEMAS and isinstance(value, dict):
            parts += value.values()
        elif name in _LISTS_OF_SCHEMAS and isinstance(value, list):
            parts += value
        elif name == "items":
            parts.append(value)
    return parts
