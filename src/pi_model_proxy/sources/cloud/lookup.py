"""Answers that take a while and hold for a while: asked for once, by one caller, in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

import msgspec

from pi_model_proxy.credentials import Clock
from pi_model_proxy.errors import CredentialError

__all__ = ["LOOKUP_S", "Lookups", "in_thread"]

T = TypeVar("T")

LOOKUP_S: Final = 25.0
"""Longest wait for a credential: a file, a metadata service, a token endpoint, a command of the user's."""
MAX_KEPT: Final = 64
"""Different credentials at once; beyond it the memory is emptied."""


FRESH_PAUSE_S: Final = 30.0
"""After an answer that was asked for anew because of a refusal, the next refusals take it as it is for so long."""


class _Kept(msgspec.Struct, Generic[T]):
    value: T
    until_s: float
    stands_until_s: float = 0.0
    """No refusal has it asked for anew before."""


class Lookups(Generic[T]):
    """Answers by key. Lives in one event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[Hashable, _Kept[T]] = {}
        self._asking: dict[Hashable, asyncio.Future[T]] = {}

    async def get(
        self, key: Hashable, ask: Callable[[], Awaitable[tuple[T, float]]], *, fresh: bool = False
    ) -> T:
        """Return the answer for `key`; `ask` gives it and for how many seconds it holds.

        Whoever asks for the same key meanwhile waits for the same answer. `fresh`: one that was kept does not count.
        """
        kept, now_s = self._kept.get(key), self._clock.monotonic_s()
        if kept is not None and now_s < kept.until_s and (not fresh or now_s < kept.stands_until_s):
            return kept.value
        asking = self._asking.get(key)
        if asking is None:
            pause_s = FRESH_PAUSE_S if fresh else 0.0
            asking = self._asking[key] = asyncio.ensure_future(self._ask(key, ask, pause_s))
            asking.add_done_callback(_noticed)
        # A caller may leave; the others still want the answer.
        return await asyncio.shield(asking)

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[tuple[T, float]]], pause_s: float) -> T:
        try:
            value, holds_s = await ask()
            if len(self._kept) >= MAX_KEPT:
                self._kept.clear()
            now_s = self._clock.monotonic_s()
            self._kept[key] = _Kept(value, now_s + holds_s, now_s + pause_s)
            return value
        finally:
            del self._asking[key]


async def in_thread(provider: str, look: Callable[[], T]) -> T:
    """Run `look` in a thread and wait for it, within reason.

    Raises:
        CredentialError: it took too long.
    """
    try:
        async with asyncio.timeout(LOOKUP_S):
            return await asyncio.to_thread(look)
    except TimeoutError as error:
        raise CredentialError(
            f"{provider}: its cloud credentials were not found within {LOOKUP_S:.0f} s; check the network, or set keys "
            "in the environment."
        ) from error


def _noticed(answer: asyncio.Future[T]) -> None:
    """Look at the outcome: every caller may have left."""
    if not answer.cancelled():
        answer.exception()
