"""A model's turn taken apart into what every caller sends back and what only some can, and put together again. Pure.

What a caller sends back of a turn: its text, and its calls with their names, arguments and (most callers) ids. So a
turn is known again by the id of a call, or by all of that together with the question it answers. Anthropic wants its
thinking first and unchanged, Gemini its signatures on the very calls they came with: where each token stood is kept
with it (dialects.md §3.1 to §3.4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from pi_model_proxy.dialects.names import legal_id
from pi_model_proxy.hub import Block, Opaque, ReasoningBlock, Request, TextBlock, ToolCallBlock, Turn

__all__ = ["Kept", "kept_of", "keys_of", "lacking", "restored"]

MAX_CALL_ID_CHARS: Final = 40
"""A longer id reaches the caller shortened: chat completions allow no more."""
MAX_BYTES: Final = 1024 * 1024
"""Of one turn; a longer one is not kept."""
_TEXT: Final = -1
_END: Final = -2
"""In the place of a call's number: what a token stood before."""


class _Thought(msgspec.Struct, frozen=True, array_like=True):
    """Thinking, and where it stood."""

    before: int
    """Number of the call that followed next; `_TEXT`, or `_END` when nothing did."""
    block: ReasoningBlock


class _Call(msgspec.Struct, frozen=True, array_like=True):
    """What a call carried beside what callers send back."""

    opaque: Opaque | None
    item_id: str | None


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """What of a turn a caller may not send back."""

    thoughts: tuple[_Thought, ...]
    calls: tuple[_Call, ...]


def kept_of(blocks: Sequence[Block]) -> Kept | None:
    """Return what of a model's turn is to be kept; None when there is no token in it, or it is too long."""
    thoughts: list[_Thought] = []
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    for place, block in enumerate(blocks):
        if isinstance(block, ReasoningBlock) and block.opaque is not None:
            thoughts.append(_Thought(_next(blocks[place + 1 :], calls), block))
    kept = Kept(tuple(thoughts), tuple(_Call(call.opaque, call.item_id) for call in calls))
    if not thoughts and not any(call.opaque for call in kept.calls):
        return None
    size = sum(len(each.block.text) + _length(each.block.opaque) for each in thoughts)
    return kept if size + sum(_length(call.opaque) for call in kept.calls) <= MAX_BYTES else None


def _length(opaque: Opaque | None) -> int:
    return 0 if opaque is None else len(opaque.data)


def _next(after: Sequence[Block], calls: Sequence[ToolCallBlock]) -> int:
    for block in after:
        if isinstance(block, TextBlock) and block.text.strip():
            return _TEXT
        if isinstance(block, ToolCallBlock):
            return next(number for number, call in enumerate(calls) if call is block)
    return _END


def keys_of(request: Request, blocks: Sequence[Block], *, before: int | None = None) -> tuple[str, ...]:
    """Return what a turn of `blocks` is known by that follows the first `before` turns of a request (None: all)."""
    calls = [block for block in blocks if isinstance(block, ToolCallBlock)]
    keys = [f"call:{legal_id(call.id, max_length=MAX_CALL_ID_CHARS)}" for call in calls if call.id]
    said = hashlib.sha256()
    for part in (*_question(request.turns[:before]), *_said(blocks)):
        said.update(part.encode("utf-8", "surrogatepass"))
        said.update(b"\0")
    return (*keys, f"said:{said.hexdigest()}")


def _question(turns: Sequence[Turn]) -> Iterator[str]:
    """Yield what the user said last, and how many turns the model has had since: loops repeat themselves."""
    since = 0
    for turn in reversed(turns):
        if turn.role == "user":
            yield from (block.text.strip() for block in turn.blocks if isinstance(block, TextBlock))
            break
        since += turn.role == "assistant"
    yield str(since)


def _said(blocks: Sequence[Block]) -> Iterator[str]:
    yield "".join(block.text for block in blocks if isinstance(block, TextBlock)).strip()
    for block in blocks:
        if isinstance(block, ToolCallBlock):
            yield block.name
            yield _canonical(block)


def _canonical(call: ToolCallBlock) -> str:
    """Return a call's arguments in one spelling: clients parse them, and write them anew."""
    if call.custom:
        return call.arguments.strip()
    try:
        return msgspec.json.encode(msgspec.json.decode(call.arguments or "{}"), order="sorted").decode()
    except (ValueError, RecursionError):
        return call.arguments


def lacking(request: Request) -> dict[int, tuple[str, ...]]:
    """Return the model's turns, by number, that came back without any token, with what they are known by."""
    return {
        number: keys_of(request, turn.blocks, before=number)
        for number, turn in enumerate(request.turns)
        if turn.role == "assistant" and not any(_has_token(block) for block in turn.blocks)
    }


def _has_token(block: Block) -> bool:
    return isinstance(block, ReasoningBlock | ToolCallBlock) and block.opaque is not None


def restored(request: Request, kept: Mapping[int, Kept], origin: str) -> Request:
    """Return the request with what was kept of some turns, by number, where it stood; `origin` is its maker."""
    turns = list(request.turns)
    for number, held in kept.items():
        blocks = _together(turns[number].blocks, held, origin)
        if blocks is not None:
            turns[number] = msgspec.structs.replace(turns[number], blocks=blocks)
    return msgspec.structs.replace(request, turns=tuple(turns))


def _together(blocks: Sequence[Block], kept: Kept, origin: str) -> tuple[Block, ...] | None:
    """Return a turn with its tokens; None when it has other calls than it had."""
    if sum(isinstance(block, ToolCallBlock) for block in blocks) != len(kept.calls):
        return None
    waiting = list(kept.thoughts)
    out: list[Block] = []
    number = 0

    def let_in(*places: int) -> None:
        while waiting and waiting[0].before in places:
            block = waiting.pop(0).block
            out.append(msgspec.structs.replace(block, opaque=_of(block.opaque, origin)))

    for block in blocks:
        if isinstance(block, ReasoningBlock):
            continue  # the same in words only
        if isinstance(block, TextBlock) and block.text.strip():
            let_in(_TEXT)
        if isinstance(block, ToolCallBlock):
            let_in(_TEXT, number)
            call = kept.calls[number]
            out.append(
                msgspec.structs.replace(
                    block, opaque=_of(call.opaque, origin), item_id=call.item_id or block.item_id
                )
            )
            number += 1
        else:
            out.append(block)
    out += [msgspec.structs.replace(each.block, opaque=_of(each.block.opaque, origin)) for each in waiting]
    return tuple(out)


def _of(opaque: Opaque | None, origin: str) -> Opaque | None:
    return None if opaque is None else msgspec.structs.replace(opaque, origin=opaque.origin or origin)
