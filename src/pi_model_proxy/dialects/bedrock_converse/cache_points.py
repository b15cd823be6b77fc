"""Cache points: the caller's marks, or placed where pi places them.

Here a mark is a block of its own, after what is to be cached.

Sources: Bedrock's guide "Prompt caching" (at most four points for Claude, in the order tools,
system, messages); pi 1.5.2 `dist/api/bedrock-converse-stream.js` (`buildSystemPrompt`,
`convertMessages`).
"""

from __future__ import annotations

from typing import Any, Final

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.hub import CacheMark

__all__ = ["CachePoints", "place_points"]

MAX_POINTS: Final = 4
POINT: Final = "cachePoint"
_LONG: Final = "1h"

Json = dict[str, Any]


class CachePoints:
    """The caller's marks in one request: written as they are asked for, brought within the rules at the end."""

    def __init__(self, losses: Losses, *, taken: bool) -> None:
        """Take where marks are listed that cannot stand, and whether the model takes any."""
        self._losses = losses
        self._taken = taken
        self._written: dict[int, tuple[Json, CacheMark, str]] = {}
        """By the identity of the written block, which is kept here: the mark, and where its element stands."""

    @property
    def are_set(self) -> bool:
        """Whether the caller has marked anything."""
        return bool(self._written)

    def add(self, blocks: list[Json], mark: CacheMark | None, at: str) -> None:
        """Put a point at the end of `blocks`; one that is there already gives way to a longer one."""
        if mark is None:
            return
        if not self._taken or not blocks:
            self._losses.mark(mark, at)
            return
        if POINT in blocks[-1]:
            _, earlier, earlier_at = self._written.pop(id(blocks.pop()))
            if earlier.ttl == _LONG:
                earlier, earlier_at, mark, at = mark, at, earlier, earlier_at
            if earlier.ttl != mark.ttl:
                self._losses.mark(earlier, earlier_at, why="another mark stands at the same place")
        point = _point(mark.ttl)
        blocks.append(point)
        self._written[id(point)] = (point, mark, at)

    def settle(self, lists: list[list[Json]]) -> None:
        """Bring the points of these lists (tools, system, messages) within the rules and list what that costs.

        The last four stay (the longest prefixes). One of an hour may not follow one of five
        minutes: it is shortened.
        """
        points = [(blocks, block) for blocks in lists for block in blocks if POINT in block]
        for blocks, block in points[:-MAX_POINTS]:
            blocks[:] = [each for each in blocks if each is not block]
            _, mark, at = self._written[id(block)]
            self._losses.mark(mark, at, why="the provider takes fewer marks")
        short_seen = False
        for _, block in points[-MAX_POINTS:]:
            point = block[POINT]
            if short_seen and point.get("ttl") == _LONG:
                del point["ttl"]
                _, mark, _ = self._written[id(block)]
                self._losses.path(f"{mark.at}.ttl", why="an hour's mark cannot stand here")
            short_seen = short_seen or point.get("ttl") != _LONG


def place_points(system: list[Json], messages: list[Json]) -> None:
    """Put pi's points, in a request that has none: after the system text and after what the user said last."""
    if system:
        system.append(_point(None))
    if messages[-1]["role"] == "user":
        messages[-1]["content"].append(_point(None))


def _point(ttl: str | None) -> Json:
    life = {} if ttl is None else {"ttl": ttl}
    return {POINT: {"type": "default", **life}}
