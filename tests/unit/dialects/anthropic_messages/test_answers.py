"""Answers on their way to a caller: streamed, whole, and errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.anthropic_messages import SERVER, decode_count, encode_count
from pi_model_proxy.dialects.anthropic_messages.answer_parts import MAX_HIDDEN_CHARS
from pi_model_proxy.dialects.anthropic_messages.envelope import unwrap, wrap
from pi_model_proxy.errors import (
    KINDS,
    BadRequest,
    CredentialError,
    GatewayError,
    ThreadNotFound,
    TooManyRequests,
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
    ImageBlock,
    Message,
    Opaque,
    Ping,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    UrlSource,
    Usage,
    unfold,
)
from support.messages_wire import answer_context, frames, parsed, plain_answer, target

HIDDEN = answer_context(shows_reasoning=False)


def answer(*blocks: Any, reason: FinishReason = "stop", **more: Any) -> Message:
    return Message(id="up_1", model="up", blocks=blocks, finish=Finish(reason=reason, **more))


def contents(message: Message, **context: Any) -> list[dict[str, Any]]:
    """Return the blocks of the plain answer."""
    found: list[dict[str, Any]] = plain_answer(message, answer_context(**context))["content"]
    return found


def test_ids_have_the_prefix_sdks_expect() -> None:
    assert frames([Start(id="chatcmpl-1")])[0]["message"]["id"] == "msg_abc123"
    assert frames([Start(id="msg_up")])[0]["message"]["id"] == "msg_up"
    assert plain_answer(answer(TextBlock(text="x")))["id"] == "msg_abc123"


def test_every_answer_carries_the_caller_s_model_name() -> None:
    assert frames([Start(model="up")])[0]["message"]["model"] == "acme/model"
    assert plain_answer(answer())["model"] == "acme/model"


def test_what_is_known_at_the_start_is_told_at_the_start() -> None:
    usage = Usage(input=1, cache_read=2, cache_write_5m=3, cache_write_1h=4, output=0)
    assert frames([Start(usage=usage)])[0]["message"]["usage"] == {
        "input_tokens": 1,
        "cache_creation_input_tokens": 7,
        "cache_read_input_tokens": 2,
        "output_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4},
    }
    ended = frames([Start(usage=usage), Finish(reason="stop")])[1]
    assert ended["usage"]["input_tokens"] == 1


def test_thinking_tokens_are_told() -> None:
    told = plain_answer(Message(usage=Usage(output=9, reasoning=4), finish=Finish(reason="stop")))
    assert told["usage"]["output_tokens_details"] == {"thinking_tokens": 4}


def test_blocks_that_stay_empty_are_never_begun() -> None:
    empty: list[Event] = [BlockStart(index=0, block=TextBlock(text="")), TextDelta(0, ""), BlockStop(0)]
    found = frames([Start(), *empty, Finish(reason="stop")])
    assert [frame["type"] for frame in found] == ["message_start", "message_delta", "message_stop"]
    assert contents(answer(TextBlock(text=""), RefusalBlock(text=""), ReasoningBlock())) == []


def test_a_refusal_is_text_and_says_why() -> None:
    message = answer(RefusalBlock(text="no"), reason="refusal", detail="unsafe")
    assert contents(message) == [{"type": "text", "text": "no"}]
    details = {"type": "refusal", "category": None, "explanation": "unsafe"}
    assert plain_answer(message)["stop_details"] == details
    assert frames(unfold(message))[-2]["delta"]["stop_details"] == details


def test_arguments_pass_as_they_come_and_empty_ones_not_at_all() -> None:
    call = BlockStart(index=0, block=ToolCallBlock(id="", name="f"))
    deltas = [ArgumentsDelta(0, '{"a"'), ArgumentsDelta(0, ""), ArgumentsDelta(0, ":1}")]
    found = frames([Start(), call, *deltas, BlockStop(0), Finish(reason="stop")])
    assert found[1]["content_block"] == {"type": "tool_use", "id": "toolu_abc123_0", "name": "f", "input": {}}
    assert [each["delta"]["partial_json"] for each in found[2:4]] == ['{"a"', ":1}"]
    assert found[-2]["delta"]["stop_reason"] == "tool_use"


def test_call_ids_are_made_legal() -> None:
    (block,) = contents(answer(ToolCallBlock(id="call|1", name="f", arguments="{}")))
    assert block["id"].startswith("call_1")
    assert "|" not in block["id"]


def test_broken_arguments_stay_readable_and_are_not_to_be_run() -> None:
    message = answer(ToolCallBlock(id="a", name="f", arguments='{"a":'), reason="tool_calls")
    assert contents(message)[0]["input"] == {"_raw": '{"a":'}
    assert plain_answer(message)["stop_reason"] == "max_tokens"
    assert contents(answer(ToolCallBlock(id="a", name="f")))[0]["input"] == {}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        ("stop", "end_turn"),
        ("stop_sequence", "stop_sequence"),
        ("tool_calls", "end_turn"),
        ("length", "max_tokens"),
        ("context_full", "model_context_window_exceeded"),
        ("refusal", "refusal"),
        ("content_filter", "refusal"),
        ("pause", "pause_turn"),
    ],
)
def test_every_reason_has_its_word(reason: FinishReason, expected: str) -> None:
    message = answer(TextBlock(text="x"), reason=reason, stop_sequence="END")
    body = plain_answer(message)
    assert (body["stop_reason"], body["stop_sequence"]) == (expected, "END")
    assert frames(unfold(message))[-2]["delta"]["stop_reason"] == expected


NATIVE = Opaque(kind="anthropic_signature", data="sig")
REDACTED = Opaque(kind="anthropic_redacted", data="r")
FOREIGN = Opaque(kind="openai_encrypted", data="e", item_id="rs_1")


def streamed_contents(message: Message) -> list[dict[str, Any]]:
    """Return what a client puts together from the stream."""
    built: list[dict[str, Any]] = []
    for frame in frames(unfold(message)):
        if frame["type"] == "content_block_start":
            built.append(frame["content_block"])
        delta = frame.get("delta", {})
        match delta.get("type"):
            case "text_delta":
                built[-1]["text"] += delta["text"]
            case "thinking_delta":
                built[-1]["thinking"] += delta["thinking"]
            case "signature_delta":
                built[-1]["signature"] = delta["signature"]
            case "citations_delta":
                built[-1].setdefault("citations", []).append(delta["citation"])
    return built


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (ReasoningBlock(text="t", opaque=NATIVE), {"type": "thinking", "thinking": "t", "signature": "sig"}),
        (ReasoningBlock(opaque=NATIVE), {"type": "thinking", "thinking": "", "signature": "sig"}),
        (ReasoningBlock(text="t"), {"type": "thinking", "thinking": "t", "signature": ""}),
        (ReasoningBlock(opaque=REDACTED), {"type": "redacted_thinking", "data": "r"}),
        (ReasoningBlock(text="t", opaque=REDACTED), {"type": "thinking", "thinking": "t", "signature": ""}),
        (
            ReasoningBlock(text="t", opaque=FOREIGN),
            {"type": "thinking", "thinking": "t", "signature": wrap(FOREIGN, "anthropic/claude-sonnet-4-5")},
        ),
        (
            RawBlock(dialect="anthropic_messages", type_name="fallback", data='{"type":"fallback","to":{}}'),
            {"type": "fallback", "to": {}},
        ),
        (
            TextBlock(
                text="cited",
                citations=(
                    Citation(url="https://x", title="T", cited_text="c"),
                    Citation(dialect="anthropic_messages", raw='{"type":"char_location"}'),
                ),
            ),
            {
                "type": "text",
                "text": "cited",
                "citations": [
                    {
                        "type": "web_search_result_location",
                        "url": "https://x",
                        "title": "T",
                        "cited_text": "c",
                        "encrypted_index": "",
                    },
                    {"type": "char_location"},
                ],
            },
        ),
    ],
)
def test_stream_and_whole_answer_say_the_same(block: Any, expected: dict[str, Any]) -> None:
    message = answer(block)
    assert contents(message) == [expected]
    assert streamed_contents(message) == [expected]


def test_a_redacted_block_known_from_its_start_is_complete_at_once() -> None:
    events: list[Event] = [Start(), BlockStart(index=0, block=ReasoningBlock(opaque=REDACTED)), BlockStop(0)]
    found = frames(events)
    assert found[1]["content_block"] == {"type": "redacted_thinking", "data": "r"}
    assert found[2]["type"] == "content_block_stop"


def test_blocks_of_other_formats_are_left_out() -> None:
    foreign = RawBlock(dialect="openai_responses", type_name="web_search_call", data="{}")
    message = answer(foreign, ImageBlock(source=UrlSource(url="u")), TextBlock(text="x"))
    assert contents(message) == [{"type": "text", "text": "x"}]
    assert streamed_contents(message) == [{"type": "text", "text": "x"}]


def test_thinking_that_nobody_asked_for_is_not_shown() -> None:
    message = answer(ReasoningBlock(text="t", opaque=NATIVE), TextBlock(text="x"))
    found = frames(unfold(message), HIDDEN)
    assert [each["content_block"]["type"] for each in found if "content_block" in each] == ["text"]
    assert [each["index"] for each in found if "index" in each] == [0, 0, 0]
    assert plain_answer(message, HIDDEN)["content"] == [{"type": "text", "text": "x"}]


def test_a_level_in_the_model_s_name_asks_for_thinking_too() -> None:
    context = answer_context(shows_reasoning=False, target=target(level="high"))
    assert (
        plain_answer(answer(ReasoningBlock(text="t"), TextBlock(text="x")), context)["content"][0]["type"]
        == "thinking"
    )


def test_hidden_thinking_is_kept_only_so_far() -> None:
    encoder = SERVER.stream_encoder(HIDDEN)
    encoder.feed(Start())
    encoder.feed(BlockStart(index=0, block=ReasoningBlock()))
    for _ in range(5):
        assert encoder.feed(TextDelta(0, "x" * (MAX_HIDDEN_CHARS // 2))) == b""
    encoder.feed(BlockStop(0))
    found = parsed(encoder.feed(Finish(reason="stop")))
    assert len(found[1]["delta"]["thinking"]) == MAX_HIDDEN_CHARS


def test_a_citation_before_any_text_begins_its_block() -> None:
    cited = CitationDelta(0, Citation(url="u"))
    found = frames([Start(), BlockStart(index=0, block=TextBlock(text="")), cited, BlockStop(0)])
    assert [frame["type"] for frame in found[1:]] == [
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
    ]


def test_a_ping_is_an_event_and_everything_is_ascii() -> None:
    encoder = SERVER.stream_encoder(answer_context())
    ping = b'event: ping\ndata: {"type":"ping"}\n\n'
    assert (encoder.ping(), encoder.feed(Ping())) == (ping, ping)
    encoder.feed(Start())
    encoder.feed(BlockStart(index=0, block=TextBlock(text="")))
    written = encoder.feed(TextDelta(0, "é\u2028😀"))
    assert written.isascii()
    assert parsed(written)[1]["delta"]["text"] == "é\u2028😀"


def test_an_envelope_returns_what_went_in_and_a_broken_one_nothing() -> None:
    opened = unwrap(wrap(FOREIGN, "openai/gpt"))
    assert opened == Opaque(kind="openai_encrypted", data="e", item_id="rs_1", origin="openai/gpt")
    known = Opaque(kind="reasoning_details", data="[]", origin="or/m")
    assert unwrap(wrap(known, "elsewhere/m")) == known
    for broken in (
        "",
        "pmp1.",
        "pmp1.x.e30",
        "pmp1.openai_encrypted.!",
        "pmp1.openai_encrypted.e30",
        "pmp1.a.b.c",
    ):
        assert unwrap(broken) is None


# Errors


def told(error: GatewayError) -> tuple[int, str]:
    encoded = SERVER.encode_error(error, "req_1")
    body = json.loads(encoded.body)
    assert (body["type"], body["request_id"]) == ("error", "req_1")
    return encoded.status, body["error"]["type"]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_a_status_and_a_type_of_anthropic_s(kind: str) -> None:
    status, type_name = told(UpstreamError("m", kind=kind, status=418))
    assert 400 <= status < 600
    assert type_name.endswith("_error") or type_name == "request_too_large"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (BadRequest("m"), (400, "invalid_request_error")),
        (CredentialError("m"), (502, "api_error")),
        (
            UpstreamError(
                "m", status=401, kind="upstream_auth", family="anthropic", native_type="authentication_error"
            ),
            (401, "authentication_error"),
        ),
        (UpstreamError("m", status=401, kind="upstream_auth"), (401, "api_error")),
        (UpstreamError("m", status=422, kind="bad_request"), (422, "invalid_request_error")),
        (UpstreamError("m", status=500, kind="upstream"), (500, "api_error")),
        (UpstreamError("m", status=503, kind="overloaded", family="openai"), (503, "overloaded_error")),
        (
            UpstreamError(
                "m", status=429, kind="overloaded", family="anthropic", native_type="overloaded_error"
            ),
            (429, "overloaded_error"),
        ),
        (
            UpstreamError("m", status=429, kind="billing", family="openai", code="insufficient_quota"),
            (429, "billing_error"),
        ),
        (
            UpstreamError("m", status=400, kind="bad_request", family="anthropic", native_type="made_up"),
            (400, "invalid_request_error"),
        ),
    ],
)
def test_an_upstream_s_status_is_kept_and_its_type_put_in_anthropic_s_words(
    error: GatewayError, expected: tuple[int, str]
) -> None:
    assert told(error) == expected


def test_waiting_and_retrying_are_told_in_headers() -> None:
    limited = SERVER.encode_error(TooManyRequests("m", retry_after_s=1.2, headers={"allow": "POST"}), "r")
    assert limited.headers == {"retry-after": "2", "allow": "POST"}
    billing = SERVER.encode_error(UpstreamError("m", kind="billing"), "r")
    assert billing.headers == {"x-should-retry": "false"}
    again = SERVER.encode_error(UpstreamError("m", kind="billing", should_retry=True), "r")
    assert again.headers == {"x-should-retry": "true"}


@pytest.mark.parametrize(
    "error",
    [
        ThreadNotFound("m"),
        UpstreamError("m", kind="not_found", status=404, family="anthropic", code="thread_not_found"),
    ],
    ids=["ours", "Anthropic's own"],
)
def test_a_thread_that_nobody_holds_is_told_in_the_code_that_sdks_act_upon(error: GatewayError) -> None:
    """They answer it by sending the whole conversation."""
    assert told(error) == (404, "not_found_error")
    words = json.loads(SERVER.encode_error(error, "r").body)["error"]
    assert words["details"] == {"error_code": "thread_not_found"}


def test_another_vendors_codes_are_not_told_as_anthropics() -> None:
    error = UpstreamError("m", kind="not_found", family="openai", code="model_not_found")
    assert "details" not in json.loads(SERVER.encode_error(error, "r").body)["error"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            "prompt is too long: 213462 tokens > 200000 maximum",
            "prompt is too long: 213462 tokens > 200000 maximum",
        ),
        ("Too much.", "prompt is too long: Too much."),
    ],
)
def test_an_overflow_begins_as_clients_expect(words: str, expected: str) -> None:
    body = json.loads(SERVER.encode_error(UpstreamError(words, kind="context_too_long"), "r").body)
    assert body["error"]["message"] == expected


def test_an_error_event_has_no_request_id_of_its_own() -> None:
    encoder = SERVER.stream_encoder(answer_context())
    (frame,) = parsed(encoder.feed(Failure(UpstreamError("m", kind="overloaded"))))
    assert frame == {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}


def test_counts_are_read_and_written() -> None:
    assert encode_count(5) == b'{"input_tokens":5}'
    assert decode_count(b'{"input_tokens":5,"context_management":{}}') == 5
    for body in (b"", b"{}", b'{"input_tokens":-1}', b'{"input_tokens":"5"}', b"[" * 100_000):
        assert decode_count(body) is None


@pytest.mark.parametrize("data", ["{}", '{"type":5}', '{"type":["text"]}'])
def test_a_block_of_no_kind_is_left_out_of_both_forms(data: str) -> None:
    odd = RawBlock(dialect="anthropic_messages", type_name="", data=data)
    message = answer(odd, TextBlock(text="hi"))
    assert contents(message) == [{"type": "text", "text": "hi"}]
    encoder = SERVER.stream_encoder(answer_context())
    told = b"".join(encoder.feed(event) for event in unfold(message))
    assert told.count(b"event: content_block_start") == 1
