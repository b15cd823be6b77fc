"""Everything that a Messages request can say, one small request each.

Source: Anthropic's Messages reference (anthropic-python 2.12.0, stable and beta types).
"""

from __future__ import annotations

from typing import Any, Final

from support.silence import GONE, Case

__all__ = ["MESSAGES_CASES", "MESSAGES_DOCUMENTED", "MESSAGES_SAYS_NOTHING", "MESSAGES_VALUES"]

Json = dict[str, Any]

PNG: Final = {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}
PDF: Final = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK"}
MARK: Final = {"type": "ephemeral", "ttl": "1h"}
OBJECT: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL: Final = {"name": "weather", "input_schema": OBJECT}
OTHER: Final = {"name": "other", "input_schema": {"type": "object"}}


def _base(**fields: Any) -> Json:
    return {"model": "m", "max_tokens": 3000, "messages": [{"role": "user", "content": "hi"}], **fields}


def _field(name: str, value: Any, **beside: Any) -> Case:
    return Case(name, _base(**{name: value}, **beside), (name,))


def _said(name: str, *messages: Json, about: str = "messages", **beside: Any) -> Case:
    body = _base(**beside)
    body["messages"] = [*messages, *([] if messages[-1]["role"] == "user" else body["messages"])]
    return Case(name, body, (about,))


def _block(name: str, block: Json, role: str = "user") -> Case:
    body = _base()
    body["messages"] = [{"role": role, "content": [{"type": "text", "text": "look"}, block]}]
    if role != "user":
        body["messages"].append({"role": "user", "content": "hi"})
    return Case(name, body, ("messages[0].content[1]",))


def _tool(name: str, tool: Json, **beside: Any) -> Case:
    return Case(name, _base(tools=[tool, OTHER], **beside), ("tools[0]",))


def _result(name: str, result: Json, about: str = "messages[2].content[0]", **call: Any) -> Case:
    return _said(
        name,
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": [
                {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Rome"}, **call}
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", **result}]},
        about=about,
        tools=[TOOL],
    )


MESSAGES_CASES: Final = (
    # Scalars and the like.
    _field("max_tokens", 2000),
    Case("warming a cache", _base() | {"max_tokens": 0}, ("max_tokens",)),
    _field("stop_sequences", ["END", "STOP", "FIN", "ENDE", "FINE"]),
    _field("temperature", 0.5),
    _field("top_p", 0.5),
    _field("top_k", 20),
    Case(
        "sampling beside thinking",
        _base(temperature=0.5, top_p=0.5, top_k=2, thinking={"type": "adaptive"}),
        ("temperature", "top_p", "top_k"),
    ),
    _field("metadata", {"user_id": "u-1", "team": "blue"}),
    _field("service_tier", "standard_only"),
    Case("another tier", _base(service_tier="priority"), ("service_tier",)),
    _field("speed", "fast"),
    _field("inference_geo", "us"),
    _field("container", "container_1"),
    _field("context_management", {"edits": [{"type": "clear_tool_uses_20250919"}]}),
    _field("mcp_servers", [{"type": "url", "name": "m", "url": "https://example.com"}]),
    _field("diagnostics", {"previous_message_id": "msg_1"}),
    _field("fallbacks", [{"model": "claude"}]),
    _field("fallback_credit_token", "t-1"),
    _field("billing_policy", "b"),
    _field("compaction", {"enabled": True}),
    _field("thread", {"type": "create"}),
    _field("extra_headers", {"x": "y"}),
    _field("a_field_of_next_year", {"deep": {"er": 1}}),
    # Thinking and output.
    _field("thinking", {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}),
    Case(
        "adaptive thinking",
        _base(
            thinking={
                "type": "adaptive",
                "display": "updates",
                "budget_tokens": 3000,
                "block_binding": {"a": 1},
            },
            output_config={"effort": "high"},
        ),
        ("thinking", "output_config"),
    ),
    Case("thinking between tools", _base(thinking={"type": "between_tools"}), ("thinking",)),
    Case(
        "a budget and an effort",
        _base(thinking={"type": "enabled", "budget_tokens": 2000}, output_config={"effort": "high"}),
        ("output_config.effort",),
    ),
    Case(
        "an effort in not thinking",
        _base(thinking={"type": "disabled"}, output_config={"effort": "high"}),
        ("output_config.effort",),
    ),
    _field(
        "output_config",
        {
            "effort": "high",
            "format": {"type": "json_schema", "schema": OBJECT},
            "task_budget": {"type": "tokens", "total": 9},
        },
    ),
    Case(
        "a schema that nobody enforces",
        _base(
            output_config={
                "format": {
                    "type": "json_schema",
                    "schema": {"type": "object", "properties": {"a": {"type": "string"}}},
                    "name": "n",
                }
            }
        ),
        ("output_config.format",),
    ),
    Case("a format without a schema", _base(output_config={"format": {"type": "regex"}}), ("output_config",)),
    _field("output_format", {"type": "json_schema", "schema": OBJECT}),
    Case(
        "formats in both places",
        _base(
            output_config={"format": {"type": "json_schema", "schema": OBJECT}},
            output_format={"type": "json_schema", "schema": {"type": "object"}},
        ),
        ("output_format",),
    ),
    # System.
    Case("system as text", _base(system="be kind"), ("system",)),
    _field(
        "system",
        [
            {"type": "text", "text": "be kind", "cache_control": {**MARK, "scope": "global"}},
            {"type": "text", "text": "be brief", "citations": [{"type": "char_location", "cited_text": "x"}]},
        ],
    ),
    _field("cache_control", MARK),
    Case(
        "a mark of the body on a marked block",
        _base(
            cache_control=MARK,
            messages=[
                {
                    "role": "user",
                    "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
                }
            ],
        ),
        ("cache_control",),
    ),
    # Tools.
    _tool(
        "a tool",
        {
            **TOOL,
            "type": "custom",
            "description": "d",
            "strict": True,
            "cache_control": MARK,
            "input_examples": [{"city": "Rome"}],
            "allowed_callers": ["direct", "code_execution_20260120"],
            "async": True,
            "defer_loading": True,
            "eager_input_streaming": True,
        },
    ),
    _tool(
        "a tool nobody can enforce",
        {
            "name": "weather",
            "strict": True,
            "input_schema": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}},
        },
    ),
    _tool(
        "a tool with alternatives",
        {
            "name": "weather",
            "input_schema": {
                "type": "object",
                "oneOf": [
                    {"properties": {"a": {"type": "string"}}},
                    {"properties": {"b": {"type": "string"}}},
                ],
            },
        },
    ),
    _tool(
        "a tool of Anthropic's",
        {"type": "web_search_20250305", "name": "web_search", "max_uses": 3, "cache_control": MARK},
    ),
    Case(
        "the only tool is Anthropic's", _base(tools=[{"type": "bash_20250124", "name": "bash"}]), ("tools",)
    ),
    Case(
        "one tool twice",
        _base(tools=[{**TOOL, "description": "one"}, {**TOOL, "description": "two"}]),
        ("tools",),
    ),
    _field("tool_choice", {"type": "any", "disable_parallel_tool_use": True, "x": 1}, tools=[TOOL]),
    Case(
        "one certain tool",
        _base(tool_choice={"type": "tool", "name": "weather"}, tools=[TOOL]),
        ("tool_choice",),
    ),
    Case("a call without any tool", _base(tool_choice={"type": "any"}), ("tool_choice",)),
    Case("one call without any tool", _base(tool_choice={"type": "tool", "name": "x"}), ("tool_choice",)),
    # Messages.
    _said(
        "an instruction in between",
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "system", "content": [{"type": "text", "text": "now be brief", "cache_control": MARK}]},
        about="messages[2]",
    ),
    _said(
        "a system message of another kind",
        {"role": "user", "content": "a"},
        {
            "role": "system",
            "content": [
                {"type": "tool_addition", "tool": {"type": "tool_definition", "definition": TOOL}},
                {"type": "tool_removal", "tool": {"type": "tool_reference", "name": "other"}},
            ],
            "clear_at": "next_turn",
            "output_config": {"effort": "high", "x": 1},
        },
        about="messages[1]",
        tools=[OTHER],
    ),
    _said(
        "a member of a message that is new", {"role": "user", "content": "a", "id": "msg_1", "x": {"y": 1}}
    ),
    _block(
        "a text", {"type": "text", "text": "t", "cache_control": MARK, "citations": [{"cited_text": "x"}]}
    ),
    _block("a marked text that is blank", {"type": "text", "text": "", "cache_control": MARK}),
    Case(
        "a mark on nothing at all",
        _base(
            messages=[
                {"role": "user", "content": [{"type": "text", "text": "", "cache_control": MARK}]},
                {"role": "user", "content": "hi"},
            ]
        ),
        ("messages[0].content[0].cache_control",),
    ),
    _block(
        "a picture",
        {
            "type": "image",
            "source": PNG,
            "cache_control": MARK,
            "transformations": {"oversized_image": "error"},
        },
    ),
    _block(
        "a picture by address",
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png", "x": 1}},
    ),
    _block("a stored picture", {"type": "image", "source": {"type": "file", "file_id": "file_1"}}),
    _block(
        "a document",
        {
            "type": "document",
            "source": PDF,
            "title": "A",
            "context": "about A",
            "citations": {"enabled": True},
            "cache_control": MARK,
        },
    ),
    _block(
        "a document by address",
        {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}, "title": "A"},
    ),
    _block("a stored document", {"type": "document", "source": {"type": "file", "file_id": "file_1"}}),
    _block(
        "a text document",
        {
            "type": "document",
            "source": {"type": "text", "media_type": "text/plain", "data": "abc"},
            "title": "A",
            "context": "about A",
            "citations": {"enabled": True},
        },
    ),
    _block(
        "a document of blocks",
        {
            "type": "document",
            "source": {
                "type": "content",
                "content": [
                    {"type": "text", "text": "abc", "cache_control": MARK},
                    {"type": "image", "source": PNG},
                ],
            },
        },
    ),
    _block(
        "a search result",
        {
            "type": "search_result",
            "source": "https://example.com",
            "title": "A",
            "content": [{"type": "text", "text": "abc"}],
            "citations": {"enabled": True},
            "cache_control": MARK,
        },
    ),
    _block(
        "a reference to a tool", {"type": "tool_reference", "tool_name": "weather", "cache_control": MARK}
    ),
    _block("a file for a container", {"type": "container_upload", "file_id": "file_1"}),
    _block("a block of next year", {"type": "hologram", "data": "x"}),
    _block("thinking", {"type": "thinking", "thinking": "hm", "signature": "c2ln"}, role="assistant"),
    _block("redacted thinking", {"type": "redacted_thinking", "data": "eHh4"}, role="assistant"),
    _block(
        "a compaction",
        {
            "type": "compaction",
            "content": "short",
            "encrypted_content": "eHh4",
            "signature": "c2ln",
            "cache_control": MARK,
        },
        role="assistant",
    ),
    _block("a sealed compaction", {"type": "compaction", "encrypted_content": "eHh4"}, role="assistant"),
    _block(
        "a call of Anthropic's own tool",
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "a"}},
        role="assistant",
    ),
    _block(
        "a fallback", {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}}, role="assistant"
    ),
    # Calls and results.
    _result(
        "a call",
        {"content": "sunny"},
        "messages[1].content[0]",
        caller={"type": "code_execution_20260120", "tool_id": "x"},
        toolset_name="t",
        cache_control=MARK,
    ),
    _result("a result", {"content": "sunny", "cache_control": MARK, "x": 1}),
    _result("a failure", {"content": "storm", "is_error": True}),
    _result(
        "a result in blocks",
        {
            "content": [
                {"type": "text", "text": "sunny", "cache_control": MARK, "citations": [{"cited_text": "x"}]},
                {"type": "text", "text": "warm", "cache_control": MARK},
                {"type": "image", "source": PNG},
                {"type": "tool_reference", "tool_name": "weather"},
                {"type": "browser_state", "url": "https://example.com"},
            ],
            "cache_control": MARK,
        },
    ),
    _result(
        "a result that is a search result",
        {
            "content": [
                {
                    "type": "search_result",
                    "source": "https://example.com",
                    "title": "A",
                    "content": [{"type": "text", "text": "abc"}],
                    "citations": {"enabled": True},
                }
            ]
        },
    ),
    _result(
        "a result that is a document",
        {"content": [{"type": "document", "source": PDF, "title": "A"}]},
    ),
)

MESSAGES_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "thinking.type": ("disabled",),
    "thinking.budget_tokens": (10000,),
    "thinking.display": ("summarized", GONE),
    "output_config.effort": ("low", GONE),
    "output_config.format.type": (GONE,),
    "service_tier": ("auto", GONE),
    "tool_choice.type": ("auto",),
    "tool_choice.name": ("other",),
    "cache_control.ttl": ("5m", GONE),
    "messages[].role": ("user", "assistant"),
    "messages[].output_config.effort": ("low", GONE),
    "messages[].content[].type": ("hologram",),
    "messages[].content[].content[].type": ("hologram",),
    "messages[].content[].source.content[].type": ("hologram",),
    "messages[].content[].source.type": ("url", "text"),
    "messages[].content[].source.media_type": ("image/jpeg", "application/msword"),
    "messages[].content[].content[].source.media_type": ("image/jpeg", "application/msword"),
    "messages[].content[].source.data": ("iVBORw0KGgoA",),
    "messages[].content[].cache_control.ttl": ("5m", GONE),
    "messages[].content[].content[].cache_control.ttl": ("5m", GONE),
    "system[].cache_control.ttl": ("5m", GONE),
    "tools[].cache_control.ttl": ("5m", GONE),
    "tools[].input_schema.type": ("array",),
    "messages[].content[].tool.definition.input_schema.type": ("array",),
}

MESSAGES_SAYS_NOTHING: Final[dict[str, str]] = {
    "cache_control.type": "there is one type",
    "system[].type": "there is one type",
    "system[].cache_control.type": "there is one type",
    "tools[].type": "`custom` is what a tool is without a type",
    "tools[].cache_control.type": "there is one type",
    "tools[].defer_loading": "elsewhere all tools are sent from the start",
    "tools[].eager_input_streaming": "elsewhere arguments always stream as they come",
    "output_config.format.type": "there is one type",
    "output_format.type": "there is one type",
    "messages[].content[].cache_control.type": "there is one type",
    "messages[].content[].content[].cache_control.type": "there is one type",
    "messages[].content[].tool.type": "the definition tells",
    "messages[].content[].source.media_type=text/plain": "there is one type of plain text",
}
"""Leaves whose value makes no difference by itself, and why."""

MESSAGES_DOCUMENTED: Final = frozenset({
    "max_tokens", "cache_control.ttl", "container", "diagnostics", "inference_geo", "metadata.user_id", "service_tier",
    "speed", "stop_sequences", "temperature", "top_p", "top_k", "mcp_servers", "context_management", "compaction",
    "fallbacks", "fallback_credit_token", "thread", "billing_policy", "output_format.schema",
    "output_config.effort", "output_config.format.schema", "output_config.task_budget",
    "thinking.type", "thinking.budget_tokens", "thinking.display", "thinking.block_binding",
    "tool_choice.type", "tool_choice.name", "tool_choice.disable_parallel_tool_use",
    "system", "system[].text", "system[].cache_control.ttl",
    "tools[].name", "tools[].description", "tools[].input_schema", "tools[].strict", "tools[].eager_input_streaming",
    "tools[].defer_loading", "tools[].allowed_callers", "tools[].input_examples", "tools[].cache_control.ttl",
    "tools[].type", "tools[].max_uses",
    "messages[].role", "messages[].content", "messages[].clear_at", "messages[].output_config.effort",
    "messages[].content[].text", "messages[].content[].citations", "messages[].content[].cache_control.ttl",
    "messages[].content[].source.media_type", "messages[].content[].source.data", "messages[].content[].source.url",
    "messages[].content[].source.file_id", "messages[].content[].source.content",
    "messages[].content[].transformations", "messages[].content[].title", "messages[].content[].context",
    "messages[].content[].citations.enabled", "messages[].content[].thinking", "messages[].content[].signature",
    "messages[].content[].data", "messages[].content[].id", "messages[].content[].name",
    "messages[].content[].input", "messages[].content[].caller", "messages[].content[].toolset_name",
    "messages[].content[].tool_use_id", "messages[].content[].content", "messages[].content[].is_error",
    "messages[].content[].tool_name", "messages[].content[].file_id", "messages[].content[].encrypted_content",
    "messages[].content[].tool.definition", "messages[].content[].tool.name",
})  # fmt: skip
"""The members of the format but `model` and `stream`, which are the gateway's own business."""
