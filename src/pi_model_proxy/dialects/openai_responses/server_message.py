"""A whole answer as one object: what the stream of the same events ends in."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from pi_model_proxy.dialects.base import AnswerContext
from pi_model_proxy.dialects.openai_responses.server_stream import ResponsesStreamEncoder
from pi_model_proxy.hub import BlockStart, Event, Message, ReasoningBlock, unfold

__all__ = ["encode_message"]


def encode_message(message: Message, context: AnswerContext) -> bytes:
    """Return the answer's body."""
    encoder = ResponsesStreamEncoder(context)
    for event in _events(message):
        encoder.feed(event)
    return encoder.response


def _events(message: Message) -> Iterator[Event]:
    """Yield the answer's events; thinking begins with its token, whose id the item must have from the start."""
    for event in unfold(message):
        if isinstance(event, BlockStart) and isinstance(event.block, ReasoningBlock):
            whole = message.blocks[event.index]
            opaque = whole.opaque if isinstance(whole, ReasoningBlock) else None
            yield BlockStart(index=event.index, block=msgspec.structs.replace(event.block, opaque=opaque))
        else:
            yield event
