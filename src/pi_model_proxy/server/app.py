"""The ASGI application: every request past the door, to its handler, and into the log.

Order: host → origin → OPTIONS → key → route → method → rate limit → ready → type → body → handler.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any, Final

from pi_model_proxy.dialects.table import DIALECTS
from pi_model_proxy.errors import (
    BadRequest,
    GatewayError,
    MethodNotAllowed,
    NotFound,
    NotReady,
    TooManyRequests,
)
from pi_model_proxy.gateway import Call
from pi_model_proxy.server.door import (
    OPEN_PATHS,
    check_host,
    check_origin,
    check_type,
    require_key,
)
from pi_model_proxy.server.exchange import CLIENT_LEFT, Exchange, Receive, Scope, Send
from pi_model_proxy.server.models import is_anthropic
from pi_model_proxy.server.routes import Handler, Route, find_route
from pi_model_proxy.server.state import ServerState
from pi_model_proxy.sources import Problem

__all__ = ["App"]

WATCH_AFTER_S: Final = 0.03
"""When to begin to look whether the caller is still there; most answers are complete before."""
STRICT_HEADER: Final = "x-pi-model-proxy-strict"
ERROR_HEADER: Final = "x-pi-model-proxy-error"
_QUIET: Final = frozenset({"/health", "/livez", "/readyz", "/"})
"""Probes are not logged: they would fill the log with themselves."""
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9_, -]{1,2000}")


class App:
    """An ASGI application (HTTP and lifespan); mount it, or let `server.run` serve it."""

    def __init__(self, state: ServerState) -> None:
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one ASGI connection scope."""
        if scope["type"] == "http":
            await self._serve(Exchange(scope, receive, send, self.state.gateway.ids))
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        elif scope["type"] == "lifespan":
            await self._lifespan(receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return

    async def _serve(self, exchange: Exchange) -> None:
        state, entry = self.state, exchange.entry
        state.active += 1
        state.gateway.recorder.begin(entry)
        route: Route | None = None
        try:
            route = find_route(exchange.path)
            await self._admit(exchange, route)
        except GatewayError as error:
            await self._refuse(exchange, route, error)
        except asyncio.CancelledError:
            if exchange.left:
                entry.status = entry.status if exchange.started else CLIENT_LEFT
                entry.ended_by = "client"
                return
            if not exchange.started:
                exchange.extra["connection"] = "close"
                await self._refuse(
                    exchange, route, NotReady("The gateway is shutting down.", retry_after_s=1)
                )
            entry.ended_by = "shutdown"
            raise
        except Exception as error:  # noqa: BLE001 - a bug must cost one request, never the process
            await self._refuse(exchange, route, bug(error))
        finally:
            state.active -= 1
            self._settle(exchange)

    def _settle(self, exchange: Exchange) -> None:
        entry = exchange.entry
        entry.latency_ms = (time.monotonic() - exchange.arrived_s) * 1000
        if exchange.path in _QUIET or (exchange.method == "OPTIONS" and entry.status < 400):  # noqa: PLR2004 - HTTP's errors
            return
        self.state.answered += 1
        self.state.gateway.recorder.settle(entry)
        if self.state.settings().log_level == "debug":
            what = f"{entry.status} in {entry.latency_ms:.1f} ms"
            self.state.tell(
                Problem(
                    where=f"{entry.method} {entry.path}",
                    what=f"{what}, {entry.model or entry.error}",
                    severity="note",
                )
            )

    async def _admit(self, exchange: Exchange, route: Route | None) -> None:
        settings = self.state.settings()
        if exchange.repeated_host:
            exchange.extra["connection"] = "close"
            raise BadRequest("Host: sent more than once.")
        check_host(exchange.headers.get("host"), settings.allowed_hosts)
        if "origin" in exchange.headers or "sec-fetch-site" in exchange.headers:
            check_origin(exchange.headers, settings.allowed_origins)
        exchange.allowed_origins = settings.allowed_origins
        if exchange.method == "OPTIONS":
            await self._preflight(exchange, route)
            return
        is_open = exchange.path in OPEN_PATHS and exchange.method in {"GET", "HEAD"}
        if not is_open:
            require_key(exchange.headers, self.state.api_key())
        if route is None:
            raise NotFound(
                f"There is no endpoint {exchange.path[:100]!r}; see docs/endpoints.md or GET /v1/models."
            )
        handler = route.methods.get("GET" if exchange.method == "HEAD" else exchange.method)
        if handler is None:
            allow = ", ".join(sorted({*route.methods, "OPTIONS"}))
            raise MethodNotAllowed(
                f"{exchange.method[:20]} is not for this endpoint; use {allow}.", headers={"allow": allow}
            )
        if exchange.method == "POST":
            self._limit(settings.rate_limit)
        if route.needs_models and not self.state.ready:
            why = (
                "The gateway is shutting down."
                if self.state.draining
                else "The model catalogue is still being read."
            )
            raise NotReady(f"{why} Try again in a second.", retry_after_s=1)
        await self._handle(exchange, handler)

    def _limit(self, limit: int) -> None:
        wait_s = self.state.window.admit(limit, time.monotonic())
        if wait_s:
            raise TooManyRequests(
                f"The gateway's own limit of {limit} requests a minute (rateLimit) is used up; wait {wait_s:.0f} s.",
                retry_after_s=wait_s,
            )

    async def _handle(self, exchange: Exchange, handler: Handler) -> None:
        body = b""
        if exchange.method == "POST":
            if "upgrade" in exchange.headers and "upgrade" in exchange.headers.get("connection", "").lower():
                raise BadRequest(
                    "Upgrade: only HTTP/1.1 is spoken here; send the request without it "
                    "(Java's HttpClient: version(HTTP_1_1))."
                )
            check_type(exchange.headers.get("content-type"))
            body = await exchange.body(self.state.settings().max_body_bytes)
        call = Call(
            request_id=exchange.request_id,
            method=exchange.method,
            path=exchange.path,
            query=exchange.query,
            headers=exchange.headers,
            body=body,
            arrived_s=exchange.arrived_s,
            strict=self.state.settings().strict or exchange.headers.get(STRICT_HEADER, "") in {"1", "true"},
        )
        if exchange.method != "POST":
            await handler(self.state, call, exchange)
            return
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a request is always served by a task")
        watch = exchange.watch_after(WATCH_AFTER_S, task)
        try:
            await handler(self.state, call, exchange)
        finally:
            watch.end()

    async def _preflight(self, exchange: Exchange, route: Route | None) -> None:
        methods = ", ".join(sorted({*route.methods, "OPTIONS"})) if route else "GET, POST, OPTIONS"
        wanted = exchange.headers.get("access-control-request-headers", "")
        headers = {
            "allow": methods,
            "access-control-allow-methods": methods,
            "access-control-allow-headers": wanted
            if _HEADER_NAMES.fullmatch(wanted)
            else "authorization, content-type, x-api-key, anthropic-version, anthropic-beta",
            "access-control-max-age": "600",
        }
        if (
            exchange.headers.get("access-control-request-private-network") == "true"
            and "origin" in exchange.headers
        ):
            headers["access-control-allow-private-network"] = "true"
        await exchange.answer(204, b"", headers)

    async def _refuse(self, exchange: Exchange, route: Route | None, error: GatewayError) -> None:
        """Tell the caller in its own dialect, if that is still possible."""
        entry = exchange.entry
        self.state.gateway.note_error(entry, error)
        error.message = entry.error
        if exchange.left or exchange.started:
            entry.status = entry.status or CLIENT_LEFT
            if exchange.left:
                entry.ended_by = "client"
            elif not exchange.finished:
                await exchange.write(b"", last=True)
            return
        dialect = _dialect_for(exchange, route)
        server = DIALECTS[dialect].server
        if server is None:
            raise LookupError(dialect)
        answer = server.encode_error(error, exchange.request_id)
        headers: dict[str, Any] = {**error.headers, **answer.headers, "content-type": "application/json"}
        headers[ERROR_HEADER] = error.proxy_error
        await exchange.answer(answer.status, answer.body, headers)


def _dialect_for(exchange: Exchange, route: Route | None) -> str:
    if route is not None and route.dialect:
        dialect = route.dialect
    else:
        dialect = "anthropic_messages" if is_anthropic(exchange.headers) else "openai_chat"
    if dialect == "anthropic_messages":
        exchange.extra["request-id"] = exchange.request_id
    return dialect


def bug(error: Exception) -> GatewayError:
    """Return what a caller is told of an error that nobody foresaw; the console gets its kind and place."""
    place = ""
    trace = error.__traceback__
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename.rpartition('/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return GatewayError(f"The gateway failed with {type(error).__name__} at {place}; please report it.")
