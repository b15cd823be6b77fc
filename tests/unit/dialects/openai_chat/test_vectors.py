"""The numbered edge cases of the dialect reference that concern chat completions.

Pairs of dialects are proved one half at a time: hub values stand on the other side.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_chat import CLIENT, RELAY, SERVER
from pi_model_proxy.errors import UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import (
    BlockStart,
    BlockStop,
    DataSource,
    Event,
    Failure,
    Finish,
    ImageBlock,
    OutputFormat,
    ReasoningBlock,
    Request,
    Start,
    TextBlock,
    TextDelta,
    Tool,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    Turn,
    Usage,
    UsageUpdate,
    fold,
    unfold,
)
from support.chat_stream import (
    body,
    call,
    chunk,
    context,
    decode,
    encoded,
    failure,
    frames,
    message,
    relayed,
    request,
    sse,
    target,
    written,
)

CALLS = Turn(
    role="assistant",
    blocks=(ToolCallBlock(id="t1", name="f", arguments="{}"), ToolCallBlock(id="t2", name="g")),
)
PNG = ImageBlock(source=DataSource("image/png", "AAAA"), at="messages[2].content[0].content[1]")
STOP = chunk({}, "stop")


def read(**fields: Any) -> Request:
    """Decode a caller's request."""
    given = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **fields}
    return SERVER.decode_request(json.dumps(given).encode())


def result(call_id: str, *content: Any, **rest: Any) -> ToolResultBlock:
    return ToolResultBlock(call_id=call_id, content=content or (TextBlock(text="ok"),), **rest)


# Requests.


def test_vector_001_a_tool_result_comes_before_the_text_beside_it() -> None:
    turns = (
        Turn(role="assistant", blocks=(ToolCallBlock(id="t1", name="f"),)),
        Turn(role="tool", blocks=(result("t1"),)),
        Turn(role="user", blocks=(TextBlock(text="go on"),)),
    )
    messages = encoded(request(*turns))["messages"]
    assert messages[1:] == [
        {"role": "tool", "tool_call_id": "t1", "content": "ok"},
        {"role": "user", "content": "go on"},
    ]


def test_vector_003_images_of_parallel_results_follow_all_tool_messages_labelled_by_call() -> None:
    turns = (CALLS, Turn(role="tool", blocks=(result("t1", TextBlock(text="a"), PNG), result("t2", PNG))))
    messages = encoded(request(*turns))["messages"]
    assert [m["role"] for m in messages] == ["assistant", "tool", "tool", "user"]
    parts = messages[3]["content"]
    assert [p["type"] for p in parts] == ["text", "image_url", "text", "image_url"]
    assert "t1" in parts[0]["text"]
    assert "t2" in parts[2]["text"]
    assert parts[1]["image_url"] == {"url": "data:image/png;base64,AAAA"}


def test_vector_004_two_tool_messages_become_results_of_the_same_assistant_turn() -> None:
    calls = [{"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ("a", "b")]
    hub = read(
        messages=[
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": "a", "content": "1"},
            {"role": "tool", "tool_call_id": "b", "content": "2"},
        ]
    )
    results = [block for turn in hub.turns if turn.role == "tool" for block in turn.blocks]
    assert [block.call_id for block in results if isinstance(block, ToolResultBlock)] == ["a", "b"]


def test_vector_005_an_unanswered_call_gets_an_error_result_before_the_users_text() -> None:
    turns = (
        CALLS,
        Turn(role="tool", blocks=(result("t1"),)),
        Turn(role="user", blocks=(TextBlock(text="go"),)),
    )
    messages = encoded(request(*turns))["messages"]
    assert [(m["role"], m["content"]) for m in messages[1:]] == [
        ("tool", "ok"),
        ("tool", "[tool error] No result provided"),
        ("user", "go"),
    ]


def test_vector_006_empty_content_beside_calls_makes_no_text_block() -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    hub = read(messages=[{"role": "assistant", "content": "", "tool_calls": calls}])
    assert [type(block) for block in hub.turns[0].blocks] == [ToolCallBlock]


@pytest.mark.parametrize("arguments", ["", "{bad"])
def test_vector_008_arguments_are_kept_as_written(arguments: str) -> None:
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}]
    block = read(messages=[{"role": "assistant", "tool_calls": calls}]).turns[0].blocks[0]
    assert isinstance(block, ToolCallBlock)
    assert block.arguments == arguments


def test_vector_009_only_parallel_tool_calls_says_nothing_of_a_choice() -> None:
    hub = read(parallel_tool_calls=False)
    assert (hub.parallel_tools, hub.tool_choice) == (False, None)


def test_vector_010_none_with_parallel_off_stays_none() -> None:
    hub = read(parallel_tool_calls=False, tool_choice="none")
    assert (hub.parallel_tools, hub.tool_choice) == (False, ToolChoice(mode="none"))


def test_vector_016_max_tokens_becomes_max_completion_tokens() -> None:
    sent = encoded(request(max_output=8000), target(reasoning=True, hosted_by_vendor=True))
    assert sent["max_completion_tokens"] == 8000
    assert "max_tokens" not in sent


def test_vector_016_a_relayed_request_is_renamed_too() -> None:
    raw = b'{"model":"x","messages":[],"max_tokens":8000}'
    sent = body(RELAY.encode_request(raw, target(reasoning=True, hosted_by_vendor=True), {}).body)
    assert sent == {"model": "acme-1", "messages": [], "max_completion_tokens": 8000}


def test_vector_017_a_json_schema_is_read_without_its_wrapper() -> None:
    schema = {"type": "object", "properties": {}}
    hub = read(
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": schema, "strict": True},
        }
    )
    assert hub.output == OutputFormat(kind="schema", schema=schema, name="n", strict=True)


def test_vector_030_calls_that_share_an_id_get_two_short_ones() -> None:
    long_id = "call_" + "x" * 60
    calls = (
        ToolCallBlock(id=long_id, name="f", item_id="fc_1"),
        ToolCallBlock(id=long_id, name="g", item_id="fc_2"),
    )
    turns = (
        Turn(role="assistant", blocks=calls),
        Turn(role="tool", blocks=(result(long_id), result(long_id))),
    )
    messages = encoded(request(*turns))["messages"]
    ids = [each["id"] for each in messages[0]["tool_calls"]]
    assert len(set(ids)) == 2
    assert all(len(each) <= 40 for each in ids)
    assert [each["tool_call_id"] for each in messages[1:]] == ids


PATCH = Tool(kind="custom", name="apply_patch", grammar={"syntax": "lark", "definition": "x"}, at="tools[0]")


def test_vector_036_a_custom_tool_goes_out_as_a_function_and_comes_back_as_text() -> None:
    outgoing = CLIENT.encode_request(request(tools=(PATCH,)), target())
    function = body(outgoing.body)["tools"][0]
    assert function["type"] == "function"
    assert function["function"]["parameters"]["properties"].keys() == {"input"}
    arguments = json.dumps({"input": "*** Begin Patch\n"})
    stream = [
        call(0, id="c", type="function", name="apply_patch", arguments=arguments[:9]),
        call(0, arguments=arguments[9:]),
        chunk({}, "tool_calls"),
    ]
    (block,) = message(*stream, names=outgoing.names).blocks
    assert isinstance(block, ToolCallBlock)
    assert (block.custom, block.name, block.arguments) == (True, "apply_patch", "*** Begin Patch\n")


def test_vector_037_a_namespaced_tool_is_flattened_and_restored() -> None:
    outgoing = CLIENT.encode_request(request(tools=(Tool(name="get", namespace="crm"),)), target())
    assert body(outgoing.body)["tools"][0]["function"]["name"] == "crm__get"
    (block,) = message(
        call(0, id="c", name="crm__get", arguments="{}"), chunk({}, "tool_calls"), names=outgoing.names
    ).blocks
    assert isinstance(block, ToolCallBlock)
    assert (block.name, block.namespace) == ("get", "crm")


def test_vector_038_absent_strict_stays_absent() -> None:
    sent = encoded(request(tools=(Tool(name="f"),)), target(compat={"supportsStrictMode": True}))
    assert "strict" not in sent["tools"][0]["function"]


SEARCH = Tool(kind="server", name="web_search", dialect="anthropic_messages", raw="{}", at="tools[1]")


def test_vector_042_a_hosted_tool_is_removed_and_listed() -> None:
    outgoing = CLIENT.encode_request(request(tools=(Tool(name="f", at="tools[0]"), SEARCH)), target())
    assert [tool["function"]["name"] for tool in body(outgoing.body)["tools"]] == ["f"]
    assert outgoing.dropped == ("tools[1]",)


@pytest.mark.parametrize(
    "hub",
    [
        request(tools=(SEARCH,)),
        request(tools=(Tool(name="f"), SEARCH), tool_choice=ToolChoice(mode="named", names=("web_search",))),
    ],
    ids=["the only tool", "forced"],
)
def test_vector_042_a_hosted_tool_that_is_essential_is_refused(hub: Request) -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        CLIENT.encode_request(hub, target())
    assert caught.value.param == "tools[1]"


def test_vector_042_in_strict_mode_it_is_refused() -> None:
    with pytest.raises(UnsupportedFeature):
        CLIENT.encode_request(request(tools=(Tool(name="f"), SEARCH)), target(strict=True))


def test_vector_045_deepseek_gets_reasoning_content_on_every_assistant_message() -> None:
    compat = {"requiresReasoningContentOnAssistantMessages": True}
    turns = (CALLS, Turn(role="tool", blocks=(result("t1"), result("t2"))))
    assert (
        encoded(request(*turns), target(reasoning=True, compat=compat))["messages"][0]["reasoning_content"]
        == ""
    )


def test_vector_047_a_lone_surrogate_becomes_the_replacement_character() -> None:
    raw = b'{"model":"m","messages":[{"role":"user","content":"a\\ud83d b"}]}'
    (block,) = SERVER.decode_request(raw).turns[0].blocks
    assert isinstance(block, TextBlock)
    assert block.text == "a\ufffd b"


def test_vector_049_a_system_only_conversation_has_instructions_and_no_turns() -> None:
    hub = read(messages=[{"role": "system", "content": "be brief"}])
    assert [block.text for block in hub.instructions] == ["be brief"]
    assert hub.turns == ()


def test_vector_050_two_answers_at_once_are_refused() -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        CLIENT.encode_request(read(n=2), target())
    assert caught.value.param == "n"


def test_vector_102_a_tools_own_type_does_not_leak_into_its_schema() -> None:
    sent = encoded(request(tools=(Tool(name="f", schema={"type": "object"}),)))
    assert sent["tools"][0]["function"]["parameters"]["type"] == "object"


def test_vector_107_illegal_tool_names_are_restored_in_streams_and_plain_answers() -> None:
    name = "mcp.server/tool.with.dots" + "x" * 45
    outgoing = CLIENT.encode_request(request(tools=(Tool(name=name),)), target())
    wire = body(outgoing.body)["tools"][0]["function"]["name"]
    assert len(wire) <= 64
    assert wire.replace("_", "").replace("-", "").isalnum()
    streamed = message(
        call(0, id="c", name=wire, arguments="{}"), chunk({}, "tool_calls"), names=outgoing.names
    )
    said = {"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": wire, "arguments": "{}"}}]}
    plain = json.dumps({"choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}]}).encode()
    whole = fold(CLIENT.decode_message(plain, target(), outgoing.names))
    assert [
        block.name for block in (*streamed.blocks, *whole.blocks) if isinstance(block, ToolCallBlock)
    ] == [
        name,
        name,
    ]


# Answers read.


def test_vector_055_a_usage_chunk_at_the_end_is_counted() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
    assert message(chunk({"content": "hi"}), STOP, chunk(usage=usage)).usage == Usage(input=9, output=2)


def test_vector_056_azures_first_chunk_is_ignored() -> None:
    first = chunk(prompt_filter_results=[{"prompt_index": 0}])
    decoder = CLIENT.stream_decoder(target(), ToolNames())
    assert decoder.feed(sse([first], done=False)) == []
    assert message(first, chunk({"content": "hi"}), STOP).blocks == (TextBlock(text="hi"),)


def test_vector_057_thinking_closes_before_text_opens() -> None:
    events = decode(sse([chunk({"reasoning_content": "hm"}), chunk({"content": "hi"}), STOP]))
    kinds = [type(e) for e in events if isinstance(e, Start | BlockStart | BlockStop)]
    assert kinds == [Start, BlockStart, BlockStop, BlockStart, BlockStop]
    starts = [event.block for event in events if isinstance(event, BlockStart)]
    assert [type(block) for block in starts] == [ReasoningBlock, TextBlock]


def test_vector_058_text_after_a_tool_call_opens_a_new_block() -> None:
    blocks = message(call(0, id="c", name="f", arguments='{"a":1}'), chunk({"content": "and"}), STOP).blocks
    assert [type(block) for block in blocks] == [ToolCallBlock, TextBlock]


def test_vector_059_one_delta_with_both_puts_thinking_first() -> None:
    blocks = message(chunk({"content": "hi", "reasoning_content": "hm"}), STOP).blocks
    assert [type(block) for block in blocks] == [ReasoningBlock, TextBlock]


def test_vector_060_equal_reasoning_fields_are_read_once() -> None:
    (block, *_rest) = message(chunk({"reasoning": "hm", "reasoning_content": "hm"}), STOP).blocks
    assert isinstance(block, ReasoningBlock)
    assert block.text == "hm"


def test_vector_061_interleaved_fragments_become_blocks_in_sequence() -> None:
    stream = [
        call(0, id="a", name="f", arguments=""),
        call(1, id="b", name="g", arguments=""),
        call(0, arguments='{"x":'),
        call(1, arguments='{"y":'),
        call(0, arguments="1}"),
        call(1, arguments="2}"),
        chunk({}, "tool_calls"),
    ]
    blocks = [block for block in message(*stream).blocks if isinstance(block, ToolCallBlock)]
    assert [(block.id, block.arguments) for block in blocks] == [("a", '{"x":1}'), ("b", '{"y":2}')]


def test_vector_062_cached_tokens_are_taken_out_of_the_prompt() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 75}}
    assert message(chunk({"content": "x"}), chunk({}, "stop", usage=usage)).usage == Usage(
        input=25, cache_read=75, output=1
    )


def test_vector_066_calls_with_the_same_index_are_told_apart() -> None:
    stream = [call(0, id=i, name="f", arguments="{}") for i in ("a", "b", "c")]
    blocks = [
        block for block in message(*stream, chunk({}, "stop")).blocks if isinstance(block, ToolCallBlock)
    ]
    assert [block.id for block in blocks] == ["a", "b", "c"]


def test_vector_066_calls_without_ids_get_distinct_ones() -> None:
    stream = [call(None, name="f", arguments="{}") for _ in range(3)]
    blocks = [
        block for block in message(*stream, chunk({}, "stop")).blocks if isinstance(block, ToolCallBlock)
    ]
    assert len({block.id for block in blocks}) == 3


def test_vector_067_stop_after_a_call_means_tool_calls() -> None:
    assert message(call(0, id="a", name="f", arguments="{}"), STOP).finish.reason == "tool_calls"


def test_vector_067_a_call_announced_but_not_made_is_a_stop() -> None:
    assert message(chunk({"content": "x"}), chunk({}, "tool_calls")).finish.reason == "stop"


def test_vector_078_a_stream_without_finish_reason_is_broken() -> None:
    for done in (True, False):
        events = decode(sse([chunk({"content": "half"})], done=done))
        assert isinstance(events[-1], Failure)
        assert not any(isinstance(event, Finish) for event in events)


def test_vector_080_a_signature_that_repeats_the_text_does_not_double_it() -> None:
    signed = {"thinking_blocks": [{"type": "thinking", "thinking": "hmm", "signature": "SIG"}]}
    (block, _text) = message(
        chunk({"reasoning_content": "hm"}),
        chunk({"reasoning_content": "m"}),
        chunk(signed),
        chunk({"content": "x"}),
        STOP,
    ).blocks
    assert isinstance(block, ReasoningBlock)
    assert block.opaque is not None
    assert (block.text, block.opaque.kind, block.opaque.data) == ("hmm", "anthropic_signature", "SIG")


def test_vector_080_a_signature_alone_opens_a_block() -> None:
    signed = {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "SIG"}]}
    (block,) = message(chunk(signed), STOP).blocks
    assert isinstance(block, ReasoningBlock)
    assert block.text == ""
    assert block.opaque is not None


def test_vector_082_only_reasoning_is_an_answer() -> None:
    answer = message(chunk({"reasoning_text": "hm"}), STOP)
    assert [type(block) for block in answer.blocks] == [ReasoningBlock]
    assert answer.finish.reason == "stop"


def test_vector_083_a_responses_object_is_named_as_such() -> None:
    raw = b'{"object":"response","id":"resp_1","output":[]}'
    (event,) = CLIENT.decode_message(raw, target(), ToolNames())
    assert isinstance(event, Failure)
    assert "openai-responses" in event.error.message
    sent, facts = RELAY.message(raw, context())
    assert (sent, facts.done) == (b"", False)
    assert facts.failure is not None


def test_vector_100_one_chunk_with_everything_is_read_in_order() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 1}
    events = decode(sse([chunk({"content": "hi"}, "stop", usage=usage)]))
    assert [type(event) for event in events] == [Start, BlockStart, TextDelta, UsageUpdate, BlockStop, Finish]


def test_vector_105_two_streams_share_nothing() -> None:
    one, two = (CLIENT.stream_decoder(target(), ToolNames()) for _ in range(2))
    streams = [sse([call(0, id=i, name=f"tool_{i}", arguments="{}"), STOP]) for i in ("one", "two")]
    told: dict[str, str] = {"one": "", "two": ""}
    for position in range(max(map(len, streams))):
        for name, decoder, stream in (("one", one, streams[0]), ("two", two, streams[1])):
            told[name] += repr(decoder.feed(stream[position : position + 1]))
    assert "two" not in told["one"]
    assert "one" not in told["two"].replace("None", "")


def test_vector_106_merged_arguments_are_an_error_not_a_call() -> None:
    stream = sse([call(0, id="a", name="f", arguments='{"a":1}{"b":2}'), chunk({}, "tool_calls")])
    assert "merged" in failure(stream).error.message


# Answers written.


def answer(*blocks: Any, reason: Any = "stop", usage: Usage | None = None) -> list[Any]:
    events: list[Any] = [Start(id="msg_1", model="claude")]
    for index, block in enumerate(blocks):
        events += [BlockStart(index=index, block=block), BlockStop(index)]
    return [*events, UsageUpdate(usage or Usage()), Finish(reason=reason)]


def test_vector_063_disjoint_counts_add_up_to_the_prompt() -> None:
    usage = Usage(input=88, cache_write_5m=21002, cache_read=120269, output=4156)
    told = written(answer(TextBlock(text=""), usage=usage), wants_usage=True)[-2]["usage"]
    assert told["prompt_tokens"] == 141359
    assert told["prompt_tokens_details"]["cached_tokens"] == 120269
    assert told["total_tokens"] == 145515


def test_vector_064_block_indexes_do_not_leak() -> None:
    events = answer(
        ReasoningBlock(), TextBlock(text=""), ToolCallBlock(id="t", name="f"), reason="tool_calls"
    )
    told = written(events)
    choices = [choice for each in told[:-1] for choice in each["choices"]]
    assert {choice["index"] for choice in choices} == {0}
    calls = [each for choice in choices for each in choice["delta"].get("tool_calls", [])]
    assert {each["index"] for each in calls} == {0}


def test_vector_065_a_call_without_arguments_has_an_empty_object() -> None:
    told = written(answer(ToolCallBlock(id="t", name="f"), reason="tool_calls"))
    parts = [
        c for each in told[:-1] for choice in each["choices"] for c in choice["delta"].get("tool_calls", [])
    ]
    assert "".join(part["function"]["arguments"] for part in parts) == "{}"


def test_vector_068_a_blocked_prompt_still_has_a_message() -> None:
    events: list[Event] = [Start(), Finish(reason="content_filter")]
    told = json.loads(SERVER.encode_message(fold(events), context()))
    assert told["choices"][0]["finish_reason"] == "content_filter"
    assert told["choices"][0]["message"]["content"] == ""


def test_vector_069_the_finish_follows_the_calls_that_were_made() -> None:
    told = written(answer(ToolCallBlock(id="t", name="f"), reason="stop"))
    assert told[-2]["choices"][0]["finish_reason"] == "tool_calls"


def test_vector_084_usage_comes_only_when_asked_for() -> None:
    events = answer(TextBlock(text=""))
    unasked = written(events)
    assert all(each["choices"] and "usage" not in each for each in unasked[:-1])
    asked = written(events, wants_usage=True)
    assert [each["usage"] for each in asked[:-2]] == [None] * (len(asked) - 2)
    assert asked[-2]["choices"] == []
    assert asked[-2]["usage"]["total_tokens"] == 0
    assert asked[-1] == "[DONE]"


def test_vector_089_an_overflow_is_told_in_openais_words() -> None:
    error = UpstreamError(
        "prompt is too long: 213462 tokens > 200000 maximum",
        status=400,
        kind="context_too_long",
        family="anthropic",
        native_type="invalid_request_error",
    )
    told = SERVER.encode_error(error, "req_1")
    words = json.loads(told.body)["error"]
    assert told.status == 400
    assert words["code"] == "context_length_exceeded"
    assert "maximum context length is 200000 tokens" in words["message"]
    assert "213462" in words["message"]


def test_vector_090_anthropics_529_becomes_503_with_its_retry_after() -> None:
    error = UpstreamError("Overloaded", status=529, kind="overloaded", family="anthropic", retry_after_s=7)
    told = SERVER.encode_error(error, "req_1")
    assert (told.status, told.headers["retry-after"]) == (503, "7")


def test_vector_092_a_sign_of_life_is_a_comment() -> None:
    for ping in (SERVER.stream_encoder(context()).ping(), RELAY.stream_pipe(context()).ping()):
        assert ping.startswith(b":")
        assert ping.endswith(b"\n\n")
        assert b"event" not in ping


# Relayed.

BROKEN_CHUNKS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("tool_calls null", chunk({"content": "x", "tool_calls": None}), {"content": "x"}),
    ("an empty role", chunk({"role": "", "content": "x"}), {"content": "x"}),
    (
        "a missing index",
        call(None, id="c", type="function", name="f", arguments="{}"),
        {"tool_calls": [{"id": "c", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}"}}]},
    ),
    (
        "a missing type",
        call(0, id="c", name="f", arguments=""),
        {"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}, "type": "function"}]},
    ),
    (
        "arguments as an object",
        call(0, id="c", type="function", name="f", arguments={"a": 1}),
        {"tool_calls": [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]},
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "delta"), [case[1:] for case in BROKEN_CHUNKS], ids=[case[0] for case in BROKEN_CHUNKS]
)
def test_vector_085_a_chunk_that_breaks_sdks_is_put_right(
    broken: dict[str, Any], delta: dict[str, Any]
) -> None:
    told, _pipe = relayed(sse([broken, STOP]))
    assert frames(told)[0]["choices"] == [{"index": 0, "delta": delta, "finish_reason": None}]


def test_vector_085_choices_null_become_an_array() -> None:
    told, _pipe = relayed(sse([{**chunk(), "choices": None}, chunk({"content": "x"}), STOP]))
    assert frames(told)[0]["choices"] == []


def test_vector_085_repeated_ids_and_names_are_sent_once() -> None:
    stream = [
        call(0, id="c", type="function", name="f", arguments='{"a"'),
        call(0, id="c", type="function", name="f", arguments=":1}"),
        chunk({}, "tool_calls"),
    ]
    told, _pipe = relayed(sse(stream))
    fragment = frames(told)[1]["choices"][0]["delta"]["tool_calls"][0]
    assert fragment == {"index": 0, "function": {"arguments": ":1}"}}


def test_vector_085_a_valid_chunk_keeps_its_bytes() -> None:
    raw = b'{"id":"x", "choices":[ {"index":0,"delta":{"content":"\\u003ca>"},"finish_reason":null} ],"model":"acme-1","z":1}'
    told, _pipe = relayed(sse([raw, STOP]))
    assert told.startswith(b"data: " + raw.replace(b'"model":"acme-1"', b'"model":"acme/acme-1"') + b"\n\n")


def test_vector_091_bytes_split_anywhere_give_the_same_events() -> None:
    text = 'ä🙂\u2028"'.encode()
    crlf = sse([chunk({"content": text.decode()}), STOP]).replace(b"\n", b"\r\n")
    stream = b": ping\r\n\r\n" + crlf.removesuffix(b"\r\n")
    whole = decode(stream)
    for position in range(len(stream)):
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        split = [*decoder.feed(stream[:position]), *decoder.feed(stream[position:]), *decoder.close()]
        assert split == whole


def test_vector_097_what_is_relayed_keeps_every_other_byte() -> None:
    raw = (
        b'{ "messages" : [ {"role":"user","content":"\\u003chi\\u003e"} ], "zeta":{"b":1, "a":2},"model":"m"}'
    )
    sent = RELAY.encode_request(raw, target(), {}).body
    assert b'[ {"role":"user","content":"\\u003chi\\u003e"} ]' in sent
    assert b'{"b":1, "a":2}' in sent


def test_vector_099_the_folded_stream_is_the_plain_answer() -> None:
    stream = [
        chunk({"reasoning_content": "hm"}),
        chunk({"content": "hi"}),
        call(0, id="a", name="f", arguments="{}"),
        chunk({}, "tool_calls"),
    ]
    said = {
        "role": "assistant",
        "content": "hi",
        "reasoning_content": "hm",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    plain = {**chunk(), "choices": [{"index": 0, "message": said, "finish_reason": "tool_calls"}]}
    whole = fold(CLIENT.decode_message(json.dumps(plain).encode(), target(), ToolNames()))
    assert whole == message(*stream)
    encoder = SERVER.stream_encoder(context())
    again = b"".join(encoder.feed(event) for event in unfold(whole))
    assert fold(decode(again)).blocks == whole.blocks
