"""Prompt-cache marks in chat requests: kept, placed as pi places them, or listed as dropped.

Source: pi-ai 1.5.2 `dist/api/openai-completions.js` (`applyAnthropicCacheControl`): Claude behind
OpenRouter takes `cache_control` on text parts and tools; other chat upstreams have no marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.openai_chat.quirks import Quirks
from pi_model_proxy.hub import CacheMark

__all__ = ["EPHEMERAL", "CacheMarks", "mark_message", "place_marks"]

EPHEMERAL: Final = {"type": "ephemeral"}
_MARKED_ROLES: Final = frozenset({"user", "assistant", "tool"})
_INSTRUCTION_ROLES: Final = frozenset({"system", "developer"})

_Json = dict[str, Any]


class CacheMarks:
    """Writes the caller's marks as an upstream takes them."""

    def __init__(self, quirks: Quirks, losses: Losses) -> None:
        self._quirks = quirks
        self._losses = losses
        self.seen = False
        """True once the caller has marked anything: then none are placed for it."""

    def json(self, mark: CacheMark | None, at: str) -> _Json | None:
        """Return the mark for the element at `at`; None when there is none, or (listed) no way to say it."""
        if mark is None:
            return None
        self.seen = True
        if self._quirks.cache_control_format != "anthropic":
            self._losses.mark(mark, at, why="the provider takes no cache marks")
            return None
        if mark.ttl != "1h":
            return dict(EPHEMERAL)
        if not self._quirks.supports_long_cache_retention:
            self._losses.path(f"{mark.at or at}.ttl", why="the provider keeps nothing that long")
            return dict(EPHEMERAL)
        return {**EPHEMERAL, "ttl": "1h"}

    def lose(self, mark: CacheMark | None, at: str) -> None:
        """List a mark on an element that can carry none."""
        if mark is not None:
            self.seen = True
            self._losses.mark(mark, at, why="its place carries no cache mark in this format")


def place_marks(messages: Sequence[_Json], tools: Sequence[_Json]) -> None:
    """Mark the first instructions, the last tool and the last message with text, in place."""
    for message in messages:
        if message["role"] in _INSTRUCTION_ROLES:
            mark_message(message)
            break
    if tools:
        tools[-1]["cache_control"] = dict(EPHEMERAL)
    for message in reversed(messages):
        if message["role"] in _MARKED_ROLES and mark_message(message):
            break


def mark_message(message: _Json) -> bool:
    """Mark a message's last text, in place; False when it has none."""
    content = message.get("content")
    if isinstance(content, str) and content:
        message["content"] = [{"type": "text", "text": content, "cache_control": dict(EPHEMERAL)}]
        return True
    for part in reversed(content) if isinstance(content, list) else ():
        if isinstance(part, dict) and part.get("type") == "text" and part.get("text"):
            part["cache_control"] = dict(EPHEMERAL)
            return True
    return False
