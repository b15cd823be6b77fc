"""Thought signatures: Google's own, its documented stand-ins, and other models' tokens in their place.

Google wants base64 here and nothing else. A client that talks to us stores `thoughtSignature` and
hands it back; so the token of a model elsewhere (a Claude signature, encrypted reasoning) travels
in it as base64 of `pmp-1.` and JSON, and is unpacked when it returns. Clients keep the parts of a
call more faithfully than those of thinking (Gemini CLI drops the latter), so tokens ride on the
call that follows, with the text they belong to. Ours never reach Google.

Sources: dialects.md §3.1, §3.3; Google's page on thought signatures, which names the stand-ins;
clients.md §4.3 (google-genai sends URL-safe base64 back).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Final, Literal

import msgspec

from pi_model_proxy.hub import Opaque, ReasoningBlock

__all__ = [
    "MAX_CARRIED_CHARS",
    "OUR_MARK",
    "STAND_IN",
    "Carried",
    "is_stand_in",
    "is_valid",
    "pack",
    "standard_base64",
    "unpack",
]

STAND_IN: Final = "skip_thought_signature_validator"
"""What Google documents for a call that another model made."""
_STAND_INS: Final = (STAND_IN, "context_engineering_is_the_way_to_go")
_MAGIC: Final = b"pmp-1."
"""Six bytes, so that in base64 it is eight fixed characters."""
OUR_MARK: Final = base64.b64encode(_MAGIC).decode()
"""How every token that we packed begins; cheap to look for."""
MAX_CARRIED_CHARS: Final = 512 * 1024
"""Thinking longer than this is not carried; it would return with each request of a conversation."""
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_URL_SAFE: Final = str.maketrans("-_", "+/")

_Kind = Literal[
    "anthropic_signature",
    "anthropic_redacted",
    "openai_encrypted",
    "reasoning_details",
    "pi_signature",
    "pi_redacted",
]


class Carried(msgspec.Struct, frozen=True, omit_defaults=True, rename={"kind": "k", "data": "d", "item_id": "i", "origin": "o", "text": "t", "summary": "s", "before_text": "b"}):  # fmt: skip
    """One foreign token and the thinking it belongs to."""

    kind: _Kind
    data: str
    item_id: str | None = None
    origin: str = ""
    text: str = ""
    summary: bool = False
    before_text: bool = False
    """Whether text stood between the thinking and the call that carries it."""

    def block(self, at: str) -> ReasoningBlock:
        """Return what was carried; `at` is the JSON path of the part that carried it."""
        opaque = Opaque(kind=self.kind, data=self.data, item_id=self.item_id, origin=self.origin)
        return ReasoningBlock(text=self.text, opaque=opaque, summary=self.summary, at=at)

    @classmethod
    def of(cls, block: ReasoningBlock, origin: str, *, before_text: bool = False) -> Carried | None:
        """Return what carries `block`; None when it has no token that needs carrying."""
        opaque = block.opaque
        if opaque is None or opaque.kind == "gemini_signature" or len(block.text) > MAX_CARRIED_CHARS:
            return None
        return cls(
            kind=opaque.kind,
            data=opaque.data,
            item_id=opaque.item_id,
            origin=opaque.origin or origin,
            text=block.text,
            summary=block.summary,
            before_text=before_text,
        )


_letter_decoder: Final = msgspec.json.Decoder(list[Carried])


def pack(carried: Sequence[Carried]) -> str:
    """Return a `thoughtSignature` that holds foreign tokens."""
    return base64.b64encode(_MAGIC + msgspec.json.encode(carried)).decode()


def unpack(signature: str) -> list[Carried] | None:
    """Return the foreign tokens in a `thoughtSignature`; None when it is no package of ours, or a broken one."""
    if not signature.startswith(OUR_MARK):
        return None
    try:
        data = base64.b64decode(standard_base64(signature), validate=True)
        return _letter_decoder.decode(data[len(_MAGIC) :])
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        return []


def standard_base64(text: str) -> str:
    """Return base64 of either alphabet in the standard one, with its padding."""
    plain = text.translate(_URL_SAFE).rstrip("=")
    return plain + "=" * (-len(plain) % 4)


def is_valid(signature: str) -> bool:
    """Tell whether a signature may be sent to Google, which refuses the whole request for a bad one."""
    return len(signature) % 4 == 0 and _BASE64.fullmatch(signature) is not None


def is_stand_in(signature: str) -> bool:
    """Tell whether a signature is one of the documented stand-ins, plain or (pydantic-ai) in base64."""
    if signature in _STAND_INS:
        return True
    return any(
        standard_base64(signature) == base64.b64encode(each.encode()).decode()
        or standard_base64(signature) == standard_base64(each)
        for each in _STAND_INS
    )
