"""Laws of the Responses server half and relay that hold for every input."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_responses import CLIENT, RELAY, SERVER, input_items, read_state, resumed
from pi_model_proxy.errors import BadRequest, BrokenStream, UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import (
    Block,
    DataSource,
    Failure,
    Finish,
    ImageBlock,
    Message,
    Opaque,
    ReasoningBlock,
    RefusalBlock,
    Request,
    TextBlock,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    Usage,
    fold,
    unfold,
)
from support.responses_caller import context, final, relayed, target
from support.responses_grammar import check_stream

LAWS = settings(
    max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)

Json = dict[str, Any]
texts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
words = st.from_regex(r"[a-z]{1,6}", fullmatch=True)
tokens = st.builds(
    lambda kind, data, origin: Opaque(kind=kind, data=data, origin=origin),
    st.sampled_from(
        [
            "anthropic_signature",
            "anthropic_redacted",
            "reasoning_details",
            "gemini_signature",
            "openai_encrypted",
            "pi_signature",
        ]
    ),
    texts,
    st.just("acme/m-1"),
)
thoughts = st.builds(
    lambda text, opaque, summary, field: ReasoningBlock(
        text=text, opaque=opaque, summary=summary, field=field
    ),
    st.one_of(st.just(""), texts),
    tokens,
    st.booleans(),
    st.sampled_from(["", "reasoning", "reasoning_content"]),
)
calls = st.builds(
    lambda name, value, custom, space: ToolCallBlock(
        id="",
        name=name,
        custom=custom,
        namespace=space,
        arguments=value if custom else json.dumps({"a": value}, ensure_ascii=False),
    ),
    words,
    texts,
    st.booleans(),
    st.one_of(st.none(), words),
)
says = st.one_of(
    st.builds(lambda text: TextBlock(text=text), texts),
    st.builds(lambda text: RefusalBlock(text=text), texts),
)
counts = st.integers(0, 10**6)
usages = st.builds(
    lambda input_, read, write, output, thought: Usage(
        input=input_, cache_read=read, cache_write_5m=write, output=output + thought, reasoning=thought
    ),
    counts, counts, counts, counts, counts,
)  # fmt: skip
finishes = st.sampled_from(
    ["stop", "tool_calls", "length", "content_filter", "stop_sequence", "pause", "refusal"]
)


def _answer(found: list[Block], usage: Usage, reason: Any) -> Message:
    named: list[Block] = []
    for number, block in enumerate(found):
        if isinstance(block, ToolCallBlock):
            prefix = "ctc" if block.custom else "fc"
            block = msgspec.structs.replace(block, id=f"call_{number}", item_id=f"{prefix}_{number}")  # noqa: PLW2901
        named.append(block)
    return Message(id="resp_1", model="m-1", blocks=tuple(named), usage=usage, finish=Finish(reason=reason))


messages = st.builds(_answer, st.lists(st.one_of(says, thoughts, calls), max_size=6), usages, finishes)
contexts = st.builds(
    lambda body, shown: context(body, shows_reasoning=shown),
    st.sampled_from([{}, {"reasoning": {"summary": "auto"}}, {"tools": [{"type": "apply_patch"}], "metadata": {"\u2028": "\u00e9"}}]),
    st.booleans(),
)  # fmt: skip


def _joined(blocks: tuple[Block, ...]) -> list[Block]:
    """Return what this format can say of an answer: neighbouring texts are one."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if isinstance(block, TextBlock | RefusalBlock) and type(last) is type(block):
            joined[-1] = msgspec.structs.replace(last, text=last.text + block.text)
        else:
            joined.append(block)
    return joined


@LAWS
@given(messages, contexts)
def test_every_answer_keeps_the_grammar_and_its_plain_form_agrees(message: Message, where: Any) -> None:
    streamed = final(unfold(message), where)
    plain = json.loads(SERVER.encode_message(message, where))
    for body in (streamed, plain):
        for item in body["output"]:
            if item["type"] == "reasoning":
                item.pop("encrypted_content", None)  # the plain form has OpenAI's own where there is one
    assert streamed == plain


@LAWS
@given(messages, contexts)
def test_an_answer_comes_back_as_it_was(message: Message, where: Any) -> None:
    for output in (
        final(unfold(message), where)["output"],
        json.loads(SERVER.encode_message(message, where))["output"],
    ):
        body = json.dumps({"input": output}).encode()
        back = [
            msgspec.structs.replace(block, at="")
            for turn in SERVER.decode_request(body).turns
            for block in turn.blocks
        ]
        expected = _joined(message.blocks)
        assert [_bare(block) for block in back] == [_bare(block) for block in expected]


def _bare(block: Block) -> Block:
    """Leave out what a plain answer may say of OpenAI's own blob: nothing of the field it came in."""
    if isinstance(block, ReasoningBlock) and block.opaque is not None and block.opaque.item_id is not None:
        return msgspec.structs.replace(
            block, field="", opaque=msgspec.structs.replace(block.opaque, origin="")
        )
    return block


@LAWS
@given(messages)
def test_our_own_client_half_reads_what_we_write(message: Message) -> None:
    where = context({"reasoning": {"summary": "auto"}})
    encoder = SERVER.stream_encoder(where)
    data = b"".join(encoder.feed(event) for event in unfold(message))
    decoder = CLIENT.stream_decoder(where.target, ToolNames())
    back = fold([*decoder.feed(data), *decoder.close()])
    assert back.usage == message.usage
    said = [
        (type(block), getattr(block, "text", None) or getattr(block, "arguments", None))
        for block in back.blocks
    ]
    expected = [
        (type(block), getattr(block, "text", None) or getattr(block, "arguments", None))
        for block in _joined(message.blocks)
    ]
    assert said == expected


@LAWS
@given(messages, st.integers(0, 30))
def test_an_answer_that_breaks_off_keeps_the_grammar(message: Message, place: int) -> None:
    events = [*unfold(message)][:-1]
    encoder = SERVER.stream_encoder(context())
    cut = events[: min(place, len(events))]
    check_stream(b"".join(encoder.feed(event) for event in [*cut, Failure(BrokenStream("cut"))]))


@LAWS
@given(messages, st.booleans(), st.lists(st.integers(0, 10**6), max_size=12))
def test_a_relay_keeps_the_grammar_wherever_the_bytes_are_cut(
    message: Message, vendor: Any, cuts: list[int]
) -> None:
    encoder = SERVER.stream_encoder(context())
    data = b"".join(encoder.feed(event) for event in unfold(message))
    where = context(target=target(kind="openai-responses", hosted_by_vendor=vendor), model="other")
    pipe = RELAY.stream_pipe(where)
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    told = (
        b"".join(pipe.feed(data[start:end]) for start, end in zip(places, places[1:], strict=False))
        + pipe.close()
    )
    assert told == data.replace(b'"model":"acme/m"', b'"model":"other"')
    assert pipe.facts.done
    assert pipe.facts.usage == message.usage
    check_stream(told)


@LAWS
@given(messages, st.integers(0, 10**6), st.binary(max_size=40))
def test_no_bytes_crash_a_relay(message: Message, place: int, noise: bytes) -> None:
    encoder = SERVER.stream_encoder(context())
    data = b"".join(encoder.feed(event) for event in unfold(message))
    cut = place % (len(data) + 1)
    _told, facts = relayed(data[:cut] + noise + data[cut:], pieces=64)
    assert facts.done or isinstance(facts.failure, UpstreamError)
    assert relayed(noise)[1].failure is not None or not noise.strip()
    RELAY.message(data[:cut] + noise, context())


# Requests.

json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-5, 10**6), st.floats(allow_nan=False), texts, st.just("")
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(words, inner, max_size=3)),
    max_leaves=6,
)
item_types = st.sampled_from([
    "message", "function_call", "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning",
    "item_reference", "apply_patch_call", "apply_patch_call_output", "shell_call", "shell_call_output",
    "local_shell_call", "local_shell_call_output", "configuration_update", "additional_tools", "tool_search_output",
    "compaction", "web_search_call", "mcp_approval_response", None,
])  # fmt: skip
members = st.sampled_from([
    "role", "content", "id", "call_id", "name", "namespace", "arguments", "input", "output", "summary",
    "encrypted_content", "operation", "action", "tools", "reasoning", "text", "status", "phase", "cache_control",
])  # fmt: skip
wild_items = st.builds(
    lambda kind, rest: {"type": kind, **rest}, item_types, st.dictionaries(members, json_values, max_size=5)
)
fields = st.sampled_from([
    "model", "stream", "instructions", "tools", "tool_choice", "parallel_tool_calls", "reasoning", "text", "include",
    "max_output_tokens", "temperature", "metadata", "store", "previous_response_id", "conversation", "background",
    "user", "prompt_cache_key", "stop", "n", "truncation", "moderation", "service_tier", "top_logprobs",
])  # fmt: skip
wild_bodies = st.builds(
    lambda given, items: json.dumps({**given, "input": items}).encode(),
    st.dictionaries(fields, json_values, max_size=5),
    st.one_of(texts, json_values, st.lists(st.one_of(wild_items, json_values), max_size=5)),
)


@LAWS
@given(st.one_of(wild_bodies, st.binary(max_size=80)))
def test_no_request_crashes_a_decoder(body: bytes) -> None:
    for read in (
        SERVER.peek,
        SERVER.decode_request,
        read_state,
        input_items,
        lambda body: resumed(body, [b"{}"], {"a": b"{}"}),
    ):
        try:
            read(body)
        except (BadRequest, UnsupportedFeature):
            continue
    for goes_to in (
        target(kind="openai-responses", reasoning=True),
        target(kind="openai-codex-responses", compat={"supportsDeveloperRole": False}),
    ):
        RELAY.suits(body, goes_to)
        try:
            msgspec.json.decode(RELAY.encode_request(body, goes_to, {}).body)
        except (BadRequest, UnsupportedFeature):
            continue


@LAWS
@given(st.one_of(wild_bodies, st.binary(max_size=80)))
def test_whatever_was_asked_an_answer_is_whole(body: bytes) -> None:
    where = msgspec.structs.replace(context(), body=body)
    final(unfold(Message(blocks=(TextBlock(text="a"),), finish=Finish(reason="stop"))), where)


user_blocks = st.one_of(
    st.builds(lambda text: TextBlock(text=text), texts),
    st.just(ImageBlock(source=DataSource(media_type="image/png", data="iVBORw0KGgo="), detail="low")),
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Turn, ...]:
    """Return turns that this format can say whole."""
    turns: list[Turn] = []
    for number in range(draw(st.integers(1, 3))):
        turns.append(Turn(role="user", blocks=tuple(draw(st.lists(user_blocks, min_size=1, max_size=2)))))
        spoken: list[Block] = [TextBlock(text=draw(texts))]
        results: list[Block] = []
        for place in range(draw(st.integers(0, 2))):
            call_id = f"call_{number}_{place}"
            spoken.append(ToolCallBlock(id=call_id, name="f", arguments='{"a":1}'))
            content = tuple(draw(st.lists(user_blocks, min_size=1, max_size=1)))
            results.append(ToolResultBlock(call_id=call_id, content=content))
        turns.append(Turn(role="assistant", blocks=tuple(spoken)))
        if results:
            turns.append(Turn(role="tool", blocks=tuple(results)))
    return tuple(turns)


def _placeless(value: Any) -> Any:
    """Return a decoded request without the paths."""
    if isinstance(value, dict):
        return {name: _placeless(each) for name, each in value.items() if name not in {"at", "name"}}
    return [_placeless(each) for each in value] if isinstance(value, list) else value


@LAWS
@given(conversations())
def test_what_the_client_half_writes_the_server_half_reads(turns: tuple[Turn, ...]) -> None:
    request = Request(
        dialect="openai_responses",
        model="m",
        instructions=(TextBlock(text="be kind"),),
        turns=turns,
        tools=(Tool(name="f", schema={"type": "object", "properties": {}}),),
    )
    goes_to = target(kind="openai-responses", hosted_by_vendor=True)
    outgoing = CLIENT.encode_request(request, goes_to)
    back = SERVER.decode_request(outgoing.body)
    assert outgoing.dropped == ()
    assert [block.text for block in back.instructions] == ["be kind"]
    assert [tool.name for tool in back.tools] == ["f"]
    assert _placeless(json.loads(msgspec.json.encode(back.turns))) == _placeless(
        json.loads(msgspec.json.encode(turns))
    )


@LAWS
@given(st.lists(texts, max_size=3), texts)
def test_a_resumed_conversation_is_the_whole_one(earlier: list[str], said: str) -> None:
    items = [{"type": "message", "role": "user", "content": text} for text in earlier]
    body = json.dumps({"input": said, "previous_response_id": "resp_1"}).encode()
    whole = SERVER.decode_request(resumed(body, [json.dumps(item).encode() for item in items]))
    assert [block.text for turn in whole.turns for block in turn.blocks] == [*earlier, said]  # type: ignore[union-attr]  # texts
