"""Errors in this format's words, statuses and headers.

Source: dialects.md §6.1, §6.2, §6.4 (AM columns).
"""

from __future__ import annotations

import math
from typing import Any, Final

from pi_model_proxy.dialects.base import ErrorAnswer
from pi_model_proxy.dialects.errors import overflow_numbers
from pi_model_proxy.errors import GatewayError, UpstreamError
from pi_model_proxy.wire import ascii_json

__all__ = ["encode_error", "error_object"]

FAMILY: Final = "anthropic"
TYPES: Final[dict[str, tuple[int, str]]] = {
    "bad_request": (400, "invalid_request_error"),
    "unsupported": (400, "invalid_request_error"),
    "context_too_long": (400, "invalid_request_error"),
    "too_large": (413, "request_too_large"),
    "not_authenticated": (401, "authentication_error"),
    "forbidden": (403, "permission_error"),
    "not_found": (404, "not_found_error"),
    "unknown_model": (404, "not_found_error"),
    "method_not_allowed": (405, "invalid_request_error"),
    "body_timeout": (408, "timeout_error"),
    "unsupported_media": (415, "invalid_request_error"),
    "rate_limit": (429, "rate_limit_error"),
    "billing": (402, "billing_error"),
    "upstream_auth": (502, "api_error"),
    "overloaded": (529, "overloaded_error"),
    "timeout": (504, "timeout_error"),
    "upstream": (502, "api_error"),
    "not_served": (501, "api_error"),
    "not_ready": (503, "api_error"),
    "loop": (508, "api_error"),
    "internal": (500, "api_error"),
}
"""`GatewayError.kind` to status and type. An upstream's own status is kept (`_status_and_type`)."""

OWN_TYPES: Final = frozenset({
    "invalid_request_error", "authentication_error", "billing_error", "permission_error", "not_found_error",
    "request_too_large", "rate_limit_error", "api_error", "timeout_error", "overloaded_error", "conflict_error",
})  # fmt: skip
_OWN_STATUS: Final = frozenset({"context_too_long", "unsupported"})
"""Kinds whose status clients act upon, whatever the upstream's was (a bare 413, say)."""
_TOO_LONG: Final = "prompt is too long"
_NEVER_RETRIED: Final = frozenset({"billing", "upstream_auth", "not_served", "loop"})


def encode_error(error: GatewayError, request_id: str) -> ErrorAnswer:
    """Return an error as an HTTP answer."""
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    should_retry = error.should_retry if isinstance(error, UpstreamError) else None
    if should_retry is None and error.kind in _NEVER_RETRIED:
        should_retry = False
    if should_retry is not None:
        headers["x-should-retry"] = "true" if should_retry else "false"
    status, _ = _status_and_type(error)
    return ErrorAnswer(status=status, body=ascii_json(error_object(error, request_id)), headers=headers)


def error_object(error: GatewayError, request_id: str | None) -> dict[str, Any]:
    """Return the body of an error answer, or the data of an `error` event."""
    _, type_name = _status_and_type(error)
    words: dict[str, Any] = {"type": type_name, "message": _message(error)}
    if error.code and (not isinstance(error, UpstreamError) or error.family == FAMILY):
        words["details"] = {"error_code": error.code}
    body: dict[str, Any] = {"type": "error", "error": words}
    if request_id:
        body["request_id"] = request_id
    return body


def _status_and_type(error: GatewayError) -> tuple[int, str]:
    status, type_name = TYPES[error.kind]
    if not isinstance(error, UpstreamError):
        return error.status, type_name
    if error.family == FAMILY and error.native_type in OWN_TYPES and error.native_type is not None:
        type_name = error.native_type
    return (status if error.kind in _OWN_STATUS else error.status), type_name


def _message(error: GatewayError) -> str:
    """Return the provider's words; a prompt that is too long is told as clients look for it (they compact on it)."""
    if error.kind != "context_too_long" or error.message.lower().startswith(_TOO_LONG):
        return error.message
    numbers = overflow_numbers(error.message)
    if numbers.asked is None or numbers.maximum is None:
        return f"{_TOO_LONG}: {error.message}"
    return f"{_TOO_LONG}: {numbers.asked} tokens > {numbers.maximum} maximum ({error.message})"
