"""Stop sequences for upstreams that have none."""

from __future__ import annotations

import itertools
import random

import pytest

from pi_model_proxy.dialects.stopping import StopFilter
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Event,
    Failure,
    Finish,
    ReasoningBlock,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    Usage,
    UsageUpdate,
    check_order,
    fold,
)


def answer(*texts: str, index: int = 0) -> list[Event]:
    """Return an answer of one text block, said in these pieces."""
    said = [TextDelta(index, text) for text in texts]
    return [
        Start(),
        BlockStart(index=index, block=TextBlock(text="")),
        *said,
        BlockStop(index),
        Finish(reason="stop"),
    ]


def filtered(stops: tuple[str, ...], events: list[Event]) -> list[Event]:
    stop = StopFilter(stops)
    heard = [each for event in events for each in stop.feed(event)]
    assert check_order(heard) is None
    assert stop.done
    return heard


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


@pytest.mark.parametrize(
    ("stops", "text", "kept", "matched"),
    [
        (("END",), "one END two", "one ", "END"),
        (("END",), "one EN", "one EN", None),
        (("END",), "END", "", "END"),
        (("b", "ab"), "xab", "x", "ab"),
        (("abcd", "bc"), "xabcdx", "xa", "bc"),
        (("aab",), "aaab", "a", "aab"),
        (("\n\n",), "a\nb\n\nc", "a\nb", "\n\n"),
        (("",), "text", "text", None),
        ((), "text", "text", None),
    ],
)
def test_where_the_text_ends_does_not_depend_on_how_it_is_split(
    stops: tuple[str, ...], text: str, kept: str, matched: str | None
) -> None:
    chance = random.Random(7)
    for _ in range(50):
        cuts = sorted(chance.choices(range(len(text) + 1), k=chance.randrange(len(text) + 1)))
        pieces = [text[start:end] for start, end in itertools.pairwise([0, *cuts, len(text)])]
        events = filtered(stops, answer(*pieces))
        assert said(events) == kept
        last = events[-1]
        assert isinstance(last, Finish)
        assert (last.reason, last.stop_sequence) == (("stop_sequence" if matched else "stop"), matched)


def test_text_is_held_back_only_while_it_may_be_a_stop_sequence() -> None:
    stop = StopFilter(["END"])
    for event in answer("x")[:2]:
        stop.feed(event)
    assert stop.feed(TextDelta(0, "a E")) == [TextDelta(0, "a ")]
    assert stop.feed(TextDelta(0, "N")) == []
    assert stop.feed(TextDelta(0, "T")) == [TextDelta(0, "ENT")]


def test_thinking_and_calls_may_hold_the_stop_sequence() -> None:
    events: list[Event] = [
        Start(),
        BlockStart(index=0, block=ReasoningBlock()),
        TextDelta(0, "END"),
        BlockStop(0),
        BlockStart(index=1, block=ToolCallBlock(id="c", name="f")),
        ArgumentsDelta(1, '"END"'),
        BlockStop(1),
        Finish(reason="tool_calls"),
    ]
    assert filtered(("END",), events) == events


def test_nothing_follows_the_stop() -> None:
    events = [*answer("aENDb")[:-1], UsageUpdate(Usage(output=3)), Finish(reason="length")]
    message = fold(filtered(("END",), events))
    assert message.blocks == (TextBlock(text="a"),)
    assert message.finish == Finish(reason="stop_sequence", stop_sequence="END")


def test_what_was_held_back_is_said_before_a_failure() -> None:
    failure = Failure(BrokenStream("cut"))
    events: list[Event] = [
        Start(),
        BlockStart(index=0, block=TextBlock(text="")),
        TextDelta(0, "a EN"),
        failure,
    ]
    heard = filtered(("END",), events)
    assert heard[-2:] == [TextDelta(0, "EN"), failure]
