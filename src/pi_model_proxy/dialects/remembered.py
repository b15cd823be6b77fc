"""Values read off a model's compat flags, once a model and not once a request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Generic, TypeVar

__all__ = ["Remembered"]

T = TypeVar("T")

MAX_KEPT: Final = 4096
"""Models there may be; past that everything is forgotten and read anew."""


class Remembered(Generic[T]):
    """Calls `read` once for each mapping object; the mapping must not change afterwards.

    A mapping is known again by its identity, which is safe because it is kept alive here.
    """

    def __init__(self, read: Callable[[Mapping[str, Any]], T]) -> None:
        self._read = read
        self._kept: dict[int, tuple[Mapping[str, Any], T]] = {}

    def __call__(self, flags: Mapping[str, Any]) -> T:
        """Return what `read(flags)` returns."""
        kept = self._kept.get(id(flags))
        if kept is not None and kept[0] is flags:
            return kept[1]
        if len(self._kept) >= MAX_KEPT:
            self._kept.clear()
        value = self._read(flags)
        self._kept[id(flags)] = (flags, value)
        return value
