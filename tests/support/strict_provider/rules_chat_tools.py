"""OpenAI Chat Completions: tools and the choice among them.

Sources: dialects.md §1.1 CC tools, §1.2 (tool_choice), §1.4 (schemas, names, empty arrays).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.openai_common import check_name, check_schema
from support.strict_provider.openai_words import (
    check_shape,
    empty_array,
    invalid,
    not_allowed_without,
    wrong_type,
    wrong_value,
)
from support.strict_provider.rulebook import Objection, Rulebook
from support.strict_provider.rules_chat_body import ChatCase
from support.strict_provider.shapes import ARRAY, BOOLEAN, OBJECT, STRING, Shape, literal, nullable
from support.strict_provider.traits import ChatTraits

__all__ = ["TOOLS"]

TOOLS: Final[Rulebook[ChatTraits]] = Rulebook()

MAX_TOOLS: Final = 128

SHAPES: Final[dict[str, Shape]] = {
    "function": Shape({"type": STRING, "function": OBJECT}, {}),
    "custom": Shape({"type": STRING, "custom": OBJECT}, {}),
}
INNER: Final[dict[str, Shape]] = {
    "function": Shape(
        {"name": STRING}, {"description": STRING, "parameters": OBJECT, "strict": nullable(BOOLEAN)}
    ),
    "custom": Shape({"name": STRING}, {"description": STRING, "format": OBJECT}),
}
CHOICES: Final[dict[str, Shape]] = {
    "function": Shape({"type": STRING, "function": OBJECT}, {}),
    "custom": Shape({"type": STRING, "custom": OBJECT}, {}),
    "allowed_tools": Shape({"type": STRING, "allowed_tools": OBJECT}, {}),
}
CHOICE_INNER: Final[dict[str, Shape]] = {
    "function": Shape({"name": STRING}, {}),
    "custom": Shape({"name": STRING}, {}),
    "allowed_tools": Shape({"mode": literal("auto", "required"), "tools": ARRAY}, {}),
}
WORDS: Final = ("none", "auto", "required")


def _tools(case: ChatCase) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((f"tools[{index}]", tool) for index, tool in enumerate(case.body.get("tools", [])))


def _names(case: ChatCase) -> list[tuple[str, str]]:
    return [(tool["type"], tool[tool["type"]]["name"]) for _, tool in _tools(case)]


@TOOLS.rule("tools-are-not-an-empty-list", "dialects.md §1.4: `tools: []` — OpenAI 400s on empty arrays†")
def not_empty(case: ChatCase) -> Iterator[Objection]:
    """Leave the field out instead."""
    if case.body.get("tools") == []:
        yield empty_array("tools")


@TOOLS.rule(
    "tools-are-at-most-128", "vendor words: array too long. Expected an array with maximum length 128"
)
def not_too_many(case: ChatCase) -> Iterator[Objection]:
    """OpenAI's limit."""
    count = len(case.body.get("tools", []))
    if count > MAX_TOOLS:
        words = (
            f"Invalid 'tools': array too long. Expected an array with maximum length {MAX_TOOLS}, but got an array with "
            f"length {count} instead."
        )
        yield invalid("tools", words, "array_above_max_length")


@TOOLS.rule("tools-are-well-formed", "dialects.md §1.1 CC tools: nested `function`")
def tool_shape(case: ChatCase) -> Iterator[Objection]:
    """Neither flat, as Responses has them, nor with `input_schema`."""
    for path, tool in _tools(case):
        if not isinstance(tool, dict):
            yield wrong_type(path, OBJECT, tool)
            continue
        kind = tool.get("type")
        if not isinstance(kind, str) or kind not in SHAPES:
            yield wrong_value(f"{path}.type", kind, tuple(SHAPES))
            continue
        extras = dict.fromkeys(case.traits.part_extras, OBJECT)
        yield from check_shape(tool, Shape(SHAPES[kind].required, extras), path)
        yield from check_shape(tool[kind], INNER[kind], f"{path}.{kind}")


@TOOLS.rule("tool-names-are-of-the-charset", "dialects.md §1.4 Names: `^[A-Za-z0-9_-]{1,64}$`; vector 107")
def names(case: ChatCase) -> Iterator[Objection]:
    """Letters, digits, underscore, hyphen, at most 64."""
    for path, tool in _tools(case):
        kind = tool["type"]
        yield from check_name(tool[kind]["name"], f"{path}.{kind}.name")


@TOOLS.rule(
    "a-functions-schema-describes-an-object",
    "dialects.md §1.4 CC/RS: root `type:object`; root anyOf/… refused; strict",
)
def schemas(case: ChatCase) -> Iterator[Objection]:
    """`parameters` may be absent."""
    for path, tool in _tools(case):
        function = tool.get("function", {})
        if "parameters" in function:
            yield from check_schema(
                function["parameters"],
                name=function["name"],
                where=f"{path}.function.parameters",
                strict=bool(function.get("strict")),
            )


@TOOLS.rule("tool-choice-comes-with-tools", "dialects.md §1.4: `tool_choice` without tools†")
def choice_with_tools(case: ChatCase) -> Iterator[Objection]:
    """Even `none` and `auto`."""
    if "tool_choice" in case.body and "tools" not in case.body:
        yield not_allowed_without("tool_choice", "tools")


@TOOLS.rule(
    "parallel-tool-calls-come-with-tools", "vendor words: 'parallel_tool_calls' is only allowed when 'tools'"
)
def parallel_with_tools(case: ChatCase) -> Iterator[Objection]:
    """Whatever its value."""
    if "parallel_tool_calls" in case.body and "tools" not in case.body:
        yield not_allowed_without("parallel_tool_calls", "tools")


@TOOLS.rule("tool-choice-is-well-formed", "dialects.md §1.1 CC tool_choice")
def choice_shape(case: ChatCase) -> Iterator[Objection]:
    """A word or an object; never Anthropic's `any`."""
    choice = case.body.get("tool_choice")
    if isinstance(choice, str) and choice not in WORDS:
        yield wrong_value("tool_choice", choice, WORDS)
    if isinstance(choice, dict):
        kind = choice.get("type")
        if not isinstance(kind, str) or kind not in CHOICES:
            yield wrong_value("tool_choice.type", kind, tuple(CHOICES))
            return
        yield from check_shape(choice, CHOICES[kind], "tool_choice")
        yield from check_shape(choice[kind], CHOICE_INNER[kind], f"tool_choice.{kind}")


@TOOLS.rule("the-chosen-tool-is-offered", "dialects.md §1.2 tool_choice one function; allowed_tools subset")
def chosen(case: ChatCase) -> Iterator[Objection]:
    """Each allowed tool too."""
    choice = case.body.get("tool_choice")
    if not isinstance(choice, dict):
        return
    wanted = choice["allowed_tools"]["tools"] if choice["type"] == "allowed_tools" else [choice]
    offered = [{"type": kind, kind: {"name": name}} for kind, name in _names(case)]
    for tool in wanted:
        if tool not in offered:
            name = (tool.get("function") or tool.get("custom")) if isinstance(tool, dict) else tool
            yield invalid("tool_choice", f"Tool choice '{name}' not found in 'tools' parameter.")


@TOOLS.rule(
    "history-with-calls-comes-with-tools", "dialects.md §1.4: LiteLLM-fronted Anthropic, BR need `tools`"
)
def tools_with_history(case: ChatCase) -> Iterator[Objection]:
    """A trait of some servers."""
    if not case.traits.needs_tools_with_history or case.body.get("tools"):
        return
    if any(isinstance(message, dict) and message.get("tool_calls") for message in case.body["messages"]):
        yield invalid("tools", "Requests which include tool calls in the history must define 'tools'.")
