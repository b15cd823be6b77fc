"""Everything a dialect needs to put one answer into words."""

from __future__ import annotations

from dataclasses import dataclass

from support.strict_provider.answer import Answer, Ids, Style
from support.strict_provider.glimpse import Asked
from support.strict_provider.shapes import estimate_tokens
from support.strict_provider.traits import Model
from support.strict_provider.vault import Vault

__all__ = ["Speech"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Speech:
    """One answer to one request."""

    asked: Asked
    answer: Answer
    model: Model
    vault: Vault
    ids: Ids
    account: str
    created: int
    """Unix seconds."""

    @property
    def style(self) -> Style:
        return self.answer.style

    def fresh_tokens(self) -> int:
        """Return the input count without what the cache held or took."""
        given = self.answer.usage.fresh
        return estimate_tokens(self.asked.body) if given is None else given

    def input_tokens(self) -> int:
        """Return the whole input, as OpenAI counts it."""
        usage = self.answer.usage
        return self.fresh_tokens() + usage.cache_read + usage.cache_write_5m + usage.cache_write_1h
