"""An upstream's answer, read into hub events."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.google_gemini import CLIENT
from pi_model_proxy.dialects.google_gemini.grounding import MAX_CITED_CHARS
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Citation,
    DataSource,
    Event,
    Failure,
    Finish,
    ImageBlock,
    Opaque,
    OpaqueDelta,
    RawBlock,
    ReasoningBlock,
    Start,
    TextBlock,
    TextDelta,
    Tool,
    ToolCallBlock,
    Turn,
    Usage,
    UsageUpdate,
    check_order,
    fold,
)
from support.gemini_wire import event, events_of, frames, message_of, request, target

STOP = event(finishReason="STOP")
TOKEN = Opaque(kind="gemini_signature", data="QUJD")
GROUNDING: Any = {
    "groundingChunks": [
        {"web": {"uri": "https://a.example", "title": "A"}},
        {"retrievedContext": {"uri": "https://b.example"}},
    ],
    "groundingSupports": [
        {"segment": {"endIndex": 7, "text": "Grüße"}, "groundingChunkIndices": [0, 1, 9]},
        {"segment": {"startIndex": 8, "endIndex": 11}, "groundingChunkIndices": [1]},
    ],
}


def _failure(events: list[Event]) -> UpstreamError:
    assert check_order(events) is None
    assert isinstance(events[-1], Failure)
    return events[-1].error


def _whole(body: Any) -> list[Event]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return CLIENT.decode_message(data, target(), ToolNames())


class TestBlocks:
    def test_an_answer_comes_event_by_event(self) -> None:
        events = events_of(
            event(
                {"text": "hm", "thought": True},
                responseId="r",
                modelVersion="m",
                usageMetadata={"promptTokenCount": 9},
            ),
            event({"text": "Hel"}, {"text": "lo"}),
            event(
                {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}, "thoughtSignature": "QUJD"},
                finishReason="STOP",
                usageMetadata={"promptTokenCount": 9, "candidatesTokenCount": 3, "thoughtsTokenCount": 2},
            ),
        )
        assert events == [
            Start(id="r", model="m"),
            BlockStart(index=0, block=ReasoningBlock(summary=True)),
            TextDelta(0, "hm"),
            UsageUpdate(Usage(input=9)),
            BlockStop(0),
            BlockStart(index=1, block=TextBlock(text="")),
            TextDelta(1, "Hel"),
            TextDelta(1, "lo"),
            BlockStop(1),
            BlockStart(index=2, block=ToolCallBlock(id="c", name="f")),
            ArgumentsDelta(2, '{"a":1}'),
            OpaqueDelta(2, TOKEN),
            BlockStop(2),
            UsageUpdate(Usage(input=9, output=5, reasoning=2)),
            Finish(reason="tool_calls", native="STOP"),
        ]
        assert check_order(events) is None

    @pytest.mark.parametrize(
        ("parts", "blocks"),
        [
            (
                [{"text": "a", "thoughtSignature": "QUJD"}, {"text": "b"}],
                (TextBlock(text="a"), ReasoningBlock(opaque=TOKEN), TextBlock(text="b")),
            ),
            (
                [{"text": "a", "thought": True, "thoughtSignature": "QUJD"}, {"text": "b", "thought": True}],
                (
                    ReasoningBlock(text="a", opaque=TOKEN, summary=True),
                    ReasoningBlock(text="b", summary=True),
                ),
            ),
            (
                [
                    {"text": "a"},
                    {"text": "", "thoughtSignature": "QUJD"},
                    {"text": "", "thoughtSignature": "REVG"},
                ],
                (
                    TextBlock(text="a"),
                    ReasoningBlock(opaque=TOKEN),
                    ReasoningBlock(opaque=Opaque(kind="gemini_signature", data="REVG")),
                ),
            ),
            (
                [{"text": "a", "thought": True}, {"thoughtSignature": "QUJD"}, {"text": ""}, {}],
                (ReasoningBlock(text="a", summary=True), ReasoningBlock(opaque=TOKEN)),
            ),
            (
                [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}, {"text": "x"}],
                (ImageBlock(source=DataSource("image/png", "QUJD")), TextBlock(text="x")),
            ),
            (
                [{"text": "x"}, {"executableCode": {"code": "1", "language": "PYTHON"}}],
                (
                    TextBlock(text="x"),
                    RawBlock(
                        dialect="google_gemini",
                        type_name="executableCode",
                        data='{"executableCode":{"code":"1","language":"PYTHON"}}',
                    ),
                ),
            ),
            (
                [{"text": "before", "functionCall": {"id": "c", "name": "f"}}],
                (TextBlock(text="before"), ToolCallBlock(id="c", name="f")),
            ),
        ],
        ids=str,
    )
    def test_parts_become_blocks(self, parts: list[Any], blocks: Any) -> None:
        assert message_of(event(*parts), STOP).blocks == blocks
        assert message_of(*(event(part) for part in parts), STOP).blocks == blocks
        assert fold(_whole(event(*parts, finishReason="STOP"))).blocks == blocks

    def test_a_free_form_tool_is_unwrapped(self) -> None:
        custom = Tool(kind="custom", name="patch")
        names = CLIENT.encode_request(
            request(Turn(role="user", blocks=(TextBlock(text="hi"),)), tools=(custom,)), target()
        ).names
        events = events_of(
            event({"functionCall": {"name": "patch", "args": {"input": "*** Begin"}}}, finishReason="STOP"),
            names=names,
        )
        (block,) = fold(events).blocks
        assert isinstance(block, ToolCallBlock)
        assert (block.custom, block.arguments) == (True, "*** Begin")

    def test_arguments_in_pieces_were_not_asked_for(self) -> None:
        part = {"functionCall": {"name": "f", "partialArgs": [{"jsonPath": "$.a", "stringValue": "x"}]}}
        assert "not asked for" in _failure(events_of(event(part))).message

    def test_later_candidates_are_not_mixed_in(self) -> None:
        two = {**event({"text": "a"}, finishReason="STOP")}
        two["candidates"].append({"index": 1, "content": {"parts": [{"text": "b"}]}})
        assert message_of(two).blocks == (TextBlock(text="a"),)


class TestUsage:
    @pytest.mark.parametrize(
        ("said", "usage"),
        [
            (
                {
                    "promptTokenCount": 100,
                    "cachedContentTokenCount": 75,
                    "toolUsePromptTokenCount": 5,
                    "candidatesTokenCount": 10,
                    "thoughtsTokenCount": 7,
                },
                Usage(input=30, cache_read=75, output=17, reasoning=7),
            ),
            ({"promptTokenCount": 10, "cachedContentTokenCount": 20}, Usage(input=0, cache_read=10)),
            (
                {"promptTokenCount": "12", "candidatesTokenCount": 3.0, "thoughtsTokenCount": None},
                Usage(input=12, output=3),
            ),
            ({"promptTokenCount": -1, "candidatesTokenCount": "x"}, Usage()),
            (
                {
                    "promptTokenCount": 10,
                    "candidatesTokenCount": 8,
                    "promptTokensDetails": [
                        {"modality": "AUDIO", "tokenCount": 6},
                        {"modality": "TEXT", "tokenCount": 4},
                    ],
                    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 9}],
                },
                Usage(input=10, output=8, audio_input=6, audio_output=8),
            ),
        ],
        ids=str,
    )
    def test_counts_are_taken_apart(self, said: Any, usage: Usage) -> None:
        assert message_of(event(finishReason="STOP", usageMetadata=said)).usage == usage

    def test_counts_that_do_not_change_are_told_once(self) -> None:
        counts = {"promptTokenCount": 4}
        events = events_of(
            event({"text": "a"}, usageMetadata=counts), event(usageMetadata=counts, finishReason="STOP")
        )
        assert sum(isinstance(each, UsageUpdate) for each in events) == 1


class TestEnd:
    @pytest.mark.parametrize(
        ("native", "reason"),
        [
            ("STOP", "stop"),
            ("MAX_TOKENS", "length"),
            ("CONTINUATION", "pause"),
            *[
                (each, "content_filter")
                for each in (
                    "SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "MODEL_ARMOR",
                    "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER",
                )
            ],
        ],
    )  # fmt: skip
    def test_a_finish_reason_has_its_word_in_the_hub(self, native: str, reason: str) -> None:
        finish = message_of(event({"text": "x"}, finishReason=native, finishMessage="why")).finish
        assert (finish.reason, finish.native, finish.detail) == (reason, native, "why")

    @pytest.mark.parametrize(
        "native",
        ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
         "MALFORMED_RESPONSE", "OTHER", "FINISH_REASON_UNSPECIFIED", "NO_IMAGE", "ESCALATION", "OF_NEXT_YEAR"],
    )  # fmt: skip
    def test_other_reasons_are_failures_and_never_read_as_success(self, native: str) -> None:
        error = _failure(events_of(event({"text": "x"}, finishReason=native)))
        assert native in error.message
        assert (error.kind, error.native_type) == ("upstream", native)

    def test_the_last_finish_reason_counts_and_text_may_follow_the_first(self) -> None:
        message = message_of(
            event({"text": "a"}, finishReason="STOP"), event({"text": "b"}, finishReason="MAX_TOKENS")
        )
        assert message.blocks == (TextBlock(text="ab"),)
        assert message.finish.reason == "length"

    def test_counts_after_the_finish_reason_are_read(self) -> None:
        message = message_of(
            event({"text": "a"}, finishReason="STOP"), {"usageMetadata": {"promptTokenCount": 3}}
        )
        assert message.usage.input == 3

    def test_a_length_cut_with_a_call_stays_a_length_cut(self) -> None:
        assert (
            message_of(event({"functionCall": {"name": "f"}}, finishReason="MAX_TOKENS")).finish.reason
            == "length"
        )

    def test_nothing_is_read_after_a_failure(self) -> None:
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        first = decoder.feed(b'data: {"error":{"code":500,"message":"x"}}\n\n' + frames(STOP))
        assert [type(each) for each in first] == [Failure]
        assert decoder.feed(frames(STOP)) == decoder.close() == []


class TestErrors:
    @pytest.mark.parametrize(
        "stream",
        [
            b'data: {"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}\n\n',
            b'{\n  "error": {\n    "code": 503,\n    "message": "The model is overloaded.",\n    "status": "UNAVAILABLE"\n  }\n}\n',
            b'[{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}]',
        ],
        ids=["event", "bare", "array"],
    )
    def test_an_error_inside_an_answer_is_a_failure_with_its_kind(self, stream: bytes) -> None:
        for start in (b"", frames(event({"text": "half"}))):
            if start and stream.startswith(b"["):
                continue
            decoder = CLIENT.stream_decoder(target(), ToolNames())
            error = _failure([*decoder.feed(start + stream), *decoder.close()])
            assert (error.kind, error.status, error.native_type) == ("overloaded", 503, "UNAVAILABLE")

    def test_a_rate_limit_tells_how_long_to_wait(self) -> None:
        body = {
            "error": {
                "code": 429,
                "message": "Resource has been exhausted (e.g. check quota).",
                "status": "RESOURCE_EXHAUSTED",
                "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}],
            }
        }
        error = CLIENT.decode_error(429, {}, json.dumps(body).encode())
        assert (error.kind, error.retry_after_s, error.family) == ("rate_limit", 17.0, "google")

    def test_a_refused_key_is_the_credentials_fault(self) -> None:
        body = b'{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID"}]}}'
        assert CLIENT.decode_error(400, {}, body).kind == "upstream_auth"

    @pytest.mark.parametrize(
        "stream",
        [
            b"data: {\n\n", b"data: []\n\n", b'data: {"candidates":1}\n\n', b"data: \xff\n\n",
            b'data: {"candidates":[{"content":{"parts":[1]}}]}\n\n', b"data: " + b'{"a":' * 5000 + b"\n\n",
            b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":' + b"[" * 5000 + b"]" * 5000 + b"}}]}}]}\n\n",
            b'data: {"candidates":[{"content":{"parts":[{"functionCall":{"args":1e999}}]}}]}\n\n',
            b'data: {"candidates":[{"content":{"parts":[{"executableCode":1e999}]}}]}\n\n',
            b'data: {"error":{"code":1e999}}\n\n',
            b"<html>busy</html>", b"", b"{", b'data: {"error":"busy"}\n\n', b'data: {"error":' + b"[" * 5000 + b"\n\n",
        ],
    )  # fmt: skip
    def test_bad_bytes_are_a_failure_and_never_an_exception(self, stream: bytes) -> None:
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        _failure([*decoder.feed(stream), *decoder.close()])
        _failure(_whole(stream))

    def test_halves_of_characters_are_mended(self) -> None:
        stream = (
            b'data: {"candidates":[{"content":{"parts":[{"text":"a\\ud83db"}]},"finishReason":"STOP"}]}\n\n'
        )
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        assert fold([*decoder.feed(stream), *decoder.close()]).blocks == (TextBlock(text="a\ufffdb"),)

    def test_a_plain_answer_that_is_none_says_where_to_look(self) -> None:
        (failure,) = _whole(b"<html>hello</html>")
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, BrokenStream)
        assert "base URL" in failure.error.message


class TestCitations:
    def test_byte_offsets_become_characters(self) -> None:
        message = message_of(
            event({"text": "Grüße "}),
            event({"text": "von"}, finishReason="STOP", groundingMetadata=GROUNDING),
        )
        (block,) = message.blocks
        assert isinstance(block, TextBlock)
        assert block.citations == (
            Citation(url="https://a.example", title="A", cited_text="Grüße", start=0, end=5),
            Citation(url="https://b.example", cited_text="Grüße", start=0, end=5),
            Citation(url="https://b.example", start=6, end=9),
        )

    def test_sources_without_places_cite_the_whole_text(self) -> None:
        chunks = {"groundingChunks": GROUNDING["groundingChunks"][:1]}
        (block,) = message_of(event({"text": "x"}, groundingMetadata=chunks, finishReason="STOP")).blocks
        assert isinstance(block, TextBlock)
        assert block.citations == (Citation(url="https://a.example", title="A"),)

    @pytest.mark.parametrize("name", ["citationSources", "citations"])
    def test_recited_sources_are_cited(self, name: str) -> None:
        said = {name: [{"startIndex": 1, "endIndex": 99, "uri": "https://c.example"}]}
        (block,) = message_of(event({"text": "abc"}, citationMetadata=said, finishReason="STOP")).blocks
        assert isinstance(block, TextBlock)
        assert block.citations == (Citation(url="https://c.example", start=1, end=3),)

    def test_metadata_without_text_or_that_cannot_be_read_say_nothing(self) -> None:
        assert message_of(event(groundingMetadata=GROUNDING, finishReason="STOP")).blocks == ()
        (block,) = message_of(event({"text": "x"}, groundingMetadata=[1], finishReason="STOP")).blocks
        assert block == TextBlock(text="x")

    def test_a_very_long_text_is_cited_without_places(self) -> None:
        long = "x" * (MAX_CITED_CHARS + 1)
        (block,) = message_of(
            event({"text": long}),
            event({"text": "y"}),
            event(groundingMetadata=GROUNDING, finishReason="STOP"),
        ).blocks
        assert isinstance(block, TextBlock)
        assert block.citations[0].start is None
