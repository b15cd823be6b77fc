"""A plain HTTP/1.1 client of its own, so that a server is judged without our transport; one connection a request.

Source: RFC 9112 (framing), https://html.spec.whatwg.org/multipage/server-sent-events.html (event streams).
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

__all__ = ["Frame", "Origin", "Reply", "Sent", "Unreachable", "ask", "events", "leave", "lines"]

MAX_ANSWER_BYTES: Final = 8 * 1024 * 1024
"""More than any answer that a check asks for."""
_MAX_HEAD_BYTES: Final = 64 * 1024
_READ_BYTES: Final = 64 * 1024
_LINE_END: Final = re.compile(r"\r\n|\n|\r")


class Unreachable(Exception):
    """No whole HTTP answer came; the message says why."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is."""

    host: str
    port: int
    tls: bool = False
    prefix: str = ""
    """What stands before `/v1/...`, without a slash at its end."""

    @classmethod
    def parse(cls, url: str) -> Origin:
        """Return the place that `url` names; a `/v1` at its end is dropped, as every dialect has its own paths.

        Raises:
            ValueError: it is no http or https address.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"{url!r} is no address; write http://HOST:PORT")
        tls = parts.scheme == "https"
        prefix = parts.path.rstrip("/").removesuffix("/v1")
        return cls(host=parts.hostname, port=parts.port or (443 if tls else 80), tls=tls, prefix=prefix)


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """A request without its key."""

    path: str
    body: Any = None
    """JSON, or bytes as they are; None makes it a GET."""
    headers: Mapping[str, str] = {}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Frame(msgspec.Struct, frozen=True):
    """One server-sent event."""

    event: str
    """Empty when the stream names none."""
    data: str


async def ask(origin: Origin, sent: Sent, *, timeout_s: float) -> Reply:
    """Send a request and return its whole answer.

    Raises:
        Unreachable: there is no connection, no HTTP, or no end of the answer in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _ask(origin, sent)
    except TimeoutError as error:
        raise Unreachable(f"no whole answer within {timeout_s:g} s") from error
    except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Unreachable(f"the connection failed or the answer is no HTTP/1.1: {error}") from error


async def leave(origin: Origin, sent: Sent, *, first_byte: bool, timeout_s: float) -> None:
    """Send a request and hang up: at once, or when the first bytes of its answer are here.

    Raises:
        Unreachable: not even that was possible.
    """
    try:
        async with asyncio.timeout(timeout_s):
            reader, writer = await _send(origin, sent)
            try:
                if first_byte:
                    await reader.readuntil(b"\r\n\r\n")
                    await reader.read(1)
            finally:
                writer.transport.abort()
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise Unreachable(f"no beginning of an answer: {error}") from error


async def _send(origin: Origin, sent: Sent) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context() if origin.tls else None
    reader, writer = await asyncio.open_connection(
        origin.host, origin.port, ssl=context, limit=_MAX_HEAD_BYTES
    )
    body = (
        b""
        if sent.body is None
        else sent.body
        if isinstance(sent.body, bytes)
        else _encoder.encode(sent.body)
    )
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    head = {"host": f"{host}:{origin.port}", "accept": "*/*", "connection": "close", **sent.headers}
    if sent.body is not None:
        head |= {"content-type": "application/json", "content-length": str(len(body))}
    first = f"{'GET' if sent.body is None else 'POST'} {origin.prefix}{sent.path} HTTP/1.1\r\n"
    fields = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    writer.write(f"{first}{fields}\r\n".encode("latin-1") + body)
    await writer.drain()
    return reader, writer


async def _ask(origin: Origin, sent: Sent) -> Reply:
    reader, writer = await _send(origin, sent)
    try:
        status, headers = _head(await reader.readuntil(b"\r\n\r\n"))
        return Reply(status=status, headers=headers, body=await _body(reader, headers))
    finally:
        writer.transport.abort()


def _head(data: bytes) -> tuple[int, dict[str, str]]:
    first, *rest = data.decode("latin-1").split("\r\n")
    version, status, *_ = first.split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"the answer begins with {first[:40]!r}")
    fields = (line.partition(":") for line in rest if line)
    return int(status), {name.strip().lower(): value.strip() for name, _, value in fields}


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    if "chunked" in headers.get("transfer-encoding", "").lower():
        return await _chunked(reader)
    if "content-length" in headers:
        return await reader.readexactly(_bounded(int(headers["content-length"])))
    body = bytearray()
    while piece := await reader.read(_READ_BYTES):
        body += piece
        _bounded(len(body))
    return bytes(body)


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        _bounded(len(body) + size)
        body += (await reader.readexactly(size + 2))[:-2]
    return bytes(body)


def _bounded(size: int) -> int:
    if size > MAX_ANSWER_BYTES:
        raise ValueError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return size


def events(body: bytes) -> list[Frame]:
    """Return the events of a server-sent stream; comments are none."""
    frames: list[Frame] = []
    name = ""
    data: list[str] = []
    for line in _LINE_END.split(body.decode("utf-8-sig")):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            if data:
                frames.append(Frame(name, "\n".join(data)))
            name, data = "", []
        elif field == "event":
            name = value
        elif field == "data":
            data.append(value)
    return frames


def lines(body: bytes) -> list[Frame]:
    """Return the lines of newline-delimited JSON (https://github.com/ndjson/ndjson-spec)."""
    return [Frame("", line) for line in body.decode().split("\n") if line.strip()]


_encoder: Final = msgspec.json.Encoder()
