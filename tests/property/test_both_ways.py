"""Where there is a short way and a long way, both lead to the same bytes, whatever comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from pi_model_proxy.dialects import anthropic_messages, openai_chat
from pi_model_proxy.dialects.anthropic_messages import relay_answer as messages_answer
from pi_model_proxy.dialects.anthropic_messages import relay_kept as messages_kept
from pi_model_proxy.dialects.anthropic_messages import relay_request as messages_request
from pi_model_proxy.dialects.base import Facts, Outgoing, Peek
from pi_model_proxy.dialects.names import NO_NAMES, ToolNames
from pi_model_proxy.dialects.openai_chat import relay_kept, relay_message
from pi_model_proxy.dialects.openai_chat.answer_in import ChatStreamDecoder
from pi_model_proxy.dialects.openai_chat.relay_answer import ChatPipe
from pi_model_proxy.dialects.openai_chat.relay_request import relay_request
from pi_model_proxy.dialects.openai_chat.usage import read_usage
from pi_model_proxy.dialects.peeking import peek_request
from pi_model_proxy.errors import BadRequest, CallerError
from pi_model_proxy.hub import CitationDelta, Event, Failure, Identity, Target, Tool
from pi_model_proxy.wire import Frame, FrameDecoder, ascii_json, ascii_text
from support import chat_stream, messages_wire

WAYS = settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
Json = dict[str, Any]

texts = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    [
        "",
        "developer",
        "reasoning",
        "provider_specific_fields",
        "pmp1.x",
        "scope",
        "\u2028",
        "\x85",
        "日本",
        "😀",
        '"model":"acme-1"',
    ]
)
scalars = st.none() | st.booleans() | st.integers(-3, 10**20) | st.floats(allow_nan=False) | texts


def mostly(
    ordinary: dict[str, st.SearchStrategy[Any]], odd: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Json]:
    """Return objects of which most are as usual and some have one or two odd members."""
    one_odd = st.sampled_from(sorted(odd)).flatmap(
        lambda name: st.builds(lambda value: {name: value}, odd[name])
    )
    usual = st.fixed_dictionaries({}, optional=ordinary)
    return st.one_of(
        usual,
        usual,
        st.builds(lambda fields, more: {**fields, **more}, usual, one_odd),
        st.builds(lambda fields, more, most: {**fields, **more, **most}, usual, one_odd, one_odd),
    )


def whole(
    required: dict[str, Any],
    ordinary: dict[str, st.SearchStrategy[Any]],
    odd: dict[str, st.SearchStrategy[Any]],
) -> st.SearchStrategy[bytes]:
    """Return JSON bodies with what an ordinary one needs, most of them ordinary."""
    return st.builds(
        lambda fields, style: spelt({**required, **fields}, style), mostly(ordinary, odd), st.integers(0, 11)
    )


def spelt(value: Any, style: int) -> bytes:
    """Return JSON as different libraries write it."""
    separators = [(",", ":"), (", ", ": "), (",", ": "), (" ,\n", " :\t")][style % 4]
    return json.dumps(value, separators=separators, ensure_ascii=style % 3 == 0).encode(
        "utf-8", "surrogatepass"
    )


# Frames


class LineByLine(FrameDecoder):
    """Never splits a piece at its blank lines."""

    @override
    def _split(self, piece: bytes) -> list[Frame] | None:
        del piece
        return None


sse_bits = st.sampled_from([
    b"data: ", b"data:", b"data", b"event: a\n", b"event: b\n", b"event: \xc3\n", b"event", b"\n", b"\r", b"\r\n",
    b"\n\n", b": c\n", b"x", b'{"a":1}', b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"id: 1\n", b"data: y\n\n",
    b"event: a\ndata: z\n\n", b"data: " + b"w" * 20_000,
])  # fmt: skip


def frames_of(decoder: FrameDecoder, pieces: list[bytes]) -> list[Frame]:
    return [frame for piece in pieces for frame in decoder.feed(piece)] + decoder.close()


@settings(WAYS, max_examples=250)
@given(st.lists(st.lists(sse_bits, max_size=6).map(b"".join), max_size=6))
@example([b"\xef", b"\xbb\xbfdata: x\n\n"])
@example([b"", b"\xef\xbb\xbfdata: x\n\n"])
@example([b"data: x\r\n\r", b"\ndata: y\r\n\r\n"])
@example([b"data: x\ry\n\n", b"data: x\r\n\n"])
def test_frames_are_the_same_split_or_read_line_by_line(pieces: list[bytes]) -> None:
    assert frames_of(FrameDecoder(), pieces) == frames_of(LineByLine(), pieces)


@WAYS
@given(texts)
def test_a_string_is_escaped_alike_by_both_writers(text: str) -> None:
    assert json.loads(ascii_text(text)) == json.loads(ascii_json(text)) == text
    assert ascii_text(text).isascii()
    assert ascii_json([text]).isascii()


# Requests


def outcome(make: Callable[[], Outgoing]) -> object:
    """Return what was made, or how it was refused."""
    try:
        made = make()
    except CallerError as error:
        return type(error), error.message, error.param
    names = ("path", "body", "headers", "dropped", "stream", "stop_here")
    return [getattr(made, name) for name in names]


def peeked(body: bytes, *, usage_on_demand: bool) -> Peek | None:
    try:
        return peek_request(body, usage_on_demand=usage_on_demand)
    except BadRequest:
        return None


plain_messages = st.lists(
    st.builds(lambda role, text: {"role": role, "content": text}, st.sampled_from(["user", "system"]), texts),
    max_size=2,
)
odd_messages = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"])},
        optional={
            "content": texts,
            "reasoning_content": texts,
            "reasoning_details": st.just([{"type": "reasoning.text", "format": "anthropic_signature"}]),
            "provider_specific_fields": scalars,
            "tool_call_id": texts,
        },
    ),
    max_size=3,
)
efforts = st.sampled_from(["none", "off", "minimal", "low", "high", "max", "turbo", 5, None])
chat_bodies = whole(
    {"model": "m", "messages": [{"role": "user", "content": "hi"}]},
    {
        "messages": plain_messages,
        "stream": st.booleans(),
        "stream_options": st.sampled_from([{"include_usage": True}, {"include_usage": False, "x": 1}, None]),
        "max_tokens": st.integers(1, 99),
        "temperature": scalars,
        "größe": scalars,
        "tools": st.just([{}]),
    },
    {
        "model": scalars,
        "messages": odd_messages | scalars,
        "stream": scalars,
        "stream_options": st.sampled_from([{}, {"include_usage": 1}, 5]),
        "max_tokens": scalars,
        "max_completion_tokens": st.integers(1, 99) | scalars,
        "reasoning_effort": efforts,
        "prompt_cache_key": scalars,
        "chat_template_kwargs": st.just({"x": 1}) | scalars,
        "thinking": st.just({"type": "enabled"}) | st.none(),
        "api_base": texts,
    },
)
NO_TEMPERATURE = Identity(omitted_fields=frozenset({"temperature", "stream_options"}))
chat_quirks = st.sampled_from([
    {}, {"supportsDeveloperRole": False}, {"supportsReasoningEffort": False}, {"supportsUsageInStreaming": False},
    {"maxTokensField": "max_tokens"}, {"requiresToolResultName": True}, {"thinkingFormat": "zai"},
    {"requiresReasoningContentOnAssistantMessages": True}, {"thinkingFormat": "chat-template"},
    {"thinkingFormat": "chat-template", "chatTemplateKwargs": {"a": 1}}, {"zaiToolStream": True},
    {"sendSessionAffinityHeaders": True}, {"cacheControlFormat": "anthropic"}, {"vllmPriority": 1},
])  # fmt: skip
chat_targets = st.builds(
    lambda compat, fields: chat_stream.target(compat=compat, **fields),
    chat_quirks,
    mostly(
        {"reasoning": st.booleans(), "hosted_by_vendor": st.booleans(), "auto_cache": st.booleans()},
        {
            "strict": st.just(True),
            "level": st.just("high"),
            "thinking_levels": st.sampled_from([{"high": "max", "off": "none"}, {"low": None}]),
            "sampling_params": st.just({"top_k": 5}),
            "sampling_params_by_level": st.just({"high": {"top_p": 0.5}}),
            "identity": st.just(NO_TEMPERATURE),
        },
    ),
)


@settings(WAYS, max_examples=250)
@given(chat_bodies, chat_targets, st.sampled_from([{}, {"openai-beta": "b", "x": "y"}]))
def test_a_chat_request_is_the_same_on_both_ways(body: bytes, where: Target, headers: dict[str, str]) -> None:
    peek = peeked(body, usage_on_demand=True)
    if peek is None:
        return  # it was refused before any relay
    kept = peek.members is not None and relay_kept.kept_request(body, peek.members, where, headers)
    event("short" if kept else "long")
    long = outcome(lambda: relay_request(body, where, headers))
    assert outcome(lambda: openai_chat.RELAY.encode_request(body, where, headers, peek)) == long
    assert outcome(lambda: openai_chat.RELAY.encode_request(body, where, headers)) == long


blocks = st.fixed_dictionaries(
    {"type": st.sampled_from(["text", "thinking", "redacted_thinking", "tool_use", "image"])},
    optional={
        "text": texts,
        "signature": st.sampled_from(["", "s", "pmp1.openai_encrypted.e30"]),
        "data": texts,
        "name": st.sampled_from(["read", "other"]),
        "cache_control": st.sampled_from(
            [None, {"type": "ephemeral"}, {"type": "ephemeral", "scope": "global"}]
        ),
    },
)
messages_bodies = whole(
    {"model": "m", "max_tokens": 5000, "messages": [{"role": "user", "content": "hi"}]},
    {
        "messages": st.lists(
            st.builds(
                lambda role, text: {"role": role, "content": text},
                st.sampled_from(["user", "assistant"]),
                texts,
            )
        ),
        "system": texts | st.just([{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]),
        "stream": st.booleans(),
        "tools": st.just([{"name": "read", "input_schema": {}}]),
        "temperature": st.sampled_from([0, 1, 1.0, 0.5]),
        "service_tier": texts,
        "unknown": scalars,
    },
    {
        "model": scalars,
        "messages": st.lists(
            st.fixed_dictionaries(
                {
                    "role": st.sampled_from(["user", "assistant", "system"]),
                    "content": texts | st.lists(blocks, max_size=3),
                }
            ),
            max_size=3,
        ),
        "system": st.lists(blocks, max_size=2) | st.none(),
        "stream": scalars,
        "max_tokens": scalars,
        "thinking": st.sampled_from(
            [None, {"type": "enabled", "budget_tokens": 2000}, {"type": "disabled"}, 5]
        ),
        "tools": scalars,
        "tool_choice": st.sampled_from([None, {"type": "tool", "name": "read"}]),
        "context_management": st.just({"edits": []}),
        "headers": st.just({}),
    },
)
messages_targets = st.builds(
    messages_wire.target,
    hosted_by_vendor=st.booleans(),
    strict=st.sampled_from([False, False, True]),
    level=st.sampled_from([None, None, None, None, "high"]),
    identity=st.sampled_from([
        Identity(),
        Identity(),
        Identity(),
        Identity(tool_names=("Read",)),
        Identity(system_text="You are.", tool_names=("Read",)),
        Identity(omitted_fields=frozenset({"service_tier"})),
    ]),
    compat=st.sampled_from([
        {}, {}, {"allowEmptySignature": True}, {"supportsTemperature": False}, {"forceAdaptiveThinking": True},
        {"supportsMidConvoSystemMessages": True},
    ]),
)  # fmt: skip
betas = st.sampled_from(
    [{}, {"anthropic-beta": ""}, {"anthropic-beta": "claude-code-1,context-management-2"}]
)


@settings(WAYS, max_examples=250)
@given(messages_bodies, messages_targets, betas)
def test_a_messages_request_is_the_same_on_both_ways(
    body: bytes, where: Target, headers: dict[str, str]
) -> None:
    peek = peeked(body, usage_on_demand=False)
    if peek is None:
        return  # it was refused before any relay
    kept = peek.members is not None and messages_kept.kept_request(body, peek.members, where, headers)
    event("short" if kept else "long")
    relay = anthropic_messages.RELAY
    long = outcome(lambda: messages_request.encode_request(body, where, headers))
    assert outcome(lambda: relay.encode_request(body, where, headers, peek)) == long
    assert outcome(lambda: relay.encode_request(body, where, headers)) == long


@WAYS
@given(chat_bodies, st.booleans())
def test_a_peek_reads_what_reading_all_of_it_reads(body: bytes, usage_on_demand: bool) -> None:
    peek = peeked(body, usage_on_demand=usage_on_demand)
    mended = peeked(body[:-1] + b',"x":"\\ud800"}', usage_on_demand=usage_on_demand)
    if peek is not None and mended is not None:
        assert msgspec.structs.replace(mended, members=None) == msgspec.structs.replace(peek, members=None)
    assert (peek is None) == (mended is None) or body == b"{}"


# Plain answers


def told(answer: tuple[bytes, Facts]) -> object:
    body, facts = answer
    return body, summary(facts)


def summary(facts: Facts) -> Json:
    said = msgspec.structs.asdict(facts)
    said["failure"] = facts.failure and (type(facts.failure), facts.failure.message)
    return said


counts = st.fixed_dictionaries(
    {},
    optional={
        "prompt_tokens": st.integers(-1, 200) | scalars,
        "completion_tokens": st.integers(-1, 200) | scalars,
        "total_tokens": st.integers(-1, 500) | scalars,
        "prompt_tokens_details": st.dictionaries(
            st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens"]),
            st.integers(-1, 300) | scalars,
        )
        | scalars,
        "completion_tokens_details": st.dictionaries(
            st.sampled_from(["reasoning_tokens", "audio_tokens"]), st.integers(-1, 300) | scalars
        )
        | scalars,
        "cached_tokens": st.integers(0, 9) | scalars,
        "reasoning_tokens": st.integers(0, 9) | scalars,
    },
)
finishes = st.sampled_from([None, "", "stop", "STOP", "tool_calls", "length", "error", 5])
chat_answers = whole(
    {
        "id": "x",
        "model": "acme-1",
        "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}],
    },
    {
        "choices": st.builds(
            lambda text, finish: [{"message": {"content": text}, "finish_reason": finish}],
            texts,
            st.sampled_from(["stop", "STOP", "tool_calls"]),
        ),
        "usage": counts | st.none(),
        "system_fingerprint": texts,
    },
    {
        "id": scalars,
        "object": st.just("response"),
        "model": scalars,
        "choices": st.lists(
            st.fixed_dictionaries(
                {"message": st.builds(lambda text: {"content": text}, texts) | scalars},
                optional={"finish_reason": finishes, "usage": counts, "index": scalars},
            )
            | scalars,
            max_size=2,
        )
        | scalars,
        "usage": scalars,
        "error": st.sampled_from([None, {}, {"message": "m"}, "e"]),
    },
)


@settings(WAYS, max_examples=200)
@given(chat_answers, st.booleans())
@example(b'{"choices":[{"finish_reason":"stop"}],"x":"\\ud83d"}', True)
@example(b'{"choices":[{"finish_reason":"stop","message":{"content":"\xff"}}]}', True)
def test_a_plain_chat_answer_is_the_same_on_both_ways(body: bytes, finishes: bool) -> None:
    context = chat_stream.context(target=chat_stream.target(compat={"supportsFinishReason": finishes}))
    event("short" if relay_message._kept_message(body, context) else "long")
    assert told(openai_chat.RELAY.message(body, context)) == told(
        relay_message._edited_message(body, context)
    )


messages_answers = whole(
    {"type": "message", "id": "msg_1", "model": "claude", "content": [], "stop_reason": "end_turn"},
    {
        "content": st.lists(blocks, max_size=2),
        "stop_reason": st.sampled_from(["end_turn", "tool_use", "refusal", "x"]),
        "stop_sequence": st.none() | texts,
        "usage": st.dictionaries(st.sampled_from(["input_tokens", "output_tokens"]), st.integers(0, 9)),
    },
    {
        "type": st.sampled_from(["error", 5]),
        "id": scalars,
        "model": scalars,
        "content": st.lists(blocks | scalars, max_size=3) | scalars,
        "stop_reason": st.none() | scalars,
        "stop_details": st.sampled_from([None, {"category": "c"}, {"explanation": "e"}, 5]),
        "usage": scalars,
        "error": st.sampled_from([None, {"message": "m"}]),
    },
)


@settings(WAYS, max_examples=200)
@given(messages_answers, st.booleans())
def test_a_plain_messages_answer_is_the_same_on_both_ways(body: bytes, renames: bool) -> None:
    names = ToolNames([Tool(name="READ")], casing=("read",)) if renames else NO_NAMES
    context = messages_wire.answer_context(names=names)
    event("short" if messages_answer._kept_message(body, context, names) else "long")
    short = told(anthropic_messages.RELAY.message(body, context))
    assert short == told(messages_answer._edited_message(body, context, names))


# Streams


class LongWay(ChatPipe):
    """Takes every chunk the long way."""

    @override
    def _kept_word(self, data: bytes, chunk: object) -> None:
        del data, chunk


fragments = st.fixed_dictionaries(
    {"index": st.integers(0, 1)},
    optional={
        "id": st.sampled_from(["c", "d", ""]),
        "type": st.sampled_from(["function", "custom", ""]),
        "function": st.sampled_from(
            [{"name": "f", "arguments": ""}, {"arguments": "{}"}, {"name": ""}, None]
        ),
    },
)
deltas = st.fixed_dictionaries(
    {},
    optional={
        "role": st.sampled_from(["assistant", "", None]),
        "content": texts | st.none() | st.just("lone \ud83d"),
        "reasoning_content": texts,
        "tool_calls": st.lists(fragments, max_size=2) | st.none(),
    },
)
ordinary: Json = {"id": "chatcmpl-up", "object": "chat.completion.chunk", "created": 1, "model": "acme-1"}
chunks = st.builds(
    lambda fields, delta, finish, more, style: spelt(
        {**fields, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **more}, style
    ),
    st.sampled_from(
        [ordinary, ordinary, ordinary, {**ordinary, "id": None}, {"created": 2}, {**ordinary, "model": "b"}]
    ),
    st.builds(lambda text: {"content": text}, texts) | deltas,
    st.sampled_from([None, None, None, "stop", "length", ""]),
    st.sampled_from(
        [
            {},
            {},
            {"usage": None},
            {"usage": {"total_tokens": 3}},
            {"x": {"usage": None}},
            {"y": {"model": "acme-1"}},
            {"error": None},
        ]
    ),
    st.sampled_from([0, 0, 0, 1, 2, 3, 4]),
)
chunk_lists = st.lists(chunks, min_size=1, max_size=8)


def relayed_alike(pieces: list[bytes], *, wants_usage: bool) -> bytes:
    """Return what a relay says, which must be the same on both ways."""
    context = chat_stream.context(wants_usage=wants_usage)
    short, long = ChatPipe(context), LongWay(context)
    told = [short.feed(piece) for piece in pieces] + [short.close()]
    assert told == [long.feed(piece) for piece in pieces] + [long.close()]
    assert summary(short.facts) == summary(long.facts)
    return b"".join(told)


def framed(chunk: bytes) -> bytes:
    return b"data: " + chunk.replace(b"\n", b"\ndata: ") + b"\n\n"


def word(choice: Json | None = None, /, **more: Any) -> Json:
    return {**ordinary, "choices": [{"index": 0, "delta": {"content": "w"}, **(choice or {})}], **more}


FIRST = {**ordinary, "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}
CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}
MORE = {"index": 0, "function": {"arguments": "{}"}}


@pytest.mark.parametrize("wants_usage", [True, False])
@pytest.mark.parametrize("style", [0, 1, 3, 4])
@pytest.mark.parametrize(
    "odd",
    [
        [word()],
        [word(usage=None)],
        [{"usage": None, **word()}],
        [word(usage=None, x={"usage": None})],
        [word(x={"usage": None})],
        [word(usage={"total_tokens": 3})],
        [word({"usage": {"prompt_tokens": 3}})],
        [word({"usage": None})],
        [word({"finish_reason": "length"})],
        [word({"finish_reason": ""})],
        [word({"delta": {"content": "a\u2028b\u0085é"}})],
        [word({"delta": {"tool_calls": [CALL]}}), word({"delta": {"tool_calls": [MORE]}})],
        [word({"delta": {"tool_calls": [MORE]}})],
        [word({"delta": {"tool_calls": [CALL]}}), word({"delta": {"tool_calls": [CALL]}})],
        [word({"delta": {"tool_calls": None}})],
        [word(x={"model": "acme-1"})],
        [word(model="other"), word()],
        [word(id="other")],
        [word(error={"message": "m"})],
        [word(error=None)],
        [word(choices=[])],
    ],
)
def test_odd_chunks_in_a_stream_of_words_are_relayed_alike_on_both_ways(
    odd: list[Json], style: int, wants_usage: bool
) -> None:
    pieces = [framed(spelt(each, style)) for each in (FIRST, word(), *odd, word())]
    told = relayed_alike(pieces, wants_usage=wants_usage)
    assert told.startswith(b"data: {")
    relayed_alike([b"".join(pieces)], wants_usage=wants_usage)


def test_a_chunk_of_several_lines_is_relayed_alike_on_both_ways() -> None:
    lines = b'{"id":"chatcmpl-up","model":"acme-1",\n"choices":[{"index":0,"delta":{"content":"w"}}]}'
    told = relayed_alike([framed(spelt(FIRST, 0)), framed(lines)], wants_usage=False)
    assert told.count(b"\n") == told.count(b"\n\n") * 2


@settings(WAYS, max_examples=200)
@given(chunk_lists, st.booleans(), st.booleans())
def test_a_stream_of_chunks_is_relayed_alike_on_both_ways(
    found: list[bytes], wants_usage: bool, at_once: bool
) -> None:
    pieces = [framed(chunk) for chunk in found]
    relayed_alike([b"".join(pieces)] if at_once else pieces, wants_usage=wants_usage)


def events_of(decoder: ChatStreamDecoder, pieces: list[bytes]) -> list[object]:
    found: list[Event] = [each for piece in pieces for each in decoder.feed(piece)] + decoder.close()
    return [(type(each.error), each.error.message) if isinstance(each, Failure) else each for each in found]


def read_alike(pieces: list[bytes]) -> list[object]:
    """Return the events of a stream, which must be the same on both ways."""
    long = ChatStreamDecoder(NO_NAMES)
    long._answer.word = lambda chunk: None  # type: ignore[method-assign]  # the short way, closed
    events = events_of(ChatStreamDecoder(NO_NAMES), pieces)
    assert events == events_of(long, pieces)
    return events


@settings(WAYS, max_examples=200)
@given(chunk_lists)
def test_a_stream_of_chunks_is_read_alike_on_both_ways(found: list[bytes]) -> None:
    read_alike([framed(chunk) for chunk in found])


def test_citations_count_in_all_the_words_before_them_on_both_ways() -> None:
    cited = {"url_citation": {"url": "u", "start_index": 3, "end_index": 5}}
    deltas = [
        {"content": "a"},
        {"content": "b"},
        {"reasoning": "hm"},
        {"content": "c"},
        {"annotations": [cited]},
    ]
    events = read_alike([framed(spelt(word({"delta": delta}), 0)) for delta in ({"content": "x"}, *deltas)])
    citations = [each.citation for each in events if isinstance(each, CitationDelta)]
    assert [(each.start, each.end) for each in citations] == [(0, 2)]


@WAYS
@given(counts)
def test_counts_are_read_alike_whatever_they_are_written_as(found: Json) -> None:
    fractions = {
        name: value + 0.0
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**50
        else value
        for name, value in found.items()
    }
    assert read_usage(json.dumps(found).encode()) == read_usage(json.dumps(fractions).encode())
