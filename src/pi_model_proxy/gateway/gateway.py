"""The gateway as an object without a port: models listed, requests answered.

The life of a request, in order: peek → loop? → resolve → plan → lease → open → first event
(the commit point) → the rest → the ledger entry is complete.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence

import msgspec

from pi_model_proxy.catalog import cost_of
from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.table import DIALECTS
from pi_model_proxy.errors import GatewayError, LoopDetected, UpstreamError, UpstreamTimeout
from pi_model_proxy.gateway.answer import (
    PING_AFTER_S,
    Pacing,
    Stream,
    is_stream,
    plain_answer,
    stream_pipe,
    whole_as_stream,
)
from pi_model_proxy.gateway.attempts import Attempts, Opened, read_all
from pi_model_proxy.gateway.caller import Call, Caller
from pi_model_proxy.gateway.counting import count_tokens
from pi_model_proxy.gateway.headers import DROPPED_HEADER, MAX_HOPS, dropped_value, hop_chain, passed_back
from pi_model_proxy.gateway.ids import IdSource
from pi_model_proxy.gateway.listing import Listing, revision_of
from pi_model_proxy.gateway.plan import Plan
from pi_model_proxy.gateway.redact import Redactor
from pi_model_proxy.gateway.settings import AnswerSettings
from pi_model_proxy.ledger import Entry, Recorder
from pi_model_proxy.sources import ModelSource
from pi_model_proxy.transport import Deadlines, UpstreamTransport

__all__ = ["Gateway"]


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
    ) -> None:
        self.sources = tuple(sources)
        self.recorder = recorder
        self.own_addresses: Collection[tuple[str, int]] = ()
        """(host, port) pairs this gateway listens on; models that point there are not served."""
        self.ids = IdSource()
        self.instance = self.ids.hex(8)
        """Marks requests that have been through here."""
        self._settings = settings
        self._transport = transport
        self._attempts = Attempts(transport, recorder, self.instance, self.redact)
        self._ping_s = ping_s
        self._listing: Listing | None = None
        self._redactor: tuple[Redactor, tuple[str, ...]] = (Redactor(), ())

    def listing(self) -> Listing:
        """Return the models that can be named right now."""
        own = tuple(self.own_addresses)
        if self._listing is None or self._listing.revision != revision_of(self.sources, own):
            self._listing = Listing(self.sources, own)
        return self._listing

    def redact(self, text: str) -> str:
        """Return `text` without any secret that a source holds."""
        known = tuple(secret for source in self.sources for secret in source.secrets())
        if known != self._redactor[1]:
            self._redactor = (Redactor(known), known)
        return self._redactor[0].clean(text)

    async def answer(self, dialect: str, call: Call, caller: Caller, entry: Entry) -> None:
        """Answer one generation request; `entry` is filled in as facts become known.

        Raises:
            GatewayError: nothing of an answer has been sent; the caller gets a status.
        """
        plan = self._plan(dialect, call, entry)
        settings = self._settings()
        timeout_s = settings.request_timeout_ms / 1000
        total_s = settings.total_timeout_ms / 1000
        deadlines = Deadlines(connect_s=settings.connect_timeout_ms / 1000, headers_s=timeout_s)
        if plan.peek.stream:
            until = time.monotonic() + total_s if total_s else None
            pacing = Pacing(silence_s=timeout_s, total_until_s=until, ping_s=self._ping_s)
            await self._stream(plan, caller, entry, deadlines, pacing)
            return
        limit_s = min(timeout_s, total_s) if total_s else timeout_s
        try:
            async with asyncio.timeout(limit_s):
                await self._plain(plan, caller, entry, deadlines)
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"The answer was not complete within {limit_s:g} s (requestTimeoutMs); stream it, or raise the limit.",
                proxy_error="http_response_timeout",
            ) from error

    async def count_tokens(self, call: Call, entry: Entry) -> bytes:
        """Return the answer to a Messages count_tokens request.

        Raises:
            GatewayError: the request is wrong or its model unknown.
        """
        plan = self._plan("anthropic_messages", call, entry)
        settings = self._settings()
        deadlines = Deadlines(
            connect_s=settings.connect_timeout_ms / 1000, headers_s=settings.request_timeout_ms / 1000
        )
        return await count_tokens(plan, self._attempts, entry, deadlines)

    def _plan(self, dialect: str, call: Call, entry: Entry) -> Plan:
        row = DIALECTS[dialect]
        if row.server is None:
            raise LookupError(dialect)
        entry.dialect = dialect
        peek = row.server.peek(call.body)
        entry.stream, entry.model_asked = peek.stream, (peek.model or "")[:200]
        self._refuse_loop(call)
        settings = self._settings()
        choice = self.listing().directory.resolve(
            peek.model, aliases=settings.aliases, default=settings.default_model
        )
        entry.model, entry.provider = choice.entry.ref, choice.entry.offer.model.provider
        client = choice.entry.client()
        target = msgspec.structs.replace(
            choice.entry.target,
            public_model=peek.model or choice.entry.ref,
            level=choice.level,
            auto_cache=settings.prompt_cache == "auto",
            strict=call.strict,
        )
        return Plan(call=call, peek=peek, dialect=row, entry=choice.entry, client=client, target=target)

    def _refuse_loop(self, call: Call) -> None:
        chain = hop_chain(call.headers)
        if self.instance in chain or len(chain) >= MAX_HOPS:
            shown = " → ".join((*chain, self.instance))
            raise LoopDetected(
                f"The request has been through this gateway already ({shown}); "
                "a provider in models.json leads back here. Correct its baseUrl."
            )

    async def _stream(
        self, plan: Plan, caller: Caller, entry: Entry, deadlines: Deadlines, pacing: Pacing
    ) -> None:
        opened = await self._attempts.open(plan, entry, deadlines)
        context = self._context(plan, opened)
        headers = self._headers(plan, opened, entry) | {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",
        }
        facts = Facts()
        try:
            if not is_stream(opened.response):
                async with asyncio.timeout(pacing.silence_s):
                    whole = await read_all(opened.response)
                body, facts = whole_as_stream(plan, opened, whole, context)
                if facts.failure is not None:
                    raise facts.failure
                entry.status = 200
                await caller.start(200, headers)
                await caller.write(body, last=True)
                return
            pipe = stream_pipe(plan, opened, context)
            facts = pipe.facts
            stream = Stream(pipe, caller, headers, pacing, redact=self._redact_error)
            try:
                error = await stream.run(opened.response)
            finally:
                if stream.began_s is not None:
                    entry.status = 200
                    entry.first_byte_ms = (stream.began_s - plan.call.arrived_s) * 1000
            if error is not None:
                self.note_error(entry, error)
        finally:
            opened.response.abort() if not facts.done else opened.response.release()
            self._account(plan, entry, facts)

    async def _plain(self, plan: Plan, caller: Caller, entry: Entry, deadlines: Deadlines) -> None:
        opened = await self._attempts.open(plan, entry, deadlines)
        try:
            body, facts = await plain_answer(plan, opened, self._context(plan, opened))
        except BaseException:
            opened.response.abort()
            raise
        self._account(plan, entry, facts)
        entry.status = 200
        headers = self._headers(plan, opened, entry)
        headers |= {"content-type": "application/json", "content-length": str(len(body))}
        entry.first_byte_ms = (time.monotonic() - plan.call.arrived_s) * 1000
        await caller.start(200, headers)
        await caller.write(body, last=True)

    def _context(self, plan: Plan, opened: Opened) -> AnswerContext:
        return AnswerContext(
            model=plan.target.public_model,
            answer_id=self.ids.hex(12),
            created=int(time.time()),
            wants_usage=plan.peek.wants_usage,
            shows_reasoning=plan.relays or plan.server.shows_reasoning(plan.decoded()),
            names=opened.outgoing.names,
            target=plan.target,
        )

    def _headers(self, plan: Plan, opened: Opened, entry: Entry) -> dict[str, str]:
        headers = self._without_secrets(
            passed_back(opened.response.headers, upstream=plan.client.dialect, caller=plan.dialect.name)
        )
        if opened.outgoing.dropped:
            entry.dropped = opened.outgoing.dropped
            headers[DROPPED_HEADER] = dropped_value(opened.outgoing.dropped)
        return headers

    def _account(self, plan: Plan, entry: Entry, facts: Facts) -> None:
        entry.usage = facts.usage
        entry.finish = facts.finish.reason if facts.finish else ""
        if facts.usage is not None:
            usage = facts.usage
            entry.cost = cost_of(
                plan.entry.offer.model.cost,
                input_tokens=usage.input,
                output_tokens=usage.output,
                cache_read_tokens=usage.cache_read,
                cache_write_tokens=usage.cache_write,
                cache_write_1h_tokens=usage.cache_write_1h,
            ).total

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
        entry.error = error.message
        entry.error_kind = error.proxy_error
        entry.ended_by = _ENDED_BY.get(error.proxy_error, "upstream" if error.status >= 500 else "server")  # noqa: PLR2004 - HTTP's server errors


_ENDED_BY = {
    "http_response_timeout": "timeout",
    "connection_timeout": "timeout",
}
