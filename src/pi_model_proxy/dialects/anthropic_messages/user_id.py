"""What `metadata.user_id` tells of a conversation.

Claude Code writes its session into it, as `user_..._account_..._session_<uuid>` or as a JSON object
with `session_id`; other callers name whoever uses them. Neither is sent on as it stands: a
session's own id says nothing of anybody, everything else is hidden in a hash.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from pi_model_proxy.dialects.sessions import hidden

__all__ = ["session_of_user"]

_SESSION: Final = re.compile(r"_session_([0-9a-fA-F-]{32,36})$")
_UUID: Final = re.compile(r"[0-9a-fA-F-]{32,36}")


class _UserId(msgspec.Struct):
    session_id: str = ""


_decoder = msgspec.json.Decoder(_UserId)


def session_of_user(user_id: str | None) -> str | None:
    """Return a name for the conversation, or at least for its user, that gives nobody away; None without a user."""
    if not user_id:
        return None
    found = _SESSION.search(user_id)
    if found is not None:
        return found[1]
    if user_id.startswith("{"):
        try:
            session = _decoder.decode(user_id).session_id
        except (msgspec.DecodeError, ValueError, RecursionError):
            session = ""
        if _UUID.fullmatch(session):
            return session
    return hidden(user_id)
