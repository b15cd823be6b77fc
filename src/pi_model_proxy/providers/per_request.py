"""Headers that depend on the request itself, where a provider asks for them.

Source: pi-ai 1.5.2 `dist/api/github-copilot-headers.js`, `dist/providers/opencode-headers.js`, `dist/utils/identity.js`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

__all__ = ["RequestTraits", "request_headers", "wants_traits"]

COPILOT: Final = "github-copilot"
OPENCODE: Final = frozenset({"opencode", "opencode-go"})
OPENCODE_HOST: Final = "opencode.ai"


class RequestTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What such headers depend on."""

    ends_with_user: bool = True
    """The last message is the user's, not a tool's result."""
    has_images: bool = False
    session: str = ""
    """The caller's conversation, if it names one."""


def wants_traits(provider: str, base_url: str) -> bool:
    """Tell whether any header depends on the request: finding out what it holds costs decoding it."""
    return provider == COPILOT or provider in OPENCODE or _host_of(base_url) == OPENCODE_HOST


def request_headers(provider: str, base_url: str, traits: RequestTraits) -> dict[str, str]:
    """Return the headers for one request, names in lower case; configured headers of the same name win."""
    headers: dict[str, str] = {}
    if provider == COPILOT:
        headers["x-initiator"] = "user" if traits.ends_with_user else "agent"
        headers["openai-intent"] = "conversation-edits"
        if traits.has_images:
            headers["copilot-vision-request"] = "true"
    if traits.session and (provider in OPENCODE or _host_of(base_url) == OPENCODE_HOST):
        headers["x-opencode-session"] = traits.session
    return headers


def _host_of(base_url: str) -> str:
    try:
        return urlsplit(base_url).hostname or ""
    except ValueError:
        return ""
