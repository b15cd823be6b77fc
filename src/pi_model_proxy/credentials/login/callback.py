"""The loopback server that a browser is sent back to at the end of a login (RFC 8252 §7.3).

It answers one path, checks every answer before it counts, takes exactly one, and is closed with the login. Nothing
else is served, and nothing of the answer is shown but a provider's own error code.
"""

from __future__ import annotations

import asyncio
import html
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final
from urllib.parse import parse_qsl

from pi_model_proxy.credentials.login.browser import Code, LoginDenied, NotThisLogin

__all__ = ["Callback", "listening"]

MAX_HEAD_BYTES: Final = 32 * 1024
HEAD_LIMIT_S: Final = 10.0
"""A browser opens spare connections and may never use them."""
MAX_CONNECTIONS: Final = 32

_PAGE: Final = """\
<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:32em;margin:4em auto;padding:0 1em}}</style></head>
<body><h1>{title}</h1><p>{text}</p></body></html>
"""
_REASONS: Final[Mapping[int, str]] = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
}


class Callback:
    """Waits for the browser."""

    def __init__(self, path: str, check: Callable[[Mapping[str, str]], Code]) -> None:
        """Take the path to answer, and what turns an answer's fields into a code or raises as `read_answer` does."""
        self._path = path
        self._check = check
        self._answered: asyncio.Future[Code] = asyncio.get_running_loop().create_future()
        self._connections = 0
        self.refused = 0
        """How many answers did not belong to this login."""

    async def code(self) -> Code:
        """Wait for the browser's answer.

        Raises:
            LoginDenied: the provider refused.
        """
        return await asyncio.shield(self._answered)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection with one page."""
        if self._connections >= MAX_CONNECTIONS:
            writer.close()
            return
        self._connections += 1
        try:
            async with asyncio.timeout(HEAD_LIMIT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            status, title, text = self._answer(head.split(b"\r\n", 1)[0].decode("latin-1"))
            writer.write(_page(status, title, text))
            async with asyncio.timeout(HEAD_LIMIT_S):
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            pass  # a spare connection, or no browser
        finally:
            self._connections -= 1
            writer.close()

    def _answer(self, request_line: str) -> tuple[int, str, str]:
        method, _, rest = request_line.partition(" ")
        path, _, query = rest.partition(" ")[0].partition("?")
        if path != self._path:
            return 404, "No login here", "A login ends at another address."
        if method != "GET":
            return 405, "No login here", "Only GET is answered."
        if self._answered.done():
            return 409, "Already done", "This login has been answered before."
        return self._settle(dict(parse_qsl(query)))

    def _settle(self, fields: Mapping[str, str]) -> tuple[int, str, str]:
        try:
            code = self._check(fields)
        except NotThisLogin as error:
            self.refused += 1
            return 400, "Not this login", f"{error}. Go back to the terminal and use the address it shows."
        except LoginDenied as error:
            self._answered.set_exception(error)
            return 400, "Not logged in", f"{error}. The terminal says how to go on."
        self._answered.set_result(code)
        return 200, "Almost done", "You can close this page; the login is finished in the terminal."

    def close(self) -> None:
        """Forget an answer that nobody waits for any more."""
        if self._answered.done() and not self._answered.cancelled():
            self._answered.exception()  # retrieved, so that nobody is told of it at exit
        else:
            self._answered.cancel()


def _page(status: int, title: str, text: str) -> bytes:
    body = _PAGE.format(title=html.escape(title), text=html.escape(text)).encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: text/html; charset=utf-8\r\n"
        f"content-length: {len(body)}\r\ncache-control: no-store\r\nreferrer-policy: no-referrer\r\n"
        "content-security-policy: default-src 'none'; style-src 'unsafe-inline'\r\nconnection: close\r\n\r\n"
    )
    return head.encode() + body


@asynccontextmanager
async def listening(callback: Callback, host: str, port: int) -> AsyncGenerator[int]:
    """Serve `callback` on `host`:`port` and give the port it listens on.

    Raises:
        OSError: the port is taken, or the address cannot be used.
    """
    server = await asyncio.start_server(callback.serve, host, port, limit=MAX_HEAD_BYTES)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        callback.close()
        server.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await server.wait_closed()
