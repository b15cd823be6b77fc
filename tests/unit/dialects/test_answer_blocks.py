"""Blocks of an answer under the numbers its format gives them."""

from __future__ import annotations

import pytest

from pi_model_proxy.dialects import answer_blocks as module
from pi_model_proxy.dialects.answer_blocks import AnswerBlocks
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.hub import (
    ArgumentsDelta,
    BlockStart,
    BlockStop,
    Opaque,
    OpaqueDelta,
    ReasoningBlock,
    TextBlock,
    TextDelta,
    Tool,
    ToolCallBlock,
)

SEAL = Opaque(kind="pi_signature", data="s")


def test_what_a_later_block_says_waits_for_the_one_in_front() -> None:
    blocks = AnswerBlocks(ToolNames())
    blocks.say("a", "text", "1")
    blocks.say("b", "text", "2")
    blocks.say("a", "text", "3")
    assert blocks.take() == [
        BlockStart(index=0, block=TextBlock(text="")),
        TextDelta(0, "1"),
        TextDelta(0, "3"),
    ]
    blocks.stop("b")
    assert blocks.take() == []
    blocks.stop_all()
    assert blocks.take() == [
        BlockStop(0),
        BlockStart(index=1, block=TextBlock(text="")),
        TextDelta(1, "2"),
        BlockStop(1),
    ]


def test_a_token_comes_last_and_may_be_all_there_is() -> None:
    blocks = AnswerBlocks(ToolNames())
    blocks.seal(0, Opaque(kind="pi_signature", data="first"))
    blocks.seal(0, SEAL)
    blocks.stop(0)
    assert blocks.take() == [
        BlockStart(index=0, block=ReasoningBlock()),
        OpaqueDelta(0, SEAL),
        BlockStop(0),
    ]


def test_a_free_form_input_comes_whole() -> None:
    blocks = AnswerBlocks(ToolNames((Tool(kind="custom", name="p"),)))
    blocks.call(0, "p", call_id="x")
    blocks.argue(0, '{"input":')
    assert [type(event) for event in blocks.take()] == [BlockStart]
    blocks.argue(0, '"hi"}')
    blocks.stop(0)
    assert blocks.take() == [ArgumentsDelta(0, "hi"), BlockStop(0)]


def test_what_belongs_to_no_open_block_changes_nothing() -> None:
    blocks = AnswerBlocks(ToolNames())
    blocks.complete(0, "whole")
    blocks.stop(0)
    assert not blocks.argue(0, "x")
    blocks.say(0, "text", "")
    assert not blocks.argue(0, "x")
    assert [type(event) for event in blocks.take()] == [BlockStart]


def test_ids_that_were_taken_are_replaced() -> None:
    blocks = AnswerBlocks(ToolNames())
    for key, call_id in enumerate(("x", "x", "", "call", "x_1")):
        blocks.call(key, "f", call_id=call_id)
    blocks.stop_all()
    stubs = [event.block for event in blocks.take() if isinstance(event, BlockStart)]
    ids = [stub.id for stub in stubs if isinstance(stub, ToolCallBlock)]
    assert ids[0] == "x"
    assert len(set(ids)) == len(ids)


def test_arguments_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_HELD_CHARS", 5)
    blocks = AnswerBlocks(ToolNames())
    blocks.call(0, "f", call_id="x")
    blocks.argue(0, "12345")
    with pytest.raises(BrokenStream, match="given up"):
        blocks.argue(0, "6")
