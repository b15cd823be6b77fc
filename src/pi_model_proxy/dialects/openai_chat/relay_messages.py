"""Messages and tools of a relayed request: untouched as text, but for the elements a quirk is about.

Cheap tests first: most requests need nothing, and then not even the array is split.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.openai_chat.cache_marks import EPHEMERAL, mark_message
from pi_model_proxy.dialects.openai_chat.messages_out import BRIDGE
from pi_model_proxy.dialects.openai_chat.quirks import Quirks
from pi_model_proxy.dialects.openai_chat.reasoning_details import OUR_FORMATS, TEXT_FIELDS
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import BadRequest
from pi_model_proxy.hub import Target
from pi_model_proxy.wire import compact_json, join_array, raw_array

__all__ = ["needs_every_message", "relay_messages", "relay_tools", "telling_words", "with_system_roles"]

_Json = dict[str, Any]
_INSTRUCTION_ROLES: Final = frozenset({"system", "developer"})
_DETAILS: Final = "reasoning_details"
_BOOKKEEPING: Final = "provider_specific_fields"
"""What LiteLLM notes in answers for itself, and sends back with them; OpenAI refuses fields it does not know."""


class _Head(msgspec.Struct):
    role: str = ""


_head_decoder: Final = msgspec.json.Decoder(_Head)
_object_decoder: Final = msgspec.json.Decoder(dict[str, Any])


def needs_every_message(target: Target, quirks: Quirks) -> bool:
    """Tell whether the messages to this model must be read whatever they say."""
    return (
        quirks.requires_tool_result_name
        or quirks.requires_assistant_after_tool_result
        or quirks.requires_non_null_assistant_content
        or (quirks.requires_reasoning_content_on_assistant_messages and target.reasoning)
    )


def telling_words(target: Target, quirks: Quirks) -> re.Pattern[bytes]:
    """Return what must be found in JSON text before a message to this model may have to change."""
    words = [_BOOKKEEPING + '"', 'reasoning(?!_effort")' if target.hosted_by_vendor else _DETAILS + '"']
    if not quirks.supports_developer_role:
        words.append('developer"')
    # One quote before them all makes the search quick.
    return re.compile(f'"(?:{"|".join(words)})'.encode())


def relay_messages(
    raw: bytes, target: Target, quirks: Quirks, losses: Losses, *, marks: bool
) -> bytes | None:
    """Return the messages as the provider takes them; None when they may stay as they are.

    Raises:
        BadRequest: not an array of messages.
    """
    editor = _Messages(raw, target, quirks, losses)
    if not (editor.needs_reading() or marks):
        return None
    return editor.edit(marks=marks)


def relay_tools(raw: bytes | None, *, marks: bool) -> bytes | None:
    """Return the tools with the last one marked for the prompt cache; None when they may stay as they are."""
    if raw is None or not marks:
        return None
    try:
        tools = raw_array(raw)
        last = _object(tools[-1]) if tools else None
    except (ValueError, RecursionError):
        return None  # the provider will say what is wrong with them
    if last is None:
        return None
    return join_array([*tools[:-1], compact_json({**last, "cache_control": EPHEMERAL})])


def with_system_roles(raw: bytes) -> bytes | None:
    """Return the messages with `developer` as `system`; None when there is none.

    Raises:
        msgspec.DecodeError: not an array of objects.
    """
    if b'"developer"' not in raw:
        return None
    messages = raw_array(raw)
    changed = False
    for index, message in enumerate(messages):
        if _role(message) == "developer":
            messages[index] = compact_json({**_object(message), "role": "system"})
            changed = True
    return join_array(messages) if changed else None


class _Messages:
    """The edits of one conversation."""

    def __init__(self, raw: bytes, target: Target, quirks: Quirks, losses: Losses) -> None:
        self._raw = raw
        self._target = target
        self._quirks = quirks
        self._losses = losses
        self._names: dict[str, str] = {}
        """Tool call id to tool name, for providers that want the name on results."""

    def needs_reading(self) -> bool:
        if needs_every_message(self._target, self._quirks):
            return True
        found = set(telling_words(self._target, self._quirks).findall(self._raw))
        # A provider's own details go back to it; only ours, made for another model, must not.
        if found == {f'"{_DETAILS}"'.encode()}:
            return any(form.encode() in self._raw for form in OUR_FORMATS)
        return bool(found)

    def edit(self, *, marks: bool) -> bytes:
        try:
            messages = raw_array(self._raw)
            roles = [_role(message) for message in messages]
        except (ValueError, RecursionError) as error:
            raise BadRequest(
                "messages: must be an array of objects with a `role`.", param="messages"
            ) from error
        edited: list[bytes] = []
        for index, (message, role) in enumerate(zip(messages, roles, strict=True)):
            if self._needs_bridge(roles, index):
                edited.append(compact_json(BRIDGE))
            edited.append(self._message(message, role, f"messages[{index}]"))
        if marks:
            _place(edited)
        return join_array(edited)

    def _needs_bridge(self, roles: list[str], index: int) -> bool:
        return (
            self._quirks.requires_assistant_after_tool_result
            and index > 0
            and roles[index] == "user"
            and roles[index - 1] == "tool"
        )

    def _message(self, message: bytes, role: str, at: str) -> bytes:
        edit = self._edits().get(role)
        if edit is None:
            return message
        value = _object(message)
        changed = edit(value, at)
        return compact_json(value) if changed else message

    def _edits(self) -> dict[str, Callable[[_Json, str], bool]]:
        edits: dict[str, Callable[[_Json, str], bool]] = {"assistant": self._assistant}
        if not self._quirks.supports_developer_role:
            edits["developer"] = _as_system
        if self._quirks.requires_tool_result_name:
            edits["tool"] = self._tool
        return edits

    def _assistant(self, message: _Json, at: str) -> bool:
        changed = self._without_foreign_reasoning(message, at) | _without_bookkeeping(message)
        for call in message.get("tool_calls") or ():
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict) and isinstance(call.get("id"), str):
                self._names[call["id"]] = str(function.get("name") or "")
        needs_content = (
            self._quirks.requires_non_null_assistant_content
            or self._quirks.requires_assistant_after_tool_result
        )
        if needs_content and message.get("content") is None:
            message["content"], changed = "", True
        needs_reasoning = (
            self._quirks.requires_reasoning_content_on_assistant_messages and self._target.reasoning
        )
        if needs_reasoning and not isinstance(message.get("reasoning_content"), str):
            message["reasoning_content"], changed = "", True
        return changed

    def _without_foreign_reasoning(self, message: _Json, at: str) -> bool:
        """Take out the reasoning of other models: what we put into an answer ourselves, and at OpenAI all of it."""
        details = message.get(_DETAILS)
        ours = isinstance(details, list) and any(
            isinstance(entry, dict) and entry.get("format") in OUR_FORMATS for entry in details
        )
        if not ours and not self._target.hosted_by_vendor:
            return False
        found = [name for name in (*TEXT_FIELDS, _DETAILS, "thinking_blocks") if name in message]
        for name in found:
            del message[name]
            self._losses.path(f"{at}.{name}", why="the thinking of another model")
        return bool(found)

    def _tool(self, message: _Json, at: str) -> bool:
        del at
        name = self._names.get(str(message.get("tool_call_id")))
        if not name or message.get("name"):
            return False
        message["name"] = name
        return True


def _without_bookkeeping(message: _Json) -> bool:
    """Take out LiteLLM's notes, and the `index` that its calls keep from their stream."""
    calls = [call for call in message.get("tool_calls") or () if isinstance(call, dict)]
    noted = [each for each in (message, *calls) if _BOOKKEEPING in each]
    for each in noted:
        del each[_BOOKKEEPING]
    for call in calls if noted else ():
        call.pop("index", None)
    return bool(noted)


def _as_system(message: _Json, at: str) -> bool:
    del at
    message["role"] = "system"
    return True


def _place(messages: list[bytes]) -> None:
    """Mark the first instructions and the last message with text, in place, as pi does."""
    order = [*range(len(messages) - 1, -1, -1)]
    instructions = [index for index in range(len(messages)) if _role(messages[index]) in _INSTRUCTION_ROLES]
    if instructions:
        _mark(messages, instructions[0])
    for index in order:
        if _role(messages[index]) not in _INSTRUCTION_ROLES and _mark(messages, index):
            return


def _role(message: bytes) -> str:
    return _head_decoder.decode(mend_body(message)).role


def _object(message: bytes) -> _Json:
    return _object_decoder.decode(mend_body(message))


def _mark(messages: list[bytes], index: int) -> bool:
    value = _object(messages[index])
    marked = mark_message(value)
    if marked:
        messages[index] = compact_json(value)
    return marked
