"""Legacy completions: what callers ask, what they are told."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

import msgspec
import pytest

from pi_model_proxy.dialects import anthropic_messages, google_gemini, openai_chat, openai_responses
from pi_model_proxy.dialects.base import AnswerContext, ClientHalf
from pi_model_proxy.dialects.openai_completions import SERVER
from pi_model_proxy.errors import BadRequest, UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import (
    BlockStart,
    Event,
    Failure,
    Finish,
    Message,
    RefusalBlock,
    Request,
    Start,
    Target,
    TextBlock,
    TextDelta,
    ToolCallBlock,
)
from support.silence import Case, hear, overlooked, strange_paths, unsaid


def _target(kind: str, **changes: Any) -> Target:
    return Target(provider="acme", model="acme-1", public_model="acme/acme-1", kind=kind, **changes)


TARGETS: Final[dict[str, tuple[ClientHalf, Target]]] = {
    "chat": (openai_chat.CLIENT, _target("openai-completions")),
    "messages": (anthropic_messages.CLIENT, _target("anthropic-messages")),
    "responses": (openai_responses.CLIENT, _target("openai-responses", hosted_by_vendor=True)),
    "gemini": (google_gemini.CLIENT, _target("google-generative-ai")),
}
FIELDS: Final[dict[str, Any]] = {
    "prompt": "hi", "max_tokens": 100, "temperature": 0.5, "top_p": 0.5, "top_k": 4, "min_p": 0.1, "n": 2, "best_of": 3,
    "logprobs": 2, "stop": ["x"], "seed": 7, "presence_penalty": 0.5, "frequency_penalty": 0.5, "user": "u",
    "logit_bias": {"1": 5}, "suffix": "}", "echo": True, "priority": 4, "base_url": "https://elsewhere.example",
    "stream_options": {"include_obfuscation": True, "next": 1},
}  # fmt: skip
"""openai-python 3.54.0 `completion_create_params.py`, and what other servers add."""


def read(**fields: Any) -> Request:
    return SERVER.decode_request(json.dumps({"model": "m", "prompt": "hi", **fields}).encode())


def context(**changes: Any) -> AnswerContext:
    target = _target("openai-completions")
    return AnswerContext(model="acme/m", answer_id="a1", created=1, target=target, **changes)


def told(events: Iterable[Event], **changes: Any) -> list[str]:
    encoder = SERVER.stream_encoder(context(**changes))
    stream = b"".join(encoder.feed(event) for event in events).decode()
    return [frame.removeprefix("data: ") for frame in stream.split("\n\n") if frame]


@pytest.mark.parametrize("name", FIELDS)
def test_every_field_is_said_listed_or_refused(name: str) -> None:
    case = Case(name, {"model": "m", "prompt": "hi", name: FIELDS[name]}, (name,))
    found: list[str] = []
    for where, (client, target) in TARGETS.items():
        heard = hear(case.body, SERVER, client, target)
        lines = [*unsaid(case, {}, {}, SERVER, client, target), *strange_paths(heard, case.body)]
        found += [f"{where}: {line}" for line in (*lines, *overlooked(case, SERVER, client, target))]
        strict = hear(case.body, SERVER, client, msgspec.structs.replace(target, strict=True))
        assert (strict.refused is not None) == bool(heard.dropped or heard.refused), where
    assert found == []


@pytest.mark.parametrize("prompt", ["Once upon", ["Once upon"]])
def test_a_prompt_is_what_a_user_says(prompt: Any) -> None:
    (turn,) = read(prompt=prompt).turns
    (block,) = turn.blocks
    assert isinstance(block, TextBlock)
    assert (turn.role, block.text) == ("user", "Once upon")


@pytest.mark.parametrize(
    ("prompt", "path"),
    [([1, 2], "prompt"), ([[1, 2]], "prompt"), (["a", "b"], "prompt[1]"), ([True], "prompt")],
)
def test_tokens_and_several_prompts_are_refused(prompt: Any, path: str) -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        read(prompt=prompt)
    assert caught.value.param == path


@pytest.mark.parametrize("prompt", [None, "", [], [""], {"a": 1}, 3, [None]])
def test_what_is_no_prompt_is_refused(prompt: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        read(prompt=prompt)
    assert caught.value.param == "prompt"


@pytest.mark.parametrize(
    ("field", "value"),
    [("stop", [1]), ("stop", 7), ("logit_bias", []), ("n", "two"), ("echo", "yes"), ("stream", 1)],
)
def test_a_wrong_field_is_named(field: str, value: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        read(**{field: value})
    assert (caught.value.param or "").startswith(field)


@pytest.mark.parametrize("stop", ["x", ["x"], ["x", ""]])
def test_stop_sequences_are_one_or_several(stop: Any) -> None:
    assert read(stop=stop).stop == ("x",)


def test_a_best_of_one_is_what_there_is() -> None:
    assert read(n=1, best_of=1).dropped == ()


def test_usage_is_told_only_to_who_asks() -> None:
    events: list[Event] = [
        Start(),
        BlockStart(index=0, block=TextBlock(text="")),
        TextDelta(0, "a"),
        Finish(reason="stop"),
    ]
    asked, not_asked = told(events, wants_usage=True), told(events, wants_usage=False)
    assert asked[-1] == not_asked[-1] == "[DONE]"
    assert json.loads(asked[-2])["choices"] == []
    assert json.loads(asked[-2])["usage"]["total_tokens"] == 0
    assert all("usage" not in json.loads(each) for each in not_asked[:-1])


def test_calls_are_not_told_as_text() -> None:
    events: list[Event] = [
        Start(), BlockStart(index=0, block=ToolCallBlock(id="c", name="f")), TextDelta(0, "x"), Finish(reason="tool_calls"),
    ]  # fmt: skip
    (last, done) = told(events, wants_usage=False)
    assert json.loads(last)["choices"] == [
        {"text": "", "index": 0, "logprobs": None, "finish_reason": "stop"}
    ]
    assert done == "[DONE]"


def test_a_refusal_is_told_in_words_once() -> None:
    finish = Finish(reason="refusal", detail="I will not.")
    first, last, _ = (each for each in told([Start(), finish], wants_usage=False))
    assert json.loads(first)["choices"][0]["text"] == "I will not."
    assert json.loads(last)["choices"][0]["finish_reason"] == "content_filter"
    whole = json.loads(
        SERVER.encode_message(Message(blocks=(RefusalBlock(text="No."),), finish=finish), context())
    )
    assert whole["choices"][0]["text"] == "No."
    silent = json.loads(SERVER.encode_message(Message(finish=finish), context()))
    assert silent["choices"][0]["text"] == "I will not."


def test_an_error_in_mid_answer_is_the_last_frame() -> None:
    frames = told([Start(), Failure(UpstreamError("It broke."))])
    assert json.loads(frames[-1])["error"]["message"] == "It broke."


def test_a_sign_of_life_is_a_comment() -> None:
    assert SERVER.stream_encoder(context()).ping().startswith(b": ")
