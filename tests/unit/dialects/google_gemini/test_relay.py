"""The same format on both sides."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.google_gemini import ARRAY_RELAY, RELAY, SSE_RELAY
from pi_model_proxy.dialects.google_gemini.signatures import Carried, pack
from pi_model_proxy.errors import BadRequest, BrokenStream, UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import Usage
from support.gemini_wire import LEVELS, context, event, frames, objects_of, target

BODY = b'{ "contents" : [{"role":"user","parts":[{"text":"caf\\u00e9 \xc3\xa9"}]}],\n "generation_config":{"temperature":1.0} }'
PACKED = pack([Carried(kind="anthropic_signature", data="sig")])


def _relayed(*contents: Any, model: str = "gemini-3-flash-preview") -> Any:
    outgoing = RELAY.encode_request(json.dumps({"contents": contents}).encode(), target(model), {})
    return json.loads(outgoing.body)["contents"], outgoing.dropped


def _through(stream: bytes, relay: Any = SSE_RELAY) -> tuple[bytes, Any]:
    pipe = relay.stream_pipe(context())
    out = pipe.feed(stream) + pipe.close()
    return out, pipe.facts


class TestRequest:
    def test_a_body_nothing_is_wrong_with_keeps_every_byte(self) -> None:
        for relay, path, streams in (
            (RELAY, "/models/gemini-3-flash-preview:generateContent", False),
            (SSE_RELAY, "/models/gemini-3-flash-preview:streamGenerateContent?alt=sse", True),
            (ARRAY_RELAY, "/models/gemini-3-flash-preview:streamGenerateContent?alt=sse", True),
        ):
            outgoing = relay.encode_request(BODY, target(), {})
            assert outgoing.body is BODY
            assert (outgoing.path, outgoing.stream, outgoing.dropped) == (path, streams, ())

    def test_a_model_in_the_body_and_steering_fields_are_taken_out(self) -> None:
        body = b'{"model":"models/x","api_base":"http://evil","contents":[{"parts":[{"text":"caf\\u00e9"}]}]}'
        outgoing = RELAY.encode_request(body, target(), {})
        assert outgoing.body == b'{"contents":[{"parts":[{"text":"caf\\u00e9"}]}]}'
        assert outgoing.dropped == ("api_base",)
        with pytest.raises(UnsupportedFeature):
            RELAY.encode_request(body, target(strict=True), {})

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"contents":'])
    def test_what_is_no_object_is_refused(self, body: bytes) -> None:
        with pytest.raises(BadRequest):
            RELAY.encode_request(body, target(), {})

    @pytest.mark.parametrize(
        ("config", "level", "thinking", "lost"),
        [
            (None, "high", {"includeThoughts": True, "thinkingLevel": "HIGH"}, False),
            (
                {"thinkingConfig": {"includeThoughts": False, "thinkingBudget": 5}},
                "low",
                {"thinkingLevel": "LOW"},
                False,
            ),
            ({"thinking_config": {"thinking_budget": 5}}, "off", {"thinkingLevel": "LOW"}, True),
        ],
        ids=str,
    )
    def test_a_level_in_the_models_name_takes_the_place_of_the_bodys(
        self, config: Any, level: str, thinking: Any, lost: bool
    ) -> None:
        body = {"contents": [], **({} if config is None else {"generationConfig": {"topK": 1, **config}})}
        outgoing = RELAY.encode_request(
            json.dumps(body).encode(), target(level=level, thinking_levels=LEVELS), {}
        )
        sent = json.loads(outgoing.body)["generationConfig"]
        key = "thinking_config" if config and "thinking_config" in config else "thinkingConfig"
        assert sent == {**({} if config is None else {"topK": 1}), key: thinking}
        assert outgoing.dropped == ((f"generationConfig.{key}",) if lost else ())

    def test_tokens_of_other_models_never_reach_google(self) -> None:
        user = {"role": "user", "parts": [{"text": "hi"}]}
        contents, dropped = _relayed(
            user,
            {
                "role": "model",
                "parts": [
                    {"text": "hm", "thought": True, "thoughtSignature": PACKED},
                    {"text": "Let me.", "thought_signature": PACKED.replace("+", "-")},
                    {"text": "", "thoughtSignature": PACKED},
                    {"functionCall": {"name": "f"}, "thoughtSignature": PACKED},
                    {"functionCall": {"name": "g"}, "thoughtSignature": PACKED},
                ],
            },
            {"role": "model", "parts": {"text": "hm", "thought": True, "thoughtSignature": PACKED}},
        )
        assert contents == [
            user,
            {
                "role": "model",
                "parts": [
                    {"text": "Let me."},
                    {"functionCall": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"},
                    {"functionCall": {"name": "g"}},
                ],
            },
        ]
        assert dropped == ("contents[1].parts[0]", "contents[2].parts[0]")

    def test_an_older_model_needs_no_stand_in(self) -> None:
        call = {"functionCall": {"name": "f"}}
        contents, _ = _relayed(
            {"role": "model", "parts": [{**call, "thoughtSignature": PACKED}]}, model="gemini-2.5-pro"
        )
        assert contents == [{"role": "model", "parts": [call]}]

    def test_a_broken_conversation_with_packed_tokens_is_refused(self) -> None:
        for contents in ([PACKED], [{"parts": [PACKED]}]):
            with pytest.raises(BadRequest):
                RELAY.encode_request(json.dumps({"contents": contents}).encode(), target(), {})

    @pytest.mark.parametrize(
        ("kind", "body", "sent"),
        [
            ("google-generative-ai", {"contents": [1]}, {"contents": [1]}),
            (
                "google-generative-ai",
                {"generateContentRequest": {"model": "models/ours", "contents": [1], "tools": []}},
                {
                    "generateContentRequest": {
                        "model": "models/gemini-3-flash-preview",
                        "contents": [1],
                        "tools": [],
                    }
                },
            ),
            (
                "google-generative-ai",
                {"contents": [1], "systemInstruction": {}},
                {
                    "generateContentRequest": {
                        "model": "models/gemini-3-flash-preview",
                        "contents": [1],
                        "systemInstruction": {},
                    }
                },
            ),
            (
                "google-vertex",
                {
                    "generate_content_request": {
                        "model": "x",
                        "contents": [1],
                        "system_instruction": {},
                        "safetySettings": [],
                    }
                },
                {"contents": [1], "system_instruction": {}},
            ),
        ],
        ids=str,
    )
    def test_a_count_asks_each_api_in_its_own_envelope(self, kind: str, body: Any, sent: Any) -> None:
        outgoing = RELAY.encode_count(json.dumps(body).encode(), target(kind=kind), {})
        assert json.loads(outgoing.body) == sent
        assert outgoing.path.endswith("gemini-3-flash-preview:countTokens")
        assert not outgoing.stream

    def test_a_count_that_is_none_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="generateContentRequest"):
            RELAY.encode_count(b'{"generateContentRequest":[]}', target(), {})


class TestStream:
    def test_events_pass_with_nothing_changed_but_the_models_name(self) -> None:
        first = b'{"candidates": [{"content": {"parts": [{"text": "a\xe2\x80\xa8b \\"modelVersion\\" "}]}}],"modelVersion": "gemini-3","responseId": "r"}'
        last = b'{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":4,"cachedContentTokenCount":1},"modelVersion":"gemini-3"}'
        out, facts = _through(b"data: " + first + b"\r\n\r\ndata: " + last + b"\r\n\r\n")
        assert out.split(b"\n\n") == [
            b"data: "
            + first.replace(b'"modelVersion": "gemini-3"', b'"modelVersion":"acme/m"').replace(
                b"\xe2\x80\xa8", b"\\u2028"
            ),
            b"data: " + last.replace(b'"gemini-3"', b'"acme/m"'),
            b"",
        ]
        assert (facts.began, facts.done, facts.failure) == (True, True, None)
        assert (facts.upstream_id, facts.upstream_model) == ("r", "gemini-3")
        assert facts.usage == Usage(input=3, cache_read=1)
        assert (facts.finish.reason, facts.finish.native) == ("stop", "STOP")

    def test_a_name_that_stands_twice_or_is_escaped_is_still_replaced(self) -> None:
        twice = b'{"x":{"modelVersion":"a"},"modelVersion":"a","candidates":[{"finishReason":"STOP"}]}'
        escaped = b'{"candidates":[{"finishReason":"STOP"}],"modelVersion":"a\\u0062"}'
        for event_ in (twice, escaped):
            out, _ = _through(b"data: " + event_ + b"\n\n")
            (said,) = objects_of(out)
            assert said["modelVersion"] == "acme/m"
            assert said.get("x", {"modelVersion": "a"}) == {"modelVersion": "a"}

    def test_an_upstream_that_sends_the_array_is_passed_on_as_events(self) -> None:
        out, facts = _through(json.dumps([event({"text": "a"}), event(finishReason="STOP")]).encode())
        assert len(objects_of(out)) == 2
        assert facts.done

    def test_a_caller_without_events_gets_one_array(self) -> None:
        stream = frames(
            event({"text": "a\n\nb"}), event({"functionCall": {"name": "f"}}, finishReason="STOP")
        )
        out, facts = _through(stream, ARRAY_RELAY)
        assert [each["candidates"][0]["content"]["parts"] for each in json.loads(out)] == [
            [{"text": "a\n\nb"}],
            [{"functionCall": {"name": "f"}}],
        ]
        assert facts.finish.reason == "tool_calls"

    def test_counts_before_the_answer_are_held_back_so_that_an_error_can_be_a_status(self) -> None:
        pipe = SSE_RELAY.stream_pipe(context())
        assert pipe.feed(frames({"usageMetadata": {"promptTokenCount": 1}})) == b""
        assert not pipe.facts.began
        assert len(objects_of(pipe.feed(frames(event({"text": "a"}))))) == 2
        assert pipe.facts.began
        failing = SSE_RELAY.stream_pipe(context())
        failing.feed(frames({"usageMetadata": {"promptTokenCount": 1}}))
        assert (
            failing.feed(b'data: {"error":{"code":429,"message":"x","status":"RESOURCE_EXHAUSTED"}}\n\n')
            == b""
        )
        assert (failing.facts.began, failing.facts.failure.kind) == (False, "rate_limit")

    def test_a_blocked_prompt_is_an_answer(self) -> None:
        out, facts = _through(frames({"promptFeedback": {"blockReason": "SAFETY"}}))
        assert objects_of(out) == [{"promptFeedback": {"blockReason": "SAFETY"}}]
        assert (facts.began, facts.finish.reason) == (True, "content_filter")

    def test_a_malformed_call_is_the_callers_to_deal_with(self) -> None:
        out, facts = _through(frames(event(finishReason="MALFORMED_FUNCTION_CALL")))
        assert objects_of(out)[0]["candidates"][0]["finishReason"] == "MALFORMED_FUNCTION_CALL"
        assert (facts.done, facts.failure, facts.finish) == (True, None, None)

    @pytest.mark.parametrize(
        "stream",
        [
            b"",
            b"data: [1\n\n",
            b'data: {"candidates":{}}\n\n',
            b"<html>",
            frames(event({"text": "half"})),
            b'{"modelVersion":1,"modelVersion":' + b"[" * 5000,
        ],
    )
    def test_a_stream_that_is_none_or_breaks_off_is_a_failure(self, stream: bytes) -> None:
        _, facts = _through(stream)
        assert isinstance(facts.failure, BrokenStream)
        assert not facts.done

    def test_nothing_is_passed_on_after_the_end_or_a_failure(self) -> None:
        pipe = SSE_RELAY.stream_pipe(context())
        pipe.feed(frames(event(finishReason="STOP")))
        pipe.close()
        assert pipe.feed(frames(event({"text": "late"}))) == pipe.close() == b""

    def test_what_comes_before_an_error_in_one_piece_is_still_passed_on(self) -> None:
        pipe = SSE_RELAY.stream_pipe(context())
        out = pipe.feed(frames(event({"text": "a"})) + b'data: {"error":{"code":500,"message":"x"}}\n\n')
        assert len(objects_of(out)) == 1
        assert pipe.facts.failure is not None

    @pytest.mark.parametrize("relay", [SSE_RELAY, ARRAY_RELAY], ids=["events", "array"])
    def test_an_error_after_the_beginning_is_told_in_the_stream(self, relay: Any) -> None:
        pipe = relay.stream_pipe(context())
        out = (
            pipe.feed(frames(event({"text": "a"})))
            + pipe.ping()
            + pipe.fail(UpstreamError("gone", status=504, kind="timeout"))
        )
        told = json.loads(out) if relay is ARRAY_RELAY else objects_of(out)
        assert told[-1] == {"error": {"code": 504, "message": "gone", "status": "DEADLINE_EXCEEDED"}}


class TestPlainAnswer:
    def test_a_plain_answer_keeps_its_bytes_but_for_the_models_name(self) -> None:
        body = b'{\n "candidates": [{"finishReason": "STOP"}],\n "usageMetadata": {"promptTokenCount": 2}, "modelVersion": "g", "responseId": "r"\n}'
        relayed, facts = RELAY.message(body, context())
        assert relayed == body.replace(b'"modelVersion": "g"', b'"modelVersion":"acme/m"')
        assert (facts.began, facts.done, facts.upstream_id) == (True, True, "r")
        assert facts.usage == Usage(input=2)

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (b'{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}', "overloaded"),
            (b"<html>", "upstream"),
            (b"{}", "upstream"),
            (b'{"candidates":[{"content":{}}]}', "upstream"),
        ],
    )
    def test_an_answer_that_is_none_is_a_failure(self, body: bytes, kind: str) -> None:
        relayed, facts = RELAY.message(body, context())
        assert relayed == b""
        assert facts.failure is not None
        assert facts.failure.kind == kind
