"""Headers that depend on the request itself, where a provider asks for them.

Source: pi-ai 1.5.2 `dist/api/github-copilot-headers.js`, `dist/providers/opencode-headers.js`, `dist/utils/identity.js`.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import msgspec

from pi_model_proxy.providers.table import provider_row

__all__ = ["RequestTraits", "request_headers", "wants_traits"]

SESSION_HEADERS_BY_HOST: Final = {"opencode.ai": "x-opencode-session"}
"""Hosts that take a conversation's name from whatever provider leads to them."""


class RequestTraits(msgspec.Struct, frozen=True, kw_only=True):
    """What such headers depend on."""

    ends_with_user: bool = True
    """The last message is the user's, not a tool's result."""
    has_images: bool = False
    session: str = ""
    """The caller's conversation, if it names one."""


def wants_traits(provider: str, base_url: str) -> bool:
    """Tell whether any header depends on the request: finding out what it holds costs decoding it."""
    return provider_row(provider).wants_initiator or bool(_session_header(provider, base_url))


def request_headers(provider: str, base_url: str, traits: RequestTraits) -> dict[str, str]:
    """Return the headers for one request, names in lower case; configured headers of the same name win."""
    headers: dict[str, str] = {}
    if provider_row(provider).wants_initiator:
        headers["x-initiator"] = "user" if traits.ends_with_user else "agent"
        headers["openai-intent"] = "conversation-edits"
        if traits.has_images:
            headers["copilot-vision-request"] = "true"
    name = _session_header(provider, base_url)
    if traits.session and name:
        headers[name] = traits.session
    return headers


def _session_header(provider: str, base_url: str) -> str:
    return provider_row(provider).session_header or SESSION_HEADERS_BY_HOST.get(_host_of(base_url), "")


def _host_of(base_url: str) -> str:
    try:
        return urlsplit(base_url).hostname or ""
    except ValueError:
        return ""
