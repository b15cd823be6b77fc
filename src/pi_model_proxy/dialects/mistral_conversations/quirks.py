"""How upstreams of this format differ: pi's compat flags for `mistral-conversations`, typed.

Source: pi 1.5.2 `dist/api/mistral-conversations.js`, `dist/providers/compat-schema.js`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.remembered import Remembered

__all__ = ["Quirks", "quirks_of"]


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """What one upstream takes; the defaults are pi's."""

    takes_mid_instructions: bool = False
    """Whether `role: "system"` may stand between turns."""

    @classmethod
    def of(cls, compat: Mapping[str, Any]) -> Quirks:
        """Return the flags of a model; unknown ones and ones of the wrong type do not count."""
        return cls(takes_mid_instructions=compat.get("supportsMidConvoSystemMessages") is True)


quirks_of: Final = Remembered(Quirks.of)
"""The quirks that a model's compat flags spell."""
