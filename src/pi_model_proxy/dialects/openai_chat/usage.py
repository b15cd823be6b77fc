"""Token counts: chat counts cached tokens inside `prompt_tokens`, the hub keeps every part apart.

Sources: OpenAI's `CompletionUsage`; where other servers put cached tokens: pi-ai 1.5.2
`dist/api/openai-completions.js` (`parseChunkUsage`).
"""

from __future__ import annotations

from typing import Any

import msgspec

from pi_model_proxy.dialects.openai_chat.chunks import decoded
from pi_model_proxy.hub import Usage

__all__ = ["read_usage", "usage_json"]


def read_usage(raw: bytes | msgspec.Raw) -> Usage | None:
    """Return the counts in a `usage` object given as JSON text; None when it is none."""
    usage = decoded(raw)
    return _usage(usage) if isinstance(usage, dict) and usage else None


def _usage(usage: dict[str, Any]) -> Usage:
    prompt, output = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    inside = _object(usage, "prompt_tokens_details")
    made_of = _object(usage, "completion_tokens_details")
    # OpenAI's place, DeepSeek's, Kimi's; writes as OpenRouter and as LiteLLM name them.
    read = _first((inside, "cached_tokens"), (usage, "prompt_cache_hit_tokens"), (usage, "cached_tokens"))
    written = _first(
        (inside, "cache_write_tokens"),
        (inside, "cache_creation_tokens"),
        (usage, "cache_creation_input_tokens"),
    )
    reasoning = _first((made_of, "reasoning_tokens"), (usage, "reasoning_tokens"))
    uncounted = _count(usage, "total_tokens") - prompt - output
    if uncounted > 0 and reasoning in {0, uncounted}:
        # xAI and Gemini count reasoning beside completion_tokens, not inside; only the total tells.
        output, reasoning = output + uncounted, uncounted
    read = min(read, prompt)
    written = min(written, prompt - read)
    return Usage(
        input=prompt - read - written,
        cache_read=read,
        cache_write_5m=written,
        output=output,
        reasoning=min(reasoning, output),
        audio_input=min(_count(inside, "audio_tokens"), prompt - read - written),
        audio_output=min(_count(made_of, "audio_tokens"), output),
    )


def _object(usage: dict[str, Any], name: str) -> dict[str, Any]:
    value = usage.get(name)
    return value if isinstance(value, dict) else {}


def _first(*places: tuple[dict[str, Any], str]) -> int:
    return next((_count(holder, name) for holder, name in places if holder.get(name) is not None), 0)


def _count(holder: dict[str, Any], name: str) -> int:
    value = holder.get(name)
    return max(0, int(value)) if isinstance(value, int | float) and not isinstance(value, bool) else 0


def usage_json(usage: Usage) -> dict[str, Any]:
    """Return the `usage` object of an answer."""
    inside: dict[str, int] = {"cached_tokens": usage.cache_read, "audio_tokens": usage.audio_input}
    if usage.cache_write:
        inside["cache_write_tokens"] = usage.cache_write
    return {
        "prompt_tokens": usage.total_input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
        "prompt_tokens_details": inside,
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": usage.audio_output,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
