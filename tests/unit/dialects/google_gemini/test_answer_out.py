"""Hub events, as a caller of this format reads them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.google_gemini import (
    ARRAY_SERVER,
    CLIENT,
    SERVER,
    SSE_SERVER,
    decode_count,
    encode_count,
)
from pi_model_proxy.dialects.google_gemini.signatures import MAX_CARRIED_CHARS, unpack
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import (
    ArgumentsDelta,
    AudioBlock,
    Block,
    BlockStart,
    BlockStop,
    Citation,
    DataSource,
    DocumentBlock,
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
    TextSource,
    ToolCallBlock,
    Usage,
    fold,
    unfold,
)
from support.gemini_wire import answered, context, objects_of, target

SIGNED = Opaque(kind="anthropic_signature", data="sig+/=")
CLAUDE = context(target("claude", provider="anthropic", kind="anthropic-messages"))


def _message(*blocks: Block, reason: FinishReason = "stop", **finish: Any) -> Message:
    return Message(
        id="r1", blocks=blocks, usage=Usage(input=3, output=5), finish=Finish(reason=reason, **finish)
    )


def _plain(message: Message, **changes: Any) -> Any:
    return json.loads(SERVER.encode_message(message, context(**changes)))


def _parts(message: Message, **changes: Any) -> Any:
    return _plain(message, **changes)["candidates"][0]["content"]["parts"]


def _streamed(message: Message, **changes: Any) -> list[Any]:
    return objects_of(answered(SSE_SERVER.stream_encoder(context(**changes)), message))


def _streamed_parts(message: Message, **changes: Any) -> list[Any]:
    events = _streamed(message, **changes)
    return [part for each in events for part in each["candidates"][0]["content"]["parts"]]


class TestParts:
    def test_a_stream_is_small_whole_answers(self) -> None:
        message = _message(
            TextBlock(text="Grüße\u2028"), ToolCallBlock(id="c", name="f", arguments='{"a":1}')
        )
        stream = answered(SSE_SERVER.stream_encoder(context()), message)
        assert stream.isascii()
        about = {"modelVersion": "acme/m", "responseId": "r1"}
        said = [
            {"text": "Grüße\u2028"},
            {"functionCall": {"id": "c", "name": "f", "args": {"a": 1}}},
        ]
        content = [{"content": {"parts": [part], "role": "model"}, "index": 0} for part in said]
        last = {"content": {"parts": [{"text": ""}], "role": "model"}, "finishReason": "STOP", "index": 0}
        counts = {"promptTokenCount": 3, "candidatesTokenCount": 5, "totalTokenCount": 8}
        assert objects_of(stream) == [
            *({"candidates": [each], **about} for each in content),
            {"candidates": [last], "usageMetadata": counts, **about},
        ]

    def test_a_plain_answer_is_their_sum(self) -> None:
        message = _message(TextBlock(text="a"), RefusalBlock(text="b"), ToolCallBlock(id="c", name="f"))
        assert _parts(message) == [
            {"text": "a"},
            {"text": "b"},
            {"functionCall": {"id": "c", "name": "f", "args": {}}},
        ]
        assert _streamed_parts(message)[:-1] == _parts(message)

    def test_an_answer_of_nothing_has_an_empty_text(self) -> None:
        assert _parts(_message()) == _streamed_parts(_message()) == [{"text": ""}]
        assert _parts(_message(TextBlock(text=""))) == [{"text": ""}]

    def test_a_call_without_an_id_gets_one(self) -> None:
        calls = (ToolCallBlock(id="", name="f"), ToolCallBlock(id="", name="f"))
        for parts in (_parts(_message(*calls)), _streamed_parts(_message(*calls))[:-1]):
            assert [part["functionCall"]["id"] for part in parts] == ["call_a1_0", "call_a1_1"]

    def test_a_free_form_call_is_wrapped(self) -> None:
        call = ToolCallBlock(id="c", name="patch", arguments="*** Begin", custom=True)
        for parts in (_parts(_message(call)), _streamed_parts(_message(call))):
            assert parts[0]["functionCall"]["args"] == {"input": "*** Begin"}

    @pytest.mark.parametrize(
        ("block", "parts"),
        [
            (
                ImageBlock(source=DataSource("image/png", "QUJD")),
                [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}],
            ),
            (
                AudioBlock(data="QUJD", format="wav"),
                [{"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}}],
            ),
            (
                RawBlock(dialect="google_gemini", type_name="x", data='{"executableCode":{}}'),
                [{"executableCode": {}}],
            ),
            (RawBlock(dialect="anthropic_messages", type_name="x", data="{}"), []),
            (DocumentBlock(source=TextSource("x")), []),
        ],
        ids=str,
    )
    def test_other_blocks_become_parts_where_this_format_has_them(self, block: Block, parts: Any) -> None:
        message = _message(TextBlock(text="x"), block)
        assert _parts(message)[1:] == _streamed_parts(message)[1:-1] == parts

    @pytest.mark.parametrize(
        ("reason", "word"),
        [
            ("stop", "MALFORMED_FUNCTION_CALL"),
            ("tool_calls", "MALFORMED_FUNCTION_CALL"),
            ("length", "MAX_TOKENS"),
        ],
    )
    def test_a_call_that_broke_off_is_never_handed_out(self, reason: FinishReason, word: str) -> None:
        message = _message(ToolCallBlock(id="c", name="f", arguments='{"path": "/etc'), reason=reason)
        for last in (_plain(message), _streamed(message)[-1]):
            candidate = last["candidates"][0]
            assert candidate["content"]["parts"] == [{"text": ""}]
            assert candidate["finishReason"] == word
            assert ("/etc" in candidate.get("finishMessage", "")) == (reason != "length")


class TestThinking:
    def test_thinking_is_shown_only_to_who_asked(self) -> None:
        message = _message(ReasoningBlock(text="hm"), TextBlock(text="x"))
        thought = {"thought": True, "text": "hm"}
        assert _parts(message) == _streamed_parts(message)[:-1] == [thought, {"text": "x"}]
        assert _parts(message, shows_reasoning=False) == [{"text": "x"}]
        assert _streamed_parts(message, shows_reasoning=False)[:-1] == [{"text": "x"}]

    def test_googles_own_tokens_stand_where_they_stood(self) -> None:
        own = Opaque(kind="gemini_signature", data="QUJD")
        message = _message(
            ReasoningBlock(text="hm", opaque=own),
            TextBlock(text="x"),
            ReasoningBlock(opaque=own),
            ToolCallBlock(id="c", name="f", opaque=own),
        )
        assert _parts(message) == [
            {"thought": True, "text": "hm", "thoughtSignature": "QUJD"},
            {"text": "x", "thoughtSignature": "QUJD"},
            {"functionCall": {"id": "c", "name": "f", "args": {}}, "thoughtSignature": "QUJD"},
        ]
        for shown in (True, False):
            decoder = CLIENT.stream_decoder(target(), ToolNames())
            stream = answered(SSE_SERVER.stream_encoder(context(shows_reasoning=shown)), message)
            tokens = [
                each.opaque
                for each in fold([*decoder.feed(stream), *decoder.close()]).blocks
                if isinstance(each, ReasoningBlock | ToolCallBlock)
            ]
            assert tokens == [own, own, own]

    def test_a_token_on_no_text_stands_alone_where_no_text_is(self) -> None:
        own = ReasoningBlock(opaque=Opaque(kind="gemini_signature", data="QUJD"))
        assert _parts(_message(own)) == [{"text": "", "thoughtSignature": "QUJD"}]

    @pytest.mark.parametrize("shown", [True, False])
    @pytest.mark.parametrize("server", [SERVER, SSE_SERVER, ARRAY_SERVER], ids=["plain", "events", "array"])
    def test_a_foreign_token_comes_back_with_its_thinking_in_its_place(
        self, server: Any, shown: bool
    ) -> None:
        blocks = (
            ReasoningBlock(text="first", opaque=SIGNED),
            TextBlock(text="Let me look."),
            ToolCallBlock(id="a", name="f", arguments="{}"),
            ReasoningBlock(
                text="second",
                opaque=Opaque(kind="openai_encrypted", data="blob", item_id="rs_1"),
                summary=True,
            ),
            ToolCallBlock(id="b", name="f", arguments="{}"),
        )
        message = _message(*blocks, reason="tool_calls")
        where = context(target("claude", provider="anthropic"), shows_reasoning=shown)
        written = (
            server.encode_message(message, where)
            if server is SERVER
            else answered(server.stream_encoder(where), message)
        )
        text = written.decode()
        answers = (
            objects_of(written)
            if server is SSE_SERVER
            else json.loads(text)
            if server is ARRAY_SERVER
            else [json.loads(text)]
        )
        contents = [each["candidates"][0]["content"] for each in answers]
        history = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}, *contents]}
        turn = SERVER.decode_request(json.dumps(history).encode()).turns[1]
        came_back = [
            (
                type(each).__name__,
                getattr(each, "text", ""),
                getattr(getattr(each, "opaque", None), "data", None),
            )
            for each in turn.blocks
        ]
        assert came_back == [
            ("ReasoningBlock", "first", "sig+/="),
            ("TextBlock", "Let me look.", None),
            ("ToolCallBlock", "", None),
            ("ReasoningBlock", "second", "blob"),
            ("ToolCallBlock", "", None),
        ]
        second = turn.blocks[3]
        assert isinstance(second, ReasoningBlock)
        assert second.opaque == Opaque(
            kind="openai_encrypted", data="blob", item_id="rs_1", origin="anthropic/claude"
        )
        assert second.summary

    def test_endless_thinking_is_shown_but_not_carried(self) -> None:
        block = ReasoningBlock(text="x" * (MAX_CARRIED_CHARS + 1), opaque=SIGNED)
        parts = _parts(_message(block, ToolCallBlock(id="c", name="f")))
        assert "thoughtSignature" not in parts[1]
        assert unpack(parts[0]["thoughtSignature"])


class TestEnd:
    @pytest.mark.parametrize(
        ("finish", "word"),
        [
            (Finish(reason="stop"), "STOP"),
            (Finish(reason="stop_sequence", stop_sequence="X"), "STOP"),
            (Finish(reason="tool_calls"), "STOP"),
            (Finish(reason="length"), "MAX_TOKENS"),
            (Finish(reason="context_full"), "MAX_TOKENS"),
            (Finish(reason="refusal", detail="no"), "SAFETY"),
            (Finish(reason="content_filter"), "SAFETY"),
            (Finish(reason="content_filter", native="RECITATION"), "RECITATION"),
            (Finish(reason="stop", native="end_turn"), "STOP"),
            (Finish(reason="pause"), "STOP"),
        ],
        ids=str,
    )
    def test_a_finish_has_its_word(self, finish: Finish, word: str) -> None:
        message = Message(blocks=(TextBlock(text="x"),), finish=finish)
        for last in (_plain(message), _streamed(message)[-1]):
            assert last["candidates"][0]["finishReason"] == word
            assert last["candidates"][0].get("finishMessage") == finish.detail

    def test_an_error_ends_the_stream_and_is_its_first_member(self) -> None:
        encoder = SSE_SERVER.stream_encoder(context())
        events: list[Event] = [Start(), BlockStart(index=0, block=TextBlock(text="")), TextDelta(0, "half")]
        error = UpstreamError("broke off", status=503, kind="overloaded", retry_after_s=3)
        stream = answered(encoder, [*events, Failure(error)])
        last = stream.split(b"\n\n")[-2]
        assert last.startswith(b'data: {"error":')
        assert json.loads(last[6:])["error"] == {
            "code": 503,
            "message": "broke off",
            "status": "UNAVAILABLE",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "3s"}],
        }
        assert encoder.feed(Finish(reason="stop")) == b""

    def test_a_sign_of_life_is_a_blank_line(self) -> None:
        for server in (SSE_SERVER, ARRAY_SERVER):
            assert server.stream_encoder(context()).ping().strip() == b""
        assert SSE_SERVER.stream_encoder(context()).feed(Ping()).strip() == b""

    def test_an_array_is_one_json_document_however_it_ends(self) -> None:
        message = _message(TextBlock(text="a"), TextBlock(text="b"))
        encoder = ARRAY_SERVER.stream_encoder(context())
        pieces = [encoder.ping()]
        for each in unfold(message):
            pieces += [encoder.feed(each), encoder.ping()]
        events = json.loads(b"".join(pieces))
        assert [each["candidates"][0]["content"]["parts"][0]["text"] for each in events] == ["a", "b", ""]
        failed = ARRAY_SERVER.stream_encoder(context())
        stream = answered(failed, [Start(), Failure(UpstreamError("x", status=500))])
        assert json.loads(stream)[0]["error"]["code"] == 500
        assert failed.feed(Finish(reason="stop")) == b""

    def test_events_that_say_nothing_write_nothing(self) -> None:
        encoder = SSE_SERVER.stream_encoder(context())
        quiet: list[Event] = [
            Start(),
            BlockStop(0),
            BlockStart(index=0, block=TextBlock(text="")),
            TextDelta(0, ""),
            ArgumentsDelta(0, ""),
        ]
        assert answered(encoder, quiet) == b""


class TestCitations:
    def test_citations_become_grounding_with_byte_offsets(self) -> None:
        message = _message(
            TextBlock(text="Grüße. "),
            TextBlock(
                text="Über uns",
                citations=(
                    Citation(url="https://a.example", title="A", start=0, end=4),
                    Citation(url="https://a.example"),
                    Citation(title="no address"),
                ),
            ),
        )
        grounding = {
            "groundingChunks": [{"web": {"uri": "https://a.example", "title": "A"}}],
            "groundingSupports": [
                {"segment": {"endIndex": 14, "text": "Über", "startIndex": 9}, "groundingChunkIndices": [0]},
                {
                    "segment": {"endIndex": 18, "text": "Über uns", "startIndex": 9},
                    "groundingChunkIndices": [0],
                },
            ],
        }
        assert _plain(message)["candidates"][0]["groundingMetadata"] == grounding
        assert _streamed(message)[-1]["candidates"][0]["groundingMetadata"] == grounding

    def test_no_citation_no_grounding(self) -> None:
        assert "groundingMetadata" not in _plain(_message(TextBlock(text="x")))["candidates"][0]


def test_a_count_is_written_and_read() -> None:
    assert SERVER.encode_count(7) == encode_count(7) == b'{"totalTokens":7}'
    assert [
        decode_count(each) for each in (b'{"totalTokens":7}', b'{"totalTokens":-1}', b"{}", b"[", b"\xff")
    ] == [7, None, None, None, None]
