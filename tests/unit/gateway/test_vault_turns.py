"""Turns taken apart and put together again: tokens stand where they stood, and nowhere else."""

from __future__ import annotations

import json

import msgspec
import pytest

from pi_model_proxy.dialects import google_gemini
from pi_model_proxy.gateway.vault_turns import Kept, kept_of, keys_of, lacking, restored
from pi_model_proxy.hub import (
    Block,
    Opaque,
    ReasoningBlock,
    Request,
    Target,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)

ORIGIN = "google/gemini-3"


def seal(data: str, *, origin: str = "") -> Opaque:
    return Opaque(kind="gemini_signature", data=data, origin=origin)


def call(id_: str, arguments: str = "{}", opaque: Opaque | None = None) -> ToolCallBlock:
    return ToolCallBlock(id=id_, name="look", arguments=arguments, opaque=opaque)


def thought(text: str, data: str) -> ReasoningBlock:
    return ReasoningBlock(text=text, opaque=seal(data))


ANSWERS: list[list[Block]] = [
    [call("c1", opaque=seal("s1")), call("c2"), call("c3", opaque=seal("s3"))],
    [thought("a", "1"), TextBlock(text="let me"), call("c1")],
    [thought("a", "1"), thought("", "2"), call("c1"), thought("b", "3"), call("c2")],
    [TextBlock(text="well"), thought("a", "1"), call("c1")],
    [TextBlock(text="all said"), thought("", "1")],
    [thought("a", "1"), TextBlock(text="all said")],
]


def question(text: str = "well?") -> Turn:
    return Turn(role="user", blocks=(TextBlock(text=text),))


def request(*turns: Turn) -> Request:
    return Request(dialect="openai_chat", model=None, turns=turns)


def sent_back(blocks: list[Block]) -> tuple[Block, ...]:
    """What a caller makes of an answer: text and calls."""
    plain = [block for block in blocks if isinstance(block, TextBlock)]
    calls = [
        msgspec.structs.replace(block, opaque=None) for block in blocks if isinstance(block, ToolCallBlock)
    ]
    return (*plain, *calls)


def signed(block: Block) -> Block:
    """A block as it stands in an answer, its maker named."""
    if isinstance(block, ReasoningBlock | ToolCallBlock) and block.opaque is not None:
        return msgspec.structs.replace(block, opaque=msgspec.structs.replace(block.opaque, origin=ORIGIN))
    return block


@pytest.mark.parametrize("answer", ANSWERS)
def test_an_answer_comes_back_as_it_was(answer: list[Block]) -> None:
    asked = request(question())
    kept = kept_of(answer)
    assert kept is not None
    on_disk = msgspec.msgpack.decode(msgspec.msgpack.encode(kept), type=Kept)
    again = request(question(), Turn(role="assistant", blocks=sent_back(answer)), question("and?"))
    ((number, keys),) = lacking(again).items()
    assert keys == keys_of(asked, answer)
    whole = restored(again, {number: on_disk}, ORIGIN)
    assert list(whole.turns[1].blocks) == [signed(block) for block in answer]
    assert whole.turns[::2] == again.turns[::2]


def test_an_answer_without_a_token_is_not_kept() -> None:
    assert kept_of([ReasoningBlock(text="in words only"), TextBlock(text="x"), call("c")]) is None


def test_a_turn_that_is_too_long_is_not_kept() -> None:
    assert kept_of([thought("x" * 2**20, "1"), TextBlock(text="x")]) is None


def test_a_turn_that_brought_its_own_token_is_left_alone() -> None:
    own = Turn(role="assistant", blocks=(call("c1", opaque=seal("own")), call("c2")))
    assert lacking(request(question(), own)) == {}


def test_a_turn_with_other_calls_is_another_turn() -> None:
    kept = kept_of([thought("a", "1"), call("c1"), call("c2")])
    assert kept is not None
    asked = request(question(), Turn(role="assistant", blocks=(call("c1"),)))
    assert restored(asked, {1: kept}, ORIGIN) == asked


def test_the_same_words_are_the_same_turn_only_after_the_same_question() -> None:
    said = [TextBlock(text="yes")]
    keys = {keys_of(request(question(text)), said) for text in ("one?", "two?")}
    assert len(keys) == 2
    assert keys_of(request(question(" one? ")), [TextBlock(text="yes\n")]) in keys


def test_a_loop_that_repeats_itself_has_a_turn_for_each_time() -> None:
    said = [call("", '{"a": 1}')]
    once = request(question())
    twice = request(question(), Turn(role="assistant", blocks=tuple(said)), Turn(role="tool", blocks=()))
    assert keys_of(once, said) != keys_of(twice, said)
    assert keys_of(once, said) == keys_of(once, [call("", '{"a":1}')])


def test_a_long_id_is_known_as_callers_see_it() -> None:
    keys = keys_of(request(question()), [call("x" * 100)])
    assert len(keys[0].removeprefix("call:")) == 40


def test_vector_025_gemini_gets_its_signatures_on_the_calls_they_came_with() -> None:
    answer: list[Block] = [call("c1", opaque=seal("c2lnbmVk")), call("c2")]
    kept = kept_of(answer)
    assert kept is not None
    results = Turn(
        role="tool", blocks=tuple(ToolResultBlock(call_id=id_, content=()) for id_ in ("c1", "c2"))
    )
    again = request(question(), Turn(role="assistant", blocks=sent_back(answer)), results)
    target = Target(
        provider="google",
        model="gemini-3",
        public_model="google/gemini-3",
        kind="google-generative-ai",
        reasoning=True,
    )
    body = json.loads(google_gemini.CLIENT.encode_request(restored(again, {1: kept}, ORIGIN), target).body)
    parts = body["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts if "functionCall" in part] == ["c2lnbmVk", None]
