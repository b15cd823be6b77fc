"""One cell of the table while it is asked: a dialect, streamed or not, at one server."""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from pi_model_proxy.conformance.client import Origin, Reply, Sent, ask, leave
from pi_model_proxy.conformance.dialect import Answer, Dialect, Wish, read

__all__ = ["Models", "Trial"]

TOO_MANY: Final = 429
MAX_WAITS: Final = 3
MAX_WAIT_S: Final = 60


class Models(msgspec.Struct, frozen=True, kw_only=True):
    """Which model is asked for what."""

    text: str
    tools: str
    thinking: str
    vision: str


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """What a check works with."""

    origin: Origin
    dialect: Dialect
    models: Models
    stream: bool
    key: str = ""
    timeout_s: float
    max_tokens: int
    """The limit of an answer, unless a check wants another."""

    @property
    def wish(self) -> Wish:
        """The plain request: a greeting of the text model."""
        return Wish(model=self.models.text, stream=self.stream, max_tokens=self.max_tokens)

    async def ask(self, wish: Wish) -> Answer:
        """Return what the server answers.

        Raises:
            Wrong: an error, or nothing readable.
            Unreachable: nothing at all.
        """
        return read(self.dialect, await self.send(self.dialect.request(wish)), stream=wish.stream)

    async def send(self, sent: Sent) -> Reply:
        """Return the answer to any request; a rate limit that says how long it lasts is waited for, as SDKs do.

        Raises:
            Unreachable: there is none.
        """
        signed = self._signed(sent)
        reply = await ask(self.origin, signed, timeout_s=self.timeout_s)
        for _ in range(MAX_WAITS):
            wait = reply.headers.get("retry-after", "")
            if reply.status != TOO_MANY or not wait.isdecimal() or int(wait) > MAX_WAIT_S:
                break
            await asyncio.sleep(int(wait))
            reply = await ask(self.origin, signed, timeout_s=self.timeout_s)
        return reply

    async def leave(self, wish: Wish) -> None:
        """Ask, and hang up before the end.

        Raises:
            Unreachable: not even a beginning came.
        """
        sent = self._signed(self.dialect.request(wish))
        await leave(self.origin, sent, first_byte=wish.stream, timeout_s=self.timeout_s)

    def _signed(self, sent: Sent) -> Sent:
        return msgspec.structs.replace(sent, headers={**self.dialect.headers(self.key), **sent.headers})
