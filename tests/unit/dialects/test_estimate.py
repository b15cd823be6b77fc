"""The documented estimate of input tokens, which leans high."""

from __future__ import annotations

import pytest

from pi_model_proxy.dialects.anthropic_messages import SERVER
from pi_model_proxy.dialects.estimate import IMAGE_TOKENS, MIN_DOCUMENT_TOKENS, estimate_input_tokens
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    DataSource,
    DocumentBlock,
    ImageBlock,
    Opaque,
    OutputFormat,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    TextSource,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    UrlSource,
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
