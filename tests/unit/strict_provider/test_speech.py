"""Answers are spoken in the vendors' own grammar, and a stream says the same as the whole answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import pytest

from support.strict_provider import (
    SCRIPTS,
    UNICODE_TEXT,
    Answer,
    Call,
    Pace,
    Refusal,
    StrictProvider,
    Style,
    Text,
    Thinking,
    Usage,
)
from unit.strict_provider.asking import DIALECTS, Reply, ask, body_for

TOOLS: Final[dict[str, list[dict[str, Any]]]] = {
    "chat": [{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}],
    "responses": [
        {"type": "function", "name": "get_weather", "parameters": {"type": "object"}, "strict": False}
    ],
    "messages": [{"name": "get_weather", "input_schema": {"type": "object"}}],
}
RICH: Final = Answer(
    parts=(
        Thinking("Let me think about it."),
        Text("I will look: "),
        Call("get_weather", '{"city":"München"}'),
        Call("get_weather"),
    ),
    usage=Usage(fresh=10, cache_read=20, cache_write_5m=3, cache_write_1h=4, output=50, reasoning=30),
)


@pytest.fixture(scope="module")
def provider() -> Iterator[StrictProvider]:
    with StrictProvider.running() as running:
        yield running


def told(provider: StrictProvider, dialect: str, answer: Answer, *, stream: bool, **more: Any) -> Reply:
    provider.queue(answer)
    reply = ask(provider, dialect, body_for(dialect, stream=stream, **more))
    assert reply.status == 200, reply.raw
    return reply


def plain(value: Any) -> Any:
    """The same value without what differs from one answer to the next: ids, seals and times."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    fresh = {
        "id",
        "call_id",
        "signature",
        "created",
        "created_at",
        "completed_at",
        "encrypted_content",
        "data",
    }
    return {name: plain(item) for name, item in value.items() if name not in fresh}


# ── the grammar of each stream ──


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_messages_stream_follows_the_vendors_grammar(provider: StrictProvider, script: str) -> None:
    events = ask(provider, "messages", body_for("messages", stream=True, model=script)).events
    assert all(name == data["type"] for name, data in events)
    names = [name for name, _ in events if name != "ping"]

    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    opened = None
    closed = -1
    for name, data in [event for event in events if event[0] != "ping"][1:-2]:
        if name == "content_block_start":
            assert (opened, data["index"]) == (None, closed + 1)
            opened = data["index"]
        elif name == "content_block_stop":
            assert data["index"] == opened
            opened, closed = None, data["index"]
        else:
            assert (name, data["index"]) == ("content_block_delta", opened)
    assert opened is None


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_chat_stream_follows_the_vendors_grammar(provider: StrictProvider, script: str) -> None:
    body = body_for("chat", stream=True, model=script, stream_options={"include_usage": True})
    events = ask(provider, "chat", body).events
    chunks = [data for _, data in events[:-1]]

    assert events[-1] == (None, "[DONE]")
    assert all(name is None for name, _ in events)
    assert len({(chunk["id"], chunk["created"], chunk["model"]) for chunk in chunks}) == 1
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [choice["finish_reason"] is not None for choice in choices] == [False] * (len(choices) - 1) + [
        True
    ]
    assert choices[0]["delta"]["role"] == "assistant"
    fragments = [call for choice in choices for call in choice["delta"].get("tool_calls", [])]
    for index in {call["index"] for call in fragments}:
        first, *rest = [call for call in fragments if call["index"] == index]
        assert {"id", "type", "function"} <= set(first)
        assert all("id" not in call and "type" not in call for call in rest)


@pytest.mark.parametrize("script", sorted(SCRIPTS))
def test_a_responses_stream_follows_the_vendors_grammar(provider: StrictProvider, script: str) -> None:
    events = ask(provider, "responses", body_for("responses", stream=True, model=script)).events
    datas = [data for _, data in events]

    assert all(name == data["type"] for name, data in events)
    assert [data["sequence_number"] for data in datas] == list(range(len(datas)))
    assert [data["type"] for data in datas[:2]] == ["response.created", "response.in_progress"]
    assert all(data["response"]["status"] == "in_progress" for data in datas[:2])
    final = datas[-1]
    assert final["type"] == f"response.{final['response']['status']}"
    done = [data["item"] for data in datas if data["type"] == "response.output_item.done"]
    added = [data["item"]["id"] for data in datas if data["type"] == "response.output_item.added"]
    assert done == final["response"]["output"]
    assert added == [item["id"] for item in done]
    about = [data for data in datas if "item_id" in data]
    assert all(added[data["output_index"]] == data["item_id"] for data in about)


# ── a stream says the same as the whole answer ──


def folded_messages(reply: Reply) -> dict[str, Any]:
    start, *rest = [data for data in reply.datas if data["type"] != "ping"]
    message: dict[str, Any] = start["message"]
    for data in rest:
        if data["type"] == "content_block_start":
            message["content"].append({**data["content_block"], "json": ""})
        elif data["type"] == "content_block_delta":
            delta, block = data["delta"], message["content"][-1]
            for name, field in (
                ("text", "text"),
                ("thinking", "thinking"),
                ("signature", "signature"),
                ("partial_json", "json"),
            ):
                block[field] = block.get(field, "") + delta[name] if name in delta else block.get(field)
        elif data["type"] == "message_delta":
            message |= data["delta"] | {"usage": data["usage"]}
    for block in message["content"]:
        text = block.pop("json")
        for name in [name for name, value in block.items() if value is None]:
            del block[name]
        if block["type"] == "tool_use":
            block["input"] = json.loads(text or "{}")
    return message


def folded_chat(reply: Reply) -> dict[str, Any]:
    message: dict[str, Any] = {"content": "", "calls": {}}
    whole: dict[str, Any] = {}
    for chunk in reply.datas:
        whole["usage"] = chunk.get("usage") or whole.get("usage")
        for choice in chunk["choices"]:
            whole["finish_reason"] = choice["finish_reason"]
            message["content"] += choice["delta"].get("content") or ""
            for call in choice["delta"].get("tool_calls", []):
                held = message["calls"].setdefault(call["index"], {"name": "", "arguments": ""})
                for name in held:
                    held[name] += call["function"].get(name, "")
    return {
        **whole,
        "content": message["content"],
        "calls": [message["calls"][index] for index in sorted(message["calls"])],
    }


def test_a_messages_stream_folds_into_the_whole_message(provider: StrictProvider) -> None:
    streamed = told(provider, "messages", RICH, stream=True, tools=TOOLS["messages"])
    whole = told(provider, "messages", RICH, stream=False, tools=TOOLS["messages"])

    expected = plain(whole.body)
    assert plain(folded_messages(streamed)) == expected
    assert [block["type"] for block in expected["content"]] == ["thinking", "text", "tool_use", "tool_use"]


def test_a_chat_stream_folds_into_the_whole_completion(provider: StrictProvider) -> None:
    options = {"include_usage": True}
    streamed = folded_chat(
        told(provider, "chat", RICH, stream=True, stream_options=options, tools=TOOLS["chat"])
    )
    whole = told(provider, "chat", RICH, stream=False, tools=TOOLS["chat"]).body
    message = whole["choices"][0]["message"]

    assert streamed["content"] == message["content"]
    assert streamed["finish_reason"] == whole["choices"][0]["finish_reason"] == "tool_calls"
    assert streamed["usage"] == whole["usage"]
    asked = [call["arguments"] for call in streamed["calls"]]
    assert (
        asked
        == [call["function"]["arguments"] for call in message["tool_calls"]]
        == ['{"city":"München"}', "{}"]
    )


def test_a_responses_stream_ends_in_the_whole_response(provider: StrictProvider) -> None:
    streamed = told(provider, "responses", RICH, stream=True, tools=TOOLS["responses"]).datas
    whole = told(provider, "responses", RICH, stream=False, tools=TOOLS["responses"]).body

    deltas = "".join(data["delta"] for data in streamed if data["type"] == "response.output_text.delta")
    assert plain(streamed[-1]["response"]) == plain(whole)
    assert deltas == "I will look: "


# ── figures, endings and vendors' own ways ──


def test_usage_is_disjoint_for_messages_and_inclusive_for_openai(provider: StrictProvider) -> None:
    messages = told(provider, "messages", RICH, stream=False).body["usage"]
    chat = told(provider, "chat", RICH, stream=False).body["usage"]
    responses = told(provider, "responses", RICH, stream=False).body["usage"]

    assert (messages["input_tokens"], messages["cache_read_input_tokens"]) == (10, 20)
    assert messages["cache_creation"] == {"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 4}
    assert messages["output_tokens_details"] == {"thinking_tokens": 30}
    assert (chat["prompt_tokens"], chat["completion_tokens"], chat["total_tokens"]) == (37, 50, 87)
    assert (
        chat["prompt_tokens_details"]["cached_tokens"]
        == responses["input_tokens_details"]["cached_tokens"]
        == 20
    )
    assert (responses["input_tokens"], responses["total_tokens"]) == (37, 87)


ENDINGS: Final = [
    ("refusal", "stop", "refusal", "completed"),
    ("length", "length", "max_tokens", "incomplete"),
    ("content-filter", "content_filter", "refusal", "incomplete"),
    ("stop-sequence", "stop", "stop_sequence", "completed"),
    ("context-full", "length", "model_context_window_exceeded", "incomplete"),
    ("pause", "stop", "pause_turn", "completed"),
    ("text-then-tool", "tool_calls", "tool_use", "completed"),
]


@pytest.mark.parametrize(
    ("script", "chat", "messages", "responses"), ENDINGS, ids=[row[0] for row in ENDINGS]
)
def test_each_dialect_names_the_end_in_its_own_words(
    provider: StrictProvider, script: str, chat: str, messages: str, responses: str
) -> None:
    def end(dialect: str) -> Any:
        return ask(provider, dialect, body_for(dialect, model=script)).body

    assert end("chat")["choices"][0]["finish_reason"] == chat
    assert end("messages")["stop_reason"] == messages
    assert end("responses")["status"] == responses


def test_a_stop_sequence_is_named(provider: StrictProvider) -> None:
    assert (
        ask(provider, "messages", body_for("messages", model="stop-sequence")).body["stop_sequence"] == "END"
    )


def test_a_refusal_speaks_where_its_dialect_keeps_refusals(provider: StrictProvider) -> None:
    answer = Answer(parts=(Refusal("No."),))

    chat = told(provider, "chat", answer, stream=False).body["choices"][0]["message"]
    responses = told(provider, "responses", answer, stream=False).body["output"][0]["content"]
    messages = told(provider, "messages", answer, stream=False).body

    assert (chat["content"], chat["refusal"]) == (None, "No.")
    assert responses == [{"type": "refusal", "refusal": "No."}]
    assert (messages["content"], messages["stop_details"]["explanation"]) == ([], "No.")


def test_calls_may_be_interleaved_fragment_by_fragment(provider: StrictProvider) -> None:
    chunks = ask(provider, "chat", body_for("chat", stream=True, model="interleaved-tools")).datas

    order = [
        call["index"]
        for chunk in chunks
        for choice in chunk["choices"]
        for call in choice["delta"].get("tool_calls", [])
    ]
    assert order[:6] == [0, 1, 0, 1, 0, 1]


def test_a_call_without_arguments_has_no_argument_fragment(provider: StrictProvider) -> None:
    events = ask(provider, "messages", body_for("messages", stream=True, model="empty-call")).datas
    whole = ask(provider, "messages", body_for("messages", model="empty-call")).body

    assert not [data for data in events if data["type"] == "content_block_delta"]
    assert whole["content"][0]["input"] == {}


REASONING: Final = [
    ("vendor-reasoning", {"reasoning"}),
    ("vendor-reasoning-content", {"reasoning_content"}),
    ("vendor-reasoning-both", {"reasoning", "reasoning_content"}),
    ("vendor-reasoning-details", {"reasoning", "reasoning_details"}),
    ("vendor-reasoning-text", {"reasoning_text", "reasoning_opaque"}),
    ("thinking-then-text", set()),
]


@pytest.mark.parametrize(("script", "fields"), REASONING, ids=[row[0] for row in REASONING])
def test_servers_show_reasoning_in_their_own_fields(
    provider: StrictProvider, script: str, fields: set[str]
) -> None:
    chunks = ask(provider, "chat", body_for("chat", stream=True, model=script)).datas
    message = ask(provider, "chat", body_for("chat", model=script)).body["choices"][0]["message"]

    streamed = {
        name
        for chunk in chunks
        for choice in chunk["choices"]
        for name in choice["delta"]
        if "reasoning" in name
    }
    assert streamed == {name for name in message if "reasoning" in name} == fields


USAGE_PLACES: Final = [
    ("hello", False, []),
    ("hello", True, ["last"]),
    ("usage-on-finish", False, ["finish"]),
    ("usage-in-choice", False, ["choice"]),
    ("usage-none", True, []),
    ("usage-always", False, ["last"]),
]


@pytest.mark.parametrize(
    ("script", "wanted", "places"), USAGE_PLACES, ids=[f"{row[0]} asked={row[1]}" for row in USAGE_PLACES]
)
def test_servers_put_usage_where_they_like(
    provider: StrictProvider, script: str, *, wanted: bool, places: list[str]
) -> None:
    options: dict[str, Any] = {"stream_options": {"include_usage": True}} if wanted else {}
    chunks = ask(provider, "chat", body_for("chat", stream=True, model=script, **options)).datas

    found = ["last" if not chunk["choices"] else "finish" for chunk in chunks if chunk.get("usage")]
    found += ["choice" for chunk in chunks for choice in chunk["choices"] if choice.get("usage")]
    assert found == places


def test_aggregates_alone_still_carry_the_text(provider: StrictProvider) -> None:
    datas = ask(provider, "responses", body_for("responses", stream=True, model="aggregates-only")).datas

    assert not [data for data in datas if data["type"].endswith(".delta")]
    assert [data["text"] for data in datas if data["type"] == "response.output_text.done"] == ["All at once."]


def test_several_choices_are_several_answers(provider: StrictProvider) -> None:
    whole = ask(provider, "chat", body_for("chat", n=3)).body
    chunks = ask(provider, "chat", body_for("chat", n=3, stream=True)).datas

    assert [choice["index"] for choice in whole["choices"]] == [0, 1, 2]
    assert {
        choice["index"] for chunk in chunks for choice in chunk["choices"] if choice["finish_reason"]
    } == {0, 1, 2}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_raw_and_escaped_unicode_say_the_same(provider: StrictProvider, dialect: str) -> None:
    raw = ask(provider, dialect, body_for(dialect, model="unicode"))
    escaped = ask(provider, dialect, body_for(dialect, model="unicode-escaped"))

    same = {"model": "either", "usage": {}}
    assert plain({**raw.body, **same}) == plain({**escaped.body, **same})
    assert "\u2028" in raw.raw.decode()
    assert escaped.raw.isascii()
    assert json.dumps(UNICODE_TEXT)[1:-1] in json.dumps(raw.body)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1_000])
def test_the_cut_of_the_bytes_does_not_change_them(provider: StrictProvider, size: int) -> None:
    answer = Answer(parts=(Text("Grüße, 世界 👩‍👩‍👧"),), style=Style(piece_chars=2))
    whole = told(provider, "chat", answer, stream=True).datas
    provider.queue(answer, pace=Pace(chunk_bytes=size))
    cut = ask(provider, "chat", body_for("chat", stream=True)).datas

    assert plain(cut) == plain(whole)


def test_custom_tools_are_called_with_plain_text(provider: StrictProvider) -> None:
    call = Answer(parts=(Call("apply_patch", "*** Begin Patch"),))
    responses = told(
        provider, "responses", call, stream=False, tools=[{"type": "custom", "name": "apply_patch"}]
    ).body
    chat_tool = {"type": "custom", "custom": {"name": "apply_patch"}}
    chat = told(provider, "chat", call, stream=False, tools=[chat_tool]).body["choices"][0]["message"]

    assert (responses["output"][0]["type"], responses["output"][0]["input"]) == (
        "custom_tool_call",
        "*** Begin Patch",
    )
    assert chat["tool_calls"][0]["custom"] == {"name": "apply_patch", "input": "*** Begin Patch"}
