"""One HTTP exchange over ASGI: reading it, guarding it, answering it; implements `gateway.Caller`."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

from pi_model_proxy.errors import BadRequest, BodyTimeout, BodyTooLarge
from pi_model_proxy.gateway import IdSource
from pi_model_proxy.ledger import Entry
from pi_model_proxy.server.door import allowed_origin

__all__ = ["EXPOSED_HEADERS", "Exchange", "Receive", "Scope", "Send"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_IDLE_S: Final = 20.0
"""A body that stops arriving for this long is given up."""
MIN_BODY_RATE: Final = 1024
"""Bytes a second below which, after `BODY_IDLE_S`, a body counts as stopped: drops keep a connection for ever."""
LINGER_S: Final = 5.0
"""How long a body that was refused is read on: a caller that still writes would lose the answer in a reset."""
CLIENT_LEFT: Final = 499
"""What the log says when the caller left before an answer began (nginx's number)."""
EXPOSED_HEADERS: Final = (
    "x-request-id, request-id, retry-after, x-should-retry, x-pi-model-proxy-dropped, x-pi-model-proxy-error, "
    "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens"
)
_SANE_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_PRODUCT: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,60}(?:/[A-Za-z0-9!#$%&'*+.^_`|~-]{1,30})?")


class Exchange:
    """A request and the way back to its caller."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, ids: IdSource) -> None:
        self._receive = receive
        self._send = send
        self.arrived_s = time.monotonic()
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.query: str = scope["query_string"].decode("latin-1")
        self.headers: Mapping[str, str] = {}
        self.repeated_host = False
        self._read_headers(scope["headers"])
        given = self.headers.get("x-request-id", "")
        self.request_id = given if _SANE_ID.fullmatch(given) else f"req_{ids.hex(12)}"
        self.started = False
        self.finished = False
        self.left = False
        """The caller has gone."""
        self.allowed_origins: tuple[str, ...] = ()
        self._unread = False
        """The caller is still sending a body that nobody wants."""
        self.extra: dict[str, str] = {}
        """Headers every answer of this exchange carries, set by whoever knows them."""
        self.entry = Entry(
            request_id=self.request_id,
            timestamp=time.time(),
            method=self.method[:20],
            path=self.path[:300],
            client=self._client(),
        )

    def _read_headers(self, raw: list[tuple[bytes, bytes]]) -> None:
        headers: dict[str, str] = {}
        for name_bytes, value_bytes in raw:
            name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
            if name in headers:
                self.repeated_host |= name == "host"
                headers[name] = f"{headers[name]}, {value}"
            else:
                headers[name] = value
        self.headers = headers

    def _client(self) -> str:
        named = self.headers.get("x-pi-model-proxy-client") or self.headers.get("user-agent", "")
        match = _PRODUCT.match(named.strip())
        return match[0] if match else ""

    async def body(self, limit: int) -> bytes:
        """Return the whole body.

        Raises:
            BodyTooLarge: it is, or says it will be, longer than `limit` bytes.
            BodyTimeout: it stopped arriving.
            BadRequest: the caller left in mid-body.
        """
        length = self.headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > limit:
            raise self._too_large(limit)
        chunks: list[bytes] = []
        size = 0
        while True:
            late_s = time.monotonic() - self.arrived_s - size / MIN_BODY_RATE
            try:
                async with asyncio.timeout(max(0.0, min(BODY_IDLE_S, BODY_IDLE_S - late_s))):
                    message = await self._receive()
            except TimeoutError as error:
                self.extra["connection"] = "close"
                raise BodyTimeout(
                    f"The request body stopped arriving for {BODY_IDLE_S:g} s, or came slower than {MIN_BODY_RATE} bytes/s."
                ) from error
            if message["type"] == "http.disconnect":
                self.left = True
                raise BadRequest("The connection closed before the request body was complete.")
            chunk = message.get("body", b"")
            size += len(chunk)
            if size > limit:
                raise self._too_large(limit)
            chunks.append(chunk)
            if not message.get("more_body", False):
                return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _too_large(self, limit: int) -> BodyTooLarge:
        self.extra["connection"] = "close"
        self._unread = True
        return BodyTooLarge(
            f"The request body is larger than {limit} bytes (maxBodyBytes); send less, or raise the limit."
        )

    async def start(self, status: int, headers: Mapping[str, str]) -> None:
        """See `Caller.start`."""
        self.started = True
        self.entry.status = status
        lines = [
            (name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers.items()
        ]
        lines.append((b"x-request-id", self.request_id.encode()))
        lines += [(name.encode(), value.encode()) for name, value in self.extra.items()]
        lines += self._cors()
        await self._send({"type": "http.response.start", "status": status, "headers": lines})

    def _cors(self) -> list[tuple[bytes, bytes]]:
        origin = self.headers.get("origin")
        if origin is None or not allowed_origin(origin, self.allowed_origins):
            return [(b"vary", b"origin")]
        return [
            (b"access-control-allow-origin", origin.encode("latin-1")),
            (b"access-control-expose-headers", EXPOSED_HEADERS.encode()),
            (b"vary", b"origin"),
        ]

    async def write(self, data: bytes, *, last: bool = False) -> None:
        """See `Caller.write`."""
        if last:
            self.finished = True
        await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Send a whole answer."""
        await self.start(status, {**headers, "content-length": str(len(body))})
        if self._unread:
            await self._send({"type": "http.response.body", "body": body, "more_body": True})
            await self._linger()
            body = b""
        await self.write(body, last=True)

    async def _linger(self) -> None:
        """Read and forget the rest of the request, for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                message = await self._receive()
                while message["type"] == "http.request" and message.get("more_body", False):
                    message = await self._receive()

    def watch_after(self, delay_s: float, answering: asyncio.Task[Any]) -> Watch:
        """Cancel `answering` when the caller leaves before its answer is complete, from `delay_s` on."""
        return Watch(self, delay_s, answering)

    async def wait_until_left(self) -> bool:
        """Return once the connection has nothing more to say; True when its caller left too early."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.left = not self.finished
        return self.left


class Watch:
    """Looks after one caller; owned by whoever answers, who ends it."""

    def __init__(self, exchange: Exchange, delay_s: float, answering: asyncio.Task[Any]) -> None:
        self._exchange = exchange
        self._answering = answering
        self._task: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._look())

    async def _look(self) -> None:
        if await self._exchange.wait_until_left():
            self._answering.cancel()

    def end(self) -> None:
        """Stop looking."""
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
