"""JSON Schema and Google's own `Schema` (a part of OpenAPI 3.0), each from the other.

Upstreams get `parametersJsonSchema`, where nearly all of JSON Schema counts; `openapi_schema` is for
those that do not know that field. Callers may write either.

Sources: dialects.md §1.4 (GM rows), vector 23; pi 1.5.2 `dist/api/google-shared.js`
(`rewriteConstAsEnum`); google-genai 3.4.0 `Schema`.
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.google_gemini.reading import camel
from pi_model_proxy.dialects.surrogates import clean_json

__all__ = ["MAX_DEPTH", "json_schema", "openapi_schema", "with_enums"]

MAX_DEPTH: Final = 60
"""Schemas are followed this deep; deeper ones, and `$ref` that lead back to themselves, say nothing there."""

_NAME_MAPS: Final = frozenset({
    "properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies",
})  # fmt: skip
"""Keywords whose values map names to schemas."""
_SUBSCHEMAS: Final = frozenset({
    "additionalProperties", "unevaluatedProperties", "propertyNames", "items", "prefixItems", "additionalItems",
    "unevaluatedItems", "contains", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "contentSchema",
})  # fmt: skip
"""Keywords that hold a schema or a list of them, not literal data."""
_OPENAPI: Final = frozenset({
    "type", "format", "title", "description", "nullable", "enum", "items", "maxItems", "minItems", "properties",
    "required", "minProperties", "maxProperties", "minimum", "maximum", "minLength", "maxLength", "pattern",
    "example", "anyOf", "propertyOrdering", "default",
})  # fmt: skip
"""What the proto knows; any other key makes it refuse the whole request."""
_FORMATS: Final = frozenset({"float", "double", "int32", "int64", "enum", "date-time", "date", "time"})
_COUNTS: Final = frozenset(
    {"maxItems", "minItems", "minProperties", "maxProperties", "minLength", "maxLength"}
)
"""64-bit numbers, which protocol buffers write as strings."""
_ALTERNATIVES: Final = ("anyOf", "oneOf")
_REFERENCES: Final = {"defs": "$defs", "ref": "$ref"}
"""The proto's names for them."""

MAX_DIGITS: Final = 18

Schema = dict[str, Any]


def with_enums(schema: Any) -> Any:  # noqa: ANN401 - any JSON value may stand for a schema
    """Return a schema with `const` of a string or number as an `enum` of one: Gemini ignores the former."""
    return _with_enums(clean_json(schema), is_map=False)


def _with_enums(schema: Any, *, is_map: bool) -> Any:  # noqa: ANN401 - as above
    if isinstance(schema, list):
        return [_with_enums(each, is_map=False) for each in schema]
    if not isinstance(schema, dict):
        return schema
    written = {
        key: _with_enums(value, is_map=not is_map and key in _NAME_MAPS)
        if is_map or key in _SUBSCHEMAS or key in _NAME_MAPS
        else value
        for key, value in schema.items()
    }
    const = written.get("const")
    is_plain = isinstance(const, str | int | float) and not isinstance(const, bool)
    if not is_map and "enum" not in written and is_plain:
        written["enum"] = [written.pop("const")]
    return written


# Towards upstreams that only know `parameters` and `responseSchema`.


def openapi_schema(schema: Schema) -> Schema:
    """Return a schema within what the proto knows; what it cannot say is left out, references are written out."""
    definitions: Schema = {}
    for name in ("$defs", "definitions"):
        held = schema.get(name)
        definitions |= (
            {f"#/{name}/{key}": value for key, value in held.items()} if isinstance(held, dict) else {}
        )
    return _openapi(schema, definitions, MAX_DEPTH)


def _openapi(schema: Any, definitions: Schema, depth: int) -> Schema:  # noqa: ANN401 - `true` is a schema, too
    if not isinstance(schema, dict) or depth <= 0:
        return {}
    target = definitions.get(str(schema.get("$ref")))
    if target is not None:
        schema = {**target, **schema} if isinstance(target, dict) else schema
    schema = _joined(schema)
    written: Schema = {}
    for key, value in schema.items():
        if key in _OPENAPI:
            written[key] = value
    _write_type(schema, written)
    _write_bounds(schema, written)
    _write_enum(schema, written)
    if str(written.get("format", "date")) not in _FORMATS:
        del written["format"]
    if isinstance(written.get("items"), dict):
        written["items"] = _openapi(written["items"], definitions, depth - 1)
    elif written.get("type") == "array":
        written["items"] = {}
    _write_alternatives(schema, written, definitions, depth)
    _write_properties(written, definitions, depth)
    return written


def _joined(schema: Schema) -> Schema:
    """Return `allOf` as one schema."""
    parts = schema.get("allOf")
    if not isinstance(parts, list):
        return schema
    joined: Schema = {}
    for part in (*parts, {key: value for key, value in schema.items() if key != "allOf"}):
        if not isinstance(part, dict):
            continue
        properties = {**_object(joined, "properties"), **_object(part, "properties")}
        required = [*_names(joined), *_names(part)]
        joined |= part
        if properties:
            joined["properties"] = properties
        if required:
            joined["required"] = list(dict.fromkeys(required))
    return joined


def _object(schema: Schema, key: str) -> Schema:
    value = schema.get(key)
    return value if isinstance(value, dict) else {}


def _names(schema: Schema) -> list[str]:
    value = schema.get("required")
    return [name for name in value if isinstance(name, str)] if isinstance(value, list) else []


def _write_type(schema: Schema, written: Schema) -> None:
    kinds = schema.get("type")
    if isinstance(kinds, list):
        named = [kind for kind in kinds if kind != "null"]
        if "null" in kinds:
            written["nullable"] = True
        written.pop("type")
        if len(named) == 1:
            written["type"] = named[0]
        elif named:
            written["anyOf"] = [{"type": kind} for kind in named]
    if "type" not in written and "anyOf" not in written and isinstance(schema.get("properties"), dict):
        written["type"] = "object"


def _write_bounds(schema: Schema, written: Schema) -> None:
    """Say exclusive bounds of whole numbers as inclusive ones."""
    whole = schema.get("type") == "integer"
    for key, inclusive, step in (("exclusiveMinimum", "minimum", 1), ("exclusiveMaximum", "maximum", -1)):
        bound = schema.get(key)
        if isinstance(bound, int | float) and not isinstance(bound, bool) and inclusive not in written:
            written[inclusive] = bound + step if whole else bound


def _write_enum(schema: Schema, written: Schema) -> None:
    """Say the values as strings, the only ones the proto takes."""
    values = [schema["const"]] if "const" in schema else schema.get("enum")
    written.pop("enum", None)
    if not isinstance(values, list):
        return
    if None in values:
        written["nullable"] = True
    texts = [_text(value) for value in values if value is not None and not isinstance(value, dict | list)]
    if texts:
        written["enum"] = texts
        written["type"] = "string"


def _text(value: Any) -> str:  # noqa: ANN401 - a scalar
    return str(value).lower() if isinstance(value, bool) else str(value)


def _write_alternatives(schema: Schema, written: Schema, definitions: Schema, depth: int) -> None:
    for key in _ALTERNATIVES:
        alternatives = schema.get(key)
        if not isinstance(alternatives, list):
            continue
        named = [each for each in alternatives if not (isinstance(each, dict) and each.get("type") == "null")]
        if len(named) < len(alternatives):
            written["nullable"] = True
        written["anyOf"] = [_openapi(each, definitions, depth - 1) for each in named]
        if len(named) == 1:
            written.update(written.pop("anyOf")[0])


def _write_properties(written: Schema, definitions: Schema, depth: int) -> None:
    properties = written.get("properties")
    if not isinstance(properties, dict):
        written.pop("properties", None)
        written.pop("required", None)
        return
    written["properties"] = {
        name: _openapi(each, definitions, depth - 1) for name, each in properties.items()
    }
    required = [name for name in _names(written) if name in properties]
    written.pop("required", None)
    if required:
        written["required"] = required


# From callers.


def json_schema(schema: Schema) -> Schema:
    """Return a caller's `Schema` (types in capitals, `nullable`, either spelling) as JSON Schema."""
    return _json_schema(schema, MAX_DEPTH)


def _json_schema(schema: Any, depth: int) -> Schema:  # noqa: ANN401 - whatever stands for a schema
    if not isinstance(schema, dict) or depth <= 0:
        return {}
    written: Schema = {}
    for name, value in schema.items():
        key = _REFERENCES.get(name) or camel(name)
        if value is None or key in {"nullable", "propertyOrdering"}:
            continue
        written[key] = _converted(key, value, depth)
    if "example" in written:
        written["examples"] = [written.pop("example")]
    if str(written.get("type")) == "type_unspecified":
        del written["type"]
    if schema.get("nullable") is True:
        _allow_null(written)
    return written


def _converted(key: str, value: Any, depth: int) -> Any:  # noqa: ANN401 - any JSON value
    written = value
    match key, value:
        case "type", str():
            written = value.lower()
        case "$ref", str():
            written = value.replace("#/defs/", "#/$defs/")
        case "properties" | "$defs", dict():
            written = {name: _json_schema(each, depth - 1) for name, each in value.items()}
        case "anyOf", list():
            written = [_json_schema(each, depth - 1) for each in value]
        case "items" | "additionalProperties", dict():
            written = _json_schema(value, depth - 1)
        case _, str() if key in _COUNTS and value.isdecimal():
            written = int(value[:MAX_DIGITS])
    return written


def _allow_null(written: Schema) -> None:
    kind = written.get("type")
    if isinstance(kind, str):
        written["type"] = [kind, "null"]
    elif isinstance(written.get("anyOf"), list):
        written["anyOf"] = [*written["anyOf"], {"type": "null"}]
    values = written.get("enum")
    if isinstance(values, list) and None not in values:
        written["enum"] = [*values, None]
