"""Laws of the Messages format that hold for every input."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pi_model_proxy.dialects.anthropic_messages import CLIENT, RELAY, SERVER
from pi_model_proxy.dialects.anthropic_messages.envelope import unwrap, wrap
from pi_model_proxy.dialects.history import HistoryRules, repair_history
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import NO_NAMES
from pi_model_proxy.errors import BadRequest, CallerError
from pi_model_proxy.hub import (
    Event,
    Failure,
    Finish,
    Message,
    Opaque,
    ReasoningBlock,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    Usage,
    check_order,
    fold,
    unfold,
)
from support.messages_wire import (
    ADAPTIVE,
    START,
    answer_context,
    ask,
    decoded,
    refusal,
    sent,
    sse,
    stop,
    target,
    text_block,
)

LAWS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

Json = dict[str, Any]
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
tokens = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
signatures = st.builds(lambda data: Opaque(kind="anthropic_signature", data=data), tokens)
blocks = st.one_of(
    st.builds(lambda text: TextBlock(text=text), texts),
    st.builds(lambda text, opaque: ReasoningBlock(text=text, summary=True, opaque=opaque), texts, signatures),
    st.builds(
        lambda name, value: ToolCallBlock(
            id="", name=name, arguments=json.dumps({"a": value}, separators=(",", ":"))
        ),
        tokens,
        texts,
    ),
)
counts = st.integers(0, 10**9)
usages = st.builds(
    lambda fresh, read, short, long, output: Usage(
        input=fresh,
        cache_read=read,
        cache_write_5m=short,
        cache_write_1h=long,
        output=output,
        reasoning=output // 2,
    ),
    counts,
    counts,
    counts,
    counts,
    counts,
)


def _numbered(found: list[Any]) -> tuple[Any, ...]:
    return tuple(
        ToolCallBlock(id=f"call_{number}", name=block.name, arguments=block.arguments)
        if isinstance(block, ToolCallBlock)
        else block
        for number, block in enumerate(found)
    )


def _finish(found: tuple[Any, ...]) -> Finish:
    called = any(isinstance(block, ToolCallBlock) for block in found)
    return (
        Finish(reason="tool_calls", native="tool_use") if called else Finish(reason="stop", native="end_turn")
    )


messages = st.builds(
    lambda found, usage: Message(
        id="msg_1", model="acme/model", blocks=_numbered(found), usage=usage, finish=_finish(_numbered(found))
    ),
    st.lists(blocks, max_size=5),
    usages,
)


def streamed(message: Message) -> bytes:
    encoder = SERVER.stream_encoder(answer_context())
    return b"".join(encoder.feed(event) for event in unfold(message))


@LAWS
@given(messages)
def test_what_is_written_as_a_stream_reads_back_the_same(message: Message) -> None:
    assert fold(decoded(streamed(message))) == message


@LAWS
@given(messages)
def test_what_is_written_whole_reads_back_the_same(message: Message) -> None:
    events = CLIENT.decode_message(SERVER.encode_message(message, answer_context()), target(), NO_NAMES)
    assert check_order(events) is None
    assert fold(events) == message


@LAWS
@given(messages, st.data())
def test_where_chunks_are_cut_does_not_matter(message: Message, data: st.DataObject) -> None:
    stream = streamed(message)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    decoder, pipe = CLIENT.stream_decoder(target(), NO_NAMES), RELAY.stream_pipe(answer_context())
    events: list[Event] = []
    out = b""
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += decoder.feed(stream[begin:end])
        out += pipe.feed(stream[begin:end])
    assert fold(events + decoder.close()) == message
    assert out == stream
    assert pipe.facts.usage == message.usage


@LAWS
@given(st.binary(max_size=200))
def test_no_bytes_crash_the_readers(junk: bytes) -> None:
    for stream in (
        junk,
        b"data: " + junk + b"\n\n",
        sse(START) + junk,
        b"event: content_block_delta\ndata: " + junk,
    ):
        decoder, pipe = CLIENT.stream_decoder(target(), NO_NAMES), RELAY.stream_pipe(answer_context())
        events = decoder.feed(stream) + decoder.close()
        assert check_order(events) is None
        assert isinstance(events[-1], Failure)
        pipe.feed(stream)
        pipe.close()
        assert pipe.facts.failure is not None
    assert isinstance(CLIENT.decode_message(junk, target(), NO_NAMES)[-1], Failure)
    assert RELAY.message(junk, answer_context())[1].failure is not None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
event_types = st.sampled_from([
    "message_start", "message_delta", "message_stop", "content_block_start", "content_block_delta",
    "content_block_stop", "ping", "error", "other",
])  # fmt: skip
members = st.sampled_from(["index", "delta", "content_block", "message", "usage", "error"])
block_types = st.sampled_from(["text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "x"])
delta_types = st.sampled_from(
    ["text_delta", "thinking_delta", "signature_delta", "input_json_delta", "citations_delta"]
)
odd_members = json_values | st.fixed_dictionaries(
    {"type": block_types | delta_types},
    optional={"text": json_values, "partial_json": json_values, "input": json_values},
)
odd_events = st.builds(
    lambda kind, more: {**more, "type": kind}, event_types, st.dictionaries(members, odd_members, max_size=3)
)


@LAWS
@given(st.lists(odd_events, max_size=6))
def test_no_sequence_of_events_crashes_or_breaks_the_order(events: list[Json]) -> None:
    stream = sse(START, *text_block(0, "x"), *events)
    decoder, pipe = CLIENT.stream_decoder(target(), NO_NAMES), RELAY.stream_pipe(answer_context())
    found = decoder.feed(stream) + decoder.close()
    assert check_order(found) is None
    pipe.feed(stream)
    pipe.close()
    assert pipe.facts.done or pipe.facts.failure is not None


request_fields = st.sampled_from([
    "model", "messages", "system", "max_tokens", "stream", "stop_sequences", "temperature", "thinking", "tools",
    "tool_choice", "output_config", "metadata", "cache_control", "context_management", "thread",
])  # fmt: skip
roles = st.sampled_from(["user", "assistant", "system"])
odd_blocks = st.builds(
    lambda kind, more: {**more, "type": kind},
    st.sampled_from(
        ["text", "image", "document", "thinking", "tool_use", "tool_result", "search_result", "x"]
    ),
    st.dictionaries(
        st.sampled_from(
            ["text", "source", "content", "id", "name", "input", "tool_use_id", "signature", "cache_control"]
        ),
        json_values,
        max_size=4,
    ),
)
odd_messages = st.lists(
    st.builds(
        lambda role, content: {"role": role, "content": content},
        roles,
        st.lists(odd_blocks, max_size=3) | texts,
    ),
    max_size=4,
)


@LAWS
@given(st.dictionaries(request_fields, json_values, max_size=5), odd_messages, st.booleans())
def test_no_request_crashes_either_way_through(fields: Json, asked: list[Json], vendor: bool) -> None:
    body = json.dumps({"messages": asked, **fields}).encode()
    goes_to = target(hosted_by_vendor=vendor, **(ADAPTIVE if vendor else {}))
    try:
        SERVER.peek(body)
        request = SERVER.decode_request(body)
        json.loads(CLIENT.encode_request(request, goes_to).body)
    except CallerError as error:
        event(f"refused: {type(error).__name__}")
    try:
        json.loads(RELAY.encode_request(body, goes_to, {}).body)
    except CallerError as error:
        event(f"relay refused: {type(error).__name__}")


@LAWS
@given(st.binary(max_size=60))
def test_no_body_crashes_the_server_half(junk: bytes) -> None:
    for body in (junk, b'{"model":' + junk + b"}", b'{"messages":[' + junk + b"]}"):
        for read in (SERVER.peek, SERVER.decode_request, lambda raw: RELAY.encode_request(raw, target(), {})):
            try:
                read(body)
            except BadRequest:
                continue


@LAWS
@given(usages)
def test_usage_is_conserved(usage: Usage) -> None:
    message = Message(usage=usage, finish=Finish(reason="stop"))
    again = fold(decoded(streamed(message))).usage
    assert (again.total_input, again.cache_read, again.output) == (
        usage.total_input,
        usage.cache_read,
        usage.output,
    )


history_blocks = st.one_of(
    st.builds(lambda text: TextBlock(text=text), texts | st.just("") | st.just("  ")),
    st.builds(lambda number: ToolCallBlock(id=f"c{number}", name="f", arguments="{}"), st.integers(0, 3)),
    st.builds(lambda text: ReasoningBlock(text=text), texts),
)
result_blocks = st.builds(
    lambda number, text: ToolResultBlock(call_id=f"c{number}", content=(TextBlock(text=text),)),
    st.integers(0, 3),
    texts,
)
turns = st.one_of(
    st.builds(
        lambda found: Turn(role="assistant", blocks=tuple(found)), st.lists(history_blocks, max_size=3)
    ),
    st.builds(
        lambda found: Turn(role="tool", blocks=tuple(found)), st.lists(result_blocks, min_size=1, max_size=3)
    ),
    st.builds(lambda text: Turn(role="user", blocks=(TextBlock(text=text),)), texts),
    st.builds(lambda text: Turn(role="system", blocks=(TextBlock(text=text),)), texts),
)


@LAWS
@given(st.lists(turns, max_size=8))
def test_every_call_of_a_repaired_history_is_answered_once_right_after(history: list[Turn]) -> None:
    repaired = repair_history(history, HistoryRules(dialect="anthropic_messages"), Losses(ask(), target()))
    for position, turn in enumerate(repaired):
        assert turn.blocks
        calls = [block.id for block in turn.blocks if isinstance(block, ToolCallBlock)]
        following = repaired[position + 1].blocks if position + 1 < len(repaired) else ()
        results = [block.call_id for block in following if isinstance(block, ToolResultBlock)]
        if turn.role == "assistant":
            assert results == calls
        assert (turn.role == "tool") is any(isinstance(block, ToolResultBlock) for block in turn.blocks)


@LAWS
@given(st.lists(turns, max_size=8), st.booleans(), st.booleans())
def test_whatever_the_history_the_strict_provider_takes_it(
    history: list[Turn], adaptive: bool, cached: bool
) -> None:
    request = ask(turns=(*history, Turn(role="user", blocks=(TextBlock(text="go"),))))
    _, outgoing = sent(request, target(auto_cache=cached, **(ADAPTIVE if adaptive else {})))
    assert refusal(outgoing, mid_system=adaptive, sampling=not adaptive) is None


@LAWS
@given(texts, st.none() | texts, texts)
def test_an_envelope_brings_back_what_went_in(data: str, item: str | None, origin: str) -> None:
    opaque = Opaque(kind="openai_encrypted", data=data, item_id=item)
    opened = unwrap(wrap(opaque, origin))
    assert opened == Opaque(kind="openai_encrypted", data=data, item_id=item, origin=origin)


@LAWS
@given(st.integers(1, 3))
def test_two_streams_at_once_never_mix(number: int) -> None:
    streams = [sse(START, *text_block(0, f"stream {each}"), *stop()) for each in range(number + 1)]
    decoders = [CLIENT.stream_decoder(target(), NO_NAMES) for _ in streams]
    found: list[list[Event]] = [[] for _ in streams]
    for position in range(max(map(len, streams))):
        for events, decoder, stream in zip(found, decoders, streams, strict=True):
            events.extend(decoder.feed(stream[position : position + 1]))
    assert [fold(events).blocks for events in found] == [
        (TextBlock(text=f"stream {each}"),) for each in range(number + 1)
    ]
