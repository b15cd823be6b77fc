"""What an upstream's stream means, and what it means when it is not as it should be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects import lanes as lanes_module
from pi_model_proxy.dialects.names import NO_NAMES, ToolNames
from pi_model_proxy.dialects.openai_responses import CLIENT
from pi_model_proxy.dialects.openai_responses import outputs as outputs_module
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Citation,
    Event,
    Failure,
    Finish,
    Opaque,
    OpaqueDelta,
    Ping,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    Tool,
    ToolCallBlock,
    Usage,
    UsageUpdate,
    fold,
)
from support.responses_stream import CREATED, decode, failure_of, message_of, sse, target

Json = dict[str, Any]


def completed(**changes: Any) -> Json:
    response = {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-x", "output": []}
    return {"type": "response.completed", "response": {**response, **changes}}


def added(item: Json, index: int | None = 0) -> Json:
    return {"type": "response.output_item.added", "output_index": index, "item": item}


def done(item: Json, index: int | None = 0) -> Json:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def delta(kind: str, text: str, index: int | None = 0, **more: Any) -> Json:
    return {"type": f"response.{kind}.delta", "output_index": index, "delta": text, **more}


def message(text: str, item_id: str = "msg_1", **more: Any) -> Json:
    content = [{"type": "output_text", "text": text, "annotations": [], **more}]
    return {"type": "message", "id": item_id, "role": "assistant", "content": content}


def call(arguments: str, number: int = 1) -> Json:
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": f"call_{number}",
        "name": "f",
        "arguments": arguments,
    }


def thought(**changes: Any) -> Json:
    return {"type": "reasoning", "id": "rs_1", "summary": [], **changes}


SUMMARY = "reasoning_summary_text"


# The beginning.


def test_the_answer_begins_with_its_first_item_not_with_its_announcement() -> None:
    decoder = CLIENT.stream_decoder(target(), NO_NAMES)
    assert decoder.feed(sse([CREATED, {"type": "response.in_progress", "response": {}}])) == []
    assert decoder.feed(sse([added(thought())])) == [Start(id="resp_1", model="gpt-x")]


def test_an_overload_told_right_after_the_announcement_is_nothing_but_a_failure() -> None:
    failed = {
        "type": "response.failed",
        "response": {"status": "failed", "error": {"code": "server_is_overloaded", "message": "busy"}},
    }
    events = decode(sse([CREATED, failed]))
    assert len(events) == 1
    assert failure_of(events).error.kind == "overloaded"


def test_an_empty_answer_begins_and_ends() -> None:
    assert decode(sse([CREATED, completed()])) == [
        Start(id="resp_1", model="gpt-x"),
        Finish(reason="stop", native="completed"),
    ]


# Text.


def test_citations_come_by_event_or_with_the_finished_text_but_once() -> None:
    first = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 2}
    second = {"type": "file_citation", "file_id": "f", "index": 1}
    events = [
        CREATED,
        delta("output_text", "hi"),
        {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": first},
        done(message("hi", annotations=[first, second])),
        completed(),
    ]
    (text,) = message_of(events).blocks
    assert isinstance(text, TextBlock)
    assert [json.loads(each.raw) for each in text.citations] == [first, second]
    assert text.citations[0] == Citation(
        url="https://a",
        title="A",
        start=0,
        end=2,
        dialect="openai_responses",
        raw=text.citations[0].raw,
    )


def test_a_citation_that_is_none_or_of_no_text_is_passed_over() -> None:
    odd = {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": 7}
    assert message_of([CREATED, odd, delta("output_text", "hi"), odd, completed()]).blocks == (
        TextBlock(text="hi"),
    )


def test_a_refusal_is_a_block_of_its_own_and_the_reason_to_stop() -> None:
    whole = {"type": "response.refusal.done", "output_index": 0, "content_index": 1, "refusal": "cannot"}
    item = message("I ")
    item["content"].append({"type": "refusal", "refusal": "cannot"})
    answer = message_of(
        [
            CREATED,
            added({**item, "content": []}),
            delta("output_text", "I "),
            delta("refusal", "can", content_index=1),
            whole,
            done(item),
            completed(),
        ]
    )
    assert answer.blocks == (TextBlock(text="I "), RefusalBlock(text="cannot"))
    assert answer.finish.reason == "refusal"


def test_a_finished_text_that_differs_from_its_deltas_adds_nothing() -> None:
    assert message_of(
        [CREATED, delta("output_text", "hello"), done(message("hullo there")), completed()]
    ).blocks == (TextBlock(text="hello"),)


def test_empty_deltas_open_no_block() -> None:
    assert message_of([CREATED, added(message("")), delta("output_text", ""), completed()]).blocks == ()


# Thinking.


def test_summaries_are_one_block_with_their_blob() -> None:
    parts = [{"type": "summary_text", "text": text} for text in ("one", "two")]
    answer = message_of(
        [
            CREATED,
            added(thought()),
            delta(SUMMARY, "o", summary_index=0),
            delta(SUMMARY, "ne", summary_index=0),
            {"type": f"response.{SUMMARY}.done", "output_index": 0, "summary_index": 0, "text": "one"},
            delta(SUMMARY, "tw", summary_index=1),
            done(thought(summary=parts, encrypted_content="blob")),
            completed(),
        ]
    )
    assert answer.blocks == (
        ReasoningBlock(
            text="one\n\ntwo",
            summary=True,
            opaque=Opaque(kind="openai_encrypted", data="blob#3,3", item_id="rs_1"),
        ),
    )


def test_thinking_told_as_summary_and_as_content_is_passed_on_once() -> None:
    both = thought(
        summary=[{"type": "summary_text", "text": "short"}],
        content=[{"type": "reasoning_text", "text": "long and winding"}],
    )
    assert message_of([CREATED, done(both), completed()]).blocks == (
        ReasoningBlock(text="short", summary=True),
    )


def test_open_thinking_is_no_summary() -> None:
    answer = message_of(
        [CREATED, added(thought()), delta("reasoning_text", "hm"), done(thought()), completed()]
    )
    assert answer.blocks == (ReasoningBlock(text="hm", summary=False),)
    sealed = thought(content=[{"type": "reasoning_text", "text": "hm"}], encrypted_content="blob")
    (block,) = message_of([CREATED, done(sealed), completed()]).blocks
    assert isinstance(block, ReasoningBlock)
    assert block.opaque == Opaque(kind="openai_encrypted", data="blob#", item_id="rs_1")


def test_hidden_thinking_is_a_block_with_a_blob_only_and_without_one_it_is_nothing() -> None:
    hidden = thought(encrypted_content="blob")
    events = decode(sse([CREATED, added(thought()), done(hidden), done(thought(id="rs_2"), 1), completed()]))
    opaque = Opaque(kind="openai_encrypted", data="blob", item_id="rs_1")
    assert events[1:4] == [
        BlockStart(index=0, block=ReasoningBlock(summary=True)),
        OpaqueDelta(0, opaque),
        BlockStop(0),
    ]
    assert len(events) == 5


# Calls.


def test_parallel_calls_that_overlap_come_one_after_the_other() -> None:
    arguments = "function_call_arguments"
    events = decode(
        sse(
            [
                CREATED,
                added(call("", 1), 0),
                added(call("", 2), 1),
                delta(arguments, '{"a"', 0),
                delta(arguments, '{"b"', 1),
                delta(arguments, ":1}", 0),
                delta(arguments, ":2}", 1),
                done(call('{"b":2}', 2), 1),
                done(call('{"a":1}', 1), 0),
                completed(),
            ]
        )
    )
    assert fold(events).blocks == (
        ToolCallBlock(id="call_1", name="f", arguments='{"a":1}', item_id="fc_1"),
        ToolCallBlock(id="call_2", name="f", arguments='{"b":2}', item_id="fc_2"),
    )
    assert [event for event in events if isinstance(event, ArgumentsDelta) and event.index == 0] == [
        ArgumentsDelta(0, '{"a"'),
        ArgumentsDelta(0, ":1}"),
    ]


def test_a_call_without_arguments_has_none() -> None:
    assert message_of([CREATED, done(call("")), completed()]).blocks == (
        ToolCallBlock(id="call_1", name="f", item_id="fc_1"),
    )


def test_arguments_written_as_an_object_are_read_as_text() -> None:
    item = {**call(""), "arguments": {"a": 1}}
    assert message_of([CREATED, done(item), completed()]).blocks == (
        ToolCallBlock(id="call_1", name="f", arguments='{"a":1}', item_id="fc_1"),
    )


def test_arguments_rewritten_at_the_end_are_not_appended_to_those_that_were_streamed() -> None:
    streamed = [CREATED, added(call("")), delta("function_call_arguments", '{"a":1}')]
    (block,) = message_of([*streamed, done(call('{"a": 1}')), completed()]).blocks
    assert isinstance(block, ToolCallBlock)
    assert block.arguments == '{"a":1}'


def test_a_custom_call_is_one() -> None:
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "patch"}
    answer = message_of(
        [
            CREATED,
            added({**item, "input": ""}),
            delta("custom_tool_call_input", "*** "),
            {"type": "response.custom_tool_call_input.done", "output_index": 0, "input": "*** x"},
            done({**item, "input": "*** xy"}),
            completed(),
        ]
    )
    assert answer.blocks == (
        ToolCallBlock(id="call_1", name="patch", arguments="*** xy", custom=True, item_id="ctc_1"),
    )
    assert answer.finish.reason == "tool_calls"


def test_calls_without_an_id_or_with_anothers_get_one_of_their_own() -> None:
    nameless = {"type": "function_call", "name": "f"}
    items = [{**nameless, "id": "fc_7"}, nameless, nameless, {**nameless, "call_id": "fc_7"}]
    answer = message_of([CREATED, completed(output=items)])
    assert [block.id for block in answer.blocks if isinstance(block, ToolCallBlock)] == [
        "fc_7",
        "call",
        "call_2",
        "fc_7_3",
    ]


def test_arguments_of_a_call_nobody_announced_wait_for_the_call() -> None:
    early = [
        delta("function_call_arguments", "{"),
        {"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{}"},
    ]
    (block,) = message_of([CREATED, *early, done(call("{}")), completed()]).blocks
    assert isinstance(block, ToolCallBlock)
    assert block.arguments == "{}"


@pytest.mark.parametrize("arguments", ['{"a":', "", "[1]"])
def test_an_answer_that_ends_within_a_call_has_failed(arguments: str) -> None:
    events = decode(sse([CREATED, added(call("")), delta("function_call_arguments", arguments), completed()]))
    error = failure_of(events).error
    assert isinstance(error, BrokenStream)
    assert "tool call" in error.message


def test_an_answer_cut_within_a_call_ended_for_length() -> None:
    cut = completed(status="incomplete", incomplete_details={"reason": "max_output_tokens"})
    answer = message_of([CREATED, added(call("")), delta("function_call_arguments", '{"a":'), cut])
    assert answer.finish.reason == "length"
    assert answer.blocks == (ToolCallBlock(id="call_1", name="f", arguments='{"a":', item_id="fc_1"),)


# Other items.


def test_items_of_hosted_tools_are_kept_as_they_were_written() -> None:
    item = {"type": "web_search_call", "id": "ws_1", "status": "completed", "arguments": {"odd": 1}}
    progress = {"type": "response.web_search_call.searching", "output_index": 0, "delta": {"not": "text"}}
    (block,) = message_of([CREATED, added(item), progress, done(item), completed(output=[item])]).blocks
    assert isinstance(block, RawBlock)
    assert (block.dialect, block.type_name) == ("openai_responses", "web_search_call")
    assert json.loads(block.data) == item


def test_a_hosted_item_that_never_ends_is_told_by_the_terminal_event_or_not_at_all() -> None:
    item = {"type": "web_search_call", "id": "ws_1"}
    assert message_of([CREATED, added(item), completed()]).blocks == ()
    assert len(message_of([CREATED, added(item), completed(output=[item])]).blocks) == 1


@pytest.mark.parametrize("item", [7, None, {"no": "type"}, {"type": 7}])
def test_an_item_without_a_type_is_passed_over(item: Any) -> None:
    assert message_of([CREATED, added(item), done(item), completed(output=[item])]).blocks == ()


def test_a_known_item_of_another_form_breaks_the_answer() -> None:
    error = failure_of(
        decode(sse([CREATED, done({"type": "message", "content": "text"}), completed()]))
    ).error
    assert isinstance(error, BrokenStream)
    assert "`message`" in error.message


# Numbers and reasons.


def test_cached_tokens_are_counted_apart() -> None:
    usage = {
        "input_tokens": 100,
        "input_tokens_details": {"cached_tokens": 75, "cache_write_tokens": 5},
        "output_tokens": 50,
        "output_tokens_details": {"reasoning_tokens": 30},
        "total_tokens": 150,
    }
    events = decode(sse([CREATED, completed(usage=usage)]))
    expected = Usage(input=20, cache_read=75, cache_write_5m=5, output=50, reasoning=30)
    assert events[-2] == UsageUpdate(expected)
    assert expected.total == 150


@pytest.mark.parametrize("usage", [None, "many", {"input_tokens": "x"}])
def test_counts_that_are_none_are_no_counts(usage: Any) -> None:
    assert not [
        event for event in decode(sse([CREATED, completed(usage=usage)])) if isinstance(event, UsageUpdate)
    ]


def test_counts_never_fall_below_zero() -> None:
    usage = {"input_tokens": 5, "input_tokens_details": {"cached_tokens": 9}, "output_tokens": -1}
    assert decode(sse([CREATED, completed(usage=usage)]))[-2] == UsageUpdate(Usage(cache_read=9))


@pytest.mark.parametrize(
    ("changes", "finish"),
    [
        (
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            Finish(reason="content_filter", native="incomplete.content_filter"),
        ),
        ({"status": "incomplete"}, Finish(reason="length", native="incomplete")),
        (
            {"incomplete_details": {"reason": "max_output_tokens"}},
            Finish(reason="length", native="completed.max_output_tokens"),
        ),
        ({"status": None, "incomplete_details": 7}, Finish(reason="stop", native="completed")),
    ],
)
def test_why_the_answer_ended(changes: Json, finish: Finish) -> None:
    assert decode(sse([CREATED, completed(**changes)]))[-1] == finish


def test_the_chatgpt_backends_own_word_for_the_end_is_one() -> None:
    assert decode(sse([CREATED, {**completed(), "type": "response.done"}]))[-1] == Finish(
        reason="stop", native="completed"
    )


def test_nothing_counts_after_the_end() -> None:
    data = sse([CREATED, completed(), delta("output_text", "late")])
    decoder = CLIENT.stream_decoder(target(), NO_NAMES)
    events = decoder.feed(data)
    assert isinstance(events[-1], Finish)
    assert decoder.done
    assert decoder.feed(data) == decoder.close() == []


# Errors.


@pytest.mark.parametrize(
    ("event", "status", "code"),
    [
        pytest.param(
            {"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None},
            429,
            "rate_limit_exceeded",
            id="flat",
        ),
        pytest.param(
            {"type": "error", "error": {"code": "context_length_exceeded", "message": "long"}},
            400,
            "context_length_exceeded",
            id="nested",
        ),
        pytest.param(
            {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}},
            500,
            "server_error",
            id="failed",
        ),
        pytest.param(
            completed(status="failed", error={"code": "insufficient_quota", "message": "m"}),
            402,
            "insufficient_quota",
            id="failed inside completed",
        ),
        pytest.param(
            {"type": "response.cancelled", "response": {"status": "cancelled"}}, 500, None, id="cancelled"
        ),
    ],
)
def test_an_error_within_the_stream_is_a_failure_after_what_was_good(
    event: Json, status: int, code: str | None
) -> None:
    events = decode(sse([CREATED, delta("output_text", "hi"), event, delta("output_text", "late")]))
    assert events[-2] == TextDelta(0, "hi")
    error = failure_of(events).error
    assert (error.status, error.code, error.family) == (status, code, "openai")


def test_an_error_object_without_a_type_is_an_error() -> None:
    (event,) = decode(b'data: {"error":{"message":"no","type":"server_error"}}\n\n')
    assert isinstance(event, Failure)
    assert event.error.message == "no"


def test_an_end_without_a_terminal_event_is_a_failure() -> None:
    events = decode(sse([CREATED, delta("output_text", "hi")]))
    assert isinstance(failure_of(events).error, BrokenStream)
    assert isinstance(failure_of(decode(b"")).error, BrokenStream)
    assert isinstance(failure_of(decode(b"data: [DONE]\n\n")).error, BrokenStream)


def test_a_terminal_event_without_its_blank_line_still_ends_the_answer() -> None:
    assert isinstance(decode(sse([CREATED, completed()]).rstrip())[-1], Finish)


@pytest.mark.parametrize(
    "data",
    [
        b"data: not json\n\n",
        b"data: [1]\n\n",
        b'data: {"type":"response.output_text.delta","delta":{"a":1}}\n\n',
        b'data: {"type":"response.completed"}\n\n',
        b'data: {"type":"response.completed","response":7}\n\n',
        b'data: {"type":"response.output_text.delta","delta":"\xff"}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_what_is_no_event_breaks_the_stream(data: bytes) -> None:
    assert isinstance(failure_of(decode(data)).error, BrokenStream)


def test_events_we_do_not_need_may_look_as_they_like() -> None:
    odd = [
        {"type": "response.audio.delta", "delta": {"x": 1}, "output_index": "seven"},
        {"type": 7, "delta": 7},
        {"type": "response.whatever", "item": None},
        {"no": "type"},
    ]
    data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in odd)
    assert fold(decode(data + b"data:\n\n" + sse([CREATED, completed()]))).blocks == ()


def test_a_keepalive_is_a_sign_of_life_once_the_answer_has_begun() -> None:
    alive = {"type": "keepalive"}
    events = decode(sse([alive, CREATED, added(message("")), alive, completed()]))
    assert events.count(Ping()) == 1


def test_half_an_emoji_does_not_break_the_answer() -> None:
    data = b'data: {"type":"response.output_text.delta","delta":"a\\ud83d"}\n\n' + sse([completed()])
    assert fold(decode(data)).blocks == (TextBlock(text="a\ufffd"),)


def test_a_type_told_only_by_the_frame_is_believed() -> None:
    data = b'event: response.output_text.delta\ndata: {"delta":"hi"}\n\n'
    assert fold(decode(data + sse([completed()]))).blocks == (TextBlock(text="hi"),)


# Servers that go their own way.


def unnumbered(*payloads: Json) -> list[Json]:
    return [{name: value for name, value in each.items() if name != "output_index"} for each in payloads]


def llama_cpp(*, calls: int) -> bytes:
    """Return a stream as llama.cpp b11434 writes it: no numbers, every `done` at the very end, calls all named `fc_`."""
    reasoning = thought(content=[{"type": "reasoning_text", "text": "hmm"}], encrypted_content="")
    told_calls = [{**call('{"a":1}', number), "id": "fc_"} for number in range(calls)]
    items = [reasoning, message("hello"), *told_calls]
    events: list[Json] = [
        added({**reasoning, "content": []}),
        delta("reasoning_text", "hmm", item_id="rs_1"),
        added(message("")),
        delta("output_text", "hel", item_id="msg_1"),
        delta("output_text", "lo", item_id="msg_1"),
    ]
    for told in told_calls:
        events += [
            added({**told, "arguments": ""}),
            delta("function_call_arguments", '{"a":1}', item_id="fc_"),
        ]
    events += [done(item) for item in items]
    usage = {"input_tokens": 9, "output_tokens": 4, "input_tokens_details": {"cached_tokens": 1}}
    body = unnumbered(CREATED, *events, completed(output=items, usage=usage))
    return b"".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n".encode() for each in body)


def test_llama_cpp_text_streams_although_its_thinking_is_never_closed_before() -> None:
    data = llama_cpp(calls=0)
    decoder = CLIENT.stream_decoder(target(), NO_NAMES)
    before_the_end = decoder.feed(data[: data.index(b"event: response.output_item.done")])
    assert [event.text for event in before_the_end if isinstance(event, TextDelta)] == ["hmm", "hel", "lo"]
    assert fold(decode(data)).blocks == (ReasoningBlock(text="hmm"), TextBlock(text="hello"))


def test_llama_cpp_calls_are_told_apart_although_they_share_an_id() -> None:
    answer = fold(decode(llama_cpp(calls=3)))
    calls = [block for block in answer.blocks if isinstance(block, ToolCallBlock)]
    assert [(each.id, each.arguments) for each in calls] == [(f"call_{n}", '{"a":1}') for n in range(3)]
    assert answer.finish.reason == "tool_calls"
    assert answer.usage == Usage(input=8, cache_read=1, output=4)


def test_a_blob_that_comes_after_its_thinking_had_to_be_closed_is_lost_not_misplaced() -> None:
    events: list[Json] = unnumbered(
        CREATED,
        delta("reasoning_text", "hm"),
        delta("output_text", "hi"),
        done(thought(encrypted_content="blob")),
        completed(),
    )
    assert message_of(events).blocks == (ReasoningBlock(text="hm"), TextBlock(text="hi"))


def test_an_unnumbered_call_in_the_middle_of_its_arguments_is_waited_for() -> None:
    arguments = "function_call_arguments"
    events = unnumbered(
        CREATED,
        added(call("", 1)),
        delta(arguments, '{"a"', item_id="fc_1"),
        added(call("", 2)),
        delta(arguments, "{}", item_id="fc_2"),
        delta(arguments, ":1}", item_id="fc_1"),
        done(call('{"a":1}', 1)),
        done(call("{}", 2)),
        completed(),
    )
    assert [block.arguments for block in message_of(events).blocks if isinstance(block, ToolCallBlock)] == [
        '{"a":1}',
        "{}",
    ]


def test_ids_that_change_from_event_to_event_do_not_matter_where_items_are_numbered() -> None:
    # GitHub Copilot encrypts item ids anew for each event.
    events = [
        CREATED,
        added({**call(""), "id": "x1"}),
        delta("function_call_arguments", '{"a"', item_id="x2"),
        delta("function_call_arguments", ":1}", item_id="x3"),
        done({**call('{"a":1}'), "id": "x4"}),
        completed(output=[{**call('{"a":1}'), "id": "x5"}]),
    ]
    (block,) = message_of(events).blocks
    assert isinstance(block, ToolCallBlock)
    assert block.arguments == '{"a":1}'


def test_items_that_all_claim_one_number_are_told_apart_by_type_and_end() -> None:
    events = [
        CREATED,
        added(message("")),
        added(message("")),
        delta("output_text", "hi"),
        added(call("")),
        delta("function_call_arguments", "{}"),
        done(call("{}")),
        added(call("", 2)),
        done(call("{}", 2)),
        completed(output=[message("hi"), call("{}"), call("{}", 2)]),
    ]
    answer = message_of(events)
    assert [type(block) for block in answer.blocks] == [TextBlock, ToolCallBlock, ToolCallBlock]


def test_a_wrapped_custom_call_is_unwrapped_when_it_is_whole() -> None:
    names = ToolNames([Tool(kind="custom", name="f")])
    arguments = json.dumps({"input": "raw\n"})
    events = [
        CREATED,
        added(call("")),
        delta("function_call_arguments", arguments[:7]),
        done(call(arguments)),
        completed(),
    ]
    assert message_of(events, names).blocks == (
        ToolCallBlock(id="call_1", name="f", arguments="raw\n", custom=True, item_id="fc_1"),
    )


# Bounds.


def _failure_message(events: list[Event]) -> str:
    return failure_of(events).error.message


def test_blocks_without_end_break_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "MAX_BLOCKS", 3)
    items = [done(message("x"), number) for number in range(4)]
    assert "3 parts" in _failure_message(decode(sse([CREATED, *items])))


def test_text_that_waits_without_end_breaks_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lanes_module, "MAX_HELD_CHARS", 5)
    waiting = [added(call("")), delta("output_text", "abc", 1), delta("output_text", "def", 1)]
    assert "mixed up" in _failure_message(decode(sse([CREATED, *waiting])))


def test_arguments_without_end_break_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs_module, "MAX_HELD_CHARS", 5)
    assert "tool calls" in _failure_message(
        decode(sse([CREATED, added(call("")), delta("function_call_arguments", "123456")]))
    )


# Plain answers.


def test_a_plain_answer_means_what_its_stream_would() -> None:
    body = json.dumps(
        {
            **completed()["response"],
            "output": [thought(encrypted_content="b"), message("hi"), call("{}")],
            "usage": {"input_tokens": 3, "output_tokens": 4},
        }
    ).encode()
    answer = fold(CLIENT.decode_message(body, target(), NO_NAMES))
    assert [type(block) for block in answer.blocks] == [ReasoningBlock, TextBlock, ToolCallBlock]
    assert (answer.id, answer.model, answer.usage) == ("resp_1", "gpt-x", Usage(input=3, output=4))
    assert answer.finish == Finish(reason="tool_calls", native="completed")


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}', 429, "slow"),
        (b'{"detail":"nope"}', 500, "nope"),
        (
            b'{"object":"response","status":"failed","output":[],"error":{"code":"server_error","message":"m"}}',
            500,
            "m",
        ),
        (b'{"object":"response","status":"completed","output":[],"error":{"message":"m"}}', 500, "m"),
        (b'{"object":"response","status":"queued","output":[]}', 502, "unfinished"),
        (b'{"object":"chat.completion","choices":[]}', 502, "API kind"),
        (b"<html>", 502, "API kind"),
        (b"", 502, "API kind"),
        (b"[" * 100_000, 502, "API kind"),
    ],
)
def test_what_is_no_answer_is_a_failure(body: bytes, status: int, words: str) -> None:
    (event,) = CLIENT.decode_message(body, target(), NO_NAMES)
    assert isinstance(event, Failure)
    assert event.error.status == status
    assert words in event.error.message


def test_a_custom_call_whose_end_is_never_told_is_whole_when_the_answer_is() -> None:
    item = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "patch", "input": ""}
    (block,) = message_of([CREATED, added(item), delta("custom_tool_call_input", "{"), completed()]).blocks
    assert isinstance(block, ToolCallBlock)
    assert block.arguments == "{"
