"""Everything that a Responses request can say, one small request each.

Source: OpenAI's request schema (openai-python 3.54.0, `ResponseCreateParams` and `ResponseInputItem`);
what Codex CLI, pi and the AI SDK send.
"""

from __future__ import annotations

from typing import Any, Final

from support.silence import GONE, Case

__all__ = ["RESPONSES_CASES", "RESPONSES_DOCUMENTED", "RESPONSES_SAYS_NOTHING", "RESPONSES_VALUES"]

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
FUNCTION: Final = {"type": "function", "name": "weather", "parameters": OBJECT, "strict": False}
OTHER: Final = {"type": "function", "name": "other"}
USER: Final = {"role": "user", "content": "hi"}
CALL: Final = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "call_1",
    "name": "weather",
    "arguments": '{"city":"Rome"}',
}
RESULT: Final = {"type": "function_call_output", "call_id": "call_1", "output": "sunny"}
MARK: Final = {"mode": "explicit", "ttl": "12h"}
FORM: Final = {
    "type": "json_schema",
    "name": "town",
    "description": "A town.",
    "strict": True,
    "schema": OBJECT,
}


def _base(**fields: Any) -> Json:
    return {"model": "m", "max_output_tokens": 3000, "input": "hi", **fields}


def _field(name: str, value: Any, **beside: Any) -> Case:
    return Case(name, _base(**{name: value}, **beside), (name,))


def _said(name: str, *items: Json, about: str = "input", **beside: Any) -> Case:
    return Case(name, _base(**{**beside, "input": [*items]}), (about,))


def _part(name: str, part: Json) -> Case:
    content = [{"type": "input_text", "text": "look"}, part]
    return _said(name, {"role": "user", "content": content}, about="input[0].content[1]")


def _tool(name: str, tool: Json, about: str = "tools[0]", **beside: Any) -> Case:
    return Case(name, _base(tools=[tool, OTHER], **beside), (about,))


def _loop(name: str, call: Json, result: Json, about: str, tool: Json = FUNCTION) -> Case:
    return _said(name, USER, call, result, about=about, tools=[tool])


RESPONSES_CASES: Final = (
    # Scalars and the like.
    _field("input", "hello"),
    _field("instructions", "be kind"),
    _field("max_output_tokens", 2000),
    _field("temperature", 0.5),
    _field("top_p", 0.5),
    _field("top_k", 20),
    _field("min_p", 0.1),
    _field("seed", 7),
    _field("frequency_penalty", 0.5),
    _field("presence_penalty", 0.5),
    _field("logit_bias", {"50256": -100}),
    _field("top_logprobs", 2, include=["message.output_text.logprobs"]),
    _field("n", 2),
    _field("stop", ["END", "STOP"]),
    Case("stop as text", _base(stop="END"), ("stop",)),
    _field("metadata", {"team": "blue", "cost": "12"}),
    Case("metadata of a wrong type", _base(metadata={"team": 1}), ("metadata",)),
    _field("user", "u-1"),
    _field("safety_identifier", "s-1"),
    Case("both identifiers", _base(user="u-1", safety_identifier="s-1"), ("user", "safety_identifier")),
    _field("service_tier", "default"),
    Case("a priority tier", _base(service_tier="priority"), ("service_tier",)),
    _field("store", True),
    _field("truncation", "auto"),
    _field("prompt_cache_key", "session-1"),
    _field("prompt_cache_options", {"mode": "explicit", "ttl": "30m", "prewarm": True}),
    _field("prompt_cache_retention", "24h"),
    _field("max_tool_calls", 3),
    _field("access_programs", {"cyber": "standard"}),
    _field("background", True),
    _field("background_options", {"completion_window": "2h"}),
    _field("context_management", [{"type": "compaction", "compact_threshold": 1000}]),
    _field("conversation", {"id": "conv_1"}),
    Case("a conversation by its name", _base(conversation="conv_1"), ("conversation",)),
    _field("image", {"context_compression": "enabled"}),
    _field("moderation", {"model": "omni", "policy": {"input": {"mode": "score"}}}),
    Case(
        "moderation that blocks",
        _base(moderation={"policy": {"output": {"mode": "block"}}}),
        ("moderation.policy.output.mode",),
    ),
    _field("previous_response_id", "resp_1"),
    _field("prompt", {"id": "pmpt_1", "version": "2", "variables": {"city": "Rome"}}),
    _field("stream_options", {"include_obfuscation": True}, stream=True),
    _field("include", ["web_search_call.action.sources", "file_search_call.results"]),
    Case("probabilities", _base(include=["message.output_text.logprobs"]), ("include",)),
    _field("client_metadata", {"x-codex-turn": "1"}),
    _field("api_base", "https://elsewhere.example"),
    _field("a_field_of_next_year", {"deep": {"er": 1}}),
    # Thinking.
    _field("reasoning", {"effort": "high", "context": "all_turns", "mode": "pro", "x": 1}),
    Case("a summary alone", _base(reasoning={"summary": "auto"}), ("reasoning",)),
    Case("no thinking", _base(reasoning={"effort": "none"}), ("reasoning",)),
    Case("an effort that is none", _base(reasoning={"effort": "sideways"}), ("reasoning",)),
    _said(
        "another effort from here on",
        USER,
        {"type": "configuration_update", "reasoning": {"effort": "low"}},
        {"type": "configuration_update", "reasoning": {"effort": "high"}},
        about="input",
    ),
    Case(
        "an effort that is changed later",
        _base(
            reasoning={"effort": "low"},
            input=[USER, {"type": "configuration_update", "reasoning": {"effort": "high"}}],
        ),
        ("reasoning", "input[1]"),
    ),
    _said(
        "another form from here on",
        USER,
        {"type": "configuration_update", "text": {"format": FORM}},
        about="input[1]",
    ),
    # Output.
    _field("text", {"format": FORM, "verbosity": "low", "x": 1}),
    Case("any JSON", _base(text={"format": {"type": "json_object"}}), ("text",)),
    Case(
        "a schema that nobody enforces",
        _base(
            text={
                "format": {
                    "type": "json_schema",
                    "name": "n",
                    "strict": False,
                    "schema": {
                        "type": "object",
                        "title": "Other",
                        "description": "Other.",
                        "properties": {"age": {"type": "integer", "minimum": 3}},
                    },
                }
            }
        ),
        ("text",),
    ),
    Case(
        "a schema as chat nests it",
        _base(
            text={"format": {"type": "json_schema", "json_schema": {"name": "n", "schema": OBJECT, "x": 1}}}
        ),
        ("text",),
    ),
    # Tools.
    _tool(
        "a function",
        {
            "type": "function",
            "name": "weather",
            "description": "d",
            "parameters": OBJECT,
            "strict": True,
            "defer_loading": True,
            "output_schema": OBJECT,
            "allowed_callers": ["programmatic"],
            "async": True,
        },
    ),
    _tool(
        "a function nobody can enforce",
        {
            "type": "function",
            "name": "weather",
            "strict": True,
            "parameters": {"type": "object", "properties": {"a": {"type": "integer", "minimum": 1}}},
        },
    ),
    _tool(
        "a nested function",
        {"type": "function", "function": {"name": "weather", "parameters": OBJECT}, "x": 1},
    ),
    _tool(
        "free-form input",
        {
            "type": "custom",
            "name": "patch",
            "description": "d",
            "format": {"type": "grammar", "syntax": "lark", "definition": 'start: "a"'},
            "defer_loading": True,
        },
    ),
    Case("free-form text", _base(tools=[{"type": "custom", "name": "patch"}]), ("tools[0]",)),
    _tool(
        "a namespace",
        {
            "type": "namespace",
            "name": "crm",
            "description": "Customers.",
            "tools": [
                {"type": "function", "name": "get", "parameters": OBJECT},
                {"type": "custom", "name": "note"},
            ],
        },
    ),
    _tool("a patch tool", {"type": "apply_patch"}),
    _tool(
        "a shell of the caller's", {"type": "shell", "environment": {"type": "local", "skills": [{"a": 1}]}}
    ),
    _tool("a shell of OpenAI's", {"type": "shell", "environment": {"type": "container_auto"}}),
    _tool("the older shell", {"type": "local_shell"}),
    _tool("a hosted tool", {"type": "web_search", "search_context_size": "low"}),
    _tool(
        "a tool server",
        {
            "type": "mcp",
            "server_label": "dice",
            "server_url": "https://dice.example/sse",
            "require_approval": "never",
        },
    ),
    Case(
        "the only tool is hosted",
        _base(tools=[{"type": "file_search", "vector_store_ids": ["vs_1"]}]),
        ("tools",),
    ),
    Case(
        "one tool twice",
        _base(tools=[FUNCTION | {"description": "one"}, FUNCTION | {"description": "two"}]),
        ("tools",),
    ),
    _said(
        "tools that come later",
        USER,
        {"type": "additional_tools", "role": "developer", "tools": [FUNCTION]},
        about="input[1]",
    ),
    _said(
        "tools that were searched for",
        USER,
        {"type": "tool_search_call", "call_id": "call_0", "execution": "client", "arguments": {"query": "w"}},
        {"type": "tool_search_output", "call_id": "call_0", "execution": "client", "tools": [FUNCTION]},
        about="input",
    ),
    _field("tool_choice", "required", tools=[FUNCTION]),
    Case("no tool at all", _base(tool_choice="none", tools=[FUNCTION]), ("tool_choice",)),
    Case(
        "one certain tool",
        _base(tool_choice={"type": "function", "name": "weather"}, tools=[FUNCTION, OTHER]),
        ("tool_choice",),
    ),
    Case(
        "one certain hosted tool",
        _base(tool_choice={"type": "web_search"}, tools=[FUNCTION, {"type": "web_search"}]),
        ("tools[1]",),
    ),
    Case(
        "one certain free-form tool",
        _base(tool_choice={"type": "custom", "name": "patch"}, tools=[{"type": "custom", "name": "patch"}]),
        ("tool_choice",),
    ),
    Case(
        "some of the tools",
        _base(
            tool_choice={
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "weather"}],
            },
            tools=[FUNCTION, OTHER],
        ),
        ("tool_choice",),
    ),
    Case("a call without any tool", _base(tool_choice="required"), ("tool_choice",)),
    _field("parallel_tool_calls", False, tools=[FUNCTION]),
    # Messages.
    _said("a system message", {"role": "system", "content": "be kind"}, USER, about="input[0]"),
    _said(
        "a developer message in parts",
        {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "be kind"}]},
        USER,
        about="input[0]",
    ),
    _said(
        "an instruction in between",
        USER,
        {"role": "assistant", "content": "b"},
        {"role": "developer", "content": "now be brief"},
        about="input[2]",
    ),
    _said(
        "an instruction with a picture",
        {"role": "developer", "content": [{"type": "input_image", "image_url": PNG}]},
        USER,
        about="input[0].content[0]",
    ),
    _said(
        "an answer that comes back",
        USER,
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "phase": "commentary",
            "content": [
                {
                    "type": "output_text",
                    "text": "b",
                    "annotations": [{"type": "url_citation", "url": "https://a.example"}],
                },
                {"type": "refusal", "refusal": "but not c"},
            ],
        },
        USER,
        about="input[1]",
    ),
    _said("a member of an item that is new", {"role": "user", "content": "a", "x": 1}, about="input[0]"),
    _said("an item by its id", USER, {"type": "item_reference", "id": "msg_1"}, about="input[1]"),
    _said(
        "a compacted conversation",
        {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"},
        USER,
        about="input[0]",
    ),
    _said("a wish to compact", USER, {"type": "compaction_trigger"}, about="input[1]"),
    _said(
        "an item of OpenAI's own",
        USER,
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "Rome"},
        },
        {"role": "assistant", "content": "b"},
        USER,
        about="input[1]",
    ),
    # Thinking that comes back.
    _said(
        "thinking with its blob",
        USER,
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "encrypted_content": "gAAA",
        },
        CALL,
        RESULT,
        about="input[1]",
        tools=[FUNCTION],
    ),
    _said(
        "thinking without its blob",
        USER,
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [{"type": "summary_text", "text": "hm"}],
            "content": [{"type": "reasoning_text", "text": "hmm"}],
        },
        {"role": "assistant", "content": "b"},
        USER,
        about="input[1]",
    ),
    _said(
        "thinking itself",
        USER,
        {
            "type": "reasoning",
            "id": "rs_1",
            "summary": [],
            "content": [{"type": "reasoning_text", "text": "hmm"}],
        },
        {"role": "assistant", "content": "b"},
        USER,
        about="input[1]",
    ),
    # Parts.
    _part("a picture", {"type": "input_image", "image_url": PNG, "detail": "low"}),
    _part("a picture by address", {"type": "input_image", "image_url": "https://example.com/a.png"}),
    _part("a stored picture", {"type": "input_image", "file_id": "file-1", "detail": "high"}),
    _part("a marked picture", {"type": "input_image", "image_url": PNG, "prompt_cache_breakpoint": MARK}),
    _part("a document", {"type": "input_file", "file_data": PDF, "filename": "a.pdf", "detail": "low"}),
    _part("a document by address", {"type": "input_file", "file_url": "https://example.com/a.pdf"}),
    _part("a text file", {"type": "input_file", "file_data": CSV, "filename": "a.csv"}),
    _part("a picture as a file", {"type": "input_file", "file_data": PNG, "filename": "a.png"}),
    _part("a stored file", {"type": "input_file", "file_id": "file-1"}),
    _part("sound", {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}),
    _part("a marked text", {"type": "input_text", "text": "t", "prompt_cache_breakpoint": MARK}),
    _part("a part of another format", {"type": "input_video", "video_url": "https://example.com/a.mp4"}),
    _part("a member of a part that is new", {"type": "input_text", "text": "t", "x": {"y": 1}}),
    # Calls and results.
    _loop("a call", CALL, RESULT, "input[1]"),
    _loop(
        "a call with all that OpenAI says of it",
        {**CALL, "status": "completed", "caller": {"type": "program", "caller_id": "p"}, "async": True},
        RESULT,
        "input[1]",
    ),
    _loop(
        "a call in a namespace",
        {**CALL, "namespace": "crm", "name": "get"},
        RESULT,
        "input[1]",
        tool={"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "get"}]},
    ),
    _loop(
        "a free-form call",
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "patch", "input": "abc"},
        {"type": "custom_tool_call_output", "call_id": "call_1", "output": "done"},
        "input",
        tool={"type": "custom", "name": "patch"},
    ),
    _loop("a result", CALL, RESULT, "input[2]"),
    _loop("a result with its tool's name", CALL, {**RESULT, "name": "weather2"}, "input[2]"),
    _loop(
        "a result in parts",
        CALL,
        {
            **RESULT,
            "output": [
                {"type": "input_text", "text": "sunny"},
                {"type": "input_image", "image_url": PNG, "detail": "low"},
                {"type": "input_file", "file_data": PDF, "filename": "a.pdf"},
            ],
        },
        "input[2]",
    ),
    _loop(
        "a result that is sound",
        CALL,
        {**RESULT, "output": [{"type": "input_audio", "data": "UklGRg==", "format": "wav"}]},
        "input[2].output",
    ),
    _loop(
        "a patch",
        {
            "type": "apply_patch_call",
            "id": "apc_1",
            "call_id": "call_1",
            "status": "completed",
            "operation": {"type": "update_file", "path": "a.txt", "diff": "@@\n-a\n+b"},
        },
        {
            "type": "apply_patch_call_output",
            "call_id": "call_1",
            "status": "failed",
            "output": "no such file",
        },
        "input",
        tool={"type": "apply_patch"},
    ),
    _loop(
        "a shell",
        {
            "type": "shell_call",
            "call_id": "call_1",
            "action": {"commands": ["ls"], "timeout_ms": 100},
            "caller": {"type": "program"},
        },
        {
            "type": "shell_call_output",
            "call_id": "call_1",
            "max_output_length": 10,
            "output": [{"stdout": "a", "stderr": "", "outcome": {"type": "exit", "exit_code": 0}}],
        },
        "input",
        tool={"type": "shell"},
    ),
    _loop(
        "the older shell's call",
        {
            "type": "local_shell_call",
            "id": "lsh_1",
            "call_id": "call_1",
            "action": {"type": "exec", "command": ["ls"], "env": {"A": "1"}},
        },
        {"type": "local_shell_call_output", "id": "call_1", "output": '{"stdout":"a"}'},
        "input",
        tool={"type": "local_shell"},
    ),
)

RESPONSES_VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "input": ("hello there",),
    "temperature": (0.25, GONE),
    "reasoning.effort": ("low", GONE),
    "input[].reasoning.effort": ("medium",),
    "service_tier": ("flex", GONE),
    "text.verbosity": ("high", GONE),
    "text.format.type": ("text",),
    "text.format.strict": (True, False),
    "input[].text.format.type": ("text",),
    "input[].text.format.strict": (True, False),
    "tool_choice": ("auto",),
    "tool_choice.type": ("none",),
    "tool_choice.name": ("other",),
    "tool_choice.mode": ("auto",),
    "tool_choice.tools[].name": ("other",),
    "tools[].type": ("code_interpreter",),
    "tools[].parameters.type": ("array",),
    "tools[].function.parameters.type": ("array",),
    "tools[].tools[].type": ("custom",),
    "tools[].tools[].parameters.type": ("array",),
    "tools[].environment.type": ("container_reference",),
    "input[].tools[].parameters.type": ("array",),
    "input[].tools[].type": ("code_interpreter",),
    "input[].type": ("web_search_call",),
    "input[].role": ("user",),
    "input[].status": ("completed", GONE),
    "input[].content[].type": ("input_video",),
    "input[].content[].image_url": ("https://example.com/b.png",),
    "input[].content[].detail": ("original", GONE),
    "input[].content[].file_data": ("data:application/pdf;base64,JVBERi0xLjUK",),
    "input[].content[].file_id": ("file-2",),
    "input[].content[].prompt_cache_breakpoint.ttl": (GONE,),
    "input[].output[].type": ("input_video",),
    "input[].output[].image_url": ("https://example.com/b.png",),
    "input[].output[].detail": ("original", GONE),
    "input[].output[].file_data": ("data:application/pdf;base64,JVBERi0xLjUK",),
    "input[].operation.type": ("create_file",),
}
"""Other legal values, by the path without indexes; elsewhere any other value is one."""

RESPONSES_SAYS_NOTHING: Final[dict[str, str]] = {
    "reasoning.summary": "it is this side that shows thinking, and to whom",
    "stream_options.include_obfuscation": "padding against eavesdroppers of somebody else's network",
    "reasoning.effort=none": "what a model does that cannot think",
    "tools[].strict=False": "what absence is to everybody but OpenAI",
    "input[].tools[].strict=False": "likewise",
    "input[].summary": "an empty list",
    "input[].id": "by ids the server knows its items; a translation has none",
    "input[].status": "an item in a request is complete",
    "input[].role=developer": "tools that come later have no other role",
    "input[].content[].prompt_cache_breakpoint.mode": "there is one mode",
    "tools[].format.type": "without a grammar it is nothing",
    "tool_choice.tools[].type": "the names tell",
    "input[].summary[].type": "there is one type",
    "input[].content[].type=reasoning_text": "there is one type",
    "input[].action.type": "there is one type",
    "input[].namespace": "a name that only one namespace has says its namespace too",
}
"""Leaves whose value makes no difference by itself, and why."""

RESPONSES_DOCUMENTED: Final = frozenset({
    "access_programs", "background", "background_options", "context_management", "conversation", "image", "include",
    "input", "instructions", "max_output_tokens", "max_tool_calls", "metadata", "moderation", "parallel_tool_calls",
    "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    "reasoning", "safety_identifier", "service_tier", "store", "stream_options", "temperature", "text",
    "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "user",
})  # fmt: skip
"""The fields of the format but `model` and `stream`, which are the gateway's own business."""
