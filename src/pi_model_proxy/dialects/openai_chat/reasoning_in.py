"""Reads the reasoning in a delta, from whichever of its fields a server uses.

Source: pi-ai 1.5.2 `dist/api/openai-completions.js` (first non-empty field wins, details are
replayed whole); LiteLLM's `thinking_blocks` per [open-webui/open-webui#29860] (vector 80).
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pi_model_proxy.dialects.openai_chat.assembly import Assembly
from pi_model_proxy.dialects.openai_chat.chunks import Delta, decoded
from pi_model_proxy.dialects.openai_chat.reasoning_details import TEXT_FIELDS, merge_detail
from pi_model_proxy.hub import Opaque

__all__ = ["ReasoningReader"]


class ReasoningReader:
    """Feeds an answer's reasoning to its assembly; one object an answer."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._spoke_plainly = False
        """A plain text field has been used: other fields only repeat it."""

    def read(self, delta: Delta) -> None:
        """Take what `delta` says."""
        for field in TEXT_FIELDS:
            text: str | None = getattr(delta, field)
            if text:
                self._spoke_plainly = True
                self._assembly.text("reasoning", text, field=field)
                break
        if delta.reasoning_details:
            for entry in _entries(delta.reasoning_details):
                self._detail(entry)
        if delta.thinking_blocks:
            for block in _entries(delta.thinking_blocks):
                self._thinking_block(block)

    def _detail(self, entry: dict[str, Any]) -> None:
        text = entry.get("text") or entry.get("summary")
        if isinstance(text, str) and text and not self._spoke_plainly:
            self._assembly.text("reasoning", text, field="reasoning")
        merge_detail(self._assembly.spoken("reasoning", field="reasoning").details, entry)

    def _thinking_block(self, block: dict[str, Any]) -> None:
        data, signature, text = block.get("data"), block.get("signature"), block.get("thinking")
        if block.get("type") == "redacted_thinking":
            if isinstance(data, str) and data:
                self._assembly.spoken("reasoning").sealed = self._assembly.spoken("reasoning").said
                self._sign("anthropic_redacted", data)
            return
        signed = isinstance(signature, str) and bool(signature)
        # What stands beside a signature repeats what was streamed, if anything was.
        repeated = self._spoke_plainly or (signed and self._assembly.spoken("reasoning").said)
        if isinstance(text, str) and text and not repeated:
            self._assembly.text("reasoning", text)
        if signed:
            self._sign("anthropic_signature", str(signature))

    def _sign(self, kind: Literal["anthropic_signature", "anthropic_redacted"], data: str) -> None:
        part = self._assembly.spoken("reasoning")
        part.opaque = Opaque(kind=kind, data=data)
        part.sealed = True


def _entries(raw: msgspec.Raw) -> list[dict[str, Any]]:
    value = decoded(raw)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []
