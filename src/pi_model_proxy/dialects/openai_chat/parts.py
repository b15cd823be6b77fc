"""The blocks of an answer while they are being put together."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.surrogates import clean_text
from pi_model_proxy.hub import Block, Citation, Opaque

__all__ = ["PLACEHOLDER", "Call", "Spoken", "joined"]

PLACEHOLDER: Final = "{}"
"""Some servers open a call with empty arguments and then send the real ones (translated Anthropic streams)."""
_any_json: Final = msgspec.json.Decoder(msgspec.Raw)


class Spoken:
    """A block of text: an answer, a refusal or reasoning."""

    __slots__ = (
        "block", "carry", "citations", "details", "index", "kind", "offset", "opaque", "said", "sealed", "waiting",
    )  # fmt: skip

    def __init__(self, kind: Literal["text", "refusal", "reasoning"], block: Block) -> None:
        self.kind, self.block = kind, block
        self.index: int | None = None
        """None until the block has begun."""
        self.waiting: list[str] = []
        self.citations: list[Citation] = []
        self.opaque: Opaque | None = None
        self.details: list[dict[str, Any]] = []
        """Entries of `reasoning_details`, which become the opaque token when the block is closed."""
        self.said = False
        """True once it has text."""
        self.carry = ""
        """The first half of a surrogate pair whose second half is still to come."""
        self.offset = 0
        """Characters of visible text before this block; citations count in the whole message."""
        self.sealed = False
        """True when the next text of this kind begins a new block."""


class Call:
    """A tool call in the making."""

    __slots__ = ("arguments", "closed", "custom", "id", "index", "name", "opaque", "sent", "upstream_id")

    def __init__(self, *, custom: bool) -> None:
        self.id = self.upstream_id = self.name = ""
        self.custom = custom
        self.arguments: list[str] = []
        self.opaque: Opaque | None = None
        self.index: int | None = None
        """None until the block has begun."""
        self.sent = 0
        """How many pieces of `arguments` have gone out."""
        self.closed = False

    @property
    def holds_placeholder(self) -> bool:
        """Whether an empty object is all there is: perhaps only the place where the arguments will be."""
        return not self.custom and self.arguments == [PLACEHOLDER]

    def is_complete(self) -> bool:
        """Tell whether the arguments so far are complete JSON; free-form input is never known to be."""
        if self.custom or not self.arguments or not self.arguments[-1].rstrip().endswith("}"):
            return False
        try:
            _any_json.decode("".join(self.arguments))
        except (ValueError, RecursionError):
            return False
        return True


def joined(part: Spoken, text: str) -> str:
    """Return the text with surrogate pairs that were cut between two pieces made whole, lone halves replaced."""
    text = part.carry + text
    part.carry = ""
    if "\ud800" <= text[-1] <= "\udbff":
        part.carry, text = text[-1], text[:-1]
    return clean_text(text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass"))
