"""OpenAI Chat Completions: messages, their parts, calls and the messages that answer them.

Sources: dialects.md §1.1 CC (roles, parts), §3.2 (reasoning in history), §7.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from support.strict_provider.openai_common import check_image, check_name
from support.strict_provider.openai_words import (
    check_shape,
    empty_array,
    invalid,
    missing,
    too_long,
    wrong_type,
    wrong_value,
)
from support.strict_provider.rulebook import Objection, Rulebook
from support.strict_provider.rules_chat_body import ChatCase
from support.strict_provider.shapes import ARRAY, NULL, OBJECT, STRING, Kind, Shape, either, literal, nullable
from support.strict_provider.traits import ChatTraits
from support.strict_provider.vault import digest

__all__ = ["TURNS", "messages"]

TURNS: Final[Rulebook[ChatTraits]] = Rulebook()

ROLES: Final = ("system", "assistant", "user", "function", "tool", "developer")
PARTICIPANT: Final = re.compile(r"^[^\s<|\\/>]{1,64}$")

CONTENT: Final = either(STRING, ARRAY)
SHAPES: Final[dict[str, Shape]] = {
    "system": Shape({"role": STRING, "content": CONTENT}, {"name": STRING}),
    "developer": Shape({"role": STRING, "content": CONTENT}, {"name": STRING}),
    "user": Shape({"role": STRING, "content": CONTENT}, {"name": STRING}),
    "assistant": Shape(
        {"role": STRING},
        {
            "content": either(STRING, ARRAY, NULL),
            "refusal": nullable(STRING),
            "name": STRING,
            "audio": nullable(OBJECT),
            "tool_calls": ARRAY,
            "function_call": nullable(OBJECT),
            "annotations": ARRAY,
        },
    ),
    "tool": Shape({"role": STRING, "content": CONTENT, "tool_call_id": STRING}, {"name": STRING}),
    "function": Shape({"role": STRING, "content": nullable(STRING), "name": STRING}, {}),
}
PARTS_OF: Final[dict[str, tuple[str, ...]]] = {
    "system": ("text",),
    "developer": ("text",),
    "tool": ("text",),
    "user": ("text", "image_url", "input_audio", "file"),
    "assistant": ("text", "refusal"),
}
BREAKPOINT: Final[dict[str, Kind]] = {"prompt_cache_breakpoint": OBJECT}
PARTS: Final[dict[str, Shape]] = {
    "text": Shape({"type": STRING, "text": STRING}, BREAKPOINT),
    "image_url": Shape({"type": STRING, "image_url": OBJECT}, BREAKPOINT),
    "input_audio": Shape({"type": STRING, "input_audio": OBJECT}, BREAKPOINT),
    "file": Shape({"type": STRING, "file": OBJECT}, BREAKPOINT),
    "refusal": Shape({"type": STRING, "refusal": STRING}, {}),
}
INNER: Final[dict[str, Shape]] = {
    "image_url": Shape({"url": STRING}, {"detail": literal("auto", "low", "high", "original")}),
    "input_audio": Shape({"data": STRING, "format": literal("wav", "mp3")}, {}),
    "file": Shape({}, {"file_id": STRING, "file_data": STRING, "filename": STRING}),
    "prompt_cache_breakpoint": Shape({"mode": literal("explicit")}, {"ttl": literal("30m", "12h")}),
}
FUNCTION_CALL: Final = Shape({"id": STRING, "type": STRING, "function": OBJECT}, {})
FUNCTION: Final = Shape({"name": STRING, "arguments": STRING}, {})
CUSTOM_CALL: Final = Shape({"id": STRING, "type": STRING, "custom": OBJECT}, {})
CUSTOM: Final = Shape({"name": STRING, "input": STRING}, {})


def messages(case: ChatCase, *roles: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each message (of some roles) with its path."""
    for index, message in enumerate(case.body["messages"]):
        if not roles or message["role"] in roles:
            yield f"messages[{index}]", message


def _parts(case: ChatCase) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield path, role and part of every array content."""
    for path, message in messages(case):
        content = message.get("content")
        for place, part in enumerate(content if isinstance(content, list) else []):
            yield f"{path}.content[{place}]", message["role"], part


def _calls(case: ChatCase) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, message in messages(case, "assistant"):
        for place, call in enumerate(message.get("tool_calls", [])):
            yield f"{path}.tool_calls[{place}]", call


@TURNS.rule("there-is-a-message", "dialects.md §1.1 CC: `messages`*")
def some_message(case: ChatCase) -> Iterator[Objection]:
    """An empty list is no conversation."""
    if not case.body["messages"]:
        yield empty_array("messages")


@TURNS.rule("roles-are-known", "dialects.md §1.1 CC message roles")
def roles(case: ChatCase) -> Iterator[Objection]:
    """Six of them, one deprecated."""
    for index, message in enumerate(case.body["messages"]):
        if not isinstance(message, dict):
            yield wrong_type(f"messages[{index}]", OBJECT, message)
        elif "role" not in message:
            yield missing(f"messages[{index}].role")
        elif message["role"] not in ROLES:
            yield wrong_value(f"messages[{index}].role", message["role"], ROLES)


@TURNS.rule(
    "developer-is-only-for-those-who-know-it",
    "dialects.md §1.2 developer vs system; vector for compat servers",
)
def developer(case: ChatCase) -> Iterator[Objection]:
    """Words of a common compatible server."""
    for path, _ in messages(case, "developer"):
        if not case.traits.takes_developer:
            yield Objection(
                where=path,
                words=f"developer is not one of ['system', 'assistant', 'user', 'tool', 'function'] - '{path}.role'",
            )


@TURNS.rule(
    "reasoning-in-history-is-as-the-server-wants-it", "dialects.md §3.2 DeepSeek, Kimi, GLM; vector 45"
)
def reasoning_replay(case: ChatCase) -> Iterator[Objection]:
    """`reasoning_content`: demanded on tool turns, allowed, refused, or unknown."""
    for path, message in messages(case, "assistant"):
        has_it = isinstance(message.get("reasoning_content"), str)
        if case.traits.reasoning_replay == "required" and message.get("tool_calls") and not has_it:
            yield invalid(
                path, "The `reasoning_content` in the thinking mode must be passed back to the API."
            )
        if case.traits.reasoning_replay == "refused" and "reasoning_content" in message:
            yield invalid(path, "The `reasoning_content` field must not be included in the input messages.")


@TURNS.rule(
    "reasoning-details-return-unmodified",
    "dialects.md §3.1 CC vendors: the whole array back unmodified, in order",
)
def reasoning_details(case: ChatCase) -> Iterator[Objection]:
    """The sealed entry covers the text entries before it."""
    if "reasoning_details" not in case.traits.message_extras:
        return
    for path, message in messages(case, "assistant"):
        text = ""
        for detail in message.get("reasoning_details") or []:
            text += detail.get("text") or ""
            if detail.get("type") != "reasoning.encrypted":
                continue
            claims = case.vault.open("details", str(detail.get("data")))
            if claims is None or claims["text"] != digest(text) or claims["model"] != case.traits.model:
                yield invalid(
                    f"{path}.reasoning_details",
                    "Corrupted reasoning_details: encrypted reasoning does not match.",
                )


@TURNS.rule(
    "messages-are-well-formed", "dialects.md §1.1 CC; vendor words: Unknown parameter: 'messages[0].x'"
)
def message_shape(case: ChatCase) -> Iterator[Objection]:
    """Each role has its own fields."""
    extras: dict[str, Kind] = dict.fromkeys(case.traits.message_extras, either(STRING, ARRAY, NULL))
    if case.traits.reasoning_replay != "unknown":
        extras["reasoning_content"] = nullable(STRING)
    for path, message in messages(case):
        shape = SHAPES[message["role"]]
        more = extras if message["role"] == "assistant" else {}
        yield from check_shape(message, Shape(shape.required, {**shape.optional, **more}), path)


@TURNS.rule(
    "some-servers-take-only-string-content", "dialects.md §7 Assistant content form: string, not part array"
)
def string_content(case: ChatCase) -> Iterator[Objection]:
    """A trait of simple compatible servers."""
    for path, message in messages(case):
        if case.traits.string_content_only and isinstance(message.get("content"), list):
            yield wrong_type(f"{path}.content", STRING, message["content"])


@TURNS.rule("content-may-be-null-only-beside-calls", "dialects.md §7 Empty text: `null` only with tool_calls")
def null_content(case: ChatCase) -> Iterator[Objection]:
    """Or beside a refusal; some servers want a string even then."""
    for path, message in messages(case, "assistant"):
        if message.get("content") is not None:
            continue
        excused = (
            message.get("tool_calls")
            or message.get("function_call")
            or message.get("refusal")
            or message.get("audio")
        )
        if not excused or case.traits.string_content_with_calls:
            words = f"Invalid value for 'content': expected a string, got null. ({path}.content)"
            yield invalid(f"{path}.content", words, "invalid_type")


@TURNS.rule("content-arrays-are-not-empty", "dialects.md §7 Empty message: user `[]` → 400")
def empty_content(case: ChatCase) -> Iterator[Objection]:
    """In any role."""
    for path, message in messages(case):
        if message.get("content") == []:
            yield empty_array(f"{path}.content")


@TURNS.rule(
    "parts-stand-where-their-role-allows",
    "dialects.md §1.1 CC parts: tool and system only text, user pictures too",
)
def part_kinds(case: ChatCase) -> Iterator[Objection]:
    """A picture in a tool message is the classic mistake (vector 3)."""
    for path, role, part in _parts(case):
        if not isinstance(part, dict):
            yield wrong_type(path, OBJECT, part)
        elif part.get("type") not in PARTS_OF[role]:
            yield wrong_value(f"{path}.type", part.get("type"), PARTS_OF[role])


@TURNS.rule("parts-are-well-formed", "dialects.md §1.1 CC parts")
def part_shape(case: ChatCase) -> Iterator[Objection]:
    """`image_url` is an object with a `url`, never a bare string."""
    extras = dict.fromkeys(case.traits.part_extras, OBJECT)
    for path, _, part in _parts(case):
        shape = PARTS[part["type"]]
        yield from check_shape(part, Shape(shape.required, {**shape.optional, **extras}), path)
        for name, inner in INNER.items():
            if name in part:
                yield from check_shape(part[name], inner, f"{path}.{name}")


@TURNS.rule("pictures-are-pictures", "dialects.md §1.2 Images: url or data URL")
def pictures(case: ChatCase) -> Iterator[Objection]:
    """Four formats, and only for models that see."""
    for path, _, part in _parts(case):
        if part["type"] != "image_url":
            continue
        if not case.traits.vision:
            yield invalid(path, "Invalid content type. image_url is only supported by certain models.")
        yield from check_image(part["image_url"]["url"], f"{path}.image_url.url")


@TURNS.rule(
    "files-have-data-or-an-id", "dialects.md §1.1 CC `file{file_id|file_data+filename}`; §1.2 PDF/document"
)
def files(case: ChatCase) -> Iterator[Objection]:
    """Data is a data URL and has a name."""
    for path, _, part in _parts(case):
        file = part.get("file", {})
        if part["type"] != "file" or "file_id" in file:
            continue
        if "file_data" not in file:
            yield missing(f"{path}.file.file_id")
        elif "filename" not in file:
            yield missing(f"{path}.file.filename")
        elif not file["file_data"].startswith("data:"):
            yield invalid(
                f"{path}.file.file_data",
                f"Invalid '{path}.file.file_data'. Expected a base64-encoded data URL.",
            )


@TURNS.rule(
    "names-of-participants-are-plain", "dialects.md §1.2 `name` on messages; vendor pattern ^[^\\s<|\\\\/>]+$"
)
def participants(case: ChatCase) -> Iterator[Objection]:
    """No spaces, no angle brackets."""
    for path, message in messages(case):
        if "name" in message and not PARTICIPANT.match(message["name"]):
            yield invalid(f"{path}.name", f"Invalid '{path}.name': string does not match pattern.")


@TURNS.rule("calls-are-not-an-empty-list", "vendor words: Invalid 'messages[1].tool_calls': empty array")
def no_empty_calls(case: ChatCase) -> Iterator[Objection]:
    """Leave the field out instead."""
    for path, message in messages(case, "assistant"):
        if message.get("tool_calls") == []:
            yield empty_array(f"{path}.tool_calls")


@TURNS.rule("calls-are-well-formed", "dialects.md §1.1 CC `tool_calls[]`: arguments are a string")
def call_shape(case: ChatCase) -> Iterator[Objection]:
    """Never an object, as Ollama writes them (vector 52)."""
    for path, call in _calls(case):
        if not isinstance(call, dict):
            yield wrong_type(path, OBJECT, call)
        elif call.get("type") == "function":
            extras = dict.fromkeys(case.traits.call_extras, OBJECT)
            yield from check_shape(call, Shape(FUNCTION_CALL.required, extras), path)
            yield from check_shape(call["function"], FUNCTION, f"{path}.function")
        elif call.get("type") == "custom":
            yield from check_shape(call, CUSTOM_CALL, path)
            yield from check_shape(call["custom"], CUSTOM, f"{path}.custom")
        else:
            yield wrong_value(f"{path}.type", call.get("type"), ("function", "custom"))


@TURNS.rule("called-names-are-of-the-charset", "dialects.md §1.4 Names")
def call_names(case: ChatCase) -> Iterator[Objection]:
    """The same pattern as for tools."""
    for path, call in _calls(case):
        kind = call["type"]
        yield from check_name(call[kind]["name"], f"{path}.{kind}.name")


@TURNS.rule("some-servers-parse-arguments", 'dialects.md §7 Empty args: `"{}"` (history)')
def arguments(case: ChatCase) -> Iterator[Objection]:
    """Chat templates run `json.loads` on them; OpenAI takes any string."""
    if not case.traits.parses_arguments:
        return
    for path, call in _calls(case):
        text = call.get("function", {}).get("arguments", "{}")
        try:
            parsed = json.loads(text)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            yield invalid(f"{path}.function.arguments", "Can only get item pairs from a mapping.")


@TURNS.rule("tool-ids-are-at-most-40", "dialects.md §7 Tool id charset: ≤40 chars at OpenAI; vector 30")
def id_length(case: ChatCase) -> Iterator[Objection]:
    """On calls and on the messages that answer them."""
    ids = [(f"{path}.id", call["id"]) for path, call in _calls(case)]
    ids += [(f"{path}.tool_call_id", message["tool_call_id"]) for path, message in messages(case, "tool")]
    for where, found in ids:
        if len(found) > case.traits.tool_id_max:
            yield too_long(where, limit=case.traits.tool_id_max, length=len(found))
        if not found:
            yield invalid(
                where,
                f"Invalid '{where}': empty string. Expected a string with minimum length 1, but got an empty string instead.",
            )
        if case.traits.tool_id_pattern and not re.match(case.traits.tool_id_pattern, found):
            yield invalid(
                where, f"Tool call id was {found} but must be a-z, A-Z, 0-9, with a length of 9.", "3280"
            )


@TURNS.rule("tool-ids-are-distinct-in-a-message", "dialects.md §7 Id uniqueness: distinct within message")
def distinct_ids(case: ChatCase) -> Iterator[Objection]:
    """Two calls of one message never share an id."""
    for path, message in messages(case, "assistant"):
        ids = [call["id"] for call in message.get("tool_calls", [])]
        for twice in sorted({found for found in ids if ids.count(found) > 1}):
            yield invalid(path, f"Duplicate value for 'tool_call_id' of '{twice}' in message[{path[9:-1]}].")


@TURNS.rule(
    "every-call-is-answered-at-once",
    "dialects.md §7 Tool results: directly after, before any user message; vector 5",
)
def answered(case: ChatCase) -> Iterator[Objection]:
    """By tool messages that follow without anything between."""
    conversation = case.body["messages"]
    for index, message in enumerate(conversation):
        wanted = (
            [call["id"] for call in message.get("tool_calls", [])] if message["role"] == "assistant" else []
        )
        for following in conversation[index + 1 :]:
            if following["role"] != "tool":
                break
            wanted = [call for call in wanted if call != following["tool_call_id"]]
        if wanted:
            words = (
                "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
                f"'tool_call_id'. The following tool_call_ids did not have response messages: {', '.join(wanted)}"
            )
            yield invalid(f"messages[{index}].role", words)


@TURNS.rule("tool-messages-answer-a-call", "dialects.md §7 Orphan result: 400 otherwise")
def orphans(case: ChatCase) -> Iterator[Objection]:
    """One message per call, right after the message that made it."""
    waiting: list[str] = []
    for path, message in messages(case):
        if message["role"] != "tool":
            waiting = [call["id"] for call in message.get("tool_calls", [])]
        elif message["tool_call_id"] in waiting:
            waiting.remove(message["tool_call_id"])
        else:
            words = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'."
            yield invalid(f"{path}.role", words)


@TURNS.rule("some-servers-want-the-tools-name", "pi.md §6.2 requiresToolResultName")
def tool_names(case: ChatCase) -> Iterator[Objection]:
    """A trait of some compatible servers."""
    for path, message in messages(case, "tool"):
        if case.traits.needs_tool_name and not message.get("name"):
            yield missing(f"{path}.name")


@TURNS.rule(
    "some-servers-want-the-assistant-after-a-tool", "dialects.md §7 Role order MI: code 3230; vector 2"
)
def role_order(case: ChatCase) -> Iterator[Objection]:
    """Mistral and its relatives."""
    previous = ""
    for path, message in messages(case):
        if (
            case.traits.needs_assistant_after_tool
            and previous == "tool"
            and message["role"] not in {"tool", "assistant"}
        ):
            yield invalid(path, f"Unexpected role '{message['role']}' after role 'tool'", "3230")
        previous = message["role"]
