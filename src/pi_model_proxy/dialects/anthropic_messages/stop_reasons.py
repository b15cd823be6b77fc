"""Why an answer ended, between the hub's words and this format's.

Source: dialects.md §5.1 and §5.2 (AM columns, overrides).
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.hub import Finish, FinishReason

__all__ = ["CALLED", "ENDED", "finish_of", "stop_reason_of"]

ENDED: Final = "end_turn"
CALLED: Final = b'"tool_use"'
"""JSON text: what an answer with calls says in place of `end_turn`, whatever its upstream said."""
_FROM_WIRE: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop_sequence",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "context_full",
    "refusal": "refusal",
    "sensitive": "content_filter",  # z.ai's word
    "pause_turn": "pause",
    "compaction": "pause",
}
_TO_WIRE: Final[dict[FinishReason, str]] = {
    "stop": "end_turn",
    "stop_sequence": "stop_sequence",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "context_full": "model_context_window_exceeded",
    "refusal": "refusal",
    "content_filter": "refusal",
    "pause": "pause_turn",
}


def finish_of(native: str, *, called: bool, stop_sequence: str | None, detail: str | None) -> Finish:
    """Return the hub's finish for a `stop_reason`; unknown ones end the turn like any other.

    Args:
        native: The upstream's word.
        called: Whether the answer holds a tool call: the word and the calls must agree.
        stop_sequence: Which one was hit.
        detail: The explanation of a refusal.
    """
    reason = _FROM_WIRE.get(native, "stop")
    if called and reason == "stop":
        reason = "tool_calls"
    elif not called and reason == "tool_calls":
        reason = "stop"
    return Finish(reason=reason, stop_sequence=stop_sequence, native=native, detail=detail)


def stop_reason_of(finish: Finish, *, called: bool, truncated: bool) -> str:
    """Return the `stop_reason` for a hub finish.

    Args:
        finish: How the answer ended.
        called: Whether a tool call was written.
        truncated: Whether a call's arguments broke off, so that no client must run it.
    """
    if truncated and finish.reason in {"stop", "tool_calls"}:
        return "max_tokens"
    if called and finish.reason == "stop":
        return "tool_use"
    if not called and finish.reason == "tool_calls":
        return "end_turn"
    return _TO_WIRE[finish.reason]
