"""Paths, headers and betas of this format.

Sources: dialects.md §1.1 AM, §1.2 (last row: betas); pi 1.5.2 `dist/api/anthropic-messages.js`
(`getBetaFeatures`). What a subscription login says of itself is the provider table's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.dialects.anthropic_messages.quirks import Quirks

__all__ = ["COUNT_PATH", "MESSAGES_PATH", "joined", "relayed_headers", "request_headers", "session_header"]

MESSAGES_PATH: Final = "/v1/messages?beta=true"
"""With the query that pi sends, and every SDK whose caller uses a beta."""
COUNT_PATH: Final = "/v1/messages/count_tokens?beta=true"
VERSION: Final = "2023-06-01"
FINE_GRAINED: Final = "fine-grained-tool-streaming-2025-05-14"
INTERLEAVED: Final = "interleaved-thinking-2025-05-14"
FALLBACKS: Final = "server-side-fallback-2026-07-01"
UNDERSTOOD_ELSEWHERE: Final = (
    "claude-code", "computer-use", "context-1m", "extended-cache-ttl", "fine-grained-tool-streaming",
    "interleaved-thinking", "mcp-client", "output-128k", "pdfs", "prompt-caching", "token-counting",
    "token-efficient-tools",
)  # fmt: skip
"""Betas that compatible servers were seen to take, by the beginning of their names; others they answer with 400."""


def request_headers(quirks: Quirks, *, has_tools: bool, has_budget: bool) -> dict[str, str]:
    """Return the headers of a request of ours, in pi's order of betas."""
    betas: list[str] = []
    if has_tools and not quirks.streams_arguments_eagerly:
        betas.append(FINE_GRAINED)
    if has_budget:
        betas.append(INTERLEAVED)
    if quirks.fallback_models:
        betas.append(FALLBACKS)
    return _headers(VERSION, betas)


def relayed_headers(headers: Mapping[str, str], *, by_vendor: bool) -> tuple[dict[str, str], bool]:
    """Return the caller's own headers of the format, and whether a beta had to go."""
    version = headers.get("anthropic-version", "").strip() or VERSION
    if "anthropic-beta" not in headers:
        return {"anthropic-version": version}, False
    asked = joined(headers["anthropic-beta"])
    kept = [beta for beta in asked if by_vendor or beta.startswith(UNDERSTOOD_ELSEWHERE)]
    return _headers(version, kept), len(kept) < len(asked)


def session_header(quirks: Quirks, session: str) -> dict[str, str]:
    """Return the header that keeps a conversation at one machine, where the provider wants it and there is a name."""
    if not session or not quirks.wants_session_header:
        return {}
    name = "x-session-id" if quirks.session_format == "openrouter" else "x-session-affinity"
    return {name: session}


def joined(header: str) -> list[str]:
    """Return the names in a comma-separated header, each once."""
    return list(dict.fromkeys(name.strip() for name in header.split(",") if name.strip()))


def _headers(version: str, betas: list[str]) -> dict[str, str]:
    headers = {"anthropic-version": version}
    if betas:
        headers["anthropic-beta"] = ",".join(betas)
    return headers
