"""The gateway as an object without a port: models listed, requests answered.

The life of a request, in order: peek → loop? → resolve → plan → lease → open → first event
(the commit point) → the rest → the ledger entry is complete.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

import msgspec

from pi_model_proxy.catalog import cost_of
from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.table import DIALECTS
from pi_model_proxy.errors import GatewayError, LoopDetected, UpstreamError, UpstreamTimeout
from pi_model_proxy.gateway.answer import (
    answer_at_once,
    is_stream,
    plain_answer,
    stream_pipe,
    whole_as_stream,
)
from pi_model_proxy.gateway.attempts import Attempts, Opened, read_all
from pi_model_proxy.gateway.caller import Call, Caller
from pi_model_proxy.gateway.counting import Ask, ask_further, count_tokens
from pi_model_proxy.gateway.headers import (
    DROPPED_HEADER,
    HOP_HEADER,
    MAX_HOPS,
    dropped_value,
    hop_chain,
    passed_back,
)
from pi_model_proxy.gateway.ids import IdSource
from pi_model_proxy.gateway.listing import Entry as Listed
from pi_model_proxy.gateway.listing import Listing
from pi_model_proxy.gateway.passing import Listener, Passing
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.gateway.redact import Redactor
from pi_model_proxy.gateway.settings import AnswerSettings
from pi_model_proxy.gateway.stream import PING_AFTER_S, Pacing, Stream
from pi_model_proxy.gateway.timelimit import TimeLimit
from pi_model_proxy.gateway.vault import Vault
from pi_model_proxy.gateway.way import Ways
from pi_model_proxy.hub import Target
from pi_model_proxy.ledger import Entry, Recorder
from pi_model_proxy.sources import ModelSource
from pi_model_proxy.transport import UpstreamTransport
from pi_model_proxy.wire import SharedHeaders

__all__ = ["Gateway"]

_PLAIN_HEADERS: Final = SharedHeaders({"content-type": "application/json"})


class Gateway:
    """Serves every model of its sources in every dialect that has a server half."""

    def __init__(
        self,
        *,
        settings: Callable[[], AnswerSettings],
        sources: Sequence[ModelSource],
        transport: UpstreamTransport,
        recorder: Recorder,
        ping_s: float = PING_AFTER_S,
        instance: str | None = None,
    ) -> None:
        self.sources = tuple(sources)
        self.recorder = recorder
        self.own_addresses: Collection[tuple[str, int]] = ()
        """(host, port) pairs this gateway listens on; models that point there are not served."""
        self.vault: Vault | None = None
        """Keeps thinking's tokens for callers who do not; None where nothing is kept."""
        self.ids = IdSource()
        self.instance = instance or self.ids.hex(8)
        """Marks requests that have been through here."""
        self._settings = settings
        self._transport = transport
        self._attempts = Attempts(transport, recorder, self.redact)
        self._passing = Passing(self._attempts, self._without_secrets, hop=self.instance)
        self._ping_s = ping_s
        self._listing: Listing | None = None
        self._ways: Ways | None = None
        self._redactor: tuple[Redactor, tuple[str, ...]] = (Redactor(), ())

    def listing(self) -> Listing:
        """Return the models that can be named right now."""
        own = tuple(self.own_addresses)
        listing = self._listing
        if listing is None or not listing.is_current(own):
            listing = self._listing = Listing(self.sources, own)
        return listing

    def redact(self, text: str) -> str:
        """Return `text` without any secret that a source holds."""
        known = tuple(secret for source in self.sources for secret in source.secrets())
        if known != self._redactor[1]:
            self._redactor = (Redactor(known), known)
        return self._redactor[0].clean(text)

    async def answer(
        self, dialect: str, call: Call, caller: Caller, entry: Entry, *, model: str | None = None
    ) -> None:
        """Answer one generation request; `entry` is filled in as facts become known.

        `model` is its name where the dialect keeps it in the URL.

        Raises:
            GatewayError: nothing of an answer has been sent; the caller gets a status.
        """
        ways = self._current_ways()
        plan = self._plan(ways, dialect, call, entry, model)
        if plan.way.is_forgetful and plan.relay is None and self.vault is not None:
            plan = await self.vault.plan(plan)
        if plan.peek.stream:
            await self._stream(plan, caller, entry, ways)
            return
        try:
            with TimeLimit(ways.whole_s, ways.loop):
                opened = await self._attempts.open(plan, entry, ways.within_limit)
                try:
                    context = self._context(plan, opened)
                    answered = answer_at_once(plan, opened, context)
                    body, facts = await plain_answer(plan, opened, context) if answered is None else answered
                except BaseException:
                    opened.response.abort()
                    raise
        except TimeoutError as error:
            raise _not_complete(ways.whole_s) from error
        self._tell(plan, caller, entry, opened, body)
        self._account(plan, entry, facts)

    async def count_tokens(
        self, dialect: str, call: Call, entry: Entry, *, model: str | None = None
    ) -> bytes:
        """Return the answer to a request for a count, in a dialect that has such requests.

        Raises:
            GatewayError: the request is wrong or its model unknown.
        """
        ways = self._current_ways()
        plan = self._plan(ways, dialect, call, entry, model)
        return await count_tokens(plan, self._attempts, entry, ways)

    async def ask(self, dialect: str, call: Call, entry: Entry, ask: Ask) -> bytes:
        """Return what a model's provider answers to a further request of its own format, such as `ask` writes.

        Raises:
            GatewayError: it answers with an error, or not in time.
        """
        ways = self._current_ways()
        plan = self._plan(ways, dialect, call, entry, None)
        try:
            return await ask_further(plan, ask, self._attempts, entry, ways)
        except TimeoutError as error:
            raise _not_complete(ways.whole_s) from error

    def target(self, dialect: str, model: str | None, *, strict: bool = False) -> Target:
        """Return whom a caller of `dialect` means by `model`.

        Raises:
            GatewayError: nobody, or nobody who can be asked.
        """
        return self._current_ways().find(dialect, model, strict=strict, note=lambda _: None).target

    async def pass_on(self, path: str, call: Call, caller: Listener, entry: Entry) -> None:
        """Answer a request that no dialect translates with its provider's own bytes; see `passing`.

        Raises:
            GatewayError: nothing of an answer has been sent; the caller gets a status.
        """
        if HOP_HEADER in call.headers:
            self._refuse_loop(call)
        await self._passing.pass_on(path, call, caller, entry, self._current_ways())

    async def fetch(self, path: str, call: Call, entry: Entry, *, model: str | None, body: bytes) -> bytes:
        """Return what `model`'s provider answers at `path` to `body`, both JSON in OpenAI's words.

        Raises:
            GatewayError: it answers with an error, or not in time.
        """
        if HOP_HEADER in call.headers:
            self._refuse_loop(call)
        return await self._passing.fetch(path, call, entry, self._current_ways(), model=model, body=body)

    def _current_ways(self) -> Ways:
        listing, settings = self.listing(), self._settings()
        ways = self._ways
        if ways is None or ways.listing is not listing or ways.settings is not settings:
            ways = self._ways = Ways(listing, settings, self.instance)
        return ways

    def _plan(self, ways: Ways, dialect: str, call: Call, entry: Entry, model: str | None) -> Plan:
        server = DIALECTS[dialect].server
        if server is None:
            raise LookupError(dialect)
        entry.dialect = server.dialect
        peek = server.peek(call.body)
        if model is not None:
            peek = msgspec.structs.replace(peek, model=model)
        entry.stream = peek.stream
        if peek.model is not None:
            entry.model_asked = peek.model[:200] or None
        if HOP_HEADER in call.headers:
            self._refuse_loop(call)

        def note(listed: Listed) -> None:
            entry.model, entry.provider = listed.ref, listed.offer.model.provider

        way = ways.find(dialect, peek.model, strict=call.strict, note=note)
        entry.model, entry.provider = way.ref, way.provider
        return Plan(call, peek, way)

    def _refuse_loop(self, call: Call) -> None:
        chain = hop_chain(call.headers)
        if self.instance in chain or len(chain) >= MAX_HOPS:
            shown = " → ".join((*chain, self.instance))
            raise LoopDetected(
                f"The request has been through this gateway already ({shown}); "
                "a provider in models.json leads back here. Correct its baseUrl."
            )

    async def _stream(self, plan: Plan, caller: Caller, entry: Entry, ways: Ways) -> None:
        loop = ways.loop
        pacing = Pacing(
            silence_s=ways.silence_s,
            total_until_s=loop.time() + ways.total_s if ways.total_s else None,
            ping_s=self._ping_s,
        )
        opened = await self._attempts.open(plan, entry, ways.deadlines)
        context = self._context(plan, opened)
        headers = self._headers(plan, opened, entry, plan.way.stream_headers)
        facts = Facts()
        try:
            if not is_stream(opened.response):
                body, facts = await self._whole(plan, opened, context, ways.whole_s)
                entry.status = 200
                caller.start(200, headers)
                caller.write(body, last=True)
                return
            pipe = stream_pipe(plan, opened, context)
            facts = pipe.facts
            stream = Stream(pipe, caller, headers, pacing, redact=self._redact_error)
            try:
                error = await stream.run(opened.response)
            finally:
                if stream.began_s is not None:
                    entry.status = 200
                    entry.first_byte_ms = round((stream.began_s - plan.call.arrived_s) * 1000, 1)
            if error is not None:
                self.note_error(entry, error)
        finally:
            opened.response.abort() if not facts.done else opened.response.release()
            self._account(plan, entry, facts)

    async def _whole(
        self, plan: Plan, opened: Opened, context: AnswerContext, limit_s: float
    ) -> tuple[bytes, Facts]:
        """Return as a stream an answer that came whole although a stream was asked for."""
        try:
            with TimeLimit(limit_s):
                whole = await read_all(opened.response)
        except TimeoutError as error:
            raise _not_complete(limit_s) from error
        body, facts = whole_as_stream(plan, opened, whole, context)
        if facts.failure is not None:
            raise facts.failure
        return body, facts

    def _tell(self, plan: Plan, caller: Caller, entry: Entry, opened: Opened, body: bytes) -> None:
        entry.status = 200
        entry.first_byte_ms = round((time.monotonic() - plan.call.arrived_s) * 1000, 1)
        caller.answer(200, body, self._headers(plan, opened, entry, _PLAIN_HEADERS))

    def _context(self, plan: Plan, opened: Opened) -> AnswerContext:
        return AnswerContext(
            model=plan.target.public_model,
            answer_id=self.ids.hex(12),
            created=int(time.time()),
            wants_usage=plan.peek.wants_usage,
            shows_reasoning=plan.relay is not None or plan.way.server.shows_reasoning(plan.decoded()),
            legacy_functions=plan.relay is None and plan.decoded().legacy_functions,
            body=plan.call.body,
            clock=time.time,
            ticks=time.monotonic,
            arrived_s=plan.call.arrived_s,
            names=opened.outgoing.names,
            target=plan.target,
        )

    def _headers(
        self, plan: Plan, opened: Opened, entry: Entry, always: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Return what the caller is told in headers: the upstream's limits, what was dropped, and `always`."""
        way = plan.way
        passed = passed_back(opened.response.headers, upstream=way.client.dialect, caller=way.server.dialect)
        dropped = opened.outgoing.dropped
        if not passed and not dropped:
            return always
        headers = self._without_secrets(passed)
        if dropped:
            entry.dropped = dropped
            headers[DROPPED_HEADER] = dropped_value(dropped)
        headers.update(always)
        return headers

    def _account(self, plan: Plan, entry: Entry, facts: Facts) -> None:
        if facts.finish is not None:
            entry.finish = facts.finish.reason
        usage = facts.usage
        entry.count(usage)
        if usage is not None:
            cost = cost_of(
                plan.way.price,
                usage.input,
                usage.output,
                cache_read_tokens=usage.cache_read,
                cache_write_5m_tokens=usage.cache_write_5m,
                cache_write_1h_tokens=usage.cache_write_1h,
            )
            entry.cost_usd = round(cost, 8)

    def _redact_error(self, error: GatewayError) -> None:
        """Take live secrets out of everything of `error` that a caller or the log is told."""
        error.message = self.redact(error.message)
        error.code = error.code and self.redact(error.code)
        error.param = error.param and self.redact(error.param)
        error.headers = self._without_secrets(error.headers)
        if isinstance(error, UpstreamError):
            error.native_type = error.native_type and self.redact(error.native_type)

    def _without_secrets(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Return `headers` without those whose value holds a live secret."""
        values = "\n".join(headers.values())
        if self.redact(values) == values:
            return dict(headers)
        return {name: value for name, value in headers.items() if self.redact(value) == value}

    def note_error(self, entry: Entry, error: GatewayError) -> None:
        """Remember in `entry` what the caller was told and whose fault it was."""
        self._redact_error(error)
        entry.error = error.message or None
        entry.error_kind = error.proxy_error or None
        entry.ended_by = _ENDED_BY.get(error.proxy_error, "upstream" if error.status >= 500 else "server")  # noqa: PLR2004 - HTTP's server errors


def _not_complete(limit_s: float) -> UpstreamTimeout:
    return UpstreamTimeout(
        f"The answer was not complete within {limit_s:g} s (requestTimeoutMs); stream it, or raise the limit.",
        proxy_error="http_response_timeout",
    )


_ENDED_BY = {
    "http_response_timeout": "timeout",
    "connection_timeout": "timeout",
}
