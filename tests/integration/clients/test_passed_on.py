"""Embeddings, pictures and sound pass through, with openai-python and ollama-python in front."""

from __future__ import annotations

import base64
import json
import re
import struct
from collections.abc import Iterator
from typing import Any

import ollama
import openai
import pytest

from integration.materials import dropped, logged
from support.gateway_process import GatewayProcess, running_gateway
from support.side_provider import SIDE_KEY, SOUND, VECTOR, SideProvider

pytestmark = pytest.mark.clients


@pytest.fixture(scope="module")
def side() -> Iterator[SideProvider]:
    with SideProvider.running() as running:
        yield running


@pytest.fixture(scope="module")
def passing(side: SideProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    home = tmp_path_factory.mktemp("passing")
    common: dict[str, Any] = {"baseUrl": f"{side.origin}/v1", "apiKey": SIDE_KEY}
    models = [{"id": "chat-1"}]
    providers = {
        "side": {**common, "api": "openai-completions", "models": models},
        "side-responses": {**common, "api": "openai-responses", "models": models},
        "openrouter": {**common, "api": "openai-completions", "models": models},
        "side-messages": {**common, "api": "anthropic-messages", "models": models},
        "side-nokey": {"baseUrl": side.origin, "api": "openai-completions", "models": models},
    }
    agent_dir = home / "agent"
    agent_dir.mkdir()
    (agent_dir / "models.json").write_text(json.dumps({"providers": providers}))
    config = {"aliases": {"ada": "side/org/embed-3:small"}, "requestTimeoutMs": 20_000}
    with running_gateway(home, agent_dir=agent_dir, config=config) as running:
        yield running
        assert SIDE_KEY not in running.printed()
        assert SIDE_KEY not in running.log_path.read_text()


@pytest.fixture
def client(passing: GatewayProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=passing.base_url, api_key="any", max_retries=0) as made:
        yield made


@pytest.mark.parametrize("served", ["side", "side-responses"])
@pytest.mark.parametrize("coded", ["base64", "float"])
def test_embeddings_of_a_model_that_no_catalogue_lists(
    client: openai.OpenAI, side: SideProvider, passing: GatewayProcess, served: str, coded: Any
) -> None:
    answer = client.embeddings.with_raw_response.create(
        model=f"{served}/org/embed-3:small", input=["a", "b"], dimensions=3, encoding_format=coded
    )
    found = answer.parse()
    assert [each.embedding for each in found.data] == [list(VECTOR)] * 2 or coded == "base64"
    assert found.usage.prompt_tokens == 8
    asked = json.loads(side.last.body)
    assert asked == {
        "input": ["a", "b"],
        "model": "org/embed-3:small",
        "dimensions": 3,
        "encoding_format": coded,
    }
    assert answer.headers["x-ratelimit-remaining-requests"] == "7"
    line = logged(passing, answer.headers["x-request-id"])
    assert (line["model"], line["input_tokens"], line["status"]) == (f"{served}/org/embed-3:small", 8, 200)


def test_vector_096_a_server_that_knows_numbers_only_is_no_matter(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "side/org/floats-only", "input": "a", "encoding_format": "base64"}
    answer = client.embeddings.with_raw_response.create(**asked)
    told = json.loads(answer.content)["data"][0]["embedding"]
    assert struct.unpack("<3f", base64.b64decode(told)) == VECTOR
    plain = client.embeddings.create(**{**asked, "encoding_format": "float"})
    assert plain.data[0].embedding == list(VECTOR)


def test_the_clients_own_coding_of_numbers_is_left_alone(client: openai.OpenAI, side: SideProvider) -> None:
    found = client.embeddings.create(model="ada", input="a")
    assert found.data[0].embedding == list(VECTOR)
    assert json.loads(side.last.body)["encoding_format"] == "base64"
    assert json.loads(side.last.body)["model"] == "org/embed-3:small"


def test_every_other_byte_of_a_request_arrives(passing: GatewayProcess, side: SideProvider) -> None:
    body = b'{"input":"Gr\xc3\xbc\\u00dfe \\ud83d\\ude00", "model":"side/e","weird":[1.0,2e3,{"b":1,"a":-0}],"user":null}'
    assert passing.post("/embeddings", body).status == 200
    assert side.last.body == body.replace(b'"side/e"', b'"e"').replace(b", ", b",")
    assert side.last.headers["content-type"] == "application/json"
    assert side.last.path == "/v1/embeddings"


def test_pictures_are_made_whole_and_piece_by_piece(
    client: openai.OpenAI, passing: GatewayProcess, side: SideProvider
) -> None:
    whole = client.images.generate(model="side/draw-1", prompt="a fox", n=1, size="1024x1024")
    assert whole.data is not None
    assert whole.usage is not None
    assert (len(whole.data[0].b64_json or ""), whole.usage.output_tokens) == (102400, 100)
    raw = client.images.with_raw_response.generate(
        model="side/draw-1", prompt="a fox", stream=True, partial_images=1
    )
    kinds = [event.type for event in raw.parse()]
    assert kinds == ["image_generation.partial_image", "image_generation.completed"]
    line = logged(passing, raw.headers["x-request-id"])
    assert (line["output_tokens"], line["stream"]) == (100, True)


@pytest.mark.parametrize("name", ["google/gemini-image", "black-forest/flux"])
def test_a_model_that_draws_in_chat_draws_for_who_asks_for_pictures(
    client: openai.OpenAI, passing: GatewayProcess, side: SideProvider, name: str
) -> None:
    raw = client.images.with_raw_response.generate(
        model=f"openrouter/{name}", prompt="a fox", size="1024x1024", response_format="b64_json"
    )
    drawn = raw.parse()
    assert drawn.data is not None
    assert base64.b64decode(drawn.data[0].b64_json or "") == SOUND
    assert drawn.usage is not None
    assert (drawn.created, drawn.usage.input_tokens, drawn.usage.output_tokens) == (7, 6, 1290)
    asked = json.loads(side.last.body)
    assert (side.last.path, asked["model"]) == ("/v1/chat/completions", name)
    assert asked["messages"] == [{"role": "user", "content": [{"type": "text", "text": "a fox"}]}]
    assert raw.headers["x-pi-model-proxy-dropped"] == "size"
    line = logged(passing, raw.headers["x-request-id"])
    assert (line["model"], line["output_tokens"], line["dropped"]) == (f"openrouter/{name}", 1290, ["size"])


@pytest.mark.parametrize("field", [{"n": 2}, {"stream": True}, {"response_format": "url"}])
def test_what_such_a_model_cannot_do_is_refused(client: openai.OpenAI, field: Any) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model="openrouter/google/gemini-image", prompt="a fox", **field)
    assert caught.value.param == next(iter(field))


def test_words_instead_of_a_picture_are_an_error(client: openai.OpenAI, passing: GatewayProcess) -> None:
    with pytest.raises(openai.InternalServerError):
        client.images.generate(model="openrouter/google/gemini-image", prompt="words")
    body = {"model": "openrouter/google/gemini-image", "prompt": "a fox", "size": "1x1"}
    assert passing.post("/v1/images/generations", body, {"x-pi-model-proxy-strict": "1"}).status == 400


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_a_recording_arrives_byte_for_byte(
    client: openai.OpenAI, passing: GatewayProcess, side: SideProvider
) -> None:
    said = client.audio.transcriptions.create(model="side/hear-1", file=("talk.wav", SOUND), language="en")
    assert said.text == "Hello"
    sent = side.last
    boundary = re.search(r"boundary=(\S+)", sent.headers["content-type"])
    assert boundary is not None
    parts = sent.body.split(b"--" + boundary[1].encode())
    assert any(b'name="model"' in part and part.endswith(b"\r\n\r\nhear-1\r\n") for part in parts)
    assert any(
        b'filename="talk.wav"' in part and part.endswith(b"\r\n\r\n" + SOUND + b"\r\n") for part in parts
    )
    assert any(b'name="language"' in part and part.endswith(b"\r\n\r\nen\r\n") for part in parts)
    assert client.audio.translations.create(model="side/hear-1", file=("talk.wav", SOUND)).text == "Hello"
    assert side.last.path == "/v1/audio/translations"
    assert logged(passing, _id_of(passing, "/v1/audio/translations"))["input_tokens"] == 14


def _id_of(gateway: GatewayProcess, path: str) -> str:
    gateway.wait_for(lambda: path in gateway.log_path.read_text(), f"the line of {path}")
    return next(str(line["request_id"]) for line in gateway.log() if line["path"] == path)


def test_a_transcript_comes_in_whatever_form_it_is_asked_for(client: openai.OpenAI) -> None:
    text = client.audio.transcriptions.create(
        model="side/hear-1", file=("a.wav", b"x"), response_format="vtt"
    )
    assert str(text).startswith("WEBVTT")
    stream = client.audio.transcriptions.create(model="side/hear-1", file=("a.wav", b"x"), stream=True)
    assert [event.type for event in stream] == ["transcript.text.delta", "transcript.text.done"]


def test_speech_arrives_byte_for_byte(client: openai.OpenAI, side: SideProvider) -> None:
    with client.audio.speech.with_streaming_response.create(
        model="side/say-1", input="Hello", voice="alloy"
    ) as answer:
        assert answer.headers["content-type"] == "audio/mpeg"
        assert b"".join(answer.iter_bytes()) == SOUND
    assert json.loads(side.last.body)["model"] == "say-1"


def test_speech_that_breaks_off_is_an_error(client: openai.OpenAI, passing: GatewayProcess) -> None:
    with pytest.raises(openai.APIConnectionError):
        client.audio.speech.create(model="side/say-1", input="broken", voice="alloy").read()
    passing.wait_for(
        lambda: any(_broke(line) for line in passing.log()), "the line of the speech that broke off"
    )


def _broke(line: dict[str, Any]) -> bool:
    return bool(line["path"] == "/v1/audio/speech" and line["ended_by"] == "upstream" and line["error"])


def test_events_that_break_off_end_with_an_error(client: openai.OpenAI, passing: GatewayProcess) -> None:
    body = {"model": "side/draw-1", "prompt": "broken", "stream": True}
    answer = passing.post("/v1/images/generations", body)
    assert "error" in json.loads(answer.text.splitlines()[-2].removeprefix("data: "))
    assert logged(passing, answer.headers["x-request-id"])["ended_by"] == "upstream"
    with pytest.raises(openai.APIError):
        list(client.images.generate(model="side/draw-1", prompt="broken", stream=True))


def test_errors_are_the_clients_own(client: openai.OpenAI, side: SideProvider) -> None:
    with pytest.raises(openai.RateLimitError) as limited:
        client.embeddings.create(model="side/e", input="limited")
    assert "slower, please" in str(limited.value)
    seen = len(side.arrivals)
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="nobody/e", input="x")
    with pytest.raises(openai.NotFoundError) as unusable:
        client.embeddings.create(model="side-nokey/e", input="x")
    assert "side-nokey" in str(unusable.value)
    with pytest.raises(openai.APIStatusError) as unserved:
        client.embeddings.create(model="side-messages/e", input="x")
    assert unserved.value.status_code == 501
    assert "side-messages" in str(unserved.value)
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="text-embedding-3-small", input="x")
    assert len(side.arrivals) == seen


def test_a_request_that_names_no_model_is_refused(passing: GatewayProcess) -> None:
    for path, body, kind in (
        ("/v1/embeddings", b'{"input":"x"}', "application/json"),
        ("/v1/embeddings", b'{"input":"x","model":7}', "application/json"),
        ("/v1/audio/transcriptions", b"--b\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b"),
        ("/v1/audio/transcriptions", b"", "multipart/form-data; boundary=b"),
    ):
        answer = passing.post(path, body, {"content-type": kind})
        assert (answer.status, answer.json()["error"]["param"]) == (400, "model"), body


def test_forms_are_taken_only_where_files_are_and_never_from_foreign_pages(passing: GatewayProcess) -> None:
    form = {"content-type": "multipart/form-data; boundary=b"}
    assert passing.post("/v1/embeddings", b"--b--", form).status == 415
    assert passing.post("/v1/chat/completions", b"--b--", form).status == 415
    assert passing.post("/v1/audio/transcriptions", b"a=b", {"content-type": "text/plain"}).status == 415
    foreign = {**form, "origin": "https://evil.example"}
    assert passing.post("/v1/audio/transcriptions", b"--b--", foreign).status == 403
    assert passing.post("/v1/audio/transcriptions", b"--b--", {**form, "origin": "null"}).status == 403


def test_ollamas_embeddings_are_the_same_numbers(passing: GatewayProcess, side: SideProvider) -> None:
    with ollama.Client(host=passing.origin) as client:
        found = client.embed("side/e", ["a", "b"], dimensions=3)
        assert [list(each) for each in found.embeddings] == [list(VECTOR)] * 2
        assert (found.model, found.prompt_eval_count) == ("side/e", 8)
        assert json.loads(side.last.body)["dimensions"] == 3
        assert list(client.embeddings("side/e", "a").embedding) == list(VECTOR)
        with pytest.raises(ollama.ResponseError) as caught:
            client.embed("side-messages/e", "a")
        assert caught.value.status_code == 501
    body = {"model": "side/e", "input": "a", "keep_alive": "5m"}
    answer = passing.post("/api/embed", body)
    assert dropped(answer) == ["keep_alive"]
    assert passing.post("/api/embed", body, {"x-pi-model-proxy-strict": "1"}).status == 400
