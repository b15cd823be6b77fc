"""JSON paths of a request whose past has been written into it, said again as the caller knows them. Pure."""

from __future__ import annotations

import re
from typing import Final

from pi_model_proxy.errors import GatewayError

__all__ = ["InputPaths"]

_ITEM: Final = re.compile(r"\binput\[(\d+)\]")
PAST: Final = "(earlier) input"
"""Where an item stands that the caller did not send this time."""


class InputPaths:
    """Counts items from the caller's own first one on."""

    def __init__(self, earlier: int) -> None:
        self._earlier = earlier

    def own(self, path: str) -> str:
        """Return a path, or a text with paths in it, with the numbers that the caller's items have."""
        return _ITEM.sub(self._renumbered, path) if self._earlier else path

    def _renumbered(self, match: re.Match[str]) -> str:
        number = int(match[1])
        return f"{PAST}[{number}]" if number < self._earlier else f"input[{number - self._earlier}]"

    def mend(self, error: GatewayError) -> None:
        """Correct the paths in an error."""
        error.message = self.own(error.message)
        error.param = error.param and self.own(error.param)
