"""What an upstream's error means, whoever's words it uses; pure.

`upstream_error` reads an HTTP error answer, `error_from_payload` an error object inside a 200 or a
stream. Both accept the bodies of every vendor we know and anything else: plain text, HTML, nothing.

Sources: the error pages of OpenAI, Anthropic, Google, AWS, Mistral and Ollama; the overflow and
limit texts that pi-ai 1.5.2 recognises (`dist/utils/overflow.js`, `dist/utils/retry.js`).
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.error_kinds import KIND_STATUS, kind_of, overflow_numbers
from pi_model_proxy.dialects.error_words import Said, duration_s, read_payload, without_secrets
from pi_model_proxy.errors import UpstreamError

__all__ = ["MAX_MESSAGE_CHARS", "error_from_payload", "overflow_numbers", "upstream_error"]

MAX_MESSAGE_CHARS: Final = 2000
"""The provider's own words are cut here."""
MAX_BODY_BYTES: Final = 1024 * 1024
"""An error body is read this far."""

_OVERLOADED_STATUS: Final = {"anthropic": 529}
_BARE_OVERFLOW_STATUS: Final = 413
_LOWEST_ERROR: Final = 400
_HIGHEST_ERROR: Final = 599
_BAD_GATEWAY: Final = 502


def upstream_error(
    status: int, headers: Mapping[str, str], body: bytes, *, family: str, now: float | None = None
) -> UpstreamError:
    """Return what an HTTP error answer means; never raises.

    Args:
        status: The upstream's status, kept as `UpstreamError.status` when it is 4xx or 5xx.
        headers: Names in lower case.
        body: Whatever came; read up to `MAX_BODY_BYTES`.
        family: Whose words types and codes are: `openai`, `anthropic` or empty.
        now: Seconds since the epoch, to read dates with; None leaves them out.
    """
    said = _read_body(body[:MAX_BODY_BYTES], now=now)
    amazon = headers.get("x-amzn-errortype", "").partition(":")[0]
    if amazon and not said.type:
        said = msgspec.structs.replace(said, type=amazon)
    if not said.message:
        said = msgspec.structs.replace(said, message=_unsaid(status, body))
    waits = _retry_after(headers, now=now)
    if waits is not None:
        said = msgspec.structs.replace(said, retry_after_s=waits)
    known = status if _LOWEST_ERROR <= status <= _HIGHEST_ERROR else _BAD_GATEWAY
    bare = not body.strip() and known == _BARE_OVERFLOW_STATUS
    return _error(
        said, family=family, status=known, kind="context_too_long" if bare else None, headers=headers
    )


def error_from_payload(
    payload: Any,  # noqa: ANN401 - whatever JSON the upstream sent
    *,
    family: str,
    status: int | None = None,
    now: float | None = None,
) -> UpstreamError:
    """Return what an error inside a 200 answer or a stream means; never raises.

    Without `status` it is taken from the payload's own numbers, else from its type and code.
    """
    said = read_payload(payload, now=now)
    if not said.message:
        said = msgspec.structs.replace(
            said,
            message=f"The provider reported an error without saying what ({said.code or said.type or 'no code'}).",
        )
    return _error(said, family=family, status=status or said.status)


def _error(
    said: Said,
    *,
    family: str,
    status: int | None,
    kind: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> UpstreamError:
    kind = kind or kind_of(said, status)
    if status is None:
        status = (
            _OVERLOADED_STATUS.get(family, KIND_STATUS[kind]) if kind == "overloaded" else KIND_STATUS[kind]
        )
    return UpstreamError(
        without_secrets(said.message, credential_refused=kind == "upstream_auth")[:MAX_MESSAGE_CHARS],
        status=status,
        kind=kind,
        family=family,
        native_type=said.type or None,
        code=said.code or None,
        param=said.param or None,
        retry_after_s=said.retry_after_s,
        should_retry=_should_retry(kind, headers or {}),
        proxy_error="http_response_incomplete" if kind == "upstream" else None,
    )


def _should_retry(kind: str, headers: Mapping[str, str]) -> bool | None:
    told = headers.get("x-should-retry", "").strip().lower()
    if told in {"true", "false"}:
        return told == "true"
    return False if kind == "billing" else None


def _retry_after(headers: Mapping[str, str], *, now: float | None) -> float | None:
    """Read `retry-after-ms`, then `retry-after` (seconds, or a date when the time is known)."""
    milliseconds = duration_s(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = duration_s(value)
    if seconds is not None or value is None or now is None:
        return seconds
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, OverflowError):
        return None


def _read_body(body: bytes, *, now: float | None) -> Said:
    """Read JSON, JSON in an SSE frame, or short plain text; anything else says nothing."""
    for candidate in _json_candidates(body):
        try:
            payload = msgspec.json.decode(candidate)
        except (ValueError, RecursionError):  # msgspec's DecodeError and bad UTF-8 are ValueErrors
            continue
        said = read_payload(payload, now=now)
        if said.message or said.code or said.type:
            return said
    if _is_html(body):
        return Said()
    text = body.decode("utf-8", "replace").strip()
    return Said() if text[:1] in {"{", "["} else Said(message=text)


def _json_candidates(body: bytes) -> list[bytes]:
    candidates = [body]
    for line in body.splitlines():
        if line.startswith(b"data:"):
            candidates.append(line[5:])
            break
    return candidates


def _is_html(body: bytes) -> bool:
    start = body[:2000].lstrip().lower()
    return start.startswith((b"<!doctype", b"<html", b"<head", b"<body", b"<?xml", b"<center", b"<h1"))


def _unsaid(status: int, body: bytes) -> str:
    """Say what came instead of an error text, and what may help."""
    if not body.strip():
        what = "without saying why"
    elif _is_html(body):
        wall = " of Cloudflare's" if b"cloudflare" in body.lower() else ""
        what = f"with a web page{wall} instead of an API error"
    else:
        what = "with a body that says nothing readable"
    if status < _LOWEST_ERROR:
        advice = "redirects are not followed; check the provider's base URL"
    elif _is_html(body):
        advice = "a firewall, a proxy or a wrong base URL may be in the way"
    else:
        advice = "try again, or look at the provider's status page"
    return f"The provider answered {status} {what}; {advice}."
