"""Errors as callers of OpenAI's formats know them: one envelope, whatever the endpoint.

Source: OpenAI's error guide and `_exceptions.py` of openai-python 3.54.0; dialects.md §6.2. The
words that clients act upon are kept: `context_length_exceeded` with "maximum context length is N
tokens" makes agents compact, `insufficient_quota` makes them stop.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import msgspec

from pi_model_proxy.dialects.base import ErrorAnswer
from pi_model_proxy.dialects.errors import overflow_numbers
from pi_model_proxy.errors import CallerError, GatewayError, UpstreamError
from pi_model_proxy.wire import ascii_json, encode_frame

__all__ = ["ErrorWords", "encode_error", "error_frame", "error_status", "error_words"]


class ErrorWords(msgspec.Struct, frozen=True):
    """The object under `error`."""

    message: str
    type: str
    param: str | None
    code: str | None


class _Row(NamedTuple):
    status: int
    type: str
    code: str | None = None
    retry: bool | None = None
    """What `x-should-retry` says when the error does not say it."""


_INVALID: Final = "invalid_request_error"
_SERVER: Final = "server_error"

_ROWS: Final = {
    "bad_request": _Row(400, _INVALID),
    "unsupported": _Row(400, _INVALID, "unsupported_parameter"),
    "context_too_long": _Row(400, _INVALID, "context_length_exceeded"),
    "too_large": _Row(413, _INVALID, "request_too_large"),
    "not_authenticated": _Row(401, _INVALID, "invalid_api_key"),
    "forbidden": _Row(403, "permission_error"),
    "not_found": _Row(404, _INVALID),
    "unknown_model": _Row(404, _INVALID, "model_not_found"),
    "method_not_allowed": _Row(405, _INVALID, "method_not_supported"),
    "body_timeout": _Row(408, _INVALID, "request_timeout"),
    "unsupported_media": _Row(415, _INVALID, "unsupported_media_type"),
    "rate_limit": _Row(429, "rate_limit_error", "rate_limit_exceeded"),
    "billing": _Row(429, "insufficient_quota", "insufficient_quota", retry=False),
    "upstream_auth": _Row(502, _SERVER, "upstream_authentication_failed", retry=False),
    "overloaded": _Row(503, _SERVER, "server_is_overloaded"),
    "timeout": _Row(504, _SERVER, "timeout"),
    "upstream": _Row(502, _SERVER),
    "not_served": _Row(501, _INVALID, "model_not_served"),
    "not_ready": _Row(503, _SERVER, "not_ready"),
    "loop": _Row(508, _INVALID, "loop_detected"),
    "internal": _Row(500, _SERVER, "internal_error"),
}
_NATIVE_KINDS: Final = frozenset({
    "bad_request", "unsupported", "context_too_long", "too_large", "forbidden", "not_found", "unknown_model",
    "rate_limit", "billing", "overloaded", "timeout", "upstream",
})  # fmt: skip
"""Kinds whose OpenAI-family type and code are passed on: what they name is the caller's business."""

_OWN_STATUS: Final = frozenset({"context_too_long", "unsupported"})
"""Kinds whose status clients act upon, whatever the upstream's was (a bare 413, say)."""
_RENAMED: Final = {529: 503}
"""Upstream statuses that OpenAI's SDKs and the proxies before them do not know."""
_NOT_READY_RETRY_S: Final = 1.0


def error_status(error: GatewayError) -> int:
    """Return the HTTP status the caller gets."""
    if isinstance(error, UpstreamError) and error.kind not in _OWN_STATUS:
        return _RENAMED.get(error.status, error.status)
    return _ROWS[error.kind].status


def encode_error(error: GatewayError) -> ErrorAnswer:
    """Return the whole error answer."""
    body = ascii_json({"error": error_words(error)})
    return ErrorAnswer(status=error_status(error), body=body, headers=_headers(error))


def error_frame(error: GatewayError) -> bytes:
    """Return the last frame of a stream that breaks off; no `[DONE]` follows, so that nobody takes it for success."""
    return encode_frame(ascii_json({"error": error_words(error)}))


def error_words(error: GatewayError) -> ErrorWords:
    """Return what is said of an error, in an answer of its own or inside a stream."""
    row = _ROWS[error.kind]
    type_, code = row.type, row.code
    if isinstance(error, UpstreamError) and error.family == "openai" and error.kind in _NATIVE_KINDS:
        type_, code = error.native_type or type_, error.code or code
    elif isinstance(error, CallerError):
        code = error.code or code
    if error.kind == "context_too_long":
        code = "context_length_exceeded"  # the one code that clients look for
    return ErrorWords(_message(error), type_, error.param, code)


def _message(error: GatewayError) -> str:
    if error.kind != "context_too_long":
        return error.message
    text = error.message
    numbers = overflow_numbers(text)
    if numbers.maximum is None:
        known = "maximum context length" in text
        return text if known else f"The input is longer than this model's maximum context length. {text}"
    if f"maximum context length is {numbers.maximum} tokens" in text:
        return text
    asked = (
        f" However, your messages resulted in {numbers.asked} tokens." if numbers.asked is not None else ""
    )
    return f"This model's maximum context length is {numbers.maximum} tokens.{asked} {text}"


def _headers(error: GatewayError) -> dict[str, str]:
    headers = dict(error.headers)
    waits = error.retry_after_s
    if waits is None and error.kind == "not_ready":
        waits = _NOT_READY_RETRY_S
    if waits is not None:
        headers["retry-after"] = str(math.ceil(waits))
        if waits != int(waits):
            headers["retry-after-ms"] = str(math.ceil(waits * 1000))
    told = error.should_retry if isinstance(error, UpstreamError) else None
    retry = _ROWS[error.kind].retry if told is None else told
    if retry is not None:
        headers["x-should-retry"] = "true" if retry else "false"
    return headers
