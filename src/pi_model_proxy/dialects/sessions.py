"""Which conversation a request belongs to, in a form that providers take to keep it at one machine.

A machine that has seen a conversation still holds its prompt in the cache. pi names its own session
to providers that ask for that; a gateway knows only what its callers say of theirs, so where they say
nothing, nothing is sent.

Source: pi 1.5.2 `dist/api/openai-completions.js`, `openai-responses.js` and `anthropic-messages.js`
(`createClient`: header names and formats).
"""

from __future__ import annotations

import hashlib
from typing import Final

from pi_model_proxy.hub import Request

__all__ = ["MAX_SESSION_CHARS", "hidden", "session_of"]

MAX_SESSION_CHARS: Final = 128
"""OpenRouter's limit."""
_DIGEST_CHARS: Final = 32


def session_of(request: Request) -> str:
    """Return the conversation's name as a header can carry it; empty when the caller names none."""
    session = request.session or request.cache_key or ""
    is_legal = session.isascii() and session.isprintable() and session == session.strip()
    return session if is_legal and len(session) <= MAX_SESSION_CHARS else hidden(session)


def hidden(text: str) -> str:
    """Return a name made from `text` that does not tell it."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST_CHARS]
