"""Speaks chat completions to callers."""

from __future__ import annotations

import msgspec

from pi_model_proxy.dialects.base import AnswerContext, ErrorAnswer, Peek, StreamEncoder
from pi_model_proxy.dialects.openai_chat.answer_out import ChatStreamEncoder, encode_message
from pi_model_proxy.dialects.openai_chat.errors_out import encode_error
from pi_model_proxy.dialects.openai_chat.fields import Fields, decode_object, too_deep
from pi_model_proxy.dialects.openai_chat.messages_in import DIALECT
from pi_model_proxy.dialects.openai_chat.request_in import read_request
from pi_model_proxy.dialects.surrogates import mend_body
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.hub import Message, Request

__all__ = ["ChatServer"]


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = None


class _Peeked(msgspec.Struct):
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None


_peek_decoder = msgspec.json.Decoder(_Peeked)


class ChatServer:
    """The server half."""

    dialect = DIALECT

    def peek(self, body: bytes) -> Peek:
        """Return what routing needs, without making objects of the messages.

        Raises:
            BadRequest: names the JSON path.
        """
        try:
            peeked = _peek_decoder.decode(mend_body(body))
        except (ValueError, RecursionError):
            # The slow reading finds out which field it was.
            request = Fields(decode_object(body))
            options = request.object("stream_options")
            peeked = _Peeked(
                request.text("model"),
                request.flag("stream"),
                _StreamOptions(options.flag("include_usage") if options else None),
            )
        options_ = peeked.stream_options
        return Peek(
            model=peeked.model,
            stream=peeked.stream is True,
            wants_usage=options_ is not None and options_.include_usage is True,
        )

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
