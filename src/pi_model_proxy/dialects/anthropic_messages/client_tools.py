"""Tools and the choice among them, as an upstream of this format takes them.

Sources: dialects.md §1.1 AM (tools), §1.2 (tool_choice, parallel calls), §1.4 (schemas, AM strict);
pi 1.5.2 `dist/api/anthropic-messages.js` (`convertTools`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks
from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT
from pi_model_proxy.dialects.claude_schemas import is_strict_schema, rooted_schema
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrapped_schema
from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.hub import Request, Tool, ToolChoice

__all__ = ["MAX_STRICT_TOOLS", "choose_tools", "chosen_tool", "write_tool"]

_decoder = msgspec.json.Decoder(dict[str, Any])
MAX_STRICT_TOOLS: Final = 20
"""Anthropic refuses requests with more strict tools than this."""


def choose_tools(request: Request, tools: tuple[Tool, ...], losses: Losses) -> list[Tool]:
    """Return the tools that are sent: those the caller allows and the provider can run.

    Raises:
        UnsupportedFeature: the only tool, or the one that must be called, cannot be run there.
    """
    choice = request.tool_choice or ToolChoice(mode="auto")
    allowed = [tool for tool in tools if choice.mode != "subset" or tool.name in choice.names]
    kept = [tool for tool in allowed if tool.kind != "server" or tool.dialect == DIALECT]
    for tool in allowed:
        if tool not in kept:
            if not kept or tool.name in choice.names:
                losses.refuse(tool.at, why="the provider cannot run this tool")
            losses.path(tool.at, why="the provider cannot run this tool")
    return kept


def write_tool(
    tool: Tool, names: ToolNames, quirks: Quirks, losses: Losses, *, strict_left: int
) -> dict[str, Any]:
    """Return one tool, without cache mark.

    Args:
        tool: A function, a free-form tool (sent as a function with one string) or one of Anthropic's own.
        names: The request's names.
        quirks: The upstream's.
        losses: Where a grammar or a strictness that cannot be kept is listed.
        strict_left: How many strict tools the request may still have.
    """
    if tool.kind == "server":
        own = _decoder.decode(tool.raw)
        own.pop("cache_control", None)
        return own
    written: dict[str, Any] = {"name": names.wire(tool.name, tool.namespace)}
    if tool.description:
        written["description"] = clean_text(tool.description)
    if quirks.streams_arguments_eagerly:
        written["eager_input_streaming"] = True
    schema, changed = (wrapped_schema(), False) if tool.kind == "custom" else rooted_schema(tool.schema)
    if tool.kind == "custom" and tool.grammar is not None:
        losses.of_tool(tool, "grammar", why="the provider knows no grammars")
    if changed:
        losses.of_tool(tool, "schema", why="the provider takes no alternatives at a schema's root")
    if tool.strict:
        if quirks.takes_strict_tools and strict_left > 0 and is_strict_schema(schema):
            written["strict"] = True
        else:
            losses.of_tool(tool, "strict", why="the schema cannot be enforced")
    written["input_schema"] = schema
    return written


def chosen_tool(
    request: Request, names: ToolNames, losses: Losses, *, offered: bool
) -> dict[str, Any] | None:
    """Return `tool_choice`; None when nothing has to be said.

    Raises:
        UnsupportedFeature: a call is demanded where no tool is offered.
    """
    choice = request.tool_choice
    if not offered:
        if choice is not None and (choice.mode in {"required", "named"} or choice.required):
            losses.refuse(request.paths.get("tool_choice", "tool_choice"), why="no tool is offered")
        return None
    written: dict[str, Any] | None = None
    match choice:
        case ToolChoice(mode="none"):
            return {"type": "none"}
        case ToolChoice(mode="named", names=(name, *_)):
            written = {"type": "tool", "name": names.wire(name)}
        case ToolChoice(mode="required") | ToolChoice(mode="subset", required=True):
            written = {"type": "any"}
        case ToolChoice(mode="auto"):
            written = {"type": "auto"}
    if request.parallel_tools is False:
        # Only the wish for single calls was given: that is no demand for a call (mozilla-ai/any-llm#1292).
        written = {**(written or {"type": "auto"}), "disable_parallel_tool_use": True}
    return written
