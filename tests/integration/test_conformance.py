"""`pi-model-proxy conformance` passes our own server whole, and notices each way of being broken."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.conformance import (
    ABSENCES,
    CHECKS,
    DIALECTS,
    Origin,
    Plan,
    Result,
    as_table,
    models_of,
    run,
)
from pi_model_proxy.conformance.client import Reply, Sent, events
from support.broken_server import (
    BrokenServer,
    Json,
    Mutation,
    each_event,
    frames_to_bytes,
    in_body,
    in_request,
)
from support.gateway_process import GatewayProcess, running_gateway

PATIENCE_S = 60.0
JOBS = 24
SHORT_FORM = ("shape", "usage", "tool-result", "thinking", "schema", "json")
"""What a change of the upstream's kind most easily breaks."""
KIND_CHECKS = () if os.environ.get("CONFORMANCE_ALL") else SHORT_FORM
"""Empty, for all, in `make conformance`."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    home: Path = tmp_path_factory.mktemp("home")
    with running_gateway(home, "--demo", agent_dir=home / "agent") as running:
        yield running


@pytest.fixture(scope="module")
def kept() -> dict[tuple[str, bytes, str], Reply]:
    """Good answers, asked for once for all mutations."""
    return {}


def asked(url: str, profile: str = "demo", **limits: Any) -> Result:
    return asyncio.run(
        run(Plan(url=url, models=models_of(profile), jobs=JOBS, timeout_s=PATIENCE_S, **limits))
    )


def test_our_server_passes_every_cell_that_is_asked(demo: GatewayProcess) -> None:
    result = asked(demo.origin)
    failed = [cell for cell in result.cells if cell.state == "fail"]
    assert not failed, "\n".join(as_table(result))
    assert {cell.check for cell in result.cells} == {check.id for check in CHECKS}
    assert {cell.dialect for cell in result.cells} == {dialect.id for dialect in DIALECTS}
    absent = {(cell.check, cell.dialect) for cell in result.cells if cell.state == "n/a"}
    assert absent == {(absence.check, absence.dialect) for absence in ABSENCES}
    assert result.counts["pass"] >= 220


@pytest.mark.parametrize("profile", ["demo-messages", "demo-responses"])
def test_our_server_passes_with_other_kinds_of_upstreams(demo: GatewayProcess, profile: str) -> None:
    result = asked(demo.origin, profile, checks=KIND_CHECKS)
    assert result.counts["fail"] == 0, "\n".join(as_table(result))


# --- A broken server ------------------------------------------------------------------------------------------------


def _choices(change: Any) -> Any:
    """Apply `change` to each choice of a chat answer and to its message or delta."""

    def changed(body: Json) -> None:
        for choice in body.get("choices", ()):
            change(choice, choice.get("message") or choice.get("delta") or {})

    return changed


def _calls(change: Any) -> Any:
    return _choices(lambda _, said: [change(call) for call in said.get("tool_calls") or ()])


def _one_piece(_: Sent, reply: Reply) -> Reply:
    """Put all text of a chat stream into its first chunk."""
    if not reply.headers["content-type"].startswith("text/event-stream"):
        return reply
    frames = events(reply.body)
    chunks = [json.loads(frame.data) for frame in frames[:-1]]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    text = "".join(delta.pop("content", None) or "" for delta in deltas)
    deltas[0]["content"] = text
    made = [type(frames[0])("", json.dumps(chunk)) for chunk in chunks]
    return Reply(status=reply.status, headers=reply.headers, body=frames_to_bytes([*made, frames[-1]]))


def _without_done(_: Sent, reply: Reply) -> Reply:
    body = reply.body.replace(b"data: [DONE]\n\n", b"")
    return Reply(status=reply.status, headers=reply.headers, body=body)


def _typed(type_: str) -> Any:
    def changed(_: Sent, reply: Reply) -> Reply:
        return Reply(status=reply.status, headers={**reply.headers, "content-type": type_}, body=reply.body)

    return changed


def _status(status: int) -> Any:
    def changed(_: Sent, reply: Reply) -> Reply:
        return Reply(status=status, headers=reply.headers, body=reply.body)

    return changed


def _no_system(body: Json) -> None:
    body.pop("system", None)


def _one_turn(body: Json) -> None:
    body["input"] = body["input"][-1:]


def _free_of(*names: str) -> Any:
    return lambda body: [body.pop(name, None) for name in names]


def _without_stops(body: Json) -> None:
    body["generationConfig"].pop("stopSequences", None)


def _without_pictures(body: Json) -> None:
    for content in body["contents"]:
        content["parts"] = [part for part in content["parts"] if "inlineData" not in part]


def _one_call(body: Json) -> None:
    """Drop the last of several calls from a whole answer."""
    calls = [item for item in body.get("output", ()) if item["type"] == "function_call"]
    if len(calls) > 1:
        body["output"].remove(calls[-1])


def _no_results(body: Json) -> None:
    if any(message["role"] == "tool" for message in body["messages"]):
        body["messages"] = body["messages"][:1]


def _unsigned(body: Json) -> None:
    for block in body.get("content", ()):
        block.pop("signature", None)


def _no_input(body: Json) -> None:
    for usage in (body.get("usage"), body.get("message", {}).get("usage")):
        if usage:
            usage["input_tokens"] = 0


def _wrong_total(body: Json) -> None:
    if body.get("usage"):
        body["usage"]["total_tokens"] += 7


def _shifted(body: Json) -> None:
    if "index" in body:
        body["index"] += 1


def _doubled(body: Json) -> None:
    if body["type"] == "response.output_text.delta":
        body["delta"] *= 2


def _flat_error(body: Json) -> None:
    if body.get("type") == "error":
        body["error"] = body["error"]["message"]


def _text_arguments(body: Json) -> None:
    for call in body.get("message", {}).get("tool_calls", ()):
        call["function"]["arguments"] = json.dumps(call["function"]["arguments"])


def _always_known(body: Json) -> None:
    body["model"] = "demo/chat-text"


def _not_type(type_: str) -> Any:
    return each_event(lambda body: body.get("type") != type_)


def _constant(body: Json) -> None:
    if "totalTokens" in body:
        body["totalTokens"] = 42


STREAMED, WHOLE = (True,), (False,)

MUTATIONS = (
    Mutation("text lost", "chat", ("text",), answer=in_body(_choices(lambda _, said: said.pop("content", None)))),
    Mutation("no [DONE]", "chat", ("shape",), answer=_without_done, ways=STREAMED),
    Mutation("another object", "chat", ("shape",), answer=in_body(lambda body: body.update(object="x"))),
    Mutation("all in one piece", "chat", ("pieces",), answer=_one_piece, ways=STREAMED),
    Mutation("system text dropped", "messages", ("system",), request=in_request(_no_system)),
    Mutation("earlier turns dropped", "responses", ("turns",), request=in_request(_one_turn)),
    Mutation(
        "always length", "chat", ("stop",),
        answer=in_body(_choices(lambda choice, _: choice["finish_reason"] and choice.update(finish_reason="length"))),
    ),
    Mutation("limit ignored", "chat", ("length",), request=in_request(_free_of("max_tokens"))),
    Mutation("stop sequences ignored", "gemini", ("stop-sequence",), request=in_request(_without_stops)),
    Mutation("no usage", "chat", ("usage", "system", "turns"), answer=in_body(_free_of("usage"))),
    Mutation("a wrong total", "chat", ("usage",), answer=in_body(_wrong_total)),
    Mutation("input counted 0", "messages", ("usage",), answer=in_body(_no_input)),
    Mutation("tools ignored", "responses", ("tool", "tool-finish"), request=in_request(_free_of("tools", "tool_choice"))),
    Mutation("arguments as text", "ollama", ("tool",), answer=in_body(_text_arguments)),
    Mutation(
        "half the arguments", "chat", ("tool",),
        answer=in_body(_calls(lambda call: call["function"].update(arguments='{"city": "P'))),
    ),
    Mutation("calls without index", "chat", ("tool",), answer=each_event(_calls(lambda call: call.pop("index"))), ways=STREAMED),
    Mutation(
        "stop despite a call", "chat", ("tool-finish",),
        answer=in_body(_choices(lambda choice, _: choice["finish_reason"] and choice.update(finish_reason="stop"))),
    ),
    Mutation("second call lost", "responses", ("tool-parallel",), answer=in_body(_one_call), ways=WHOLE),
    Mutation("one id for all calls", "chat", ("tool-parallel",), answer=in_body(_calls(lambda call: call.update(id="a")))),
    Mutation("results dropped", "ollama", ("tool-result",), request=in_request(_no_results)),
    Mutation("choice ignored", "chat", ("tool-forced", "tool-none"), request=in_request(_free_of("tool_choice"))),
    Mutation("thinking ignored", "messages", ("thinking",), request=in_request(_free_of("thinking"))),
    Mutation("thinking unsigned", "messages", ("thinking",), answer=in_body(_unsigned), ways=WHOLE),
    Mutation("pictures dropped", "gemini", ("image",), request=in_request(_without_pictures)),
    Mutation("form ignored", "chat", ("schema", "json"), request=in_request(_free_of("response_format"))),
    Mutation("every model known", "chat", ("unknown-model",), request=in_request(_always_known)),
    Mutation("errors with status 200", "gemini", ("unknown-model", "bad-json", "bad-field"), answer=_status(200)),
    Mutation("errors with status 500", "ollama", ("unknown-model", "bad-json", "bad-field"), answer=_status(500)),
    Mutation("errors of another shape", "messages", ("unknown-model", "bad-json", "bad-field"), answer=in_body(_flat_error)),
    Mutation("dead after a disconnect", "chat", ("disconnect",), dies_at=b"one to two hundred"),
    Mutation("no model listed", "ollama", ("models",), answer=in_body(lambda body: body.update(models=[])), ways=WHOLE),
    Mutation("models without dates", "chat", ("models",), answer=in_body(lambda body: [model.pop("created") for model in body["data"]]), ways=WHOLE),
    Mutation("a constant count", "gemini", ("count",), answer=in_body(_constant), ways=WHOLE),
    Mutation("no message_stop", "messages", ("shape",), answer=_not_type("message_stop"), ways=STREAMED),
    Mutation("blocks from 1", "messages", ("shape",), answer=each_event(_shifted), ways=STREAMED),
    Mutation("no content_part.added", "responses", ("shape",), answer=_not_type("response.content_part.added"), ways=STREAMED),
    Mutation("no sequence_number", "responses", ("shape",), answer=each_event(_free_of("sequence_number")), ways=STREAMED),
    Mutation("no terminal event", "responses", ("text",), answer=_not_type("response.completed"), ways=STREAMED),
    Mutation("deltas doubled", "responses", ("text",), answer=each_event(_doubled), ways=STREAMED),
    Mutation("no finishReason", "gemini", ("stop",), answer=in_body(lambda body: body["candidates"][0].pop("finishReason", None))),
    Mutation("another media type", "ollama", ("shape",), answer=_typed("text/plain")),
)  # fmt: skip


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: f"{mutation.dialect}: {mutation.id}")
def test_a_broken_server_fails(
    demo: GatewayProcess, kept: dict[tuple[str, bytes, str], Reply], mutation: Mutation
) -> None:
    async def judge() -> Result:
        server = BrokenServer(Origin.parse(demo.origin), mutation, kept)
        async with server.running() as url:
            plan = Plan(
                url=url,
                models=models_of("demo"),
                dialects=(mutation.dialect,),
                checks=mutation.fails,
                jobs=1 if mutation.dies_at else JOBS,
                timeout_s=PATIENCE_S,
            )
            return await run(plan)

    result = asyncio.run(judge())
    unnoticed = [cell for cell in result.cells if cell.streamed in mutation.ways and cell.state != "fail"]
    assert result.counts["fail"] >= len(mutation.fails)
    assert not unnoticed, "\n".join(as_table(result))
    also = [cell for cell in result.cells if cell.streamed not in mutation.ways and cell.state == "fail"]
    assert not also, "\n".join(as_table(result))


def test_the_way_in_front_of_the_server_breaks_nothing_by_itself(
    demo: GatewayProcess, kept: dict[tuple[str, bytes, str], Reply]
) -> None:
    async def judge() -> Result:
        server = BrokenServer(Origin.parse(demo.origin), Mutation("none", "", ()), kept)
        async with server.running() as url:
            return await run(
                Plan(url=url, models=models_of("demo"), checks=("shape", "tool"), timeout_s=PATIENCE_S)
            )

    assert asyncio.run(judge()).counts["fail"] == 0


def test_every_check_is_failed_by_some_broken_server() -> None:
    assert {check for mutation in MUTATIONS for check in mutation.fails} == {check.id for check in CHECKS}
