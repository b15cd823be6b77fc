"""google-genai before every kind of upstream, under every version of its paths."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from google import genai
from google.genai import errors, types

from integration.materials import CITIES, KINDS, PNG, PNG_SEEN, Kind, weather_in
from support.gateway_process import GatewayProcess
from support.strict_provider import FAULTS, UNICODE_TEXT, Answer, StrictProvider, Text, http_error

pytestmark = [
    pytest.mark.clients,
    # The client's own: it inherits from a class of aiohttp's, and closes its async half late.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

every_kind = pytest.mark.parametrize("kind", KINDS)
VERSIONS = ("v1beta", "v1", "v1alpha")


def connected(gateway: GatewayProcess, version: str) -> genai.Client:
    options = types.HttpOptions(base_url=gateway.origin, api_version=version)
    return genai.Client(api_key="any", vertexai=False, http_options=options)


@pytest.fixture(scope="module", params=VERSIONS)
def client(gateway: GatewayProcess, request: pytest.FixtureRequest) -> Iterator[genai.Client]:
    made = connected(gateway, request.param)
    yield made
    made.close()


@pytest.fixture(scope="module")
def newest(gateway: GatewayProcess) -> Iterator[genai.Client]:
    made = connected(gateway, "v1beta")
    yield made
    made.close()


@every_kind
@pytest.mark.parametrize("prefix", ["", "models/"])
def test_an_answer_arrives_plain_and_streamed_with_its_counts(
    client: genai.Client, kind: Kind, prefix: str
) -> None:
    model = f"{prefix}stub-{kind}/text"
    whole = client.models.generate_content(model=model, contents="script:unicode")
    pieces = list(client.models.generate_content_stream(model=model, contents="script:unicode"))
    assert whole.text == "".join(piece.text or "" for piece in pieces) == UNICODE_TEXT
    assert whole.candidates is not None
    assert whole.candidates[0].finish_reason == types.FinishReason.STOP
    assert whole.usage_metadata is not None
    assert pieces[-1].usage_metadata is not None
    assert (
        whole.usage_metadata.candidates_token_count == pieces[-1].usage_metadata.candidates_token_count != 0
    )


@every_kind
def test_parallel_calls_are_made_and_answered(
    newest: genai.Client, provider: StrictProvider, kind: Kind
) -> None:
    city = types.Schema(type=types.Type.OBJECT, properties={"city": types.Schema(type=types.Type.STRING)})
    function = types.FunctionDeclaration(name="get_weather", description="Tell the weather.", parameters=city)
    off = types.AutomaticFunctionCallingConfig(disable=True)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[function])], automatic_function_calling=off
    )
    model = f"stub-{kind}/text"
    said: list[Any] = [types.Content(role="user", parts=[types.Part(text="script:parallel-tools")])]
    first = newest.models.generate_content(model=model, contents=said, config=config)
    calls = first.function_calls or []
    assert [(call.name, call.args) for call in calls] == [("get_weather", {"city": city}) for city in CITIES]
    assert first.candidates is not None
    said.append(first.candidates[0].content)
    said.append(
        types.Content(
            role="user",
            parts=[
                types.Part(
                    function_response=types.FunctionResponse(
                        id=call.id, name=call.name, response={"result": weather_in((call.args or {})["city"])}
                    )
                )
                for call in calls
            ],
        )
    )
    second = newest.models.generate_content(model=model, contents=said, config=config)
    assert all(weather_in(city) in (second.text or "") for city in CITIES)
    assert not provider.diary.refusals()


@every_kind
def test_thoughts_are_shown_to_who_asks(newest: genai.Client, kind: Kind) -> None:
    model = "stub-chat/deepseek" if kind == "chat" else f"stub-{kind}/thinker"

    def parts(shown: bool) -> list[bool]:
        config = types.GenerateContentConfig(
            thinking_config=types.ThinkingConfig(include_thoughts=shown, thinking_budget=2048)
        )
        answer = newest.models.generate_content(
            model=model, contents="script:thinking-then-text", config=config
        )
        assert answer.parts is not None
        return [bool(part.thought) for part in answer.parts if part.text]

    assert parts(shown=True) == [True, False]
    assert parts(shown=False) == [False]


@every_kind
def test_a_picture_and_a_schema_arrive(newest: genai.Client, kind: Kind) -> None:
    picture = types.Part.from_bytes(data=PNG, mime_type="image/png")
    seen = newest.models.generate_content(model=f"stub-{kind}/vision", contents=["script:pictures", picture])
    assert PNG_SEEN in (seen.text or "")
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    }
    config = types.GenerateContentConfig(response_mime_type="application/json", response_json_schema=schema)
    filled = newest.models.generate_content(
        model=f"stub-{kind}/vision", contents="script:structured", config=config
    )
    assert json.loads(filled.text or "").keys() == {"city"}


def test_tokens_are_counted_and_models_listed(client: genai.Client, gateway: GatewayProcess) -> None:
    counted = client.models.count_tokens(model="stub-chat/text", contents="one two three four five")
    assert counted.total_tokens
    names = [
        (model.name or "").removeprefix("models/") for model in client.models.list(config={"page_size": 7})
    ]
    assert names == [model["id"] for model in gateway.get("/v1/models").json()["data"]]
    assert client.models.get(model="stub-chat/text").name == "models/stub-chat/text"
    with pytest.raises(errors.ClientError) as caught:
        client.models.get(model="stub-chat/nothing")
    assert (caught.value.code, caught.value.status) == (404, "NOT_FOUND")


@every_kind
def test_an_error_is_the_clients_own(newest: genai.Client, provider: StrictProvider, kind: Kind) -> None:
    model = f"stub-{kind}/text"
    with pytest.raises(errors.ClientError) as unknown:
        newest.models.generate_content(model=f"stub-{kind}/nothing", contents="hi")
    assert (unknown.value.code, unknown.value.status) == (404, "NOT_FOUND")
    provider.queue(http_error(429, retry_after="7"))
    with pytest.raises(errors.ClientError) as limited:
        newest.models.generate_content(model=model, contents="hi")
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
    provider.queue(FAULTS["reset-mid-body"])
    with pytest.raises(errors.APIError):
        list(newest.models.generate_content_stream(model=model, contents="hi"))


@every_kind
def test_an_answer_that_was_cut_says_so(newest: genai.Client, provider: StrictProvider, kind: Kind) -> None:
    provider.queue(Answer(parts=(Text("Once upon"),), stop="length"))
    cut = newest.models.generate_content(model=f"stub-{kind}/text", contents="hi")
    assert cut.candidates is not None
    assert (cut.text, cut.candidates[0].finish_reason) == ("Once upon", types.FinishReason.MAX_TOKENS)


def test_the_async_client_gets_the_same(gateway: GatewayProcess) -> None:
    async def both() -> tuple[str | None, str]:
        client = connected(gateway, "v1").aio
        try:
            whole = await client.models.generate_content(model="stub-messages/text", contents="script:hello")
            stream = await client.models.generate_content_stream(
                model="stub-messages/text", contents="script:hello"
            )
            return whole.text, "".join([piece.text or "" async for piece in stream])
        finally:
            await client.aclose()

    assert asyncio.run(both()) == ("Hello! How can I help you today?",) * 2


@pytest.mark.parametrize("version", ["/v1beta", "/v1alpha", "/v1", "", "/v1/v1beta"])
@pytest.mark.parametrize("model", ["stub-chat/text", "stub-chat%2Ftext", "stub-chat%2ftext"])
def test_an_id_may_have_its_slash_plain_or_escaped(gateway: GatewayProcess, version: str, model: str) -> None:
    body = {"contents": [{"role": "user", "parts": [{"text": "script:hello"}]}]}
    for method in (
        "generateContent",
        "streamGenerateContent?alt=sse",
        "streamGenerateContent",
        "countTokens",
    ):
        assert gateway.post(f"{version}/models/{model}:{method}", body).status == 200, method
    found = gateway.ask("GET", f"{version}/models/{model}", None, {"x-goog-api-key": "any"})
    assert (found.status, found.json()["name"]) == (200, "models/stub-chat/text")
