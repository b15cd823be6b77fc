"""Letters: a vendor's token inside the one field that clients of another format hand back verbatim.

A client that talks to us stores what stands beside the thinking (a signature, `encrypted_content`) and
sends it back. So a token of a model elsewhere travels there as `pmp1.<kind>.<base64url of JSON>` and is
taken out when it returns. A letter never reaches an upstream: it is nothing of theirs.

Source: dialects.md §3.3.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

__all__ = ["ENVELOPE", "Letter", "is_envelope", "open_letter", "seal_letter"]

ENVELOPE: Final = "pmp1."
"""What every letter begins with; version 1."""
_PARTS: Final = 3


class Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    """What travels, under names of one letter: it returns with each request of a conversation."""

    d: str = ""
    """The token."""
    i: str | None = None
    """The item id that travels with it."""
    o: str = ""
    """Who made it, `provider/model`."""
    t: str = ""
    """The thinking, where the caller was not shown it."""
    s: bool = False
    """Whether the thinking is a summary."""
    f: str = ""
    """The chat field it arrived in."""


_decoder = msgspec.json.Decoder(Letter)


def is_envelope(text: str) -> bool:
    """Tell whether a field holds one of our letters."""
    return text.startswith(ENVELOPE)


def seal_letter(kind: str, letter: Letter) -> str:
    """Return the text that carries a letter; `kind` is an `Opaque.kind` or a word of the format's own, without a dot."""
    encoded = base64.urlsafe_b64encode(msgspec.json.encode(letter)).decode().rstrip("=")
    return f"{ENVELOPE}{kind}.{encoded}"


def open_letter(text: str) -> tuple[str, Letter] | None:
    """Return kind and letter; None when it is not one of ours, or broken."""
    parts = text.split(".")
    if len(parts) != _PARTS or not is_envelope(text):
        return None
    try:
        padded = parts[2] + "=" * (-len(parts[2]) % 4)
        return parts[1], _decoder.decode(base64.urlsafe_b64decode(padded.encode()))
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        return None
