"""The half that speaks this format to callers."""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.anthropic_messages import server_request
from pi_model_proxy.dialects.anthropic_messages.server_content import DIALECT
from pi_model_proxy.dialects.anthropic_messages.server_errors import encode_error
from pi_model_proxy.dialects.anthropic_messages.server_message import encode_message
from pi_model_proxy.dialects.anthropic_messages.server_stream import MessagesStreamEncoder
from pi_model_proxy.dialects.base import AnswerContext, ErrorAnswer, Peek, StreamEncoder
from pi_model_proxy.dialects.peeking import peek_request
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.hub import Message, Request
from pi_model_proxy.wire import ascii_json

__all__ = ["SERVER", "MessagesServer", "decode_count", "encode_count"]


class MessagesServer:
    """Implements `ServerHalf`."""

    dialect: str = DIALECT

    def peek(self, body: bytes) -> Peek:
        """See `ServerHalf.peek`."""
        return peek_request(body, usage_on_demand=False)

    def decode_request(self, body: bytes) -> Request:
        """See `ServerHalf.decode_request`; also takes the body of a count, which has no `max_tokens`."""
        return server_request.decode_request(body)

    def shows_reasoning(self, request: Request) -> bool:
        """Tell whether the answer shall show thinking: only to a caller that asked for it."""
        return server_request.shows_reasoning(request)

    def stream_encoder(self, context: AnswerContext) -> StreamEncoder:
        """See `ServerHalf.stream_encoder`."""
        return MessagesStreamEncoder(context)

    def encode_message(self, message: Message, context: AnswerContext) -> bytes:
        """See `ServerHalf.encode_message`."""
        return encode_message(message, context)

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorAnswer:
        """See `ServerHalf.encode_error`."""
        return encode_error(error, request_id)

    def encode_count(self, input_tokens: int) -> bytes:
        """Return the body of an answer to `count_tokens`."""
        return encode_count(input_tokens)


class _Count(msgspec.Struct):
    input_tokens: int


_count_decoder = msgspec.json.Decoder(_Count)


def decode_count(body: bytes) -> int | None:
    """Return what an upstream counted; None when its answer is none."""
    try:
        count = _count_decoder.decode(body).input_tokens
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return count if count >= 0 else None


def encode_count(input_tokens: int) -> bytes:
    """Return the body of an answer to `count_tokens`."""
    return ascii_json({"input_tokens": input_tokens})


SERVER: Final = MessagesServer()
