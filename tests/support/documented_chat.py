"""Everything that a chat completions request can say, one small request each.

Source: OpenAI's request schema (openai-python 3.54.0); OpenRouter's, LiteLLM's, z.ai's, Qwen's and
Mistral's additions that agents send.
"""

from __future__ import annotations

from typing import Any, Final

from support.silence import GONE, Case

__all__ = ["CHAT_CASES", "CHAT_DOCUMENTED", "CHAT_SAYS_NOTHING", "CHAT_VALUES"]

Json = dict[str, Any]

PNG: Final = "data:image/png;base64,iVBORw0KGgo="
PDF: Final = "data:application/pdf;base64,JVBERi0xLjQK"
CSV: Final = "data:text/csv;base64,YSxiCjEsMgo="
OBJECT: Final = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
FUNCTION: Final = {"type": "function", "function": {"name": "weather", "parameters": OBJECT}}


def _base(**fields: Any) -> Json:
    return {
        "model": "m",
        "max_completion_tokens": 3000,
        "messages": [{"role": "user", "content": "hi"}],
        **fields,
    }


def _field(name: str, value: Any, **beside: Any) -> Case:
    return Case(name, _base(**{name: value}, **beside), (name,))


def _said(name: str, *messages: Json, about: str = "messages", **beside: Any) -> Case:
    body = _base(**beside)
    body["messages"] = [*messages, *([] if messages[-1]["role"] == "user" else body["messages"])]
    return Case(name, body, (about,))


def _part(name: str, part: Json, role: str = "user") -> Case:
    body = _base()
    body["messages"] = [{"role": role, "content": [{"type": "text", "text": "look"}, part]}]
    if role != "user":
        body["messages"].append({"role": "user", "content": "hi"})
    return Case(name, body, ("messages[0].content[1]",))


def _tool(name: str, tool: Json, about: str = "tools[0]", **beside: Any) -> Case:
    return Case(name, _base(tools=[tool, FUNCTION | {"function": {"name": "other"}}], **beside), (about,))


def _loop(name: str, call: Json, result: Json, about: str, **assistant: Any) -> Case:
    return _said(
        name,
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": "", "tool_calls": [call], **assistant},
        result,
        about=about,
        tools=[FUNCTION],
    )


CALL: Final = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city":"Rome"}'},
}
RESULT: Final = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
SCHEMA_FORMAT: Final = {
    "type": "json_schema",
    "json_schema": {"name": "town", "description": "A town.", "strict": True, "schema": OBJECT},
}

CHAT_CASES: Final = (
    # Scalars and the like.
    _field("max_completion_tokens", 2000),
    Case("max_tokens", {**_base(max_tokens=2000), "max_completion_tokens": None}, ("max_tokens",)),
    Case("both limits", _base(max_tokens=1500), ("max_tokens", "max_completion_tokens")),
    _field("temperature", 0.5),
    _field("top_p", 0.5),
    _field("top_k", 20),
    _field("min_p", 0.1),
    _field("seed", 7),
    _field("frequency_penalty", 0.5),
    _field("presence_penalty", 0.5),
    _field("logit_bias", {"50256": -100}),
    _field("logprobs", True),
    _field("top_logprobs", 2, logprobs=True),
    _field("n", 2),
    Case("stop as text", _base(stop="END"), ("stop",)),
    _field("stop", ["END", "STOP", "FIN", "ENDE", "FINE"]),
    _field("verbosity", "low"),
    _field("metadata", {"team": "blue", "cost": "12"}),
    Case("metadata of a wrong type", _base(metadata={"team": 1}), ("metadata",)),
    _field("user", "u-1"),
    _field("safety_identifier", "s-1"),
    Case("both identifiers", _base(user="u-1", safety_identifier="s-1"), ("user", "safety_identifier")),
    _field("service_tier", "default"),
    Case("a priority tier", _base(service_tier="priority"), ("service_tier",)),
    _field("store", True),
    _field("prediction", {"type": "content", "content": "abc"}),
    _field("prompt_cache_key", "session-1"),
    _field("prompt_cache_options", {"mode": "explicit", "ttl": "30m"}),
    _field("prompt_cache_retention", "24h"),
    _field("audio", {"format": "wav", "voice": "alloy"}),
    _field("modalities", ["text", "audio"]),
    Case("drawn answers", _base(modalities=["image", "text"]), ("modalities",)),
    _field("moderation", {"model": "omni", "policy": {"input": {"mode": "score"}}}),
    Case(
        "moderation that blocks",
        _base(moderation={"policy": {"output": {"mode": "block"}}}),
        ("moderation.policy.output.mode",),
    ),
    _field("stream_options", {"include_obfuscation": True}, stream=True),
    _field("api_base", "https://elsewhere.example"),
    _field("a_field_of_next_year", {"deep": {"er": 1}}),
    # Thinking.
    _field("reasoning_effort", "high"),
    _field("reasoning", {"effort": "high", "exclude": True}),
    Case("a budget at OpenRouter", _base(reasoning={"max_tokens": 2000, "effort": "low"}), ("reasoning",)),
    Case("no thinking at OpenRouter", _base(reasoning={"enabled": False, "effort": "low"}), ("reasoning",)),
    Case("a member of reasoning that is new", _base(reasoning={"effort": "low", "x": 1}), ("reasoning",)),
    _field("thinking", {"type": "enabled", "budget_tokens": 2000, "display": "omitted"}),
    Case(
        "adaptive thinking",
        _base(thinking={"type": "adaptive", "budget_tokens": 3000, "clear_thinking": False}),
        ("thinking",),
    ),
    Case("thinking in a word", _base(thinking="high"), ("thinking",)),
    _field("enable_thinking", True),
    Case("thinking said twice", _base(reasoning_effort="high", enable_thinking=False), ("enable_thinking",)),
    # Output.
    _field("response_format", SCHEMA_FORMAT),
    Case(
        "a schema that nobody enforces",
        _base(
            response_format={
                "type": "json_schema",
                "json_schema": {
                    "name": "n",
                    "strict": False,
                    "schema": {
                        "type": "object",
                        "title": "Other",
                        "description": "Other.",
                        "properties": {"age": {"type": "integer", "minimum": 3}},
                    },
                },
            }
        ),
        ("response_format",),
    ),
    Case("any JSON", _base(response_format={"type": "json_object"}), ("response_format",)),
    Case(
        "any JSON with a schema",
        _base(response_format={"type": "json_object", "schema": OBJECT}),
        ("response_format",),
    ),
    # Tools.
    _tool(
        "a function",
        {
            "type": "function",
            "function": {"name": "weather", "description": "d", "parameters": OBJECT, "strict": True},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
    ),
    _tool(
        "a function nobody can enforce",
        {
            "type": "function",
            "function": {
                "name": "weather",
                "strict": True,
                "parameters": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}},
            },
        },
    ),
    _tool(
        "a function with alternatives",
        {
            "type": "function",
            "function": {
                "name": "weather",
                "parameters": {
                    "anyOf": [
                        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
                        {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
                    ]
                },
            },
        },
    ),
    _tool("a function without arguments", {"type": "function", "function": {"name": "now"}}),
    _tool("a flat function", {"type": "function", "name": "weather", "parameters": OBJECT, "strict": True}),
    _tool(
        "Anthropic's form",
        {
            "name": "weather",
            "description": "d",
            "input_schema": OBJECT,
            "input_examples": [{"city": "Rome"}],
            "defer_loading": True,
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
    ),
    _tool(
        "a member of a tool that is new",
        {"type": "function", "function": {"name": "weather", "parameters": OBJECT, "async": True}, "x": 1},
    ),
    _tool(
        "free-form input",
        {
            "type": "custom",
            "custom": {
                "name": "patch",
                "description": "d",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": 'start: "a"'}},
            },
        },
    ),
    _tool(
        "flat free-form input",
        {
            "type": "custom",
            "name": "patch",
            "format": {"type": "grammar", "syntax": "regex", "definition": "a+"},
        },
    ),
    Case(
        "free-form text", _base(tools=[{"type": "custom", "custom": {"name": "patch"}}]), ("tools[0].custom",)
    ),
    _tool("a hosted tool", {"type": "code_interpreter", "container": "c-1"}),
    Case("the only tool is hosted", _base(tools=[{"type": "file_search"}]), ("tools",)),
    Case(
        "one tool twice",
        _base(
            tools=[
                {"type": "function", "function": {"name": "weather", "description": "one"}},
                {"type": "function", "function": {"name": "weather", "description": "two"}},
            ]
        ),
        ("tools",),
    ),
    _field(
        "web_search_options",
        {"search_context_size": "low", "user_location": {"type": "approximate"}},
        tools=[FUNCTION],
    ),
    _field("tool_choice", "required", tools=[FUNCTION]),
    Case("no tool at all", _base(tool_choice="none", tools=[FUNCTION]), ("tool_choice",)),
    Case(
        "one certain tool",
        _base(tool_choice={"type": "function", "function": {"name": "weather"}}, tools=[FUNCTION]),
        ("tool_choice",),
    ),
    Case(
        "one certain tool among free-form ones",
        _base(
            tool_choice={"type": "custom", "custom": {"name": "patch"}},
            tools=[{"type": "custom", "custom": {"name": "patch"}}],
        ),
        ("tool_choice",),
    ),
    Case(
        "some of the tools",
        _base(
            tool_choice={
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "weather"}}],
                },
            },
            tools=[FUNCTION, FUNCTION | {"function": {"name": "other"}}],
        ),
        ("tool_choice",),
    ),
    Case("a call without any tool", _base(tool_choice="required"), ("tool_choice",)),
    Case(
        "choices in both words",
        _base(tool_choice="auto", function_call="none", tools=[FUNCTION]),
        ("function_call",),
    ),
    _field("parallel_tool_calls", False, tools=[FUNCTION]),
    _field("functions", [{"name": "weather", "description": "d", "parameters": OBJECT}]),
    _field("function_call", {"name": "weather"}, functions=[{"name": "weather", "parameters": OBJECT}]),
    # Messages.
    _said("a system message", {"role": "system", "content": "be kind"}, about="messages[0]"),
    _said(
        "a developer message by name",
        {"role": "developer", "name": "dev", "content": [{"type": "text", "text": "be kind"}]},
        about="messages[0]",
    ),
    _said(
        "an instruction in between",
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "system", "name": "sys", "content": "now be brief"},
        about="messages[2]",
    ),
    _said("a user with a name", {"role": "user", "name": "ann", "content": "hello"}),
    _said(
        "an assistant with a name",
        {"role": "user", "content": "a"},
        {"role": "assistant", "name": "bob", "content": "b"},
        about="messages[1]",
    ),
    _said(
        "marks on messages",
        {"role": "system", "content": "be kind", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        {"role": "user", "content": "hello", "cache_control": {"type": "ephemeral", "scope": "global"}},
        about="messages",
    ),
    _said(
        "a mark on a message of parts",
        {
            "role": "user",
            "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}],
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        about="messages[0].cache_control",
    ),
    _said(
        "a mark with nothing to stand on",
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": None,
            "refusal": "no",
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
        about="messages[1]",
    ),
    _said(
        "a mark on nothing at all",
        {
            "role": "user",
            "content": [{"type": "text", "text": "", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        },
        {"role": "user", "content": "a"},
        about="messages[0].content[0].cache_control",
    ),
    _said(
        "five marks",
        {
            "role": "system",
            "content": [
                {"type": "text", "text": f"part {n}", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
                for n in range(5)
            ],
        },
        about="messages[0]",
    ),
    _said(
        "a long mark after a short one",
        {
            "role": "system",
            "content": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "5m"}}],
        },
        {
            "role": "user",
            "content": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral", "ttl": "1h"}}],
        },
        about="messages[1]",
    ),
    _said(
        "a member of a message that is new",
        {"role": "user", "content": "a", "id": "u-1"},
        {
            "role": "assistant",
            "content": "b",
            "provider_specific_fields": {"x": 1},
            "annotations": [{"a": 1}],
        },
        about="messages",
    ),
    _said(
        "a refusal", {"role": "user", "content": "a"}, {"role": "assistant", "content": None, "refusal": "no"}
    ),
    _said(
        "spoken history",
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "audio": {"id": "audio_1"}},
        about="messages[1]",
    ),
    _said(
        "an assistant in parts",
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "b"}, {"type": "refusal", "refusal": "but not c"}],
        },
        about="messages[1]",
    ),
    _said(
        "a prefilled answer",
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "Once"},
        about="messages[1]",
    ),
    # Thinking that comes back.
    *(
        _said(
            f"thinking in {name}",
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b", name: value},
            about=f"messages[1].{name}",
        )
        for name, value in (
            ("reasoning_content", "hm"),
            ("reasoning", "hm"),
            ("reasoning_text", "hm"),
            ("thinking_blocks", [{"type": "thinking", "thinking": "hm", "signature": "c2ln"}]),
            (
                "reasoning_details",
                [
                    {
                        "type": "reasoning.text",
                        "text": "hm",
                        "signature": "c2ln",
                        "format": "anthropic-claude-v1",
                    }
                ],
            ),
        )
    ),
    _said(
        "encrypted thinking",
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": "b",
            "reasoning_details": [
                {
                    "type": "reasoning.encrypted",
                    "data": "YmxvYg==",
                    "id": "rs_1",
                    "format": "openai-responses-v1",
                }
            ],
        },
        about="messages[1].reasoning_details",
    ),
    _said(
        "Mistral's thinking",
        {"role": "user", "content": "a"},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "signature": "c2ln"},
                {"type": "text", "text": "b"},
            ],
        },
        about="messages[1].content[0]",
    ),
    # Parts.
    _part("a picture", {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}}),
    _part(
        "a picture by address",
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "high"}},
    ),
    _part("a picture in one word", {"type": "image_url", "image_url": PNG}),
    _part(
        "a marked picture",
        {
            "type": "image_url",
            "image_url": {"url": PNG},
            "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"},
        },
    ),
    _part("sound", {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    _part("a document", {"type": "file", "file": {"file_data": PDF, "filename": "a.pdf", "format": "pdf"}}),
    _part(
        "a text file",
        {
            "type": "file",
            "file": {"file_data": CSV, "filename": "a.csv"},
            "cache_control": {"type": "ephemeral", "ttl": "1h"},
        },
    ),
    _part("a picture as a file", {"type": "file", "file": {"file_data": PNG, "filename": "a.png"}}),
    _part("a stored file", {"type": "file", "file": {"file_id": "file-1"}}),
    _part(
        "a marked text",
        {"type": "text", "text": "t", "prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}},
    ),
    _part(
        "a part of another format", {"type": "video_url", "video_url": {"url": "https://example.com/a.mp4"}}
    ),
    _part("a member of a part that is new", {"type": "text", "text": "t", "x": {"y": 1}}),
    # Calls and results.
    _loop("a call", CALL, RESULT, "messages[1].tool_calls"),
    _loop(
        "Gemini's signature",
        {**CALL, "extra_content": {"google": {"thought_signature": "c2ln"}}},
        RESULT,
        "messages[1].tool_calls",
    ),
    _loop(
        "other extras of a call",
        {**CALL, "extra_content": {"acme": 1}, "x": 1},
        RESULT,
        "messages[1].tool_calls",
    ),
    _loop(
        "a marked answer with a call",
        CALL,
        RESULT,
        "messages[1]",
        cache_control={"type": "ephemeral", "ttl": "1h"},
    ),
    _said(
        "a free-form call",
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "call_1", "type": "custom", "custom": {"name": "patch", "input": "abc"}}],
        },
        RESULT,
        about="messages[1]",
        tools=[{"type": "custom", "custom": {"name": "patch"}}],
    ),
    _loop("a result", CALL, RESULT, "messages[2]"),
    _loop("a result with its tool's name", CALL, {**RESULT, "name": "weather2"}, "messages[2]"),
    _loop(
        "a result in parts",
        CALL,
        {
            **RESULT,
            "content": [
                {"type": "text", "text": "sunny", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
                {"type": "image_url", "image_url": {"url": PNG, "detail": "low"}},
            ],
        },
        "messages[2]",
    ),
    _loop(
        "a marked result",
        CALL,
        {**RESULT, "cache_control": {"type": "ephemeral", "ttl": "1h"}},
        "messages[2]",
    ),
    _loop(
        "a result that is sound",
        CALL,
        {
            **RESULT,
            "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}],
        },
        "messages[2].content",
    ),
    _said(
        "a call in the old words",
        {"role": "user", "content": "go"},
        {
            "role": "assistant",
            "content": None,
            "function_call": {"name": "weather", "arguments": '{"city":"Rome"}'},
        },
        {"role": "function", "name": "weather", "content": "sunny"},
        about="messages",
        functions=[{"name": "weather", "parameters": OBJECT}],
    ),
)

CHAT_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "temperature": (0.25, GONE),
    "reasoning_effort": ("low", GONE),
    "reasoning.effort": ("medium", GONE),
    "reasoning.max_tokens": (20_000,),
    "reasoning.exclude": (False, GONE),
    "thinking.type": ("disabled",),
    "thinking.display": ("summarized", GONE),
    "thinking.budget_tokens": (20_000,),
    "service_tier": ("flex", GONE),
    "verbosity": ("high", GONE),
    "tool_choice": ("auto",),
    "tool_choice.type": ("none",),
    "tool_choice.function.name": ("other",),
    "tool_choice.custom.name": ("other",),
    "tool_choice.allowed_tools.mode": ("auto",),
    "tool_choice.allowed_tools.tools[].function.name": ("other",),
    "response_format.type": ("text",),
    "response_format.json_schema.strict": (True, False),
    "prompt_cache_options.mode": ("implicit", GONE),
    "messages[].role": ("user",),
    "messages[].content[].image_url": ("https://example.com/b.png",),
    "messages[].content[].image_url.url": ("https://example.com/b.png",),
    "messages[].content[].image_url.detail": ("original", GONE),
    "messages[].content[].file.file_data": ("data:application/pdf;base64,JVBERi0xLjUK",),
    "messages[].content[].file.file_id": ("file-2",),
    "messages[].content[].cache_control.ttl": ("1h", "5m", GONE),
    "messages[].content[].prompt_cache_breakpoint.ttl": (GONE,),
    "messages[].cache_control.ttl": (GONE,),
    "tools[].cache_control.ttl": ("5m", GONE),
    "tools[].type": ("code_interpreter",),
    "tools[].function.parameters.type": ("array",),
    "tools[].parameters.type": ("array",),
    "tools[].input_schema.type": ("array",),
    "functions[].parameters.type": ("array",),
    "messages[].reasoning_details[].format": ("acme-v1",),
    "messages[].content[].type": ("video_url",),
}
"""Other legal values, by the path without indexes; elsewhere any other value is one."""

CHAT_SAYS_NOTHING: Final[dict[str, str]] = {
    "messages[].tool_calls[].type": "the member beside it (`function`, `custom`) says it",
    "tools[].custom.format.type": "without a grammar it is nothing",
    "tools[].format.type": "without a grammar it is nothing",
    "messages[].cache_control.type": "there is one type",
    "messages[].content[].cache_control.type": "there is one type",
    "messages[].content[].prompt_cache_breakpoint.mode": "there is one mode",
    "messages[].content[].prompt_cache_breakpoint.ttl=30m": "OpenAI's default",
    "tools[].cache_control.type": "there is one type",
    "tool_choice.allowed_tools.tools[].type": "the names tell",
    "messages[].content[].thinking[].type": "there is one type",
    "messages[].thinking_blocks[].type": "what is no redacted thinking is thinking",
    "messages[].content": "an answer that only calls says nothing",
}
"""Leaves whose value makes no difference by itself, and why."""

CHAT_DOCUMENTED: Final = frozenset({
    "messages", "audio.format", "audio.voice", "frequency_penalty", "function_call.name", "functions[].name",
    "functions[].description", "functions[].parameters", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "metadata", "modalities", "moderation.model", "moderation.policy.input.mode",
    "moderation.policy.output.mode", "n", "parallel_tool_calls", "prediction.content", "presence_penalty",
    "prompt_cache_key", "prompt_cache_options.mode", "prompt_cache_options.ttl", "prompt_cache_retention",
    "reasoning_effort", "safety_identifier", "seed", "service_tier", "stop", "store",
    "stream_options.include_obfuscation", "temperature", "top_logprobs", "top_p", "user", "verbosity",
    "response_format.type", "response_format.json_schema.name", "response_format.json_schema.description",
    "response_format.json_schema.strict", "response_format.json_schema.schema",
    "web_search_options.search_context_size", "web_search_options.user_location",
    "tool_choice", "tool_choice.function.name", "tool_choice.custom.name", "tool_choice.allowed_tools.mode",
    "tool_choice.allowed_tools.tools[].function.name",
    "tools[].function.name", "tools[].function.description", "tools[].function.parameters", "tools[].function.strict",
    "tools[].custom.name", "tools[].custom.description", "tools[].custom.format.grammar.syntax",
    "tools[].custom.format.grammar.definition",
    "messages[].role", "messages[].content", "messages[].name", "messages[].refusal", "messages[].audio.id",
    "messages[].tool_call_id", "messages[].function_call.name", "messages[].function_call.arguments",
    "messages[].tool_calls[].id", "messages[].tool_calls[].function.name", "messages[].tool_calls[].custom.name",
    "messages[].tool_calls[].function.arguments", "messages[].tool_calls[].custom.input",
    "messages[].content[].text", "messages[].content[].refusal", "messages[].content[].image_url.url",
    "messages[].content[].image_url.detail", "messages[].content[].input_audio.data",
    "messages[].content[].input_audio.format", "messages[].content[].file.file_data",
    "messages[].content[].file.file_id", "messages[].content[].file.filename",
    "messages[].content[].prompt_cache_breakpoint.mode", "messages[].content[].prompt_cache_breakpoint.ttl",
})  # fmt: skip
"""The members of the format but `model` and `stream`, which are the gateway's own business."""
