"""openai-python before every kind of upstream: what comes back."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import openai
import pydantic
import pytest

from integration.clients.openai_answers import WAYS, Heard, Way, ask
from integration.materials import CHAT_TOOLS, CITIES, KINDS, Kind, weather_in
from support.gateway_process import GatewayProcess
from support.strict_provider import LONG_TEXT, UNICODE_TEXT, Answer, Call, StrictProvider, Text, say

pytestmark = pytest.mark.clients

every_way = pytest.mark.parametrize("way", WAYS)
every_kind = pytest.mark.parametrize("kind", KINDS)


class Weather(pydantic.BaseModel):
    city: str
    degrees: float
    sunny: bool


@every_way
@every_kind
def test_an_answer_arrives_whole_with_its_counts(chat: openai.OpenAI, kind: Kind, way: Way) -> None:
    heard = ask(chat, f"stub-{kind}/text", "script:hello", way)
    assert (heard.text, heard.finish) == ("Hello! How can I help you today?", "stop")
    assert heard.model == f"stub-{kind}/text"
    assert heard.id.startswith("chatcmpl-")
    prompt, cached, completion, reasoning = heard.counts
    assert (prompt > 0, cached, completion, reasoning) == (True, 0, 9, 0)


@every_kind
def test_the_async_client_gets_the_same_answer_plain_and_streamed(
    gateway: GatewayProcess, kind: Kind
) -> None:
    async def both() -> tuple[str | None, str]:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="any", max_retries=0) as client:
            said: Any = {
                "model": f"stub-{kind}/text",
                "messages": [{"role": "user", "content": "script:hello"}],
            }
            plain = await client.chat.completions.create(**said)
            pieces = []
            async for chunk in await client.chat.completions.create(**said, stream=True):
                pieces += [choice.delta.content or "" for choice in chunk.choices]
            return plain.choices[0].message.content, "".join(pieces)

    assert asyncio.run(both()) == ("Hello! How can I help you today?",) * 2


@every_kind
def test_twenty_async_streams_at_once_keep_apart(gateway: GatewayProcess, kind: Kind) -> None:
    async def one(client: openai.AsyncOpenAI, number: int) -> bool:
        async with client.chat.completions.stream(
            model=f"stub-{kind}/text", messages=[{"role": "user", "content": f"number {number}."}]
        ) as stream:
            final = await stream.get_final_completion()
        return final.choices[0].message.content == f"You said: number {number}."

    async def all_of_them() -> list[bool]:
        async with openai.AsyncOpenAI(base_url=gateway.base_url, api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(one(client, number) for number in range(20)))

    assert all(asyncio.run(all_of_them()))


@every_way
@every_kind
@pytest.mark.parametrize("script", ["unicode", "unicode-escaped", "byte-by-byte"])
def test_every_character_survives(chat: openai.OpenAI, kind: Kind, way: Way, script: str) -> None:
    assert ask(chat, f"stub-{kind}/text", f"script:{script}", way).text == UNICODE_TEXT


@every_way
@every_kind
def test_a_long_answer_is_not_cut(chat: openai.OpenAI, kind: Kind, way: Way) -> None:
    assert ask(chat, f"stub-{kind}/text", "script:long-text", way).text == LONG_TEXT


@every_way
@every_kind
def test_parallel_calls_come_in_order_with_ids_of_their_own(
    chat: openai.OpenAI, kind: Kind, way: Way
) -> None:
    heard = ask(chat, f"stub-{kind}/text", "script:parallel-tools", way, tools=CHAT_TOOLS)
    assert heard.arguments() == [("get_weather", {"city": city}) for city in CITIES]
    assert heard.finish == "tool_calls"
    ids = [call["id"] for call in heard.calls]
    assert len(set(ids)) == 2
    assert all(len(found) <= 40 for found in ids)


@pytest.mark.parametrize("way", ["plain", "helper"])
def test_fragments_of_parallel_calls_that_alternate_find_their_call(chat: openai.OpenAI, way: Way) -> None:
    """Only chat upstreams mix them; a pass-through keeps their order, which the indices make right."""
    heard = ask(chat, "stub-chat/text", "script:interleaved-tools", way, tools=CHAT_TOOLS)
    assert heard.arguments() == [("get_weather", {"city": city}) for city in CITIES]


@every_way
@every_kind
def test_a_call_without_arguments_is_a_call_with_none(chat: openai.OpenAI, kind: Kind, way: Way) -> None:
    heard = ask(chat, f"stub-{kind}/text", "script:empty-call", way, tools=CHAT_TOOLS)
    assert [json.loads(call["arguments"] or "{}") for call in heard.calls] == [{}]
    assert heard.finish == "tool_calls"


@every_way
@every_kind
def test_words_before_a_call_are_kept(chat: openai.OpenAI, kind: Kind, way: Way) -> None:
    heard = ask(chat, f"stub-{kind}/text", "script:text-then-tool", way, tools=CHAT_TOOLS)
    assert (heard.text, heard.arguments()) == ("I will look.", [("get_weather", {"city": "Oslo"})])


@every_way
@every_kind
def test_a_tool_loop_ends_in_an_answer_from_its_results(chat: openai.OpenAI, kind: Kind, way: Way) -> None:
    messages: list[Any] = [{"role": "user", "content": "script:parallel-tools"}]
    first = ask(chat, f"stub-{kind}/text", messages, way, tools=CHAT_TOOLS)
    messages.append(first.turn(echo=False))
    for call, (_, arguments) in zip(first.calls, first.arguments(), strict=True):
        result = weather_in(arguments["city"])
        messages.append({"role": "tool", "tool_call_id": call["id"], "content": result})
    last = ask(chat, f"stub-{kind}/text", messages, way, tools=CHAT_TOOLS)
    assert last.text == "The tools said: sunny in Paris; sunny in München"
    assert last.finish == "stop"


@every_kind
def test_the_sdks_own_parser_of_a_streamed_call_agrees(chat: openai.OpenAI, kind: Kind) -> None:
    with chat.chat.completions.stream(
        model=f"stub-{kind}/text",
        messages=[{"role": "user", "content": "script:parallel-tools"}],
        tools=CHAT_TOOLS,
    ) as stream:
        events = [event for event in stream if event.type == "tool_calls.function.arguments.done"]
    assert [json.loads(event.arguments)["city"] for event in events] == list(CITIES)


@every_kind
def test_a_structured_answer_is_parsed_into_its_type(chat: openai.OpenAI, kind: Kind) -> None:
    answer = chat.chat.completions.parse(
        model=f"stub-{kind}/text",
        messages=[{"role": "user", "content": "The weather, please."}],
        response_format=Weather,
    )
    assert answer.choices[0].message.parsed == Weather(city="Paris", degrees=1.5, sunny=True)


@every_kind
def test_a_structured_answer_is_parsed_while_it_streams(chat: openai.OpenAI, kind: Kind) -> None:
    with chat.chat.completions.stream(
        model=f"stub-{kind}/text",
        messages=[{"role": "user", "content": "The weather, please."}],
        response_format=Weather,
    ) as stream:
        assert stream.get_final_completion().choices[0].message.parsed == Weather(
            city="Paris", degrees=1.5, sunny=True
        )


@every_way
@every_kind
def test_json_mode_gives_json(chat: openai.OpenAI, provider: StrictProvider, kind: Kind, way: Way) -> None:
    provider.queue(say('{"answer": "Paris"}'))
    fields = {"response_format": {"type": "json_object"}}
    heard = ask(chat, f"stub-{kind}/text", "Answer in JSON.", way, **fields)
    assert json.loads(heard.text) == {"answer": "Paris"}


@every_way
@every_kind
def test_cached_tokens_are_counted_inside_the_prompt(chat: openai.OpenAI, kind: Kind, way: Way) -> None:
    heard = ask(chat, f"stub-{kind}/text", "script:cached", way)
    assert heard.counts == (141_359, 120_269, 4_156, 0)


@every_way
@every_kind
def test_reasoning_tokens_are_counted_inside_the_completion(
    chat: openai.OpenAI, kind: Kind, way: Way
) -> None:
    heard = ask(chat, f"stub-{kind}/thinker", "script:reasoning-tokens", way, reasoning_effort="low")
    assert heard.counts == (100, 0, 300, 256)


@every_way
@every_kind
def test_a_refusal_is_told_as_one(chat: openai.OpenAI, kind: Kind, way: Way) -> None:
    if way == "helper" and kind == "messages":
        with pytest.raises(openai.ContentFilterFinishReasonError):
            ask(chat, f"stub-{kind}/text", "script:refusal", way)
        return
    heard = ask(chat, f"stub-{kind}/text", "script:refusal", way)
    assert (heard.refusal, heard.text) == ("I cannot help with that.", "")
    assert heard.finish == ("content_filter" if kind == "messages" else "stop")


@pytest.mark.parametrize("way", ["plain", "streamed"])
@every_kind
@pytest.mark.parametrize(
    ("script", "finish"),
    [("length", "length"), ("context-full", "length"), ("content-filter", "content_filter")],
)
def test_an_answer_cut_short_says_why(
    chat: openai.OpenAI, kind: Kind, way: Way, script: str, finish: str
) -> None:
    heard = ask(chat, f"stub-{kind}/text", f"script:{script}", way)
    assert heard.finish == finish
    assert heard.text


@every_kind
def test_the_helper_raises_when_the_length_ran_out(chat: openai.OpenAI, kind: Kind) -> None:
    with pytest.raises(openai.LengthFinishReasonError):
        ask(chat, f"stub-{kind}/text", "script:length", "helper")


@every_way
@every_kind
def test_a_stop_string_ends_the_answer_before_it(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind, way: Way
) -> None:
    """Responses upstreams know no stop strings: there the gateway cuts."""
    said = (
        say("Before END after")
        if kind == "responses"
        else Answer(parts=(Text("Before "),), stop="stop_sequence")
    )
    provider.queue(said)
    heard = ask(chat, f"stub-{kind}/text", "Speak.", way, stop=["END"])
    assert (heard.text, heard.finish) == ("Before ", "stop")
    assert heard.counts[2] > 0


@every_kind
def test_without_being_asked_no_usage_chunk_is_sent(chat: openai.OpenAI, kind: Kind) -> None:
    messages: Any = [{"role": "user", "content": "script:hello"}]
    with chat.chat.completions.create(model=f"stub-{kind}/text", messages=messages, stream=True) as chunks:
        assert all(chunk.choices and chunk.usage is None for chunk in chunks)


@pytest.mark.parametrize("way", ["plain", "helper"])
@pytest.mark.parametrize("script", ["usage-on-finish", "usage-in-choice", "usage-always"])
def test_usage_is_found_wherever_a_chat_server_puts_it(chat: openai.OpenAI, way: Way, script: str) -> None:
    heard = ask(chat, "stub-chat/text", f"script:{script}", way)
    assert heard.usage is not None
    assert heard.usage.completion_tokens > 0


def _thought(heard: Heard) -> str:
    return re.sub(r"\s+", " ", heard.reasoning)


@every_way
@pytest.mark.parametrize(
    "model",
    ["stub-messages/thinker", "stub-messages/adaptive", "stub-responses/thinker", "stub-chat/deepseek"],
)
def test_thinking_is_shown_when_it_was_asked_for(chat: openai.OpenAI, model: str, way: Way) -> None:
    heard = ask(chat, model, "Two plus two?", way, reasoning_effort="high")
    assert _thought(heard).startswith("Let me think")
    assert heard.text == "You said: Two plus two?"


@every_way
@pytest.mark.parametrize("echo", [True, False], ids=["echoing all fields", "keeping known fields only"])
@pytest.mark.parametrize(
    "model",
    [
        "stub-messages/thinker",
        "stub-messages/adaptive",
        "stub-responses/thinker",
        "stub-chat/deepseek",
        "stub-chat/openrouter",
    ],
)
def test_a_thinking_tool_loop_is_never_refused(
    chat: openai.OpenAI, provider: StrictProvider, model: str, way: Way, *, echo: bool
) -> None:
    """A client that echoes gets its thoughts replayed with their seals; one that does not goes on without."""
    fields: dict[str, Any] = {"tools": CHAT_TOOLS, "reasoning_effort": "high"}
    messages: list[Any] = [{"role": "user", "content": "script:thinking-then-tools"}]
    first = ask(chat, model, messages, way, **fields)
    messages.append(first.turn(echo=echo))
    messages += [{"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in first.calls]
    second = ask(chat, model, messages, way, **fields)
    assert second.text == "Done."
    messages += [second.turn(echo=echo), {"role": "user", "content": "script:hello again"}]
    third = ask(chat, model, messages, way, **fields)
    assert third.text == "Hello! How can I help you today?"
    replayed = json.dumps(provider.diary.last().body)
    marks = ("signature", "encrypted_content", "reasoning_content", "reasoning_details")
    assert any(f'"{mark}": "' in replayed or f'"{mark}": [' in replayed for mark in marks) >= echo


@every_way
def test_a_thinking_conversation_can_move_to_another_model(
    chat: openai.OpenAI, provider: StrictProvider, way: Way
) -> None:
    """Seals of one model are never shown to another."""
    models = [
        "stub-messages/thinker",
        "stub-responses/thinker",
        "stub-chat/deepseek",
        "stub-messages/adaptive",
    ]
    messages: list[Any] = []
    for model in models:
        messages.append({"role": "user", "content": "script:thinking-then-text"})
        heard = ask(chat, model, messages, way, reasoning_effort="high")
        assert heard.text == "Four."
        messages.append(heard.turn(echo=True))
    assert len(provider.diary.arrivals()) == len(models)


@every_way
@every_kind
def test_a_call_that_the_model_named_itself_keeps_its_id(
    chat: openai.OpenAI, provider: StrictProvider, kind: Kind, way: Way
) -> None:
    provider.queue(Answer(parts=(Call("get_weather", '{"city":"Rome"}', id="call_its_own"),)))
    assert ask(chat, f"stub-{kind}/text", "Go.", way, tools=CHAT_TOOLS).calls[0]["id"] == "call_its_own"
