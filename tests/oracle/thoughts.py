"""What the model thought before it called the tool, as pi and as callers of each dialect hand it back."""

from __future__ import annotations

import json
from typing import Any, Final

from pi_model_proxy.catalog import Model
from pi_model_proxy.dialects.anthropic_messages.envelope import wrap
from pi_model_proxy.dialects.openai_chat.reasoning_details import details_of
from pi_model_proxy.hub import Opaque, ReasoningBlock

__all__ = ["in_chat", "in_messages", "in_pi", "in_responses"]

THOUGHT: Final = "A picture: look it up."
FIELD: Final = "reasoning_content"
"""Where chat providers that were asked here put their thinking."""
ITEM: Final = {
    "type": "reasoning",
    "id": "rs_0123456789",
    "summary": [{"type": "summary_text", "text": THOUGHT}],
    "encrypted_content": "ZW5jcnlwdGVk",
}
SIGNATURE: Final = "c2lnbmF0dXJl"


def in_pi(model: Model) -> dict[str, Any]:
    """Return pi's block: what the token is, pi tells by the model's API kind."""
    signatures = {"openai-completions": FIELD, "anthropic-messages": SIGNATURE}
    return {
        "type": "thinking",
        "thinking": THOUGHT,
        "thinkingSignature": signatures.get(model.api) or json.dumps(ITEM),
    }


def in_chat(model: Model) -> dict[str, Any]:
    """Return the members of a message that echoes what we answered."""
    details = details_of(_block(model), origin=model.ref, index=0)
    return {FIELD: THOUGHT, **({"reasoning_details": details} if details else {})}


def in_messages(model: Model) -> dict[str, Any]:
    """Return the block of a message that echoes what we answered."""
    opaque = _block(model).opaque or Opaque(kind="reasoning_details", data=json.dumps(FIELD))
    return {"type": "thinking", "thinking": THOUGHT, "signature": wrap(opaque, model.ref)}


def in_responses() -> dict[str, Any]:
    """Return the item, as the provider gave it."""
    return dict(ITEM)


def _block(model: Model) -> ReasoningBlock:
    if model.api == "openai-completions":
        return ReasoningBlock(text=THOUGHT, field=FIELD)
    if model.api == "anthropic-messages":
        opaque = Opaque(kind="anthropic_signature", data=SIGNATURE)
        return ReasoningBlock(text=THOUGHT, opaque=opaque)
    opaque = Opaque(kind="openai_encrypted", data=str(ITEM["encrypted_content"]), item_id=str(ITEM["id"]))
    return ReasoningBlock(text=THOUGHT, summary=True, opaque=opaque)
