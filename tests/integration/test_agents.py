"""First requests of coding agents and libraries, as they send them, to every kind of upstream: all must work.

The requests stand in `agents/*.json`, written by hand after recordings: long prompts and descriptions are cut, every
field is there. "Lenient towards clients": whatever nobody documented must not be refused, neither by the gateway nor,
for its sake, by a strict upstream.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from integration.materials import KINDS, Kind, events, heard, serving
from support.gateway_process import Answer, GatewayProcess
from support.strict_provider import StrictProvider

FOLDER: Final = Path(__file__).with_name("agents")
THINKERS: Final = {"chat": ("thinker",), "responses": ("thinker",), "messages": ("thinker", "adaptive")}
"""Models for agents that ask for thinking; the first Claude takes budgets, the second only levels."""


class Recorded(msgspec.Struct, forbid_unknown_fields=True):
    """One agent's request, and what of it must arrive."""

    agent: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    prompt: str
    """Part of what the user says last."""
    system: str
    """Part of the instructions; empty where there are none."""
    thinks: bool = False
    counts: bool = False
    calls: bool = False
    """The answer must be a tool call."""


def recorded() -> dict[str, Recorded]:
    return {
        file.stem: msgspec.json.decode(file.read_bytes(), type=Recorded)
        for file in sorted(FOLDER.glob("*.json"))
    }


RECORDED: Final = recorded()
GENERATING: Final = [name for name, found in RECORDED.items() if not found.counts]
COUNTING: Final = [name for name, found in RECORDED.items() if found.counts]
NATIVE: Final = {"chat": "/chat/completions", "messages": "/messages", "responses": "/responses"}
"""Ending of the path of the callers who speak an upstream's own dialect."""


@pytest.fixture(scope="module")
def gateway(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with serving(provider, tmp_path_factory.mktemp("agents"), requestTimeoutMs=5000) as running:
        yield running


def models_for(name: str, kind: Kind) -> tuple[str, ...]:
    return THINKERS[kind] if RECORDED[name].thinks else ("vision",)


CASES: Final = [
    (name, kind, model) for name in GENERATING for kind in KINDS for model in models_for(name, kind)
]


def post(gateway: GatewayProcess, name: str, kind: Kind, model: str) -> Answer:
    found = RECORDED[name]
    return gateway.post(found.path, {**found.body, "model": f"stub-{kind}/{model}"}, found.headers)


def said_by_chat(answer: Answer, *, stream: bool) -> tuple[str, list[str], str]:
    """Return the text, the names of the tools called and the finish reason."""
    choices = (
        [choice for event in events(answer) for choice in event["choices"]]
        if stream
        else answer.json()["choices"]
    )
    parts = [choice["delta" if stream else "message"] for choice in choices]
    assert not stream or answer.text.rstrip().endswith("data: [DONE]")
    calls = [call["function"].get("name") for part in parts for call in part.get("tool_calls") or []]
    (finish,) = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
    return "".join(part.get("content") or "" for part in parts), list(filter(None, calls)), finish


def said_by_messages(answer: Answer, *, stream: bool) -> tuple[str, list[str], str]:
    if not stream:
        body = answer.json()
        texts = [block.get("text", "") for block in body["content"]]
        calls = [block["name"] for block in body["content"] if block["type"] == "tool_use"]
        return "".join(texts), calls, body["stop_reason"]
    found = events(answer)
    assert found[-1]["type"] == "message_stop"
    starts = [event["content_block"] for event in found if event["type"] == "content_block_start"]
    deltas = [event["delta"] for event in found if event["type"] == "content_block_delta"]
    (finish,) = [event["delta"]["stop_reason"] for event in found if event["type"] == "message_delta"]
    calls = [block["name"] for block in starts if block["type"] == "tool_use"]
    return "".join(delta.get("text", "") for delta in deltas), calls, finish


def wanted_tools(found: Recorded) -> set[str]:
    """Return the names of the tools that any upstream can be offered."""
    tools = [tool.get("function", tool) for tool in found.body.get("tools", [])]
    return {tool["name"] for tool in tools if "parameters" in tool or "input_schema" in tool}


@pytest.mark.parametrize(("name", "kind", "model"), CASES)
def test_an_agents_request_is_answered_and_all_that_matters_arrives(
    gateway: GatewayProcess, provider: StrictProvider, name: str, kind: Kind, model: str
) -> None:
    found = RECORDED[name]
    answer = post(gateway, name, kind, model)
    assert answer.status == 200, answer.text
    assert [(arrival.verdict, arrival.body) for arrival in provider.diary.refusals()] == []
    said = said_by_messages if "/messages" in found.path else said_by_chat
    text, calls, finish = said(answer, stream=found.body.get("stream", False))
    assert finish in {"stop", "end_turn", "tool_calls", "tool_use"}
    assert text or calls
    asked = heard(provider)
    if asked.schema is not None:
        json.loads(text)
    assert calls or not found.calls
    assert found.prompt in asked.prompt or found.prompt in provider.diary.last().raw.decode()
    assert found.system in asked.system
    assert {tool.name for tool in asked.tools} >= wanted_tools(found)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", COUNTING)
def test_an_agents_count_is_answered(gateway: GatewayProcess, name: str, kind: Kind) -> None:
    answer = post(gateway, name, kind, "text")
    assert (answer.status, set(answer.json())) == (200, {"input_tokens"})
    assert answer.json()["input_tokens"] > 50


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in GENERATING for kind in KINDS if NATIVE[kind] not in RECORDED[name].path],
)
def test_fields_that_nobody_knows_do_no_harm_in_translation(
    gateway: GatewayProcess, provider: StrictProvider, name: str, kind: Kind
) -> None:
    """Between two dialects they are left out and listed; within one they pass, and the upstream judges them."""
    found = RECORDED[name]
    model = models_for(name, kind)[0]
    body = {**found.body, "model": f"stub-{kind}/{model}", "next_years_field": {"deep": [1]}}
    body["messages"] = [{**message, "from_the_future": True} for message in body["messages"]]
    answer = gateway.post(found.path, body, found.headers)
    assert answer.status == 200, answer.text
    assert "next_years_field" in answer.headers["x-pi-model-proxy-dropped"]
    assert provider.diary.refusals() == []
