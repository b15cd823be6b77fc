"""Callers of before there were tools: they offer `functions`, and read one `function_call`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_chat import SERVER
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Event,
    Finish,
    Message,
    Opaque,
    OpaqueDelta,
    Start,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    unfold,
)
from support.chat_stream import context, encoded, frames

Json = dict[str, Any]

USER = {"role": "user", "content": "Weather?"}
FUNCTIONS = [{"name": "weather", "parameters": {"type": "object"}}]
LEGACY = context(legacy_functions=True)
CALL = ToolCallBlock(id="c1", name="weather", arguments='{"city":"Rome"}')


def read(**fields: Any) -> Any:
    return SERVER.decode_request(json.dumps({"model": "m", "messages": [USER], **fields}).encode())


def streamed(*events: Event) -> list[Json]:
    encoder = SERVER.stream_encoder(LEGACY)
    found: list[Json] = [
        chunk["choices"][0]
        for event in events
        for chunk in frames(encoder.feed(event))
        if isinstance(chunk, dict)
    ]
    return found


def plain(*blocks: Any) -> Json:
    message = Message(blocks=blocks, finish=Finish(reason="tool_calls"))
    choice: Json = json.loads(SERVER.encode_message(message, LEGACY))["choices"][0]
    return choice


@pytest.mark.parametrize(
    ("fields", "legacy"),
    [
        ({"functions": FUNCTIONS}, True),
        ({"tools": [{"type": "function", "function": FUNCTIONS[0]}]}, False),
        ({"functions": FUNCTIONS, "tools": [{"type": "function", "function": FUNCTIONS[0]}]}, False),
        ({}, False),
        ({"functions": []}, False),
        (
            {
                "messages": [
                    USER,
                    {
                        "role": "assistant",
                        "content": None,
                        "function_call": {"name": "weather", "arguments": ""},
                    },
                    {"role": "function", "name": "weather", "content": "sunny"},
                ]
            },
            True,
        ),
    ],
)
def test_who_speaks_of_functions_is_known_by_the_request(fields: Json, legacy: bool) -> None:
    assert read(**fields).legacy_functions is legacy


def test_one_call_at_a_time_is_asked_for_since_no_more_can_be_told() -> None:
    assert encoded(read(functions=FUNCTIONS))["parallel_tool_calls"] is False
    assert read(functions=FUNCTIONS, parallel_tool_calls=True).parallel_tools is True


def test_a_call_is_told_as_a_function_call() -> None:
    choice = plain(TextBlock(text="Let me see."), CALL)
    assert choice["finish_reason"] == "function_call"
    assert choice["message"]["function_call"] == {"name": "weather", "arguments": '{"city":"Rome"}'}
    assert "tool_calls" not in choice["message"]
    assert plain(ToolCallBlock(id="c", name="now"))["message"]["function_call"]["arguments"] == "{}"


def test_an_answer_without_a_call_is_as_ever() -> None:
    choice = plain(TextBlock(text="Sunny."))
    assert (choice["finish_reason"], "function_call" in choice["message"]) == ("stop", False)


def test_a_stream_tells_name_and_arguments_without_id_or_index() -> None:
    choices = streamed(*unfold(Message(blocks=(CALL,), finish=Finish(reason="tool_calls"))))
    deltas = [choice["delta"]["function_call"] for choice in choices if "function_call" in choice["delta"]]
    assert deltas[0] == {"name": "weather", "arguments": ""}
    assert "".join(delta["arguments"] for delta in deltas) == '{"city":"Rome"}'
    assert not any("tool_calls" in choice["delta"] for choice in choices)
    assert choices[-1]["finish_reason"] == "function_call"


def test_of_several_calls_the_first_is_told() -> None:
    """They come only from upstreams that call several functions although one was asked for."""
    other = ToolCallBlock(id="c2", name="news", arguments='{"a":1}')
    assert plain(CALL, other)["message"]["function_call"]["name"] == "weather"
    told = json.dumps(streamed(*unfold(Message(blocks=(CALL, other), finish=Finish(reason="tool_calls")))))
    assert ("weather" in told, "news" in told) == (True, False)


def test_a_call_without_arguments_has_empty_ones_and_no_signature() -> None:
    signature = Opaque(kind="gemini_signature", data="c2ln")
    choices = streamed(
        Start(),
        BlockStart(index=0, block=ToolCallBlock(id="c", name="now")),
        ArgumentsDelta(0, ""),
        OpaqueDelta(0, signature),
        BlockStop(0),
        Finish(reason="tool_calls"),
    )
    told = "".join(choice["delta"].get("function_call", {}).get("arguments", "") for choice in choices)
    assert told == "{}"
    assert "c2ln" not in json.dumps(choices)


def test_what_was_told_comes_back_as_call_and_result() -> None:
    answer = plain(CALL)["message"]
    result = {"role": "function", "name": "weather", "content": "sunny"}
    turns = read(functions=FUNCTIONS, messages=[USER, answer, result]).turns
    (call,), (told,) = turns[1].blocks, turns[2].blocks
    assert isinstance(call, ToolCallBlock)
    assert isinstance(told, ToolResultBlock)
    assert (call.name, call.arguments, told.call_id) == ("weather", CALL.arguments, call.id)
