"""Anthropic Messages: tools and the choice among them.

Sources: dialects.md §1.1 AM tools, §1.2 (tool_choice, parallel calls), §1.4 (schemas and names).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.anthropic_words import check_shape, extra, no, required, should_be
from support.strict_provider.rulebook import Objection, Rulebook
from support.strict_provider.rules_messages_body import MessagesCase
from support.strict_provider.schema_checks import malformed, unsupported_keywords
from support.strict_provider.shapes import ARRAY, BOOLEAN, OBJECT, STRING, Kind, Shape, literal, nullable
from support.strict_provider.traits import MessagesTraits

__all__ = ["TOOLS"]

TOOLS: Final[Rulebook[MessagesTraits]] = Rulebook()

NAME: Final = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
MAX_STRICT_TOOLS: Final = 20

CUSTOM: Final = Shape(
    {"name": STRING, "input_schema": OBJECT},
    {
        "type": nullable(literal("custom")),
        "description": STRING,
        "strict": BOOLEAN,
        "eager_input_streaming": nullable(BOOLEAN),
        "defer_loading": BOOLEAN,
        "allowed_callers": ARRAY,
        "input_examples": ARRAY,
        "cache_control": nullable(OBJECT),
    },
)
DATED: Final = frozenset({
    "web_search_20250305", "web_search_20260209", "web_search_20260318", "web_fetch_20250910",
    "web_fetch_20260209", "web_fetch_20260309", "web_fetch_20260318", "code_execution_20250522",
    "code_execution_20250825", "code_execution_20260120", "code_execution_20260521",
    "tool_search_tool_regex_20251119", "tool_search_tool_bm25_20251119", "bash_20250124",
    "text_editor_20250124", "text_editor_20250429", "text_editor_20250728", "memory_20250818",
    "computer_toolset_20260801", "browser_toolset_20260801", "mcp_toolset",
})  # fmt: skip

CHOICE_EXTRAS: Final[dict[str, dict[str, Kind]]] = {
    "auto": {"disable_parallel_tool_use": BOOLEAN},
    "any": {"disable_parallel_tool_use": BOOLEAN},
    "tool": {"disable_parallel_tool_use": BOOLEAN},
    "none": {},
}


def _tools(case: MessagesCase) -> list[dict[str, Any]]:
    tools: list[dict[str, Any]] = case.body.get("tools", [])
    return tools


def _custom(case: MessagesCase) -> Iterator[tuple[str, dict[str, Any]]]:
    for index, tool in enumerate(_tools(case)):
        if tool.get("type") in {None, "custom"}:
            yield f"tools.{index}.custom", tool


@TOOLS.rule("tools-are-of-a-known-type", "dialects.md §1.1 AM tools; vector 42 (server tools by dated type)")
def known_types(case: MessagesCase) -> Iterator[Objection]:
    """OpenAI's `function` is not among them."""
    for index, tool in enumerate(_tools(case)):
        if not isinstance(tool, dict):
            yield should_be(f"tools.{index}", OBJECT)
        elif not isinstance(tool.get("type"), str | None):
            yield should_be(f"tools.{index}.type", STRING)
        elif tool.get("type") not in {None, "custom"} | DATED:
            tags = ", ".join(f"'{name}'" for name in sorted(DATED | {"custom"}))
            yield no(
                f"tools.{index}",
                f"Input tag '{tool['type']}' found using 'type' does not match any of the expected tags: {tags}",
            )


@TOOLS.rule("custom-tools-are-well-formed", "dialects.md §1.1 AM custom tool; §1.4: `input_schema` missing")
def tool_shape(case: MessagesCase) -> Iterator[Objection]:
    """No `parameters`, no nested `function`."""
    for path, tool in _custom(case):
        yield from check_shape(tool, CUSTOM, path)


@TOOLS.rule("tool-names-are-of-the-charset", "dialects.md §1.4 Names: AM 128†; vector 107")
def names(case: MessagesCase) -> Iterator[Objection]:
    """Letters, digits, underscore and hyphen."""
    for path, tool in _custom(case):
        if not NAME.match(tool["name"]):
            yield no(f"{path}.name", f"String should match pattern '{NAME.pattern}'")


@TOOLS.rule("tool-names-are-unique", "dialects.md §1.4: duplicate tool names → AM 400")
def unique_names(case: MessagesCase) -> Iterator[Objection]:
    """Server tools have names too."""
    found = [str(tool.get("name")) for tool in _tools(case)]
    if len(set(found)) < len(found):
        yield no("tools", "Tool names must be unique.")


@TOOLS.rule(
    "a-tools-schema-is-json-schema",
    "vendor words: JSON schema is invalid. It must match JSON Schema draft 2020-12",
)
def json_schema(case: MessagesCase) -> Iterator[Objection]:
    """Before anything is asked of its content; the root type has a rule of its own."""
    for path, tool in _custom(case):
        schema = {name: value for name, value in tool["input_schema"].items() if name != "type"}
        for why in malformed(schema):
            words = f"JSON schema is invalid. It must match JSON Schema draft 2020-12: {why}"
            yield no(f"{path}.input_schema", words)


@TOOLS.rule(
    "a-tools-schema-describes-an-object", 'dialects.md §1.4 AM: root `type:"object"` required; vector 102'
)
def schema_root(case: MessagesCase) -> Iterator[Objection]:
    """The tool's own `type: custom` must not leak into the schema (BerriAI/litellm#30557)."""
    for path, tool in _custom(case):
        schema = tool["input_schema"]
        if "type" not in schema:
            yield required(f"{path}.input_schema.type")
        elif schema["type"] != "object":
            yield should_be(f"{path}.input_schema.type", literal("object"))


@TOOLS.rule("a-tools-schema-has-no-choice-at-its-root", "dialects.md §1.4 AM: root `anyOf/oneOf/allOf` → 400")
def schema_combinators(case: MessagesCase) -> Iterator[Objection]:
    """Below the root they are fine."""
    for path, tool in _custom(case):
        if {"oneOf", "allOf", "anyOf"} & set(tool["input_schema"]):
            yield no(
                f"{path}.input_schema",
                "input_schema does not support oneOf, allOf, or anyOf at the top level",
            )


@TOOLS.rule("a-strict-tools-schema-is-within-the-subset", "dialects.md §1.4 AM strict")
def strict_schema(case: MessagesCase) -> Iterator[Objection]:
    """And there may not be too many strict tools."""
    strict = [(path, tool) for path, tool in _custom(case) if tool.get("strict")]
    for path, tool in strict:
        yield from (no(f"{path}.input_schema", words) for words in unsupported_keywords(tool["input_schema"]))
    if len(strict) > MAX_STRICT_TOOLS:
        yield Objection(
            words=f"Too many strict tools ({len(strict)}). The maximum number of strict tools supported is {MAX_STRICT_TOOLS}."
        )


@TOOLS.rule("one-tool-is-not-deferred", "vendor words: at least one tool must have defer_loading=false")
def deferred(case: MessagesCase) -> Iterator[Objection]:
    """A request whose every tool is deferred has nothing to search with."""
    tools = _tools(case)
    if tools and all(tool.get("defer_loading") for tool in tools):
        yield no("tools", "At least one tool must have defer_loading=false.")


@TOOLS.rule(
    "tool-choice-is-well-formed", "dialects.md §1.1 AM tool_choice; vectors 9, 10 (`none` takes no flag)"
)
def choice_shape(case: MessagesCase) -> Iterator[Objection]:
    """`disable_parallel_tool_use` lives here and nowhere else."""
    if "tool_choice" not in case.body:
        return
    choice: dict[str, Any] = case.body["tool_choice"]
    kind = choice.get("type")
    if not isinstance(kind, str) or kind not in CHOICE_EXTRAS:
        yield no(
            "tool_choice",
            f"Input tag '{kind}' found using 'type' does not match any of the expected tags: 'any', 'auto', 'none', 'tool'",
        )
        return
    needed: dict[str, Kind] = {"type": STRING, "name": STRING} if kind == "tool" else {"type": STRING}
    if kind == "none" and "disable_parallel_tool_use" in choice:
        yield extra("tool_choice.none.disable_parallel_tool_use")
    yield from check_shape(choice, Shape(needed, CHOICE_EXTRAS[kind]), f"tool_choice.{kind}")


@TOOLS.rule(
    "tool-choice-comes-with-tools",
    "vendor words: `tool_choice` may only be specified while providing `tools`",
)
def choice_with_tools(case: MessagesCase) -> Iterator[Objection]:
    """Whatever the choice is."""
    if "tool_choice" in case.body and not _tools(case):
        yield no("tool_choice", "tool_choice may only be specified while providing tools")


@TOOLS.rule("the-chosen-tool-is-offered", "dialects.md §1.2 tool_choice one function")
def chosen(case: MessagesCase) -> Iterator[Objection]:
    """Real words: "Tool 'x' not found in provided tools"."""
    choice = case.body.get("tool_choice", {})
    if choice.get("type") == "tool" and choice["name"] not in [tool.get("name") for tool in _tools(case)]:
        yield Objection(where="tool_choice", words=f"Tool '{choice['name']}' not found in provided tools")


@TOOLS.rule(
    "history-with-tools-comes-with-tools", "dialects.md §1.4: some backends need `tools` whenever history has"
)
def tools_with_history(case: MessagesCase) -> Iterator[Objection]:
    """A trait of some backends, off by default."""
    if not case.traits.needs_tools_with_history or _tools(case):
        return
    contents = [message.get("content") for message in case.body["messages"] if isinstance(message, dict)]
    kinds = [
        block.get("type")
        for content in contents
        if isinstance(content, list)
        for block in content
        if isinstance(block, dict)
    ]
    if "tool_use" in kinds or "tool_result" in kinds:
        yield Objection(words="Requests which include `tool_use` or `tool_result` blocks must define tools")
