"""The vault: tokens of thinking for callers whose dialect cannot carry them, or who do not send them back.

A chat or Ollama caller sends back what the model said, not what it thought. Claude then loses its thinking in the middle
of a tool loop, OpenAI's models think anew, Gemini refuses calls without their signature. So a model's turn that holds a
token is kept, and when the same turn comes back without one, for the same model and the same account, the token stands
again where it stood. Nothing is made up, and nobody else's is used.

Only requests to models that reason are looked at, and only translated ones: between equals every byte is the caller's.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from pi_model_proxy.dialects.base import Outgoing, StreamDecoder
from pi_model_proxy.errors import GatewayError, StorageFailed
from pi_model_proxy.gateway.attempts import LARGE_BODY_BYTES
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.gateway.vault_turns import Kept, kept_of, keys_of, lacking, restored
from pi_model_proxy.gateway.way import Sending
from pi_model_proxy.hub import Block, Event, Failure, Finish, Folder
from pi_model_proxy.storage import ThoughtStore

__all__ = ["Vault"]

_STABLE: Final = "api_key"
"""The kind of account whose secret stays the same; a login's is another one every hour."""
_ACCOUNT_HEADERS: Final = ("chatgpt-account-id",)
"""Headers that name a login's account."""

Found = dict[str, list[tuple[str, bytes]]]
"""By key: owner and what is kept."""

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Kept)


class Vault:
    """Keeps and finds."""

    def __init__(self, store: ThoughtStore, is_on: Callable[[], bool]) -> None:
        self._store = store
        self._is_on = is_on

    async def plan(self, plan: Plan) -> Plan:
        """Return a plan that puts back what is kept for its request, and keeps what its answer brings.

        Raises:
            BadRequest: the request cannot be read.
        """
        if not self._is_on():
            return plan
        if len(plan.call.body) > LARGE_BODY_BYTES:
            lacked = await asyncio.to_thread(lambda: lacking(plan.decoded()))
        else:
            lacked = lacking(plan.decoded())
        found: Found = {}
        if lacked and self._store.exists:
            asked = [key for keys in lacked.values() for key in keys]
            try:
                for key, owner, body in await self._store.find(asked):
                    found.setdefault(key, []).append((owner, body))
            except StorageFailed:
                found = {}  # told on the console; the model thinks anew
        return VaultPlan(plan, self, lacked, found)

    def keep(self, plan: Plan, owner: str, blocks: Iterable[Block]) -> None:
        """Keep what an answer holds that its caller may not send back."""
        said = tuple(blocks)
        kept = kept_of(said)
        if kept is None:
            return
        keys = keys_of(plan.decoded(), said)
        self._store.keep(keys, owner, _encoder.encode(kept)).add_done_callback(_heed)


class VaultPlan(Plan):
    """A plan whose request gets back what is kept of it."""

    __slots__ = ("_found", "_lacked", "_owner", "_vault")

    def __init__(self, plan: Plan, vault: Vault, lacked: dict[int, tuple[str, ...]], found: Found) -> None:
        super().__init__(plan.call, plan.peek, plan.way)
        self._request = plan.decoded()
        self._vault = vault
        self._lacked = lacked
        self._found = found
        self._owner = ""

    def encode(self, sending: Sending) -> Outgoing:  # type: ignore[explicit-override] # typing.override came with 3.12
        """See `Plan.encode`."""
        self._owner = owner_of(sending)
        kept = {
            number: held for number, keys in self._lacked.items() if (held := self._held(keys)) is not None
        }
        if not kept:
            return super().encode(sending)
        asked = self.decoded()
        target = sending.target
        self._request = restored(asked, kept, f"{target.provider}/{target.model}")
        try:
            return super().encode(sending)
        finally:
            self._request = asked  # keys are made from what the caller said

    def _held(self, keys: tuple[str, ...]) -> Kept | None:
        for key in keys:
            for owner, body in self._found.get(key, ()):
                if owner == self._owner:
                    try:
                        return _decoder.decode(body)
                    except msgspec.DecodeError:
                        return None  # written by another version
        return None

    def decoder(self, outgoing: Outgoing) -> StreamDecoder:  # type: ignore[explicit-override] # as above
        """See `Plan.decoder`."""
        return _KeepingDecoder(super().decoder(outgoing), self._keep)

    def events(self, body: bytes, outgoing: Outgoing) -> list[Event]:  # type: ignore[explicit-override] # as above
        """See `Plan.events`."""
        events = super().events(body, outgoing)
        _Heard(self._keep).take(events)
        return events

    def _keep(self, blocks: Iterable[Block]) -> None:
        self._vault.keep(self, self._owner, blocks)


def owner_of(sending: Sending) -> str:
    """Return a hash that names a model at an account; of no use to whoever reads it."""
    lease, target = sending.lease, sending.target
    parts = [target.provider, target.model, lease.account, *lease.secrets[: lease.account == _STABLE]]
    parts += [lease.headers.get(name, "") for name in _ACCOUNT_HEADERS]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


class _Heard:
    """Listens to an answer, and tells its blocks once it is complete."""

    __slots__ = ("_folder", "_keep")

    def __init__(self, keep: Callable[[Iterable[Block]], None]) -> None:
        self._folder = Folder()
        self._keep = keep

    def take(self, events: Iterable[Event]) -> None:
        for event in events:
            if type(event) is Failure:
                return
            self._folder.feed(event)
            if type(event) is Finish:
                self._keep(self._folder.message().blocks)


class _KeepingDecoder:
    """Implements `StreamDecoder` around another."""

    def __init__(self, decoder: StreamDecoder, keep: Callable[[Iterable[Block]], None]) -> None:
        self._decoder = decoder
        self._heard = _Heard(keep)

    @property
    def done(self) -> bool:
        """See `StreamDecoder.done`."""
        return self._decoder.done

    @done.setter
    def done(self, value: bool) -> None:
        self._decoder.done = value

    def feed(self, chunk: bytes) -> list[Event]:
        """See `StreamDecoder.feed`."""
        events = self._decoder.feed(chunk)
        self._heard.take(events)
        return events

    def close(self) -> list[Event]:
        """See `StreamDecoder.close`."""
        events = self._decoder.close()
        self._heard.take(events)
        return events


def _heed(future: asyncio.Future[None]) -> None:
    """Take note of how keeping ended; a store that fails has said so on the console."""
    if (
        not future.cancelled()
        and (error := future.exception()) is not None
        and not isinstance(error, GatewayError)
    ):
        raise error
