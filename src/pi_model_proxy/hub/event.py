"""An answer as it arrives: a short list of events every dialect can be read from and written to.

The law of order (`fold.check_order`)::

    answer  := Start block* (Finish | Failure)        | Failure
    block   := BlockStart(i) delta(i)* BlockStop(i)   i = 0, 1, 2, ... without gaps, never overlapping
    UsageUpdate and Ping may stand anywhere after Start and before the end.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub.block import Block, Citation, Opaque
from pi_model_proxy.hub.usage import Usage

__all__ = [
    "ArgumentsDelta",
    "BlockStart",
    "BlockStop",
    "CitationDelta",
    "Event",
    "Failure",
    "Finish",
    "FinishReason",
    "Message",
    "OpaqueDelta",
    "Ping",
    "Start",
    "TextDelta",
    "UsageUpdate",
]

FinishReason = Literal[
    "stop", "stop_sequence", "tool_calls", "length", "context_full", "refusal", "content_filter", "pause"
]


class Start(msgspec.Struct, frozen=True, kw_only=True, tag="start"):
    """The answer begins."""

    id: str = ""
    """The upstream's id of the answer; empty when it gave none."""
    model: str = ""
    """The model the upstream says it is."""
    usage: Usage | None = None
    """What is known already (Anthropic knows its input count here)."""


class BlockStart(msgspec.Struct, frozen=True, kw_only=True, tag="block_start"):
    """A block begins; `block` is its stub (empty text, empty arguments) or, for raw blocks, all of it."""

    index: int
    block: Block


class TextDelta(msgspec.Struct, frozen=True, tag="text"):
    """More text for the open block, be it text, refusal or reasoning."""

    index: int
    text: str


class ArgumentsDelta(msgspec.Struct, frozen=True, tag="arguments"):
    """More of a tool call's arguments (JSON text) or of a custom tool's input."""

    index: int
    text: str


class OpaqueDelta(msgspec.Struct, frozen=True, tag="opaque"):
    """The open block's opaque token, whole; at most one a block."""

    index: int
    opaque: Opaque


class CitationDelta(msgspec.Struct, frozen=True, tag="citation"):
    """One more citation for the open text block."""

    index: int
    citation: Citation


class BlockStop(msgspec.Struct, frozen=True, tag="block_stop"):
    """The open block is complete."""

    index: int


class UsageUpdate(msgspec.Struct, frozen=True, tag="usage"):
    """The counts so far: cumulative, replacing what came before."""

    usage: Usage


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """A sign of life without content."""


class Finish(msgspec.Struct, frozen=True, kw_only=True, tag="finish"):
    """The answer is complete."""

    reason: FinishReason
    stop_sequence: str | None = None
    native: str | None = None
    """The upstream's own word."""
    detail: str | None = None
    """Why the model declined, when it says so."""


class Failure(msgspec.Struct, frozen=True, tag="failure"):
    """The answer broke off; nothing follows."""

    error: UpstreamError


Event: TypeAlias = (
    Start
    | BlockStart
    | TextDelta
    | ArgumentsDelta
    | OpaqueDelta
    | CitationDelta
    | BlockStop
    | UsageUpdate
    | Ping
    | Finish
    | Failure
)


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer: the fold of its events."""

    id: str = ""
    model: str = ""
    blocks: tuple[Block, ...] = ()
    usage: Usage = Usage()
    finish: Finish
