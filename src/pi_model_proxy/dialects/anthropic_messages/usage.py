"""Token counts as this format writes them: cached tokens beside `input_tokens`, never inside.

Source: dialects.md §4.1, §4.2 (AM rows).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pi_model_proxy.hub import Usage

__all__ = ["UsageReport", "UsageTally", "usage_object"]

Count = int | float | None


class _CacheCreation(msgspec.Struct):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class _OutputDetails(msgspec.Struct):
    thinking_tokens: Count = None


class UsageReport(msgspec.Struct):
    """`usage` of a message, a `message_start` or a `message_delta`; absent and null both mean: nothing new."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None


class UsageTally:
    """What an answer's reports add up to: each report replaces the counts it names (they are cumulative)."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def take(self, report: UsageReport | None) -> Usage | None:
        """Return the counts after `report`; None when it says nothing."""
        if report is None:
            return None
        before = len(self._known)
        for name in (
            "input_tokens",
            "output_tokens",
            "cache_read_input_tokens",
            "cache_creation_input_tokens",
        ):
            self._note(name, getattr(report, name))
        if report.cache_creation is not None:
            self._note("5m", report.cache_creation.ephemeral_5m_input_tokens)
            self._note("1h", report.cache_creation.ephemeral_1h_input_tokens)
        if report.output_tokens_details is not None:
            self._note("thinking", report.output_tokens_details.thinking_tokens)
        return self._usage() if before or self._known else None

    def _note(self, name: str, count: Count) -> None:
        if count is not None:
            self._known[name] = max(0, int(count))

    def _usage(self) -> Usage:
        known = self._known
        long = known.get("1h", 0)
        written = max(known.get("cache_creation_input_tokens", 0), long + known.get("5m", 0))
        output = known.get("output_tokens", 0)
        return Usage(
            input=known.get("input_tokens", 0),
            cache_read=known.get("cache_read_input_tokens", 0),
            cache_write_5m=written - long,
            cache_write_1h=long,
            output=output,
            reasoning=min(known.get("thinking", 0), output),
        )


def usage_object(usage: Usage) -> dict[str, Any]:
    """Return `usage` with all four integers that clients take for granted (BerriAI/litellm#24176)."""
    counts: dict[str, Any] = {
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "output_tokens": usage.output,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
    }
    if usage.reasoning:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning}
    return counts
