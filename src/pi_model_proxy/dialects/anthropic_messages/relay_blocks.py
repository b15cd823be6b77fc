"""Surgery on a caller's content blocks: those that an upstream would refuse; every other byte stays.

Sources: dialects.md §10 vectors 21 (`cache_control.scope`), 22 (mark on empty text), 43 (envelope
signatures), 44 (empty signatures); pi.md §5.2 (tool names of a subscription login).
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages.envelope import ENVELOPE, is_envelope
from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.hub import Target
from pi_model_proxy.wire import compact_json, edit_object, raw_object

__all__ = ["BlockSurgeon", "Suspicions"]

_BLANK_TEXT: Final = re.compile(rb'"text"\s*:\s*"(?:\s|\\[nrt])*"')
_MARKABLE: Final = frozenset({"text", "image", "document", "tool_use", "tool_result"})
_MARK: Final = b'cache_control"'


class _Mark(msgspec.Struct):
    scope: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Block(msgspec.Struct):
    type: str = ""
    text: str | None = None
    signature: str | None = None
    data: str | None = None
    name: str | None = None
    cache_control: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_block_decoder = msgspec.json.Decoder(_Block)
_mark_decoder = msgspec.json.Decoder(_Mark | None)


class Suspicions:
    """What in JSON text is a sign that a block may have to change before one target takes it."""

    __slots__ = ("_signs", "_signs_or_mark")

    def __init__(self, target: Target, quirks: Quirks, *more: bytes) -> None:
        """Gather the signs; `more` are the caller's own, as patterns of what follows a quote."""
        signs = [re.escape(ENVELOPE.encode()), *more]
        if not target.hosted_by_vendor:
            signs.append(b'scope"')
        if not quirks.takes_empty_signatures:
            signs.append(rb'signature"\s*:\s*""')
        if target.identity.tool_names:
            signs.append(b'tool_use"')
        self._signs = _one_of(*signs)
        self._signs_or_mark = _one_of(*signs, _MARK)

    def arise(self, text: bytes) -> bool:
        """Tell, by one look at JSON text where nothing is suspicious, whether something in it may have to change."""
        found = self._signs_or_mark.search(text)
        if found is None:
            return False
        if not found[0].endswith(_MARK):
            return True
        return _BLANK_TEXT.search(text) is not None or self._signs.search(text) is not None


def _one_of(*signs: bytes) -> re.Pattern[bytes]:
    """Return a pattern for JSON strings or names that begin so; one quote before them all makes it quick."""
    return re.compile(b'"(?:' + b"|".join(signs) + b")")


class BlockSurgeon:
    """Edits blocks for one request to one target."""

    def __init__(self, target: Target, quirks: Quirks, names: ToolNames, losses: Losses) -> None:
        self._by_vendor = target.hosted_by_vendor
        self._quirks = quirks
        self._names = names
        self._losses = losses
        self._cased = frozenset(name.lower() for name in target.identity.tool_names)
        self.is_needed: Final = Suspicions(target, quirks).arise

    def blocks(self, raws: list[bytes], at: str, before: list[bytes]) -> list[bytes]:
        """Return the blocks that stay, edited where they must be.

        Args:
            raws: JSON texts of the blocks.
            at: JSON path of their array.
            before: The blocks of the message before, to which a mark may move; changed in place.
        """
        kept: list[bytes] = []
        for index, raw in enumerate(raws):
            edited = self._block(raw, f"{at}[{index}]", kept, before)
            if edited is not None:
                kept.append(edited)
        return kept

    def tool(self, raw: bytes) -> bytes:
        """Return a tool with its name in the casing of the login and its mark without `scope`."""
        block = _block_decoder.decode(raw)
        return self._with_plain_mark(self._renamed(raw, block), block)

    def choice(self, raw: bytes) -> bytes:
        """Return `tool_choice` with the name in the casing of the login."""
        return self._renamed(raw, _block_decoder.decode(raw))

    def _block(self, raw: bytes, at: str, kept: list[bytes], before: list[bytes]) -> bytes | None:
        block = _block_decoder.decode(raw)
        if block.type in {"thinking", "redacted_thinking"}:
            token = (block.signature if block.type == "thinking" else block.data) or ""
            empty = not token and not self._quirks.takes_empty_signatures
            if empty or is_envelope(token):
                self._losses.path(at, why="thinking that another provider made")
                return None
            return raw
        marked = block.cache_control is not msgspec.UNSET
        if block.type == "text" and marked and not (block.text or "").strip():
            mark = (
                self._plain_mark(bytes(block.cache_control))
                if isinstance(block.cache_control, msgspec.Raw)
                else b""
            )
            if not (_mark_last(kept, mark) or _mark_last(before, mark)):
                self._losses.path(f"{at}.cache_control", why="nothing before it can carry the mark")
            return None
        if block.type == "tool_use":
            raw = self._renamed(raw, block)
        return self._with_plain_mark(raw, block)

    def _renamed(self, raw: bytes, block: _Block) -> bytes:
        if block.name is None or block.name.lower() not in self._cased:
            return raw
        name = self._names.wire(block.name)
        return raw if name == block.name else edit_object(raw_object(raw), put={"name": compact_json(name)})

    def _with_plain_mark(self, raw: bytes, block: _Block) -> bytes:
        if not isinstance(block.cache_control, msgspec.Raw):
            return raw
        mark = bytes(block.cache_control)
        plain = self._plain_mark(mark)
        return raw if plain is mark else edit_object(raw_object(raw), put={"cache_control": plain})

    def _plain_mark(self, mark: bytes) -> bytes:
        """Return a mark without `scope`, which only Anthropic itself knows (caozhiyuan/copilot-api#143)."""
        if self._by_vendor or b"scope" not in mark:
            return mark
        known = _mark_decoder.decode(mark)
        if known is None or known.scope is msgspec.UNSET:
            return mark
        return edit_object(raw_object(mark), put={}, remove=["scope"])


def _mark_last(blocks: list[bytes], mark: bytes) -> bool:
    """Put `mark` on the last block that can carry one, unless it has its own; tell whether there is such a block."""
    for position in range(len(blocks) - 1, -1, -1):
        block = _block_decoder.decode(blocks[position])
        if block.type in _MARKABLE:
            if block.cache_control is msgspec.UNSET:
                blocks[position] = edit_object(raw_object(blocks[position]), put={"cache_control": mark})
            return True
    return False
