"""Counting a request's input: the upstream's own count where it has one, else an estimate."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.dialects import anthropic_messages, google_gemini, openai_responses
from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.estimate import estimate_input_tokens
from pi_model_proxy.errors import CredentialError, UpstreamError
from pi_model_proxy.gateway.attempts import Attempts, read_all
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.gateway.timelimit import TimeLimit
from pi_model_proxy.gateway.way import Sending, Ways
from pi_model_proxy.hub import Target
from pi_model_proxy.ledger import Entry

__all__ = ["Ask", "ask_further", "count_tokens"]


Ask = Callable[[bytes, Target, Mapping[str, str]], Outgoing]
"""Writes a request from a caller's body, for a target, under the caller's headers."""


class _Counting(msgspec.Struct, frozen=True):
    """What a dialect with requests for a count has beside its halves."""

    ask: Ask
    read: Callable[[bytes], int | None]
    write: Callable[[int], bytes]
    suits: Callable[[Target], bool] = lambda _: True
    """Whether a provider may have such requests; those that have none are tried once a request."""


_COUNTING: Final = {
    "anthropic_messages": _Counting(
        anthropic_messages.RELAY.encode_count,
        anthropic_messages.decode_count,
        anthropic_messages.encode_count,
    ),
    "google_gemini": _Counting(
        google_gemini.RELAY.encode_count, google_gemini.decode_count, google_gemini.encode_count
    ),
    "openai_responses": _Counting(
        openai_responses.encode_count,
        openai_responses.decode_count,
        openai_responses.write_count,
        openai_responses.keeps_responses,
    ),
}


class FurtherPlan(Plan):
    """A plan whose request asks for something else than an answer (a count, say), in the provider's own format."""

    __slots__ = ("_ask",)

    def __init__(self, plan: Plan, ask: Ask) -> None:
        super().__init__(plan.call, plan.peek, plan.way)
        self._ask = ask

    def encode(self, sending: Sending) -> Outgoing:  # type: ignore[explicit-override] # typing.override came with 3.12
        """Return that request."""
        self.target = sending.target
        return self._ask(self.call.body, sending.target, self.call.headers)


async def ask_further(plan: Plan, ask: Ask, attempts: Attempts, entry: Entry, ways: Ways) -> bytes:
    """Return the whole answer to a further request.

    Raises:
        GatewayError: there is none.
        TimeoutError: it was not complete in time.
    """
    opened = await attempts.open(FurtherPlan(plan, ask), entry, ways.deadlines)
    with TimeLimit(ways.whole_s):
        return await read_all(opened.response)


async def count_tokens(plan: Plan, attempts: Attempts, entry: Entry, ways: Ways) -> bytes:
    """Return the answer's body.

    Raises:
        BadRequest: the request is not one.
    """
    dialect = _COUNTING[plan.way.server.dialect]
    request = plan.way.server.decode_request(plan.call.body)
    if plan.relay is not None and dialect.suits(plan.target):
        try:
            body = await ask_further(plan, dialect.ask, attempts, entry, ways)
            if (count := dialect.read(body)) is not None:
                return dialect.write(count)
        except (UpstreamError, CredentialError, TimeoutError):
            # Many compatible servers have no such endpoint; a count must not fail for that.
            entry.dropped = ("count_tokens (estimated)",)
    return dialect.write(estimate_input_tokens(request))
