"""Tokens of other vendors, carried in the one field that clients of this format hand back: the signature.

A client that talks to us stores `thinking.signature` and sends it back verbatim; so a foreign token
(OpenAI's encrypted reasoning, say) travels there as a letter, see `dialects.envelopes`.

Source: dialects.md §3.3.
"""

from __future__ import annotations

from typing import Final, Literal, get_args

import msgspec

from pi_model_proxy.dialects.envelopes import ENVELOPE, Letter, is_envelope, open_letter, seal_letter
from pi_model_proxy.hub import Opaque

__all__ = ["ENVELOPE", "is_envelope", "unwrap", "wrap"]

NATIVE_KINDS: Final = frozenset({"anthropic_signature", "anthropic_redacted"})

Kind = Literal["openai_encrypted", "reasoning_details", "gemini_signature", "pi_signature", "pi_redacted"]
FOREIGN_KINDS: Final = frozenset(get_args(Kind))


def wrap(opaque: Opaque, origin: str) -> str:
    """Return what stands in `signature` for a token of any kind; native ones stand as they are."""
    if opaque.kind in NATIVE_KINDS:
        return opaque.data
    return seal_letter(opaque.kind, Letter(d=opaque.data, i=opaque.item_id, o=opaque.origin or origin))


def unwrap(signature: str) -> Opaque | None:
    """Return the token behind a signature; None when it is empty or a broken envelope."""
    if not signature:
        return None
    if not is_envelope(signature):
        return Opaque(kind="anthropic_signature", data=signature)
    opened = open_letter(signature)
    if opened is None or opened[0] not in FOREIGN_KINDS or not opened[1].d:
        return None
    kind, letter = msgspec.convert(opened[0], Kind), opened[1]
    return Opaque(kind=kind, data=letter.d, item_id=letter.i, origin=letter.o)
