"""A conversation as a given upstream accepts it: every call answered, nothing empty, nothing foreign.

Callers send histories from other models, with calls nobody answered, answers nobody asked for and
pictures for models that cannot see. Upstreams refuse all of these, each in its own words; so the
client halves send every history through `repair_history`.

Sources: dialects.md §3.2 (replay), §7 (structure); pi 1.5.2 `dist/api/transform-messages.js`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import MAX_ID_LENGTH, CallIds
from pi_model_proxy.dialects.surrogates import clean_json_text, clean_text
from pi_model_proxy.hub import (
    Block,
    CacheMark,
    DocumentBlock,
    ImageBlock,
    RawBlock,
    ReasoningBlock,
    RefusalBlock,
    TextBlock,
    TextSource,
    ToolCallBlock,
    ToolResultBlock,
    Turn,
)

__all__ = ["HistoryRules", "repair_history"]

NO_RESULT: Final = "No result provided"
IMAGE_OMITTED: Final = "(image omitted: model does not support images)"
TOOL_IMAGE_OMITTED: Final = "(tool image omitted: model does not support images)"
IMAGE_AFTERWARDS: Final = "(image attached after the tool results)"

ResultContent: TypeAlias = TextBlock | ImageBlock | DocumentBlock | RawBlock


class HistoryRules(msgspec.Struct, frozen=True, kw_only=True):
    """What an upstream accepts in a conversation."""

    dialect: str
    """Whose raw blocks it can read; those of others are dropped and listed."""
    provider: str = ""
    model: str = ""
    """With `provider`: whose opaque tokens it can read, where a token names its origin."""
    opaque_kinds: frozenset[str] = frozenset()
    """Opaque tokens it can read; reasoning (and tokens on calls) of other kinds is dropped and listed."""
    plain_reasoning: bool = False
    """Whether reasoning without a token can be said."""
    takes_images: bool = True
    media_in_results: Literal["any", "unless_error", "none"] = "any"
    """Which tool results may hold pictures and documents; others get theirs in a user turn right after."""
    blank_text: bool = True
    """Whether text of nothing but whitespace is accepted."""
    system_turns: Literal["keep", "fold"] = "keep"
    """Whether instructions in mid-conversation keep their role, or become marked user text."""
    max_call_id: int = MAX_ID_LENGTH
    speaker_names: bool = False
    """Whether a message can say who of several speaks."""


def repair_history(turns: Iterable[Turn], rules: HistoryRules, losses: Losses) -> tuple[Turn, ...]:
    """Return the conversation as `rules` want it.

    Afterwards every assistant turn with calls is followed by exactly one `tool` turn that answers
    each call once, in the calls' order, with legal and distinct ids; no turn and no text is empty;
    every result knows its tool's name. Text is free of lone surrogates.

    Raises:
        UnsupportedFeature: something had to be dropped and the caller asked for strictness.
    """
    kept = [_filtered(turn, rules, losses) for turn in turns]
    paired = _pair(_join_calls(kept), CallIds(max_length=rules.max_call_id), losses)
    placed = (each for turn in paired for each in _place_media(turn, rules))
    return tuple(_without_blanks([_folded(turn, rules) for turn in placed], rules, losses))


# What a turn may hold.


def _filtered(turn: Turn, rules: HistoryRules, losses: Losses) -> Turn:
    if turn.name and not rules.speaker_names:
        losses.path(f"{turn.at}.name", why="the provider knows no names of speakers")
    blocks: list[Block] = []
    for block in turn.blocks:
        kept = _kept(block, rules, losses)
        if kept is not None and not (_is_placeholder(kept) and blocks and _is_placeholder(blocks[-1])):
            blocks.append(kept)
    return msgspec.structs.replace(turn, blocks=tuple(blocks))


def _is_placeholder(block: Block) -> bool:
    return isinstance(block, TextBlock) and block.text in {IMAGE_OMITTED, TOOL_IMAGE_OMITTED}


def _kept(block: Block, rules: HistoryRules, losses: Losses) -> Block | None:
    kept: Block | None = block
    match block:
        case TextBlock(text=text) | RefusalBlock(text=text) if not text.isascii():
            kept = msgspec.structs.replace(block, text=clean_text(text))
        case ImageBlock() if not rules.takes_images:
            losses.path(block.at, why="the model takes no images")
            kept = TextBlock(text=IMAGE_OMITTED, cache=block.cache, at=block.at)
        case DocumentBlock(source=TextSource(text=text)):
            kept = msgspec.structs.replace(block, source=TextSource(text=clean_text(text)))
        case ReasoningBlock():
            kept = _kept_reasoning(block, rules, losses)
        case ToolCallBlock():
            kept = _kept_call(block, rules, losses)
        case ToolResultBlock():
            kept = _kept_result(block, rules, losses)
        case RawBlock(dialect=dialect) if dialect != rules.dialect:
            losses.path(block.at, why=f"`{block.type_name}` means nothing to the provider")
            kept = None
    return kept


def _kept_reasoning(block: ReasoningBlock, rules: HistoryRules, losses: Losses) -> ReasoningBlock | None:
    opaque = block.opaque
    if opaque is not None and (opaque.kind not in rules.opaque_kinds or not _is_own(opaque.origin, rules)):
        losses.path(block.at, why="the thinking of another model")
        return None
    if opaque is None and not (rules.plain_reasoning and block.text):
        if block.text:
            losses.path(block.at, why="thinking without a signature")
        return None
    return msgspec.structs.replace(block, text=clean_text(block.text))


def _is_own(origin: str, rules: HistoryRules) -> bool:
    return not origin or origin == f"{rules.provider}/{rules.model}"


def _kept_call(block: ToolCallBlock, rules: HistoryRules, losses: Losses) -> ToolCallBlock:
    opaque = block.opaque
    if opaque is not None and (opaque.kind not in rules.opaque_kinds or not _is_own(opaque.origin, rules)):
        losses.member(block.at, "call.opaque", why="the thinking of another model")
        opaque = None
    arguments = clean_text(block.arguments) if block.custom else clean_json_text(block.arguments)
    return msgspec.structs.replace(block, arguments=arguments, opaque=opaque)


def _kept_result(block: ToolResultBlock, rules: HistoryRules, losses: Losses) -> ToolResultBlock:
    content: list[ResultContent] = []
    for part in block.content:
        match _kept(part, rules, losses):
            case TextBlock(text=text) as kept if text == IMAGE_OMITTED:
                if not (content and _is_placeholder(content[-1])):
                    content.append(msgspec.structs.replace(kept, text=TOOL_IMAGE_OMITTED))
            case (TextBlock() | ImageBlock() | DocumentBlock() | RawBlock()) as kept:
                content.append(kept)
            case _:
                pass
    return msgspec.structs.replace(block, content=tuple(content))


# Calls and their results.


def _join_calls(turns: list[Turn]) -> list[Turn]:
    """Join parallel calls that were written as one assistant turn each."""
    joined: list[Turn] = []
    for turn in turns:
        if joined and _has_calls(turn) and _has_calls(joined[-1]):
            joined[-1] = msgspec.structs.replace(joined[-1], blocks=(*joined[-1].blocks, *turn.blocks))
        else:
            joined.append(turn)
    return joined


def _has_calls(turn: Turn) -> bool:
    return turn.role == "assistant" and any(isinstance(block, ToolCallBlock) for block in turn.blocks)


class _Slot:
    """A call that waits for its result."""

    __slots__ = ("call", "result", "turn", "wire_id")

    def __init__(self, call: ToolCallBlock, turn: int, wire_id: str) -> None:
        self.call, self.turn, self.wire_id = call, turn, wire_id
        self.result: ToolResultBlock | None = None

    def answer(self, losses: Losses) -> ToolResultBlock:
        if self.result is None:
            return ToolResultBlock(
                call_id=self.wire_id,
                name=self.call.name,
                content=(TextBlock(text=NO_RESULT),),
                is_error=True,
                at=self.call.at,
            )
        if self.result.name not in {None, "", self.call.name}:
            losses.path(f"{self.result.at}.name", why="the call has another name")
        return msgspec.structs.replace(self.result, call_id=self.wire_id, name=self.call.name)


def _pair(turns: list[Turn], ids: CallIds, losses: Losses) -> list[Turn]:
    """Answer every call directly after its turn; a result nobody asked for becomes user text where it stood."""
    slots: list[list[_Slot]] = []
    waiting: dict[str, list[_Slot]] = {}
    spoken: list[tuple[Turn, list[_Slot]]] = []
    for index, turn in enumerate(turns):
        blocks: list[Block] = []
        asked: list[_Slot] = []
        for block in turn.blocks:
            if isinstance(block, ToolCallBlock) and turn.role == "assistant":
                slot = _Slot(block, index, ids.call(block.id))
                asked.append(slot)
                waiting.setdefault(block.id, []).append(slot)
                blocks.append(msgspec.structs.replace(block, id=slot.wire_id))
            elif isinstance(block, ToolResultBlock):
                if not _claim(block, waiting):
                    blocks.extend(_as_user_blocks(block))
            else:
                blocks.append(block)
        slots.append(asked)
        role = "user" if turn.role == "tool" else turn.role
        spoken.append((msgspec.structs.replace(turn, role=role, blocks=tuple(blocks)), asked))
    answered: list[Turn] = []
    for turn, asked in spoken:
        if turn.blocks:
            answered.append(turn)
        if asked:
            results = tuple(slot.answer(losses) for slot in asked)
            answered.append(Turn(role="tool", blocks=results, at=turn.at))
    return answered


def _claim(result: ToolResultBlock, waiting: dict[str, list[_Slot]]) -> bool:
    """Give `result` to the call it answers: of calls that share an id, the first open one of the latest turn."""
    calls = [slot for slot in waiting.get(result.call_id, ()) if slot.result is None]
    if not calls:
        return False
    latest = calls[-1].turn
    next(slot for slot in calls if slot.turn == latest).result = result
    return True


def _as_user_blocks(result: ToolResultBlock) -> list[Block]:
    about = f"{result.name}, {result.call_id}" if result.name else result.call_id
    heading = TextBlock(text=f"Result of an earlier tool call ({clean_text(about)}):", at=result.at)
    return [heading, *result.content]


# Where pictures may stand.


def _place_media(turn: Turn, rules: HistoryRules) -> Iterable[Turn]:
    """Yield the turn, and after it the pictures and documents that its results must not hold."""
    if turn.role != "tool" or rules.media_in_results == "any":
        yield turn
        return
    moved: list[Block] = []
    results: list[Block] = []
    for block in turn.blocks:
        if isinstance(block, ToolResultBlock) and (block.is_error or rules.media_in_results == "none"):
            results.append(_without_media(block, moved))
        else:
            results.append(block)
    yield msgspec.structs.replace(turn, blocks=tuple(results))
    if moved:
        yield Turn(role="user", blocks=tuple(moved), at=turn.at)


def _without_media(result: ToolResultBlock, moved: list[Block]) -> ToolResultBlock:
    media = [part for part in result.content if isinstance(part, ImageBlock | DocumentBlock)]
    if not media:
        return result
    of_tool = f" ({result.name})" if result.name else ""
    kind = "error result" if result.is_error else "result"
    caption = f"Attached image(s) from the {kind} of tool call {result.call_id}{of_tool}:"
    moved += [TextBlock(text=caption, at=result.at), *media]
    content: list[ResultContent] = []
    for part in result.content:
        if not isinstance(part, ImageBlock | DocumentBlock):
            content.append(part)
        elif not (content and _says_afterwards(content[-1])):
            content.append(TextBlock(text=IMAGE_AFTERWARDS, at=part.at))
    return msgspec.structs.replace(result, content=tuple(content))


def _says_afterwards(part: ResultContent) -> bool:
    return isinstance(part, TextBlock) and part.text == IMAGE_AFTERWARDS


def _folded(turn: Turn, rules: HistoryRules) -> Turn:
    """Turn an instruction in mid-conversation into marked user text: where it stands, so that cached prefixes hold."""
    if turn.role != "system" or rules.system_turns == "keep":
        return turn
    blocks = tuple(
        msgspec.structs.replace(block, text=f"<system>\n{block.text}\n</system>")
        if isinstance(block, TextBlock) and block.text.strip()
        else block
        for block in turn.blocks
    )
    return msgspec.structs.replace(turn, role="user", blocks=blocks)


# Nothing empty.


def _without_blanks(turns: list[Turn], rules: HistoryRules, losses: Losses) -> list[Turn]:
    """Drop empty text and empty turns; a cache mark on such text moves to the block before it that can carry one."""
    filled: list[Turn] = []
    for turn in turns:
        blocks: list[Block] = []
        for block in turn.blocks:
            part = _without_blank_parts(block, rules) if isinstance(block, ToolResultBlock) else block
            if not (isinstance(part, TextBlock | RefusalBlock) and _is_blank(part.text, rules)):
                blocks.append(part)
            elif isinstance(part, TextBlock) and part.cache and not _mark_last(blocks, part.cache):
                earlier = list(filled[-1].blocks) if filled else []
                if _mark_last(earlier, part.cache):
                    filled[-1] = msgspec.structs.replace(filled[-1], blocks=tuple(earlier))
                else:
                    losses.mark(part.cache, part.at, why="there is nothing before it to be cached")
        if blocks:
            filled.append(msgspec.structs.replace(turn, blocks=tuple(blocks)))
    return filled


def _without_blank_parts(result: ToolResultBlock, rules: HistoryRules) -> ToolResultBlock:
    content = [
        part for part in result.content if not (isinstance(part, TextBlock) and _is_blank(part.text, rules))
    ]
    if len(content) == len(result.content):
        return result
    marks = [part.cache for part in result.content if isinstance(part, TextBlock) and part.cache]
    mark = result.cache or (marks[-1] if marks else None)
    return msgspec.structs.replace(result, content=tuple(content), cache=mark)


def _is_blank(text: str, rules: HistoryRules) -> bool:
    return not text if rules.blank_text else not text.strip()


def _mark_last(blocks: list[Block], mark: CacheMark) -> bool:
    """Put `mark` on the last block that can carry one, unless it has its own; tell whether there was such a block."""
    for position in range(len(blocks) - 1, -1, -1):
        block = blocks[position]
        if isinstance(block, TextBlock | ImageBlock | DocumentBlock | ToolCallBlock | ToolResultBlock):
            if block.cache is None:
                blocks[position] = msgspec.structs.replace(block, cache=mark)
            return True
    return False
