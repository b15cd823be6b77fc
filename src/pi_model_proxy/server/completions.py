"""`POST /v1/completions`: one prompt goes to the gateway as it is, several go one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from pi_model_proxy.dialects import openai_completions as completions
from pi_model_proxy.dialects.openai_errors import error_words
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.gateway import Call
from pi_model_proxy.ledger import Entry
from pi_model_proxy.server.exchange import Exchange
from pi_model_proxy.server.state import ServerState
from pi_model_proxy.wire import ascii_json, encode_frame

__all__ = ["answer_completions"]

_DIALECT: Final = completions.DIALECT
_STREAM: Final = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
_COUNTED: Final = (
    "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cost_usd",
)  # fmt: skip


class _Collected:
    """Implements `Caller` for one of several answers: keeps it."""

    congested = False

    def __init__(self) -> None:
        self.body = b""
        self.headers: Mapping[str, str] = {}

    def start(self, status: int, headers: Mapping[str, str]) -> None:
        """See `Caller.start`."""
        del status
        self.headers = headers

    def write(self, data: bytes, *, last: bool = False) -> None:
        """See `Caller.write`."""
        del last
        self.body += data

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """See `Caller.answer`."""
        self.start(status, headers)
        self.body = body

    async def drain(self) -> None:
        """See `Caller.drain`: there is room."""


async def answer_completions(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer the request.

    Raises:
        GatewayError: nothing of an answer has been sent; the caller gets a status.
    """
    prompts = completions.several_prompts(call.body)
    if prompts is None:
        await state.gateway.answer(_DIALECT, call, exchange, exchange.entry)
        return
    peek = completions.SERVER.peek(call.body)
    asking = _Asking(state, call, exchange.entry)
    if not peek.stream:
        for prompt in prompts:
            await asking.ask(prompt)
        exchange.answer(200, completions.join_answers(asking.answers), asking.headers)
        return
    try:
        for index, prompt in enumerate(prompts):
            answer = await asking.ask(prompt)
            if index == 0:
                exchange.start(200, {**asking.headers, **_STREAM})
            exchange.write(completions.choice_frames(answer, index))
            await exchange.drain()
    except GatewayError as error:
        if not asking.answers:
            raise
        state.gateway.note_error(exchange.entry, error)
        exchange.write(encode_frame(ascii_json({"error": error_words(error)})), last=True)
        return
    exchange.entry.stream = True
    counts = completions.usage_frame(asking.answers) if peek.wants_usage else b""
    exchange.write(counts + completions.DONE_FRAME, last=True)


class _Asking:
    """Asks for one prompt after the other under one line of the log, whose counts are those of all."""

    def __init__(self, state: ServerState, call: Call, entry: Entry) -> None:
        self.answers: list[bytes] = []
        self.headers: Mapping[str, str] = {}
        self._state = state
        self._call = call
        self._entry = entry

    async def ask(self, prompt: str) -> bytes:
        entry, collected = self._entry, _Collected()
        before = _counts(entry)
        one = msgspec.structs.replace(self._call, body=completions.one_prompt(self._call.body, prompt))
        await self._state.gateway.answer(_DIALECT, one, collected, entry)
        for name, earlier, now in zip(_COUNTED, before, _counts(entry), strict=True):
            if earlier is not None and now is not None and self.answers:
                setattr(entry, name, earlier + now)
        self.answers.append(collected.body)
        self.headers = collected.headers
        return collected.body


def _counts(entry: Entry) -> Sequence[float | None]:
    return [getattr(entry, name) for name in _COUNTED]
