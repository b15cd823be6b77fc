"""A caller's tools and tool choice, as hub values.

Source: OpenAI's chat completions request schema (openai-python 3.54.0); flat Responses-style and
Anthropic-style tools are read too, since agents send them to chat endpoints.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.openai_chat.fields import Fields
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT, cache_mark
from pi_model_proxy.hub import Tool, ToolChoice

__all__ = ["read_tool_choice", "read_tools"]

_MODES: Final = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_CALLABLE: Final = ("function", "custom")


def read_tools(request: Fields) -> tuple[Tool, ...]:
    """Return the tools in `tools`, the legacy `functions`, and `web_search_options` as a server tool.

    Raises:
        BadRequest: names the JSON path.
    """
    tools = [_tool(tool) for tool in request.objects("tools")]
    tools += [_function(function, function.values) for function in request.objects("functions")]
    search = request.object("web_search_options")
    if search is not None:
        tools.append(_server("web_search", {"web_search_options": search.values}, search.at))
    return tuple(tools)


def _tool(tool: Fields) -> Tool:
    kind = tool.text("type") or "function"
    if kind == "custom" and "input_schema" not in tool.values:
        return _custom(tool.object("custom") or tool, tool)
    if kind in _CALLABLE and ("function" in tool.values or "name" in tool.values):
        return _function(tool.object("function") or tool, tool.values)
    if kind in _CALLABLE:
        tool.refuse("function", "must be an object with a `name`.")
    return _server(kind, tool.values, tool.at)


def _server(name: str, values: dict[str, Any], at: str) -> Tool:
    raw = msgspec.json.encode(values).decode()
    return Tool(kind="server", name=name, dialect=DIALECT, raw=raw, at=at)


def _name(body: Fields) -> str:
    name = body.text("name")
    if not name:
        body.refuse("name", "must be a string that is not empty.")
    return name


def _function(body: Fields, whole: dict[str, Any]) -> Tool:
    schema = body.object("parameters") or body.object("input_schema")
    return Tool(
        name=_name(body),
        description=body.text("description"),
        schema=schema.values if schema else None,
        strict=body.flag("strict"),
        cache=cache_mark(whole),
        at=body.at.removesuffix(".function"),
    )


def _custom(body: Fields, tool: Fields) -> Tool:
    form = body.object("format")
    grammar = form.object("grammar") if form and form.text("type") == "grammar" else None
    return Tool(
        kind="custom",
        name=_name(body),
        description=body.text("description"),
        # Responses writes the grammar beside its type, chat one level deeper.
        grammar=grammar.values if grammar else _flat_grammar(form),
        cache=cache_mark(tool.values),
        at=tool.at,
    )


def _flat_grammar(form: Fields | None) -> dict[str, Any] | None:
    if form is None or form.text("type") != "grammar":
        return None
    return {name: value for name, value in form.values.items() if name in {"syntax", "definition"}}


def read_tool_choice(request: Fields) -> ToolChoice | None:
    """Return what `tool_choice`, or the legacy `function_call`, asks for.

    Raises:
        BadRequest: names the JSON path.
    """
    name = "tool_choice" if request.values.get("tool_choice") is not None else "function_call"
    value = request.values.get(name)
    if value is None:
        return None
    if isinstance(value, str):
        mode = _MODES.get(value)
        if mode is None:
            request.refuse(name, "must be `auto`, `none`, `required` or an object that names a tool.")
        return ToolChoice(mode=mode)  # type: ignore[arg-type]  # the table holds only modes
    choice = request.object(name)
    if choice is None:  # pragma: no cover - `value` is not None
        return None
    return _choice(choice)


def _choice(choice: Fields) -> ToolChoice:
    kind = choice.text("type") or "function"
    if kind in _MODES:
        return ToolChoice(mode=_MODES[kind])  # type: ignore[arg-type]  # the table holds only modes
    if kind == "allowed_tools":
        return _allowed(choice.object("allowed_tools") or choice)
    body = choice.object(kind) if kind in _CALLABLE else None
    name = (body or choice).text("name")
    if name:
        return ToolChoice(mode="named", names=(name,))
    if kind in {*_CALLABLE, "tool"}:
        (body or choice).refuse("name", "must name the tool to call.")
    return ToolChoice(mode="named", names=(kind,))


def _allowed(body: Fields) -> ToolChoice:
    names = []
    for tool in body.objects("tools"):
        kind = tool.text("type") or "function"
        names.append(_name((tool.object(kind) if kind in _CALLABLE else None) or tool))
    return ToolChoice(mode="subset", names=tuple(names), required=body.text("mode") == "required")
