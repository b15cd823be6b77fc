"""The same format on both sides: what stays and what must change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.anthropic_messages import RELAY
from pi_model_proxy.dialects.anthropic_messages.envelope import wrap
from pi_model_proxy.errors import BadRequest, BrokenStream, ThreadNotFound, UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import Finish, Identity, Opaque, Target, Usage
from support.messages_wire import (
    ADAPTIVE,
    IDENTITY_TEXT,
    START,
    answer_context,
    parsed,
    refusal,
    relayed,
    sse,
    stop,
    target,
    text_block,
)

LOGIN = Identity(system_text=IDENTITY_TEXT, tool_names=("Read", "Bash"))
USER: dict[str, Any] = {"role": "user", "content": "hi"}
ENVELOPE = wrap(Opaque(kind="openai_encrypted", data="e"), "openai/gpt")
ENABLED = {"type": "enabled", "budget_tokens": 2000}
ADAPTIVE_ASKED = {"type": "adaptive", "display": "omitted"}


def body_of(**fields: Any) -> dict[str, Any]:
    return {"model": "anthropic/claude", "max_tokens": 4000, "messages": [USER], **fields}


def assistant(*blocks: dict[str, Any]) -> dict[str, Any]:
    return {"role": "assistant", "content": list(blocks)}


def text(words: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **more}


CALL = {"type": "tool_use", "id": "a", "name": "read", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "a", "content": "ok"}
THINKING = {"type": "thinking", "thinking": "t", "signature": ENVELOPE}


# Bytes that stay


def test_everything_but_the_model_keeps_its_bytes() -> None:
    body = (
        b'{ "model" : "anthropic/claude", "messages":[ {"role":"user", "content": "\\u003c\xc3\xa9"} ],'
        b' "max_tokens":1e2,"unknown":{"b":1, "a":[ ]},"stream":true,"system":"s"}'
    )
    outgoing = RELAY.encode_request(body, target(), {})
    assert outgoing.body == (
        b'{"model":"claude-sonnet-4-5","messages":[ {"role":"user", "content": "\\u003c\xc3\xa9"} ],'
        b'"max_tokens":1e2,"unknown":{"b":1, "a":[ ]},"stream":true,"system":"s"}'
    )
    assert (outgoing.stream, outgoing.dropped, outgoing.path) == (True, (), "/v1/messages?beta=true")


def test_only_the_message_that_must_change_is_written_anew() -> None:
    kept = b'{"role" : "assistant","content":[ {"type":"thinking","signature":"s\\u003d","thinking":"t"} , {"type":"text","text":"x"}]}'
    broken = json.dumps(assistant({**THINKING}, text("y"))).encode()
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"},' + kept + b"," + broken + b"]}"
    outgoing = RELAY.encode_request(body, target(), {})
    assert kept in outgoing.body
    assert ENVELOPE.encode() not in outgoing.body


def test_a_model_that_is_asked_to_stream_or_not_says_so() -> None:
    assert relayed(body_of())[1].stream is False
    assert relayed(body_of(stream=False))[1].stream is False


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[1]", b"{" * 10, b'{"messages":5,"system":[]', b'{"tools":{}}']
)
def test_a_body_that_is_no_request_is_refused(body: bytes) -> None:
    with pytest.raises(BadRequest):
        RELAY.encode_request(body, target(), {})


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": '"role":"system"'},
        {"messages": [5], "x": "pmp1."},
        {"thinking": "on"},
        {"thinking": {}, "max_tokens": "many"},
    ],
)
def test_fields_of_the_wrong_type_are_refused_where_they_matter(fields: dict[str, Any]) -> None:
    asked = body_of(**fields)
    if fields.get("messages") == [5]:
        asked["messages"] = [5, {"role": "user", "content": "pmp1."}]
    if isinstance(fields.get("messages"), str):
        asked["messages"] = {"role": "system"}
    with pytest.raises(BadRequest):
        relayed(asked)


def test_fields_that_would_steer_our_transport_are_removed_and_listed() -> None:
    body, outgoing = relayed(body_of(api_base="http://evil", extra_headers={"a": "b"}))
    assert {"api_base", "extra_headers"}.isdisjoint(body)
    assert set(outgoing.dropped) == {"api_base", "extra_headers"}
    with pytest.raises(UnsupportedFeature, match="api_base"):
        relayed(body_of(api_base="x"), target(strict=True))


# Headers


CLAUDE_BETAS = (
    "claude-code-20250219,context-management-2025-06-27, interleaved-thinking-2025-05-14,claude-code-20250219"
)


def test_the_caller_s_betas_and_version_pass_to_anthropic() -> None:
    _, outgoing = relayed(
        body_of(), anthropic_beta=CLAUDE_BETAS, anthropic_version="2024-01-01", x_api_key="secret"
    )
    assert outgoing.headers == {
        "anthropic-version": "2024-01-01",
        "anthropic-beta": "claude-code-20250219,context-management-2025-06-27,interleaved-thinking-2025-05-14",
    }
    assert relayed(body_of())[1].headers == {"anthropic-version": "2023-06-01"}


def test_elsewhere_only_betas_that_are_understood_pass_and_their_fields_go_with_the_rest() -> None:
    asked = body_of(
        context_management={"edits": []}, fallbacks=[{"model": "x"}], speed="fast", thread={"type": "create"}
    )
    body, outgoing = relayed(asked, target(hosted_by_vendor=False), anthropic_beta=CLAUDE_BETAS)
    assert outgoing.headers["anthropic-beta"] == "claude-code-20250219,interleaved-thinking-2025-05-14"
    assert set(body) & {"context_management", "fallbacks", "speed", "thread"} == {"fallbacks", "speed"}
    assert outgoing.dropped == ("context_management", "thread", "anthropic-beta")
    assert set(relayed(asked)[0]) >= {"context_management", "fallbacks", "speed", "thread"}


def test_fallbacks_stay_where_pi_would_send_them() -> None:
    compat = {"allowedFallbackModels": [{"model": "x", "provider": "p"}]}
    beta = "server-side-fallback-2026-07-01"
    asked = body_of(fallbacks=[{"model": "x"}])
    assert (
        "fallbacks" in relayed(asked, target(hosted_by_vendor=False, compat=compat), anthropic_beta=beta)[0]
    )
    assert "fallbacks" not in relayed(asked, target(hosted_by_vendor=False), anthropic_beta=beta)[0]


def test_a_conversation_that_anthropic_keeps_cannot_go_on_elsewhere() -> None:
    asked = body_of(thread={"type": "continue", "previous_message_id": "m"})
    assert "thread" in relayed(asked)[0]
    with pytest.raises(ThreadNotFound, match="thread"):
        relayed(asked, target(hosted_by_vendor=False))


# Blocks


def test_a_mark_on_empty_text_may_move_to_the_message_before() -> None:
    mark = {"type": "ephemeral"}
    messages = [
        {"role": "user", "content": [text("a")]},
        {"role": "assistant", "content": [text(" ", cache_control=mark)]},
        {"role": "user", "content": [text("b")]},
    ]
    body, outgoing = relayed(body_of(messages=messages))
    assert [message["content"] for message in body["messages"]] == [
        [text("a", cache_control=mark)],
        [text("b")],
    ]
    assert outgoing.dropped == ()


def test_a_mark_with_nothing_before_it_is_listed() -> None:
    mark = {"type": "ephemeral"}
    messages = [{"role": "user", "content": [text("", cache_control=mark), text("a")]}]
    body, outgoing = relayed(body_of(messages=messages))
    assert body["messages"][0]["content"] == [text("a")]
    assert outgoing.dropped == ("messages[0].content[0].cache_control",)


def test_a_block_with_a_mark_of_its_own_keeps_it() -> None:
    own, other = {"type": "ephemeral", "ttl": "1h"}, {"type": "ephemeral"}
    blocks = [text("a", cache_control=own), text("", cache_control=other)]
    body, _ = relayed(body_of(system=blocks))
    assert body["system"] == [text("a", cache_control=own)]


def test_null_marks_and_scopes_in_other_places_change_nothing() -> None:
    elsewhere = target(hosted_by_vendor=False)
    blocks = [text('"scope"', cache_control=None), text("x", cache_control={"type": "ephemeral"})]
    asked = body_of(messages=[{"role": "user", "content": blocks}])
    assert relayed(asked, elsewhere)[0]["messages"] == asked["messages"]
    tricky = [text("x", cache_control={"type": "ephemeral", "ttl": "scope"}), text("y", scope=1)]
    asked = body_of(messages=[{"role": "user", "content": tricky}])
    assert relayed(asked, elsewhere)[0]["messages"] == asked["messages"]


def test_a_redacted_envelope_is_dropped_and_an_emptied_turn_with_it() -> None:
    messages = [USER, assistant({"type": "redacted_thinking", "data": ENVELOPE}), USER]
    body, outgoing = relayed(body_of(messages=messages))
    assert [message["role"] for message in body["messages"]] == ["user", "user"]
    assert outgoing.dropped == ("messages[1].content[0]",)


# Instructions in mid-conversation


def system(*blocks: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "system", "content": list(blocks), **more}


def shapes(body: dict[str, Any]) -> list[tuple[str, list[str]]]:
    return [
        (each["role"], [block.get("text", block["type"]) for block in each["content"]])
        if isinstance(each["content"], list)
        else (each["role"], [each["content"]])
        for each in body["messages"]
    ]


def test_where_their_role_is_taken_they_pass() -> None:
    asked = body_of(messages=[USER, system(text("s"))])
    assert relayed(asked, target(**ADAPTIVE))[0]["messages"] == asked["messages"]


def test_elsewhere_they_become_words_of_the_user_after_any_results() -> None:
    messages = [
        USER,
        assistant(CALL),
        system(text("s", cache_control={"type": "ephemeral"}), text(" ")),
        {"role": "user", "content": [RESULT, text("go")]},
        {"role": "system", "content": "t"},
        assistant(text("ok")),
        USER,
        system(text("u")),
    ]
    body, outgoing = relayed(
        body_of(messages=messages, tools=[{"name": "read", "input_schema": {"type": "object"}}])
    )
    assert shapes(body) == [
        ("user", ["hi"]),
        ("assistant", ["tool_use"]),
        ("user", ["tool_result", "<system>\ns\n</system>", "go"]),
        ("user", ["<system>\nt\n</system>"]),
        ("assistant", ["ok"]),
        ("user", ["hi"]),
        ("user", ["<system>\nu\n</system>"]),
    ]
    assert body["messages"][2]["content"][1]["cache_control"] == {"type": "ephemeral"}
    assert outgoing.dropped == ()
    assert refusal(outgoing) is None


def test_a_plain_user_message_takes_them_up_as_a_block() -> None:
    body, _ = relayed(body_of(messages=[system(text("s")), USER]))
    assert shapes(body) == [("user", ["<system>\ns\n</system>", "hi"])]


def test_what_is_no_text_in_them_is_left_to_the_upstream() -> None:
    asked = body_of(messages=[USER, system({"type": "tool_removal", "tool": {"name": "x"}})])
    assert relayed(asked)[0]["messages"] == asked["messages"]


def test_an_empty_one_only_changes_effort_where_that_can_change() -> None:
    asked = body_of(messages=[USER, system(output_config={"effort": "low"})])
    body, outgoing = relayed(asked)
    assert body["messages"] == [USER]
    assert outgoing.dropped == ("messages[1]",)
    assert relayed(asked, target(compat={"supportsMidConvoEffort": True}))[0]["messages"] == asked["messages"]


# Thinking and sampling


def thinking_of(goes_to: Target, **fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    body, outgoing = relayed(body_of(**fields), goes_to)
    names = (
        "thinking",
        "output_config",
        "max_tokens",
        "temperature",
        "top_p",
        "top_k",
        "tool_choice",
        "context_management",
    )
    return {name: body[name] for name in names if name in body and body[name] != 4000}, outgoing.dropped


def test_what_the_model_takes_passes_as_it_is() -> None:
    assert thinking_of(target(), thinking=ENABLED, temperature=1) == (
        {"thinking": ENABLED, "temperature": 1},
        (),
    )
    asked = {"thinking": ADAPTIVE_ASKED, "output_config": {"effort": "high"}}
    assert thinking_of(target(**ADAPTIVE), **asked) == (asked, ())
    assert thinking_of(target(reasoning=False), thinking={"type": "disabled"}) == (
        {"thinking": {"type": "disabled"}},
        (),
    )
    assert thinking_of(target(), temperature=0.2, top_p=0.5) == ({"temperature": 0.2, "top_p": 0.5}, ())


def test_thinking_beside_sampling_is_put_right() -> None:
    found, dropped = thinking_of(target(), thinking=ENABLED, temperature=0.2, top_p=0.9, top_k=1)
    assert (found, dropped) == ({"thinking": ENABLED}, ("temperature", "top_p", "top_k"))


def test_sampling_that_a_model_no_longer_takes_is_dropped() -> None:
    found, dropped = thinking_of(target(**ADAPTIVE), temperature=0.2, top_p=1)
    assert (found, dropped) == ({}, ("temperature",))


def test_a_model_that_does_not_think_is_not_asked_to() -> None:
    found, dropped = thinking_of(
        target(reasoning=False), thinking=ADAPTIVE_ASKED, output_config={"effort": "high", "format": None}
    )
    assert (found, dropped) == ({"output_config": {"format": None}}, ("thinking",))


@pytest.mark.parametrize(("effort", "budget"), [("low", 2048), ("medium", 2976), (None, 2976)])
def test_adaptive_thinking_becomes_a_budget_where_the_model_wants_one(
    effort: str | None, budget: int
) -> None:
    config = {} if effort is None else {"output_config": {"effort": effort}}
    found, dropped = thinking_of(target(max_output=4000), thinking={"type": "adaptive"}, **config)
    thinking = {"type": "enabled", "budget_tokens": budget, "display": "summarized"}
    assert (found, dropped) == ({"thinking": thinking}, ())


def test_a_budget_becomes_effort_where_the_model_takes_no_budget() -> None:
    found, dropped = thinking_of(target(**ADAPTIVE), thinking=ENABLED)
    expected = {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": "low"}}
    assert (found, dropped) == (expected, ("thinking.budget_tokens",))
    named, _ = thinking_of(target(**ADAPTIVE), thinking=ENABLED, output_config={"effort": "max"})
    assert named["output_config"] == {"effort": "max"}


def test_a_level_in_the_model_s_name_wins() -> None:
    found, _ = thinking_of(target(level="high"), thinking={"type": "disabled"}, temperature=0.3)
    assert found == {
        "thinking": {"type": "enabled", "budget_tokens": 16_384, "display": "summarized"},
        "max_tokens": 4000 + 16_384,
    }
    found, _ = thinking_of(target(**ADAPTIVE, level="xhigh"), output_config={"effort": "low"})
    assert found["output_config"] == {"effort": "xhigh"}
    found, _ = thinking_of(target(level="off"), thinking=ENABLED)
    assert found == {"thinking": {"type": "disabled"}}


def test_a_level_without_room_is_given_up() -> None:
    found, dropped = thinking_of(target(level="high", max_output=1500), max_tokens=1000)
    assert (found["thinking"], found["max_tokens"], dropped) == ({"type": "disabled"}, 1000, ("thinking",))


def test_a_level_beside_a_demanded_call() -> None:
    found, dropped = thinking_of(target(level="high"), tool_choice={"type": "any", "x": 1})
    assert (found["tool_choice"], dropped) == ({"type": "auto", "x": 1}, ("tool_choice",))
    found, dropped = thinking_of(target(level="high"), tool_choice={"type": "tool", "name": "f"})
    assert (found["thinking"], dropped) == ({"type": "disabled"}, ("thinking",))
    found, dropped = thinking_of(
        target(**{**ADAPTIVE, "thinking_levels": {"off": None}}, level="high"),
        tool_choice={"type": "tool", "name": "f"},
    )
    assert ("thinking" in found, dropped) == (False, ("thinking",))


LOOP = [USER, assistant(THINKING, CALL), {"role": "user", "content": [RESULT]}]


def test_a_tool_loop_that_lost_its_thinking_goes_on_without() -> None:
    clearing = {"edits": [{"type": "clear_thinking_20251015"}]}
    found, dropped = thinking_of(target(), thinking=ENABLED, messages=LOOP, context_management=clearing)
    assert found == {"thinking": {"type": "disabled"}}
    assert dropped == ("messages[1].content[0]", "thinking", "context_management")
    lenient = target(compat={"allowEmptySignature": True})
    assert thinking_of(lenient, thinking=ENABLED, messages=LOOP)[0] == {"thinking": ENABLED}
    assert thinking_of(target(), thinking=ENABLED, messages=[*LOOP[:2], LOOP[2], assistant(text("x")), USER])[
        0
    ] == {"thinking": ENABLED}


# Logins


def test_a_login_introduces_itself_before_the_caller_s_own_system() -> None:
    introduction = text(IDENTITY_TEXT)
    assert relayed(body_of(), target(identity=LOGIN))[0]["system"] == [introduction]
    assert relayed(body_of(system=""), target(identity=LOGIN))[0]["system"] == [introduction]
    assert relayed(body_of(system="s"), target(identity=LOGIN))[0]["system"] == [introduction, text("s")]
    marked = text("s", cache_control={"type": "ephemeral"})
    assert relayed(body_of(system=[marked]), target(identity=LOGIN))[0]["system"] == [introduction, marked]
    already = [text(IDENTITY_TEXT, cache_control={"type": "ephemeral"}), marked]
    assert relayed(body_of(system=already), target(identity=LOGIN))[0]["system"] == already


def test_a_login_s_tool_names_are_spelt_its_way_everywhere() -> None:
    tools = [
        {"name": "read", "input_schema": {}},
        {"name": "my_tool", "input_schema": {}},
        {"type": "mcp_toolset"},
    ]
    messages = [USER, assistant(CALL), {"role": "user", "content": [RESULT]}]
    asked = body_of(tools=tools, messages=messages, tool_choice={"type": "tool", "name": "read"})
    body, outgoing = relayed(asked, target(identity=LOGIN))
    assert [tool.get("name") for tool in body["tools"]] == ["Read", "my_tool", None]
    assert body["messages"][1]["content"][0]["name"] == "Read"
    assert body["tool_choice"]["name"] == "Read"
    assert outgoing.names.original("Read") == "read"


def test_fields_that_a_login_s_backend_refuses_are_removed_and_listed() -> None:
    body, outgoing = relayed(body_of(top_k=1), target(identity=Identity(omitted_fields=frozenset({"top_k"}))))
    assert "top_k" not in body
    assert outgoing.dropped == ("top_k",)


# Counting


def test_a_count_undergoes_the_same_changes() -> None:
    body = json.dumps(body_of(tools=[{"name": "read"}], stream=True, messages=LOOP)).encode()
    outgoing = RELAY.encode_count(
        body, target(identity=LOGIN), {"anthropic-beta": "token-counting-2024-11-01"}
    )
    counted = json.loads(outgoing.body)
    assert set(counted) == {"model", "messages", "tools", "system"}
    assert counted["tools"][0]["name"] == "Read"
    assert outgoing.headers["anthropic-beta"] == "token-counting-2024-11-01"


# Streams


def pipe_of(stream: bytes, **context: Any) -> tuple[bytes, Any]:
    pipe = RELAY.stream_pipe(answer_context(**context))
    out = pipe.feed(stream)
    out += pipe.close()
    return out, pipe.facts


def test_a_stream_passes_with_the_caller_s_model_name() -> None:
    stream = sse(START, {"type": "ping"}, *text_block(0, "hi"), *stop(output=7))
    out, facts = pipe_of(stream)
    expected = [json.loads(json.dumps(START)), {"type": "ping"}, *text_block(0, "hi"), *stop(output=7)]
    expected[0]["message"]["model"] = "acme/model"
    assert parsed(out) == expected
    assert (facts.began, facts.done, facts.failure) == (True, True, None)
    assert (facts.upstream_id, facts.upstream_model) == ("msg_01", "claude-sonnet-4-5")
    assert facts.usage == Usage(input=10, cache_read=100, cache_write_5m=50, output=7)
    assert facts.finish == Finish(reason="stop", native="end_turn")


def test_the_json_inside_keeps_its_bytes_but_for_raw_separators() -> None:
    data = (
        '{"type" : "content_block_delta", "index":0,"delta":{"type":"text_delta","text":"a\u2028é\\u003c"}}'
    )
    start = sse(START, text_block(0)[0])
    out, _ = pipe_of(start + f"event: content_block_delta\ndata: {data}\n\n".encode())
    written = out.split(b"\n\n")[2].decode()
    assert written == "event: content_block_delta\ndata: " + data.replace("\u2028", "\\u2028")


def test_framing_is_ours_even_where_the_upstream_s_is_odd() -> None:
    events = [START, *text_block(0, "hi"), *stop()]
    odd = b"".join(b": note\r\ndata: " + json.dumps(event).encode() + b"\r\n\r\n" for event in events)
    assert len(parsed(pipe_of(odd + b"data: [DONE]\r\n\r\n")[0])) == len(events)


def test_chunks_may_be_cut_anywhere() -> None:
    stream = sse(START, *text_block(0, "é"), *stop())
    whole, _ = pipe_of(stream)
    for cut in range(0, len(stream), 7):
        pipe = RELAY.stream_pipe(answer_context())
        assert pipe.feed(stream[:cut]) + pipe.feed(stream[cut:]) + pipe.close() == whole


def test_nothing_leaves_before_the_answer_begins() -> None:
    out, facts = pipe_of(sse({"type": "ping"}, {"type": "next_year"}))
    assert (out, facts.began) == (b"", False)


def test_unknown_events_pass_once_it_has_begun_and_a_second_start_does_not() -> None:
    odd = {"type": "next_year", "x": 1}
    out, _ = pipe_of(sse(START, START, odd))
    assert [frame["type"] for frame in parsed(out)] == ["message_start", "next_year"]


def test_tool_names_are_given_back() -> None:
    asked = body_of(tools=[{"name": "read", "input_schema": {}}])
    _, outgoing = relayed(asked, target(identity=LOGIN))
    block = {"type": "content_block_start", "index": 0, "content_block": {**CALL, "name": "Read"}}
    pipe = RELAY.stream_pipe(answer_context(names=outgoing.names))
    out = pipe.feed(sse(START, block, {"type": "content_block_stop", "index": 0}, *stop("tool_use")))
    assert parsed(out)[1]["content_block"]["name"] == "read"
    assert pipe.facts.finish == Finish(reason="tool_calls", native="tool_use")
    body = {
        "type": "message",
        "model": "up",
        "content": [text("x"), {**CALL, "name": "Read"}],
        "stop_reason": "tool_use",
    }
    plain, facts = RELAY.message(json.dumps(body).encode(), answer_context(names=outgoing.names))
    assert json.loads(plain)["content"] == [text("x"), CALL]
    assert facts.finish == Finish(reason="tool_calls", native="tool_use")


def test_the_reason_of_a_refusal_is_noted() -> None:
    _, facts = pipe_of(
        sse(START, *stop("refusal", stop_sequence="x", stop_details={"explanation": "unsafe"}))
    )
    assert facts.finish == Finish(reason="refusal", native="refusal", stop_sequence="x", detail="unsafe")


def test_an_answer_without_an_id_gets_one_and_without_usage_zeros() -> None:
    out, facts = pipe_of(sse({"type": "message_start", "message": {"role": "assistant"}}))
    message = parsed(out)[0]["message"]
    assert message["id"] == "msg_abc123"
    assert set(message["usage"].values()) == {0}
    assert facts.usage is None


def test_a_delta_keeps_what_it_has_when_the_rest_is_put_in() -> None:
    ending = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 3}}
    out, _ = pipe_of(sse(START, ending))
    assert parsed(out)[1]["usage"] == {"input_tokens": 3, "output_tokens": 0}
    bare, _ = pipe_of(sse(START, {"type": "message_delta", "usage": {"output_tokens": 1}}))
    assert parsed(bare)[1]["delta"] == {"stop_sequence": None}


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        sse(START),
        sse(START, *text_block(0, "x"), stop()[0]),
        sse(START, stop()[1]),
        sse(*text_block(0, "x")),
        sse(*stop()),
        sse({"type": "message_start"}),
        sse(START) + b"data: {broken\n\n",
        sse(START) + b'data: {"type":"content_block_start","index":0,"content_block":5}\n\n',
        sse(START) + b'data: {"type":"message_delta","delta":null,"usage":null}\n\n',
        b'{"type":"error"}\n',
    ],
)
def test_a_stream_that_is_no_complete_answer_fails(stream: bytes) -> None:
    _, facts = pipe_of(stream)
    assert isinstance(facts.failure, BrokenStream)
    assert not facts.done


def test_an_error_inside_is_a_fact_and_is_not_relayed() -> None:
    error = {"type": "error", "error": {"type": "overloaded_error", "message": "later"}}
    out, facts = pipe_of(sse(START, *text_block(0, "x"), error, *stop()))
    assert b"later" not in out
    assert (facts.failure.kind, facts.done) == ("overloaded", False)
    assert parsed(out)[-1]["type"] == "content_block_stop"


def test_a_frame_without_end_is_given_up() -> None:
    pipe = RELAY.stream_pipe(answer_context())
    for _ in range(17):
        pipe.feed(b"data: " + b"x" * 1024 * 1024)
    assert isinstance(pipe.facts.failure, BrokenStream)
    assert pipe.feed(sse(START)) == b""
    assert pipe.close() == b""


def test_the_gateway_s_own_words_in_a_stream() -> None:
    pipe = RELAY.stream_pipe(answer_context())
    assert pipe.ping() == b'event: ping\ndata: {"type":"ping"}\n\n'
    (frame,) = parsed(pipe.fail(UpstreamError("gone", kind="timeout")))
    assert frame == {"type": "error", "error": {"type": "timeout_error", "message": "gone"}}


def test_a_plain_answer_keeps_its_bytes_but_for_the_model() -> None:
    body = (
        b'{"type":"message","id":"msg_1","model":"up","content":[ {"type":"text","text":"\\u003c"} ],'
        b'"stop_reason":"end_turn","usage":{"input_tokens": 3,"output_tokens":4}}'
    )
    out, facts = RELAY.message(body, answer_context())
    assert out == body.replace(b'"up"', b'"acme/model"')
    assert facts.usage == Usage(input=3, output=4)
    assert (facts.began, facts.done, facts.upstream_model, facts.upstream_id) == (True, True, "up", "msg_1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b'{"content":[5],"stop_reason":"end_turn"}',
        b'{"content":null}',
        b'{"type":"error","error":{"type":"api_error","message":"boom"}}',
    ],
)
def test_a_plain_body_that_is_no_answer_fails(body: bytes) -> None:
    out, facts = RELAY.message(body, answer_context())
    assert out == b""
    assert facts.failure is not None


def test_a_body_without_messages_is_the_upstream_s_to_refuse() -> None:
    body, _ = relayed({"model": "m", "thinking": ENABLED}, target())
    assert body == {"model": "claude-sonnet-4-5", "thinking": ENABLED}


def test_a_mark_passes_over_thinking_to_what_can_carry_it() -> None:
    mark = {"type": "ephemeral"}
    real = {"type": "thinking", "thinking": "t", "signature": "s"}
    body, _ = relayed(body_of(messages=[USER, assistant(text("x"), real, text("", cache_control=mark))]))
    assert body["messages"][1]["content"] == [text("x", cache_control=mark), real]


def test_a_loop_without_its_beginning_is_none() -> None:
    messages = [{"role": "user", "content": [RESULT]}]
    assert thinking_of(target(), thinking=ENABLED, messages=messages) == ({"thinking": ENABLED}, ())


def test_a_loop_in_progress_of_another_model_goes_on_without_thinking() -> None:
    messages = [USER, assistant(CALL), {"role": "user", "content": [RESULT]}]
    kept = {"edits": [{"type": "clear_tool_uses_20250919"}]}
    found, dropped = thinking_of(target(), thinking=ENABLED, messages=messages, context_management=kept)
    assert (found, dropped) == ({"thinking": {"type": "disabled"}, "context_management": kept}, ("thinking",))


def test_halves_of_characters_in_a_stream_pass_as_replacements() -> None:
    half = rb'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\ud83d"}}'
    out, facts = pipe_of(
        sse(START, text_block(0)[0]) + b"event: content_block_delta\ndata: " + half + b"\n\n" + sse(*stop())
    )
    assert rb'"text":"\ufffd"' in out
    assert facts.done


def test_a_delta_that_is_no_json_is_not_passed_on() -> None:
    out, facts = pipe_of(
        sse(START, text_block(0)[0]) + b'event: content_block_delta\ndata: {"delta":{"text":"x}\n\n'
    )
    assert isinstance(facts.failure, BrokenStream)
    assert b'"x' not in out
