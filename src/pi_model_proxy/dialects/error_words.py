"""Reads the words of an error object, in any vendor's shape; pure."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

__all__ = ["Said", "duration_s", "read_payload", "without_secrets"]

MAX_DEPTH: Final = 4
"""Error objects wrapped in error objects are followed this far."""

_THREE_DIGITS: Final = re.compile(r"[45][0-9]{2}")
_TRY_AGAIN: Final = re.compile(
    r"(?:try again|retry|resets?) (?:in|after) ((?:[\d.]+ ?(?:ms|sec\w*|s|min\w*|m|hours?|h) ?)+)",
    re.IGNORECASE,
)
_DURATION_PART: Final = re.compile(r"([\d.]+) ?(ms|s|m|h)", re.IGNORECASE)
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

_KEY_LIKE: Final = re.compile(
    r"\b(?:sk|pk|rk|gsk|csk|xai|key|nvapi|hf|r8|pplx|fw|tok|gh[pousr]|github_pat|AIza|ya29|eyJ)[-_.A-Za-z0-9*]{6,}|(?<=[Bb]earer )\S+"
)
_OPAQUE_WORD: Final = re.compile(r"(?<![\w/.-])(?=[\w.*-]*\d)[\w*-][\w.*-]{15,}")
_MASK: Final = "[hidden]"


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What an error object says, as far as it does."""

    message: str = ""
    type: str = ""
    code: str = ""
    param: str = ""
    status: int | None = None
    """An HTTP status that the object itself names."""
    retry_after_s: float | None = None


def read_payload(payload: Any, *, now: float | None = None) -> Said:  # noqa: ANN401 - any JSON
    """Return what `payload` says; all of it empty when it says nothing."""
    return _read(payload, depth=0, now=now)


def _read(payload: Any, *, depth: int, now: float | None) -> Said:  # noqa: ANN401 - any JSON
    if isinstance(payload, str):
        return Said(message=payload.strip())
    if isinstance(payload, list):
        return _read(payload[0], depth=depth + 1, now=now) if payload and depth < MAX_DEPTH else Said()
    if not isinstance(payload, dict):
        return Said()
    own = _own_words(payload, now=now)
    if depth >= MAX_DEPTH:
        return own
    for key in ("error", "errors", "response", "detail"):
        inner = payload.get(key)
        if inner and not (key == "response" and not isinstance(inner, dict)):
            return _merged(_read(inner, depth=depth + 1, now=now), own)
    return own


def _merged(inner: Said, outer: Said) -> Said:
    """Prefer what the inner object says; `type: "error"` and the like of the wrapper mean nothing."""
    wrapper = outer.type in {"error", "response.failed", "response"}
    return Said(
        message=inner.message or outer.message,
        type=inner.type or ("" if wrapper else outer.type),
        code=inner.code or outer.code,
        param=inner.param or outer.param,
        status=inner.status or outer.status,
        retry_after_s=outer.retry_after_s if inner.retry_after_s is None else inner.retry_after_s,
    )


def _own_words(payload: dict[str, Any], *, now: float | None) -> Said:
    message = _message(payload)
    code, type_ = _word(payload.get("code")), _word(payload.get("type") or payload.get("status"))
    status = next(
        (
            n
            for n in map(_status, (payload.get("status_code"), payload.get("code"), payload.get("status")))
            if n
        ),
        None,
    )
    if status is not None and code == str(status):
        code = ""
    details = payload.get("details")
    if isinstance(details, dict):
        code = code or _word(details.get("error_code"))
    return Said(
        message=message,
        type="" if type_ == str(status) else type_,
        code=code,
        param=_word(payload.get("param")),
        status=status,
        retry_after_s=_waits(payload, message, now=now),
    )


def _message(payload: dict[str, Any]) -> str:
    for key in ("message", "msg", "error_msg", "error_message", "error_description", "Message", "title"):
        value = payload.get(key)
        if isinstance(value, str) and value.strip():
            return _with_raw_cause(value.strip(), payload.get("metadata"))
        if isinstance(value, dict | list) and value:
            return _read(value, depth=MAX_DEPTH, now=None).message
    return ""


def _with_raw_cause(message: str, metadata: Any) -> str:  # noqa: ANN401 - any JSON
    """Add what OpenRouter keeps in `error.metadata.raw`: the words of the provider behind it."""
    raw = metadata.get("raw") if isinstance(metadata, dict) else None
    return f"{message}: {raw}" if isinstance(raw, str) and raw and raw not in message else message


def _word(value: Any) -> str:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""


def _status(value: Any) -> int | None:  # noqa: ANN401 - any JSON
    word = _word(value)
    return int(word) if _THREE_DIGITS.fullmatch(word) else None


def _waits(payload: dict[str, Any], message: str, *, now: float | None) -> float | None:
    for key in ("resets_in_seconds", "retry_after", "retry_after_seconds", "retryDelay"):
        seconds = duration_s(payload.get(key))
        if seconds is not None:
            return seconds
    resets_at = payload.get("resets_at")
    if now is not None and isinstance(resets_at, int | float) and not isinstance(resets_at, bool):
        return max(0.0, resets_at - now)
    details = payload.get("details")
    for detail in details if isinstance(details, list) else []:
        seconds = duration_s(detail.get("retryDelay")) if isinstance(detail, dict) else None
        if seconds is not None:
            return seconds
    found = _TRY_AGAIN.search(message)
    return duration_s(found.group(1)) if found else None


def duration_s(value: Any) -> float | None:  # noqa: ANN401 - any JSON
    """Return the seconds that a number, `"17"`, `"17s"`, `"6m0s"` or `"20ms"` means; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    if isinstance(value, str):
        parts = _DURATION_PART.findall(value)
        if parts:
            return sum((_number(amount) or 0.0) * _UNIT_S[unit.lower()] for amount, unit in parts)
        value = _number(value)
    return float(value) if value is not None and 0 <= value < float("inf") else None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def without_secrets(text: str, *, credential_refused: bool = False) -> str:
    """Return `text` with whatever looks like a key masked: providers quote the key they refuse.

    Where a credential was refused, every long word with a digit in it is masked too.
    """
    masked = _KEY_LIKE.sub(_MASK, text)
    return _OPAQUE_WORD.sub(_MASK, masked) if credential_refused else masked
