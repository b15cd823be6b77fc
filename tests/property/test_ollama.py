"""Laws of Ollama's format, and of legacy completions, that hold for every input: only callers speak them."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pi_model_proxy.dialects.base import AnswerContext, ServerHalf
from pi_model_proxy.dialects.ollama import (
    GENERATE_SERVER,
    SERVER,
    embed_request,
    encode_embeddings,
    read_load,
)
from pi_model_proxy.dialects.openai_completions import SERVER as COMPLETIONS
from pi_model_proxy.dialects.openai_completions import several_prompts
from pi_model_proxy.errors import BrokenStream, CallerError
from pi_model_proxy.hub import (
    Finish,
    Message,
    ReasoningBlock,
    Request,
    Target,
    TextBlock,
    ToolCallBlock,
    Usage,
    unfold,
)

LAWS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
TARGET = Target(provider="acme", model="m", public_model="acme/m", kind="openai-completions")
CONTEXT = AnswerContext(model="acme/m", answer_id="a1", created=1_760_000_000, target=TARGET)
SERVERS: tuple[ServerHalf, ...] = (SERVER, GENERATE_SERVER, COMPLETIONS)

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
words = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
blocks = st.one_of(
    st.builds(lambda text: TextBlock(text=text), texts),
    st.builds(lambda text: ReasoningBlock(text=text), texts),
    st.builds(
        lambda name, value: ToolCallBlock(id="", name=name, arguments=json.dumps({"a": value})), words, texts
    ),
)
usages = st.builds(
    lambda fresh, read, answer: Usage(input=fresh, cache_read=read, output=answer),
    *[st.integers(0, 10**9)] * 3,
)
messages = st.builds(
    lambda said, usage, reason: Message(blocks=tuple(said), usage=usage, finish=Finish(reason=reason)),
    st.lists(blocks, max_size=5),
    usages,
    st.sampled_from(["stop", "length", "tool_calls"]),
)
leaves = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)
names = st.sampled_from([
    "model", "name", "messages", "role", "content", "images", "tool_calls", "function", "arguments", "tools",
    "options", "stop", "think", "format", "prompt", "system", "stream", "stream_options", "n", "logit_bias", "input", "keep_alive",
])  # fmt: skip
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)


@LAWS
@given(messages)
def test_a_stream_says_what_the_whole_answer_says(message: Message) -> None:
    encoder = SERVER.stream_encoder(CONTEXT)
    lines = [
        json.loads(line) for line in b"".join(encoder.feed(e) for e in unfold(message)).decode().splitlines()
    ]
    whole = json.loads(SERVER.encode_message(message, CONTEXT))
    said: dict[str, Any] = {"role": "assistant", "content": "", "thinking": "", "tool_calls": []}
    for line in lines:
        for name in ("content", "thinking", "tool_calls"):
            said[name] += line["message"].get(name, type(said[name])())
    assert said == {"thinking": "", "tool_calls": [], **whole["message"]}
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    last = {name: value for name, value in lines[-1].items() if name != "message"}
    assert last == {name: value for name, value in whole.items() if name != "message"}
    assert whole["prompt_eval_count"] + whole["eval_count"] == message.usage.total


@LAWS
@given(st.lists(texts, min_size=1, max_size=4), messages)
def test_a_conversation_that_is_sent_back_means_the_same(asked: list[str], message: Message) -> None:
    whole = json.loads(SERVER.encode_message(message, CONTEXT))
    said = [{"role": "user", "content": text} for text in asked]
    request: Request = SERVER.decode_request(
        json.dumps({"messages": [*said, whole["message"], *said]}).encode()
    )
    answers = [turn for turn in request.turns if turn.role == "assistant"]
    blocks_back = [block for turn in answers for block in turn.blocks]
    for kind in (TextBlock, ReasoningBlock):
        assert "".join(b.text for b in blocks_back if isinstance(b, kind)) == "".join(
            b.text for b in message.blocks if isinstance(b, kind)
        )
    assert [(b.name, json.loads(b.arguments)) for b in blocks_back if isinstance(b, ToolCallBlock)] == [
        (b.name, json.loads(b.arguments)) for b in message.blocks if isinstance(b, ToolCallBlock)
    ]


@pytest.mark.parametrize("server", SERVERS)
@LAWS
@given(st.dictionaries(names, values, max_size=6) | values)
def test_no_json_crashes_a_reader(server: ServerHalf, body: Any) -> None:
    spelt = json.dumps(body).encode()
    for read in (server.peek, server.decode_request):
        with contextlib.suppress(CallerError):
            read(spelt)
    with contextlib.suppress(CallerError):
        embed_request(spelt, "embed")
    read_load(spelt, "chat")


@pytest.mark.parametrize("server", SERVERS)
@LAWS
@given(st.binary(max_size=40))
def test_no_bytes_crash_a_reader(server: ServerHalf, body: bytes) -> None:
    for read in (server.peek, server.decode_request):
        with contextlib.suppress(CallerError):
            read(body)
    read_load(body, "generate")
    several_prompts(body)
    with contextlib.suppress(BrokenStream):
        encode_embeddings(body, "embed", name="m", seconds=1.0)


@LAWS
@given(messages)
def test_a_streamed_completion_says_what_the_whole_one_says(message: Message) -> None:
    encoder = COMPLETIONS.stream_encoder(CONTEXT)
    stream = b"".join(encoder.feed(event) for event in unfold(message)).decode()
    frames = [frame.removeprefix("data: ") for frame in stream.split("\n\n") if frame]
    assert frames[-1] == "[DONE]"
    chunks = [json.loads(frame) for frame in frames[:-1]]
    whole = json.loads(COMPLETIONS.encode_message(message, CONTEXT))
    assert (
        "".join(choice["text"] for chunk in chunks for choice in chunk["choices"])
        == whole["choices"][0]["text"]
    )
    assert chunks[-1]["usage"] == whole["usage"]
    assert chunks[-2]["choices"][0]["finish_reason"] == whole["choices"][0]["finish_reason"]
    assert whole["usage"]["total_tokens"] == message.usage.total
