"""What the scripted models do with what they are asked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.demo.samples import sample
from pi_model_proxy.demo.scenes import (
    LABEL,
    SCENES,
    Ask,
    Call,
    Offered,
    Result,
    Say,
    Scene,
    Script,
    Thought,
    pieces,
    play,
)

SCENE = {scene.id: scene for scene in SCENES}
WEATHER = Offered(name="weather", schema={"type": "object", "properties": {"city": {"type": "string"}}})
CLOCK = Offered(name="clock", schema={})


def played(scene: str, **asked: Any) -> Script:
    return play(SCENE[scene], Ask(model="m", **{"user_text": "hello you", "input_chars": 40, **asked}))


def said(script: Script) -> str:
    return "".join(step.text for step in script.steps if isinstance(step, Say))


def calls(script: Script) -> list[Call]:
    return [step for step in script.steps if isinstance(step, Call)]


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.id)
def test_every_answer_says_that_it_is_scripted_and_what_it_was_asked(scene: Scene) -> None:
    script = played(scene.id)
    assert said(script).startswith(LABEL)
    assert "9 characters in 2 words" in said(script)
    assert script == played(scene.id)


def test_the_same_words_always_cost_the_same() -> None:
    script = played("text", images=2, documents=1)
    assert script.input_tokens == 10 + 3 * 85
    assert script.output_tokens == -(-len(said(script)) // 4)


def test_the_tools_model_calls_the_first_tool_with_arguments_of_its_schema_then_tells_the_result() -> None:
    first = played("tools", tools=(WEATHER, CLOCK))
    assert [(call.name, json.loads(call.arguments)) for call in calls(first)] == [
        ("weather", {"city": "demo city"})
    ]
    assert first.finish == "tool_calls"
    second = played("tools", tools=(WEATHER,), results=(Result(name="weather", text="sunny"),))
    assert not calls(second)
    assert "weather answered: sunny" in said(second)
    assert second.finish == "stop"


def test_without_tools_the_tools_model_says_so() -> None:
    assert "no tool" in said(played("tools"))


def test_parallel_calls_come_when_the_user_says_the_word_and_the_request_allows_it() -> None:
    asked = {"user_text": "in parallel please", "tools": (WEATHER, CLOCK)}
    assert [call.name for call in calls(played("tools", **asked))] == ["weather", "clock"]
    assert len(calls(played("tools", **asked, parallel=False))) == 1


def test_any_model_calls_a_tool_when_it_must() -> None:
    script = played("text", tools=(WEATHER, CLOCK), must_call=True, must_call_name="clock")
    assert [call.name for call in calls(script)] == ["clock"]


def test_a_custom_tool_gets_text() -> None:
    (call,) = calls(played("tools", tools=(Offered(name="p", schema={}, custom=True),)))
    assert call.custom
    assert call.arguments.startswith(LABEL)


def test_thinking_comes_first_is_counted_and_can_be_turned_off() -> None:
    script = played("thinking")
    assert isinstance(script.steps[0], Thought)
    assert 0 < script.reasoning_tokens < script.output_tokens
    assert not [step for step in played("thinking", thinking_off=True).steps if isinstance(step, Thought)]


def test_the_vision_model_counts_what_it_sees() -> None:
    assert "2 image(s) and 1 document(s)" in said(played("vision", images=2, documents=1))


def test_the_long_answer_is_long() -> None:
    assert len(pieces(said(played("long")))) > 500


def test_an_answer_ends_at_its_limit() -> None:
    script = played("text", max_tokens=5)
    assert (script.finish, script.output_tokens, len(said(script))) == ("length", 5, 20)
    assert not played("thinking", max_tokens=1).steps[1:]


def test_an_answer_ends_before_its_stop_sequence() -> None:
    script = played("text", stops=("", "words", "characters"))
    assert said(script).endswith(" has 9 ")
    assert (script.finish, script.stop_sequence) == ("stop_sequence", "characters")


def test_a_form_is_filled() -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    assert json.loads(said(played("text", schema=schema))) == {"n": 1}
    assert json.loads(said(played("text", wants_json=True))) == {"scripted": True, "characters": 9}


def test_pieces_are_words_and_lose_nothing() -> None:
    assert pieces(" a b\n\nc ") == [" a ", "b\n\n", "c "]
    assert pieces("") == []
    assert pieces("  ") == ["  "]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "demo value"),
        ({"type": "string", "format": "date"}, "2026-01-31"),
        ({"type": "string", "minLength": 12}, "demo value.."),
        ({"type": "string", "maxLength": 4}, "demo"),
        ({"type": "string", "enum": ["b", "a"]}, "b"),
        ({"const": 7}, 7),
        ({"default": None}, None),
        ({"examples": ["e"]}, "e"),
        ({"type": "integer", "minimum": 5}, 5),
        ({"type": "number"}, 1.0),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["null", "integer"]}, 1),
        ({"type": ["null"]}, None),
        ({"type": "array", "items": {"type": "boolean"}, "minItems": 2}, [True, True]),
        ({"type": "array"}, [None]),
        ({"anyOf": [{"type": "null"}, {"type": "integer"}]}, 1),
        ({"oneOf": [7]}, None),
        (
            {"type": "object", "properties": {"a": {}, "b": {"type": "boolean"}}, "required": ["b"]},
            {"b": True},
        ),
        ({"type": "object", "properties": 7}, {}),
        ({"properties": {"a": {"$ref": "#/$defs/x"}}, "$defs": {"x": {"type": "boolean"}}}, {"a": True}),
        ({"$ref": "#/nowhere/at/all"}, None),
        ({}, "demo value"),
    ],
)
def test_a_sample_fits_its_schema(schema: dict[str, Any], value: object) -> None:
    assert sample(schema) == value


def test_a_schema_that_holds_itself_comes_to_an_end() -> None:
    schema = {"type": "object", "properties": {"next": {"$ref": "#"}}}
    assert "null" in json.dumps(sample(schema))
