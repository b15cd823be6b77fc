"""What a script can see of a request, whichever dialect it came in."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["Asked", "Dialect", "Picture", "Result", "Tool", "glimpse"]

Dialect = Literal["chat", "responses", "messages"]
PICTURES: Final = ("image", "image_url", "input_image")
TEXTS: Final = ("text", "input_text", "output_text")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture that arrived: its media type (empty for a URL) and its bytes' digest, or the URL."""

    media_type: str
    source: str
    """`sha256:` and twelve hex digits, or the URL, or the file id."""
    size: int = 0
    """Bytes; 0 for a reference."""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool on offer."""

    name: str
    schema: dict[str, Any]
    custom: bool = False
    """OpenAI's freeform tool, called with a plain string."""


@dataclass(frozen=True, slots=True)
class Result:
    """A tool result in the last turn."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, seen from a script."""

    dialect: Dialect
    model: str
    stream: bool
    prompt: str
    """Text of the last user message that has any."""
    system: str
    tools: tuple[Tool, ...]
    forced: str
    """Tool that must be called; `*` for any; empty for none."""
    pictures: tuple[Picture, ...]
    """Every picture in the request, oldest first."""
    results: tuple[Result, ...]
    """Tool results after the last assistant turn."""
    schema: dict[str, Any] | None
    """Schema the answer must follow; `{}` for any JSON; None for prose."""
    thinking: bool
    hidden_thinking: bool
    """Whether visible thinking is to be left empty (Anthropic's `display: omitted`)."""
    body: dict[str, Any]


def glimpse(dialect: Dialect, body: dict[str, Any]) -> Asked:
    """Return what a script may know of a request that has passed the rules."""
    return {"chat": _chat, "responses": _responses, "messages": _messages}[dialect](body)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "".join(part.get("text", "") for part in parts if part.get("type") in TEXTS)


def _last_text(contents: list[object]) -> str:
    return next((text for content in reversed(contents) if (text := _text(content))), "")


def _walk(value: object) -> Iterator[dict[str, Any]]:
    """Yield every picture part below `value`, in order."""
    if isinstance(value, dict):
        if value.get("type") in PICTURES:
            yield value
        else:
            for item in value.values():
                yield from _walk(item)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item)


def _picture(part: dict[str, Any]) -> Picture:
    source = part.get("source")
    if isinstance(source, dict):
        if source["type"] == "base64":
            return _inline(source["media_type"], source["data"])
        return Picture("", source.get("url") or source.get("file_id", ""))
    url = part.get("image_url") or part.get("file_id", "")
    url = url["url"] if isinstance(url, dict) else url
    if url.startswith("data:"):
        head, _, data = url.partition(";base64,")
        return _inline(head.removeprefix("data:"), data)
    return Picture("", url)


def _inline(media_type: str, data: str) -> Picture:
    try:
        raw = base64.b64decode(data)
    except binascii.Error:
        raw = data.encode()
    return Picture(media_type, "sha256:" + hashlib.sha256(raw).hexdigest()[:12], len(raw))


def _pictures(turns: object) -> tuple[Picture, ...]:
    return tuple(_picture(part) for part in _walk(turns))


def _since_assistant(items: list[dict[str, Any]], speaks: frozenset[str]) -> list[dict[str, Any]]:
    """Return what came after the last item by the assistant."""
    last = max((index for index, item in enumerate(items) if _speaker(item) in speaks), default=-1)
    return items[last + 1 :]


def _speaker(item: dict[str, Any]) -> str:
    return str(item.get("role") or item.get("type"))


def _chat(body: dict[str, Any]) -> Asked:
    messages: list[dict[str, Any]] = body["messages"]
    choice = body.get("tool_choice")
    forced = {"required": "*"}.get(choice, "") if isinstance(choice, str) else ""
    if isinstance(choice, dict):
        forced = (choice.get("function") or choice.get("custom") or {}).get("name", "*")
    tools = [
        Tool(tool[tool["type"]]["name"], tool[tool["type"]].get("parameters", {}), tool["type"] == "custom")
        for tool in body.get("tools", [])
    ]
    form = body.get("response_format", {})
    schema = {"json_object": {}, "json_schema": form.get("json_schema", {}).get("schema", {})}.get(
        form.get("type")
    )
    recent = _since_assistant(messages, frozenset({"assistant"}))
    return Asked(
        dialect="chat",
        model=body["model"],
        stream=bool(body.get("stream")),
        prompt=_last_text([message.get("content") for message in messages if message["role"] == "user"]),
        system="\n".join(
            _text(item["content"]) for item in messages if item["role"] in {"system", "developer"}
        ),
        tools=tuple(tools),
        forced=forced,
        pictures=_pictures(messages),
        results=tuple(
            Result(item["tool_call_id"], _text(item["content"])) for item in recent if item["role"] == "tool"
        ),
        schema=schema,
        thinking=_chat_thinks(body),
        hidden_thinking=False,
        body=body,
    )


def _schema(kind: object, holder: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the schema of a structured answer: `{}` for any JSON, None for prose."""
    if kind not in {"json_object", "json_schema"}:
        return None
    schema: dict[str, Any] = (holder or {}).get("schema", {})
    return schema


def _chat_thinks(body: dict[str, Any]) -> bool:
    if body.get("reasoning_effort") not in {None, "none"}:
        return True
    switch = body.get("thinking") or {}
    return switch.get("type") == "enabled" or bool(
        (body.get("reasoning") or {}).get("effort", "none") != "none"
    )


def _responses(body: dict[str, Any]) -> Asked:
    given = body["input"]
    items: list[dict[str, Any]] = [{"role": "user", "content": given}] if isinstance(given, str) else given
    choice = body.get("tool_choice")
    forced = {"required": "*"}.get(choice, "") if isinstance(choice, str) else ""
    if isinstance(choice, dict):
        forced = choice.get("name", "*")
    form = body.get("text", {}).get("format", {})
    schema = _schema(form.get("type"), form)
    recent = _since_assistant(
        items, frozenset({"assistant", "function_call", "custom_tool_call", "reasoning"})
    )
    systems = [_text(item["content"]) for item in items if item.get("role") in {"system", "developer"}]
    return Asked(
        dialect="responses",
        model=body["model"],
        stream=bool(body.get("stream")),
        prompt=_last_text([item.get("content") for item in items if item.get("role") == "user"]),
        system="\n".join([body.get("instructions") or "", *systems]).strip(),
        tools=tuple(
            Tool(tool["name"], tool.get("parameters") or {}, tool["type"] == "custom")
            for tool in body.get("tools", [])
            if tool["type"] in {"function", "custom"}
        ),
        forced=forced,
        pictures=_pictures(items),
        results=tuple(
            Result(item["call_id"], _text(item["output"]))
            for item in recent
            if item.get("type") in {"function_call_output", "custom_tool_call_output"}
        ),
        schema=schema,
        thinking=(body.get("reasoning") or {}).get("effort") not in {None, "none"},
        hidden_thinking=not (body.get("reasoning") or {}).get("summary"),
        body=body,
    )


def _messages(body: dict[str, Any]) -> Asked:
    messages: list[dict[str, Any]] = body["messages"]
    choice = body.get("tool_choice", {})
    thinking = body.get("thinking", {})
    form = (body.get("output_config", {}).get("format") or {}).get("schema")
    recent = _since_assistant(messages, frozenset({"assistant"}))
    blocks = [block for item in recent if isinstance(item["content"], list) for block in item["content"]]
    return Asked(
        dialect="messages",
        model=body["model"],
        stream=bool(body.get("stream")),
        prompt=_last_text([item["content"] for item in messages if item["role"] == "user"]),
        system=_text(body.get("system", "")),
        tools=tuple(
            Tool(tool["name"], tool.get("input_schema", {}))
            for tool in body.get("tools", [])
            if "input_schema" in tool
        ),
        forced={"any": "*", "tool": choice.get("name", "")}.get(choice.get("type"), ""),
        pictures=_pictures(messages),
        results=tuple(
            Result(block["tool_use_id"], _text(block.get("content", "")), bool(block.get("is_error")))
            for block in blocks
            if block["type"] == "tool_result"
        ),
        schema=form,
        thinking=thinking.get("type", "disabled") != "disabled",
        hidden_thinking=thinking.get("display") == "omitted",
        body=body,
    )
