"""The transport to upstreams: one for the life of the server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from pi_model_proxy.errors import BrokenStream, UpstreamUnreachable
from pi_model_proxy.transport.http1 import faults
from pi_model_proxy.transport.http1.connection import Connection
from pi_model_proxy.transport.http1.dial import Trust, dial
from pi_model_proxy.transport.http1.pool import Pool
from pi_model_proxy.transport.http1.route import Prepared, Route, route_to
from pi_model_proxy.transport.proxies import ProxyTable
from pi_model_proxy.transport.upstream import Deadlines, UpstreamHead, UpstreamRequest, UpstreamResponse

__all__ = ["Http1Transport"]

MAX_STALE_RETRIES: Final = 8
"""So many pooled connections may turn out to be closed; then a new one is made."""
MAX_CONTROL_BYTES: Final = 1024 * 1024
CLOSING_TURNS: Final = 10
"""Turns of the event loop that `close` gives to connections that are being closed."""


class Http1Transport:
    """Implements `UpstreamTransport`: pooled HTTP/1.1, TLS verified, redirects never followed."""

    def __init__(self, environment: Mapping[str, str], *, ca_file: str | None = None) -> None:
        self._proxies = ProxyTable(environment)
        self._trust = Trust(ca_file)
        self._pool = Pool()
        self._connections: set[Connection] = set()
        self._is_closed = False

    async def open(self, request: UpstreamRequest, deadlines: Deadlines) -> UpstreamResponse:
        """See `UpstreamTransport.open`."""
        prepared = request.head.prepared
        if not isinstance(prepared, Prepared) or prepared.owner is not self:
            prepared = self._prepare(request.head)
        key = prepared.route.key
        for _ in range(MAX_STALE_RETRIES):
            pooled = self._pool.take(key)
            if pooled is None:
                break
            try:
                return await pooled.ask(prepared, request.body, deadlines.headers_s)
            except faults.Unanswered:
                # It was closed while it was idle: nobody has seen the request.
                continue
        connection = await self._dial(prepared.route, deadlines.connect_s)
        return await connection.ask(prepared, request.body, deadlines.headers_s)

    def _prepare(self, head: UpstreamHead) -> Prepared:
        try:
            proxy = self._proxies.proxy_for(head.url)
        except ValueError as error:
            raise faults.bad_url() from error
        prepared = head.prepared = Prepared(self, route_to(head.url, proxy), head)
        return prepared

    async def _dial(self, route: Route, connect_s: float) -> Connection:
        connection = Connection(route, self._pool.put, self._lost)
        self._connections.add(connection)
        try:
            async with asyncio.timeout(connect_s):
                await dial(route, self._trust, connection)
            self._check_open()
        except TimeoutError as error:
            self._discard(connection)
            raise faults.too_slow_to_connect(connect_s) from error
        except BaseException:
            self._discard(connection)
            raise
        return connection

    def _check_open(self) -> None:
        if self._is_closed:
            raise UpstreamUnreachable("The gateway is stopping.", proxy_error="connection_terminated")

    def _discard(self, connection: Connection) -> None:
        self._connections.discard(connection)
        connection.abort()

    def _lost(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._pool.forget(connection)

    async def close(self) -> None:
        """See `UpstreamTransport.close`."""
        self._is_closed = True
        self._pool.close()
        for connection in tuple(self._connections):
            connection.abort()
        for _ in range(CLOSING_TURNS):
            if not self._connections:
                break
            await asyncio.sleep(0)

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[int, bytes]:
        """Send one small request (a token refresh, say) and return its status and whole body; without a body a GET.

        Raises:
            UpstreamError: no whole answer came within `timeout_s`.
        """
        request = UpstreamRequest(UpstreamHead("POST" if body else "GET", url, headers), body)
        try:
            async with asyncio.timeout(timeout_s):
                response = await self.open(request, Deadlines(connect_s=timeout_s, headers_s=timeout_s))
                try:
                    return response.status, await _whole(response)
                finally:
                    response.release()
        except TimeoutError as error:
            raise faults.too_slow_to_answer(timeout_s) from error


async def _whole(response: UpstreamResponse) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.read():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_CONTROL_BYTES:
            raise BrokenStream("The answer of a token endpoint is far too long.")
    return b"".join(chunks)
