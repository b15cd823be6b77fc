"""A caller's tools, and which of them may or must be called.

Sources: dialects.md §1.1 GM (tools, toolConfig), §1.2; google-genai 3.4.0 `FunctionCallingConfigMode`.
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.google_gemini.chunks import DIALECT
from pi_model_proxy.dialects.google_gemini.reading import ProtoFields
from pi_model_proxy.dialects.google_gemini.schemas import json_schema
from pi_model_proxy.hub import Tool, ToolChoice
from pi_model_proxy.wire import compact_json

__all__ = ["read_tool_choice", "read_tools"]

_FUNCTIONS: Final = "functionDeclarations"
_OF_FUNCTION: Final = frozenset({"name", "description", "parametersJsonSchema"})
_OF_CONFIG: Final = frozenset({"functionCallingConfig"})
_OF_CALLING: Final = frozenset({"mode", "allowedFunctionNames"})
_STREAMED: Final = frozenset({"streamFunctionCallArguments"})
_MODES: Final = frozenset({"", "MODE_UNSPECIFIED", "AUTO", "ANY", "NONE", "VALIDATED"})


def read_tools(body: ProtoFields, dropped: list[str]) -> tuple[Tool, ...]:
    """Return the tools: functions, and what only Google runs, each under its own name.

    Raises:
        BadRequest: names the JSON path.
    """
    tools: list[Tool] = []
    for holder in body.objects("tools"):
        for name, value in holder.values.items():
            if name == _FUNCTIONS:
                tools += [_function(each, dropped) for each in holder.objects(_FUNCTIONS)]
            elif value is not None:
                # An empty object is how a tool of Google's is asked for.
                raw = compact_json({name: value}).decode()
                at = holder.path(name)
                tools.append(Tool(kind="server", name=name, dialect=DIALECT, raw=raw, at=at))
    return tuple(tools)


def _function(fields: ProtoFields, dropped: list[str]) -> Tool:
    whole, part = fields.object("parametersJsonSchema"), fields.object("parameters")
    known = _OF_FUNCTION if whole is not None else _OF_FUNCTION | {"parameters"}
    fields.unread(known, dropped)
    schema: dict[str, Any] | None = None
    if whole is not None:
        schema = whole.given
    elif part is not None:
        schema = json_schema(part.given)
    return Tool(
        name=fields.filled_text("name"),
        description=fields.text("description"),
        schema=schema,
        words={"schema": "parameters" if whole is None else "parametersJsonSchema"},
        at=fields.at,
    )


def read_tool_choice(body: ProtoFields, dropped: list[str]) -> tuple[ToolChoice | None, str]:
    """Return which functions may be called (None: the caller did not say), and the JSON path that says so.

    Raises:
        BadRequest: names the JSON path.
    """
    config = body.object("toolConfig")
    if config is None:
        return None, "toolConfig"
    config.unread(_OF_CONFIG, dropped)
    calling = config.object("functionCallingConfig")
    if calling is None:
        return None, config.at
    known = _OF_CALLING if calling.flag("streamFunctionCallArguments") else _OF_CALLING | _STREAMED
    calling.unread(known, dropped)
    mode, names = calling.word("mode"), calling.texts("allowedFunctionNames")
    if mode not in _MODES:
        calling.refuse("mode", "must be one of AUTO, ANY, NONE, VALIDATED")
    if mode == "VALIDATED":
        # Models elsewhere are held to a schema tool by tool, and not to every schema.
        dropped.append(calling.path("mode"))
    if names and mode not in {"ANY", "VALIDATED"}:
        dropped.append(calling.path("allowedFunctionNames"))
    return _choice(mode, names), calling.at


def _choice(mode: str, names: tuple[str, ...]) -> ToolChoice | None:
    choice: ToolChoice | None = None
    match mode:
        case "NONE":
            choice = ToolChoice(mode="none")
        case "ANY" if len(names) == 1:
            choice = ToolChoice(mode="named", names=names)
        case "ANY":
            choice = ToolChoice(mode="subset" if names else "required", names=names, required=bool(names))
        case "VALIDATED" if names:
            choice = ToolChoice(mode="subset", names=names)
        case "AUTO" | "VALIDATED":
            choice = ToolChoice(mode="auto")
    return choice
