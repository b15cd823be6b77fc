"""A server in front of a good one that spoils requests or answers in one chosen way."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from pi_model_proxy.conformance import Origin
from pi_model_proxy.conformance.client import Frame, Reply, Sent, ask, events, lines

__all__ = ["BrokenServer", "Mutation", "each_event", "frames_to_bytes", "in_body", "in_request"]

PATIENCE_S = 60.0
MAX_HEAD_BYTES = 64 * 1024
PASSED_ON = ("authorization", "anthropic-version", "x-api-key", "x-goog-api-key")

Json = dict[str, Any]
AnswerChange = Callable[[Sent, Reply], Reply]
RequestChange = Callable[[Sent], Sent]


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to be broken, and the cells that must notice."""

    id: str
    dialect: str
    fails: tuple[str, ...]
    request: RequestChange = lambda sent: sent
    answer: AnswerChange = lambda _, reply: reply
    dies_at: bytes = b""
    """After a request with these bytes all others get 503."""
    ways: tuple[bool, ...] = (False, True)
    """Whether the cells fail that are not streamed, that are."""


@dataclass(slots=True)
class BrokenServer:
    """Serves on loopback between `running` and its end; good answers are asked for once and kept in `kept`."""

    good: Origin
    mutation: Mutation
    kept: dict[tuple[str, bytes, str], Reply] = field(default_factory=dict)
    dead: bool = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        """Listen; yields the address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_HEAD_BYTES)
        host, port = server.sockets[0].getsockname()[:2]
        try:
            yield f"http://{host}:{port}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            reply = await self._reply(await _read(reader))
            fields = {**reply.headers, "content-length": str(len(reply.body)), "connection": "close"}
            fields.pop("transfer-encoding", None)
            head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode() + reply.body)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # a caller that leaves is what one check does
        finally:
            writer.close()

    async def _reply(self, sent: Sent) -> Reply:
        if self.dead:
            return Reply(status=503, headers={}, body=b"")
        if self.mutation.dies_at and self.mutation.dies_at in (sent.body or b""):
            self.dead = True
        sent = self.mutation.request(sent)
        key = (sent.path, sent.body or b"", str(sorted(sent.headers.items())))
        reply = self.kept.get(key)
        if reply is None:
            reply = self.kept[key] = await ask(self.good, sent, timeout_s=PATIENCE_S)
        return self.mutation.answer(sent, reply)


async def _read(reader: asyncio.StreamReader) -> Sent:
    first, *rest = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = {
        name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)
    }
    method, path, _ = first.split(" ")
    body = await reader.readexactly(int(fields.get("content-length", "0")))
    headers = {name: fields[name] for name in PASSED_ON if name in fields}
    return Sent(path=path, body=None if method == "GET" else body, headers=headers)


def in_request(change: Callable[[Json], object]) -> RequestChange:
    """Change a request's JSON object in place; one that is none stays."""

    def changed(sent: Sent) -> Sent:
        try:
            body = json.loads(sent.body or b"null")
        except ValueError:
            return sent
        if not isinstance(body, dict):
            return sent
        change(body)
        return Sent(path=sent.path, body=json.dumps(body).encode(), headers=sent.headers)

    return changed


def in_body(change: Callable[[Json], object]) -> AnswerChange:
    """Change in place the object of a whole answer, or each of a streamed one."""
    whole = each_event(change)

    def changed(sent: Sent, reply: Reply) -> Reply:
        if reply.headers.get("content-type", "").startswith("application/json"):
            body = json.loads(reply.body)
            change(body)
            return _with_body(reply, json.dumps(body).encode())
        return whole(sent, reply)

    return changed


def each_event(change: Callable[[Json], object]) -> AnswerChange:
    """Change in place the object of each event or line; one for which `change` returns False is left out."""

    def changed(sent: Sent, reply: Reply) -> Reply:
        type_ = reply.headers.get("content-type", "")
        if type_.startswith("application/json"):
            return reply
        ndjson = type_.startswith("application/x-ndjson")
        frames: list[Frame] = []
        for frame in (lines if ndjson else events)(reply.body):
            if frame.data == "[DONE]":
                frames.append(frame)
                continue
            event = json.loads(frame.data)
            if change(event) is not False:
                frames.append(Frame(frame.event, json.dumps(event)))
        return _with_body(reply, frames_to_bytes(frames, ndjson=ndjson))

    return changed


def frames_to_bytes(frames: list[Frame], *, ndjson: bool = False) -> bytes:
    """Write events or lines."""
    if ndjson:
        return "".join(f"{frame.data}\n" for frame in frames).encode()
    named = (f"event: {frame.event}\n" if frame.event else "" for frame in frames)
    return "".join(
        f"{name}data: {frame.data}\n\n" for name, frame in zip(named, frames, strict=True)
    ).encode()


def _with_body(reply: Reply, body: bytes) -> Reply:
    return Reply(status=reply.status, headers=reply.headers, body=body)
