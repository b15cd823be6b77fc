"""The application: every request past the door, to its handler, and into the log.

Order: host → origin → OPTIONS → key → route → method → rate limit → ready → type → body → handler.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any, Final

from pi_model_proxy.dialects.table import DIALECTS
from pi_model_proxy.errors import GatewayError, NotReady, TooManyRequests
from pi_model_proxy.gateway import Call
from pi_model_proxy.server.admission import Admission
from pi_model_proxy.server.exchange import CLIENT_LEFT, Exchange
from pi_model_proxy.server.line import Head, Line
from pi_model_proxy.server.models import is_anthropic, is_google
from pi_model_proxy.server.routes import find_route
from pi_model_proxy.server.state import ServerState
from pi_model_proxy.sources import Problem

__all__ = ["App"]

ERROR_HEADER: Final = "x-pi-model-proxy-error"
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9_, -]{1,2000}")
_FIRST_ERROR: Final = 400
_BEGINNINGS: Final = (
    ("/api/", "ollama"),
    ("/v1beta/", "google_gemini"),
    ("/v1alpha/", "google_gemini"),
    ("/v1/messages/", "anthropic_messages"),
    ("/messages/", "anthropic_messages"),
)
"""Whose paths only one sort of client writes, so that what is not there is told in its words."""


class App:
    """Serves one request after another, whatever carries them."""

    def __init__(self, state: ServerState) -> None:
        self.state = state

    async def serve(self, line: Line) -> None:
        """Answer one request; cancelled when its caller leaves, or when the process will wait no longer."""
        state, head = self.state, line.head
        admission, settings = head.prepared, state.settings()
        if type(admission) is not Admission or admission.settings is not settings:
            # The caller's last head was another one, or the settings were.
            admission = head.prepared = Admission(head, settings, find_route(head.path))
        exchange = Exchange(line, admission, state.gateway.ids)
        state.began()
        state.gateway.recorder.begin(exchange.entry)
        try:
            if admission.handler is None:
                admission.decide(head, state.api_key())
            if admission.handler is None:
                _preflight(exchange)
            elif head.method == "POST":
                self._admit(head, admission)
                limit = settings.max_body_bytes
                body = line.body_here(limit)
                if body is None:
                    body = await line.body(limit)
                await admission.handler(state, _call(exchange, body), exchange)
            else:
                self._require_ready(admission)
                await admission.handler(state, _call(exchange, b""), exchange)
        except GatewayError as error:
            self._refuse(exchange, error)
        except asyncio.CancelledError:
            self._cancelled(exchange)
            if not line.left:
                raise
        except Exception as error:  # noqa: BLE001 - a bug must cost one request, never the process
            self._refuse(exchange, bug(error))
        finally:
            state.active -= 1
            self._settle(exchange)

    def _admit(self, head: Head, admission: Admission) -> None:
        """Let a POST in whose body may now be read."""
        limit = admission.settings.rate_limit
        if limit:
            self._limit(limit)
        self._require_ready(admission)
        admission.require_json(head.headers)

    def _limit(self, limit: int) -> None:
        wait_s = self.state.window.admit(limit, time.monotonic())
        if wait_s:
            raise TooManyRequests(
                f"The gateway's own limit of {limit} requests a minute (rateLimit) is used up; wait {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )

    def _require_ready(self, admission: Admission) -> None:
        if self.state.ready or admission.route is None or not admission.route.needs_models:
            return
        why = (
            "The gateway is shutting down."
            if self.state.draining
            else "The model catalogue is still being read."
        )
        raise NotReady(f"{why} Try again in a second.", retry_after_s=1)

    def _cancelled(self, exchange: Exchange) -> None:
        entry, line = exchange.entry, exchange.line
        if line.left:
            entry.status = entry.status if line.started else CLIENT_LEFT
            entry.ended_by = "client"
            return
        if not line.started:
            exchange.extra["connection"] = "close"
            self._refuse(exchange, NotReady("The gateway is shutting down.", retry_after_s=1))
        entry.ended_by = "shutdown"

    def _settle(self, exchange: Exchange) -> None:
        entry, state = exchange.entry, self.state
        entry.latency_ms = round((time.monotonic() - exchange.arrived_s) * 1000, 1)
        admission = exchange.admission
        if admission.is_quiet and (entry.method != "OPTIONS" or entry.status < _FIRST_ERROR):
            return
        state.settled()
        state.gateway.recorder.settle(entry)
        if admission.settings.log_level == "debug":
            what = f"{entry.status} in {entry.latency_ms:.1f} ms"
            state.tell(
                Problem(
                    where=f"{entry.method} {entry.path}",
                    what=f"{what}, {entry.model or entry.error}",
                    severity="note",
                )
            )

    def _refuse(self, exchange: Exchange, error: GatewayError) -> None:
        """Tell the caller in its own dialect, if that is still possible."""
        entry, line = exchange.entry, exchange.line
        self.state.gateway.note_error(entry, error)
        error.message = entry.error or ""
        if line.left or line.started:
            entry.status = entry.status or CLIENT_LEFT
            if line.left:
                entry.ended_by = "client"
            elif not line.finished:
                line.write(b"", last=True)
            return
        server = DIALECTS[_dialect_for(exchange)].server
        if server is None:
            raise LookupError(exchange.admission.path)
        answer = server.encode_error(error, exchange.request_id)
        headers: dict[str, Any] = {**error.headers, **answer.headers, "content-type": "application/json"}
        headers[ERROR_HEADER] = error.proxy_error
        exchange.answer(answer.status, answer.body, headers)


def _call(exchange: Exchange, body: bytes) -> Call:
    head = exchange.line.head
    return Call(
        request_id=exchange.request_id,
        method=head.method,
        path=head.path,
        query=head.query,
        headers=head.headers,
        body=body,
        arrived_s=exchange.arrived_s,
        strict=exchange.admission.is_strict,
    )


def _preflight(exchange: Exchange) -> None:
    route, asked = exchange.admission.route, exchange.line.head.headers
    methods = ", ".join(sorted({*route.methods, "OPTIONS"})) if route else "GET, POST, OPTIONS"
    wanted = asked.get("access-control-request-headers", "")
    headers = {
        "allow": methods,
        "access-control-allow-methods": methods,
        "access-control-allow-headers": wanted
        if _HEADER_NAMES.fullmatch(wanted)
        else "authorization, content-type, x-api-key, anthropic-version, anthropic-beta",
        "access-control-max-age": "600",
    }
    if asked.get("access-control-request-private-network") == "true" and "origin" in asked:
        headers["access-control-allow-private-network"] = "true"
    exchange.answer(204, b"", headers)


def _dialect_for(exchange: Exchange) -> str:
    route = exchange.admission.route
    dialect = route.dialect if route is not None else ""
    dialect = dialect or _spoken(exchange.line.head)
    if dialect == "anthropic_messages":
        exchange.extra["request-id"] = exchange.request_id
    return dialect


def _spoken(head: Head) -> str:
    """Return the dialect that a caller's head tells, where the path is everyone's, or nobody's."""
    headers = head.headers
    for beginning, dialect in _BEGINNINGS:
        if head.path.startswith(beginning):
            return dialect
    if is_anthropic(headers):
        return "anthropic_messages"
    return "google_gemini" if is_google(headers) else "openai_chat"


def bug(error: Exception) -> GatewayError:
    """Return what a caller is told of an error that nobody foresaw; the console gets its kind and place."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return GatewayError(f"The gateway failed with {type(error).__name__} at {place}; please report it.")
