"""The endpoints of Responses and Gemini: every upstream's kind behind them, through the installed command."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from support.gateway_process import GatewayProcess, running_gateway

KINDS = ("chat", "messages", "responses")
KEY = "the-gateways-own-key"
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with running_gateway(tmp_path_factory.mktemp("home"), "--demo", key=KEY) as gateway:
        yield gateway


@pytest.fixture
def client(demo: GatewayProcess) -> Iterator[OpenAI]:
    with OpenAI(base_url=demo.base_url, api_key=KEY, max_retries=0) as made:
        yield made


def ask(text: str = "hello") -> dict[str, Any]:
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_response_is_the_same_streamed_and_whole(client: OpenAI, kind: str) -> None:
    model = f"demo/{kind}-text"
    whole = client.responses.create(model=model, input="hello")
    with client.responses.stream(model=model, input="hello") as stream:
        streamed = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    assert whole.output_text == streamed == final.output_text
    assert whole.status == final.status == "completed"
    assert whole.usage is not None
    assert whole.usage.output_tokens > 0
    assert whole.model == final.model == model


@pytest.mark.parametrize("kind", KINDS)
def test_a_tool_called_through_responses_can_be_answered(client: OpenAI, kind: str) -> None:
    model = f"demo/{kind}-tools"
    tool: Any = {"type": "function", "name": "get_weather", "parameters": WEATHER, "strict": False}
    said: list[Any] = [{"role": "user", "content": "Weather in Paris?"}]
    first = client.responses.create(model=model, input=said, tools=[tool])
    calls = [item for item in first.output if item.type == "function_call"]
    assert [call.name for call in calls] == ["get_weather"]
    said += [item.model_dump(exclude_none=True) for item in first.output]
    said += [{"type": "function_call_output", "call_id": call.call_id, "output": "sunny"} for call in calls]
    second = client.responses.create(model=model, input=said, tools=[tool])
    assert second.output_text


@pytest.mark.parametrize("kind", ["chat", "messages"])
def test_what_an_earlier_answer_left_behind_is_not_made_up(client: OpenAI, kind: str) -> None:
    with pytest.raises(BadRequestError) as caught:
        client.responses.create(model=f"demo/{kind}-text", input="go on", previous_response_id="resp_1")
    assert caught.value.param == "previous_response_id"


@pytest.mark.parametrize("kind", KINDS)
def test_gemini_answers_whole_as_events_and_as_an_array(demo: GatewayProcess, kind: str) -> None:
    path = f"/v1beta/models/demo%2F{kind}-text"
    key = {"x-goog-api-key": KEY, "authorization": ""}
    whole = demo.post(f"{path}:generateContent", ask(), key).json()
    events = demo.post(f"{path}:streamGenerateContent?alt=sse", ask(), key)
    array = demo.post(f"{path}:streamGenerateContent", ask(), key)
    assert events.headers["content-type"].startswith("text/event-stream")
    assert array.headers["content-type"] == "application/json"
    pieces = [json.loads(line[6:]) for line in events.text.splitlines() if line.startswith("data: ")]
    text = text_of([whole])
    assert text == text_of(pieces) == text_of(array.json())
    assert text
    assert whole["usageMetadata"] == pieces[-1]["usageMetadata"]
    assert whole["candidates"][0]["finishReason"] == "STOP"


def text_of(pieces: list[Any]) -> str:
    return "".join(
        part.get("text", "")
        for piece in pieces
        for candidate in piece.get("candidates", [])
        for part in candidate["content"]["parts"]
    )


def test_geminis_key_may_stand_in_the_url_and_only_on_its_paths(demo: GatewayProcess) -> None:
    none = {"authorization": ""}
    path = "/v1beta/models/demo/chat-text:generateContent"
    assert demo.post(f"{path}?key={KEY}", ask(), none).status == 200
    assert demo.post(f"{path}?key=wrong", ask(), none).status == 401
    assert demo.get(f"/v1beta/models?key={KEY}", none).status == 200
    assert demo.get(f"/v1/models?key={KEY}", none).status == 401
    assert demo.post("/v1/chat/completions", {}, {"x-goog-api-key": KEY, **none}).status == 401
    assert KEY not in demo.log_path.read_text()


def test_geminis_list_has_pages_and_every_model_once(demo: GatewayProcess) -> None:
    names: list[str] = []
    token = "0"
    while token:
        page = demo.get(f"/v1beta/models?pageSize=7&pageToken={token}").json()
        names += [model["name"].removeprefix("models/") for model in page["models"]]
        token = page.get("nextPageToken", "")
    assert names == [model["id"] for model in demo.get("/v1/models").json()["data"]]
    assert demo.get(f"/v1beta/models/{names[0]}").json()["name"] == f"models/{names[0]}"


def test_errors_speak_the_callers_dialect(demo: GatewayProcess) -> None:
    unknown = demo.post("/v1beta/models/demo/nothing:generateContent", ask())
    assert (unknown.status, unknown.json()["error"]["status"]) == (404, "NOT_FOUND")
    limited = demo.post("/v1beta/models/demo/chat-rate-limit:generateContent", ask())
    assert (limited.status, limited.json()["error"]["status"]) == (429, "RESOURCE_EXHAUSTED")
    wrong = demo.post("/v1/responses", {"model": "demo/chat-text", "input": 7})
    assert (wrong.status, wrong.json()["error"]["param"]) == (400, "input")


def test_gemini_counts_a_little_high(demo: GatewayProcess) -> None:
    counted = demo.post(
        "/v1beta/models/demo/messages-text:countTokens", ask("one two three four five")
    ).json()
    assert 5 <= counted["totalTokens"] <= 60
