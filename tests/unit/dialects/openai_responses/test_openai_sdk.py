"""OpenAI's own SDK reads what we write: every event by its types, every stream by its helper.

Source: openai-python 3.54.0, `types/responses` and `lib/streaming/responses/_responses.py`.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import BaseModel

from pi_model_proxy.dialects.openai_responses import RELAY, SERVER
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    Failure,
    Finish,
    Opaque,
    OpaqueDelta,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    Usage,
    UsageUpdate,
    fold,
)
from support.openai_reader import client_of, created, events_of, streamed, valid_event, valid_response
from support.responses_caller import context, target
from support.responses_grammar import payloads_of

pytestmark = pytest.mark.clients

BODY = {
    "model": "acme/m",
    "instructions": "be kind",
    "input": "hi",
    "reasoning": {"effort": "high", "summary": "auto"},
    "text": {
        "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}},
        "verbosity": "low",
    },
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}},
        {"type": "custom", "name": "p", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
        {
            "type": "namespace",
            "name": "crm",
            "description": "d",
            "tools": [{"type": "function", "name": "get"}],
        },
        {"type": "apply_patch"},
        {"type": "shell", "environment": {"type": "local"}},
        {"type": "local_shell"},
    ],
    "tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
    "metadata": {"a": "b"},
    "max_output_tokens": 99,
}
ASKED = context(BODY, clock=lambda: 1_760_000_009)
SIGNED = Opaque(kind="anthropic_signature", data="c2ln")
CITED = Citation(url="https://a.example", title="A")


def answer(*blocks: list[Event], finish: Finish | Failure) -> list[Event]:
    counts = UsageUpdate(Usage(input=5, cache_read=3, output=7, reasoning=4))
    return [Start(id="x", model="m-1"), *(event for block in blocks for event in block), counts, finish]


def text(index: int, *texts: str) -> list[Event]:
    said = [TextDelta(index, each) for each in texts]
    return [
        BlockStart(index=index, block=TextBlock(text="")),
        *said,
        CitationDelta(index, CITED),
        BlockStop(index),
    ]


def call(index: int, arguments: str, **members: Any) -> list[Event]:
    stub = ToolCallBlock(**{"id": f"call_{index}", "name": "f", **members})
    return [BlockStart(index=index, block=stub), ArgumentsDelta(index, arguments), BlockStop(index)]


THOUGHT: list[Event] = [
    BlockStart(index=0, block=ReasoningBlock()),
    TextDelta(0, "Hm."),
    OpaqueDelta(0, SIGNED),
    BlockStop(0),
]
REFUSED: list[Event] = [BlockStart(index=0, block=RefusalBlock(text="")), TextDelta(0, "No."), BlockStop(0)]
EVERYTHING = answer(
    THOUGHT,
    text(1, '{"city":', '"Rome\u2028"}'),
    call(2, '{"a":1}'),
    call(3, "*** Begin", name="p", custom=True),
    call(4, "{}", name="get", namespace="crm"),
    call(5, '{"type":"delete_file","path":"a"}', name="apply_patch"),
    call(6, '{"commands":["ls"]}', name="shell"),
    call(7, '{"command":["ls"]}', name="local_shell"),
    finish=Finish(reason="tool_calls"),
)
ANSWERS = {
    "everything": EVERYTHING,
    "text": answer(text(0, "Hel", "lo"), finish=Finish(reason="stop")),
    "nothing": answer(finish=Finish(reason="stop")),
    "refusal": answer(REFUSED, finish=Finish(reason="refusal")),
    "cut in a call": answer(text(0, "a"), call(1, '{"a":'), finish=Finish(reason="length")),
    "filtered": answer(text(0, "a"), finish=Finish(reason="content_filter")),
    "failed": answer(text(0, "a"), finish=Failure(UpstreamError("Busy", kind="upstream"))),
}
CONTEXTS = {
    "asked for a summary": ASKED,
    "asked for thinking": context({"reasoning": {"effort": "low"}}),
    "asked for nothing": context(BODY | {"reasoning": None}, shows_reasoning=False),
}


def stream_of(events: list[Event], where: Any = ASKED) -> bytes:
    encoder = SERVER.stream_encoder(where)
    return b"".join(encoder.feed(event) for event in events)


@pytest.mark.parametrize("where", CONTEXTS.values(), ids=CONTEXTS)
@pytest.mark.parametrize("events", ANSWERS.values(), ids=ANSWERS)
def test_every_event_is_of_its_type(events: list[Event], where: Any) -> None:
    data = stream_of(events, where)
    for payload in payloads_of(data):
        event = valid_event(payload)
        assert event.type == payload["type"]
        assert not event.model_extra, event.model_extra
    assert [event.type for event in events_of(data)] == [payload["type"] for payload in payloads_of(data)]


@pytest.mark.parametrize("where", CONTEXTS.values(), ids=CONTEXTS)
@pytest.mark.parametrize("name", [name for name in ANSWERS if name != "failed"])
def test_plain_answers_are_of_their_type(name: str, where: Any) -> None:
    body = SERVER.encode_message(fold(ANSWERS[name]), where)
    given = valid_response(json.loads(body))
    extra = set(given.model_extra or {})
    assert extra <= {"store", "presence_penalty", "frequency_penalty"}  # Open Responses asks for these
    assert created(body).id == given.id


@pytest.mark.parametrize("name", ["everything", "text", "nothing", "refusal"])
def test_the_stream_helper_adds_up_the_answer(name: str) -> None:
    whole = streamed(stream_of(ANSWERS[name]))
    plain = created(SERVER.encode_message(fold(ANSWERS[name]), ASKED))
    assert whole.output_text == plain.output_text
    assert [item.type for item in whole.output] == [item.type for item in plain.output]
    assert whole.usage == plain.usage


def test_calls_come_with_their_arguments() -> None:
    whole = streamed(stream_of(EVERYTHING))
    calls = {item.type: item for item in whole.output}
    assert calls["custom_tool_call"].input == "*** Begin"  # type: ignore[union-attr]  # that is its type
    assert calls["apply_patch_call"].operation.type == "delete_file"  # type: ignore[union-attr]
    assert calls["shell_call"].action.commands == ["ls"]  # type: ignore[union-attr]
    assert calls["local_shell_call"].action.command == ["ls"]  # type: ignore[union-attr]


class Town(BaseModel):
    city: str


def test_answers_are_parsed_into_what_was_asked_for() -> None:
    with client_of(stream_of(EVERYTHING)) as client:
        with client.responses.stream(model="m", input="hi", text_format=Town) as stream:
            assert stream.get_final_response().output_parsed == Town(city="Rome\u2028")
    body = SERVER.encode_message(fold(EVERYTHING), ASKED)
    with client_of(body, content_type="application/json") as client:
        assert client.responses.parse(model="m", input="hi", text_format=Town).output_parsed == Town(
            city="Rome\u2028"
        )


@pytest.mark.parametrize(("name", "status"), [("cut in a call", "incomplete"), ("failed", "failed")])
def test_an_answer_that_is_not_complete_is_no_success(name: str, status: str) -> None:
    data = stream_of(ANSWERS[name])
    with pytest.raises(RuntimeError, match=r"response\.completed"):
        streamed(data)
    assert events_of(data)[-1].response.status == status


def test_pings_are_skipped() -> None:
    data = stream_of(ANSWERS["text"])
    assert streamed(data.replace(b"\n\n", b"\n\n: keep-alive\n\n")).output_text == "Hello"


@pytest.mark.parametrize("name", ["everything", "text", "refusal"])
def test_what_a_relay_passes_on_reads_the_same(name: str) -> None:
    data = stream_of(ANSWERS[name])
    pipe = RELAY.stream_pipe(context(BODY, model="other/m", target=target(kind="openai-responses")))
    told = pipe.feed(data) + pipe.close()
    for payload in payloads_of(told):
        valid_event(payload)
    assert streamed(told).output == streamed(data).output
    assert streamed(told).model == "other/m"


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (UpstreamError("m", status=429, kind="rate_limit"), "RateLimitError"),
        (UpstreamError("m", status=400, kind="context_too_long"), "BadRequestError"),
        (UpstreamError("m", status=529, kind="overloaded"), "InternalServerError"),
    ],
)
def test_errors_are_raised_by_their_names(error: UpstreamError, raised: str) -> None:
    told = SERVER.encode_error(error, "req_1")
    with client_of(told.body, status=told.status, content_type="application/json") as client:
        with pytest.raises(Exception, match="m") as caught:
            client.responses.create(model="m", input="hi")
    assert type(caught.value).__name__ == raised
