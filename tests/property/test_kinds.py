"""Laws of the client halves without a server half of their own that hold for every input."""

from __future__ import annotations

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pi_model_proxy.dialects import bedrock_converse, mistral_conversations, pi_messages
from pi_model_proxy.dialects.base import ClientHalf
from pi_model_proxy.dialects.names import NO_NAMES, ToolNames
from pi_model_proxy.errors import BadRequest
from pi_model_proxy.hub import (
    CacheMark,
    DataSource,
    Event,
    Failure,
    Finish,
    ImageBlock,
    Message,
    Opaque,
    OutputFormat,
    ReasoningBlock,
    ReasoningWish,
    RefusalBlock,
    Request,
    Sampling,
    TextBlock,
    Tool,
    ToolCallBlock,
    ToolChoice,
    ToolResultBlock,
    Turn,
    Usage,
    check_order,
    fold,
)
from support.kind_streams import event_frame, exception_frame, sse, target

LAWS = settings(
    max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

Json = dict[str, Any]
CLIENTS: dict[str, ClientHalf] = {
    "bedrock": bedrock_converse.CLIENT,
    "mistral": mistral_conversations.CLIENT,
    "pi": pi_messages.CLIENT,
}
CLAUDE = "anthropic.claude-opus-4-8"
ids = pytest.mark.parametrize("kind", sorted(CLIENTS))
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
words = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
objects = st.dictionaries(words, texts, max_size=2).map(
    lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))
)
counts = st.integers(0, 10**6)


# Answers: an answer in the hub's words, and the stream each format makes of it.


def _spoken(kind: str) -> st.SearchStrategy[Any]:
    """What the format can say between calls; Mistral's thinking has no token."""
    if kind == "mistral":
        return st.one_of(
            texts.map(lambda text: TextBlock(text=text)), texts.map(lambda text: ReasoningBlock(text=text))
        )
    signed = {"bedrock": "anthropic_signature", "pi": "pi_signature"}[kind]
    hidden = {"bedrock": "anthropic_redacted", "pi": "pi_redacted"}[kind]
    return st.one_of(
        texts.map(lambda text: TextBlock(text=text)),
        st.builds(
            lambda text, data: ReasoningBlock(
                text=text, opaque=msgspec.convert({"kind": signed, "data": data}, Opaque)
            ),
            texts,
            words,
        ),
        st.binary(min_size=1, max_size=9).map(
            lambda data: ReasoningBlock(
                opaque=msgspec.convert({"kind": hidden, "data": base64.b64encode(data).decode()}, Opaque)
            )
        ),
    )


def _messages(kind: str) -> st.SearchStrategy[Message]:
    calls = st.builds(
        lambda name, arguments: ToolCallBlock(id="", name=name, arguments=arguments), words, objects
    )

    def whole(spoken: list[Any], called: list[Any], usage: Usage) -> Message:
        found = [*spoken, *(msgspec.structs.replace(each, id=f"c{n}") for n, each in enumerate(called))]
        reason = "tool_calls" if called else "stop"
        finish = msgspec.convert(
            {"type": "finish", "reason": reason, "native": _NATIVE[kind][reason]}, Finish
        )
        return Message(blocks=tuple(_apart(found, kind)), usage=usage, finish=finish)

    return st.builds(whole, st.lists(_spoken(kind), max_size=4), st.lists(calls, max_size=3), _usages(kind))


def _apart(blocks: list[Any], kind: str) -> list[Any]:
    """Join what Mistral, which numbers no blocks, tells as one."""
    if kind != "mistral":
        return blocks
    apart: list[Any] = []
    for block in blocks:
        if apart and type(apart[-1]) is type(block) and not isinstance(block, ToolCallBlock):
            apart[-1] = msgspec.structs.replace(block, text=apart[-1].text + block.text)
        else:
            apart.append(block)
    return apart


_NATIVE = {
    "bedrock": {"tool_calls": "tool_use", "stop": "end_turn"},
    "mistral": {"tool_calls": "tool_calls", "stop": "stop"},
    "pi": {"tool_calls": "toolUse", "stop": "stop"},
}


def _usages(kind: str) -> st.SearchStrategy[Usage]:
    if kind == "mistral":
        return st.builds(lambda i, r, o: Usage(input=i, cache_read=r, output=o), counts, counts, counts)
    return st.builds(
        lambda i, r, short, long, o: Usage(
            input=i, cache_read=r, cache_write_5m=short, cache_write_1h=long, output=o
        ),
        counts, counts, counts, counts, counts,
    )  # fmt: skip


def _bedrock(message: Message) -> bytes:
    frames = [event_frame("messageStart", role="assistant")]
    for index, block in enumerate(message.blocks):
        deltas: list[Json] = []
        match block:
            case TextBlock(text=text):
                deltas = [{"text": char} for char in text]
            case ReasoningBlock(text=text, opaque=Opaque(kind="anthropic_signature", data=data)):
                deltas = [{"reasoningContent": {"text": char}} for char in text]
                deltas += [{"reasoningContent": {"signature": char}} for char in data]
            case ReasoningBlock(opaque=Opaque(data=data)):
                deltas = [{"reasoningContent": {"redactedContent": data}}]
            case ToolCallBlock(id=call_id, name=name, arguments=arguments):
                start = {"toolUse": {"toolUseId": call_id, "name": name}}
                frames.append(event_frame("contentBlockStart", contentBlockIndex=index, start=start))
                deltas = [{"toolUse": {"input": char}} for char in arguments]
        frames += [event_frame("contentBlockDelta", contentBlockIndex=index, delta=each) for each in deltas]
        frames.append(event_frame("contentBlockStop", contentBlockIndex=index))
    usage = message.usage
    counted = {
        "inputTokens": usage.input,
        "outputTokens": usage.output,
        "cacheReadInputTokens": usage.cache_read,
        "cacheWriteInputTokens": usage.cache_write,
        "cacheDetails": [{"ttl": "1h", "inputTokens": usage.cache_write_1h}],
    }
    frames += [
        event_frame("messageStop", stopReason=message.finish.native),
        event_frame("metadata", usage=counted),
    ]
    return b"".join(frames)


def _mistral(message: Message) -> bytes:
    chunks: list[Json] = []
    position = 0
    for block in message.blocks:
        match block:
            case TextBlock(text=text):
                chunks += [{"content": char} for char in text]
            case ReasoningBlock(text=text):
                chunks += [
                    {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": char}]}]}
                    for char in text
                ]
            case ToolCallBlock(id=call_id, name=name, arguments=arguments):
                call = {"id": call_id, "index": position, "function": {"name": name, "arguments": arguments}}
                chunks.append({"tool_calls": [call]})
                position += 1
    usage = message.usage
    counted = {
        "prompt_tokens": usage.input + usage.cache_read,
        "completion_tokens": usage.output,
        "num_cached_tokens": usage.cache_read,
    }
    last = {"choices": [{"delta": {}, "finish_reason": message.finish.native}], "usage": counted}
    return sse(*({"choices": [{"delta": each}]} for each in chunks), last, done=True)


def _pi(message: Message) -> bytes:
    events: list[Json] = [{"type": "start"}]
    for index, block in enumerate(message.blocks):
        match block:
            case TextBlock(text=text):
                events += _told("text", index, text, {"content": text})
            case ReasoningBlock(text=text, opaque=Opaque(kind=kind, data=data)):
                end = {"content": text, "contentSignature": data, "redacted": kind == "pi_redacted"}
                events += _told("thinking", index, text, end)
            case ToolCallBlock(id=call_id, name=name, arguments=arguments):
                whole = {"toolCall": {"id": call_id, "name": name, "arguments": json.loads(arguments)}}
                told = _told("toolcall", index, arguments, whole)
                told[0] |= {"id": call_id, "toolName": name}
                events += told
    usage = message.usage
    counted = {
        "input": usage.input,
        "output": usage.output,
        "cacheRead": usage.cache_read,
        "cacheWrite": usage.cache_write,
        "cacheWrite1h": usage.cache_write_1h,
    }
    return sse(*events, {"type": "done", "reason": message.finish.native, "usage": counted})


def _told(name: str, index: int, text: str, end: Json) -> list[Json]:
    deltas = [{"type": f"{name}_delta", "contentIndex": index, "delta": char} for char in text]
    return [
        {"type": f"{name}_start", "contentIndex": index},
        *deltas,
        {"type": f"{name}_end", "contentIndex": index, **end},
    ]


_WRITE = {"bedrock": _bedrock, "mistral": _mistral, "pi": _pi}


def _read(kind: str, chunks: list[bytes]) -> list[Event]:
    client = CLIENTS[kind]
    decoder = client.stream_decoder(target(client, model=CLAUDE), NO_NAMES)
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.close()


def _cut(data: bytes, places: list[int]) -> list[bytes]:
    cuts = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in zip(cuts, cuts[1:], strict=False)]


@ids
def test_a_stream_means_the_answer_it_was_made_from(kind: str) -> None:
    @LAWS
    @given(_messages(kind))
    def law(message: Message) -> None:
        events = _read(kind, [_WRITE[kind](message)])
        assert check_order(events) is None
        assert fold(events) == message

    law()


@ids
def test_chunk_boundaries_do_not_matter(kind: str) -> None:
    @LAWS
    @given(_messages(kind), st.lists(st.integers(0, 10**6), max_size=30))
    def law(message: Message, places: list[int]) -> None:
        data = _WRITE[kind](message)
        assert _read(kind, _cut(data, places)) == _read(kind, [data])

    law()


@ids
def test_a_stream_that_is_cut_or_damaged_is_a_failure_or_whole(kind: str) -> None:
    @LAWS
    @given(_messages(kind), st.integers(0, 10**6), st.binary(max_size=3))
    def law(message: Message, place: int, junk: bytes) -> None:
        data = _WRITE[kind](message)
        place %= len(data)
        for broken in (data[:place], data[:place] + junk + data[place:], data[:place] + data[place + 1 :]):
            events = _read(kind, [broken])
            assert check_order(events) is None
            assert isinstance(events[-1], Failure | Finish)

    law()


@ids
def test_no_bytes_crash_a_decoder(kind: str) -> None:
    client = CLIENTS[kind]
    goes_to = target(client)
    fields = st.sampled_from([
        "type", "contentIndex", "delta", "content", "toolCall", "reason", "usage", "choices", "finish_reason", "error",
        "tool_calls", "function", "arguments", "id", "index", "text", "thinking", "contentBlockIndex", "start", "toolUse",
        "input", "reasoningContent", "redactedContent", "signature", "stopReason", "message", "citation", "output",
    ])  # fmt: skip
    leaves = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-5, 10**20),
        st.floats(allow_nan=False, allow_infinity=False),
        texts,
        st.sampled_from(
            ["text_start", "toolcall_end", "done", "error", "stop", "tool_use", "thinking", "text"]
        ),
    )
    values = st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(fields, inner, max_size=5),
        max_leaves=12,
    )

    @settings(LAWS, max_examples=150)
    @given(st.lists(st.dictionaries(fields, values, max_size=6), max_size=5), st.binary(max_size=40))
    def law(said: list[Json], junk: bytes) -> None:
        types = ["contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
        framed = b"".join(event_frame(types[n % len(types)], **each) for n, each in enumerate(said))
        for data in (sse(*said), framed, framed + exception_frame("x", **(said[0] if said else {})), junk):
            events = [*(decoder := client.stream_decoder(goes_to, NO_NAMES)).feed(data), *decoder.close()]
            assert check_order(events) is None
            assert isinstance(events[-1], Failure | Finish)
        for body in (json.dumps(said[0] if said else said).encode(), junk):
            assert isinstance(client.decode_message(body, goes_to, NO_NAMES)[-1], Failure | Finish)
            assert client.decode_error(500, {}, body).message

    law()


# Requests.

blocks = st.one_of(
    texts.map(lambda text: TextBlock(text=text, cache=CacheMark(ttl="1h", at="mark"), at="at")),
    texts.map(lambda text: RefusalBlock(text=text, at="at")),
    st.just(TextBlock(text=" ", at="at")),
    st.just(ImageBlock(source=DataSource("image/png", "AAAA"), at="at")),
    st.builds(
        lambda kind, data: ReasoningBlock(
            text="t", opaque=msgspec.convert({"kind": kind, "data": data}, Opaque), at="at"
        ),
        st.sampled_from(
            ["anthropic_signature", "anthropic_redacted", "openai_encrypted", "pi_signature", "pi_redacted"]
        ),
        words,
    ),
    st.just(ReasoningBlock(text="t", at="at")),
    st.builds(
        lambda n, a: ToolCallBlock(id=n, name=n, arguments=a, at="at"), words, st.one_of(objects, texts)
    ),
    st.builds(
        lambda n, text, failed: ToolResultBlock(
            call_id=n, content=(TextBlock(text=text, at="at"),), is_error=failed, at="at"
        ),
        words,
        texts,
        st.booleans(),
    ),
)
turns = st.builds(
    lambda role, found: Turn(role=role, blocks=tuple(found), at="at"),
    st.sampled_from(["user", "assistant", "tool", "system"]),
    st.lists(blocks, max_size=4),
)
requests = st.builds(
    lambda found, tools, choice, wish, output, sampling: Request(
        dialect="openai_chat", model="m", turns=tuple(found), tools=tuple(tools), tool_choice=choice, reasoning=wish,
        output=output, sampling=sampling, max_output=2000,
    ),
    st.lists(turns, min_size=1, max_size=6),
    st.lists(st.builds(lambda name: Tool(name=name, at="at"), texts), max_size=3),
    st.sampled_from([None, ToolChoice(mode="auto"), ToolChoice(mode="none")]),
    st.sampled_from([None, ReasoningWish(mode="off"), ReasoningWish(mode="auto"), ReasoningWish(mode="level", level="low")]),
    st.sampled_from([None, OutputFormat(kind="json")]),
    st.builds(Sampling, temperature=st.one_of(st.none(), st.floats(0, 2)), seed=st.one_of(st.none(), counts)),
)  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "model"),
    [("bedrock", CLAUDE), ("bedrock", "amazon.nova-pro-v1:0"), ("mistral", "m"), ("pi", "m")],
)
def test_every_history_becomes_one_that_the_provider_takes(kind: str, model: str) -> None:
    client = CLIENTS[kind]
    goes_to = target(client, model=model, reasoning=True, auto_cache=True)

    @LAWS
    @given(requests)
    def law(asked: Request) -> None:
        try:
            outgoing = client.encode_request(asked, goes_to)
        except BadRequest:
            return  # nothing was left to send
        assert client.encode_request(asked, goes_to).body == outgoing.body, "the same request, the same bytes"
        _CHECKS[kind](json.loads(outgoing.body), outgoing.names)

    law()


def _takes_bedrock(body: Json, names: ToolNames) -> None:
    messages = body["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant"] * (len(messages) // 2) + ["user"] * (
        len(messages) % 2
    )
    assert all(m["content"] for m in messages)
    called: list[str] = []
    for message in messages:
        given = [block["toolResult"]["toolUseId"] for block in message["content"] if "toolResult" in block]
        if message["role"] == "user":
            assert given == called
            assert [next(iter(block)) for block in message["content"]][: len(given)] == ["toolResult"] * len(
                given
            )
        called = [block["toolUse"]["toolUseId"] for block in message["content"] if "toolUse" in block]
        assert all(isinstance(b["toolUse"]["input"], dict) for b in message["content"] if "toolUse" in b)
        assert all(b["text"].strip() for b in message["content"] if "text" in b)
    assert called == []
    has_calls = any("toolUse" in block for message in messages for block in message["content"])
    assert not has_calls or body["toolConfig"]["tools"]
    offered = [
        tool["toolSpec"]["name"] for tool in body.get("toolConfig", {}).get("tools", ()) if "toolSpec" in tool
    ]
    assert len(set(offered)) == len(offered)
    assert all(names.wire(names.original(name)) == name for name in offered)


def _takes_mistral(body: Json, names: ToolNames) -> None:
    messages = body["messages"]
    waiting: list[str] = []
    for before, message in zip([{"role": ""}, *messages], messages, strict=False):
        if message["role"] == "tool":
            assert message["tool_call_id"] == waiting.pop(0)
            assert message["content"][0]["text"]
        else:
            assert waiting == []
            assert before["role"] != "tool" or message["role"] == "assistant"
        waiting += [call["id"] for call in message.get("tool_calls", ())]
        assert message.get("content") or message.get("tool_calls")
    assert waiting == []
    taken = [call["id"] for message in messages for call in message.get("tool_calls", ())]
    assert len(set(taken)) == len(taken)
    assert all(len(each) == 9 and each.isalnum() and each.isascii() for each in taken)
    assert messages[-1]["role"] != "assistant" or messages[-1]["prefix"]
    assert all(
        names.wire(names.original(t["function"]["name"])) == t["function"]["name"]
        for t in body.get("tools", ())
    )


def _takes_pi(body: Json, names: ToolNames) -> None:
    waiting: list[str] = []
    for number, message in enumerate(body["context"]["messages"]):
        assert message["timestamp"] == 0
        if message["role"] == "toolResult":
            assert message["toolCallId"] == waiting.pop(0)
            continue
        assert waiting == []
        assert message["content"] or (number == 0 and message["toolsAdded"])
        if message["role"] == "assistant":
            waiting = [part["id"] for part in message["content"] if part["type"] == "toolCall"]
            assert message["stopReason"] == ("toolUse" if waiting else "stop")
    assert waiting == []
    offered = body["context"]["messages"][0].get("toolsAdded", ())
    assert all(names.wire(names.original(tool["name"])) == tool["name"] for tool in offered)


_CHECKS = {"bedrock": _takes_bedrock, "mistral": _takes_mistral, "pi": _takes_pi}
