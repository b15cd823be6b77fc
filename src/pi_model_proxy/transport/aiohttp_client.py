"""The transport to upstreams on aiohttp's client: pooled HTTP/1.1, TLS verified, redirects never followed."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, Final
from weakref import WeakSet

import aiohttp
from aiohttp import hdrs

from pi_model_proxy.errors import BrokenStream, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from pi_model_proxy.transport.inflate import Inflater
from pi_model_proxy.transport.proxies import ProxyTable
from pi_model_proxy.transport.upstream import Deadlines, UpstreamRequest, UpstreamResponse

__all__ = ["AiohttpTransport"]

MAX_HEADER_BYTES: Final = 64 * 1024
READ_AHEAD_BYTES: Final = 64 * 1024
"""aiohttp stops reading from the socket at twice this, which is how a slow caller slows its upstream."""
IDLE_CONNECTION_S: Final = 30.0
"""Providers and load balancers close idle connections after 60 s or more; we do so first."""
MAX_STALE_RETRIES: Final = 8


class _Attempt:
    """One try to send a request: what the connector learns of it."""

    def __init__(self, deadlines: Deadlines) -> None:
        self.headers_s = deadlines.headers_s
        self.connected = False
        self.reused = False
        self.timeout = asyncio.timeout(deadlines.connect_s)

    def connection_made(self, *, reused: bool) -> None:
        """The connection stands: from now on the provider's own time runs."""
        self.connected, self.reused = True, reused
        self.timeout.reschedule(asyncio.get_running_loop().time() + self.headers_s)


_attempt: ContextVar[_Attempt] = ContextVar("attempt")


class _Connector(aiohttp.TCPConnector):
    """Tells the current `_Attempt` when its connection stands and whether it has served before."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - handed on to aiohttp
        super().__init__(**options)
        self._served: WeakSet[Any] = WeakSet()

    async def connect(  # type: ignore[explicit-override] # typing.override came with 3.12
        self,
        req: Any,  # noqa: ANN401 - aiohttp's own signature
        traces: Any,  # noqa: ANN401
        timeout: Any,  # noqa: ANN401, ASYNC109
    ) -> Any:  # noqa: ANN401
        connection = await super().connect(req, traces, timeout)
        protocol = connection.protocol
        _attempt.get().connection_made(reused=protocol in self._served)
        if protocol is not None:
            self._served.add(protocol)
        return connection


class AiohttpTransport:
    """Implements `UpstreamTransport`; one for the life of the server."""

    def __init__(self, environment: Mapping[str, str], *, ca_file: str | None = None) -> None:
        self._proxies = ProxyTable(environment)
        self._ca_file = ca_file
        self._session: aiohttp.ClientSession | None = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            context = ssl.create_default_context()
            if self._ca_file:
                context.load_verify_locations(self._ca_file)
            connector = _Connector(
                limit=0, keepalive_timeout=IDLE_CONNECTION_S, ssl=context, ttl_dns_cache=30
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
                timeout=aiohttp.ClientTimeout(total=None),
                skip_auto_headers=(hdrs.USER_AGENT, hdrs.CONTENT_TYPE, hdrs.ACCEPT, hdrs.ACCEPT_ENCODING),
                read_bufsize=READ_AHEAD_BYTES,
                max_line_size=MAX_HEADER_BYTES,
                max_field_size=MAX_HEADER_BYTES,
            )
        return self._session

    async def open(self, request: UpstreamRequest, deadlines: Deadlines) -> UpstreamResponse:
        """See `UpstreamTransport.open`."""
        for _ in range(MAX_STALE_RETRIES):
            attempt = _Attempt(deadlines)
            try:
                return await self._open_once(request, attempt)
            except TimeoutError as error:
                raise _too_slow(attempt, deadlines) from error
            except (aiohttp.ClientError, OSError, ValueError) as error:
                if not (attempt.reused and isinstance(error, _STALE)):
                    raise _unreachable(error) from error
        raise UpstreamUnreachable(
            "The provider closed every pooled connection at once; try again.",
            proxy_error="connection_terminated",
        )

    async def _open_once(self, request: UpstreamRequest, attempt: _Attempt) -> UpstreamResponse:
        session = self._opened()
        token = _attempt.set(attempt)
        try:
            async with attempt.timeout:
                response = await session.request(
                    request.method,
                    request.url,
                    data=request.body or None,
                    headers={hdrs.ACCEPT_ENCODING: "identity", **request.headers},
                    allow_redirects=False,
                    proxy=self._proxies.proxy_for(request.url),
                )
        finally:
            _attempt.reset(token)
        return _Response(response)

    async def close(self) -> None:
        """See `UpstreamTransport.close`."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[int, bytes]:
        """Send one small request (a token refresh, say) and return its status and whole body.

        Raises:
            UpstreamError: no whole answer came within `timeout_s`.
        """
        async with asyncio.timeout(timeout_s):
            response = await self.open(
                UpstreamRequest(method="POST", url=url, headers=headers, body=body),
                Deadlines(connect_s=timeout_s, headers_s=timeout_s),
            )
            chunks: list[bytes] = []
            try:
                while chunk := await response.read():
                    chunks.append(chunk)
                    if sum(map(len, chunks)) > MAX_CONTROL_BYTES:
                        raise BrokenStream("The answer of a token endpoint is far too long.")
            finally:
                response.release()
            return response.status, b"".join(chunks)


MAX_CONTROL_BYTES: Final = 1024 * 1024


class _Response:
    """Implements `UpstreamResponse`."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        headers: dict[str, str] = {}
        for name, value in response.headers.items():
            lower = name.lower()
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
        self.headers: Mapping[str, str] = headers
        encoding = headers.get("content-encoding", "").strip().lower()
        self._inflater: Inflater | None = None
        self._encoding = "" if encoding in {"", "identity"} else encoding

    async def read(self) -> bytes:
        """See `UpstreamResponse.read`."""
        while True:
            try:
                chunk = await self._response.content.readany()
            except aiohttp.ClientError as error:
                self.abort()
                raise _cut(error) from error
            except (ConnectionError, OSError) as error:
                self.abort()
                raise _cut(error) from error
            if not chunk or not self._encoding:
                return chunk
            self._inflater = self._inflater or Inflater(self._encoding)
            if data := self._inflater.feed(chunk):
                return data

    def release(self) -> None:
        """See `UpstreamResponse.release`."""
        if self._response.content.is_eof() and not self._response.content.exception():
            self._response.release()
        else:
            self.abort()

    def abort(self) -> None:
        """See `UpstreamResponse.abort`."""
        self._response.close()


_STALE: Final = (
    aiohttp.ServerDisconnectedError,
    aiohttp.ClientOSError,
    ConnectionResetError,
    BrokenPipeError,
)
"""What a pooled connection that the provider closed meanwhile looks like; harmless only on a reused one."""


def _too_slow(attempt: _Attempt, deadlines: Deadlines) -> UpstreamTimeout:
    if attempt.connected:
        return UpstreamTimeout(
            f"The provider did not answer within {deadlines.headers_s:g} s (requestTimeoutMs).",
            proxy_error="http_response_timeout",
        )
    return UpstreamTimeout(
        f"No connection to the provider within {deadlines.connect_s:g} s (connectTimeoutMs).",
        proxy_error="connection_timeout",
    )


def _cut(error: Exception) -> BrokenStream:
    proxy_error = "http_response_incomplete"
    if isinstance(error, aiohttp.ClientPayloadError) and "Content-Length" not in str(error):
        proxy_error = "http_response_transfer_coding"
    return BrokenStream(
        "The provider's connection broke before its answer was complete; try again.", proxy_error=proxy_error
    )


def _unreachable(error: Exception) -> UpstreamError:
    """Map the library's errors to ours, most specific first; none of its texts gets out."""
    host = getattr(error, "host", None)
    where = f" ({host})" if host else ""
    for kinds, proxy_error, text in _MEANINGS:
        if isinstance(error, kinds):
            return UpstreamUnreachable(text.format(where=where), proxy_error=proxy_error)
    if isinstance(error.__cause__ or getattr(error, "os_error", None), ConnectionRefusedError):
        return UpstreamUnreachable(
            f"The provider{where} refused the connection.", proxy_error="connection_refused"
        )
    return UpstreamUnreachable(
        f"The provider{where} could not be reached; check the network and its base URL.",
        proxy_error="destination_unavailable",
    )


_MEANINGS: Final[tuple[tuple[Any, str, str], ...]] = (
    (
        aiohttp.ClientConnectorCertificateError,
        "tls_certificate_error",
        "The provider's TLS certificate{where} is not trusted; set caFile or SSL_CERT_FILE if it is your own.",
    ),
    (
        aiohttp.ClientSSLError,
        "tls_protocol_error",
        "TLS with the provider{where} failed; is its base URL really https?",
    ),
    (aiohttp.ClientConnectorDNSError, "dns_error", "The provider's host name{where} could not be resolved."),
    (
        aiohttp.ClientHttpProxyError,
        "proxy_internal_response",
        "The configured HTTP proxy refused the connection.",
    ),
    (
        aiohttp.ClientProxyConnectionError,
        "destination_unavailable",
        "The configured HTTP proxy could not be reached.",
    ),
    (
        aiohttp.InvalidURL,
        "proxy_configuration_error",
        "The provider's base URL is not a valid address; see models.json.",
    ),
    (
        (aiohttp.ServerDisconnectedError, ConnectionResetError, BrokenPipeError),
        "connection_terminated",
        "The provider closed the connection without an answer.",
    ),
    (
        (aiohttp.ClientResponseError, aiohttp.ClientPayloadError),
        "http_protocol_error",
        "The provider's answer is not HTTP, or its headers are too long.",
    ),
)
