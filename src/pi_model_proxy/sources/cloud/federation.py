"""Anthropic's workload identity: an identity token of one's own platform for a short-lived access token.

Source: @anthropic-ai/sdk 0.124 `lib/credentials/oidc-federation.js`, `lib/credentials/types.js`, `client.js`; which
variables, and for which provider alone: pi-ai 1.5.2 `dist/api/anthropic-messages.js` (`getAnthropicFederation`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from pi_model_proxy.credentials import Clock, Post
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.sources.cloud.lookup import LOOKUP_S, Lookups, in_thread

__all__ = ["TOKEN_HEADERS", "Federation"]

TOKEN_HEADERS: Final[Mapping[str, str]] = {"anthropic-beta": "oauth-2025-04-20"}
"""Sent with each request that such a token authenticates."""
TOKEN_PATH: Final = "/v1/oauth/token"  # noqa: S105 - a path
MAX_IDENTITY_CHARS: Final = 16 * 1024
"""Anthropic takes no longer identity tokens."""
MARGIN_S: Final = 120.0
"""A token is exchanged anew this long before it lapses (the SDK's advisory threshold)."""
SHORTEST_S: Final = 5.0
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_OK: Final = 200


class _TokenAnswer(msgspec.Struct):
    access_token: str
    expires_in: float


class Federation:
    """Exchanges tokens. Lives in one event loop."""

    def __init__(self, post: Post, clock: Clock) -> None:
        self._post = post
        self._tokens: Lookups[str] = Lookups(clock)

    async def token(self, provider: str, base_url: str, variables: Mapping[str, str], *, fresh: bool) -> str:
        """Return an access token.

        Raises:
            CredentialError: there is none to be had.
        """
        body = {
            "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
            "federation_rule_id": variables.get("ANTHROPIC_FEDERATION_RULE_ID", ""),
            "organization_id": variables.get("ANTHROPIC_ORGANIZATION_ID", ""),
        }
        for field, name in (
            ("service_account_id", "ANTHROPIC_SERVICE_ACCOUNT_ID"),
            ("workspace_id", "ANTHROPIC_WORKSPACE_ID"),
        ):
            if variables.get(name, "").strip():
                body[field] = variables[name]
        file = variables.get("ANTHROPIC_IDENTITY_TOKEN_FILE", "")

        async def ask() -> tuple[str, float]:
            identity = await in_thread(provider, lambda: _read(provider, file))
            return await self._exchange(provider, base_url, {**body, "assertion": identity})

        return await self._tokens.get((base_url, file, *body.values()), ask, fresh=fresh)

    async def _exchange(self, provider: str, base_url: str, body: Mapping[str, str]) -> tuple[str, float]:
        parts = urlsplit(base_url)
        if parts.scheme != "https" and parts.hostname not in _LOOPBACK:
            raise CredentialError(
                f"{provider}: an identity token is sent over https only; correct the base URL."
            )
        headers = {
            "content-type": "application/json",
            "accept": "application/json",
            "anthropic-beta": "oauth-2025-04-20,oidc-federation-2026-04-01",
        }
        status, answer = await self._post(
            f"{base_url}{TOKEN_PATH}", headers, msgspec.json.encode(body), LOOKUP_S
        )
        try:
            if status != _OK:
                raise CredentialError(
                    f"{provider}: the exchange of the identity token was refused ({status}); check that the federation "
                    "rule matches the token, and ANTHROPIC_WORKSPACE_ID if the rule has several workspaces."
                )
            given = msgspec.json.decode(answer, type=_TokenAnswer, strict=False)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise CredentialError(
                f"{provider}: the exchange of the identity token gave no access token; try again, or look at the "
                "provider's status page."
            ) from error
        return given.access_token, max(SHORTEST_S, given.expires_in - MARGIN_S)


def _read(provider: str, file: str) -> str:
    try:
        identity = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        raise CredentialError(
            f"{provider}: the file of ANTHROPIC_IDENTITY_TOKEN_FILE cannot be read; correct the variable."
        ) from error
    if not identity or len(identity) > MAX_IDENTITY_CHARS:
        raise CredentialError(
            f"{provider}: the file of ANTHROPIC_IDENTITY_TOKEN_FILE holds no identity token (or one above 16 KiB)."
        )
    return identity
