"""A provider's answer on its way to a caller of the same format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_chat import RELAY, relay_answer, relay_message
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import Finish, Usage
from support.chat_stream import DONE, call, chunk, context, frames, relayed, sse, target

Json = dict[str, Any]
STOP = chunk({}, "stop")
COUNTS = {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4}
COUNTED = Usage(input=3, output=1)


WHOLE: Json = {
    "id": "x",
    "model": "acme-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}],
    "usage": COUNTS,
    "system_fingerprint": "fp",
}


class TestTheStream:
    def test_the_model_is_renamed_and_all_else_kept(self) -> None:
        told, pipe = relayed(sse([chunk({"content": "hi"}, x={"model": "inner"}), STOP]))
        assert frames(told) == [
            {**chunk({"content": "hi"}, x={"model": "inner"}), "model": "acme/acme-1"},
            {**STOP, "model": "acme/acme-1"},
            "[DONE]",
        ]
        assert pipe.facts.began
        assert pipe.facts.done
        assert (pipe.facts.upstream_model, pipe.facts.upstream_id) == ("acme-1", "chatcmpl-up")
        assert pipe.facts.finish == Finish(reason="stop", native="stop")

    @pytest.mark.parametrize(
        "raw",
        [
            b'{"x":{"model":"acme-1"},"choices":[{"index":0,"delta":{"content":"a"}}],"model":"acme-1"}',
            b'{"choices":[{"index":0,"delta":{"content":"a"}}]}',
            b'{"choices":[{"index":0,"delta":{"content":"a"}}],"model" : "acme-1"}',
            b'{"choices":[{"index":0,"delta":{"content":"a"}}],"model":null}',
        ],
        ids=["named twice", "absent", "spaced", "null"],
    )
    def test_the_model_is_found_wherever_it_is(self, raw: bytes) -> None:
        told, _pipe = relayed(sse([raw, STOP]))
        assert frames(told)[0]["model"] == "acme/acme-1"
        if b'"x"' in raw:
            assert frames(told)[0]["x"] == {"model": "acme-1"}

    def test_raw_separators_are_escaped(self) -> None:
        raw = json.dumps(chunk({"content": "a\u2028b\u2029c\u0085d"}), ensure_ascii=False).encode()
        told, _pipe = relayed(sse([raw, STOP]))
        assert told.isascii()
        assert frames(told)[0]["choices"][0]["delta"]["content"] == "a\u2028b\u2029c\u0085d"

    def test_multi_line_data_becomes_one_line(self) -> None:
        raw = b"data: {\ndata: " + json.dumps(chunk({"content": "a"})).encode()[1:] + b"\n\n"
        told, _pipe = relayed(raw + sse([STOP]))
        assert frames(told)[0]["choices"][0]["delta"]["content"] == "a"

    def test_lone_surrogates_pass_as_they_are(self) -> None:
        raw = b'{"choices":[{"index":0,"delta":{"content":"\\ud83d"}}],"model":"acme-1"}'
        told, pipe = relayed(sse([raw, STOP]))
        assert pipe.facts.failure is None
        assert b'"content":"\\ud83d"' in told

    def test_after_the_end_nothing_counts(self) -> None:
        pipe = RELAY.stream_pipe(context())
        told = pipe.feed(sse([chunk({"content": "a"}), STOP]) + sse([chunk({"content": "b"})]))
        assert told.endswith(DONE)
        assert told.count(b"[DONE]") == 1
        assert pipe.feed(b"data: x\n\n") == b""
        assert pipe.close() == b""

    def test_the_first_finish_is_the_answers(self) -> None:
        other = {**chunk(), "choices": [{"index": 1, "delta": {}, "finish_reason": "length"}]}
        _told, pipe = relayed(sse([chunk({"content": "a"}), STOP, other]))
        assert pipe.facts.finish == Finish(reason="stop", native="stop")

    def test_heartbeats_and_comments_are_not_passed_on(self) -> None:
        told, _pipe = relayed(
            b': hi\n\ndata: null\n\ndata:\n\ndata: [{"error":null}]\n\n'
            + sse([chunk({"content": "a"}), STOP])
        )
        assert len(frames(told)) == 3

    def test_frames_without_choices_wait_for_the_answer_to_begin(self) -> None:
        first = chunk(prompt_filter_results=[])
        pipe = RELAY.stream_pipe(context())
        assert pipe.feed(sse([first], done=False)) == b""
        assert not pipe.facts.began
        assert len(frames(pipe.feed(sse([chunk({"content": "a"})], done=False)))) == 2
        assert pipe.facts.began

    def test_an_unlimited_number_of_such_frames_is_not_kept(self) -> None:
        told, _pipe = relayed(sse([*[chunk(n=n) for n in range(100)], chunk({"content": "a"}), STOP]))
        assert len(frames(told)) == 16 + 3

    def test_choices_of_a_second_answer_pass(self) -> None:
        other = {**chunk(), "choices": [{"index": 1, "delta": {"content": "B"}, "finish_reason": "stop"}]}
        told, _pipe = relayed(sse([chunk({"content": "a"}), other, STOP]))
        assert frames(told)[1]["choices"][0]["index"] == 1


class TestUsage:
    def test_a_usage_chunk_nobody_asked_for_is_hidden_but_known(self) -> None:
        told, pipe = relayed(
            sse([chunk({"content": "a"}, usage=None), {**STOP, "usage": None}, chunk(usage=COUNTS)])
        )
        assert b"usage" not in told
        assert pipe.facts.usage == COUNTED

    def test_a_usage_chunk_that_was_asked_for_passes(self) -> None:
        told, pipe = relayed(sse([chunk({"content": "a"}), STOP, chunk(usage=COUNTS)]), wants_usage=True)
        assert frames(told)[-2]["usage"] == COUNTS
        assert told.count(b'"usage"') == 1
        assert pipe.facts.usage == COUNTED

    def test_an_empty_count_is_taken_out_without_touching_the_rest(self) -> None:
        raw = b'{"choices":[{"index":0, "delta":{"content":"a"}}],"model":"acme-1","usage":null}'
        told, _pipe = relayed(sse([raw, STOP]))
        assert told.startswith(
            b'data: {"choices":[{"index":0, "delta":{"content":"a"}}],"model":"acme/acme-1"}\n\n'
        )

    def test_an_empty_count_is_found_however_it_is_spaced(self) -> None:
        raw = b'{"choices":[{"index":0,"delta":{"content":"a"}}],"model":"acme-1","usage": null}'
        told, _pipe = relayed(sse([raw, STOP]))
        assert frames(told)[0].keys() == {"choices", "model"}

    def test_counts_on_the_finish_chunk_are_taken_out(self) -> None:
        told, pipe = relayed(sse([chunk({"content": "a"}), {**STOP, "usage": COUNTS}]))
        assert "usage" not in frames(told)[1]
        assert frames(told)[1]["choices"] == STOP["choices"]
        assert pipe.facts.usage == COUNTED

    def test_counts_inside_a_choice_are_told_in_the_usual_place(self) -> None:
        last = {**STOP, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": COUNTS}]}
        told, pipe = relayed(sse([chunk({"content": "a"}), last]), wants_usage=True)
        usage_chunk = frames(told)[-2]
        assert (usage_chunk["choices"], usage_chunk["usage"]["total_tokens"]) == ([], 4)
        assert (usage_chunk["id"], usage_chunk["model"]) == ("chatcmpl-up", "acme/acme-1")
        assert pipe.facts.usage == COUNTED

    def test_a_provider_without_counts_gives_zeros_to_those_who_asked(self) -> None:
        told, pipe = relayed(sse([chunk({"content": "a"}), STOP]), wants_usage=True)
        assert frames(told)[-2]["usage"]["total_tokens"] == 0
        assert pipe.facts.usage is None

    def test_a_chunk_of_our_own_has_the_id_of_the_answer_even_if_the_first_had_none(self) -> None:
        nameless = {name: value for name, value in chunk({"content": "a"}).items() if name != "id"}
        told, _pipe = relayed(sse([nameless, chunk({"content": "b"}), STOP]), wants_usage=True)
        assert (frames(told)[-2]["id"], frames(told)[-2]["created"]) == ("chatcmpl-up", 1)

    def test_unreadable_counts_are_no_counts(self) -> None:
        _told, pipe = relayed(sse([chunk({"content": "a"}, usage=[]), STOP]))
        assert pipe.facts.usage is None


class TestEndings:
    def test_a_missing_done_is_added(self) -> None:
        told, pipe = relayed(sse([chunk({"content": "a"}), STOP], done=False))
        assert told.endswith(DONE)
        assert pipe.facts.done

    @pytest.mark.parametrize("done", [True, False])
    def test_an_answer_cut_off_is_a_failure_without_done(self, done: bool) -> None:
        told, pipe = relayed(sse([chunk({"content": "a"})], done=done))
        assert b"[DONE]" not in told
        assert isinstance(pipe.facts.failure, BrokenStream)
        assert not pipe.facts.done

    def test_a_provider_without_finish_reasons_gets_one(self) -> None:
        where = target(compat={"supportsFinishReason": False})
        told, pipe = relayed(sse([chunk({"content": "a"})]), target=where)
        assert frames(told)[-2]["choices"][0]["finish_reason"] == "stop"
        assert pipe.facts.finish == Finish(reason="stop")
        begin = call(0, id="c", type="function", name="f", arguments="{}")
        told, _pipe = relayed(sse([begin]), target=where, wants_usage=True)
        assert frames(told)[-3]["choices"][0]["finish_reason"] == "tool_calls"
        assert frames(told)[-3]["usage"] is None
        _told, pipe = relayed(b"data: [DONE]\n\n", target=where)
        assert pipe.facts.failure is not None

    def test_an_error_inside_the_stream_is_told_to_the_gateway_not_relayed(self) -> None:
        error = {"error": {"message": "secret words", "code": "server_is_overloaded"}}
        told, pipe = relayed(sse([chunk({"content": "a"}), error]))
        assert len(frames(told)) == 1
        assert pipe.facts.failure is not None
        assert pipe.facts.failure.kind == "overloaded"
        assert pipe.feed(sse([STOP])) == b""

    def test_an_error_as_the_first_event_leaves_nothing_written(self) -> None:
        told, pipe = relayed(sse([chunk(), {"error": {"message": "x", "code": 429}}]))
        assert (told, pipe.facts.began) == (b"", False)
        assert pipe.facts.failure is not None
        assert pipe.facts.failure.status == 429

    def test_a_finish_that_names_a_failure_is_one(self) -> None:
        told, pipe = relayed(sse([chunk({"content": "a"}), chunk({}, "error")]))
        assert len(frames(told)) == 1
        assert pipe.facts.failure is not None

    def test_what_is_not_json_is_a_failure(self) -> None:
        told, pipe = relayed(sse([chunk({"content": "a"})], done=False) + b"data: {oops\n\n")
        assert len(frames(told)) == 1
        assert isinstance(pipe.facts.failure, BrokenStream)

    def test_a_half_frame_at_the_end_is_a_failure(self) -> None:
        _told, pipe = relayed(sse([chunk({"content": "a"}), STOP], done=False) + b"data: {")
        assert isinstance(pipe.facts.failure, BrokenStream)

    def test_a_done_without_its_blank_line_counts(self) -> None:
        told, pipe = relayed(sse([chunk({"content": "a"}), STOP], done=False) + b"data: [DONE]")
        assert told.endswith(DONE)
        assert pipe.facts.done

    def test_what_is_too_deep_to_follow_is_a_failure(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def too_deep(data: bytes) -> None:
            raise RecursionError

        monkeypatch.setattr(relay_answer, "read_sound", too_deep)
        monkeypatch.setattr(relay_answer, "read_chunk", too_deep)
        for stream in (sse([STOP]), b"data: x"):
            told, pipe = relayed(stream)
            assert (told, pipe.facts.done) == (b"", False)
            assert isinstance(pipe.facts.failure, BrokenStream)
        monkeypatch.setattr(relay_message, "read_chunk", too_deep)
        _told, facts = RELAY.message(b"{}", context())
        assert isinstance(facts.failure, BrokenStream)

    def test_the_gateways_error_is_written_without_done(self) -> None:
        told = RELAY.stream_pipe(context()).fail(BrokenStream("cut"))
        assert frames(told) == [
            {"error": {"message": "cut", "type": "server_error", "param": None, "code": None}}
        ]


class TestRepairs:
    def told(self, *chunks: Any) -> list[Json]:
        stream, pipe = relayed(sse([*chunks, STOP]))
        assert pipe.facts.failure is None
        return [choice for each in frames(stream)[:-2] for choice in each["choices"]]

    def fragments(self, *chunks: Any) -> list[Json]:
        return [each for choice in self.told(*chunks) for each in choice["delta"].get("tool_calls", [])]

    def test_an_empty_finish_reason_is_null(self) -> None:
        assert self.told(chunk({"content": "a"}, ""))[0]["finish_reason"] is None

    def test_missing_indexes_and_deltas_are_filled_in(self) -> None:
        odd = {**chunk(), "choices": [{"delta": {"content": "a"}}, {"index": 1, "delta": None}, 5]}
        assert [(c["index"], c["delta"]) for c in self.told(odd)] == [(0, {"content": "a"}), (1, {})]

    def test_a_valid_call_is_left_alone(self) -> None:
        begin = call(0, id="c", type="function", name="f", arguments="")
        more = call(0, arguments="{}")
        assert self.fragments(begin, more) == [
            *begin["choices"][0]["delta"]["tool_calls"],
            *more["choices"][0]["delta"]["tool_calls"],
        ]

    def test_valid_fragments_keep_their_bytes(self) -> None:
        begin = json.dumps(call(0, id="c", type="function", name="f", arguments="")).encode()
        more = json.dumps(call(0, arguments="{}")).encode()
        told, _pipe = relayed(sse([begin, more, STOP]))
        for raw in (begin, more):
            assert raw[raw.index(b'{"tool_calls"') : raw.index(b', "finish_reason"')] in told

    def test_a_valid_custom_call_is_left_alone(self) -> None:
        fragment = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "p", "input": "x"}}
        assert self.fragments(chunk({"tool_calls": [fragment]})) == [fragment]

    def test_a_custom_call_without_type_gets_one(self) -> None:
        fragment = {"index": 0, "id": "c", "custom": {"name": "p", "input": "x"}}
        assert self.fragments(chunk({"tool_calls": [fragment]}))[0]["type"] == "custom"

    def test_fragments_without_index_find_their_call(self) -> None:
        found = self.fragments(
            call(None, arguments="lost"),
            call(None, id="a", name="f", arguments="1"),
            call(None, arguments="2"),
            call(None, id="b", name="g", arguments="3"),
            call(None, id="a", arguments="4"),
            call(None, name="h", arguments="5"),
        )
        assert [(each["index"], each["function"]["arguments"]) for each in found] == [
            (0, "1"),
            (0, "2"),
            (1, "3"),
            (0, "4"),
            (2, "5"),
        ]
        assert [each["id"] for each in found if "id" in each] == ["a", "b", "call_0_2"]

    def test_a_choice_of_its_own_mind_keeps_its_finish_and_its_role(self) -> None:
        odd = chunk({"role": "assistant", "content": "a", "tool_calls": None}, "length")
        assert self.told(odd) == [
            {"index": 0, "delta": {"role": "assistant", "content": "a"}, "finish_reason": "length"}
        ]

    def test_tool_calls_as_one_object_become_a_list(self) -> None:
        found = self.fragments(chunk({"tool_calls": {"id": "a", "function": {"name": "f"}}}))
        assert found == [
            {"id": "a", "index": 0, "type": "function", "function": {"name": "f", "arguments": ""}}
        ]

    def test_a_first_fragment_without_a_body_gets_arguments(self) -> None:
        assert self.fragments(call(0, id="a"))[0]["function"] == {"arguments": ""}

    def test_a_later_fragment_without_a_body_stays_bare(self) -> None:
        begin = call(0, id="c", type="function", name="f", arguments="")
        assert self.fragments(begin, call(0, id="c"))[1] == {"index": 0}


class TestPlainAnswers:
    def told(self, whole: Any, **changes: Any) -> tuple[bytes, Any]:
        raw = whole if isinstance(whole, bytes) else json.dumps(whole).encode()
        return RELAY.message(raw, context(**changes))

    def test_only_the_model_changes(self) -> None:
        told, facts = self.told(WHOLE)
        assert json.loads(told) == {**WHOLE, "model": "acme/acme-1"}
        assert (facts.began, facts.done, facts.usage) == (True, True, COUNTED)
        assert facts.finish == Finish(reason="stop", native="stop")
        assert (facts.upstream_id, facts.upstream_model) == ("x", "acme-1")

    def test_counts_may_be_absent(self) -> None:
        _told, facts = self.told({name: value for name, value in WHOLE.items() if name != "usage"})
        assert facts.usage is None

    def test_counts_inside_the_choice_are_shown_where_callers_look(self) -> None:
        choice = {**WHOLE["choices"][0], "usage": COUNTS}
        told, facts = self.told({**WHOLE, "choices": [choice], "usage": None})
        assert json.loads(told)["usage"]["total_tokens"] == COUNTS["total_tokens"]
        assert facts.usage == COUNTED

    @pytest.mark.parametrize(
        ("whole", "hint"),
        [
            (b"", "not JSON"),
            (b"<html>", "not JSON"),
            (b"null", "no chat completion"),
            (b'[{"error":{"message":"bad"}}]', "bad"),
            ({"error": {"message": "bad"}}, "bad"),
            ({"choices": []}, "choices"),
            ({"choices": [{"message": {}}]}, "finish_reason"),
            ({"choices": [{"message": {}, "finish_reason": "error"}]}, "error"),
        ],
    )
    def test_what_is_no_answer_is_a_failure(self, whole: Any, hint: str) -> None:
        told, facts = self.told(whole)
        assert told == b""
        assert not facts.done
        assert hint in facts.failure.message

    def test_a_provider_without_finish_reasons_is_believed(self) -> None:
        whole = {"choices": [{"message": {"content": "x"}}]}
        _told, facts = self.told(whole, target=target(compat={"supportsFinishReason": False}))
        assert facts.finish == Finish(reason="stop")

    def test_numbers_beyond_the_book_are_a_failure(self) -> None:
        _told, facts = self.told(b'{"choices":[{"message":{},"finish_reason":"stop"}],"x":NaN}')
        assert isinstance(facts.failure, BrokenStream)
