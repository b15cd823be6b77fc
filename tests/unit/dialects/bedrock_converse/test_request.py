"""What is sent to Bedrock."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pi_model_proxy.dialects.bedrock_converse import CLIENT
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
from support.kind_streams import answered, calling, encoded, request, said, target

SONNET = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
OPUS = "anthropic.claude-opus-4-8"
WEATHER = Tool(name="weather", schema={"type": "object", "properties": {}})
PNG = DataSource("image/png", "iVBORw0KGgo=")
THINK = ReasoningWish(mode="level", level="medium")

Json = dict[str, Any]


def sent(asked: Request, model: str = SONNET, **changes: Any) -> Json:
    body, _ = encoded(CLIENT, asked, target(CLIENT, model=model, **changes))
    return body


def lost(asked: Request, model: str = SONNET, **changes: Any) -> tuple[str, ...]:
    _, outgoing = encoded(CLIENT, asked, target(CLIENT, model=model, **changes))
    return outgoing.dropped


class TestWhereItGoes:
    @pytest.mark.parametrize(
        ("model", "path"),
        [
            (SONNET, "/model/us.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse-stream"),
            (
                "arn:aws:bedrock:eu-west-1:1:inference-profile/x",
                "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx/converse-stream",
            ),
        ],
    )
    def test_the_model_stands_in_the_path_and_only_there(self, model: str, path: str) -> None:
        body, outgoing = encoded(CLIENT, request(), target(CLIENT, model=model))
        assert outgoing.path == path
        assert outgoing.headers == {"accept": "application/vnd.amazon.eventstream"}
        assert outgoing.stream
        assert "model" not in body

    def test_the_display_name_tells_what_an_arn_does_not(self) -> None:
        arn = "arn:aws:bedrock:eu-west-1:1:application-inference-profile/x"
        named = sent(request(), arn, model_name="Claude Sonnet 4.5", auto_cache=True)
        assert named["inferenceConfig"]["maxTokens"] == 16_384
        assert "cachePoint" in named["messages"][-1]["content"][-1]
        assert "inferenceConfig" not in sent(request(), arn)


class TestConversation:
    def test_sides_alternate_and_results_come_first(self) -> None:
        asked = request(
            said("one"), said("two"), calling("a", "b"), answered("b", "B"), answered("a", "A"), said("go on")
        )
        roles = [(m["role"], [next(iter(block)) for block in m["content"]]) for m in sent(asked)["messages"]]
        assert roles == [
            ("user", ["text", "text"]),
            ("assistant", ["toolUse", "toolUse"]),
            ("user", ["toolResult", "toolResult", "text"]),
        ]

    def test_the_user_begins_even_where_the_assistant_did(self) -> None:
        messages = sent(request(said("hello", role="assistant"), said("hi")))["messages"]
        assert [m["role"] for m in messages] == ["user", "assistant", "user"]

    def test_instructions_alone_are_what_the_user_says(self) -> None:
        asked = Request(dialect="openai_chat", model="m", instructions=(TextBlock(text="Be."),))
        body = sent(asked)
        assert body["messages"] == [{"role": "user", "content": [{"text": "Be."}]}]
        assert "system" not in body

    def test_nothing_at_all_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="nothing to send"):
            sent(Request(dialect="openai_chat", model="m"))

    def test_instructions_keep_their_blocks_without_blank_ones(self) -> None:
        asked = request(instructions=(TextBlock(text="a"), TextBlock(text=" "), TextBlock(text="b\ud800")))
        assert sent(asked)["system"] == [{"text": "a"}, {"text": "b\ufffd"}]

    def test_instructions_in_mid_conversation_are_marked_user_text(self) -> None:
        messages = sent(request(said("hi"), said("Be brief.", role="system")))["messages"]
        assert messages[0]["content"][1] == {"text": "<system>\nBe brief.\n</system>"}

    def test_an_answer_of_claude_ends_neither_in_thinking_nor_in_whitespace(self) -> None:
        thought = ReasoningBlock(
            text="t", opaque=Opaque(kind="anthropic_signature", data="s"), at="m[1].c[1]"
        )
        asked = request(said("hi"), said("So: ", thought, role="assistant"))
        assert sent(asked)["messages"][-1]["content"] == [{"text": "So:"}]
        assert lost(asked) == ("m[1].c[1]",)

    def test_a_refusal_is_text(self) -> None:
        asked = request(said("hi"), said(RefusalBlock(text="No."), role="assistant"), said("why"))
        assert sent(asked)["messages"][1]["content"] == [{"text": "No."}]

    def test_what_only_the_other_side_may_say_is_listed(self) -> None:
        call = ToolCallBlock(id="a", name="f", at="m[0].c[1]")
        picture = ImageBlock(source=PNG, at="m[1].c[0]")
        asked = request(said("hi", call), said(picture, role="assistant"), said("go"))
        assert sent(asked)["messages"] == [{"role": "user", "content": [{"text": "hi"}, {"text": "go"}]}]
        assert lost(asked) == ("m[0].c[1]", "m[1].c[0]")

    def test_sound_is_refused(self) -> None:
        with pytest.raises(UnsupportedFeature, match="audio"):
            sent(request(said(AudioBlock(data="AA", format="wav", at="messages[0].content[0]"))))


class TestCallsAndResults:
    @pytest.mark.parametrize(
        ("arguments", "input_"),
        [
            ("", {}),
            ('{"a":1,"":2,"b":[{"":3,"c":4}]}', {"a": 1, "b": [{"c": 4}]}),
            ("{bad", {"_raw": "{bad"}),
            ("[1]", {"_raw": "[1]"}),
        ],
    )
    def test_arguments_are_an_object_amazon_can_hold(self, arguments: str, input_: Json) -> None:
        asked = request(said("hi"), calling("a", arguments=arguments), answered("a", "ok"))
        assert sent(asked)["messages"][1]["content"][0]["toolUse"]["input"] == input_

    def test_a_free_form_tool_is_a_function_with_one_string(self) -> None:
        patch = ToolCallBlock(id="a", name="patch", arguments="*** Begin", custom=True)
        tool = Tool(
            kind="custom",
            name="patch",
            grammar={"syntax": "lark"},
            at="tools[0]",
            words={"grammar": "custom.format"},
        )
        asked = request(said("hi"), said(patch, role="assistant"), answered("a", "ok"), tools=(tool,))
        body = sent(asked)
        assert body["messages"][1]["content"][0]["toolUse"]["input"] == {"input": "*** Begin"}
        spec = body["toolConfig"]["tools"][0]["toolSpec"]
        assert spec["inputSchema"]["json"]["required"] == ["input"]
        assert lost(asked) == ("tools[0].custom.format",)

    def test_results_say_how_it_went_and_are_never_empty(self) -> None:
        asked = request(said("hi"), calling("a", "b"), answered("a"), answered("b", "no", is_error=True))
        results = [block["toolResult"] for block in sent(asked)["messages"][2]["content"]]
        assert [(each["status"], each["content"]) for each in results] == [
            ("success", [{"text": "<empty>"}]),
            ("error", [{"text": "no"}]),
        ]

    def test_pictures_and_documents_stay_in_a_result(self) -> None:
        document = DocumentBlock(source=TextSource(text="long"), name="notes")
        asked = request(said("hi"), calling("a"), answered("a", ImageBlock(source=PNG), document))
        content = sent(asked)["messages"][2]["content"][0]["toolResult"]["content"]
        assert [next(iter(part)) for part in content] == ["image", "document"]

    def test_what_cannot_be_shown_in_a_result_is_listed(self) -> None:
        raw = RawBlock(dialect="bedrock_converse", type_name="x", data="{}", at="messages[2].content[0]")
        asked = request(said("hi"), calling("a"), answered("a", "ok", raw))
        assert lost(asked) == ("messages[2].content[0]",)

    def test_other_models_than_claude_get_pictures_of_errors_where_they_were(self) -> None:
        asked = request(said("hi"), calling("a"), answered("a", "no", ImageBlock(source=PNG), is_error=True))
        nova = sent(asked, "amazon.nova-pro-v1:0")["messages"][2]["content"]
        assert [next(iter(part)) for part in nova[0]["toolResult"]["content"]] == ["text", "image"]


class TestThinkingOfBefore:
    SIGNED = ReasoningBlock(text="hm", opaque=Opaque(kind="anthropic_signature", data="sig"), at="m[1].c[0]")
    HIDDEN = ReasoningBlock(opaque=Opaque(kind="anthropic_redacted", data="AAA="))
    SEALED = ReasoningBlock(opaque=Opaque(kind="openai_encrypted", data="BBB="))
    PLAIN = ReasoningBlock(text="hm", at="m[1].c[0]")

    def _kept(self, block: ReasoningBlock, model: str, **changes: Any) -> list[Json]:
        asked = request(said("hi"), said(block, "So.", role="assistant"), said("go"))
        return [
            each for each in sent(asked, model, **changes)["messages"][1]["content"] if "text" not in each
        ]

    def test_claude_gets_its_signatures_and_what_it_hid(self) -> None:
        assert self._kept(self.SIGNED, SONNET) == [
            {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "sig"}}}
        ]
        assert self._kept(self.HIDDEN, SONNET) == [{"reasoningContent": {"redactedContent": "AAA="}}]

    @pytest.mark.parametrize("block", [SEALED, PLAIN])
    def test_claude_gets_nothing_it_has_not_signed(self, block: ReasoningBlock) -> None:
        assert self._kept(block, SONNET) == []

    def test_others_get_their_sealed_thinking_and_plain_text_but_no_signature(self) -> None:
        gpt = "openai.gpt-5.5"
        assert self._kept(self.SEALED, gpt) == [{"reasoningContent": {"redactedContent": "BBB="}}]
        assert self._kept(self.PLAIN, gpt, reasoning=True) == [
            {"reasoningContent": {"reasoningText": {"text": "hm"}}}
        ]
        assert self._kept(self.PLAIN, gpt) == []
        assert self._kept(self.SIGNED, gpt) == []

    def test_a_token_with_an_id_is_another_formats(self) -> None:
        foreign = ReasoningBlock(
            opaque=Opaque(kind="openai_encrypted", data="x", item_id="rs_1"), at="messages[1].content[0]"
        )
        asked = request(said("hi"), said(foreign, "So.", role="assistant"), said("go"))
        assert lost(asked, "openai.gpt-5.5") == ("messages[1].content[0]",)

    def test_signed_thinking_without_text_is_listed(self) -> None:
        empty = ReasoningBlock(opaque=Opaque(kind="anthropic_signature", data="sig"), at="m[1].c[0]")
        asked = request(said("hi"), said(empty, "So.", role="assistant"), said("go"))
        assert lost(asked) == ("m[1].c[0]",)


class TestMedia:
    @pytest.mark.parametrize(
        ("media_type", "form"),
        [
            ("image/png", "png"),
            ("image/JPG", "jpeg"),
            ("image/jpeg", "jpeg"),
            ("image/gif", "gif"),
            ("image/webp", "webp"),
        ],
    )
    def test_pictures_are_bytes_with_a_format(self, media_type: str, form: str) -> None:
        asked = request(
            said(ImageBlock(source=DataSource(media_type, "AAAA"), detail="high", at="m[0].c[0]"))
        )
        assert sent(asked)["messages"][0]["content"] == [
            {"image": {"format": form, "source": {"bytes": "AAAA"}}}
        ]
        assert lost(asked) == ("m[0].c[0].detail",)

    @pytest.mark.parametrize(
        ("source", "why"),
        [
            (UrlSource("https://x/a.png"), "fetches no addresses"),
            (FileSource("file_1"), "stored at another provider"),
            (DataSource("image/tiff", "AAAA"), "no picture"),
        ],
    )
    def test_other_pictures_are_refused_under_their_path(self, source: Any, why: str) -> None:
        with pytest.raises(UnsupportedFeature, match=why) as caught:
            sent(request(said(ImageBlock(source=source, at="messages[0].content[0]"))))
        assert caught.value.param == "messages[0].content[0]"

    @pytest.mark.parametrize(
        ("media_type", "form"),
        [
            ("application/pdf", "pdf"),
            ("text/csv", "csv"),
            ("text/x-log", "txt"),
            ("application/json", "txt"),
            ("application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"),
        ],
    )
    def test_documents_have_a_format_a_name_and_a_text_beside_them(self, media_type: str, form: str) -> None:
        block = DocumentBlock(
            source=DataSource(media_type, "AAAA"), name="Q3 (final)_v2.pdf", context="ours", citations=True
        )
        assert sent(request(said(block)))["messages"][0]["content"] == [
            {"text": "(See the document.)"},
            {
                "document": {
                    "format": form,
                    "name": "Q3 (final)-v2-pdf",
                    "source": {"bytes": "AAAA"},
                    "context": "ours",
                    "citations": {"enabled": True},
                }
            },
        ]

    def test_document_names_are_legal_short_and_distinct(self) -> None:
        names = ["a", "a", "  ..  ", None, "x" * 300, "x" * 300, "tab\t\there"]
        blocks = [DocumentBlock(source=TextSource(text="t"), name=name) for name in names]
        content = sent(request(said("see", *blocks)))["messages"][0]["content"]
        written = [block["document"]["name"] for block in content[1:]]
        assert written[:4] == ["a", "a (2)", "document", "document (2)"]
        assert written[4:] == ["x" * 200, "x" * 196 + " (2)", "tab here"]

    def test_a_text_document_is_sent_as_a_text_file(self) -> None:
        content = sent(request(said("see", DocumentBlock(source=TextSource(text="é")))))["messages"][0][
            "content"
        ]
        document = content[1]["document"]
        assert (document["format"], base64.b64decode(document["source"]["bytes"]).decode()) == ("txt", "é")

    @pytest.mark.parametrize("source", [UrlSource("https://x/a.pdf"), DataSource("application/zip", "AAAA")])
    def test_other_documents_are_refused(self, source: Any) -> None:
        with pytest.raises(UnsupportedFeature):
            sent(request(said(DocumentBlock(source=source, at="messages[0].content[0]"))))


class TestTools:
    def test_a_tool_is_a_spec_with_an_object_at_its_schemas_root(self) -> None:
        tool = Tool(
            name="mcp.server/get",
            description="Gets.",
            schema={"anyOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}]},
            at="tools[0]",
            words={"schema": "function.parameters"},
        )
        asked = request(tools=(tool,))
        assert sent(asked)["toolConfig"] == {
            "tools": [
                {
                    "toolSpec": {
                        "name": "mcp_server_get",
                        "description": "Gets.",
                        "inputSchema": {
                            "json": {
                                "type": "object",
                                "properties": {"a": {"type": "string"}},
                                "required": ["a"],
                            }
                        },
                    }
                }
            ]
        }
        assert lost(asked) == ("tools[0].function.parameters",)

    @pytest.mark.parametrize(
        ("choice", "written"),
        [
            (None, None),
            (ToolChoice(mode="auto"), {"auto": {}}),
            (ToolChoice(mode="required"), {"any": {}}),
            (ToolChoice(mode="named", names=("weather",)), {"tool": {"name": "weather"}}),
            (ToolChoice(mode="subset", names=("weather",), required=True), {"any": {}}),
            (ToolChoice(mode="subset", names=("weather",)), None),
        ],
    )
    def test_the_choice_is_said(self, choice: ToolChoice | None, written: Json | None) -> None:
        other = Tool(name="other")
        config = sent(request(tools=(WEATHER, other), tool_choice=choice))["toolConfig"]
        assert config.get("toolChoice") == written
        offered = 1 if choice is not None and choice.mode == "subset" else 2
        assert len(config["tools"]) == offered

    def test_no_calls_means_no_tools(self) -> None:
        asked = request(tools=(WEATHER,), tool_choice=ToolChoice(mode="none"))
        assert "toolConfig" not in sent(asked)
        assert lost(asked) == ()

    def test_no_calls_keeps_the_tools_that_the_history_needs_and_says_so_in_words(self) -> None:
        asked = request(
            said("hi"),
            calling("a"),
            answered("a", "ok"),
            tools=(WEATHER,),
            tool_choice=ToolChoice(mode="none"),
        )
        body = sent(asked)
        assert [tool["toolSpec"]["name"] for tool in body["toolConfig"]["tools"]] == ["weather"]
        assert "toolChoice" not in body["toolConfig"]
        assert body["system"] == [{"text": "Do not call any tool now; answer in text."}]
        assert lost(asked) == ("tool_choice",)

    def test_a_history_with_calls_declares_them_even_if_no_tool_is_offered(self) -> None:
        body = sent(request(said("hi"), calling("a"), answered("a", "ok"), said("and?")))
        assert body["toolConfig"]["tools"] == [
            {
                "toolSpec": {
                    "name": "weather",
                    "description": "No longer available.",
                    "inputSchema": {"json": {"type": "object"}},
                }
            }
        ]
        assert body["system"][-1]["text"].startswith("Do not call")

    @pytest.mark.parametrize(
        "choice", [ToolChoice(mode="required"), ToolChoice(mode="subset", names=("x",), required=True)]
    )
    def test_a_demanded_call_without_tools_is_refused(self, choice: ToolChoice) -> None:
        with pytest.raises(UnsupportedFeature, match="no tool is offered"):
            sent(request(tool_choice=choice))

    def test_tools_that_run_elsewhere_are_removed_and_listed(self) -> None:
        search = Tool(kind="server", name="web_search", dialect="anthropic_messages", raw="{}", at="tools[1]")
        asked = request(tools=(WEATHER, search))
        assert lost(asked) == ("tools[1]",)
        with pytest.raises(UnsupportedFeature, match="cannot run"):
            sent(request(tools=(search,)))
        with pytest.raises(UnsupportedFeature, match="cannot run"):
            sent(
                request(tools=(WEATHER, search), tool_choice=ToolChoice(mode="named", names=("web_search",)))
            )

    def test_single_calls_are_asked_of_claude_in_its_own_words(self) -> None:
        body = sent(request(tools=(WEATHER,), parallel_tools=False))
        assert body["additionalModelRequestFields"] == {
            "tool_choice": {"type": "auto", "disable_parallel_tool_use": True}
        }
        assert "toolChoice" not in body["toolConfig"]

    def test_single_calls_are_listed_where_they_would_meet_another_choice(self) -> None:
        # BerriAI/litellm#36536: "The additional field tool_choice/type conflicts with the existing field".
        asked = request(tools=(WEATHER,), parallel_tools=False, tool_choice=ToolChoice(mode="required"))
        assert "additionalModelRequestFields" not in sent(asked)
        assert lost(asked) == ("parallel_tools",)
        assert lost(request(tools=(WEATHER,), parallel_tools=False), "amazon.nova-pro-v1:0") == (
            "parallel_tools",
        )

    def test_single_calls_are_not_listed_where_they_were_nobodys_wish(self) -> None:
        asked = request(tools=(WEATHER,), parallel_tools=False, legacy_functions=True)
        assert lost(asked, "amazon.nova-pro-v1:0") == ()

    def test_single_calls_without_tools_are_nothing_to_ask_for(self) -> None:
        # BerriAI/litellm#34420.
        assert "additionalModelRequestFields" not in sent(request(parallel_tools=False))

    def test_strictness_needs_the_flag_a_fitting_schema_and_room(self) -> None:
        closed = {"type": "object", "properties": {}, "additionalProperties": False}
        tools = tuple(
            Tool(
                name=f"t{n}",
                schema=closed,
                strict=True,
                at=f"tools[{n}]",
                words={"strict": "function.strict"},
            )
            for n in range(22)
        )
        compat = {"supportsStrictMode": True}
        written = sent(request(tools=tools), compat=compat)["toolConfig"]["tools"]
        assert sum("strict" in tool["toolSpec"] for tool in written) == 20
        assert lost(request(tools=tools), compat=compat) == (
            "tools[20].function.strict",
            "tools[21].function.strict",
        )
        assert lost(request(tools=tools[:1])) == ("tools[0].function.strict",)


class TestThinking:
    def _fields(self, model: str, wish: ReasoningWish, **changes: Any) -> Json:
        fields = sent(request(reasoning=wish), model, reasoning=True, **changes)
        return dict(fields.get("additionalModelRequestFields", {}))

    def test_older_claude_thinks_by_budget_and_between_calls(self) -> None:
        assert self._fields(SONNET, THINK) == {
            "thinking": {"type": "enabled", "budget_tokens": 8192, "display": "summarized"},
            "anthropic_beta": ["interleaved-thinking-2025-05-14"],
        }

    def test_newer_claude_thinks_by_effort_and_drops_stale_thinking(self) -> None:
        assert self._fields(OPUS, THINK) == {
            "thinking": {
                "type": "adaptive",
                "display": "summarized",
                "block_binding": {"prefix_mismatch_behavior": "drop_block"},
            },
            "output_config": {"effort": "medium"},
            "anthropic_beta": ["thinking-binding-controls-2026-08-01"],
        }

    def test_opus_4_6_knows_no_binding(self) -> None:
        fields = self._fields("us.anthropic.claude-opus-4-6-v1", THINK)
        assert fields == {
            "thinking": {"type": "adaptive", "display": "summarized"},
            "output_config": {"effort": "medium"},
        }

    def test_govcloud_knows_neither_display_nor_binding(self) -> None:
        assert self._fields("us-gov.anthropic.claude-opus-4-8", THINK)["thinking"] == {"type": "adaptive"}

    def test_as_much_as_it_takes_names_no_effort(self) -> None:
        assert "output_config" not in self._fields(OPUS, ReasoningWish(mode="auto"))

    @pytest.mark.parametrize(
        ("level", "effort"), [("minimal", "low"), ("low", "low"), ("high", "high"), ("xhigh", "xhigh")]
    )
    def test_levels_are_efforts(self, level: str, effort: str) -> None:
        fields = self._fields(
            OPUS, ReasoningWish(mode="level", level=level), thinking_levels={"xhigh": "xhigh"}
        )
        assert fields["output_config"] == {"effort": effort}

    @pytest.mark.parametrize("model", [SONNET, OPUS, "openai.gpt-5.5", "openai.gpt-oss-120b-1:0"])
    def test_off_is_said_by_saying_nothing(self, model: str) -> None:
        assert self._fields(model, ReasoningWish(mode="off")) == {}

    @pytest.mark.parametrize(
        ("model", "level", "fields"),
        [
            ("openai.gpt-5.5", "minimal", {"reasoning": {"effort": "low"}}),
            ("openai.gpt-5.5", "high", {"reasoning": {"effort": "high"}}),
            ("openai.gpt-oss-120b-1:0", "minimal", {"reasoning_effort": "low"}),
            ("openai.gpt-oss-120b-1:0", "high", {"reasoning_effort": "high"}),
        ],
    )
    def test_openais_models_have_two_other_words_for_it(self, model: str, level: str, fields: Json) -> None:
        assert self._fields(model, ReasoningWish(mode="level", level=level)) == fields

    def test_a_model_that_cannot_be_told_lists_the_wish(self) -> None:
        asked = request(reasoning=THINK, paths={"reasoning": "reasoning_effort"})
        assert lost(asked, "moonshot.kimi-k2-thinking", reasoning=True) == ("reasoning_effort",)

    def test_a_model_that_does_not_think_lists_the_wish(self) -> None:
        assert lost(request(reasoning=THINK)) == ("reasoning",)

    def test_thinking_that_shall_be_hidden_is_listed(self) -> None:
        wish = ReasoningWish(mode="auto", visible="none")
        asked = request(reasoning=wish, paths={"reasoning.visible": "thinking.display"})
        assert lost(asked, OPUS, reasoning=True) == ("thinking.display",)

    def test_a_limit_without_a_known_cap_is_taken_at_its_word(self) -> None:
        assert sent(request(max_output=99_999), max_output=0)["inferenceConfig"]["maxTokens"] == 99_999

    def test_a_level_it_lacks_is_listed(self) -> None:
        levels = {"medium": None}
        assert lost(request(reasoning=THINK), OPUS, reasoning=True, thinking_levels=levels) == ("reasoning",)

    def test_a_callers_limit_is_for_the_answer_and_the_budget_comes_on_top(self) -> None:
        body = sent(request(reasoning=THINK, max_output=1000), reasoning=True, max_output=64_000)
        assert body["inferenceConfig"]["maxTokens"] == 9192
        assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 8168

    def test_a_budget_within_the_limit_is_kept(self) -> None:
        wish = ReasoningWish(mode="budget", budget=2000)
        body = sent(request(reasoning=wish, max_output=4000), reasoning=True)
        assert body["inferenceConfig"]["maxTokens"] == 4000
        assert body["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2000

    def test_thinking_that_does_not_fit_is_given_up_and_listed(self) -> None:
        asked = request(reasoning=THINK, max_output=1000)
        assert "additionalModelRequestFields" not in sent(asked, reasoning=True, max_output=1500)
        assert lost(asked, reasoning=True, max_output=1500) == ("reasoning",)

    def test_any_demanded_call_becomes_auto(self) -> None:
        asked = request(reasoning=THINK, tools=(WEATHER,), tool_choice=ToolChoice(mode="required"))
        body = sent(asked, reasoning=True)
        assert body["toolConfig"]["toolChoice"] == {"auto": {}}
        assert lost(asked, reasoning=True) == ("tool_choice",)

    def test_for_one_certain_call_thinking_is_given_up(self) -> None:
        asked = request(
            reasoning=THINK, tools=(WEATHER,), tool_choice=ToolChoice(mode="named", names=("weather",))
        )
        body = sent(asked, reasoning=True)
        assert body["toolConfig"]["toolChoice"] == {"tool": {"name": "weather"}}
        assert "additionalModelRequestFields" not in body
        assert lost(asked, reasoning=True) == ("reasoning",)

    def test_an_answer_begun_by_the_caller_is_gone_on_with_without_thinking(self) -> None:
        asked = request(said("hi"), said("So", role="assistant"), reasoning=THINK)
        assert lost(asked, reasoning=True) == ("reasoning",)

    def test_a_tool_loop_without_thinking_goes_on_without_where_a_budget_counts(self) -> None:
        asked = request(said("hi"), calling("a"), answered("a", "ok"), reasoning=THINK, tools=(WEATHER,))
        assert "additionalModelRequestFields" not in sent(asked, reasoning=True)
        assert "thinking" in sent(asked, OPUS, reasoning=True)["additionalModelRequestFields"]

    def test_a_tool_loop_with_thinking_goes_on_with_it(self) -> None:
        signed = ReasoningBlock(text="hm", opaque=Opaque(kind="anthropic_signature", data="s"))
        turn = said(signed, ToolCallBlock(id="a", name="weather"), role="assistant")
        asked = request(said("hi"), turn, answered("a", "ok"), reasoning=THINK, tools=(WEATHER,))
        assert "thinking" in sent(asked, reasoning=True)["additionalModelRequestFields"]

    def test_a_loop_before_the_last_prompt_does_not_matter(self) -> None:
        asked = request(
            said("hi"),
            calling("a"),
            answered("a", "ok"),
            said("done", role="assistant"),
            said("next"),
            reasoning=THINK,
        )
        assert "thinking" in sent(asked, reasoning=True)["additionalModelRequestFields"]


class TestSingleFields:
    def test_limits_stops_and_sampling_are_inference_config(self) -> None:
        asked = request(
            max_output=300, stop=("END", " "), sampling=Sampling(temperature=0.5, top_p=0.9, top_k=7)
        )
        body = sent(asked)
        assert body["inferenceConfig"] == {"maxTokens": 300, "temperature": 0.5, "stopSequences": ["END"]}
        assert body["additionalModelRequestFields"] == {"top_k": 7}
        assert body["additionalModelResponseFieldPaths"] == ["/stop_sequence"]
        assert lost(asked) == ("sampling.top_p", "stop")

    def test_other_models_take_both_but_no_top_k_and_no_limit_unasked(self) -> None:
        asked = request(sampling=Sampling(temperature=1.7, top_p=0.9, top_k=7), stop=("END",))
        body = sent(asked, "amazon.nova-pro-v1:0")
        assert body["inferenceConfig"] == {"temperature": 1, "topP": 0.9, "stopSequences": ["END"]}
        assert "additionalModelResponseFieldPaths" not in body
        assert lost(asked, "amazon.nova-pro-v1:0") == ("sampling.temperature", "sampling.top_k")

    @pytest.mark.parametrize("changes", [{"model": OPUS}, {"reasoning": True}])
    def test_claude_takes_no_sampling_while_it_thinks_nor_from_opus_4_7_on(self, changes: Json) -> None:
        asked = request(sampling=Sampling(temperature=0.2, top_p=1, top_k=3), reasoning=THINK)
        settings = {"model": SONNET, "reasoning": "reasoning" in changes, **changes}
        model = settings.pop("model")
        assert "temperature" not in sent(asked, model, **settings)["inferenceConfig"]
        assert {"sampling.temperature", "sampling.top_k"} <= set(lost(asked, model, **settings))
        assert "sampling.top_p" not in lost(asked, model, **settings)

    def test_a_limit_beyond_the_models_is_listed(self) -> None:
        assert lost(request(max_output=99_999)) == ("max_output",)
        assert sent(request(max_output=99_999))["inferenceConfig"]["maxTokens"] == 16_384

    def test_json_is_asked_for_in_words(self) -> None:
        asked = request(output=OutputFormat(kind="json"))
        assert "JSON object" in sent(asked)["system"][-1]["text"]
        assert lost(asked) == ("output",)

    def test_what_claude_cannot_enforce_of_a_schema_is_listed(self) -> None:
        schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 3}}}
        asked = request(output=OutputFormat(kind="schema", schema=schema, strict=False, description="d"))
        form = sent(asked)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        assert form["name"] == "answer"
        assert form["description"] == "d"
        assert json.loads(form["schema"])["properties"]["n"] == {
            "type": "integer",
            "description": "minimum: 3",
        }
        assert lost(asked) == ("output.schema", "output.strict")
        nova = sent(asked, "amazon.nova-pro-v1:0")["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        assert json.loads(nova["schema"]) == schema

    def test_a_schema_claude_can_enforce_is_sent_as_it_is(self) -> None:
        schema = {"type": "object", "properties": {}, "additionalProperties": False}
        asked = request(output=OutputFormat(kind="schema", schema=schema, name="n", strict=True))
        form = sent(asked)["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        assert (form["name"], json.loads(form["schema"])) == ("n", schema)
        assert lost(asked) == ()

    @pytest.mark.parametrize(
        ("tier", "written"), [("auto", None), ("flex", {"type": "flex"}), ("priority", {"type": "priority"})]
    )
    def test_tiers_are_told(self, tier: str, written: Json | None) -> None:
        asked = request(service_tier=tier)
        assert sent(asked).get("serviceTier") == written
        assert lost(asked) == ()

    def test_a_tier_of_others_is_listed(self) -> None:
        assert lost(request(service_tier="scale")) == ("service_tier",)

    def test_metadata_is_sent_if_amazon_takes_it_all(self) -> None:
        assert sent(request(metadata={"team": "a b"}))["requestMetadata"] == {"team": "a b"}
        for metadata in ({"team": "ä"}, {"": "x"}, {f"k{n}": "v" for n in range(17)}):
            assert "requestMetadata" not in sent(request(metadata=metadata))
            assert lost(request(metadata=metadata)) == ("metadata",)

    def test_what_it_has_no_word_for_is_listed(self) -> None:
        asked = request(
            sampling=Sampling(seed=7, presence_penalty=0.0, logprobs=True),
            verbosity="low",
            cache_key="k",
            end_user="u",
            extra={"guardrail": 1},
        )
        assert lost(asked) == (
            "sampling.seed",
            "sampling.logprobs",
            "verbosity",
            "cache_key",
            "end_user",
            "guardrail",
        )

    def test_several_answers_are_refused(self) -> None:
        with pytest.raises(UnsupportedFeature, match="one answer"):
            sent(request(n=2))

    def test_strictness_refuses_what_would_be_listed(self) -> None:
        with pytest.raises(UnsupportedFeature, match="verbosity"):
            sent(request(verbosity="low"), strict=True)

    def test_lone_surrogates_outside_of_the_history_are_mended(self) -> None:
        assert sent(request(stop=("\ud83d",)))["inferenceConfig"]["stopSequences"] == ["\ufffd"]

    def test_a_schema_nested_beyond_reason_is_refused(self) -> None:
        schema: Json = {}
        for _ in range(5000):
            schema = {"properties": {"a": schema}}
        with pytest.raises(BadRequest, match="too deeply"):
            sent(request(tools=(Tool(name="t", schema=schema),)))


class TestCachePoints:
    HOUR = CacheMark(ttl="1h", at="mark")

    def _points(self, body: Json) -> list[tuple[str, Json]]:
        found = [("system", block) for block in body.get("system", ())]
        found += [("tools", tool) for tool in body.get("toolConfig", {}).get("tools", ())]
        for number, message in enumerate(body["messages"]):
            found += [(f"messages[{number}]", block) for block in message["content"]]
        return [(where, block["cachePoint"]) for where, block in found if "cachePoint" in block]

    def test_marks_become_points_behind_what_they_stood_on(self) -> None:
        asked = request(
            said(TextBlock(text="a", cache=CacheMark())),
            instructions=(TextBlock(text="s", cache=self.HOUR),),
            tools=(Tool(name="t", cache=self.HOUR),),
        )
        assert self._points(sent(asked)) == [
            ("system", {"type": "default", "ttl": "1h"}),
            ("tools", {"type": "default", "ttl": "1h"}),
            ("messages[0]", {"type": "default"}),
        ]

    def test_marks_within_a_result_stand_behind_it(self) -> None:
        result = ToolResultBlock(
            call_id="a",
            content=(TextBlock(text="x", cache=CacheMark(at="inner")),),
            cache=CacheMark(ttl="1h", at="outer"),
        )
        asked = request(said("hi"), calling("a"), said(result, role="tool"), tools=(WEATHER,))
        content = sent(asked)["messages"][2]["content"]
        assert content[1:] == [{"cachePoint": {"type": "default", "ttl": "1h"}}]
        assert lost(asked) == ("inner",)

    def test_of_two_marks_at_one_place_the_longer_stays(self) -> None:
        long = TextBlock(text="a", cache=self.HOUR)
        asked = request(instructions=(long, TextBlock(text=" ", cache=CacheMark(at="short"))))
        assert self._points(sent(asked)) == [("system", {"type": "default", "ttl": "1h"})]
        assert lost(asked) == ("short",)
        same = request(instructions=(long, TextBlock(text=" ", cache=self.HOUR)))
        assert lost(same) == ()

    def test_the_last_four_stay_and_an_hour_may_not_follow_five_minutes(self) -> None:
        blocks = [TextBlock(text=str(n), cache=CacheMark(ttl="5m", at=f"m{n}")) for n in range(4)]
        asked = request(said(*blocks, TextBlock(text="z", cache=CacheMark(ttl="1h", at="mz"))))
        assert [point.get("ttl") for _, point in self._points(sent(asked))] == ["5m", "5m", "5m", None]
        assert lost(asked) == ("m0", "mz.ttl")

    def test_a_mark_on_nothing_is_listed(self) -> None:
        asked = request(instructions=(TextBlock(text=" ", cache=CacheMark(at="system[0].cache_control")),))
        assert lost(asked) == ("system[0].cache_control",)

    def test_pis_points_are_placed_for_callers_who_cannot(self) -> None:
        asked = request(instructions=(TextBlock(text="s"),), tools=(WEATHER,))
        points = self._points(sent(asked, auto_cache=True))
        assert points == [("system", {"type": "default"}), ("messages[0]", {"type": "default"})]
        assert self._points(sent(asked)) == []
        assert self._points(sent(request(), auto_cache=True)) == [("messages[0]", {"type": "default"})]
        begun = request(said("hi"), said("So", role="assistant"))
        assert self._points(sent(begun, auto_cache=True)) == []

    def test_callers_who_can_speak_for_themselves(self) -> None:
        marked = request(said(TextBlock(text="a", cache=self.HOUR)), instructions=(TextBlock(text="s"),))
        assert len(self._points(sent(marked, auto_cache=True))) == 1
        silent = request(dialect="anthropic_messages")
        assert self._points(sent(silent, auto_cache=True)) == []

    def test_models_without_points_list_the_marks(self) -> None:
        asked = request(said(TextBlock(text="a", cache=self.HOUR)))
        nova = "amazon.nova-pro-v1:0"
        assert self._points(sent(asked, nova, auto_cache=True)) == []
        assert lost(asked, nova) == ("mark",)
