"""Refusals in the vendors' own shapes and words (dialects.md §6.1, §6.2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from support.strict_provider.glimpse import Dialect
from support.strict_provider.rulebook import Objection

__all__ = ["VendorError", "error_body", "error_event", "for_objection", "for_status"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorError:
    """One error before a dialect shapes it."""

    status: int
    kind: str
    message: str
    code: str | None = None
    param: str | None = None


ANTHROPIC: Final[dict[int, tuple[str, str]]] = {
    400: ("invalid_request_error", "messages: something is wrong with this request"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "Your credit balance is too low to access the Anthropic API."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "model: nobody"),
    408: ("timeout_error", "Request timed out."),
    409: ("conflict_error", "The resource has changed meanwhile."),
    413: ("request_too_large", "Request exceeds the maximum allowed number of bytes. The maximum is 32 MB."),
    418: ("api_error", "I'm a teapot"),
    422: ("invalid_request_error", "Unprocessable"),
    429: (
        "rate_limit_error",
        "This request would exceed your organization's rate limit of 50 requests per minute.",
    ),
    500: ("api_error", "Internal server error"),
    502: ("api_error", "Bad gateway"),
    503: ("api_error", "Service unavailable"),
    504: ("timeout_error", "Timed out"),
    529: ("overloaded_error", "Overloaded"),
}
OPENAI: Final[dict[int, tuple[str, str | None, str]]] = {
    400: ("invalid_request_error", "invalid_value", "Something is wrong with this request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "insufficient_quota", "Insufficient credits."),
    403: ("invalid_request_error", "forbidden", "You are not allowed to sample from this model."),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model `nobody` does not exist or you do not have access to it.",
    ),
    408: ("server_error", None, "Request timed out."),
    409: ("invalid_request_error", None, "The resource has changed meanwhile."),
    413: ("invalid_request_error", None, "Request too large."),
    418: ("server_error", None, "I'm a teapot"),
    422: ("invalid_request_error", None, "Unprocessable entity"),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again in 6.379s."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    502: ("server_error", None, "Bad gateway"),
    503: (
        "server_error",
        "server_is_overloaded",
        "The engine is currently overloaded, please try again later.",
    ),
    504: ("server_error", None, "Timed out"),
    529: ("server_error", "server_is_overloaded", "Overloaded"),
}


def for_status(dialect: Dialect, status: int) -> VendorError:
    """Return what the vendor says with this status."""
    if dialect == "messages":
        kind, message = ANTHROPIC[status]
        return VendorError(status=status, kind=kind, message=message)
    kind, code, message = OPENAI[status]
    return VendorError(status=status, kind=kind, message=message, code=code)


def for_objection(objection: Objection) -> VendorError:
    """Return the error of a rule that objected."""
    return VendorError(
        status=objection.status,
        kind=objection.kind,
        message=objection.words,
        code=objection.code,
        param=objection.where or None,
    )


def error_body(dialect: Dialect, error: VendorError, request_id: str) -> dict[str, Any]:
    """Return the body of an HTTP error."""
    if dialect == "messages":
        inner = {"type": error.kind, "message": error.message}
        return {"type": "error", "error": inner, "request_id": request_id}
    return {"error": {"message": error.message, "type": error.kind, "param": error.param, "code": error.code}}


def error_event(dialect: Dialect, error: VendorError, request_id: str) -> tuple[str | None, dict[str, Any]]:
    """Return name and data of an error in mid-stream (dialects.md §6.3)."""
    body = error_body(dialect, error, request_id)
    if dialect == "messages":
        return "error", body
    if dialect == "chat":
        return None, body
    flat = {"code": error.code or error.kind, "message": error.message, "param": error.param}
    return "error", {"type": "error", **flat, "sequence_number": 0}
