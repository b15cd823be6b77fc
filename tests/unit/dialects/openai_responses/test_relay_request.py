"""A caller's own request on its way: what changes, and that nothing else does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_responses import RELAY
from pi_model_proxy.dialects.openai_responses.envelope import pack_reasoning
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.hub import Identity, Opaque, ReasoningBlock, Target
from support.responses_caller import asking, relayed_body, target

USER = {"role": "user", "content": "hi"}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "a"}
SUMMARY = [{"type": "summary_text", "text": "Hm."}]


def thinks(**changes: Any) -> Target:
    return target(kind="openai-responses", reasoning=True, **changes)


def openai(**changes: Any) -> Target:
    return thinks(provider="openai", hosted_by_vendor=True, **changes)


def envelope(opaque: Opaque | None, *, text: str = "Hm.", shows: Any = "summary") -> str:
    block = ReasoningBlock(text=text, summary=True, opaque=opaque)
    packed = pack_reasoning(block, origin="openai/m-1", item_id="rs_pmp_1", shows=shows).encrypted
    assert packed is not None
    return packed


class TestWhatStays:
    def test_every_byte_but_the_model(self) -> None:
        body = (
            b'{"input" : [ {"role":"user" ,"content":"\\u003c\xc3\xa9 1.0e3"} ],"model":"acme/m","stream":true,'
            b'"store":true,"previous_response_id":"resp_1","tools":[{"type":"custom" , "name":"x"}],"x":{"b":1,"a":2}}'
        )
        outgoing = RELAY.encode_request(body, openai(), {})
        assert outgoing.body == (
            b'{"input":[ {"role":"user" ,"content":"\\u003c\xc3\xa9 1.0e3"} ],"model":"m-1","stream":true,'
            b'"store":true,"previous_response_id":"resp_1","tools":[{"type":"custom" , "name":"x"}],"x":{"b":1,"a":2}}'
        )
        assert (outgoing.path, outgoing.stream, outgoing.dropped) == ("/responses", True, ())

    def test_a_plain_answer_is_asked_for_as_such(self) -> None:
        assert RELAY.encode_request(asking(), openai(), {}).stream is False

    def test_the_formats_own_header_is_passed_on(self) -> None:
        headers = {"openai-beta": "responses=v1", "openai-organization": "org", "originator": "codex"}
        assert RELAY.encode_request(asking(), openai(), headers).headers == {"openai-beta": "responses=v1"}

    def test_a_stored_prompt_or_response_is_input_enough(self) -> None:
        for name in ("previous_response_id", "prompt", "conversation"):
            body = json.dumps({"model": "m", name: {"id": "x"}}).encode()
            assert RELAY.encode_request(body, openai(), {}).dropped == ()

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            (b'{"model":"m"}', "input"),
            (b'{"model":"m","input":"a","stream":"yes"}', "stream"),
            (b'{"model":"m","input":"a","reasoning":{"effort":7}}', "reasoning.effort"),
            (b'{"model":"m","input":"a","include":1' + b"0" * 5000 + b"}", "include"),
            (b"[]", None),
        ],
    )
    def test_what_is_no_request_is_refused(self, body: bytes, path: str | None) -> None:
        with pytest.raises(BadRequest) as caught:
            RELAY.encode_request(body, openai(), {})
        assert caught.value.param == path

    def test_an_input_that_must_be_read_must_be_items(self) -> None:
        with pytest.raises(BadRequest, match="input"):
            RELAY.encode_request(asking(input=["reasoning"], store=False), openai(), {})

    def test_nesting_without_end_is_refused(self) -> None:
        deep = b'{"input":"a","reasoning":' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}"
        with pytest.raises(BadRequest):
            RELAY.encode_request(deep, openai(), {})


class TestWhatGoes:
    def test_what_would_steer_the_transport(self) -> None:
        body, dropped = relayed_body(api_base="x", extra_headers={"a": "b"})
        assert (set(body), dropped) == ({"model", "input"}, ("api_base", "extra_headers"))

    def test_what_a_login_refuses(self) -> None:
        chatgpt = Identity(
            omitted_fields=frozenset({"temperature", "max_output_tokens", "configuration_update"})
        )
        update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
        body, dropped = relayed_body(
            openai(identity=chatgpt), input=[USER, update], temperature=1, max_output_tokens=9
        )
        assert set(body) == {"model", "input"}
        assert body["input"] == [USER]
        assert dropped == ("input[1]", "max_output_tokens", "temperature")

    def test_what_a_provider_does_not_take(self) -> None:
        compat = {"supportsMaxOutputTokens": False, "promptCacheKeyMode": "disabled"}
        body, dropped = relayed_body(thinks(compat=compat), max_output_tokens=9, prompt_cache_key="k")
        assert (set(body), dropped) == ({"model", "input"}, ("max_output_tokens", "prompt_cache_key"))

    def test_strictness_refuses_instead(self) -> None:
        with pytest.raises(UnsupportedFeature):
            relayed_body(thinks(strict=True), api_base="x")

    def test_a_role_that_a_provider_does_not_know(self) -> None:
        items = [{"role": "developer", "content": "a"}, {"role": "user", "content": "developer"}]
        body, dropped = relayed_body(thinks(compat={"supportsDeveloperRole": False}), input=items)
        assert [item["role"] for item in body["input"]] == ["system", "user"]
        assert dropped == ()
        assert relayed_body(openai(), input=items)[0]["input"] == items

    def test_custom_parameters_of_a_model_come_last(self) -> None:
        levels = {"high": {"top_k": 9}, "off": {"top_k": 1}}
        goes_to = thinks(sampling_params={"temperature": 0.1}, sampling_params_by_level=levels)
        body, _ = relayed_body(goes_to, temperature=1, reasoning={"effort": "high"})
        assert (body["temperature"], body["top_k"]) == (0.1, 9)
        assert relayed_body(goes_to)[0]["top_k"] == 1


class TestThinking:
    @pytest.mark.parametrize(
        ("goes_to", "asked", "sent", "dropped"),
        [
            (thinks(), {"effort": "high", "summary": "auto"}, {"effort": "high", "summary": "auto"}, ()),
            (
                thinks(level="low"),
                {"effort": "high", "summary": "auto"},
                {"effort": "low", "summary": "auto"},
                (),
            ),
            (thinks(level="low"), None, {"effort": "low"}, ()),
            (thinks(level="off"), None, {"effort": "none"}, ()),
            (thinks(thinking_levels={"high": "hard"}), {"effort": "high"}, {"effort": "hard"}, ()),
            (thinks(), {"effort": "max"}, {"effort": "high"}, ("reasoning.effort",)),
            (thinks(level="max"), None, {"effort": "high"}, ("model",)),
            (
                thinks(thinking_levels={"off": None}),
                {"effort": "none"},
                {"effort": "minimal"},
                ("reasoning.effort",),
            ),
            (thinks(), {"effort": "sideways"}, {"effort": "sideways"}, ()),
            (target(kind="openai-responses"), {"effort": "high"}, {"effort": "high"}, ()),
            (target(kind="openai-responses", level="high"), None, None, ("model",)),
        ],
    )
    def test_amounts(self, goes_to: Target, asked: Any, sent: Any, dropped: tuple[str, ...]) -> None:
        fields = {} if asked is None else {"reasoning": asked}
        body, listed = relayed_body(goes_to, **fields)
        assert (body.get("reasoning"), listed) == (sent, dropped)

    @pytest.mark.parametrize(
        ("goes_to", "fields", "include"),
        [
            (openai(), {"store": False}, ["reasoning.encrypted_content"]),
            (openai(), {"store": False, "include": ["a"]}, ["a", "reasoning.encrypted_content"]),
            (
                openai(),
                {"store": False, "include": ["reasoning.encrypted_content"]},
                ["reasoning.encrypted_content"],
            ),
            (openai(), {"store": True}, None),
            (openai(), {}, None),
            (openai(), {"store": False, "reasoning": {"effort": "none"}}, None),
            (target(kind="openai-responses"), {"store": False}, None),
        ],
    )
    def test_it_is_asked_for_in_a_form_that_can_come_back(
        self, goes_to: Target, fields: dict[str, Any], include: Any
    ) -> None:
        assert relayed_body(goes_to, **fields)[0].get("include") == include


class TestThinkingThatComesBack:
    def test_another_models_goes_and_what_it_led_to_stays(self) -> None:
        foreign = {"type": "reasoning", "id": "rs_pmp_1", "summary": SUMMARY, "encrypted_content": envelope(Opaque(kind="anthropic_signature", data="c2ln"))}  # fmt: skip
        body, dropped = relayed_body(openai(), input=[USER, foreign, CALL, RESULT, USER])
        assert body["input"] == [
            USER,
            {key: value for key, value in CALL.items() if key != "id"},
            RESULT,
            USER,
        ]
        assert dropped == ("input[1]",)

    @pytest.mark.parametrize("shows", ["summary", "none"])
    def test_its_own_is_taken_out_of_our_envelope(self, shows: Any) -> None:
        blob = envelope(Opaque(kind="openai_encrypted", data="gAAA#3,0", item_id="rs_9"), shows=shows)
        summary = SUMMARY if shows == "summary" else []
        item = {"type": "reasoning", "id": "rs_pmp_1", "summary": summary, "encrypted_content": blob}
        body, dropped = relayed_body(openai(), input=[USER, item, CALL, RESULT])
        restored = {
            "type": "reasoning",
            "id": "rs_9",
            "summary": [*SUMMARY, {"type": "summary_text", "text": ""}],
            "encrypted_content": "gAAA",
        }
        assert body["input"] == [USER, restored, CALL, RESULT]
        assert dropped == ()

    def test_another_accounts_model_does_not_get_it(self) -> None:
        blob = envelope(Opaque(kind="openai_encrypted", data="gAAA", item_id="rs_9", origin="azure/m-2"))
        item = {"type": "reasoning", "id": "rs_pmp_1", "summary": [], "encrypted_content": blob}
        assert relayed_body(openai(), input=[USER, item])[1] == ("input[1]",)

    def test_what_we_gave_an_id_no_upstream_knows_goes(self) -> None:
        item = {"type": "reasoning", "id": "rs_pmp_1", "summary": SUMMARY}
        assert relayed_body(openai(), input=[USER, item])[1] == ("input[1]",)

    def test_ids_come_apart_only_until_the_next_turn(self) -> None:
        bare = {"type": "reasoning", "id": "rs_1", "summary": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "content": "a"}
        hosted = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
        body, _ = relayed_body(openai(), store=False, input=[USER, bare, hosted, message, USER, CALL, RESULT])
        assert [item.get("id") for item in body["input"]] == [None, "ws_1", None, None, "fc_1", None]

    def test_a_server_that_keeps_items_knows_them_by_their_ids(self) -> None:
        bare = {"type": "reasoning", "id": "rs_1", "summary": []}
        body, dropped = relayed_body(openai(), input=[USER, bare, CALL, RESULT])
        assert (body["input"], dropped) == ([USER, bare, CALL, RESULT], ())


class TestWhoCanBePassedOn:
    @pytest.mark.parametrize(
        "fields",
        [
            {"tools": [{"type": "custom", "name": "p"}]},
            {"tools": [{"type": "namespace", "name": "n", "tools": []}]},
            {"tools": [{"type": "apply_patch"}]},
            {"input": [{"type": "custom_tool_call", "call_id": "c", "name": "p", "input": ""}]},
            {"input": [{"type": "additional_tools", "role": "developer", "tools": []}]},
        ],
    )
    def test_what_only_openais_models_know_is_passed_on_to_them_alone(self, fields: dict[str, Any]) -> None:
        body = asking(**fields)
        assert RELAY.suits(body, openai())
        assert RELAY.suits(body, thinks(compat={"supportsOpenAIGrammarTools": True}))
        assert not RELAY.suits(body, thinks())

    @pytest.mark.parametrize(
        "body",
        [
            asking(),
            asking(tools=[{"type": "function", "name": "custom"}, {"type": "web_search"}]),
            asking(input=[{"role": "user", "content": "namespace"}], metadata={"a": "custom"}),
            b'{"tools":["custom"]}',
            b'{"custom":',
        ],
    )
    def test_everything_else_is_passed_on_to_all(self, body: bytes) -> None:
        assert RELAY.suits(body, thinks())
