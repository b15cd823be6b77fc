"""Errors inside a stream, and alone.

Source: dialects.md §6.3: a stream that breaks off ends in `response.failed`, never in a bare `error`
event, which Codex CLI skips; it acts upon `error.code`, and reads "try again in 6.379s" out of a
rate limit's message (openai/codex#303).
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.openai_errors import error_words
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.wire import ascii_json

__all__ = ["failed_error"]

_CODES: Final = {
    "rate_limit": "rate_limit_exceeded",
    "bad_request": "invalid_prompt",
    "unsupported": "invalid_prompt",
}
"""What an error is called inside a stream, where a plain answer's envelope has no code or another."""
_SERVER_ERROR: Final = "server_error"


def failed_error(error: GatewayError) -> bytes:
    """Return what stands under `error` of a response that failed; it always has a code."""
    words = error_words(error)
    code = words.code or _CODES.get(error.kind, _SERVER_ERROR)
    message = words.message
    if error.kind == "rate_limit":
        code = _CODES["rate_limit"]
        if error.retry_after_s is not None and "try again in" not in message.lower():
            message = f"{message} Please try again in {error.retry_after_s:g}s."
    return ascii_json({"code": code, "message": message})
