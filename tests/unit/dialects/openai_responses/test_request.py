"""What goes upstream: fields, items, tools; and what is listed because it cannot."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.openai_responses import CLIENT, refuses_reasoning, without_reasoning
from pi_model_proxy.dialects.openai_responses.quirks import Quirks
from pi_model_proxy.dialects.openai_responses.schemas import is_strict_schema, tool_parameters
from pi_model_proxy.errors import BadRequest, UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
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
from support.responses_stream import encoded, request, target

USER = Turn(role="user", blocks=(TextBlock(text="hi"),))
CHATGPT = Identity(
    omitted_fields=frozenset(
        {"max_output_tokens", "temperature", "prompt_cache_retention", "prompt_cache_options"}
    )
)


def sent(asked: Request, goes_to: Target | None = None) -> Outgoing:
    return CLIENT.encode_request(asked, goes_to or target())


def user_parts(*blocks: Block, dialect: str = "anthropic_messages", goes_to: Target | None = None) -> Any:
    body = encoded(request(dialect=dialect, turns=(Turn(role="user", blocks=blocks),)), goes_to)
    return body["input"][0]["content"]


def test_nothing_is_stored_and_everything_is_streamed() -> None:
    out = sent(request(turns=(USER,)))
    body = json.loads(out.body)
    assert out.path == "/responses"
    assert out.stream
    assert (body["store"], body["stream"], body["model"]) == (False, True, "gpt-x")
    assert body["input"] == [{"role": "user", "content": [{"type": "input_text", "text": "hi"}]}]
    assert body["include"] == ["reasoning.encrypted_content"]
    assert body.keys() == {"store", "stream", "model", "input", "include"}


def test_instructions_without_marks_are_one_string_in_the_role_the_model_takes() -> None:
    asked = request(instructions=(TextBlock(text="be brief"),), turns=(USER,))
    assert encoded(asked)["input"][0] == {"role": "developer", "content": "be brief"}
    assert encoded(asked, target(reasoning=False))["input"][0]["role"] == "system"
    old = target(compat={"supportsDeveloperRole": False})
    assert encoded(asked, old)["input"][0]["role"] == "system"


def test_empty_instructions_are_left_out() -> None:
    assert len(encoded(request(instructions=(TextBlock(text=""),), turns=(USER,)))["input"]) == 1


def test_a_server_that_wants_instructions_first_gets_later_ones_as_marked_user_text() -> None:
    aside = Turn(role="system", blocks=(TextBlock(text="be brief"),))
    elsewhere = target(hosted_by_vendor=False, compat={})
    assert encoded(request(turns=(USER, aside)), elsewhere)["input"][-1]["role"] == "user"
    able = target(hosted_by_vendor=False, compat={"supportsMidConvoSystemMessages": True})
    assert encoded(request(turns=(USER, aside)), able)["input"][-1]["role"] == "developer"


# Parts.


def test_pictures_and_documents_go_in_the_formats_own_parts() -> None:
    png = DataSource(media_type="image/png", data="AAAA")
    pdf = DataSource(media_type="application/pdf", data="JVBE")
    assert user_parts(
        ImageBlock(source=png),
        ImageBlock(source=UrlSource(url="https://x/y.png"), detail="low"),
        DocumentBlock(source=pdf, name="a.pdf", context="ctx"),
        DocumentBlock(source=UrlSource(url="https://x/y.pdf")),
        DocumentBlock(source=TextSource(text="body"), name="note"),
        DocumentBlock(source=TextSource(text="bare")),
    ) == [
        {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"},
        {"type": "input_image", "detail": "low", "image_url": "https://x/y.png"},
        {"type": "input_text", "text": "ctx"},
        {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBE"},
        {"type": "input_file", "file_url": "https://x/y.pdf"},
        {"type": "input_text", "text": "note\n\nbody"},
        {"type": "input_text", "text": "bare"},
    ]


def test_a_stored_file_goes_only_to_where_the_caller_can_have_stored_it() -> None:
    blocks = (ImageBlock(source=FileSource(file_id="f1")), DocumentBlock(source=FileSource(file_id="f2")))
    parts = user_parts(*blocks, dialect="openai_chat")
    assert [part["file_id"] for part in parts] == ["f1", "f2"]
    for block in blocks:
        with pytest.raises(UnsupportedFeature):
            user_parts(block)
        with pytest.raises(UnsupportedFeature):
            user_parts(block, dialect="openai_chat", goes_to=target(hosted_by_vendor=False))


@pytest.mark.parametrize(
    "block",
    [
        AudioBlock(data="AAAA", format="wav", at="messages[0].content[0]"),
        ImageBlock(source=TextSource(text="x"), at="messages[0].content[0]"),
    ],
)
def test_what_this_format_cannot_carry_is_refused_by_its_place(block: Block) -> None:
    with pytest.raises(UnsupportedFeature, match=r"messages\[0\]\.content\[0\]"):
        user_parts(block)


def test_blocks_of_this_very_format_pass_as_they_were_written() -> None:
    raw = RawBlock(
        dialect="openai_responses", type_name="computer_call", data='{"type":"computer_call","x":1}'
    )
    assert user_parts(raw) == [{"type": "computer_call", "x": 1}]
    body = encoded(request(turns=(USER, Turn(role="assistant", blocks=(raw,)))))
    assert body["input"][1] == {"type": "computer_call", "x": 1}


def test_what_stands_on_the_wrong_side_of_the_conversation_is_listed() -> None:
    stray = ToolCallBlock(id="c", name="f", at="messages[0].content[0]")
    out = sent(request(turns=(Turn(role="user", blocks=(RefusalBlock(text="no"), stray)),)))
    assert json.loads(out.body)["input"][0]["content"] == [{"type": "input_text", "text": "no"}]
    assert out.dropped == ("messages[0].content[0]",)
    picture = ImageBlock(source=UrlSource(url="u"), at="messages[1].content[0]")
    out = sent(request(turns=(USER, Turn(role="assistant", blocks=(picture,)))))
    assert out.dropped == ("messages[1].content[0]",)


def test_citations_of_documents_cannot_be_asked_for() -> None:
    document = DocumentBlock(source=TextSource(text="t"), citations=True, at="messages[0].content[0]")
    out = sent(request(turns=(Turn(role="user", blocks=(document,)),)))
    assert out.dropped == ("messages[0].content[0].citations",)


def test_marks_where_the_format_has_none_are_listed() -> None:
    mark = CacheMark()
    turns = (
        USER,
        Turn(
            role="assistant",
            blocks=(
                TextBlock(text="t", cache=mark, at="a"),
                ToolCallBlock(id="c", name="f", cache=mark, at="b"),
            ),
        ),
        Turn(role="tool", blocks=(ToolResultBlock(call_id="c", cache=mark, at="c"),)),
    )
    tool = Tool(name="f", cache=mark, at="tools[0]")
    out = sent(request(turns=turns, tools=(tool,)), target(compat={"supportsExplicitPromptCacheMode": True}))
    assert set(out.dropped) == {f"{at}.cache_control" for at in ("a", "b", "c", "tools[0]")}


def test_a_login_that_refuses_explicit_caching_gets_no_breakpoints() -> None:
    marked = Turn(role="user", blocks=(TextBlock(text="t", cache=CacheMark(), at="m"),))
    goes_to = target(compat={"supportsExplicitPromptCacheMode": True}, identity=CHATGPT)
    out = sent(request(turns=(marked,)), goes_to)
    assert b"breakpoint" not in out.body
    assert out.dropped == ("m.cache_control",)


# Calls and results.


def _result(*content: TextBlock | ImageBlock, is_error: bool = False) -> Any:
    turns = (
        USER,
        Turn(role="assistant", blocks=(ToolCallBlock(id="c", name="f"),)),
        Turn(role="tool", blocks=(ToolResultBlock(call_id="c", content=content, is_error=is_error),)),
    )
    return encoded(request(turns=turns))["input"][2]["output"]


def test_results_are_text_where_they_can_be_and_parts_where_they_must() -> None:
    picture = ImageBlock(source=UrlSource(url="u"))
    image = {"type": "input_image", "detail": "auto", "image_url": "u"}
    assert _result(TextBlock(text="a"), TextBlock(text="b")) == "a\nb"
    assert _result() == "(no tool output)"
    assert _result(TextBlock(text="bad"), is_error=True) == "[tool error] bad"
    assert _result(TextBlock(text="see"), picture) == [{"type": "input_text", "text": "see"}, image]
    assert _result(picture, is_error=True) == [{"type": "input_text", "text": "[tool error]"}, image]


def test_a_call_nobody_answered_gets_an_error_for_an_answer() -> None:
    turns = (USER, Turn(role="assistant", blocks=(ToolCallBlock(id="c", name="f"),)), USER)
    items = encoded(request(turns=turns))["input"]
    assert items[1] == {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
    assert items[2] == {
        "type": "function_call_output",
        "call_id": "c",
        "output": "[tool error] No result provided",
    }
    assert items[3]["role"] == "user"


def test_an_answer_nobody_asked_for_becomes_user_text() -> None:
    turns = (
        USER,
        Turn(role="tool", blocks=(ToolResultBlock(call_id="x", content=(TextBlock(text="late"),)),)),
    )
    assert [item["role"] for item in encoded(request(turns=turns))["input"]] == ["user", "user"]


@pytest.mark.parametrize("native", [True, False])
def test_an_earlier_custom_call_goes_back_as_the_upstream_knows_it(native: bool) -> None:
    turns = (
        USER,
        Turn(
            role="assistant",
            blocks=(ToolCallBlock(id="c", name="patch", arguments="*** x", custom=True, item_id="ctc_1"),),
        ),
        Turn(role="tool", blocks=(ToolResultBlock(call_id="c", content=(TextBlock(text="done"),)),)),
    )
    call, result = encoded(request(turns=turns), target(compat={"supportsOpenAIGrammarTools": native}))[
        "input"
    ][1:]
    if native:
        assert call == {"type": "custom_tool_call", "call_id": "c", "name": "patch", "input": "*** x"}
        assert result["type"] == "custom_tool_call_output"
    else:
        assert call["type"] == "function_call"
        assert json.loads(call["arguments"]) == {"input": "*** x"}
        assert result["type"] == "function_call_output"


def test_text_and_refusals_of_one_turn_are_one_message_without_an_id() -> None:
    turn = Turn(role="assistant", blocks=(TextBlock(text="a"), TextBlock(text="b"), RefusalBlock(text="no")))
    assert encoded(request(turns=(USER, turn, USER)))["input"][1] == {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [
            {"type": "output_text", "text": "a", "annotations": []},
            {"type": "output_text", "text": "b", "annotations": []},
            {"type": "refusal", "refusal": "no"},
        ],
    }


def _thought(item_id: str | None, *rest: Block) -> Turn:
    opaque = Opaque(kind="openai_encrypted", data="blob", item_id=item_id)
    return Turn(role="assistant", blocks=(ReasoningBlock(opaque=opaque, at="messages[5].content[0]"), *rest))


def test_thinking_that_led_to_nothing_is_left_out() -> None:
    items = encoded(request(turns=(USER, _thought("rs_1"), USER)))["input"]
    assert [item.get("type") for item in items] == [None, None]


def test_thinking_is_sent_once_and_never_without_its_id() -> None:
    say = TextBlock(text="t")
    nameless = _thought(None, say)
    turns = (USER, _thought("rs_1", say), USER, _thought("rs_1", say), USER, nameless, USER)
    out = sent(request(turns=turns))
    thoughts = [item for item in json.loads(out.body)["input"] if item.get("type") == "reasoning"]
    assert thoughts == [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "blob"}]
    assert out.dropped == ("messages[5].content[0]",)


@pytest.mark.parametrize("item_id", ["ctc_1", "toolu_1", None])
def test_a_calls_item_id_of_another_type_is_dropped(item_id: str | None) -> None:
    turn = _thought("rs_1", ToolCallBlock(id="c", name="f", item_id=item_id))
    assert "id" not in encoded(request(turns=(USER, turn)))["input"][2]


# Tools.


def tools_of(*tools: Tool, goes_to: Target | None = None, **changes: Any) -> dict[str, Any]:
    return encoded(request(turns=(USER,), tools=tools, **changes), goes_to)


CLOSED = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


def test_strict_is_asked_for_only_where_schema_and_upstream_allow_it() -> None:
    strict = Tool(name="f", schema=CLOSED, strict=True, at="tools[0]")
    assert tools_of(strict)["tools"][0]["strict"] is True
    out = sent(request(turns=(USER,), tools=(strict,)), target(compat={}))
    assert json.loads(out.body)["tools"][0]["strict"] is False
    assert out.dropped == ("tools[0].strict",)
    loose = Tool(name="f", schema={**CLOSED, "required": []}, strict=True, at="tools[0]")
    assert tools_of(loose)["tools"][0]["strict"] is False


def test_of_tools_with_one_name_the_last_is_sent() -> None:
    body = tools_of(Tool(name="f", description="old"), Tool(name="f", description="new"))
    assert [tool["description"] for tool in body["tools"]] == ["new"]


def test_a_custom_tool_without_a_grammar_takes_any_text() -> None:
    assert tools_of(Tool(kind="custom", name="p"))["tools"] == [{"type": "custom", "name": "p"}]


SEARCH = Tool(
    kind="server", name="web_search", dialect="anthropic_messages", raw='{"type":"web"}', at="tools[1]"
)


def test_a_tool_that_another_provider_runs_is_left_out_and_listed() -> None:
    out = sent(request(turns=(USER,), tools=(Tool(name="f"), SEARCH)))
    assert [tool["name"] for tool in json.loads(out.body)["tools"]] == ["f"]
    assert out.dropped == ("tools[1]",)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"tools": (SEARCH,)}, id="it is the only tool"),
        pytest.param(
            {
                "tools": (Tool(name="f"), SEARCH),
                "tool_choice": ToolChoice(mode="named", names=("web_search",)),
            },
            id="it is forced",
        ),
    ],
)
def test_a_tool_that_another_provider_runs_is_refused_when(changes: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedFeature, match=r"tools\[1\]"):
        sent(request(turns=(USER,), **changes))


def test_a_hosted_tool_of_this_format_passes_and_can_be_forced() -> None:
    hosted = Tool(kind="server", name="web_search", dialect="openai_responses", raw='{"type":"web_search"}')
    body = tools_of(hosted, tool_choice=ToolChoice(mode="named", names=("web_search",)))
    assert body["tools"] == [{"type": "web_search"}]
    assert body["tool_choice"] == {"type": "web_search"}


@pytest.mark.parametrize(
    ("choice", "written"),
    [
        (ToolChoice(mode="auto"), "auto"),
        (ToolChoice(mode="none"), "none"),
        (ToolChoice(mode="required"), "required"),
        (ToolChoice(mode="named", names=("f",)), {"type": "function", "name": "f"}),
        (ToolChoice(mode="named", names=("p",)), {"type": "custom", "name": "p"}),
        (ToolChoice(mode="named"), None),
        (None, None),
    ],
)
def test_the_choice_among_tools(choice: ToolChoice | None, written: object) -> None:
    body = tools_of(Tool(name="f"), Tool(kind="custom", name="p"), tool_choice=choice)
    assert body.get("tool_choice") == written


@pytest.mark.parametrize(("required", "word"), [(True, "required"), (False, "auto")])
def test_a_subset_is_the_tools_that_are_left(required: bool, word: str) -> None:
    choice = ToolChoice(mode="subset", names=("g",), required=required)
    body = tools_of(Tool(name="f"), Tool(name="g"), tool_choice=choice)
    assert [tool["name"] for tool in body["tools"]] == ["g"]
    assert body["tool_choice"] == word


def test_a_choice_without_tools_is_not_sent() -> None:
    out = sent(
        request(turns=(USER,), tool_choice=ToolChoice(mode="required"), paths={"tool_choice": "tool_choice"})
    )
    assert b"tool_choice" not in out.body
    assert out.dropped == ("tool_choice",)
    assert not sent(request(turns=(USER,), tool_choice=ToolChoice(mode="auto"))).dropped


def test_parallel_calls_are_forbidden_only_where_there_are_tools() -> None:
    assert tools_of(Tool(name="f"), parallel_tools=False)["parallel_tool_calls"] is False
    assert "parallel_tool_calls" not in tools_of(parallel_tools=False)


@pytest.mark.parametrize(
    ("schema", "expected", "lost"),
    [
        pytest.param(None, {"type": "object", "properties": {}}, False, id="absent"),
        pytest.param(
            {"type": "object"}, {"type": "object", "properties": {}}, False, id="without properties"
        ),
        pytest.param(
            {
                "anyOf": [
                    {"properties": {"a": {}, "b": {}}, "required": ["a", "b"]},
                    {"properties": {"a": {}}, "required": ["a"]},
                ]
            },
            {"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"]},
            True,
            id="alternatives",
        ),
        pytest.param(
            {"properties": {"z": {}}, "allOf": [{"properties": {"a": {}}, "required": ["a"]}, 7]},
            {"type": "object", "properties": {"a": {}, "z": {}}, "required": ["a"]},
            True,
            id="conjunction",
        ),
        pytest.param(
            {"type": ["object", "null"], "properties": [], "required": "a", "oneOf": 3},
            {"type": "object", "properties": {}},
            True,
            id="nonsense",
        ),
    ],
)
def test_a_tools_schema_has_an_object_at_its_root(schema: Any, expected: dict[str, Any], lost: bool) -> None:
    parameters, was_lost = tool_parameters(schema)
    expected.setdefault("required", parameters.get("required"))
    parameters.setdefault("required", None)
    assert (parameters, was_lost) == (expected, lost)


def test_alternatives_at_the_root_are_listed() -> None:
    out = sent(
        request(
            turns=(USER,),
            tools=(Tool(name="f", schema={"anyOf": []}, words={"schema": "parameters"}, at="tools[0]"),),
        )
    )
    assert out.dropped == ("tools[0].parameters",)


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "additionalProperties": True}, False),
        ({**CLOSED, "properties": {"a": {"type": "object", "properties": {}}}}, False),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": CLOSED}}}, True),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": {"not": {}}}}}, False),
        (
            {**CLOSED, "properties": {"a": {"anyOf": [CLOSED, {"type": "null"}]}}, "$defs": {"d": CLOSED}},
            True,
        ),
        ({"type": "object"}, False),
        ({"type": ["object", "null"]}, False),
        (None, False),
        (True, False),
    ],
)
def test_which_schemas_can_be_strict(schema: object, strict: bool) -> None:
    assert is_strict_schema(schema) is strict


def test_a_schema_without_bottom_is_not_strict() -> None:
    schema: dict[str, Any] = {}
    for _ in range(100_000):
        schema = {"items": schema}
    assert not is_strict_schema(schema)
    # Take it apart again, or its own end would recurse too.
    while schema:
        schema = schema.pop("items", {})


# Fields.


@pytest.mark.parametrize(
    ("asked", "given", "lost"),
    [(8000, 8000, False), (1, 16, True), (200_000, 100_000, True)],
)
def test_the_output_limit_stays_within_what_is_accepted(asked: int, given: int, lost: bool) -> None:
    out = sent(request(turns=(USER,), max_output=asked, paths={"max_output": "max_tokens"}))
    assert json.loads(out.body)["max_output_tokens"] == given
    assert out.dropped == (("max_tokens",) if lost else ())


def test_an_upstream_without_an_output_limit_is_not_given_one() -> None:
    goes_to = target(compat={"supportsMaxOutputTokens": False})
    out = sent(request(turns=(USER,), max_output=100, paths={"max_output": "max_tokens"}), goes_to)
    assert b"max_output_tokens" not in out.body
    assert out.dropped == ("max_tokens",)


def test_a_chatgpt_login_is_spared_the_fields_it_refuses() -> None:
    asked = request(
        turns=(USER,),
        max_output=100,
        sampling=Sampling(temperature=0.5),
        cache_key="k",
        paths={"max_output": "max_tokens", "sampling.temperature": "temperature"},
    )
    out = sent(asked, target(identity=CHATGPT, reasoning=False))
    body = json.loads(out.body)
    assert not CHATGPT.omitted_fields & body.keys()
    assert body["prompt_cache_key"] == "k"
    assert out.dropped == ("max_tokens", "temperature")


@pytest.mark.parametrize(
    ("wish", "reasoning"),
    [
        (ReasoningWish(mode="level", level="high"), {"effort": "high", "summary": "auto"}),
        (ReasoningWish(mode="level", level="low", visible="none"), {"effort": "low"}),
        (ReasoningWish(mode="budget", budget=5000), {"effort": "medium", "summary": "auto"}),
        (ReasoningWish(mode="auto"), {"summary": "auto"}),
        (ReasoningWish(mode="off"), {"effort": "none"}),
        (None, None),
    ],
)
def test_how_much_the_model_shall_think(wish: ReasoningWish | None, reasoning: object) -> None:
    body = encoded(request(turns=(USER,), reasoning=wish))
    assert body.get("reasoning") == reasoning
    off = wish is not None and wish.mode == "off"
    assert body.get("include") == (None if off else ["reasoning.encrypted_content"])


def test_a_level_in_the_models_name_wins_and_the_upstreams_word_is_used() -> None:
    goes_to = target(level="xhigh", thinking_levels={"xhigh": "extreme"})
    asked = request(turns=(USER,), reasoning=ReasoningWish(mode="off"))
    assert encoded(asked, goes_to)["reasoning"]["effort"] == "extreme"


def test_thinking_asked_of_a_model_that_cannot_is_listed() -> None:
    asked = request(
        turns=(USER,), reasoning=ReasoningWish(mode="level", level="high"), paths={"reasoning": "thinking"}
    )
    out = sent(asked, target(reasoning=False))
    assert out.dropped == ("thinking",)
    assert json.loads(out.body).keys() == {"model", "input", "stream", "store"}


def test_a_level_that_had_to_be_another_is_listed() -> None:
    asked = request(
        turns=(USER,),
        reasoning=ReasoningWish(mode="level", level="minimal"),
        paths={"reasoning": "reasoning_effort"},
    )
    out = sent(asked)
    assert json.loads(out.body)["reasoning"]["effort"] == "low"
    assert out.dropped == ("reasoning_effort",)


def test_the_form_of_the_text() -> None:
    schema = OutputFormat(kind="schema", schema=CLOSED, name="n", description="d")
    body = encoded(request(turns=(USER,), output=schema, verbosity="low"))
    assert body["text"] == {
        "format": {"type": "json_schema", "name": "n", "schema": CLOSED, "strict": True, "description": "d"},
        "verbosity": "low",
    }
    body = encoded(request(turns=(USER,), output=OutputFormat(kind="json")))
    assert body["text"] == {"format": {"type": "json_object"}}


def test_a_form_outside_the_strict_subset_is_asked_for_loosely_and_listed_when_strictness_was_asked_for() -> (
    None
):
    loose = {**CLOSED, "required": []}
    for strict, dropped in ((True, ("response_format",)), (None, ())):
        output = OutputFormat(kind="schema", schema=loose, strict=strict)
        out = sent(request(turns=(USER,), output=output, paths={"output.strict": "response_format"}))
        written = json.loads(out.body)["text"]["format"]
        assert (written["strict"], written["name"], out.dropped) == (False, "answer", dropped)


def test_hints_go_where_they_are_understood() -> None:
    asked = request(
        dialect="openai_chat", turns=(USER,), cache_key="k" * 70, service_tier="flex", end_user="u"
    )
    body = encoded(asked)
    assert (body["prompt_cache_key"], body["service_tier"], body["safety_identifier"]) == (
        "k" * 64,
        "flex",
        "u",
    )
    elsewhere = target(hosted_by_vendor=False, compat={"promptCacheKeyMode": "disabled"})
    out = sent(asked, elsewhere)
    assert json.loads(out.body).keys() & {"prompt_cache_key", "safety_identifier"} == set()
    assert out.dropped == ("cache_key", "end_user")


def test_a_long_identifier_of_the_end_user_is_hashed() -> None:
    out = encoded(request(turns=(USER,), end_user='{"device_id":"' + "x" * 80 + '"}'))
    assert len(out["safety_identifier"]) == 64
    assert "x" * 10 not in out["safety_identifier"]


def test_a_service_tier_of_another_vendor_is_listed() -> None:
    assert sent(request(turns=(USER,), service_tier="auto")).dropped == ("service_tier",)


def test_sampling_is_sent_only_while_the_model_does_not_think() -> None:
    sampling = Sampling(temperature=0.5, top_p=0.9)
    assert sent(request(turns=(USER,), sampling=sampling)).dropped == (
        "sampling.temperature",
        "sampling.top_p",
    )
    silent = request(turns=(USER,), sampling=sampling, reasoning=ReasoningWish(mode="off"))
    for asked, goes_to in (
        (silent, target()),
        (request(turns=(USER,), sampling=sampling), target(reasoning=False)),
    ):
        body = encoded(asked, goes_to)
        assert (body["temperature"], body["top_p"]) == (0.5, 0.9)


def test_what_this_format_has_no_word_for_is_listed_unless_it_asks_for_nothing() -> None:
    everything = Sampling(
        top_k=1,
        min_p=0.1,
        seed=0,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        logit_bias={"1": 1},
        logprobs=True,
        top_logprobs=2,
    )
    assert set(sent(request(turns=(USER,), sampling=everything)).dropped) == {
        f"sampling.{field}"
        for field, value in msgspec.structs.asdict(everything).items()
        if value is not None
    }
    nothing = Sampling(presence_penalty=0, frequency_penalty=0, logit_bias={}, logprobs=False)
    assert not sent(request(turns=(USER,), sampling=nothing)).dropped


def test_unknown_fields_are_listed_by_name_unless_they_ask_for_what_happens_anyway() -> None:
    extra = {"prediction": {"x": 1}, "store": False, "modalities": ["text"], "user_tag": None, "thread": "t"}
    out = sent(request(turns=(USER,), extra=extra, metadata={"a": "b"}))
    assert out.dropped == ("metadata", "prediction", "thread")
    assert sent(request(turns=(USER,), extra={"store": True})).dropped == ("store",)


def test_spoken_answers_are_refused() -> None:
    with pytest.raises(UnsupportedFeature, match="modalities"):
        sent(request(turns=(USER,), extra={"modalities": ["text", "audio"]}))


def test_with_strict_the_first_loss_refuses() -> None:
    with pytest.raises(UnsupportedFeature, match="seed"):
        sent(request(turns=(USER,), sampling=Sampling(seed=1)), target(strict=True))


def test_a_models_own_sampling_parameters_come_last() -> None:
    goes_to = target(
        sampling_params={"temperature": 0.1, "x": 1}, sampling_params_by_level={"high": {"x": 2}}
    )
    asked = request(turns=(USER,), reasoning=ReasoningWish(mode="level", level="high"))
    body = encoded(asked, goes_to)
    assert (body["temperature"], body["x"]) == (0.1, 2)
    assert encoded(request(turns=(USER,)), goes_to)["x"] == 1


def test_a_request_without_bottom_is_refused_as_the_callers() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(100_000):
        schema = {"items": schema}
    tool = Tool(name="f", schema={"type": "object", "properties": {"a": schema}})
    with pytest.raises(BadRequest, match="nested"):
        sent(request(turns=(USER,), tools=(tool,)))
    while isinstance(schema.get("items"), dict):
        schema = schema.pop("items")


# Quirks, errors, the repeat.


def test_flags_of_the_wrong_type_do_not_count_and_unknown_ones_do_not_matter() -> None:
    quirks = Quirks.of(
        {"supportsDeveloperRole": False, "supportsStrictMode": "yes", "promptCacheKeyMode": 7, "other": 1}
    )
    assert quirks == Quirks(takes_developer_role=False)
    assert Quirks.of({"promptCacheKeyMode": "disabled"}).cache_key_mode == "disabled"


def test_an_error_answer_keeps_status_and_words() -> None:
    error = CLIENT.decode_error(
        429, {"retry-after": "7"}, b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}'
    )
    assert (error.status, error.kind, error.retry_after_s, error.family) == (429, "rate_limit", 7, "openai")
    assert not refuses_reasoning(error)


def test_a_refused_blob_is_known_by_its_words_too() -> None:
    body = b'{"error":{"message":"Encrypted content item_id did not match the target item id."}}'
    assert refuses_reasoning(CLIENT.decode_error(400, {}, body))
    assert not refuses_reasoning(CLIENT.decode_error(500, {}, body))


def test_only_refused_thinking_is_a_reason_to_ask_again_and_only_if_there_is_any() -> None:
    body = CLIENT.encode_request(request(turns=(USER,)), target()).body
    refused = CLIENT.decode_error(400, {}, b'{"error":{"message":"m","code":"invalid_encrypted_content"}}')
    other = CLIENT.decode_error(400, {}, b'{"error":{"message":"m","code":"invalid_value"}}')
    assert without_reasoning(body) is body
    assert CLIENT.mend(body, refused) is None
    turn = _thought("rs_1", TextBlock(text="t"))
    thinking = CLIENT.encode_request(request(turns=(USER, turn, USER)), target()).body
    assert CLIENT.mend(thinking, other) is None
    mended = CLIENT.mend(thinking, refused)
    assert mended is not None
    assert b"rs_1" not in mended


@pytest.mark.parametrize(
    ("changes", "sent_on"),
    [
        ({}, {"prompt_cache_options", "prompt_cache_retention"}),
        ({"compat": {}}, {"prompt_cache_retention"}),
        ({"hosted_by_vendor": False}, set()),
        (
            {"identity": Identity(omitted_fields=frozenset({"prompt_cache_options"}))},
            {"prompt_cache_retention"},
        ),
    ],
    ids=["openai", "a model without marks", "another provider", "a login whose backend refuses it"],
)
def test_openais_own_words_about_its_cache_are_sent_on_to_openai(changes: Any, sent_on: set[str]) -> None:
    said = {"prompt_cache_options": {"mode": "explicit"}, "prompt_cache_retention": "24h"}
    where = {"hosted_by_vendor": True, "compat": {"supportsExplicitPromptCacheMode": True}, **changes}
    out = CLIENT.encode_request(request(turns=(USER,), extra=said), target(**where))
    body = json.loads(out.body)
    assert {name: body[name] for name in said.keys() & body.keys()} == {name: said[name] for name in sent_on}
    assert set(out.dropped) == said.keys() - sent_on


@pytest.mark.parametrize(
    "body",
    [
        b'{"input":[{"type":{"value":1}},{"type":"reasoning","encrypted_content":"x"}]}',
        b'{"input":[null,{"type":"reasoning"}]}',
        b'{"input":[{"type":"\xff"}]}',
        b'{"input":"hi"}',
        b"{}",
        b"[]",
    ],
)
def test_a_refused_request_that_is_none_is_not_mended(body: bytes) -> None:
    refused = UpstreamError("encrypted_content could not be verified", status=400, kind="bad_request")
    assert CLIENT.mend(body, refused) is None
