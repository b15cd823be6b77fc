"""A caller's request, as the hub understands it."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_chat import SERVER, server
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.hub import (
    AudioBlock,
    CacheMark,
    DataSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    Opaque,
    OutputFormat,
    RawBlock,
    ReasoningBlock,
    ReasoningWish,
    RefusalBlock,
    Request,
    Sampling,
    TextBlock,
    TextSource,
    Tool,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    UrlSource,
)

Json = dict[str, Any]
USER = {"role": "user", "content": "hi"}


def read(**fields: Any) -> Request:
    return SERVER.decode_request(json.dumps({"model": "m", "messages": [USER], **fields}).encode())


def blocks(*messages: Json) -> tuple[Any, ...]:
    return tuple(block for turn in read(messages=list(messages)).turns for block in turn.blocks)


def part(value: Any) -> Any:
    (block,) = blocks({"role": "user", "content": [value]})
    return block


def refusal(**fields: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        read(**fields)
    assert caught.value.param is not None
    assert caught.value.message.startswith(caught.value.param)
    return caught.value.param


class TestPeek:
    def test_routing_gets_what_it_needs(self) -> None:
        peek = SERVER.peek(
            b'{"model":"m","stream":true,"stream_options":{"include_usage":true},"messages":[]}'
        )
        assert (peek.model, peek.stream, peek.wants_usage) == ("m", True, True)

    def test_absent_fields_mean_no_stream_and_no_usage(self) -> None:
        peek = SERVER.peek(b"{}")
        assert (peek.model, peek.stream, peek.wants_usage) == (None, False, False)

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            (b'{"model":5}', "model"),
            (b'{"model":{}}', "model"),
            (b'{"stream":"yes"}', "stream"),
            (b'{"stream_options":{"include_usage":1}}', "stream_options.include_usage"),
            (b'{"stream_options":[]}', "stream_options"),
        ],
    )
    def test_wrong_types_are_named_by_path(self, body: bytes, path: str) -> None:
        with pytest.raises(BadRequest) as caught:
            SERVER.peek(body)
        assert caught.value.param == path

    @pytest.mark.parametrize(
        "body", [b"", b"null", b"[]", b"5", b"{", b"\xff", b'{"model":' + b"[" * 100_000]
    )
    def test_what_is_no_object_is_refused(self, body: bytes) -> None:
        with pytest.raises(BadRequest):
            SERVER.peek(body)

    def test_a_lone_surrogate_in_a_prompt_does_not_hinder_routing(self) -> None:
        assert SERVER.peek(b'{"model":"m","messages":[{"role":"user","content":"\\ud83d"}]}').model == "m"


class TestDepth:
    def test_what_is_too_deep_to_follow_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def too_deep(_body: bytes) -> None:
            raise RecursionError

        monkeypatch.setattr(server, "read_request", too_deep)
        with pytest.raises(BadRequest):
            SERVER.decode_request(b"{}")


class TestScalars:
    def test_every_sampling_field_is_read(self) -> None:
        given: Json = {
            "temperature": 0.5,
            "top_p": 1,
            "top_k": 40.0,
            "min_p": 0.1,
            "seed": 7,
            "presence_penalty": 0.2,
            "frequency_penalty": 0.3,
            "logit_bias": {"50256": -100},
            "logprobs": True,
            "top_logprobs": 3,
        }
        assert read(**given).sampling == Sampling(**given)

    def test_values_that_ask_for_nothing_are_forgotten(self) -> None:
        hub = read(
            presence_penalty=0, frequency_penalty=0, logprobs=False, logit_bias={}, store=False, modalities=["text"], n=1
        )  # fmt: skip
        assert hub.sampling == Sampling()
        assert hub.extra == {}

    @pytest.mark.parametrize(
        ("stop", "expected"), [("END", ("END",)), (["a", "", "b"], ("a", "b")), ("", ()), (None, ())]
    )
    def test_stop_may_be_a_string_or_several(self, stop: Any, expected: tuple[str, ...]) -> None:
        assert read(stop=stop).stop == expected

    def test_the_new_name_of_the_output_limit_wins(self) -> None:
        hub = read(max_completion_tokens=77, max_tokens=5)
        assert (hub.max_output, hub.paths["max_output"]) == (77, "max_completion_tokens")
        hub = read(max_tokens=5)
        assert (hub.max_output, hub.paths["max_output"]) == (5, "max_tokens")

    def test_who_asks_is_read(self) -> None:
        hub = read(
            user="u", safety_identifier="s", prompt_cache_key="k", service_tier="flex", verbosity="low"
        )
        assert (hub.end_user, hub.cache_key, hub.service_tier, hub.verbosity) == ("s", "k", "flex", "low")
        assert read(user="u").end_user == "u"

    def test_metadata_that_is_no_text_is_listed(self) -> None:
        hub = read(metadata={"a": "b", "c": 1})
        assert (hub.metadata, hub.dropped) == ({"a": "b"}, ("metadata.c",))

    def test_unknown_fields_are_kept_aside(self) -> None:
        assert read(prediction={"type": "content"}, x_new=1).extra == {
            "prediction": {"type": "content"},
            "x_new": 1,
        }

    def test_fields_that_steer_the_transport_are_removed_and_listed(self) -> None:
        hub = read(api_base="http://evil", extra_headers={"a": "b"})
        assert hub.extra == {}
        assert set(hub.dropped) == {"api_base", "extra_headers"}

    @pytest.mark.parametrize(
        ("field", "value", "path"),
        [
            ("messages", None, "messages"),
            ("messages", {}, "messages"),
            ("messages", 5, "messages"),
            ("messages", ["hi"], "messages[0]"),
            ("messages", [{}], "messages[0].role"),
            ("messages", [{"role": "robot"}], "messages[0].role"),
            ("messages", [{"role": 5}], "messages[0].role"),
            ("messages", [{"role": "user", "content": 5}], "messages[0].content"),
            ("messages", [{"role": "user", "content": [5]}], "messages[0].content[0]"),
            ("messages", [{"role": "user", "content": [{}]}], "messages[0].content[0].type"),
            ("messages", [{"role": "tool", "content": "x"}], "messages[0].tool_call_id"),
            ("temperature", "hot", "temperature"),
            ("temperature", True, "temperature"),
            ("max_tokens", 1.5, "max_tokens"),
            ("n", 0, "n"),
            ("stop", 5, "stop"),
            ("stop", [5], "stop"),
            ("model", [], "model"),
            ("stream", "yes", "stream"),
            ("metadata", "x", "metadata"),
            ("response_format", {"type": "xml"}, "response_format.type"),
            ("response_format", {"type": "json_schema"}, "response_format.json_schema"),
            ("response_format", {"type": "json_schema", "json_schema": {}}, "response_format.json_schema"),
            ("tools", {}, "tools"),
            ("tools", [5], "tools[0]"),
            ("tools", [{"type": "function"}], "tools[0].function"),
            ("tools", [{"type": "function", "function": {}}], "tools[0].function.name"),
            ("tools", [{"type": "custom", "custom": {"name": ""}}], "tools[0].custom.name"),
            ("tool_choice", "sometimes", "tool_choice"),
            ("tool_choice", 5, "tool_choice"),
            ("tool_choice", {"type": "function"}, "tool_choice.name"),
            ("tool_choice", {"type": "function", "function": {}}, "tool_choice.function.name"),
        ],
    )
    def test_what_cannot_be_read_is_named_by_path(self, field: str, value: Any, path: str) -> None:
        assert refusal(**{field: value}) == path

    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"modalities": ["text", "audio"], "audio": {"voice": "x"}}, "modalities"),
            ({"audio": {"voice": "x"}}, "audio"),
            ({"moderation": {"policy": {"input": {"mode": "block"}}}}, "moderation.policy.input.mode"),
        ],
    )
    def test_what_no_other_format_can_give_is_refused(self, fields: Json, path: str) -> None:
        with pytest.raises(UnsupportedFeature) as caught:
            read(**fields)
        assert caught.value.param == path

    def test_moderation_that_only_scores_is_kept_aside(self) -> None:
        assert "moderation" in read(moderation={"model": "m", "policy": {"input": {"mode": "score"}}}).extra


class TestReasoning:
    @pytest.mark.parametrize(
        ("fields", "wish"),
        [
            ({"reasoning_effort": "xhigh"}, ReasoningWish(mode="level", level="xhigh")),
            ({"reasoning_effort": "none"}, ReasoningWish(mode="off")),
            ({"reasoning_effort": "auto"}, ReasoningWish(mode="auto")),
            ({"reasoning": {"effort": "low"}}, ReasoningWish(mode="level", level="low")),
            ({"reasoning": {"effort": "low", "exclude": True}}, ReasoningWish(mode="level", level="low", visible="none")),
            ({"reasoning": {"max_tokens": 2000}}, ReasoningWish(mode="budget", budget=2000)),
            ({"reasoning": {"enabled": False}}, ReasoningWish(mode="off")),
            ({"reasoning": {}}, ReasoningWish(mode="auto")),
            ({"thinking": {"type": "enabled", "budget_tokens": 4096}}, ReasoningWish(mode="budget", budget=4096)),
            ({"thinking": {"type": "enabled"}}, ReasoningWish(mode="auto")),
            ({"thinking": {"type": "disabled"}}, ReasoningWish(mode="off")),
            ({"enable_thinking": True}, ReasoningWish(mode="auto")),
            ({"enable_thinking": False}, ReasoningWish(mode="off")),
        ],
    )  # fmt: skip
    def test_every_way_of_asking_is_understood(self, fields: Json, wish: ReasoningWish) -> None:
        hub = read(**fields)
        assert hub.reasoning == wish
        assert hub.paths["reasoning"] == next(iter(fields))
        assert hub.dropped == ()

    @pytest.mark.parametrize(
        "fields",
        [{"reasoning_effort": "much"}, {"reasoning": "high"}, {"reasoning": {"effort": "much"}}, {"thinking": {"type": "?"}}],
    )  # fmt: skip
    def test_what_nobody_understands_is_listed(self, fields: Json) -> None:
        hub = read(**fields)
        assert hub.reasoning is None
        assert hub.dropped == tuple(fields)

    def test_the_most_telling_field_wins_and_the_others_are_listed(self) -> None:
        hub = read(reasoning_effort="low", thinking={"type": "enabled"})
        assert hub.reasoning == ReasoningWish(mode="level", level="low")
        assert hub.dropped == ("thinking",)


class TestOutput:
    def test_text_is_nothing_to_ask_for(self) -> None:
        assert read(response_format={"type": "text"}).output is None
        assert read(response_format={}).output is None

    def test_json_is_asked_for(self) -> None:
        assert read(response_format={"type": "json_object"}).output == OutputFormat(kind="json")


class TestTools:
    def test_a_function_is_read(self) -> None:
        function = {"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
        (tool,) = read(
            tools=[{"type": "function", "function": function, "cache_control": {"type": "ephemeral"}}]
        ).tools
        assert tool == Tool(
            name="f",
            description="d",
            schema={"type": "object"},
            strict=True,
            cache=CacheMark(at="tools[0].cache_control"),
            words={"strict": "function.strict", "schema": "function.parameters"},
            at="tools[0]",
        )

    @pytest.mark.parametrize(
        "tool",
        [
            {"type": "function", "name": "f", "parameters": {"type": "object"}},
            {"name": "f", "input_schema": {"type": "object"}},
            {"function": {"name": "f", "parameters": {"type": "object"}}},
            {"type": "custom", "name": "f", "input_schema": {"type": "object"}},
        ],
        ids=["as in Responses", "as in Messages", "without type", "as in Messages with type"],
    )
    def test_other_spellings_of_a_function_are_read(self, tool: Json) -> None:
        (read_tool,) = read(tools=[tool]).tools
        assert (read_tool.kind, read_tool.name, read_tool.schema) == ("function", "f", {"type": "object"})

    @pytest.mark.parametrize(
        "form",
        [
            {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
            {"type": "grammar", "syntax": "lark", "definition": "x"},
        ],
        ids=["as in chat", "as in Responses"],
    )
    def test_a_custom_tool_is_read_with_its_grammar(self, form: Json) -> None:
        (tool,) = read(tools=[{"type": "custom", "custom": {"name": "c", "format": form}}]).tools
        assert (tool.kind, tool.name, tool.grammar) == ("custom", "c", {"syntax": "lark", "definition": "x"})

    def test_a_custom_tool_without_grammar_takes_any_text(self) -> None:
        (tool,) = read(tools=[{"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}}]).tools
        assert tool.grammar is None

    def test_a_custom_tool_may_have_no_format(self) -> None:
        (tool,) = read(tools=[{"type": "custom", "custom": {"name": "c"}}]).tools
        assert (tool.kind, tool.grammar) == ("custom", None)

    def test_a_hosted_tool_of_another_format_is_hosted_though_it_has_a_name(self) -> None:
        (tool,) = read(tools=[{"type": "web_search_20250305", "name": "web_search"}]).tools
        assert (tool.kind, tool.name) == ("server", "web_search_20250305")

    def test_hosted_tools_are_kept_raw(self) -> None:
        tools = read(
            tools=[{"type": "web_search", "size": 1}], web_search_options={"search_context_size": "low"}
        ).tools
        assert [(tool.kind, tool.name, tool.at) for tool in tools] == [
            ("server", "web_search", "tools[0]"),
            ("server", "web_search", "web_search_options"),
        ]
        assert json.loads(tools[0].raw) == {"type": "web_search", "size": 1}

    def test_the_old_functions_are_tools(self) -> None:
        hub = read(functions=[{"name": "f", "parameters": {}}], function_call={"name": "f"})
        assert [tool.name for tool in hub.tools] == ["f"]
        assert hub.tool_choice == ToolChoice(mode="named", names=("f",))
        assert hub.paths["tool_choice"] == "function_call"

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            ("auto", ToolChoice(mode="auto")),
            ("any", ToolChoice(mode="required")),
            ({"type": "none"}, ToolChoice(mode="none")),
            ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode="named", names=("f",))),
            ({"type": "custom", "custom": {"name": "c"}}, ToolChoice(mode="named", names=("c",))),
            ({"function": {"name": "f"}}, ToolChoice(mode="named", names=("f",))),
            ({"type": "allowed_tools", "tools": [{"type": "custom", "custom": {"name": "c"}}]}, ToolChoice(mode="subset", names=("c",))),
            ({"type": "tool", "name": "f"}, ToolChoice(mode="named", names=("f",))),
            ({"type": "web_search"}, ToolChoice(mode="named", names=("web_search",))),
            (
                {"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}, {"name": "g"}]}},
                ToolChoice(mode="subset", names=("f", "g"), required=True),
            ),
        ],
    )  # fmt: skip
    def test_every_choice_is_read(self, choice: Any, expected: ToolChoice) -> None:
        assert read(tool_choice=choice).tool_choice == expected


class TestMessages:
    def test_leading_instructions_stand_apart_from_later_ones(self) -> None:
        hub = read(
            messages=[
                {"role": "system", "content": "one"},
                {"role": "developer", "content": [{"type": "text", "text": "two", "cache_control": {"type": "ephemeral"}}]},
                USER,
                {"role": "system", "content": "three"},
            ]
        )  # fmt: skip
        assert [(block.text, block.at) for block in hub.instructions] == [
            ("one", "messages[0].content"),
            ("two", "messages[1].content[0]"),
        ]
        assert hub.instructions[1].cache == CacheMark(at="messages[1].content[0].cache_control")
        assert [turn.role for turn in hub.turns] == ["user", "system"]

    def test_a_picture_among_instructions_is_listed(self) -> None:
        image = {"type": "image_url", "image_url": {"url": "https://x/y.png"}}
        assert read(messages=[{"role": "system", "content": [image]}, USER]).dropped == (
            "messages[0].content[0]",
        )

    def test_unknown_keys_in_messages_are_no_error_and_listed_unless_they_say_nothing(self) -> None:
        message: Json = {
            **USER,
            "provider_specific_fields": {"a": 1},
            "name": "ann",
            "annotations": [],
            "x": None,
        }
        hub = read(messages=[message])
        (turn,) = hub.turns
        assert (turn.role, turn.name, turn.at) == ("user", "ann", "messages[0]")
        assert hub.dropped == ("messages[0].provider_specific_fields",)

    def test_null_content_is_nothing(self) -> None:
        assert blocks({"role": "user", "content": None}, {"role": "assistant"}) == ()

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("plain", TextBlock(text="plain", at="messages[0].content[0]")),
            ({"type": "refusal"}, RefusalBlock(text="", at="messages[0].content[0]")),
            ({"text": "untyped"}, TextBlock(text="untyped", at="messages[0].content[0]")),
            ({"type": "input_text", "text": "t"}, TextBlock(text="t", at="messages[0].content[0]")),
            (
                {"type": "image_url", "image_url": {"url": "https://x/y.png", "detail": "low"}},
                ImageBlock(source=UrlSource("https://x/y.png"), detail="low", at="messages[0].content[0]"),
            ),
            (
                {"type": "image_url", "image_url": "data:image/PNG;base64,-_8"},
                ImageBlock(source=DataSource("image/png", "+/8="), at="messages[0].content[0]"),
            ),
            (
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                AudioBlock(data="AAAA", format="wav", at="messages[0].content[0]"),
            ),
            (
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"}},
                DocumentBlock(source=DataSource("application/pdf", "AAAA"), name="a.pdf", at="messages[0].content[0]"),
            ),
            (
                {"type": "file", "file": {"file_data": "AAAA"}},
                DocumentBlock(source=DataSource("application/pdf", "AAAA"), at="messages[0].content[0]"),
            ),
            (
                {"type": "file", "file": {"file_data": "data:text/plain;base64,aGk="}},
                DocumentBlock(source=TextSource("hi"), at="messages[0].content[0]"),
            ),
            (
                {"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}},
                DocumentBlock(source=DataSource("text/plain", "/w=="), at="messages[0].content[0]"),
            ),
            (
                {"type": "file", "file": {"file_data": "data:image/png;base64,AAAA"}},
                ImageBlock(source=DataSource("image/png", "AAAA"), at="messages[0].content[0]"),
            ),
            (
                {"type": "file", "file": {"file_id": "file-1"}},
                DocumentBlock(source=FileSource("file-1"), at="messages[0].content[0]"),
            ),
            (
                {"type": "video_url", "video_url": {"url": "x"}},
                RawBlock(dialect="openai_chat", type_name="video_url", data='{"type":"video_url","video_url":{"url":"x"}}', at="messages[0].content[0]"),
            ),
        ],
    )  # fmt: skip
    def test_every_part_is_read(self, value: Any, expected: Any) -> None:
        assert part(value) == expected

    @pytest.mark.parametrize(
        ("value", "path"),
        [
            ({"type": "image_url"}, "image_url"),
            ({"type": "image_url", "image_url": {}}, "image_url"),
            ({"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}, "image_url.url"),
            ({"type": "image_url", "image_url": {"url": "data:image/png,raw"}}, "image_url.url"),
            ({"type": "image_url", "image_url": {"url": "data:image/png;base64,A"}}, "image_url.url"),
            ({"type": "input_audio"}, "input_audio"),
            ({"type": "input_audio", "input_audio": {"data": "AAAA"}}, "input_audio.format"),
            ({"type": "file"}, "file"),
            ({"type": "file", "file": {}}, "file.file_data"),
        ],
    )
    def test_a_part_that_holds_nothing_is_refused(self, value: Json, path: str) -> None:
        assert refusal(messages=[{"role": "user", "content": [value]}]) == f"messages[0].content[0].{path}"

    @pytest.mark.parametrize(
        ("name", "mark", "ttl"),
        [
            ("cache_control", {"type": "ephemeral", "ttl": "1h", "scope": "x"}, "1h"),
            ("cache_control", {"type": "ephemeral", "ttl": "5m"}, "5m"),
            ("prompt_cache_breakpoint", {"mode": "explicit", "ttl": "12h"}, "1h"),
            ("prompt_cache_breakpoint", {"mode": "explicit", "ttl": "30m"}, None),
            ("prompt_cache_breakpoint", {"mode": "explicit"}, None),
        ],
    )
    def test_cache_marks_are_read(self, name: str, mark: Json, ttl: Any) -> None:
        expected = CacheMark(ttl, at=f"messages[0].content[0].{name}")
        assert part({"type": "text", "text": "t", name: mark}).cache == expected

    def test_a_mark_that_is_null_is_none(self) -> None:
        assert part({"type": "text", "text": "t", "cache_control": None}).cache is None

    @pytest.mark.parametrize(
        ("mark", "path"),
        [
            ({"cache_control": True}, "cache_control"),
            ({"cache_control": {"type": "ephemeral", "ttl": "2d"}}, "cache_control.ttl"),
            ({"cache_control": {"type": "ephemeral", "ttl": 5}}, "cache_control.ttl"),
        ],
    )
    def test_a_mark_of_a_kind_nobody_knows_is_listed(self, mark: Json, path: str) -> None:
        hub = read(messages=[{"role": "user", "content": [{"type": "text", "text": "t", **mark}]}])
        assert hub.dropped == (f"messages[0].content[0].{path}",)

    def test_a_mark_on_a_message_of_parts_goes_to_the_last_part(self) -> None:
        marked = {**USER, "content": [{"type": "text", "text": "a"}], "cache_control": {"type": "ephemeral"}}
        (turn,) = read(messages=[marked]).turns
        assert turn.blocks[0].cache == CacheMark(at="messages[0].cache_control")  # type: ignore[union-attr]  # a text block

    def test_an_assistant_says_everything_in_order(self) -> None:
        found = blocks(
            {
                "role": "assistant",
                "reasoning_content": "hm",
                "content": [{"type": "text", "text": "a"}, {"type": "refusal", "refusal": "no"}],
                "refusal": "never",
                "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}},
                    {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "raw"}},
                    {"function": {"name": "h"}, "extra_content": {"google": {"thought_signature": "S"}}},
                ],
            }
        )
        assert [type(block) for block in found] == [
            ReasoningBlock, TextBlock, RefusalBlock, RefusalBlock, ToolCallBlock, ToolCallBlock, ToolCallBlock,
        ]  # fmt: skip
        assert [(c.id, c.name, c.arguments, c.custom) for c in found[4:]] == [
            ("c1", "f", '{"a":1}', False),
            ("c2", "g", "raw", True),
            ("call_0_2", "h", "", False),
        ]
        assert found[6].opaque == Opaque(kind="gemini_signature", data="S")

    def test_a_call_without_a_body_is_refused(self) -> None:
        path = refusal(messages=[{"role": "assistant", "tool_calls": [{"id": "c"}]}])
        assert path == "messages[0].tool_calls[0].function"

    def test_spoken_history_is_listed(self) -> None:
        assert read(messages=[{"role": "assistant", "audio": {"id": "a"}}]).dropped == ("messages[0].audio",)

    def test_a_tool_answers_with_parts(self) -> None:
        content = [
            {"type": "text", "text": "t"},
            {"type": "image_url", "image_url": {"url": "https://x"}},
            {"type": "refusal", "refusal": "no"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        ]
        (result,) = blocks({"role": "tool", "tool_call_id": "c", "name": "f", "content": content})
        assert isinstance(result, ToolResultBlock)
        assert (result.call_id, result.name, result.at) == ("c", "f", "messages[0]")
        assert [type(each) for each in result.content] == [TextBlock, ImageBlock, TextBlock, RawBlock]

    def test_old_function_messages_answer_the_call_of_their_name(self) -> None:
        call, result, orphan = blocks(
            {"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "r"},
            {"role": "function", "name": "g", "content": "r"},
        )
        assert call.id == result.call_id
        assert orphan.call_id != call.id

    def test_mistrals_thinking_parts_are_reasoning(self) -> None:
        (block,) = blocks(
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}, 5]}],
            }
        )
        assert block == ReasoningBlock(text="hm", at="messages[0].content[0]")
        (block,) = blocks({"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}]})
        assert block.text == "hm"


class TestReasoningHistory:
    def history(self, **fields: Any) -> tuple[Any, ...]:
        return blocks({"role": "assistant", "content": None, **fields})

    @pytest.mark.parametrize("field", ["reasoning_content", "reasoning", "reasoning_text"])
    def test_plain_fields_are_read(self, field: str) -> None:
        assert self.history(**{field: "hm"}) == (
            ReasoningBlock(text="hm", field=field, at=f"messages[0].{field}"),
        )

    @pytest.mark.parametrize("form", ["anthropic_signature", "anthropic-claude-v1", None])
    def test_a_signed_text_is_a_claude_thinking_block(self, form: str | None) -> None:
        entry = {
            "type": "reasoning.text",
            "text": "hm",
            "signature": "S",
            "format": form,
            "origin": "anthropic/c",
        }
        (block,) = self.history(reasoning_content="hm", reasoning_details=[entry])
        assert (block.text, block.opaque) == (
            "hm",
            Opaque(kind="anthropic_signature", data="S", origin="anthropic/c"),
        )

    def test_redacted_thinking_is_read(self) -> None:
        entry = {"type": "reasoning.encrypted", "data": "D", "format": "anthropic_redacted"}
        (block,) = self.history(reasoning_details=[entry])
        assert block.opaque == Opaque(kind="anthropic_redacted", data="D")

    def test_openais_blob_keeps_its_summary_and_id(self) -> None:
        common = {"format": "openai_encrypted", "id": "rs_1"}
        (block,) = self.history(
            reasoning_details=[
                {"type": "reasoning.summary", "summary": "sum", **common},
                {"type": "reasoning.encrypted", "data": "D", **common},
            ]
        )
        assert (block.text, block.summary) == ("sum", True)
        assert block.opaque == Opaque(kind="openai_encrypted", data="D", item_id="rs_1")

    def test_a_blob_without_summary_gets_the_plain_text(self) -> None:
        entry = {"type": "reasoning.encrypted", "data": "D", "format": "openai-responses-v1", "id": "rs_1"}
        (block,) = self.history(reasoning_content="sum", reasoning_details=[entry])
        assert block.text == "sum"

    def test_a_summary_alone_is_a_summary(self) -> None:
        (block,) = self.history(reasoning_details=[{"type": "reasoning.summary", "summary": "sum"}])
        assert (block.text, block.summary, block.opaque) == ("sum", True, None)

    @pytest.mark.parametrize(
        "entry",
        [
            {"type": "reasoning.encrypted", "data": "D", "format": "new-vendor-v1"},
            {"type": "reasoning.text", "text": "x", "signature": "S", "format": "new-vendor-v1"},
            {"type": "reasoning.new"},
        ],
    )
    def test_details_of_unknown_format_stay_whole(self, entry: Json) -> None:
        entries = [{"type": "reasoning.text", "text": "x"}, entry]
        (block,) = self.history(reasoning_content="x", reasoning_details=entries)
        assert block.opaque is not None
        assert block.opaque.kind == "reasoning_details"
        assert json.loads(block.opaque.data) == entries

    def test_litellms_thinking_blocks_are_read(self) -> None:
        found = self.history(
            thinking_blocks=[
                {"type": "thinking", "thinking": "hm", "signature": "S"},
                {"type": "thinking", "thinking": "unsigned"},
                {"type": "redacted_thinking", "data": "D"},
                5,
            ]
        )
        kinds = [(block.text, block.opaque.kind if block.opaque else None) for block in found]
        assert kinds == [("hm", "anthropic_signature"), ("unsigned", None), ("", "anthropic_redacted")]

    def test_what_is_no_list_is_ignored(self) -> None:
        assert self.history(reasoning_details="x", thinking_blocks={}) == ()


def test_base64_with_line_breaks_is_joined() -> None:
    data = base64.b64encode(b"x" * 60).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data[:40]}\n{data[40:]}"}}
    assert part(image).source.data == data


def test_a_media_type_may_be_missing_and_have_parameters() -> None:
    image = {"type": "image_url", "image_url": {"url": "data:;charset=utf-8;base64,AAAA"}}
    assert part(image).source == DataSource("application/octet-stream", "AAAA")
