"""Token counts, every part counted once."""

from __future__ import annotations

import msgspec

__all__ = ["Usage"]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer used, in tokens. The input parts are disjoint; `reasoning` is part of `output`.

    Anthropic counts cached tokens beside `input_tokens`, OpenAI inside `prompt_tokens`: here they
    are always apart, so that neither is counted twice.
    """

    input: int = 0
    """Input that was neither read from nor written to a cache."""
    cache_read: int = 0
    cache_write_5m: int = 0
    """Written with the default (short) life time, or with none named."""
    cache_write_1h: int = 0
    output: int = 0
    reasoning: int = 0
    audio_input: int = 0
    """Part of `input`."""
    audio_output: int = 0
    """Part of `output`."""
    estimated: bool = False
    """True when the upstream gave no figures and these are a guess."""

    @property
    def cache_write(self) -> int:
        """All tokens written to a cache."""
        return self.cache_write_5m + self.cache_write_1h

    @property
    def total_input(self) -> int:
        """All input tokens, cached or not."""
        return self.input + self.cache_read + self.cache_write

    @property
    def total(self) -> int:
        """Input and output together."""
        return self.total_input + self.output
