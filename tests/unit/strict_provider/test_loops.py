"""What the provider gave out it wants back: thinking, sealed reasoning, ids, and the conversations they hold together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import pytest

from support.strict_provider import MODELS, Answer, Call, StrictProvider, Text
from unit.strict_provider.asking import ask, body_for, text_of

SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


@pytest.fixture
def provider() -> Iterator[StrictProvider]:
    with StrictProvider.running() as running:
        yield running


def chat_loop(provider: StrictProvider, model: str) -> str:
    tools = [{"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}]
    messages: list[Any] = [{"role": "user", "content": "Use a tool."}]
    switch: dict[str, Any] = {
        "deepseek": {"thinking": {"type": "enabled"}},
        "openrouter": {"reasoning": {"effort": "high"}},
    }
    request = {"model": model, "messages": messages, "tools": tools, **switch.get(model, {})}
    first = ask(provider, "chat", request).body["choices"][0]["message"]
    messages.append(first)
    messages += [
        {"role": "tool", "tool_call_id": call["id"], "content": "sunny"} for call in first["tool_calls"]
    ]
    return text_of("chat", ask(provider, "chat", request).body)


@pytest.mark.parametrize(
    "model", ["vision", "thinker", "deepseek", "openrouter", "parallel-tools", "tool-loop"]
)
def test_a_chat_tool_loop_closes(provider: StrictProvider, model: str) -> None:
    assert chat_loop(provider, model).startswith("The tools said: sunny")
    assert not provider.diary.refusals()


@pytest.mark.parametrize("model", ["vision", "thinker", "adaptive", "parallel-tools"])
def test_a_messages_tool_loop_closes_with_its_thinking(provider: StrictProvider, model: str) -> None:
    thinking: dict[str, Any] = {
        "thinker": {"type": "enabled", "budget_tokens": 1024},
        "adaptive": {"type": "adaptive"},
    }
    extra = {"thinking": thinking[model]} if model in thinking else {}
    tools = [{"name": "get_weather", "input_schema": SCHEMA}]
    request = body_for("messages", "Use a tool.", model=model, tools=tools, **extra)
    first = ask(provider, "messages", request).body["content"]
    calls = [block for block in first if block["type"] == "tool_use"]
    results = [{"type": "tool_result", "tool_use_id": call["id"], "content": "sunny"} for call in calls]
    request["messages"] += [{"role": "assistant", "content": first}, {"role": "user", "content": results}]
    second = ask(provider, "messages", request)

    assert [block["type"] for block in first][:1] == (["thinking"] if extra else ["tool_use"])
    assert text_of("messages", second.body).startswith("The tools said: sunny")


def test_altered_thinking_is_found_out(provider: StrictProvider) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    request = body_for("messages", model="thinker", thinking=thinking)
    first = ask(provider, "messages", request).body["content"]
    first[0]["thinking"] += " Honestly."
    request["messages"] += [{"role": "assistant", "content": first}, {"role": "user", "content": "Go on."}]
    reply = ask(provider, "messages", request)

    assert (reply.status, "Invalid `signature` in `thinking` block" in reply.error["message"]) == (400, True)


def test_hidden_thinking_still_has_a_signature(provider: StrictProvider) -> None:
    body = body_for(
        "messages", model="adaptive", thinking={"type": "adaptive", "display": "omitted"}, stream=True
    )
    events = ask(provider, "messages", body).datas
    deltas = [
        data["delta"]["type"]
        for data in events
        if data["type"] == "content_block_delta" and data["index"] == 0
    ]

    assert deltas == ["signature_delta"]


def responses_loop(
    provider: StrictProvider, key: str = "sk-stub", **changes: Any
) -> tuple[list[Any], dict[str, Any]]:
    tools = [{"type": "function", "name": "get_weather", "parameters": SCHEMA, "strict": False}]
    request = {
        "model": "thinker",
        "input": [{"role": "user", "content": "Use a tool."}],
        "tools": tools,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
        **changes,
    }
    items = ask(provider, "responses", request, {"authorization": f"Bearer {key}"}).body["output"]
    call = items[-1]
    request["input"] += [
        *items,
        {"type": "function_call_output", "call_id": call["call_id"], "output": "sunny"},
    ]
    return items, request


def test_a_responses_tool_loop_closes_with_its_sealed_reasoning(provider: StrictProvider) -> None:
    items, request = responses_loop(provider)

    assert [item["type"] for item in items] == ["reasoning", "function_call"]
    assert text_of("responses", ask(provider, "responses", request).body).startswith("The tools said: sunny")


def test_a_call_without_the_reasoning_it_came_with_is_found_out(provider: StrictProvider) -> None:
    items, request = responses_loop(provider)
    request["input"].remove(items[0])
    reply = ask(provider, "responses", request)

    assert (reply.status, "required 'reasoning' item" in reply.error["message"]) == (400, True)


def test_another_account_cannot_use_sealed_reasoning(provider: StrictProvider) -> None:
    _, request = responses_loop(provider, key="sk-one")
    reply = ask(provider, "responses", request, {"authorization": "Bearer sk-two"})

    assert (reply.status, reply.error["code"]) == (400, "invalid_encrypted_content")


def test_a_stored_response_can_be_continued(provider: StrictProvider) -> None:
    first = ask(provider, "responses", body_for("responses")).body
    again = ask(provider, "responses", body_for("responses", previous_response_id=first["id"]))
    lost = ask(provider, "responses", body_for("responses", previous_response_id="resp_lost"))

    assert again.status == 200
    assert (lost.status, lost.error["code"]) == (400, "previous_response_not_found")


def test_ids_never_repeat_and_fit_the_dialects(provider: StrictProvider) -> None:
    provider.queue(*[Answer(parts=(Text("x"), Call("get_weather"), Call("get_weather")))] * 6)
    chat = [ask(provider, "chat", body_for("chat")).body for _ in range(2)]
    messages = [ask(provider, "messages", body_for("messages")).body for _ in range(2)]
    responses = [ask(provider, "responses", body_for("responses")).body for _ in range(2)]

    calls = [call["id"] for body in chat for call in body["choices"][0]["message"]["tool_calls"]]
    uses = [block["id"] for body in messages for block in body["content"] if block["type"] == "tool_use"]
    items = [item["id"] for body in responses for item in body["output"]]
    every = [*calls, *uses, *items, *(body["id"] for body in [*chat, *messages, *responses])]
    assert len(set(every)) == len(every)
    assert all(len(found) <= 40 and found.startswith("call_") for found in calls)
    assert all(found.startswith("toolu_") for found in uses)
    assert {found.split("_")[0] for found in items} == {"msg", "fc"}


def test_every_model_of_the_catalogue_is_reachable(provider: StrictProvider) -> None:
    plain = [model.pattern for model in MODELS if not set("*?[") & set(model.pattern)]
    family = [
        "gpt-4.1",
        "gpt-5-mini",
        "o3",
        "claude-3-5-haiku-latest",
        "claude-sonnet-4-20250514",
        "claude-opus-4-7",
    ]

    for name in [*plain, *family]:
        assert ask(provider, "messages", body_for("messages", model=name, max_tokens=100)).status == 200, name
