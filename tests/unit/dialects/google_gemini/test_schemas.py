"""JSON Schema and Google's own, each from the other."""

from __future__ import annotations

from typing import Any

import pytest

from pi_model_proxy.dialects.google_gemini.schemas import MAX_DEPTH, json_schema, openapi_schema, with_enums


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"const": "a"}, {"enum": ["a"]}),
        ({"const": 1.5}, {"enum": [1.5]}),
        ({"const": True}, {"const": True}),
        ({"const": None}, {"const": None}),
        ({"const": "a", "enum": ["a", "b"]}, {"const": "a", "enum": ["a", "b"]}),
        ({"default": {"const": "a"}}, {"default": {"const": "a"}}),
        ({"properties": {"const": {"const": "x"}}}, {"properties": {"const": {"enum": ["x"]}}}),
        ({"anyOf": [{"const": 1}, {"const": 2}]}, {"anyOf": [{"enum": [1]}, {"enum": [2]}]}),
        ({"$defs": {"a": {"not": {"const": 1}}}}, {"$defs": {"a": {"not": {"enum": [1]}}}}),
        ({"description": "\ud83d"}, {"description": "\ufffd"}),
        ({"properties": {"const": "no schema"}}, {"properties": {"const": "no schema"}}),
        (True, True),
    ],
    ids=str,
)
def test_a_const_becomes_an_enum_where_it_is_a_keyword(schema: Any, written: Any) -> None:
    assert with_enums(schema) == written


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        ({"type": ["string", "null"]}, {"type": "string", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        (
            {"type": "integer", "exclusiveMinimum": 0, "exclusiveMaximum": 9},
            {"type": "integer", "minimum": 1, "maximum": 8},
        ),
        ({"type": "number", "exclusiveMinimum": 0, "minimum": 3}, {"type": "number", "minimum": 3}),
        ({"enum": [1, True, None, {}]}, {"type": "string", "enum": ["1", "true"], "nullable": True}),
        ({"enum": [None]}, {"nullable": True}),
        ({"type": "string", "format": "uri"}, {"type": "string"}),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date-time"}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        (
            {"type": "array", "items": {"const": "a"}},
            {"type": "array", "items": {"type": "string", "enum": ["a"]}},
        ),
        (
            {"oneOf": [{"type": "string"}, {"type": "null"}]},
            {"type": "string", "nullable": True},
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
        ),
        (
            {
                "allOf": [
                    {"properties": {"a": {}}, "required": ["a"]},
                    {"properties": {"b": {}}, "required": ["b"]},
                    1,
                ],
                "required": ["a"],
            },
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
        ),
        (
            {
                "$defs": {"n": {"type": "integer"}},
                "properties": {"a": {"$ref": "#/$defs/n", "description": "d"}},
            },
            {"type": "object", "properties": {"a": {"type": "integer", "description": "d"}}},
        ),
        (
            {"properties": {"a": {}}, "required": ["a", "gone"]},
            {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        ),
        ({"properties": 1, "required": ["a"]}, {}),
        ({"not": {}, "if": {}, "uniqueItems": True, "patternProperties": {}}, {}),
    ],
    ids=str,
)
def test_the_proto_gets_only_what_it_knows(schema: Any, written: Any) -> None:
    assert openapi_schema(schema) == written


def test_a_schema_that_refers_to_itself_ends_somewhere() -> None:
    schema = {"$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}
    written = openapi_schema(schema)
    depth = 0
    while "properties" in written:
        written, depth = written["properties"]["next"], depth + 1
    assert depth == MAX_DEPTH


@pytest.mark.parametrize(
    ("schema", "written"),
    [
        (
            {
                "type": "OBJECT",
                "properties": {"a_b": {"type": "STRING", "nullable": True}},
                "propertyOrdering": ["a_b"],
            },
            {"type": "object", "properties": {"a_b": {"type": ["string", "null"]}}},
        ),
        (
            {"any_of": [{"type": "STRING"}], "nullable": True},
            {"anyOf": [{"type": "string"}, {"type": "null"}]},
        ),
        (
            {"type": "ARRAY", "items": {"type": "INTEGER"}, "min_items": "2"},
            {"type": "array", "items": {"type": "integer"}, "minItems": 2},
        ),
        ({"type": "TYPE_UNSPECIFIED", "example": 1, "title": None}, {"examples": [1]}),
        (
            {"type": "STRING", "enum": ["a"], "nullable": True},
            {"type": ["string", "null"], "enum": ["a", None]},
        ),
        (
            {
                "defs": {"n": {"type": "NUMBER"}},
                "ref": "#/defs/n",
                "additional_properties": {"type": "STRING"},
            },
            {
                "$defs": {"n": {"type": "number"}},
                "$ref": "#/$defs/n",
                "additionalProperties": {"type": "string"},
            },
        ),
        ({"properties": {"a": 1}}, {"properties": {"a": {}}}),
    ],
    ids=str,
)
def test_googles_schema_is_read_as_json_schema(schema: Any, written: Any) -> None:
    assert json_schema(schema) == written
