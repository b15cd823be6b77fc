"""Thinking survives chat clients that send back only what was said: the official SDK's plain tool loop."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest

from integration.materials import serving
from support.gateway_process import GatewayProcess
from support.strict_provider import Answer, Call, StrictProvider, Text, Thinking

pytestmark = pytest.mark.clients

TOOLS: Any = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
        },
    }
]
THINKERS = pytest.mark.parametrize("stub", ["stub-messages", "stub-responses"])


def asked(model: str, messages: list[Any]) -> dict[str, Any]:
    return {"model": model, "messages": messages, "tools": TOOLS, "reasoning_effort": "low"}


def plain(message: Any) -> dict[str, Any]:
    """An assistant message as most clients send it back: no field that OpenAI's own API does not have."""
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.function.name, "arguments": call.function.arguments},
        }
        for call in message.tool_calls or ()
    ]
    return {"role": "assistant", "content": message.content} | ({"tool_calls": calls} if calls else {})


def answered(message: Any) -> list[dict[str, Any]]:
    results = [
        {"role": "tool", "tool_call_id": call.id, "content": "sunny"} for call in message.tool_calls or ()
    ]
    return [plain(message), *results]


def thought_upstream(provider: StrictProvider) -> list[str]:
    """The tokens of thinking in the newest request, in order."""
    found: list[str] = []

    def look(value: Any) -> None:
        if isinstance(value, dict):
            kind = value.get("type")
            if kind == "thinking":
                found.append(value["signature"])
            elif kind == "reasoning" and "encrypted_content" in value:
                found.append(value["encrypted_content"])
            for each in value.values():
                look(each)
        elif isinstance(value, list):
            for each in value:
                look(each)

    look(provider.diary.last().body)
    return found


def say(client: openai.OpenAI, *, streamed: bool, **body: Any) -> Any:
    if not streamed:
        return client.chat.completions.create(**body).choices[0].message
    with client.chat.completions.stream(**body) as stream:
        return stream.get_final_completion().choices[0].message


@THINKERS
@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_thinking_stands_where_it_stood_in_a_tool_loop(
    chat: openai.OpenAI, provider: StrictProvider, stub: str, streamed: bool
) -> None:
    # The strict provider seals its thinking: it refuses what does not come back byte for byte.
    model = f"{stub}/thinker"
    provider.queue(
        Answer(parts=(Thinking("first"), Text("let me look"), Call("get_weather", '{"city":"Rome"}'))),
        Answer(parts=(Thinking("second"), Call("get_weather", '{"city":"Oslo"}'))),
        Answer(parts=(Text("done"),)),
    )
    messages: list[Any] = [{"role": "user", "content": "weather?"}]
    for turn in range(3):
        message = say(chat, streamed=streamed, **asked(model, messages))
        assert len(thought_upstream(provider)) == turn
        messages += answered(message)
    assert messages[-1]["content"] == "done"


@THINKERS
def test_thinking_survives_ollamas_clients_which_know_no_ids(
    gateway: GatewayProcess, provider: StrictProvider, stub: str
) -> None:
    provider.queue(
        Answer(parts=(Thinking("hm"), Call("get_weather", '{"city":"Rome"}'))), Answer(parts=(Text("done"),))
    )
    body: dict[str, Any] = {"model": f"{stub}/thinker", "think": "low", "tools": TOOLS, "stream": False}
    messages: list[Any] = [{"role": "user", "content": "weather?"}]
    message = gateway.post("/api/chat", body | {"messages": messages}).json()["message"]
    calls = [{"function": call["function"]} for call in message["tool_calls"]]
    messages += [
        {"role": "assistant", "content": message["content"], "tool_calls": calls},
        {"role": "tool", "tool_name": "get_weather", "content": "sunny"},
    ]
    assert gateway.post("/api/chat", body | {"messages": messages}).status == 200
    assert len(thought_upstream(provider)) == 1


@THINKERS
def test_a_turn_is_known_by_what_it_said_where_ids_are_lost(
    chat: openai.OpenAI, provider: StrictProvider, stub: str
) -> None:
    provider.queue(
        Answer(parts=(Thinking("hm"), Call("get_weather", '{"city":"Rome"}'))), Answer(parts=(Text("done"),))
    )
    messages: list[Any] = [{"role": "user", "content": "weather?"}]
    message = say(chat, streamed=False, **asked(f"{stub}/thinker", messages))
    sent = answered(message)
    sent[0]["tool_calls"][0]["id"] = sent[1]["tool_call_id"] = "mine_1"
    arguments = json.loads(sent[0]["tool_calls"][0]["function"]["arguments"])
    sent[0]["tool_calls"][0]["function"]["arguments"] = json.dumps(arguments, indent=1)
    say(chat, streamed=False, **asked(f"{stub}/thinker", [*messages, *sent]))
    assert len(thought_upstream(provider)) == 1


def test_the_thinking_of_one_model_is_not_told_to_another(
    chat: openai.OpenAI, provider: StrictProvider
) -> None:
    provider.queue(Answer(parts=(Thinking("hm"), Call("get_weather", "{}"))), Answer(parts=(Text("done"),)))
    messages: list[Any] = [{"role": "user", "content": "weather?"}]
    message = say(chat, streamed=False, **asked("stub-messages/thinker", messages))
    say(chat, streamed=False, **asked("stub-responses/thinker", [*messages, *answered(message)]))
    assert thought_upstream(provider) == []


def test_another_conversation_is_not_given_it(chat: openai.OpenAI, provider: StrictProvider) -> None:
    provider.queue(Answer(parts=(Thinking("hm"), Text("yes"))), Answer(parts=(Text("done"),)))
    first: list[Any] = [{"role": "user", "content": "one?"}]
    message = say(chat, streamed=False, **asked("stub-messages/thinker", first))
    other: list[Any] = [{"role": "user", "content": "two?"}, plain(message), {"role": "user", "content": "x"}]
    say(chat, streamed=False, **asked("stub-messages/thinker", other))
    assert thought_upstream(provider) == []


def test_nothing_is_kept_where_the_settings_say_so(
    provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with serving(provider, tmp_path_factory.mktemp("off"), keepThinking=False) as off:
        with openai.OpenAI(base_url=off.base_url, api_key="any", max_retries=0) as client:
            provider.queue(Answer(parts=(Thinking("hm"), Call("get_weather", "{}"))))
            messages: list[Any] = [{"role": "user", "content": "weather?"}]
            message = say(client, streamed=False, **asked("stub-responses/thinker", messages))
            say(client, streamed=False, **asked("stub-responses/thinker", [*messages, *answered(message)]))
        assert thought_upstream(provider) == []
        assert not (off.home / ".pi" / "model-proxy.db").exists()


def test_models_that_do_not_reason_leave_no_file(
    provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with serving(provider, tmp_path_factory.mktemp("plain")) as running:
        ask(running, [{"role": "user", "content": "x"}])
        ask(running, [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}] * 2)
        assert not (running.home / ".pi" / "model-proxy.db").exists()


def ask(gateway: GatewayProcess, messages: list[Any]) -> None:
    body = {"model": "stub-messages/text", "messages": messages, "max_tokens": 100}
    assert gateway.post("/v1/chat/completions", body).status == 200
