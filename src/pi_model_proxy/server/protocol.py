"""uvicorn's HTTP/1.1 protocol with our limits and our own words where it would use its own."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any, Final

import msgspec
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState as Connections

from pi_model_proxy.server.app import App

__all__ = [
    "HEADER_TIMEOUT_S",
    "KEEP_ALIVE_S",
    "MAX_HEADERS",
    "MAX_HEADER_BYTES",
    "Connections",
    "protocol_factory",
]

HEADER_TIMEOUT_S: Final = 15.0
"""A connection whose next request line and headers are not complete after this long is closed."""
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 200
KEEP_ALIVE_S: Final = 75
"""An idle connection may serve again for this long; pooled SDK clients expect about a minute."""


class _Protocol(HttpToolsProtocol):
    """Adds: a header deadline, header limits, and an error answer that is ours."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override, explicit-override] # uvicorn's own signature
        super().connection_made(transport)
        self._header_bytes = 0
        self._in_headers = True
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self._expect_headers()

    def connection_lost(self, exc: Exception | None) -> None:  # type: ignore[explicit-override] # typing.override came with 3.12
        self._headers_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:  # type: ignore[explicit-override] # see above
        if self._refused:
            return
        if self._in_headers:
            self._header_bytes += len(data)
        super().data_received(data)
        if self._in_headers and self._header_bytes > MAX_HEADER_BYTES and not self._refused:
            self._refuse(431, f"The request's headers are longer than {MAX_HEADER_BYTES} bytes.")

    def on_message_begin(self) -> None:  # type: ignore[explicit-override] # see above
        super().on_message_begin()
        if not self._in_headers:
            self._header_bytes = 0
            self._in_headers = True
            self._expect_headers()

    def on_header(self, name: bytes, value: bytes) -> None:  # type: ignore[explicit-override] # see above
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            raise ValueError("too many headers")

    def on_headers_complete(self) -> None:  # type: ignore[explicit-override] # see above
        self._headers_done()
        super().on_headers_complete()

    def _expect_headers(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_TIMEOUT_S, self._headers_too_slow)

    def _headers_done(self) -> None:
        self._in_headers = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _headers_too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            if self._header_bytes:
                self._refuse(408, f"The request's headers were not complete after {HEADER_TIMEOUT_S:g} s.")
            else:
                self.transport.close()

    def send_400_response(self, msg: str) -> None:  # type: ignore[explicit-override] # see above
        del msg
        self._refuse(400, "The request is not valid HTTP/1.1.")

    def _refuse(self, status: int, message: str) -> None:
        """Answer what never became a request, and close: after anything ambiguous nothing more is read."""
        self._refused = True
        self._headers_done()
        cycle: Any = self.cycle  # uvicorn sets None until the first request, and says otherwise
        if cycle is not None and cycle.response_started and not cycle.response_complete:
            self.transport.close()
            return
        request_id = f"req_{secrets.token_hex(12)}"
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        body = msgspec.json.encode({"error": error})
        reason = {400: b"Bad Request", 408: b"Request Timeout", 431: b"Request Header Fields Too Large"}[
            status
        ]
        head = (
            b"HTTP/1.1 %d %s\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"x-request-id: %s\r\nx-pi-model-proxy-error: http_request_error\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head % (status, reason, len(body), request_id.encode()) + body)
        self.transport.close()


def protocol_factory(app: App, connections: Connections) -> Any:  # noqa: ANN401 - what loop.create_server wants
    """Return what makes a protocol for each connection."""
    for name in ("uvicorn.error", "uvicorn.access", "uvicorn.asgi"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate, logger.disabled = [logging.NullHandler()], False, True
    config = Config(
        app,
        http=HttpToolsProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    config.load()
    loop = asyncio.get_running_loop()

    def make() -> asyncio.Protocol:
        protocol = _Protocol(config=config, server_state=connections, app_state={}, _loop=loop)
        protocol.app = app
        return protocol

    return make
