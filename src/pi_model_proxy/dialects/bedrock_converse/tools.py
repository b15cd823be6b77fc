"""Tools and the choice among them, as Bedrock takes them.

Sources: dialects.md §1.1 BR, §1.2 (tool_choice, parallel calls), §1.4; pi 1.5.2
`dist/api/bedrock-converse-stream.js` (`convertToolConfig`); BerriAI/litellm#36536 (a choice in
`additionalModelRequestFields` beside one in `toolConfig` is refused) and #34420 (a choice without tools is).
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.bedrock_converse.cache_points import CachePoints
from pi_model_proxy.dialects.bedrock_converse.models import Traits
from pi_model_proxy.dialects.claude_schemas import is_strict_schema, rooted_schema
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrapped_schema
from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.hub import Request, Tool, ToolChoice

__all__ = ["NO_CALLS", "ToolWriter"]

MAX_STRICT_TOOLS: Final = 20
"""Claude refuses requests with more strict tools than this."""
NO_CALLS: Final = "Do not call any tool now; answer in text."
"""What `none` becomes where the history's calls demand that tools are declared."""
_GONE: Final = "No longer available."

Json = dict[str, Any]


class ToolWriter:
    """Writes the tools of one request."""

    def __init__(self, request: Request, names: ToolNames, *, takes_strict: bool, losses: Losses) -> None:
        self._request = request
        self._names = names
        self._takes_strict = takes_strict
        self._losses = losses

    def write(
        self, tools: tuple[Tool, ...], messages: list[Json], points: CachePoints
    ) -> tuple[list[Json], bool]:
        """Return what `toolConfig.tools` holds, and whether the model must be told not to call.

        A history with calls is refused unless tools are declared, so theirs are, if only by name.

        Raises:
            UnsupportedFeature: the only tool, or the one that must be called, cannot be run by Bedrock.
        """
        called = _called(messages)
        chosen = self._chosen(tools)
        is_none = self._request.tool_choice is not None and self._request.tool_choice.mode == "none"
        if not chosen or (is_none and not called):
            stubs = [
                {
                    "toolSpec": {
                        "name": name,
                        "description": _GONE,
                        "inputSchema": {"json": {"type": "object"}},
                    }
                }
                for name in called
            ]
            return stubs, bool(stubs)
        if is_none:
            self._losses.field("tool_choice")
        written: list[Json] = []
        strict = 0
        for tool in chosen:
            spec = self._spec(tool, strict_left=MAX_STRICT_TOOLS - strict)
            strict += "strict" in spec
            written.append({"toolSpec": spec})
            points.add(written, tool.cache, tool.at)
        return written, is_none

    def choice(self, tools: list[Json], traits: Traits) -> tuple[Json | None, Json]:
        """Return `toolConfig.toolChoice`, and the fields of Claude's own format that forbid parallel calls.

        Raises:
            UnsupportedFeature: a call is demanded where no tool is offered.
        """
        request, choice = self._request, self._request.tool_choice
        demanded = choice is not None and (choice.mode in {"required", "named"} or choice.required)
        if not tools:
            if demanded:
                self._losses.refuse(request.paths.get("tool_choice", "tool_choice"), why="no tool is offered")
            return None, {}
        if request.parallel_tools is False:
            if traits.is_claude and not demanded:
                return None, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}
            if not request.legacy_functions:
                self._losses.field("parallel_tools")
        match choice:
            case ToolChoice(mode="named", names=(name, *_)):
                return {"tool": {"name": self._names.wire(name)}}, {}
            case ToolChoice(mode="required") | ToolChoice(mode="subset", required=True):
                return {"any": {}}, {}
            case ToolChoice(mode="auto"):
                return {"auto": {}}, {}
            case _:
                return None, {}

    def _chosen(self, tools: tuple[Tool, ...]) -> list[Tool]:
        """Return the tools that the caller allows and Bedrock can offer: none that runs at another provider."""
        choice = self._request.tool_choice or ToolChoice(mode="auto")
        allowed = [tool for tool in tools if choice.mode != "subset" or tool.name in choice.names]
        kept = [tool for tool in allowed if tool.kind != "server"]
        for tool in allowed:
            if tool.kind == "server":
                if not kept or tool.name in choice.names:
                    self._losses.refuse(tool.at, why="the provider cannot run this tool")
                self._losses.path(tool.at, why="the provider cannot run this tool")
        return kept

    def _spec(self, tool: Tool, *, strict_left: int) -> Json:
        losses = self._losses
        schema, changed = (wrapped_schema(), False) if tool.kind == "custom" else rooted_schema(tool.schema)
        if tool.grammar is not None:
            losses.of_tool(tool, "grammar", why="the provider knows no grammars")
        if changed:
            losses.of_tool(tool, "schema", why="the provider takes no alternatives at a schema's root")
        spec: Json = {"name": self._names.wire(tool.name, tool.namespace)}
        if tool.description:
            spec["description"] = clean_text(tool.description)
        spec["inputSchema"] = {"json": schema}
        if tool.strict:
            if self._takes_strict and strict_left > 0 and is_strict_schema(schema):
                spec["strict"] = True
            else:
                losses.of_tool(tool, "strict", why="the schema cannot be enforced")
        return spec


def _called(messages: list[Json]) -> list[str]:
    """Return the names of all tools that the history has calls of, each once."""
    names = (
        block["toolUse"]["name"] for message in messages for block in message["content"] if "toolUse" in block
    )
    return list(dict.fromkeys(names))
