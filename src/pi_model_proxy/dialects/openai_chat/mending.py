"""The one repeat this format needs: an upstream that refuses a spelling of what it understands.

Servers disagree on two names, and neither flag nor address always tells: `max_tokens` against
`max_completion_tokens`, role `developer` against `system`. Both can be respelt without loss.

Sources: OpenAI's "Unsupported parameter: 'max_tokens' is not supported with this model. Use
'max_completion_tokens' instead."; refusals of `developer` by compatible servers (dialects.md §1.2).
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.openai_chat.relay_messages import with_system_roles
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.wire import edit_object, raw_object

__all__ = ["mend"]

_SPELLINGS: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}


def mend(body: bytes, error: UpstreamError) -> bytes | None:
    """Return the body as `error` says it must be spelt, or None when it complains of something else."""
    if error.kind not in {"bad_request", "upstream"}:
        return None
    try:
        members = raw_object(body)
        messages = with_system_roles(members["messages"]) if "developer" in error.message else None
    except (ValueError, RecursionError, KeyError):
        return None
    if messages is not None:
        return edit_object(members, put={"messages": messages})
    for wrong, right in _SPELLINGS.items():
        if wrong in members and right not in members and _is_about(wrong, error):
            return edit_object(members, put={right: members[wrong]}, remove=(wrong,))
    return None


def _is_about(field: str, error: UpstreamError) -> bool:
    if error.param == field:
        return True
    # `max_tokens` is no part of `max_completion_tokens`, so a plain search is exact.
    refused = error.message.partition("Use ")[0].partition("use ")[0]
    return f"'{field}'" in refused or f"`{field}`" in refused or f'"{field}"' in refused
