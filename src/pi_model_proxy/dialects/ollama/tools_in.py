"""A caller's tools: chat completions' nested form, function tools only (ollama-python 0.6.3 `Tool`)."""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.ollama.words import DIALECT
from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import Tool
from pi_model_proxy.wire import compact_json

__all__ = ["read_tools"]

_OF_TOOL: Final = frozenset({"type", "function"})
_OF_FUNCTION: Final = frozenset({"name", "description", "parameters"})
_WORDS: Final = {"schema": "function.parameters"}


def read_tools(request: Fields, dropped: list[str]) -> tuple[Tool, ...]:
    """Return the tools; members that nobody knows are added to `dropped`.

    Raises:
        BadRequest: names the JSON path.
    """
    return tuple(_tool(tool, dropped) for tool in request.objects("tools"))


def _tool(tool: Fields, dropped: list[str]) -> Tool:
    kind = tool.text("type") or "function"
    function = tool.object("function")
    if kind != "function":
        return Tool(
            kind="server", name=kind, dialect=DIALECT, raw=compact_json(tool.values).decode(), at=tool.at
        )
    if function is None:
        tool.refuse("function", "must be an object with a `name`")
    tool.unread(_OF_TOOL, dropped)
    function.unread(_OF_FUNCTION, dropped)
    schema = function.object("parameters")
    return Tool(
        name=function.filled_text("name"),
        description=function.text("description"),
        schema=schema.values if schema else None,
        words=_WORDS,
        at=tool.at,
    )
