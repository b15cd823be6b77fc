"""A caller's tools and tool choice, as hub values.

Source: OpenAI's Responses reference, `Tool` and `ToolChoice` (openai-python 3.54.0); dialects.md
§1.1 RS and §10 vectors 36-38. Chat's nested `function` objects are read too, since agents send them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, cast

from pi_model_proxy.dialects.openai_responses.native_tools import BY_TYPE
from pi_model_proxy.dialects.openai_responses.server_parts import MARKS, cache_mark
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.hub import Tool, ToolChoice
from pi_model_proxy.wire import compact_json

__all__ = ["read_tool_choice", "read_tools"]

_MODES: Final = {"auto": "auto", "none": "none", "required": "required", "any": "required"}
_FUNCTION_WORDS: Final = {"schema": "parameters"}
_CUSTOM_WORDS: Final = {"grammar": "format"}
_FUNCTION: Final = frozenset({"type", "name", "description", "parameters", "strict", "function"}) | MARKS
_CUSTOM: Final = frozenset({"type", "name", "description", "format", "custom"}) | MARKS
_NAMESPACE: Final = frozenset({"type", "name", "tools"})
_SHELL_LOCAL: Final = "local"


def read_tools(tools: Iterable[Fields], dropped: list[str]) -> tuple[Tool, ...]:
    """Return the tools; what of them the hub has no words for is added to `dropped`.

    Raises:
        BadRequest: names the JSON path.
    """
    return tuple(read for tool in tools for read in _read(tool, dropped))


def _read(tool: Fields, dropped: list[str]) -> list[Tool]:
    kind = tool.text("type") or "function"
    match kind:
        case "function":
            return [_function(tool, None, dropped)]
        case "custom":
            return [_custom(tool, None, dropped)]
        case "namespace":
            return _namespace(tool, dropped)
    if kind in BY_TYPE and _is_run_by_caller(tool):
        return [_native(kind, tool, dropped)]
    raw = compact_json(tool.values).decode()
    return [Tool(kind="server", name=kind, dialect=DIALECT, raw=raw, at=tool.at)]


def _unread(tool: Fields, known: frozenset[str], dropped: list[str]) -> None:
    """List what asks for more than a plain tool does; `false` and "called by the model itself" ask for nothing."""
    for name, value in tool.values.items():
        if name not in known and value not in (None, False, ["direct"], {}, []):
            dropped.append(tool.path(name))


def _function(tool: Fields, namespace: str | None, dropped: list[str]) -> Tool:
    body = tool.object("function") or tool
    _unread(tool, _FUNCTION, dropped)
    schema = body.object("parameters")
    return Tool(
        name=body.filled_text("name"),
        namespace=namespace,
        description=body.text("description"),
        schema=schema.values if schema is not None else None,
        strict=body.flag("strict"),
        cache=cache_mark(tool, dropped),
        words=_FUNCTION_WORDS
        if body is tool
        else {"schema": "function.parameters", "strict": "function.strict"},
        at=tool.at,
    )


def _custom(tool: Fields, namespace: str | None, dropped: list[str]) -> Tool:
    body = tool.object("custom") or tool
    _unread(tool, _CUSTOM, dropped)
    form = body.object("format")
    grammar = None
    if form is not None and form.text("type") == "grammar":
        inner = form.object("grammar") or form  # chat nests what this format writes flat
        grammar = {name: value for name, value in inner.values.items() if name in {"syntax", "definition"}}
    return Tool(
        kind="custom",
        name=body.filled_text("name"),
        namespace=namespace,
        description=body.text("description"),
        grammar=grammar,
        cache=cache_mark(tool, dropped),
        words=_CUSTOM_WORDS,
        at=tool.at,
    )


def _namespace(space: Fields, dropped: list[str]) -> list[Tool]:
    name = space.filled_text("name")
    _unread(space, _NAMESPACE, dropped)
    read: list[Tool] = []
    for tool in space.objects("tools"):
        if (tool.text("type") or "function") == "custom":
            read.append(_custom(tool, name, dropped))
        else:
            read.append(_function(tool, name, dropped))
    return read


def _is_run_by_caller(tool: Fields) -> bool:
    """Tell whether the caller runs a built-in tool itself; a shell may also live in OpenAI's containers."""
    environment = tool.object("environment")
    return environment is None or environment.text("type") == _SHELL_LOCAL


def _native(kind: str, tool: Fields, dropped: list[str]) -> Tool:
    _unread(tool, frozenset({"type", "environment"}), dropped)
    environment = tool.object("environment")
    if environment is not None:
        _unread(environment, frozenset({"type"}), dropped)
    native = BY_TYPE[kind]
    return Tool(name=kind, description=native.description, schema=native.schema, at=tool.at)


def read_tool_choice(request: Fields) -> ToolChoice | None:
    """Return what `tool_choice` asks for.

    Raises:
        BadRequest: names the JSON path.
    """
    value = request.values.get("tool_choice")
    if value is None:
        return None
    if isinstance(value, str):
        if value not in _MODES:
            request.refuse("tool_choice", "must be `auto`, `none`, `required` or an object that names a tool")
        return ToolChoice(mode=_mode(value))
    choice = request.object("tool_choice")
    if choice is None:  # pragma: no cover - `value` is not None
        return None
    kind = choice.text("type") or "function"
    if kind in _MODES:
        return ToolChoice(mode=_mode(kind))
    if kind == "allowed_tools":
        return _allowed(choice.object("allowed_tools") or choice)
    return ToolChoice(mode="named", names=(_chosen(choice, kind),))


def _mode(word: str) -> Literal["auto", "none", "required"]:
    return cast("Literal['auto', 'none', 'required']", _MODES[word])


def _chosen(choice: Fields, kind: str) -> str:
    """Return the name of the tool that an object names; hosted tools are known by their type."""
    if kind not in {"function", "custom", "tool"}:
        return kind
    body = choice.object("function") or choice.object("custom") or choice
    return body.filled_text("name")


def _allowed(choice: Fields) -> ToolChoice:
    names = tuple(_chosen(tool, tool.text("type") or "function") for tool in choice.objects("tools"))
    return ToolChoice(mode="subset", names=names, required=choice.text("mode") == "required")
