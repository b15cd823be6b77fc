"""What Ollama's callers ask, and what is wrong with it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.ollama import GENERATE_SERVER, SERVER
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.hub import DataSource, ImageBlock, Request, ToolCallBlock, ToolResultBlock

USER = {"role": "user", "content": "hi"}


def chat(*messages: Any, **fields: Any) -> Request:
    return SERVER.decode_request(
        json.dumps({"model": "m", "messages": messages or [USER], **fields}).encode()
    )


def generate(**fields: Any) -> Request:
    return GENERATE_SERVER.decode_request(json.dumps({"model": "m", **fields}).encode())


def call(name: str, **more: Any) -> Any:
    return {"function": {"name": name, "arguments": {"n": 1}}, **more}


def results(request: Request) -> list[tuple[str, str | None]]:
    return [
        (block.call_id, block.name)
        for turn in request.turns
        for block in turn.blocks
        if isinstance(block, ToolResultBlock)
    ]


@pytest.mark.parametrize(
    ("fields", "streams"),
    [({}, True), ({"stream": None}, True), ({"stream": True}, True), ({"stream": False}, False)],
)
def test_who_says_nothing_of_streaming_gets_a_stream(fields: Any, streams: bool) -> None:
    body = json.dumps({"model": "m", "messages": [USER], **fields}).encode()
    assert SERVER.peek(body).stream is streams
    assert SERVER.decode_request(body).stream is streams


def test_the_model_may_stand_under_its_older_name() -> None:
    assert SERVER.peek(b'{"name":"m"}').model == "m"
    assert SERVER.peek(b'{"name":"m","prompt":"\\ud800"}').model == "m"


def test_vector_052_results_find_their_calls_by_name_in_order() -> None:
    request = chat(
        USER,
        {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b"), call("a")]},
        {"role": "tool", "tool_name": "a", "content": "first a"},
        {"role": "tool", "tool_name": "a", "content": "second a"},
        {"role": "tool", "tool_name": "b", "content": "b"},
    )
    calls = [block for block in request.turns[1].blocks if isinstance(block, ToolCallBlock)]
    assert [(each.id, each.name, each.arguments) for each in calls] == [
        ("call_1", "a", '{"n":1}'), ("call_2", "b", '{"n":1}'), ("call_3", "a", '{"n":1}'),
    ]  # fmt: skip
    assert results(request) == [("call_1", "a"), ("call_3", "a"), ("call_2", "b")]


def test_a_result_without_a_name_answers_the_next_call() -> None:
    said = {"role": "assistant", "content": "", "tool_calls": [call("a"), call("b")]}
    request = chat(USER, said, {"role": "tool", "content": "1"}, {"role": "tool", "content": "2"})
    assert results(request) == [("call_1", "a"), ("call_2", "b")]


def test_ids_that_are_given_are_kept() -> None:
    said = {"role": "assistant", "content": "", "tool_calls": [call("a", id="x"), call("a", id="y")]}
    request = chat(USER, said, {"role": "tool", "tool_call_id": "y", "content": "for y"})
    assert results(request) == [("y", "a")]


def test_made_ids_stay_the_same_while_the_conversation_grows() -> None:
    said = {"role": "assistant", "content": "", "tool_calls": [call("a")]}
    answered = {"role": "tool", "tool_name": "a", "content": "1"}
    short = chat(USER, said, answered)
    grown = chat(USER, said, answered, said, answered)
    assert grown.turns[: len(short.turns)] == short.turns
    assert results(grown) == [("call_1", "a"), ("call_2", "a")]


@pytest.mark.parametrize(
    ("data", "kind"),
    [("iVBORw0KGgo=", "image/png"), ("/9j/4AAQ", "image/jpeg"), ("R0lGODlh", "image/gif"),
     ("UklGRgAAAABXRUJQ", "image/webp"), ("data:image/bmp;base64,Qk0=", "image/bmp")],
)  # fmt: skip
def test_pictures_are_known_by_how_they_begin(data: str, kind: str) -> None:
    (turn,) = chat({**USER, "images": [data]}).turns
    image = turn.blocks[1]
    assert isinstance(image, ImageBlock)
    assert isinstance(image.source, DataSource)
    assert (image.source.media_type, image.source.data) == (kind, data.rpartition(",")[2])


@pytest.mark.parametrize("data", ["aGVsbG8gd29ybGQ=", "%%%", 7])
def test_what_is_no_picture_is_refused_where_it_stands(data: Any) -> None:
    with pytest.raises(BadRequest) as caught:
        chat(USER, {**USER, "images": ["iVBORw0KGgo=", data]})
    assert caught.value.param == "messages[1].images[1]"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": "hi"}, "messages"),
        ({"messages": [{"role": "judge", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": ["x"]}]}, "messages[0].content"),
        ({"messages": [USER], "options": {"temperature": "hot"}}, "options.temperature"),
        ({"messages": [USER], "options": {"stop": [1]}}, "options.stop"),
        ({"messages": [USER], "format": "xml"}, "format"),
        ({"messages": [USER], "think": 3}, "think"),
        ({"messages": [USER], "tools": [{"type": "function"}]}, "tools[0].function"),
        (
            {"messages": [USER, {"role": "assistant", "tool_calls": [{}]}]},
            "messages[1].tool_calls[0].function",
        ),
    ],
)
def test_a_wrong_request_is_refused_with_the_place(body: Any, param: str) -> None:
    with pytest.raises(BadRequest) as caught:
        SERVER.decode_request(json.dumps({"model": "m", **body}).encode())
    assert caught.value.param == param


@pytest.mark.parametrize("field", [{"suffix": "}"}, {"context": [1]}, {"raw": True}])
def test_what_only_a_local_model_can_do_is_refused(field: Any) -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        generate(prompt="def f():", **field)
    assert caught.value.param == next(iter(field))


@pytest.mark.parametrize("field", [{"suffix": ""}, {"context": []}, {"raw": False}, {"template": None}])
def test_what_asks_for_nothing_is_not_worth_a_word(field: Any) -> None:
    request = generate(prompt="hi", **field)
    assert (request.extra, request.dropped) == ({}, ())


@pytest.mark.parametrize(("given", "limit"), [(64, 64), (-1, None), (-2, None), (0, None)])
def test_an_endless_answer_is_one_without_a_limit(given: int, limit: int | None) -> None:
    assert chat(options={"num_predict": given}).max_output == limit


@pytest.mark.parametrize(
    ("think", "shows"), [(None, True), (True, True), ("low", True), (False, False), ("none", False)]
)
def test_thinking_is_shown_unless_it_is_switched_off(think: Any, shows: bool) -> None:
    assert SERVER.shows_reasoning(chat(think=think)) is shows


def test_a_body_nested_too_deeply_is_refused() -> None:
    deep = b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 100_000 + b"]" * 100_000 + b"}]}"
    with pytest.raises(BadRequest):
        SERVER.decode_request(deep)
