"""Random parts of ids, drawn from the system's randomness in blocks: one system call for hundreds of ids."""

from __future__ import annotations

import os
import re
from typing import Final

__all__ = ["IdSource"]

BLOCK_IDS: Final = 256


class IdSource:
    """Gives out hex strings that nobody can foresee. Not for two threads at once."""

    def __init__(self) -> None:
        self._ready: dict[int, list[str]] = {}

    def hex(self, size: int) -> str:
        """Return `size` random bytes in hex."""
        ready = self._ready.get(size)
        if not ready:
            block = os.urandom(BLOCK_IDS * size).hex()
            ready = self._ready[size] = re.findall(f".{{{2 * size}}}", block)
        return ready.pop()
