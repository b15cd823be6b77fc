"""A caller's request, read into the hub."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects.google_gemini import ARRAY_SERVER, SERVER, SSE_SERVER
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.hub import (
    AudioBlock,
    DataSource,
    DocumentBlock,
    FileSource,
    ImageBlock,
    Opaque,
    OutputFormat,
    RawBlock,
    ReasoningBlock,
    ReasoningWish,
    Request,
    Sampling,
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    UrlSource,
)

USER: dict[str, Any] = {"role": "user", "parts": [{"text": "hi"}]}


def _read(**fields: Any) -> Request:
    return SERVER.decode_request(json.dumps({"contents": [USER], **fields}).encode())


def _config(**fields: Any) -> Request:
    return _read(generationConfig=fields)


def _turns(*contents: Any) -> list[tuple[str, tuple[Any, ...]]]:
    asked = SERVER.decode_request(json.dumps({"contents": contents}).encode())
    return [(turn.role, turn.blocks) for turn in asked.turns]


def _part(part: Any, role: str = "user") -> Any:
    ((_, blocks),) = _turns({"role": role, "parts": [part]})
    return blocks


class TestPeek:
    def test_the_form_tells_whether_it_streams_and_the_model_may_be_repeated(self) -> None:
        body = b'{"contents":[],"model":"models/x"}'
        assert SERVER.peek(body).model == "x"
        assert [each.peek(body).stream for each in (SERVER, SSE_SERVER, ARRAY_SERVER)] == [False, True, True]
        assert SERVER.peek(b"{}").model is None

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"model":1}', b"\xff", b'{"a":' * 5000])
    def test_what_is_no_request_is_refused(self, body: bytes) -> None:
        with pytest.raises(BadRequest):
            SERVER.peek(body)
        with pytest.raises(BadRequest):
            SERVER.decode_request(body)


class TestConversation:
    def test_both_spellings_and_lone_objects_are_read(self) -> None:
        body = {
            "system_instruction": {"parts": {"text": "be brief"}},
            "contents": {"parts": {"text": "hi"}},
            "generation_config": {"max_output_tokens": "17", "top_k": 4.0, "temperature": "0.5"},
        }
        asked = SERVER.decode_request(json.dumps(body).encode())
        assert asked.instructions == (TextBlock(text="be brief", at="system_instruction.parts"),)
        assert asked.turns[0].blocks == (TextBlock(text="hi", at="contents.parts"),)
        assert (asked.max_output, asked.sampling.top_k, asked.sampling.temperature) == (17, 4, 0.5)
        assert asked.paths["max_output"] == "generation_config.max_output_tokens"

    def test_text_in_the_place_of_contents_and_instructions_is_read(self) -> None:
        asked = SERVER.decode_request(b'{"contents":"hi","systemInstruction":"be brief"}')
        assert [block.text for block in asked.instructions] == ["be brief"]
        assert asked.turns[0].blocks == (TextBlock(text="hi", at="contents"),)

    def test_a_streamed_answer_kept_piece_by_piece_is_one_turn(self) -> None:
        pieces = [
            {"role": "model", "parts": [{"text": "th", "thought": True}]},
            {"role": "model", "parts": [{"text": "ink", "thought": True}]},
            {"role": "model", "parts": [{"text": "Hel"}]},
            {"role": "model", "parts": [{"text": "lo"}, {"functionCall": {"name": "f", "args": {"a": 1}}}]},
            {"role": "model", "parts": [{"text": ""}]},
        ]
        turns = _turns(USER, *pieces)
        assert turns[1] == (
            "assistant",
            (
                ReasoningBlock(text="think", summary=True, at="contents[1].parts[0]"),
                TextBlock(text="Hello", at="contents[3].parts[0]"),
                ToolCallBlock(id="call_1", name="f", arguments='{"a":1}', at="contents[4].parts[1]"),
            ),
        )

    @pytest.mark.parametrize("role", ["user", "function", "tool", ""])
    def test_results_find_their_calls_by_name_and_order(self, role: str) -> None:
        calls = [{"functionCall": {"name": name}} for name in ("f", "g", "f")]
        results = [
            {"functionResponse": {"name": name, "response": {"output": text}}}
            for name, text in (("g", "1"), ("f", "2"), ("f", "3"))
        ]
        turns = _turns(USER, {"role": "model", "parts": calls}, {"role": role, "parts": results})
        assert [block.id for block in turns[1][1]] == ["call_1", "call_2", "call_3"]
        assert [block.call_id for block in turns[2][1]] == ["call_2", "call_1", "call_3"]
        assert turns[2][0] == "tool"

    def test_made_up_ids_stay_when_the_conversation_grows(self) -> None:
        call = {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}
        result = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}
        short, long = _turns(USER, call, result), _turns(USER, call, result, call, result)
        assert long[: len(short)] == short
        assert long[3][1][0].id != short[1][1][0].id

    def test_a_result_answers_the_latest_call_and_no_forgotten_one(self) -> None:
        call = {"role": "model", "parts": [{"functionCall": {"name": "f"}}]}
        result = {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {}}}]}
        turns = _turns(USER, call, USER, call, result)
        assert turns[-1][1][0].call_id == turns[-2][1][0].id != turns[1][1][0].id

    def test_a_result_of_no_call_keeps_an_id_of_its_own(self) -> None:
        turns = _turns(
            {"role": "user", "parts": [{"functionResponse": {"name": "f", "response": {"output": "x"}}}]}
        )
        assert turns[0][1][0].call_id == "call_1"
        turns = _turns(
            {"role": "user", "parts": [{"functionResponse": {"id": "z", "response": {"output": "x"}}}]}
        )
        assert turns[0][1][0].call_id == "z"

    def test_what_stands_beside_results_is_a_turn_of_its_own(self) -> None:
        call = {"role": "model", "parts": [{"functionCall": {"id": "c", "name": "f"}}]}
        parts = [
            {"functionResponse": {"id": "c", "name": "f", "response": {"output": "x"}}},
            {"text": "go on"},
        ]
        turns = _turns(USER, call, {"role": "user", "parts": parts})
        assert [role for role, _ in turns] == ["user", "assistant", "tool", "user"]

    @pytest.mark.parametrize(
        ("response", "text", "is_error"),
        [
            ({"output": "x"}, "x", False),
            ({"result": {"a": 1}}, '{"a":1}', False),
            ({"error": "no"}, "no", True),
            ({"a": 1, "output": "x"}, '{"a":1,"output":"x"}', False),
            ({"name": "f", "content": {"a": 1}}, '{"a":1}', False),
            ({"name": "g", "content": "x"}, '{"name":"g","content":"x"}', False),
            ({}, "", False),
            (None, "", False),
            ("x", "x", False),
        ],
        ids=str,
    )
    def test_a_result_is_text_or_an_error(self, response: Any, text: str, is_error: bool) -> None:
        (block,) = _part({"functionResponse": {"id": "c", "name": "f", "response": response}})
        assert isinstance(block, ToolResultBlock)
        assert [part.text for part in block.content if isinstance(part, TextBlock)] == [text]
        assert block.is_error == is_error

    @pytest.mark.parametrize(
        ("part", "block"),
        [
            (
                {"inlineData": {"mimeType": "image/png", "data": "-_8"}},
                ImageBlock(source=DataSource("image/png", "+/8=")),
            ),
            (
                {"inline_data": {"mime_type": "audio/mpeg", "data": "QUJD"}},
                AudioBlock(data="QUJD", format="mp3"),
            ),
            (
                {"inlineData": {"mimeType": "application/pdf; x=1", "data": "QUJD", "displayName": "n"}},
                DocumentBlock(source=DataSource("application/pdf", "QUJD"), name="n"),
            ),
            (
                {"inlineData": {"mimeType": "text/csv", "data": "YSxi"}},
                DocumentBlock(source=TextSource("a,b")),
            ),
            (
                {"inlineData": {"mimeType": "video/mp4", "data": "QUJD"}},
                RawBlock(
                    dialect="google_gemini",
                    type_name="inlineData",
                    data='{"inlineData":{"mimeType":"video/mp4","data":"QUJD"}}',
                ),
            ),
            (
                {"fileData": {"mimeType": "image/png", "fileUri": "https://x.example/a"}},
                ImageBlock(source=UrlSource("https://x.example/a")),
            ),
            (
                {"fileData": {"fileUri": "https://generativelanguage.googleapis.com/v1beta/files/a"}},
                DocumentBlock(source=FileSource("https://generativelanguage.googleapis.com/v1beta/files/a")),
            ),
            (
                {"file_data": {"file_uri": "https://youtu.be/x"}},
                RawBlock(
                    dialect="google_gemini",
                    type_name="fileData",
                    data='{"fileData":{"file_uri":"https://youtu.be/x"}}',
                ),
            ),
            (
                {"executableCode": {"code": "1"}, "thoughtSignature": "QUJD"},
                RawBlock(
                    dialect="google_gemini",
                    type_name="executableCode",
                    data='{"executableCode":{"code":"1"},"thoughtSignature":"QUJD"}',
                ),
            ),
            (
                {"somethingNew": 1},
                RawBlock(dialect="google_gemini", type_name="somethingNew", data='{"somethingNew":1}'),
            ),
        ],
        ids=str,
    )
    def test_a_part_becomes_its_block(self, part: Any, block: Any) -> None:
        assert _part(part, "model") == (msgspec.structs.replace(block, at="contents[0].parts[0]"),)

    def test_pictures_in_results_are_kept_and_calls_in_results_listed(self) -> None:
        parts = [{"inlineData": {"mimeType": "image/png", "data": "QUJD"}}, {"functionCall": {"name": "f"}}]
        body = {"contents": [{"parts": [{"functionResponse": {"name": "f", "parts": parts}}]}]}
        asked = SERVER.decode_request(json.dumps(body).encode())
        (block,) = asked.turns[0].blocks
        assert isinstance(block, ToolResultBlock)
        assert [type(part) for part in block.content] == [ImageBlock]
        assert asked.dropped == ("contents[0].parts[0].functionResponse.parts[1]",)

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({}, "contents"),
            ({"contents": []}, "contents"),
            ({"contents": 1}, "contents"),
            ({"contents": ["x"]}, "contents[0]"),
            ({"contents": [{"role": "nobody"}]}, "contents[0].role"),
            ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
            ({"contents": [{"parts": [{"functionCall": {}}]}]}, "contents[0].parts[0].functionCall.name"),
            ({"contents": [{"parts": [{"functionCall": []}]}]}, "contents[0].parts[0].functionCall"),
            (
                {"contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "a"}}]}]},
                "contents[0].parts[0].inlineData.data",
            ),
            (
                {"contents": [USER], "tools": [{"functionDeclarations": [{}]}]},
                "tools[0].functionDeclarations[0].name",
            ),
            (
                {"contents": [USER], "toolConfig": {"functionCallingConfig": {"mode": "SOME"}}},
                "toolConfig.functionCallingConfig.mode",
            ),
            ({"contents": [USER], "generationConfig": {"topK": 1.5}}, "generationConfig.topK"),
            ({"contents": [USER], "generationConfig": {"topK": "many"}}, "generationConfig.topK"),
            ({"contents": [USER], "generationConfig": {"topK": "9" * 30}}, "generationConfig.topK"),
            (
                {"contents": [USER], "generationConfig": {"temperature": "nan"}},
                "generationConfig.temperature",
            ),
            (
                {"contents": [USER], "generation_config": {"stop_sequences": ["a", 1]}},
                "generation_config.stop_sequences[1]",
            ),
        ],
        ids=str,
    )
    def test_a_wrong_type_is_refused_by_its_path(self, body: Any, path: str) -> None:
        with pytest.raises(BadRequest) as caught:
            SERVER.decode_request(json.dumps(body).encode())
        assert caught.value.param == path


class TestTokens:
    def test_a_signature_stays_with_its_part(self) -> None:
        call = _part({"functionCall": {"name": "f"}, "thoughtSignature": "-_8"}, "model")[0]
        assert call.opaque == Opaque(kind="gemini_signature", data="+/8=")
        thought = _part({"text": "hm", "thought": True, "thought_signature": "QUJD"}, "model")[0]
        assert thought.opaque == Opaque(kind="gemini_signature", data="QUJD")
        text, token = _part({"text": "x", "thoughtSignature": "QUJD"}, "model")
        assert (text.text, token.text, token.opaque.data) == ("x", "", "QUJD")

    @pytest.mark.parametrize(
        "stand_in",
        [
            "skip_thought_signature_validator",
            "context_engineering_is_the_way_to_go",
            "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",
            "Y29udGV4dF9lbmdpbmVlcmluZ19pc190aGVfd2F5X3RvX2dv",
        ],
    )
    def test_googles_stand_ins_are_no_tokens(self, stand_in: str) -> None:
        (call,) = _part({"functionCall": {"name": "f"}, "thoughtSignature": stand_in}, "model")
        assert call.opaque is None


class TestConfig:
    def test_every_field_with_a_place_is_read(self) -> None:
        asked = _config(
            temperature=0.5,
            topP=0.9,
            topK=40,
            seed=7,
            presencePenalty=0.1,
            frequencyPenalty=0.2,
            responseLogprobs=True,
            logprobs=3,
            maxOutputTokens=100,
            stopSequences=["END", ""],
            candidateCount=1,
        )
        assert asked.sampling == Sampling(
            temperature=0.5,
            top_p=0.9,
            top_k=40,
            seed=7,
            presence_penalty=0.1,
            frequency_penalty=0.2,
            logprobs=True,
            top_logprobs=3,
        )
        assert (asked.max_output, asked.stop, asked.n, asked.dropped) == (100, ("END",), 1, ())

    @pytest.mark.parametrize(
        ("thinking", "wish"),
        [
            (
                {"thinkingLevel": "HIGH", "includeThoughts": True},
                ReasoningWish(mode="level", level="high", visible="summary"),
            ),
            ({"thinking_level": "low"}, ReasoningWish(mode="level", level="low", visible="none")),
            ({"thinkingLevel": "THINKING_LEVEL_UNSPECIFIED"}, ReasoningWish(mode="auto", visible="none")),
            ({"thinkingBudget": 0}, ReasoningWish(mode="off")),
            ({"thinkingBudget": -1, "includeThoughts": True}, ReasoningWish(mode="auto", visible="summary")),
            ({"thinkingBudget": "512"}, ReasoningWish(mode="budget", budget=512, visible="none")),
            ({"includeThoughts": True}, ReasoningWish(mode="auto", visible="summary")),
            ({}, None),
        ],
        ids=str,
    )
    def test_thinking_is_read_and_shown_to_who_asks_for_it(
        self, thinking: Any, wish: ReasoningWish | None
    ) -> None:
        asked = _config(thinkingConfig=thinking)
        assert asked.reasoning == wish
        assert SERVER.shows_reasoning(asked) == bool(thinking.get("includeThoughts"))

    @pytest.mark.parametrize(
        ("config", "form"),
        [
            ({"responseMimeType": "application/json"}, OutputFormat(kind="json")),
            ({"responseMimeType": "text/plain"}, None),
            (
                {
                    "responseMimeType": "application/json",
                    "responseJsonSchema": {"type": "object", "new_key": 1},
                },
                OutputFormat(kind="schema", schema={"type": "object", "new_key": 1}),
            ),
            (
                {"responseSchema": {"type": "OBJECT", "property_ordering": ["a"]}},
                OutputFormat(kind="schema", schema={"type": "object"}),
            ),
            (
                {"responseFormat": [{"text": {"schema": {"type": "object"}}}]},
                OutputFormat(kind="schema", schema={"type": "object"}),
            ),
        ],
        ids=str,
    )
    def test_the_form_of_the_answer_is_read(self, config: Any, form: OutputFormat | None) -> None:
        assert _config(**config).output == form

    @pytest.mark.parametrize(
        ("fields", "path"),
        [
            ({"cachedContent": "cachedContents/x"}, "cachedContent"),
            ({"cached_content": "cachedContents/x"}, "cached_content"),
            (
                {"generationConfig": {"responseModalities": ["TEXT", "AUDIO"]}},
                "generationConfig.responseModalities",
            ),
            ({"generationConfig": {"responseMimeType": "text/x.enum"}}, "generationConfig.responseMimeType"),
            ({"generationConfig": {"responseFormat": [{"audio": {}}]}}, "generationConfig.responseFormat[0]"),
        ],
        ids=str,
    )
    def test_what_would_change_the_answers_shape_is_refused(self, fields: Any, path: str) -> None:
        with pytest.raises(UnsupportedFeature) as caught:
            _read(**fields)
        assert caught.value.param == path

    def test_what_nobody_else_knows_is_listed_in_the_callers_spelling(self) -> None:
        asked = _read(
            safety_settings=[{"category": "x"}],
            labels={"a": "b"},
            serviceTier="priority",
            store=False,
            api_key="sk",
            generation_config={"speech_config": {}, "media_resolution": "LOW"},
        )
        assert asked.extra == {"safety_settings": [{"category": "x"}]}
        assert asked.metadata == {"a": "b"}
        assert asked.service_tier == "priority"
        assert asked.dropped == ("generation_config.media_resolution", "api_key")

    def test_a_count_is_read_from_its_own_envelope(self) -> None:
        body = {"generateContentRequest": {"model": "models/x", "contents": [USER], "systemInstruction": "s"}}
        asked = SERVER.decode_request(json.dumps(body).encode())
        assert (asked.model, asked.instructions[0].text) == ("x", "s")
        assert asked.turns[0].blocks[0].at == "generateContentRequest.contents[0].parts[0]"


class TestTools:
    def test_functions_and_googles_own_tools_are_told_apart(self) -> None:
        asked = _read(
            tools=[
                {
                    "functionDeclarations": [
                        {"name": "f", "description": "d", "parametersJsonSchema": {"a_b": 1}}
                    ]
                },
                {"google_search": {}, "codeExecution": {}},
            ]
        )
        assert [(tool.kind, tool.name, tool.at) for tool in asked.tools] == [
            ("function", "f", "tools[0].functionDeclarations[0]"),
            ("server", "googleSearch", "tools[1].google_search"),
            ("server", "codeExecution", "tools[1].codeExecution"),
        ]
        assert asked.tools[0].schema == {"a_b": 1}
        assert asked.tools[1].raw == '{"googleSearch":{}}'

    @pytest.mark.parametrize(
        ("calling", "choice"),
        [
            ({"mode": "AUTO"}, ToolChoice(mode="auto")),
            ({"mode": "any"}, ToolChoice(mode="required")),
            ({"mode": "ANY", "allowedFunctionNames": ["f"]}, ToolChoice(mode="named", names=("f",))),
            (
                {"mode": "ANY", "allowed_function_names": ["f", "g"]},
                ToolChoice(mode="subset", names=("f", "g"), required=True),
            ),
            ({"mode": "NONE"}, ToolChoice(mode="none")),
            ({"mode": "VALIDATED"}, ToolChoice(mode="auto")),
            ({"mode": "VALIDATED", "allowedFunctionNames": ["f"]}, ToolChoice(mode="subset", names=("f",))),
            ({}, None),
        ],
        ids=str,
    )
    def test_a_calling_mode_is_a_choice(self, calling: Any, choice: ToolChoice | None) -> None:
        assert _read(toolConfig={"functionCallingConfig": calling}).tool_choice == choice
        assert _read(tool_config={}).tool_choice is None


def test_results_of_other_names_belong_to_the_open_calls_in_their_order() -> None:
    calls: list[dict[str, Any]] = [{"functionCall": {"name": name, "args": {}}} for name in ("a", "b")]
    results = [{"functionResponse": {"name": name, "response": {"r": 1}}} for name in ("x", "y")]
    request = _read(contents=[USER, {"role": "model", "parts": calls}, {"role": "user", "parts": results}])
    made = [block.id for turn in request.turns for block in turn.blocks if isinstance(block, ToolCallBlock)]
    named = [
        block.call_id for turn in request.turns for block in turn.blocks if isinstance(block, ToolResultBlock)
    ]
    assert made == named
    assert len(set(made)) == 2


@pytest.mark.parametrize("data", ["\u00e9", "\u202e", "a\u0000b", "a==="])
def test_data_that_is_no_base64_is_named_by_its_path(data: str) -> None:
    parts = [{"inlineData": {"mimeType": "image/png", "data": data}}]
    with pytest.raises(BadRequest, match=r"contents\[0\].parts\[0\].inlineData.data"):
        _read(contents=[{"role": "user", "parts": parts}])
