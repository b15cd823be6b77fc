"""The scripted model's task for coding agents: it fits each agent's own shell."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agents.task import HELLO, LINE, NOTE, PLEASE_READ, agent_task
from support.strict_provider import Answer, Text
from support.strict_provider.glimpse import glimpse

TEXT = {"type": "string"}
WORDS = {"type": "array", "items": TEXT}


def answered(prompt: str, tool: str, properties: dict[str, Any], *more: dict[str, Any]) -> Answer:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}, *more]
    tools = [
        {"type": "function", "function": {"name": "Agent", "parameters": {"type": "object"}}},
        {"type": "function", "function": {"name": tool, "parameters": schema}},
    ]
    return agent_task(glimpse("chat", {"model": "m", "messages": messages, "tools": tools}))


@pytest.mark.parametrize(
    ("tool", "properties", "arguments"),
    [
        ("Bash", {"command": TEXT, "description": TEXT}, {"command": LINE, "description": "Paris"}),
        ("exec_command", {"cmd": TEXT}, {"cmd": LINE}),
        (
            "run_shell_command",
            {"command": TEXT, "is_background": {"type": "boolean"}},
            {"command": LINE, "is_background": False},
        ),
        ("shell", {"command": WORDS}, {"command": ["cat", NOTE]}),
    ],
    ids=["Claude Code", "Codex", "Qwen Code", "a shell that takes words"],
)
def test_each_agents_shell_is_called_as_its_schema_asks(
    tool: str, properties: dict[str, Any], arguments: dict[str, Any]
) -> None:
    (call,) = answered(PLEASE_READ, tool, properties).calls()
    assert (call.name, json.loads(call.arguments)) == (tool, arguments)


def test_what_the_shell_said_ends_the_task() -> None:
    called = {"id": "c", "type": "function", "function": {"name": "bash", "arguments": "{}"}}
    turns: tuple[dict[str, Any], ...] = (
        {"role": "assistant", "content": None, "tool_calls": [called]},
        {"role": "tool", "tool_call_id": "c", "content": "kestrel"},
    )
    answer = answered(PLEASE_READ, "bash", {"command": TEXT}, *turns)
    assert answer.parts == (Text("The tools said: kestrel"),)


def test_a_greeting_calls_nothing_though_a_shell_is_there() -> None:
    answer = answered(f"<reminder>use tools</reminder> {HELLO}", "bash", {"command": TEXT})
    assert answer.parts == (Text(f"You said: {HELLO}"),)
