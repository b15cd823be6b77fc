"""Speaks legacy completions to callers."""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.base import AnswerContext, ErrorAnswer, Peek, StreamEncoder
from pi_model_proxy.dialects.openai_completions.answer_out import CompletionsEncoder, encode_message
from pi_model_proxy.dialects.openai_completions.request_in import DIALECT, read_request
from pi_model_proxy.dialects.openai_errors import encode_error
from pi_model_proxy.dialects.peeking import peek_request
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.hub import Message, Request

__all__ = ["SERVER", "CompletionsServer"]


class CompletionsServer:
    """Implements `ServerHalf`."""

    dialect: str = DIALECT

    def peek(self, body: bytes) -> Peek:
        """See `ServerHalf.peek`."""
        return peek_request(body, usage_on_demand=True)

    def decode_request(self, body: bytes) -> Request:
        """See `ServerHalf.decode_request`."""
        return read_request(body)

    def shows_reasoning(self, request: Request) -> bool:
        """Tell no thinking: there is no place for it beside the text."""
        del request
        return False

    def stream_encoder(self, context: AnswerContext) -> StreamEncoder:
        """See `ServerHalf.stream_encoder`."""
        return CompletionsEncoder(context)

    def encode_message(self, message: Message, context: AnswerContext) -> bytes:
        """See `ServerHalf.encode_message`."""
        return encode_message(message, context)

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorAnswer:
        """See `ServerHalf.encode_error`."""
        del request_id
        return encode_error(error)


SERVER: Final = CompletionsServer()
