"""Random parts of ids, drawn from the system's randomness in blocks: one system call for hundreds of ids."""

from __future__ import annotations

import os
from typing import Final

__all__ = ["IdSource"]

BLOCK_BYTES: Final = 4096


class IdSource:
    """Gives out hex strings that nobody can foresee. Not for two threads at once."""

    def __init__(self) -> None:
        self._block = ""
        self._used = 0

    def hex(self, size: int) -> str:
        """Return `size` random bytes in hex."""
        end = self._used + 2 * size
        if end > len(self._block):
            self._block, end = os.urandom(BLOCK_BYTES).hex(), 2 * size
            self._used = 0
        text = self._block[self._used : end]
        self._used = end
        return text
