"""A caller's `contents`, read into turns.

SDKs keep a streamed answer as many contents of the model, one an event; they are one turn here, and
the pieces of its text one block. Calls and results without ids get some, from their places: they
stay the same while the conversation grows, so that prompt caches stay valid.

Sources: dialects.md §1.1 GM, §7 (GM column), vector 27.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final

import msgspec

from pi_model_proxy.dialects.google_gemini.parts_in import PartReader
from pi_model_proxy.dialects.google_gemini.reading import ProtoFields
from pi_model_proxy.dialects.google_gemini.signatures import Carried, is_stand_in, standard_base64, unpack
from pi_model_proxy.hub import (
    Block,
    Opaque,
    RawBlock,
    ReasoningBlock,
    Role,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)

__all__ = ["read_contents", "read_instructions"]

ROLES: Final[dict[str, Role]] = {
    "": "user",
    "user": "user",
    "model": "assistant",
    "assistant": "assistant",
    "function": "user",
    "tool": "user",
    "system": "system",
    "developer": "system",
}
"""`function` is the earlier role of results; clients of several dialects send the others."""
_OF_CONTENT: Final = frozenset({"role", "parts"})
_OF_TEXT: Final = frozenset({"text"})


def read_instructions(body: ProtoFields, dropped: list[str]) -> tuple[TextBlock, ...]:
    """Return `systemInstruction`; what is no text in it is added to `dropped`.

    Raises:
        BadRequest: names the JSON path.
    """
    if isinstance(body.values.get("systemInstruction"), str):
        return (TextBlock(text=body.needed_text("systemInstruction"), at=body.path("systemInstruction")),)
    instruction = body.object("systemInstruction")
    if instruction is None:
        return ()
    instruction.unread(_OF_CONTENT, dropped)
    texts: list[TextBlock] = []
    for part in instruction.objects("parts"):
        text = part.text("text")
        if text is None:
            dropped.append(part.at)
        else:
            part.unread(_OF_TEXT, dropped)
            texts.append(TextBlock(text=text, at=part.at))
    return tuple(texts)


def read_contents(body: ProtoFields, dropped: list[str]) -> list[Turn]:
    """Return the conversation; what the hub has no place for is added to `dropped`.

    Raises:
        BadRequest: names the JSON path; there is no content, or a role that does not exist.
    """
    if isinstance(body.values.get("contents"), str):
        text = TextBlock(text=body.needed_text("contents"), at="contents")
        return [Turn(role="user", blocks=(text,), at="contents")]
    contents = body.objects("contents")
    if not contents:
        body.refuse("contents", "must be an array with at least one content")
    reader = PartReader(dropped)
    pairing = _Pairing()
    turns: list[Turn] = []
    for role, group in groupby(contents, key=_role):
        spoken = list(group)
        for content in spoken:
            content.unread(_OF_CONTENT, dropped)
        if role == "assistant":
            turns.append(_model_turn(spoken, reader, pairing))
        else:
            turns += [turn for content in spoken for turn in _spoken(role, content, reader, pairing)]
    return turns


def _role(content: ProtoFields) -> Role:
    role = ROLES.get((content.text("role") or "").lower())
    if role is None:
        content.refuse("role", "must be one of user, model")
    return role


class _Pairing:
    """Gives ids to calls without one, and to results those of the calls they answer."""

    def __init__(self) -> None:
        self._open: list[ToolCallBlock] = []
        """Calls of the latest turn that wait for their results, in order."""
        self._made = 0

    def call(self, block: ToolCallBlock) -> ToolCallBlock:
        if not block.id:
            block = msgspec.structs.replace(block, id=self._made_id())
        self._open.append(block)
        return block

    def begin(self) -> None:
        self._open = []

    def result(self, block: ToolResultBlock) -> ToolResultBlock:
        """Return a result under its call's id: by id, else by name, else by order."""
        fits = (
            [call for call in self._open if call.id == block.call_id]
            if block.call_id
            else [call for call in self._open if call.name == block.name] or self._open
        )
        if not fits:
            return block if block.call_id else msgspec.structs.replace(block, call_id=self._made_id())
        call = fits[0]
        self._open.remove(call)
        return msgspec.structs.replace(block, call_id=call.id, name=block.name or call.name)

    def _made_id(self) -> str:
        self._made += 1
        return f"call_{self._made}"


def _spoken(role: Role, content: ProtoFields, reader: PartReader, pairing: _Pairing) -> list[Turn]:
    """Return a content of the user's as turns: results apart from what stands beside them, in their order."""
    blocks: list[Block] = []
    for part in content.objects("parts"):
        block = reader.block(part)
        if isinstance(block, ToolResultBlock):
            blocks.append(pairing.result(block))
        elif not (isinstance(block, TextBlock) and not block.text):
            blocks.append(block)
    runs = groupby(blocks, key=lambda block: isinstance(block, ToolResultBlock))
    return [Turn(role="tool" if answers else role, blocks=tuple(run), at=content.at) for answers, run in runs]


def _model_turn(contents: Sequence[ProtoFields], reader: PartReader, pairing: _Pairing) -> Turn:
    pairing.begin()
    blocks: list[Block] = []
    for content in contents:
        for part in content.objects("parts"):
            block = reader.block(part)
            if isinstance(block, ToolCallBlock):
                block = pairing.call(block)
            _add(block, part.text("thoughtSignature") or "", part.at, blocks)
    return Turn(role="assistant", blocks=tuple(blocks), at=contents[0].at)


def _add(block: Block, signature: str, at: str, blocks: list[Block]) -> None:
    """Add a part's block with its token: on itself, or as thinking beside it."""
    carried = unpack(signature)
    if carried is not None:
        if isinstance(block, ReasoningBlock) and len(carried) == 1:
            opaque = carried[0].block(at).opaque
            _join(msgspec.structs.replace(block, opaque=opaque, summary=carried[0].summary), blocks)
            return
        for each in carried:
            _place(each, at, blocks)
    elif signature and not is_stand_in(signature) and not isinstance(block, RawBlock):
        token = Opaque(kind="gemini_signature", data=standard_base64(signature))
        if isinstance(block, ReasoningBlock | ToolCallBlock):
            block = msgspec.structs.replace(block, opaque=token)
        else:
            _join(block, blocks)
            block = ReasoningBlock(opaque=token, at=at)
    _join(block, blocks)


def _place(carried: Carried, at: str, blocks: list[Block]) -> None:
    """Put thinking that a call carries where it was: before the text of its step, or right here."""
    if any(
        isinstance(each, ReasoningBlock) and each.opaque and each.opaque.data == carried.data
        for each in blocks
    ):
        return  # its own part has come back, too
    place = len(blocks)
    if carried.before_text:
        while place and not isinstance(blocks[place - 1], ToolCallBlock):
            place -= 1
    blocks.insert(place, carried.block(at))


def _join(block: Block, blocks: list[Block]) -> None:
    """Add a block; the pieces of a streamed text, or of streamed thinking, become one."""
    last = blocks[-1] if blocks else None
    if isinstance(block, TextBlock):
        if not block.text:
            return
        if isinstance(last, TextBlock):
            blocks[-1] = msgspec.structs.replace(last, text=last.text + block.text)
            return
    elif isinstance(block, ReasoningBlock):
        if not block.text and block.opaque is None:
            return
        joins = block.text or (block.opaque is not None and block.opaque.kind != "gemini_signature")
        if isinstance(last, ReasoningBlock) and last.opaque is None and joins:
            blocks[-1] = msgspec.structs.replace(block, text=last.text + block.text, at=last.at)
            return
    blocks.append(block)
