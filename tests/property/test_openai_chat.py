"""Laws of chat completions that hold for every input."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pi_model_proxy.dialects.names import NO_NAMES, ToolNames
from pi_model_proxy.dialects.openai_chat import CLIENT, RELAY, SERVER
from pi_model_proxy.errors import CallerError, UpstreamError
from pi_model_proxy.hub import (
    Block,
    Event,
    Failure,
    Finish,
    FinishReason,
    Message,
    Opaque,
    ReasoningBlock,
    Request,
    Target,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    Usage,
    check_order,
    fold,
    unfold,
)
from support.chat_stream import context, frames, target

LAWS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
Json = dict[str, Any]

texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
words = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
counts = st.integers(0, 10**6)

thoughts = st.builds(
    lambda text, field: ReasoningBlock(
        text=text, field=field, opaque=Opaque(kind="reasoning_details", data=json.dumps(field))
    ),
    texts,
    st.just("reasoning_content"),
)
calls = st.builds(
    lambda name, value: ToolCallBlock(
        id="", name=name, arguments=json.dumps({"a": value}, ensure_ascii=False)
    ),
    words,
    texts,
)
text_blocks: st.SearchStrategy[Block] = st.builds(lambda text: TextBlock(text=text), texts)
usages = st.builds(
    lambda fresh, read, write, output, reasoning: Usage(
        input=fresh, cache_read=read, cache_write_5m=write, output=output, reasoning=min(reasoning, output)
    ),
    counts, counts, counts, counts, counts,
)  # fmt: skip


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """An answer that chat can say: its channels have no order between them, so there is one of each."""
    blocks: list[Block] = []
    if draw(st.booleans()):
        blocks.append(draw(thoughts))
    if draw(st.booleans()):
        blocks.append(draw(text_blocks))
    for number, call in enumerate(draw(st.lists(calls, max_size=3))):
        blocks.append(ToolCallBlock(id=f"call_{number}", name=call.name, arguments=call.arguments))
    has_calls = any(isinstance(block, ToolCallBlock) for block in blocks)
    reasons: list[FinishReason] = (
        ["tool_calls", "length"] if has_calls else ["stop", "length", "content_filter"]
    )
    reason = draw(st.sampled_from(reasons))
    finish = Finish(reason=reason, native=reason)
    return Message(
        id="chatcmpl-x", model="acme/acme-1", blocks=tuple(blocks), usage=draw(usages), finish=finish
    )


def streamed(message: Message) -> bytes:
    encoder = SERVER.stream_encoder(context(wants_usage=True))
    return b"".join(encoder.feed(event) for event in unfold(message))


def decoded(stream: bytes, cuts: list[int] | None = None) -> list[Event]:
    decoder = CLIENT.stream_decoder(target(), ToolNames())
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts or [])})
    events: list[Event] = []
    for start, end in zip(places, places[1:], strict=False):
        events += decoder.feed(stream[start:end])
    return [*events, *decoder.close()]


@LAWS
@given(messages())
def test_what_is_streamed_to_a_caller_reads_back_the_same(message: Message) -> None:
    events = decoded(streamed(message))
    assert check_order(events) is None
    assert fold(events) == message


@LAWS
@given(messages())
def test_a_plain_answer_reads_back_the_same(message: Message) -> None:
    body = SERVER.encode_message(message, context())
    assert fold(CLIENT.decode_message(body, target(), NO_NAMES)) == message


@LAWS
@given(messages(), st.lists(st.integers(0, 10**6), max_size=6))
def test_chunk_boundaries_do_not_matter(message: Message, cuts: list[int]) -> None:
    stream = streamed(message)
    assert decoded(stream, cuts) == decoded(stream)


@LAWS
@given(messages(), st.lists(st.integers(0, 10**6), max_size=6), st.booleans())
def test_a_relay_says_what_came_wherever_it_is_cut(
    message: Message, cuts: list[int], wants_usage: bool
) -> None:
    stream = streamed(message)
    pipe = RELAY.stream_pipe(context(wants_usage=wants_usage))
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    told = (
        b"".join(pipe.feed(stream[start:end]) for start, end in zip(places, places[1:], strict=False))
        + pipe.close()
    )
    assert pipe.facts.usage == message.usage
    assert pipe.facts.done
    again = fold(decoded(told))
    assert (again.blocks, again.finish) == (message.blocks, message.finish)
    if wants_usage:
        assert told == stream


@LAWS
@given(usages)
def test_counts_are_conserved(usage: Usage) -> None:
    message = Message(blocks=(TextBlock(text="x"),), usage=usage, finish=Finish(reason="stop"))
    told = json.loads(SERVER.encode_message(message, context()))["usage"]
    assert told["prompt_tokens"] == usage.total_input
    assert told["total_tokens"] == usage.total == told["prompt_tokens"] + told["completion_tokens"]
    assert fold(decoded(streamed(message))).usage == usage


@LAWS
@given(messages())
def test_every_stream_has_one_role_one_finish_and_one_end(message: Message) -> None:
    told = frames(streamed(message))
    choices = [choice for each in told[:-1] for choice in each["choices"]]
    assert [choice["delta"].get("role") for choice in choices].count("assistant") == 1
    assert sum(choice["finish_reason"] is not None for choice in choices) == 1
    assert told.count("[DONE]") == 1
    assert told[-1] == "[DONE]"


# Whatever arrives.

scalars = st.none() | st.booleans() | st.integers(-3, 10**6) | st.floats(allow_nan=False) | texts
names = st.sampled_from([
    "choices", "delta", "message", "index", "finish_reason", "tool_calls", "function", "arguments", "name", "id",
    "content", "reasoning", "reasoning_content", "reasoning_details", "thinking_blocks", "annotations", "usage",
    "error", "type", "url_citation", "custom", "input", "role", "model", "function_call", "refusal", "text",
    "thinking", "signature", "data", "prompt_tokens", "prompt_tokens_details", "extra_content", "google",
    "messages", "tool_call_id", "image_url", "url", "tools", "tool_choice", "response_format", "stream", "stop",
    "stream_options", "max_tokens", "reasoning_effort", "metadata", "file", "input_audio", "cache_control",
])  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
deltas = st.dictionaries(names, values, max_size=4)
chunks = st.one_of(
    values,
    st.builds(
        lambda delta, finish, usage: {
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
            "usage": usage,
        },
        deltas,
        st.sampled_from([None, "stop", "tool_calls", "", "odd", "length"]),
        values,
    ),
)
turns_in_json = st.builds(
    lambda role, rest: {**rest, "role": role},
    st.sampled_from(["system", "developer", "user", "assistant", "tool", "function", "odd"]),
    st.dictionaries(names, values, max_size=4),
)
requests_in_json = st.builds(
    lambda rest, turns: json.dumps({**rest, "messages": turns}).encode(),
    st.dictionaries(names, values, max_size=3),
    st.lists(turns_in_json, min_size=1, max_size=4),
)
bodies = st.one_of(
    requests_in_json,
    st.binary(max_size=60),
    values.map(lambda value: json.dumps(value).encode()),
    st.dictionaries(names, values, max_size=6).map(lambda value: json.dumps(value).encode()),
)
streams = st.lists(
    st.one_of(
        chunks.map(lambda value: b"data: " + json.dumps(value).encode() + b"\n\n"), st.binary(max_size=30)
    ),
    max_size=6,
).map(b"".join)


@settings(LAWS, max_examples=300)
@given(streams)
def test_no_stream_breaks_a_reader(stream: bytes) -> None:
    for ending in (b"", b"data: [DONE]\n\n"):
        events = decoded(stream + ending)
        assert check_order(events) is None
        assert isinstance(events[-1], Finish | Failure)
        pipe = RELAY.stream_pipe(context())
        told = pipe.feed(stream + ending) + pipe.close()
        assert pipe.facts.done != (pipe.facts.failure is not None)
        assert (b"[DONE]" in told) == pipe.facts.done


@settings(LAWS, max_examples=200)
@given(bodies)
def test_no_answer_breaks_a_reader(body: bytes) -> None:
    events = CLIENT.decode_message(body, target(), NO_NAMES)
    assert check_order(events) is None
    told, facts = RELAY.message(body, context())
    assert bool(told) == (facts.failure is None)
    assert isinstance(CLIENT.decode_error(500, {}, body), UpstreamError)


QUIRKY = target(
    reasoning=True,
    auto_cache=True,
    takes_images=False,
    compat={
        "supportsDeveloperRole": False,
        "requiresToolResultName": True,
        "requiresAssistantAfterToolResult": True,
        "requiresReasoningContentOnAssistantMessages": True,
        "cacheControlFormat": "anthropic",
        "thinkingFormat": "zai",
    },
)


@settings(LAWS, max_examples=300)
@given(bodies, st.sampled_from([target(), QUIRKY, target(hosted_by_vendor=True)]))
def test_no_request_breaks_a_reader(body: bytes, where: Target) -> None:
    with suppress(CallerError):
        SERVER.peek(body)
        json.loads(CLIENT.encode_request(SERVER.decode_request(body), where).body)
    with suppress(CallerError):
        json.loads(RELAY.encode_request(body, where, {}).body)


# Requests.


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Turns as chat writes them: results directly after their calls."""
    turns: list[Turn] = []
    for number in range(draw(st.integers(1, 3))):
        turns.append(Turn(role="user", blocks=(draw(text_blocks),)))
        call_blocks = tuple(
            ToolCallBlock(id=f"c{number}_{n}", name=each.name, arguments=each.arguments)
            for n, each in enumerate(draw(st.lists(calls, max_size=2)))
        )
        text = draw(texts.filter(str.strip))
        turns.append(Turn(role="assistant", blocks=(TextBlock(text=text), *call_blocks)))
        turns += [_answer(each, draw(texts.filter(str.strip))) for each in call_blocks]
    return tuple(turns)


def _answer(call: ToolCallBlock, text: str) -> Turn:
    return Turn(role="tool", blocks=(ToolResultBlock(call_id=call.id, content=(TextBlock(text=text),)),))


def said(turns: tuple[Turn, ...]) -> list[Any]:
    """Return what was said, without the places it stood at."""
    found: list[Any] = []
    for turn in turns:
        for block in turn.blocks:
            content = getattr(block, "content", ())
            found.append(
                (
                    turn.role,
                    getattr(block, "text", None) or [part.text for part in content],
                    getattr(block, "arguments", None),
                    getattr(block, "id", None) or getattr(block, "call_id", None),
                )
            )
    return found


@LAWS
@given(conversations())
def test_a_conversation_reads_back_the_same(turns: tuple[Turn, ...]) -> None:
    request = Request(dialect="anthropic_messages", model="m", turns=turns)
    sent = CLIENT.encode_request(request, target()).body
    assert said(SERVER.decode_request(sent).turns) == said(turns)
