"""Answers as callers get them: the grammar is checked by `support.responses_grammar` in every test."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects.openai_responses import SERVER
from pi_model_proxy.errors import BrokenStream, UpstreamError, UpstreamTimeout
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    Failure,
    Finish,
    Message,
    Opaque,
    OpaqueDelta,
    Ping,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    Usage,
    UsageUpdate,
    fold,
    unfold,
)
from support.responses_caller import answer, answered, context, final, told
from support.responses_grammar import check_stream

STOP = Finish(reason="stop")
USAGE = Usage(input=5, cache_read=3, cache_write_5m=2, output=7, reasoning=4)


def block(index: int, stub: Any, *texts: str, after: tuple[Event, ...] = ()) -> list[Event]:
    """Return the events of one block."""
    delta = ArgumentsDelta if isinstance(stub, ToolCallBlock) else TextDelta
    return [
        BlockStart(index=index, block=stub),
        *(delta(index, text) for text in texts),
        *after,
        BlockStop(index),
    ]


def whole(*blocks: list[Event], finish: Finish = STOP, usage: Usage | None = USAGE) -> list[Event]:
    """Return the events of one answer."""
    counted = [UsageUpdate(usage)] if usage is not None else []
    return [Start(id="up_1", model="m-1"), *(event for each in blocks for event in each), *counted, finish]


def text(index: int, *texts: str) -> list[Event]:
    return block(index, TextBlock(text=""), *texts)


def call(index: int, *texts: str, **members: Any) -> list[Event]:
    return block(index, ToolCallBlock(**{"id": "call_1", "name": "f", **members}), *texts)


class TestText:
    def test_the_events_come_in_order(self) -> None:
        assert answered(told(whole(text(0, "Hel", "lo")))) == [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]

    def test_neighbouring_blocks_are_one_part(self) -> None:
        (item,) = final(whole(text(0, "Rome "), text(1, "is "), text(2, "old.")))["output"]
        assert [part["text"] for part in item["content"]] == ["Rome is old."]

    def test_text_after_a_call_is_another_message(self) -> None:
        output = final(whole(text(0, "a"), call(1, "{}"), text(2, "b")))["output"]
        assert [item["type"] for item in output] == ["message", "function_call", "message"]
        assert len({item["id"] for item in output}) == 3

    def test_empty_deltas_are_not_told(self) -> None:
        assert final(whole(text(0, "", "a", "")))["output"][0]["content"][0]["text"] == "a"

    def test_an_empty_block_is_an_empty_part(self) -> None:
        assert final(whole(text(0)))["output"][0]["content"][0]["text"] == ""

    def test_an_answer_without_blocks_has_no_items(self) -> None:
        response = final(whole())
        assert (response["status"], response["output"]) == ("completed", [])

    def test_separators_and_emoji_are_escaped(self) -> None:
        said = "a\u2028b\u2029c\x85d\U0001f600\n"
        assert final(whole(text(0, said)))["output"][0]["content"][0]["text"] == said

    def test_pings_are_comments(self) -> None:
        encoder = SERVER.stream_encoder(context())
        events = [*whole(text(0, "a"))[:3], Ping(), *whole(text(0, "a"))[3:]]
        data = b"".join(encoder.feed(event) for event in events)
        assert b": keep-alive\n\n" in data
        assert encoder.ping() == b": keep-alive\n\n"
        check_stream(data)

    def test_nothing_follows_the_end(self) -> None:
        encoder = SERVER.stream_encoder(context())
        for event in whole(text(0, "a")):
            encoder.feed(event)
        assert all(encoder.feed(event) == b"" for event in [*whole(text(0, "a")), TextDelta(0, "x")])


class TestCitations:
    def test_offsets_count_in_the_whole_part(self) -> None:
        first = block(
            0,
            TextBlock(text=""),
            "Rome.",
            after=(CitationDelta(0, Citation(url="https://a.example", title="A")),),
        )
        second = block(
            1,
            TextBlock(text=""),
            " Old.",
            after=(CitationDelta(1, Citation(url="https://b.example", start=1, end=4)),),
        )
        (part,) = final(whole(first, second))["output"][0]["content"]
        spans = [
            (each["url"], each["title"], each["start_index"], each["end_index"])
            for each in part["annotations"]
        ]
        assert spans == [("https://a.example", "A", 0, 5), ("https://b.example", "", 6, 9)]

    def test_openais_own_annotation_stays_as_it_is(self) -> None:
        raw = '{"type":"file_citation","file_id":"f","index":3,"filename":"\u2028"}'
        cited = CitationDelta(0, Citation(dialect="openai_responses", raw=raw))
        (part,) = final(whole(block(0, TextBlock(text=""), "a", after=(cited,))))["output"][0]["content"]
        assert part["annotations"] == [json.loads(raw)]

    def test_what_is_no_web_page_is_left_out(self) -> None:
        cited = CitationDelta(0, Citation(cited_text="page 3"))
        (part,) = final(whole(block(0, TextBlock(text=""), "a", after=(cited,))))["output"][0]["content"]
        assert part["annotations"] == []

    def test_a_citation_of_nothing_said_is_left_out(self) -> None:
        events = block(0, ReasoningBlock(), "a", after=(CitationDelta(0, Citation(url="https://a.example")),))
        assert final(whole(events))["output"][0]["type"] == "reasoning"


class TestCalls:
    def test_a_function(self) -> None:
        payloads = told(whole(call(0, '{"a":', "1}", item_id="fc_9"), finish=Finish(reason="tool_calls")))
        assert answered(payloads)[2:6] == [
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
        ]
        assert payloads[-1]["response"]["output"] == [
            {
                "id": "fc_9",
                "type": "function_call",
                "status": "completed",
                "call_id": "call_1",
                "name": "f",
                "arguments": '{"a":1}',
            }
        ]

    def test_no_arguments_are_an_empty_object(self) -> None:
        assert final(whole(call(0)))["output"][0]["arguments"] == "{}"

    def test_a_namespace_is_told_apart(self) -> None:
        (item,) = final(whole(call(0, "{}", namespace="crm", name="get")))["output"]
        assert (item["namespace"], item["name"]) == ("crm", "get")

    def test_a_custom_tool_gets_its_text_as_it_is(self) -> None:
        payloads = told(whole(call(0, "*** Begin", " Patch", custom=True, name="apply_patch")))
        assert answered(payloads)[3:5] == [
            "response.custom_tool_call_input.delta",
            "response.custom_tool_call_input.done",
        ]
        (item,) = payloads[-1]["response"]["output"]
        assert (item["type"], item["input"]) == ("custom_tool_call", "*** Begin Patch")

    def test_a_custom_tool_may_get_nothing(self) -> None:
        assert final(whole(call(0, custom=True)))["output"][0]["input"] == ""

    @pytest.mark.parametrize(
        ("given", "kept"),
        [("call_1", True), ("toolu_01A", True), ("x" * 64, True), ("x" * 65, False), ("", False)],
    )
    def test_call_ids_fit_what_comes_back(self, given: str, *, kept: bool) -> None:
        call_id = final(whole(call(0, "{}", id=given)))["output"][0]["call_id"]
        assert (call_id == given) is kept
        assert call_id == final(whole(call(0, "{}", id=given)))["output"][0]["call_id"]

    @pytest.mark.parametrize("item_id", [None, "call_1", "ctc_1", "fc_" + "x" * 64])
    def test_foreign_item_ids_are_replaced(self, item_id: str | None) -> None:
        assert (
            final(whole(call(0, "{}", item_id=item_id)))["output"][0]["id"] == "fc_0123456789abcdef012345670"
        )

    def test_two_items_never_share_an_id(self) -> None:
        first, second = final(whole(call(0, "{}", item_id="fc_"), call(1, "{}", id="call_2", item_id="fc_")))[
            "output"
        ]
        assert (first["id"], second["id"]) == ("fc_", "fc_0123456789abcdef012345671")

    def test_half_a_call_cut_for_length_is_not_complete(self) -> None:
        response = final(whole(call(0, '{"a":'), finish=Finish(reason="length")))
        assert (response["status"], response["output"][0]["status"]) == ("incomplete", "incomplete")
        assert response["output"][0]["arguments"] == '{"a":'

    def test_a_broken_call_that_others_follow_is_told_as_it_is(self) -> None:
        events = whole(call(0, '{"a":'), text(1, "x"), finish=Finish(reason="length"))
        assert [item["status"] for item in final(events)["output"]] == ["completed", "incomplete"]


class TestToolsTheCallerRuns:
    BODY = {"tools": [{"type": "apply_patch"}, {"type": "shell", "environment": {"type": "local"}}, {"type": "local_shell"}]}  # fmt: skip  # noqa: RUF012 - never changed

    @pytest.mark.parametrize(
        ("name", "arguments", "item"),
        [
            (
                "apply_patch",
                '{"type":"create_file","path":"a","diff":"+x"}',
                {"type": "apply_patch_call", "operation": {"type": "create_file", "path": "a", "diff": "+x"}},
            ),
            ("shell", '{"commands":["ls"]}', {"type": "shell_call", "action": {"commands": ["ls"]}}),
            (
                "local_shell",
                '{"command":["ls"]}',
                {"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}},
            ),
        ],
    )
    def test_a_call_comes_as_the_item_they_wait_for(self, name: str, arguments: str, item: Any) -> None:
        (got,) = final(whole(call(0, arguments, name=name)), context(self.BODY))["output"]
        assert got.items() >= {**item, "status": "completed", "call_id": "call_1"}.items()

    @pytest.mark.parametrize(
        ("name", "arguments"),
        [
            ("apply_patch", '{"type":"rename_file","path":"a"}'),
            ("apply_patch", '{"path":"a"}'),
            ("shell", '{"commands":"ls"}'),
            ("shell", '["ls"]'),
        ],
    )
    def test_what_is_no_call_of_theirs_is_told_as_a_function(self, name: str, arguments: str) -> None:
        (item,) = final(whole(call(0, arguments, name=name)), context(self.BODY))["output"]
        assert (item["type"], item["arguments"]) == ("function_call", arguments)

    def test_who_has_no_such_tool_gets_the_function(self) -> None:
        hosted = {"tools": [{"type": "shell", "environment": {"type": "container_auto"}}]}
        (item,) = final(whole(call(0, '{"commands":["ls"]}', name="shell")), context(hosted))["output"]
        assert item["type"] == "function_call"

    def test_a_custom_tool_of_that_name_is_another(self) -> None:
        (item,) = final(whole(call(0, "x", name="apply_patch", custom=True)), context(self.BODY))["output"]
        assert item["type"] == "custom_tool_call"

    def test_half_a_call_is_not_run(self) -> None:
        events = whole(
            call(0, '{"type":"delete_file","pa', name="apply_patch"), finish=Finish(reason="length")
        )
        (item,) = final(events, context(self.BODY))["output"]
        assert (item["type"], item["status"]) == ("function_call", "incomplete")


class TestThinking:
    SIGNED = OpaqueDelta(0, Opaque(kind="anthropic_signature", data="c2ln"))
    ASKED = {"reasoning": {"effort": "high", "summary": "auto"}}  # noqa: RUF012 - never changed

    def test_a_summary_to_who_asked_for_one(self) -> None:
        payloads = told(whole(block(0, ReasoningBlock(), "Hm, ", "yes.")), context(self.ASKED))
        assert answered(payloads)[2:8] == [
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
        ]
        (item,) = payloads[-1]["response"]["output"]
        assert item["summary"] == [{"type": "summary_text", "text": "Hm, yes."}]
        assert "encrypted_content" not in item

    def test_thinking_itself_to_who_did_not(self) -> None:
        payloads = told(whole(block(0, ReasoningBlock(), "Hm.")), context({"reasoning": {"effort": "high"}}))
        assert answered(payloads)[3:7] == [
            "response.content_part.added",
            "response.reasoning_text.delta",
            "response.reasoning_text.done",
            "response.content_part.done",
        ]
        (item,) = payloads[-1]["response"]["output"]
        assert (item["summary"], item["content"]) == ([], [{"type": "reasoning_text", "text": "Hm."}])

    def test_a_summary_stays_one(self) -> None:
        (item,) = final(whole(block(0, ReasoningBlock(summary=True), "Hm.")))["output"]
        assert item["summary"] == [{"type": "summary_text", "text": "Hm."}]

    def test_nothing_of_it_to_who_did_not_speak_of_it(self) -> None:
        hidden = context(shows_reasoning=False)
        payloads = told(whole(block(0, ReasoningBlock(), "Hm.", after=(self.SIGNED,))), hidden)
        assert answered(payloads)[2:4] == ["response.output_item.added", "response.output_item.done"]
        assert b"Hm." not in json.dumps(payloads).encode()

    def test_empty_thinking_is_an_item_all_the_same(self) -> None:
        (item,) = final(whole(block(0, ReasoningBlock())), context(self.ASKED))["output"]
        assert item == {"id": "rs_pmp_0123456789abcdef012345670", "type": "reasoning", "summary": []}

    @pytest.mark.parametrize("shown", [True, False])
    @pytest.mark.parametrize("body", [{}, ASKED])
    @pytest.mark.parametrize(
        "given",
        [
            ReasoningBlock(text="Hm.", opaque=Opaque(kind="anthropic_signature", data="c2ln", origin="acme/m-1")),
            ReasoningBlock(opaque=Opaque(kind="anthropic_redacted", data="cmVk", origin="acme/m-1")),
            ReasoningBlock(text="\u00fc", field="reasoning", opaque=Opaque(kind="reasoning_details", data="[]", origin="a/b")),
            ReasoningBlock(text="a\n\nb", summary=True, opaque=Opaque(kind="openai_encrypted", data="gA#1,1", item_id="rs_9", origin="openai/x")),
            ReasoningBlock(text="Hm.", opaque=Opaque(kind="gemini_signature", data="c2ln", origin="acme/m-1")),
        ],
    )  # fmt: skip
    def test_a_token_comes_back_as_it_was(self, given: ReasoningBlock, body: Any, *, shown: bool) -> None:
        events = [Start(), *list(unfold(Message(blocks=(given,), finish=STOP)))[1:]]
        where = context(body, shows_reasoning=shown)
        (item,) = final(events, where)["output"]
        (turn,) = SERVER.decode_request(json.dumps({"input": [item]}).encode()).turns
        (back,) = turn.blocks
        assert back == ReasoningBlock(
            text=given.text, summary=given.summary, field=given.field, opaque=given.opaque, at="input[0]"
        )

    def test_a_token_that_does_not_say_whose_it_is_gets_its_origin(self) -> None:
        (item,) = final(whole(block(0, ReasoningBlock(), "Hm.", after=(self.SIGNED,))), context(self.ASKED))[
            "output"
        ]
        (turn,) = SERVER.decode_request(json.dumps({"input": [item]}).encode()).turns
        assert turn.blocks[0].opaque.origin == "acme/m-1"  # type: ignore[union-attr]  # thinking

    def test_hidden_thinking_without_a_token_comes_back_too(self) -> None:
        given = ReasoningBlock(text="Hm.", field="reasoning_content")
        (item,) = final(
            whole(block(0, ReasoningBlock(field="reasoning_content"), "Hm.")), context(shows_reasoning=False)
        )["output"]
        (turn,) = SERVER.decode_request(json.dumps({"input": [item]}).encode()).turns
        assert turn.blocks[0].text == given.text  # type: ignore[union-attr]  # thinking
        assert turn.blocks[0].field == given.field  # type: ignore[union-attr]  # thinking

    def test_in_a_plain_answer_openais_item_is_its_own(self) -> None:
        opaque = Opaque(kind="openai_encrypted", data="gAAA#1,1", item_id="rs_9")
        message = Message(blocks=(ReasoningBlock(text="a\n\nb", summary=True, opaque=opaque),), finish=STOP)
        assert answer(message)["output"] == [
            {
                "id": "rs_9",
                "type": "reasoning",
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
                "encrypted_content": "gAAA",
            }
        ]


class TestOtherBlocks:
    def test_items_of_this_format_stay_as_they_are(self) -> None:
        item = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"query": "\u2028"}}
        raw = RawBlock(
            dialect="openai_responses", type_name="web_search_call", data=json.dumps(item, ensure_ascii=False)
        )
        assert final(whole(block(0, raw)))["output"] == [item]

    def test_blocks_of_another_format_are_left_out_and_part_no_text(self) -> None:
        foreign = RawBlock(dialect="anthropic_messages", type_name="server_tool_use", data="{}")
        events = whole(
            text(0, "a"),
            block(1, foreign, after=(OpaqueDelta(1, Opaque(kind="gemini_signature", data="x")),)),
            text(2, "b"),
        )
        (item,) = final(events)["output"]
        assert item["content"][0]["text"] == "ab"


class TestEnds:
    def test_a_refusal(self) -> None:
        payloads = told(whole(block(0, RefusalBlock(text=""), "I can't."), finish=Finish(reason="refusal")))
        assert answered(payloads)[3:6] == [
            "response.content_part.added",
            "response.refusal.delta",
            "response.refusal.done",
        ]
        response = payloads[-1]["response"]
        assert (response["status"], response["output"][0]["content"]) == (
            "completed",
            [{"type": "refusal", "refusal": "I can't."}],
        )

    def test_a_refusal_after_text_is_a_part_of_its_own(self) -> None:
        (item,) = final(whole(text(0, "Well."), block(1, RefusalBlock(text=""), "No.")))["output"]
        assert [part["type"] for part in item["content"]] == ["output_text", "refusal"]

    def test_why_the_model_declined_is_its_refusal(self) -> None:
        response = final(whole(finish=Finish(reason="refusal", detail="cyber")))
        assert response["output"][0]["content"] == [{"type": "refusal", "refusal": "cyber"}]

    def test_a_refusal_without_a_word_is_not_complete(self) -> None:
        response = final(whole(text(0, "Well"), finish=Finish(reason="refusal")))
        assert (response["status"], response["incomplete_details"]) == (
            "incomplete",
            {"reason": "content_filter"},
        )

    @pytest.mark.parametrize(
        ("reason", "status", "why"),
        [
            ("stop", "completed", None),
            ("stop_sequence", "completed", None),
            ("tool_calls", "completed", None),
            ("pause", "completed", None),
            ("length", "incomplete", "max_output_tokens"),
            ("context_full", "incomplete", "max_output_tokens"),
            ("content_filter", "incomplete", "content_filter"),
        ],
    )
    def test_every_reason(self, reason: Any, status: str, why: str | None) -> None:
        response = final(whole(text(0, "a"), finish=Finish(reason=reason)))
        assert (response["status"], response["output"][0]["status"]) == (status, status)
        assert response["incomplete_details"] == ({"reason": why} if why else None)

    def test_the_counts(self) -> None:
        assert final(whole(text(0, "a")))["usage"] == {
            "input_tokens": 10,
            "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2},
            "output_tokens": 7,
            "output_tokens_details": {"reasoning_tokens": 4},
            "total_tokens": 17,
        }

    def test_without_counts_there_are_zeros(self) -> None:
        assert final(whole(text(0, "a"), usage=None))["usage"]["total_tokens"] == 0

    def test_counts_of_the_beginning_stand_until_better_come(self) -> None:
        events = [Start(usage=Usage(input=9)), *text(0, "a"), STOP]
        assert final(events)["usage"]["input_tokens"] == 9


class TestFailures:
    def test_what_is_complete_stays_and_the_rest_goes(self) -> None:
        error = UpstreamError("Overloaded", status=529, kind="overloaded")
        events = [*whole(call(0, "{}"), text(1, "half"))[:-3], Failure(error)]
        response = final(events)
        assert response["status"] == "failed"
        assert response["error"] == {"code": "server_is_overloaded", "message": "Overloaded"}
        assert [item["type"] for item in response["output"]] == ["function_call"]
        assert response["usage"] is None

    def test_what_was_counted_is_told(self) -> None:
        events: list[Event] = [Start(), UsageUpdate(USAGE), Failure(BrokenStream("cut"))]
        assert final(events)["usage"]["total_tokens"] == 17

    def test_before_the_beginning_there_is_a_beginning(self) -> None:
        payloads = told([Failure(BrokenStream("cut"))])
        assert answered(payloads) == ["response.created", "response.in_progress", "response.failed"]

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (UpstreamError("m", kind="rate_limit"), "rate_limit_exceeded"),
            (UpstreamError("m", kind="context_too_long"), "context_length_exceeded"),
            (UpstreamError("m", kind="billing"), "insufficient_quota"),
            (UpstreamError("m", kind="bad_request"), "invalid_prompt"),
            (UpstreamError("m", kind="unsupported"), "unsupported_parameter"),
            (UpstreamError("m", kind="upstream"), "server_error"),
            (UpstreamError("m", kind="upstream", family="openai", code="bio_policy"), "bio_policy"),
            (UpstreamTimeout("m"), "timeout"),
        ],
    )
    def test_codes_are_those_that_codex_acts_upon(self, error: UpstreamError, code: str) -> None:
        assert final([Start(), Failure(error)])["error"]["code"] == code

    def test_codex_reads_the_wait_out_of_the_message(self) -> None:
        limited = UpstreamError("Rate limited.", kind="rate_limit", retry_after_s=6.379)
        assert (
            final([Start(), Failure(limited)])["error"]["message"]
            == "Rate limited. Please try again in 6.379s."
        )
        told_already = UpstreamError("Please try again in 20ms.", kind="rate_limit", retry_after_s=0.02)
        assert final([Start(), Failure(told_already)])["error"]["message"] == "Please try again in 20ms."


class TestTheResponseObject:
    def test_an_upstreams_own_id_is_kept(self) -> None:
        assert final([Start(id="resp_9"), STOP])["id"] == "resp_9"
        assert final([Start(id="chatcmpl-9"), STOP])["id"] == "resp_0123456789abcdef01234567"

    def test_without_a_request_it_has_the_defaults(self) -> None:
        response = final(whole())
        expected = {
            "temperature": 1.0, "top_p": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0, "top_logprobs": 0,
            "tool_choice": "auto", "tools": [], "parallel_tool_calls": True, "truncation": "disabled", "metadata": {},
            "instructions": None, "previous_response_id": None, "store": False, "background": False, "user": None,
            "text": {"format": {"type": "text"}}, "reasoning": {"effort": None, "summary": None},
            "service_tier": "default", "max_output_tokens": None, "max_tool_calls": None, "completed_at": None,
            "prompt_cache_key": None, "safety_identifier": None, "error": None, "incomplete_details": None,
        }  # fmt: skip
        assert response.items() >= expected.items()

    def test_it_repeats_what_was_asked(self) -> None:
        body: dict[str, Any] = {
            "instructions": "be \u2028 kind", "max_output_tokens": 77, "max_tool_calls": 3, "metadata": {"a": "b"},
            "parallel_tool_calls": False, "previous_response_id": "resp_0", "prompt_cache_key": "k",
            "safety_identifier": "s", "temperature": 0.2, "top_p": 0.3, "presence_penalty": 1, "frequency_penalty": 2,
            "top_logprobs": 4, "tool_choice": {"type": "function", "name": "f"}, "truncation": "auto", "user": "u",
        }  # fmt: skip
        for response in (
            payload["response"] for payload in told(whole(), context(body)) if "response" in payload
        ):
            assert response.items() >= body.items()

    def test_objects_are_made_whole(self) -> None:
        body = {
            "reasoning": {"effort": "high", "summary": None},
            "text": {"verbosity": "low", "format": None},
            "tools": [
                {"type": "function", "name": "f"},
                {
                    "type": "function",
                    "name": "g",
                    "description": "d",
                    "parameters": {"strict": 1},
                    "strict": True,
                },
                {"type": "function", "name": "h", "parameters": {"description": "strict", "strict": 1}},
                {"type": "web_search"},
            ],
        }
        response = final(whole(), context(body))
        assert response["reasoning"] == {"effort": "high", "summary": None}
        assert response["text"] == {"format": {"type": "text"}, "verbosity": "low"}
        assert [tool.get("strict", "-") for tool in response["tools"]] == [None, True, None, "-"]

    @pytest.mark.parametrize(
        "body",
        [
            {
                "temperature": "hot",
                "tools": {},
                "text": 7,
                "reasoning": "high",
                "metadata": [],
                "tool_choice": 7,
            },
            {"tools": [7]},
            {"tools": ["function"], "user": 7, "parallel_tool_calls": None},
        ],
    )
    def test_what_is_of_a_wrong_type_is_not_repeated(self, body: Any) -> None:
        final(whole(), context(body))

    @pytest.mark.parametrize("body", [b"{", b"[]", b'{"user":"\\ud83d"}', b"{" + b'"tools":' + b"[" * 5000])
    def test_no_request_makes_an_answer_fail(self, body: bytes) -> None:
        final(whole(), msgspec.structs.replace(context(), body=body))

    def test_a_kept_answer_says_so(self) -> None:
        assert final(whole(), context(stored=True))["store"] is True

    def test_the_clock_is_asked_when_it_is_complete(self) -> None:
        assert final(whole(), context(clock=lambda: 1_760_000_009.9))["completed_at"] == 1_760_000_009
        cut = whole(finish=Finish(reason="length"))
        assert final(cut, context(clock=lambda: 1_760_000_009.9))["completed_at"] is None


class TestPlainAnswers:
    def test_it_is_what_the_stream_ends_in(self) -> None:
        events = whole(
            block(0, ReasoningBlock(), "Hm.", after=(TestThinking.SIGNED,)),
            text(1, "a"),
            call(2, '{"a":1}'),
            call(3, "x", id="call_2", custom=True),
            finish=Finish(reason="tool_calls"),
        )
        assert answer(fold(events)) == final(events)
