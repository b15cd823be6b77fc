"""The numbered edge cases of the dialect reference that concern this format."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects import google_gemini
from pi_model_proxy.dialects.google_gemini import ARRAY_SERVER, CLIENT, SERVER, SSE_RELAY, SSE_SERVER
from pi_model_proxy.dialects.google_gemini.mending import mend
from pi_model_proxy.dialects.google_gemini.schemas import openapi_schema
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import UnsupportedFeature, UpstreamError
from pi_model_proxy.hub import (
    Failure,
    Finish,
    Message,
    Opaque,
    ReasoningBlock,
    ReasoningWish,
    TextBlock,
    Tool,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
    Usage,
    fold,
    unfold,
)
from support.gemini_wire import (
    LEVELS,
    answered,
    body_of,
    context,
    event,
    events_of,
    frames,
    message_of,
    objects_of,
    request,
    target,
)

HI = Turn(role="user", blocks=(TextBlock(text="hi"),))
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "n": {"type": "integer", "exclusiveMinimum": 0},
        "kind": {"const": "a"},
        "level": {"enum": [0, 1]},
    },
    "required": ["n"],
}


def _called(*calls: ToolCallBlock) -> Turn:
    return Turn(role="assistant", blocks=calls)


def _results(*ids: str) -> Turn:
    results = tuple(ToolResultBlock(call_id=each, content=(TextBlock(text=each),)) for each in ids)
    return Turn(role="tool", blocks=results)


def _declared(outgoing_body: Any) -> Any:
    return outgoing_body["tools"][0]["functionDeclarations"][0]


def test_vector_023_a_json_schema_only_has_its_const_rewritten() -> None:
    body = body_of(CLIENT.encode_request(request(HI, tools=(Tool(name="f", schema=SCHEMA),)), target()))
    properties = {**SCHEMA["properties"], "kind": {"enum": ["a"]}}  # type: ignore[dict-item] # the table above is of JSON
    assert _declared(body)["parametersJsonSchema"] == {**SCHEMA, "properties": properties}


def test_vector_023_an_upstream_that_only_knows_parameters_gets_what_the_proto_can_say() -> None:
    body = CLIENT.encode_request(request(HI, tools=(Tool(name="f", schema=SCHEMA),)), target()).body
    refusal = UpstreamError(
        'Invalid JSON payload received. Unknown name "parametersJsonSchema" at '
        "'tools[0].function_declarations[0]': Cannot find field.",
        status=400,
        kind="bad_request",
    )
    mended = json.loads(CLIENT.mend(body, refusal) or b"null")
    assert _declared(mended) == {
        "name": "f",
        "parameters": {
            "type": "object",
            "properties": {
                "n": {"type": "integer", "minimum": 1},
                "kind": {"type": "string", "enum": ["a"]},
                "level": {"type": "string", "enum": ["0", "1"]},
            },
            "required": ["n"],
        },
    }
    assert openapi_schema(SCHEMA) == _declared(mended)["parameters"]


def test_vector_024_a_foreign_call_gets_googles_stand_in_for_a_signature() -> None:
    foreign = Opaque(kind="anthropic_signature", data="c2ln")
    history = (
        HI,
        _called(
            ToolCallBlock(id="a", name="f", opaque=foreign, at="messages[1].tool_calls[0]"),
            ToolCallBlock(id="b", name="f"),
        ),
        _results("a", "b"),
    )
    parts = body_of(CLIENT.encode_request(request(*history), target()))["contents"][1]["parts"]
    assert [part.get("thoughtSignature") for part in parts] == ["skip_thought_signature_validator", None]


def test_vector_024_a_call_with_its_own_signature_and_an_older_model_get_none() -> None:
    own = Opaque(kind="gemini_signature", data="QUJD")
    history = (HI, _called(ToolCallBlock(id="a", name="f", opaque=own)), _results("a"))
    parts = body_of(CLIENT.encode_request(request(*history), target()))["contents"][1]["parts"]
    assert parts[0]["thoughtSignature"] == "QUJD"
    unsigned = (HI, _called(ToolCallBlock(id="a", name="f")), _results("a"))
    older = body_of(CLIENT.encode_request(request(*unsigned), target("gemini-2.5-flash")))
    assert "thoughtSignature" not in older["contents"][1]["parts"][0]


def test_vector_026_a_signature_on_no_text_is_kept_in_the_history() -> None:
    message = message_of(
        event({"text": "Done."}), event({"text": "", "thoughtSignature": "QUJD"}, finishReason="STOP")
    )
    assert message.blocks == (
        TextBlock(text="Done."),
        ReasoningBlock(opaque=Opaque(kind="gemini_signature", data="QUJD")),
    )
    history = (HI, Turn(role="assistant", blocks=message.blocks), HI)
    contents = body_of(CLIENT.encode_request(request(*history), target()))["contents"]
    assert contents[1]["parts"] == [{"text": "Done.", "thoughtSignature": "QUJD"}]


def test_vector_026_a_signature_after_a_call_stands_on_an_empty_text() -> None:
    token = ReasoningBlock(opaque=Opaque(kind="gemini_signature", data="QUJD"))
    history = (HI, Turn(role="assistant", blocks=(token,)), HI)
    contents = body_of(CLIENT.encode_request(request(*history), target()))["contents"]
    assert contents[1]["parts"] == [{"text": "", "thoughtSignature": "QUJD"}]


def test_vector_027_results_in_another_order_come_in_the_calls_order_in_one_content() -> None:
    calls = [ToolCallBlock(id=each, name="f") for each in "abc"]
    history = (HI, _called(*calls), _results("c", "a", "b"))
    contents = body_of(CLIENT.encode_request(request(*history), target()))["contents"]
    results = [part["functionResponse"] for part in contents[2]["parts"]]
    assert [(each["id"], each["response"]) for each in results] == [
        ("a", {"output": "a"}),
        ("b", {"output": "b"}),
        ("c", {"output": "c"}),
    ]
    assert contents[2]["role"] == "user"


@pytest.mark.parametrize(
    ("model", "levels", "config"),
    [
        ("gemini-3-pro-preview", LEVELS, {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-2.5-flash", {}, {"includeThoughts": True, "thinkingBudget": 20_000}),
    ],
)
def test_vector_054_a_budget_becomes_a_level_or_stays_one(model: str, levels: Any, config: Any) -> None:
    wish = ReasoningWish(mode="budget", budget=20_000)
    outgoing = CLIENT.encode_request(request(HI, reasoning=wish), target(model, thinking_levels=levels))
    assert body_of(outgoing)["generationConfig"]["thinkingConfig"] == config
    assert outgoing.dropped == ()


def test_vector_066_parallel_calls_in_several_events_are_calls_of_their_own() -> None:
    call = {"functionCall": {"name": "f", "args": {"a": 1}}}
    for events in (
        [event(call), event(call), event(call, finishReason="STOP")],
        [event(call, call, call, finishReason="STOP")],
    ):
        message = message_of(*events)
        ids = [block.id for block in message.blocks if isinstance(block, ToolCallBlock)]
        assert len(ids) == len(set(ids)) == 3
        assert all(len(each) <= 40 for each in ids)


def test_vector_066_an_id_that_comes_twice_is_replaced_and_made_up_ids_are_stable() -> None:
    call = {"functionCall": {"id": "x", "name": "f", "args": {}}}
    events = [event(call, call, {"functionCall": {"name": "f"}}, finishReason="STOP", responseId="r1")]
    first, again = message_of(*events), message_of(*events)
    ids = [block.id for block in first.blocks if isinstance(block, ToolCallBlock)]
    assert ids[0] == "x"
    assert len(set(ids)) == 3
    assert first.blocks == again.blocks


def test_vector_067_stop_after_a_call_means_calls() -> None:
    message = message_of(event({"functionCall": {"name": "f"}}, finishReason="STOP"))
    assert message.finish.reason == "tool_calls"


def test_vector_067_a_malformed_call_is_an_error_and_no_empty_stop() -> None:
    events = events_of(event(finishReason="MALFORMED_FUNCTION_CALL", finishMessage="print(f("))
    failure = events[-1]
    assert isinstance(failure, Failure)
    assert "MALFORMED_FUNCTION_CALL: print(f(" in failure.error.message


def test_vector_068_a_blocked_prompt_is_an_answer_with_a_reason() -> None:
    message = message_of(
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 4}}
    )
    assert message.finish.reason == "content_filter"
    assert message.finish.native == "SAFETY"
    assert message.finish.detail
    assert message.usage.input == 4


def test_vector_050_several_candidates_are_never_answered_with_one() -> None:
    body = b'{"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"candidateCount":2}}'
    asked = SERVER.decode_request(body)
    assert asked.n == 2
    with pytest.raises(UnsupportedFeature) as caught:
        CLIENT.encode_request(asked, target())
    assert caught.value.param == "generationConfig.candidateCount"


def test_vector_051_more_stop_sequences_than_google_takes_are_watched_for() -> None:
    outgoing = CLIENT.encode_request(request(HI, stop=tuple("abcdefg")), target())
    assert body_of(outgoing)["generationConfig"]["stopSequences"] == list("abcde")
    assert outgoing.stop_here == ("f", "g")
    assert outgoing.dropped == ()


def test_vector_078_a_stream_without_a_finish_reason_is_a_failure() -> None:
    for cut in (frames(event({"text": "half"})), frames(event({"text": "half"}))[:40], b""):
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        assert isinstance([*decoder.feed(cut), *decoder.close()][-1], Failure)
        pipe = SSE_RELAY.stream_pipe(context())
        pipe.feed(cut)
        pipe.close()
        assert pipe.facts.failure is not None
        assert not pipe.facts.done


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "prompt is too long: 213462 tokens > 200000 maximum",
            "The input token count (213462) exceeds the maximum number of tokens allowed (200000).",
        ),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        ),
        ("too much", "The input token count exceeds the maximum number of tokens allowed: too much"),
    ],
)
def test_vector_089_a_prompt_that_is_too_long_is_told_in_googles_words(said: str, told: str) -> None:
    answer = SERVER.encode_error(UpstreamError(said, status=413, kind="context_too_long"), "req")
    words = json.loads(answer.body)["error"]
    assert (answer.status, words["status"]) == (400, "INVALID_ARGUMENT")
    assert words["message"].startswith(told)


def test_vector_089_googles_own_words_are_known_for_a_prompt_that_is_too_long() -> None:
    body = b'{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}'
    assert CLIENT.decode_error(400, {}, body).kind == "context_too_long"


def test_vector_090_an_anthropic_529_is_a_503_with_its_wait() -> None:
    answer = SERVER.encode_error(
        UpstreamError("busy", status=529, kind="overloaded", retry_after_s=7.2), "req"
    )
    words = json.loads(answer.body)["error"]
    assert (answer.status, words["code"], words["status"]) == (503, 503, "UNAVAILABLE")
    assert answer.headers["retry-after"] == "8"
    assert words["details"] == [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "8s"}]


def test_vector_091_every_split_of_a_stream_gives_the_same_events() -> None:
    stream = b"\xef\xbb\xbf: ping\r\n" + frames(
        event({"text": "Grüße 🙂"}),
        event({"functionCall": {"name": "f", "args": {"é": "ü"}}}, finishReason="STOP"),
    )
    whole = CLIENT.stream_decoder(target(), ToolNames())
    expected = [*whole.feed(stream), *whole.close()]
    for place in range(len(stream)):
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        assert [*decoder.feed(stream[:place]), *decoder.feed(stream[place:]), *decoder.close()] == expected


def test_vector_095_no_bookkeeping_of_ours_reaches_the_wire() -> None:
    tool = Tool(name="f", namespace="crm", schema={"type": "object"}, at="tools[0]", words={"schema": "x"})
    history = (HI, _called(ToolCallBlock(id="a", name="f", namespace="crm", at="x")), _results("a"))
    outgoing = CLIENT.encode_request(request(*history, tools=(tool,)), target())
    written = outgoing.body.decode()
    assert not any(word in written for word in ("namespace", "item_id", '"at"', "words", "dropped"))


def test_vector_098_counts_survive_both_directions() -> None:
    usage = Usage(input=70, cache_read=30, output=50, reasoning=20)
    message = Message(blocks=(TextBlock(text="x"),), usage=usage, finish=Finish(reason="stop"))
    body = SERVER.encode_message(message, context())
    assert json.loads(body)["usageMetadata"] == {
        "promptTokenCount": 100,
        "candidatesTokenCount": 30,
        "totalTokenCount": 150,
        "cachedContentTokenCount": 30,
        "thoughtsTokenCount": 20,
    }
    assert fold(CLIENT.decode_message(body, target(), ToolNames())).usage == usage


def test_vector_099_the_stream_and_the_plain_answer_say_the_same() -> None:
    blocks = (
        TextBlock(text="Let me see."),
        ToolCallBlock(
            id="c1", name="f", arguments='{"a":[1,"ü"]}', opaque=Opaque(kind="gemini_signature", data="QUJD")
        ),
    )
    message = Message(
        id="r1", blocks=blocks, usage=Usage(input=3, output=4), finish=Finish(reason="tool_calls")
    )
    plain = fold(CLIENT.decode_message(SERVER.encode_message(message, context()), target(), ToolNames()))
    for server in (SSE_SERVER, ARRAY_SERVER):
        stream = answered(server.stream_encoder(context()), message)
        decoder = CLIENT.stream_decoder(target(), ToolNames())
        assert fold([*decoder.feed(stream), *decoder.close()]) == plain


def test_vector_105_two_streams_at_once_know_nothing_of_each_other() -> None:
    first, second = (SSE_SERVER.stream_encoder(context(answer_id=each)) for each in ("one", "two"))
    messages = [
        Message(blocks=(ToolCallBlock(id="", name=name, arguments="{}"),), finish=Finish(reason="tool_calls"))
        for name in ("alpha", "beta")
    ]
    outs: list[list[bytes]] = [[], []]
    for pair in zip(unfold(messages[0]), unfold(messages[1]), strict=True):
        outs[0].append(first.feed(pair[0]))
        outs[1].append(second.feed(pair[1]))
    assert b"beta" not in b"".join(outs[0])
    assert b"two" not in b"".join(outs[0])
    assert b"alpha" not in b"".join(outs[1])


def test_vector_107_a_long_name_with_dots_is_restored_in_the_answer() -> None:
    name = "mcp.server/tool.with.dots" + "x" * 45
    outgoing = CLIENT.encode_request(
        request(HI, tools=(Tool(name=name, schema={"type": "object"}),)), target()
    )
    wire = _declared(body_of(outgoing))["name"]
    assert len(wire) <= 64
    call = event({"functionCall": {"name": wire, "args": {}}}, finishReason="STOP")
    stream = fold(events_of(call, names=outgoing.names))
    plain = fold(CLIENT.decode_message(json.dumps(call).encode(), target(), outgoing.names))
    assert [block.name for block in (*stream.blocks, *plain.blocks) if isinstance(block, ToolCallBlock)] == [
        name,
        name,
    ]


def test_the_package_offers_what_its_list_says() -> None:
    assert all(hasattr(google_gemini, name) for name in google_gemini.__all__)
    assert mend(b"not json", UpstreamError("thought_signature", kind="bad_request", status=400)) is None
    assert objects_of(b"") == []
