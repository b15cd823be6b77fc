"""Prompt-cache marks: the caller's own, or placed where pi places them.

Sources: dialects.md §1.2 (cache hints: at most four, never on empty text or thinking; longer ones
first); pi 1.5.2 `dist/api/anthropic-messages.js` (`getCacheControl`, `convertMessages`).
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks
from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.hub import CacheMark

__all__ = ["Marks", "place_marks"]

MAX_MARKS: Final = 4
MARKABLE: Final = frozenset({"text", "image", "document", "tool_result"})
"""What pi marks at the end of a user message."""
_KEY: Final = "cache_control"
_EPHEMERAL: Final = {"type": "ephemeral"}

Json = dict[str, Any]


def place_marks(tools: list[Json], system: list[Json], messages: list[Json], quirks: Quirks) -> None:
    """Mark the last tool, the login's introduction, the last system block and the last block of the last user message."""
    if tools and quirks.takes_marks_on_tools:
        tools[-1][_KEY] = dict(_EPHEMERAL)
    for block in (system[:1], system[-1:]) if system else ():
        block[0][_KEY] = dict(_EPHEMERAL)
    if messages and messages[-1]["role"] in {"user", "system"}:
        content = messages[-1]["content"]
        if content and content[-1]["type"] in MARKABLE:
            content[-1][_KEY] = dict(_EPHEMERAL)


class Marks:
    """The caller's marks in one request: written as they are asked for, brought within the rules at the end."""

    def __init__(self, quirks: Quirks, losses: Losses) -> None:
        self._quirks = quirks
        self._losses = losses
        self._written: dict[int, tuple[Json, CacheMark, str]] = {}
        """By the identity of the written object, which is kept here: the mark, and where its element stands."""

    def write(self, holder: Json, mark: CacheMark | None, at: str) -> Json:
        """Return `holder` with `mark`, if there is one; `at` is the element's JSON path."""
        if mark is None:
            return holder
        written = dict(_EPHEMERAL) if mark.ttl is None else {**_EPHEMERAL, "ttl": mark.ttl}
        self._written[id(written)] = (written, mark, at)
        return {**holder, _KEY: written}

    def lose(self, mark: CacheMark | None, at: str) -> None:
        """List a mark that has nothing to stand on."""
        self._losses.mark(mark, at)

    def settle(self, tools: list[Json], system: list[Json], messages: list[Json]) -> None:
        """Bring all marks within the rules and list what that costs.

        The last four stay (the longest prefixes). A mark of an hour may not follow one of five
        minutes in the order tools, system, messages: it is shortened.
        """
        if not self._quirks.takes_marks_on_tools:
            self._remove([tool for tool in tools if _KEY in tool])
        holders = [holder for holder in (*tools, *system, *_blocks(messages)) if _KEY in holder]
        self._remove(holders[:-MAX_MARKS])
        short_seen = False
        for holder in holders[-MAX_MARKS:]:
            mark = holder[_KEY]
            if mark.get("ttl") == "1h" and (short_seen or not self._quirks.takes_long_cache):
                self._shorten(holder)
            elif not self._quirks.takes_long_cache:
                mark.pop("ttl", None)
            short_seen = short_seen or holder[_KEY].get("ttl") != "1h"

    def _remove(self, holders: list[Json]) -> None:
        for holder in holders:
            _, mark, at = self._written.get(id(holder.pop(_KEY)), (None, None, ""))
            self._losses.mark(mark, at, why="the provider takes fewer marks")

    def _shorten(self, holder: Json) -> None:
        _, mark, _ = self._written.get(id(holder[_KEY]), (None, None, ""))
        holder[_KEY] = dict(_EPHEMERAL)
        if mark is not None:
            self._losses.path(f"{mark.at or _KEY}.ttl", why="an hour's mark cannot stand here")


def _blocks(messages: list[Json]) -> list[Json]:
    """Return every block, in the order of the prompt: what is inside a tool's result comes before its end."""
    blocks: list[Json] = []
    for message in messages:
        for block in message["content"]:
            inner = block.get("content")
            if isinstance(inner, list):
                blocks += [part for part in inner if isinstance(part, dict)]
            blocks.append(block)
    return blocks
