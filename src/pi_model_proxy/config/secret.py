"""A text that must not be printed."""

from __future__ import annotations

from typing import Final, final

from typing_extensions import override

__all__ = ["MASK", "Secret"]

MASK: Final = "********"
"""What stands for a secret wherever settings are shown; always this long."""


@final
class Secret:
    """Wraps a key so that `repr`, `str` and format strings show only a mask."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the key itself, to compare or to send; never to print."""
        return self._text

    @override
    def __repr__(self) -> str:
        return f"Secret({MASK})"

    @override
    def __str__(self) -> str:
        return MASK

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    @override
    def __hash__(self) -> int:
        return hash((Secret, self._text))
