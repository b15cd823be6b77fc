"""ollama-python before every kind of upstream."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from integration.materials import CITIES, KINDS, PNG, PNG_SEEN, Kind, dropped, logged, weather_in
from support.gateway_process import GatewayProcess
from support.strict_provider import FAULTS, UNICODE_TEXT, Answer, StrictProvider, Text, http_error

pytestmark = pytest.mark.clients

every_kind = pytest.mark.parametrize("kind", KINDS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture
def client(gateway: GatewayProcess) -> Iterator[ollama.Client]:
    with ollama.Client(host=gateway.origin, headers={"Authorization": "Bearer any"}) as made:
        yield made


def get_weather(city: str) -> str:
    """Tell the weather of a city.

    Args:
      city: Name of the city
    """
    return weather_in(city)


def chat(client: ollama.Client, model: str, *messages: Any, stream: bool, **more: Any) -> ollama.ChatResponse:
    """Return the whole answer, put together from its pieces when it is streamed."""
    if not stream:
        whole: ollama.ChatResponse = client.chat(model, messages, **more)
        return whole
    said = ollama.Message(role="assistant", content="", thinking="", tool_calls=[])
    pieces = list(client.chat(model, messages, stream=True, **more))
    for piece in pieces:
        said.content = (said.content or "") + (piece.message.content or "")
        said.thinking = (said.thinking or "") + (piece.message.thinking or "")
        said.tool_calls = [*(said.tool_calls or ()), *(piece.message.tool_calls or ())]
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    return pieces[-1].model_copy(update={"message": said})


def user(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **more}


@both_ways
@every_kind
def test_an_answer_arrives_whole_with_its_counts_and_times(
    client: ollama.Client, kind: Kind, stream: bool
) -> None:
    heard = chat(client, f"stub-{kind}/text", user("script:hello"), stream=stream)
    assert heard.message.content == "Hello! How can I help you today?"
    assert (heard.model, heard.done, heard.done_reason) == (f"stub-{kind}/text", True, "stop")
    assert (heard.eval_count, (heard.prompt_eval_count or 0) > 0) == (9, True)
    assert (heard.total_duration or 0) >= (heard.eval_duration or 0) > 0


@both_ways
@every_kind
def test_every_character_survives(client: ollama.Client, kind: Kind, stream: bool) -> None:
    heard = chat(client, f"stub-{kind}/text", user("script:unicode"), stream=stream)
    assert heard.message.content == UNICODE_TEXT


@both_ways
@every_kind
def test_parallel_calls_are_made_and_answered(
    client: ollama.Client, provider: StrictProvider, kind: Kind, stream: bool
) -> None:
    said: list[Any] = [user("script:parallel-tools")]
    first = chat(client, f"stub-{kind}/text", *said, stream=stream, tools=[get_weather])
    calls = first.message.tool_calls or []
    assert [(call.function.name, dict(call.function.arguments)) for call in calls] == [
        ("get_weather", {"city": city}) for city in CITIES
    ]
    said.append(first.message)
    said += [
        {"role": "tool", "tool_name": "get_weather", "content": get_weather(**call.function.arguments)}
        for call in calls
    ]
    second = chat(client, f"stub-{kind}/text", *said, stream=stream, tools=[get_weather])
    assert all(weather_in(city) in (second.message.content or "") for city in CITIES)
    assert not provider.diary.refusals()


@both_ways
@every_kind
def test_thinking_is_shown_beside_the_answer_and_hidden_when_it_is_off(
    client: ollama.Client, kind: Kind, stream: bool
) -> None:
    model = "stub-chat/deepseek" if kind == "chat" else f"stub-{kind}/thinker"
    heard = chat(client, model, user("script:thinking-then-text"), stream=stream, think="high")
    assert heard.message.thinking
    assert heard.message.content
    assert heard.message.thinking not in heard.message.content
    hidden = chat(client, model, user("script:thinking-then-text"), stream=stream, think=False)
    assert (hidden.message.thinking or "", hidden.message.content) == ("", heard.message.content)


@every_kind
def test_a_picture_arrives_unharmed(client: ollama.Client, kind: Kind) -> None:
    heard = client.chat(f"stub-{kind}/vision", [user("script:pictures", images=[PNG])])
    assert PNG_SEEN in (heard.message.content or "")


@every_kind
def test_a_schema_is_followed(client: ollama.Client, provider: StrictProvider, kind: Kind) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "degrees": {"type": "number"}},
        "required": ["city", "degrees"],
        "additionalProperties": False,
    }
    heard = client.chat(f"stub-{kind}/vision", [user("script:structured")], format=schema)
    assert json.loads(heard.message.content or "").keys() == {"city", "degrees"}
    assert not provider.diary.refusals()


@both_ways
@every_kind
def test_generate_answers_a_prompt(client: ollama.Client, kind: Kind, stream: bool) -> None:
    model = f"stub-{kind}/text"
    if stream:
        pieces = list(client.generate(model, "script:hello", system="Be brief.", stream=True))
        text = "".join(piece.response or "" for piece in pieces)
        assert (pieces[-1].done, pieces[-1].done_reason) == (True, "stop")
    else:
        text = client.generate(model, "script:hello", system="Be brief.").response or ""
    assert text == "Hello! How can I help you today?"


@both_ways
@every_kind
def test_an_answer_that_was_cut_says_so(
    client: ollama.Client, provider: StrictProvider, kind: Kind, stream: bool
) -> None:
    provider.queue(Answer(parts=(Text("Once upon"),), stop="length"))
    heard = chat(client, f"stub-{kind}/text", user("hi"), stream=stream, options={"num_predict": 20})
    assert (heard.message.content, heard.done_reason) == ("Once upon", "length")


@both_ways
@every_kind
def test_an_error_is_the_clients_own_with_its_status(
    client: ollama.Client, provider: StrictProvider, kind: Kind, stream: bool
) -> None:
    with pytest.raises(ollama.ResponseError) as caught:
        chat(client, f"stub-{kind}/nothing", user("hi"), stream=stream)
    assert caught.value.status_code == 404
    provider.queue(http_error(429, retry_after="7"))
    with pytest.raises(ollama.ResponseError) as caught:
        chat(client, f"stub-{kind}/text", user("hi"), stream=stream)
    assert caught.value.status_code == 429


@every_kind
def test_an_answer_that_breaks_off_is_an_error_and_never_done(
    client: ollama.Client, provider: StrictProvider, kind: Kind
) -> None:
    provider.queue(FAULTS["reset-mid-body"])
    pieces = []
    with pytest.raises(ollama.ResponseError):
        for piece in client.chat(f"stub-{kind}/text", [user("hi")], stream=True):
            pieces.append(piece.done)  # noqa: PERF401 - what came before the error counts
    assert True not in pieces


def test_models_are_listed_and_described(client: ollama.Client, gateway: GatewayProcess) -> None:
    names = [model.model for model in client.list().models]
    assert names == [model["id"] for model in gateway.get("/v1/models").json()["data"]]
    shown = client.show("stub-chat/vision")
    assert {"completion", "tools", "vision"} <= set(shown.capabilities or ())
    assert shown.modelinfo is not None
    assert shown.modelinfo["stub-chat.context_length"] == 200_000
    assert client.ps().models == []
    with pytest.raises(ollama.ResponseError) as caught:
        client.show("stub-chat/nothing")
    assert caught.value.status_code == 404


def test_a_model_is_loaded_without_asking_its_provider(
    client: ollama.Client, provider: StrictProvider
) -> None:
    assert client.generate("stub-chat/text", keep_alive="5m").done_reason == "load"
    assert client.chat("stub-chat/text", [], keep_alive=0).done_reason == "unload"
    assert provider.diary.arrivals() == []
    with pytest.raises(ollama.ResponseError):
        client.generate("stub-chat/nothing")


def test_the_tag_that_clients_add_is_no_other_model(client: ollama.Client) -> None:
    assert client.chat("stub-chat/text:latest", [user("script:hello")]).message.content
    assert client.show("stub-chat/text:latest").capabilities


def test_lines_are_json_from_the_first_to_the_last_and_losses_are_listed(gateway: GatewayProcess) -> None:
    body = {"model": "stub-messages/text", "messages": [user("script:hello")], "keep_alive": "5m"}
    answer = gateway.post("/api/chat", {**body, "options": {"num_ctx": 4096, "temperature": 0.5}})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert all(json.loads(line)["model"] == "stub-messages/text" for line in answer.text.splitlines())
    assert dropped(answer) == ["options.num_ctx", "keep_alive"]
    line = logged(gateway, answer.headers["x-request-id"])
    assert (line["dialect"], line["stream"], line["output_tokens"]) == ("ollama", True, 9)
    strict = gateway.post("/api/chat", body, {"x-pi-model-proxy-strict": "1"})
    assert (strict.status, list(strict.json())) == (400, ["error"])
