"""The numbered edge cases of the dialect reference that concern this client half."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_responses import CLIENT, without_reasoning
from pi_model_proxy.dialects.stopping import StopFilter
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import (
    CacheMark,
    Finish,
    Opaque,
    ReasoningBlock,
    TextBlock,
    TextDelta,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    fold,
)
from support.responses_stream import CREATED, decode, encoded, failure_of, message_of, request, sse, target

EXPLICIT_CACHE = {"supportsExplicitPromptCacheMode": True}
THREE_BLOCKS = (
    TextBlock(text="a", cache=CacheMark(), at="system[0]"),
    TextBlock(text="b", at="system[1]"),
    TextBlock(text="c", cache=CacheMark(ttl="1h"), at="system[2]"),
)
USER = Turn(role="user", blocks=(TextBlock(text="hi"),))
CALL_DONE: dict[str, Any] = {
    "type": "response.output_item.done",
    "output_index": 0,
    "item": {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": '{"a":1}'},
}
COMPLETED: dict[str, Any] = {
    "type": "response.completed",
    "response": {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-x",
        "output": [],
        "usage": {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15},
    },
}


def text_events(*deltas: str, whole: str | None = None) -> list[dict[str, Any]]:
    """Return a message item, told by deltas and then by all its `done` events."""
    text = "".join(deltas) if whole is None else whole
    part = {"type": "output_text", "text": text, "annotations": []}
    added = {"type": "message", "id": "msg_1", "role": "assistant", "status": "in_progress", "content": []}
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return [
        {"type": "response.output_item.added", "output_index": 0, "item": added},
        {"type": "response.content_part.added", **place, "part": {**part, "text": ""}},
        *(
            {"type": "response.output_text.delta", **place, "delta": delta, "logprobs": []}
            for delta in deltas
        ),
        {"type": "response.output_text.done", **place, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **place, "part": part},
        {
            "type": "response.output_item.done",
            "output_index": 0,
            "item": {**added, "status": "completed", "content": [part]},
        },
    ]


def test_vector_019_marked_system_blocks_become_a_developer_message_with_breakpoints() -> None:
    body = encoded(request(instructions=THREE_BLOCKS, turns=(USER,)), target(compat=EXPLICIT_CACHE))
    assert "instructions" not in body
    first = body["input"][0]
    assert first["role"] == "developer"
    assert [part["text"] for part in first["content"]] == ["a", "b", "c"]
    assert [part.get("prompt_cache_breakpoint") for part in first["content"]] == [
        {"mode": "explicit"},
        None,
        {"mode": "explicit", "ttl": "12h"},
    ]


def test_vector_019_without_explicit_caching_the_blocks_stay_apart_and_the_marks_are_listed() -> None:
    out = CLIENT.encode_request(request(instructions=THREE_BLOCKS, turns=(USER,)), target(compat={}))
    content = json.loads(out.body)["input"][0]["content"]
    assert content == [{"type": "input_text", "text": text} for text in "abc"]
    assert out.dropped == ("system[0].cache_control", "system[2].cache_control")


def test_vector_028_a_call_and_its_output_share_a_legal_id() -> None:
    call = ToolCallBlock(id="call_ab|cd+/=", name="f")
    result = ToolResultBlock(call_id="call_ab|cd+/=", content=(TextBlock(text="ok"),))
    body = encoded(
        request(turns=(USER, Turn(role="assistant", blocks=(call,)), Turn(role="tool", blocks=(result,))))
    )
    asked, given = body["input"][1:]
    assert asked["call_id"] == given["call_id"]
    assert asked["call_id"].replace("_", "").isalnum()


def _thinking(opaque: Opaque | None) -> Turn:
    return Turn(
        role="assistant",
        blocks=(
            # An Anthropic client does not say whether thinking is a summary.
            ReasoningBlock(text="why", opaque=opaque, at="messages[1].content[0]"),
            ToolCallBlock(id="call_1", name="f", arguments="{}", item_id="fc_9"),
        ),
    )


def test_vector_031_reasoning_with_its_blob_goes_back_unchanged_with_its_id() -> None:
    opaque = Opaque(kind="openai_encrypted", data="gAAA+/=", item_id="rs_1")
    reasoning, call = encoded(request(turns=(USER, _thinking(opaque))))["input"][1:3]
    assert reasoning == {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "why"}],
        "encrypted_content": "gAAA+/=",
    }
    assert call["id"] == "fc_9"


def test_vector_031_reasoning_without_a_blob_is_dropped() -> None:
    out = CLIENT.encode_request(request(turns=(USER, _thinking(None))), target())
    assert b"reasoning_" not in out.body.replace(b"reasoning.encrypted_content", b"")
    assert [item.get("type") for item in json.loads(out.body)["input"][1:]] == [
        "function_call",
        "function_call_output",
    ]
    assert out.dropped == ("messages[1].content[0]",)


def test_vector_032_a_repeat_after_a_refused_blob_has_no_reasoning_and_no_ids_tied_to_it() -> None:
    error = CLIENT.decode_error(
        400,
        {},
        b'{"error":{"message":"The encrypted content gAAA could not be verified.",'
        b'"type":"invalid_request_error","code":"invalid_encrypted_content","param":null}}',
    )
    opaque = Opaque(kind="openai_encrypted", data="gAAA", item_id="rs_1")
    body = CLIENT.encode_request(request(turns=(USER, _thinking(opaque))), target()).body
    mended = CLIENT.mend(body, error)
    assert mended == without_reasoning(body)
    repeated = json.loads(mended)
    assert [item.get("type") for item in repeated["input"]] == [None, "function_call", "function_call_output"]
    assert all("id" not in item for item in repeated["input"])
    del repeated["input"]
    assert repeated == {name: value for name, value in json.loads(body).items() if name != "input"}


@pytest.mark.parametrize("kind", ["anthropic_signature", "reasoning_details", "gemini_signature"])
def test_vector_033_thinking_of_another_provider_leaves_no_trace(kind: Any) -> None:
    out = CLIENT.encode_request(
        request(turns=(USER, _thinking(Opaque(kind=kind, data="x", item_id="rs_1")))), target()
    )
    assert b"rs_1" not in out.body
    assert b"fc_9" not in out.body
    assert out.dropped == ("messages[1].content[0]",)


PATCH = Tool(
    kind="custom",
    name="apply_patch",
    description="d",
    grammar={"type": "grammar", "grammar": {"syntax": "lark", "definition": "start: X"}},
    words={"grammar": "custom.format"},
    at="tools[0]",
)


def test_vector_036_a_grammar_tool_stays_one_where_the_upstream_takes_it() -> None:
    assert encoded(request(tools=(PATCH,), turns=(USER,)))["tools"] == [
        {
            "type": "custom",
            "name": "apply_patch",
            "description": "d",
            "format": {"type": "grammar", "syntax": "lark", "definition": "start: X"},
        }
    ]


def test_vector_036_elsewhere_it_becomes_a_function_and_its_calls_are_unwrapped() -> None:
    out = CLIENT.encode_request(request(tools=(PATCH,), turns=(USER,)), target(compat={}))
    (tool,) = json.loads(out.body)["tools"]
    assert (tool["type"], tool["parameters"]["required"], tool["strict"]) == ("function", ["input"], False)
    assert out.dropped == ("tools[0].custom.format",)
    patch = '*** Begin Patch\n"x"'
    item = {**CALL_DONE["item"], "name": "apply_patch", "arguments": json.dumps({"input": patch})}
    message = message_of([CREATED, {**CALL_DONE, "item": item}, COMPLETED], out.names)
    assert message.blocks == (
        ToolCallBlock(id="call_1", name="apply_patch", arguments=patch, custom=True, item_id="fc_1"),
    )


def test_vector_037_a_namespace_is_flattened_and_restored_in_the_answer() -> None:
    tool = Tool(name="get", namespace="crm")
    out = CLIENT.encode_request(request(tools=(tool,), turns=(USER,)), target())
    assert json.loads(out.body)["tools"][0]["name"] == "crm__get"
    message = message_of(
        [CREATED, {**CALL_DONE, "item": {**CALL_DONE["item"], "name": "crm__get"}}, COMPLETED], out.names
    )
    (call,) = message.blocks
    assert isinstance(call, ToolCallBlock)
    assert (call.namespace, call.name) == ("crm", "get")


@pytest.mark.parametrize(
    "vector", [pytest.param("038", id="test_vector_038"), pytest.param("101", id="test_vector_101")]
)
def test_vector_101_a_tool_without_strict_says_so_and_keeps_its_required_list(vector: str) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
        "required": ["a"],
    }
    (tool,) = encoded(request(tools=(Tool(name="f", schema=schema),), turns=(USER,)))["tools"]
    assert tool == {"type": "function", "name": "f", "parameters": schema, "strict": False}


def test_vector_041_an_instruction_amid_the_conversation_keeps_its_place_and_rank() -> None:
    aside = Turn(role="system", blocks=(TextBlock(text="be brief"),))
    body = encoded(request(turns=(USER, aside, USER)))
    assert [item["role"] for item in body["input"]] == ["user", "developer", "user"]


def test_vector_047_a_lone_surrogate_never_reaches_the_wire() -> None:
    tool = Tool(name="f", description="\ud83d", schema={"type": "object", "properties": {}})
    out = CLIENT.encode_request(
        request(turns=(Turn(role="user", blocks=(TextBlock(text="a\ud83d"),)),), tools=(tool,)), target()
    )
    assert json.loads(out.body)["input"][0]["content"][0]["text"] == "a\ufffd"
    assert json.loads(out.body)["tools"][0]["description"] == "\ufffd"


def test_vector_050_more_than_one_answer_is_refused() -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        encoded(request(n=2, turns=(USER,), paths={"n": "n"}))
    assert caught.value.param == "n"


def test_vector_051_the_answer_is_cut_before_the_stop_string_wherever_the_deltas_split_it() -> None:
    out = CLIENT.encode_request(request(stop=("END",), turns=(USER,)), target())
    assert out.stop_here == ("END",)
    assert not out.dropped
    assert b"END" not in out.body
    events = decode(sse([CREATED, *text_events("one E", "N", "D two"), COMPLETED]))
    stop = StopFilter(out.stop_here)
    heard = [each for event in events for each in stop.feed(event)]
    message = fold(heard)
    assert stop.done
    assert message.blocks == (TextBlock(text="one "),)
    assert message.finish == Finish(reason="stop_sequence", stop_sequence="END")


def test_vector_069_a_call_whose_item_is_told_only_by_the_end_still_means_tool_calls() -> None:
    added = {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**CALL_DONE["item"], "arguments": ""},
    }
    delta = {
        "type": "response.function_call_arguments.delta",
        "output_index": 0,
        "item_id": "fc_1",
        "delta": '{"a":1}',
    }
    message = message_of([CREATED, added, delta, COMPLETED, CALL_DONE])
    assert message.finish.reason == "tool_calls"
    assert message.blocks == (ToolCallBlock(id="call_1", name="f", arguments='{"a":1}', item_id="fc_1"),)


def test_vector_070_text_told_four_times_is_passed_on_once() -> None:
    events = decode(sse([CREATED, *text_events("hello", " world"), COMPLETED]))
    assert [event.text for event in events if isinstance(event, TextDelta)] == ["hello", " world"]
    assert fold(events).blocks == (TextBlock(text="hello world"),)


def test_vector_071_text_told_only_at_the_end_of_its_item_is_passed_on() -> None:
    done = text_events(whole="hello")[-1]
    assert message_of([CREATED, done, COMPLETED]).blocks == (TextBlock(text="hello"),)


def test_vector_071_arguments_told_only_by_their_done_event_are_passed_on() -> None:
    added = {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {**CALL_DONE["item"], "arguments": ""},
    }
    done = {
        "type": "response.function_call_arguments.done",
        "output_index": 0,
        "item_id": "fc_1",
        "arguments": '{"a":1}',
    }
    (call,) = message_of([CREATED, added, done, COMPLETED]).blocks
    assert isinstance(call, ToolCallBlock)
    assert call.arguments == '{"a":1}'


def test_vector_071_an_answer_told_only_by_the_terminal_event_is_passed_on() -> None:
    output = [text_events(whole="hello")[-1]["item"], CALL_DONE["item"]]
    message = message_of([CREATED, {**COMPLETED, "response": {**COMPLETED["response"], "output": output}}])
    assert [type(block) for block in message.blocks] == [TextBlock, ToolCallBlock]
    assert message.finish.reason == "tool_calls"


def test_vector_075_an_answer_cut_by_its_limit_ended_for_length() -> None:
    response = {
        **COMPLETED["response"],
        "status": "incomplete",
        "incomplete_details": {"reason": "max_output_tokens"},
    }
    message = message_of(
        [CREATED, *text_events("hel"), {"type": "response.incomplete", "response": response}]
    )
    assert message.finish == Finish(reason="length", native="incomplete.max_output_tokens")


def test_vector_087_a_rate_limit_notice_is_no_part_of_the_answer() -> None:
    notice = {"type": "codex.rate_limits", "limit_reached": True, "delta": {"odd": 1}}
    assert message_of([notice, CREATED, *text_events("hi"), COMPLETED]).blocks == (TextBlock(text="hi"),)


def test_vector_088_a_used_up_plan_says_when_it_resets_and_asks_for_no_retry() -> None:
    error = {
        "type": "error",
        "status_code": 429,
        "error": {"type": "usage_limit_reached", "message": "limit", "resets_in_seconds": 9568},
    }
    failure = failure_of(decode(sse([CREATED, error]))).error
    assert (failure.status, failure.retry_after_s, failure.should_retry) == (429, 9568, False)


@pytest.mark.parametrize("pieces", [1, 2, 3, 7])
def test_vector_091_where_the_bytes_are_split_does_not_matter(pieces: int) -> None:
    data = sse([CREATED, *text_events("héllo \U0001f600", "\u2028\u0085"), COMPLETED])
    data = data.replace(b"\\ud83d\\ude00", "\U0001f600".encode()).replace(b"\n", b"\r\n").rstrip()
    assert fold(decode(b": hi\r\n\r\n" + data, pieces=pieces)).blocks == (
        TextBlock(text="héllo \U0001f600\u2028\u0085"),
    )


def test_vector_105_two_streams_never_share_a_name() -> None:
    long_a, long_b = "a." + "x" * 80, "b." + "x" * 80
    first, second = (
        CLIENT.encode_request(request(tools=(Tool(name=name),), turns=(USER,)), target())
        for name in (long_a, long_b)
    )
    wire_a = json.loads(first.body)["tools"][0]["name"]

    def called(names: ToolNames) -> str:
        item = {**CALL_DONE["item"], "name": wire_a}
        (call,) = message_of([CREATED, {**CALL_DONE, "item": item}, COMPLETED], names).blocks
        assert isinstance(call, ToolCallBlock)
        return call.name

    assert called(first.names) == long_a
    assert called(second.names) == wire_a


def test_vector_107_a_long_name_is_restored_also_in_a_plain_answer() -> None:
    name = "mcp.server/" + "tool.with.dots" * 5
    out = CLIENT.encode_request(request(tools=(Tool(name=name),), turns=(USER,)), target())
    item = {**CALL_DONE["item"], "name": json.loads(out.body)["tools"][0]["name"]}
    body = json.dumps({**COMPLETED["response"], "output": [item]}).encode()
    (call,) = fold(CLIENT.decode_message(body, target(), out.names)).blocks
    assert isinstance(call, ToolCallBlock)
    assert call.name == name
