"""The application behind another ASGI server: one HTTP scope as a `Line`.

Source: the ASGI HTTP message format 2.3 (https://asgi.readthedocs.io/en/latest/specs/www.html).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from contextlib import suppress
from typing import Any, Final, TypeAlias

from pi_model_proxy.errors import BadRequest, BodyTimeout, BodyTooLarge
from pi_model_proxy.server.line import Head, Line

__all__ = ["Receive", "Scope", "Send", "serve_scope"]

Scope: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send: TypeAlias = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_IDLE_S: Final = 20.0
"""A body that stops arriving for this long is given up. How slowly it may come is the outer server's business."""
LINGER_S: Final = 5.0
"""How long a body that was refused is read on: a caller that still writes would lose the answer in a reset."""
WATCH_AFTER_S: Final = 0.03
"""When to begin to look whether the caller is still there; most answers are complete before."""


async def serve_scope(
    serve: Callable[[Line], Awaitable[None]], scope: Scope, receive: Receive, send: Send
) -> None:
    """Serve one HTTP scope."""
    line = _AsgiLine(scope, receive, send)
    try:
        await serve(line)
    finally:
        line.end()
    await line.drain()


class _AsgiLine:
    """Implements `Line`: what is written waits for the next `drain`, so it always counts as congested."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.head = Head(
            scope["method"],
            scope["path"],
            scope["query_string"].decode("latin-1"),
            _headers(scope["headers"]),
        )
        self.congested = False
        self.started = False
        self.finished = False
        self.left = False
        self._receive = receive
        self._send = send
        self._unsent: list[MutableMapping[str, Any]] = []
        self._length = _length(scope["headers"])
        self._body_ended = False
        self._closes = False
        self._is_refused = False
        """The caller is still sending a body that nobody wants."""
        self._timer: asyncio.TimerHandle | None = None
        self._watch: asyncio.Task[None] | None = None

    def body_here(self, limit: int) -> bytes | None:  # noqa: ARG002 - the protocol's
        """See `Line.body_here`."""
        return None

    async def body(self, limit: int) -> bytes:
        """See `Line.body`."""
        if self._length > limit:
            raise self._too_large(limit)
        chunks: list[bytes] = []
        size = 0
        while not self._body_ended:
            chunk = await self._chunk()
            size += len(chunk)
            if size > limit:
                raise self._too_large(limit)
            chunks.append(chunk)
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        if task is not None:
            self._timer = loop.call_later(WATCH_AFTER_S, self._begin_watch, loop, task)
        return b"".join(chunks)

    def _too_large(self, limit: int) -> BodyTooLarge:
        self._is_refused = self._closes = True
        return BodyTooLarge(
            f"The request body is larger than {limit} bytes (maxBodyBytes); send less, or raise the limit."
        )

    async def _chunk(self) -> bytes:
        try:
            async with asyncio.timeout(BODY_IDLE_S):
                message = await self._receive()
        except TimeoutError as error:
            self._closes = True
            raise BodyTimeout(f"The request body stopped arriving for {BODY_IDLE_S:g} s.") from error
        if message["type"] == "http.disconnect":
            self.left = True
            raise BadRequest("The connection closed before the request body was complete.")
        self._body_ended = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    def start(self, status: int, headers: Mapping[str, str], request_id: str = "") -> None:
        """See `Line.start`."""
        self.started = True
        more = {"x-request-id": request_id} if request_id else {}
        if self._closes:
            more["connection"] = "close"
        lines = [
            (name.encode("latin-1"), value.encode("latin-1", "replace"))
            for name, value in {**headers, **more}.items()
        ]
        self._unsent.append({"type": "http.response.start", "status": status, "headers": lines})

    def write(self, data: bytes, *, last: bool = False) -> None:
        """See `Line.write`."""
        self.finished = last
        self.congested = True
        self._unsent.append({"type": "http.response.body", "body": data, "more_body": not last})

    def answer(self, status: int, body: bytes, headers: Mapping[str, str], request_id: str = "") -> None:
        """See `Line.answer`."""
        self.start(status, {**headers, "content-length": str(len(body))}, request_id)
        if self._is_refused:
            # The outer server closes at the end of the answer, and would do so into the caller's face.
            self.write(body)
            body = b""
        self.write(body, last=True)

    def abandon(self) -> None:
        """See `Line.abandon`; the outer server closes on an answer that it is not told the end of."""
        self.finished = True

    async def drain(self) -> None:
        """See `Line.drain`."""
        unsent, self._unsent = self._unsent, []
        for message in unsent:
            if self._is_refused and not message.get("more_body", True):
                await self._linger()
            await self._send(message)
        self.congested = False

    async def _linger(self) -> None:
        """Read and forget the rest of the request, for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                message = await self._receive()
                while message["type"] == "http.request" and message.get("more_body", False):
                    message = await self._receive()

    def _begin_watch(self, loop: asyncio.AbstractEventLoop, answering: asyncio.Task[Any]) -> None:
        self._watch = loop.create_task(self._look(answering))

    async def _look(self, answering: asyncio.Task[Any]) -> None:
        """Cancel whoever answers when the caller leaves before its answer is complete."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        if not self.finished:
            self.left = True
            answering.cancel()

    def end(self) -> None:
        """Stop looking after the caller."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watch is not None:
            self._watch.cancel()


def _headers(raw: list[tuple[bytes, bytes]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name_bytes, value_bytes in raw:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        # Two Hosts become one with a comma in it, which the door refuses.
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    headers.pop("content-length", None)
    return headers


def _length(raw: list[tuple[bytes, bytes]]) -> int:
    return next((int(value[:20]) for name, value in raw if name == b"content-length" and value.isdigit()), 0)
