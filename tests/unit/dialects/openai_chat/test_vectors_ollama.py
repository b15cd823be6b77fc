"""The vectors about Ollama as an upstream: it is asked at its OpenAI-compatible address, in chat's words."""

from __future__ import annotations

import json

from pi_model_proxy.dialects.openai_chat import SERVER
from pi_model_proxy.hub import ToolCallBlock
from support import chat_stream


def test_vector_053_a_result_names_its_call_and_its_tool_where_the_server_wants_that() -> None:
    asked = SERVER.decode_request(
        json.dumps({
            "model": "ollama/qwen3",
            "messages": [
                {"role": "user", "content": "weather?"},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": "{}"}},
                        {"id": "c2", "type": "function", "function": {"name": "clock", "arguments": "{}"}},
                    ],
                },
                {"role": "tool", "tool_call_id": "c2", "content": "noon"},
                {"role": "tool", "tool_call_id": "c1", "content": "rain"},
            ],
        }).encode()
    )  # fmt: skip
    plain = chat_stream.encoded(asked, chat_stream.target(provider="ollama"))["messages"]
    assert [(each["tool_call_id"], each["content"]) for each in plain if each["role"] == "tool"] == [
        ("c1", "rain"), ("c2", "noon"),
    ]  # fmt: skip
    named = chat_stream.encoded(asked, chat_stream.target(compat={"requiresToolResultName": True}))[
        "messages"
    ]
    assert [each["name"] for each in named if each["role"] == "tool"] == ["weather", "clock"]


def test_vector_086_calls_without_ids_and_with_objects_are_calls_though_the_end_says_stop() -> None:
    message = chat_stream.message(
        chat_stream.chunk(
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [
                    {"index": 0, "function": {"name": "weather", "arguments": {"city": "Rome"}}},
                    {"index": 1, "function": {"name": "weather", "arguments": {"city": "Oslo"}}},
                ],
            }
        ),
        chat_stream.chunk({}, "stop"),
    )
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    assert [json.loads(call.arguments) for call in calls] == [{"city": "Rome"}, {"city": "Oslo"}]
    assert len({call.id for call in calls} - {""}) == 2
    assert message.finish.reason == "tool_calls"
