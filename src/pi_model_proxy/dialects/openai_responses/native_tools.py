"""OpenAI's own tools that the caller runs: `apply_patch`, `shell`, `local_shell`.

Only OpenAI's models know them by type, but any model can call a function; so towards others each is
a function with OpenAI's own fields as its arguments, and what the model calls comes back as the
item that the caller waits for.

Source: openai-python 3.54.0 `types/responses/response_apply_patch_tool_call.py`,
`response_function_shell_tool_call.py`, `response_output_item.py` (`LocalShellCall`) and the items
that answer them in `response_input_item_param.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import TextBlock, ToolCallBlock, ToolResultBlock
from pi_model_proxy.wire import compact_json

__all__ = ["BY_CALL", "BY_OUTPUT", "BY_TYPE", "NativeTool", "read_native_call", "read_native_output"]

Json = dict[str, Any]
_STRING: Final[Json] = {"type": "string"}
_STRINGS: Final[Json] = {"type": "array", "items": {"type": "string"}}
_WHOLE: Final[Json] = {"type": "integer"}


class NativeTool(msgspec.Struct, frozen=True, kw_only=True):
    """One of these tools."""

    type: str
    """Of the tool, and the name of the function that stands for it."""
    description: str
    properties: Mapping[str, Json]
    required: tuple[str, ...]
    member: str
    """Of the call's item: where the arguments stand."""
    constant: Mapping[str, Any] = {}
    """Members that OpenAI writes beside the arguments."""
    defaults: Mapping[str, Any] = {}
    """Members that must be there even when the model left them out."""
    prefix: str
    """Of the item's id."""

    @property
    def call_type(self) -> str:
        """The item that is a call of it."""
        return f"{self.type}_call"

    @property
    def output_type(self) -> str:
        """The item that answers it."""
        return f"{self.type}_call_output"

    @property
    def schema(self) -> Json:
        """Of the function's arguments."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.required),
            "additionalProperties": False,
        }

    def read(self, arguments: str) -> Json | None:
        """Return what stands under `member` for a model's arguments; None when they are not what the tool takes."""
        try:
            given = msgspec.json.decode(arguments, type=Json)
        except (ValueError, RecursionError):
            return None
        told = {**self.defaults, **given, **self.constant}
        sound = all(_is_of(self.properties[name], told.get(name)) for name in self.required)
        return told if sound else None


def _is_of(schema: Json, value: object) -> bool:
    if "enum" in schema:
        return value in schema["enum"]
    if schema["type"] == "array":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, str)


_TOOLS: Final = (
    NativeTool(
        type="apply_patch",
        description=(
            "Creates, updates or deletes one file. `diff` is needed to create and to update: for a new file every line "
            "begins with `+`; for an update, hunks that begin with `@@` hold unchanged lines (a space before), removed "
            "ones (`-`) and added ones (`+`), with three unchanged lines around a change and no line numbers."
        ),
        properties={
            "type": {"type": "string", "enum": ["create_file", "update_file", "delete_file"]},
            "path": _STRING,
            "diff": _STRING,
        },
        required=("type", "path"),
        member="operation",
        prefix="apc_",
    ),
    NativeTool(
        type="shell",
        description="Runs shell commands in order, each in a new shell, and returns what they print.",
        properties={"commands": _STRINGS, "timeout_ms": _WHOLE, "max_output_length": _WHOLE},
        required=("commands",),
        member="action",
        prefix="sh_",
    ),
    NativeTool(
        type="local_shell",
        description="Runs one command, given as its words, and returns what it prints.",
        properties={
            "command": _STRINGS,
            "working_directory": _STRING,
            "timeout_ms": _WHOLE,
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
        },
        required=("command",),
        member="action",
        constant={"type": "exec"},
        defaults={"env": {}},
        prefix="lsh_",
    ),
)

BY_TYPE: Final = {tool.type: tool for tool in _TOOLS}
BY_CALL: Final = {tool.call_type: tool for tool in _TOOLS}
BY_OUTPUT: Final = {tool.output_type: tool for tool in _TOOLS}


def read_native_call(item: Fields, tool: NativeTool, dropped: list[str]) -> ToolCallBlock:
    """Return a call in a caller's history as that of the function.

    Raises:
        BadRequest: names the JSON path.
    """
    item.unread(frozenset({"type", "id", "status", "call_id", tool.member}), dropped)
    told = item.object(tool.member)
    if told is None:
        item.refuse(tool.member, "must be an object")
    arguments = {name: value for name, value in told.values.items() if name not in tool.constant}
    return ToolCallBlock(
        id=item.text("call_id") or item.filled_text("id"),
        name=tool.type,
        arguments=compact_json(arguments).decode(),
        at=item.at,
    )


def read_native_output(item: Fields, tool: NativeTool, dropped: list[str]) -> ToolResultBlock:
    """Return what a caller's tool gave back.

    Raises:
        BadRequest: names the JSON path.
    """
    item.unread(frozenset({"type", "id", "status", "call_id", "output"}), dropped)
    output = item.values.get("output")
    failed = item.text("status") == "failed"
    if output is None:
        output = "The patch could not be applied." if failed else "Done."
    text = output if isinstance(output, str) else compact_json(output).decode()
    return ToolResultBlock(
        # `local_shell_call_output` says the call's id in `id`; Codex writes `call_id` all the same.
        call_id=item.text("call_id") or item.filled_text("id"),
        name=tool.type,
        content=(TextBlock(text=text, at=item.path("output")),),
        is_error=failed,
        at=item.at,
    )
