"""The entries of `auth.json` that logins at the scripted authorization server lead to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from support.authorization_server import COPILOT_TOKEN, GITHUB_TOKEN, IDENTITY_TOKEN

__all__ = ["ENTRIES", "NOW_S"]

NOW_S: Final = 1_800_000_000.0
LAPSES_MS = 1_800_000_000_000 + 3_600_000
TOKENS = {"type": "oauth", "access": "access-secret", "refresh": "refresh-secret", "expires": LAPSES_MS}
CODEX_TOKEN = (
    "head.eyJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOiB7ImNoYXRncHRfYWNjb3VudF9pZCI6ICJhY2NvdW50LTcifX0.secret"
)
ENTRIES: Mapping[str, dict[str, Any]] = {
    "anthropic": {**TOKENS, "expires": LAPSES_MS - 300_000},
    "openai": {
        **TOKENS,
        "expires": LAPSES_MS - 180_000,
        "clientId": "issued-client",
        "scopes": [
            "openid",
            "profile",
            "email",
            "offline_access",
            "resource.invoke",
            "chatgpt.tokens.use.direct",
        ],
    },
    "openai-codex": {**TOKENS, "access": CODEX_TOKEN, "accountId": "account-7"},
    "openrouter": {
        "type": "oauth",
        "access": "sk-or-secret",
        "refresh": "",
        "expires": 9_007_199_254_740_991,
    },
    "radius": {**TOKENS, "expires": LAPSES_MS - 60_000, "scope": "gateway offline_access"},
    "github-copilot": {
        "type": "oauth",
        "access": COPILOT_TOKEN,
        "refresh": GITHUB_TOKEN,
        "expires": 1_900_000_000_000 - 300_000,
        "availableModelIds": ["claude-haiku-4.5", "claude-x", "unlisted"],
    },
    "xai": {**TOKENS, "expires": LAPSES_MS - 300_000},
    "kimi-coding": TOKENS,
    "meta": {
        "type": "oauth",
        "access": "meta-key-secret",
        "refresh": IDENTITY_TOKEN,
        "expires": 1_800_000_000_000 + 86_400_000,
    },
}
"""What pi 1.5.2 writes at `NOW_S` for what the scripted server gives out, by provider id."""
