"""Token counts: chat counts cached tokens inside `prompt_tokens`, the hub keeps every part apart.

Sources: OpenAI's `CompletionUsage`; where other servers put cached tokens: pi-ai 1.5.2
`dist/api/openai-completions.js` (`parseChunkUsage`).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeAlias

import msgspec

from pi_model_proxy.dialects.openai_chat.chunks import decoded
from pi_model_proxy.hub import Usage

__all__ = ["NO_COUNTS", "Counts", "read_usage", "usage_json", "usage_of"]


_Count: TypeAlias = Annotated[int, msgspec.Meta(ge=0)] | None
"""What is less than nothing is read as what is no number: as 0."""


class _Input(msgspec.Struct, gc=False):
    cached_tokens: _Count = None
    cache_write_tokens: _Count = None
    cache_creation_tokens: _Count = None
    audio_tokens: _Count = None


class _Output(msgspec.Struct, gc=False):
    reasoning_tokens: _Count = None
    audio_tokens: _Count = None


class Counts(msgspec.Struct, gc=False):
    """Counts wherever a provider may put them; None: not named there."""

    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    total_tokens: _Count = None
    prompt_tokens_details: _Input | None = None
    completion_tokens_details: _Output | None = None
    prompt_cache_hit_tokens: _Count = None
    cached_tokens: _Count = None
    cache_creation_input_tokens: _Count = None
    reasoning_tokens: _Count = None


_NO_INPUT: Final = _Input()
_NO_OUTPUT: Final = _Output()
NO_COUNTS: Final = Counts()
_counts: Final = msgspec.json.Decoder(Counts).decode


def read_usage(raw: bytes | msgspec.Raw) -> Usage | None:
    """Return the counts in a `usage` object given as JSON text; None when it is none."""
    counts: Counts | None
    try:
        counts = _counts(raw)
    except (ValueError, RecursionError):
        counts = _odd_counts(raw)
    if counts is not None and counts.prompt_tokens is None and counts == NO_COUNTS:
        counts = _odd_counts(raw)
    return None if counts is None else usage_of(counts)


def _odd_counts(raw: bytes | msgspec.Raw) -> Counts | None:
    """Read an object whose counts are not what they should be: fractions are cut, what is no number counts as 0."""
    usage = decoded(raw)
    if not isinstance(usage, dict) or not usage:
        return None
    inside, made_of = usage.get("prompt_tokens_details"), usage.get("completion_tokens_details")
    return Counts(
        **_whole(usage, Counts),
        prompt_tokens_details=_Input(**_whole(inside, _Input)) if isinstance(inside, dict) else None,
        completion_tokens_details=_Output(**_whole(made_of, _Output)) if isinstance(made_of, dict) else None,
    )


def _whole(holder: dict[str, Any], shape: type[msgspec.Struct]) -> dict[str, Any]:
    return {
        name: max(0, int(value)) if isinstance(value, int | float) and not isinstance(value, bool) else 0
        for name in shape.__struct_fields__
        if not name.endswith("_details") and (value := holder.get(name)) is not None
    }


def usage_of(counts: Counts) -> Usage:
    """Return the hub's counts."""
    inside = counts.prompt_tokens_details or _NO_INPUT
    made_of = counts.completion_tokens_details or _NO_OUTPUT
    prompt, output = counts.prompt_tokens or 0, counts.completion_tokens or 0
    # OpenAI's place, DeepSeek's, Kimi's; writes as OpenRouter and as LiteLLM name them.
    read = inside.cached_tokens
    if read is None:
        read = counts.prompt_cache_hit_tokens
        if read is None:
            read = counts.cached_tokens or 0
    written = inside.cache_write_tokens
    if written is None:
        written = inside.cache_creation_tokens
        if written is None:
            written = counts.cache_creation_input_tokens or 0
    reasoning = made_of.reasoning_tokens
    if reasoning is None:
        reasoning = counts.reasoning_tokens or 0
    uncounted = (counts.total_tokens or 0) - prompt - output
    if uncounted > 0 and reasoning in {0, uncounted}:
        # xAI and Gemini count reasoning beside completion_tokens, not inside; only the total tells.
        output, reasoning = output + uncounted, uncounted
    fresh = prompt - read - written
    if fresh < 0:
        read = min(read, prompt)
        written = min(written, prompt - read)
        fresh = prompt - read - written
    audio_in, audio_out = inside.audio_tokens or 0, made_of.audio_tokens or 0
    if reasoning > output or audio_in > fresh or audio_out > output:
        reasoning, audio_in, audio_out = min(reasoning, output), min(audio_in, fresh), min(audio_out, output)
    return Usage(
        input=fresh,
        cache_read=read,
        cache_write_5m=written,
        output=output,
        reasoning=reasoning,
        audio_input=audio_in,
        audio_output=audio_out,
    )


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
