"""Tools and the choice among them, as Mistral takes them.

Sources: dialects.md §1.1 MI, §1.2; pi 1.5.2 `dist/api/mistral-conversations.js` (`toFunctionTools`, `mapToolChoice`).
"""

from __future__ import annotations

from typing import Any

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrapped_schema
from pi_model_proxy.dialects.surrogates import clean_json, clean_text
from pi_model_proxy.hub import Request, Tool, ToolChoice

__all__ = ["tool_fields"]

Json = dict[str, Any]


def tool_fields(request: Request, tools: tuple[Tool, ...], names: ToolNames, losses: Losses) -> Json:
    """Return `tools`, `tool_choice` and `parallel_tool_calls`, as far as they are to be sent.

    Raises:
        UnsupportedFeature: all that is offered, or what is forced, runs only at another provider; or a
            call is demanded where no tool is offered.
    """
    choice = request.tool_choice or ToolChoice(mode="auto")
    allowed = [tool for tool in tools if choice.mode != "subset" or tool.name in choice.names]
    kept = [tool for tool in allowed if tool.kind != "server"]
    for tool in allowed:
        if tool.kind == "server":
            if not kept or tool.name in choice.names:
                losses.refuse(tool.at, why="the provider cannot run this tool")
            losses.path(tool.at, why="the provider cannot run this tool")
    if not kept:
        if choice.mode in {"required", "named"} or choice.required:
            losses.refuse(request.paths.get("tool_choice", "tool_choice"), why="no tool is offered")
        return {}
    fields: Json = {"tools": [_tool(tool, names, losses) for tool in kept]}
    chosen = _choice(request.tool_choice, names)
    if chosen is not None:
        fields["tool_choice"] = chosen
    if request.parallel_tools is not None:
        fields["parallel_tool_calls"] = request.parallel_tools
    return fields


def _tool(tool: Tool, names: ToolNames, losses: Losses) -> Json:
    losses.mark(tool.cache, tool.at)
    if tool.grammar is not None:
        losses.of_tool(tool, "grammar", why="the provider knows no grammars")
    schema = wrapped_schema() if tool.kind == "custom" else clean_json(tool.schema or {"type": "object"})
    function: Json = {"name": names.wire(tool.name, tool.namespace)}
    if tool.description:
        function["description"] = clean_text(tool.description)
    return {"type": "function", "function": {**function, "parameters": schema, "strict": bool(tool.strict)}}


def _choice(choice: ToolChoice | None, names: ToolNames) -> str | Json | None:
    match choice:
        case ToolChoice(mode="named", names=(name, *_)):
            return {"type": "function", "function": {"name": names.wire(name)}}
        case ToolChoice(mode="required") | ToolChoice(mode="subset", required=True):
            return "any"
        case ToolChoice(mode="none" | "auto" as mode):
            return mode
        case _:
            return None
