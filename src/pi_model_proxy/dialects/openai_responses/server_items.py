"""A caller's input items, as hub instructions and turns.

Source: OpenAI's Responses reference, `ResponseInputItem` (openai-python 3.54.0); dialects.md §1.1
RS and §10 vectors 28-39. Items that only OpenAI's servers run stay raw: their own format sends them
on, others drop and list them. What only its stored state could explain is refused.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from pi_model_proxy.dialects.openai_responses.envelope import is_envelope, open_reasoning, open_summary
from pi_model_proxy.dialects.openai_responses.native_tools import (
    BY_CALL,
    BY_OUTPUT,
    read_native_call,
    read_native_output,
)
from pi_model_proxy.dialects.openai_responses.server_parts import (
    MARKS,
    PartBlock,
    cache_mark,
    read_content,
    texts_of,
)
from pi_model_proxy.dialects.openai_responses.state import is_reference
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.dialects.reading import Fields
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.hub import (
    AudioBlock,
    Block,
    DocumentBlock,
    ImageBlock,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    Role,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)
from pi_model_proxy.wire import compact_json

__all__ = ["Conversation", "read_items"]

_INSTRUCTORS: Final = frozenset({"system", "developer"})
_ROLES: Final = "user, assistant, system or developer"
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})
_OUTPUTS: Final = frozenset({"function_call_output", "custom_tool_call_output"})
_KEPT_BOOK: Final = frozenset({"type", "id", "status"})
"""Members by which the server keeps its items apart; a request says nothing with them."""
_OF_MESSAGE: Final = _KEPT_BOOK | {"role", "content"}
_OF_CALL: Final = {
    "function_call": _KEPT_BOOK | MARKS | {"call_id", "name", "namespace", "arguments"},
    "custom_tool_call": _KEPT_BOOK | MARKS | {"call_id", "name", "namespace", "input"},
}
_OF_OUTPUT: Final = _KEPT_BOOK | MARKS | {"call_id", "name", "output"}
_OF_REASONING: Final = _KEPT_BOOK | {"summary", "content", "encrypted_content"}
_OF_UPDATE: Final = _KEPT_BOOK | {"reasoning", "text"}
_OF_TOOLS: Final = _KEPT_BOOK | {"role", "tools"}
_TOOLS_INSIDE: Final = frozenset({"additional_tools", "tool_search_output"})
_SUMMARIES: Final = frozenset({"compaction", "compaction_summary"})
_ELSEWHERE: Final = {
    "item_reference": "it stands for an item that only the server which made it knows; send the item itself",
    "compaction": "it can only be read by the provider that made it; send the conversation itself",
    "compaction_summary": "it can only be read by the provider that made it; send the conversation itself",
    "compaction_trigger": "this model's API cannot compact a conversation; leave it out",
}
"""Items that mean nothing without the state of the server that made them, and cannot be left out."""


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """What a request's input says."""

    instructions: tuple[TextBlock, ...]
    turns: tuple[Turn, ...]
    dropped: tuple[str, ...]
    """JSON paths of what the hub has no words for."""
    tools: tuple[Fields, ...] = ()
    """Tools that were added in mid-conversation."""
    updates: tuple[Fields, ...] = ()
    """Changes of the settings in mid-conversation, oldest first; the last one counts."""


def read_items(request: Fields) -> Conversation:
    """Return the conversation in a request's `instructions` and `input`.

    Raises:
        BadRequest: names the JSON path.
        UnsupportedFeature: an item that only its own server could explain.
    """
    reader = _Reader()
    reader.instruct(request, "instructions")
    said = request.values.get("input")
    if said is None:
        request.refuse("input", "must be a string or an array of items; it is missing")
    if isinstance(said, str):
        reader.add("user", "input", [TextBlock(text=said, at="input")])
    elif not isinstance(said, list):
        request.refuse("input", "must be a string or an array of items")
    for item in request.objects("input") if isinstance(said, list) else ():
        reader.read(item)
    return reader.conversation()


class _Reader:
    """Collects turns: what the model said between two turns of the caller is one turn, and so are its results."""

    def __init__(self) -> None:
        self._instructions: list[TextBlock] = []
        self._turns: list[tuple[Role, str, list[Block]]] = []
        self._dropped: list[str] = []
        self._tools: list[Fields] = []
        self._updates: list[Fields] = []

    def conversation(self) -> Conversation:
        turns = tuple(Turn(role=role, blocks=tuple(blocks), at=at) for role, at, blocks in self._turns)
        return Conversation(
            instructions=tuple(self._instructions),
            turns=turns,
            dropped=tuple(self._dropped),
            tools=tuple(self._tools),
            updates=tuple(self._updates),
        )

    def instruct(self, holder: Fields, name: str) -> None:
        """Take instructions that stand before everything else."""
        for block in read_content(holder, name, self._dropped):
            if isinstance(block, TextBlock):
                self._instructions.append(block)
            else:
                self._dropped.append(block.at)

    def add(self, role: Role, at: str, blocks: Iterable[Block]) -> None:
        """Take blocks; consecutive ones of the model, or of tools, are one turn."""
        if self._turns and self._turns[-1][0] == role and role in {"assistant", "tool"}:
            self._turns[-1][2].extend(blocks)
        else:
            self._turns.append((role, at, list(blocks)))

    def read(self, item: Fields) -> None:
        """Take one item."""
        kind, dropped = _kind(item), self._dropped
        if kind == "message":
            self._message(item)
        elif kind in _CALLS:
            item.unread(_OF_CALL[kind], dropped)
            self.add("assistant", item.at, [_call(item, dropped, custom=kind == "custom_tool_call")])
        elif kind in _OUTPUTS:
            item.unread(_OF_OUTPUT, dropped)
            self.add("tool", item.at, [_result(item, dropped)])
        elif kind == "reasoning":
            item.unread(_OF_REASONING, dropped)
            self.add("assistant", item.at, [_reasoning(item, dropped)])
        elif kind in BY_CALL:
            self.add("assistant", item.at, [read_native_call(item, BY_CALL[kind], dropped)])
        elif kind in BY_OUTPUT:
            self.add("tool", item.at, [read_native_output(item, BY_OUTPUT[kind], dropped)])
        elif kind == "":
            item.refuse("type", "must name the item's type, e.g. `message`, or the item must have a `role`")
        else:
            self._rest(kind, item)

    def _rest(self, kind: str, item: Fields) -> None:
        if kind == "configuration_update":
            item.unread(_OF_UPDATE, self._dropped)
            self._updates.append(item)
            return
        if kind in _TOOLS_INSIDE:
            self._tools += item.objects("tools")
        if kind == "additional_tools":
            item.unread(_OF_TOOLS, self._dropped)
            return
        summary = open_summary(item.text("encrypted_content") or "") if kind in _SUMMARIES else None
        if summary is not None:
            self.add("user", item.at, [TextBlock(text=summary, at=item.at)])
            return
        elsewhere = _ELSEWHERE.get(kind)
        if elsewhere is not None:
            raise UnsupportedFeature(f"{item.at}: {kind}: {elsewhere}.", param=item.at)
        data = compact_json(item.values).decode()
        self.add("assistant", item.at, [RawBlock(dialect=DIALECT, type_name=kind, data=data, at=item.at)])

    def _message(self, item: Fields) -> None:
        role = item.text("role")
        item.unread(_OF_MESSAGE, self._dropped)
        if role in _INSTRUCTORS and not self._turns:
            self.instruct(item, "content")
            return
        blocks = read_content(item, "content", self._dropped)
        if role in _INSTRUCTORS:
            self.add("system", item.at, blocks)
        elif role == "user":
            self.add("user", item.at, blocks)
        elif role == "assistant":
            self.add("assistant", item.at, blocks)
        else:
            item.refuse("role", f"must be {_ROLES}")


def _kind(item: Fields) -> str:
    kind, role = item.text("type"), item.text("role")
    if item.values.get("id") is not None and is_reference(kind, role):
        return "item_reference"
    return kind or ("message" if role is not None else "")


def _call(item: Fields, dropped: list[str], *, custom: bool) -> ToolCallBlock:
    name = item.filled_text("name")
    if custom:
        arguments = item.text("input") or ""
    else:
        told = item.values.get("arguments")
        arguments = told if isinstance(told, str) else "" if told is None else compact_json(told).decode()
    return ToolCallBlock(
        id=item.text("call_id") or item.filled_text("id"),
        name=name,
        namespace=item.text("namespace"),
        arguments=arguments,
        custom=custom,
        item_id=item.text("id"),
        cache=cache_mark(item, dropped),
        at=item.at,
    )


def _result(item: Fields, dropped: list[str]) -> ToolResultBlock:
    content = tuple(_result_part(block) for block in read_content(item, "output", dropped))
    return ToolResultBlock(
        call_id=item.filled_text("call_id"),
        content=content,
        name=item.text("name"),
        cache=cache_mark(item, dropped),
        at=item.at,
    )


def _result_part(block: PartBlock) -> TextBlock | ImageBlock | DocumentBlock | RawBlock:
    match block:
        case RefusalBlock(text=text, at=at):
            return TextBlock(text=text, at=at)
        case AudioBlock(at=at):
            # No dialect takes sound from a tool; raw, it is dropped and listed.
            return RawBlock(dialect="", type_name="input_audio", data="null", at=at)
        case TextBlock() | ImageBlock() | DocumentBlock() | RawBlock():
            return block


def _reasoning(item: Fields, dropped: list[str]) -> ReasoningBlock:
    encrypted, summary = item.text("encrypted_content") or "", texts_of(item, "summary")
    content = texts_of(item, "content")
    if summary and content:
        dropped.append(item.path("content"))  # the summary says it in other words
    block = open_reasoning(encrypted, item.text("id"), summary, content)
    if encrypted and not is_envelope(encrypted) and block.opaque is not None and not block.opaque.item_id:
        dropped.append(item.path("encrypted_content"))  # OpenAI's blob is nothing without its id
        block = msgspec.structs.replace(block, opaque=None)
    return msgspec.structs.replace(block, at=item.at)
