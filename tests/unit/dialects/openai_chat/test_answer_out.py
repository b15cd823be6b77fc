"""Answers and errors as chat callers get them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_chat import SERVER
from pi_model_proxy.errors import (
    KINDS,
    BadRequest,
    CredentialError,
    GatewayError,
    MethodNotAllowed,
    NotReady,
    UnknownModel,
    UpstreamError,
)
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    Failure,
    Finish,
    FinishReason,
    Message,
    Opaque,
    OpaqueDelta,
    Ping,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Request,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    Usage,
    unfold,
)
from support.chat_stream import context, frames, written

Json = dict[str, Any]


def plain(*blocks: Any, finish: Finish | None = None, **top: Any) -> Json:
    message = Message(blocks=blocks, finish=finish or Finish(reason="stop"), **top)
    decoded: Json = json.loads(SERVER.encode_message(message, context()))
    return decoded


def said(*blocks: Any, **rest: Any) -> Json:
    found: Json = plain(*blocks, **rest)["choices"][0]["message"]
    return found


def stream(*blocks: Any, finish: Finish | None = None, **changes: Any) -> list[Any]:
    return written(unfold(Message(blocks=blocks, finish=finish or Finish(reason="stop"))), **changes)


def deltas(told: list[Any]) -> list[Json]:
    return [choice["delta"] for each in told if isinstance(each, dict) for choice in each["choices"]]


class TestTheStream:
    def test_every_chunk_carries_the_same_envelope(self) -> None:
        told = stream(TextBlock(text="hi"), wants_usage=True)
        heads = {(each["id"], each["object"], each["created"], each["model"]) for each in told[:-1]}
        assert heads == {("chatcmpl-abc123", "chat.completion.chunk", 1_700_000_000, "acme/acme-1")}

    def test_the_role_comes_first_the_finish_once_and_done_last(self) -> None:
        told = stream(TextBlock(text="hi"))
        assert deltas(told) == [{"role": "assistant", "content": ""}, {"content": "hi"}, {}]
        assert [each["choices"][0]["finish_reason"] for each in told[:-1]] == [None, None, "stop"]
        assert told[-1] == "[DONE]"

    def test_an_upstreams_own_completion_id_is_kept(self) -> None:
        encoder = SERVER.stream_encoder(context())
        assert frames(encoder.feed(Start(id="chatcmpl-own")))[0]["id"] == "chatcmpl-own"

    def test_tool_calls_are_counted_among_themselves_and_say_their_name_once(self) -> None:
        told = stream(
            TextBlock(text="a"),
            ToolCallBlock(id="c1", name="f", arguments='{"x":1}'),
            ToolCallBlock(id="c2", name="g", namespace="ns", arguments="{}"),
            finish=Finish(reason="tool_calls"),
        )
        fragments = [each for delta in deltas(told) for each in delta.get("tool_calls", [])]
        assert fragments == [
            {"index": 0, "id": "c1", "type": "function", "function": {"name": "f", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"x":1}'}},
            {"index": 1, "id": "c2", "type": "function", "function": {"name": "ns__g", "arguments": ""}},
            {"index": 1, "function": {"arguments": "{}"}},
        ]

    def test_a_custom_call_carries_its_input(self) -> None:
        told = stream(ToolCallBlock(id="c", name="p", custom=True, arguments="raw"))
        fragments = [each for delta in deltas(told) for each in delta.get("tool_calls", [])]
        assert fragments == [
            {"index": 0, "id": "c", "type": "custom", "custom": {"name": "p", "input": ""}},
            {"index": 0, "custom": {"input": "raw"}},
        ]
        assert deltas(stream(ToolCallBlock(id="c", name="p", custom=True)))[1:-1] == [
            {"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "p", "input": ""}}]}
        ]

    def test_long_ids_are_shortened_the_same_way_every_time(self) -> None:
        block = ToolCallBlock(id="toolu_" + "x" * 60, name="f", arguments="{}")
        ids = {deltas(stream(block))[1]["tool_calls"][0]["id"] for _ in range(2)}
        ids.add(said(block)["tool_calls"][0]["id"])
        (only,) = ids
        assert len(only) == 40

    def test_a_call_without_id_gets_one(self) -> None:
        one, two = (said(ToolCallBlock(id="", name=n), ToolCallBlock(id="", name=n)) for n in ("f", "g"))
        assert one["tool_calls"][0]["id"].startswith("call_")
        assert one["tool_calls"][0]["id"] != one["tool_calls"][1]["id"]
        assert (
            two["tool_calls"][0]["id"]
            == deltas(stream(ToolCallBlock(id="", name="g")))[1]["tool_calls"][0]["id"]
        )

    def test_thinking_and_its_signature_are_told(self) -> None:
        block = ReasoningBlock(text="hm", opaque=Opaque(kind="anthropic_signature", data="S"))
        entry = {
            "type": "reasoning.text",
            "text": "hm",
            "signature": "S",
            "format": "anthropic_signature",
            "index": 0,
            "origin": "acme/acme-1",
        }
        assert deltas(stream(block))[1:-1] == [{"reasoning_content": "hm"}, {"reasoning_details": [entry]}]
        assert said(block)["reasoning_content"] == "hm"
        assert said(block)["reasoning_details"] == [entry]

    def test_an_encrypted_blob_keeps_its_id_and_summary(self) -> None:
        opaque = Opaque(kind="openai_encrypted", data="D", item_id="rs_1", origin="openai/gpt")
        told = said(ReasoningBlock(text="sum", summary=True, opaque=opaque))["reasoning_details"]
        assert [(each["type"], each["id"], each["origin"]) for each in told] == [
            ("reasoning.summary", "rs_1", "openai/gpt"),
            ("reasoning.encrypted", "rs_1", "openai/gpt"),
        ]

    def test_every_entry_has_a_number_of_its_own(self) -> None:
        """openai-python's stream helper joins entries that share one, their strings end to end."""
        block = ReasoningBlock(
            text="sum", summary=True, opaque=Opaque(kind="openai_encrypted", data="D", item_id="rs_1")
        )
        streamed = [
            entry for delta in deltas(stream(block, block)) for entry in delta.get("reasoning_details", ())
        ]
        assert [each["index"] for each in streamed] == [0, 1, 2, 3]
        assert said(block, block)["reasoning_details"] == streamed

    def test_a_chat_upstreams_own_details_go_through(self) -> None:
        block = ReasoningBlock(
            text="x", opaque=Opaque(kind="reasoning_details", data='[{"type":"reasoning.text"}]')
        )
        assert said(block)["reasoning_details"] == [{"type": "reasoning.text"}]
        assert deltas(stream(block))[2] == {"reasoning_details": [{"type": "reasoning.text"}]}

    @pytest.mark.parametrize("data", ['"reasoning"', "{broken", "[[["])
    def test_a_token_without_entries_is_not_told(self, data: str) -> None:
        block = ReasoningBlock(text="x", opaque=Opaque(kind="reasoning_details", data=data))
        assert "reasoning_details" not in said(block)
        assert deltas(stream(block))[1:-1] == [{"reasoning_content": "x"}]

    def test_thinking_without_a_token_is_only_text(self) -> None:
        assert said(ReasoningBlock(text="hm")) == {**said(), "reasoning_content": "hm"}
        assert SERVER.shows_reasoning(Request(dialect="openai_chat", model="m"))

    def test_redacted_thinking_has_neither_text_nor_id(self) -> None:
        (entry,) = said(ReasoningBlock(opaque=Opaque(kind="anthropic_redacted", data="D")))[
            "reasoning_details"
        ]
        assert entry == {
            "type": "reasoning.encrypted",
            "data": "D",
            "format": "anthropic_redacted",
            "index": 0,
            "origin": "acme/acme-1",
        }

    def test_geminis_signature_travels_on_the_call(self) -> None:
        block = ToolCallBlock(
            id="c", name="f", arguments="{}", opaque=Opaque(kind="gemini_signature", data="S")
        )
        extra = {"google": {"thought_signature": "S"}}
        assert deltas(stream(block))[3] == {"tool_calls": [{"index": 0, "extra_content": extra}]}
        assert said(block)["tool_calls"][0]["extra_content"] == extra

    def test_other_tokens_on_a_call_are_not_told(self) -> None:
        block = ToolCallBlock(
            id="c", name="f", arguments="{}", opaque=Opaque(kind="openai_encrypted", data="S")
        )
        assert len(deltas(stream(block))) == 4
        assert "extra_content" not in said(block)["tool_calls"][0]

    def test_a_refusal_is_told_as_such(self) -> None:
        told = stream(RefusalBlock(text="no"), finish=Finish(reason="refusal"))
        assert deltas(told)[1] == {"refusal": "no"}
        assert told[-2]["choices"][0]["finish_reason"] == "stop"

    def test_a_refusal_without_words_is_a_content_filter(self) -> None:
        finish = Finish(reason="refusal", detail="unsafe")
        told = stream(finish=finish)
        assert deltas(told)[1] == {"refusal": "unsafe"}
        assert told[-2]["choices"][0]["finish_reason"] == "content_filter"
        assert said(finish=finish)["refusal"] == "unsafe"

    @pytest.mark.parametrize(
        ("reason", "word"),
        [
            ("stop", "stop"),
            ("stop_sequence", "stop"),
            ("length", "length"),
            ("context_full", "length"),
            ("content_filter", "content_filter"),
            ("pause", "stop"),
            ("tool_calls", "stop"),
        ],
    )
    def test_every_reason_has_a_word(self, reason: FinishReason, word: str) -> None:
        told = stream(TextBlock(text="a"), finish=Finish(reason=reason))
        assert told[-2]["choices"][0]["finish_reason"] == word

    def test_citations_point_into_the_whole_message(self) -> None:
        web = Citation(url="https://x", title="X")
        part = Citation(url="https://y", start=1, end=2)
        own = Citation(dialect="openai_chat", raw='{"type":"url_citation","url_citation":{"url":"z"}}')
        page = Citation(cited_text="a document")
        blocks = (TextBlock(text="abc"), TextBlock(text="de", citations=(web, part, own, page)))
        expected = [
            {"type": "url_citation", "url_citation": {"start_index": 3, "end_index": 5, "title": "X", "url": "https://x"}},
            {"type": "url_citation", "url_citation": {"start_index": 4, "end_index": 5, "title": "", "url": "https://y"}},
            {"type": "url_citation", "url_citation": {"url": "z"}},
        ]  # fmt: skip
        assert said(*blocks)["annotations"] == expected
        streamed = [each for delta in deltas(stream(*blocks)) for each in delta.get("annotations", [])]
        assert streamed == expected

    def test_what_chat_has_no_word_for_is_silent(self) -> None:
        raw = RawBlock(dialect="anthropic_messages", type_name="server_tool_use", data="{}")
        encoder = SERVER.stream_encoder(context())
        encoder.feed(Start())
        assert encoder.feed(Ping()) == b""
        assert encoder.feed(BlockStart(index=0, block=raw)) == b""
        assert encoder.feed(BlockStop(0)) == b""
        assert encoder.feed(CitationDelta(0, Citation())) == b""

    def test_what_leaves_is_ascii(self) -> None:
        encoder = SERVER.stream_encoder(context(model="münchen"))
        events: list[Event] = [
            Start(),
            BlockStart(index=0, block=TextBlock(text="")),
            TextDelta(0, "ä\u2028\u2029\u0085🙂"),
            BlockStop(0),
            BlockStart(index=1, block=ToolCallBlock(id="ü", name="f")),
            ArgumentsDelta(1, '{"ä":"🙂"}'),
            OpaqueDelta(1, Opaque(kind="gemini_signature", data="ß")),
            BlockStop(1),
        ]
        told = b"".join(encoder.feed(event) for event in events)
        assert told.isascii()
        assert frames(told)[1]["choices"][0]["delta"]["content"] == "ä\u2028\u2029\u0085🙂"

    def test_counts_known_at_the_start_are_told_at_the_end(self) -> None:
        start: list[Event] = [Start(usage=Usage(input=7)), Finish(reason="stop")]
        assert written(start, wants_usage=True)[-2]["usage"]["prompt_tokens"] == 7
        assert written([Start(), Finish(reason="stop")], wants_usage=True)[-2]["usage"]["prompt_tokens"] == 0

    def test_an_error_in_mid_stream_ends_it_without_done(self) -> None:
        encoder = SERVER.stream_encoder(context())
        told = encoder.feed(Start()) + encoder.feed(Failure(UpstreamError("cut", code="x", family="openai")))
        assert frames(told)[-1] == {
            "error": {"message": "cut", "type": "server_error", "param": None, "code": "x"}
        }
        assert b"[DONE]" not in told
        assert b'finish_reason":"' not in told


class TestPlainAnswers:
    def test_the_object_is_complete(self) -> None:
        usage = Usage(
            input=3, cache_read=2, cache_write_5m=1, output=5, reasoning=4, audio_input=1, audio_output=1
        )
        told = plain(TextBlock(text="hi"), id="msg_1", model="claude", usage=usage)
        assert told == {
            "id": "chatcmpl-abc123",
            "object": "chat.completion",
            "created": 1_700_000_000,
            "model": "acme/acme-1",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": "hi", "refusal": None, "annotations": []},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": 6,
                "completion_tokens": 5,
                "total_tokens": 11,
                "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 1, "cache_write_tokens": 1},
                "completion_tokens_details": {
                    "reasoning_tokens": 4,
                    "audio_tokens": 1,
                    "accepted_prediction_tokens": 0,
                    "rejected_prediction_tokens": 0,
                },
            },
        }

    def test_content_is_null_only_beside_calls_or_a_refusal(self) -> None:
        assert said()["content"] == ""
        assert said(ToolCallBlock(id="c", name="f"))["content"] is None
        assert said(RefusalBlock(text="no"))["content"] is None

    def test_calls_are_whole(self) -> None:
        told = said(
            ToolCallBlock(id="c", name="f"), ToolCallBlock(id="d", name="p", custom=True, arguments="raw")
        )
        assert told["tool_calls"] == [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            {"id": "d", "type": "custom", "custom": {"name": "p", "input": "raw"}},
        ]


def told_error(error: GatewayError) -> tuple[int, Json, dict[str, str]]:
    answer = SERVER.encode_error(error, "req_1")
    return answer.status, json.loads(answer.body)["error"], dict(answer.headers)


class TestErrors:
    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_every_kind_has_its_words(self, kind: str) -> None:
        status, words, _headers = told_error(UpstreamError("what happened", kind=kind, status=599))
        assert 400 <= status <= 599
        assert status != 529
        assert words.keys() == {"message", "type", "param", "code"}
        assert "what happened" in words["message"]

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (BadRequest("x", param="messages[0]"), 400, None),
            (UnknownModel("x"), 404, "model_not_found"),
            (CredentialError("x"), 502, "upstream_authentication_failed"),
            (NotReady("x"), 503, "not_ready"),
            (UpstreamError("x", kind="bad_request", status=422), 422, None),
            (UpstreamError("x", kind="upstream_auth", status=401), 401, "upstream_authentication_failed"),
            (UpstreamError("x", kind="upstream", status=500), 500, None),
            (UpstreamError("x", kind="upstream", status=421), 421, None),
            (UpstreamError("x", kind="overloaded", status=529), 503, "server_is_overloaded"),
            (UpstreamError("x", kind="billing", status=400), 400, "insufficient_quota"),
            (UpstreamError("x", kind="context_too_long", status=413), 400, "context_length_exceeded"),
        ],
    )
    def test_an_upstreams_status_is_kept_but_for_what_sdks_do_not_know(
        self, error: GatewayError, status: int, code: str | None
    ) -> None:
        told, words, _headers = told_error(error)
        assert (told, words["code"], words["param"]) == (status, code, error.param)

    def test_openais_own_words_are_kept(self) -> None:
        error = UpstreamError(
            "x", kind="rate_limit", status=429, family="openai", native_type="tokens", code="c", param="p"
        )
        _status, words, _headers = told_error(error)
        assert (words["type"], words["code"], words["param"]) == ("tokens", "c", "p")

    def test_anothers_words_are_translated(self) -> None:
        error = UpstreamError(
            "x", kind="rate_limit", status=429, family="anthropic", native_type="rate_limit_error"
        )
        _status, words, _headers = told_error(error)
        assert (words["type"], words["code"]) == ("rate_limit_error", "rate_limit_exceeded")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "Input is too long",
                "The input is longer than this model's maximum context length. Input is too long",
            ),
            ("maximum context length exceeded", "maximum context length exceeded"),
            (
                "maximum context length is 100000 tokens, sorry",
                "maximum context length is 100000 tokens, sorry",
            ),
            (
                "exceeds the limit of 128000",
                "This model's maximum context length is 128000 tokens. exceeds the limit of 128000",
            ),
        ],
    )
    def test_an_overflow_always_names_the_context_length(self, text: str, message: str) -> None:
        _status, words, _headers = told_error(UpstreamError(text, kind="context_too_long", status=400))
        assert (words["message"], words["code"]) == (message, "context_length_exceeded")

    def test_headers_tell_when_to_come_back(self) -> None:
        error = UpstreamError("x", kind="rate_limit", retry_after_s=1.2, should_retry=True)
        assert told_error(error)[2] == {
            "retry-after": "2",
            "retry-after-ms": "1200",
            "x-should-retry": "true",
        }
        assert told_error(NotReady("x"))[2] == {"retry-after": "1"}
        assert told_error(UpstreamError("x", kind="billing"))[2] == {"x-should-retry": "false"}
        assert told_error(MethodNotAllowed("x", headers={"allow": "POST"}))[2] == {"allow": "POST"}
