"""Token counts: chat counts cached tokens inside `prompt_tokens`, the hub keeps every part apart.

Sources: OpenAI's `CompletionUsage`; where other servers put cached tokens: pi-ai 1.5.2
`dist/api/openai-completions.js` (`parseChunkUsage`).
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.openai_chat.chunks import decoded
from pi_model_proxy.hub import Usage

__all__ = ["read_usage", "usage_json"]


class _Input(msgspec.Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_creation_tokens: int | None = None
    audio_tokens: int | None = None


class _Output(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None


class _Counts(msgspec.Struct, gc=False):
    """Counts wherever a provider may put them; None: not named there."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _Input | None = None
    completion_tokens_details: _Output | None = None
    prompt_cache_hit_tokens: int | None = None
    cached_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    reasoning_tokens: int | None = None


_NO_INPUT: Final = _Input()
_NO_OUTPUT: Final = _Output()
_NO_COUNTS: Final = _Counts()
_counts: Final = msgspec.json.Decoder(_Counts).decode


def read_usage(raw: bytes | msgspec.Raw) -> Usage | None:
    """Return the counts in a `usage` object given as JSON text; None when it is none."""
    counts: _Counts | None
    try:
        counts = _counts(raw)
    except (ValueError, RecursionError):
        counts = _odd_counts(raw)
    if counts is not None and counts.prompt_tokens is None and counts == _NO_COUNTS:
        counts = _odd_counts(raw)
    return None if counts is None else _usage(counts)


def _odd_counts(raw: bytes | msgspec.Raw) -> _Counts | None:
    """Read an object whose counts are not what they should be: fractions are cut, what is no number counts as 0."""
    usage = decoded(raw)
    if not isinstance(usage, dict) or not usage:
        return None
    inside, made_of = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return _Counts(
        **_whole(usage, _Counts),
        prompt_tokens_details=_Input(**_whole(inside, _Input)) if isinstance(inside, dict) else None,
        completion_tokens_details=_Output(**_whole(made_of, _Output)) if isinstance(made_of, dict) else None,
    )


def _whole(holder: dict[str, Any], shape: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        name: int(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0
        for name in shape.__struct_fields__
        if not name.endswith("_details") and (value := holder.get(name)) is not None
    }


def _usage(counts: _Counts) -> Usage:
    inside = counts.prompt_tokens_details or _NO_INPUT
    made_of = counts.completion_tokens_details or _NO_OUTPUT
    prompt, output = _first(counts.prompt_tokens), _first(counts.completion_tokens)
    # OpenAI's place, DeepSeek's, Kimi's; writes as OpenRouter and as LiteLLM name them.
    read = _first(inside.cached_tokens, counts.prompt_cache_hit_tokens, counts.cached_tokens)
    written = _first(
        inside.cache_write_tokens, inside.cache_creation_tokens, counts.cache_creation_input_tokens
    )
    reasoning = _first(made_of.reasoning_tokens, counts.reasoning_tokens)
    uncounted = _first(counts.total_tokens) - prompt - output
    if uncounted > 0 and reasoning in {0, uncounted}:
        # xAI and Gemini count reasoning beside completion_tokens, not inside; only the total tells.
        output, reasoning = output + uncounted, uncounted
    fresh = prompt - read - written
    if fresh < 0:
        read = min(read, prompt)
        written = min(written, prompt - read)
        fresh = prompt - read - written
    return Usage(
        input=fresh,
        cache_read=read,
        cache_write_5m=written,
        output=output,
        reasoning=min(reasoning, output),
        audio_input=min(_first(inside.audio_tokens), fresh),
        audio_output=min(_first(made_of.audio_tokens), output),
    )


def _first(count: int | None, other: int | None = None, third: int | None = None) -> int:
    """Return the first count that is named, never less than 0."""
    if count is None:
        count = third if other is None else other
    return count if count is not None and count > 0 else 0


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
