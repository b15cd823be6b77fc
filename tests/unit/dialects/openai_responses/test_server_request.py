"""Requests as callers send them, and what they mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_responses import SERVER
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
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    UrlSource,
)
from support.responses_caller import asked, asking

PNG = "data:image/png;base64,iVBORw0KGgo="


def blocks(*items: Any, **fields: Any) -> list[Any]:
    """Return the blocks of the last turn."""
    return list(asked(input=list(items), **fields).turns[-1].blocks)


def part(**members: Any) -> Any:
    """Return the block that a content part becomes."""
    return blocks({"role": "user", "content": [members]})[0]


class TestPeek:
    def test_it_reads_model_and_stream_alone(self) -> None:
        peeked = SERVER.peek(b'{"model":"a/b","stream":true,"input":7}')
        assert (peeked.model, peeked.stream, peeked.wants_usage) == ("a/b", True, True)

    def test_a_request_without_model_is_left_to_routing(self) -> None:
        assert SERVER.peek(b'{"stream":null}').model is None

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            (b'{"model":{}}', "model"),
            (b'{"stream":"yes"}', "stream"),
            (b"[]", None),
            (b"{", None),
            (b"null", None),
        ],
    )
    def test_wrong_types_are_named_by_their_path(self, body: bytes, path: str | None) -> None:
        with pytest.raises(BadRequest) as caught:
            SERVER.peek(body)
        assert caught.value.param == path

    def test_half_an_emoji_does_not_matter(self) -> None:
        assert SERVER.peek(rb'{"model":"m","input":"\ud83d"}').model == "m"


class TestMessages:
    def test_a_string_is_what_the_user_says(self) -> None:
        (turn,) = asked(input="hello").turns
        assert (turn.role, turn.at) == ("user", "input")
        assert turn.blocks == (TextBlock(text="hello", at="input"),)

    def test_instructions_come_before_leading_developer_messages(self) -> None:
        request = asked(
            instructions="one",
            input=[
                {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "two"}]},
                {"role": "system", "content": "three"},
                {"role": "user", "content": "hi"},
            ],
        )
        assert [block.text for block in request.instructions] == ["one", "two", "three"]
        assert [block.at for block in request.instructions] == [
            "instructions",
            "input[0].content[0]",
            "input[1].content",
        ]
        assert [turn.role for turn in request.turns] == ["user"]

    def test_a_later_developer_message_stays_where_it_is(self) -> None:
        request = asked(
            input=[
                {"role": "user", "content": "a"},
                {"role": "developer", "content": "be brief"},
                {"role": "user", "content": "b"},
            ]
        )
        assert [turn.role for turn in request.turns] == ["user", "system", "user"]

    def test_what_the_model_said_between_two_turns_is_one_turn(self) -> None:
        request = asked(
            input=[
                {"role": "user", "content": "a"},
                {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
                {"role": "assistant", "content": "b"},
                {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
                {"type": "function_call", "call_id": "c2", "name": "g", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c2", "output": "2"},
                {"type": "function_call_output", "call_id": "c1", "output": "1"},
                {"role": "user", "content": "c"},
            ]
        )
        assert [(turn.role, len(turn.blocks), turn.at) for turn in request.turns] == [
            ("user", 1, "input[0]"),
            ("assistant", 4, "input[1]"),
            ("tool", 2, "input[5]"),
            ("user", 1, "input[7]"),
        ]

    def test_two_messages_of_the_user_stay_two(self) -> None:
        assert (
            len(asked(input=[{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]).turns) == 2
        )

    def test_a_picture_among_instructions_is_listed(self) -> None:
        request = asked(
            input=[
                {"role": "developer", "content": [{"type": "input_image", "image_url": PNG}]},
                {"role": "user", "content": "hi"},
            ]
        )
        assert request.dropped == ("input[0].content[0]",)

    @pytest.mark.parametrize(
        ("item", "path"),
        [
            ({"role": "critic", "content": "a"}, "input[0].role"),
            ({"type": "message", "content": "a"}, "input[0].role"),
            ({"content": "a"}, "input[0].type"),
            ({"role": "user", "content": 7}, "input[0].content"),
            ({"role": "user", "content": [7]}, "input[0].content[0]"),
            ({"role": "user", "content": [{"image": 1}]}, "input[0].content[0].type"),
            ({"role": "user", "content": [{"type": "input_text", "text": 7}]}, "input[0].content[0].text"),
            ("hello", "input[0]"),
            ({"type": 7}, "input[0].type"),
            ({"type": "function_call", "name": "f"}, "input[0].id"),
            ({"type": "function_call", "call_id": "c"}, "input[0].name"),
            ({"type": "function_call_output", "output": "a"}, "input[0].call_id"),
            ({"type": "apply_patch_call", "call_id": "c"}, "input[0].operation"),
            ({"type": "reasoning", "id": "rs_1", "summary": "a"}, "input[0].summary"),
        ],
    )
    def test_a_wrong_item_is_named_by_its_path(self, item: Any, path: str) -> None:
        with pytest.raises(BadRequest) as caught:
            asked(input=[item])
        assert caught.value.param == path

    @pytest.mark.parametrize("value", [7, {"role": "user"}, True])
    def test_input_of_another_type_is_refused(self, value: Any) -> None:
        with pytest.raises(BadRequest) as caught:
            asked(input=value)
        assert caught.value.param == "input"

    def test_a_request_without_input_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="missing"):
            SERVER.decode_request(b'{"model":"m"}')

    def test_a_body_that_is_nested_without_end_is_refused(self) -> None:
        deep = b'{"input":[{"role":"user","content":[' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"]}]}"
        with pytest.raises(BadRequest, match="deep"):
            SERVER.decode_request(deep)


class TestParts:
    def test_texts_of_every_name(self) -> None:
        for name in ("input_text", "output_text", "text", "summary_text"):
            assert part(type=name, text="a") == TextBlock(text="a", at="input[0].content[0]")

    def test_a_string_among_parts_is_text(self) -> None:
        assert blocks({"role": "user", "content": ["a"]}) == [TextBlock(text="a", at="input[0].content[0]")]

    def test_one_part_without_its_array(self) -> None:
        said = blocks({"role": "user", "content": {"type": "input_text", "text": "a"}})
        assert said == [TextBlock(text="a", at="input[0].content")]

    def test_a_message_without_content_is_empty(self) -> None:
        assert blocks({"role": "assistant", "content": None}) == []

    def test_pictures_come_as_data_as_address_and_as_file(self) -> None:
        at = "input[0].content[0]"
        assert part(type="input_image", image_url=PNG, detail="low") == ImageBlock(
            source=DataSource(media_type="image/png", data="iVBORw0KGgo="), detail="low", at=at
        )
        assert part(type="input_image", image_url="https://a.example/b.png") == ImageBlock(
            source=UrlSource("https://a.example/b.png"), at=at
        )
        assert part(type="input_image", file_id="file-1").source == FileSource("file-1")

    def test_a_picture_as_chat_writes_it(self) -> None:
        image = part(type="image_url", image_url={"url": PNG, "detail": "high"})
        assert (image.source.media_type, image.detail) == ("image/png", "high")

    def test_files_come_in_three_ways(self) -> None:
        pdf = part(type="input_file", filename="a.pdf", file_data="JVBERi0xLjQK")
        assert pdf == DocumentBlock(
            source=DataSource(media_type="application/pdf", data="JVBERi0xLjQK"),
            name="a.pdf",
            at="input[0].content[0]",
        )
        assert part(type="input_file", file_url="https://a.example/b").source == UrlSource(
            "https://a.example/b"
        )
        assert part(type="input_file", file_id="file-1").source == FileSource("file-1")

    def test_a_text_file_is_its_text(self) -> None:
        assert part(type="input_file", file_data="data:text/csv;base64,YSxi").source == TextSource("a,b")

    def test_a_text_file_that_is_no_utf8_stays_data(self) -> None:
        assert part(type="input_file", file_data="data:text/plain;base64,/w==").source == DataSource(
            media_type="text/plain", data="/w=="
        )

    def test_a_picture_sent_as_a_file_is_a_picture(self) -> None:
        assert isinstance(part(type="input_file", file_data=PNG), ImageBlock)

    def test_sound_flat_and_nested(self) -> None:
        sound = AudioBlock(data="UklGRg==", format="wav", at="input[0].content[0]")
        assert part(type="input_audio", data="UklGRg==", format="wav") == sound
        assert part(type="input_audio", input_audio={"data": "UklGRg", "format": "wav"}) == sound

    def test_a_refusal(self) -> None:
        assert part(type="refusal", refusal="no") == RefusalBlock(text="no", at="input[0].content[0]")

    def test_what_nobody_knows_stays_raw(self) -> None:
        raw = part(type="input_video", video_url="https://a.example/b.mp4")
        assert isinstance(raw, RawBlock)
        assert (raw.type_name, json.loads(raw.data)["video_url"]) == (
            "input_video",
            "https://a.example/b.mp4",
        )

    @pytest.mark.parametrize(
        ("mark", "ttl"),
        [
            ({"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "12h"}}, "1h"),
            ({"prompt_cache_breakpoint": {"mode": "explicit", "ttl": "30m"}}, None),
            ({"cache_control": {"type": "ephemeral", "ttl": "5m"}}, "5m"),
            ({"cache_control": {"type": "ephemeral", "ttl": "9m"}}, None),
        ],
    )
    def test_cache_marks_in_both_words(self, mark: dict[str, Any], ttl: Any) -> None:
        name = next(iter(mark))
        said = part(type="input_text", text="a", **mark)
        assert said.cache == CacheMark(ttl=ttl, at=f"input[0].content[0].{name}")

    @pytest.mark.parametrize(
        ("members", "path"),
        [
            ({"type": "input_image"}, "image_url"),
            ({"type": "input_image", "image_url": "file:///etc/passwd"}, "image_url"),
            ({"type": "input_image", "image_url": "data:image/png,abc"}, "image_url"),
            ({"type": "input_image", "image_url": "data:image/png;base64,%%"}, "image_url"),
            ({"type": "input_file"}, "file_data"),
            ({"type": "input_file", "file_data": "%%"}, "file_data"),
            ({"type": "input_audio", "format": "wav"}, "data"),
        ],
    )
    def test_a_broken_part_is_named_by_its_path(self, members: dict[str, Any], path: str) -> None:
        with pytest.raises(BadRequest) as caught:
            part(**members)
        assert caught.value.param == f"input[0].content[0].{path}"


class TestCallsAndResults:
    def test_a_call_with_everything(self) -> None:
        (call,) = blocks(
            {
                "type": "function_call",
                "id": "fc_1",
                "call_id": "c1",
                "name": "get",
                "namespace": "crm",
                "arguments": "{}",
                "status": "completed",
            }
        )
        assert call == ToolCallBlock(
            id="c1", name="get", namespace="crm", arguments="{}", item_id="fc_1", at="input[0]"
        )

    def test_a_call_known_only_by_its_item(self) -> None:
        assert blocks({"type": "function_call", "id": "fc_1", "name": "f", "arguments": "{}"})[0].id == "fc_1"

    def test_arguments_as_an_object(self) -> None:
        call = {"type": "function_call", "call_id": "c", "name": "f"}
        assert blocks({**call, "arguments": {"a": 1}})[0].arguments == '{"a":1}'
        assert blocks(call)[0].arguments == ""

    def test_a_free_form_call(self) -> None:
        (call,) = blocks({"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** Begin"})
        assert (call.custom, call.arguments) == (True, "*** Begin")

    def test_results_as_text_and_in_parts(self) -> None:
        text, parts = blocks(
            {"type": "function_call_output", "call_id": "c", "output": "a"},
            {
                "type": "custom_tool_call_output",
                "call_id": "d",
                "name": "t",
                "output": [
                    {"type": "input_text", "text": "b"},
                    {"type": "input_image", "image_url": PNG},
                    {"type": "refusal", "refusal": "no"},
                    {"type": "input_audio", "data": "UklGRg==", "format": "wav"},
                ],
            },
        )
        assert text == ToolResultBlock(
            call_id="c", content=(TextBlock(text="a", at="input[0].output"),), at="input[0]"
        )
        assert parts.name == "t"
        kinds = [type(each) for each in parts.content]
        assert kinds == [TextBlock, ImageBlock, TextBlock, RawBlock]

    def test_tools_that_the_caller_runs_are_functions(self) -> None:
        call, shell, older = blocks(
            {
                "type": "apply_patch_call",
                "call_id": "c",
                "operation": {"type": "update_file", "path": "a", "diff": "+x"},
            },
            {"type": "shell_call", "call_id": "d", "action": {"commands": ["ls"]}},
            {"type": "local_shell_call", "id": "e", "action": {"type": "exec", "command": ["ls"]}},
        )
        assert (call.name, json.loads(call.arguments)) == (
            "apply_patch",
            {"type": "update_file", "path": "a", "diff": "+x"},
        )
        assert (shell.name, shell.arguments) == ("shell", '{"commands":["ls"]}')
        assert (older.id, older.name, older.arguments) == ("e", "local_shell", '{"command":["ls"]}')

    def test_what_such_tools_gave_back(self) -> None:
        failed, silent, shell = blocks(
            {"type": "apply_patch_call_output", "call_id": "c", "status": "failed"},
            {"type": "apply_patch_call_output", "call_id": "c", "status": "completed"},
            {"type": "shell_call_output", "call_id": "d", "output": [{"stdout": "a"}]},
        )
        assert (failed.is_error, failed.content[0].text) == (True, "The patch could not be applied.")
        assert (silent.is_error, silent.content[0].text) == (False, "Done.")
        assert shell.content[0].text == '[{"stdout":"a"}]'


class TestThinking:
    def test_openais_own_item_keeps_blob_id_and_parts(self) -> None:
        (block,) = blocks(
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"type": "summary_text", "text": "a"}, {"type": "summary_text", "text": "b"}],
                "encrypted_content": "gAAA+/=",
            }
        )
        assert block == ReasoningBlock(
            text="a\n\nb",
            summary=True,
            opaque=Opaque(kind="openai_encrypted", data="gAAA+/=#1,1", item_id="rs_1"),
            at="input[0]",
        )

    def test_a_blob_without_its_id_is_nothing(self) -> None:
        request = asked(input=[{"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}])
        assert request.turns[0].blocks == (ReasoningBlock(summary=True, at="input[0]"),)
        assert request.dropped == ("input[0].encrypted_content",)

    def test_thinking_itself_is_no_summary(self) -> None:
        (block,) = blocks(
            {
                "type": "reasoning",
                "id": "rs_1",
                "summary": [],
                "content": [{"type": "reasoning_text", "text": "a"}],
            }
        )
        assert block == ReasoningBlock(text="a", at="input[0]")

    @pytest.mark.parametrize(
        "broken", ["pmp1.", "pmp1.nothing.e30", "pmp1.text.%%", "pmp1.text.e30.e30", "pmp1.text.bnVsbA"]
    )
    def test_a_broken_envelope_leaves_the_text(self, broken: str) -> None:
        summary = [{"type": "summary_text", "text": "a"}]
        (block,) = blocks(
            {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": broken}
        )
        assert block == ReasoningBlock(text="a", summary=True, at="input[0]")


class TestOtherItems:
    def test_items_of_openais_servers_stay_raw(self) -> None:
        item = {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search"}}
        (raw,) = blocks(item)
        assert isinstance(raw, RawBlock)
        assert (raw.dialect, raw.type_name, json.loads(raw.data)) == (
            "openai_responses",
            "web_search_call",
            item,
        )

    @pytest.mark.parametrize(
        "item",
        [
            {"type": "item_reference", "id": "msg_1"},
            {"id": "msg_1"},
            {"type": "compaction", "id": "cmp_1", "encrypted_content": "gAAA"},
            {"type": "compaction_trigger"},
        ],
    )
    def test_what_only_a_server_could_explain_is_refused(self, item: dict[str, Any]) -> None:
        with pytest.raises(UnsupportedFeature) as caught:
            asked(input=[{"role": "user", "content": "a"}, item])
        assert caught.value.param == "input[1]"

    def test_tools_inside_the_conversation_join_the_others(self) -> None:
        request = asked(
            tools=[{"type": "function", "name": "a"}],
            input=[
                {"role": "user", "content": "hi"},
                {
                    "type": "additional_tools",
                    "role": "developer",
                    "tools": [{"type": "function", "name": "b"}],
                },
                {"type": "tool_search_output", "call_id": "c", "tools": [{"type": "custom", "name": "d"}]},
            ],
        )
        assert [tool.name for tool in request.tools] == ["a", "b", "d"]

    def test_the_last_change_of_settings_counts(self) -> None:
        request = asked(
            reasoning={"effort": "low", "summary": "auto"},
            text={"format": {"type": "json_object"}},
            input=[
                {"role": "user", "content": "hi"},
                {"type": "configuration_update", "reasoning": {"effort": "high"}},
                {"type": "configuration_update", "text": {"format": {"type": "text"}}},
            ],
        )
        assert request.reasoning == ReasoningWish(mode="level", level="high", visible="summary")
        assert request.output is None
        assert request.dropped == ("reasoning.effort", "text.format")
        assert request.paths["reasoning"] == "input[1].reasoning.effort"


class TestTools:
    def test_functions_flat_and_nested(self) -> None:
        flat, nested = asked(
            tools=[
                {
                    "type": "function",
                    "name": "f",
                    "description": "d",
                    "parameters": {"type": "object"},
                    "strict": True,
                },
                {"type": "function", "function": {"name": "g"}},
            ]
        ).tools
        assert (flat.name, flat.description, flat.schema, flat.strict) == ("f", "d", {"type": "object"}, True)
        assert (nested.name, nested.schema, nested.strict) == ("g", None, None)

    def test_grammars_are_kept_without_their_type(self) -> None:
        grammar = {"type": "grammar", "syntax": "lark", "definition": "start: x"}
        custom, nested, text = asked(
            tools=[
                {"type": "custom", "name": "a", "format": grammar},
                {
                    "type": "custom",
                    "custom": {
                        "name": "b",
                        "format": {"type": "grammar", "grammar": {"syntax": "regex", "definition": "x"}},
                    },
                },
                {"type": "custom", "name": "c", "format": {"type": "text"}},
            ]
        ).tools
        assert custom.grammar == {"syntax": "lark", "definition": "start: x"}
        assert nested.grammar == {"syntax": "regex", "definition": "x"}
        assert (text.kind, text.grammar) == ("custom", None)

    def test_a_shell_in_a_container_is_openais(self) -> None:
        local, hosted = asked(
            tools=[
                {"type": "shell", "environment": {"type": "local"}},
                {"type": "shell", "environment": {"type": "container_auto"}},
            ]
        ).tools
        assert (local.kind, hosted.kind) == ("function", "server")

    @pytest.mark.parametrize(
        ("choice", "means"),
        [
            ("auto", ToolChoice(mode="auto")),
            ("none", ToolChoice(mode="none")),
            ("required", ToolChoice(mode="required")),
            ({"type": "auto"}, ToolChoice(mode="auto")),
            ({"type": "function", "name": "f"}, ToolChoice(mode="named", names=("f",))),
            ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode="named", names=("f",))),
            ({"type": "custom", "name": "p"}, ToolChoice(mode="named", names=("p",))),
            ({"type": "apply_patch"}, ToolChoice(mode="named", names=("apply_patch",))),
            ({"type": "web_search_preview"}, ToolChoice(mode="named", names=("web_search_preview",))),
            (
                {
                    "type": "allowed_tools",
                    "mode": "required",
                    "tools": [{"type": "function", "name": "f"}, {"type": "mcp"}],
                },
                ToolChoice(mode="subset", names=("f", "mcp"), required=True),
            ),
            ({"type": "allowed_tools", "mode": "auto", "tools": []}, ToolChoice(mode="subset")),
        ],
    )
    def test_choices(self, choice: Any, means: ToolChoice) -> None:
        assert asked(tool_choice=choice).tool_choice == means

    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"tools": {}}, "tools"),
            ({"tools": ["f"]}, "tools[0]"),
            ({"tools": [{"type": "function"}]}, "tools[0].name"),
            ({"tools": [{"type": "namespace", "tools": []}]}, "tools[0].name"),
            ({"tools": [{"type": "function", "name": "f", "parameters": []}]}, "tools[0].parameters"),
            ({"tool_choice": "sometimes"}, "tool_choice"),
            ({"tool_choice": {"type": "function"}}, "tool_choice.name"),
            ({"tool_choice": 7}, "tool_choice"),
        ],
    )
    def test_wrong_tools_are_named_by_their_path(self, fields: dict[str, Any], path: str) -> None:
        with pytest.raises(BadRequest) as caught:
            asked(**fields)
        assert caught.value.param == path


class TestFields:
    def test_everything_scalar(self) -> None:
        request = asked(
            stream=True,
            max_output_tokens=77,
            temperature=0.5,
            top_p=0.9,
            parallel_tool_calls=False,
            service_tier="flex",
            prompt_cache_key="k",
            safety_identifier="u",
            metadata={"a": "b"},
            text={"verbosity": "low"},
            include=["message.output_text.logprobs"],
            top_logprobs=2,
        )
        assert (request.stream, request.max_output, request.parallel_tools) == (True, 77, False)
        assert (request.sampling.temperature, request.sampling.top_p) == (0.5, 0.9)
        assert (request.sampling.logprobs, request.sampling.top_logprobs) == (True, 2)
        assert (request.service_tier, request.cache_key, request.end_user) == ("flex", "k", "u")
        assert (request.metadata, request.verbosity, request.dropped) == ({"a": "b"}, "low", ())

    @pytest.mark.parametrize(
        ("reasoning", "wish"),
        [
            (None, None),
            ({}, None),
            ({"effort": None, "summary": None}, None),
            ({"effort": "none"}, ReasoningWish(mode="off")),
            ({"effort": "high"}, ReasoningWish(mode="level", level="high")),
            (
                {"effort": "high", "summary": "auto"},
                ReasoningWish(mode="level", level="high", visible="summary"),
            ),
            ({"summary": "auto"}, ReasoningWish(mode="auto", visible="summary")),
            ({"generate_summary": "concise"}, ReasoningWish(mode="auto", visible="summary")),
            ({"effort": "auto"}, ReasoningWish(mode="auto")),
            ({"effort": "low", "summary": "none"}, ReasoningWish(mode="level", level="low", visible="none")),
        ],
    )
    def test_wishes_to_think(self, reasoning: Any, wish: ReasoningWish | None) -> None:
        assert asked(reasoning=reasoning).reasoning == wish

    @pytest.mark.parametrize(
        ("reasoning", "shown"),
        [
            (None, False),
            ({"effort": "none"}, False),
            ({"effort": "low"}, True),
            ({"summary": "auto"}, True),
            ({"effort": "low", "summary": "none"}, False),
        ],
    )
    def test_thinking_is_shown_to_who_spoke_of_it(self, reasoning: Any, *, shown: bool) -> None:
        assert SERVER.shows_reasoning(asked(reasoning=reasoning)) is shown

    def test_forms_of_the_answer(self) -> None:
        schema = {"type": "object"}
        given = {"type": "json_schema", "name": "n", "schema": schema, "strict": True, "description": "d"}
        assert asked(text={"format": given}).output == OutputFormat(
            kind="schema", schema=schema, name="n", strict=True, description="d"
        )
        assert asked(text={"format": {"type": "json_object"}}).output == OutputFormat(kind="json")
        assert asked(text={"format": {"type": "text"}}).output is None

    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
            ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
            ({"text": "json"}, "text"),
            ({"include": "all"}, "include"),
            ({"include": [7]}, "include[0]"),
            ({"max_output_tokens": "many"}, "max_output_tokens"),
            ({"max_output_tokens": 1.5}, "max_output_tokens"),
            ({"temperature": True}, "temperature"),
            ({"metadata": []}, "metadata"),
            ({"stop": [7]}, "stop"),
            ({"n": 0}, "n"),
            ({"reasoning": "high"}, "reasoning"),
        ],
    )
    def test_wrong_fields_are_named_by_their_path(self, fields: dict[str, Any], path: str) -> None:
        with pytest.raises(BadRequest) as caught:
            asked(**fields)
        assert caught.value.param == path

    def test_what_asks_for_nothing_is_not_listed(self) -> None:
        request = asked(
            store=False, truncation="disabled", background=False, conversation=None, previous_response_id=None,
            prompt=None, moderation={}, include=["reasoning.encrypted_content"], stop="", client_metadata={},
        )  # fmt: skip
        assert (request.dropped, request.extra) == ((), {})

    def test_unknown_fields_are_kept_by_their_names(self) -> None:
        assert asked(client_metadata={"a": "b"}, truncation="auto").extra == {
            "client_metadata": {"a": "b"},
            "truncation": "auto",
        }

    def test_what_would_steer_the_transport_is_listed(self) -> None:
        assert asked(api_base="https://elsewhere.example").dropped == ("api_base",)

    def test_half_an_emoji_becomes_a_replacement(self) -> None:
        request = SERVER.decode_request(rb'{"input":"a\ud83d"}')
        assert request.turns[0].blocks == (TextBlock(text="a\ufffd", at="input"),)

    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"conversation": "conv_1"}, "conversation"),
            ({"background": True}, "background"),
            ({"prompt": {"id": "pmpt_1"}}, "prompt"),
            ({"moderation": {"policy": {"output": {"mode": "block"}}}}, "moderation.policy.output.mode"),
        ],
    )
    def test_what_nobody_else_can_do_is_refused(self, fields: dict[str, Any], path: str) -> None:
        with pytest.raises(UnsupportedFeature) as caught:
            asked(**fields)
        assert caught.value.param == path

    def test_moderation_that_only_counts_is_kept_for_the_list(self) -> None:
        assert "moderation" in asked(moderation={"policy": {"input": {"mode": "score"}}}).extra

    def test_the_body_of_another_kind_is_refused(self) -> None:
        with pytest.raises(BadRequest):
            SERVER.decode_request(b"[]")
        assert asking().startswith(b"{")
