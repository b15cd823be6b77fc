"""Decides which kind of error a provider's words mean: one table of codes, one of texts, one of statuses."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pi_model_proxy.dialects.error_words import Said

__all__ = ["KIND_STATUS", "Overflow", "kind_of", "overflow_numbers"]

KIND_STATUS: Final = {
    "bad_request": 400,
    "context_too_long": 400,
    "too_large": 413,
    "upstream_auth": 401,
    "billing": 402,
    "forbidden": 403,
    "not_found": 404,
    "unknown_model": 404,
    "rate_limit": 429,
    "upstream": 500,
    "overloaded": 503,
    "timeout": 504,
}
"""The kinds an upstream's error can be, and the status of each when the upstream named none."""

_CODES: Final = {
    "context_too_long": """
        context_length_exceeded context_window_exceeded model_context_window_exceeded
        context_length_error prompt_too_long contextwindowexceedederror 1261""",
    "billing": """
        insufficient_quota billing_error billing_hard_limit_reached billing_not_active payment_required
        insufficient_credits insufficient_balance insufficient_user_quota credit_balance_too_low
        usage_limit_reached usage_limit_exceeded usage_not_included gousagelimiterror freeusagelimiterror
        exceeded_current_quota_error quota_exceeded 1113 1308
        subscription_sharing_usage_limit_exceeded subscription_sharing_workplace_individual_usage_limit_exceeded""",
    "rate_limit": """
        rate_limit_exceeded rate_limit_error rate_limit_reached_error rate_limited too_many_requests
        throttlingexception resource_exhausted 1302 1303 1305""",
    "overloaded": """
        overloaded_error overloaded engine_overloaded_error engine_overloaded server_is_overloaded server_overloaded
        server_busy slow_down unavailable service_unavailable serviceunavailableexception modelnotreadyexception
        service_tier_capacity_exceeded 3505
        subscription_sharing_usage_unavailable subscription_sharing_user_unavailable insufficient_system_resource""",
    "upstream_auth": """
        invalid_api_key authentication_error invalid_authentication_error unauthenticated unauthorized
        api_key_invalid token_expired expired_token unrecognizedclientexception expiredtokenexception
        invalidsignatureexception incorrect_api_key_error""",
    "forbidden": """
        permission_error permission_denied permission_denied_error accessdeniedexception access_denied
        insufficient_permissions model_not_allowed unsupported_country_region_territory forbidden""",
    "unknown_model": """
        model_not_found model_not_exist invalid_model model_not_found_error deploymentnotfound 1211""",
    "too_large": "request_too_large payload_too_large",
    "timeout": "timeout_error timeout deadline_exceeded modeltimeoutexception request_timeout gateway_timeout",
    "not_found": "not_found_error not_found resourcenotfoundexception resource_not_found_error",
    "upstream": """
        api_error server_error internal_server_error internal_error internalserverexception internal
        modelstreamerrorexception modelerrorexception upstream_error bad_gateway""",
    "bad_request": """
        invalid_request_error invalid_argument invalid_request bad_request validationexception
        bad_request_error failed_precondition""",
}
_KIND_OF_CODE: Final = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_VAGUE: Final = frozenset({"bad_request", "upstream", "not_found"})
"""Kinds whose codes are so common that the text may know better."""

_RATE_TEXT: Final = re.compile(
    r"rate limit|too many requests|throttl|per (?:minute|second|day)\b", re.IGNORECASE
)
_OVERFLOW_TEXTS: Final = (
    r"prompt (?:is )?too long",
    r"prompt exceeds max length",
    r"input is too long for requested model",
    r"exceeds the context window",
    r"maximum context length",
    r"context window exceed",
    r"input token count.*exceeds the maximum",
    r"maximum prompt length is \d+",
    r"reduce the length of the messages",
    r"exceeds (?:the )?maximum allowed input length",
    r"longer than the model'?s context length",
    r"token count of \d+ exceeds the limit of \d+",
    r"exceeds the available context size",
    r"greater than the context length",
    r"exceeded model token limit",
    r"too large for model with",
    r"but the configured context size is",
    r"model_context_window_exceeded",
    r"range of input length should be",
    r"context[_ ]length[_ ]exceeded",
    r"too many tokens",
    r"token limit exceeded",
)
_OVERFLOW_TEXT: Final = re.compile("|".join(_OVERFLOW_TEXTS), re.IGNORECASE)
_BILLING_TEXT: Final = re.compile(
    r"credit balance|insufficient (?:balance|credits|funds|quota)|insufficient_quota|extra usage|out of budget"
    r"|usage limit|available balance|billing (?:hard limit|issue|disabled)|payment required|check your plan and billing",
    re.IGNORECASE,
)
_OVERLOADED_TEXT: Final = re.compile(
    r"overloaded|servers? (?:is|are) (?:currently )?busy|at capacity|tier capacity exceeded|experiencing high demand|temporarily unavailable",
    re.IGNORECASE,
)
_AUTH_TEXT: Final = re.compile(
    r"api key (?:not valid|is invalid|expired)|(?:invalid|incorrect|missing|no) (?:api[ -]?key|authentication|bearer)",
    re.IGNORECASE,
)
_MODEL_TEXT: Final = re.compile(r"\bmodels?\b", re.IGNORECASE)

_OVERFLOW_STATUSES: Final = frozenset({None, 400, 413, 422, 500, 502})
_BILLING_STATUSES: Final = frozenset({None, 400, 402, 403, 429})
_AUTH_STATUSES: Final = frozenset({None, 400, 403})
_STATUS_KINDS: Final = {
    401: "upstream_auth",
    402: "billing",
    403: "forbidden",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
    522: "timeout",
    524: "timeout",
    529: "overloaded",
}
_CALLERS_FAULT: Final = frozenset({400, 409, 410, 412, 414, 422, 431, 451})
"""Of the other 4xx, those that speak of the request's content; the rest (405, 415, 421, ...) of a wrong address."""


def kind_of(said: Said, status: int | None) -> str:
    """Return the kind (a key of `KIND_STATUS`) of an error that says `said` with HTTP `status`."""
    coded = _kind_by_code(said)
    if coded is not None and coded not in _VAGUE and coded != "rate_limit":
        return coded
    told = _kind_by_text(said.message, status)
    if told == "billing" and said.retry_after_s is not None and coded == "rate_limit":
        return "rate_limit"  # Google words per-minute limits as quota, and says when they end
    if told is not None and (coded != "rate_limit" or told == "billing"):
        return told
    if coded is None or coded in _VAGUE:
        return _kind_by_status(said, status, coded)
    return coded


def _kind_by_code(said: Said) -> str | None:
    """Look up code, then type; a vague one yields to the other's precise one."""
    found = [kind for word in (said.code, said.type) if (kind := _KIND_OF_CODE.get(word.lower()))]
    return next((kind for kind in found if kind not in _VAGUE), found[0] if found else None)


def _kind_by_text(text: str, status: int | None) -> str | None:
    if status in _BILLING_STATUSES and _BILLING_TEXT.search(text):
        return "billing"
    if _RATE_TEXT.search(text):
        return "rate_limit" if status in {None, 429} else None
    if status in _OVERFLOW_STATUSES and _OVERFLOW_TEXT.search(text):
        return "context_too_long"
    if status in _AUTH_STATUSES and _AUTH_TEXT.search(text):
        return "upstream_auth"
    if status in {None, 429, 500, 502} and _OVERLOADED_TEXT.search(text):
        return "overloaded"
    return None


def _kind_by_status(said: Said, status: int | None, coded: str | None) -> str:
    if status is None:
        kind = coded or "upstream"
    else:
        default = "upstream" if status not in _CALLERS_FAULT else "bad_request"
        kind = _STATUS_KINDS.get(status, default)
    return "unknown_model" if kind == "not_found" and _MODEL_TEXT.search(said.message) else kind


class Overflow(msgspec.Struct, frozen=True):
    """What a provider's words tell about a prompt that is too long, in tokens."""

    asked: int | None = None
    maximum: int | None = None


_NUMBER: Final = r"([\d,]+)"
_MAXIMUMS: Final = (
    rf"> {_NUMBER} maximum",
    rf"maximum (?:context|prompt) length (?:is |of )?\(?{_NUMBER}",
    rf"model with {_NUMBER} maximum context length",
    rf"tokens allowed \({_NUMBER}",
    rf"maximum allowed input length of {_NUMBER}",
    rf"context length \({_NUMBER}",
    rf"exceeds the limit of {_NUMBER}",
    rf"model token limit: {_NUMBER}",
    rf"context size is {_NUMBER}",
    rf"context size \({_NUMBER}",
    rf"should be \[\d+, ?{_NUMBER}\]",
)
_MAXIMUM: Final = re.compile("|".join(_MAXIMUMS), re.IGNORECASE)
_MAX_DIGITS: Final = 12


def overflow_numbers(text: str) -> Overflow:
    """Return the counts named in an overflow message; the first number above the maximum is what was asked."""
    found = _MAXIMUM.search(text)
    digits = next((group for group in found.groups() if group), "") if found else ""
    maximum = _count(digits)
    if maximum is None:
        return Overflow()
    counts = (_count(number) for number in re.findall(_NUMBER, text))
    return Overflow(asked=next((n for n in counts if n is not None and n > maximum), None), maximum=maximum)


def _count(digits: str) -> int | None:
    plain = digits.replace(",", "")
    return int(plain) if plain.isascii() and plain.isdigit() and len(plain) <= _MAX_DIGITS else None
