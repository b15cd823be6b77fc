"""A hub request, as an upstream of Google's takes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.google_gemini import CLIENT, VERTEX_CLIENT
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
    Turn,
    UrlSource,
)
from support.gemini_wire import LEVELS, body_of, request, target

HI = Turn(role="user", blocks=(TextBlock(text="hi"),))
F = Tool(name="f", description="d", schema={"type": "object", "properties": {}}, at="tools[0]")
PNG = DataSource(media_type="image/jpg", data="QUJD")


def _sent(asked: Request, **to: Any) -> Any:
    return body_of(CLIENT.encode_request(asked, target(**to)))


def _config(**fields: Any) -> Any:
    return _sent(request(HI, **fields)).get("generationConfig", {})


def _said(*blocks: Any) -> Any:
    return _sent(request(Turn(role="user", blocks=blocks)))["contents"][0]["parts"]


class TestTheConversation:
    def test_instructions_are_parts_of_their_own(self) -> None:
        body = _sent(request(HI, instructions=(TextBlock(text="a"), TextBlock(text=""), TextBlock(text="b"))))
        assert body["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}], "role": "user"}

    def test_instructions_without_a_conversation_become_the_users_words(self) -> None:
        body = _sent(request(instructions=(TextBlock(text="a"),)))
        assert body == {"contents": [{"role": "user", "parts": [{"text": "a"}]}]}

    def test_nothing_at_all_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="nothing to send"):
            CLIENT.encode_request(request(), target())

    def test_neighbours_of_one_side_are_joined_but_results_stand_alone(self) -> None:
        call = Turn(role="assistant", blocks=(ToolCallBlock(id="c", name="f"),))
        result = Turn(role="tool", blocks=(ToolResultBlock(call_id="c", content=(TextBlock(text="ok"),)),))
        contents = _sent(request(HI, HI, call, result, HI, HI))["contents"]
        assert [(each["role"], len(each["parts"])) for each in contents] == [
            ("user", 2),
            ("model", 1),
            ("user", 1),
            ("user", 2),
        ]

    def test_a_conversation_that_begins_with_the_model_gets_words_before_it(self) -> None:
        contents = _sent(request(Turn(role="assistant", blocks=(TextBlock(text="hello"),)), HI))["contents"]
        assert [each["role"] for each in contents] == ["user", "model", "user"]

    def test_mid_conversation_instructions_become_marked_user_text(self) -> None:
        system = Turn(role="system", blocks=(TextBlock(text="be brief"),))
        parts = _sent(request(HI, system))["contents"][0]["parts"]
        assert parts[1] == {"text": "<system>\nbe brief\n</system>"}

    @pytest.mark.parametrize(
        ("block", "parts"),
        [
            (RefusalBlock(text="no"), [{"text": "no"}]),
            (ImageBlock(source=PNG), [{"inlineData": {"mimeType": "image/jpeg", "data": "QUJD"}}]),
            (
                ImageBlock(source=UrlSource(url="https://x.example/a.webp?s=1")),
                [{"fileData": {"mimeType": "image/webp", "fileUri": "https://x.example/a.webp?s=1"}}],
            ),
            (
                ImageBlock(source=UrlSource(url="https://[x")),
                [{"fileData": {"mimeType": "image/jpeg", "fileUri": "https://[x"}}],
            ),
            (
                DocumentBlock(source=UrlSource(url="https://x.example/a")),
                [{"fileData": {"mimeType": "application/pdf", "fileUri": "https://x.example/a"}}],
            ),
            (
                DocumentBlock(
                    source=DataSource(media_type="application/pdf", data="QUJD"), name="n", context="c"
                ),
                [{"text": "n\nc\n\n"}, {"inlineData": {"mimeType": "application/pdf", "data": "QUJD"}}],
            ),
            (DocumentBlock(source=TextSource(text="t"), name="n"), [{"text": "n\n\nt"}]),
            (
                AudioBlock(data="QUJD", format="wav"),
                [{"inlineData": {"mimeType": "audio/wav", "data": "QUJD"}}],
            ),
            (
                RawBlock(
                    dialect="google_gemini", type_name="fileData", data='{"fileData":{"fileUri":"gs://b"}}'
                ),
                [{"fileData": {"fileUri": "gs://b"}}],
            ),
            (TextBlock(text="\ud83d!"), [{"text": "\ufffd!"}]),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_a_block_becomes_its_part(self, block: Any, parts: Any) -> None:
        assert _said(block) == parts

    @pytest.mark.parametrize("kind", [ImageBlock, DocumentBlock])
    def test_a_file_of_another_provider_is_refused(self, kind: Any) -> None:
        block = kind(source=FileSource(file_id="file_1"), at="messages[0].content[0]")
        with pytest.raises(
            UnsupportedFeature, match=r"messages\[0\].content\[0\]: .* stored at another provider"
        ):
            _said(block)

    def test_thinking_of_the_model_itself_goes_back_with_its_token(self) -> None:
        own = Opaque(kind="gemini_signature", data="QU-_", origin="google/gemini-3-flash-preview")
        turn = Turn(role="assistant", blocks=(ReasoningBlock(text="hm", opaque=own), TextBlock(text="x")))
        parts = _sent(request(HI, turn, HI))["contents"][1]["parts"]
        assert parts == [{"thought": True, "text": "hm", "thoughtSignature": "QU+/"}, {"text": "x"}]

    def test_thinking_of_another_model_and_broken_tokens_are_listed(self) -> None:
        blocks = (
            ReasoningBlock(text="a", opaque=Opaque(kind="anthropic_signature", data="x"), at="messages[1].a"),
            ReasoningBlock(text="b", opaque=Opaque(kind="gemini_signature", data="!!"), at="messages[1].b"),
            ReasoningBlock(
                text="c",
                opaque=Opaque(kind="gemini_signature", data="QUJD", origin="google/other"),
                at="messages[1].c",
            ),
            TextBlock(text="x"),
        )
        outgoing = CLIENT.encode_request(request(HI, Turn(role="assistant", blocks=blocks), HI), target())
        assert body_of(outgoing)["contents"][1]["parts"] == [{"text": "x"}]
        assert set(outgoing.dropped) == {"messages[1].a", "messages[1].b", "messages[1].c"}

    def test_thinking_that_a_caller_says_it_had_itself_is_listed(self) -> None:
        token = Opaque(kind="gemini_signature", data="QUJD")
        turn = Turn(
            role="user", blocks=(TextBlock(text="x"), ReasoningBlock(text="hm", opaque=token, at="m"))
        )
        assert CLIENT.encode_request(request(turn), target()).dropped == ("m",)

    @pytest.mark.parametrize(
        ("model", "holds_ids"),
        [
            ("gemini-3-pro", True),
            ("gemini-2.5-pro", False),
            ("claude-x", True),
            ("gpt-oss-x", True),
            ("gemma-3", False),
        ],
    )
    def test_ids_go_to_models_that_want_them(self, model: str, holds_ids: bool) -> None:
        history = (HI, Turn(role="assistant", blocks=(ToolCallBlock(id="c", name="f", arguments="{bad"),)))
        contents = _sent(request(*history), model=model)["contents"]
        call, result = contents[1]["parts"][0]["functionCall"], contents[2]["parts"][0]["functionResponse"]
        assert ("id" in call, "id" in result) == (holds_ids, holds_ids)
        assert call["args"] == {"_raw": "{bad"}
        assert result["response"] == {"error": "No result provided"}

    def test_pictures_of_results_stand_in_them_from_gemini_3_on(self) -> None:
        result = ToolResultBlock(call_id="c", content=(ImageBlock(source=PNG),))
        history = (
            HI,
            Turn(role="assistant", blocks=(ToolCallBlock(id="c", name="f"),)),
            Turn(role="tool", blocks=(result,)),
        )
        newer = _sent(request(*history))["contents"]
        held = newer[2]["parts"][0]["functionResponse"]
        assert held["response"] == {"output": "(see attached image)"}
        assert held["parts"] == [{"inlineData": {"mimeType": "image/jpeg", "data": "QUJD"}}]
        older = _sent(request(*history), model="gemini-2.5-flash")["contents"]
        assert "parts" not in older[2]["parts"][0]["functionResponse"]
        assert older[3]["parts"][1] == {"inlineData": {"mimeType": "image/jpeg", "data": "QUJD"}}

    def test_cache_marks_details_and_cited_documents_are_listed(self) -> None:
        mark = CacheMark(at="messages[0].content[0].cache_control")
        outgoing = CLIENT.encode_request(
            request(
                Turn(
                    role="user",
                    blocks=(
                        TextBlock(text="a", cache=mark),
                        ImageBlock(source=PNG, detail="high", at="messages[0].content[1]"),
                        DocumentBlock(
                            source=TextSource(text="d"), citations=True, at="messages[0].content[2]"
                        ),
                    ),
                )
            ),
            target(),
        )
        assert outgoing.dropped == (
            "messages[0].content[0].cache_control",
            "messages[0].content[1].detail",
            "messages[0].content[2].citations",
        )


class TestGenerationConfig:
    def test_every_sampling_wish_with_a_word_is_said(self) -> None:
        sampling = Sampling(
            temperature=0.0, top_p=0.9, top_k=40, seed=0, presence_penalty=0.1, frequency_penalty=0.2
        )
        assert _config(sampling=sampling, max_output=100, stop=("END",)) == {
            "temperature": 0.0,
            "topP": 0.9,
            "topK": 40,
            "seed": 0,
            "presencePenalty": 0.1,
            "frequencyPenalty": 0.2,
            "maxOutputTokens": 100,
            "stopSequences": ["END"],
        }

    def test_wishes_without_a_word_are_listed(self) -> None:
        asked = request(
            HI,
            sampling=Sampling(
                temperature=2.5, min_p=0.1, logit_bias={"1": 1.0}, logprobs=True, top_logprobs=2
            ),
            max_output=100_000,
            verbosity="low",
            cache_key="k",
            end_user="u",
            metadata={"a": "b"},
            service_tier="flex",
            extra={"new": 1},
            paths={"sampling.min_p": "min_p", "max_output": "max_tokens", "cache_key": "prompt_cache_key"},
        )
        outgoing = CLIENT.encode_request(asked, target())
        assert set(outgoing.dropped) == {
            "sampling.temperature",
            "min_p",
            "sampling.logit_bias",
            "sampling.logprobs",
            "sampling.top_logprobs",
            "max_tokens",
            "verbosity",
            "prompt_cache_key",
            "end_user",
            "metadata",
            "service_tier",
            "new",
        }
        assert body_of(outgoing)["generationConfig"] == {"temperature": 2.0, "maxOutputTokens": 65_536}

    @pytest.mark.parametrize(
        ("tier", "written"),
        [("flex", "flex"), ("priority", "priority"), ("default", "standard"), ("auto", None)],
    )
    def test_googles_own_api_is_told_the_service_tier(self, tier: str, written: str | None) -> None:
        outgoing = CLIENT.encode_request(request(HI, service_tier=tier), target(hosted_by_vendor=True))
        assert body_of(outgoing).get("serviceTier") == written
        assert outgoing.dropped == ()

    def test_a_schema_is_enforced_and_keeps_its_name(self) -> None:
        schema = {"type": "object", "properties": {"a": {"const": 1}}}
        form = OutputFormat(kind="schema", schema=schema, name="n", description="d", strict=True)
        assert _config(output=form) == {
            "responseMimeType": "application/json",
            "responseJsonSchema": {
                "type": "object",
                "properties": {"a": {"enum": [1]}},
                "description": "d",
                "title": "n",
            },
        }
        assert _config(output=OutputFormat(kind="json")) == {"responseMimeType": "application/json"}

    def test_what_a_schemas_form_says_otherwise_is_listed(self) -> None:
        form = OutputFormat(kind="schema", schema={"title": "other"}, name="n", strict=False)
        outgoing = CLIENT.encode_request(request(HI, output=form, paths={"output.name": "x.name"}), target())
        assert outgoing.dropped == ("output.strict", "x.name")

    def test_before_gemini_3_a_form_beside_functions_is_asked_for_in_words_or_refused(self) -> None:
        plain = CLIENT.encode_request(
            request(HI, tools=(F,), output=OutputFormat(kind="json")), target("gemini-2.5-flash")
        )
        assert "valid JSON" in body_of(plain)["systemInstruction"]["parts"][0]["text"]
        assert plain.dropped == ("output",)
        with pytest.raises(UnsupportedFeature, match="no schema beside functions"):
            CLIENT.encode_request(
                request(HI, tools=(F,), output=OutputFormat(kind="schema", schema={})),
                target("gemini-2.5-flash"),
            )


class TestThinking:
    @pytest.mark.parametrize(
        ("model", "wish", "config", "dropped"),
        [
            ("gemini-3-pro", ("level", "high"), {"includeThoughts": True, "thinkingLevel": "HIGH"}, False),
            ("gemini-3-pro", ("level", "minimal"), {"includeThoughts": True, "thinkingLevel": "LOW"}, True),
            ("gemini-3-pro", ("level", "xhigh"), {"includeThoughts": True, "thinkingLevel": "HIGH"}, True),
            ("gemini-3-pro", ("off", None), {"thinkingLevel": "LOW"}, True),
            ("gemini-3-pro", ("auto", None), {"includeThoughts": True}, False),
            ("gemini-3-pro", ("budget", 500), {"includeThoughts": True, "thinkingLevel": "LOW"}, False),
            ("gemini-2.5-pro", ("level", "high"), {"includeThoughts": True, "thinkingBudget": 32_768}, False),
            ("gemini-2.5-pro", ("off", None), {"thinkingBudget": 128}, True),
            ("gemini-2.5-pro", ("budget", 0), {"thinkingBudget": 128}, True),
            ("gemini-2.5-pro", ("budget", 64), {"includeThoughts": True, "thinkingBudget": 128}, True),
            (
                "gemini-2.5-flash",
                ("level", "minimal"),
                {"includeThoughts": True, "thinkingBudget": 128},
                False,
            ),
            (
                "gemini-2.5-flash-lite",
                ("level", "minimal"),
                {"includeThoughts": True, "thinkingBudget": 512},
                False,
            ),
            ("gemini-2.5-flash", ("off", None), {"thinkingBudget": 0}, False),
            ("gemini-2.5-flash", ("auto", None), {"includeThoughts": True, "thinkingBudget": -1}, False),
            (
                "gemini-2.5-flash",
                ("budget", 99_999),
                {"includeThoughts": True, "thinkingBudget": 24_576},
                True,
            ),
            ("deep-research", ("level", "low"), {"includeThoughts": True, "thinkingBudget": -1}, False),
            ("gemma-4-26b", ("level", "low"), {"includeThoughts": True, "thinkingLevel": "LOW"}, False),
            (
                "gemini-flash-latest",
                ("level", "low"),
                {"includeThoughts": True, "thinkingLevel": "LOW"},
                False,
            ),
        ],
        ids=str,
    )
    def test_each_family_is_asked_in_its_own_words(
        self, model: str, wish: tuple[str, Any], config: Any, dropped: bool
    ) -> None:
        mode, amount = wish
        fields = {"budget": amount} if mode == "budget" else {"level": amount}
        levels = LEVELS if model == "gemini-3-pro" else {}
        asked = request(HI, reasoning=ReasoningWish(mode=mode, **fields))  # type: ignore[arg-type] # a literal in the table above
        outgoing = CLIENT.encode_request(asked, target(model, thinking_levels=levels))
        assert body_of(outgoing)["generationConfig"]["thinkingConfig"] == config
        assert bool(outgoing.dropped) == dropped

    def test_nobody_asked_so_nothing_is_said(self) -> None:
        assert _config() == {}

    def test_hidden_thinking_is_not_asked_to_be_shown(self) -> None:
        wish = ReasoningWish(mode="level", level="low", visible="none")
        assert _config(reasoning=wish) == {"thinkingConfig": {"thinkingLevel": "LOW"}}

    def test_the_word_of_the_catalogue_wins(self) -> None:
        body = _sent(
            request(HI, reasoning=ReasoningWish(mode="level", level="max")),
            thinking_levels={**LEVELS, "max": "XHIGH"},
        )
        assert body["generationConfig"]["thinkingConfig"]["thinkingLevel"] == "XHIGH"

    def test_a_level_in_the_models_name_wins(self) -> None:
        asked = request(HI, reasoning=ReasoningWish(mode="level", level="high"))
        off = _sent(asked, model="gemini-2.5-flash", level="off")
        assert off["generationConfig"]["thinkingConfig"] == {"thinkingBudget": 0}

    def test_a_model_that_cannot_think_says_so_in_the_list(self) -> None:
        asked = request(HI, reasoning=ReasoningWish(mode="level", level="high"))
        assert CLIENT.encode_request(asked, target(reasoning=False)).dropped == ("reasoning",)


class TestTools:
    def test_functions_share_one_list_and_googles_own_stand_beside_it(self) -> None:
        search = Tool(kind="server", name="googleSearch", dialect="google_gemini", raw='{"googleSearch":{}}')
        custom = Tool(kind="custom", name="patch", grammar={"syntax": "lark"}, at="tools[2]")
        bare = Tool(name="bare", schema=None, cache=CacheMark(), at="tools[3]")
        outgoing = CLIENT.encode_request(request(HI, tools=(F, search, custom, bare)), target())
        functions, own = body_of(outgoing)["tools"]
        assert own == {"googleSearch": {}}
        assert [each["name"] for each in functions["functionDeclarations"]] == ["f", "patch", "bare"]
        assert functions["functionDeclarations"][0] == {
            "name": "f",
            "description": "d",
            "parametersJsonSchema": {"type": "object", "properties": {}},
        }
        assert functions["functionDeclarations"][1]["parametersJsonSchema"]["required"] == ["input"]
        assert functions["functionDeclarations"][2] == {"name": "bare"}
        assert outgoing.dropped == ("tools[2].grammar", "tools[3].cache_control")

    @pytest.mark.parametrize(
        ("choice", "config"),
        [
            (ToolChoice(mode="auto"), None),
            (ToolChoice(mode="none"), {"mode": "NONE"}),
            (ToolChoice(mode="required"), {"mode": "ANY"}),
            (ToolChoice(mode="named", names=("f",)), {"mode": "ANY", "allowedFunctionNames": ["f"]}),
            (
                ToolChoice(mode="subset", names=("f", "g"), required=True),
                {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
            ),
            (
                ToolChoice(mode="subset", names=("g",)),
                {"mode": "VALIDATED", "allowedFunctionNames": ["g"]},
            ),
        ],
        ids=str,
    )
    def test_a_choice_becomes_a_calling_mode(self, choice: ToolChoice, config: Any) -> None:
        tools = (F, Tool(name="g"), Tool(name="h"))
        body = _sent(request(HI, tools=tools, tool_choice=choice))
        assert body.get("toolConfig", {}).get("functionCallingConfig") == config
        assert len(body["tools"][0]["functionDeclarations"]) == 3

    def test_before_gemini_3_a_subset_is_said_by_leaving_the_others_out(self) -> None:
        choice = ToolChoice(mode="subset", names=("f",))
        body = _sent(request(HI, tools=(F, Tool(name="g")), tool_choice=choice), model="gemini-2.5-flash")
        assert [each["name"] for each in body["tools"][0]["functionDeclarations"]] == ["f"]
        assert "toolConfig" not in body

    def test_strict_tools_are_validated_where_that_exists_and_listed_elsewhere(self) -> None:
        strict = Tool(
            name="f",
            schema={"type": "object"},
            strict=True,
            at="tools[0]",
            words={"strict": "function.strict"},
        )
        assert _sent(request(HI, tools=(strict,)))["toolConfig"] == {
            "functionCallingConfig": {"mode": "VALIDATED"}
        }
        demanded = _sent(request(HI, tools=(strict,), tool_choice=ToolChoice(mode="required")))
        assert demanded["toolConfig"] == {"functionCallingConfig": {"mode": "ANY"}}
        older = CLIENT.encode_request(request(HI, tools=(strict,)), target("gemini-2.5-flash"))
        assert older.dropped == ("tools[0].function.strict",)

    def test_single_calls_cannot_be_asked_for(self) -> None:
        asked = request(HI, tools=(F,), parallel_tools=False, paths={"parallel_tools": "parallel_tool_calls"})
        assert CLIENT.encode_request(asked, target()).dropped == ("parallel_tool_calls",)

    def test_a_demanded_call_without_functions_is_refused(self) -> None:
        with pytest.raises(UnsupportedFeature, match=r"tool_choice: .*no function is offered"):
            CLIENT.encode_request(request(HI, tool_choice=ToolChoice(mode="required")), target())

    def test_another_vendors_web_search_becomes_googles_when_it_is_alone(self) -> None:
        search = Tool(kind="server", name="web_search", dialect="anthropic_messages", raw="{}", at="tools[0]")
        assert _sent(request(HI, tools=(search,)))["tools"] == [{"googleSearch": {}}]

    def test_another_vendors_tool_is_left_out_and_listed_or_refused(self) -> None:
        search = Tool(kind="server", name="web_search", dialect="openai_responses", raw="{}", at="tools[1]")
        other = Tool(kind="server", name="shell", dialect="openai_responses", raw="{}", at="tools[0]")
        outgoing = CLIENT.encode_request(request(HI, tools=(F, search)), target())
        assert outgoing.dropped == ("tools[1]",)
        with pytest.raises(UnsupportedFeature, match=r"tools\[0\]: .* cannot run this tool"):
            CLIENT.encode_request(request(HI, tools=(other,)), target())
        with pytest.raises(UnsupportedFeature, match=r"tools\[1\]"):
            CLIENT.encode_request(
                request(HI, tools=(F, search), tool_choice=ToolChoice(mode="named", names=("web_search",))),
                target(),
            )


def test_vertex_gets_the_same_body_at_its_own_address() -> None:
    asked = request(HI, max_output=10)
    gemini = CLIENT.encode_request(asked, target())
    vertex = VERTEX_CLIENT.encode_request(asked, target(kind="google-vertex"))
    assert vertex.body == gemini.body
    assert vertex.path == "/publishers/google/models/gemini-3-flash-preview:streamGenerateContent?alt=sse"
    assert (CLIENT.kind, VERTEX_CLIENT.kind) == ("google-generative-ai", "google-vertex")


def test_strictness_refuses_what_would_be_listed() -> None:
    asked = request(HI, verbosity="low", paths={"verbosity": "verbosity"})
    with pytest.raises(UnsupportedFeature, match="verbosity"):
        CLIENT.encode_request(asked, target(strict=True))


def test_a_bottomless_schema_is_a_bad_request_and_no_crash() -> None:
    schema: Any = {}
    for _ in range(100_000):
        schema = {"items": schema}
    with pytest.raises(BadRequest, match="nested too deeply"):
        CLIENT.encode_request(request(HI, tools=(Tool(name="f", schema=schema),)), target())
    json.dumps({})  # the interpreter's stack is in order again
