"""The half that speaks this format to callers, one for each of its two forms."""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.base import AnswerContext, ErrorAnswer, Peek, StreamEncoder
from pi_model_proxy.dialects.ollama import errors_out
from pi_model_proxy.dialects.ollama.answer_out import OllamaEncoder, encode_message
from pi_model_proxy.dialects.ollama.request_in import peek, read_request
from pi_model_proxy.dialects.ollama.words import DIALECT, Form
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.hub import Message, Request

__all__ = ["GENERATE_SERVER", "SERVER", "OllamaServer"]


class OllamaServer:
    """Implements `ServerHalf`."""

    dialect: str = DIALECT

    def __init__(self, form: Form) -> None:
        self.form: Form = form

    def peek(self, body: bytes) -> Peek:
        """See `ServerHalf.peek`; a caller that says nothing of `stream` wants a stream."""
        return peek(body)

    def decode_request(self, body: bytes) -> Request:
        """See `ServerHalf.decode_request`."""
        return read_request(body, self.form)

    def shows_reasoning(self, request: Request) -> bool:
        """Show thinking unless `think` is false: Ollama's models think, and show it, when nobody says otherwise."""
        wish = request.reasoning
        return wish is None or wish.mode != "off"

    def stream_encoder(self, context: AnswerContext) -> StreamEncoder:
        """See `ServerHalf.stream_encoder`."""
        return OllamaEncoder(context, self.form)

    def encode_message(self, message: Message, context: AnswerContext) -> bytes:
        """See `ServerHalf.encode_message`."""
        return encode_message(message, context, self.form)

    def encode_error(self, error: GatewayError, request_id: str) -> ErrorAnswer:
        """See `ServerHalf.encode_error`; this format says the request id in a header only."""
        del request_id
        return errors_out.encode_error(error)


SERVER: Final = OllamaServer("chat")
GENERATE_SERVER: Final = OllamaServer("generate")
