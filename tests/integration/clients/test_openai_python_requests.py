"""openai-python before every kind of upstream: what reaches the upstream of what was asked."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from integration.clients.openai_answers import ask
from integration.materials import (
    CHAT_TOOLS,
    KINDS,
    PDF,
    PICTURE_URL,
    PNG,
    PNG_SEEN,
    Kind,
    as_base64,
    heard,
)
from support.strict_provider import StrictProvider

pytestmark = pytest.mark.clients

every_kind = pytest.mark.parametrize("kind", KINDS)
translated = pytest.mark.parametrize("kind", ["responses", "messages"])
"""Between chat and chat the request passes untouched, and the upstream judges it."""
PICTURE: dict[str, Any] = {
    "type": "image_url",
    "image_url": {"url": f"data:image/png;base64,{as_base64(PNG)}", "detail": "high"},
}
LIMITS = {
    "chat": ("max_tokens", "max_completion_tokens"),
    "responses": ("max_output_tokens",),
    "messages": ("max_tokens",),
}


def losses(client: openai.OpenAI, model: str, **fields: Any) -> set[str]:
    """Ask, and return the paths that the gateway says it left out."""
    answer = client.chat.completions.with_raw_response.create(
        model=model, messages=[{"role": "user", "content": "Hi."}], **fields
    )
    return set(filter(None, answer.headers.get("x-pi-model-proxy-dropped", "").split(", ")))


@every_kind
def test_a_picture_in_the_request_arrives_unharmed(chat: openai.OpenAI, kind: Kind) -> None:
    content = [{"type": "text", "text": "script:pictures"}, PICTURE]
    assert ask(chat, f"stub-{kind}/vision", content).text == f"I see 1: {PNG_SEEN}"


@every_kind
def test_a_picture_by_its_address_arrives_as_the_address(chat: openai.OpenAI, kind: Kind) -> None:
    content = [
        {"type": "text", "text": "script:pictures"},
        {"type": "image_url", "image_url": {"url": PICTURE_URL}},
    ]
    assert PICTURE_URL in ask(chat, f"stub-{kind}/vision", content).text


@translated
def test_a_picture_for_a_model_that_sees_none_is_named_in_the_answers_headers(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    messages: Any = [{"role": "user", "content": [{"type": "text", "text": "Look!"}, PICTURE]}]
    answer = chat.chat.completions.with_raw_response.create(
        model=f"stub-{kind}/text",
        messages=messages,
    )
    assert answer.headers["x-pi-model-proxy-dropped"] == "messages[0].content[1]"
    assert heard(provider).pictures == ()


@every_kind
def test_a_pdf_arrives_byte_for_byte(chat: openai.OpenAI, provider: StrictProvider, kind: Kind) -> None:
    file = {"filename": "report.pdf", "file_data": f"data:application/pdf;base64,{as_base64(PDF)}"}
    content = [{"type": "text", "text": "script:hello"}, {"type": "file", "file": file}]
    assert ask(chat, f"stub-{kind}/vision", content).finish == "stop"
    assert as_base64(PDF) in provider.diary.last().raw.decode()


@every_kind
def test_system_and_developer_messages_both_instruct(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": "Hi."},
    ]
    assert ask(chat, f"stub-{kind}/text", messages).text == "You said: Hi."
    assert heard(provider).system.replace("\n", "") == "Be brief.Be kind."


@every_kind
def test_an_instruction_in_mid_conversation_stays_where_it_was(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    messages = [
        {"role": "user", "content": "One."},
        {"role": "assistant", "content": "Two."},
        {"role": "system", "content": "From now on, in French."},
        {"role": "user", "content": "Three."},
    ]
    ask(chat, f"stub-{kind}/text", messages)
    sent = provider.diary.last().raw.decode()
    places = [sent.index(text) for text in ("One.", "Two.", "From now on, in French.", "Three.")]
    assert places == sorted(places)


@every_kind
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_the_limit_arrives_under_the_upstreams_name_for_it(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind, field: str
) -> None:
    limit: dict[str, Any] = {field: 77}
    ask(chat, f"stub-{kind}/text", "Hi.", **limit)
    body = provider.diary.last().body
    assert [body[name] for name in LIMITS[kind] if name in body] == [77]


@every_kind
def test_temperature_and_top_p_arrive(chat: openai.OpenAI, provider: StrictProvider, kind: Kind) -> None:
    ask(chat, f"stub-{kind}/text", "Hi.", temperature=0.5, top_p=1)
    assert provider.diary.last().body["temperature"] == 0.5


@pytest.mark.parametrize(
    ("kind", "lost"),
    [
        ("chat", set()),
        ("responses", {"seed", "logit_bias", "presence_penalty", "frequency_penalty"}),
        ("messages", {"seed", "logit_bias", "presence_penalty", "frequency_penalty"}),
    ],
)
def test_what_an_upstream_has_no_word_for_is_listed(chat: openai.OpenAI, kind: Kind, lost: set[str]) -> None:
    fields: Any = {"seed": 7, "logit_bias": {"5": 1}, "presence_penalty": 0.5, "frequency_penalty": 0.5}
    assert losses(chat, f"stub-{kind}/text", **fields) == lost


@translated
def test_in_strict_mode_what_would_be_lost_is_refused_by_its_path(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    with pytest.raises(openai.BadRequestError) as refusal:
        losses(chat, f"stub-{kind}/text", seed=7, extra_headers={"x-pi-model-proxy-strict": "1"})
    assert refusal.value.param == "seed"
    assert provider.diary.arrivals() == []


@translated
def test_several_answers_are_refused_where_only_one_can_be_had(chat: openai.OpenAI, kind: Kind) -> None:
    with pytest.raises(openai.BadRequestError, match=r"\bn\b"):
        losses(chat, f"stub-{kind}/text", n=2)


def test_several_answers_come_from_a_chat_upstream(chat: openai.OpenAI) -> None:
    answer = chat.chat.completions.create(
        model="stub-chat/text", messages=[{"role": "user", "content": "Hi."}], n=2
    )
    assert [choice.index for choice in answer.choices] == [0, 1]


@every_kind
def test_fields_that_would_steer_our_transport_never_leave(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    steering = {"api_base": "http://evil.example", "api_key": "sk-theirs", "extra_headers": {"x": "y"}}
    assert losses(chat, f"stub-{kind}/text", extra_body=steering) == set(steering)
    assert not steering.keys() & provider.diary.last().body.keys()


@every_kind
@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        ("auto", ""),
        ("none", ""),
        ("required", "*"),
        ({"type": "function", "function": {"name": "get_weather"}}, "get_weather"),
    ],
    ids=["auto", "none", "required", "one by name"],
)
def test_the_choice_among_tools_arrives(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind, choice: Any, forced: str
) -> None:
    answer = ask(chat, f"stub-{kind}/text", "Hi.", tools=CHAT_TOOLS, tool_choice=choice)
    assert heard(provider).forced == forced
    assert bool(answer.calls) == bool(forced)


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        ("chat", "parallel_tool_calls", False),
        ("responses", "parallel_tool_calls", False),
        ("messages", "tool_choice", {"type": "auto", "disable_parallel_tool_use": True}),
    ],
)
def test_one_call_at_a_time_can_be_asked_for(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind, field: str, value: Any
) -> None:
    ask(chat, f"stub-{kind}/text", "Hi.", tools=CHAT_TOOLS, parallel_tool_calls=False)
    assert provider.diary.last().body[field] == value


@every_kind
def test_a_tools_schema_arrives_as_it_was(chat: openai.OpenAI, provider: StrictProvider, kind: Kind) -> None:
    schema = {
        "type": "object",
        "properties": {"a": {"anyOf": [{"type": "string"}, {"type": "null"}]}, "b": {"$ref": "#/$defs/b"}},
        "$defs": {"b": {"type": "integer", "minimum": 1}},
        "required": ["a"],
    }
    tool = {"type": "function", "function": {"name": "look_up", "parameters": schema}}
    ask(chat, f"stub-{kind}/text", "Hi.", tools=[tool])
    (found,) = heard(provider).tools
    assert (found.name, found.schema) == ("look_up", schema)


@translated
def test_a_tools_name_that_the_upstream_cannot_say_comes_back_as_it_was(
    chat: openai.OpenAI, kind: Kind
) -> None:
    name = "mcp.server/" + "tool.with.dots." * 4
    tool = {
        "type": "function",
        "function": {"name": name, "parameters": {"type": "object", "properties": {}}},
    }
    choice = {"type": "function", "function": {"name": name}}
    answer = ask(chat, f"stub-{kind}/text", "Hi.", tools=[tool], tool_choice=choice)
    assert answer.calls[0]["name"] == name


@every_kind
def test_functions_of_the_old_sort_still_work(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    function = CHAT_TOOLS[0]["function"]
    answer = chat.chat.completions.create(
        model=f"stub-{kind}/text", messages=[{"role": "user", "content": "Hi."}], functions=[function]
    )
    assert answer.choices[0].message.content == "You said: Hi."
    sent = provider.diary.last().raw.decode()
    assert "get_weather" in sent


@every_kind
def test_broken_arguments_in_the_history_are_sent_without_being_lost(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Par'},
    }
    messages = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "not JSON"},
    ]
    assert ask(chat, f"stub-{kind}/text", messages, tools=CHAT_TOOLS).text == "The tools said: not JSON"
    assert '"city' in provider.diary.last().raw.decode().replace("\\", "")


@translated
def test_a_call_without_its_result_is_answered_for_the_caller(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
        for number in range(2)
    ]
    messages = [
        {"role": "user", "content": "Hi."},
        {"role": "assistant", "content": "", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_0", "content": "sunny"},
        {"role": "user", "content": "Never mind."},
    ]
    ask(chat, f"stub-{kind}/text", messages, tools=CHAT_TOOLS)
    assert [result.text for result in heard(provider).results] == [
        "sunny",
        ("" if kind == "messages" else "[tool error] ") + "No result provided",
    ]


@pytest.mark.parametrize("form", [{"type": "json_schema"}, {"type": "text"}], ids=["schema", "text"])
@every_kind
def test_the_format_of_the_answer_arrives(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind, form: dict[str, Any]
) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    wanted = form["type"] == "json_schema"
    sent = {**form, "json_schema": {"name": "place", "schema": schema, "strict": True}} if wanted else form
    said = ask(chat, f"stub-{kind}/text", "Where?", response_format=sent).text
    # Messages has no place for the format's name but the schema itself.
    arrived = {**schema, "title": "place"} if kind == "messages" else schema
    assert heard(provider).schema == (arrived if wanted else None)
    assert said == (json.dumps({"city": "Paris"}) if wanted else "You said: Where?")


@pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high"])
@every_kind
def test_an_effort_makes_a_thinking_model_think(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind, effort: Any
) -> None:
    ask(chat, f"stub-{kind}/thinker", "Hi.", reasoning_effort=effort)
    assert heard(provider).thinking


@translated
def test_an_effort_for_a_model_that_cannot_think_does_no_harm(chat: openai.OpenAI, kind: Kind) -> None:
    assert losses(chat, f"stub-{kind}/text", reasoning_effort="high") == {"reasoning_effort"}


@every_kind
def test_the_suffix_of_a_models_name_makes_it_think(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind
) -> None:
    ask(chat, f"stub-{kind}/thinker:high", "Hi.")
    assert heard(provider).thinking
    assert provider.diary.last().body["model"] == "thinker"


def test_a_user_of_a_prompt_cache_without_words_for_it_gets_pis_marks(
    chat: openai.OpenAI, provider: StrictProvider
) -> None:
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    ask(chat, "stub-messages/text", messages, tools=CHAT_TOOLS)
    body = provider.diary.last().body
    marked = [body["tools"][-1], body["system"][-1], body["messages"][-1]["content"][-1]]
    assert all(found.get("cache_control", {}).get("type") == "ephemeral" for found in marked)
