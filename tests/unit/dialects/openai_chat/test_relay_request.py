"""A caller's own request on its way to a provider of the same format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.openai_chat import RELAY, relay
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.hub import Identity, Target
from support.chat_stream import body, target

Json = dict[str, Any]
USER = {"role": "user", "content": "hi"}
CALLS = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
EPHEMERAL = {"type": "ephemeral"}


def asked(
    where: Target | None = None, /, *, headers: dict[str, str] | None = None, **fields: Any
) -> Outgoing:
    given = {"model": "m", "messages": [USER], **fields}
    return RELAY.encode_request(json.dumps(given).encode(), where or target(), headers or {})


def sent(where: Target | None = None, /, **fields: Any) -> Json:
    return body(asked(where, **fields).body)


def history(where: Target, *messages: Json) -> list[Json]:
    found: list[Json] = sent(where, messages=list(messages))["messages"]
    return found


class TestTheBody:
    def test_only_the_model_changes(self) -> None:
        raw = b'{ "messages":[ ],"model" : "m", "x":1.50, "n": 2, "store":true}'
        outgoing = RELAY.encode_request(raw, target(), {})
        assert outgoing.body == b'{"messages":[ ],"model":"acme-1","x":1.50,"n":2,"store":true}'
        assert (outgoing.path, outgoing.stream, outgoing.dropped) == ("/chat/completions", False, ())

    def test_a_missing_model_is_added(self) -> None:
        assert body(RELAY.encode_request(b'{"messages":[]}', target(), {}).body)["model"] == "acme-1"

    def test_steering_fields_are_removed_and_listed(self) -> None:
        outgoing = asked(api_base="http://evil", extra_body={})
        assert body(outgoing.body).keys() == {"model", "messages"}
        assert set(outgoing.dropped) == {"api_base", "extra_body"}
        with pytest.raises(UnsupportedFeature):
            asked(target(strict=True), api_base="x")

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"null",
            b"[]",
            b"{",
            b'{"a":' + b"[" * 100_000,
            b"\xff{}",
            b'{"model":"m"}',
            b'{"messages":[],"stream":"x"}',
        ],
    )
    def test_what_is_no_request_is_refused(self, raw: bytes) -> None:
        with pytest.raises(BadRequest):
            RELAY.encode_request(raw, target(), {})

    def test_a_number_that_nothing_can_hold_is_named(self) -> None:
        with pytest.raises(BadRequest) as caught:
            RELAY.encode_request(b'{"messages":[],"max_tokens":1e999}', target(), {})
        assert caught.value.param == "max_tokens"

    def test_what_is_too_deep_to_follow_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def too_deep(*_args: Any) -> None:
            raise RecursionError

        monkeypatch.setattr(relay, "relay_request", too_deep)
        with pytest.raises(BadRequest):
            RELAY.encode_request(b"{}", target(), {})

    def test_lone_surrogates_do_not_stop_it(self) -> None:
        raw = b'{"model":"\\ud83d","messages":[{"role":"user","content":"\\ud83d"}]}'
        outgoing = RELAY.encode_request(raw, target(), {})
        assert body(outgoing.body)["model"] == "acme-1"

    def test_the_formats_own_header_is_passed_and_no_other(self) -> None:
        headers = {"openai-beta": "x", "openai-organization": "o", "authorization": "a"}
        assert asked(headers=headers).headers == {"openai-beta": "x"}

    def test_pis_settings_fill_what_the_caller_left_open(self) -> None:
        where = target(
            compat={"openRouterRouting": {"only": ["x"]}, "vllmPriority": 1, "zaiToolStream": True}
        )
        assert sent(where)["provider"] == {"only": ["x"]}
        assert sent(where, provider={"sort": "price"})["provider"] == {"sort": "price"}
        assert "tool_stream" not in sent(where)
        assert sent(where, tools=[{}])["tool_stream"] is True

    def test_the_models_own_parameters_win(self) -> None:
        where = target(sampling_params={"temperature": 0.1}, sampling_params_by_level={"off": {"top_p": 0.2}})
        assert sent(where, temperature=1) | {} == {**sent(where), "temperature": 0.1, "top_p": 0.2}

    def test_what_a_login_refuses_is_left_out_and_listed(self) -> None:
        where = target(identity=Identity(omitted_fields=frozenset({"temperature", "stream_options"})))
        outgoing = asked(where, temperature=1, stream=True)
        assert body(outgoing.body).keys() == {"model", "messages", "stream"}
        assert outgoing.dropped == ("temperature",)

    def test_a_conversation_stays_at_one_machine(self) -> None:
        where = target(compat={"sendSessionAffinityHeaders": True, "sessionAffinityFormat": "openrouter"})
        assert asked(where, prompt_cache_key="k").headers == {"x-session-id": "k"}


class TestUsage:
    def test_it_is_always_asked_for_in_a_stream(self) -> None:
        assert sent(stream=True)["stream_options"] == {"include_usage": True}
        assert sent(stream=True, stream_options={"include_usage": False, "x": 1})["stream_options"] == {
            "include_usage": True,
            "x": 1,
        }
        assert asked(stream=True).stream

    def test_a_callers_own_wish_keeps_its_bytes(self) -> None:
        raw = b'{"messages":[],"stream":true,"stream_options":{ "include_usage": true }}'
        assert b'{ "include_usage": true }' in RELAY.encode_request(raw, target(), {}).body

    def test_a_plain_answer_needs_no_asking(self) -> None:
        assert "stream_options" not in sent()

    def test_a_provider_that_cannot_is_not_asked(self) -> None:
        where = target(compat={"supportsUsageInStreaming": False})
        outgoing = asked(where, stream=True, stream_options={"include_usage": True})
        assert "stream_options" not in body(outgoing.body)
        assert outgoing.dropped == ("stream_options",)
        assert "stream_options" not in sent(where, stream=True)


class TestTheOutputLimit:
    OLD = target(compat={"maxTokensField": "max_tokens"})

    def test_the_new_name_becomes_the_old_one_where_only_that_is_known(self) -> None:
        assert sent(self.OLD, max_completion_tokens=5)["max_tokens"] == 5
        assert "max_completion_tokens" not in sent(self.OLD, max_completion_tokens=5)

    def test_the_known_name_wins_when_both_are_given(self) -> None:
        assert sent(self.OLD, max_completion_tokens=5, max_tokens=7) == sent(self.OLD, max_tokens=7)

    def test_the_old_name_is_left_alone_where_it_is_understood(self) -> None:
        assert sent(max_tokens=5)["max_tokens"] == 5
        assert sent(target(reasoning=True), max_tokens=5)["max_tokens"] == 5
        assert sent(self.OLD, max_tokens=5)["max_tokens"] == 5


class TestThinking:
    ZAI = target(reasoning=True, compat={"thinkingFormat": "zai", "supportsReasoningEffort": False})

    def test_a_level_in_the_models_name_wins(self) -> None:
        where = target(reasoning=True, level="high")
        assert sent(where, reasoning_effort="low", thinking={"type": "disabled"}) == {
            **sent(where),
            "reasoning_effort": "high",
        }

    def test_a_level_for_a_model_that_does_not_think_is_listed(self) -> None:
        outgoing = asked(target(level="high"), reasoning_effort="low")
        assert outgoing.dropped == ("model",)
        assert body(outgoing.body)["reasoning_effort"] == "low"

    def test_a_level_the_provider_cannot_be_told_is_listed(self) -> None:
        where = target(reasoning=True, level="high", compat={"supportsReasoningEffort": False})
        assert asked(where).dropped == ("model",)

    def test_a_level_keeps_what_else_the_caller_tells_the_template(self) -> None:
        where = target(reasoning=True, level="high", compat={"thinkingFormat": "qwen-chat-template"})
        assert sent(where, chat_template_kwargs={"x": 1, "enable_thinking": False})[
            "chat_template_kwargs"
        ] == {
            "x": 1,
            "enable_thinking": True,
            "preserve_thinking": True,
        }

    def test_the_callers_effort_is_said_in_the_providers_words(self) -> None:
        assert sent(self.ZAI, reasoning_effort="high") == {
            **sent(),
            "thinking": {"type": "enabled", "clear_thinking": False},
        }
        assert asked(self.ZAI, reasoning_effort="high").dropped == ()
        assert sent(self.ZAI, reasoning_effort="none")["thinking"] == {"type": "disabled"}

    def test_a_provider_with_its_own_words_and_an_effort_gets_both(self) -> None:
        where = target(reasoning=True, compat={"thinkingFormat": "deepseek"})
        assert sent(where, reasoning_effort="high") == {
            **sent(),
            "thinking": {"type": "enabled"},
            "reasoning_effort": "high",
        }

    def test_a_map_of_words_is_followed(self) -> None:
        where = target(reasoning=True, thinking_levels={"high": "max", "off": "none"})
        assert sent(where, reasoning_effort="high")["reasoning_effort"] == "max"
        assert sent(where, reasoning_effort="none")["reasoning_effort"] == "none"

    def test_an_effort_the_provider_cannot_be_told_is_listed(self) -> None:
        where = target(reasoning=True, compat={"supportsReasoningEffort": False})
        outgoing = asked(where, reasoning_effort="high")
        assert outgoing.dropped == ("reasoning_effort",)
        assert "reasoning_effort" not in body(outgoing.body)

    @pytest.mark.parametrize("effort", ["medium", "turbo", "off", 5, None])
    def test_a_word_that_needs_no_change_is_left_alone(self, effort: Any) -> None:
        assert sent(target(reasoning=True), reasoning_effort=effort)["reasoning_effort"] == effort

    def test_a_caller_that_speaks_the_vendors_words_is_left_alone(self) -> None:
        fields = {"reasoning_effort": "high", "thinking": {"type": "enabled"}}
        assert sent(self.ZAI, **fields) == {**sent(), **fields}

    def test_a_model_that_is_not_known_to_think_is_left_alone(self) -> None:
        assert sent(target(), reasoning_effort="high")["reasoning_effort"] == "high"

    def test_what_a_template_always_wants_is_sent_unless_the_caller_speaks(self) -> None:
        compat = {"thinkingFormat": "chat-template", "chatTemplateKwargs": {"a": 1}}
        where = target(reasoning=True, compat=compat)
        assert sent(where)["chat_template_kwargs"] == {"a": 1}
        assert sent(where, chat_template_kwargs={"b": 2})["chat_template_kwargs"] == {"b": 2}

    def test_a_budget_fits_into_the_callers_limit(self) -> None:
        where = target(reasoning=True, level="high", compat={"thinkingTokenBudgetField": "thinking_budget"})
        assert sent(where, max_tokens=5000)["thinking_budget"] == 5000 - 1024


class TestMessages:
    def test_developers_become_system_where_unknown(self) -> None:
        where = target(compat={"supportsDeveloperRole": False})
        assert history(where, {"role": "developer", "content": "x"}, USER) == [
            {"role": "system", "content": "x"},
            USER,
        ]
        assert history(target(), {"role": "developer", "content": "x"})[0]["role"] == "developer"

    def test_untouched_messages_keep_their_bytes(self) -> None:
        raw = b'{"messages":[{"role":"developer","content":"x"},{ "role":"user", "content":"\\u003c" }]}'
        where = target(compat={"supportsDeveloperRole": False})
        assert b'{ "role":"user", "content":"\\u003c" }' in RELAY.encode_request(raw, where, {}).body

    def test_what_litellm_notes_for_itself_is_not_sent(self) -> None:
        call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        noted = {"role": "assistant", "content": None, "provider_specific_fields": {"refusal": None}}
        calls = [{**call, "index": 0, "provider_specific_fields": {"thought_signature": None}}]
        assert history(target(), USER, {**noted, "tool_calls": calls}) == [
            USER,
            {"role": "assistant", "content": None, "tool_calls": [call]},
        ]
        indexed = {"role": "assistant", "tool_calls": [{**call, "index": 0}]}
        assert history(target(), indexed) == [indexed]

    def test_the_word_developer_in_a_prompt_changes_nothing(self) -> None:
        where = target(compat={"supportsDeveloperRole": False})
        message = {"role": "user", "content": 'say "developer"', "x": "developer"}
        assert history(where, message) == [message]

    def test_empty_content_is_text_where_that_is_wanted(self) -> None:
        message = {"role": "assistant", "content": None, "tool_calls": CALLS}
        where = target(compat={"requiresNonNullAssistantContent": True})
        assert history(where, message)[0]["content"] == ""
        assert history(where, {"role": "assistant", "content": "x"})[0]["content"] == "x"

    def test_a_bridge_stands_between_result_and_user_where_that_is_wanted(self) -> None:
        where = target(compat={"requiresAssistantAfterToolResult": True})
        told = history(where, {"role": "tool", "tool_call_id": "c", "content": "r"}, USER)
        assert [message["role"] for message in told] == ["tool", "assistant", "user"]

    def test_a_result_names_its_tool_where_that_is_wanted(self) -> None:
        where = target(compat={"requiresToolResultName": True})
        result = {"role": "tool", "tool_call_id": "c", "content": "r"}
        asked = {"role": "assistant", "content": "x", "tool_calls": [*CALLS, 5, {"id": "d"}]}
        assert history(where, asked, result)[1]["name"] == "f"
        assert history(where, asked, {**result, "name": "own"})[1]["name"] == "own"
        assert "name" not in history(where, result)[0]

    def test_reasoning_content_is_on_every_assistant_message_where_that_is_wanted(self) -> None:
        where = target(reasoning=True, compat={"requiresReasoningContentOnAssistantMessages": True})
        told = history(
            where, {"role": "assistant", "content": "x"}, {"role": "assistant", "reasoning_content": "hm"}
        )
        assert [message["reasoning_content"] for message in told] == ["", "hm"]

    def test_openai_gets_no_foreign_reasoning(self) -> None:
        message = {"role": "assistant", "content": "x", "reasoning_content": "hm", "reasoning": "hm"}
        outgoing = asked(target(hosted_by_vendor=True), messages=[message])
        assert body(outgoing.body)["messages"] == [{"role": "assistant", "content": "x"}]
        assert outgoing.dropped == ("messages[0].reasoning_content", "messages[0].reasoning")
        assert history(target(), message) == [message]

    def test_tokens_that_we_put_into_an_answer_go_to_no_chat_provider(self) -> None:
        entry = {"type": "reasoning.text", "text": "hm", "signature": "S", "format": "anthropic_signature"}
        ours = {"role": "assistant", "content": "x", "reasoning_content": "hm", "reasoning_details": [entry]}
        odd = {**ours, "reasoning_details": [5, "x"]}
        assert history(target(), odd, ours)[0] == odd
        theirs = {**ours, "reasoning_details": [{**entry, "format": "anthropic-claude-v1"}]}
        assert history(target(), ours, theirs) == [{"role": "assistant", "content": "x"}, theirs]

    @pytest.mark.parametrize("messages", [{}, "x", [5], None])
    def test_messages_that_are_none_are_refused_when_they_must_be_read(self, messages: Any) -> None:
        where = target(compat={"requiresToolResultName": True})
        with pytest.raises(BadRequest):
            asked(where, messages=messages)


class TestCacheMarks:
    WHERE = target(compat={"cacheControlFormat": "anthropic"}, auto_cache=True)

    def test_they_are_placed_as_pi_places_them(self) -> None:
        told = sent(
            self.WHERE,
            messages=[
                {"role": "system", "content": "s"},
                USER,
                {"role": "assistant", "content": None, "tool_calls": CALLS},
            ],
            tools=[{"type": "function", "function": {"name": n}} for n in ("f", "g")],
        )
        marks = [message["content"][0]["cache_control"] for message in told["messages"][:2]]
        assert marks == [EPHEMERAL, EPHEMERAL]
        assert ["cache_control" in tool for tool in told["tools"]] == [False, True]

    def test_a_conversation_without_text_has_none(self) -> None:
        told = sent(self.WHERE, messages=[{"role": "assistant", "content": None, "tool_calls": CALLS}])
        assert "cache_control" not in json.dumps(told)

    def test_a_caller_that_marks_for_itself_is_left_alone(self) -> None:
        marked = {"role": "user", "content": [{"type": "text", "text": "x", "cache_control": EPHEMERAL}]}
        told = sent(
            self.WHERE, messages=[{"role": "system", "content": "s"}, marked], tools=[{"type": "function"}]
        )
        assert told["messages"][0]["content"] == "s"
        assert told["tools"] == [{"type": "function"}]

    def test_only_where_asked_for(self) -> None:
        for where in (target(auto_cache=True), target(compat={"cacheControlFormat": "anthropic"})):
            assert "cache_control" not in json.dumps(sent(where, tools=[{"type": "function"}]))

    @pytest.mark.parametrize("tools", [[], {}, [5], None])
    def test_tools_that_cannot_be_marked_are_left_alone(self, tools: Any) -> None:
        assert sent(self.WHERE, tools=tools)["tools"] == tools
