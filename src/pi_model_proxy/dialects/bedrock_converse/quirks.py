"""How upstreams of this format differ: pi's compat flags for `bedrock-converse-stream`, typed.

Source: pi 1.5.2 `dist/providers/compat-schema.js`. What differs between models of one upstream is in `models`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.remembered import Remembered

__all__ = ["Quirks", "quirks_of"]


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """What one upstream takes; the defaults are pi's."""

    takes_strict_tools: bool = False

    @classmethod
    def of(cls, compat: Mapping[str, Any]) -> Quirks:
        """Return the flags of a model; unknown ones and ones of the wrong type do not count."""
        return cls(takes_strict_tools=compat.get("supportsStrictMode") is True)


quirks_of: Final = Remembered(Quirks.of)
"""The quirks that a model's compat flags spell."""
