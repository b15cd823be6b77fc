"""Counting a request's input: the upstream's own count where it has one, else an estimate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects import anthropic_messages, google_gemini
from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.estimate import estimate_input_tokens
from pi_model_proxy.errors import CredentialError, UpstreamError
from pi_model_proxy.gateway.attempts import Attempts, read_all
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.gateway.timelimit import TimeLimit
from pi_model_proxy.gateway.way import Sending
from pi_model_proxy.hub import Target
from pi_model_proxy.ledger import Entry
from pi_model_proxy.transport import Deadlines

__all__ = ["count_tokens"]


class _Counting(msgspec.Struct, frozen=True):
    """What a dialect with requests for a count has beside its halves."""

    ask: Callable[[bytes, Target, Mapping[str, str]], Outgoing]
    read: Callable[[bytes], int | None]
    write: Callable[[int], bytes]


_COUNTING: Final = {
    "anthropic_messages": _Counting(
        anthropic_messages.RELAY.encode_count,
        anthropic_messages.decode_count,
        anthropic_messages.encode_count,
    ),
    "google_gemini": _Counting(
        google_gemini.RELAY.encode_count, google_gemini.decode_count, google_gemini.encode_count
    ),
}


class _CountPlan(Plan):
    """A plan whose request asks for a count instead of an answer."""

    __slots__ = ()

    def encode(self, sending: Sending) -> Outgoing:  # type: ignore[explicit-override] # typing.override came with 3.12
        """Return the count request."""
        self.target = sending.target
        return _COUNTING[self.way.server.dialect].ask(self.call.body, sending.target, self.call.headers)


async def count_tokens(plan: Plan, attempts: Attempts, entry: Entry, deadlines: Deadlines) -> bytes:
    """Return the answer's body.

    Raises:
        BadRequest: the request is not one.
    """
    dialect = _COUNTING[plan.way.server.dialect]
    request = plan.way.server.decode_request(plan.call.body)
    if plan.relay is not None:
        counting = _CountPlan(plan.call, plan.peek, plan.way)
        try:
            opened = await attempts.open(counting, entry, deadlines)
            with TimeLimit(deadlines.headers_s):
                body = await read_all(opened.response)
            if (count := dialect.read(body)) is not None:
                return dialect.write(count)
        except (UpstreamError, CredentialError, TimeoutError):
            # Many compatible servers have no such endpoint; a count must not fail for that.
            entry.dropped = ("count_tokens (estimated)",)
    return dialect.write(estimate_input_tokens(request))
