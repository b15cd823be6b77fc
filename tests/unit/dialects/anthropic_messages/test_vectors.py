"""The numbered edge cases of the dialect reference that concern this format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.anthropic_messages import CLIENT, RELAY, SERVER
from pi_model_proxy.dialects.anthropic_messages.envelope import wrap
from pi_model_proxy.dialects.names import NO_NAMES
from pi_model_proxy.errors import UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    DataSource,
    Event,
    Failure,
    Finish,
    ImageBlock,
    Message,
    Opaque,
    OpaqueDelta,
    OutputFormat,
    RawBlock,
    ReasoningBlock,
    ReasoningWish,
    Sampling,
    Start,
    TextBlock,
    TextDelta,
    Tool,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    Turn,
    Usage,
    UsageUpdate,
    fold,
    unfold,
)
from support.messages_wire import (
    ADAPTIVE,
    START,
    answer_context,
    ask,
    decoded,
    failure_of,
    frames,
    message_of,
    parsed,
    plain_answer,
    refusal,
    relayed,
    sent,
    sse,
    stop,
    target,
    text_block,
    user,
)

PNG = DataSource(media_type="image/png", data="iVBORw0KGgo=")
FUNCTION = Tool(name="f", schema={"type": "object", "properties": {}}, at="tools[0]")


def call(call_id: str, arguments: str = "{}", name: str = "f") -> ToolCallBlock:
    return ToolCallBlock(id=call_id, name=name, arguments=arguments, at="messages[1].tool_calls[0]")


def result(call_id: str, text: str = "ok") -> ToolResultBlock:
    return ToolResultBlock(call_id=call_id, content=(TextBlock(text=text),), at="messages[2]")


def assistant(*blocks: Any) -> Turn:
    return Turn(role="assistant", blocks=blocks)


def tool(*results: ToolResultBlock) -> Turn:
    return Turn(role="tool", blocks=results)


def messages_of(body: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [(each["role"], [block["type"] for block in each["content"]]) for each in body["messages"]]


def request_of(**fields: Any) -> bytes:
    return json.dumps(
        {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}], **fields}
    ).encode()


# Requests


def test_vector_001_a_result_stays_before_the_text_beside_it() -> None:
    content = [
        {"type": "tool_result", "tool_use_id": "t1", "content": "ok"},
        {"type": "text", "text": "go on"},
    ]
    request = SERVER.decode_request(request_of(messages=[{"role": "user", "content": content}]))
    assert [turn.role for turn in request.turns] == ["tool", "user"]
    assert request.turns[0].blocks[0] == ToolResultBlock(
        call_id="t1",
        content=(TextBlock(text="ok", at="messages[0].content[0].content"),),
        at="messages[0].content[0]",
    )


def test_vector_004_two_results_become_one_user_message_with_both_first() -> None:
    turns = (user(), assistant(call("a"), call("b")), tool(result("a")), tool(result("b")), user("next"))
    body, outgoing = sent(ask(turns=turns, tools=(FUNCTION,)))
    assert messages_of(body)[2] == ("user", ["tool_result", "tool_result", "text"])
    assert refusal(outgoing) is None


def test_vector_005_an_unanswered_call_gets_an_error_result_before_the_text() -> None:
    turns = (user(), assistant(call("a"), call("b")), tool(result("a")), user("never mind"))
    body, outgoing = sent(ask(turns=turns, tools=(FUNCTION,)))
    answer = body["messages"][2]["content"]
    assert [block["type"] for block in answer] == ["tool_result", "tool_result", "text"]
    assert answer[1] == {
        "type": "tool_result", "tool_use_id": "b", "content": "No result provided", "is_error": True,
    }  # fmt: skip
    assert refusal(outgoing) is None


def test_vector_006_empty_text_beside_a_call_is_left_out() -> None:
    body, _ = sent(ask(turns=(user(), assistant(TextBlock(text=""), call("a")), tool(result("a")))))
    assert messages_of(body)[1] == ("assistant", ["tool_use"])


def test_vector_007_calls_survive_when_all_else_of_their_turn_is_filtered() -> None:
    foreign = ReasoningBlock(
        text="hm", opaque=Opaque(kind="openai_encrypted", data="x"), at="messages[1].reasoning"
    )
    turns = (user(), assistant(foreign, TextBlock(text=" "), call("a")), tool(result("a")))
    body, outgoing = sent(ask(turns=turns, tools=(FUNCTION,)))
    assert messages_of(body)[1:] == [("assistant", ["tool_use"]), ("user", ["tool_result"])]
    assert "messages[1].reasoning" in outgoing.dropped
    assert refusal(outgoing) is None


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [("", {}), ("  ", {}), ("{bad", {"_raw": "{bad"}), ('"text"', {"_raw": '"text"'}), ('{"a":1}', {"a": 1})],
)
def test_vector_008_input_is_always_an_object(arguments: str, expected: dict[str, Any]) -> None:
    body, _ = sent(ask(turns=(user(), assistant(call("a", arguments)), tool(result("a")))))
    assert body["messages"][1]["content"][0]["input"] == expected


def test_vector_009_single_calls_alone_are_no_demand_for_a_call() -> None:
    body, _ = sent(ask(tools=(FUNCTION,), parallel_tools=False))
    assert body["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}


def test_vector_010_none_takes_no_further_key() -> None:
    body, _ = sent(ask(tools=(FUNCTION,), parallel_tools=False, tool_choice=ToolChoice(mode="none")))
    assert body["tool_choice"] == {"type": "none"}


def test_vector_011_a_demand_for_any_call_yields_to_thinking_and_is_listed() -> None:
    wish = ReasoningWish(mode="level", level="high")
    body, outgoing = sent(ask(tools=(FUNCTION,), reasoning=wish, tool_choice=ToolChoice(mode="required")))
    assert body["tool_choice"] == {"type": "auto"}
    assert body["thinking"]["type"] == "enabled"
    assert outgoing.dropped == ("tool_choice",)
    assert refusal(outgoing, thinking=frozenset({"enabled"})) is None


def test_vector_012_a_high_temperature_is_lowered_or_left_out_and_listed() -> None:
    hot = ask(sampling=Sampling(temperature=1.7))
    body, outgoing = sent(hot)
    assert body["temperature"] == 1
    assert outgoing.dropped == ("sampling.temperature",)
    body, outgoing = sent(hot, target(**ADAPTIVE))
    assert "temperature" not in body
    assert outgoing.dropped == ("sampling.temperature",)


def test_vector_013_of_temperature_and_top_p_only_the_first_is_sent() -> None:
    body, outgoing = sent(ask(sampling=Sampling(temperature=0.5, top_p=0.9)))
    assert (body["temperature"], "top_p" in body) == (0.5, False)
    assert outgoing.dropped == ("sampling.top_p",)


def test_vector_014_without_a_limit_the_catalogue_s_cap_is_sent() -> None:
    body, _ = sent(ask())
    assert body["max_tokens"] == 64_000


def test_vector_015_a_small_limit_is_raised_above_the_budget() -> None:
    wish = ReasoningWish(mode="level", level="high")
    body, _ = sent(ask(reasoning=wish, max_output=1000))
    assert body["max_tokens"] == 1000 + 16_384
    assert body["thinking"]["budget_tokens"] == 1000 + 16_384 - 1024
    body, _ = sent(ask(reasoning=wish, max_output=1000), target(max_output=8000))
    assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (8000, 8000 - 1024)


@pytest.mark.parametrize("wish", [None, ReasoningWish(mode="level", level="high")], ids=["plain", "thinking"])
def test_vector_017_018_a_json_schema_becomes_the_native_format(wish: ReasoningWish | None) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": False}
    body, outgoing = sent(
        ask(output=OutputFormat(kind="schema", schema=schema, name="n", strict=True), reasoning=wish)
    )
    assert body["output_config"]["format"] == {"type": "json_schema", "schema": {**schema, "title": "n"}}
    assert "tools" not in body
    assert outgoing.dropped == ()


def test_vector_020_marks_are_originated_for_callers_that_have_none() -> None:
    request = ask(instructions=(TextBlock(text="a"), TextBlock(text="b")), tools=(FUNCTION, Tool(name="g")))
    body, outgoing = sent(request, target(auto_cache=True))
    mark = {"type": "ephemeral"}
    assert [each.get("cache_control") for each in body["tools"]] == [None, mark]
    assert body["system"][-1]["cache_control"] == mark
    assert body["messages"][-1]["content"][-1]["cache_control"] == mark
    assert refusal(outgoing) is None


def test_vector_021_scope_is_taken_out_of_a_mark_for_others_than_anthropic() -> None:
    marked = {"type": "text", "text": "s", "cache_control": {"type": "ephemeral", "scope": "global"}}
    asked = json.loads(request_of(system=[marked], messages=[{"role": "user", "content": [marked]}]))
    asked["tools"] = [
        {"name": "t", "input_schema": {"type": "object"}, "cache_control": marked["cache_control"]}
    ]
    body, _ = relayed(asked, target(hosted_by_vendor=False))
    found = [body["system"][0], body["messages"][0]["content"][0], body["tools"][0]]
    assert [each["cache_control"] for each in found] == [{"type": "ephemeral"}] * 3
    untouched, _ = relayed(asked)
    assert untouched["system"][0]["cache_control"]["scope"] == "global"


def test_vector_022_a_mark_on_empty_text_moves_to_the_block_before() -> None:
    mark = {"type": "ephemeral"}
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "", "cache_control": mark}]
    body, _ = relayed(request_of(messages=[{"role": "user", "content": content}]))
    assert body["messages"][0]["content"] == [{"type": "text", "text": "a", "cache_control": mark}]


def test_vector_028_an_illegal_call_id_becomes_a_legal_one_on_both_sides() -> None:
    turns = (user(), assistant(call("call_ab|cd+/=")), tool(result("call_ab|cd+/=")))
    body, outgoing = sent(ask(turns=turns, tools=(FUNCTION,)))
    made = body["messages"][1]["content"][0]["id"]
    assert made == body["messages"][2]["content"][0]["tool_use_id"]
    assert refusal(outgoing) is None


def test_vector_039_an_instruction_between_call_and_result_is_folded_after_them() -> None:
    turns = (
        user(),
        assistant(call("a")),
        Turn(role="system", blocks=(TextBlock(text="be brief"),)),
        tool(result("a")),
    )
    body, outgoing = sent(ask(turns=turns, tools=(FUNCTION,)))
    assert messages_of(body)[2] == ("user", ["tool_result", "text"])
    assert body["messages"][2]["content"][1]["text"] == "<system>\nbe brief\n</system>"
    assert refusal(outgoing) is None


def test_vector_041_a_system_message_inside_messages_is_an_instruction() -> None:
    asked = [{"role": "user", "content": "hi"}, {"role": "system", "content": "be brief"}]
    request = SERVER.decode_request(request_of(messages=asked))
    assert request.turns[1] == Turn(
        role="system", blocks=(TextBlock(text="be brief", at="messages[1].content"),), at="messages[1]"
    )


def test_vector_042_a_server_tool_is_read_as_one_and_never_as_a_function() -> None:
    request = SERVER.decode_request(request_of(tools=[{"type": "web_search_20250305", "name": "web_search"}]))
    assert (request.tools[0].kind, request.tools[0].name) == ("server", "web_search")


def test_vector_042_a_foreign_server_tool_is_removed_or_when_it_is_all_there_is_refused() -> None:
    hosted = Tool(kind="server", name="web_search", dialect="openai_responses", raw="{}", at="tools[1]")
    body, outgoing = sent(ask(tools=(FUNCTION, hosted)))
    assert [each["name"] for each in body["tools"]] == ["f"]
    assert outgoing.dropped == ("tools[1]",)
    with pytest.raises(UnsupportedFeature, match=r"tools\[1\]"):
        sent(ask(tools=(hosted,)))
    with pytest.raises(UnsupportedFeature):
        sent(ask(tools=(FUNCTION, hosted), tool_choice=ToolChoice(mode="named", names=("web_search",))))


def test_vector_043_an_envelope_is_dropped_and_a_real_signature_keeps_its_bytes() -> None:
    foreign = wrap(Opaque(kind="openai_encrypted", data="secret"), "openai/gpt")
    real = r'{"type":"thinking","signature":"EqQB\u003c/+=","thinking":"a\u003cb"}'
    envelope = json.dumps({"type": "thinking", "thinking": "", "signature": foreign})
    body = (
        b'{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":['
        + f"{real},{envelope}".encode()
        + b',{"type":"text","text":"ok"}]},{"role":"user","content":"go"}]}'
    )
    outgoing = RELAY.encode_request(body, target(), {})
    assert real.encode() in outgoing.body
    assert b"pmp1." not in outgoing.body
    assert outgoing.dropped == ("messages[1].content[1]",)


def test_vector_044_thinking_without_a_signature_is_removed_unless_the_backend_makes_such() -> None:
    content = [{"type": "thinking", "thinking": "hm", "signature": ""}, {"type": "text", "text": "ok"}]
    asked = request_of(messages=[
        {"role": "user", "content": "hi"}, {"role": "assistant", "content": content}, {"role": "user", "content": "go"},
    ])  # fmt: skip
    body, outgoing = relayed(asked)
    assert body["messages"][1]["content"] == content[1:]
    assert outgoing.dropped == ("messages[1].content[0]",)
    kept, _ = relayed(asked, target(compat={"allowEmptySignature": True}))
    assert kept["messages"][1]["content"] == content


def test_vector_046_pictures_leave_an_error_result() -> None:
    bad = ToolResultBlock(call_id="a", content=(TextBlock(text="no"), ImageBlock(source=PNG)), is_error=True)
    body, outgoing = sent(ask(turns=(user(), assistant(call("a")), tool(bad)), tools=(FUNCTION,)))
    assert messages_of(body)[2] == ("user", ["tool_result", "text", "image"])
    assert [part["type"] for part in body["messages"][2]["content"][0]["content"]] == ["text", "text"]
    assert refusal(outgoing) is None


def test_vector_047_a_lone_surrogate_becomes_the_replacement_character() -> None:
    body, _ = sent(
        ask(turns=(user("a\ud83d"), assistant(call("c", r'{"x":"\ud83d"}')), tool(result("c", "\ude00"))))
    )
    assert body["messages"][0]["content"][0]["text"] == "a\ufffd"
    assert body["messages"][1]["content"][0]["input"] == {"x": "\ufffd"}
    assert body["messages"][2]["content"][0]["content"] == "\ufffd"
    raw = rb'{"model":"m","messages":[{"role":"user","content":"a\ud83d \\ud83d"}]}'
    request = SERVER.decode_request(raw)
    assert request.turns[0].blocks[0] == TextBlock(text="a\ufffd \\ud83d", at="messages[0].content")
    relayed_body, _ = relayed(raw)
    assert relayed_body["messages"][0]["content"] == "a\ufffd \\ud83d"


def test_vector_048_whitespace_is_never_sent_as_text() -> None:
    body, outgoing = sent(ask(turns=(user("   "), user("hi"), assistant(TextBlock(text="\n")), user("go"))))
    assert messages_of(body) == [("user", ["text", "text"])]
    assert refusal(outgoing) is None


def test_vector_049_instructions_alone_become_a_user_message() -> None:
    body, outgoing = sent(ask(turns=(), instructions=(TextBlock(text="do it"),)))
    assert body["messages"] == [{"role": "user", "content": [{"type": "text", "text": "do it"}]}]
    assert "system" not in body
    assert refusal(outgoing) is None


def test_vector_050_more_answers_than_one_are_refused() -> None:
    with pytest.raises(UnsupportedFeature, match="n:"):
        sent(ask(n=2))


def test_vector_102_the_tool_s_own_type_does_not_leak_into_its_schema() -> None:
    request = SERVER.decode_request(
        request_of(tools=[{"type": "custom", "name": "t", "input_schema": {"type": "object"}}])
    )
    assert request.tools[0].schema == {"type": "object"}
    assert request.tools[0].kind == "function"


# Answers


def usage_events(*events: Event, usage: Usage | None = None, reason: Any = "stop") -> list[Event]:
    tail: list[Event] = [] if usage is None else [UsageUpdate(usage)]
    return [Start(id="x", model="up"), *events, *tail, Finish(reason=reason)]


def said(index: int, text: str) -> list[Event]:
    return [BlockStart(index=index, block=TextBlock(text="")), TextDelta(index, text), BlockStop(index)]


def thought(index: int, text: str) -> list[Event]:
    return [BlockStart(index=index, block=ReasoningBlock()), TextDelta(index, text), BlockStop(index)]


def called(index: int, *parts: str) -> list[Event]:
    deltas = [ArgumentsDelta(index, part) for part in parts]
    return [BlockStart(index=index, block=ToolCallBlock(id="t1", name="f")), *deltas, BlockStop(index)]


def types_of(found: list[dict[str, Any]]) -> list[str]:
    return [frame["type"] for frame in found]


def test_vector_055_usage_at_the_end_lands_in_the_message_delta() -> None:
    found = frames(usage_events(*said(0, "hi"), usage=Usage(input=7, output=3)))
    assert types_of(found)[-2:] == ["message_delta", "message_stop"]
    assert (found[-2]["usage"]["input_tokens"], found[-2]["usage"]["output_tokens"]) == (7, 3)


def test_vector_057_059_thinking_ends_before_text_begins_and_the_answer_starts_once() -> None:
    found = frames(usage_events(*thought(0, "hm"), *said(1, "hi")))
    assert types_of(found) == [
        "message_start",
        "content_block_start", "content_block_delta", "content_block_stop",
        "content_block_start", "content_block_delta", "content_block_stop",
        "message_delta", "message_stop",
    ]  # fmt: skip
    assert [frame["index"] for frame in found if "index" in frame] == [0, 0, 0, 1, 1, 1]


def test_vector_058_text_after_a_call_is_a_block_of_its_own() -> None:
    found = frames(usage_events(*called(0, "{}"), *said(1, "done")))
    assert [frame["content_block"]["type"] for frame in found if "content_block" in frame] == [
        "tool_use",
        "text",
    ]


def test_vector_062_cached_tokens_stand_beside_the_input() -> None:
    found = frames(usage_events(usage=Usage(input=25, cache_read=75, output=1)))
    usage = found[-2]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"]) == (25, 75)


def test_vector_063_the_three_input_counts_are_read_apart() -> None:
    start = json.loads(json.dumps(START))
    start["message"]["usage"] = {
        "input_tokens": 88, "cache_creation_input_tokens": 21002, "cache_read_input_tokens": 120269, "output_tokens": 1,
    }  # fmt: skip
    usage = message_of(sse(start, *text_block(0, "x"), *stop(output=4156))).usage
    assert (usage.total_input, usage.cache_read, usage.total) == (141359, 120269, 145515)


def test_vector_064_blocks_of_three_kinds_are_read_in_order() -> None:
    thinking = {"type": "thinking", "thinking": "", "signature": ""}
    stream = sse(
        START,
        {"type": "content_block_start", "index": 0, "content_block": thinking},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}},
        {"type": "content_block_stop", "index": 0},
        *text_block(1, "hi"),
        {
            "type": "content_block_start",
            "index": 2,
            "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
        },
        {
            "type": "content_block_delta",
            "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": '{"a":1}'},
        },
        {"type": "content_block_stop", "index": 2},
        *stop("tool_use"),
    )
    message = message_of(stream)
    assert message.blocks == (
        ReasoningBlock(text="hm", summary=True, opaque=Opaque(kind="anthropic_signature", data="sig")),
        TextBlock(text="hi"),
        ToolCallBlock(id="t", name="f", arguments='{"a":1}'),
    )
    assert message.finish.reason == "tool_calls"


def test_vector_065_a_call_without_arguments_has_none() -> None:
    block = {"type": "tool_use", "id": "t", "name": "f", "input": {}}
    stream = sse(
        START,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        *stop("tool_use"),
    )
    assert message_of(stream).blocks == (ToolCallBlock(id="t", name="f", arguments=""),)


def test_vector_071_text_that_came_whole_is_delivered_whole() -> None:
    message = Message(blocks=(TextBlock(text="all of it"),), finish=Finish(reason="stop"))
    assert [each["delta"]["text"] for each in frames(unfold(message)) if "text" in each.get("delta", {})] == [
        "all of it"
    ]


def overloaded() -> dict[str, Any]:
    return {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def test_vector_077_an_error_as_the_first_event_is_a_failure_and_at_last_a_529() -> None:
    events = decoded(sse(overloaded()))
    assert len(events) == 1
    answer = SERVER.encode_error(failure_of(events).error, "req_1")
    assert answer.status == 529
    pipe = RELAY.stream_pipe(answer_context())
    assert pipe.feed(sse(overloaded())) == b""
    assert (pipe.facts.began, pipe.facts.failure is not None) == (False, True)


def test_vector_078_a_failure_after_text_is_an_error_event_and_nothing_follows() -> None:
    error = UpstreamError("the provider went away", kind="upstream")
    encoder = SERVER.stream_encoder(answer_context())
    for event in [Start(), *said(0, "half")]:
        encoder.feed(event)
    assert types_of(parsed(encoder.feed(Failure(error)))) == ["error"]
    assert encoder.feed(Finish(reason="stop")) == b""


def test_vector_079_nothing_is_read_after_message_stop() -> None:
    decoder = CLIENT.stream_decoder(target(), NO_NAMES)
    events = decoder.feed(sse(START, *text_block(0, "hi"), *stop()) + b"event: nonsense\ndata: {broken\n\n")
    assert isinstance(events[-1], Finish)
    assert decoder.done
    assert decoder.feed(sse(overloaded())) == []
    pipe = RELAY.stream_pipe(answer_context())
    relayed_bytes = pipe.feed(sse(START, *text_block(0, "hi"), *stop(), overloaded()))
    assert types_of(parsed(relayed_bytes))[-1] == "message_stop"
    assert (pipe.facts.done, pipe.facts.failure) == (True, None)


def test_vector_080_a_signature_alone_opens_a_thinking_block() -> None:
    events: list[Event] = [
        BlockStart(index=0, block=ReasoningBlock()),
        OpaqueDelta(0, Opaque(kind="anthropic_signature", data="sig")),
        BlockStop(0),
    ]
    found = frames(usage_events(*events, *said(1, "hi")))
    assert found[1]["content_block"] == {"type": "thinking", "thinking": "", "signature": ""}
    assert found[2]["delta"] == {"type": "signature_delta", "signature": "sig"}
    assert found[3]["type"] == "content_block_stop"


def test_vector_081_clients_find_every_count_and_the_stop_sequence_key() -> None:
    found = frames(usage_events(*said(0, "hi")))
    names = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
    assert all(isinstance(found[0]["message"]["usage"][name], int) for name in names)
    assert found[-2]["delta"]["stop_sequence"] is None
    assert isinstance(found[-2]["usage"]["output_tokens"], int)
    pipe = RELAY.stream_pipe(answer_context())
    bare = {
        "type": "message_start",
        "message": {"id": "msg_1", "role": "assistant", "content": [], "usage": {"input_tokens": 3}},
    }
    ending = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    found = parsed(pipe.feed(sse(bare, *text_block(0, "hi"), ending, {"type": "message_stop"})))
    assert found[0]["message"]["usage"] == {
        "input_tokens": 3, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 0,
    }  # fmt: skip
    assert found[-2] == {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 0},
    }


@pytest.mark.parametrize("shows", [True, False])
def test_vector_082_an_answer_of_thinking_alone_is_no_empty_turn(shows: bool) -> None:
    context = answer_context(shows_reasoning=shows)
    found = frames(usage_events(*thought(0, "only this")), context)
    assert found[1]["content_block"]["type"] == "thinking"
    assert found[2]["delta"]["thinking"] == "only this"
    assert found[-2]["delta"]["stop_reason"] == "end_turn"
    plain = plain_answer(
        Message(blocks=(ReasoningBlock(text="only this"),), finish=Finish(reason="stop")), context
    )
    assert plain["content"] == [{"type": "thinking", "thinking": "only this", "signature": ""}]


def test_vector_089_an_overflow_is_told_as_anthropic_tells_it() -> None:
    words = "This model's maximum context length is 131072 tokens. However, you requested 140000 tokens."
    error = UpstreamError(
        words, status=400, kind="context_too_long", family="openai", code="context_length_exceeded"
    )
    answer = SERVER.encode_error(error, "req_1")
    told = json.loads(answer.body)
    assert answer.status == 400
    assert told["error"]["type"] == "invalid_request_error"
    assert told["error"]["message"].startswith("prompt is too long: 140000 tokens > 131072 maximum")
    assert words in told["error"]["message"]


def test_vector_091_bytes_split_anywhere_give_the_same_events() -> None:
    stream = sse(START, *text_block(0, "é\u2028", "😀"), *stop()).replace(b"\n", b"\r\n")
    whole = decoded(stream)
    for cut in range(len(stream)):
        decoder = CLIENT.stream_decoder(target(), NO_NAMES)
        assert decoder.feed(stream[:cut]) + decoder.feed(stream[cut:]) + decoder.close() == whole
    assert fold(whole).blocks == (TextBlock(text="é\u2028😀"),)


def test_vector_094_a_count_is_an_object_and_leaves_out_what_counting_refuses() -> None:
    assert json.loads(SERVER.encode_count(7)) == {"input_tokens": 7}
    outgoing = RELAY.encode_count(request_of(stream=True, system="s"), target(), {})
    assert outgoing.path == "/v1/messages/count_tokens?beta=true"
    assert set(json.loads(outgoing.body)) == {"model", "messages", "system"}
    assert outgoing.stream is False


def test_vector_095_nothing_of_ours_is_in_the_body() -> None:
    body, _ = sent(
        ask(tools=(Tool(name="mcp.server/tool", at="tools[0]"),), instructions=(TextBlock(text="s"),))
    )
    known = {"model", "messages", "max_tokens", "stream", "system", "tools"}
    assert set(body) == known


def test_vector_099_the_stream_adds_up_to_the_plain_answer() -> None:
    message = Message(
        id="msg_1",
        blocks=(
            ReasoningBlock(text="hm", opaque=Opaque(kind="anthropic_signature", data="s")),
            TextBlock(text="hi"),
            ToolCallBlock(id="t", name="f", arguments='{"a":[1]}'),
            RawBlock(dialect="anthropic_messages", type_name="fallback", data='{"type":"fallback"}'),
        ),
        usage=Usage(input=1, output=2),
        finish=Finish(reason="tool_calls"),
    )
    encoder = SERVER.stream_encoder(answer_context())
    stream = b"".join(encoder.feed(event) for event in unfold(message))
    again = CLIENT.decode_message(SERVER.encode_message(message, answer_context()), target(), NO_NAMES)
    assert fold(decoded(stream)) == fold(again)


def test_vector_100_one_chunk_with_everything_is_one_text_and_one_end() -> None:
    found = frames(usage_events(*said(0, "hi"), usage=Usage(input=1, output=1)))
    assert types_of(found).count("message_delta") == 1
    assert found[-2]["usage"]["output_tokens"] == 1


def test_vector_106_arguments_that_are_no_json_do_not_end_as_a_call_to_run() -> None:
    found = frames(usage_events(*called(0, '{"a":1}', '{"b":2}'), reason="tool_calls"))
    assert found[-2]["delta"]["stop_reason"] == "max_tokens"


def test_vector_107_a_tool_s_name_is_made_legal_and_given_back() -> None:
    long = "mcp.server/tool.with.dots" + "x" * 120
    body, outgoing = sent(ask(tools=(Tool(name=long, at="tools[0]"),)))
    wire = body["tools"][0]["name"]
    assert refusal(outgoing) is None
    block = {"type": "tool_use", "id": "t", "name": wire, "input": {"a": 1}}
    stream = sse(
        START,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        *stop("tool_use"),
    )
    assert message_of(stream, outgoing.names).blocks == (
        ToolCallBlock(id="t", name=long, arguments='{"a": 1}'),
    )
