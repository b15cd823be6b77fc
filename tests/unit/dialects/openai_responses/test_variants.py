"""pi's other kinds of the Responses format: Azure, and the backend of ChatGPT's Codex."""

from __future__ import annotations

import json
from typing import Any, ClassVar

import pytest

from pi_model_proxy.dialects import openai_chat
from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_responses import AZURE_CLIENT, CLIENT, CODEX_CLIENT
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import (
    CacheMark,
    Event,
    Identity,
    Opaque,
    OutputFormat,
    ReasoningBlock,
    ReasoningWish,
    Sampling,
    TextBlock,
    TextDelta,
    Tool,
    ToolCallBlock,
    ToolChoice,
    fold,
)
from support.kind_streams import encoded, failure_of, message_of, pieces, request, said, target
from support.responses_stream import CREATED, sse

WEATHER = Tool(name="weather", schema={"type": "object", "properties": {}})
CODEX_FLAGS = {"supportsStrictMode": True, "supportsMidConvoSystemMessages": True}

Json = dict[str, Any]


def azure(asked: Any, **changes: Any) -> tuple[Json, Any]:
    return encoded(AZURE_CLIENT, asked, target(AZURE_CLIENT, model="gpt-5.5", reasoning=True, **changes))


def codex(asked: Any, **changes: Any) -> tuple[Json, Any]:
    values = {"model": "gpt-5.5", "reasoning": True, "compat": CODEX_FLAGS, **changes}
    return encoded(CODEX_CLIENT, asked, target(CODEX_CLIENT, **values))


def test_each_kind_has_its_client_half() -> None:
    assert [client.kind for client in (CLIENT, AZURE_CLIENT, CODEX_CLIENT)] == [
        "openai-responses",
        "azure-openai-responses",
        "openai-codex-responses",
    ]


class TestAzure:
    def test_the_address_names_an_api_version(self) -> None:
        body, outgoing = azure(request())
        assert outgoing.path == "/responses?api-version=v1"
        assert body["model"] == "gpt-5.5"
        assert "instructions" not in body

    def test_an_account_has_its_own_version_and_name_for_the_model(self) -> None:
        identity = Identity(deployment="prod-gpt", api_version="2025-04-01-preview")
        body, outgoing = azure(request(), identity=identity)
        assert outgoing.path == "/responses?api-version=2025-04-01-preview"
        assert body["model"] == "prod-gpt"

    def test_all_else_is_as_at_openai(self) -> None:
        asked = request(
            tools=(WEATHER,),
            max_output=5,
            reasoning=ReasoningWish(mode="level", level="high"),
            instructions=(TextBlock(text="Be."),),
        )
        ours, _ = azure(asked)
        theirs, _ = encoded(CLIENT, asked, target(CLIENT, model="gpt-5.5", reasoning=True))
        assert ours == theirs
        assert ours["tools"][0]["strict"] is False

    def _late(self, *between: Json, token: str | None = "late") -> list[Json]:
        thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
        sealed = thought | ({"encrypted_content": token} if token else {})
        output = [sealed, *(each["item"] for each in between if each["type"].endswith("item.done"))]
        terminal = {"id": "resp_1", "object": "response", "status": "completed", "output": output}
        return [
            CREATED,
            {"type": "response.output_item.added", "output_index": 0, "item": thought | {"summary": []}},
            {
                "type": "response.reasoning_summary_text.delta",
                "output_index": 0,
                "summary_index": 0,
                "delta": "hm",
            },
            {"type": "response.output_item.done", "output_index": 0, "item": thought},
            *between,
            {"type": "response.completed", "response": terminal},
        ]

    CALL: ClassVar[Json] = {
        "type": "function_call",
        "id": "fc_1",
        "call_id": "a",
        "name": "f",
        "arguments": "{}",
    }
    TEXT: ClassVar[Json] = {
        "type": "message",
        "id": "msg_1",
        "content": [{"type": "output_text", "text": "So.", "annotations": []}],
    }

    def _item(self, item: Json, index: int) -> list[Json]:
        return [
            {"type": "response.output_item.added", "output_index": index, "item": item},
            {"type": "response.output_item.done", "output_index": index, "item": item},
        ]

    def _blocks(self, events: list[Json]) -> Any:
        return message_of(AZURE_CLIENT, sse(events)).blocks

    def test_a_token_that_comes_with_the_end_belongs_to_the_thinking_before_the_calls(self) -> None:
        # earendil-works/pi#6409: some deployments tell `encrypted_content` in the terminal event only.
        thought, call = self._blocks(self._late(*self._item(self.CALL, 1)))
        assert thought.opaque == Opaque(kind="openai_encrypted", data="late", item_id="rs_1")
        assert call.name == "f"

    def test_text_does_not_wait_for_a_late_token(self) -> None:
        delta = {"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "So."}
        decoder = AZURE_CLIENT.stream_decoder(target(AZURE_CLIENT), ToolNames())
        begun = [*self._late()[:-1], self._item(self.TEXT | {"content": []}, 1)[0], delta]
        assert TextDelta(1, "So.") in decoder.feed(sse(begun))

    def test_a_token_that_never_comes_is_not_waited_for_beyond_the_end(self) -> None:
        events = self._late(*self._item(self.CALL, 1), token=None)
        assert [type(block) for block in self._blocks(events)] == [ReasoningBlock, ToolCallBlock]

    def test_two_thoughts_without_tokens_both_make_way_for_text(self) -> None:
        second = {"type": "reasoning", "id": "rs_2", "summary": [{"type": "summary_text", "text": "more"}]}
        events = self._late(*self._item(second, 1), *self._item(self.TEXT, 2))
        kinds = [type(block) for block in self._blocks(events)]
        assert kinds == [ReasoningBlock, ReasoningBlock, TextBlock]

    def test_elsewhere_nothing_waits(self) -> None:
        decoder = CLIENT.stream_decoder(target(CLIENT), ToolNames())
        events = decoder.feed(sse([*self._late()[:-1], *self._item(self.CALL, 1)]))
        assert any(getattr(event, "block", None) for event in events if getattr(event, "index", 0) == 1)


class TestCodex:
    def test_the_body_is_what_pi_sends(self) -> None:
        asked = request(
            said("hi"),
            instructions=(TextBlock(text="a", cache=CacheMark(at="m")), TextBlock(text="b")),
            tools=(WEATHER,),
            cache_key="s-1",
            reasoning=ReasoningWish(mode="level", level="high"),
        )
        body, outgoing = codex(asked)
        assert outgoing.path == "/codex/responses"
        assert outgoing.headers == {"session-id": "s-1", "x-client-request-id": "s-1"}
        assert outgoing.dropped == ("m",)
        assert body == {
            "model": "gpt-5.5",
            "store": False,
            "stream": True,
            "instructions": "a\n\nb",
            "input": [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
            "text": {"verbosity": "low"},
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "s-1",
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "tools": [
                {
                    "type": "function",
                    "name": "weather",
                    "parameters": {"type": "object", "properties": {}},
                    "strict": None,
                }
            ],
            "reasoning": {"effort": "high", "summary": "auto"},
        }

    def test_instructions_are_never_empty_and_a_session_needs_a_name(self) -> None:
        body, outgoing = codex(request())
        assert body["instructions"] == "You are a helpful assistant."
        assert outgoing.headers == {}

    def test_what_the_request_says_comes_before_what_is_said_anyway(self) -> None:
        closed = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
        asked = request(
            verbosity="high",
            parallel_tools=False,
            tools=(Tool(name="t", schema=closed, strict=True),),
            tool_choice=ToolChoice(mode="required"),
            output=OutputFormat(kind="json"),
        )
        body, _ = codex(asked)
        assert body["text"] == {"format": {"type": "json_object"}, "verbosity": "high"}
        assert (body["parallel_tool_calls"], body["tool_choice"]) == (False, "required")
        assert body["tools"][0]["strict"] is True

    def test_a_models_own_sampling_is_not_merged(self) -> None:
        body, _ = codex(request(), sampling_params={"temperature": 0.1})
        assert "temperature" not in body

    def test_hosted_tools_have_todays_names(self) -> None:
        raw = '{"type":"web_search_preview_2025_03_11","search_context_size":"low"}'
        search = Tool(kind="server", name="web_search_preview", dialect="openai_responses", raw=raw)
        asked = request(
            tools=(search,),
            tool_choice=ToolChoice(mode="named", names=("web_search_preview",)),
            dialect="openai_responses",
        )
        body, _ = codex(asked)
        assert body["tools"] == [{"type": "web_search", "search_context_size": "low"}]
        assert body["tool_choice"] == {"type": "web_search"}
        odd = Tool(kind="server", name="x", dialect="openai_responses", raw='{"type":7}')
        assert codex(request(tools=(odd,)))[0]["tools"] == [{"type": 7}]

    def test_strictness_refuses_what_the_backend_would(self) -> None:
        with pytest.raises(UnsupportedFeature, match="max_output"):
            codex(request(max_output=5), strict=True)

    def test_vector_034_what_the_backend_refuses_is_removed_and_listed(self) -> None:
        body = {
            "model": "m",
            "messages": [
                {"role": "system", "content": "Be."},
                {"role": "user", "content": "hi"},
                {"role": "system", "content": "Brief."},
            ],
            "temperature": 0.2,
            "max_tokens": 50,
            "safety_identifier": "u",
        }
        asked = openai_chat.SERVER.decode_request(json.dumps(body).encode())
        sent, outgoing = codex(asked, reasoning=False, hosted_by_vendor=True)
        refused = {
            "temperature", "max_output_tokens", "user", "safety_identifier", "previous_response_id", "stream_options",
        }  # fmt: skip
        assert not refused & sent.keys()
        assert set(outgoing.dropped) == {"temperature", "max_tokens", "safety_identifier"}
        assert (sent["store"], sent["stream"], sent["instructions"]) == (False, True, "Be.")
        assert sent["include"] == ["reasoning.encrypted_content"]

    def test_vector_034_instructions_in_mid_conversation_are_the_developers(self) -> None:
        body, _ = codex(request(said("hi"), said("Brief.", role="system")))
        assert [item["role"] for item in body["input"]] == ["user", "developer"]

    def _stream(self, *events: Json) -> bytes:
        return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)

    DONE: ClassVar[Json] = {
        "type": "response.done",
        "response": {
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "end_turn": True,
            "output": [],
            "usage": {"input_tokens": 3, "output_tokens": 5},
        },
    }
    DELTA: ClassVar[Json] = {
        "type": "response.output_text.delta",
        "output_index": 0,
        "content_index": 0,
        "delta": "So.",
    }

    def test_vector_035_a_stream_makes_one_whole_answer_with_its_counts(self) -> None:
        answer = message_of(CODEX_CLIENT, self._stream(CREATED, self.DELTA, self.DONE))
        encoded_answer = json.loads(openai_chat.SERVER.encode_message(answer, _context()))
        assert encoded_answer["choices"][0]["message"]["content"] == "So."
        assert encoded_answer["usage"]["total_tokens"] == 8

    def test_vector_087_news_of_limits_are_no_part_of_the_answer(self) -> None:
        limits = {"type": "codex.rate_limits", "rate_limits": {"limit_reached": True}}
        answer = message_of(CODEX_CLIENT, self._stream(limits, CREATED, limits, self.DELTA, self.DONE))
        assert answer.blocks == (TextBlock(text="So."),)

    def test_vector_088_a_limit_that_is_reached_is_not_tried_again(self) -> None:
        error = {
            "type": "error",
            "status_code": 429,
            "error": {
                "type": "usage_limit_reached",
                "message": "The usage limit has been reached",
                "plan_type": "plus",
                "resets_in_seconds": 9568,
            },
        }
        decoder = CODEX_CLIENT.stream_decoder(target(CODEX_CLIENT), ToolNames())
        found: list[Event] = []
        for piece in pieces(self._stream(CREATED, error), 7):
            found += decoder.feed(piece)
        failure = failure_of(found)
        assert len(found) == 1, "nothing had begun: another account may still be tried"
        assert (failure.status, failure.kind) == (429, "billing")
        assert (failure.retry_after_s, failure.should_retry) == (9568, False)

    def test_a_reasons_words_of_its_own_are_an_end_too(self) -> None:
        odd = {**self.DONE, "response": {**self.DONE["response"], "status": "done"}}
        assert fold(_decoded(self._stream(CREATED, self.DELTA, odd))).finish.reason == "stop"

    def test_sampling_of_models_that_do_not_think_is_listed_too(self) -> None:
        _, outgoing = codex(request(sampling=Sampling(top_p=0.3)), reasoning=False)
        assert outgoing.dropped == ("sampling.top_p",)


def _decoded(data: bytes) -> list[Event]:
    decoder = CODEX_CLIENT.stream_decoder(target(CODEX_CLIENT), ToolNames())
    return [*decoder.feed(data), *decoder.close()]


def _context() -> AnswerContext:
    return AnswerContext(model="m", answer_id="x", created=1, target=target(CODEX_CLIENT))
