"""What a pi-messages gateway's answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.pi_messages import CLIENT
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import (
    BlockStart,
    BlockStop,
    Event,
    Finish,
    Opaque,
    ReasoningBlock,
    Start,
    TextBlock,
    TextDelta,
    Tool,
    ToolCallBlock,
    Usage,
    UsageUpdate,
)
from support.kind_streams import decode, failure_of, message_of, sse, target

COUNTS = {"input": 3, "output": 5, "cacheRead": 0, "cacheWrite": 0, "totalTokens": 8, "cost": {"total": 0}}
BEGIN = {"type": "start"}


def block(kind: str, index: int, *deltas: str, **end: Any) -> list[dict[str, Any]]:
    said = [{"type": f"{kind}_delta", "contentIndex": index, "delta": each} for each in deltas]
    return [
        {"type": f"{kind}_start", "contentIndex": index},
        *said,
        {"type": f"{kind}_end", "contentIndex": index, **end},
    ]


def call(
    index: int, *deltas: str, name: str = "weather", call_id: str = "a", **whole: Any
) -> list[dict[str, Any]]:
    events = block("toolcall", index, *deltas)
    events[0] |= {"id": call_id, "toolName": name}
    events[-1]["toolCall"] = {"type": "toolCall", "id": call_id, "name": name, **whole}
    return events


def done(reason: str = "stop", **more: Any) -> dict[str, Any]:
    return {"type": "done", "reason": reason, "usage": COUNTS, "responseId": "r1", **more}


def events(*said: Any) -> list[Event]:
    return decode(CLIENT, sse(*said))


def message(*said: Any, **how: Any) -> Any:
    return message_of(CLIENT, sse(*said), **how)


class TestBlocks:
    def test_text_is_passed_on_as_it_comes_and_once(self) -> None:
        assert events(BEGIN, *block("text", 0, "Hel", "lo", content="Hello"), done()) == [
            Start(),
            BlockStart(index=0, block=TextBlock(text="")),
            TextDelta(0, "Hel"),
            TextDelta(0, "lo"),
            BlockStop(0),
            UsageUpdate(Usage(input=3, output=5)),
            Finish(reason="stop", native="stop"),
        ]

    @pytest.mark.parametrize("deltas", [(), ("Hel",), ("Hello",)])
    def test_what_the_deltas_left_out_comes_with_the_end(self, deltas: tuple[str, ...]) -> None:
        answer = message(BEGIN, *block("text", 0, *deltas, content="Hello"), done())
        assert answer.blocks == (TextBlock(text="Hello"),)

    def test_an_end_that_says_something_else_is_not_believed(self) -> None:
        answer = message(BEGIN, *block("text", 0, "Hello", content="Good bye, all"), done())
        assert answer.blocks == (TextBlock(text="Hello"),)

    def test_thinking_keeps_its_token_and_whether_it_was_hidden(self) -> None:
        answer = message(
            BEGIN,
            *block("thinking", 0, "hm", content="hm", contentSignature="sig"),
            *block("thinking", 1, content="", contentSignature="blob", redacted=True),
            *block("thinking", 2, "plain", content="plain"),
            *block("text", 3, "So.", content="So.", contentSignature="msg_1"),
            done(),
        )
        assert answer.blocks == (
            ReasoningBlock(text="hm", opaque=Opaque(kind="pi_signature", data="sig")),
            ReasoningBlock(opaque=Opaque(kind="pi_redacted", data="blob")),
            ReasoningBlock(text="plain"),
            TextBlock(text="So."),
        )

    def test_calls_that_overlap_come_one_after_the_other(self) -> None:
        first, second = call(0, '{"x":', "1}", call_id="a"), call(1, '{"y":2}', call_id="b")
        mixed = [first[0], second[0], first[1], second[1], first[2], second[2], first[3]]
        answer = message(BEGIN, *mixed, done("toolUse"))
        assert [(each.id, each.arguments) for each in answer.blocks] == [("a", '{"x":1}'), ("b", '{"y":2}')]
        assert answer.finish.reason == "tool_calls"

    def test_arguments_that_came_whole_are_taken_from_the_end(self) -> None:
        answer = message(BEGIN, *call(0, arguments={"x": 1}), done("toolUse"))
        assert answer.blocks[0].arguments == '{"x":1}'

    @pytest.mark.parametrize(
        "whole", [{"arguments": {}}, {"arguments": {"x": 1}, "argumentsError": "bad"}, {}]
    )
    def test_arguments_that_nobody_said_are_empty(self, whole: dict[str, Any]) -> None:
        assert message(BEGIN, *call(0, **whole), done("toolUse")).blocks[0].arguments == ""

    def test_a_calls_own_token_is_kept(self) -> None:
        answer = message(BEGIN, *call(0, "{}", thoughtSignature="sig"), done("toolUse"))
        assert answer.blocks[0].opaque == Opaque(kind="pi_signature", data="sig")

    def test_an_end_without_its_call_ends_it(self) -> None:
        bare = call(0, "{}")
        del bare[-1]["toolCall"]
        assert message(BEGIN, *bare, done("toolUse")).blocks == (
            ToolCallBlock(id="a", name="weather", arguments="{}"),
        )

    def test_names_and_free_form_inputs_come_back_as_the_caller_wrote_them(self) -> None:
        names = ToolNames((Tool(name="a.b"), Tool(kind="custom", name="patch")))
        answer = message(
            BEGIN,
            *call(0, "{}", name="a_b", call_id="x"),
            *call(1, name="patch", call_id="y", arguments={"input": "*** Begin"}),
            done("toolUse"),
            names=names,
        )
        assert [(each.name, each.arguments) for each in answer.blocks] == [
            ("a.b", "{}"),
            ("patch", "*** Begin"),
        ]

    def test_a_block_that_is_never_ended_ends_with_the_answer(self) -> None:
        answer = message(BEGIN, *block("text", 0, "a")[:-1], done())
        assert answer.blocks == (TextBlock(text="a"),)

    def test_a_delta_after_the_end_of_its_call_says_nothing(self) -> None:
        late = {"type": "toolcall_delta", "contentIndex": 0, "delta": "x"}
        assert message(BEGIN, *call(0, "{}"), late, done("toolUse")).blocks[0].arguments == "{}"

    def test_text_is_mended_where_surrogates_are_cut(self) -> None:
        answer = message(BEGIN, *block("text", 0, "a\ud83d"), done())
        assert answer.blocks == (TextBlock(text="a\ufffd"),)

    def test_what_we_do_not_know_is_passed_over(self) -> None:
        odd = {"type": "image_start", "contentIndex": 7}
        assert message(BEGIN, odd, {"type": "notice"}, *block("text", 0, "a"), done()).blocks == (
            TextBlock(text="a"),
        )


class TestEnds:
    @pytest.mark.parametrize(
        ("native", "reason"), [("stop", "stop"), ("length", "length"), ("toolUse", "stop")]
    )
    def test_reasons_mean_what_the_hub_says(self, native: str, reason: Any) -> None:
        answer = message(BEGIN, *block("text", 0, "a"), done(native))
        assert answer.finish == Finish(reason=reason, native=native)

    def test_calls_make_it_tool_calls_whatever_is_said(self) -> None:
        assert message(BEGIN, *call(0, "{}"), done("stop")).finish.reason == "tool_calls"

    def test_another_reason_is_a_failure(self) -> None:
        assert "deferred" in failure_of(events(BEGIN, done("deferred"))).message

    def test_an_answer_without_blocks_says_who_it_is(self) -> None:
        found = events(BEGIN, done(responseModel="gpt-x"))
        assert found[0] == Start(id="r1", model="gpt-x")

    def test_counts_are_apart(self) -> None:
        usage = COUNTS | {"cacheRead": 20, "cacheWrite": 30, "cacheWrite1h": 12, "reasoning": 2}
        assert message(BEGIN, done(usage=usage)).usage == Usage(
            input=3, cache_read=20, cache_write_5m=18, cache_write_1h=12, output=5, reasoning=2
        )
        odd = {"input": -3, "output": 1, "reasoning": 9, "cacheWrite1h": 4}
        assert message(BEGIN, done(usage=odd)).usage == Usage(output=1, reasoning=1)
        assert message(BEGIN, done(usage=None)).usage == Usage()

    def test_nothing_is_read_after_the_end(self) -> None:
        decoder = CLIENT.stream_decoder(target(CLIENT), ToolNames())
        decoder.feed(sse(BEGIN, done(), *block("text", 0, "a")))
        assert decoder.done
        assert decoder.feed(b"x") == []
        assert decoder.close() == []

    def test_done_in_words_is_no_end(self) -> None:
        data = sse(BEGIN, *block("text", 0, "a"), done=True)
        assert "before its answer was complete" in failure_of(decode(CLIENT, data)).message

    def test_a_last_event_without_its_blank_line_counts(self) -> None:
        data = sse(BEGIN, *block("text", 0, "a"), done()).rstrip()
        assert message_of(CLIENT, data).blocks == (TextBlock(text="a"),)


class TestFailures:
    @pytest.mark.parametrize(
        ("words", "kind", "status"),
        [
            ("429 Too Many Requests: slow down", "rate_limit", 429),
            ("prompt is too long: 213462 tokens > 200000 maximum", "context_too_long", 400),
            ("529: overloaded_error", "overloaded", 529),
            ("something broke", "upstream", 500),
        ],
    )
    def test_errors_are_read_from_their_words(self, words: str, kind: str, status: int) -> None:
        found = events(BEGIN, {"type": "error", "reason": "error", "usage": COUNTS, "errorMessage": words})
        error = failure_of(found)
        assert len(found) == 1, "nothing had begun: another target may still be tried"
        assert (error.kind, error.status) == (kind, status)
        assert words in error.message

    def test_an_error_in_mid_answer_follows_what_was_good_and_its_counts(self) -> None:
        end = {"type": "error", "reason": "aborted", "usage": COUNTS, "errorMessage": "x"}
        found = events(BEGIN, *block("text", 0, "a")[:-1], end)
        assert [type(each).__name__ for each in found] == [
            "Start", "BlockStart", "TextDelta", "UsageUpdate", "Failure",
        ]  # fmt: skip

    def test_errors_of_another_shape_are_errors_too(self) -> None:
        for odd in ({"error": {"message": "Nope."}}, {"type": "error", "message": "Nope."}):
            assert "Nope." in failure_of(events(odd)).message

    @pytest.mark.parametrize(
        "said",
        [
            {"type": "text_start", "contentIndex": 1},
            {"type": "text_start", "contentIndex": -1},
            {"type": "text_start"},
            {"type": "text_delta", "contentIndex": 0, "delta": "a"},
            {"type": "text_start", "contentIndex": "__proto__"},
            {"type": "text_delta", "contentIndex": 10**9, "delta": "a"},
            "x",
            [1],
        ],
    )
    def test_events_that_break_the_format_are_a_failure(self, said: Any) -> None:
        assert failure_of(events(BEGIN, said)).proxy_error == "http_response_incomplete"

    def test_an_answer_that_is_no_stream_is_a_failure(self) -> None:
        for body, words in (
            ({"error": {"message": "Nope."}}, "Nope."),
            ({"choices": []}, "no pi-messages stream"),
            ([], "no pi-messages stream"),
        ):
            found = CLIENT.decode_message(json.dumps(body).encode(), target(CLIENT), ToolNames())
            assert words in failure_of(found).message

    def test_http_errors_are_read(self) -> None:
        error = CLIENT.decode_error(
            402, {}, b'{"error":{"message":"No credit","code":"insufficient_credits"}}'
        )
        assert (error.status, error.kind, error.code) == (402, "billing", "insufficient_credits")

    def test_there_is_nothing_to_mend(self) -> None:
        assert CLIENT.mend(b"{}", UpstreamError("no", status=400)) is None
