"""What is sent to a pi-messages gateway."""

from __future__ import annotations

from typing import Any

import pytest

from pi_model_proxy.dialects.pi_messages import CLIENT
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.hub import (
    AudioBlock,
    CacheMark,
    DataSource,
    DocumentBlock,
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

WEATHER = Tool(name="weather", description="W.", schema={"type": "object"})
PNG = DataSource("image/png", "iVBORw0KGgo=")

Json = dict[str, Any]


def sent(asked: Request, **changes: Any) -> Json:
    return encoded(CLIENT, asked, target(CLIENT, **changes))[0]


def lost(asked: Request, **changes: Any) -> tuple[str, ...]:
    return encoded(CLIENT, asked, target(CLIENT, **changes))[1].dropped


def messages(asked: Request, **changes: Any) -> list[Json]:
    found: list[Json] = sent(asked, **changes)["context"]["messages"]
    return found


class TestEnvelope:
    def test_it_is_model_context_and_options(self) -> None:
        body, outgoing = encoded(CLIENT, request(stop=("END",)))
        assert (outgoing.path, outgoing.headers, outgoing.stop_here) == ("/messages", {}, ("END",))
        assert body == {
            "model": "m",
            "context": {
                "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}], "timestamp": 0}]
            },
            "options": {},
        }

    def test_options_have_pis_names(self) -> None:
        asked = request(
            sampling=Sampling(temperature=0.3, top_p=1.0), max_output=99_999, cache_key="s", tools=(WEATHER,)
        )
        assert sent(asked)["options"] == {"temperature": 0.3, "maxTokens": 16_384, "sessionId": "s"}
        assert lost(asked) == ("max_output",)
        assert sent(request(max_output=5))["options"] == {"maxTokens": 5}

    def test_a_session_told_otherwise_counts_only_where_caching_is_ours(self) -> None:
        assert "sessionId" not in sent(request(session="s"))["options"]
        assert sent(request(session="s"), auto_cache=True)["options"]["sessionId"] == "s"

    @pytest.mark.parametrize(
        ("wish", "level", "dropped"),
        [
            (None, None, ()),
            (ReasoningWish(mode="off"), None, ()),
            (ReasoningWish(mode="level", level="minimal"), "minimal", ()),
            (ReasoningWish(mode="level", level="max"), "high", ("reasoning",)),
            (ReasoningWish(mode="budget", budget=5000), "medium", ()),
        ],
    )
    def test_levels_are_pis_own(
        self, wish: ReasoningWish | None, level: str | None, dropped: tuple[str, ...]
    ) -> None:
        asked = request(reasoning=wish)
        assert sent(asked, reasoning=True)["options"].get("reasoning") == level
        assert lost(asked, reasoning=True) == dropped

    def test_an_hours_mark_is_a_long_retention_and_all_marks_are_listed(self) -> None:
        hour, plain = CacheMark(ttl="1h", at="m1"), CacheMark(at="m0")
        asked = request(
            said(TextBlock(text="a", cache=hour)), instructions=(TextBlock(text="s", cache=plain),)
        )
        assert sent(asked)["options"]["cacheRetention"] == "long"
        assert set(lost(asked)) == {"m0", "m1"}
        short = request(said(TextBlock(text="a", cache=plain)))
        assert "cacheRetention" not in sent(short)["options"]

    @pytest.mark.parametrize(
        ("choice", "written"),
        [
            (None, None),
            (ToolChoice(mode="auto"), "auto"),
            (ToolChoice(mode="none"), "none"),
            (ToolChoice(mode="required"), "required"),
            (
                ToolChoice(mode="named", names=("weather",)),
                {"type": "function", "function": {"name": "weather"}},
            ),
            (ToolChoice(mode="subset", names=("weather",), required=True), "required"),
            (ToolChoice(mode="subset", names=("weather",)), None),
        ],
    )
    def test_the_choice_is_said(self, choice: ToolChoice | None, written: Any) -> None:
        body = sent(request(tools=(WEATHER, Tool(name="other")), tool_choice=choice))
        assert body["options"].get("toolChoice") == written
        offered = [tool["name"] for tool in body["context"]["messages"][0]["toolsAdded"]]
        assert offered == (["weather"] if choice and choice.mode == "subset" else ["weather", "other"])

    def test_single_calls_are_listed_unless_it_was_not_the_callers_wish(self) -> None:
        assert lost(request(tools=(WEATHER,), parallel_tools=False)) == ("parallel_tools",)
        assert lost(request(tools=(WEATHER,), parallel_tools=False, legacy_functions=True)) == ()

    def test_choices_without_tools_are_dropped_or_refused(self) -> None:
        assert "toolChoice" not in sent(request(tool_choice=ToolChoice(mode="auto")))["options"]
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

    def test_json_is_asked_for_in_words_and_a_schema_refused(self) -> None:
        asked = request(output=OutputFormat(kind="json"))
        assert "JSON object" in messages(asked)[0]["content"]
        assert lost(asked) == ("output",)
        schema = request(output=OutputFormat(kind="schema"), paths={"output": "response_format"})
        with pytest.raises(UnsupportedFeature, match="schema") as caught:
            sent(schema)
        assert caught.value.param == "response_format"

    def test_what_it_has_no_word_for_is_listed(self) -> None:
        asked = request(
            sampling=Sampling(top_p=0.5, seed=7),
            verbosity="low",
            service_tier="flex",
            end_user="u",
            metadata={"a": "b"},
            extra={"x": 1},
        )
        assert lost(asked) == (
            "sampling.top_p", "sampling.seed", "verbosity", "service_tier", "end_user", "metadata", "x",
        )  # fmt: skip

    def test_several_answers_are_refused(self) -> None:
        with pytest.raises(UnsupportedFeature, match="one answer"):
            sent(request(n=2))

    def test_nothing_at_all_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="nothing to send"):
            sent(Request(dialect="openai_chat", model="m"))

    def test_lone_surrogates_outside_of_the_history_are_mended(self) -> None:
        assert sent(request(cache_key="\ud83d"))["options"]["sessionId"] == "\ufffd"

    def test_a_schema_nested_beyond_reason_is_refused(self) -> None:
        schema: Json = {}
        for _ in range(5000):
            schema = {"properties": {"a": schema}}
        with pytest.raises(BadRequest, match="too deeply"):
            sent(request(tools=(Tool(name="t", schema=schema),)))


class TestContext:
    def test_prompt_and_tools_are_a_leading_system_message(self) -> None:
        tools = (
            Tool(
                name="a.b", description="A.", schema={"type": "object"}, strict=True, cache=CacheMark(at="m")
            ),
            Tool(
                kind="custom",
                name="p",
                grammar={"syntax": "lark"},
                at="tools[1]",
                words={"grammar": "custom.format"},
            ),
            Tool(name="c"),
        )
        asked = request(instructions=(TextBlock(text="a"), TextBlock(text="b")), tools=tools)
        leading = messages(asked)[0]
        assert (leading["role"], leading["content"], leading["timestamp"]) == ("system", "a\n\nb", 0)
        first, second, third = leading["toolsAdded"]
        assert first == {
            "name": "a_b",
            "description": "A.",
            "parameters": {"type": "object"},
            "constrainedSampling": {"type": "json_schema", "strict": "prefer"},
        }
        assert second["parameters"]["required"] == ["input"]
        assert third == {"name": "c", "description": "", "parameters": {"type": "object", "properties": {}}}
        assert lost(asked) == ("m", "tools[1].custom.format")

    def test_pictures_are_data_and_addresses_are_refused(self) -> None:
        asked = request(said("see", ImageBlock(source=PNG, detail="high", cache=CacheMark(at="m"), at="c1")))
        assert messages(asked)[0]["content"][1] == {
            "type": "image",
            "data": "iVBORw0KGgo=",
            "mimeType": "image/png",
        }
        assert lost(asked) == ("m", "c1.detail")
        with pytest.raises(UnsupportedFeature, match="fetches no pictures"):
            sent(request(said(ImageBlock(source=UrlSource("https://x/a.png"), at="c1"))))

    def test_documents_are_their_text(self) -> None:
        blocks = (
            DocumentBlock(source=TextSource(text="long"), name="n", context="c", citations=True, at="d"),
            DocumentBlock(source=DataSource("text/plain", "aGk="), cache=CacheMark(at="m")),
        )
        asked = request(said(*blocks))
        assert [part["text"] for part in messages(asked)[0]["content"]] == ["n\nc\n\nlong", "hi"]
        assert lost(asked) == ("d.citations", "m")

    @pytest.mark.parametrize("source", [DataSource("application/pdf", "AAAA"), UrlSource("https://x/a.pdf")])
    def test_other_documents_are_refused(self, source: Any) -> None:
        with pytest.raises(UnsupportedFeature, match="send its text"):
            sent(request(said(DocumentBlock(source=source, at="c"))))

    def test_sound_is_refused(self) -> None:
        with pytest.raises(UnsupportedFeature, match="text and pictures only"):
            sent(request(said(AudioBlock(data="AA", format="wav", at="c"))))

    def test_what_no_user_can_say_is_listed(self) -> None:
        assert lost(request(said("hi", ReasoningBlock(text="x", at="c1"))), reasoning=True) == ("c1",)

    def test_answers_are_pis_assistant_messages_of_this_model(self) -> None:
        signed = ReasoningBlock(text="hm", opaque=Opaque(kind="pi_signature", data="sig", origin="acme/m"))
        hidden = ReasoningBlock(opaque=Opaque(kind="pi_redacted", data="blob"))
        call = ToolCallBlock(
            id="a",
            name="weather",
            arguments='{"x":1}',
            opaque=Opaque(kind="pi_signature", data="thought"),
            cache=CacheMark(at="m"),
        )
        turn = said(signed, hidden, "So.", RefusalBlock(text="No."), call, role="assistant")
        asked = request(said("hi"), turn, answered("a", "ok"))
        message = messages(asked)[1]
        assert {name: message[name] for name in ("role", "api", "provider", "model", "stopReason")} == {
            "role": "assistant",
            "api": "pi-messages",
            "provider": "acme",
            "model": "m",
            "stopReason": "toolUse",
        }
        assert message["content"] == [
            {"type": "thinking", "thinking": "hm", "thinkingSignature": "sig"},
            {"type": "thinking", "thinking": "", "thinkingSignature": "blob", "redacted": True},
            {"type": "text", "text": "So."},
            {"type": "text", "text": "No."},
            {
                "type": "toolCall",
                "id": "a",
                "name": "weather",
                "arguments": {"x": 1},
                "thoughtSignature": "thought",
            },
        ]
        assert message["usage"]["cost"]["total"] == 0
        assert lost(asked) == ("m",)

    def test_thinking_of_others_is_dropped_and_plain_thinking_kept(self) -> None:
        other = ReasoningBlock(
            text="x", opaque=Opaque(kind="pi_signature", data="s", origin="acme/z"), at="r"
        )
        asked = request(
            said("hi"), said(other, ReasoningBlock(text="y"), "So.", role="assistant"), said("go")
        )
        assert messages(asked, reasoning=True)[1]["content"][0] == {"type": "thinking", "thinking": "y"}
        assert lost(asked, reasoning=True) == ("r",)
        assert messages(asked, reasoning=True)[1]["stopReason"] == "stop"

    def test_arguments_are_objects(self) -> None:
        raw = ToolCallBlock(id="b", name="p", arguments="raw", custom=True)
        turn = said(ToolCallBlock(id="a", name="w", arguments="{bad"), raw, role="assistant")
        asked = request(said("hi"), turn, answered("a", "ok"), answered("b", "ok"))
        written = [part["arguments"] for part in messages(asked)[1]["content"]]
        assert written == [{"_raw": "{bad"}, {"input": "raw"}]

    def test_results_say_whose_they_are_and_how_it_went(self) -> None:
        result = ToolResultBlock(
            call_id="a",
            content=(TextBlock(text="no"), ImageBlock(source=PNG)),
            is_error=True,
            cache=CacheMark(at="m"),
        )
        asked = request(said("hi"), calling("a"), said(result, role="tool"))
        message = messages(asked)[2]
        assert {name: message[name] for name in ("role", "toolCallId", "toolName", "isError")} == {
            "role": "toolResult",
            "toolCallId": "a",
            "toolName": "weather",
            "isError": True,
        }
        assert [part["type"] for part in message["content"]] == ["text", "image"]
        assert lost(asked) == ("m",)

    def test_instructions_in_mid_conversation_stay_where_they_are(self) -> None:
        asked = request(said("hi"), said("So.", role="assistant"), said("Be.", role="system"), said("go"))
        assert [each["role"] for each in messages(asked)] == ["user", "assistant", "system", "user"]

    def test_an_answer_of_what_only_others_can_say_is_left_out(self) -> None:
        raw = RawBlock(dialect="pi_messages", type_name="x", data="{}", at="m[1].c[0]")
        asked = request(said("hi"), said(raw, role="assistant"), said("go"))
        assert [each["role"] for each in messages(asked)] == ["user", "user"]
        assert lost(asked) == ("m[1].c[0]",)
        odd = request(said("hi"), said(RawBlock(dialect="pi_messages", type_name="x", data="{}", at="c")))
        assert lost(odd) == ("c",)
