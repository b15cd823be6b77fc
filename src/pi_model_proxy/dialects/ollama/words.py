"""What the parts of this format share: its name, its two forms, how it writes moments."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

__all__ = ["DIALECT", "Form", "moment"]

DIALECT: Final = "ollama"

Form: TypeAlias = Literal["chat", "generate"]
"""`/api/chat` answers with a `message`, `/api/generate` with `response` and `thinking` beside it."""


def moment(seconds: float) -> str:
    """Return seconds since the epoch as Ollama writes them: RFC 3339 with a fraction, in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
