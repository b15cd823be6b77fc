"""An authorization server as a function: it rotates refresh tokens and punishes reuse, as real ones do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from urllib.parse import parse_qs

__all__ = ["TokenEndpoint"]


class TokenEndpoint:
    """A `Post` that exchanges each refresh token once; a second use revokes the whole family.

    `gate` holds answers back while it is closed; `arrived` tells that a request is there.
    """

    def __init__(self, refresh_token: str = "refresh-0", *, lifetime_s: int = 3600) -> None:
        self.good = refresh_token
        self.lifetime_s = lifetime_s
        self.urls: list[str] = []
        self.spent: list[str] = []
        self.reused = 0
        self.script: list[tuple[int, bytes] | Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.arrived = asyncio.Event()

    async def __call__(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[int, bytes]:
        self.urls.append(url)
        self.arrived.set()
        await self.gate.wait()
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        return self.exchange(self._token_of(headers, body))

    @staticmethod
    def _token_of(headers: Mapping[str, str], body: bytes) -> str:
        if headers["content-type"] == "application/json":
            token = json.loads(body)["refresh_token"]
        else:
            token = parse_qs(body.decode())["refresh_token"][0]
        assert isinstance(token, str)
        return token

    def exchange(self, token: str) -> tuple[int, bytes]:
        """Return status and body for one refresh token."""
        if token != self.good:
            self.reused += 1
            self.good = ""
            return 400, b'{"error": "invalid_grant", "error_description": "refresh token was used before"}'
        self.spent.append(token)
        number = len(self.spent)
        self.good = f"refresh-{number}"
        answer = {
            "access_token": f"access-{number}",
            "refresh_token": self.good,
            "expires_in": self.lifetime_s,
        }
        return 200, json.dumps(answer).encode()
