"""Counting a Messages request's input: the upstream's own count where it has one, else an estimate."""

from __future__ import annotations

import asyncio

import msgspec

from pi_model_proxy.dialects import anthropic_messages
from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.estimate import estimate_input_tokens
from pi_model_proxy.errors import CredentialError, UpstreamError
from pi_model_proxy.gateway.attempts import Attempts, read_all
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.hub import Identity
from pi_model_proxy.ledger import Entry
from pi_model_proxy.transport import Deadlines

__all__ = ["count_tokens"]


class _CountPlan(Plan, kw_only=True):
    """A plan whose request asks for a count instead of an answer."""

    def encode(self, identity: Identity) -> Outgoing:  # type: ignore[explicit-override] # typing.override came with 3.12
        """Return the count request."""
        target = msgspec.structs.replace(self.target, identity=identity)
        return anthropic_messages.RELAY.encode_count(self.call.body, target, self.call.headers)


async def count_tokens(plan: Plan, attempts: Attempts, entry: Entry, deadlines: Deadlines) -> bytes:
    """Return the answer's body.

    Raises:
        BadRequest: the request is not one.
    """
    request = anthropic_messages.SERVER.decode_request(plan.call.body)
    if plan.relays:
        counting = _CountPlan(
            call=plan.call,
            peek=plan.peek,
            dialect=plan.dialect,
            entry=plan.entry,
            client=plan.client,
            target=plan.target,
        )
        try:
            opened = await attempts.open(counting, entry, deadlines)
            async with asyncio.timeout(deadlines.headers_s):
                body = await read_all(opened.response)
            if (count := anthropic_messages.decode_count(body)) is not None:
                return anthropic_messages.encode_count(count)
        except (UpstreamError, CredentialError, TimeoutError):
            # Many compatible servers have no such endpoint; a count must not fail for that.
            entry.dropped = ("count_tokens (estimated)",)
    return anthropic_messages.encode_count(estimate_input_tokens(request))
