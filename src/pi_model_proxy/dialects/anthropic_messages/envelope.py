"""Tokens of other vendors, carried in the one field that clients of this format hand back: the signature.

A client that talks to us stores `thinking.signature` and sends it back verbatim. So a foreign
token (OpenAI's encrypted reasoning, say) travels there as `pmp1.<kind>.<base64url of JSON>` and is
unwrapped when it returns. An envelope never reaches Anthropic: it is no signature of theirs.

Source: dialects.md §3.3.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, Literal, get_args

import msgspec

from pi_model_proxy.hub import Opaque

__all__ = ["ENVELOPE", "is_envelope", "unwrap", "wrap"]

ENVELOPE: Final = "pmp1."
"""What every envelope begins with; version 1."""

NATIVE_KINDS: Final = frozenset({"anthropic_signature", "anthropic_redacted"})
_PARTS: Final = 3

Kind = Literal["openai_encrypted", "reasoning_details", "gemini_signature"]
FOREIGN_KINDS: Final = frozenset(get_args(Kind))


class _Letter(msgspec.Struct, frozen=True, omit_defaults=True):
    d: str
    """The token."""
    i: str | None = None
    """The item id that travels with it."""
    o: str = ""
    """Who made it, `provider/model`."""


_letter_decoder = msgspec.json.Decoder(_Letter)


def is_envelope(signature: str) -> bool:
    """Tell whether a signature is one of our envelopes."""
    return signature.startswith(ENVELOPE)


def wrap(opaque: Opaque, origin: str) -> str:
    """Return what stands in `signature` for a token of any kind; native ones stand as they are."""
    if opaque.kind in NATIVE_KINDS:
        return opaque.data
    letter = _Letter(d=opaque.data, i=opaque.item_id, o=opaque.origin or origin)
    encoded = base64.urlsafe_b64encode(msgspec.json.encode(letter)).decode().rstrip("=")
    return f"{ENVELOPE}{opaque.kind}.{encoded}"


def unwrap(signature: str) -> Opaque | None:
    """Return the token behind a signature; None when it is empty or a broken envelope."""
    if not signature:
        return None
    if not is_envelope(signature):
        return Opaque(kind="anthropic_signature", data=signature)
    parts = signature.split(".")
    if len(parts) != _PARTS or parts[1] not in FOREIGN_KINDS:
        return None
    try:
        padded = parts[2] + "=" * (-len(parts[2]) % 4)
        letter = _letter_decoder.decode(base64.urlsafe_b64decode(padded.encode()))
        kind = msgspec.convert(parts[1], Kind)
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        return None
    return Opaque(kind=kind, data=letter.d, item_id=letter.i, origin=letter.o)
