"""The half that speaks this format to callers, one for each way in which an answer may be framed.

Model and method stand in the URL, which a `ServerHalf` does not see: whoever routes reads it with
`address.read_address`, takes the form's halves from `FORMS` and the model from the address.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.dialects.base import AnswerContext, ErrorAnswer, Peek, StreamEncoder
from pi_model_proxy.dialects.google_gemini import request_in
from pi_model_proxy.dialects.google_gemini.address import Form
from pi_model_proxy.dialects.google_gemini.answer_out import GeminiEncoder
from pi_model_proxy.dialects.google_gemini.array_out import ArrayEncoder
from pi_model_proxy.dialects.google_gemini.chunks import DIALECT
from pi_model_proxy.dialects.google_gemini.errors_out import encode_error
from pi_model_proxy.dialects.google_gemini.message_out import encode_message
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.hub import Message, Request
from pi_model_proxy.wire import ascii_json

__all__ = ["ARRAY_SERVER", "SERVER", "SSE_SERVER", "GeminiServer", "decode_count", "encode_count"]


class GeminiServer:
    """Implements `ServerHalf`."""

    dialect: str = DIALECT

    def __init__(self, form: Form) -> None:
        self.form: Form = form
        self._streams = form in {"sse", "array"}

    def peek(self, body: bytes) -> Peek:
        """Return what the body tells; `model` only where a client repeats it there."""
        return request_in.peek(body, streams=self._streams)

    def decode_request(self, body: bytes) -> Request:
        """See `ServerHalf.decode_request`; also takes the body of a count."""
        return request_in.read_request(body, streams=self._streams)

    def shows_reasoning(self, request: Request) -> bool:
        """See `ServerHalf.shows_reasoning`."""
        return request_in.shows_reasoning(request)

    def stream_encoder(self, context: AnswerContext) -> StreamEncoder:
        """See `ServerHalf.stream_encoder`."""
        encoder = GeminiEncoder(context)
        return ArrayEncoder(encoder) if self.form == "array" else encoder

    def encode_message(self, message: Message, context: AnswerContext) -> bytes:
        """See `ServerHalf.encode_message`."""
        return encode_message(message, context)

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorAnswer:  # noqa: ARG002 - Google's errors carry none
        """See `ServerHalf.encode_error`."""
        return encode_error(error)

    def encode_count(self, input_tokens: int) -> bytes:
        """Return the body of an answer to `:countTokens`."""
        return encode_count(input_tokens)


class _Count(msgspec.Struct, rename="camel"):
    total_tokens: int | None = None


_count_decoder: Final = msgspec.json.Decoder(_Count)


def decode_count(body: bytes) -> int | None:
    """Return what an upstream counted; None when its answer is none."""
    try:
        count = _count_decoder.decode(body).total_tokens
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None
    return count if count is not None and count >= 0 else None


def encode_count(input_tokens: int) -> bytes:
    """Return the body of an answer to `:countTokens`."""
    return ascii_json({"totalTokens": input_tokens})


SERVER: Final = GeminiServer("plain")
SSE_SERVER: Final = GeminiServer("sse")
ARRAY_SERVER: Final = GeminiServer("array")
