"""First requests of coding agents and libraries, as they send them, to every kind of upstream: all must work.

The requests stand in `agents/*.json`, written by hand after recordings: long prompts and descriptions are cut, every
field is there. "Lenient towards clients": whatever nobody documented must not be refused, neither by the gateway nor,
for its sake, by a strict upstream.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import pytest

from integration.materials import KINDS, Kind, events, heard, serving
from support.gateway_process import Answer, GatewayProcess
from support.strict_provider import StrictProvider

FOLDER: Final = Path(__file__).with_name("agents")
THINKERS: Final = {"chat": ("thinker",), "responses": ("thinker",), "messages": ("thinker", "adaptive")}
"""Models for agents that ask for thinking; the first Claude takes budgets, the second only levels."""


Spoken = Literal["chat", "messages", "responses", "gemini"]
PATHS: Final[dict[str, Spoken]] = {
    "/chat/completions": "chat",
    "/messages": "messages",
    "/responses": "responses",
    "GenerateContent": "gemini",
}
TURNS: Final = {"chat": "messages", "messages": "messages", "responses": "input", "gemini": "contents"}
"""Where each dialect keeps the conversation."""


class Recorded(msgspec.Struct, forbid_unknown_fields=True):
    """One agent's request, and what of it must arrive."""

    agent: str
    path: str
    """Gemini's holds `{model}`; elsewhere the model is in the body."""
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

    @property
    def spoken(self) -> Spoken:
        """The caller's dialect."""
        return next(dialect for part, dialect in PATHS.items() if part in self.path)


def recorded() -> dict[str, Recorded]:
    return {
        file.stem: msgspec.json.decode(file.read_bytes(), type=Recorded)
        for file in sorted(FOLDER.glob("*.json"))
    }


RECORDED: Final = recorded()
GENERATING: Final = [name for name, found in RECORDED.items() if not found.counts]
COUNTING: Final = [name for name, found in RECORDED.items() if found.counts]


@pytest.fixture(scope="module")
def gateway(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with serving(provider, tmp_path_factory.mktemp("agents"), requestTimeoutMs=5000) as running:
        yield running


def models_for(name: str, kind: Kind) -> tuple[str, ...]:
    found = RECORDED[name]
    if not found.thinks:
        return ("vision",)
    # Gemini's callers always sample too, which OpenAI's own models refuse while they reason. The gateway leaves
    # sampling out for them alone; a server that a user calls `stub-chat` is not known to be one of them.
    return ("openrouter",) if (found.spoken, kind) == ("gemini", "chat") else THINKERS[kind]


CASES: Final = [
    (name, kind, model) for name in GENERATING for kind in KINDS for model in models_for(name, kind)
]


def post(gateway: GatewayProcess, name: str, model: str, **more: Any) -> Answer:
    """Send what was recorded to another model, with fields added or replaced."""
    found = RECORDED[name]
    named = {} if "{model}" in found.path else {"model": model}
    path = found.path.replace("{model}", model)
    return gateway.post(path, {**found.body, **named, **more}, found.headers)


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


def said_by_responses(answer: Answer, *, stream: bool) -> tuple[str, list[str], str]:
    assert stream, "no agent asks otherwise"
    found = events(answer)
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    final = found[-1]
    assert final["type"] == "response.completed"
    output = final["response"]["output"]
    parts = [part for item in output if item["type"] == "message" for part in item["content"]]
    calls = [item["name"] for item in output if item["type"] == "function_call"]
    return "".join(part["text"] for part in parts), calls, final["response"]["status"]


def said_by_gemini(answer: Answer, *, stream: bool) -> tuple[str, list[str], str]:
    del stream  # Gemini asks for it in the path, and every agent does
    candidates = [event["candidates"][0] for event in events(answer)]
    parts = [part for candidate in candidates for part in candidate.get("content", {}).get("parts", [])]
    text = "".join(part.get("text", "") for part in parts if not part.get("thought"))
    calls = [part["functionCall"]["name"] for part in parts if "functionCall" in part]
    return text, calls, candidates[-1]["finishReason"]


SAID: Final = {
    "chat": said_by_chat,
    "messages": said_by_messages,
    "responses": said_by_responses,
    "gemini": said_by_gemini,
}
ENDS: Final = {"stop", "end_turn", "tool_calls", "tool_use", "completed", "STOP"}


def wanted_tools(found: Recorded) -> set[str]:
    """Return the names of the tools that any upstream can be offered."""
    given = found.body.get("tools", [])
    tools = [tool.get("function", tool) for tool in given]
    tools += [function for tool in given for function in tool.get("functionDeclarations", [])]
    schemas = {"parameters", "input_schema", "parametersJsonSchema"}
    return {tool["name"] for tool in tools if not schemas.isdisjoint(tool)}


def nested_tools(found: Recorded) -> list[str]:
    """Return the names of the functions in namespaces, which only Responses can say as they are."""
    given = [tool for tool in found.body.get("tools", []) if tool.get("type") == "namespace"]
    return [function["name"] for tool in given for function in tool["tools"]]


@pytest.mark.parametrize(("name", "kind", "model"), CASES)
def test_an_agents_request_is_answered_and_all_that_matters_arrives(
    gateway: GatewayProcess, provider: StrictProvider, name: str, kind: Kind, model: str
) -> None:
    found = RECORDED[name]
    answer = post(gateway, name, f"stub-{kind}/{model}")
    assert answer.status == 200, answer.text
    assert [(arrival.verdict, arrival.body) for arrival in provider.diary.refusals()] == []
    text, calls, finish = SAID[found.spoken](answer, stream=found.body.get("stream", False))
    assert finish in ENDS
    assert text or calls
    asked = heard(provider)
    if asked.schema is not None:
        json.loads(text)
    assert calls or not found.calls
    assert found.prompt in asked.prompt or found.prompt in provider.diary.last().raw.decode()
    assert found.system in asked.system
    offered = {tool.name for tool in asked.tools}
    assert offered >= wanted_tools(found)
    if kind != found.spoken:
        nested = nested_tools(found)
        assert [name for name in nested if not any(each.endswith(name) for each in offered)] == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", COUNTING)
def test_an_agents_count_is_answered(gateway: GatewayProcess, name: str, kind: Kind) -> None:
    answer = post(gateway, name, f"stub-{kind}/text")
    assert (answer.status, set(answer.json())) == (200, {"input_tokens"})
    assert answer.json()["input_tokens"] > 50


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in GENERATING for kind in KINDS if kind != RECORDED[name].spoken],
)
def test_fields_that_nobody_knows_do_no_harm_in_translation(
    gateway: GatewayProcess, provider: StrictProvider, name: str, kind: Kind
) -> None:
    """Between two dialects they are left out and listed; within one they pass, and the upstream judges them."""
    found = RECORDED[name]
    model = models_for(name, kind)[0]
    turns = TURNS[found.spoken]
    more = {turns: [{**turn, "from_the_future": True} for turn in found.body[turns]]}
    answer = post(gateway, name, f"stub-{kind}/{model}", next_years_field={"deep": [1]}, **more)
    assert answer.status == 200, answer.text
    assert "next_years_field" in answer.headers["x-pi-model-proxy-dropped"]
    assert provider.diary.refusals() == []
