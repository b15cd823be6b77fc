"""The repeats this format needs: what Claude on Bedrock refuses for reasons that nothing told beforehand.

Strict tools have limits that depend on all their schemas together; a thinking signature may turn
out to be another model's. Both are mended once, before any byte of an answer.

Source: pi 1.5.2 `dist/api/strict-tool-limits.js` (the same words here as at Anthropic); dialects.md §3.1.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.bedrock_converse.thinking import tool_loop_lacks_thinking
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.wire import compact_json

__all__ = ["mend"]

STRICT_LIMITS: Final = (
    "The compiled grammar is too large",
    "Too many strict tools (",
    "Schemas contains too many parameters with union types (",
)
FOREIGN_THINKING: Final = (
    "Invalid `signature` in `thinking` block",
    "Invalid `data` in `redacted_thinking` block",
)

Json = dict[str, Any]
_body_decoder: Final = msgspec.json.Decoder(Json)


def mend(body: bytes, error: UpstreamError) -> bytes | None:
    """Return one of our bodies such that it may be accepted where it met `error`, or None."""
    if error.kind != "bad_request":
        return None
    if any(text in error.message for text in STRICT_LIMITS):
        return _without_strictness(_body_decoder.decode(body))
    if any(text in error.message for text in FOREIGN_THINKING):
        return _without_thinking(_body_decoder.decode(body))
    return None


def _without_strictness(body: Json) -> bytes | None:
    specs = [tool["toolSpec"] for tool in body.get("toolConfig", {}).get("tools", ()) if "toolSpec" in tool]
    strict = [spec for spec in specs if spec.pop("strict", None)]
    return compact_json(body) if strict else None


def _without_thinking(body: Json) -> bytes | None:
    removed = False
    for message in body["messages"]:
        kept = [block for block in message["content"] if "reasoningContent" not in block]
        removed = removed or len(kept) < len(message["content"])
        message["content"] = kept
    if not removed:
        return None
    additional = body.get("additionalModelRequestFields", {})
    by_budget = additional.get("thinking", {}).get("type") == "enabled"
    if by_budget and tool_loop_lacks_thinking(body["messages"]):
        del additional["thinking"]
        additional.pop("anthropic_beta", None)
        if not additional:
            del body["additionalModelRequestFields"]
    return compact_json(body)
