"""Hub requests on their way to an upstream of this format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.anthropic_messages import CLIENT
from pi_model_proxy.dialects.anthropic_messages.client_content import FIRST_USER
from pi_model_proxy.dialects.anthropic_messages.client_request import JSON_INSTRUCTION
from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks
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
from support.messages_wire import ADAPTIVE, IDENTITY_TEXT, ask, refusal, sent, target, user

HIGH = ReasoningWish(mode="level", level="high")
FUNCTION = Tool(name="f", description="d", schema={"type": "object", "properties": {}}, at="tools[0]")
LOGIN = Identity(system_text=IDENTITY_TEXT, tool_names=("Read", "Bash"))
BUDGET_TRAITS: dict[str, Any] = {"thinking": frozenset({"enabled"}), "one_sampler": True}
ADAPTIVE_TRAITS: dict[str, Any] = {
    "thinking": frozenset({"adaptive"}),
    "efforts": ("low", "medium", "high", "xhigh", "max"),
    "sampling": False,
    "mid_system": True,
    "can_disable": False,
}


def assistant(*blocks: Any) -> Turn:
    return Turn(role="assistant", blocks=blocks)


def loop(*thinking: Any) -> tuple[Turn, ...]:
    return (
        user(),
        assistant(*thinking, ToolCallBlock(id="a", name="f", arguments="{}")),
        Turn(role="tool", blocks=(ToolResultBlock(call_id="a", content=(TextBlock(text="ok"),)),)),
    )


def test_a_plain_request_is_as_pi_sends_it() -> None:
    outgoing = CLIENT.encode_request(ask(instructions=(TextBlock(text="s"),), max_output=100), target())
    assert outgoing.path == "/v1/messages?beta=true"
    assert outgoing.headers == {"anthropic-version": "2023-06-01"}
    assert json.loads(outgoing.body) == {
        "model": "claude-sonnet-4-5",
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
        "max_tokens": 100,
        "stream": True,
        "system": [{"type": "text", "text": "s"}],
    }
    assert (outgoing.stream, outgoing.dropped) == (True, ())


# Limits


def test_a_limit_above_the_cap_is_lowered_and_listed() -> None:
    body, outgoing = sent(ask(max_output=100_000, paths={"max_output": "max_tokens"}))
    assert (body["max_tokens"], outgoing.dropped) == (64_000, ("max_tokens",))


def test_an_unknown_cap_leaves_the_caller_s_limit_alone() -> None:
    assert sent(ask(max_output=100_000), target(max_output=0))[0]["max_tokens"] == 100_000
    assert sent(ask(), target(max_output=0))[0]["max_tokens"] == 16_384


def test_without_a_limit_the_answer_fits_beside_a_long_prompt() -> None:
    body, _ = sent(ask(turns=(user("x" * 3 * 150_000),)))
    assert 40_000 < body["max_tokens"] < 50_000
    assert sent(ask(turns=(user("x" * 3 * 300_000),)))[0]["max_tokens"] == 1024
    assert sent(ask(), target(context_tokens=0))[0]["max_tokens"] == 64_000


# Thinking


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (
            ReasoningWish(mode="level", level="minimal"),
            {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
        ),
        (HIGH, {"type": "enabled", "budget_tokens": 16_384, "display": "summarized"}),
        (ReasoningWish(mode="auto"), {"type": "enabled", "budget_tokens": 8192, "display": "summarized"}),
        (
            ReasoningWish(mode="budget", budget=5000, visible="none"),
            {"type": "enabled", "budget_tokens": 5000, "display": "omitted"},
        ),
        (
            ReasoningWish(mode="budget", budget=10),
            {"type": "enabled", "budget_tokens": 1024, "display": "summarized"},
        ),
        (ReasoningWish(mode="off"), {"type": "disabled"}),
        (None, None),
    ],
)
def test_a_budget_model_is_asked_by_budget(
    wish: ReasoningWish | None, expected: dict[str, Any] | None
) -> None:
    body, outgoing = sent(ask(reasoning=wish))
    assert body.get("thinking") == expected
    assert "output_config" not in body
    has_beta = "interleaved-thinking-2025-05-14" in outgoing.headers.get("anthropic-beta", "")
    assert has_beta is (expected is not None and expected["type"] == "enabled")
    assert refusal(outgoing, **BUDGET_TRAITS) is None


@pytest.mark.parametrize(
    ("wish", "effort"),
    [
        (ReasoningWish(mode="level", level="minimal"), "low"),
        (ReasoningWish(mode="level", level="medium"), "medium"),
        (HIGH, "high"),
        (ReasoningWish(mode="level", level="xhigh"), "xhigh"),
        (ReasoningWish(mode="budget", budget=4000), "medium"),
        (ReasoningWish(mode="auto"), None),
        (ReasoningWish(mode="off"), "low"),
    ],
)
def test_an_adaptive_model_is_asked_by_effort(wish: ReasoningWish, effort: str | None) -> None:
    body, outgoing = sent(ask(reasoning=wish, max_output=500), target(**ADAPTIVE))
    assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
    assert body.get("output_config", {}).get("effort") == effort
    assert body["max_tokens"] == 500
    assert outgoing.dropped == (("reasoning",) if wish.mode == "off" else ())
    assert refusal(outgoing, **ADAPTIVE_TRAITS) is None


def test_a_model_that_cannot_think_is_not_asked_to_and_the_wish_is_listed() -> None:
    body, outgoing = sent(
        ask(reasoning=HIGH, paths={"reasoning": "reasoning_effort"}), target(reasoning=False)
    )
    assert "thinking" not in body
    assert outgoing.dropped == ("reasoning_effort",)


def test_thinking_that_does_not_fit_is_given_up_and_listed() -> None:
    body, outgoing = sent(ask(reasoning=HIGH, max_output=1000), target(max_output=1500))
    assert body["thinking"] == {"type": "disabled"}
    assert body["max_tokens"] == 1000
    assert outgoing.dropped == ("reasoning",)


def test_sampling_beside_thinking_is_dropped_and_listed() -> None:
    sampling = Sampling(temperature=0.3, top_p=1, top_k=5)
    body, outgoing = sent(ask(reasoning=HIGH, sampling=sampling))
    assert not {"temperature", "top_p", "top_k"} & body.keys()
    assert outgoing.dropped == ("sampling.temperature", "sampling.top_k")
    assert sent(ask(sampling=Sampling(top_p=0.5, top_k=5)))[0]["top_k"] == 5


def test_one_demanded_tool_wins_over_thinking() -> None:
    choice = ToolChoice(mode="named", names=("f",))
    body, outgoing = sent(ask(reasoning=HIGH, tools=(FUNCTION,), tool_choice=choice))
    assert body["tool_choice"] == {"type": "tool", "name": "f"}
    assert body["thinking"] == {"type": "disabled"}
    assert outgoing.dropped == ("reasoning",)
    assert refusal(outgoing, **BUDGET_TRAITS) is None


def test_a_tool_loop_without_signed_thinking_goes_on_without_thinking() -> None:
    body, outgoing = sent(ask(turns=loop(), tools=(FUNCTION,), reasoning=HIGH))
    assert body["thinking"] == {"type": "disabled"}
    assert outgoing.dropped == ("reasoning",)
    assert refusal(outgoing, **BUDGET_TRAITS) is None
    signed = ReasoningBlock(text="t", opaque=Opaque(kind="anthropic_signature", data="sig"))
    redacted = ReasoningBlock(opaque=Opaque(kind="anthropic_redacted", data="r"))
    body, _ = sent(ask(turns=loop(signed, redacted), tools=(FUNCTION,), reasoning=HIGH))
    assert body["thinking"]["type"] == "enabled"
    assert body["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "t", "signature": "sig"},
        {"type": "redacted_thinking", "data": "r"},
    ]


def test_a_loop_that_is_over_does_not_stop_the_thinking() -> None:
    turns = (*loop(), assistant(TextBlock(text="done")), user("more"))
    body, outgoing = sent(ask(turns=turns, tools=(FUNCTION,), reasoning=HIGH))
    assert body["thinking"]["type"] == "enabled"
    assert refusal(outgoing, **BUDGET_TRAITS) is None


def test_adaptive_models_are_lenient_about_it() -> None:
    body, outgoing = sent(ask(turns=loop(), tools=(FUNCTION,), reasoning=HIGH), target(**ADAPTIVE))
    assert body["thinking"]["type"] == "adaptive"
    assert refusal(outgoing, **ADAPTIVE_TRAITS) is None


def test_an_answer_that_is_to_be_continued_is_continued_without_thinking() -> None:
    turns = (user(), assistant(TextBlock(text="Once upon ")))
    body, outgoing = sent(ask(turns=turns, reasoning=HIGH))
    assert body["messages"][1]["content"] == [{"type": "text", "text": "Once upon"}]
    assert body["thinking"] == {"type": "disabled"}
    assert refusal(outgoing, **BUDGET_TRAITS) is None


def test_a_turn_does_not_end_in_thinking() -> None:
    signed = ReasoningBlock(
        text="t", opaque=Opaque(kind="anthropic_signature", data="s"), at="messages[1].reasoning"
    )
    _, outgoing = sent(
        ask(turns=(user(), assistant(TextBlock(text="x"), signed), assistant(signed), user("go")))
    )
    assert outgoing.dropped == ("messages[1].reasoning",)
    assert refusal(outgoing, **BUDGET_TRAITS) is None


def test_unsigned_thinking_returns_to_backends_that_make_such() -> None:
    turns = (user(), assistant(ReasoningBlock(text="t"), TextBlock(text="x")), user("go"))
    body, outgoing = sent(ask(turns=turns), target(compat={"allowEmptySignature": True}))
    assert body["messages"][1]["content"][0] == {"type": "thinking", "thinking": "t", "signature": ""}
    assert refusal(outgoing, empty_signature=True) is None


# Content


def contents(*blocks: Any) -> list[dict[str, Any]]:
    body, outgoing = sent(ask(turns=(Turn(role="user", blocks=blocks),)))
    assert outgoing.dropped == ()
    found: list[dict[str, Any]] = body["messages"][0]["content"]
    return found


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (TextBlock(text="t", cache=CacheMark(ttl="1h")), {"type": "text", "text": "t", "cache_control": {"type": "ephemeral", "ttl": "1h"}}),
        (RefusalBlock(text="no"), {"type": "text", "text": "no"}),
        (
            ImageBlock(source=DataSource(media_type="image/JPG", data="AA=="), detail="auto"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "AA=="}},
        ),
        (ImageBlock(source=UrlSource(url="https://x")), {"type": "image", "source": {"type": "url", "url": "https://x"}}),
        (
            DocumentBlock(source=DataSource(media_type="application/pdf", data="AA=="), name="a", context="c", citations=True),
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                "title": "a",
                "context": "c",
                "citations": {"enabled": True},
            },
        ),
        (
            DocumentBlock(source=DataSource(media_type="text/markdown", data="aGk=")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
        ),
        (
            DocumentBlock(source=TextSource(text="hi")),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "hi"}},
        ),
        (DocumentBlock(source=UrlSource(url="u")), {"type": "document", "source": {"type": "url", "url": "u"}}),
        (RawBlock(dialect="anthropic_messages", type_name="x", data='{"type":"x"}'), {"type": "x"}),
    ],
)  # fmt: skip
def test_what_a_user_sends_is_written(block: Any, expected: dict[str, Any]) -> None:
    assert contents(block) == [expected]


@pytest.mark.parametrize(
    "block",
    [
        AudioBlock(data="AA==", format="wav", at="here"),
        ImageBlock(source=FileSource(file_id="file-1"), at="here"),
        ImageBlock(source=DataSource(media_type="image/svg+xml", data="AA=="), at="here"),
        DocumentBlock(source=FileSource(file_id="file-1"), at="here"),
        DocumentBlock(source=DataSource(media_type="application/zip", data="AA=="), at="here"),
        DocumentBlock(source=DataSource(media_type="text/plain", data="!"), at="here"),
    ],
)
def test_what_cannot_be_said_is_refused_by_its_path(block: Any) -> None:
    with pytest.raises(UnsupportedFeature, match="here"):
        contents(block)


def test_results_are_text_or_blocks() -> None:
    picture = ImageBlock(source=UrlSource(url="https://x"))
    parts = (TextBlock(text="see"), picture)
    turns = (
        user(),
        assistant(*(ToolCallBlock(id=each, name="f") for each in "abc")),
        Turn(
            role="tool",
            blocks=(
                ToolResultBlock(call_id="a", content=(TextBlock(text="t"),)),
                ToolResultBlock(call_id="b", content=parts, cache=CacheMark()),
                ToolResultBlock(call_id="c", is_error=True),
            ),
        ),
    )
    body, outgoing = sent(ask(turns=turns, tools=(FUNCTION,)))
    one, two, three = body["messages"][2]["content"]
    assert one == {"type": "tool_result", "tool_use_id": "a", "content": "t"}
    assert [part["type"] for part in two["content"]] == ["text", "image"]
    assert two["cache_control"] == {"type": "ephemeral"}
    assert three == {"type": "tool_result", "tool_use_id": "c", "is_error": True}
    assert refusal(outgoing) is None


def test_a_history_that_the_assistant_begins_gets_words_of_the_user() -> None:
    body, outgoing = sent(ask(turns=(assistant(TextBlock(text="welcome")), user())))
    assert body["messages"][0]["content"][0]["text"] == FIRST_USER
    assert refusal(outgoing) is None


def test_nothing_to_say_is_a_bad_request() -> None:
    with pytest.raises(BadRequest, match="messages"):
        sent(ask(turns=(user("  "),)))


def test_an_instruction_before_a_user_message_stands_right_before_the_next_answer_as_pi_places_it() -> None:
    """pi 1.5.2 `convertMessages`: never between a call and its results, which Anthropic refuses."""
    turns = (
        user("a"),
        assistant(ToolCallBlock(id="c", name="f")),
        Turn(role="system", blocks=(TextBlock(text="brief"),)),
        Turn(role="tool", blocks=(ToolResultBlock(call_id="c", content=(TextBlock(text="r"),)),)),
        user("b"),
        assistant(TextBlock(text="c")),
        Turn(role="system", blocks=(TextBlock(text="long"),)),
        user("d"),
    )
    body, outgoing = sent(ask(turns=turns), target(compat={"supportsMidConvoSystemMessages": True}))
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant", "user", "system", "assistant", "user", "system"]
    assert [block["type"] for block in body["messages"][2]["content"]] == ["tool_result", "text"]
    assert outgoing.dropped == ()


def test_instructions_in_mid_conversation_keep_their_role_where_it_is_taken() -> None:
    system = Turn(role="system", blocks=(TextBlock(text="brief"),))
    turns = (user(), system, user("go"), assistant(TextBlock(text="ok")), user("more"), system)
    body, outgoing = sent(ask(turns=turns), target(**ADAPTIVE))
    assert [message["role"] for message in body["messages"]] == [
        "user",
        "system",
        "assistant",
        "user",
        "system",
    ]
    assert refusal(outgoing, **ADAPTIVE_TRAITS) is None
    folded, outgoing = sent(ask(turns=turns))
    assert [message["role"] for message in folded["messages"]] == ["user", "assistant", "user"]
    assert refusal(outgoing) is None


def test_system_blocks_stay_apart_and_empty_ones_leave_their_mark_behind() -> None:
    instructions = (
        TextBlock(text="a"),
        TextBlock(text="", cache=CacheMark()),
        TextBlock(text="b\ud83d"),
        TextBlock(text=" "),
    )
    body, _ = sent(ask(instructions=instructions))
    assert body["system"] == [
        {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
        {"type": "text", "text": "b\ufffd"},
    ]


def test_plain_json_is_asked_for_in_words_and_listed() -> None:
    body, outgoing = sent(ask(output=OutputFormat(kind="json"), paths={"output": "response_format"}))
    assert body["system"] == [{"type": "text", "text": JSON_INSTRUCTION}]
    assert outgoing.dropped == ("response_format",)


def test_a_schema_that_cannot_be_enforced_whole_is_closed_described_and_listed() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 1}}}
    body, outgoing = sent(ask(output=OutputFormat(kind="schema", schema=schema)))
    assert body["output_config"]["format"]["schema"] == {
        "type": "object",
        "properties": {"n": {"type": "integer", "description": "minimum: 1"}},
        "additionalProperties": False,
    }
    assert outgoing.dropped == ("output.schema",)
    assert refusal(outgoing) is None


def test_what_a_schema_is_called_is_said_inside_it() -> None:
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    named = OutputFormat(kind="schema", schema=closed, name="town", description="A town.")
    body, outgoing = sent(ask(output=named))
    assert body["output_config"]["format"]["schema"] == {**closed, "title": "town", "description": "A town."}
    assert outgoing.dropped == ()


def test_a_name_that_the_schema_contradicts_is_listed() -> None:
    schema = {
        "type": "object",
        "properties": {},
        "additionalProperties": False,
        "title": "Town",
        "description": "d",
    }
    named = OutputFormat(kind="schema", schema=schema, name="Town", description="other", strict=False)
    body, outgoing = sent(ask(output=named))
    assert body["output_config"]["format"]["schema"] == schema
    assert outgoing.dropped == ("output.strict", "output.description")


# Tools


def test_tools_are_written_as_pi_writes_them() -> None:
    body, outgoing = sent(ask(tools=(FUNCTION, Tool(name="bare", at="tools[1]"))))
    assert body["tools"] == [
        {
            "name": "f",
            "description": "d",
            "eager_input_streaming": True,
            "input_schema": {"type": "object", "properties": {}},
        },
        {"name": "bare", "eager_input_streaming": True, "input_schema": {"type": "object", "properties": {}}},
    ]
    assert "tool_choice" not in body
    assert refusal(outgoing) is None


def test_where_eager_streaming_is_unknown_a_beta_asks_for_it() -> None:
    lacking = target(compat={"supportsEagerToolInputStreaming": False})
    body, outgoing = sent(ask(tools=(FUNCTION,)), lacking)
    assert "eager_input_streaming" not in body["tools"][0]
    assert outgoing.headers["anthropic-beta"] == "fine-grained-tool-streaming-2025-05-14"
    assert "anthropic-beta" not in sent(ask(), lacking)[1].headers


def test_of_tools_with_one_name_the_last_counts() -> None:
    body, outgoing = sent(ask(tools=(FUNCTION, Tool(name="f", description="new"))))
    assert [tool["description"] for tool in body["tools"]] == ["new"]
    assert refusal(outgoing) is None


def test_a_root_that_is_no_object_is_made_one() -> None:
    schema = {
        "anyOf": [
            {"type": "object", "properties": {"a": {}}, "required": ["a", "c"]},
            {"properties": {"b": {}}, "required": ["b", "c"]},
            True,
        ],
        "allOf": [{"required": ["d"]}],
        "description": "x",
    }
    body, outgoing = sent(ask(tools=(Tool(name="f", schema=schema),)))
    assert body["tools"][0]["input_schema"] == {
        "description": "x",
        "properties": {"a": {}, "b": {}},
        "required": ["c", "d"],
        "type": "object",
    }
    assert refusal(outgoing) is None


def test_strictness_is_kept_where_it_can_be_enforced_and_else_listed() -> None:
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    tools = (
        Tool(name="a", schema=closed, strict=True, at="tools[0]"),
        Tool(name="b", schema={"type": "object"}, strict=True, at="tools[1]"),
        Tool(name="c", schema=closed, strict=False, at="tools[2]"),
    )
    body, outgoing = sent(ask(tools=tools), target(compat={"supportsStrictTools": True}))
    assert [tool.get("strict") for tool in body["tools"]] == [True, None, None]
    assert outgoing.dropped == ("tools[1].strict",)
    assert refusal(outgoing) is None
    assert sent(ask(tools=tools))[1].dropped == ("tools[0].strict", "tools[1].strict")


def test_no_more_strict_tools_are_sent_than_are_taken() -> None:
    closed = {"type": "object", "properties": {}, "additionalProperties": False}
    tools = tuple(Tool(name=f"t{i}", schema=closed, strict=True, at=f"tools[{i}]") for i in range(22))
    body, outgoing = sent(ask(tools=tools), target(compat={"supportsStrictTools": True}))
    assert sum(tool.get("strict", False) for tool in body["tools"]) == 20
    assert outgoing.dropped == ("tools[20].strict", "tools[21].strict")
    assert refusal(outgoing) is None


def test_a_free_form_tool_is_a_function_with_one_string() -> None:
    patch = Tool(
        kind="custom", name="patch", grammar={"syntax": "lark"}, words={"grammar": "format"}, at="tools[0]"
    )
    turns = (user(), assistant(ToolCallBlock(id="a", name="patch", arguments="*** Begin", custom=True)))
    body, outgoing = sent(ask(tools=(patch,), turns=turns))
    assert body["tools"][0]["input_schema"]["required"] == ["input"]
    assert body["messages"][1]["content"][0]["input"] == {"input": "*** Begin"}
    assert outgoing.dropped == ("tools[0].format",)
    assert refusal(outgoing) is None


def test_anthropic_s_own_tools_pass_as_they_are() -> None:
    raw = '{"type":"web_search_20250305","name":"web_search","cache_control":{"type":"ephemeral"}}'
    own = Tool(kind="server", name="web_search", dialect="anthropic_messages", raw=raw, cache=CacheMark())
    body, _ = sent(ask(tools=(own,)))
    assert body["tools"] == [json.loads(raw)]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(mode="auto"), {"type": "auto"}),
        (ToolChoice(mode="required"), {"type": "any"}),
        (ToolChoice(mode="named", names=("f",)), {"type": "tool", "name": "f"}),
        (ToolChoice(mode="subset", names=("f",), required=True), {"type": "any"}),
        (ToolChoice(mode="subset", names=("f",)), None),
    ],
)
def test_tool_choice_is_written_and_a_subset_is_all_that_is_offered(
    choice: ToolChoice, expected: Any
) -> None:
    body, outgoing = sent(ask(tools=(FUNCTION, Tool(name="g")), tool_choice=choice))
    assert body.get("tool_choice") == expected
    assert [tool["name"] for tool in body["tools"]] == (["f"] if choice.mode == "subset" else ["f", "g"])
    assert refusal(outgoing) is None


def test_a_choice_without_tools_is_nothing_or_refused_when_a_call_is_demanded() -> None:
    body, _ = sent(ask(tool_choice=ToolChoice(mode="auto"), parallel_tools=False))
    assert "tool_choice" not in body
    with pytest.raises(UnsupportedFeature, match="tool_choice"):
        sent(ask(tool_choice=ToolChoice(mode="required")))


# Caching


def test_the_caller_s_own_marks_are_kept_and_none_are_added() -> None:
    turns = (Turn(role="user", blocks=(TextBlock(text="x", cache=CacheMark()),)),)
    body, _ = sent(ask(turns=turns, instructions=(TextBlock(text="s"),)), target(auto_cache=True))
    assert "cache_control" not in body["system"][0]
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}


def test_a_caller_that_can_speak_for_itself_gets_no_marks() -> None:
    body, _ = sent(ask(dialect="anthropic_messages"), target(auto_cache=True))
    assert "cache_control" not in body["messages"][0]["content"][0]


def test_no_more_than_the_last_four_marks_are_sent() -> None:
    blocks = tuple(TextBlock(text=str(i), cache=CacheMark()) for i in range(6))
    body, outgoing = sent(ask(turns=(Turn(role="user", blocks=blocks),)))
    assert [("cache_control" in block) for block in body["messages"][0]["content"]] == [False] * 2 + [
        True
    ] * 4
    assert outgoing.dropped == ("cache_control",)
    assert refusal(outgoing) is None


def test_an_hour_does_not_follow_five_minutes() -> None:
    tool = Tool(name="t", cache=CacheMark(ttl="1h"))
    instructions = (TextBlock(text="s", cache=CacheMark(ttl="5m")),)
    turns = (Turn(role="user", blocks=(TextBlock(text="x", cache=CacheMark(ttl="1h")),)),)
    body, outgoing = sent(ask(tools=(tool,), instructions=instructions, turns=turns))
    assert body["tools"][0]["cache_control"] == {"type": "ephemeral", "ttl": "1h"}
    assert body["messages"][0]["content"][0]["cache_control"] == {"type": "ephemeral"}
    assert refusal(outgoing) is None


def test_marks_are_as_plain_as_the_upstream_takes_them() -> None:
    compat = {"supportsLongCacheRetention": False, "supportsCacheControlOnTools": False}
    blocks = (TextBlock(text="a", cache=CacheMark(ttl="1h")), TextBlock(text="b", cache=CacheMark(ttl="5m")))
    request = ask(tools=(Tool(name="t", cache=CacheMark()),), turns=(Turn(role="user", blocks=blocks),))
    body, _ = sent(request, target(compat=compat))
    assert "cache_control" not in body["tools"][0]
    assert [block["cache_control"] for block in body["messages"][0]["content"]] == [{"type": "ephemeral"}] * 2
    placed, _ = sent(ask(tools=(FUNCTION,)), target(compat=compat, auto_cache=True))
    assert "cache_control" not in placed["tools"][0]


def test_no_mark_is_placed_on_thinking_or_on_the_assistant() -> None:
    turns = (user(), assistant(TextBlock(text="so")))
    body, _ = sent(ask(turns=turns), target(auto_cache=True))
    assert not any("cache_control" in block for message in body["messages"] for block in message["content"])
    called = ask(turns=(user(), assistant(ToolCallBlock(id="a", name="f")), user("x")))
    assert "cache_control" in sent(called, target(auto_cache=True))[0]["messages"][-1]["content"][-1]


# Logins


def test_a_login_introduces_itself_first_and_alone() -> None:
    request = ask(instructions=(TextBlock(text="s"),), tools=(FUNCTION,))
    body, outgoing = sent(request, target(identity=LOGIN, auto_cache=True))
    assert [block["text"] for block in body["system"]] == [IDENTITY_TEXT, "s"]
    assert all("cache_control" in block for block in body["system"])
    assert refusal(outgoing) is None
    assert sent(ask(), target(identity=LOGIN))[0]["system"] == [{"type": "text", "text": IDENTITY_TEXT}]


def test_a_login_s_tool_names_are_spelt_its_way_and_given_back() -> None:
    turns = (user(), assistant(ToolCallBlock(id="a", name="read")))
    body, outgoing = sent(
        ask(tools=(Tool(name="read"), Tool(name="other")), turns=turns), target(identity=LOGIN)
    )
    assert [tool["name"] for tool in body["tools"]] == ["Read", "other"]
    assert body["messages"][1]["content"][0]["name"] == "Read"
    assert outgoing.names.original("Read") == "read"


def test_fields_that_the_login_s_backend_refuses_are_left_out_and_listed() -> None:
    identity = Identity(omitted_fields=frozenset({"metadata", "top_k"}))
    body, outgoing = sent(ask(end_user="u", paths={"end_user": "user"}), target(identity=identity))
    assert "metadata" not in body
    assert outgoing.dropped == ("user",)


def test_a_field_of_ours_that_the_login_s_backend_refuses_is_no_loss() -> None:
    body, outgoing = sent(ask(), target(identity=Identity(omitted_fields=frozenset({"max_tokens"}))))
    assert "max_tokens" not in body
    assert outgoing.dropped == ()


# All the rest


def test_stop_sequences_lose_the_blank_ones() -> None:
    body, outgoing = sent(ask(stop=("END", " \n"), paths={"stop": "stop"}))
    assert body["stop_sequences"] == ["END"]
    assert outgoing.dropped == ("stop",)
    assert "stop_sequences" not in sent(ask(stop=(" ",)))[0]


def test_users_tiers_and_metadata() -> None:
    body, outgoing = sent(ask(end_user="u", service_tier="default", metadata={"a": "b"}))
    assert (body["metadata"], body["service_tier"]) == ({"user_id": "u"}, "standard_only")
    assert outgoing.dropped == ("metadata",)
    body, outgoing = sent(ask(end_user="x" * 300, service_tier="flex"))
    assert len(body["metadata"]["user_id"]) == 64
    assert outgoing.dropped == ("service_tier",)
    assert refusal(outgoing) is None


def test_wishes_without_a_word_are_listed_and_those_without_effect_are_not() -> None:
    sampling = Sampling(
        seed=1,
        min_p=0.1,
        presence_penalty=0,
        frequency_penalty=0.5,
        logit_bias={},
        logprobs=False,
        top_logprobs=3,
    )
    request = ask(
        sampling=sampling,
        verbosity="low",
        cache_key="k",
        extra={"store": False},
        paths={"sampling.seed": "seed"},
    )
    _, outgoing = sent(request)
    assert outgoing.dropped == (
        "sampling.min_p", "seed", "sampling.frequency_penalty", "sampling.top_logprobs", "verbosity", "cache_key", "store",
    )  # fmt: skip


def test_strictness_refuses_what_would_be_listed() -> None:
    with pytest.raises(UnsupportedFeature, match="seed"):
        sent(ask(sampling=Sampling(seed=1), paths={"sampling.seed": "seed"}), target(strict=True))


@pytest.mark.parametrize(
    ("compat", "expected"),
    [
        ({"sendSessionAffinityHeaders": True}, {"x-session-affinity": "k"}),
        ({"sendSessionAffinityHeaders": True, "sessionAffinityFormat": "openrouter"}, {"x-session-id": "k"}),
        ({}, {}),
    ],
)
def test_a_session_s_key_becomes_a_header_where_one_is_wanted(compat: Any, expected: dict[str, str]) -> None:
    _, outgoing = sent(ask(cache_key="k"), target(compat=compat))
    assert {name: value for name, value in outgoing.headers.items() if name.startswith("x-")} == expected
    assert ("cache_key" in outgoing.dropped) is not bool(expected)
    hashed = sent(ask(cache_key="k\n"), target(compat=compat))[1].headers
    assert all(hashed[name].isalnum() for name in expected)


def test_models_that_may_answer_instead_are_named_as_pi_names_them() -> None:
    compat = {"allowedFallbackModels": [{"model": "claude-opus-5", "provider": "anthropic", "cost": {}}]}
    body, outgoing = sent(ask(), target(compat=compat))
    assert body["fallbacks"] == [{"model": "claude-opus-5"}]
    assert outgoing.headers["anthropic-beta"] == "server-side-fallback-2026-07-01"


def test_flags_of_the_wrong_type_do_not_count() -> None:
    quirks = Quirks.of(
        {"supportsTemperature": "no", "forceAdaptiveThinking": True, "unknown": 1, "allowedFallbackModels": 5}
    )
    assert quirks == Quirks(thinks_adaptively=True)


def test_nesting_without_end_is_a_bad_request() -> None:
    schema: dict[str, Any] = {}
    for _ in range(3000):
        schema = {"items": schema}
    with pytest.raises(BadRequest, match="nested"):
        sent(ask(tools=(Tool(name="f", schema=schema),)))


# Mending


def refused(words: str, kind: str = "bad_request") -> UpstreamError:
    return UpstreamError(words, status=400, kind=kind)


def test_strict_tools_beyond_the_limits_are_sent_again_without_strictness() -> None:
    body = b'{"model":"m","tools":[{"name":"a","strict":true,"input_schema":{"x": 1}},{"name":"b"}],"messages":[]}'
    mended = CLIENT.mend(body, refused("tools: The compiled grammar is too large"))
    assert (
        mended == b'{"model":"m","tools":[{"name":"a","input_schema":{"x": 1}},{"name":"b"}],"messages":[]}'
    )
    assert CLIENT.mend(b'{"messages":[]}', refused("Too many strict tools (21)")) is None


THOUGHT = '{"type":"thinking","thinking":"t","signature":"s"}'
BAD_SIGNATURE = "messages.1.content.0: Invalid `signature` in `thinking` block"


def test_thinking_that_turns_out_foreign_is_sent_again_without() -> None:
    body = (
        '{"messages":[{"role":"user","content":"hi"},'
        f'{{"role":"assistant","content":[{THOUGHT},{{"type":"text","text":"x"}}]}},'
        f'{{"role":"assistant","content":[{THOUGHT}]}},'
        '{"role":"user","content":"go"}],"thinking":{"type":"enabled","budget_tokens":2000}}'
    ).encode()
    mended = json.loads(CLIENT.mend(body, refused(BAD_SIGNATURE)) or b"null")
    assert [message["content"] for message in mended["messages"]] == [
        "hi",
        [{"type": "text", "text": "x"}],
        "go",
    ]
    assert mended["thinking"]["type"] == "enabled"
    assert CLIENT.mend(b'{"messages":[{"role":"user","content":"hi"}]}', refused(BAD_SIGNATURE)) is None


def test_a_tool_loop_that_lost_its_thinking_goes_on_without() -> None:
    body = (
        '{"messages":[{"role":"user","content":"hi"},'
        f'{{"role":"assistant","content":[{THOUGHT},{{"type":"tool_use","id":"a","name":"f","input":{{}}}}]}},'
        '{"role":"user","content":[{"type":"tool_result","tool_use_id":"a"}]}],"thinking":{"type":"enabled"}}'
    ).encode()
    mended = json.loads(CLIENT.mend(body, refused(BAD_SIGNATURE)) or b"null")
    assert mended["thinking"] == {"type": "disabled"}


def test_other_errors_are_not_mended() -> None:
    assert CLIENT.mend(b"{}", refused("no")) is None
    assert CLIENT.mend(b"{}", refused(BAD_SIGNATURE, kind="overloaded")) is None


def test_a_body_that_cannot_be_read_is_not_mended() -> None:
    assert CLIENT.mend(b"not json", refused("Too many strict tools (21)")) is None
    assert CLIENT.mend(b'{"messages":5}', refused(BAD_SIGNATURE)) is None


def test_no_mark_is_placed_where_pi_places_none() -> None:
    own = RawBlock(
        dialect="anthropic_messages", type_name="container_upload", data='{"type":"container_upload"}'
    )
    body, _ = sent(
        ask(turns=(Turn(role="user", blocks=(TextBlock(text="x"), own)),)), target(auto_cache=True)
    )
    assert body["messages"][0]["content"] == [{"type": "text", "text": "x"}, {"type": "container_upload"}]


def test_schemas_are_closed_and_described_at_every_depth() -> None:
    inner = {
        "type": "object",
        "properties": {"u": {"type": "string", "format": "uri", "description": "d", "maxItems": 3}},
    }
    schema = {
        "type": ["object", "null"],
        "properties": {
            "list": {"type": "array", "minItems": 2, "items": inner},
            "any": {"anyOf": [inner, True]},
        },
        "$defs": {"x": {"type": "string", "format": "color"}, "y": True},
        "additionalProperties": {"type": "string"},
    }
    body, outgoing = sent(ask(output=OutputFormat(kind="schema", schema=schema)))
    written = body["output_config"]["format"]["schema"]
    closed = {
        "type": "object",
        "properties": {"u": {"type": "string", "format": "uri", "description": "d (maxItems: 3)"}},
        "additionalProperties": False,
    }
    assert written["properties"]["list"] == {"type": "array", "items": closed, "description": "minItems: 2"}
    assert written["properties"]["any"] == {"anyOf": [closed, True]}
    assert written["$defs"] == {"x": {"type": "string", "description": 'format: "color"'}, "y": True}
    assert written["additionalProperties"] is False
    assert refusal(outgoing) is None
