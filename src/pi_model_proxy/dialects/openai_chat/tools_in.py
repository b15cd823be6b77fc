"""A caller's tools and tool choice, as hub values.

Source: OpenAI's chat completions request schema (openai-python 3.54.0); flat Responses-style and
Anthropic-style tools are read too, since agents send them to chat endpoints.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.openai_chat.content_in import DIALECT, MARKS, cache_mark
from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import Tool, ToolChoice

__all__ = ["read_tool_choice", "read_tools"]

_Mode = Literal["auto", "none", "required"]
_MODES: Final[dict[str, _Mode]] = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_CALLABLE: Final = ("function", "custom")

_OF_FUNCTION: Final = frozenset({"name", "description", "parameters", "input_schema", "strict"})
_OF_CUSTOM: Final = frozenset({"name", "description", "format"})
_OF_FORMAT: Final = frozenset({"type", "grammar", "syntax", "definition"})
_OF_GRAMMAR: Final = frozenset({"syntax", "definition"})
_OF_NESTED: Final = frozenset({"type", *_CALLABLE}) | MARKS
_OF_FLAT: Final = frozenset({"type"}) | MARKS
_OF_NAMED: Final = frozenset({"name"})
_OF_ALLOWED: Final = frozenset({"type", "mode", "tools"})
_OF_CHOICE: Final = frozenset({"type", "name", *_CALLABLE, "allowed_tools", "mode", "tools"})

_NESTED_WORDS: Final = {"strict": "function.strict", "schema": "function.parameters"}
_FLAT_WORDS: Final = {"schema": "parameters"}
_ANTHROPIC_WORDS: Final = {"schema": "input_schema"}
_NESTED_CUSTOM_WORDS: Final = {"grammar": "custom.format"}
_FLAT_CUSTOM_WORDS: Final = {"grammar": "format"}


def read_tools(request: Fields, dropped: list[str]) -> tuple[Tool, ...]:
    """Return the tools in `tools`, the legacy `functions`, and `web_search_options` as a server tool.

    Raises:
        BadRequest: names the JSON path.
    """
    tools = [_tool(tool, dropped) for tool in request.objects("tools")]
    for function in request.objects("functions"):
        function.unread(_OF_FUNCTION | MARKS, dropped)
        tools.append(_function(function, function, dropped))
    search = request.object("web_search_options")
    if search is not None:
        tools.append(_server("web_search", {"web_search_options": search.values}, search.at))
    return tuple(tools)


def _tool(tool: Fields, dropped: list[str]) -> Tool:
    kind = tool.text("type") or "function"
    if kind == "custom" and "input_schema" not in tool.values:
        body = _body(tool, "custom", _OF_CUSTOM, dropped)
        return _custom(body, tool, dropped)
    if kind in _CALLABLE and ("function" in tool.values or "name" in tool.values):
        return _function(_body(tool, "function", _OF_FUNCTION, dropped), tool, dropped)
    if kind in _CALLABLE:
        tool.refuse("function", "must be an object with a `name`")
    return _server(kind, tool.values, tool.at)


def _body(tool: Fields, name: str, known: frozenset[str], dropped: list[str]) -> Fields:
    """Return the object that defines the tool: nested in chat's own form, the tool itself in others."""
    body = tool.object(name)
    if body is None:
        tool.unread(known | _OF_FLAT, dropped)
        return tool
    tool.unread(_OF_NESTED, dropped)
    body.unread(known, dropped)
    return body


def _server(name: str, values: dict[str, Any], at: str) -> Tool:
    raw = msgspec.json.encode(values).decode()
    return Tool(kind="server", name=name, dialect=DIALECT, raw=raw, at=at)


def _function(body: Fields, tool: Fields, dropped: list[str]) -> Tool:
    parameters = body.object("parameters")
    schema = parameters or body.object("input_schema")
    flat = _ANTHROPIC_WORDS if parameters is None else _FLAT_WORDS
    return Tool(
        name=body.filled_text("name"),
        description=body.text("description"),
        schema=schema.values if schema else None,
        strict=body.flag("strict"),
        cache=cache_mark(tool, dropped),
        words=flat if body is tool else _NESTED_WORDS,
        at=tool.at,
    )


def _custom(body: Fields, tool: Fields, dropped: list[str]) -> Tool:
    return Tool(
        kind="custom",
        name=body.filled_text("name"),
        description=body.text("description"),
        grammar=_grammar(body, dropped),
        cache=cache_mark(tool, dropped),
        words=_NESTED_CUSTOM_WORDS if body is not tool else _FLAT_CUSTOM_WORDS,
        at=tool.at,
    )


def _grammar(body: Fields, dropped: list[str]) -> dict[str, Any] | None:
    """Return what free-form input must look like; Responses writes it beside its type, chat one level deeper."""
    form = body.object("format")
    if form is None:
        return None
    form.unread(_OF_FORMAT, dropped)
    if form.text("type") != "grammar":
        return None
    grammar = form.object("grammar")
    if grammar is None:
        grammar = form
    else:
        grammar.unread(_OF_GRAMMAR, dropped)
    return {name: value for name, value in grammar.values.items() if name in _OF_GRAMMAR}


def read_tool_choice(request: Fields, dropped: list[str]) -> ToolChoice | None:
    """Return what `tool_choice`, or the legacy `function_call`, asks for.

    Raises:
        BadRequest: names the JSON path.
    """
    name = "tool_choice"
    if request.values.get(name) is None:
        name = "function_call"
    elif request.values.get("function_call") is not None:
        dropped.append("function_call")
    value = request.values.get(name)
    if isinstance(value, str):
        if value not in _MODES:
            request.refuse(name, "must be `auto`, `none`, `required` or an object that names a tool")
        return ToolChoice(mode=_MODES[value])
    choice = request.object(name)
    return None if choice is None else _choice(choice, dropped)


def _choice(choice: Fields, dropped: list[str]) -> ToolChoice:
    choice.unread(_OF_CHOICE, dropped)
    kind = choice.text("type") or "function"
    if kind in _MODES:
        return ToolChoice(mode=_MODES[kind])
    if kind == "allowed_tools":
        return _allowed(choice.object("allowed_tools") or choice, dropped)
    body = choice.object(kind) if kind in _CALLABLE else None
    if body is not None:
        body.unread(_OF_NAMED, dropped)
    name = (body or choice).text("name")
    if name:
        return ToolChoice(mode="named", names=(name,))
    if kind in {*_CALLABLE, "tool"}:
        (body or choice).refuse("name", "must name the tool to call")
    return ToolChoice(mode="named", names=(kind,))


def _allowed(body: Fields, dropped: list[str]) -> ToolChoice:
    body.unread(_OF_ALLOWED, dropped)
    names = []
    for tool in body.objects("tools"):
        kind = tool.text("type") or "function"
        holder = _body(tool, kind, _OF_NAMED, dropped) if kind in _CALLABLE else tool
        names.append(holder.filled_text("name"))
    return ToolChoice(mode="subset", names=tuple(names), required=body.text("mode") == "required")
