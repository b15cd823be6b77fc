"""Ids for calls that come without one, or with one that the answer has already used.

They are made from the answer's own id and the call's place in it, so that the same answer has the
same ids, streamed or not, whenever it is read again.
"""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["CallIdMaker"]

_LENGTH: Final = 24
"""Characters of the hash: with the prefix, within the 40 that chat completions allow."""


class CallIdMaker:
    """Gives each call of one answer its id."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def take(self, given: str | None, *, answer_id: str, name: str, arguments: str) -> str:
        """Return `given` when it is one of its own, else one that is made up."""
        if given and given not in self._used:
            self._used.add(given)
            return given
        said = "\n".join((answer_id, str(len(self._used)), name, "" if answer_id else arguments))
        made = f"call_{hashlib.sha256(said.encode('utf-8', 'replace')).hexdigest()[:_LENGTH]}"
        self._used.add(made)
        return made
