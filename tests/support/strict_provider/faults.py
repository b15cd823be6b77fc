"""Everything that can go wrong behind the gateway: reliability.md §3, for every dialect, streamed or not.

A fault is a plan that replaces the normal one. `FAULTS` holds one of each kind by name, with the row
of the matrix it belongs to and what that row expects from a gateway, so that a test can walk the
whole matrix. `http_error`, `other_answer` and `re_framed` make further ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal

from support.strict_provider import fault_plans as plans
from support.strict_provider.fault_plans import Plan, other_answer, re_framed
from support.strict_provider.reply import JSON
from support.strict_provider.steps import HangUp, Linger, Reset
from support.strict_provider.vendor_errors import VendorError

__all__ = ["FAULTS", "Fault", "Outcome", "http_error", "other_answer", "re_framed"]

Outcome = Literal[
    "whole", "status", "bad-gateway", "timeout", "cut", "stalled", "server-error", "whole-or-error", "none"
]
"""What the matrix expects of a gateway.

whole: 200 and the whole answer. status: the same family in the caller's words. bad-gateway: 502. timeout: 504.
server-error: some 5xx. cut: a 502; in a stream the content so far, an error event, a clean end. stalled: a 504;
in a stream the same as cut, after the timeout. whole-or-error: intact or given up, within bounds of memory and
time. none: the fault does not exist in this form.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One way to go wrong."""

    name: str
    row: str
    """The row of reliability.md §3."""
    plan: Plan
    json: Outcome = "server-error"
    stream: Outcome = "server-error"
    status: int | None = None
    """The status sent, where that is the fault."""


def http_error(status: int, *, retry_after: str | None = None, error: VendorError | None = None) -> Fault:
    """Return the fault of a vendor's HTTP error, with its own body."""
    return Fault(
        name=f"http-{status}",
        row="400 401 403 404 408 413 418 422 429 500 502 503 529",
        plan=plans.vendor_error(status, retry_after=retry_after, error=error),
        json="status",
        stream="status",
        status=status,
    )


_ODD: Final = "duplicate, out-of-order, null, unknown events, CRLF, comments, split UTF-8"
_DEAD: Final = "reset, close or garbage before headers, 2 MiB header"
_MUTE: Final = "connect hangs, no headers, header dribble"
_MID: Final = "reset, close, short length, bad chunk, bad JSON, clean cut without terminator"
_NOT: Final = "HTML 503, HTML 200, empty 200, 200 with an error body, redirect"
_BIG: Final = "4 MiB line; endless line; 512 MiB gzip bomb"
_HTML: Final = (
    b"<!DOCTYPE html><html><head><title>Sorry</title></head><body><h1>We'll be back</h1></body></html>"
)

_OVERFLOW: Final = VendorError(
    status=400, kind="invalid_request_error", message="prompt is too long: 213462 tokens > 200000 maximum"
)
_QUOTA: Final = VendorError(
    status=429,
    kind="insufficient_quota",
    message="You exceeded your current quota, please check your plan and billing details.",
    code="insufficient_quota",
)


def _table() -> Iterator[Fault]:
    yield from _before_headers()
    yield from _statuses()
    yield from _other_answers()
    yield from _bodies()
    yield from _events()


def _before_headers() -> Iterator[Fault]:
    dead = {
        "reset-before-headers": plans.reset_before_headers,
        "close-before-headers": plans.close_before_headers,
        "garbage-before-headers": plans.garbage,
        "huge-header": plans.huge_header,
    }
    mute = {
        "silence-before-headers": plans.silence,
        "half-headers": plans.half_head,
        "dribbled-headers": plans.dribbled_head,
    }
    yield from _rows(_DEAD, dead, "bad-gateway", "bad-gateway")
    yield from _rows(_MUTE, mute, "timeout", "timeout")
    yield from _rows(
        "stale connections retried before the first byte", {"stale-connection": plans.stale}, "whole", "whole"
    )
    yield from _rows("keep-alive closed", {"closed-after-answer": plans.closes_after}, "whole", "whole")


def _statuses() -> Iterator[Fault]:
    for status in (400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 500, 502, 503, 504, 529):
        yield http_error(status)
    yield http_error(429, retry_after="7")
    yield replace(http_error(400, error=_OVERFLOW), name="context-overflow")
    yield replace(http_error(429, error=_QUOTA), name="quota-exhausted")
    yield Fault(
        name="key-echoed",
        row="401 that repeats the key",
        plan=plans.key_echo,
        json="status",
        stream="status",
        status=401,
    )


def _other_answers() -> Iterator[Fault]:
    for name, status, kind, body in (
        ("html-503", 503, "text/html", _HTML),
        ("html-200", 200, "text/html", _HTML),
        ("empty-200", 200, JSON, b""),
        ("null-200", 200, JSON, b"null"),
        ("list-200", 200, JSON, b"[]"),
        ("text-error", 500, JSON, b'{"error":"something broke"}'),
        ("detail-error", 500, JSON, b'{"detail":"something broke"}'),
        ("message-error", 500, JSON, b'{"message":"something broke"}'),
        ("empty-500", 500, "text/plain", b""),
    ):
        yield Fault(name=name, row=_NOT, plan=other_answer(status, kind, body), status=status)
    yield Fault(name="error-body-as-200", row=_NOT, plan=plans.error_body_as_success, status=200)
    yield Fault(name="redirect", row=_NOT, plan=plans.redirect, status=307)
    yield from _rows(
        _NOT, {"wrong-content-type": plans.wrong_content_type}, "whole-or-error", "whole-or-error"
    )
    yield from _rows(
        "ignores `stream`, forces SSE",
        {"the-other-form": plans.other_form},
        "whole-or-error",
        "whole-or-error",
    )


def _bodies() -> Iterator[Fault]:
    broken = {
        "reset-after-headers": plans.reset_after_headers,
        "reset-mid-body": plans.then(Reset()),
        "close-mid-body": plans.then(HangUp()),
        "bad-chunk": plans.bad_chunk,
        "bad-json": plans.bad_json,
        "clean-cut": plans.clean_cut,
    }
    failing = {
        "error-event-mid": plans.error_event(plans.KEPT_FRAMES),
        "response-failed": plans.response_failed,
    }
    big = {"gzip-bomb": plans.gzip_bomb}
    yield from _rows(_MID, broken, "bad-gateway", "cut")
    yield from _rows(
        "error event as first event",
        {"error-event-first": plans.error_event(0)},
        "server-error",
        "server-error",
    )
    yield from _rows("error event mid-stream", failing, "server-error", "cut")
    yield from _rows("silence mid-stream", {"silence-mid-stream": plans.then(Linger())}, "timeout", "stalled")
    yield from _rows("slow drip", {"drip": plans.drip}, "whole", "whole")
    yield from _rows(_BIG, {"big-line": plans.big_line}, "whole", "whole")
    yield from _rows(_BIG, {"endless-line": plans.endless_line}, "bad-gateway", "cut")
    yield from _rows(_BIG, big, "whole-or-error", "whole-or-error")
    yield from _rows(
        "keeps the socket open after its end (vector 79)", {"kept-open": plans.kept_open}, "whole", "whole"
    )
    yield from _rows(
        "upstream poisons a kept-alive connection", {"extra-bytes": plans.extra_bytes}, "whole", "whole"
    )


def _events() -> Iterator[Fault]:
    surprise = {"type": "vendor.surprise", "object": "vendor.surprise", "choices": []}
    limits = {"type": "codex.rate_limits", "limit_reached": True, "choices": []}
    harmless = {
        "crlf": re_framed(plans.with_crlf),
        "cr-only": re_framed(plans.with_cr),
        "no-space-after-colon": re_framed(plans.without_space),
        "multi-line-data": re_framed(plans.multi_line),
        "no-last-blank-line": re_framed(plans.unended),
        "bom": re_framed(list, lead=b"\xef\xbb\xbf"),
        "comments": re_framed(plans.spread(b": keep-alive\n\n")),
        "blank-lines": re_framed(plans.spread(b"\n\n\n")),
        "retry-and-id-lines": re_framed(plans.spread(b"retry: 100\nid: 7\n\n")),
        "byte-by-byte": re_framed(plans.byte_by_byte),
        "unknown-events": plans.odd(surprise, "vendor.surprise"),
        "codex-rate-limits": plans.odd(limits, "codex.rate_limits"),
    }
    wrong = {
        "null-events": re_framed(plans.spread(b"data: null\n\n")),
        "no-event-names": re_framed(plans.without_names),
        "first-event-twice": re_framed(plans.first_twice),
        "last-events-twice": re_framed(plans.last_twice),
        "out-of-order": re_framed(plans.disordered),
    }
    yield from _rows(_ODD, harmless, "whole", "whole")
    yield from _rows(_ODD, wrong, "whole", "whole-or-error")


def _rows(row: str, found: Mapping[str, Plan], json: Outcome, stream: Outcome) -> Iterator[Fault]:
    return (Fault(name=name, row=row, plan=plan, json=json, stream=stream) for name, plan in found.items())


FAULTS: Final[dict[str, Fault]] = {fault.name: fault for fault in _table()}
"""One fault of each kind, by the name that a prompt or model may use."""
