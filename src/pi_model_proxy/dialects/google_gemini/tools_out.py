"""Tools and the choice among them, as an upstream of Google's takes them.

Sources: dialects.md §1.1 GM (tools), §1.2 (tool_choice, strict), §1.4; pi 1.5.2
`dist/api/google-shared.js` (`convertTools`, `resolveGoogleFunctionCallingMode`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.google_gemini.chunks import DIALECT
from pi_model_proxy.dialects.google_gemini.families import Family
from pi_model_proxy.dialects.google_gemini.schemas import with_enums
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrapped_schema
from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.hub import Request, Tool, ToolChoice

__all__ = ["choose_tools", "tool_config", "write_tools"]

_decoder: Final = msgspec.json.Decoder(dict[str, Any])
_SEARCHES: Final = ("web_search", "web-search")
"""How the types and names of other vendors' web searches begin."""
_GOOGLE_SEARCH: Final = '{"googleSearch":{}}'

Json = dict[str, Any]


def choose_tools(request: Request, tools: Sequence[Tool], family: Family, losses: Losses) -> list[Tool]:
    """Return the tools that are sent: functions, and what Google itself can run.

    Those that may not be called are left out only where the model cannot be told so otherwise. Another vendor's web search becomes Google's where no function is asked for besides: together
    they are refused by most models.

    Raises:
        UnsupportedFeature: the only tool, or the one that must be called, cannot be run there.
    """
    choice = request.tool_choice or ToolChoice(mode="auto")
    if choice.mode == "subset" and not choice.required and not family.enforces_schemas:
        tools = [tool for tool in tools if tool.name in choice.names]
    searches_alone = all(_is_search(tool) for tool in tools)
    kept: list[Tool] = []
    for tool in tools:
        if tool.kind == "server" and tool.dialect != DIALECT and searches_alone:
            kept.append(msgspec.structs.replace(tool, dialect=DIALECT, raw=_GOOGLE_SEARCH))
        elif tool.kind != "server" or tool.dialect == DIALECT:
            kept.append(tool)
    for tool in tools:
        if tool.kind == "server" and tool.dialect != DIALECT and not searches_alone:
            if not kept or tool.name in choice.names:
                losses.refuse(tool.at, why="the provider cannot run this tool")
            losses.path(tool.at, why="the provider cannot run this tool")
    return kept


def _is_search(tool: Tool) -> bool:
    return tool.kind == "server" and tool.name.startswith(_SEARCHES)


def write_tools(tools: Sequence[Tool], names: ToolNames, losses: Losses) -> list[Json]:
    """Return `tools`: all functions in one list, Google's own beside it."""
    functions = [_declaration(tool, names, losses) for tool in tools if tool.kind != "server"]
    own = [_decoder.decode(tool.raw) for tool in tools if tool.kind == "server"]
    return [*([{"functionDeclarations": functions}] if functions else []), *own]


def _declaration(tool: Tool, names: ToolNames, losses: Losses) -> Json:
    written: Json = {"name": names.wire(tool.name, tool.namespace)}
    if tool.description is not None:
        written["description"] = clean_text(tool.description)
    if tool.kind == "custom":
        written["parametersJsonSchema"] = wrapped_schema()
        if tool.grammar is not None:
            losses.of_tool(tool, "grammar", why="the provider knows no grammars")
    elif tool.schema:
        written["parametersJsonSchema"] = with_enums(tool.schema)
    losses.mark(tool.cache, tool.at, why="the provider caches prompts by itself")
    return written


def tool_config(
    request: Request, tools: Sequence[Tool], names: ToolNames, family: Family, losses: Losses
) -> Json | None:
    """Return `toolConfig`; None when nothing has to be said.

    Raises:
        UnsupportedFeature: a call is demanded where no function is offered.
    """
    choice = request.tool_choice or ToolChoice(mode="auto")
    functions = [tool for tool in tools if tool.kind != "server"]
    is_demanded = choice.mode in {"required", "named"} or choice.required
    if not functions:
        if is_demanded:
            losses.refuse(request.paths.get("tool_choice", "tool_choice"), why="no function is offered")
        return None
    if request.parallel_tools is False and not request.legacy_functions:
        losses.field("parallel_tools")
    calling = _calling(choice, functions, names, family)
    is_validated = _settle_strictness(functions, family, losses)
    if is_validated and not is_demanded and choice.mode != "none":
        calling["mode"] = "VALIDATED"
    return {"functionCallingConfig": calling} if calling else None


def _calling(choice: ToolChoice, functions: Sequence[Tool], names: ToolNames, family: Family) -> Json:
    match choice.mode:
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case "named":
            return {"mode": "ANY", "allowedFunctionNames": _wire_names(choice, functions, names)}
        case "subset":
            allowed = _wire_names(choice, functions, names)
            if choice.required:
                return {"mode": "ANY", "allowedFunctionNames": allowed}
            # Only the modes that hold the model to schemas can leave functions out.
            return {"mode": "VALIDATED", "allowedFunctionNames": allowed} if family.enforces_schemas else {}
        case _:
            return {}


def _wire_names(choice: ToolChoice, functions: Sequence[Tool], names: ToolNames) -> list[str]:
    return [names.wire(tool.name, tool.namespace) for tool in functions if tool.name in choice.names]


def _settle_strictness(functions: Sequence[Tool], family: Family, losses: Losses) -> bool:
    """Tell whether the model can be held to the schemas; strictness that cannot be had is listed."""
    strict = [tool for tool in functions if tool.strict]
    if strict and not family.enforces_schemas:
        for tool in strict:
            losses.of_tool(tool, "strict", why="the model does not enforce schemas")
        return False
    return bool(strict)
