"""A conversation made short: by the provider where it can, else by the model, which sums it up."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pi_model_proxy.dialects.openai_responses import (
    compacted,
    encode_compaction,
    is_of_user,
    keeps_responses,
    listed_item,
    read_state,
    summary_request,
)
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.gateway.caller import Call
from pi_model_proxy.gateway.gateway import Gateway
from pi_model_proxy.gateway.memory import DIALECT, Memory, items_of, unknown_past
from pi_model_proxy.ledger import Entry

__all__ = ["Listener", "compact"]


class Listener:
    """Implements `Caller` for a request of our own, whose answer is whole."""

    congested = False

    def __init__(self) -> None:
        self.body = b""

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """See `Caller.start`."""

    def write(self, data: bytes, *, last: bool = False) -> None:
        """See `Caller.write`."""
        del last
        self.body += data

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """See `Caller.answer`."""
        del status, headers
        self.body = body

    async def drain(self) -> None:
        """See `Caller.drain`."""


async def compact(memory: Memory, gateway: Gateway, call: Call, entry: Entry) -> bytes:
    """Return the answer to `POST /v1/responses/compact`.

    Raises:
        GatewayError: the conversation is not known, or the model gave no summary.
    """
    entry.dialect = DIALECT
    state = read_state(call.body)
    past = await memory.past(state)
    if keeps_responses(gateway.target(DIALECT, state.model, strict=call.strict)):
        if past is not None and state.is_needed:
            call = msgspec.structs.replace(call, body=(await memory.rewritten(call.body, past)).body)
        return await gateway.ask(DIALECT, call, entry, encode_compaction)
    if past is None:
        raise unknown_past()
    request = await memory.rewritten(call.body, past)
    items = (*past.earlier, *request.own)
    asked = msgspec.structs.replace(call, body=summary_request(call.body, items))
    listener = Listener()
    await gateway.answer(DIALECT, asked, listener, entry)
    ids = gateway.ids
    messages = [listed_item(each.id, each.body) for each in items_of(items, ids) if is_of_user(each.body)]
    try:
        return compacted(listener.body, messages, (f"resp_{ids.hex(24)}", f"cmp_{ids.hex(16)}"))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BrokenStream(f"The summary cannot be read ({error}); try again.") from error
