"""Errors in this format's words: `{"error": "what happened"}`, under the status that OpenAI's formats give it.

Source: dialects.md §6.1 OL; ollama-python 0.6.3 (`ResponseError` takes the text and the status).
"""

from __future__ import annotations

import msgspec

from pi_model_proxy.dialects import openai_errors
from pi_model_proxy.dialects.base import ErrorAnswer
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.wire import ascii_json

__all__ = ["encode_error", "error_line"]


def encode_error(error: GatewayError) -> ErrorAnswer:
    """Return an error as an HTTP answer."""
    answer = openai_errors.encode_error(error)
    return msgspec.structs.replace(answer, body=_words(error))


def error_line(error: GatewayError) -> bytes:
    """Return the line that ends an answer which has begun; no `done` follows it."""
    return _words(error) + b"\n"


def _words(error: GatewayError) -> bytes:
    return ascii_json({"error": openai_errors.error_words(error).message})
