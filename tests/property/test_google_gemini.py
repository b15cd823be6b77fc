"""Laws of the Gemini format that hold for every input."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pi_model_proxy.dialects.google_gemini import (
    ARRAY_RELAY,
    ARRAY_SERVER,
    CLIENT,
    RELAY,
    SERVER,
    SSE_RELAY,
    SSE_SERVER,
    read_address,
)
from pi_model_proxy.dialects.google_gemini.schemas import json_schema, openapi_schema, with_enums
from pi_model_proxy.dialects.google_gemini.signatures import Carried, pack, unpack
from pi_model_proxy.dialects.names import NO_NAMES
from pi_model_proxy.errors import CallerError
from pi_model_proxy.hub import (
    Block,
    Citation,
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
)
from support.gemini_wire import answered, body_of, context, objects_of, request, target

LAWS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

Json = dict[str, Any]
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
words = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
google_tokens = st.sampled_from(["QUJD", "REVGRw==", "+/+/"]).map(
    lambda data: Opaque(kind="gemini_signature", data=data)
)
blocks = st.one_of(
    st.builds(lambda text: TextBlock(text=text), texts),
    st.builds(
        lambda text, opaque: ReasoningBlock(text=text, summary=True, opaque=opaque), texts, google_tokens
    ),
    st.builds(
        lambda name, value, opaque: ToolCallBlock(
            id="",
            name=name,
            arguments=json.dumps({"a": value}, separators=(",", ":"), ensure_ascii=False),
            opaque=opaque,
        ),
        words,
        texts,
        st.none() | google_tokens,
    ),
)
counts = st.integers(0, 10**9)
usages = st.builds(
    lambda fresh, read, answer, thoughts: Usage(
        input=fresh, cache_read=read, output=answer + thoughts, reasoning=thoughts
    ),
    counts,
    counts,
    counts,
    counts,
)


def _apart(found: list[Block]) -> tuple[Block, ...]:
    """Blocks that this format can tell apart: no text beside text, calls with ids."""
    kept: list[Block] = []
    for number, block in enumerate(found):
        if isinstance(block, TextBlock) and kept and isinstance(kept[-1], TextBlock):
            continue
        if isinstance(block, ToolCallBlock):
            kept.append(
                ToolCallBlock(
                    id=f"call_{number}", name=block.name, arguments=block.arguments, opaque=block.opaque
                )
            )
        else:
            kept.append(block)
    return tuple(kept)


def _message(found: list[Block], usage: Usage) -> Message:
    apart = _apart(found)
    called = any(isinstance(block, ToolCallBlock) for block in apart)
    finish = Finish(reason="tool_calls" if called else "stop", native="STOP")
    return Message(id="r1", model="acme/m", blocks=apart, usage=usage, finish=finish)


messages = st.builds(_message, st.lists(blocks, max_size=5), usages)


def _decoded(stream: bytes, *cuts: int) -> list[Event]:
    decoder = CLIENT.stream_decoder(target(), NO_NAMES)
    events: list[Event] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        events += decoder.feed(stream[begin:end])
    return events + decoder.close()


@LAWS
@given(messages)
def test_what_is_written_in_any_form_reads_back_the_same(message: Message) -> None:
    for server in (SSE_SERVER, ARRAY_SERVER):
        events = _decoded(answered(server.stream_encoder(context()), message))
        assert check_order(events) is None
        assert fold(events) == message
    events = CLIENT.decode_message(SERVER.encode_message(message, context()), target(), NO_NAMES)
    assert check_order(events) is None
    assert fold(events) == message


@LAWS
@given(messages, st.data())
def test_where_chunks_are_cut_does_not_matter(message: Message, data: st.DataObject) -> None:
    for server in (SSE_SERVER, ARRAY_SERVER):
        stream = answered(server.stream_encoder(context()), message)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
        assert fold(_decoded(stream, *cuts)) == message
        pipe = SSE_RELAY.stream_pipe(context())
        out = b""
        for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            out += pipe.feed(stream[begin:end])
        out += pipe.close()
        assert pipe.facts.done
        assert fold(_decoded(out)) == message
        assert pipe.facts.usage == message.usage


@LAWS
@given(messages)
def test_a_relay_changes_nothing_but_the_models_name(message: Message) -> None:
    stream = answered(SSE_SERVER.stream_encoder(context(model="upstream")), message)
    pipe = SSE_RELAY.stream_pipe(context(model="ours"))
    relayed = pipe.feed(stream) + pipe.close()
    assert objects_of(relayed) == [{**each, "modelVersion": "ours"} for each in objects_of(stream)]
    array = ARRAY_RELAY.stream_pipe(context(model="ours"))
    assert json.loads(array.feed(stream) + array.close()) == objects_of(relayed)


@LAWS
@given(st.binary(max_size=80), st.lists(st.integers(0, 90), max_size=4))
def test_no_bytes_crash_a_decoder_or_a_pipe(noise: bytes, cuts: list[int]) -> None:
    for head in (b"", b"data: ", b'data: {"candidates":', b"[", b'{"error":'):
        stream = head + noise
        ends = sorted(min(cut, len(stream)) for cut in cuts)
        events = _decoded(stream, *ends)
        assert check_order(events) is None
        pipe = SSE_RELAY.stream_pipe(context())
        pipe.feed(stream)
        pipe.close()
        assert pipe.facts.done != (pipe.facts.failure is not None)
        assert isinstance(CLIENT.decode_message(stream, target(), NO_NAMES)[-1], Failure | Finish)
        RELAY.message(stream, context())
        CLIENT.decode_error(500, {}, stream)


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
members = st.sampled_from([
    "contents", "parts", "role", "text", "functionCall", "function_call", "functionResponse", "response", "inlineData",
    "thoughtSignature", "tools", "functionDeclarations", "parameters", "generationConfig", "thinking_config",
    "toolConfig", "functionCallingConfig", "mode", "systemInstruction", "responseSchema", "name", "args", "id",
])  # fmt: skip
requests: st.SearchStrategy[Any] = st.recursive(
    json_values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=4),
    max_leaves=12,
)


@LAWS
@given(st.dictionaries(members, requests, max_size=6), st.binary(max_size=30))
def test_no_request_crashes_the_server_half_or_the_relay(body: Json, noise: bytes) -> None:
    for data in (json.dumps(body).encode(), noise, b'{"contents":' + noise + b"}"):
        for attempt in (
            lambda data=data: CLIENT.encode_request(SERVER.decode_request(data), target()),
            lambda data=data: RELAY.encode_request(data, target(level="high"), {}),
            lambda data=data: RELAY.encode_count(data, target(), {}),
            lambda data=data: SERVER.peek(data),
        ):
            with contextlib.suppress(CallerError):
                attempt()


@LAWS
@given(json_values)
def test_no_schema_crashes_the_rewriting(value: Any) -> None:
    schema = {"properties": {"a": value}, "anyOf": value, "$ref": value, "const": value, "type": value}
    with_enums(schema)
    openapi_schema(schema)
    json_schema(schema)


carried = st.builds(
    lambda kind, data, item, text: Carried(kind=kind, data=data, item_id=item, text=text),
    st.sampled_from(["anthropic_signature", "openai_encrypted", "reasoning_details"]),
    texts,
    st.none() | words,
    st.just("") | texts,
)


@LAWS
@given(st.lists(carried, max_size=3))
def test_packed_tokens_come_back_whole(tokens: list[Carried]) -> None:
    assert unpack(pack(tokens)) == tokens


conversations = st.lists(
    st.one_of(
        st.builds(lambda text: ("user", text), texts),
        st.builds(lambda text: ("model", text), texts),
        st.builds(lambda name: ("call", name), words),
    ),
    min_size=1,
    max_size=6,
)


@LAWS
@given(conversations)
def test_a_conversation_is_written_as_google_wants_it(said: list[tuple[str, str]]) -> None:
    turns: list[Turn] = []
    for number, (what, text) in enumerate(said):
        if what == "call":
            turns += [
                Turn(role="assistant", blocks=(ToolCallBlock(id=f"c{number}", name=text),)),
                Turn(
                    role="tool",
                    blocks=(ToolResultBlock(call_id=f"c{number}", content=(TextBlock(text="x"),)),),
                ),
            ]
        else:
            turns.append(
                Turn(role="assistant" if what == "model" else "user", blocks=(TextBlock(text=text),))
            )
    contents = body_of(CLIENT.encode_request(request(*turns), target()))["contents"]
    assert contents[0]["role"] == "user"
    for before, after in zip(contents, contents[1:], strict=False):
        calls = [part["functionCall"]["id"] for part in before["parts"] if "functionCall" in part]
        answers = [part["functionResponse"]["id"] for part in after["parts"] if "functionResponse" in part]
        assert calls == answers
        assert before["role"] != "model" or after["role"] == "user"


@LAWS
@given(texts)
def test_a_citation_keeps_its_words_in_both_directions(text: str) -> None:
    block = TextBlock(text=text, citations=(Citation(url="https://x.example", start=0, end=len(text)),))
    message = Message(blocks=(block,), finish=Finish(reason="stop"))
    body = SERVER.encode_message(message, context())
    (read,) = fold(CLIENT.decode_message(body, target(), NO_NAMES)).blocks
    assert isinstance(read, TextBlock)
    (citation,) = read.citations
    assert (citation.url, citation.cited_text, citation.start, citation.end) == (
        "https://x.example",
        text,
        0,
        len(text),
    )


@LAWS
@given(texts, st.sampled_from(["generateContent", "streamGenerateContent", "countTokens"]))
def test_whatever_a_model_is_called_its_address_names_it(model: str, method: str) -> None:
    address = read_address(f"/v1beta/models/{model}:{method}")
    assert address is not None
    assert address.model == model
