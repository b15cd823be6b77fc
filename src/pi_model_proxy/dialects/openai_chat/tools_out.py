"""Tools and tool choice for an upstream of chat completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, distinct_tools, wrapped_schema
from pi_model_proxy.dialects.openai_chat.cache_marks import CacheMarks
from pi_model_proxy.dialects.openai_chat.quirks import Quirks
from pi_model_proxy.dialects.surrogates import clean_json, clean_text
from pi_model_proxy.hub import Request, Target, Tool, ToolChoice

__all__ = ["ToolWriter", "runnable_tools"]

_Json = dict[str, Any]
_EMPTY_SCHEMA: _Json = {"type": "object", "properties": {}}


def runnable_tools(request: Request, losses: Losses) -> tuple[Tool, ...]:
    """Return the tools that work here: those that a provider would run are removed and listed.

    Raises:
        UnsupportedFeature: one of those is forced, or is the only tool: without it the answer
            would not be what was asked.
    """
    hosted = [tool for tool in request.tools if tool.kind == "server"]
    choice = request.tool_choice
    for tool in hosted:
        forced = choice is not None and choice.mode == "named" and tool.name in choice.names
        if forced or len(hosted) == len(request.tools):
            losses.refuse(tool.at, why="the tool runs at another provider")
        losses.path(tool.at, why="the tool runs at another provider")
    return distinct_tools((tool for tool in request.tools if tool.kind != "server"), losses)


class ToolWriter:
    """Writes one request's tools."""

    def __init__(
        self, target: Target, quirks: Quirks, *, names: ToolNames, losses: Losses, marks: CacheMarks
    ) -> None:
        self._target = target
        self._quirks = quirks
        self._names = names
        self._losses = losses
        self._marks = marks

    def write(self, tools: Sequence[Tool], choice: ToolChoice | None) -> _Json:
        """Return the body's fields `tools` and `tool_choice`; empty when there are no tools."""
        if choice is not None and choice.mode == "subset" and not self._target.hosted_by_vendor:
            # Said by leaving the others out: only OpenAI itself knows `allowed_tools`.
            tools = [tool for tool in tools if tool.name in choice.names]
        if not tools:
            if choice is not None and (choice.required or choice.mode in {"required", "named"}):
                self._losses.field("tool_choice")
            return {}
        fields: _Json = {"tools": [self._tool(tool) for tool in tools]}
        if choice is not None:
            fields["tool_choice"] = self._choice(choice, tools)
        return fields

    def _tool(self, tool: Tool) -> _Json:
        name = self._names.wire(tool.name, tool.namespace)
        about: _Json = {"name": name}
        if tool.description is not None:
            about["description"] = clean_text(tool.description)
        if tool.kind == "custom" and not self._names.origin(name).wrapped:
            written: _Json = {"type": "custom", "custom": {**about, **_format(tool)}}
        else:
            written = {"type": "function", "function": self._function(tool, about)}
        mark = self._marks.json(tool.cache, tool.at)
        return {**written, "cache_control": mark} if mark else written

    def _function(self, tool: Tool, about: _Json) -> _Json:
        if tool.kind == "custom":
            if tool.grammar is not None:
                self._losses.of_tool(tool, "grammar", why="the provider knows no grammars")
            return {**about, "parameters": wrapped_schema()}
        about["parameters"] = _schema(tool)
        if tool.strict is None:
            return about
        if self._quirks.supports_strict_mode or self._target.hosted_by_vendor:
            about["strict"] = tool.strict
        elif tool.strict:
            self._losses.of_tool(tool, "strict", why="the provider does not enforce schemas")
        return about

    def _choice(self, choice: ToolChoice, tools: Sequence[Tool]) -> str | _Json:
        if choice.mode == "named":
            return self._reference(choice.names[0], tools)
        if choice.mode != "subset":
            return choice.mode
        mode = "required" if choice.required else "auto"
        if not self._target.hosted_by_vendor:
            return mode
        allowed = [self._reference(name, tools) for name in choice.names]
        return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": allowed}}

    def _reference(self, name: str, tools: Sequence[Tool]) -> _Json:
        wire = self._names.wire(name)
        is_custom = any(tool.name == name and tool.kind == "custom" for tool in tools)
        kind = "custom" if is_custom and not self._names.origin(wire).wrapped else "function"
        return {"type": kind, kind: {"name": wire}}


def _schema(tool: Tool) -> _Json:
    """Return the arguments' schema; a tool without one takes none."""
    schema = clean_json(tool.schema) if tool.schema else dict(_EMPTY_SCHEMA)
    return schema if isinstance(schema, dict) else dict(_EMPTY_SCHEMA)


def _format(tool: Tool) -> _Json:
    if tool.grammar is None:
        return {}
    return {"format": {"type": "grammar", "grammar": msgspec.to_builtins(tool.grammar)}}
