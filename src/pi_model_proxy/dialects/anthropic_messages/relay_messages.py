"""Surgery on a caller's messages; a message nothing is wrong with keeps its bytes.

Sources: dialects.md §1.2 (mid-conversation instructions), §10 vectors 21, 22, 41, 43, 44; clients.md §3
(Claude Code's system message inside `messages`).
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks
from pi_model_proxy.dialects.anthropic_messages.relay_blocks import BlockSurgeon
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.wire import compact_json, edit_object, join_array, raw_array, raw_object

__all__ = ["INSTRUCTION", "loop_in_progress", "settle_messages"]

INSTRUCTION: Final = rb'role"\s*:\s*"system"'
"""What follows a quote where a message is an instruction in mid-conversation."""
_INSTRUCTION_ROLE: Final = re.compile(b'"' + INSTRUCTION)


class _Message(msgspec.Struct):
    role: str = ""
    content: list[msgspec.Raw] | str | None = None


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None


_message_decoder = msgspec.json.Decoder(_Message)
_block_decoder = msgspec.json.Decoder(_Block)


class _Parts:
    """A message that may change: its members, and its blocks apart."""

    __slots__ = ("blocks", "changed", "raw", "role")

    def __init__(self, raw: bytes) -> None:
        message = _message_decoder.decode(raw)
        self.raw = raw
        self.role = message.role
        self.changed = False
        content = message.content
        if isinstance(content, str):
            self.blocks = [compact_json({"type": "text", "text": content})]
        else:
            self.blocks = [bytes(block) for block in content or ()]

    def written(self) -> bytes:
        if not self.changed:
            return self.raw
        return edit_object(raw_object(self.raw), put={"content": join_array(self.blocks)})

    def types(self) -> list[str]:
        return [_block_decoder.decode(block).type for block in self.blocks]


def settle_messages(raw: bytes, surgeon: BlockSurgeon, quirks: Quirks, losses: Losses) -> bytes:
    """Return `messages` as the upstream takes them; the very same object when nothing had to change."""
    folds = not quirks.takes_mid_instructions and _INSTRUCTION_ROLE.search(raw) is not None
    if not folds and not surgeon.is_needed(raw):
        return raw
    settled: list[_Parts] = []
    held: list[bytes] = []
    for index, text in enumerate(raw_array(raw)):
        message = _Parts(text)
        at = f"messages[{index}].content"
        if surgeon.is_needed(text):
            _operate(message, surgeon, at, settled)
        if message.changed and not message.blocks:
            continue
        if message.role == "system" and folds and _fold(message, f"messages[{index}]", quirks, held, losses):
            continue
        _release(held, message, settled)
        settled.append(message)
    if held:
        settled.append(_user_message(held))
    return join_array(message.written() for message in settled)


def _operate(message: _Parts, surgeon: BlockSurgeon, at: str, settled: list[_Parts]) -> None:
    before = settled[-1].blocks if settled else []
    unmarked = list(before)
    blocks = surgeon.blocks(message.blocks, at, before)
    if settled and before != unmarked:
        settled[-1].changed = True
    if blocks != message.blocks:
        message.blocks, message.changed = blocks, True


def _fold(message: _Parts, at: str, quirks: Quirks, held: list[bytes], losses: Losses) -> bool:
    """Take an instruction out of the conversation, as marked user text; tell whether that could be done."""
    if not message.blocks:
        if quirks.takes_mid_effort:
            return False
        losses.path(at, why="the effort cannot change in mid-conversation")
        return True
    if set(message.types()) != {"text"}:
        return False
    for block in message.blocks:
        text = _block_decoder.decode(block).text or ""
        if text.strip():
            held.append(
                edit_object(raw_object(block), put={"text": compact_json(f"<system>\n{text}\n</system>")})
            )
    return True


def _release(held: list[bytes], message: _Parts, settled: list[_Parts]) -> None:
    """Put held instructions into the user's next words, after any tool results, or before the next answer."""
    if not held:
        return
    if message.role == "user":
        types = message.types()
        place = len(types) - types[::-1].index("tool_result") if "tool_result" in types else 0
        message.blocks = [*message.blocks[:place], *held, *message.blocks[place:]]
        message.changed = True
    else:
        settled.append(_user_message(held))
    held.clear()


def _user_message(blocks: list[bytes]) -> _Parts:
    return _Parts(b'{"role":"user","content":' + join_array(blocks) + b"}")


class _Typed(msgspec.Struct):
    type: str = ""


class _Shape(msgspec.Struct):
    role: str = ""
    content: list[_Typed] | str | None = None


_read_shape: Final = msgspec.json.Decoder(_Shape).decode
_read_texts: Final = msgspec.json.Decoder(list[msgspec.Raw]).decode


def loop_in_progress(raw: bytes | msgspec.Raw) -> list[dict[str, Any]]:
    """Return the messages from the last prompt on, with nothing but roles and block types, for rules about their order.

    Raises:
        msgspec.DecodeError: not an array, or one of these is no message.
    """
    shapes: list[dict[str, Any]] = []
    for text in reversed(_read_texts(raw)):
        shape = _read_shape(text)
        content = shape.content or ()
        types = ["text"] if isinstance(content, str) else [block.type for block in content]
        shapes.append({"role": shape.role, "content": [{"type": each} for each in types]})
        if shape.role == "user" and "tool_result" not in types:
            break
    return shapes[::-1]
