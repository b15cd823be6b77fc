"""Prompt-cache marks: the caller's own, or placed where pi places them.

Sources: dialects.md §1.2 (cache hints: at most four, never on empty text or thinking; longer ones
first); pi 1.5.2 `dist/api/anthropic-messages.js` (`getCacheControl`, `convertMessages`).
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks
from pi_model_proxy.hub import CacheMark

__all__ = ["mark_object", "place_marks", "settle_marks"]

MAX_MARKS: Final = 4
MARKABLE: Final = frozenset({"text", "image", "document", "tool_result"})
"""What pi marks at the end of a user message."""
_KEY: Final = "cache_control"
_EPHEMERAL: Final = {"type": "ephemeral"}

Json = dict[str, Any]


def mark_object(mark: CacheMark) -> Json:
    """Return a mark as it is written."""
    return dict(_EPHEMERAL) if mark.ttl is None else {**_EPHEMERAL, "ttl": mark.ttl}


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


def settle_marks(tools: list[Json], system: list[Json], messages: list[Json], quirks: Quirks) -> int:
    """Bring marks within the rules; return how many had to go.

    The last four stay (the longest prefixes). A mark of an hour may not follow one of five minutes
    in the order tools, system, messages: it is shortened.
    """
    removed = 0
    if not quirks.takes_marks_on_tools:
        removed += sum(tool.pop(_KEY, None) is not None for tool in tools)
    holders = [holder for holder in (*tools, *system, *_blocks(messages)) if _KEY in holder]
    for holder in holders[:-MAX_MARKS]:
        del holder[_KEY]
        removed += 1
    short_seen = False
    for holder in holders[-MAX_MARKS:]:
        mark = holder[_KEY]
        if mark.get("ttl") == "1h" and (short_seen or not quirks.takes_long_cache):
            mark = dict(_EPHEMERAL)
        elif not quirks.takes_long_cache:
            mark.pop("ttl", None)
        short_seen = short_seen or mark.get("ttl") != "1h"
        holder[_KEY] = mark
    return removed


def _blocks(messages: list[Json]) -> list[Json]:
    return [block for message in messages for block in message["content"]]
