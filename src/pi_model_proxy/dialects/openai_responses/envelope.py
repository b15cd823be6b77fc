"""What a reasoning item hands its caller to keep: OpenAI's own blob, or an envelope around another vendor's token.

A caller stores `encrypted_content` and sends it back verbatim. OpenAI's blob stands there as it
is. Any other token (Anthropic's signature, say), and thinking that the caller did not ask to see
but that its maker wants back, travels as `pmp1.<kind>.<base64url of JSON>` and is opened when it
returns. An envelope never reaches an upstream: it is no blob of theirs.

Source: dialects.md §3.1 and §3.3.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from pi_model_proxy.dialects.envelopes import ENVELOPE, Letter, is_envelope, open_letter, seal_letter
from pi_model_proxy.dialects.openai_responses.sealed import joined, sealed, unsealed
from pi_model_proxy.hub import Opaque, ReasoningBlock

__all__ = [
    "ENVELOPE",
    "OWN_REASONING",
    "Carried",
    "is_envelope",
    "open_reasoning",
    "open_summary",
    "pack_reasoning",
    "pack_summary",
]

SUMMARY_BEGINS: Final = "The conversation up to here, summed up:\n\n"
"""What a model is told before a summary."""
OWN_REASONING: Final = "rs_pmp_"
"""What the ids of our own reasoning items begin with: no upstream has ever seen them."""

_PLAIN: Final = "text"
"""In the place of a token's kind: thinking without one."""
_SUMMARY: Final = "summary"
"""In the place of a token's kind: a conversation made short."""
_NATIVE: Final = "openai_encrypted"


class Carried(msgspec.Struct, frozen=True, kw_only=True):
    """A reasoning item as a caller gets it, but for its id."""

    parts: list[str]
    """Its summary."""
    encrypted: str | None
    """`encrypted_content`."""


def pack_reasoning(
    block: ReasoningBlock, *, origin: str, item_id: str, shows: Literal["summary", "content", "none"]
) -> Carried:
    """Return summary and `encrypted_content` of the item that `block` becomes under `item_id`.

    Args:
        block: Thinking, with its token if it has one.
        origin: Who thought it, `provider/model`.
        item_id: The item's id; OpenAI's blob counts only beside the id it was made with.
        shows: Where the text stands in the item.
    """
    opaque = block.opaque
    visible = shows == "summary" and bool(block.text)
    if opaque is not None and opaque.kind == _NATIVE and opaque.item_id == item_id and shows != "content":
        blob, parts = unsealed(opaque.data, block.text)
        hidden = shows == "none" and bool(block.text)
        return Carried(parts=parts, encrypted=blob if not hidden else _envelope(block, origin, hidden=True))
    if opaque is None and (shows != "none" or not block.text):
        return Carried(parts=[block.text] if visible else [], encrypted=None)
    hidden = shows == "none" and bool(block.text)
    return Carried(parts=[block.text] if visible else [], encrypted=_envelope(block, origin, hidden=hidden))


def _envelope(block: ReasoningBlock, origin: str, *, hidden: bool) -> str:
    opaque = block.opaque
    letter = Letter(
        d=opaque.data if opaque is not None else "",
        i=opaque.item_id if opaque is not None else None,
        o=(opaque.origin if opaque is not None else "") or origin,
        t=block.text if hidden else "",
        s=block.summary,
        f=block.field,
    )
    return seal_letter(opaque.kind if opaque is not None else _PLAIN, letter)


def pack_summary(text: str) -> str:
    """Return the `encrypted_content` of a `compaction` item of ours; no secret, only not meant for eyes."""
    return seal_letter(_SUMMARY, Letter(t=text))


def open_summary(encrypted: str) -> str | None:
    """Return the summary in a `compaction` item, as a message says it; None when it is not one of ours."""
    opened = open_letter(encrypted)
    return SUMMARY_BEGINS + opened[1].t if opened is not None and opened[0] == _SUMMARY else None


def open_reasoning(
    encrypted: str, item_id: str | None, summary: list[str], content: list[str]
) -> ReasoningBlock:
    """Return the thinking behind an item of a caller's history; a broken envelope leaves what can be read.

    Args:
        encrypted: `encrypted_content`; empty when the item has none.
        item_id: The item's id.
        summary: The texts of its summary.
        content: The texts of its content: the thinking itself.
    """
    is_summary = bool(summary) or not content
    text = joined(summary if is_summary else content)
    if not encrypted:
        return ReasoningBlock(text=text, summary=is_summary)
    if not is_envelope(encrypted):
        data = sealed(encrypted, summary, is_summary=is_summary)
        opaque = Opaque(kind=_NATIVE, data=data, item_id=item_id)
        return ReasoningBlock(text=text, summary=is_summary, opaque=opaque)
    return _opened(encrypted, text, is_summary=is_summary)


def _opened(envelope: str, text: str, *, is_summary: bool) -> ReasoningBlock:
    unread = ReasoningBlock(text=text, summary=is_summary)
    opened = open_letter(envelope)
    if opened is None:
        return unread
    kind, letter = opened
    try:
        opaque = None if kind == _PLAIN else _token(kind, letter)
    except (msgspec.ValidationError, UnicodeDecodeError):
        return unread
    return ReasoningBlock(text=letter.t or text, summary=letter.s, field=letter.f, opaque=opaque)


def _token(kind: str, letter: Letter) -> Opaque:
    """Return the token in a letter.

    Raises:
        msgspec.ValidationError: the hub knows no such kind.
    """
    told = {"kind": kind, "data": letter.d, "item_id": letter.i, "origin": letter.o}
    return msgspec.convert(told, Opaque)
