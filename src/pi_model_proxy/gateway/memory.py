"""Responses that go on from earlier ones, around `Gateway.answer`.

What came before is written into the request; what comes of it is kept before the caller hears its end.
OpenAI keeps responses itself, and then ids are between caller and provider. For every other model the gateway keeps
them, in its own store. An id that is not kept here goes through as it came: the provider may know it, and where it
cannot, the request is refused, never answered as if it were the whole conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects.openai_responses import (
    Continued,
    State,
    continued,
    id_of,
    keeps_responses,
    prefix_for,
    read_state,
)
from pi_model_proxy.errors import BadRequest, GatewayError, StorageFailed
from pi_model_proxy.gateway.attempts import LARGE_BODY_BYTES
from pi_model_proxy.gateway.caller import Call, Caller
from pi_model_proxy.gateway.gateway import Gateway
from pi_model_proxy.gateway.ids import IdSource
from pi_model_proxy.gateway.memory_caller import KeepingCaller
from pi_model_proxy.gateway.memory_paths import InputPaths
from pi_model_proxy.ledger import Entry
from pi_model_proxy.storage import Item, KeptResponse, ResponseStore

__all__ = ["DIALECT", "Memory", "Past", "items_of", "unknown_past"]

DIALECT: Final = "openai_responses"


class Past(msgspec.Struct, frozen=True):
    """What a request goes on from, as far as it is kept here."""

    earlier: tuple[bytes, ...] = ()
    """Items before its own."""
    items: Mapping[str, bytes] = {}
    """Items it names, by id."""

    @property
    def size(self) -> int:
        """Bytes."""
        return sum(map(len, self.earlier)) + sum(map(len, self.items.values()))


class Memory:
    """Answers requests of the Responses dialect."""

    def __init__(self, gateway: Gateway, store: ResponseStore, max_bytes: Callable[[], int]) -> None:
        """`max_bytes` tells how long a request may be, its past included."""
        self.store = store
        self._gateway = gateway
        self._max_bytes = max_bytes

    async def answer(self, call: Call, caller: Caller, entry: Entry) -> None:
        """Answer one request, see `Gateway.answer`.

        Raises:
            GatewayError: nothing of an answer has been sent.
        """
        entry.dialect = DIALECT
        state = read_state(call.body)
        wants_kept = state.stores and self.store.keeps and not state.background
        if not (wants_kept or state.is_needed):
            await self._gateway.answer(DIALECT, call, caller, entry)
            return
        past = await self.past(state)
        if past is None or not (state.is_needed or self._is_kept_by_us(state, call)):
            await self._gateway.answer(DIALECT, call, caller, entry)
            return
        request = await self.rewritten(call.body, past)
        paths = InputPaths(len(past.earlier))
        keeping = self._keeping(caller, state, request, paths, keeps=wants_kept)
        await self._answer(msgspec.structs.replace(call, body=request.body), keeping, entry, paths)

    async def count(self, call: Call, entry: Entry) -> bytes:
        """Return the answer to a request for a count of input tokens, see `Gateway.count_tokens`.

        Raises:
            GatewayError: the request is wrong or its model unknown.
        """
        entry.dialect = DIALECT
        state = read_state(call.body)
        past = await self.past(state)
        if past is not None and state.is_needed:
            call = msgspec.structs.replace(call, body=(await self.rewritten(call.body, past)).body)
        return await self._gateway.count_tokens(DIALECT, call, entry)

    async def past(self, state: State) -> Past | None:
        """Return what a request goes on from; None when some of it is not kept here.

        Raises:
            BadRequest: it names two pasts.
        """
        if state.previous_response_id and state.conversation_id:
            raise BadRequest(
                "previous_response_id: cannot stand beside `conversation`; leave one out.",
                param="previous_response_id",
            )
        if not state.is_needed:
            return Past()
        try:
            earlier: list[Item] | None = []
            if state.previous_response_id:
                earlier = await self.store.history(state.previous_response_id)
            elif state.conversation_id:
                earlier = await self.store.conversation_items(state.conversation_id)
            items = await self.store.items(state.references) if state.references else {}
        except StorageFailed:
            return None  # told on the console; to this request it is as if nothing were kept
        if earlier is None or len(items) < len(set(state.references)):
            return None
        return Past(tuple(item.body for item in earlier), items)

    async def rewritten(self, body: bytes, past: Past) -> Continued:
        """Return the request with its past written into it.

        Raises:
            BadRequest: it is longer than a request may be, or names a JSON path.
        """
        size = len(body) + past.size
        if size > self._max_bytes():
            raise BadRequest(
                f"previous_response_id: the whole conversation has {size} bytes, more than maxBodyBytes allows; "
                "begin a new one, or compact it with POST /v1/responses/compact.",
                param="previous_response_id",
            )
        if size > LARGE_BODY_BYTES:
            return await asyncio.to_thread(continued, body, past.earlier, past.items)
        return continued(body, past.earlier, past.items)

    def _is_kept_by_us(self, state: State, call: Call) -> bool:
        """Tell whether an answer with no past of ours is to be kept here rather than by its provider."""
        try:
            return not keeps_responses(self._gateway.target(DIALECT, state.model, strict=call.strict))
        except GatewayError:
            return False  # the model is unknown, which `Gateway.answer` says best

    def _keeping(
        self, caller: Caller, state: State, request: Continued, paths: InputPaths, *, keeps: bool
    ) -> KeepingCaller:
        ids = self._gateway.ids
        response_id = f"resp_{ids.hex(24)}"

        def keep(body: bytes, output: list[bytes]) -> asyncio.Future[None]:
            return self.store.keep(
                KeptResponse(
                    id=response_id,
                    previous=state.previous_response_id,
                    conversation=state.conversation_id,
                    body=body,
                    input=items_of(request.own, ids),
                    output=items_of(output, ids),
                )
            )

        return KeepingCaller(caller, state, response_id, keep if keeps else None, paths)

    async def _answer(self, call: Call, caller: KeepingCaller, entry: Entry, paths: InputPaths) -> None:
        try:
            await self._gateway.answer(DIALECT, call, caller, entry)
        except GatewayError as error:
            paths.mend(error)
            raise
        finally:
            entry.dropped = tuple(map(paths.own, entry.dropped))
        await caller.settled()


def unknown_past() -> BadRequest:
    """Return the refusal of a request that goes on from what is not kept here, where no provider keeps it either."""
    error = BadRequest(
        "previous_response_id: what this goes on from is not known here; send the whole conversation as `input`.",
        param="previous_response_id",
    )
    error.code = "previous_response_not_found"
    return error


def items_of(items: tuple[bytes, ...] | list[bytes], ids: IdSource) -> tuple[Item, ...]:
    """Return items under their own ids, or under new ones."""
    return tuple(Item(id_of(item) or f"{prefix_for(item)}{ids.hex(16)}", item) for item in items)
