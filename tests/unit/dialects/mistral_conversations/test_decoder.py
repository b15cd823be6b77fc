"""What Mistral's answers mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.mistral_conversations import CLIENT
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import (
    BlockStart,
    BlockStop,
    Event,
    Finish,
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
from support.kind_streams import decode, failure_of, message_of, sse, target

USAGE = {"prompt_tokens": 10, "completion_tokens": 4, "total_tokens": 14}


def chunk(finish: str | None = None, usage: Any = None, **delta: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "model": "mistral-x", "choices": [choice], **({"usage": usage} if usage else {})}


def thinking(*texts: str) -> list[dict[str, Any]]:
    return [{"type": "thinking", "thinking": [{"type": "text", "text": each} for each in texts]}]


def call(name: str | None, arguments: Any = "{}", **more: Any) -> dict[str, Any]:
    return {"function": {"name": name, "arguments": arguments}, **more}


def message(*chunks: Any, **how: Any) -> Any:
    return message_of(CLIENT, sse(*chunks, done=True), **how)


def events(*chunks: Any, **how: Any) -> list[Event]:
    return decode(CLIENT, sse(*chunks, done=True), **how)


class TestBlocks:
    def test_text_streams_through(self) -> None:
        assert events(chunk(content=""), chunk(content="Hi"), chunk("stop", USAGE, content="!")) == [
            Start(id="c1", model="mistral-x"),
            BlockStart(index=0, block=TextBlock(text="")),
            TextDelta(0, "Hi"),
            TextDelta(0, "!"),
            UsageUpdate(Usage(input=10, output=4)),
            BlockStop(0),
            Finish(reason="stop", native="stop"),
        ]

    def test_thinking_is_a_chunk_of_content_and_empty_text_around_it_begins_nothing(self) -> None:
        answer = message(
            chunk(content=""),
            chunk(content=thinking("h", "m")),
            chunk(content=""),
            chunk(content=thinking("?")),
            chunk(content=[{"type": "text", "text": "So"}, ".", {"type": "reference", "reference_ids": [1]}]),
            chunk("stop", content=[{"type": "text", "text": None}]),
        )
        assert answer.blocks == (ReasoningBlock(text="hm?"), TextBlock(text="So."))

    def test_thinking_may_be_a_plain_text(self) -> None:
        answer = message(chunk("stop", content=[{"type": "thinking", "thinking": "hm"}]))
        assert answer.blocks == (ReasoningBlock(text="hm"),)

    def test_calls_come_whole_with_arguments_as_text_or_object(self) -> None:
        answer = message(
            chunk(content="Let me see."),
            chunk(
                "tool_calls",
                tool_calls=[
                    call("weather", '{"a":1}', id="abcdefghi", index=0),
                    call("weather", {"b": 2}, id="jklmnopqr", index=1),
                    call("weather", {}, id="stuvwxyz0", index=2),
                ],
            ),
        )
        assert answer.blocks == (
            TextBlock(text="Let me see."),
            ToolCallBlock(id="abcdefghi", name="weather", arguments='{"a":1}'),
            ToolCallBlock(id="jklmnopqr", name="weather", arguments='{"b":2}'),
            ToolCallBlock(id="stuvwxyz0", name="weather", arguments=""),
        )

    def test_a_call_may_come_in_pieces(self) -> None:
        answer = message(
            chunk(tool_calls=[call("f", '{"a"', id="x", index=0)]),
            chunk("tool_calls", tool_calls=[call(None, ":1}", id="null", index=0)]),
        )
        assert answer.blocks == (ToolCallBlock(id="x", name="f", arguments='{"a":1}'),)

    def test_calls_that_share_an_index_are_told_apart_by_their_ids(self) -> None:
        answer = message(
            chunk("tool_calls", tool_calls=[call("f", id="x", index=0), call("g", id="y", index=0)])
        )
        assert [(block.id, block.name) for block in answer.blocks] == [("x", "f"), ("y", "g")]

    def test_calls_without_index_are_known_by_their_ids(self) -> None:
        answer = message(
            chunk(tool_calls=[call("f", "{", id="x"), call("g", "{", id="y")]),
            chunk("tool_calls", tool_calls=[call(None, "}", id="x"), call(None, "}", id="y")]),
        )
        assert [block.arguments for block in answer.blocks] == ["{}", "{}"]

    def test_calls_without_any_id_get_one(self) -> None:
        answer = message(chunk("tool_calls", tool_calls=[call("f", index=0, id="null"), call("g", index=1)]))
        ids = [block.id for block in answer.blocks]
        assert len(set(ids)) == 2
        assert all(ids)

    def test_text_after_a_call_is_a_block_of_its_own(self) -> None:
        answer = message(
            chunk(content="a"),
            chunk(tool_calls=[call("f", id="x", index=0)]),
            chunk("tool_calls", content="b"),
        )
        assert [type(block).__name__ for block in answer.blocks] == [
            "TextBlock",
            "ToolCallBlock",
            "TextBlock",
        ]

    def test_names_and_free_form_inputs_come_back_as_the_caller_wrote_them(self) -> None:
        names = ToolNames((Tool(name="a.b"), Tool(kind="custom", name="patch")))
        answer = message(
            chunk(
                "tool_calls",
                tool_calls=[
                    call("a_b", id="x", index=0),
                    call("patch", {"input": "*** Begin"}, id="y", index=1),
                ],
            ),
            names=names,
        )
        assert [(block.name, block.arguments) for block in answer.blocks] == [
            ("a.b", "{}"),
            ("patch", "*** Begin"),
        ]

    def test_an_empty_fragment_of_no_call_says_nothing(self) -> None:
        assert message(chunk("stop", content="a", tool_calls=[{"index": 0}])).finish.reason == "stop"

    def test_a_call_without_a_name_cannot_be_run(self) -> None:
        error = failure_of(events(chunk(tool_calls=[call(None, "{}", index=0)])))
        assert "without naming it" in error.message

    def test_text_is_mended_where_surrogates_are_cut(self) -> None:
        data = b'data: {"choices":[{"delta":{"content":"a\\ud83d"},"finish_reason":"stop"}]}\n\n'
        assert message_of(CLIENT, data).blocks == (TextBlock(text="a\ufffd"),)


class TestEnds:
    @pytest.mark.parametrize(
        ("native", "reason"),
        [
            ("stop", "stop"),
            ("length", "length"),
            ("model_length", "context_full"),
            ("tool_calls", "stop"),
            ("content_filter", "content_filter"),
        ],
    )
    def test_reasons_mean_what_the_hub_says(self, native: str, reason: Any) -> None:
        assert message(chunk(native, content="a")).finish == Finish(reason=reason, native=native)

    def test_calls_make_it_tool_calls_whatever_is_said(self) -> None:
        assert message(chunk("stop", tool_calls=[call("f", id="x")])).finish.reason == "tool_calls"

    def test_an_error_as_the_reason_is_a_failure(self) -> None:
        found = events(chunk(content="a"), chunk("error"))
        error = failure_of(found)
        assert (error.status, error.code) == (502, "error")
        assert TextDelta(0, "a") in found

    def test_other_choices_than_the_first_are_none_of_ours(self) -> None:
        other = {"choices": [{"index": 1, "delta": {"content": "x"}}]}
        assert message(other, chunk("stop", content="a")).blocks == (TextBlock(text="a"),)

    def test_the_end_of_the_connection_is_as_good_as_done(self) -> None:
        assert message_of(CLIENT, sse(chunk("stop", content="a"))).finish.reason == "stop"

    def test_nothing_is_read_after_done(self) -> None:
        decoder = CLIENT.stream_decoder(target(CLIENT), ToolNames())
        decoder.feed(sse(chunk("stop", content="a"), done=True) + sse(chunk(content="b")))
        assert decoder.done
        assert decoder.feed(b"x") == []
        assert decoder.close() == []

    @pytest.mark.parametrize("chunks", [(), (chunk(content="a"),)])
    def test_an_answer_without_a_reason_is_cut(self, chunks: tuple[Any, ...]) -> None:
        assert "finish_reason" in failure_of(decode(CLIENT, sse(*chunks))).message
        assert "finish_reason" in failure_of(events(*chunks)).message

    @pytest.mark.parametrize(
        ("more", "cached"),
        [
            ({}, 0),
            ({"prompt_tokens_details": {"cached_tokens": 6}}, 6),
            ({"prompt_token_details": {"cached_tokens": 6}}, 6),
            ({"num_cached_tokens": 6}, 6),
            ({"num_cached_tokens": 60}, 10),
            ({"num_cached_tokens": -3}, 0),
        ],
    )
    def test_cached_tokens_are_taken_out_of_the_prompt(self, more: dict[str, Any], cached: int) -> None:
        usage = message(chunk("stop", USAGE | more, content="a")).usage
        assert usage == Usage(input=10 - cached, cache_read=cached, output=4)

    def test_events_without_data_say_nothing(self) -> None:
        data = b"data:\n\n: comment\n\n" + sse(chunk("stop", content="a"))
        assert message_of(CLIENT, data).blocks == (TextBlock(text="a"),)

    def test_counts_may_come_alone_and_are_told_once(self) -> None:
        found = events(
            chunk("stop", USAGE, content="a"),
            {"choices": [], "usage": USAGE},
            {"choices": [], "usage": USAGE | {"completion_tokens": 5}},
        )
        assert [each.usage.output for each in found if isinstance(each, UsageUpdate)] == [4, 5]


class TestFailures:
    @pytest.mark.parametrize(
        "data",
        [
            b'data: {"object":"error","message":"Service tier capacity exceeded","code":"3505"}\n\n',
            b'data: {"error":{"message":"Service tier capacity exceeded"}}\n\n',
            b'event: error\ndata: {"message":"Service tier capacity exceeded"}\n\n',
        ],
    )
    def test_errors_in_the_stream_are_its_end(self, data: bytes) -> None:
        found = decode(CLIENT, data)
        assert len(found) == 1, "nothing had begun: another target may still be tried"
        assert "Service tier capacity exceeded" in failure_of(found).message

    @pytest.mark.parametrize("data", [b"data: {nope\n\n", b"data: [1]\n\n", b'data: {"choices":7}\n\n'])
    def test_bytes_that_break_the_format_are_a_failure(self, data: bytes) -> None:
        assert failure_of(decode(CLIENT, data)).proxy_error == "http_response_incomplete"

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, b'{"object":"error","message":"Unexpected role","code":"3230"}', "bad_request"),
            (422, b'{"detail":[{"loc":["body","x"],"msg":"extra_forbidden"}]}', "bad_request"),
            (401, b'{"detail":"Unauthorized"}', "upstream_auth"),
            (429, b'{"message":"Requests rate limit exceeded"}', "rate_limit"),
        ],
    )
    def test_http_errors_are_read_in_all_their_shapes(self, status: int, body: bytes, kind: str) -> None:
        error = CLIENT.decode_error(status, {}, body)
        assert (error.status, error.kind, error.family) == (status, kind, "")

    def test_there_is_nothing_to_mend(self) -> None:
        assert CLIENT.mend(b"{}", UpstreamError("no", status=400)) is None


class TestPlainAnswers:
    def _events(self, body: object) -> list[Event]:
        return CLIENT.decode_message(json.dumps(body).encode(), target(CLIENT), ToolNames())

    def test_a_whole_answer_means_the_same_as_a_stream(self) -> None:
        reply = {
            "content": [*thinking("hm"), {"type": "text", "text": "So."}],
            "tool_calls": [call("f", id="x", index=0), call("g", id="y", index=0), call("h", id="x")],
        }
        body = {
            "id": "c1",
            "model": "mistral-x",
            "choices": [{"index": 0, "message": reply, "finish_reason": "tool_calls"}],
            "usage": USAGE,
        }
        answer = fold(self._events(body))
        assert [type(block).__name__ for block in answer.blocks] == [
            "ReasoningBlock", "TextBlock", "ToolCallBlock", "ToolCallBlock", "ToolCallBlock",
        ]  # fmt: skip
        assert len({block.id for block in answer.blocks if isinstance(block, ToolCallBlock)}) == 3
        assert (answer.id, answer.usage) == ("c1", Usage(input=10, output=4))

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"object": "error", "message": "Nope."}, "Nope."),
            ({"detail": "Not found"}, "Not found"),
            ({"choices": []}, "no chat completion"),
            ("x", "no chat completion"),
        ],
    )
    def test_what_is_no_answer_is_a_failure(self, body: object, words: str) -> None:
        assert words in failure_of(self._events(body)).message
