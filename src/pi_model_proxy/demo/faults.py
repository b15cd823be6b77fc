"""How each format says no, in its vendor's own words; pure.

Source: the vendors' error references; the texts of a context that is too long as their servers write them.
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.demo.reading import Refused
from pi_model_proxy.demo.scenes import LABEL

__all__ = [
    "RETRY_AFTER_S",
    "broke_off",
    "no_json",
    "no_key",
    "no_model",
    "overloaded",
    "rate_limited",
    "too_long",
]

RETRY_AFTER_S: Final = 7
_ANTHROPIC: Final = "messages"


def rate_limited(format_id: str) -> Refused:
    """Return what a used-up rate limit says."""
    words = f"{LABEL} Rate limit reached; try again in {RETRY_AFTER_S}s."
    if format_id == _ANTHROPIC:
        return Refused(429, "rate_limit_error", words, retry_after_s=RETRY_AFTER_S)
    return Refused(429, "requests", words, code="rate_limit_exceeded", retry_after_s=RETRY_AFTER_S)


def overloaded(format_id: str) -> Refused:
    """Return what an overloaded service says."""
    if format_id == _ANTHROPIC:
        return Refused(529, "overloaded_error", f"{LABEL} Overloaded")
    words = f"{LABEL} The engine is currently overloaded, please try again later."
    return Refused(503, "server_error", words, code="server_is_overloaded")


def broke_off(format_id: str) -> Refused:
    """Return what a service says that failed in the middle of its answer."""
    type_ = "api_error" if format_id == _ANTHROPIC else "server_error"
    code = None if format_id == _ANTHROPIC else "server_error"
    return Refused(500, type_, f"{LABEL} The server had an error in the middle of its answer.", code=code)


def too_long(format_id: str, *, tokens: int, maximum: int) -> Refused:
    """Return what a model says to more input than it can read."""
    if format_id == _ANTHROPIC:
        return Refused(
            400, "invalid_request_error", f"prompt is too long: {tokens} tokens > {maximum} maximum"
        )
    words = (
        f"This model's maximum context length is {maximum} tokens. However, your messages resulted in {tokens} tokens. "
        "Please reduce the length of the messages."
    )
    return Refused(400, "invalid_request_error", words, code="context_length_exceeded")


def no_model(format_id: str, model: str) -> Refused:
    """Return what a service says about a model it has not got."""
    if format_id == _ANTHROPIC:
        return Refused(404, "not_found_error", f"model: {model}")
    words = f"The model `{model}` does not exist or you do not have access to it."
    return Refused(404, "invalid_request_error", words, code="model_not_found")


def no_key(format_id: str) -> Refused:
    """Return what a service says to a wrong key."""
    if format_id == _ANTHROPIC:
        return Refused(401, "authentication_error", "invalid x-api-key")
    return Refused(401, "invalid_request_error", "Incorrect API key provided.", code="invalid_api_key")


def no_json() -> Refused:
    """Return what a service says to a body that is no JSON object."""
    return Refused(400, "invalid_request_error", "We could not parse the JSON body of your request.")
