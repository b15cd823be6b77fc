"""The reader that judges our streams sees every fault: a check that cannot fail would prove nothing."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from pi_model_proxy.hub import (
    Citation,
    Finish,
    Message,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    ToolCallBlock,
    Usage,
    unfold,
)
from support.responses_caller import context, told
from support.responses_grammar import REQUIRED, GrammarError, check_stream, payloads_of

Json = dict[str, Any]
ANSWER = Message(
    blocks=(
        ReasoningBlock(text="Hm."),
        TextBlock(text="Rome.", citations=(Citation(url="https://a.example"),)),
        RefusalBlock(text="No."),
        ToolCallBlock(id="call_1", name="f", arguments='{"a":1}'),
        ToolCallBlock(id="call_2", name="p", custom=True, arguments="x"),
    ),
    usage=Usage(input=5, cache_read=3, output=7, reasoning=4),
    finish=Finish(reason="tool_calls"),
)
SUMMARY = told(unfold(ANSWER), context({"reasoning": {"summary": "auto"}}))
CONTENT = told(unfold(ANSWER))


def written(payloads: list[Json]) -> bytes:
    """Return a stream, numbered anew."""
    frames = (
        f"event: {each['type']}\ndata: {json.dumps({**each, 'sequence_number': n})}\n\n"
        for n, each in enumerate(payloads)
    )
    return "".join(frames).encode()


@pytest.mark.parametrize("payloads", [SUMMARY, CONTENT], ids=["summary", "content"])
def test_no_event_can_be_missing_or_come_twice_or_too_early(payloads: list[Json]) -> None:
    check_stream(written(payloads))
    for place in range(len(payloads)):
        without = payloads[:place] + payloads[place + 1 :]
        twice = payloads[: place + 1] + payloads[place:]
        early = payloads[:]
        early[place - 1 : place + 1] = reversed(payloads[place - 1 : place + 1])
        moves = place > 0 and not payloads[place]["type"].endswith(
            "annotation.added"
        )  # may come before the text
        for broken in (without, twice, *([early] if moves else [])):
            with pytest.raises((GrammarError, KeyError)):
                check_stream(written(broken))


@pytest.mark.parametrize(
    "name", ["item_id", "output_index", "content_index", "summary_index", "annotation_index", "delta", "text", "part", "item", "arguments", "input", "refusal"],
)  # fmt: skip
def test_no_member_of_an_event_can_be_another(name: str) -> None:
    others: Json = {"part": {"type": "else"}, "item": {"type": "message", "id": "msg_9"}}
    for payloads in (SUMMARY, CONTENT):
        for place, payload in enumerate(payloads):
            if name in payload:
                broken = copy.deepcopy(payloads)
                broken[place][name] = others.get(name, 7 if isinstance(payload[name], int) else "else")
                with pytest.raises((GrammarError, KeyError)):
                    check_stream(written(broken))


@pytest.mark.parametrize("name", sorted(REQUIRED))
def test_no_member_of_the_response_can_be_missing(name: str) -> None:
    for place in (0, 1, -1):
        broken = copy.deepcopy(SUMMARY)
        del broken[place]["response"][name]
        with pytest.raises(GrammarError):
            check_stream(written(broken))


@pytest.mark.parametrize(
    "change",
    [
        {"id": "resp_else"},
        {"status": "incomplete"},
        {"status": "in_progress"},
        {"error": {"code": "x", "message": "y"}},
        {"incomplete_details": {"reason": "max_output_tokens"}},
        {"output": []},
        {"usage": None},
        {"text": {}},
        {"tools": [{"type": "function", "name": "f"}]},
    ],
)
def test_the_end_cannot_say_something_else(change: Json) -> None:
    broken = copy.deepcopy(SUMMARY)
    broken[-1]["response"].update(change)
    with pytest.raises(GrammarError):
        check_stream(written(broken))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"event: response.created\n", b""),
        (b"event: response.created", b"event: response.queued"),
        (b"\n\nevent: response.in_progress", b"\nevent: response.in_progress"),
        (b'"sequence_number": 3}', b'"sequence_number": 4}'),
        (b"Rome", "Rome\u2028".encode()),
        (b'"total_tokens": 15', b'"total_tokens": 16'),
        (b'"cached_tokens": 3', b'"cached_tokens": 30'),
    ],
)
def test_framing_and_counts_are_looked_at(old: bytes, new: bytes) -> None:
    data = written(SUMMARY)
    assert old in data
    with pytest.raises(GrammarError):
        check_stream(data.replace(old, new))


def test_comments_are_no_events() -> None:
    assert payloads_of(b": keep-alive\n\n" + written(SUMMARY))[0]["type"] == "response.created"
