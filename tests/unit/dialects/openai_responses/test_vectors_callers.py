"""The numbered edge cases of the dialect reference that concern Responses callers and the relay."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects import anthropic_messages, openai_chat
from pi_model_proxy.dialects.openai_responses import CLIENT, RELAY, SERVER
from pi_model_proxy.errors import BadRequest, BrokenStream, UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import Event, Failure, Finish, Identity, Target, Usage, fold
from support.responses_caller import (
    answer,
    answered,
    asked,
    asking,
    context,
    final,
    relayed,
    relayed_body,
    target,
    told,
)
from support.responses_grammar import check_stream, payloads_of
from support.responses_stream import CREATED, sse

Json = dict[str, Any]
USER = {"role": "user", "content": "hi"}
FUNCTION = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
CHAT = target()
CLAUDE = target(provider="anthropic", kind="anthropic-messages", max_output=8000)
OPENAI = target(provider="openai", kind="openai-responses", reasoning=True, hosted_by_vendor=True)


def to_chat(**fields: Any) -> Json:
    body: Json = json.loads(openai_chat.CLIENT.encode_request(asked(**fields), CHAT).body)
    return body


def to_claude(goes_to: Target = CLAUDE, **fields: Any) -> Json:
    body: Json = json.loads(anthropic_messages.CLIENT.encode_request(asked(**fields), goes_to).body)
    return body


def chat_events(*deltas: Json, finish: str = "stop", usage: Json | None = None, **fields: Any) -> list[Event]:
    """Return what a chat upstream's stream means for a request with `fields`."""
    outgoing = openai_chat.CLIENT.encode_request(asked(**fields), CHAT)
    decoder = openai_chat.CLIENT.stream_decoder(CHAT, outgoing.names)
    chunks: list[Json] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas
    ]
    chunks.append(
        {
            "choices": [{"index": 0, "delta": {}, "finish_reason": finish}],
            **({"usage": usage} if usage else {}),
        }
    )
    data = "".join(f"data: {json.dumps({'id': 'c1', 'model': 'm-1', **chunk})}\n\n" for chunk in chunks)
    return [*decoder.feed(data.encode() + b"data: [DONE]\n\n"), *decoder.close()]


def chat_call(name: str, arguments: str) -> Json:
    call = {
        "index": 0,
        "id": "call_1",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
    return {"tool_calls": [call]}


def test_vector_020_a_caller_without_cache_marks_gets_them_placed() -> None:
    body = to_claude(
        target(provider="anthropic", kind="anthropic-messages", auto_cache=True),
        instructions="be kind",
        tools=[FUNCTION],
    )
    assert body["tools"][-1]["cache_control"]
    assert body["system"][-1]["cache_control"]
    assert body["messages"][-1]["content"][-1]["cache_control"]


def test_vector_028_a_call_and_its_output_share_a_legal_id() -> None:
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_ab|cd+/=", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "call_ab|cd+/=", "output": "a"}
    messages = to_claude(input=[USER, call, result], tools=[FUNCTION])["messages"]
    used, given = messages[1]["content"][0]["id"], messages[2]["content"][0]["tool_use_id"]
    assert used == given
    assert used.replace("_", "").replace("-", "").isalnum()


def test_vector_030_calls_that_share_an_id_get_two() -> None:
    call = {"type": "function_call", "call_id": "same", "name": "f", "arguments": "{}"}
    result = {"type": "function_call_output", "call_id": "same"}
    items = [
        USER,
        {**call, "id": "fc_1"},
        {**call, "id": "fc_2"},
        {**result, "output": "1"},
        {**result, "output": "2"},
    ]
    messages = to_chat(input=items, tools=[FUNCTION])["messages"]
    ids = [each["id"] for each in messages[1]["tool_calls"]]
    assert len(set(ids)) == 2
    assert all(len(each) <= 40 for each in ids)
    assert [(each["tool_call_id"], each["content"]) for each in messages[2:4]] == [
        (ids[0], "1"),
        (ids[1], "2"),
    ]


def test_vector_031_bare_reasoning_goes_and_sealed_reasoning_stays_byte_for_byte() -> None:
    sealed = b'{"type":"reasoning", "id":"rs_1","summary":[],"encrypted_content":"gA\\u002b/="}'
    body = (
        b'{"model":"m","store":false,"input":[' + sealed + b',{"type":"reasoning","id":"rs_2","summary":[]}]}'
    )
    outgoing = RELAY.encode_request(body, OPENAI, {})
    assert sealed in outgoing.body
    assert b"rs_2" not in outgoing.body
    assert outgoing.dropped == ("input[1]",)


def test_vector_032_reasoning_that_is_refused_is_left_out_once() -> None:
    item = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    outgoing = RELAY.encode_request(asking(input=[USER, item], store=False), OPENAI, {})
    refused = UpstreamError("no", status=400, kind="bad_request", code="invalid_encrypted_content")
    mended = CLIENT.mend(outgoing.body, refused)
    assert mended is not None
    assert json.loads(mended)["input"] == [USER]
    assert CLIENT.mend(mended, refused) is None


def test_vector_033_nothing_of_openais_ids_reaches_others() -> None:
    items = [
        USER,
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "a"}],
        },
        {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "b"},
    ]
    for body in (to_chat(input=items, tools=[FUNCTION]), to_claude(input=items, tools=[FUNCTION])):
        written = json.dumps(body)
        assert not any(each in written for each in ("rs_1", "msg_1", "fc_1", "gAAA"))


CODEX = target(kind="openai-codex-responses", provider="openai-codex", reasoning=True)


def test_vector_034_the_chatgpt_backend_gets_what_it_takes() -> None:
    outgoing = RELAY.encode_request(
        asking(
            input=[{"role": "system", "content": "be kind"}, USER],
            temperature=1, max_output_tokens=9, user="u", safety_identifier="s", previous_response_id=None,
            stream_options={"include_obfuscation": False}, store=True, prompt_cache_key="session-1",
            tools=[{"type": "web_search_preview_2025_03_11"}, FUNCTION],
        ),
        CODEX,
        {},
    )  # fmt: skip
    assert json.loads(outgoing.body) == {
        "model": "m-1",
        "input": [{"role": "developer", "content": "be kind"}, USER],
        "instructions": "You are a helpful assistant.",
        "store": False,
        "stream": True,
        "include": ["reasoning.encrypted_content"],
        "tool_choice": "auto",
        "parallel_tool_calls": True,
        "prompt_cache_key": "session-1",
        "tools": [{"type": "web_search"}, FUNCTION],
    }
    assert (outgoing.path, outgoing.stream) == ("/codex/responses", True)
    assert outgoing.headers == {"session-id": "session-1", "x-client-request-id": "session-1"}
    assert outgoing.dropped == (
        "store", "max_output_tokens", "safety_identifier", "stream_options", "temperature", "user",
    )  # fmt: skip


def test_vector_034_what_the_caller_says_itself_stands() -> None:
    said = {"instructions": "be kind", "include": ["a"], "tool_choice": "none", "parallel_tool_calls": False}
    body, dropped = relayed_body(CODEX, **said)
    assert body.items() >= {**said, "include": ["a", "reasoning.encrypted_content"]}.items()
    assert dropped == ()


def test_vector_034_040_a_response_that_the_backend_does_not_keep_is_refused() -> None:
    with pytest.raises(UnsupportedFeature, match="previous_response_id"):
        relayed_body(CODEX, previous_response_id="resp_1")


def test_vector_034_a_login_adds_its_own_refusals() -> None:
    login = Identity(omitted_fields=frozenset({"max_output_tokens", "temperature"}))
    goes_to = target(kind="openai-responses", reasoning=True, identity=login, hosted_by_vendor=True)
    body, dropped = relayed_body(goes_to, store=False, temperature=1, max_output_tokens=9)
    assert body == {"model": "m-1", "input": "hi", "store": False, "include": ["reasoning.encrypted_content"]}
    assert dropped == ("max_output_tokens", "temperature")


def test_at_azure_the_account_names_model_and_version() -> None:
    account = Identity(deployment="my-gpt", api_version="preview")
    goes_to = target(kind="azure-openai-responses", identity=account)
    outgoing = RELAY.encode_request(asking(), goes_to, {})
    assert (outgoing.path, json.loads(outgoing.body)["model"]) == ("/responses?api-version=preview", "my-gpt")
    assert RELAY.suits(asking(tools=[{"type": "custom", "name": "p"}]), goes_to)


def test_tools_that_are_none_are_refused_where_they_must_be_read() -> None:
    with pytest.raises(BadRequest, match="tools"):
        relayed_body(CODEX, tools=["web_search_preview"])


def test_vector_036_a_free_form_tool_is_a_function_there_and_itself_here() -> None:
    tools = [
        {
            "type": "custom",
            "name": "apply_patch",
            "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
        }
    ]
    (sent,) = to_chat(tools=tools)["tools"]
    assert sent["function"]["name"] == "apply_patch"
    assert list(sent["function"]["parameters"]["properties"]) == ["input"]
    events = chat_events(
        chat_call("apply_patch", '{"input":"*** Begin Patch\\n'),
        {"tool_calls": [{"index": 0, "function": {"arguments": '*** End Patch"}'}}]},
        finish="tool_calls",
        tools=tools,
    )
    for output in (final(events)["output"], answer(fold(events))["output"]):
        (item,) = output
        assert (item["type"], item["name"]) == ("custom_tool_call", "apply_patch")
        assert item["input"] == "*** Begin Patch\n*** End Patch"


def test_vector_037_a_namespace_is_flattened_there_and_restored_here() -> None:
    tools = [{"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "get"}]}]
    assert to_chat(tools=tools)["tools"][0]["function"]["name"] == "crm__get"
    events = chat_events(chat_call("crm__get", "{}"), finish="tool_calls", tools=tools)
    (item,) = final(events)["output"]
    assert (item["name"], item["namespace"]) == ("get", "crm")


def test_vector_038_strictness_nobody_asked_for_is_not_asked_for() -> None:
    assert "strict" not in to_chat(tools=[FUNCTION])["tools"][0]["function"]


def test_vector_039_a_developer_message_in_the_middle_parts_no_call_from_its_output() -> None:
    items = [
        USER,
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"},
        {"role": "developer", "content": "be brief"},
        {"type": "function_call_output", "call_id": "c1", "output": "a"},
        {"role": "user", "content": "go on"},
    ]
    messages = to_claude(input=items, tools=[FUNCTION])["messages"]
    assert messages[1]["content"][-1]["type"] == "tool_use"
    assert messages[2]["content"][0]["type"] == "tool_result"
    assert "be brief" in json.dumps(messages[2:])


def test_vector_040_an_unknown_response_is_refused() -> None:
    with pytest.raises(UnsupportedFeature, match="previous_response_id"):
        asked(previous_response_id="resp_1")


SEARCH = {"type": "web_search", "external_web_access": False}


def test_vector_042_a_search_that_nobody_can_run_is_left_out_and_listed() -> None:
    for client, goes_to in ((openai_chat.CLIENT, CHAT), (anthropic_messages.CLIENT, CLAUDE)):
        outgoing = client.encode_request(asked(tools=[FUNCTION, SEARCH]), goes_to)
        assert len(json.loads(outgoing.body)["tools"]) == 1
        assert outgoing.dropped == ("tools[1]",)


@pytest.mark.parametrize(
    "fields",
    [{"tools": [SEARCH]}, {"tools": [FUNCTION, SEARCH], "tool_choice": {"type": "web_search"}}],
    ids=["the only tool", "forced"],
)
def test_vector_042_a_search_that_must_be_run_is_refused(fields: Json) -> None:
    for client, goes_to in ((openai_chat.CLIENT, CHAT), (anthropic_messages.CLIENT, CLAUDE)):
        with pytest.raises(UnsupportedFeature):
            client.encode_request(asked(**fields), goes_to)


def test_vector_047_half_an_emoji_becomes_a_replacement() -> None:
    request = SERVER.decode_request(rb'{"input":[{"role":"user","content":"a\ud83d"}]}')
    body = openai_chat.CLIENT.encode_request(request, CHAT).body
    assert "a\ufffd" in body.decode()


def test_vector_072_073_a_minimal_answer_has_every_event() -> None:
    payloads = told(chat_events({"content": "Hel"}, {"content": "lo"}))
    assert answered(payloads) == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert payloads[0]["response"]["status"] == payloads[1]["response"]["status"] == "in_progress"
    assert payloads[-1]["response"]["usage"]["input_tokens_details"] == {
        "cached_tokens": 0,
        "cache_write_tokens": 0,
    }
    assert payloads[-1]["response"]["usage"]["output_tokens_details"] == {"reasoning_tokens": 0}


def test_vector_063_cached_tokens_are_part_of_the_input() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 75}}
    counted = final(chat_events({"content": "a"}, usage=usage))["usage"]
    assert (
        counted["input_tokens"],
        counted["input_tokens_details"]["cached_tokens"],
        counted["total_tokens"],
    ) == (
        100,
        75,
        105,
    )


def test_vector_065_a_call_without_arguments_has_an_empty_object() -> None:
    (item,) = final(chat_events(chat_call("f", ""), finish="tool_calls", tools=[FUNCTION]))["output"]
    assert item["arguments"] == "{}"


def test_vector_074_an_answer_begins_once() -> None:
    encoder = SERVER.stream_encoder(context())
    events = chat_events({"content": "a"})
    data = b"".join(encoder.feed(event) for event in (events[0], *events))
    assert [payload["type"] for payload in check_stream(data)].count("response.created") == 1


def test_vector_075_an_answer_cut_for_length_is_incomplete() -> None:
    payloads = told(chat_events({"content": "a"}, finish="length"))
    assert payloads[-1]["type"] == "response.incomplete"
    assert payloads[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_vector_076_a_failure_after_text_is_a_response_that_failed() -> None:
    events = [*chat_events({"content": "a"})[:3], Failure(UpstreamError("Busy", kind="overloaded"))]
    payloads = told(events)
    assert payloads[-1]["type"] == "response.failed"
    assert payloads[-1]["response"]["error"] == {"code": "server_is_overloaded", "message": "Busy"}
    assert "error" not in {payload["type"] for payload in payloads}


def test_vector_077_an_error_as_the_first_event_is_still_a_status() -> None:
    pipe = RELAY.stream_pipe(context(target=OPENAI))
    error = {"type": "error", "code": "server_is_overloaded", "message": "Busy"}
    assert pipe.feed(sse([CREATED, error])) == b""
    assert not pipe.facts.began
    assert pipe.facts.failure is not None
    assert SERVER.encode_error(pipe.facts.failure, "req_1").status == 503


def test_vector_078_an_end_without_a_terminal_event_is_a_failure() -> None:
    added = {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"type": "message", "id": "msg_1"},
    }
    _, facts = relayed(sse([CREATED, added]), context(target=OPENAI))
    assert isinstance(facts.failure, BrokenStream)
    assert facts.began


def test_vector_079_nothing_is_waited_for_after_the_terminal_event() -> None:
    pipe = RELAY.stream_pipe(context(target=OPENAI))
    pipe.feed(
        sse(
            [
                CREATED,
                {"type": "response.completed", "response": CREATED["response"] | {"status": "completed"}},
            ]
        )
    )
    assert pipe.facts.done


def test_vector_087_rate_limits_of_the_backend_are_news() -> None:
    limits = {"type": "codex.rate_limits", "rate_limits": {"limit_reached": True}}
    completed = {"type": "response.completed", "response": CREATED["response"] | {"status": "completed"}}
    data, facts = relayed(sse([limits, CREATED, completed]), context(target=OPENAI))
    assert facts.failure is None
    assert [payload["type"] for payload in payloads_of(data)] == ["response.created", "response.completed"]


def test_vector_088_a_used_up_plan_is_told_with_its_wait() -> None:
    error = {
        "type": "error",
        "status_code": 429,
        "error": {
            "type": "usage_limit_reached",
            "message": "The usage limit has been reached",
            "resets_in_seconds": 9568,
        },
    }
    _, facts = relayed(sse([error]), context(target=OPENAI))
    assert facts.failure is not None
    answered_with = SERVER.encode_error(facts.failure, "req_1")
    assert answered_with.status == 429
    assert answered_with.headers == {"retry-after": "9568", "x-should-retry": "false"}


def test_vector_089_an_overflow_has_the_code_that_makes_clients_compact() -> None:
    error = anthropic_messages.CLIENT.decode_error(
        400,
        {},
        b'{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 213462 tokens > 200000 maximum"}}',
    )
    told_as = SERVER.encode_error(error, "req_1")
    assert told_as.status == 400
    assert json.loads(told_as.body)["error"]["code"] == "context_length_exceeded"
    assert final([Failure(error)])["error"]["code"] == "context_length_exceeded"


def test_vector_090_an_overload_of_anthropics_is_a_503() -> None:
    error = UpstreamError("Overloaded", status=529, kind="overloaded", family="anthropic")
    assert SERVER.encode_error(error, "req_1").status == 503


@pytest.mark.parametrize("cut", range(0, 400, 7))
def test_vector_091_it_does_not_matter_where_the_bytes_are_cut(cut: int) -> None:
    added = {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"type": "message", "id": "msg_1\u00e9"},
    }
    completed = {"type": "response.completed", "response": CREATED["response"] | {"status": "completed"}}
    data = sse([CREATED, added, completed]).replace(b"\n", b"\r\n")
    pipe = RELAY.stream_pipe(context(target=OPENAI))
    told_in_two = pipe.feed(data[:cut]) + pipe.feed(data[cut:]) + pipe.close()
    assert told_in_two == relayed(data, context(target=OPENAI))[0]


def test_vector_095_no_bookkeeping_of_ours_reaches_the_wire() -> None:
    sent = json.dumps(to_chat(tools=[FUNCTION], input=[USER])) + json.dumps(to_claude(tools=[FUNCTION]))
    payloads = json.dumps(told(chat_events({"content": "a"})))
    assert not any(f'"{name}' in sent + payloads for name in ("_", 'at"', "words", 'raw"', "pmp"))


def test_vector_097_the_same_dialect_passes_byte_for_byte() -> None:
    body = b'{"input":"a\\u003cb", "model":"m-1","metadata":{"b":1.50,"a":[ ]}}'
    assert RELAY.encode_request(body, OPENAI, {}).body == body.replace(b'", "', b'","')


def test_vector_098_counts_come_back_as_they_were() -> None:
    usage = Usage(input=5, cache_read=3, cache_write_5m=2, output=7, reasoning=4)
    for counts in (usage, Usage(), Usage(input=1, cache_write_5m=9)):
        message = fold(chat_events({"content": "a"}))
        body = SERVER.encode_message(
            type(message)(blocks=message.blocks, usage=counts, finish=Finish(reason="stop")), context()
        )
        back = fold(
            CLIENT.decode_message(body, OPENAI, openai_chat.CLIENT.encode_request(asked(), CHAT).names)
        )
        assert back.usage == counts


def test_vector_099_stream_and_plain_answer_agree() -> None:
    events = chat_events(
        {"reasoning_content": "Hm."},
        {"content": "a"},
        chat_call("f", "{}"),
        finish="tool_calls",
        tools=[FUNCTION],
    )
    assert final(events) == answer(fold(events))


def test_vector_105_two_streams_at_once_know_nothing_of_each_other() -> None:
    first = SERVER.stream_encoder(context(answer_id="aaaa"))
    second = SERVER.stream_encoder(context(answer_id="bbbb"))
    here, there = chat_events(chat_call("f", '{"x":1}'), tools=[FUNCTION]), chat_events({"content": "other"})
    told_first, told_second = b"", b""
    for mine, yours in zip(here, there, strict=False):
        told_first += first.feed(mine)
        told_second += second.feed(yours)
    assert b"bbbb" not in told_first
    assert b"other" not in told_first
    assert b"aaaa" not in told_second
    assert b"call_1" not in told_second


def test_vector_107_a_name_that_is_not_legal_comes_back_as_it_was() -> None:
    name = "mcp.server/tool.with.dots" + "x" * 45
    tools = [{"type": "function", "name": name}]
    wire = to_chat(tools=tools)["tools"][0]["function"]["name"]
    assert len(wire) <= 64
    events = chat_events(chat_call(wire, "{}"), finish="tool_calls", tools=tools)
    assert final(events)["output"][0]["name"] == answer(fold(events))["output"][0]["name"] == name
