"""What follows from a model alone, worked out once a model and not once a request."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Generic, TypeVar

__all__ = ["Remembered"]

K = TypeVar("K")
T = TypeVar("T")

MAX_KEPT: Final = 4096
"""Models there may be; past that everything is forgotten and read anew."""


class Remembered(Generic[K, T]):
    """Calls `read` once for each object (a model's flags, a target), which must not change afterwards.

    An object is known again by its identity, which is safe because it is kept alive here.
    """

    def __init__(self, read: Callable[[K], T]) -> None:
        self._read = read
        self._kept: dict[int, tuple[K, T]] = {}

    def __call__(self, about: K) -> T:
        """Return what `read(about)` returns."""
        kept = self._kept.get(id(about))
        if kept is not None and kept[0] is about:
            return kept[1]
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        value = self._read(about)
        self._kept[id(about)] = (about, value)
        return value
