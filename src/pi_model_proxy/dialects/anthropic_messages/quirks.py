"""How upstreams of this format differ: pi's compat flags for `anthropic-messages`, typed.

Source: pi 1.5.2 `dist/api/anthropic-messages.js` (`getAnthropicCompat`) and
`dist/providers/compat-schema.js`. Flags that shape nothing we send are not read: they are about
changing tools or effort within one of pi's sessions (`supportsMidConvoEffort`,
`supportsMidConvoToolChanges`) and about server-side threads (`supportsMessageThreads`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.remembered import Remembered

__all__ = ["Quirks", "quirks_of"]


class FallbackModel(msgspec.Struct, frozen=True):
    """A model the provider may answer with when the one asked for is overloaded."""

    model: str


class Quirks(msgspec.Struct, frozen=True, kw_only=True):
    """What one upstream takes; the defaults are pi's."""

    streams_arguments_eagerly: bool = msgspec.field(name="supportsEagerToolInputStreaming", default=True)
    """Whether tools may carry `eager_input_streaming`; else a beta asks for the same."""
    takes_long_cache: bool = msgspec.field(name="supportsLongCacheRetention", default=True)
    """Whether cache marks may carry `ttl`."""
    takes_marks_on_tools: bool = msgspec.field(name="supportsCacheControlOnTools", default=True)
    takes_sampling: bool = msgspec.field(name="supportsTemperature", default=True)
    """Whether `temperature`, `top_p` and `top_k` are still taken (not from Opus 4.7 on)."""
    thinks_adaptively: bool = msgspec.field(name="forceAdaptiveThinking", default=False)
    """Whether thinking is asked for by effort; else by a budget in tokens."""
    takes_empty_signatures: bool = msgspec.field(name="allowEmptySignature", default=False)
    takes_strict_tools: bool = msgspec.field(name="supportsStrictTools", default=False)
    takes_mid_instructions: bool = msgspec.field(name="supportsMidConvoSystemMessages", default=False)
    """Whether `role: "system"` may stand inside `messages`."""
    takes_mid_effort: bool = msgspec.field(name="supportsMidConvoEffort", default=False)
    """Whether such a message may be empty and only change the effort."""
    wants_session_header: bool = msgspec.field(name="sendSessionAffinityHeaders", default=False)
    session_format: str | None = msgspec.field(name="sessionAffinityFormat", default=None)
    fallback_models: tuple[FallbackModel, ...] = msgspec.field(name="allowedFallbackModels", default=())

    @classmethod
    def of(cls, compat: Mapping[str, Any]) -> Quirks:
        """Return the flags of a model; unknown ones and ones of the wrong type do not count."""
        sound: dict[str, Any] = {}
        for field in msgspec.structs.fields(cls):
            value = compat.get(field.encode_name)
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                continue
            sound[field.encode_name] = value
        return msgspec.convert(sound, cls)


quirks_of: Final = Remembered(Quirks.of)
"""The quirks that a model's compat flags spell."""
