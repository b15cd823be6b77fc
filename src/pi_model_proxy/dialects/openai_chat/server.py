"""Speaks chat completions to callers."""

from __future__ import annotations

from pi_model_proxy.dialects.base import AnswerContext, ErrorAnswer, Peek, StreamEncoder
from pi_model_proxy.dialects.openai_chat.answer_out import ChatStreamEncoder, encode_message
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT
from pi_model_proxy.dialects.openai_chat.request_in import read_request
from pi_model_proxy.dialects.openai_errors import encode_error
from pi_model_proxy.dialects.peeking import peek_request
from pi_model_proxy.dialects.reading import too_deep
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.hub import Message, Request

__all__ = ["ChatServer"]


class ChatServer:
    """The server half."""

    dialect = DIALECT

    def peek(self, body: bytes) -> Peek:
        """Return what routing needs, without making objects of the messages.

        Raises:
            BadRequest: names the JSON path.
        """
        return peek_request(body, usage_on_demand=True)

    def decode_request(self, body: bytes) -> Request:
        """Return the whole request (see `request_in.read_request`)."""
        try:
            return read_request(body)
        except RecursionError as error:
            raise too_deep() from error

    def shows_reasoning(self, request: Request) -> bool:
        """Show it always: `reasoning_content` stands beside the answer, where it is in nobody's way."""
        del request
        return True

    def stream_encoder(self, context: AnswerContext) -> StreamEncoder:
        """Return a writer for one stream."""
        return ChatStreamEncoder(context)

    def encode_message(self, message: Message, context: AnswerContext) -> bytes:
        """Return a whole answer."""
        return encode_message(message, context)

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorAnswer:
        """Return an error answer; chat says the request id in a header, not in the body."""
        del request_id
        return encode_error(error)
