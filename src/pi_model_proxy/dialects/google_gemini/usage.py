"""Token counts: Google counts cached tokens inside the prompt, thinking beside the answer; the hub keeps all apart.

Source: dialects.md §4.1, §4.2 (GM rows); google-genai 3.4.0 `GenerateContentResponseUsageMetadata`.
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.hub import Usage

__all__ = ["UsageMetadata", "read_usage", "usage_object"]

Count = int | float | str | None
_AUDIO: Final = "AUDIO"


class _OfModality(msgspec.Struct, rename="camel"):
    modality: str | None = None
    token_count: Count = None


class UsageMetadata(msgspec.Struct, rename="camel"):
    """`usageMetadata`; on most events of a stream, each replacing the one before."""

    prompt_token_count: Count = None
    cached_content_token_count: Count = None
    candidates_token_count: Count = None
    thoughts_token_count: Count = None
    tool_use_prompt_token_count: Count = None
    prompt_tokens_details: list[_OfModality] | None = None
    candidates_tokens_details: list[_OfModality] | None = None


def read_usage(said: UsageMetadata) -> Usage:
    """Return the counts without overlap."""
    prompt = _count(said.prompt_token_count)
    cached = min(_count(said.cached_content_token_count), prompt)
    thoughts = _count(said.thoughts_token_count)
    answer = _count(said.candidates_token_count)
    fresh = prompt - cached + _count(said.tool_use_prompt_token_count)
    audio_in, audio_out = 0, 0
    if said.prompt_tokens_details:
        audio_in = min(_audio(said.prompt_tokens_details), fresh)
    if said.candidates_tokens_details:
        audio_out = min(_audio(said.candidates_tokens_details), answer)
    return Usage(
        input=fresh,
        cache_read=cached,
        output=answer + thoughts,
        reasoning=thoughts,
        audio_input=audio_in,
        audio_output=audio_out,
    )


def _audio(details: list[_OfModality]) -> int:
    return sum(_count(each.token_count) for each in details if each.modality == _AUDIO)


def _count(value: Count) -> int:
    if isinstance(value, int):
        return max(0, value)
    try:
        return max(0, int(float(value))) if value else 0
    except (ValueError, OverflowError):
        return 0


def usage_object(usage: Usage) -> dict[str, int]:
    """Return `usageMetadata`; counts of nothing are left out, as Google leaves them out."""
    counts = {
        "promptTokenCount": usage.total_input,
        "candidatesTokenCount": usage.output - usage.reasoning,
        "totalTokenCount": usage.total,
    }
    if usage.cache_read:
        counts["cachedContentTokenCount"] = usage.cache_read
    if usage.reasoning:
        counts["thoughtsTokenCount"] = usage.reasoning
    return counts
