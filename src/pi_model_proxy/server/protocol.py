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
"""A connection whose next request line and headers, or the rest of a body nobody waits for, are not complete
after this long is closed."""
MAX_HEADER_BYTES: Final = 64 * 1024
MAX_HEADERS: Final = 200
KEEP_ALIVE_S: Final = 75
"""An idle connection may serve again for this long; pooled SDK clients expect about a minute."""
DESCRIPTORS_KEPT: Final = 32
"""Descriptors that are not for callers: listener, log, files being read, commands."""


class _Protocol(HttpToolsProtocol):
    """Adds: deadlines, limits of headers and connections, and an error answer that is ours."""

    most_connections: int

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override, explicit-override] # uvicorn's own signature
        super().connection_made(transport)
        self._head_bytes = 0
        self._in_headers = True
        self._in_message = False
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None
        self.heard_s = self.loop.time()
        self._expect_more()
        if len(self.connections) > self.most_connections:
            self._make_room()

    def _make_room(self) -> None:
        """Close the connection that has asked for nothing for longest: idle ones must not keep others out."""
        others = [other for other in self.connections if isinstance(other, _Protocol) and other is not self]
        idle = [other for other in others if not other.answering and not other.transport.is_closing()]
        if idle:
            min(idle, key=lambda other: other.heard_s).transport.close()

    def connection_lost(self, exc: Exception | None) -> None:  # type: ignore[explicit-override] # typing.override came with 3.12
        self._stop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:  # type: ignore[explicit-override] # see above
        if self._refused:
            return
        self._head_bytes += len(data)
        self.heard_s = self.loop.time()
        super().data_received(data)
        if self._refused:
            return
        if self._head_bytes > MAX_HEADER_BYTES:
            self._refuse(431, f"The request's headers are longer than {MAX_HEADER_BYTES} bytes.")
        elif not self.answering:
            # uvicorn has just forgotten its keep-alive timer, and an empty line starts no request.
            self._expect_more()

    def on_message_begin(self) -> None:  # type: ignore[explicit-override] # see above
        super().on_message_begin()
        self._in_headers = self._in_message = True
        self._expect_more()

    def on_header(self, name: bytes, value: bytes) -> None:  # type: ignore[explicit-override] # see above
        if not self._in_headers:
            return  # a trailer; uvicorn would take it for a header, Host and Origin included
        super().on_header(name, value)
        if len(self.headers) > MAX_HEADERS:
            raise ValueError("too many headers")

    def on_headers_complete(self) -> None:  # type: ignore[explicit-override] # see above
        if not self.url.startswith(b"/") and self.url != b"*":
            raise ValueError("an absolute target names a host beside Host")
        self._in_headers = False
        self._stop_deadline()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:  # type: ignore[explicit-override] # see above
        # What is counted are bytes that are no content: headers, chunk extensions, trailers.
        self._head_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:  # type: ignore[explicit-override] # see above
        self._in_message = False
        self._head_bytes = 0
        if not self.answering:
            self._stop_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:  # type: ignore[explicit-override] # see above
        super().on_response_complete()
        if self._in_message and not self.transport.is_closing():
            # Answered before the request was complete: the rest is read and forgotten, but not for ever.
            self._expect_more()

    @property
    def answering(self) -> bool:
        cycle: Any = self.cycle  # uvicorn sets None until the first request, and says otherwise
        return cycle is not None and not cycle.response_complete

    def _expect_more(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_TIMEOUT_S, self._too_slow)

    def _stop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if self.answering:
            self._expect_more()  # the beginning of a pipelined request; the answer before it goes first
        elif self._in_headers and self._head_bytes:
            self._refuse(408, f"The request's headers were not complete after {HEADER_TIMEOUT_S:g} s.")
        else:
            self.transport.close()

    def _unsupported_upgrade_warning(self) -> None:  # type: ignore[explicit-override] # see above
        # The parser takes whatever follows for another protocol, a body too: this answer is the last one here.
        self._refused = True
        self.cycle.keep_alive = False

    def send_400_response(self, msg: str) -> None:  # type: ignore[explicit-override] # see above
        del msg
        self._refuse(400, "The request is not valid HTTP/1.1.")

    def _refuse(self, status: int, message: str) -> None:
        """Answer what never became a request, and close: after anything ambiguous nothing more is read."""
        self._refused = True
        self._stop_deadline()
        pipelined = self._in_headers or not self._in_message
        if self.answering and (pipelined or self.cycle.response_started):
            # Whatever is written now would be taken for the answer to the request before, or for its rest.
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


def protocol_factory(app: App, connections: Connections, descriptors: int) -> Any:  # noqa: ANN401 - what loop.create_server wants
    """Return what makes a protocol for each connection, of which each may need one of `descriptors` more upstream."""
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
        protocol.most_connections = max(1, (descriptors - DESCRIPTORS_KEPT) // 2)
        return protocol

    return make
