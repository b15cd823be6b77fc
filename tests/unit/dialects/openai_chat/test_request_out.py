"""A hub request as an upstream of chat completions gets it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_chat import CLIENT
from pi_model_proxy.errors import BadRequest, UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import (
    AudioBlock,
    CacheMark,
    DataSource,
    DocumentBlock,
    FileSource,
    Identity,
    ImageBlock,
    Opaque,
    OutputFormat,
    RawBlock,
    ReasoningBlock,
    ReasoningWish,
    RefusalBlock,
    Request,
    Sampling,
    Target,
    TextBlock,
    TextSource,
    Tool,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    Turn,
    UrlSource,
)
from support.chat_stream import body, encoded, request, target

Json = dict[str, Any]
MARK = CacheMark()
EPHEMERAL = {"type": "ephemeral"}


def dropped(hub: Request, where: Target | None = None) -> tuple[str, ...]:
    return CLIENT.encode_request(hub, where or target()).dropped


def messages(*turns: Turn, where: Target | None = None, **changes: Any) -> list[Json]:
    found: list[Json] = encoded(request(*turns, **changes), where)["messages"]
    return found


def user(*blocks: Any) -> Turn:
    return Turn(role="user", blocks=blocks, at="messages[0]")


def assistant(*blocks: Any) -> Turn:
    return Turn(role="assistant", blocks=blocks, at="messages[1]")


def answered(*calls: ToolCallBlock) -> tuple[Turn, Turn]:
    results = tuple(
        ToolResultBlock(call_id=c.id, content=(TextBlock(text="r"),), at="messages[2]") for c in calls
    )
    return assistant(*calls), Turn(role="tool", blocks=results)


class TestTheBody:
    def test_it_streams_and_asks_for_usage_and_no_storage(self) -> None:
        assert encoded(request()) == {
            "model": "acme-1",
            "messages": [{"role": "user", "content": "hi"}],
            "stream": True,
            "stream_options": {"include_usage": True},
            "store": False,
        }

    def test_flags_take_fields_away(self) -> None:
        sent = encoded(request(), target(compat={"supportsStore": False, "supportsUsageInStreaming": False}))
        assert sent.keys() == {"model", "messages", "stream"}

    def test_an_account_may_have_its_own_name_for_the_model(self) -> None:
        assert encoded(request(), target(identity=Identity(deployment="mine")))["model"] == "mine"

    def test_the_path_is_relative_to_the_base_url(self) -> None:
        outgoing = CLIENT.encode_request(request(), target())
        assert (outgoing.path, outgoing.stream, outgoing.dropped) == ("/chat/completions", True, ())

    @pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
    def test_the_output_limit_has_the_name_the_provider_knows(self, field: str) -> None:
        sent = encoded(request(max_output=100), target(compat={"maxTokensField": field}))
        assert sent[field] == 100

    def test_a_limit_beyond_the_models_is_clamped_and_listed(self) -> None:
        hub = request(max_output=99_999, paths={"max_output": "max_tokens"})
        assert encoded(hub)["max_completion_tokens"] == 16_384
        assert dropped(hub) == ("max_tokens",)
        assert encoded(hub, target(max_output=0))["max_completion_tokens"] == 99_999

    def test_sampling_is_passed_on_but_for_what_chat_cannot_say(self) -> None:
        sampling = Sampling(
            temperature=0.5, top_p=0.9, top_k=4, min_p=0.1, seed=1, logprobs=True, logit_bias={"1": 2.0}
        )
        hub = request(sampling=sampling, paths={"sampling.top_k": "top_k"})
        sent = encoded(hub)
        assert (sent["temperature"], sent["top_p"], sent["seed"], sent["logit_bias"]) == (
            0.5,
            0.9,
            1,
            {"1": 2.0},
        )
        assert dropped(hub) == ("top_k", "sampling.min_p", "sampling.logprobs")

    def test_openais_reasoning_models_take_no_temperature_while_they_think(self) -> None:
        where = target(hosted_by_vendor=True, reasoning=True)
        hub = request(sampling=Sampling(temperature=0.5))
        assert "temperature" not in encoded(hub, where)
        assert dropped(hub, where) == ("sampling.temperature",)
        high = request(
            sampling=Sampling(temperature=0.5), reasoning=ReasoningWish(mode="level", level="high")
        )
        assert "temperature" not in encoded(high, where)
        assert encoded(high, target(reasoning=True))["temperature"] == 0.5
        off = request(sampling=Sampling(temperature=0.5), reasoning=ReasoningWish(mode="off"))
        assert encoded(off, where)["temperature"] == 0.5

    def test_openais_reasoning_models_take_no_stop_sequences_so_the_gateway_watches_for_all(self) -> None:
        hub, where = request(stop=("a", "b")), target(hosted_by_vendor=True, reasoning=True)
        outgoing = CLIENT.encode_request(hub, where)
        assert ("stop" in body(outgoing.body), outgoing.stop_here) == (False, ("a", "b"))

    def test_openai_takes_four_stop_sequences_and_the_gateway_watches_for_the_rest(self) -> None:
        hub = request(stop=("a", "b", "c", "d", "e"))
        assert encoded(hub)["stop"] == ["a", "b", "c", "d", "e"]
        outgoing = CLIENT.encode_request(hub, target(hosted_by_vendor=True))
        assert (body(outgoing.body)["stop"], outgoing.stop_here) == (["a", "b", "c", "d"], ("e",))

    def test_extra_fields_are_listed(self) -> None:
        assert dropped(request(extra={"container": 1}, dropped=("api_base",))) == ("api_base", "container")

    @pytest.mark.parametrize(
        ("output", "sent"),
        [
            (OutputFormat(kind="json"), {"type": "json_object"}),
            (
                OutputFormat(kind="schema", schema={"type": "object"}),
                {"type": "json_schema", "json_schema": {"name": "response", "schema": {"type": "object"}}},
            ),
            (
                OutputFormat(kind="schema", schema={}, name="n", strict=True, description="d"),
                {
                    "type": "json_schema",
                    "json_schema": {"name": "n", "schema": {}, "strict": True, "description": "d"},
                },
            ),
        ],
    )
    def test_the_form_of_the_text_is_asked_for(self, output: OutputFormat, sent: Json) -> None:
        assert encoded(request(output=output))["response_format"] == sent

    def test_only_the_vendor_is_told_who_asks(self) -> None:
        hub = request(
            end_user="u" * 99,
            metadata={"a": "b"},
            service_tier="flex",
            verbosity="low",
            cache_key="k" * 99,
            paths={"end_user": "metadata.user_id"},
        )
        sent = encoded(hub, target(hosted_by_vendor=True))
        assert (len(sent["safety_identifier"]), sent["service_tier"], sent["verbosity"]) == (
            64,
            "flex",
            "low",
        )
        assert sent["prompt_cache_key"] == "k" * 64
        assert dropped(hub, target(hosted_by_vendor=True)) == ("metadata",)
        assert dropped(hub) == ("metadata.user_id", "service_tier", "verbosity", "cache_key", "metadata")

    def test_a_tier_of_another_vendor_is_listed(self) -> None:
        assert dropped(request(service_tier="standard_only"), target(hosted_by_vendor=True)) == (
            "service_tier",
        )

    @pytest.mark.parametrize(
        ("mode", "hosted", "sent"),
        [("enabled", False, True), ("disabled", True, False), ("auto", True, True)],
    )
    def test_the_cache_key_follows_its_flag(self, mode: str, hosted: bool, sent: bool) -> None:
        where = target(hosted_by_vendor=hosted, compat={"promptCacheKeyMode": mode})
        assert ("prompt_cache_key" in encoded(request(cache_key="k"), where)) is sent

    @pytest.mark.parametrize(
        ("style", "names"),
        [
            ("openrouter", {"x-session-id"}),
            ("openai", {"session_id", "x-client-request-id", "x-session-affinity"}),
            ("openai-nosession", {"x-client-request-id", "x-session-affinity"}),
        ],
    )
    def test_a_conversation_stays_at_one_machine(self, style: str, names: set[str]) -> None:
        where = target(compat={"sendSessionAffinityHeaders": True, "sessionAffinityFormat": style})
        assert CLIENT.encode_request(request(cache_key="k"), where).headers == dict.fromkeys(names, "k")
        hashed = CLIENT.encode_request(request(cache_key="bad\r\nkey"), where).headers
        assert hashed.keys() == names
        assert all(value.isalnum() for value in hashed.values())
        assert CLIENT.encode_request(request(), where).headers == {}

    def test_pis_routing_settings_are_sent(self) -> None:
        compat = {
            "openRouterRouting": {"only": ["x"]},
            "vercelGatewayRouting": {"order": ["y"], "other": 1},
            "vllmPriority": 3,
        }
        sent = encoded(request(), target(compat=compat))
        assert sent["provider"] == {"only": ["x"]}
        assert sent["providerOptions"] == {"gateway": {"order": ["y"]}}
        assert sent["priority"] == 3

    def test_the_models_own_parameters_win(self) -> None:
        where = target(
            reasoning=True,
            sampling_params={"temperature": 0.1, "top_p": 0.2},
            sampling_params_by_level={"high": {"top_p": 0.3}, "off": {"top_p": 0.4}},
        )
        sent = encoded(request(sampling=Sampling(temperature=1.0)), where)
        assert (sent["temperature"], sent["top_p"]) == (0.1, 0.4)
        wish = ReasoningWish(mode="level", level="high")
        assert encoded(request(reasoning=wish), where)["top_p"] == 0.3

    def test_what_a_login_refuses_is_left_out_and_listed(self) -> None:
        where = target(
            identity=Identity(omitted_fields=frozenset({"store", "temperature", "max_completion_tokens"}))
        )
        hub = request(sampling=Sampling(temperature=1.0), max_output=5)
        assert encoded(hub, where).keys() == {"model", "messages", "stream", "stream_options"}
        assert dropped(hub, where) == ("max_output", "sampling.temperature")

    def test_a_schema_too_deep_to_follow_is_refused(self) -> None:
        schema: Json = {}
        for _ in range(5000):
            schema = {"a": schema}
        with pytest.raises(BadRequest):
            encoded(request(tools=(Tool(name="f", schema=schema),)))

    def test_strict_mode_refuses_what_would_be_dropped(self) -> None:
        with pytest.raises(UnsupportedFeature) as caught:
            encoded(
                request(sampling=Sampling(top_k=4), paths={"sampling.top_k": "top_k"}), target(strict=True)
            )
        assert caught.value.param == "top_k"


THINKS: list[tuple[str, Json, Json, Json]] = [
    ("openai", {}, {"reasoning_effort": "high"}, {}),
    ("openai without effort", {"supportsReasoningEffort": False}, {}, {}),
    ("openrouter", {"thinkingFormat": "openrouter"}, {"reasoning": {"effort": "high"}}, {"reasoning": {"effort": "none"}}),
    ("deepseek", {"thinkingFormat": "deepseek"}, {"thinking": {"type": "enabled"}, "reasoning_effort": "high"}, {"thinking": {"type": "disabled"}}),
    ("zai", {"thinkingFormat": "zai", "supportsReasoningEffort": False}, {"thinking": {"type": "enabled", "clear_thinking": False}}, {"thinking": {"type": "disabled"}}),
    ("together", {"thinkingFormat": "together"}, {"reasoning": {"enabled": True}, "reasoning_effort": "high"}, {"reasoning": {"enabled": False}}),
    ("ant-ling", {"thinkingFormat": "ant-ling"}, {}, {}),
    ("qwen", {"thinkingFormat": "qwen"}, {"enable_thinking": True, "reasoning_effort": "high"}, {"enable_thinking": False}),
    ("qwen-chat-template", {"thinkingFormat": "qwen-chat-template"}, {"chat_template_kwargs": {"enable_thinking": True, "preserve_thinking": True}}, {"chat_template_kwargs": {"enable_thinking": False, "preserve_thinking": True}}),
    ("string-thinking", {"thinkingFormat": "string-thinking"}, {"thinking": "high"}, {"thinking": "none"}),
    (
        "chat-template",
        {"thinkingFormat": "chat-template", "chatTemplateKwargs": {"on": {"$var": "thinking.enabled"}, "how": {"$var": "thinking.effort", "omitWhenOff": True}, "max": {"$var": "thinking.budget"}, "fixed": 1}},
        {"chat_template_kwargs": {"on": True, "how": "high", "max": 15360, "fixed": 1}},
        {"chat_template_kwargs": {"on": False, "fixed": 1}},
    ),
    (
        "baseten",
        {"thinkingFormat": "baseten", "chatTemplateArgs": {"how": {"$var": "thinking.effort"}}},
        {"chat_template_args": {"how": "high"}, "reasoning_effort": "high"},
        {},
    ),
    ("a budget", {"thinkingTokenBudgetField": "thinking_budget"}, {"reasoning_effort": "high", "thinking_budget": 15360}, {}),
    ("vLLM's budget", {"supportsThinkingTokenBudget": True}, {"reasoning_effort": "high", "thinking_token_budget": 15360}, {}),
]  # fmt: skip
ABOUT_THINKING = (
    "reasoning_effort", "reasoning", "thinking", "enable_thinking", "chat_template_kwargs", "chat_template_args",
    "thinking_budget", "thinking_token_budget",
)  # fmt: skip


def thinking(wish: ReasoningWish | None, **where: Any) -> Json:
    sent = encoded(request(reasoning=wish), target(reasoning=True, **where))
    return {name: sent[name] for name in ABOUT_THINKING if name in sent}


class TestThinking:
    @pytest.mark.parametrize(("compat", "on", "off"), [c[1:] for c in THINKS], ids=[c[0] for c in THINKS])
    def test_every_provider_is_told_in_its_own_words(self, compat: Json, on: Json, off: Json) -> None:
        assert thinking(ReasoningWish(mode="level", level="high"), compat=compat) == on
        assert thinking(ReasoningWish(mode="off"), compat=compat) == off

    def test_the_models_map_has_the_last_word(self) -> None:
        words = {"high": "max", "off": "none"}
        wish = ReasoningWish(mode="level", level="high")
        assert thinking(wish, thinking_levels=words) == {"reasoning_effort": "max"}
        assert thinking(ReasoningWish(mode="off"), thinking_levels=words) == {"reasoning_effort": "none"}
        for style in ("ant-ling", "openrouter"):
            assert thinking(wish, thinking_levels=words, compat={"thinkingFormat": style}) == {
                "reasoning": {"effort": "max"}
            }

    @pytest.mark.parametrize(
        ("style", "sent"),
        [
            ("openai", {}),
            ("openrouter", {"reasoning": {"enabled": True}}),
            ("deepseek", {"thinking": {"type": "enabled"}}),
            ("qwen", {"enable_thinking": True}),
        ],
    )
    def test_as_much_as_it_takes_is_said_without_an_amount(self, style: str, sent: Json) -> None:
        assert thinking(ReasoningWish(mode="auto"), compat={"thinkingFormat": style}) == sent

    def test_nobody_asked_and_nothing_is_said(self) -> None:
        assert thinking(None) == {}
        kwargs = {
            "thinkingFormat": "chat-template",
            "chatTemplateKwargs": {"a": 1, "b": {"$var": "thinking.enabled"}},
        }
        assert thinking(None, compat=kwargs) == {"chat_template_kwargs": {"a": 1}}

    def test_a_template_knows_the_word_for_off(self) -> None:
        kwargs = {
            "thinkingFormat": "chat-template",
            "chatTemplateKwargs": {"how": {"$var": "thinking.effort"}},
        }
        off = ReasoningWish(mode="off")
        assert thinking(off, compat=kwargs) == {}
        assert thinking(off, compat=kwargs, thinking_levels={"off": "nothink"}) == {
            "chat_template_kwargs": {"how": "nothink"}
        }

    def test_the_callers_own_budget_is_kept_within_the_limit(self) -> None:
        compat = {"thinkingTokenBudgetField": "thinking_budget_tokens"}
        hub = request(reasoning=ReasoningWish(mode="budget", budget=5000), max_output=4000)
        assert encoded(hub, target(reasoning=True, compat=compat))["thinking_budget_tokens"] == 4000 - 1024
        small = request(reasoning=ReasoningWish(mode="budget", budget=5000), max_output=1000)
        assert "thinking_budget_tokens" not in encoded(small, target(reasoning=True, compat=compat))
        unknown = target(reasoning=True, compat=compat, max_output=0)
        assert (
            encoded(request(reasoning=ReasoningWish(mode="budget", budget=5000)), unknown)[
                "thinking_budget_tokens"
            ]
            == 5000
        )

    def test_as_much_as_it_takes_has_no_budget(self) -> None:
        compat = {"thinkingTokenBudgetField": "thinking_budget"}
        assert thinking(ReasoningWish(mode="auto"), compat=compat) == {}

    def test_a_wish_that_is_lost_is_listed(self) -> None:
        hub = request(reasoning=ReasoningWish(mode="level", level="high"), paths={"reasoning": "thinking"})
        assert dropped(hub, target()) == ("thinking",)
        assert dropped(hub, target(reasoning=True, compat={"supportsReasoningEffort": False})) == (
            "thinking",
        )
        assert dropped(hub, target(reasoning=True, thinking_levels={"high": None})) == ("thinking",)
        assert dropped(hub, target(reasoning=True)) == ()

    def test_the_models_suffix_wins(self) -> None:
        assert thinking(ReasoningWish(mode="off"), level="low") == {"reasoning_effort": "low"}


class TestInstructions:
    BLOCKS = (TextBlock(text="one", at="system[0]"), TextBlock(text="two", cache=MARK, at="system[1]"))

    def test_they_are_one_system_message(self) -> None:
        assert messages(instructions=self.BLOCKS)[0] == {"role": "system", "content": "one\n\ntwo"}
        assert dropped(request(instructions=self.BLOCKS)) == ("system[1].cache_control",)

    @pytest.mark.parametrize(
        ("where", "role"),
        [
            ({"reasoning": True}, "developer"),
            ({"reasoning": True, "compat": {"supportsDeveloperRole": False}}, "system"),
            ({}, "system"),
        ],
    )
    def test_reasoning_models_listen_to_developers(self, where: Json, role: str) -> None:
        assert messages(instructions=self.BLOCKS, where=target(**where))[0]["role"] == role

    def test_marked_blocks_stay_apart_where_marks_are_known(self) -> None:
        where = target(compat={"cacheControlFormat": "anthropic"})
        assert messages(instructions=self.BLOCKS, where=where)[0]["content"] == [
            {"type": "text", "text": "one"},
            {"type": "text", "text": "two", "cache_control": {"type": "ephemeral"}},
        ]

    def test_what_a_login_must_say_comes_first_and_alone(self) -> None:
        where = target(identity=Identity(system_text="I am pi."))
        assert [m["content"] for m in messages(instructions=self.BLOCKS, where=where)[:2]] == [
            "I am pi.",
            "one\n\ntwo",
        ]

    def test_a_later_instruction_keeps_its_place(self) -> None:
        turns = (user(TextBlock(text="a")), Turn(role="system", blocks=(TextBlock(text="b"),)))
        assert messages(*turns)[1]["role"] == "user"
        assert "b" in messages(*turns)[1]["content"]
        kept = messages(*turns, where=target(compat={"supportsMidConvoSystemMessages": True}))
        assert kept[1] == {"role": "system", "content": "b"}


class TestMessages:
    def test_one_text_is_a_string_and_several_are_parts(self) -> None:
        assert messages(user(TextBlock(text="a")))[0]["content"] == "a"
        assert messages(user(TextBlock(text="a"), RefusalBlock(text="b")))[0]["content"] == [
            {"type": "text", "text": "a"},
            {"type": "text", "text": "b"},
        ]

    def test_a_name_is_kept(self) -> None:
        turn = Turn(role="user", blocks=(TextBlock(text="a"),), name="ann")
        assert messages(turn)[0] == {"role": "user", "content": "a", "name": "ann"}

    @pytest.mark.parametrize(
        ("block", "part"),
        [
            (ImageBlock(source=UrlSource("https://x"), detail="low"), {"type": "image_url", "image_url": {"url": "https://x", "detail": "low"}}),
            (ImageBlock(source=DataSource("image/png", "AAAA")), {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}),
            (AudioBlock(data="AAAA", format="wav"), {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}),
            (DocumentBlock(source=DataSource("application/pdf", "AAAA"), name="a.pdf"), {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}),
            (DocumentBlock(source=TextSource("hi"), name="a.txt", context="old"), {"type": "text", "text": "a.txt\nold\n\nhi"}),
            (DocumentBlock(source=DataSource("text/plain", "aGk=")), {"type": "text", "text": "hi"}),
            (RawBlock(dialect="openai_chat", type_name="video_url", data='{"type":"video_url"}'), {"type": "video_url"}),
        ],
    )  # fmt: skip
    def test_every_part_is_written(self, block: Any, part: Json) -> None:
        assert messages(user(TextBlock(text="a"), block))[0]["content"][1] == part

    @pytest.mark.parametrize(
        "block",
        [
            ImageBlock(source=FileSource("file_1"), at="messages[0].content[1]"),
            DocumentBlock(source=FileSource("file_1"), at="messages[0].content[1]"),
            DocumentBlock(source=UrlSource("https://x"), at="messages[0].content[1]"),
        ],
    )
    def test_what_the_upstream_cannot_be_shown_is_refused(self, block: Any) -> None:
        with pytest.raises(UnsupportedFeature) as caught:
            messages(user(TextBlock(text="a"), block))
        assert caught.value.param == "messages[0].content[1]"

    def test_a_call_in_a_users_turn_is_listed(self) -> None:
        hub = request(user(TextBlock(text="a"), ReasoningBlock(text="b", at="messages[0].content[1]")))
        assert dropped(hub) == ("messages[0].content[1]",)

    def test_assistant_text_is_one_string(self) -> None:
        turn = assistant(TextBlock(text="a"), TextBlock(text=" "), TextBlock(text="b"))
        assert messages(turn)[0] == {"role": "assistant", "content": "ab"}

    def test_an_assistant_that_says_nothing_is_left_out(self) -> None:
        assert messages(assistant(ReasoningBlock(text="hm", at="x")), user(TextBlock(text="a"))) == [
            {"role": "user", "content": "a"}
        ]

    def test_media_in_an_assistant_turn_is_listed(self) -> None:
        turn = assistant(
            TextBlock(text="a"), ImageBlock(source=UrlSource("https://x"), at="messages[1].content[1]")
        )
        assert dropped(request(turn)) == ("messages[1].content[1]",)

    @pytest.mark.parametrize(
        ("compat", "content"),
        [
            ({}, None),
            ({"requiresNonNullAssistantContent": True}, ""),
            ({"requiresAssistantAfterToolResult": True}, ""),
        ],
    )
    def test_calls_without_text_have_the_content_the_provider_wants(
        self, compat: Json, content: str | None
    ) -> None:
        sent = messages(*answered(ToolCallBlock(id="c", name="f")), where=target(compat=compat))
        assert sent[0] == {
            "role": "assistant",
            "content": content,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        }

    def test_a_custom_call_is_written_as_the_upstream_knows_it(self) -> None:
        turns = answered(ToolCallBlock(id="c", name="p", custom=True, arguments="raw"))
        tools = (Tool(kind="custom", name="p"),)
        assert messages(*turns, tools=tools)[0]["tool_calls"][0]["function"] == {
            "name": "p",
            "arguments": '{"input":"raw"}',
        }
        where = target(compat={"supportsOpenAIGrammarTools": True})
        assert messages(*turns, tools=tools, where=where)[0]["tool_calls"][0]["custom"] == {
            "name": "p",
            "input": "raw",
        }

    def test_results_are_text_with_their_error_told(self) -> None:
        call = ToolCallBlock(id="c", name="f")
        blocks = (ToolResultBlock(call_id="c", content=(), is_error=True),)
        assert (
            messages(assistant(call), Turn(role="tool", blocks=blocks))[1]["content"]
            == "[tool error] (no tool output)"
        )

    def test_a_result_names_its_tool_where_that_is_wanted(self) -> None:
        where = target(compat={"requiresToolResultName": True})
        assert messages(*answered(ToolCallBlock(id="c", name="my.tool")), where=where)[1]["name"].startswith(
            "my_tool"
        )

    def test_an_assistant_stands_between_result_and_user_where_that_is_wanted(self) -> None:
        turns = (*answered(ToolCallBlock(id="c", name="f")), user(TextBlock(text="go on")))
        where = target(compat={"requiresAssistantAfterToolResult": True})
        assert [m["role"] for m in messages(*turns, where=where)] == [
            "assistant",
            "tool",
            "assistant",
            "user",
        ]
        assert [m["role"] for m in messages(*turns)] == ["assistant", "tool", "user"]

    def test_geminis_signature_goes_back_on_its_call(self) -> None:
        opaque = Opaque(kind="gemini_signature", data="S", origin="acme/acme-1")
        sent = messages(*answered(ToolCallBlock(id="c", name="f", opaque=opaque)))
        assert sent[0]["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "S"}}

    def test_pictures_for_the_blind_are_replaced_and_listed(self) -> None:
        hub = request(user(ImageBlock(source=UrlSource("https://x"), at="messages[0].content[0]")))
        assert "omitted" in encoded(hub, target(takes_images=False))["messages"][0]["content"]
        assert dropped(hub, target(takes_images=False)) == ("messages[0].content[0]",)


class TestReasoningReplay:
    def replayed(self, *blocks: ReasoningBlock, **where: Any) -> Json:
        return messages(assistant(*blocks, TextBlock(text="a")), where=target(**where))[0]

    def token(self, data: Any, origin: str = "acme/acme-1") -> Opaque:
        return Opaque(kind="reasoning_details", data=json.dumps(data), origin=origin)

    def test_thinking_goes_back_in_the_field_it_came_in(self) -> None:
        blocks = [ReasoningBlock(text=text, opaque=self.token("reasoning")) for text in ("a", "b")]
        assert self.replayed(*blocks)["reasoning"] == "a\nb"

    def test_details_go_back_whole(self) -> None:
        blocks = [ReasoningBlock(text="x", opaque=self.token([{"n": n}])) for n in (1, 2)]
        sent = self.replayed(*blocks)
        assert sent["reasoning_details"] == [{"n": 1}, {"n": 2}]
        assert "reasoning" not in sent

    def test_another_models_thinking_is_listed(self) -> None:
        foreign = ReasoningBlock(
            text="x", opaque=self.token("reasoning", "other/model"), at="messages[1].content[0]"
        )
        hub = request(assistant(foreign, TextBlock(text="a")))
        assert encoded(hub)["messages"][0] == {"role": "assistant", "content": "a"}
        assert dropped(hub) == ("messages[1].content[0]",)

    def test_unsigned_thinking_is_listed_unless_the_provider_wants_some(self) -> None:
        block = ReasoningBlock(text="x", at="messages[1].content[0]")
        assert self.replayed(block) == {"role": "assistant", "content": "a"}
        assert dropped(request(assistant(block, TextBlock(text="a")))) == ("messages[1].content[0]",)
        compat = {"requiresReasoningContentOnAssistantMessages": True}
        assert self.replayed(block, reasoning=True, compat=compat)["reasoning_content"] == "x"

    def test_a_provider_may_want_its_thinking_as_text(self) -> None:
        compat = {"requiresThinkingAsText": True}
        block = ReasoningBlock(text="x", opaque=self.token("reasoning_content"))
        assert self.replayed(block, compat=compat)["content"] == [
            {"type": "text", "text": "x"},
            {"type": "text", "text": "a"},
        ]
        assert self.replayed(compat=compat)["content"] == "a"
        sent = messages(assistant(block, ToolCallBlock(id="c", name="f")), where=target(compat=compat))
        assert sent[0]["content"] == [{"type": "text", "text": "x"}]

    def test_a_token_that_is_neither_list_nor_name_says_nothing(self) -> None:
        assert self.replayed(ReasoningBlock(text="", opaque=self.token(5))) == {
            "role": "assistant",
            "content": "a",
        }


class TestCacheMarks:
    WHERE = target(compat={"cacheControlFormat": "anthropic"})

    def test_the_callers_marks_are_kept(self) -> None:
        tool = Tool(name="f", cache=CacheMark("1h"), at="tools[0]")
        hub = request(
            user(
                ImageBlock(source=UrlSource("https://x"), cache=MARK),
                DocumentBlock(source=TextSource("t"), cache=MARK),
            ),
            assistant(TextBlock(text="a", cache=MARK), ToolCallBlock(id="c", name="f")),
            Turn(
                role="tool",
                blocks=(ToolResultBlock(call_id="c", content=(TextBlock(text="r", cache=MARK),)),),
            ),
            tools=(tool,),
        )
        sent = encoded(hub, self.WHERE)
        parts = [part for m in sent["messages"] if isinstance(m["content"], list) for part in m["content"]]
        assert [part.get("cache_control") for part in parts] == [EPHEMERAL] * 4
        assert sent["tools"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
        assert dropped(hub, self.WHERE) == ()

    def test_a_long_life_needs_a_provider_that_has_it(self) -> None:
        compat = {"cacheControlFormat": "anthropic", "supportsLongCacheRetention": False}
        sent = encoded(request(tools=(Tool(name="f", cache=CacheMark("1h")),)), target(compat=compat))
        assert sent["tools"][0]["cache_control"] == EPHEMERAL

    def test_marks_are_listed_where_there_are_none(self) -> None:
        call = ToolCallBlock(id="c", name="f", cache=MARK, at="messages[1].content[0]")
        result = ToolResultBlock(call_id="c", cache=MARK, at="messages[2].content[0]")
        hub = request(
            user(TextBlock(text="a", cache=MARK, at="messages[0].content[0]")),
            assistant(call),
            Turn(role="tool", blocks=(result,)),
            tools=(Tool(name="f", cache=MARK, at="tools[0]"),),
        )
        assert dropped(hub) == (
            "messages[0].content[0].cache_control",
            "messages[1].content[0].cache_control",
            "messages[2].content[0].cache_control",
            "tools[0].cache_control",
        )

    def test_marks_are_placed_for_those_who_cannot(self) -> None:
        where = target(compat={"cacheControlFormat": "anthropic"}, auto_cache=True)
        hub = request(
            user(TextBlock(text="a")),
            instructions=(TextBlock(text="be brief"),),
            tools=(Tool(name="f"), Tool(name="g")),
        )
        sent = encoded(hub, where)
        assert [m["content"][0]["cache_control"] for m in sent["messages"]] == [EPHEMERAL] * 2
        assert ["cache_control" in tool for tool in sent["tools"]] == [False, True]

    def test_the_last_text_is_marked_even_behind_a_picture(self) -> None:
        where = target(compat={"cacheControlFormat": "anthropic"}, auto_cache=True)
        hub = request(
            user(TextBlock(text="a"), ImageBlock(source=UrlSource("https://x"))),
            *answered(ToolCallBlock(id="c", name="f"))[:1],
        )
        sent = encoded(hub, where)["messages"]
        assert sent[-1]["role"] == "tool"
        assert sent[-1]["content"][0]["cache_control"] == EPHEMERAL
        hub = request(user(TextBlock(text="a"), ImageBlock(source=UrlSource("https://x"))))
        assert encoded(hub, where)["messages"][0]["content"][0]["cache_control"] == EPHEMERAL
        hub = request(user(ImageBlock(source=UrlSource("https://x"))))
        assert "cache_control" not in json.dumps(encoded(hub, where))

    def test_a_later_instruction_is_not_the_last_message(self) -> None:
        compat = {"cacheControlFormat": "anthropic", "supportsMidConvoSystemMessages": True}
        hub = request(
            user(TextBlock(text="a")),
            Turn(role="system", blocks=(TextBlock(text="b"),)),
            instructions=(TextBlock(text="be brief"),),
        )
        sent = encoded(hub, target(compat=compat, auto_cache=True))["messages"]
        assert ["cache_control" in json.dumps(message) for message in sent] == [True, True, False]

    def test_who_can_speak_for_itself_is_not_touched(self) -> None:
        where = target(compat={"cacheControlFormat": "anthropic"}, auto_cache=True)
        hub = request(user(TextBlock(text="a")), tools=(Tool(name="f", cache=MARK), Tool(name="g")))
        sent = encoded(hub, where)
        assert sent["messages"][0]["content"] == "a"
        assert "cache_control" not in sent["tools"][1]


class TestTools:
    TOOLS = (
        Tool(name="f", description="d", schema={"type": "object"}, at="tools[0]"),
        Tool(name="g", at="tools[1]"),
    )

    def test_functions_are_written(self) -> None:
        assert encoded(request(tools=self.TOOLS))["tools"] == [
            {
                "type": "function",
                "function": {"name": "f", "description": "d", "parameters": {"type": "object"}},
            },
            {
                "type": "function",
                "function": {"name": "g", "parameters": {"type": "object", "properties": {}}},
            },
        ]

    def test_strictness_is_said_where_it_is_known(self) -> None:
        tool = Tool(name="f", strict=True, at="tools[0]")
        assert (
            encoded(request(tools=(tool,)), target(hosted_by_vendor=True))["tools"][0]["function"]["strict"]
            is True
        )
        assert "strict" not in encoded(request(tools=(tool,)))["tools"][0]["function"]
        assert dropped(request(tools=(tool,))) == ("tools[0].strict",)
        assert dropped(request(tools=(Tool(name="f", strict=False),))) == ()

    def test_grammars_go_where_they_are_known(self) -> None:
        tool = Tool(
            kind="custom",
            name="p",
            description="d",
            grammar={"syntax": "lark", "definition": "x"},
            words={"grammar": "custom.format"},
            at="tools[0]",
        )
        where = target(compat={"supportsOpenAIGrammarTools": True})
        assert encoded(request(tools=(tool,)), where)["tools"][0] == {
            "type": "custom",
            "custom": {
                "name": "p",
                "description": "d",
                "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
            },
        }
        assert dropped(request(tools=(tool,))) == ("tools[0].custom.format",)
        free = Tool(kind="custom", name="p")
        assert encoded(request(tools=(free,)), where)["tools"][0] == {
            "type": "custom",
            "custom": {"name": "p"},
        }
        assert dropped(request(tools=(free,))) == ()

    def test_of_equal_names_the_last_counts(self) -> None:
        sent = encoded(request(tools=(Tool(name="f", description="old"), Tool(name="f", description="new"))))
        assert [tool["function"]["description"] for tool in sent["tools"]] == ["new"]

    @pytest.mark.parametrize(
        ("choice", "sent"),
        [
            (ToolChoice(mode="auto"), "auto"),
            (ToolChoice(mode="none"), "none"),
            (ToolChoice(mode="required"), "required"),
            (ToolChoice(mode="named", names=("f",)), {"type": "function", "function": {"name": "f"}}),
        ],
    )
    def test_choices_are_written(self, choice: ToolChoice, sent: Any) -> None:
        assert encoded(request(tools=self.TOOLS, tool_choice=choice))["tool_choice"] == sent
        assert "tool_choice" not in encoded(request(tool_choice=choice))

    @pytest.mark.parametrize(("required", "word"), [(True, "required"), (False, "auto")])
    def test_a_subset_is_said_by_leaving_tools_out(self, required: bool, word: str) -> None:
        hub = request(
            tools=self.TOOLS, tool_choice=ToolChoice(mode="subset", names=("g",), required=required)
        )
        sent = encoded(hub)
        assert ([tool["function"]["name"] for tool in sent["tools"]], sent["tool_choice"]) == (["g"], word)
        hosted = encoded(hub, target(hosted_by_vendor=True))
        assert len(hosted["tools"]) == 2
        assert hosted["tool_choice"] == {
            "type": "allowed_tools",
            "allowed_tools": {"mode": word, "tools": [{"type": "function", "function": {"name": "g"}}]},
        }

    def test_a_custom_tool_is_named_as_such(self) -> None:
        hub = request(
            tools=(Tool(kind="custom", name="p"),), tool_choice=ToolChoice(mode="named", names=("p",))
        )
        assert encoded(hub)["tool_choice"]["type"] == "function"
        assert encoded(hub, target(hosted_by_vendor=True))["tool_choice"] == {
            "type": "custom",
            "custom": {"name": "p"},
        }

    def test_parallel_calls_are_switched_off_only_with_tools(self) -> None:
        assert encoded(request(tools=self.TOOLS, parallel_tools=False))["parallel_tool_calls"] is False
        assert "parallel_tool_calls" not in encoded(request(parallel_tools=False))
        assert "parallel_tool_calls" not in encoded(request(tools=self.TOOLS, parallel_tools=True))

    def test_zai_streams_tool_calls_when_told(self) -> None:
        where = target(compat={"zaiToolStream": True})
        assert encoded(request(tools=self.TOOLS), where)["tool_stream"] is True
        assert "tool_stream" not in encoded(request(), where)

    def test_an_empty_list_of_tools_is_sent_where_history_demands_it(self) -> None:
        where = target(compat={"requiresToolsWithToolHistory": True})
        assert encoded(request(*answered(ToolCallBlock(id="c", name="f"))), where)["tools"] == []
        assert "tools" not in encoded(request(), where)


class TestQuirks:
    def test_a_flag_of_a_wrong_type_counts_as_not_given(self) -> None:
        compat = {"supportsStore": "no", "maxTokensField": "max_tokens", "unknown": 1, "thinkingFormat": None}
        sent = encoded(request(max_output=5), target(compat=compat))
        assert (sent["store"], sent["max_tokens"]) == (False, 5)


class TestMend:
    BODY = b'{"max_tokens":5,"messages":[{"role":"developer","content":"x"},{"role":"user","content":"y"}]}'

    def mended(
        self, message: str, *, kind: str = "bad_request", raw: bytes = BODY, param: str | None = None
    ) -> Any:
        return CLIENT.mend(raw, UpstreamError(message, kind=kind, status=400, param=param))

    def test_the_other_name_of_the_limit_is_tried(self) -> None:
        text = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
        assert body(self.mended(text))["max_completion_tokens"] == 5
        assert "max_tokens" not in body(self.mended("unknown field", param="max_tokens"))
        assert self.mended("Unknown field 'max_completion_tokens'") is None

    def test_developers_become_system(self) -> None:
        assert [m["role"] for m in body(self.mended("unknown variant `developer`"))["messages"]] == [
            "system",
            "user",
        ]

    @pytest.mark.parametrize(
        "raw",
        [
            b"[]",
            b"{}",
            b'{"messages":[{"role":"user","content":"developer"}]}',
            b'{"messages":[5,"developer"]}',
        ],
    )
    def test_what_cannot_be_mended_is_left_alone(self, raw: bytes) -> None:
        assert self.mended("role developer is unknown", raw=raw) is None

    def test_other_errors_are_none_of_its_business(self) -> None:
        assert self.mended("'max_tokens'", kind="rate_limit") is None
        assert self.mended("no such luck") is None
        assert self.mended("no developer", raw=b'{"messages":[]}') is None
        assert (
            self.mended("'max_tokens'", raw=b'{"max_tokens":1,"max_completion_tokens":2,"messages":[]}')
            is None
        )
