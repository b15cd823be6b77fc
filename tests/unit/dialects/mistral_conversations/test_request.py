"""What is sent to Mistral."""

from __future__ import annotations

from typing import Any

import pytest

from pi_model_proxy.dialects.mistral_conversations import CLIENT
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
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

WEATHER = Tool(name="weather", schema={"type": "object", "properties": {}})
PNG = DataSource("image/png", "iVBORw0KGgo=")
HYBRID = {"off": "none", "minimal": None, "low": None, "medium": None, "high": "high"}

Json = dict[str, Any]


def sent(asked: Request, **changes: Any) -> Json:
    return encoded(CLIENT, asked, target(CLIENT, **changes))[0]


def lost(asked: Request, **changes: Any) -> tuple[str, ...]:
    return encoded(CLIENT, asked, target(CLIENT, **changes))[1].dropped


class TestEnvelope:
    def test_it_goes_to_the_chat_completions(self) -> None:
        body, outgoing = encoded(CLIENT, request())
        assert outgoing.path == "/v1/chat/completions"
        assert outgoing.headers == {}
        assert body == {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}

    def test_a_session_is_named_in_header_and_body(self) -> None:
        body, outgoing = encoded(CLIENT, request(cache_key="s-1"))
        assert (body["prompt_cache_key"], outgoing.headers) == ("s-1", {"x-affinity": "s-1"})

    def test_a_session_told_otherwise_is_a_cache_key_only_where_caching_is_ours(self) -> None:
        asked = request(session="s-1")
        assert "prompt_cache_key" not in sent(asked)
        assert sent(asked, auto_cache=True)["prompt_cache_key"] == "s-1"

    def test_a_session_that_no_header_can_hold_travels_as_its_hash(self) -> None:
        _, outgoing = encoded(CLIENT, request(cache_key="ä\n"))
        assert outgoing.headers["x-affinity"].isalnum()


class TestMessages:
    def test_instructions_are_one_text_before_all_else(self) -> None:
        marked = TextBlock(text="a", cache=CacheMark(at="system[0].cache_control"))
        asked = request(instructions=(marked, TextBlock(text=""), TextBlock(text="b\ud800")))
        assert sent(asked)["messages"][0] == {"role": "system", "content": "a\n\nb\ufffd"}
        assert lost(asked) == ("system[0].cache_control",)

    def test_instructions_alone_are_what_the_user_says(self) -> None:
        asked = Request(dialect="openai_chat", model="m", instructions=(TextBlock(text="Be."),))
        assert sent(asked)["messages"] == [{"role": "user", "content": "Be."}]

    def test_nothing_at_all_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="nothing to send"):
            sent(Request(dialect="openai_chat", model="m"))

    def test_pictures_are_addresses_with_or_without_data(self) -> None:
        blocks = (
            TextBlock(text="see", cache=CacheMark(at="m0")),
            ImageBlock(source=PNG, detail="high", cache=CacheMark(at="m1"), at="c1"),
            ImageBlock(source=UrlSource("https://x/a.png"), detail="auto"),
        )
        asked = request(said(*blocks))
        assert sent(asked)["messages"][0]["content"] == [
            {"type": "text", "text": "see"},
            {"type": "image_url", "image_url": "data:image/png;base64,iVBORw0KGgo="},
            {"type": "image_url", "image_url": "https://x/a.png"},
        ]
        assert lost(asked) == ("m0", "m1", "c1.detail")

    def test_documents_are_addresses_too_and_text_is_text(self) -> None:
        blocks = (
            DocumentBlock(
                source=DataSource("application/pdf", "AAAA"),
                name="a.pdf",
                context="ours",
                citations=True,
                at="d",
                cache=CacheMark(at="m"),
            ),
            DocumentBlock(source=UrlSource("https://x/b.pdf")),
            DocumentBlock(source=TextSource(text="long"), name="notes"),
            DocumentBlock(source=DataSource("text/plain", "aGk=")),
            DocumentBlock(source=DataSource("text/plain", "//8=")),
        )
        asked = request(said(*blocks))
        assert sent(asked)["messages"][0]["content"] == [
            {"type": "text", "text": "ours"},
            {
                "type": "document_url",
                "document_url": "data:application/pdf;base64,AAAA",
                "document_name": "a.pdf",
            },
            {"type": "document_url", "document_url": "https://x/b.pdf"},
            {"type": "text", "text": "notes\n\nlong"},
            {"type": "text", "text": "hi"},
            {"type": "document_url", "document_url": "data:text/plain;base64,//8="},
        ]
        assert lost(asked) == ("m", "d.citations")

    @pytest.mark.parametrize("block", [ImageBlock, DocumentBlock])
    def test_files_stored_elsewhere_are_refused_under_their_path(self, block: Any) -> None:
        with pytest.raises(UnsupportedFeature, match="another provider") as caught:
            sent(request(said(block(source=FileSource("file_1"), at="messages[0].content[0]"))))
        assert caught.value.param == "messages[0].content[0]"

    def test_sound_is_sent_as_it_is(self) -> None:
        asked = request(said(AudioBlock(data="AAAA", format="wav")))
        assert sent(asked)["messages"][0]["content"] == [{"type": "input_audio", "input_audio": "AAAA"}]

    def test_calls_in_a_callers_turn_are_listed(self) -> None:
        thought = ReasoningBlock(text="x", at="m[0].c[1]")
        assert lost(request(said("hi", thought)), reasoning=True) == ("m[0].c[1]",)

    def test_answers_are_parts_and_calls(self) -> None:
        turn = said(
            TextBlock(text="So.", cache=CacheMark(at="m")),
            RefusalBlock(text="No."),
            TextBlock(text="  "),
            ToolCallBlock(id="abcdefghi", name="weather", cache=CacheMark(at="n")),
            ToolCallBlock(id="b", name="patch", arguments="raw", custom=True),
            role="assistant",
        )
        asked = request(said("hi"), turn, answered("abcdefghi", "ok"), answered("b", "ok"))
        message = sent(asked)["messages"][1]
        assert message["prefix"] is False
        assert message["content"] == [{"type": "text", "text": "So."}, {"type": "text", "text": "No."}]
        first, second = message["tool_calls"]
        assert first == {
            "id": "abcdefghi",
            "type": "function",
            "function": {"name": "weather", "arguments": "{}"},
            "index": 0,
        }
        assert second["function"]["arguments"] == '{"input":"raw"}'
        assert lost(asked) == ("m", "n")

    def test_an_answer_of_nothing_is_left_out(self) -> None:
        asked = request(said("hi"), said("  ", role="assistant"), said("go"))
        assert [each["role"] for each in sent(asked)["messages"]] == ["user", "user"]

    def test_a_picture_in_an_answer_is_listed(self) -> None:
        picture = ImageBlock(source=PNG, at="m[1].c[0]")
        assert lost(request(said("hi"), said(picture, "So.", role="assistant"), said("go"))) == ("m[1].c[0]",)

    def test_thinking_goes_back_in_one_chunk_where_it_was(self) -> None:
        turn = said(ReasoningBlock(text="a"), ReasoningBlock(text="b"), "So.", role="assistant")
        asked = request(said("hi"), turn, said("go"))
        assert sent(asked, reasoning=True)["messages"][1]["content"] == [
            {"type": "thinking", "thinking": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"type": "text", "text": "So."},
        ]

    def test_thinking_of_others_and_of_no_words_is_dropped(self) -> None:
        signed = ReasoningBlock(text="x", opaque=Opaque(kind="anthropic_signature", data="s"), at="m[1].c[0]")
        turn = said(signed, ReasoningBlock(text=" "), "So.", role="assistant")
        asked = request(said("hi"), turn, said("go"))
        assert sent(asked, reasoning=True)["messages"][1]["content"] == [{"type": "text", "text": "So."}]
        assert lost(asked, reasoning=True) == ("m[1].c[0]",)
        plain = request(
            said("hi"), said(ReasoningBlock(text="x", at="r"), "So.", role="assistant"), said("go")
        )
        assert lost(plain) == ("r",)

    def test_an_answer_at_the_end_is_a_beginning_to_go_on_from(self) -> None:
        assert sent(request(said("hi"), said("So", role="assistant")))["messages"][-1]["prefix"] is True

    @pytest.mark.parametrize(
        ("content", "is_error", "text"),
        [
            (("ok", "and"), False, "ok\nand"),
            (("no",), True, "[tool error] no"),
            ((), False, "(no tool output)"),
            ((ImageBlock(source=PNG),), True, "[tool error] (see attached image)"),
        ],
    )
    def test_results_are_a_text_and_what_there_is_to_see(
        self, content: tuple[Any, ...], is_error: bool, text: str
    ) -> None:
        asked = request(said("hi"), calling("abcdefghi"), answered("abcdefghi", *content, is_error=is_error))
        message = sent(asked)["messages"][2]
        assert (message["role"], message["name"], message["tool_call_id"]) == ("tool", "weather", "abcdefghi")
        assert message["content"][0] == {"type": "text", "text": text}
        assert [part["type"] for part in message["content"][1:]] == ["image_url"] * (
            content != () and "image" in text
        )

    def test_marks_on_results_are_listed(self) -> None:
        result = ToolResultBlock(call_id="a", content=(TextBlock(text="ok"),), cache=CacheMark(at="m"))
        assert lost(request(said("hi"), calling("a"), said(result, role="tool"))) == ("m",)

    def test_instructions_in_mid_conversation_keep_their_place_where_they_may(self) -> None:
        asked = request(said("hi"), said("So.", role="assistant"), said("Be.", role="system"), said("go"))
        folded = sent(asked)["messages"]
        assert folded[2] == {"role": "user", "content": "<system>\nBe.\n</system>"}
        kept = sent(asked, compat={"supportsMidConvoSystemMessages": True})["messages"]
        assert kept[2] == {"role": "system", "content": "Be."}

    def test_nobody_but_the_assistant_follows_a_result(self) -> None:
        asked = request(said("hi"), calling("a"), answered("a", "ok"), said("Be.", role="system"))
        messages = sent(asked, compat={"supportsMidConvoSystemMessages": True})["messages"]
        assert [each["role"] for each in messages] == ["user", "assistant", "tool", "assistant", "system"]


class TestTools:
    def test_a_tool_is_a_function_that_says_how_strict_it_is(self) -> None:
        tools = (
            Tool(
                name="a.b", description="A.", schema={"type": "object"}, strict=True, cache=CacheMark(at="m")
            ),
            Tool(name="c"),
        )
        asked = request(tools=tools)
        assert [tool["function"] for tool in sent(asked)["tools"]] == [
            {"name": "a_b", "description": "A.", "parameters": {"type": "object"}, "strict": True},
            {"name": "c", "parameters": {"type": "object"}, "strict": False},
        ]
        assert lost(asked) == ("m",)

    def test_a_grammar_is_listed(self) -> None:
        tool = Tool(
            kind="custom",
            name="p",
            grammar={"syntax": "lark"},
            at="tools[0]",
            words={"grammar": "custom.format"},
        )
        asked = request(tools=(tool,))
        assert sent(asked)["tools"][0]["function"]["parameters"]["required"] == ["input"]
        assert lost(asked) == ("tools[0].custom.format",)

    @pytest.mark.parametrize(
        ("choice", "written"),
        [
            (None, None),
            (ToolChoice(mode="auto"), "auto"),
            (ToolChoice(mode="none"), "none"),
            (ToolChoice(mode="required"), "any"),
            (
                ToolChoice(mode="named", names=("weather",)),
                {"type": "function", "function": {"name": "weather"}},
            ),
            (ToolChoice(mode="subset", names=("weather",), required=True), "any"),
            (ToolChoice(mode="subset", names=("weather",)), None),
        ],
    )
    def test_the_choice_is_said(self, choice: ToolChoice | None, written: Any) -> None:
        body = sent(request(tools=(WEATHER, Tool(name="other")), tool_choice=choice, parallel_tools=False))
        assert body.get("tool_choice") == written
        assert body["parallel_tool_calls"] is False
        assert len(body["tools"]) == (1 if choice is not None and choice.mode == "subset" else 2)

    def test_choices_without_tools_are_dropped_or_refused(self) -> None:
        body = sent(request(tool_choice=ToolChoice(mode="auto"), parallel_tools=True))
        assert not {"tool_choice", "parallel_tool_calls", "tools"} & body.keys()
        with pytest.raises(UnsupportedFeature, match="no tool is offered"):
            sent(request(tool_choice=ToolChoice(mode="required")))

    def test_tools_that_run_elsewhere_are_removed_and_listed(self) -> None:
        search = Tool(kind="server", name="web_search", dialect="anthropic_messages", raw="{}", at="tools[1]")
        assert lost(request(tools=(WEATHER, search))) == ("tools[1]",)
        for asked in (
            request(tools=(search,)),
            request(tools=(WEATHER, search), tool_choice=ToolChoice(mode="named", names=("web_search",))),
        ):
            with pytest.raises(UnsupportedFeature, match="cannot run"):
                sent(asked)


class TestSingleFields:
    def test_sampling_has_mistrals_names_and_limits(self) -> None:
        sampling = Sampling(
            temperature=1.9, top_p=0.5, top_k=3, seed=7, presence_penalty=0.1, frequency_penalty=0.2
        )
        asked = request(sampling=sampling, max_output=99_999, stop=("END",), metadata={"a": "b"})
        body = sent(asked)
        assert {name: body[name] for name in body if name not in {"model", "messages", "stream"}} == {
            "max_tokens": 16_384,
            "stop": ["END"],
            "temperature": 1.5,
            "top_p": 0.5,
            "top_k": 3,
            "random_seed": 7,
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
            "metadata": {"a": "b"},
        }
        assert lost(asked) == ("max_output", "sampling.temperature")

    def test_a_limit_that_fits_is_kept(self) -> None:
        assert sent(request(max_output=5))["max_tokens"] == 5
        assert sent(request(max_output=99_999), max_output=0)["max_tokens"] == 99_999

    @pytest.mark.parametrize(
        ("wish", "fields", "dropped"),
        [
            (ReasoningWish(mode="off"), {"reasoning_effort": "none"}, ()),
            (ReasoningWish(mode="level", level="high"), {"reasoning_effort": "high"}, ()),
            (ReasoningWish(mode="level", level="low"), {"reasoning_effort": "high"}, ("reasoning",)),
            (ReasoningWish(mode="auto"), {"reasoning_effort": "high"}, ()),
        ],
    )
    def test_models_with_levels_are_told_an_effort(
        self, wish: ReasoningWish, fields: Json, dropped: tuple[str, ...]
    ) -> None:
        asked = request(reasoning=wish)
        body = sent(asked, reasoning=True, thinking_levels=HYBRID)
        assert {name: body[name] for name in body.keys() & {"reasoning_effort", "prompt_mode"}} == fields
        assert lost(asked, reasoning=True, thinking_levels=HYBRID) == dropped

    def test_a_level_without_a_word_is_high_and_that_is_listed(self) -> None:
        asked = request(reasoning=ReasoningWish(mode="level", level="low"))
        levels = {"off": "none"}
        assert sent(asked, reasoning=True, thinking_levels=levels)["reasoning_effort"] == "high"
        assert lost(asked, reasoning=True, thinking_levels=levels) == ("reasoning",)

    def test_models_without_levels_are_told_a_mode(self) -> None:
        asked = request(reasoning=ReasoningWish(mode="level", level="high"))
        assert sent(asked, reasoning=True)["prompt_mode"] == "reasoning"
        off = request(reasoning=ReasoningWish(mode="off"))
        assert "prompt_mode" not in sent(off, reasoning=True)

    def test_off_without_a_word_is_said_by_saying_nothing(self) -> None:
        off = request(reasoning=ReasoningWish(mode="off"))
        assert "reasoning_effort" not in sent(off, reasoning=True, thinking_levels={"high": "high"})

    def test_thinking_that_shall_be_hidden_is_listed(self) -> None:
        wish = ReasoningWish(mode="level", level="high", visible="none")
        asked = request(reasoning=wish, paths={"reasoning.visible": "thinking.display"})
        assert lost(asked, reasoning=True) == ("thinking.display",)

    def test_a_model_that_does_not_think_lists_the_wish(self) -> None:
        assert lost(request(reasoning=ReasoningWish(mode="auto"))) == ("reasoning",)

    def test_forms_of_answers_are_enforced(self) -> None:
        assert sent(request(output=OutputFormat(kind="json")))["response_format"] == {"type": "json_object"}
        output = OutputFormat(
            kind="schema", schema={"type": "object"}, name="n", description="d", strict=False
        )
        assert sent(request(output=output))["response_format"] == {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object"}, "description": "d", "strict": False},
        }
        plain = sent(request(output=OutputFormat(kind="schema")))["response_format"]["json_schema"]
        assert plain == {"name": "answer", "schema": {}, "strict": True}

    def test_what_it_has_no_word_for_is_listed(self) -> None:
        asked = request(
            sampling=Sampling(min_p=0.1, logprobs=True),
            verbosity="low",
            service_tier="flex",
            end_user="u",
            extra={"prediction": 1},
        )
        assert lost(asked) == (
            "sampling.min_p",
            "sampling.logprobs",
            "verbosity",
            "service_tier",
            "end_user",
            "prediction",
        )

    def test_fields_a_login_refuses_are_taken_out_and_listed(self) -> None:
        asked = request(max_output=5)
        identity = Identity(omitted_fields=frozenset({"max_tokens", "top_k"}))
        assert "max_tokens" not in sent(asked, identity=identity)
        assert lost(asked, identity=identity) == ("max_tokens",)

    def test_several_answers_are_refused(self) -> None:
        with pytest.raises(UnsupportedFeature, match="one answer"):
            sent(request(n=2))

    def test_lone_surrogates_outside_of_the_history_are_mended(self) -> None:
        assert sent(request(stop=("\ud83d",)))["stop"] == ["\ufffd"]

    def test_a_schema_nested_beyond_reason_is_refused(self) -> None:
        schema: Json = {}
        for _ in range(5000):
            schema = {"properties": {"a": schema}}
        with pytest.raises(BadRequest, match="too deeply"):
            sent(request(tools=(Tool(name="t", schema=schema),)))
