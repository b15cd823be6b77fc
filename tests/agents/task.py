"""What the scripted model does for a coding agent: read a file with the agent's own shell tool, then say what it saw."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from support.strict_provider import SCRIPTS, Answer, Asked, Call, Text, Thinking, Tool
from support.strict_provider.answer import Part
from support.strict_provider.script import instance_of

__all__ = ["DEFAULT", "HELLO", "LINE", "NOTE", "PLEASE_READ", "SECRET", "WHERE", "offer_task"]

NOTE: Final = "note.txt"
SECRET: Final = "the-word-is-kestrel"
"""Stands in the file; an agent can only say it if its tool ran and the result came back."""
HELLO: Final = "Say hello to the kingfisher."
PLEASE_READ: Final = f"Read {NOTE} with your shell."
WHERE: Final = "Where is the heron?"

LINE: Final = f"cat {NOTE} && sleep 0.5"
"""What the shell is to run. Qwen Code 0.24 loses what a command printed that ends at once, on a busy machine."""
DEFAULT: Final = "agent"
"""Name of the script that answers unless a prompt names another."""
COMMANDS: Final = ("command", "cmd")
"""Names under which shells take what to run."""
SHELL: Final = re.compile(r"bash|shell|exec", re.IGNORECASE)


def offer_task() -> None:
    """Let the strict provider play the task, as `Options(default_script=DEFAULT)`."""
    SCRIPTS[DEFAULT] = agent_task


def agent_task(asked: Asked) -> Answer:
    """Think if asked to; then call the shell when asked to and say what it said; else obey a schema; else greet.

    Agents wrap prompts in reminders and add turns of their own, so the whole request is searched for the prompt.
    """
    thought = (Thinking("A shell can read that."),) if asked.thinking else ()
    return Answer(parts=(*thought, *_sensible(asked)))


def _sensible(asked: Asked) -> tuple[Part, ...]:
    if asked.results:
        return (Text("The tools said: " + "; ".join(result.text for result in asked.results)),)
    said = json.dumps(asked.body)
    shell = next((tool for tool in asked.tools if _takes_command(tool)), None)
    if PLEASE_READ in said and shell is not None:
        return Text("I will look."), Call(shell.name, json.dumps(_filled(shell.schema)))
    typed = next((tool for tool in asked.tools if asked.forced in {"*", tool.name} or _answers(tool)), None)
    if typed is not None and (asked.forced or WHERE in said):
        return (Call(typed.name, json.dumps(instance_of(typed.schema))),)
    if asked.schema is not None:
        return (Text(json.dumps(instance_of(asked.schema))),)
    return (Text(f"You said: {HELLO if HELLO in said else asked.prompt}"),)


def _takes_command(tool: Tool) -> bool:
    return SHELL.search(tool.name) is not None and not set(COMMANDS).isdisjoint(_properties(tool))


def _answers(tool: Tool) -> bool:
    """Whether the tool takes a typed answer rather than doing something."""
    return set(_properties(tool)) == {"city", "days"}


def _properties(tool: Tool) -> dict[str, Any]:
    found: dict[str, Any] = tool.schema.get("properties", {})
    return found


def _filled(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the shell's arguments: the command as a string or a list, and what else is required, switches off.

    A shell that were told to work in the background would answer before it has read.
    """
    properties = schema["properties"]
    name = next(name for name in COMMANDS if name in properties)
    command = ["cat", NOTE] if properties[name].get("type") == "array" else LINE
    required = [other for other in schema.get("required", []) if other != name]
    return {name: command} | {
        other: False if properties[other].get("type") == "boolean" else instance_of(properties[other])
        for other in required
    }
