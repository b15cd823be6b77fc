"""The documented estimates of input and answers, which lean high."""

from __future__ import annotations

import pytest

from pi_model_proxy.dialects.anthropic_messages import SERVER
from pi_model_proxy.dialects.estimate import (
    IMAGE_TOKENS,
    MIN_DOCUMENT_TOKENS,
    UsageFiller,
    estimate_input_tokens,
    estimate_usage,
)
from pi_model_proxy.hub import (
    ArgumentsDelta,
    AudioBlock,
    Block,
    BlockStart,
    BlockStop,
    DataSource,
    DocumentBlock,
    Event,
    Finish,
    ImageBlock,
    Message,
    Opaque,
    OpaqueDelta,
    OutputFormat,
    Ping,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Start,
    TextBlock,
    TextDelta,
    TextSource,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    UrlSource,
    Usage,
    UsageUpdate,
    fold,
)
from support.messages_wire import ask, user

PICTURE = ImageBlock(source=UrlSource(url="https://x"))
BASE = estimate_input_tokens(ask())


def with_block(block: Block) -> int:
    return estimate_input_tokens(ask(turns=(user(), Turn(role="user", blocks=(block,))))) - BASE


@pytest.mark.parametrize(
    ("block", "at_least"),
    [
        (TextBlock(text="word " * 600), 1000),
        (TextBlock(text="字" * 300), 300),
        (RefusalBlock(text="no " * 300), 300),
        (ReasoningBlock(text="a" * 300, opaque=Opaque(kind="anthropic_signature", data="b" * 400)), 200),
        (ToolCallBlock(id="a", name="f", arguments="x" * 300), 100),
        (ToolResultBlock(call_id="a", content=(TextBlock(text="x" * 300), PICTURE)), 100 + IMAGE_TOKENS),
        (PICTURE, IMAGE_TOKENS),
        (DocumentBlock(source=UrlSource(url="https://x")), MIN_DOCUMENT_TOKENS),
        (DocumentBlock(source=DataSource(media_type="application/pdf", data="x" * 1_000_000)), 40_000),
        (DocumentBlock(source=TextSource(text="x" * 300), name="n"), 100),
        (AudioBlock(data="x" * 1000, format="wav"), 10),
        (RawBlock(dialect="d", type_name="t", data="x" * 300), 100),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_kind_of_block_counts(block: Block, at_least: int) -> None:
    assert with_block(block) >= at_least


def test_system_tools_and_schema_count() -> None:
    system = estimate_input_tokens(ask(instructions=(TextBlock(text="x" * 3000),)))
    assert system - BASE >= 1000
    function = Tool(name="f", description="d" * 300, schema={"type": "object", "title": "t" * 300})
    tools = estimate_input_tokens(ask(tools=(function,)))
    assert tools - BASE >= 700
    assert estimate_input_tokens(ask(tools=(Tool(kind="server", name="s", raw="x" * 3000),))) - BASE >= 1500
    output = OutputFormat(kind="schema", schema={"title": "t" * 300})
    assert estimate_input_tokens(ask(output=output)) - BASE >= 100


def test_a_count_request_has_no_limit_and_is_counted() -> None:
    body = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"system":"be brief"}'
    assert estimate_input_tokens(SERVER.decode_request(body)) > BASE


# Answers whose upstream tells nothing


ASKED = ask(turns=(Turn(role="user", blocks=(TextBlock(text="word " * 30),)),))
ANSWER = (
    Start(id="x"),
    BlockStart(index=0, block=ReasoningBlock()),
    TextDelta(0, "h" * 30),
    BlockStop(0),
    BlockStart(index=1, block=TextBlock(text="")),
    TextDelta(1, "é" * 15),
    TextDelta(1, "w" * 30),
    BlockStop(1),
    BlockStart(index=2, block=ToolCallBlock(id="c", name="abc")),
    ArgumentsDelta(2, "{}" * 15),
    BlockStop(2),
)
SAID = 10 + 10 + 16 + 1 + 10
THOUGHT = 10
FINISH = Finish(reason="stop")


def told_before_the_end(*events: Event) -> Usage | None:
    filler = UsageFiller(lambda: estimate_input_tokens(ASKED))
    for event in events:
        assert filler.filled([event]) == [event]
    *added, last = filler.filled([Ping(), FINISH])[1:]
    assert last is FINISH
    for update in added:
        assert isinstance(update, UsageUpdate)
        return update.usage
    return None


def test_an_answer_without_usage_gets_an_estimate_that_says_so() -> None:
    usage = estimate_usage(ASKED, fold([*ANSWER, FINISH]))
    assert usage == Usage(
        input=estimate_input_tokens(ASKED), output=SAID + THOUGHT, reasoning=THOUGHT, estimated=True
    )


@pytest.mark.parametrize(
    "told", [(), (UsageUpdate(Usage()),)], ids=["an upstream that tells nothing", "one that tells zeros"]
)
def test_a_stream_without_usage_is_told_the_same_before_its_end(told: tuple[Event, ...]) -> None:
    assert told_before_the_end(*ANSWER, *told) == estimate_usage(ASKED, fold([*ANSWER, FINISH]))


def test_what_an_upstream_told_is_left_alone() -> None:
    assert told_before_the_end(*ANSWER, UsageUpdate(Usage(input=3, output=2))) is None
    assert told_before_the_end(Start(usage=Usage(input=3))) is None


def test_an_upstream_that_told_only_its_input_gets_its_output_estimated() -> None:
    start = Start(usage=Usage(input=3, cache_read=4))
    usage = told_before_the_end(start, *ANSWER[1:])
    expected = Usage(input=3, cache_read=4, output=SAID + THOUGHT, reasoning=THOUGHT, estimated=True)
    assert usage == expected


def test_hidden_thinking_is_counted_by_the_size_of_what_it_is_sealed_in() -> None:
    sealed = Opaque(kind="openai_encrypted", data="x" * 400)
    events = (
        Start(),
        BlockStart(index=0, block=ReasoningBlock()),
        OpaqueDelta(0, sealed),
        BlockStop(0),
    )
    usage = estimate_usage(ASKED, fold([*events, FINISH]))
    assert (usage.reasoning, usage.output) == (100, 100)
    assert told_before_the_end(*events) == usage


def test_blocks_of_the_providers_own_tools_are_not_the_models_words() -> None:
    raw = RawBlock(dialect="d", type_name="web_search_tool_result", data="x" * 5000)
    message = Message(blocks=(raw,), finish=FINISH)
    assert estimate_usage(ASKED, message).output == 0
