"""Tool call ids as Mistral takes them: exactly nine letters and digits.

Source: Mistral's own refusal ("Tool call id was ... but must be a-z, A-Z, 0-9, with a length of 9",
karthink/gptel#1203).
"""

from __future__ import annotations

import hashlib
from typing import Final

__all__ = ["ShortIds"]

LENGTH: Final = 9
_DIGITS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class ShortIds:
    """The ids of one conversation: legal ones keep themselves, every other gets one made from its hash.

    The same id always gives the same one, so that cached prompts stay valid from turn to turn.
    """

    def __init__(self) -> None:
        self._wire: dict[str, str] = {}
        self._taken: set[str] = set()

    def wire(self, call_id: str) -> str:
        """Return the id that stands for `call_id`, for a call as for its result."""
        known = self._wire.get(call_id)
        if known is not None:
            return known
        is_legal = len(call_id) == LENGTH and call_id.isascii() and call_id.isalnum()
        wire, attempt = call_id if is_legal else _hashed(call_id), 0
        while wire in self._taken:
            attempt += 1
            wire = _hashed(f"{attempt}:{call_id}")
        self._taken.add(wire)
        self._wire[call_id] = wire
        return wire


def _hashed(text: str) -> str:
    number = int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest())
    digits: list[str] = []
    for _ in range(LENGTH):
        number, digit = divmod(number, len(_DIGITS))
        digits.append(_DIGITS[digit])
    return "".join(digits)
