"""Why an answer ended, between Google's words and the hub's.

Source: dialects.md §5.1 and §5.2 (GM columns); google-genai 3.4.0 `FinishReason`, `BlockedReason`.
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.google_gemini.chunks import FAMILY
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import Finish, FinishReason

__all__ = ["MALFORMED_CALL", "blocked", "finish_of", "finish_reason_of"]

_FROM_WIRE: Final[dict[str, FinishReason]] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "content_filter",
}
"""Every other word, `MALFORMED_FUNCTION_CALL` before all, means that there is no answer to use."""
_TO_WIRE: Final[dict[FinishReason, str]] = {
    "stop": "STOP",
    "stop_sequence": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "context_full": "MAX_TOKENS",
    "refusal": "SAFETY",
    "content_filter": "SAFETY",
    "pause": "STOP",
}
MALFORMED_CALL: Final = "MALFORMED_FUNCTION_CALL"


def finish_of(native: str, message: str | None, *, called: bool) -> Finish | UpstreamError:
    """Return the hub's finish for a `finishReason`, or the failure that it means.

    Args:
        native: The upstream's word.
        message: Its `finishMessage`.
        called: Whether the answer holds a call: Google says `STOP` then, too.
    """
    reason = _FROM_WIRE.get(native)
    if reason is None:
        said = f": {message}" if message else ""
        return UpstreamError(
            f"The model ended its answer with {native}{said}. Try again, or choose another model.",
            family=FAMILY,
            native_type=native,
            proxy_error="http_response_incomplete",
        )
    if called and reason == "stop":
        reason = "tool_calls"
    return Finish(reason=reason, native=native, detail=message)


def blocked(reason: str, message: str | None) -> Finish:
    """Return the finish of an answer that never began because the prompt was blocked."""
    return Finish(
        reason="content_filter", native=reason, detail=message or f"The prompt was blocked: {reason}."
    )


def finish_reason_of(finish: Finish) -> str:
    """Return the `finishReason` for a hub finish; Google's own word stays where it was one."""
    native = finish.native or ""
    if _FROM_WIRE.get(native) == finish.reason:
        return native
    return _TO_WIRE[finish.reason]
