"""Token counts as this format writes them: cached tokens beside `input_tokens`, never inside.

Source: dialects.md §4.1, §4.2 (AM rows).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pi_model_proxy.hub import Usage

__all__ = ["UsageReport", "UsageTally", "usage_object"]

Count = int | float | None


class _CacheCreation(msgspec.Struct, gc=False):
    ephemeral_5m_input_tokens: Count = None
    ephemeral_1h_input_tokens: Count = None


class _OutputDetails(msgspec.Struct, gc=False):
    thinking_tokens: Count = None


class UsageReport(msgspec.Struct, gc=False):
    """`usage` of a message, a `message_start` or a `message_delta`; absent and null both mean: nothing new."""

    input_tokens: Count = None
    output_tokens: Count = None
    cache_read_input_tokens: Count = None
    cache_creation_input_tokens: Count = None
    cache_creation: _CacheCreation | None = None
    output_tokens_details: _OutputDetails | None = None


class UsageTally:
    """What an answer's reports add up to: each report replaces the counts it names (they are cumulative)."""

    __slots__ = ("_input", "_knows", "_long", "_output", "_read", "_short", "_thinking", "_written")

    def __init__(self) -> None:
        self._knows = False
        self._input = self._output = self._read = self._written = 0
        self._short = self._long = self._thinking = 0

    def take(self, report: UsageReport | None) -> Usage | None:
        """Return the counts after `report`; None when it says nothing."""
        if report is None:
            return None
        self._input = self._newer(report.input_tokens, self._input)
        self._output = self._newer(report.output_tokens, self._output)
        self._read = self._newer(report.cache_read_input_tokens, self._read)
        self._written = self._newer(report.cache_creation_input_tokens, self._written)
        created, details = report.cache_creation, report.output_tokens_details
        if created is not None:
            self._short = self._newer(created.ephemeral_5m_input_tokens, self._short)
            self._long = self._newer(created.ephemeral_1h_input_tokens, self._long)
        if details is not None:
            self._thinking = self._newer(details.thinking_tokens, self._thinking)
        return self._usage() if self._knows else None

    def _newer(self, count: Count, known: int) -> int:
        if count is None:
            return known
        self._knows = True
        return max(0, int(count))

    def _usage(self) -> Usage:
        written = max(self._written, self._long + self._short)
        return Usage(
            input=self._input,
            cache_read=self._read,
            cache_write_5m=written - self._long,
            cache_write_1h=self._long,
            output=self._output,
            reasoning=min(self._thinking, self._output),
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
