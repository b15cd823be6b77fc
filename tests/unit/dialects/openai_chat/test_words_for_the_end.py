"""Between equals, too, calls are calls: an end by another name, several calls under one index, `off` that cannot be said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_chat import CLIENT, RELAY
from pi_model_proxy.hub import ReasoningWish, Request, TextBlock, Turn
from support.chat_stream import context, target
from support.plain_readers import chat

Json = dict[str, Any]


def chunk(delta: Json, finish: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    said = {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "acme-1",
        "choices": [choice],
    }
    return b"data: " + json.dumps(said).encode() + b"\n\n"


def fragment(index: int, arguments: str, **more: str) -> Json:
    name = {"name": more.pop("name")} if "name" in more else {}
    return {"tool_calls": [{"index": index, **more, "function": {**name, "arguments": arguments}}]}


def relayed(*chunks: bytes) -> bytes:
    pipe = RELAY.stream_pipe(context())
    return b"".join(pipe.feed(each) for each in chunks) + pipe.feed(b"data: [DONE]\n\n")


def test_calls_that_share_an_index_are_told_apart_by_their_ids() -> None:
    told = relayed(
        chunk(fragment(0, '{"a":', id="c1", type="function", name="f")),
        chunk(fragment(0, "1}")),
        chunk(fragment(0, "", id="c2", type="function", name="f")),
        chunk(fragment(0, '{"b":')),
        chunk(fragment(0, "2}")),
        chunk({}, "stop"),
    )
    heard = chat(told, streamed=True)
    assert [(call.id, call.arguments) for call in heard.calls] == [("c1", '{"a":1}'), ("c2", '{"b":2}')]
    assert heard.finish == "tool_calls"


def test_a_call_whose_id_changes_on_the_way_stays_one_call() -> None:
    told = relayed(
        chunk(fragment(0, '{"a":', id="c1", type="function", name="f")),
        chunk(fragment(0, "1}", id="c9", type="function", name="f")),
        chunk({}, "tool_calls"),
    )
    (call,) = chat(told, streamed=True).calls
    assert (call.id, call.name, call.arguments) == ("c1", "f", '{"a":1}')


def test_an_answer_without_calls_ends_as_it_did() -> None:
    assert chat(relayed(chunk({"content": "hi"}), chunk({}, "stop")), streamed=True).finish == "stop"


@pytest.mark.parametrize(
    ("said", "finish", "told"),
    [
        ({"tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "stop", "tool_calls"),
        ({"content": 'a "tool_calls" b'}, "stop", "stop"),
        ({"content": "x", "tool_calls": []}, "stop", "stop"),
        ({"content": "x", "tool_calls": [{"id": "c"}]}, "length", "length"),
    ],
)  # fmt: skip
def test_a_plain_answer_with_calls_says_so(said: Json, finish: str, told: str) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": None, **said}, "finish_reason": finish}
    body, facts = RELAY.message(
        json.dumps({"id": "x", "model": "m", "choices": [choice]}).encode(), context()
    )
    assert facts.failure is None
    assert json.loads(body)["choices"] == [{**choice, "finish_reason": told}]


@pytest.mark.parametrize("compat", [{}, {"supportsReasoningEffort": False}])
def test_off_without_a_word_for_it_is_listed_and_auto_is_not(compat: Json) -> None:
    def sent(mode: Any) -> tuple[Json, tuple[str, ...]]:
        asked = Request(
            dialect="anthropic_messages",
            model="m",
            turns=(Turn(role="user", blocks=(TextBlock(text="hi"),)),),
            reasoning=ReasoningWish(mode=mode),
            paths={"reasoning": "thinking"},
        )
        outgoing = CLIENT.encode_request(asked, target(compat=compat, reasoning=True))
        return json.loads(outgoing.body), outgoing.dropped

    (off, off_lost), (auto, auto_lost) = sent("off"), sent("auto")
    assert off == auto
    assert (off_lost, auto_lost) == (("thinking",), ())


def test_off_that_has_a_word_is_said() -> None:
    asked = Request(
        dialect="openai_chat",
        model="m",
        turns=(Turn(role="user", blocks=(TextBlock(text="hi"),)),),
        reasoning=ReasoningWish(mode="off"),
    )
    outgoing = CLIENT.encode_request(asked, target(reasoning=True, thinking_levels={"off": "none"}))
    assert json.loads(outgoing.body)["reasoning_effort"] == "none"
    assert outgoing.dropped == ()


def test_between_equals_off_that_the_provider_cannot_be_told_is_listed() -> None:
    body = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": "hi"}], "reasoning_effort": "none"}
    ).encode()
    outgoing = RELAY.encode_request(
        body, target(compat={"supportsReasoningEffort": False}, reasoning=True), {}
    )
    assert "reasoning_effort" not in json.loads(outgoing.body)
    assert outgoing.dropped == ("reasoning_effort",)
