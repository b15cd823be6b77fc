from __future__ import annotations

import pytest

from pi_model_proxy.errors import BrokenStream, UpstreamError
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Citation,
    CitationDelta,
    Event,
    Failure,
    Finish,
    ImageBlock,
    Message,
    Opaque,
    OpaqueDelta,
    Ping,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    ToolCallBlock,
    UrlSource,
    Usage,
    UsageUpdate,
    check_order,
    fold,
    unfold,
)

STOP = Finish(reason="stop")
SIGNATURE = Opaque(kind="anthropic_signature", data="s")
WHOLE = Message(
    id="m1",
    model="x",
    blocks=(
        ReasoningBlock(text="hm", opaque=SIGNATURE),
        ReasoningBlock(opaque=SIGNATURE),
        TextBlock(text="hello", citations=(Citation(url="https://a"),)),
        RefusalBlock(text="no"),
        ToolCallBlock(id="c1", name="f", arguments='{"a":1}', opaque=SIGNATURE),
        ToolCallBlock(id="c2", name="g"),
        RawBlock(dialect="anthropic_messages", type_name="server_tool_use", data="{}"),
        ImageBlock(source=UrlSource("https://b")),
    ),
    usage=Usage(input=3, output=4, cache_read=2, cache_write_1h=1, reasoning=1),
    finish=STOP,
)


def test_a_message_is_the_fold_of_its_own_events() -> None:
    events = list(unfold(WHOLE))
    assert fold(events) == WHOLE
    assert check_order(events) is None


def test_totals_count_every_part_once() -> None:
    assert WHOLE.usage.total_input == 6
    assert WHOLE.usage.total == 10


def test_pieces_are_joined_in_order() -> None:
    events: list[Event] = [
        Start(usage=Usage(input=9)),
        Ping(),
        BlockStart(index=0, block=TextBlock(text="")),
        TextDelta(0, "a"),
        TextDelta(0, "b"),
        BlockStop(0),
        UsageUpdate(Usage(input=9, output=2)),
        STOP,
    ]
    message = fold(events)
    assert message.blocks == (TextBlock(text="ab"),)
    assert message.usage == Usage(input=9, output=2)


def test_a_failure_is_raised_as_it_is() -> None:
    error = UpstreamError("no", status=529)
    with pytest.raises(UpstreamError) as caught:
        fold([Start(), Failure(error)])
    assert caught.value is error


def test_events_without_an_end_are_no_answer() -> None:
    with pytest.raises(BrokenStream):
        fold([Start()])


TEXT = BlockStart(index=0, block=TextBlock(text=""))
CALL = BlockStart(index=0, block=ToolCallBlock(id="c", name="f"))


@pytest.mark.parametrize(
    ("events", "fault"),
    [
        ([Start(), STOP], None),
        ([Failure(UpstreamError("x"))], None),
        ([], "no end"),
        ([Start()], "no end"),
        ([Start(), Start(), STOP], "a second Start"),
        ([STOP], "Finish before Start"),
        ([Ping(), Start(), STOP], "Ping before Start"),
        ([UsageUpdate(Usage()), Start(), STOP], "UsageUpdate before Start"),
        ([Start(), STOP, Ping()], "Ping after the end"),
        (
            [Start(), BlockStart(index=1, block=TextBlock(text="")), BlockStop(1), STOP],
            "BlockStart 1 out of order",
        ),
        ([Start(), TEXT, TEXT, BlockStop(0), STOP], "BlockStart 0 out of order"),
        ([Start(), TEXT, STOP], "Finish before the last block was closed"),
        ([Start(), BlockStop(0), STOP], "BlockStop 0 without its start"),
        ([Start(), TextDelta(0, "a"), STOP], "TextDelta for block 0, which is not open"),
        (
            [Start(), CALL, ArgumentsDelta(1, "a"), BlockStop(0), STOP],
            "ArgumentsDelta for block 1, which is not open",
        ),
        ([Start(), OpaqueDelta(0, SIGNATURE), STOP], "OpaqueDelta for block 0, which is not open"),
        ([Start(), CitationDelta(0, Citation()), STOP], "CitationDelta for block 0, which is not open"),
    ],
)
def test_the_law_of_order_names_each_breach(events: list[Event], fault: str | None) -> None:
    assert check_order(events) == fault
