"""An upstream's answer as hub events, with every way its vendors depart from the format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_chat import CLIENT, answer_in, assembly
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    Event,
    Failure,
    Finish,
    OpaqueDelta,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    Usage,
    UsageUpdate,
    fold,
)
from support.chat_stream import call, chunk, decode, failure, message, sse, target

Json = dict[str, Any]
STOP = chunk({}, "stop")
CALLED = chunk({}, "tool_calls")


def plain(body: Any) -> list[Event]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CLIENT.decode_message(raw, target(), ToolNames())


def whole(said: Json, finish: str | None = "stop", **top: Any) -> Json:
    return {
        "id": "x",
        "model": "m",
        "choices": [{"index": 0, "message": said, "finish_reason": finish}],
        **top,
    }


def calls(*chunks: Any) -> list[tuple[str, str]]:
    found = message(*chunks, CALLED).blocks
    return [(block.name, block.arguments) for block in found if isinstance(block, ToolCallBlock)]


def thoughts(*chunks: Any) -> list[ReasoningBlock]:
    return [block for block in message(*chunks, STOP).blocks if isinstance(block, ReasoningBlock)]


class TestTheStream:
    def test_the_start_names_id_and_model(self) -> None:
        assert decode(sse([chunk({"role": "assistant"}), STOP]))[0] == Start(id="chatcmpl-up", model="acme-1")

    def test_done_is_seen_and_nothing_after_it_counts(self) -> None:
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        events = decoder.feed(sse([chunk({"content": "a"}), STOP]) + sse([chunk({"content": "b"})]))
        assert decoder.done
        assert isinstance(events[-1], Finish)
        assert decoder.feed(b"data: x\n\n") == []
        assert decoder.close() == []

    def test_a_stream_may_end_without_done(self) -> None:
        events = decode(sse([chunk({"content": "a"}), STOP], done=False))
        assert isinstance(events[-1], Finish)

    def test_a_last_frame_without_its_blank_line_counts(self) -> None:
        events = decode(sse([chunk({"content": "a"}), STOP], done=False) + b"data: [DONE]")
        assert isinstance(events[-1], Finish)
        assert isinstance(decode(sse([chunk({"content": "a"})], done=False) + b"data: {")[-1], Failure)

    @pytest.mark.parametrize(
        "noise",
        [
            b"data: \n\n",
            b"data: null\n\n",
            b'data: "ping"\n\n',
            b": hi\n\n",
            b"data: [5]\n\n",
            b"data: []\n\n",
        ],
    )
    def test_heartbeats_say_nothing(self, noise: bytes) -> None:
        stream = noise + sse([chunk({"content": "a"}), STOP])
        assert fold(decode(stream)).blocks == (TextBlock(text="a"),)

    @pytest.mark.parametrize(
        "garbage", [b"data: {oops\n\n", b"data: \xff\xfe\n\n", b"data: " + b"[" * 100_000 + b"\n\n"]
    )
    def test_what_is_not_json_breaks_the_answer(self, garbage: bytes) -> None:
        assert "not JSON" in failure(sse([chunk({"content": "a"})], done=False) + garbage).error.message

    def test_nothing_at_all_is_no_answer(self) -> None:
        for stream in (b"", b"data: [DONE]\n\n", b"<html>"):
            assert isinstance(decode(stream)[-1], Failure)

    def test_a_provider_without_finish_reasons_is_believed(self) -> None:
        where = target(compat={"supportsFinishReason": False})
        assert fold(decode(sse([chunk({"content": "a"})]), where=where)).finish.reason == "stop"
        stream = sse([call(0, id="c", name="f", arguments="{}")])
        assert fold(decode(stream, where=where)).finish.reason == "tool_calls"
        assert isinstance(decode(b"data: [DONE]\n\n", where=where)[-1], Failure)

    def test_other_choices_are_not_mixed_in(self) -> None:
        other = {**chunk(), "choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": None}]}
        assert message(chunk({"content": "a"}), other, STOP).blocks == (TextBlock(text="a"),)

    def test_a_choice_without_index_is_the_first(self) -> None:
        bare = {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}
        assert message(bare).blocks == (TextBlock(text="a"),)

    def test_a_message_in_the_place_of_a_delta_is_read(self) -> None:
        odd = {"choices": [{"index": 0, "message": {"content": "a"}, "finish_reason": "stop"}]}
        assert message(odd).blocks == (TextBlock(text="a"),)
        assert message(
            {"choices": [{"index": 0, "message": {"content": ["a"]}, "finish_reason": "stop"}]}
        ).blocks == (TextBlock(text="a"),)


class TestErrors:
    @pytest.mark.parametrize(
        "first",
        [
            {"error": {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}},
            [{"error": {"message": "Rate limit reached", "code": 429, "status": "RESOURCE_EXHAUSTED"}}],
            {"error": "Rate limit reached", "choices": None},
            {**chunk({"content": ""}, "error"), "error": {"message": "Rate limit reached", "code": 429}},
        ],
    )
    def test_an_error_object_ends_the_answer(self, first: Any) -> None:
        for stream in (sse([first]), sse([chunk({"content": "a"}), first])):
            error = failure(stream).error
            assert "Rate limit reached" in error.message
            assert error.kind == "rate_limit"

    def test_a_named_error_event_is_one(self) -> None:
        stream = b'event: error\ndata: {"message":"Overloaded","type":"overloaded_error"}\n\n'
        assert failure(stream).error.kind == "overloaded"
        assert failure(b"event: error\ndata: 5\n\n").error.message

    @pytest.mark.parametrize("nothing", [None, False, {}, ""])
    def test_an_empty_error_is_none(self, nothing: Any) -> None:
        assert message(chunk({"content": "a"}, "stop", error=nothing)).blocks == (TextBlock(text="a"),)

    @pytest.mark.parametrize(
        ("word", "kind"),
        [("error", "upstream"), ("network_error", "upstream"), ("insufficient_system_resource", "overloaded"), ("x", "upstream")],
    )  # fmt: skip
    def test_a_finish_that_names_a_failure_is_one(self, word: str, kind: str) -> None:
        error = failure(sse([chunk({"content": "a"}, word)])).error
        assert (error.kind, error.code) == (kind, word)
        assert word in error.message

    def test_what_is_too_deep_to_follow_breaks_the_answer(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def too_deep(data: bytes) -> None:
            raise RecursionError

        monkeypatch.setattr(answer_in, "read_chunk", too_deep)
        (event,) = plain(whole({"content": "x"}))
        assert isinstance(event, Failure)
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        (event,) = decoder.feed(sse([STOP]))
        assert isinstance(event, Failure)
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        decoder.feed(b"data: x")
        (event,) = decoder.close()
        assert isinstance(event, Failure)

    def test_a_frame_without_end_is_given_up(self) -> None:
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        (event,) = decoder.feed(b"data: " + b"x" * (17 * 1024 * 1024))
        assert isinstance(event, Failure)
        assert decoder.done


class TestFinish:
    @pytest.mark.parametrize(
        ("word", "reason"),
        [
            ("stop", "stop"),
            ("end", "stop"),
            ("EOS", "stop"),
            ("length", "length"),
            ("max_tokens", "length"),
            ("model_length", "context_full"),
            ("content_filter", "content_filter"),
            ("sensitive", "content_filter"),
            ("stop_sequence", "stop_sequence"),
        ],
    )
    def test_every_known_word_is_understood(self, word: str, reason: str) -> None:
        finish = message(chunk({"content": "a"}, word)).finish
        assert (finish.reason, finish.native) == (reason, word)

    def test_the_old_function_call_is_a_tool_call(self) -> None:
        answer = message(
            chunk({"function_call": {"name": "f", "arguments": '{"a"'}}),
            chunk({"function_call": {"arguments": ":1}"}}),
            chunk({}, "function_call"),
        )
        (block,) = answer.blocks
        assert isinstance(block, ToolCallBlock)
        assert (block.name, block.arguments, answer.finish.reason) == ("f", '{"a":1}', "tool_calls")

    def test_vllm_says_which_stop_sequence_it_was(self) -> None:
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "###"}]}
        finish = message(chunk({"content": "a"}), last).finish
        assert (finish.reason, finish.stop_sequence) == ("stop_sequence", "###")

    @pytest.mark.parametrize("stop_reason", [None, 128001, "stop", "end_turn", ["x"]])
    def test_other_stop_reasons_say_nothing(self, stop_reason: Any) -> None:
        last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": stop_reason}]}
        assert message(chunk({"content": "a"}), last).finish == Finish(reason="stop", native="stop")

    def test_a_length_with_half_a_call_stays_a_length(self) -> None:
        answer = message(call(0, id="c", name="f", arguments='{"a'), chunk({}, "length"))
        (block,) = answer.blocks
        assert isinstance(block, ToolCallBlock)
        assert (answer.finish.reason, block.arguments) == ("length", '{"a')

    def test_a_refusal_is_named(self) -> None:
        answer = message(chunk({"refusal": "I can"}), chunk({"refusal": "not"}), STOP)
        assert answer.blocks == (RefusalBlock(text="I cannot"),)
        assert answer.finish.reason == "refusal"


class TestUsage:
    @pytest.mark.parametrize(
        ("usage", "expected"),
        [
            ({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}, Usage(input=6, cache_read=4, output=5)),
            ({"prompt_tokens": 10, "completion_tokens": 5, "cached_tokens": 4}, Usage(input=6, cache_read=4, output=5)),
            (
                {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}},
                Usage(input=3, cache_read=4, cache_write_5m=3, output=5),
            ),
            ({"prompt_tokens": 10, "completion_tokens": 5, "cache_creation_input_tokens": 3}, Usage(input=7, cache_write_5m=3, output=5)),
            (
                {"prompt_tokens": 10, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": 4}},
                Usage(input=10, output=5, reasoning=4),
            ),
            (
                {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 24, "completion_tokens_details": {"reasoning_tokens": 9}},
                Usage(input=10, output=14, reasoning=9),
            ),
            ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 22}, Usage(input=10, output=12, reasoning=7)),
            ({"prompt_tokens": 3, "prompt_tokens_details": {"cached_tokens": 9}}, Usage(cache_read=3)),
            ({"prompt_tokens": -3, "completion_tokens": "many", "prompt_tokens_details": None}, Usage()),
            ({"prompt_tokens": 3.0, "completion_tokens": None}, Usage(input=3)),
        ],
        ids=["DeepSeek", "Kimi", "OpenRouter", "LiteLLM", "OpenAI", "xAI", "Gemini", "too much", "nonsense", "floats"],
    )  # fmt: skip
    def test_every_vendors_counts_are_read(self, usage: Json, expected: Usage) -> None:
        assert message(chunk({"content": "a"}), STOP, chunk(usage=usage)).usage == expected

    def test_moonshot_counts_inside_the_choice(self) -> None:
        last = {
            "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": {"prompt_tokens": 3}}],
            "usage": None,
        }
        assert message(chunk({"content": "a"}), last).usage == Usage(input=3)

    def test_the_last_count_wins_and_repeats_are_silent(self) -> None:
        counts = [chunk({"content": "a"}, usage={"completion_tokens": n}) for n in (1, 1, 2)]
        updates = [e.usage.output for e in decode(sse([*counts, STOP])) if isinstance(e, UsageUpdate)]
        assert updates == [1, 2]

    @pytest.mark.parametrize("usage", [None, {}, [], "x"])
    def test_no_counts_are_no_update(self, usage: Any) -> None:
        events = decode(sse([chunk({"content": "a"}, usage=usage), STOP]))
        assert not any(isinstance(event, UsageUpdate) for event in events)

    def test_numbers_that_nothing_can_hold_are_no_counts(self) -> None:
        raw = b'{"choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":1e999}}'
        assert message(raw, STOP).usage == Usage()


class TestToolCalls:
    def test_text_that_comes_within_a_call_waits_for_its_end(self) -> None:
        events = decode(
            sse([
                call(0, id="c", name="f", arguments='{"a"'),
                chunk({"content": "aside"}),
                call(0, arguments=":1}"),
                chunk({"content": "!"}),
                CALLED,
            ])
        )  # fmt: skip
        assert [type(each) for each in fold(events).blocks] == [ToolCallBlock, TextBlock]
        assert [each.text for each in events if isinstance(each, TextDelta)] == ["aside", "!"]

    def test_a_second_call_streams_once_the_first_is_complete(self) -> None:
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        decoder.feed(
            sse([call(0, id="a", name="f", arguments='{"x":1}'), call(1, id="b", name="g")], done=False)
        )
        assert decoder.feed(sse([call(1, arguments='{"y"')], done=False)) == [ArgumentsDelta(1, '{"y"')]

    def test_fragments_without_index_follow_their_id_or_the_last_call(self) -> None:
        assert calls(
            call(None, id="a", name="f", arguments='{"x"'),
            call(None, arguments=":1}"),
            call(None, id="b", name="g", arguments='{"y"'),
            call(None, id="b", arguments=":2}"),
        ) == [("f", '{"x":1}'), ("g", '{"y":2}')]

    def test_a_name_repeated_without_id_or_index_goes_on_with_the_call(self) -> None:
        assert calls(
            call(None, name="f", arguments='{"x"'),
            call(None, name="f", arguments=":1}"),
            call(None, name="f", arguments='{"y":2}'),
        ) == [("f", '{"x":1}'), ("f", '{"y":2}')]

    def test_another_name_without_id_or_index_begins_another_call(self) -> None:
        found = calls(call(None, name="f", arguments='{"x"'), call(None, name="g", arguments="{}"))
        assert found == [("f", '{"x"'), ("g", "{}")]

    def test_an_id_made_up_for_every_fragment_does_not_split_a_call(self) -> None:
        assert calls(
            call(0, id="a", name="f", arguments='{"x"'),
            call(0, id="b", name="f", arguments=":1}"),
        ) == [("f", '{"x":1}')]  # fmt: skip

    def test_indexes_count_in_odd_chunks_too(self) -> None:
        odd = chunk({"content": [], "tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]})
        assert calls(
            call(0, id="a", name="f", arguments='{"x"'), call(1, id="b", name="g", arguments='{"y":2}'), odd
        ) == [("f", '{"x":1}'), ("g", '{"y":2}')]

    def test_arguments_that_only_look_complete_keep_the_next_call_waiting(self) -> None:
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        begin = [call(0, id="a", name="f", arguments='{"x":{}'), call(1, id="b", name="g", arguments='{"y"')]
        events = decoder.feed(sse(begin, done=False))
        assert sum(isinstance(event, BlockStart) for event in events) == 1

    def test_parallel_calls_that_share_an_index_are_told_apart_without_ids(self) -> None:
        assert calls(
            call(0, name="f", arguments='{"x":1}'),
            call(0, name="g", arguments='{"y":2}'),
        ) == [("f", '{"x":1}'), ("g", '{"y":2}')]  # fmt: skip

    def test_an_id_repeated_under_the_same_index_is_the_same_call(self) -> None:
        assert calls(
            call(0, id="a", name="f", arguments='{"x"'),
            call(0, id="a", name="f", arguments=":1}"),
        ) == [("f", '{"x":1}')]  # fmt: skip

    def test_the_type_and_the_name_may_come_after_arguments(self) -> None:
        assert calls(
            call(0, arguments='{"x"'), call(0, id="a", type="function", name="f", arguments=":1}")
        ) == [("f", '{"x":1}')]

    def test_a_placeholder_object_gives_way_to_the_real_arguments(self) -> None:
        assert calls(call(0, id="a", name="f", arguments="{}"), call(0, arguments='{"x":1}')) == [
            ("f", '{"x":1}')
        ]
        assert calls(call(0, id="a", name="f", arguments="{}")) == [("f", "{}")]

    def test_arguments_may_be_an_object(self) -> None:
        assert calls(call(0, id="a", name="f", arguments={"x": "ü"})) == [("f", '{"x":"ü"}')]

    def test_tool_calls_may_be_one_object(self) -> None:
        odd = chunk({"tool_calls": {"id": "a", "function": {"name": "f", "arguments": "{}"}}})
        assert calls(odd) == [("f", "{}")]

    def test_empty_fragments_beside_text_say_nothing(self) -> None:
        answer = message(chunk({"content": "a", "tool_calls": [{"index": 0}]}), chunk({"content": "b"}), STOP)
        assert answer.blocks == (TextBlock(text="ab"),)
        assert answer.finish.reason == "stop"

    def test_a_call_with_an_id_but_without_name_or_arguments_is_dropped(self) -> None:
        answer = message(call(0, id="a"), chunk({"content": "b"}), STOP)
        assert answer.blocks == (TextBlock(text="b"),)
        assert answer.finish.reason == "stop"

    def test_a_nameless_call_before_a_real_one_is_dropped(self) -> None:
        answer = message(call(0, id="a"), call(1, id="b", name="f", arguments="{}"), STOP)
        assert [type(each) for each in answer.blocks] == [ToolCallBlock]
        assert answer.finish.reason == "tool_calls"

    def test_arguments_for_no_tool_are_broken(self) -> None:
        assert "naming" in failure(sse([call(0, id="a", arguments="{}"), CALLED])).error.message

    def test_equal_ids_are_made_distinct(self) -> None:
        answer = message(
            call(0, id="same", name="f", arguments='{"a":1}'),
            call(1, id="", name="g", arguments="{}"),
            CALLED,
        )
        ids = [block.id for block in answer.blocks if isinstance(block, ToolCallBlock)]
        assert ids[0] == "same"
        assert ids[1].startswith("call_")
        twice = whole(
            {"tool_calls": [{"index": n, "id": "s", "function": {"name": "f"}} for n in (0, 1)]}, "tool_calls"
        )
        ids = [block.id for block in fold(plain(twice)).blocks if isinstance(block, ToolCallBlock)]
        assert len(ids) == len(set(ids)) == 2

    def test_arguments_after_the_end_of_a_call_are_broken(self) -> None:
        stream = [
            call(0, id="a", name="f", arguments='{"x":1}'),
            call(1, id="b", name="g", arguments="{}"),
            call(0, arguments="more"),
        ]
        assert "complete" in failure(sse([*stream, CALLED])).error.message
        stream[2] = call(0, arguments=" ")
        assert calls(*stream) == [("f", '{"x":1}'), ("g", "{}")]

    def test_custom_calls_carry_free_text(self) -> None:
        begin = chunk(
            {
                "tool_calls": [
                    {"index": 0, "id": "a", "type": "custom", "custom": {"name": "c", "input": "one}"}}
                ]
            }
        )
        more = chunk({"tool_calls": [{"index": 0, "custom": {"input": "{two"}}]})
        (block,) = message(begin, more, CALLED).blocks
        assert isinstance(block, ToolCallBlock)
        assert (block.custom, block.arguments) == (True, "one}{two")

    def test_free_text_that_looks_like_json_is_never_taken_for_complete(self) -> None:
        begin = chunk(
            {
                "tool_calls": [
                    {"index": 0, "id": "a", "type": "custom", "custom": {"name": "c", "input": "{}"}}
                ]
            }
        )
        more = chunk({"tool_calls": [{"index": 0, "custom": {"input": "more"}}]})
        block, _text = message(begin, chunk({"content": "x"}), more, CALLED).blocks
        assert isinstance(block, ToolCallBlock)
        assert block.arguments == "{}more"

    def test_calls_of_a_plain_answer_are_told_apart_though_they_share_an_id(self) -> None:
        both = [{"id": "s", "function": {"name": "f", "arguments": a}} for a in ('{"x":1}', '{"y":2}')]
        blocks = fold(plain(whole({"tool_calls": both}, "tool_calls"))).blocks
        assert [b.arguments for b in blocks if isinstance(b, ToolCallBlock)] == ['{"x":1}', '{"y":2}']

    @pytest.mark.parametrize("vendor", ["google", "vertex"])
    def test_gemini_signs_its_calls(self, vendor: str) -> None:
        extra = {vendor: {"thought_signature": "S"}}
        (block,) = message(call(0, id="a", name="f", arguments="{}", extra_content=extra), CALLED).blocks
        assert isinstance(block, ToolCallBlock)
        assert block.opaque is not None
        assert (block.opaque.kind, block.opaque.data) == ("gemini_signature", "S")

    @pytest.mark.parametrize("extra", [{"google": 5}, [1, 2], {"google": {"thought_signature": ""}}])
    def test_other_extra_content_is_ignored(self, extra: Any) -> None:
        (block,) = message(call(0, id="a", name="f", arguments="{}", extra_content=extra), CALLED).blocks
        assert isinstance(block, ToolCallBlock)
        assert block.opaque is None

    def test_what_is_held_back_is_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(assembly, "MAX_HELD_CHARS", 10)
        assert (
            "given up" in failure(sse([call(0, id="a", name="f", arguments='{"a":"123456"')])).error.message
        )


class TestReasoning:
    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text"])
    def test_plain_reasoning_remembers_its_field(self, field: str) -> None:
        (block,) = thoughts(chunk({field: "hm"}))
        assert (block.text, block.field) == ("hm", field)
        assert block.opaque is not None
        assert (block.opaque.kind, block.opaque.data) == ("reasoning_details", json.dumps(field))

    def test_details_are_kept_whole_and_merged(self) -> None:
        pieces = [
            chunk(
                {
                    "reasoning": "a",
                    "reasoning_details": [{"type": "reasoning.text", "text": "a", "format": "f"}],
                }
            ),
            chunk(
                {
                    "reasoning": "b",
                    "reasoning_details": [{"type": "reasoning.text", "text": "b", "signature": "S"}],
                }
            ),
            chunk({"reasoning_details": [{"type": "reasoning.encrypted", "data": "D", "id": "1"}]}),
        ]
        (block,) = thoughts(*pieces)
        assert block.text == "ab"
        assert block.opaque is not None
        assert json.loads(block.opaque.data) == [
            {"type": "reasoning.text", "text": "ab", "format": "f", "signature": "S"},
            {"type": "reasoning.encrypted", "data": "D", "id": "1"},
        ]

    def test_details_alone_are_shown(self) -> None:
        (block,) = thoughts(chunk({"reasoning_details": [{"type": "reasoning.summary", "summary": "sum"}]}))
        assert block.text == "sum"

    def test_details_after_the_text_make_a_block_of_their_own(self) -> None:
        detail = {"type": "reasoning.encrypted", "data": "D"}
        first, second = thoughts(
            chunk({"reasoning": "a"}), chunk({"content": "x"}), chunk({"reasoning_details": [detail]})
        )
        assert (first.text, second.text) == ("a", "")

    @pytest.mark.parametrize("details", ["x", [5], {}])
    def test_details_that_are_none_are_ignored(self, details: Any) -> None:
        assert thoughts(chunk({"content": "x", "reasoning_details": details})) == []

    def test_thinking_blocks_alone_are_read(self) -> None:
        pieces = [
            chunk({"thinking_blocks": [{"type": "thinking", "thinking": "a", "signature": None}]}),
            chunk({"thinking_blocks": [{"type": "thinking", "thinking": "b"}]}),
            chunk({"thinking_blocks": [{"type": "thinking", "thinking": "ab", "signature": "S"}]}),
            chunk(
                {
                    "thinking_blocks": [
                        {"type": "redacted_thinking", "data": "D"},
                        {"type": "redacted_thinking"},
                    ]
                }
            ),
        ]
        pieces.append(chunk({"thinking_blocks": [{"type": "redacted_thinking", "data": ""}]}))
        signed, redacted = thoughts(*pieces)
        assert signed.text == "ab"
        assert signed.opaque is not None
        assert redacted.opaque is not None
        assert (signed.opaque.data, redacted.opaque.data) == ("S", "D")

    def test_a_signed_block_that_was_not_streamed_brings_its_text(self) -> None:
        (block,) = thoughts(
            chunk({"thinking_blocks": [{"type": "thinking", "thinking": "ab", "signature": "S"}]})
        )
        assert block.text == "ab"

    def test_redacted_thinking_after_plain_thinking_is_a_block_of_its_own(self) -> None:
        plain_block, redacted = thoughts(
            chunk({"reasoning_content": "a"}),
            chunk({"thinking_blocks": [{"type": "redacted_thinking", "data": "D"}]}),
        )
        assert (plain_block.text, redacted.text) == ("a", "")

    def test_mistrals_content_parts_are_read_in_order(self) -> None:
        content = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "text", "text": "hi"},
            {"type": "thinking", "thinking": "again"},
            "there",
            5,
            {"type": "refusal", "refusal": "no"},
        ]
        blocks = message(chunk({"content": content}), STOP).blocks
        assert [getattr(block, "text", "") for block in blocks] == ["hm", "hi", "again", "there", "no"]
        assert isinstance(blocks[0], ReasoningBlock)
        assert isinstance(blocks[2], ReasoningBlock)

    def test_the_token_is_one_event_before_the_end(self) -> None:
        events = decode(sse([chunk({"reasoning_content": "hm"}), chunk({"content": "x"}), STOP]))
        assert sum(isinstance(event, OpaqueDelta) for event in events) == 1


class TestText:
    def test_an_emoji_cut_between_two_chunks_is_made_whole(self) -> None:
        halves = [
            b'{"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}',
            b'{"choices":[{"index":0,"delta":{"content":"\\ude00b"}}]}',
        ]
        assert message(*halves, STOP).blocks == (TextBlock(text="a😀b"),)

    def test_half_an_emoji_alone_says_nothing_yet(self) -> None:
        half = b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}'
        events = decode(sse([half, STOP]))
        assert [event.text for event in events if isinstance(event, TextDelta)] == ["\ufffd"]

    def test_a_half_emoji_is_replaced(self) -> None:
        half = b'{"choices":[{"index":0,"delta":{"content":"a\\ud83d"}}]}'
        assert message(half, STOP).blocks == (TextBlock(text="a\ufffd"),)
        assert message(half, chunk({"content": "b"}), STOP).blocks == (TextBlock(text="a\ufffdb"),)

    def test_lone_surrogates_in_arguments_and_details_do_no_harm(self) -> None:
        raw = (
            b'{"choices":[{"index":0,"delta":{"reasoning_details":[{"type":"reasoning.encrypted","data":"\\ud83d"}],'
            b'"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\\"a\\":\\"\\ud83d\\"}"}}]}}]}'
        )
        block, tool = message(raw, CALLED).blocks
        assert isinstance(block, ReasoningBlock)
        assert isinstance(tool, ToolCallBlock)
        assert "\ufffd" in tool.arguments

    def test_citations_belong_to_the_text_block_they_are_in(self) -> None:
        def cite(start: Any) -> Json:
            about = {"url": "https://x", "title": "X", "start_index": start, "end_index": start}
            return {
                "annotations": [{"type": "url_citation", "url_citation": about}, {"type": "file_citation"}, 5]
            }

        answer = message(
            chunk({"content": "ab", **cite(1)}),
            call(0, id="a", name="f", arguments="{}"),
            chunk({"content": "cd"}),
            chunk(cite(3)),
            CALLED,
        )
        first, _tool, second = answer.blocks
        assert isinstance(first, TextBlock)
        assert isinstance(second, TextBlock)
        assert (first.citations[0].url, first.citations[0].start) == ("https://x", 1)
        assert second.citations[0].start == 1
        assert json.loads(second.citations[0].raw)["url_citation"]["start_index"] == 3

    def test_a_citation_without_text_or_with_nonsense_is_harmless(self) -> None:
        odd = {"annotations": [{"url_citation": {"url": 5, "start_index": "x"}}]}
        assert message(chunk(odd), STOP).blocks == ()
        (block,) = message(chunk({"content": "a", **odd}), STOP).blocks
        assert isinstance(block, TextBlock)
        assert (block.citations[0].url, block.citations[0].start) == (None, None)

    def test_a_citation_for_text_that_waits_waits_too(self) -> None:
        about = {"annotations": [{"url_citation": {"url": "https://x", "start_index": 0, "end_index": 1}}]}
        answer = message(
            call(0, id="a", name="f", arguments='{"a"'),
            chunk({"content": "x", **about}),
            call(0, arguments=":1}"),
            CALLED,
        )
        block = answer.blocks[1]
        assert isinstance(block, TextBlock)
        assert len(block.citations) == 1


class TestPlainAnswers:
    def test_everything_is_read(self) -> None:
        said: Json = {
            "role": "assistant",
            "content": "hi",
            "refusal": None,
            "reasoning_content": "hm",
            "annotations": [],
        }
        answer = fold(plain(whole(said, usage={"prompt_tokens": 3, "completion_tokens": 1})))
        assert [getattr(block, "text", "") for block in answer.blocks] == ["hm", "hi"]
        assert (answer.id, answer.model, answer.usage) == ("x", "m", Usage(input=3, output=1))

    @pytest.mark.parametrize(
        ("body", "hint"),
        [
            (b"", "not JSON"),
            (b"<html>", "not JSON"),
            (b"null", "no chat completion"),
            (b"{}", "choices"),
            ({"choices": []}, "choices"),
            ({"error": {"message": "Bad key"}}, "Bad key"),
            ({"choices": [{"message": {"content": "x"}}]}, "finish_reason"),
        ],
    )
    def test_what_is_no_answer_is_a_failure(self, body: Any, hint: str) -> None:
        event = plain(body)[-1]
        assert isinstance(event, Failure)
        assert hint in event.error.message

    def test_a_vendors_own_parts_field_is_not_ours(self) -> None:
        odd = whole({"content": "hi"})
        odd["choices"][0]["parts"] = [{"content": "no"}]
        assert fold(plain(odd)).blocks == (TextBlock(text="hi"),)

    def test_a_choice_without_a_message_is_empty(self) -> None:
        assert fold(plain({"choices": [{"index": "0", "message": 5, "finish_reason": "stop"}]})).blocks == ()

    def test_numbers_where_text_belongs_are_ignored(self) -> None:
        odd = {
            "id": 5,
            "model": None,
            "created": "x",
            "choices": [{"index": 0, "message": {"content": 5}, "finish_reason": "stop"}],
        }
        answer = fold(plain(odd))
        assert (answer.id, answer.blocks) == ("", ())

    def test_the_order_of_events_is_kept(self) -> None:
        events = plain(whole({"content": "hi"}))
        assert [type(event) for event in events] == [
            Start,
            BlockStart,
            TextDelta,
            *[type(e) for e in events[3:]],
        ]


def test_an_error_answer_is_read_in_openais_family() -> None:
    error = CLIENT.decode_error(
        429, {"retry-after": "3"}, b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}'
    )
    assert (error.family, error.kind, error.retry_after_s) == ("openai", "rate_limit", 3.0)
