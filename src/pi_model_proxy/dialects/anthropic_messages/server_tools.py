"""A caller's tools, and which of them may or must be called.

Sources: dialects.md §1.1 AM (tools, tool_choice), §1.2 (parallel calls, deferred tools).
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT, cache_mark
from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import Tool, ToolChoice
from pi_model_proxy.wire import compact_json

__all__ = ["parallel_tools", "read_tool", "tool_choice"]

CUSTOM_TYPES: Final = frozenset({None, "custom"})
_OF_TOOL: Final = frozenset({
    "type", "name", "description", "input_schema", "strict", "cache_control", "allowed_callers",
    "defer_loading", "eager_input_streaming",
})  # fmt: skip
_ANY_CALLERS: Final[tuple[list[str] | None, ...]] = (None, [], ["direct"])
"""What everybody's tools allow: the model itself calls them."""
_OF_CHOICE: Final = frozenset({"type", "name", "disable_parallel_tool_use"})
_WORDS: Final = {"schema": "input_schema"}
_MODES: Final[dict[str, ToolChoice]] = {
    "auto": ToolChoice(mode="auto"),
    "any": ToolChoice(mode="required"),
    "none": ToolChoice(mode="none"),
}


def read_tool(fields: Fields, dropped: list[str]) -> Tool:
    """Return a tool; all but custom ones are run, or at least defined, by Anthropic.

    A deferred tool is an ordinary one elsewhere: the full list is sent from the start. And every
    other format streams a call's input as it comes, which is all that `eager_input_streaming` asks for.

    Raises:
        BadRequest: names the JSON path.
    """
    type_name = fields.text("type")
    if type_name not in CUSTOM_TYPES:
        raw = compact_json(fields.values).decode()
        name = fields.text("name") or fields.text("mcp_server_name") or type_name or ""
        mark = cache_mark(fields, dropped)
        return Tool(kind="server", name=name, cache=mark, dialect=DIALECT, raw=raw, at=fields.at)
    fields.unread(_OF_TOOL, dropped)
    if fields.values.get("allowed_callers") not in _ANY_CALLERS:
        dropped.append(fields.path("allowed_callers"))
    schema = fields.object("input_schema")
    return Tool(
        name=fields.needed_text("name"),
        description=fields.text("description"),
        schema=None if schema is None else schema.values,
        strict=fields.flag("strict"),
        cache=cache_mark(fields, dropped),
        dialect=DIALECT,
        words=_WORDS,
        at=fields.at,
    )


def tool_choice(choice: Fields | None, dropped: list[str]) -> ToolChoice | None:
    """Return which tools may be called; None when the caller did not say.

    Raises:
        BadRequest: an unknown type, or no name where one is needed.
    """
    if choice is None:
        return None
    choice.unread(_OF_CHOICE, dropped)
    mode = choice.needed_text("type")
    if mode == "tool":
        return ToolChoice(mode="named", names=(choice.needed_text("name"),))
    if mode not in _MODES:
        choice.refuse("type", "must be one of auto, any, tool, none")
    return _MODES[mode]


def parallel_tools(choice: Fields | None) -> bool | None:
    """Return False when the caller switched parallel calls off; None when it did not say."""
    return False if choice is not None and choice.flag("disable_parallel_tool_use") else None
