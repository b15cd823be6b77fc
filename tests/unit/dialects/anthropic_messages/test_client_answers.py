"""An upstream's answers, streamed and whole, read into the hub."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.anthropic_messages import CLIENT
from pi_model_proxy.dialects.anthropic_messages.client_blocks import MAX_HELD_CHARS
from pi_model_proxy.dialects.names import NO_NAMES, ToolNames
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    Citation,
    Event,
    Failure,
    Finish,
    Opaque,
    Ping,
    RawBlock,
    ReasoningBlock,
    Start,
    TextBlock,
    TextDelta,
    Tool,
    ToolCallBlock,
    Usage,
    UsageUpdate,
    fold,
)
from support.messages_wire import START, decoded, failure_of, message_of, sse, stop, target, text_block

TEXT = text_block(0, "hi")


def begun(index: int, **block: Any) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **members: Any) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **members}}


def ended(index: int) -> dict[str, Any]:
    return {"type": "content_block_stop", "index": index}


def test_a_whole_stream_is_read() -> None:
    events = decoded(sse(START, {"type": "ping"}, *text_block(0, "he", "y"), *stop(output=7)))
    assert events[0] == Start(
        id="msg_01",
        model="claude-sonnet-4-5",
        usage=Usage(input=10, cache_write_5m=50, cache_read=100, output=1),
    )
    assert Ping() in events
    assert UsageUpdate(Usage(input=10, cache_write_5m=50, cache_read=100, output=7)) in events
    assert events[-1] == Finish(reason="stop", native="end_turn")
    assert fold(events).blocks == (TextBlock(text="hey"),)


@pytest.mark.parametrize(
    ("native", "called", "reason"),
    [
        ("end_turn", False, "stop"),
        ("end_turn", True, "tool_calls"),
        ("tool_use", False, "stop"),
        ("max_tokens", True, "length"),
        ("stop_sequence", False, "stop_sequence"),
        ("refusal", False, "refusal"),
        ("sensitive", False, "content_filter"),
        ("pause_turn", False, "pause"),
        ("model_context_window_exceeded", False, "context_full"),
        ("next_year_s_reason", False, "stop"),
    ],
)
def test_every_stop_reason_is_understood(native: str, called: bool, reason: str) -> None:
    block = [begun(0, type="tool_use", id="a", name="f", input={}), ended(0)] if called else TEXT
    finish = message_of(sse(START, *block, *stop(native, stop_sequence="END"))).finish
    assert (finish.reason, finish.native, finish.stop_sequence) == (reason, native, "END")


def test_the_reason_of_a_refusal_is_kept() -> None:
    details = {"type": "refusal", "category": "cyber", "explanation": None}
    assert message_of(sse(START, *stop("refusal", stop_details=details))).finish.detail == "cyber"


def test_usage_accumulates_field_by_field() -> None:
    usage = {
        "output_tokens": 9,
        "input_tokens": None,
        "cache_creation": {"ephemeral_1h_input_tokens": 20},
        "output_tokens_details": {"thinking_tokens": 4},
    }
    ending = [{**stop()[0], "usage": usage}, stop()[1]]
    assert message_of(sse(START, *TEXT, *ending)).usage == Usage(
        input=10, cache_read=100, cache_write_5m=30, cache_write_1h=20, output=9, reasoning=4
    )


def test_counts_below_nothing_count_nothing() -> None:
    start = {"type": "message_start", "message": {"usage": {"input_tokens": -5, "output_tokens": 2.0}}}
    assert message_of(sse(start, *stop())).usage == Usage(output=5)


def test_an_answer_without_any_usage_has_none() -> None:
    start = {"type": "message_start", "message": {"id": "msg_1"}}
    events = decoded(
        sse(start, *TEXT, {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}, stop()[1])
    )
    assert isinstance(events[0], Start)
    assert events[0].usage is None
    assert not any(isinstance(event, UsageUpdate) for event in events)


def test_a_signature_in_pieces_is_one_token() -> None:
    stream = sse(
        START,
        begun(0, type="thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="t"),
        delta(0, "signature_delta", signature="a"),
        delta(0, "signature_delta", signature="b"),
        ended(0),
        *stop(),
    )
    token = Opaque(kind="anthropic_signature", data="ab")
    assert message_of(stream).blocks == (ReasoningBlock(text="t", summary=True, opaque=token),)


def test_redacted_thinking_is_a_token_alone() -> None:
    stream = sse(START, begun(0, type="redacted_thinking", data="r"), ended(0), *text_block(1, "x"), *stop())
    assert message_of(stream).blocks[0] == ReasoningBlock(opaque=Opaque(kind="anthropic_redacted", data="r"))


def test_what_came_with_the_start_of_a_block_is_not_lost() -> None:
    stream = sse(
        START,
        begun(0, type="thinking", thinking="t", signature="s"),
        ended(0),
        begun(
            1,
            type="text",
            text="a",
            citations=[{"type": "web_search_result_location", "url": "u", "title": "T"}],
        ),
        delta(1, "text_delta", text="b"),
        ended(1),
        begun(2, type="tool_use", id="i", name="f", input={"x": 1}),
        ended(2),
        *stop("tool_use"),
    )
    thinking, text, call = message_of(stream).blocks
    assert thinking == ReasoningBlock(
        text="t", summary=True, opaque=Opaque(kind="anthropic_signature", data="s")
    )
    assert isinstance(text, TextBlock)
    assert (text.text, text.citations[0].url) == ("ab", "u")
    assert call == ToolCallBlock(id="i", name="f", arguments='{"x": 1}')


def test_fragments_count_and_the_input_of_the_start_does_not() -> None:
    stream = sse(
        START,
        begun(0, type="tool_use", id="i", name="f", input={"x": 1}),
        delta(0, "input_json_delta", partial_json=""),
        delta(0, "input_json_delta", partial_json='{"y":2}'),
        ended(0),
        *stop("tool_use"),
    )
    assert message_of(stream).blocks == (ToolCallBlock(id="i", name="f", arguments='{"y":2}'),)


def test_a_free_form_tool_s_input_is_unwrapped() -> None:
    names = ToolNames([Tool(kind="custom", name="patch")])
    start = begun(0, type="tool_use", id="i", name="patch", input={})
    parts = [delta(0, "input_json_delta", partial_json=part) for part in ('{"input"', ':"*** Begin"}')]
    message = message_of(sse(START, start, *parts, ended(0), *stop("tool_use")), names)
    assert message.blocks == (ToolCallBlock(id="i", name="patch", arguments="*** Begin", custom=True),)


def test_a_server_s_own_tool_is_kept_whole() -> None:
    stream = sse(
        START,
        begun(0, type="server_tool_use", id="s", name="web_search", input={}),
        delta(0, "input_json_delta", partial_json='{"query":'),
        delta(0, "input_json_delta", partial_json='"x"}'),
        ended(0),
        begun(1, type="web_search_tool_result", tool_use_id="s", content=[]),
        ended(1),
        *text_block(2, "found"),
        *stop(),
    )
    first, second, _ = message_of(stream).blocks
    assert isinstance(first, RawBlock)
    assert json.loads(first.data) == {
        "type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"},
    }  # fmt: skip
    assert isinstance(second, RawBlock)
    assert second.type_name == "web_search_tool_result"


def test_citations_are_read_with_their_own_text() -> None:
    cited = {"type": "char_location", "cited_text": "c", "document_title": "D"}
    stream = sse(
        START,
        begun(0, type="text", text=""),
        delta(0, "citations_delta", citation=cited),
        delta(0, "citations_delta", citation={"title": 5}),
        delta(0, "citations_delta"),
        ended(0),
        *stop(),
    )
    (block,) = message_of(stream).blocks
    assert isinstance(block, TextBlock)
    assert block.citations == (
        Citation(title="D", cited_text="c", dialect="anthropic_messages", raw=json.dumps(cited)),
        Citation(dialect="anthropic_messages", raw='{"title": 5}'),
    )


# Servers that bend the grammar


def test_a_stream_without_event_lines_is_understood() -> None:
    stream = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in [START, *TEXT, *stop()])
    assert message_of(stream).blocks == (TextBlock(text="hi"),)


def test_types_may_stand_in_the_event_line_alone() -> None:
    events = [START, *TEXT, *stop()]
    stream = b"".join(
        f"event: {event['type']}\ndata: {json.dumps({k: v for k, v in event.items() if k != 'type'})}\n\n".encode()
        for event in events
    )
    assert message_of(stream).blocks == (TextBlock(text="hi"),)


def test_an_answer_may_begin_without_its_start_and_not_twice() -> None:
    assert message_of(sse(*TEXT, *stop())).blocks == (TextBlock(text="hi"),)
    assert message_of(sse(*stop())).finish.reason == "stop"
    assert message_of(sse(START, START, *TEXT, *stop())).blocks == (TextBlock(text="hi"),)
    assert message_of(sse({"type": "message_start"}, *TEXT, *stop())).id == ""


def test_unknown_events_and_marks_of_other_formats_are_skipped() -> None:
    odd = {"type": "next_year", "delta": "a string", "index": {}}
    stream = sse({"type": "ping"}, START, odd, {"type": "ping", "delta": 3}, *TEXT)
    stream += b"event: named_only\ndata: not json\n\n: comment\n\ndata: [DONE]\n\ndata:\n\n" + sse(*stop())
    assert message_of(stream).blocks == (TextBlock(text="hi"),)


def test_unknown_deltas_are_skipped() -> None:
    stream = sse(
        START,
        begun(0, type="text", text=""),
        delta(0, "next_year_delta", x=1),
        {"type": "content_block_delta", "index": 0},
        ended(0),
        *stop(),
    )
    assert message_of(stream).blocks == (TextBlock(text=""),)


def test_a_delta_of_the_wrong_kind_begins_its_own_block() -> None:
    stream = sse(
        START,
        begun(0, type="tool_use", id="i", name="f", input={}),
        delta(0, "input_json_delta", partial_json="{}"),
        delta(0, "text_delta", text="after"),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="s"),
        *stop("tool_use"),
    )
    call, text, thinking = message_of(stream).blocks
    assert (call, text) == (ToolCallBlock(id="i", name="f", arguments="{}"), TextBlock(text="after"))
    assert thinking == ReasoningBlock(
        text="hm", summary=True, opaque=Opaque(kind="anthropic_signature", data="s")
    )


def test_a_block_left_open_is_closed_by_the_next_and_by_the_end() -> None:
    stream = sse(START, begun(0, type="text", text="a"), begun(1, type="text", text="b"), *stop())
    assert message_of(stream).blocks == (TextBlock(text="a"), TextBlock(text="b"))
    early = sse(
        START,
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}},
        begun(0, type="text", text="a"),
        stop()[1],
    )
    assert message_of(early).blocks == (TextBlock(text="a"),)


def test_halves_of_characters_in_a_stream_do_not_break_it() -> None:
    half = rb'data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\ud83d"}}'
    stream = sse(START, begun(0, type="text", text="")) + half + b"\n\n" + sse(ended(0), *stop())
    assert message_of(stream).blocks == (TextBlock(text="\ufffd"),)


# Failures


def events_of(stream: bytes) -> list[Event]:
    decoder = CLIENT.stream_decoder(target(), NO_NAMES)
    events = decoder.feed(stream) + decoder.close()
    assert decoder.done
    assert decoder.close() == []
    return events


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        sse(START),
        sse(START, *TEXT),
        sse(START, *TEXT, stop()[0]),
        sse(START, *TEXT, stop()[1]),
        sse(START) + b"event: content_block_delta\ndata: {broken\n\n",
        sse(START) + b"data: {broken\n\n",
        sse(START) + b'event: content_block_start\ndata: {"type":"content_block_start","index":"x"}\n\n',
        sse(START, {"type": "content_block_start", "index": 0}),
        sse(START, {"type": "content_block_start", "index": 0, "content_block": None}),
        sse(START, begun(0, type=5)),
        sse(START, delta(0, "input_json_delta", partial_json="{}")),
        sse(START, begun(0, type="text", text=""), delta(0, "input_json_delta", partial_json="{}")),
        sse(START, begun(0, type="text", text=""), delta(1, "text_delta", text="x")),
        sse(
            START,
            begun(0, type="server_tool_use", id="s"),
            delta(0, "input_json_delta", partial_json="{"),
            ended(0),
        ),
        b'{"type":"message"}',
        sse(START) + b"data: " + b"[" * 100_000 + b"\n\n",
    ],
)
def test_what_is_no_complete_answer_fails(stream: bytes) -> None:
    failure = failure_of(events_of(stream))
    assert isinstance(failure.error, BrokenStream)


def test_a_failure_leaves_what_came_before_it() -> None:
    events = events_of(
        sse(START, *TEXT, {"type": "error", "error": {"type": "api_error", "message": "boom"}}, *TEXT)
    )
    assert TextDelta(0, "hi") in events
    error = failure_of(events).error
    assert (error.message, error.native_type, error.family) == ("boom", "api_error", "anthropic")


def test_a_last_frame_without_its_blank_line_counts() -> None:
    stream = sse(START, *TEXT, *stop())
    assert isinstance(events_of(stream.rstrip(b"\n"))[-1], Finish)
    broken = stream.rstrip(b"\n")[:-5]
    assert isinstance(events_of(broken)[-1], Failure)


def test_input_without_end_is_given_up() -> None:
    names = ToolNames([Tool(kind="custom", name="patch")])
    decoder = CLIENT.stream_decoder(target(), names)
    decoder.feed(sse(START, begun(0, type="tool_use", id="i", name="patch", input={})))
    half = delta(0, "input_json_delta", partial_json="x" * (MAX_HELD_CHARS // 2 + 1))
    assert decoder.feed(sse(half)) == []
    assert isinstance(decoder.feed(sse(half))[-1], Failure)


def test_a_frame_without_end_is_given_up() -> None:
    decoder = CLIENT.stream_decoder(target(), NO_NAMES)
    found: list[Event] = []
    for _ in range(17):
        found += decoder.feed(b"data: " + b"x" * 1024 * 1024)
    assert isinstance(failure_of(found).error, BrokenStream)


# Whole answers


def whole(**fields: Any) -> list[Event]:
    body = {
        "type": "message",
        "id": "msg_1",
        "model": "m",
        "content": [],
        "stop_reason": "end_turn",
        **fields,
    }
    return CLIENT.decode_message(json.dumps(body).encode(), target(), NO_NAMES)


def test_a_whole_answer_gives_the_events_of_its_stream() -> None:
    events = whole(
        content=[
            {"type": "thinking", "thinking": "t", "signature": "s"},
            {"type": "text", "text": "x"},
            {"type": "tool_use", "id": "i", "name": "f", "input": {"a": 1}},
        ],
        stop_reason="tool_use",
        usage={"input_tokens": 3, "output_tokens": 4},
    )
    message = fold(events)
    assert [type(block) for block in message.blocks] == [ReasoningBlock, TextBlock, ToolCallBlock]
    assert (message.usage, message.finish.reason) == (Usage(input=3, output=4), "tool_calls")
    assert ArgumentsDelta(2, '{"a": 1}') in events
    assert isinstance(events[1], BlockStart)


def test_a_whole_refusal_says_why() -> None:
    events = whole(stop_reason="refusal", stop_details={"explanation": "unsafe"})
    assert events[-1] == Finish(reason="refusal", native="refusal", detail="unsafe")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'{"content":[],"stop_reason":null}',
        b'{"content":"text","stop_reason":"end_turn"}',
        b'{"content":[5],"stop_reason":"end_turn"}',
        b'{"error":null}',
        b"[" * 100_000,
    ],
)
def test_a_body_that_is_no_message_fails(body: bytes) -> None:
    events = CLIENT.decode_message(body, target(), NO_NAMES)
    assert len(events) == 1
    assert isinstance(failure_of(events).error, BrokenStream)


@pytest.mark.parametrize(
    "body",
    [
        b'{"type":"error","error":{"type":"overloaded_error","message":"later"}}',
        b'{"error":{"type":"overloaded_error","message":"later"}}',
    ],
)
def test_a_success_that_holds_an_error_is_one(body: bytes) -> None:
    error = failure_of(CLIENT.decode_message(body, target(), NO_NAMES)).error
    assert (error.kind, error.message) == ("overloaded", "later")


def test_an_error_answer_is_read_in_anthropic_s_words() -> None:
    body = b'{"type":"error","error":{"type":"rate_limit_error","message":"slow down"}}'
    error = CLIENT.decode_error(429, {"retry-after": "7"}, body)
    assert (error.status, error.kind, error.retry_after_s, error.native_type) == (
        429,
        "rate_limit",
        7.0,
        "rate_limit_error",
    )
    assert error.family == "anthropic"


def test_cache_writes_told_only_by_their_lifetimes_count() -> None:
    usage = {
        "input_tokens": 1,
        "cache_creation": {"ephemeral_5m_input_tokens": 2, "ephemeral_1h_input_tokens": 3},
    }
    start = {"type": "message_start", "message": {"usage": usage}}
    assert message_of(sse(start, *stop())).usage == Usage(
        input=1, cache_write_5m=2, cache_write_1h=3, output=5
    )
