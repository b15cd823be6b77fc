"""A caller's messages, as hub instructions and turns.

Source: OpenAI's chat completions request schema (openai-python 3.54.0), with the leniency that
recorded requests of coding agents need.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.openai_chat.content_in import DIALECT, MARKS, ContentReader
from pi_model_proxy.dialects.openai_chat.reasoning_details import (
    REASONING_FIELDS,
    list_unread,
    read_reasoning,
)
from pi_model_proxy.dialects.reading import Fields, says_nothing
from pi_model_proxy.hub import (
    Block,
    DocumentBlock,
    ImageBlock,
    Opaque,
    RawBlock,
    RefusalBlock,
    Role,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)

__all__ = ["DIALECT", "Conversation", "read_messages"]

_INSTRUCTION_ROLES: Final = frozenset({"system", "developer"})
_ROLES: Final = "system, developer, user, assistant, tool or function"

_OF_MESSAGE: Final = frozenset({"role", "content", "name"}) | MARKS
_OF_ANSWER: Final = _OF_MESSAGE | REASONING_FIELDS | {"refusal", "audio", "tool_calls", "function_call"}
_OF_RESULT: Final = _OF_MESSAGE | {"tool_call_id"}
_OF_CALL: Final = frozenset({"id", "type", "index", "function", "custom", "extra_content"})
"""`index` is left over from a stream; the place in the array says the same."""
_OF_FUNCTION: Final = frozenset({"name", "arguments"})
_OF_CUSTOM: Final = frozenset({"name", "input"})


class Conversation(msgspec.Struct, frozen=True):
    """What a request's messages say."""

    instructions: tuple[TextBlock, ...]
    turns: tuple[Turn, ...]
    is_legacy: bool
    """Whether the history has calls or results in the words of before there were tools."""


def read_messages(request: Fields, dropped: list[str]) -> Conversation:
    """Return the conversation in `request`'s `messages`; `dropped` gets the paths of what the hub has no words for.

    Raises:
        BadRequest: names the JSON path.
    """
    messages = request.objects("messages")
    if not messages:
        request.refuse("messages", "must be an array with at least one message")
    reader = _Reader(dropped)
    for message in messages:
        reader.read(message)
    return Conversation(tuple(reader.instructions), tuple(reader.turns), reader.is_legacy)


class _Reader:
    """Collects turns; remembers the legacy function calls, which have no ids of their own."""

    def __init__(self, dropped: list[str]) -> None:
        self.instructions: list[TextBlock] = []
        self.turns: list[Turn] = []
        self.is_legacy = False
        self._dropped = dropped
        self._content = ContentReader(dropped)
        self._legacy_ids: dict[str, str] = {}

    def read(self, message: Fields) -> None:
        role = message.text("role")
        if role == "user":
            message.unread(_OF_MESSAGE, self._dropped)
            self._add("user", message, self._marked(message))
        elif role == "assistant":
            message.unread(_OF_ANSWER, self._dropped)
            self._add("assistant", message, self._assistant(message))
        elif role == "tool":
            message.unread(_OF_RESULT, self._dropped)
            call_id = message.text("tool_call_id")
            if not call_id:
                message.refuse("tool_call_id", "must name the call that this message answers")
            self._add_result(message, call_id)
        elif role in _INSTRUCTION_ROLES:
            message.unread(_OF_MESSAGE, self._dropped)
            self._instruction(message)
        elif role == "function":
            self.is_legacy = True
            message.unread(_OF_MESSAGE, self._dropped)
            name = message.text("name") or ""
            self._add_result(message, self._legacy_ids.get(name, _legacy_id(message)))
        else:
            message.refuse("role", f"must be {_ROLES}")

    def _marked(self, message: Fields) -> list[Block]:
        blocks = self._content.blocks(message)
        self._content.mark_last(message, blocks)
        return blocks

    def _instruction(self, message: Fields) -> None:
        blocks = self._marked(message)
        if self.turns:
            self._add("system", message, blocks)
            return
        if message.text("name"):
            self._dropped.append(message.path("name"))
        for block in blocks:
            if isinstance(block, TextBlock):
                self.instructions.append(block)
            else:
                self._dropped.append(block.at)

    def _add(self, role: Role, message: Fields, blocks: list[Block]) -> None:
        name = message.text("name") or None
        self.turns.append(Turn(role=role, blocks=tuple(blocks), name=name, at=message.at))

    def _add_result(self, message: Fields, call_id: str) -> None:
        content: list[TextBlock | ImageBlock | DocumentBlock | RawBlock] = []
        for block in self._content.blocks(message):
            match block:
                case TextBlock() | ImageBlock() | DocumentBlock() | RawBlock():
                    content.append(block)
                case RefusalBlock(text=text, at=at):
                    content.append(TextBlock(text=text, at=at))
                case _:
                    # No dialect takes sound or thinking from a tool; raw, it is dropped and listed.
                    content.append(RawBlock(dialect="", type_name="part", data="null", at=block.at))
        result: list[Block] = [
            ToolResultBlock(call_id=call_id, content=tuple(content), name=message.text("name"), at=message.at)
        ]
        self._content.mark_last(message, result)
        self.turns.append(Turn(role="tool", blocks=tuple(result), at=message.at))

    def _assistant(self, message: Fields) -> list[Block]:
        thoughts = read_reasoning(message.values, at=message.at)
        if thoughts:
            list_unread(message, self._dropped)
        else:
            # In a form that nobody writes: a number, an empty thought.
            self._dropped += [
                message.path(name)
                for name in sorted(REASONING_FIELDS & message.values.keys())
                if not says_nothing(message.values[name])
            ]
        blocks: list[Block] = [*thoughts, *self._content.blocks(message)]
        refusal = message.text("refusal")
        if refusal:
            blocks.append(RefusalBlock(text=refusal, at=message.path("refusal")))
        if message.values.get("audio") is not None:
            self._dropped.append(message.path("audio"))
        blocks += [self._call(call) for call in message.objects("tool_calls")]
        legacy = message.object("function_call")
        if legacy is not None:
            blocks.append(self._legacy_call(message, legacy))
        self._content.mark_last(message, blocks)
        return blocks

    def _call(self, call: Fields) -> ToolCallBlock:
        call.unread(_OF_CALL, self._dropped)
        custom = call.object("custom")
        body = custom or call.object("function")
        if body is None:
            call.refuse("function", "must be an object with `name` and `arguments`")
        body.unread(_OF_CUSTOM if custom else _OF_FUNCTION, self._dropped)
        name = body.filled_text("name")
        arguments = (custom.text("input") or "") if custom else _json_text(body.values.get("arguments"))
        return ToolCallBlock(
            id=call.text("id") or f"call_{_place(call)}",
            name=name,
            arguments=arguments,
            custom=custom is not None,
            opaque=self._signature(call),
            at=call.at,
        )

    def _signature(self, call: Fields) -> Opaque | None:
        """Read Gemini's thought signature, where its OpenAI-compatible endpoint puts it."""
        extra = call.values.get("extra_content")
        if says_nothing(extra):
            return None
        match extra:
            case {"google": {"thought_signature": str(signature)}} if signature:
                return Opaque(kind="gemini_signature", data=signature)
        self._dropped.append(call.path("extra_content"))
        return None

    def _legacy_call(self, message: Fields, call: Fields) -> ToolCallBlock:
        self.is_legacy = True
        call.unread(_OF_FUNCTION, self._dropped)
        name = call.filled_text("name")
        call_id = self._legacy_ids[name] = _legacy_id(message)
        return ToolCallBlock(
            id=call_id, name=name, arguments=_json_text(call.values.get("arguments")), at=call.at
        )


def _legacy_id(message: Fields) -> str:
    return f"call_function_{_place(message)}"


def _place(fields: Fields) -> str:
    """Return the indexes in a JSON path, to make ids from: `messages[3].tool_calls[1]` gives `3_1`."""
    return "_".join(re.findall(r"\d+", fields.at))


def _json_text(value: Any) -> str:  # noqa: ANN401 - any JSON
    """Return tool arguments as JSON text: some clients send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else msgspec.json.encode(value).decode()
