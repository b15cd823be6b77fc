"""Errors in this format's words: Google's `google.rpc.Status`, as its REST APIs write it.

Sources: dialects.md §6.1, §6.2 (GM columns); google.rpc `error_details.proto` (RetryInfo,
BadRequest, ErrorInfo). Google's SDKs read no `retry-after`: the wait stands in `RetryInfo`, too.
"""

from __future__ import annotations

import math
from typing import Any, Final

from pi_model_proxy.dialects.base import ErrorAnswer
from pi_model_proxy.dialects.errors import overflow_numbers
from pi_model_proxy.dialects.google_gemini.chunks import FAMILY
from pi_model_proxy.errors import GatewayError, UpstreamError
from pi_model_proxy.wire import ascii_json, encode_frame

__all__ = ["encode_error", "error_frame", "error_object"]

_ROWS: Final[dict[str, tuple[int, str]]] = {
    "bad_request": (400, "INVALID_ARGUMENT"),
    "unsupported": (400, "INVALID_ARGUMENT"),
    "context_too_long": (400, "INVALID_ARGUMENT"),
    "too_large": (413, "INVALID_ARGUMENT"),
    "not_authenticated": (401, "UNAUTHENTICATED"),
    "forbidden": (403, "PERMISSION_DENIED"),
    "not_found": (404, "NOT_FOUND"),
    "unknown_model": (404, "NOT_FOUND"),
    "method_not_allowed": (405, "UNIMPLEMENTED"),
    "body_timeout": (408, "DEADLINE_EXCEEDED"),
    "unsupported_media": (415, "INVALID_ARGUMENT"),
    "rate_limit": (429, "RESOURCE_EXHAUSTED"),
    "billing": (429, "RESOURCE_EXHAUSTED"),
    "upstream_auth": (502, "INTERNAL"),
    "overloaded": (503, "UNAVAILABLE"),
    "timeout": (504, "DEADLINE_EXCEEDED"),
    "upstream": (502, "INTERNAL"),
    "not_served": (501, "UNIMPLEMENTED"),
    "not_ready": (503, "UNAVAILABLE"),
    "loop": (508, "FAILED_PRECONDITION"),
    "internal": (500, "INTERNAL"),
}
"""`GatewayError.kind` to status and canonical code. An upstream's own status is kept."""
_CODES: Final = frozenset({
    "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "UNAUTHENTICATED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
    "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS",
})  # fmt: skip
_OWN_STATUS: Final = frozenset({"context_too_long", "unsupported"})
"""Kinds whose status clients act upon, whatever the upstream's was (a bare 413, say)."""
_RENAMED: Final = {529: 503}
"""Upstream statuses that Google's SDKs and the proxies before them do not know."""
_NEVER_RETRIED: Final = frozenset({"billing", "upstream_auth", "not_served", "loop"})
_TOO_LONG: Final = "The input token count"
_TYPE: Final = "type.googleapis.com/google.rpc."


def encode_error(error: GatewayError) -> ErrorAnswer:
    """Return an error as an HTTP answer."""
    headers = dict(error.headers)
    if error.retry_after_s is not None:
        headers["retry-after"] = str(math.ceil(error.retry_after_s))
    should_retry = error.should_retry if isinstance(error, UpstreamError) else None
    if should_retry is None and error.kind in _NEVER_RETRIED:
        should_retry = False
    if should_retry is not None:
        headers["x-should-retry"] = "true" if should_retry else "false"
    status, _ = _status_and_code(error)
    return ErrorAnswer(status=status, body=ascii_json(error_object(error)), headers=headers)


def error_frame(error: GatewayError) -> bytes:
    """Return the event that ends an answer which has begun; nothing may follow it."""
    return encode_frame(ascii_json(error_object(error)))


def error_object(error: GatewayError) -> dict[str, Any]:
    """Return the body of an error answer, or the data of an error event; `error` is its first member."""
    status, code = _status_and_code(error)
    words: dict[str, Any] = {"code": status, "message": _message(error), "status": code}
    details = _details(error)
    if details:
        words["details"] = details
    return {"error": words}


def _status_and_code(error: GatewayError) -> tuple[int, str]:
    status, code = _ROWS[error.kind]
    if not isinstance(error, UpstreamError):
        return error.status, code
    if error.family == FAMILY and error.native_type in _CODES and error.native_type is not None:
        code = error.native_type
    return (status if error.kind in _OWN_STATUS else _RENAMED.get(error.status, error.status)), code


def _message(error: GatewayError) -> str:
    """Return the provider's words; a prompt that is too long is told as clients look for it (they compact on it)."""
    if error.kind != "context_too_long" or error.message.startswith(_TOO_LONG):
        return error.message
    numbers = overflow_numbers(error.message)
    if numbers.asked is None or numbers.maximum is None:
        return f"{_TOO_LONG} exceeds the maximum number of tokens allowed: {error.message}"
    return (
        f"{_TOO_LONG} ({numbers.asked}) exceeds the maximum number of tokens allowed ({numbers.maximum}). "
        f"{error.message}"
    )


def _details(error: GatewayError) -> list[dict[str, Any]]:
    details: list[dict[str, Any]] = []
    if error.retry_after_s is not None:
        details.append({"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{math.ceil(error.retry_after_s)}s"})
    if error.kind == "not_authenticated":
        details.append(
            {
                "@type": f"{_TYPE}ErrorInfo",
                "reason": "API_KEY_INVALID",
                "domain": "pi-model-proxy",
            }
        )
    if error.param:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": f"{_TYPE}BadRequest", "fieldViolations": [violation]})
    return details
