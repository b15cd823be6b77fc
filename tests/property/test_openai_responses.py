"""Laws of the Responses client half that hold for every input."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pi_model_proxy.dialects.names import NO_NAMES
from pi_model_proxy.dialects.openai_responses import CLIENT, without_reasoning
from pi_model_proxy.dialects.stopping import StopFilter
from pi_model_proxy.hub import (
    Event,
    Failure,
    Finish,
    ImageBlock,
    Message,
    Opaque,
    ReasoningBlock,
    RefusalBlock,
    Request,
    Sampling,
    TextBlock,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    UrlSource,
    Usage,
    check_order,
    fold,
    unfold,
)
from support.responses_stream import CREATED, sse, target
from support.strict_provider.rulebook import Case
from support.strict_provider.rules_responses import RESPONSES_RULES
from support.strict_provider.traits import ALL_EFFORTS, ResponsesTraits
from support.strict_provider.vault import Vault

LAWS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

Json = dict[str, Any]
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
words = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
blocks = st.one_of(
    st.builds(lambda text: TextBlock(text=text), texts),
    st.builds(lambda text: RefusalBlock(text=text), texts),
    st.builds(
        lambda text, blob, item: ReasoningBlock(
            text=text, summary=True, opaque=Opaque(kind="openai_encrypted", data=blob, item_id=f"rs_{item}")
        ),
        texts,
        texts,
        words,
    ),
    st.builds(
        lambda name, value: ToolCallBlock(
            id="", name=name, arguments=json.dumps({"a": value}, ensure_ascii=False)
        ),
        words,
        texts,
    ),
)
counts = st.integers(0, 10**6)
usages = st.builds(
    lambda input_, read, write, output, thought: Usage(
        input=input_, cache_read=read, cache_write_5m=write, output=output + thought, reasoning=thought
    ),
    counts,
    counts,
    counts,
    counts,
    counts,
)


def _numbered(block: Any, number: int) -> Any:
    if isinstance(block, ToolCallBlock):
        return ToolCallBlock(
            id=f"call_{number}", name=block.name, arguments=block.arguments, item_id=f"fc_{number}"
        )
    return block


messages = st.builds(
    lambda found, usage: Message(
        id="resp_1",
        model="gpt-x",
        blocks=tuple(_numbered(block, number) for number, block in enumerate(found)),
        usage=usage,
        finish=Finish(reason=_reason(found), native="completed"),
    ),
    st.lists(blocks, max_size=5),
    usages,
)


def _reason(found: list[Any]) -> Any:
    if any(isinstance(block, ToolCallBlock) for block in found):
        return "tool_calls"
    return "refusal" if any(isinstance(block, RefusalBlock) for block in found) else "stop"


def _item(block: Any, number: int) -> Json:
    match block:
        case TextBlock(text=text):
            return {
                "type": "message",
                "id": f"msg_{number}",
                "content": [{"type": "output_text", "text": text, "annotations": []}],
            }
        case RefusalBlock(text=text):
            return {
                "type": "message",
                "id": f"msg_{number}",
                "content": [{"type": "refusal", "refusal": text}],
            }
        case ReasoningBlock(text=text, opaque=Opaque(data=data, item_id=item_id)):
            summary = [{"type": "summary_text", "text": text}]
            return {"type": "reasoning", "id": item_id, "summary": summary, "encrypted_content": data}
        case _:
            return {
                "type": "function_call",
                "id": block.item_id,
                "call_id": block.id,
                "name": block.name,
                "arguments": block.arguments,
            }


def _deltas(block: Any, number: int) -> list[Json]:
    """Return the deltas that say `block`, character by character."""
    match block:
        case TextBlock(text=text):
            kind = "output_text"
        case RefusalBlock(text=text):
            kind = "refusal"
        case ReasoningBlock(text=text):
            kind = "reasoning_summary_text"
        case _:
            kind, text = "function_call_arguments", block.arguments
    return [{"type": f"response.{kind}.delta", "output_index": number, "delta": char} for char in text]


def _stream(message: Message, detail: str) -> bytes:
    """Return the stream of `message`; `detail` says which of the three tellings it has."""
    events: list[Json] = [CREATED]
    items = [_item(block, number) for number, block in enumerate(message.blocks)]
    for number, (block, item) in enumerate(zip(message.blocks, items, strict=True)):
        if "deltas" in detail:
            stub = {**item, "content": [], "summary": [], "arguments": "", "encrypted_content": None}
            events.append({"type": "response.output_item.added", "output_index": number, "item": stub})
            events += _deltas(block, number)
        if "done" in detail:
            events.append({"type": "response.output_item.done", "output_index": number, "item": item})
    return sse([*events, _terminal(message, items)])


def _terminal(message: Message, items: list[Json]) -> Json:
    usage = {
        "input_tokens": message.usage.total_input,
        "input_tokens_details": {
            "cached_tokens": message.usage.cache_read,
            "cache_write_tokens": message.usage.cache_write,
        },
        "output_tokens": message.usage.output,
        "output_tokens_details": {"reasoning_tokens": message.usage.reasoning},
        "total_tokens": message.usage.total,
    }
    response = {
        "id": "resp_1",
        "object": "response",
        "status": "completed",
        "model": "gpt-x",
        "output": items,
        "usage": usage,
    }
    return {"type": "response.completed", "response": response}


def _decoded(chunks: list[bytes]) -> list[Event]:
    decoder = CLIENT.stream_decoder(target(), NO_NAMES)
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + decoder.close()


def _chunks(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(data) + 1) for cut in cuts})
    return [data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True)]


@LAWS
@given(messages, st.sampled_from(["deltas", "done", "deltas and done", "neither"]))
def test_however_an_answer_is_told_it_means_the_same(message: Message, detail: str) -> None:
    events = _decoded([_stream(message, detail)])
    assert check_order(events) is None
    assert fold(events) == message


@LAWS
@given(messages)
def test_a_plain_answer_means_what_its_stream_means(message: Message) -> None:
    items = [_item(block, number) for number, block in enumerate(message.blocks)]
    body = json.dumps(_terminal(message, items)["response"]).encode()
    assert fold(CLIENT.decode_message(body, target(), NO_NAMES)) == message


@LAWS
@given(messages, st.lists(st.integers(0, 10**6), max_size=12))
def test_chunk_boundaries_do_not_matter(message: Message, cuts: list[int]) -> None:
    data = _stream(message, "deltas and done")
    assert fold(_decoded(_chunks(data, cuts))) == message


@LAWS
@given(messages, st.integers(0, 10**6), st.binary(max_size=40), st.lists(st.integers(0, 10**6), max_size=4))
def test_no_bytes_crash_the_decoder(message: Message, place: int, noise: bytes, cuts: list[int]) -> None:
    data = _stream(message, "deltas and done")
    at = place % (len(data) + 1)
    events = _decoded(_chunks(data[:at] + noise + data[at + len(noise) :], cuts))
    assert check_order(events) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
kinds = st.sampled_from([
    "response.created", "response.output_item.added", "response.output_item.done", "response.output_text.delta",
    "response.output_text.done", "response.refusal.delta", "response.reasoning_text.delta", "response.completed",
    "response.function_call_arguments.delta", "response.custom_tool_call_input.done", "error", "response.failed",
    "response.output_text.annotation.added", "response.reasoning_summary_text.delta", "response.unheard_of",
])  # fmt: skip
items = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            ["message", "reasoning", "function_call", "custom_tool_call", "web_search_call"]
        )
    },
    optional={"id": words, "call_id": words, "name": words, "arguments": texts, "input": texts},
)
wild_events = st.builds(
    lambda kind, fields, item: {**fields, "type": kind, **({"item": item} if item else {})},
    kinds,
    st.dictionaries(
        st.sampled_from(
            ["delta", "text", "output_index", "content_index", "item_id", "response", "annotation"]
        ),
        st.integers(0, 2) | texts | json_values,
        max_size=4,
    ),
    st.none() | items,
)


@LAWS
@given(st.lists(wild_events, max_size=12))
def test_any_order_of_any_events_gives_an_answer_in_the_hubs_order(events: list[Json]) -> None:
    assert check_order(_decoded([sse(events)])) is None


@LAWS
@given(st.binary(max_size=200))
def test_any_bytes_at_all_are_a_failure(data: bytes) -> None:
    assert isinstance(_decoded([data])[-1], Failure)
    assert isinstance(CLIENT.decode_message(data, target(), NO_NAMES)[-1], Failure)


@LAWS
@given(messages)
def test_what_an_answer_said_goes_back_as_it_was(message: Message) -> None:
    request = Request(
        dialect="openai_responses",
        model=None,
        turns=(
            Turn(role="user", blocks=(TextBlock(text="hi"),)),
            Turn(role="assistant", blocks=message.blocks),
        ),
    )
    body = CLIENT.encode_request(request, target()).body
    written = [item for item in json.loads(body)["input"][1:] if "output" not in item]
    kept = [item for item in written if item["type"] != "message"]
    expected = [_item(block, n) for n, block in enumerate(message.blocks)]
    for item in kept:
        assert {**item, "id": item.get("id")} in [{**each, "id": item.get("id")} for each in expected]
    assert [item["type"] for item in kept].count("function_call") == sum(
        isinstance(block, ToolCallBlock) for block in message.blocks
    )
    repeated = json.loads(without_reasoning(body))
    assert not [item for item in repeated["input"] if item.get("type") == "reasoning"]


@LAWS
@given(messages, st.lists(texts, min_size=1, max_size=3))
def test_no_stop_sequence_is_ever_said(message: Message, stops: list[str]) -> None:
    stop = StopFilter(stops)
    heard = [each for event in unfold(message) for each in stop.feed(event)]
    assert check_order(heard) is None
    for block in fold(heard).blocks:
        if isinstance(block, TextBlock):
            assert not any(each in block.text for each in stops)


ids = st.sampled_from(["call_1", "call_2", "toolu|odd id", ""])
stray_texts = st.sampled_from(["", "  ", "text", "\ud83d half", "json"])
any_block = st.one_of(
    st.builds(lambda text: TextBlock(text=text, at="x"), stray_texts),
    st.builds(lambda text: ReasoningBlock(text=text, summary=True, at="x"), stray_texts),
    st.builds(
        lambda call_id, name, arguments, custom: ToolCallBlock(
            id=call_id, name=name, arguments=arguments, custom=custom, item_id="fc_1", at="x"
        ),
        ids,
        st.sampled_from(["f", "patch", "bad.name", "", "x" * 70]),
        st.sampled_from(["", "{}", "{broken", '{"a":"\\ud83d"}']),
        st.booleans(),
    ),
    st.builds(
        lambda call_id, text, is_error: ToolResultBlock(
            call_id=call_id, content=(TextBlock(text=text),), is_error=is_error, at="x"
        ),
        ids,
        stray_texts,
        st.booleans(),
    ),
    st.just(ImageBlock(source=UrlSource(url="https://example.com/a.png"), at="x")),
)
histories = st.lists(
    st.builds(
        lambda role, found: Turn(role=role, blocks=tuple(found)),
        st.sampled_from(["user", "assistant", "tool", "system"]),
        st.lists(any_block, max_size=4),
    ),
    max_size=6,
)
schemas = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "array"}, {"type": ["object", "null"]}, {}, True]),
    lambda inner: st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["object", "array"]),
            "properties": st.dictionaries(words, inner, max_size=2),
            "required": st.lists(words, max_size=2),
            "additionalProperties": st.booleans(),
            "anyOf": st.lists(inner, max_size=2),
            "items": inner,
            "enum": st.just(["a"]),
        },
    ),
    max_leaves=5,
)
some_tools = st.lists(
    st.builds(
        lambda name, schema, strict, kind: Tool(
            name=name,
            schema=schema if isinstance(schema, dict) else None,
            strict=strict,
            kind=kind,
            at="tools[0]",
        ),
        st.sampled_from(["f", "patch", "bad.name", "bad/name", "x" * 70]),
        schemas,
        st.sampled_from([None, True, False]),
        st.sampled_from(["function", "custom"]),
    ),
    max_size=3,
)


@LAWS
@given(histories, some_tools, st.booleans(), st.integers(0, 10**6), st.booleans())
def test_whatever_is_asked_what_we_send_is_taken(
    history: list[Turn], tools: list[Tool], native: bool, limit: int, thinks: bool
) -> None:
    first = Turn(role="user", blocks=(TextBlock(text="hi"),))
    request = Request(
        dialect="anthropic_messages",
        model=None,
        turns=(first, *history),
        tools=tuple(tools),
        max_output=limit,
        sampling=Sampling(temperature=0.5, top_k=3, logprobs=True),
        cache_key="k" * 100,
        end_user="u" * 200,
    )
    flags = {"supportsOpenAIGrammarTools": native, "supportsStrictMode": True}
    body = json.loads(CLIENT.encode_request(request, target(compat=flags, reasoning=thinks)).body)
    traits = ResponsesTraits(reasoning=thinks, efforts=ALL_EFFORTS, max_output=100_000)
    assert RESPONSES_RULES.judge(Case(body=body, traits=traits, vault=Vault())) is None
