"""The configuration file's JSON Schema, made from the table of settings."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.config.settings import SETTINGS, Setting

__all__ = ["SCHEMA_FILE", "encode_schema", "json_schema"]

SCHEMA_FILE: Final = "model-proxy.schema.json"
"""Lies beside this module, so that every installation has it."""


def json_schema() -> dict[str, Any]:
    """Return the schema (draft 2020-12) of `~/.pi/model-proxy.json`."""
    properties: dict[str, Any] = {
        "$schema": {"type": "string", "description": "Where an editor finds this schema."}
    }
    properties |= {setting.key: _property(setting) for setting in SETTINGS if setting.in_file}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "pi-model-proxy settings",
        "description": "The file ~/.pi/model-proxy.json. Comments and trailing commas are allowed.",
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "not": {"required": ["apiKey", "apiKeyFile"]},
    }


def encode_schema() -> str:
    """Return the schema as the text of the shipped file."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"


def _property(setting: Setting) -> dict[str, Any]:
    schema = {"description": setting.help, **setting.kind.schema()}
    if not setting.may_be_null:
        return {**schema, "default": setting.default}
    if isinstance(schema.get("type"), str):
        return {**schema, "type": [schema["type"], "null"]}
    return schema
