"""JSON Schemas as Claude takes them, at Anthropic and on Bedrock.

Sources: dialects.md §1.4 (AM and AM strict rows); pi 1.5.2 `dist/api/anthropic-messages.js`
(`convertTools`, `ANTHROPIC_STRICT_UNSUPPORTED_KEYWORDS`).
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.surrogates import clean_json
from pi_model_proxy.wire import compact_json

__all__ = ["enforceable_schema", "is_strict_schema", "rooted_schema"]

ROOT_CHOICES: Final = ("anyOf", "oneOf", "allOf")
"""At the root Anthropic refuses them; below it they are fine."""
UNSUPPORTED: Final = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "maxItems", "uniqueItems",
    "minContains", "maxContains", "minProperties", "maxProperties",
})  # fmt: skip
FORMATS: Final = frozenset({
    "date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid",
})  # fmt: skip
MIN_ITEMS: Final = (0, 1)
_MAPS: Final = ("properties", "$defs", "definitions", "patternProperties")
"""Keywords whose values are schemas by name."""
_LISTS: Final = (*ROOT_CHOICES, "prefixItems")
_SINGLES: Final = ("items", "not", "contains", "if", "then", "else", "additionalProperties")

Schema = dict[str, Any]


def rooted_schema(schema: Schema | None) -> tuple[Schema, bool]:
    """Return a tool's schema with an object at its root, as Anthropic demands, and whether that lost anything.

    Alternatives at the root are flattened: what any of them allows is allowed, what all of them
    require is required.
    """
    rooted: Schema = clean_json(schema or {})
    changed = any(key in rooted for key in ROOT_CHOICES)
    if changed:
        rooted = _flattened(rooted)
    changed = changed or rooted.get("type", "object") != "object"
    rooted["type"] = "object"
    if not isinstance(rooted.get("properties"), dict):
        rooted["properties"] = {}
    return rooted, changed


def _flattened(schema: Schema) -> Schema:
    flat = {key: value for key, value in schema.items() if key not in ROOT_CHOICES}
    properties: Schema = {}
    required = _names(schema.get("required"))
    for key in ROOT_CHOICES:
        branches = [branch for branch in _list(schema.get(key)) if isinstance(branch, dict)]
        demands = [_names(branch.get("required")) for branch in branches]
        for branch in branches:
            properties.update(branch["properties"] if isinstance(branch.get("properties"), dict) else {})
        if key == "allOf":
            required += [name for demand in demands for name in demand]
        elif demands:
            required += [name for name in demands[0] if all(name in demand for demand in demands)]
    own = flat.get("properties")
    flat["properties"] = {**properties, **(own if isinstance(own, dict) else {})}
    flat["required"] = list(dict.fromkeys(required))
    return flat


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON value
    return value if isinstance(value, list) else []


def _names(value: Any) -> list[str]:  # noqa: ANN401 - any JSON value
    return [name for name in _list(value) if isinstance(name, str)]


def is_strict_schema(schema: Schema) -> bool:
    """Tell whether Anthropic can hold a model to a schema as it is."""
    return not _complaints(schema) and all(is_strict_schema(child) for child in _children(schema))


def _complaints(node: Schema) -> bool:
    return (
        not UNSUPPORTED.isdisjoint(node)
        or node.get("minItems", 0) not in MIN_ITEMS
        or str(node.get("format", "uri")) not in FORMATS
        or (_is_object(node) and node.get("additionalProperties") is not False)
    )


def _is_object(node: Schema) -> bool:
    kind = node.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in node


def _children(node: Schema) -> list[Schema]:
    children: list[Any] = [node.get(key) for key in _SINGLES]
    for key in _LISTS:
        children += _list(node.get(key))
    for key in _MAPS:
        named = node.get(key)
        children += named.values() if isinstance(named, dict) else ()
    return [child for child in children if isinstance(child, dict)]


def enforceable_schema(schema: Schema) -> tuple[Schema, bool]:
    """Return an answer's schema within what Anthropic enforces, and whether something had to change.

    What cannot be enforced is told to the model instead, in the description of its place; objects
    become closed.
    """
    cleaned: Schema = clean_json(schema)
    if is_strict_schema(cleaned):
        return cleaned, False
    return _enforceable(cleaned), True


def _enforceable(node: Schema) -> Schema:
    told: list[str] = []
    kept: Schema = {}
    for key, value in node.items():
        if _is_enforceable(key, value):
            kept[key] = _mapped(key, value)
        else:
            told.append(f"{key}: {compact_json(value).decode()}")
    if _is_object(kept):
        kept["additionalProperties"] = False
    if told:
        described = kept.get("description")
        kept["description"] = (
            f"{described} ({', '.join(told)})" if isinstance(described, str) else ", ".join(told)
        )
    return kept


def _is_enforceable(key: str, value: Any) -> bool:  # noqa: ANN401 - any JSON value
    return (
        key not in UNSUPPORTED
        and (key != "minItems" or value in MIN_ITEMS)
        and (key != "format" or str(value) in FORMATS)
    )


def _mapped(key: str, value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if key in _SINGLES and isinstance(value, dict):
        return _enforceable(value)
    if key in _LISTS and isinstance(value, list):
        return [_enforceable(child) if isinstance(child, dict) else child for child in value]
    if key in _MAPS and isinstance(value, dict):
        return {
            name: _enforceable(child) if isinstance(child, dict) else child for name, child in value.items()
        }
    return value
