"""How answers, errors and lists look to Ollama's callers."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.ollama import (
    GENERATE_SERVER,
    SERVER,
    ListedModel,
    OllamaServer,
    embed_request,
    encode_embeddings,
    encode_load,
    encode_shown,
    encode_tags,
    read_load,
)
from pi_model_proxy.errors import BadRequest, BrokenStream, UnknownModel, UpstreamError
from pi_model_proxy.hub import (
    BlockStart,
    BlockStop,
    Event,
    Failure,
    Finish,
    Message,
    ReasoningBlock,
    RefusalBlock,
    Start,
    Target,
    TextBlock,
    TextDelta,
    Usage,
)

TARGET = Target(provider="acme", model="m", public_model="acme/m", kind="openai-completions")


def context(**changes: Any) -> AnswerContext:
    fields: Any = {"model": "acme/m", "answer_id": "a1", "created": 1_760_000_000, "target": TARGET}
    return AnswerContext(**{**fields, **changes})


def told(events: Iterable[Event], server: OllamaServer = SERVER, **changes: Any) -> list[Any]:
    encoder = server.stream_encoder(context(**changes))
    return [json.loads(line) for line in b"".join(encoder.feed(event) for event in events).splitlines()]


THOUGHT: tuple[Event, ...] = (
    Start(),
    BlockStart(index=0, block=ReasoningBlock()),
    TextDelta(0, "Hm."),
    BlockStop(0),
    BlockStart(index=1, block=TextBlock(text="")),
    TextDelta(1, "Yes."),
    BlockStop(1),
    Finish(reason="stop"),
)


def test_thinking_is_left_out_when_it_is_not_wanted() -> None:
    lines = told(THOUGHT, shows_reasoning=False)
    assert ["thinking" in line["message"] for line in lines] == [False, False]
    message = Message(
        blocks=(ReasoningBlock(text="Hm."), TextBlock(text="Yes.")), finish=Finish(reason="stop")
    )
    whole = json.loads(SERVER.encode_message(message, context(shows_reasoning=False)))
    assert whole["message"] == {"role": "assistant", "content": "Yes."}


def test_how_long_it_took_is_measured_and_never_nothing() -> None:
    moments = iter([12.0, 12.0])
    last = told(THOUGHT, ticks=lambda: next(moments), arrived_s=10.0)[-1]
    assert last["total_duration"] == 2_000_000_000
    assert last["prompt_eval_duration"] == 2_000_000_000
    assert last["eval_duration"] == 1
    whole = json.loads(
        GENERATE_SERVER.encode_message(
            Message(finish=Finish(reason="length"), usage=Usage(output=4)),
            context(ticks=lambda: 11.5, arrived_s=10.0),
        )
    )
    assert (whole["total_duration"], whole["eval_duration"]) == (1_500_000_000, 1_500_000_000)
    assert (whole["done_reason"], whole["eval_count"], whole["response"]) == ("length", 4, "")


def test_a_refusal_is_told_in_words_once() -> None:
    finish = Finish(reason="refusal", detail="I will not.")
    assert [line["message"]["content"] for line in told([Start(), finish])] == ["I will not.", ""]
    block = RefusalBlock(text="No.")
    whole = json.loads(SERVER.encode_message(Message(blocks=(block,), finish=finish), context()))
    assert whole["message"]["content"] == "No."
    spoken: list[Event] = [
        Start(),
        BlockStart(index=0, block=RefusalBlock(text="")),
        TextDelta(0, "No."),
        BlockStop(0),
    ]
    assert [line["message"]["content"] for line in told([*spoken, finish])] == ["No.", ""]


def test_an_error_in_mid_answer_is_the_last_line() -> None:
    lines = told([*THOUGHT[:3], Failure(UpstreamError("It broke.\u2028"))])
    assert lines[-1] == {"error": "It broke.\u2028"}
    assert not any(line.get("done") for line in lines)


def test_a_sign_of_life_does_not_break_the_line_after_it() -> None:
    encoder = SERVER.stream_encoder(context())
    stream = encoder.ping() + b"".join(encoder.feed(event) for event in THOUGHT) + encoder.ping()
    lines = stream.split(b"\n")
    assert b"" not in lines
    assert json.loads(lines[0])["message"]["thinking"] == "Hm."


def test_an_error_before_the_answer_is_a_status_and_its_words() -> None:
    answer = SERVER.encode_error(UnknownModel("model: there is no model 'x'."), "req_1")
    assert (answer.status, json.loads(answer.body)) == (404, {"error": "model: there is no model 'x'."})


@pytest.mark.parametrize(
    ("body", "loads"),
    [({"model": "m"}, True), ({"model": "m", "messages": []}, True), ({"messages": [{}]}, False), (7, False)],
)
def test_a_request_without_a_message_only_loads(body: Any, loads: bool) -> None:
    assert (read_load(json.dumps(body).encode(), "chat") is not None) is loads


@pytest.mark.parametrize(
    ("alive", "reason"), [(0, "unload"), (0.0, "unload"), ("0s", "unload"), ("5m", "load"), (-1, "load")]
)
def test_loading_and_unloading_are_told_apart(alive: Any, reason: str) -> None:
    load = read_load(json.dumps({"model": "m", "prompt": "", "keep_alive": alive}).encode(), "generate")
    assert load is not None
    answer = json.loads(encode_load(load, "generate", name="m", now_s=0))
    assert (answer["done"], answer["done_reason"], answer["response"]) == (True, reason, "")
    assert answer["created_at"] == "1970-01-01T00:00:00.000000Z"


def test_a_prompt_is_not_a_load() -> None:
    assert read_load(b'{"model":"m","prompt":" a long prompt of many words"}', "generate") is None
    assert read_load(b'{"model":"m","prompt":"","images":["iVBORw0KGgo="]}', "generate") is None


LISTED = ListedModel(
    name="acme/m", display_name="M", family="acme", context_tokens=8192, thinks=True, sees=False
)


def test_what_a_model_can_do_and_how_much_it_reads_is_told() -> None:
    shown = json.loads(encode_shown(LISTED))
    assert shown["capabilities"] == ["completion", "tools", "thinking"]
    assert shown["model_info"][f"{shown['model_info']['general.architecture']}.context_length"] == 8192
    (item,) = json.loads(encode_tags([LISTED]))["models"]
    assert (item["name"], item["model"], len(item["digest"])) == ("acme/m", "acme/m", 64)


def test_embeddings_keep_their_digits_and_their_order() -> None:
    name, body, dropped = embed_request(
        b'{"model":"acme/e","input":["a","b"],"truncate":true,"keep_alive":"5m","dimensions":2}', "embed"
    )
    assert (name, dropped) == ("acme/e", ("keep_alive",))
    assert json.loads(body) == {"model": "", "input": ["a", "b"], "encoding_format": "float", "dimensions": 2}
    answer = b'{"data":[{"index":1,"embedding":[3e-7,0.10]},{"index":0,"embedding":[1,2]}],"usage":{"prompt_tokens":5}}'
    told_back = encode_embeddings(answer, "embed", name="acme/e", seconds=0.5)
    assert b'"embeddings":[[1,2],[3e-7,0.10]]' in told_back
    assert json.loads(told_back)["prompt_eval_count"] == 5
    assert encode_embeddings(answer, "embeddings", name="", seconds=0) == b'{"embedding":[1,2]}'


@pytest.mark.parametrize("body", [b'{"input":[]}', b'{"input":[1]}', b"{}", b'{"input":{"a":1}}'])
def test_embeddings_of_nothing_are_refused(body: bytes) -> None:
    with pytest.raises(BadRequest) as caught:
        embed_request(body, "embed")
    assert caught.value.param == "input"


@pytest.mark.parametrize("answer", [b"", b"[]", b'{"data":7}', b'{"data":[]}'])
def test_an_upstream_that_sends_no_embedding_is_broken(answer: bytes) -> None:
    with pytest.raises(BrokenStream):
        encode_embeddings(answer, "embeddings", name="", seconds=0)
