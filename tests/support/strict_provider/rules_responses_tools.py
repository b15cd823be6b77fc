"""OpenAI Responses: tools and the choice among them.

Sources: dialects.md §1.1 RS tools, §1.2 (tool_choice), §1.4 (schemas and names).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.openai_common import check_name, check_schema
from support.strict_provider.openai_words import check_shape, invalid, missing, wrong_type, wrong_value
from support.strict_provider.rulebook import Objection, Rulebook
from support.strict_provider.rules_responses_body import ResponsesCase
from support.strict_provider.shapes import ARRAY, BOOLEAN, OBJECT, STRING, Shape, literal, nullable
from support.strict_provider.traits import ResponsesTraits

__all__ = ["TOOLS"]

TOOLS: Final[Rulebook[ResponsesTraits]] = Rulebook()

FUNCTION: Final = Shape(
    {"type": STRING, "name": STRING, "parameters": nullable(OBJECT)},
    {
        "strict": nullable(BOOLEAN),
        "description": nullable(STRING),
        "defer_loading": BOOLEAN,
        "output_schema": nullable(OBJECT),
        "allowed_callers": ARRAY,
        "async": BOOLEAN,
    },
)
SHAPES: Final[dict[str, Shape]] = {
    "function": FUNCTION,
    "custom": Shape(
        {"type": STRING, "name": STRING},
        {
            "description": STRING,
            "format": OBJECT,
            "defer_loading": BOOLEAN,
            "allowed_callers": ARRAY,
            "async": BOOLEAN,
        },
    ),
    "namespace": Shape({"type": STRING, "name": STRING, "tools": ARRAY}, {"description": STRING}),
}
HOSTED: Final = frozenset({
    "tool_search", "web_search", "web_search_preview", "file_search", "code_interpreter", "computer",
    "computer_use_preview", "image_generation", "mcp", "local_shell", "shell", "apply_patch",
    "programmatic_tool_calling",
})  # fmt: skip
CHOICES: Final[dict[str, Shape]] = {
    "function": Shape({"type": STRING, "name": STRING}, {}),
    "custom": Shape({"type": STRING, "name": STRING}, {}),
    "mcp": Shape({"type": STRING, "server_label": STRING}, {"name": nullable(STRING)}),
    "allowed_tools": Shape({"type": STRING, "mode": literal("auto", "required"), "tools": ARRAY}, {}),
}
WORDS: Final = ("none", "auto", "required")


@TOOLS.rule(
    "tools-are-well-formed",
    "dialects.md §1.1 RS tools: flat, `strict` may be left out (instructor and Open Responses do); §1.4: `parameters` present",
)
def tool_shape(case: ResponsesCase) -> Iterator[Objection]:
    """No nested `function` object."""
    for path, tool in _tools(case.body.get("tools", []), "tools"):
        if not isinstance(tool, dict):
            yield wrong_type(path, OBJECT, tool)
            continue
        kind = tool.get("type")
        if not isinstance(kind, str) or kind not in HOSTED | set(SHAPES):
            yield wrong_value(f"{path}.type", kind, tuple(sorted(HOSTED | set(SHAPES))))
        elif kind in SHAPES:
            yield from check_shape(tool, SHAPES[kind], path)
        elif kind == "mcp" and not tool.get("server_label"):
            yield missing(f"{path}.server_label")


def _tools(tools: list[Any], path: str) -> Iterator[tuple[str, Any]]:
    for index, tool in enumerate(tools):
        yield f"{path}[{index}]", tool
        if isinstance(tool, dict) and tool.get("type") == "namespace" and isinstance(tool.get("tools"), list):
            yield from _tools(tool["tools"], f"{path}[{index}].tools")


@TOOLS.rule("tool-names-are-of-the-charset", "dialects.md §1.4 Names")
def tool_names(case: ResponsesCase) -> Iterator[Objection]:
    """For functions, custom tools and namespaces."""
    for path, tool in _tools(case.body.get("tools", []), "tools"):
        if tool["type"] in SHAPES:
            yield from check_name(tool["name"], f"{path}.name")


@TOOLS.rule(
    "a-functions-schema-describes-an-object",
    "dialects.md §1.4 CC/RS; vectors 38, 101 (explicit `strict:false`)",
)
def schemas(case: ResponsesCase) -> Iterator[Objection]:
    """`strict: null` lets the vendor try, as an absent key would."""
    for path, tool in _tools(case.body.get("tools", []), "tools"):
        if tool["type"] == "function" and tool["parameters"] is not None:
            strict = bool(tool.get("strict"))
            yield from check_schema(
                tool["parameters"], name=tool["name"], where=f"{path}.parameters", strict=strict
            )


@TOOLS.rule("tool-choice-is-well-formed", "dialects.md §1.1 RS tool_choice: `{type:function,name}`, flat")
def choice_shape(case: ResponsesCase) -> Iterator[Objection]:
    """No nested `function` object here either."""
    choice = case.body.get("tool_choice")
    if isinstance(choice, str) and choice not in WORDS:
        yield wrong_value("tool_choice", choice, WORDS)
    if isinstance(choice, dict):
        kind = choice.get("type")
        if not isinstance(kind, str) or kind not in HOSTED | set(CHOICES):
            yield wrong_value("tool_choice.type", kind, tuple(sorted(HOSTED | set(CHOICES))))
        elif kind in CHOICES:
            yield from check_shape(choice, CHOICES[kind], "tool_choice")


@TOOLS.rule(
    "the-chosen-tool-is-offered", "vendor words: Tool choice 'function' not found in 'tools' parameter"
)
def chosen(case: ResponsesCase) -> Iterator[Objection]:
    """`required` wants at least one tool."""
    choice = case.body.get("tool_choice")
    tools = case.body.get("tools", [])
    if choice == "required" and not tools:
        yield invalid("tool_choice", "Tool choice 'required' must be specified with 'tools' parameter.")
    if not isinstance(choice, dict):
        return
    offered = [(tool["type"], tool.get("name")) for _, tool in _tools(tools, "tools")]
    for wanted in choice["tools"] if choice["type"] == "allowed_tools" else [choice]:
        if not isinstance(wanted, dict):
            yield wrong_type("tool_choice.tools", OBJECT, wanted)
            continue
        named = wanted.get("type") in ("function", "custom")
        if (wanted.get("type"), wanted.get("name")) not in offered and (named or not offered):
            yield invalid(
                "tool_choice",
                f"Tool choice '{wanted.get('name') or wanted.get('type')}' not found in 'tools' parameter.",
            )
