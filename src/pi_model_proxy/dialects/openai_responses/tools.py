"""Tools and the choice among them, as the Responses format writes them: flat, with an explicit `strict`."""

from __future__ import annotations

from typing import Any

import msgspec

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames, wrapped_schema
from pi_model_proxy.dialects.openai_responses.quirks import Quirks
from pi_model_proxy.dialects.openai_responses.schemas import is_strict_schema, tool_parameters
from pi_model_proxy.dialects.openai_responses.variants import Variant
from pi_model_proxy.hub import Request, Tool

__all__ = ["DIALECT", "ToolWriter"]

DIALECT = "openai_responses"


class ToolWriter:
    """Writes the tools of one request."""

    def __init__(
        self, request: Request, tools: tuple[Tool, ...], names: ToolNames, quirks: Quirks, variant: Variant
    ) -> None:
        """Take `tools`, those of the request with each name once."""
        self._request = request
        self._tools = tools
        self._names = names
        self._quirks = quirks
        self._variant = variant

    def fields(self, losses: Losses) -> dict[str, Any]:
        """Return `tools`, `tool_choice` and `parallel_tool_calls`, as far as they are to be sent.

        Raises:
            UnsupportedFeature: all that is offered, or what is forced, runs only at another provider.
        """
        kept = self._runnable(losses)
        written = [self._write(tool, losses) for tool in kept]
        request = self._request
        if not written:
            # Upstreams refuse a choice without tools; `none` and `auto` mean nothing then.
            choice = request.tool_choice
            if choice is not None and (choice.required or choice.mode in {"required", "named"}):
                losses.field("tool_choice")
            return {}
        body: dict[str, Any] = {"tools": written}
        written_choice = self._choice(kept, body)
        if written_choice is not None:
            body["tool_choice"] = written_choice
        if request.parallel_tools is not None:
            body["parallel_tool_calls"] = request.parallel_tools
        return body

    def _runnable(self, losses: Losses) -> list[Tool]:
        """Return the tools without those that only another provider can run."""
        foreign = [tool for tool in self._tools if tool.kind == "server" and tool.dialect != DIALECT]
        choice = self._request.tool_choice
        forced = choice.names if choice is not None and choice.mode == "named" else ()
        for tool in foreign:
            if tool.name in forced or len(foreign) == len(self._tools):
                losses.refuse(tool.at, why=f"`{tool.name}` is run by another provider")
            losses.path(tool.at, why=f"`{tool.name}` is run by another provider")
        return [tool for tool in self._tools if tool not in foreign]

    def _write(self, tool: Tool, losses: Losses) -> dict[str, Any]:
        losses.mark(tool.cache, tool.at)
        if tool.kind == "server":
            return self._raw(tool)
        if tool.kind == "custom" and self._quirks.takes_custom_tools:
            return self._custom(tool)
        parameters, lost = (
            (wrapped_schema(), tool.grammar is not None)
            if tool.kind == "custom"
            else tool_parameters(tool.schema)
        )
        if lost:
            losses.of_tool(tool, "grammar" if tool.kind == "custom" else "schema")
        strict = bool(tool.strict) and self._quirks.takes_strict_tools and is_strict_schema(parameters)
        if tool.strict and not strict:
            losses.of_tool(tool, "strict")
        written = {
            "type": "function",
            "name": self._names.wire(tool.name, tool.namespace),
            "parameters": parameters,
            # Absent means "strict if the schema allows it", which makes every property required.
            "strict": strict or (False if self._variant.strict_says_false else None),
        }
        if tool.description is not None:
            written["description"] = tool.description
        return written

    def _custom(self, tool: Tool) -> dict[str, Any]:
        written: dict[str, Any] = {"type": "custom", "name": self._names.wire(tool.name, tool.namespace)}
        if tool.description is not None:
            written["description"] = tool.description
        if tool.grammar is not None:
            grammar = tool.grammar.get("grammar", tool.grammar)  # chat nests what this format writes flat
            if isinstance(grammar, dict):
                written["format"] = {**grammar, "type": "grammar"}
        return written

    def _choice(self, kept: list[Tool], body: dict[str, Any]) -> str | dict[str, Any] | None:
        choice = self._request.tool_choice
        if choice is None:
            return None
        if choice.mode == "named":
            return self._named(choice.names[0], kept) if choice.names else None
        if choice.mode == "subset":
            # Leaving tools out is understood everywhere, the `allowed_tools` object only by OpenAI itself.
            wanted = {self._names.wire(name) for name in choice.names}
            body["tools"] = [each for each in body["tools"] if each.get("name") in wanted] or body["tools"]
            return "required" if choice.required else "auto"
        return choice.mode

    def _named(self, name: str, kept: list[Tool]) -> dict[str, Any]:
        for tool in kept:
            if tool.kind == "server" and tool.name == name:
                return {"type": self._raw(tool).get("type", name)}
        native = self._quirks.takes_custom_tools and any(
            tool.kind == "custom" and tool.name == name for tool in kept
        )
        return {"type": "custom" if native else "function", "name": self._names.wire(name)}

    def _raw(self, tool: Tool) -> dict[str, Any]:
        """Return a tool of this very format as its writer wrote it, under the type's name of today."""
        raw = _tool_decoder.decode(tool.raw)
        type_ = raw.get("type")
        for beginning, name in self._variant.tool_aliases:
            if isinstance(type_, str) and type_.startswith(beginning):
                raw["type"] = name
        return raw


_tool_decoder = msgspec.json.Decoder(dict[str, Any])
