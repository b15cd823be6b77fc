"""One request as one line of the log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

import msgspec

from pi_model_proxy.ledger.entry import Entry

__all__ = ["log_line"]


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    """Return a second in ISO form; neighbouring lines share it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Tried(msgspec.Struct):
    provider: str
    status: int
    error: str | None
    upstream_id: str | None


class _Line(msgspec.Struct):
    """One line; the original extension's fields under their own names. The order is the order in the file."""

    timestamp: str
    request_id: str
    method: str
    path: str
    status: int
    latency_ms: float
    first_byte_ms: float | None
    model: str | None
    model_asked: str | None
    provider: str | None
    account: str | None
    dialect: str | None
    client: str | None
    stream: bool
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    estimated: bool
    cost_usd: float | None
    finish: str | None
    ended_by: str
    error: str | None
    error_kind: str | None
    dropped: Sequence[str]
    attempts: list[_Tried]


_encode: Final = msgspec.json.Encoder().encode


def log_line(entry: Entry) -> bytes:
    """Return the line for one request."""
    usage = entry.usage
    moment = entry.timestamp
    line = _Line(
        f"{_second(int(moment))}.{int(moment % 1 * 1000):03d}Z",
        entry.request_id,
        entry.method,
        entry.path,
        entry.status,
        round(entry.latency_ms, 1),
        None if entry.first_byte_ms is None else round(entry.first_byte_ms, 1),
        entry.model or None,
        entry.model_asked or None,
        entry.provider or None,
        entry.account or None,
        entry.dialect or None,
        entry.client or None,
        entry.stream,
        None if usage is None else usage.total_input,
        None if usage is None else usage.output,
        None if usage is None else usage.cache_read,
        None if usage is None else usage.cache_write,
        None if usage is None else usage.reasoning,
        usage is not None and usage.estimated,
        None if entry.cost is None else round(entry.cost, 8),
        entry.finish or None,
        entry.ended_by,
        entry.error or None,
        entry.error_kind or None,
        entry.dropped,
        [_Tried(a.provider, a.status, a.error or None, a.upstream_id or None) for a in entry.attempts],
    )
    return _encode(line) + b"\n"
