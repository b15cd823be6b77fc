"""What the gateway must be told; the configuration offers it under the same names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

__all__ = ["AnswerSettings"]


class AnswerSettings(Protocol):
    """Read anew for every request, so that a change counts at once."""

    @property
    def aliases(self) -> Mapping[str, str]:
        """Alias to `provider/id`, perhaps with a thinking suffix."""
        ...

    @property
    def default_model(self) -> str | None:
        """Used when the request names no model."""
        ...

    @property
    def request_timeout_ms(self) -> int:
        """Longest wait for the first byte, longest silence after it, total of a plain answer."""
        ...

    @property
    def connect_timeout_ms(self) -> int:
        """Longest wait for a connection, TLS included."""
        ...

    @property
    def total_timeout_ms(self) -> int:
        """Longest duration of any answer; 0 = no limit."""
        ...

    @property
    def prompt_cache(self) -> str:
        """`auto`: place cache marks for callers whose dialect has none; `client`: never."""
        ...
