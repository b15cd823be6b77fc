"""anthropic-python before every kind of upstream: what reaches the upstream of what was asked."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import pytest

from integration.clients.anthropic_answers import ask, text_of
from integration.materials import (
    KINDS,
    MESSAGES_TOOLS,
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
translated = pytest.mark.parametrize("kind", ["chat", "responses"])
"""Between Messages and Messages the request passes untouched, and the upstream judges it."""

PICTURE: dict[str, Any] = {
    "type": "image",
    "source": {"type": "base64", "media_type": "image/png", "data": as_base64(PNG)},
}
DOCUMENT: dict[str, Any] = {
    "type": "document",
    "source": {"type": "base64", "media_type": "application/pdf", "data": as_base64(PDF)},
    "title": "report.pdf",
}
CALL: dict[str, Any] = {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Rome"}}


def result(content: Any, **more: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content, **more}


def after_a_call(*blocks: Any) -> list[Any]:
    return [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": [CALL]},
        {"role": "user", "content": list(blocks)},
    ]


def losses(client: anthropic.Anthropic, model: str, **fields: Any) -> set[str]:
    """Ask, and return the paths that the gateway says it left out."""
    asked: dict[str, Any] = {"max_tokens": 100, "messages": [{"role": "user", "content": "Hi."}], **fields}
    answer = client.messages.with_raw_response.create(model=model, **asked)
    return set(filter(None, answer.headers.get("x-pi-model-proxy-dropped", "").split(", ")))


@every_kind
def test_a_picture_in_the_request_arrives_unharmed(claude: anthropic.Anthropic, kind: Kind) -> None:
    content = [PICTURE, {"type": "text", "text": "script:pictures"}]
    assert text_of(ask(claude, f"stub-{kind}/vision", content)) == f"I see 1: {PNG_SEEN}"


@every_kind
def test_a_picture_by_its_address_arrives_as_the_address(claude: anthropic.Anthropic, kind: Kind) -> None:
    content = [
        {"type": "image", "source": {"type": "url", "url": PICTURE_URL}},
        {"type": "text", "text": "script:pictures"},
    ]
    assert PICTURE_URL in text_of(ask(claude, f"stub-{kind}/vision", content))


@every_kind
def test_a_picture_that_a_tool_returned_arrives(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    messages = after_a_call(result([{"type": "text", "text": "a picture"}, PICTURE]))
    ask(claude, f"stub-{kind}/vision", messages, tools=MESSAGES_TOOLS)
    (seen,) = heard(provider).pictures
    assert f"{seen.media_type} {seen.source} ({seen.size} bytes)" == PNG_SEEN


@every_kind
def test_a_pdf_arrives_byte_for_byte(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    content = [DOCUMENT, {"type": "text", "text": "script:hello"}]
    assert ask(claude, f"stub-{kind}/vision", content).stop_reason == "end_turn"
    assert as_base64(PDF) in provider.diary.last().raw.decode()


@every_kind
@pytest.mark.parametrize(
    "source",
    [
        {"type": "text", "media_type": "text/plain", "data": "The cat sat."},
        {"type": "content", "content": [{"type": "text", "text": "The cat sat."}]},
    ],
    ids=["plain text", "blocks"],
)
def test_a_document_of_text_arrives_as_its_text(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind, source: dict[str, Any]
) -> None:
    content = [{"type": "document", "source": source}, {"type": "text", "text": "script:hello"}]
    ask(claude, f"stub-{kind}/text", content)
    assert "The cat sat." in provider.diary.last().raw.decode()


@translated
def test_a_picture_for_a_model_that_sees_none_is_named_in_the_answers_headers(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    messages = [{"role": "user", "content": [PICTURE, {"type": "text", "text": "Look!"}]}]
    assert losses(claude, f"stub-{kind}/text", messages=messages) == {"messages[0].content[0]"}
    assert heard(provider).pictures == ()


@every_kind
@pytest.mark.parametrize(
    "system",
    [
        "Be brief. Be kind.",
        [
            {"type": "text", "text": "Be brief. ", "cache_control": {"type": "ephemeral"}},
            {"type": "text", "text": "Be kind."},
        ],
    ],
    ids=["a string", "blocks with a cache mark"],
)
def test_the_system_prompt_instructs(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind, system: Any
) -> None:
    assert text_of(ask(claude, f"stub-{kind}/text", "Hi.", system=system)) == "You said: Hi."
    assert heard(provider).system.replace("\n", "") == "Be brief. Be kind."


@pytest.mark.parametrize(
    "model", ["stub-chat/text", "stub-responses/text", "stub-messages/text", "stub-messages/adaptive"]
)
def test_a_system_message_in_mid_conversation_stays_where_it_was(
    claude: anthropic.Anthropic, provider: StrictProvider, model: str
) -> None:
    """Claude Code's first request has one; models without such messages get it as the user's words."""
    messages = [
        {"role": "user", "content": "One."},
        {"role": "assistant", "content": "Two."},
        {"role": "user", "content": "Three."},
        {"role": "system", "content": "From now on, in French."},
    ]
    ask(claude, model, messages)
    sent = provider.diary.last().raw.decode()
    places = [sent.index(text) for text in ("One.", "Two.", "Three.", "From now on, in French.")]
    assert places == sorted(places)


@every_kind
def test_results_come_before_what_the_user_says_beside_them(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    messages = after_a_call(result("sunny"), {"type": "text", "text": "script:hello, go on."})
    assert text_of(ask(claude, f"stub-{kind}/text", messages, tools=MESSAGES_TOOLS)).startswith("Hello!")
    sent = provider.diary.last().raw.decode()
    assert sent.index("sunny") < sent.index("go on.")


@every_kind
def test_a_tools_failure_is_told_as_one(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    messages = after_a_call(result("no such city", is_error=True))
    ask(claude, f"stub-{kind}/text", messages, tools=MESSAGES_TOOLS)
    (told,) = heard(provider).results
    assert told.text.endswith("no such city")
    assert told.is_error or told.text.startswith("[tool error]")


@every_kind
@pytest.mark.parametrize(
    ("choice", "forced"),
    [
        ({"type": "auto"}, ""),
        ({"type": "none"}, ""),
        ({"type": "any"}, "*"),
        ({"type": "tool", "name": "get_weather"}, "get_weather"),
    ],
    ids=["auto", "none", "any", "one by name"],
)
def test_the_choice_among_tools_arrives(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind, choice: Any, forced: str
) -> None:
    answer = ask(claude, f"stub-{kind}/text", "Hi.", tools=MESSAGES_TOOLS, tool_choice=choice)
    assert heard(provider).forced == forced
    assert (answer.stop_reason == "tool_use") == bool(forced)


@translated
def test_one_call_at_a_time_can_be_asked_for(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    ask(claude, f"stub-{kind}/text", "Hi.", tools=MESSAGES_TOOLS, tool_choice=choice)
    assert provider.diary.last().body["parallel_tool_calls"] is False


@every_kind
def test_a_schema_for_the_answer_arrives(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    config = {"format": {"type": "json_schema", "schema": schema}}
    answer = ask(claude, f"stub-{kind}/text", "Where?", output_config=config)
    assert json.loads(text_of(answer)) == {"city": "Paris"}
    assert heard(provider).schema == schema


@every_kind
def test_sampling_of_the_old_sort_arrives(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    """The SDK has no argument for it any more; clients send it all the same."""
    ask(claude, f"stub-{kind}/text", "Hi.", extra_body={"temperature": 0.5})
    assert provider.diary.last().body["temperature"] == 0.5


@pytest.mark.parametrize(
    ("kind", "lost"), [("chat", {"top_k"}), ("responses", {"top_k"}), ("messages", set())]
)
def test_what_an_upstream_has_no_word_for_is_listed(
    claude: anthropic.Anthropic, kind: Kind, lost: set[str]
) -> None:
    assert losses(claude, f"stub-{kind}/text", extra_body={"top_k": 5}) == lost


def test_in_strict_mode_what_would_be_lost_is_refused(
    claude: anthropic.Anthropic, provider: StrictProvider
) -> None:
    strict = {"x-pi-model-proxy-strict": "1"}
    with pytest.raises(anthropic.BadRequestError, match="top_k"):
        losses(claude, "stub-responses/text", extra_body={"top_k": 5}, extra_headers=strict)
    assert provider.diary.arrivals() == []


@every_kind
def test_fields_that_would_steer_our_transport_never_leave(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    steering = {"api_base": "http://evil.example", "api_key": "sk-theirs", "extra_headers": {"x": "y"}}
    assert losses(claude, f"stub-{kind}/text", extra_body=steering) == set(steering)
    assert not steering.keys() & provider.diary.last().body.keys()


@translated
def test_a_search_tool_of_anthropics_is_left_out_and_listed(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind
) -> None:
    tools = [*MESSAGES_TOOLS, {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}]
    assert losses(claude, f"stub-{kind}/text", tools=tools) == {"tools[1]"}
    assert [tool.name for tool in heard(provider).tools] == ["get_weather"]


@every_kind
def test_a_lone_surrogate_does_not_break_the_request(claude: anthropic.Anthropic, kind: Kind) -> None:
    body = b'{"model":"stub-%s/text","max_tokens":99,"messages":[{"role":"user","content":"a\\ud83db"}]}'
    answer = claude.post("/v1/messages", cast_to=anthropic.types.Message, content=body % kind.encode())
    assert text_of(answer) == "You said: a\ufffdb"


def test_marks_of_a_client_that_speaks_for_itself_are_not_touched(
    claude: anthropic.Anthropic, provider: StrictProvider
) -> None:
    mark = {"type": "ephemeral", "ttl": "1h"}
    system = [{"type": "text", "text": "Be brief.", "cache_control": mark}]
    ask(claude, "stub-messages/text", "Hi.", system=system, tools=MESSAGES_TOOLS)
    sent = provider.diary.last().raw.decode()
    assert sent.count("cache_control") == 1
    assert provider.diary.last().body["system"] == system


def test_what_needs_no_change_is_passed_on_byte_for_byte(
    claude: anthropic.Anthropic, provider: StrictProvider
) -> None:
    body = (
        b'{ "max_tokens" : 99,"messages":[{"role":"user","content":"a\\u003cb \\u2028 1.50"}],"model": "%s" }'
    )
    claude.post("/v1/messages", cast_to=object, content=body % b"stub-messages/text")
    # The way JSON was written inside the members is the caller's; only the model's name is ours.
    raw = provider.diary.last().raw
    assert b'[{"role":"user","content":"a\\u003cb \\u2028 1.50"}]' in raw
    assert json.loads(raw) == {**json.loads(body), "model": "text"}
