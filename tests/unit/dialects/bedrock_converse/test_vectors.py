"""The numbered vectors of dialects.md §10 that concern Bedrock, from and to a caller's own bytes."""

from __future__ import annotations

import json
import re
from typing import Any

from pi_model_proxy.dialects import anthropic_messages, openai_chat
from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.bedrock_converse import CLIENT
from pi_model_proxy.hub import Tool, ToolCallBlock, UsageUpdate
from support.kind_streams import decode, encoded, event_frame, message_of, request, target

CLAUDE = target(CLIENT, model="us.anthropic.claude-haiku-4-5-20251001-v1:0", reasoning=True)
PNG = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "iVBORw0KGgo="}}

Json = dict[str, Any]


def from_messages(*messages: Json, **fields: Any) -> Json:
    body = {"model": "m", "max_tokens": 100, "messages": messages, **fields}
    return encoded(CLIENT, anthropic_messages.SERVER.decode_request(json.dumps(body).encode()), CLAUDE)[0]


def from_chat(*messages: Json, **fields: Any) -> Json:
    body = {"model": "m", "messages": messages or [{"role": "user", "content": "hi"}], **fields}
    return encoded(CLIENT, openai_chat.SERVER.decode_request(json.dumps(body).encode()), CLAUDE)[0]


def test_vector_046_pictures_of_an_error_come_after_all_results() -> None:
    uses: list[Json] = [{"type": "tool_use", "id": each, "name": "f", "input": {}} for each in ("t1", "t2")]
    failed = {
        "type": "tool_result",
        "tool_use_id": "t1",
        "is_error": True,
        "content": [{"type": "text", "text": "no"}, PNG],
    }
    content = from_messages(
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": uses},
        {"role": "user", "content": [failed, {"type": "tool_result", "tool_use_id": "t2", "content": "ok"}]},
    )["messages"][2]["content"]
    assert [next(iter(block)) for block in content] == ["toolResult", "toolResult", "text", "image"]
    assert content[0]["toolResult"]["status"] == "error"
    assert {next(iter(part)) for part in content[0]["toolResult"]["content"]} == {"text"}


def test_vector_103_a_schema_is_a_json_text() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}
    written = from_chat(response_format=form)["outputConfig"]["textFormat"]
    assert written["type"] == "json_schema"
    assert json.loads(written["structure"]["jsonSchema"]["schema"]) == schema


def test_vector_104_one_finish_chunk_and_then_the_metadatas_numbers() -> None:
    data = (
        event_frame("messageStart", role="assistant")
        + event_frame("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"text": "hm"}})
        + event_frame("contentBlockStop", contentBlockIndex=0)
        + event_frame("contentBlockDelta", contentBlockIndex=1, delta={"text": "So."})
        + event_frame("contentBlockStop", contentBlockIndex=1)
        + event_frame("messageStop", stopReason="end_turn")
        + event_frame("metadata", usage={"inputTokens": 11, "outputTokens": 7, "totalTokens": 18})
    )
    context = AnswerContext(model="m", answer_id="x", created=1, wants_usage=True, target=CLAUDE)
    encoder = openai_chat.SERVER.stream_encoder(context)
    out = b"".join(encoder.feed(event) for event in decode(CLIENT, data, goes_to=CLAUDE))
    chunks = [json.loads(line[6:]) for line in out.splitlines() if line.startswith(b"data: {")]
    finishes = [
        number
        for number, chunk in enumerate(chunks)
        if any(choice.get("finish_reason") for choice in chunk["choices"])
    ]
    counted = [number for number, chunk in enumerate(chunks) if chunk.get("usage")]
    assert len(finishes) == 1
    assert counted == [len(chunks) - 1]
    assert finishes[0] < counted[0]
    assert (chunks[-1]["usage"]["prompt_tokens"], chunks[-1]["usage"]["completion_tokens"]) == (11, 7)


def test_vector_004_two_results_are_one_user_message() -> None:
    function = {"name": "f", "arguments": "{}"}
    messages = from_chat(
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "tool_calls": [{"id": each, "type": "function", "function": function} for each in ("a", "b")],
        },
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
    )["messages"]
    assert [block["toolResult"]["toolUseId"] for block in messages[2]["content"]] == ["a", "b"]


def test_vector_008_arguments_are_always_an_object() -> None:
    for arguments, expected in (("", {}), ("{bad", {"_raw": "{bad"})):
        call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
        messages = from_chat(
            {"role": "user", "content": "hi"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
        )["messages"]
        assert messages[1]["content"][0]["toolUse"]["input"] == expected


def test_vector_011_a_demanded_call_becomes_auto_while_claude_thinks() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    body = from_chat(tools=[tool], tool_choice="required", reasoning_effort="low")
    assert body["toolConfig"]["toolChoice"] == {"auto": {}}


def test_vector_015_a_budget_is_below_the_limit_with_room_for_an_answer() -> None:
    body = from_chat(reasoning_effort="high", max_tokens=1000)
    budget = body["additionalModelRequestFields"]["thinking"]["budget_tokens"]
    assert 1024 <= budget <= body["inferenceConfig"]["maxTokens"] - 1024


def test_vector_020_points_are_placed_for_callers_without_marks() -> None:
    body = b'{"model":"m","messages":[{"role":"system","content":"s"},{"role":"user","content":"hi"}]}'
    goes_to = target(CLIENT, model=CLAUDE.model, auto_cache=True)
    sent = encoded(CLIENT, openai_chat.SERVER.decode_request(body), goes_to)[0]
    assert "cachePoint" in sent["system"][-1]
    assert "cachePoint" in sent["messages"][-1]["content"][-1]


def test_vector_048_a_message_of_blanks_is_not_sent() -> None:
    messages = from_messages({"role": "user", "content": "hi"}, {"role": "user", "content": "   "})[
        "messages"
    ]
    assert messages == [{"role": "user", "content": [{"text": "hi"}]}]


def test_vector_049_instructions_alone_are_a_user_message() -> None:
    assert from_chat({"role": "system", "content": "Be."})["messages"][0]["role"] == "user"


def test_vector_063_cached_tokens_are_counted_once() -> None:
    usage = {
        "inputTokens": 88,
        "cacheWriteInputTokens": 21_002,
        "cacheReadInputTokens": 120_269,
        "outputTokens": 4156,
    }
    data = event_frame("messageStop", stopReason="end_turn") + event_frame("metadata", usage=usage)
    counts = [each.usage for each in decode(CLIENT, data) if isinstance(each, UsageUpdate)][-1]
    assert (counts.total_input, counts.total) == (141_359, 145_515)


def test_vector_107_long_names_with_dots_come_back_as_they_were() -> None:
    name = "mcp.server/" + "tool.with.dots" * 4 + "x" * 3
    body, outgoing = encoded(CLIENT, request(tools=(Tool(name=name),)))
    wire = body["toolConfig"]["tools"][0]["toolSpec"]["name"]
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", wire)
    data = event_frame(
        "contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "a", "name": wire}}
    ) + event_frame("messageStop", stopReason="tool_use")
    block = message_of(CLIENT, data, names=outgoing.names).blocks[0]
    assert isinstance(block, ToolCallBlock)
    assert block.name == name
