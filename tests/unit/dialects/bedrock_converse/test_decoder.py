"""What Bedrock's answers mean."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pi_model_proxy.dialects.bedrock_converse import CLIENT
from pi_model_proxy.dialects.bedrock_converse import decoder as decoder_module
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import (
    BlockStart,
    BlockStop,
    Citation,
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
    fold,
)
from support.kind_streams import decode, event_frame, exception_frame, failure_of, frame, message_of, target

CLAUDE = target(CLIENT, model="anthropic.claude-opus-4-8")
BEGIN = event_frame("messageStart", role="assistant", p="abc")
COUNTS = event_frame("metadata", usage={"inputTokens": 3, "outputTokens": 5}, metrics={"latencyMs": 7})


def text(text: str, index: int = 0) -> bytes:
    return event_frame("contentBlockDelta", contentBlockIndex=index, delta={"text": text})


def thought(index: int = 0, **said: Any) -> bytes:
    return event_frame("contentBlockDelta", contentBlockIndex=index, delta={"reasoningContent": said})


def call(index: int, call_id: str, *inputs: str, name: str = "weather") -> bytes:
    begun = event_frame(
        "contentBlockStart", contentBlockIndex=index, start={"toolUse": {"toolUseId": call_id, "name": name}}
    )
    said = b"".join(
        event_frame("contentBlockDelta", contentBlockIndex=index, delta={"toolUse": {"input": each}})
        for each in inputs
    )
    return begun + said + stopped(index)


def stopped(index: int = 0) -> bytes:
    return event_frame("contentBlockStop", contentBlockIndex=index)


def end(reason: str = "end_turn", **more: Any) -> bytes:
    return event_frame("messageStop", stopReason=reason, **more)


def events(data: bytes, **how: Any) -> list[Event]:
    return decode(CLIENT, data, goes_to=CLAUDE, **how)


def message(data: bytes, **how: Any) -> Any:
    return message_of(CLIENT, data, goes_to=CLAUDE, **how)


class TestBlocks:
    def test_text_begins_without_being_announced(self) -> None:
        assert events(BEGIN + text("Hel") + text("lo") + stopped() + end() + COUNTS) == [
            Start(),
            BlockStart(index=0, block=TextBlock(text="")),
            TextDelta(0, "Hel"),
            TextDelta(0, "lo"),
            BlockStop(0),
            UsageUpdate(Usage(input=3, output=5)),
            Finish(reason="stop", native="end_turn"),
        ]

    def test_thinking_carries_its_signature_in_pieces(self) -> None:
        data = (
            BEGIN + thought(text="h") + thought(text="m") + thought(signature="si") + thought(signature="g")
        )
        answer = message(data + stopped() + text("So.", 1) + stopped(1) + end() + COUNTS)
        assert answer.blocks == (
            ReasoningBlock(text="hm", opaque=Opaque(kind="anthropic_signature", data="sig")),
            TextBlock(text="So."),
        )

    def test_hidden_thinking_of_claude_is_redacted_and_of_others_sealed(self) -> None:
        halves = [base64.b64encode(part).decode() for part in (b"ab", b"cde")]
        data = BEGIN + b"".join(thought(redactedContent=each) for each in halves) + stopped() + end() + COUNTS
        whole = base64.b64encode(b"abcde").decode()
        assert message(data).blocks == (ReasoningBlock(opaque=Opaque(kind="anthropic_redacted", data=whole)),)
        others = message_of(CLIENT, data, goes_to=target(CLIENT, model="openai.gpt-5.5"))
        assert others.blocks == (ReasoningBlock(opaque=Opaque(kind="openai_encrypted", data=whole)),)

    def test_thinking_that_was_never_stopped_keeps_its_signature(self) -> None:
        answer = message(BEGIN + thought(text="hm") + thought(signature="sig") + end() + COUNTS)
        assert answer.blocks[0].opaque == Opaque(kind="anthropic_signature", data="sig")

    def test_calls_come_one_after_the_other_though_they_overlap(self) -> None:
        data = (
            event_frame(
                "contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "a", "name": "f"}}
            )
            + event_frame(
                "contentBlockStart", contentBlockIndex=1, start={"toolUse": {"toolUseId": "b", "name": "g"}}
            )
            + event_frame("contentBlockDelta", contentBlockIndex=1, delta={"toolUse": {"input": '{"y":2}'}})
            + event_frame("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": '{"x":1}'}})
        )
        answer = message(BEGIN + data + end("tool_use") + COUNTS)
        assert answer.blocks == (
            ToolCallBlock(id="a", name="f", arguments='{"x":1}'),
            ToolCallBlock(id="b", name="g", arguments='{"y":2}'),
        )
        assert answer.finish.reason == "tool_calls"

    def test_names_and_free_form_inputs_come_back_as_the_caller_wrote_them(self) -> None:
        names = ToolNames((Tool(name="a.b"), Tool(kind="custom", name="patch")))
        data = call(0, "1", "{}", name="a_b") + call(1, "2", '{"inp', 'ut":"*** Begin"}', name="patch")
        answer = message(BEGIN + data + end("tool_use") + COUNTS, names=names)
        assert answer.blocks == (
            ToolCallBlock(id="1", name="a.b", arguments="{}"),
            ToolCallBlock(id="2", name="patch", arguments="*** Begin", custom=True),
        )

    def test_ids_are_distinct_and_never_empty(self) -> None:
        answer = message(BEGIN + call(0, "x") + call(1, "x") + call(2, "") + end("tool_use") + COUNTS)
        ids = [block.id for block in answer.blocks]
        assert len(set(ids)) == 3
        assert all(ids)

    def test_a_block_that_turns_into_another_kind_is_two_blocks(self) -> None:
        data = thought(text="hm") + text("So.") + thought(text="hm?")
        answer = message(BEGIN + data + end() + COUNTS)
        assert [type(block) for block in answer.blocks] == [ReasoningBlock, TextBlock, ReasoningBlock]

    def test_text_is_mended_where_surrogates_are_cut(self) -> None:
        data = event_frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "a\ud83d"})
        assert message(BEGIN + data + end() + COUNTS).blocks[0].text == "a\ufffd"

    def test_citations_belong_to_their_text(self) -> None:
        cited = {
            "title": "T",
            "sourceContent": [{"text": "ab"}, {"text": "c"}],
            "location": {"web": {"url": "https://x"}},
        }
        data = text("x") + event_frame("contentBlockDelta", contentBlockIndex=0, delta={"citation": cited})
        data += event_frame("contentBlockDelta", contentBlockIndex=0, delta={"citation": {"location": {}}})
        citations = message(BEGIN + data + end() + COUNTS).blocks[0].citations
        assert (citations[0].url, citations[0].title, citations[0].cited_text) == ("https://x", "T", "abc")
        assert json.loads(citations[0].raw) == cited
        assert citations[1] == Citation(dialect="bedrock_converse", raw='{"location": {}}')

    def test_what_we_do_not_know_is_passed_over(self) -> None:
        data = event_frame("contentBlockStart", contentBlockIndex=0, start={"image": {"format": "png"}})
        data += event_frame("contentBlockStart", contentBlockIndex=0) + event_frame("contentBlockDelta")
        data += event_frame("somethingNew", contentBlockIndex="x") + frame({":message-type": "other"}, b"?")
        assert message(BEGIN + data + text("a") + end() + COUNTS).blocks == (TextBlock(text="a"),)


class TestEnds:
    @pytest.mark.parametrize(
        ("native", "reason"),
        [
            ("end_turn", "stop"),
            ("max_tokens", "length"),
            ("model_context_window_exceeded", "context_full"),
            ("guardrail_intervened", "content_filter"),
            ("content_filtered", "content_filter"),
            ("tool_use", "stop"),
            ("refusal", "refusal"),
        ],
    )
    def test_reasons_mean_what_the_hub_says(self, native: str, reason: Any) -> None:
        assert message(BEGIN + text("a") + end(native) + COUNTS).finish == Finish(
            reason=reason, native=native
        )

    def test_calls_make_it_tool_calls_whatever_is_said(self) -> None:
        assert message(BEGIN + call(0, "a") + end("end_turn") + COUNTS).finish.reason == "tool_calls"

    def test_the_stop_sequence_that_was_met_is_told(self) -> None:
        data = BEGIN + text("a")
        told = end("stop_sequence", additionalModelResponseFields={"stop_sequence": "END"})
        assert message(data + told + COUNTS).finish.stop_sequence == "END"
        assert message(data + end("stop_sequence") + COUNTS).finish.stop_sequence is None

    @pytest.mark.parametrize("native", ["malformed_model_output", "malformed_tool_use", "", "new_reason"])
    def test_other_reasons_are_failures(self, native: str) -> None:
        error = failure_of(events(BEGIN + text("a") + end(native) + COUNTS))
        assert error.status == 502
        assert native in error.message

    def test_an_answer_without_blocks_is_one(self) -> None:
        assert events(BEGIN + end() + COUNTS) == [
            Start(),
            UsageUpdate(Usage(input=3, output=5)),
            Finish(reason="stop", native="end_turn"),
        ]

    def test_the_end_waits_for_the_counts_and_nothing_more(self) -> None:
        decoder = CLIENT.stream_decoder(CLAUDE, ToolNames())
        assert not any(isinstance(each, Finish) for each in decoder.feed(BEGIN + text("a") + end()))
        assert not decoder.done
        assert isinstance(decoder.feed(COUNTS + b"rubbish")[-1], Finish)
        assert decoder.done
        assert decoder.feed(b"more") == []
        assert decoder.close() == []

    def test_counts_before_the_end_count_too(self) -> None:
        answer = message(BEGIN + text("a") + COUNTS + end())
        assert answer.usage == Usage(input=3, output=5)

    def test_without_counts_the_answer_ends_with_the_connection(self) -> None:
        assert message(BEGIN + text("a") + end()).usage == Usage()
        assert message(BEGIN + text("a") + end() + event_frame("metadata")).usage == Usage()

    @pytest.mark.parametrize("data", [b"", BEGIN, BEGIN + text("a"), BEGIN + text("a") + end() + COUNTS[:9]])
    def test_a_connection_that_closes_early_is_a_failure(self, data: bytes) -> None:
        assert "before its answer was complete" in failure_of(events(data)).message

    def test_counts_are_apart_and_never_negative(self) -> None:
        usage = {
            "inputTokens": 10,
            "outputTokens": 7,
            "cacheReadInputTokens": 20,
            "cacheWriteInputTokens": 30,
            "cacheDetails": [{"ttl": "5m", "inputTokens": 18}, {"ttl": "1h", "inputTokens": 12}],
            "totalTokens": 999,
        }
        assert message(BEGIN + end() + event_frame("metadata", usage=usage)).usage == Usage(
            input=10, cache_read=20, cache_write_5m=18, cache_write_1h=12, output=7
        )
        odd = {"inputTokens": -1, "outputTokens": None}
        assert message(BEGIN + end() + event_frame("metadata", usage=odd)).usage == Usage()


class TestFailures:
    @pytest.mark.parametrize(
        ("type_", "payload", "kind", "status"),
        [
            ("throttlingException", {"message": "Too many tokens, slow down"}, "rate_limit", 429),
            ("serviceUnavailableException", {"message": "Busy"}, "overloaded", 503),
            ("internalServerException", {"message": "Oh"}, "upstream", 500),
            (
                "validationException",
                {"message": "Input is too long for requested model"},
                "context_too_long",
                400,
            ),
            (
                "modelStreamErrorException",
                {"message": "Failed", "originalStatusCode": 424, "originalMessage": "cause"},
                "upstream",
                424,
            ),
        ],
    )
    def test_exceptions_in_the_stream_are_its_end(
        self, type_: str, payload: dict[str, Any], kind: str, status: int
    ) -> None:
        found = events(BEGIN + exception_frame(type_, **payload))
        error = failure_of(found)
        assert len(found) == 1, "nothing had begun: another target may still be tried"
        assert (error.kind, error.status) == (kind, status)
        assert payload["message"] in error.message
        assert payload.get("originalMessage", "") in error.message

    def test_an_exception_in_mid_answer_follows_what_was_good(self) -> None:
        found = events(BEGIN + text("a") + exception_frame("throttlingException", message="slow"))
        assert [type(each).__name__ for each in found] == ["Start", "BlockStart", "TextDelta", "Failure"]

    def test_an_exception_may_say_nothing(self) -> None:
        assert failure_of(events(frame({":message-type": "exception"}, b"?"))).status == 500

    def test_errors_without_a_model_are_errors_too(self) -> None:
        headers = {":message-type": "error", ":error-code": "InternalError", ":error-message": "Broken."}
        assert "Broken." in failure_of(events(BEGIN + frame(headers))).message

    @pytest.mark.parametrize(
        "data",
        [
            b"<html>502</html>      ",
            BEGIN + frame({":event-type": "contentBlockDelta"}, b'{"delta":{"text":7}}'),
            BEGIN + frame({":event-type": "metadata"}, b"no json"),
            BEGIN + thought(redactedContent="not base64!"),
            BEGIN + event_frame("contentBlockDelta", contentBlockIndex=3, delta={"toolUse": {"input": "{"}}),
            BEGIN + text("a")[:-1] + b"\x00",
        ],
    )
    def test_bytes_that_break_the_format_are_a_failure(self, data: bytes) -> None:
        assert failure_of(events(data)).proxy_error == "http_response_incomplete"

    def test_arguments_that_say_nothing_need_no_call(self) -> None:
        data = event_frame("contentBlockDelta", contentBlockIndex=3, delta={"toolUse": {"input": ""}})
        assert message(BEGIN + data + text("a") + end() + COUNTS).blocks == (TextBlock(text="a"),)

    def test_tokens_are_bounded(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(decoder_module, "MAX_TOKEN_CHARS", 5)
        assert "every bound" in failure_of(events(BEGIN + thought(signature="abc") * 2)).message

    def test_events_before_a_broken_one_in_the_same_piece_are_passed_on(self) -> None:
        found = events(BEGIN + text("a") + frame({":event-type": "metadata"}, b"no json"))
        assert TextDelta(0, "a") in found


class TestPlainAnswers:
    def _events(self, body: object) -> list[Event]:
        return CLIENT.decode_message(json.dumps(body).encode(), CLAUDE, ToolNames())

    def test_a_whole_answer_means_the_same_as_a_stream(self) -> None:
        content = [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}},
            {"reasoningContent": {"redactedContent": "YWI="}},
            {"text": "So."},
            {
                "citationsContent": {
                    "content": [{"text": "cited"}],
                    "citations": [{"title": "T"}, 7],
                }
            },
            {"toolUse": {"toolUseId": "a", "name": "f", "input": {"x": 1}}},
            {"toolUse": {"toolUseId": "b", "name": "g", "input": {}}},
        ]
        body = {
            "output": {"message": {"role": "assistant", "content": content}},
            "stopReason": "tool_use",
            "usage": {"inputTokens": 3, "outputTokens": 5},
        }
        answer = fold(self._events(body))
        assert answer.blocks == (
            ReasoningBlock(text="hm", opaque=Opaque(kind="anthropic_signature", data="sig")),
            ReasoningBlock(opaque=Opaque(kind="anthropic_redacted", data="YWI=")),
            TextBlock(text="So."),
            TextBlock(
                text="cited",
                citations=(Citation(title="T", dialect="bedrock_converse", raw='{"title": "T"}'),),
            ),
            ToolCallBlock(id="a", name="f", arguments='{"x":1}'),
            ToolCallBlock(id="b", name="g", arguments=""),
        )
        assert answer.usage == Usage(input=3, output=5)
        assert answer.finish.reason == "tool_calls"

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"message": "The security token included in the request is expired"}, "expired"),
            ({"Message": "no"}, "no"),
            ({"output": {}}, "no Converse answer"),
            ([], "no Converse answer"),
        ],
    )
    def test_what_is_no_answer_is_a_failure(self, body: object, words: str) -> None:
        assert words in failure_of(self._events(body)).message


class TestHttpErrors:
    @pytest.mark.parametrize(
        ("status", "type_", "kind"),
        [
            (403, "AccessDeniedException", "forbidden"),
            (404, "ResourceNotFoundException", "unknown_model"),
            (408, "ModelTimeoutException", "timeout"),
            (429, "ThrottlingException:http://internal", "rate_limit"),
            (403, "UnrecognizedClientException", "upstream_auth"),
        ],
    )
    def test_the_header_names_the_error(self, status: int, type_: str, kind: str) -> None:
        error = CLIENT.decode_error(
            status, {"x-amzn-errortype": type_}, b'{"message":"You can\'t use this model."}'
        )
        assert (error.status, error.kind) == (status, kind)

    STRICT = b'{"toolConfig":{"tools":[{"toolSpec":{"name":"a","strict":true}},{"cachePoint":{}}]}}'

    def test_strict_tools_beyond_claudes_limits_are_asked_for_loosely(self) -> None:
        error = UpstreamError("Too many strict tools (21). ...", status=400, kind="bad_request")
        mended = CLIENT.mend(self.STRICT, error)
        assert mended is not None
        assert json.loads(mended)["toolConfig"]["tools"][0]["toolSpec"] == {"name": "a"}
        assert CLIENT.mend(mended, error) is None

    def test_thinking_that_is_not_theirs_is_taken_out(self) -> None:
        error = UpstreamError("m.1: Invalid `signature` in `thinking` block", status=400, kind="bad_request")
        call = {"toolUse": {"toolUseId": "a", "name": "f", "input": {}}}
        body = {
            "messages": [
                {"role": "user", "content": [{"text": "hi"}]},
                {"role": "assistant", "content": [{"reasoningContent": {}}, call]},
                {"role": "user", "content": [{"toolResult": {}}]},
            ],
            "additionalModelRequestFields": {
                "thinking": {"type": "enabled"},
                "anthropic_beta": ["x"],
            },
        }
        mended = CLIENT.mend(json.dumps(body).encode(), error)
        assert mended is not None
        after = json.loads(mended)
        assert after["messages"][1]["content"] == [call]
        assert "additionalModelRequestFields" not in after
        assert CLIENT.mend(mended, error) is None

    def test_other_fields_beside_thinking_stay_and_adaptive_thinking_goes_on(self) -> None:
        error = UpstreamError("Invalid `data` in `redacted_thinking` block", status=400, kind="bad_request")
        turn = {"role": "assistant", "content": [{"reasoningContent": {}}, {"toolUse": {}}]}
        body = {
            "messages": [turn],
            "additionalModelRequestFields": {"thinking": {"type": "enabled"}, "top_k": 3},
        }
        mended = CLIENT.mend(json.dumps(body).encode(), error)
        assert mended is not None
        assert json.loads(mended)["additionalModelRequestFields"] == {"top_k": 3}
        body["additionalModelRequestFields"] = {"thinking": {"type": "adaptive"}}
        mended = CLIENT.mend(json.dumps(body).encode(), error)
        assert mended is not None
        assert "thinking" in json.loads(mended)["additionalModelRequestFields"]

    @pytest.mark.parametrize("kind", ["bad_request", "rate_limit"])
    def test_other_errors_are_not_mended(self, kind: str) -> None:
        assert CLIENT.mend(self.STRICT, UpstreamError("Too many tokens", status=400, kind=kind)) is None
