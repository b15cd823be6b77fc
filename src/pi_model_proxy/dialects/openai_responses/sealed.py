"""Encrypted reasoning and the summary it came with, as one opaque text.

A reasoning item must come back as it was: blob, id and each part of its summary. The hub has one
text for all parts, so where the parts end is kept with the blob, after a `#`, which base64 has not.
The text itself travels apart; when it comes back changed, it is one part.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

__all__ = ["BETWEEN_PARTS", "joined", "sealed", "unsealed"]

BETWEEN_PARTS: Final = "\n\n"
_MARK: Final = "#"
_MAX_PARTS: Final = 1000


def joined(parts: Sequence[str]) -> str:
    """Return the text of a summary; empty parts leave no gap."""
    return BETWEEN_PARTS.join(part for part in parts if part)


def sealed(blob: str, parts: Sequence[str], *, is_summary: bool) -> str:
    """Return what is to be kept of a reasoning item beside its text and its id.

    `is_summary` tells whether that text is the summary; else it is the thinking itself, which is not sent back.
    """
    if not is_summary:
        return f"{blob}{_MARK}"
    if [part for part in parts if part] == list(parts) and len(parts) <= 1:
        return blob
    return f"{blob}{_MARK}{','.join(str(len(part)) for part in parts)}"


def unsealed(data: str, text: str) -> tuple[str, list[str]]:
    """Return the blob and the parts of the summary whose text is `text`."""
    blob, mark, written = data.partition(_MARK)
    if mark and not written:
        return blob, []
    parts = _split(text, written) if mark else None
    return blob, parts if parts is not None else [text] if text else []


def _split(text: str, written: str) -> list[str] | None:
    """Cut `text` into parts of the lengths that are `written`; None when it is another text."""
    lengths = written.split(",")
    if len(lengths) > _MAX_PARTS or not all(length.isascii() and length.isdigit() for length in lengths):
        return None
    parts: list[str] = []
    rest = text
    for length in map(int, lengths):
        if length and any(parts):
            if not rest.startswith(BETWEEN_PARTS):
                return None
            rest = rest[len(BETWEEN_PARTS) :]
        if len(rest) < length:
            return None
        parts.append(rest[:length])
        rest = rest[length:]
    return None if rest else parts
