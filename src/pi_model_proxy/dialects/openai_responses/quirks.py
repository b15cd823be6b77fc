"""How upstreams of this format differ: pi's compat flags for `openai-responses`, typed.

Source: pi 1.5.2 `dist/api/openai-responses.js` (`getCompat`) and
`dist/providers/compat-schema.js`. Flags of pi that shape nothing we send are not read: they are
about changing tools or effort within a session (`supportsAdditionalTools`, `supportsToolSearch`,
`supportsMidConvoEffort`), and about how long prompts are kept (`supportsLongCacheRetention`), which
is the caller's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.dialects.remembered import Remembered

__all__ = ["Quirks", "quirks_of"]


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """What one upstream takes; the defaults are pi's."""

    takes_developer_role: bool = msgspec.field(name="supportsDeveloperRole", default=True)
    """Whether instructions to a reasoning model have the role `developer`; else they have `system`."""
    takes_mid_instructions: bool = msgspec.field(name="supportsMidConvoSystemMessages", default=False)
    cache_key_mode: Literal["auto", "enabled", "disabled"] = msgspec.field(
        name="promptCacheKeyMode", default="auto"
    )
    session_format: Literal["openai", "openai-nosession", "openrouter"] = msgspec.field(
        name="sessionAffinityFormat", default="openai"
    )
    """Which headers name the conversation."""
    takes_strict_tools: bool = msgspec.field(name="supportsStrictMode", default=False)
    takes_custom_tools: bool = msgspec.field(name="supportsOpenAIGrammarTools", default=False)
    takes_cache_marks: bool = msgspec.field(name="supportsExplicitPromptCacheMode", default=False)
    """Whether parts may carry `prompt_cache_breakpoint`."""
    takes_max_output: bool = msgspec.field(name="supportsMaxOutputTokens", default=True)

    @classmethod
    def of(cls, compat: Mapping[str, Any]) -> Quirks:
        """Return the flags of a model; unknown ones and ones of the wrong type do not count (pi's schema warns of them)."""
        names = {field.encode_name for field in msgspec.structs.fields(cls)}
        known = {name: value for name, value in compat.items() if name in names}
        try:
            return msgspec.convert(known, cls)
        except msgspec.ValidationError:
            sound = {name: value for name, value in known.items() if isinstance(value, bool)}
            return msgspec.convert(sound | {"promptCacheKeyMode": "auto"}, cls)


quirks_of: Final = Remembered(Quirks.of)
"""The quirks that a model's compat flags spell."""
