"""The numbered vectors of dialects.md §10 that concern Mistral, from a caller's own bytes."""

from __future__ import annotations

import json
import re
from typing import Any

from pi_model_proxy.dialects import anthropic_messages, openai_chat
from pi_model_proxy.dialects.mistral_conversations import CLIENT
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.hub import BlockStart, Event, Tool, ToolCallBlock
from support.kind_streams import encoded, message_of, request, sse, target

Json = dict[str, Any]


def from_messages(*messages: Json, **fields: Any) -> Json:
    body = {"model": "m", "max_tokens": 100, "messages": messages, **fields}
    return encoded(CLIENT, anthropic_messages.SERVER.decode_request(json.dumps(body).encode()))[0]


def from_chat(*messages: Json, **fields: Any) -> Json:
    body = {"model": "m", "messages": messages, **fields}
    return encoded(CLIENT, openai_chat.SERVER.decode_request(json.dumps(body).encode()))[0]


def test_vector_002_the_assistant_speaks_between_a_result_and_the_user() -> None:
    use = {"type": "tool_use", "id": "t1", "name": "f", "input": {}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
    messages = from_messages(
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [use]},
        {"role": "user", "content": [result, {"type": "text", "text": "go on"}]},
    )["messages"]
    assert [each["role"] for each in messages] == ["user", "assistant", "tool", "assistant", "user"]
    assert messages[3]["content"]
    assert messages[4]["content"] == "go on"


def test_vector_029_ids_have_nine_letters_and_digits_for_calls_and_results_alike() -> None:
    function = {"name": "f", "arguments": "{}"}
    calls = [
        {"id": each, "type": "function", "function": function} for each in ("call_0fypS1hVX", "call_other")
    ]
    messages = from_chat(
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_other", "content": "2"},
        {"role": "tool", "tool_call_id": "call_0fypS1hVX", "content": "1"},
    )["messages"]
    ids = [call["id"] for call in messages[1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert all(re.fullmatch("[A-Za-z0-9]{9}", each) for each in ids)
    assert [(each["tool_call_id"], each["content"][0]["text"]) for each in messages[2:]] == [
        (ids[0], "1"),
        (ids[1], "2"),
    ]


def test_vector_047_lone_surrogates_are_replaced() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"a\\ud83d"}]}'
    asked = openai_chat.SERVER.decode_request(body)
    assert encoded(CLIENT, asked)[0]["messages"][0]["content"] == "a\ufffd"


def test_vector_005_a_call_that_nobody_answered_is_answered() -> None:
    function = {"name": "f", "arguments": "{}"}
    messages = from_chat(
        {"role": "user", "content": "hi"},
        {"role": "assistant", "tool_calls": [{"id": "a", "type": "function", "function": function}]},
        {"role": "user", "content": "go on"},
    )["messages"]
    assert messages[2]["role"] == "tool"
    assert messages[2]["content"][0]["text"] == "[tool error] No result provided"


def test_vector_105_two_streams_never_see_each_others_names() -> None:
    def stream(name: str) -> bytes:
        call = {"id": "x", "index": 0, "function": {"name": name, "arguments": "{}"}}
        return sse({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]}, done=True)

    decoders = {
        name: CLIENT.stream_decoder(target(CLIENT), ToolNames((Tool(name=f"{name}.tool"),)))
        for name in ("a", "b")
    }
    events: dict[str, list[Event]] = {"a": [], "b": []}
    data = {name: stream(f"{name}_tool") for name in decoders}
    for position in range(max(map(len, data.values()))):
        for name, decoder in decoders.items():
            events[name] += decoder.feed(data[name][position : position + 1])
    for name in decoders:
        stubs = [each.block for each in events[name] if isinstance(each, BlockStart)]
        assert [stub.name for stub in stubs if isinstance(stub, ToolCallBlock)] == [f"{name}.tool"]


def test_vector_107_long_names_with_dots_come_back_as_they_were() -> None:
    name = "mcp.server/" + "tool.with.dots" * 4 + "x" * 3
    asked = request(tools=(Tool(name=name, schema={"type": "object"}),))
    body, outgoing = encoded(CLIENT, asked)
    wire = body["tools"][0]["function"]["name"]
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", wire)
    call = {"id": "x", "index": 0, "function": {"name": wire, "arguments": "{}"}}
    data = sse({"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]})
    block = message_of(CLIENT, data, names=outgoing.names).blocks[0]
    assert isinstance(block, ToolCallBlock)
    assert block.name == name
