"""anthropic-python before every kind of upstream: what comes back."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import anthropic
import pydantic
import pytest

from integration.clients.anthropic_answers import WAYS, Way, as_turn, ask, check_events, text_of
from integration.materials import CITIES, KINDS, MESSAGES_TOOLS, Kind, weather_in
from support.gateway_process import GatewayProcess
from support.strict_provider import LONG_TEXT, UNICODE_TEXT, Answer, StrictProvider, Text, say

pytestmark = pytest.mark.clients

every_way = pytest.mark.parametrize("way", WAYS)
every_kind = pytest.mark.parametrize("kind", KINDS)


class Weather(pydantic.BaseModel):
    city: str
    degrees: float
    sunny: bool


@every_way
@every_kind
def test_an_answer_arrives_whole_with_its_counts(claude: anthropic.Anthropic, kind: Kind, way: Way) -> None:
    message = ask(claude, f"stub-{kind}/text", "script:hello", way)
    assert text_of(message) == "Hello! How can I help you today?"
    assert (message.type, message.role, message.stop_reason) == ("message", "assistant", "end_turn")
    assert message.stop_sequence is None
    assert message.model == f"stub-{kind}/text"
    assert message.id.startswith("msg_")
    usage = message.usage
    assert usage.input_tokens > 0
    assert usage.output_tokens == 9
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (0, 0)


@every_kind
def test_the_events_of_a_stream_keep_their_grammar(claude: anthropic.Anthropic, kind: Kind) -> None:
    fields: Any = {
        "model": f"stub-{kind}/text",
        "max_tokens": 100,
        "messages": [{"role": "user", "content": "script:text-then-tool"}],
        "tools": MESSAGES_TOOLS,
    }
    with claude.messages.create(**fields, stream=True) as events:
        assert check_events(events) == ["text", "tool_use"]


@every_kind
def test_the_async_client_gets_the_same_answer_plain_and_streamed(
    gateway: GatewayProcess, kind: Kind
) -> None:
    async def both() -> tuple[str, str, str]:
        async with anthropic.AsyncAnthropic(base_url=gateway.origin, api_key="any", max_retries=0) as client:
            said: Any = {
                "model": f"stub-{kind}/text",
                "max_tokens": 100,
                "messages": [{"role": "user", "content": "script:hello"}],
            }
            plain = await client.messages.create(**said)
            async with client.messages.stream(**said) as stream:
                pieces = [piece async for piece in stream.text_stream]
                final = await stream.get_final_message()
            return text_of(plain), "".join(pieces), text_of(final)

    assert asyncio.run(both()) == ("Hello! How can I help you today?",) * 3


@every_kind
def test_twenty_async_streams_at_once_keep_apart(gateway: GatewayProcess, kind: Kind) -> None:
    async def one(client: anthropic.AsyncAnthropic, number: int) -> bool:
        async with client.messages.stream(
            model=f"stub-{kind}/text",
            max_tokens=100,
            messages=[{"role": "user", "content": f"number {number}."}],
        ) as stream:
            return await stream.get_final_text() == f"You said: number {number}."

    async def all_of_them() -> list[bool]:
        async with anthropic.AsyncAnthropic(base_url=gateway.origin, api_key="any", max_retries=0) as client:
            return await asyncio.gather(*(one(client, number) for number in range(20)))

    assert all(asyncio.run(all_of_them()))


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/"])
def test_any_base_url_that_people_write_works(gateway: GatewayProcess, path: str) -> None:
    with anthropic.Anthropic(base_url=gateway.origin + path, api_key="any", max_retries=0) as client:
        assert text_of(ask(client, "stub-messages/text", "script:hello")).startswith("Hello!")
        assert ask(client, "stub-chat/text", "script:hello", "streamed").stop_reason == "end_turn"


@every_way
@every_kind
@pytest.mark.parametrize("script", ["unicode", "unicode-escaped", "byte-by-byte"])
def test_every_character_survives(claude: anthropic.Anthropic, kind: Kind, way: Way, script: str) -> None:
    assert text_of(ask(claude, f"stub-{kind}/text", f"script:{script}", way)) == UNICODE_TEXT


@every_way
@every_kind
def test_a_long_answer_is_not_cut(claude: anthropic.Anthropic, kind: Kind, way: Way) -> None:
    assert text_of(ask(claude, f"stub-{kind}/text", "script:long-text", way)) == LONG_TEXT


@every_way
@every_kind
def test_parallel_calls_are_blocks_in_order(claude: anthropic.Anthropic, kind: Kind, way: Way) -> None:
    message = ask(claude, f"stub-{kind}/text", "script:parallel-tools", way, tools=MESSAGES_TOOLS)
    calls = [block for block in message.content if block.type == "tool_use"]
    assert [(call.name, call.input) for call in calls] == [("get_weather", {"city": city}) for city in CITIES]
    assert len({call.id for call in calls}) == 2
    assert message.stop_reason == "tool_use"


@every_way
def test_fragments_of_parallel_calls_that_alternate_become_blocks_one_after_the_other(
    claude: anthropic.Anthropic, way: Way
) -> None:
    message = ask(claude, "stub-chat/text", "script:interleaved-tools", way, tools=MESSAGES_TOOLS)
    calls = [block.input for block in message.content if block.type == "tool_use"]
    assert calls == [{"city": city} for city in CITIES]


@every_way
@every_kind
def test_a_call_without_arguments_is_a_call_with_none(
    claude: anthropic.Anthropic, kind: Kind, way: Way
) -> None:
    message = ask(claude, f"stub-{kind}/text", "script:empty-call", way, tools=MESSAGES_TOOLS)
    assert [block.input for block in message.content if block.type == "tool_use"] == [{}]


@every_way
@every_kind
@pytest.mark.parametrize(
    ("script", "blocks"),
    [("text-then-tool", ["text", "tool_use"]), ("tool-then-text", ["tool_use", "text"])],
)
def test_words_and_calls_keep_their_order(
    claude: anthropic.Anthropic, kind: Kind, way: Way, script: str, blocks: list[str]
) -> None:
    message = ask(claude, f"stub-{kind}/text", f"script:{script}", way, tools=MESSAGES_TOOLS)
    found = [block.type for block in message.content]
    # A plain chat answer has words and calls in two fields: their order is not to be known.
    assert found == blocks or (kind == "chat" and way == "plain" and sorted(found) == sorted(blocks))
    assert message.stop_reason == "tool_use"


@every_way
@every_kind
def test_a_tool_loop_ends_in_an_answer_from_its_results(
    claude: anthropic.Anthropic, kind: Kind, way: Way
) -> None:
    messages: list[Any] = [{"role": "user", "content": "script:parallel-tools"}]
    first = ask(claude, f"stub-{kind}/text", messages, way, tools=MESSAGES_TOOLS)
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": weather_in(str(block.input["city"]))}
        for block in first.content
        if block.type == "tool_use"
    ]
    messages += [as_turn(first), {"role": "user", "content": results}]
    last = ask(claude, f"stub-{kind}/text", messages, way, tools=MESSAGES_TOOLS)
    assert text_of(last) == "The tools said: sunny in Paris; sunny in München"


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@every_kind
def test_the_sdks_tool_runner_runs_the_loop_by_itself(
    claude: anthropic.Anthropic, kind: Kind, *, stream: bool
) -> None:
    ran = []

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """Tell the weather of a city.

        Args:
            city: its name.
        """
        ran.append(city)
        return weather_in(city)

    runner: Any = claude.beta.messages.tool_runner(
        model=f"stub-{kind}/text",
        max_tokens=1000,
        tools=[get_weather],
        messages=[{"role": "user", "content": "script:parallel-tools"}],
        stream=stream,
    )
    final = runner.until_done()
    assert ran == list(CITIES)
    assert final.content[0].text == "The tools said: sunny in Paris; sunny in München"


@every_kind
def test_a_structured_answer_is_parsed_into_its_type(claude: anthropic.Anthropic, kind: Kind) -> None:
    answer = claude.messages.parse(
        model=f"stub-{kind}/text",
        max_tokens=1000,
        messages=[{"role": "user", "content": "The weather, please."}],
        output_format=Weather,
    )
    assert answer.parsed_output == Weather(city="Paris", degrees=1.5, sunny=True)


@every_way
@every_kind
def test_cached_tokens_stand_beside_the_input(claude: anthropic.Anthropic, kind: Kind, way: Way) -> None:
    usage = ask(claude, f"stub-{kind}/text", "script:cached", way).usage
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (88, 120_269)
    assert (usage.cache_creation_input_tokens, usage.output_tokens) == (21_002, 4_156)


@every_kind
def test_the_first_event_has_every_count_that_agents_read(claude: anthropic.Anthropic, kind: Kind) -> None:
    messages: Any = [{"role": "user", "content": "script:hello"}]
    with claude.messages.create(
        model=f"stub-{kind}/text", max_tokens=100, messages=messages, stream=True
    ) as events:
        start, *_, delta, _stop = list(events)
    assert start.type == "message_start"
    usage = start.message.usage
    for count in (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens):
        assert isinstance(count, int)
    assert isinstance(usage.cache_creation_input_tokens, int)
    assert delta.type == "message_delta"
    assert delta.usage.output_tokens == 9
    assert (delta.usage.input_tokens or usage.input_tokens) > 0


@every_way
@every_kind
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("length", "max_tokens"),
        ("content-filter", "refusal"),
        ("refusal", "refusal"),
    ],
)
def test_an_answer_cut_short_says_why(
    claude: anthropic.Anthropic, kind: Kind, way: Way, script: str, reason: str
) -> None:
    message = ask(claude, f"stub-{kind}/text", f"script:{script}", way)
    assert message.stop_reason == reason


@every_way
@pytest.mark.parametrize(
    ("script", "reason"), [("pause", "pause_turn"), ("context-full", "model_context_window_exceeded")]
)
def test_anthropics_own_reasons_pass_from_its_upstreams(
    claude: anthropic.Anthropic, way: Way, script: str, reason: str
) -> None:
    assert ask(claude, "stub-messages/text", f"script:{script}", way).stop_reason == reason


@every_way
@every_kind
def test_a_stop_sequence_ends_the_answer_before_it(
    claude: anthropic.Anthropic, provider: StrictProvider, kind: Kind, way: Way
) -> None:
    """Chat upstreams do not tell which one it was; Responses upstreams know none, and the gateway cuts."""
    stopped = Answer(parts=(Text("Before "),), stop="stop_sequence", stop_sequence="END")
    provider.queue(say("Before END after") if kind == "responses" else stopped)
    message = ask(claude, f"stub-{kind}/text", "Speak.", way, stop_sequences=["END"])
    assert text_of(message) == "Before "
    expected = ("end_turn", None) if kind == "chat" else ("stop_sequence", "END")
    assert (message.stop_reason, message.stop_sequence) == expected


@every_kind
def test_tokens_are_counted_and_more_input_counts_more(claude: anthropic.Anthropic, kind: Kind) -> None:
    def count(**more: Any) -> int:
        fields: dict[str, Any] = {
            "messages": [{"role": "user", "content": "How many tokens is this?"}],
            **more,
        }
        return claude.messages.count_tokens(model=f"stub-{kind}/text", **fields).input_tokens

    bare = count()
    assert bare > 0
    assert count(system="You count tokens, and nothing but tokens.") > bare
    assert count(tools=MESSAGES_TOOLS) > bare
    long = "A much longer question. " * 200
    assert count(messages=[{"role": "user", "content": long}]) > len(long) / 6


def test_the_upstreams_own_count_is_passed_on(claude: anthropic.Anthropic, provider: StrictProvider) -> None:
    counted = claude.messages.count_tokens(
        model="stub-messages/text", messages=[{"role": "user", "content": "How many?"}]
    )
    assert provider.diary.last().path == "/v1/messages/count_tokens"
    assert counted.input_tokens > 0


def test_models_are_listed_page_by_page_and_found_by_name(claude: anthropic.Anthropic) -> None:
    listed = list(claude.models.list(limit=5))
    ids = [model.id for model in listed]
    assert len(ids) == len(set(ids)) > 10
    assert {"stub-chat/text", "stub-responses/text", "stub-messages/text"} <= set(ids)
    assert all(model.type == "model" for model in listed)
    found = claude.models.retrieve("stub-messages/thinker")
    assert (found.id, found.display_name) == ("stub-messages/thinker", "Stub thinker")
    with pytest.raises(anthropic.NotFoundError):
        claude.models.retrieve("stub-messages/nothing")


@every_kind
def test_a_raw_answer_is_compact_json_with_a_request_id(claude: anthropic.Anthropic, kind: Kind) -> None:
    messages: Any = [{"role": "user", "content": "script:unicode"}]
    raw = claude.messages.with_raw_response.create(
        model=f"stub-{kind}/text", max_tokens=100, messages=messages
    )
    assert raw.headers["request-id"] == raw.headers["x-request-id"]
    body = raw.http_response.content
    assert json.loads(body)["content"][0]["text"] == UNICODE_TEXT
    assert kind == "messages" or (body.isascii() and b'": ' not in body)
