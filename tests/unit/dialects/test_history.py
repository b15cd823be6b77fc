"""Histories that upstreams would refuse, made acceptable."""

from __future__ import annotations

from typing import Any

import pytest

from pi_model_proxy.dialects.history import (
    IMAGE_AFTERWARDS,
    IMAGE_OMITTED,
    NO_RESULT,
    TOOL_IMAGE_OMITTED,
    HistoryRules,
    repair_history,
)
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import (
    Block,
    CacheMark,
    DocumentBlock,
    ImageBlock,
    Opaque,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    UrlSource,
)
from support.messages_wire import ask, target

MARK = CacheMark(ttl="1h")
PICTURE = ImageBlock(source=UrlSource(url="https://x/y.png"), at="here")


def rules(**changes: Any) -> HistoryRules:
    return HistoryRules(**{"dialect": "anthropic_messages", "provider": "p", "model": "m", **changes})


def repaired(*turns: Turn, **changes: Any) -> tuple[Turn, ...]:
    return repair_history(turns, rules(**changes), Losses(ask(), target()))


def lost(*turns: Turn, **changes: Any) -> tuple[str, ...]:
    losses = Losses(ask(), target())
    repair_history(turns, rules(**changes), losses)
    return losses.paths


def user(*blocks: Block | str) -> Turn:
    return Turn(role="user", blocks=_blocks(blocks))


def assistant(*blocks: Block | str) -> Turn:
    return Turn(role="assistant", blocks=_blocks(blocks))


def tool(*blocks: Block) -> Turn:
    return Turn(role="tool", blocks=blocks)


def _blocks(blocks: tuple[Block | str, ...]) -> tuple[Block, ...]:
    return tuple(TextBlock(text=each) if isinstance(each, str) else each for each in blocks)


def call(call_id: str, name: str = "f", **more: Any) -> ToolCallBlock:
    return ToolCallBlock(id=call_id, name=name, **more)


def result(call_id: str, *content: Any, **more: Any) -> ToolResultBlock:
    parts = tuple(TextBlock(text=each) if isinstance(each, str) else each for each in content or ("ok",))
    return ToolResultBlock(call_id=call_id, content=parts, **more)


def answers(turns: tuple[Turn, ...]) -> list[tuple[str, str]]:
    """Return (call id, text) of every result, in order."""
    found = [block for turn in turns for block in turn.blocks if isinstance(block, ToolResultBlock)]
    return [
        (each.call_id, "".join(part.text for part in each.content if isinstance(part, TextBlock)))
        for each in found
    ]


def test_an_orphan_call_is_answered_also_at_the_very_end() -> None:
    turns = repaired(user("hi"), assistant(call("a", at="x")))
    assert [turn.role for turn in turns] == ["user", "assistant", "tool"]
    answer = turns[2].blocks[0]
    assert isinstance(answer, ToolResultBlock)
    assert (answer.is_error, answer.name, answer.at) == (True, "f", "x")
    assert answers(turns) == [("a", NO_RESULT)]


def test_an_orphan_result_becomes_what_the_user_says() -> None:
    turns = repaired(user("hi"), tool(result("ghost", "42", name="calc")), user("go"))
    assert [turn.role for turn in turns] == ["user", "user", "user"]
    assert turns[1].blocks[0] == TextBlock(text="Result of an earlier tool call (calc, ghost):")
    assert repaired(tool(result("ghost")))[0].blocks[0] == TextBlock(
        text="Result of an earlier tool call (ghost):"
    )


def test_results_stand_right_after_their_calls_in_the_calls_order() -> None:
    turns = repaired(
        assistant(call("a"), call("b")), user("wait"), tool(result("b", "B")), tool(result("a", "A"))
    )
    assert [turn.role for turn in turns] == ["assistant", "tool", "user"]
    assert answers(turns) == [("a", "A"), ("b", "B")]


def test_a_second_result_for_one_call_becomes_text() -> None:
    turns = repaired(assistant(call("a")), tool(result("a", "1"), result("a", "2")))
    assert [turn.role for turn in turns] == ["assistant", "tool", "user"]
    assert answers(turns) == [("a", "1")]


def test_calls_that_share_an_id_are_told_apart_and_answered_in_turn() -> None:
    turns = repaired(assistant(call("a"), call("a")), tool(result("a", "1"), result("a", "2")))
    ids = [block.id for block in turns[0].blocks if isinstance(block, ToolCallBlock)]
    assert len(set(ids)) == 2
    assert answers(turns) == [(ids[0], "1"), (ids[1], "2")]


def test_a_result_answers_the_latest_turn_that_used_its_id() -> None:
    turns = repaired(assistant(call("a")), user("no"), assistant(call("a")), tool(result("a", "late")))
    assert [text for _, text in answers(turns)] == [NO_RESULT, "late"]


def test_parallel_calls_written_as_one_turn_each_are_joined() -> None:
    turns = repaired(assistant(call("a")), assistant(call("b")), tool(result("a")), tool(result("b")))
    assert [turn.role for turn in turns] == ["assistant", "tool"]


def test_ids_are_cut_to_the_upstream_s_length_on_both_sides() -> None:
    turns = repaired(assistant(call("x" * 60)), tool(result("x" * 60)), max_call_id=40)
    made = turns[0].blocks[0]
    assert isinstance(made, ToolCallBlock)
    assert len(made.id) == 40
    assert answers(turns) == [(made.id, "ok")]


def test_an_instruction_between_call_and_result_comes_after() -> None:
    system = Turn(role="system", blocks=(TextBlock(text="s"),))
    turns = repaired(assistant(call("a")), system, tool(result("a")))
    assert [turn.role for turn in turns] == ["assistant", "tool", "system"]
    folded = repaired(assistant(call("a")), system, tool(result("a")), system_turns="fold")
    assert folded[2] == user("<system>\ns\n</system>")


def test_pictures_become_words_for_a_model_that_cannot_see_and_are_listed() -> None:
    turns = repaired(user("a", PICTURE, PICTURE), takes_images=False)
    assert [block.text for block in turns[0].blocks if isinstance(block, TextBlock)] == ["a", IMAGE_OMITTED]
    inside = repaired(assistant(call("a")), tool(result("a", PICTURE, PICTURE, "t")), takes_images=False)
    assert answers(inside) == [("a", TOOL_IMAGE_OMITTED + "t")]
    assert lost(user(PICTURE), takes_images=False) == ("here",)


@pytest.mark.parametrize(
    ("where", "is_error", "moved"),
    [
        ("any", True, False),
        ("unless_error", False, False),
        ("unless_error", True, True),
        ("none", False, True),
    ],
)
def test_pictures_stand_where_the_upstream_takes_them(where: str, is_error: bool, moved: bool) -> None:
    document = DocumentBlock(source=TextSource(text="d"))
    given = result("a", "see", PICTURE, document, is_error=is_error)
    turns = repaired(assistant(call("a")), tool(given, result("ghost")), media_in_results=where)
    answer = turns[1].blocks[0]
    assert isinstance(answer, ToolResultBlock)
    assert (PICTURE not in answer.content) is moved
    if moved:
        assert turns[2].blocks[1:] == (PICTURE, document)
        assert answer.content[1:] == (TextBlock(text=IMAGE_AFTERWARDS, at="here"),)


def test_results_without_pictures_stay_as_they_are() -> None:
    turns = repaired(assistant(call("a")), tool(result("a", "t")), media_in_results="none")
    assert [turn.role for turn in turns] == ["assistant", "tool"]


OWN = Opaque(kind="anthropic_signature", data="sig", origin="p/m")


@pytest.mark.parametrize(
    ("block", "kept"),
    [
        (ReasoningBlock(text="t", opaque=OWN, at="r"), True),
        (ReasoningBlock(opaque=OWN, at="r"), True),
        (ReasoningBlock(text="t", opaque=Opaque(kind="anthropic_signature", data="s"), at="r"), True),
        (
            ReasoningBlock(
                text="t", opaque=Opaque(kind="anthropic_signature", data="s", origin="p/other"), at="r"
            ),
            False,
        ),
        (ReasoningBlock(text="t", opaque=Opaque(kind="openai_encrypted", data="s"), at="r"), False),
        (ReasoningBlock(text="t", at="r"), False),
    ],
)
def test_only_thinking_that_the_upstream_can_read_returns_to_it(block: ReasoningBlock, kept: bool) -> None:
    kinds = frozenset({"anthropic_signature"})
    turns = repaired(assistant(block, "x"), opaque_kinds=kinds)
    assert (turns[0].blocks[0] == block) is kept
    assert lost(assistant(block), opaque_kinds=kinds) == (() if kept else ("r",))


def test_plain_thinking_returns_where_it_can_be_said() -> None:
    block = ReasoningBlock(text="t\ud83d")
    assert repaired(assistant(block), plain_reasoning=True)[0].blocks == (ReasoningBlock(text="t\ufffd"),)
    assert repaired(assistant(ReasoningBlock(), "x"), plain_reasoning=True)[0].blocks == (
        TextBlock(text="x"),
    )
    assert lost(assistant(ReasoningBlock(at="r"))) == ()


def test_a_foreign_token_on_a_call_is_dropped_and_the_call_stays() -> None:
    signed = call("a", opaque=Opaque(kind="gemini_signature", data="s"))
    turns = repaired(assistant(signed), tool(result("a")))
    assert turns[0].blocks == (call("a"),)
    kept = repaired(assistant(signed), tool(result("a")), opaque_kinds=frozenset({"gemini_signature"}))
    assert kept[0].blocks == (signed,)


def test_raw_blocks_go_only_to_their_own_dialect() -> None:
    own = RawBlock(dialect="anthropic_messages", type_name="t", data="{}", at="own")
    other = RawBlock(dialect="openai_responses", type_name="t", data="{}", at="other")
    assert repaired(user(own, other))[0].blocks == (own,)
    assert lost(user(own, other)) == ("other",)
    inside = repaired(assistant(call("a")), tool(result("a", own, other)))
    assert inside[1].blocks == (ToolResultBlock(call_id="a", name="f", content=(own,)),)


def test_strictness_refuses_instead_of_dropping() -> None:
    with pytest.raises(UnsupportedFeature, match="here"):
        repair_history((user(PICTURE),), rules(takes_images=False), Losses(ask(), target(strict=True)))


def test_empty_text_and_empty_turns_go_and_blank_text_where_it_is_refused() -> None:
    turns = (user("", "x"), assistant(""), user(" "), assistant(RefusalBlock(text="")))
    assert repaired(*turns) == (user("x"), user(" "))
    assert repaired(*turns, blank_text=False) == (user("x"),)


def test_a_mark_on_empty_text_moves_back_but_never_replaces_another() -> None:
    empty = TextBlock(text="", cache=MARK)
    assert repaired(user("x", empty)) == (user(TextBlock(text="x", cache=MARK)),)
    assert repaired(user("x"), user(empty)) == (user(TextBlock(text="x", cache=MARK)),)
    own = TextBlock(text="x", cache=CacheMark())
    assert repaired(user(own, empty)) == (user(own),)
    assert repaired(user(empty)) == ()
    behind = repaired(assistant(ReasoningBlock(text="r")), user(empty), plain_reasoning=True)
    assert behind == (assistant(ReasoningBlock(text="r")),)


def test_empty_parts_of_a_result_go_and_leave_their_mark_to_it() -> None:
    given = result("a", TextBlock(text="", cache=MARK), "t")
    turns = repaired(assistant(call("a")), tool(given))
    assert turns[1].blocks == (
        ToolResultBlock(call_id="a", name="f", content=(TextBlock(text="t"),), cache=MARK),
    )


def test_halves_of_characters_are_replaced_everywhere() -> None:
    turns = repaired(
        user("\ud83d", DocumentBlock(source=TextSource(text="\ud83d"))),
        assistant(call("a", arguments='{"x":"\\ud83d"}'), call("b", custom=True, arguments="\\ud83d\ud83d")),
        tool(result("a", "\ude00"), result("b")),
    )
    document = DocumentBlock(source=TextSource(text="\ufffd"))
    assert turns[0] == user("\ufffd", document)
    assert [block.arguments for block in turns[1].blocks if isinstance(block, ToolCallBlock)] == [
        '{"x":"\\ufffd"}',
        "\\ud83d\ufffd",
    ]
    assert answers(turns)[0] == ("a", "\ufffd")
