"""Speaks Responses to callers."""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.base import AnswerContext, ErrorAnswer, Peek, StreamEncoder
from pi_model_proxy.dialects.openai_errors import encode_error
from pi_model_proxy.dialects.openai_responses import server_request
from pi_model_proxy.dialects.openai_responses.server_message import encode_message
from pi_model_proxy.dialects.openai_responses.server_stream import ResponsesStreamEncoder
from pi_model_proxy.dialects.openai_responses.tools import DIALECT
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.hub import Message, Request

__all__ = ["SERVER", "ResponsesServer"]


class ResponsesServer:
    """Implements `ServerHalf`."""

    dialect: str = DIALECT

    def peek(self, body: bytes) -> Peek:
        """See `ServerHalf.peek`."""
        return server_request.peek(body)

    def decode_request(self, body: bytes) -> Request:
        """See `ServerHalf.decode_request`.

        Raises:
            UnsupportedFeature: the request goes on from what only a store knows (see `state`).
        """
        try:
            return server_request.read_request(body)
        except RecursionError as error:
            raise too_deep() from error

    def shows_reasoning(self, request: Request) -> bool:
        """See `ServerHalf.shows_reasoning`."""
        return server_request.shows_reasoning(request)

    def stream_encoder(self, context: AnswerContext) -> StreamEncoder:
        """See `ServerHalf.stream_encoder`."""
        return ResponsesStreamEncoder(context)

    def encode_message(self, message: Message, context: AnswerContext) -> bytes:
        """See `ServerHalf.encode_message`."""
        return encode_message(message, context)

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorAnswer:
        """See `ServerHalf.encode_error`; this format says the request id in a header, not in the body."""
        del request_id
        return encode_error(error)


SERVER: Final = ResponsesServer()
