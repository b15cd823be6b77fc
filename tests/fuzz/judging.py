"""What may come back: whole answers, each in the words of its endpoint, with nothing in them that is nobody's business."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from fuzz.asking import KEY, Asked

__all__ = ["Cut", "Heard", "Wrong", "hear", "judge"]

PATIENCE_S: Final = 30.0
_BUG: Final = b"The gateway failed with"


class Wrong(AssertionError):
    """The gateway did what it must not do."""


class Cut(Wrong):
    """An answer ends before its end; who says that it will send no more may be left in the middle of one."""


@dataclass(frozen=True)
class Heard:
    """One whole answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


async def hear(reader: asyncio.StreamReader, method: str) -> Heard | None:
    """Read one answer, strictly; None when the connection ended before it began.

    Raises:
        Wrong: it is no HTTP/1.1, ends early, or does not come.
    """
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                head = await _head(reader)
                if head is None:
                    return None
                if head.status != 100:
                    return Heard(head.status, head.headers, await _body(reader, head, method))
    except TimeoutError as error:
        raise Wrong(f"no answer in {PATIENCE_S:g} s") from error
    except asyncio.IncompleteReadError as error:
        raise Cut(f"the answer is cut after {error.partial[-200:]!r}") from error


async def _head(reader: asyncio.StreamReader) -> Heard | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise Cut(f"half a head: {error.partial!r}") from error
        return None
    except ConnectionResetError:
        return None
    first, *lines = head[:-4].decode("latin-1").split("\r\n")
    version, status, _ = first.split(" ", 2)
    if version != "HTTP/1.1" or any(not (" " <= char < "\x7f") for line in lines for char in line):
        raise Wrong(f"a head of another kind: {head!r}")
    headers = dict(line.split(": ", 1) for line in lines)
    if len(headers) != len(lines):
        raise Wrong(f"a header twice: {head!r}")
    return Heard(int(status), headers, b"")


async def _body(reader: asyncio.StreamReader, head: Heard, method: str) -> bytes:
    if method == "HEAD" or head.status == 204:
        return b""
    if "content-length" in head.headers:
        return await reader.readexactly(int(head.headers["content-length"]))
    if head.headers.get("transfer-encoding") != "chunked":
        return await reader.read()
    body = b""
    while True:
        size = int((await reader.readuntil(b"\r\n"))[:-2], 16)
        piece = await reader.readexactly(size + 2)
        if not size:
            return body
        body += piece[:-2]


def judge(asked: Asked, heard: Heard) -> None:
    """Look at an answer.

    Raises:
        Wrong: it is not what this request may be answered.
    """
    status, headers, body = heard.status, heard.headers, heard.body
    everything = repr(headers).encode() + body
    if KEY.encode() in everything:
        raise Wrong("the gateway's key is in the answer")
    if "x-evil" in headers:
        raise Wrong("a header was smuggled in")
    if _BUG in body:
        raise Wrong(f"a bug: {body[:300]!r}")
    if asked.forbidden_page and status not in {400, 403}:
        raise Wrong(f"a foreign page was answered with {status}")
    if asked.forbidden_page and "access-control-allow-origin" in headers:
        raise Wrong("a foreign page may read the answer")
    if asked.method == "HEAD" or status == 204:
        return
    if status >= 400:
        _judge_error(asked, heard)
    elif status != 200:
        raise Wrong(f"status {status}")
    else:
        _judge_success(headers.get("content-type", ""), body)


def _judge_error(asked: Asked, heard: Heard) -> None:
    status, headers = heard.status, heard.headers
    if headers.get("content-type") != "application/json":
        if (
            headers.get("content-type", "").startswith("application/json")
            and status == 503
            and b'"status"' in heard.body
        ):
            return
        raise Wrong(f"an error as {headers.get('content-type')}: {heard.body[:200]!r}")
    said = json.loads(heard.body)
    if said in ({"status": "starting"}, {"status": "draining"}):
        return
    if "x-pi-model-proxy-error" not in headers:
        raise Wrong(f"{status} without our header: {heard.body[:200]!r}")
    if status == 500 and headers["x-pi-model-proxy-error"] in {"proxy_internal_error", ""}:
        raise Wrong(f"an unmapped 500: {heard.body[:300]!r}")
    if not any(_FITS[family](said, status) for family in _families(asked, headers)):
        raise Wrong(f"{status} in another envelope than {asked.family}'s: {heard.body[:300]!r}")


def _families(asked: Asked, headers: Mapping[str, str]) -> tuple[str, ...]:
    if asked.family == "any" or not asked.is_framed:
        return tuple(_FITS)
    # What never became a request has no endpoint yet.
    return (asked.family, "openai") if headers.get("connection") == "close" else (asked.family,)


def _openai(said: Any, status: int) -> bool:
    error = said.get("error")
    return (
        status >= 400
        and isinstance(error, dict)
        and error.keys() == {"message", "type", "param", "code"}
        and _is_said(error["message"])
    )


def _anthropic(said: Any, status: int) -> bool:
    error = said.get("error")
    fits = said.get("type") == "error" and isinstance(error, dict) and error.keys() >= {"type", "message"}
    return status >= 400 and fits and _is_said(error["message"]) and isinstance(said.get("request_id"), str)


def _google(said: Any, status: int) -> bool:
    error = said.get("error")
    return (
        isinstance(error, dict)
        and error.get("code") == status
        and _is_said(error.get("message"))
        and _is_said(error.get("status"))
    )


def _ollama(said: Any, status: int) -> bool:
    return status >= 400 and _is_said(said.get("error"))


def _is_said(text: Any) -> bool:
    return isinstance(text, str) and bool(text) and len(text) < 20_000


_FITS: Final = {"openai": _openai, "anthropic": _anthropic, "google": _google, "ollama": _ollama}


def _judge_success(content_type: str, body: bytes) -> None:
    media = content_type.partition(";")[0]
    if media == "application/json":
        json.loads(body)
    elif media == "application/x-ndjson":
        for line in body.splitlines():
            json.loads(line)
    elif media == "text/event-stream":
        _judge_events(body)
    elif media != "text/html":
        raise Wrong(f"an answer of type {content_type!r}")


def _judge_events(body: bytes) -> None:
    if not body.endswith((b"\n\n", b"\r\n\r\n")):
        raise Wrong(f"the last event is cut: {body[-200:]!r}")
    for frame in body.replace(b"\r\n", b"\n").strip(b"\n").split(b"\n\n"):
        for line in frame.split(b"\n"):
            name, _, value = line.partition(b":")
            if name not in {b"event", b"data", b"id", b""}:
                raise Wrong(f"a line of no event: {line[:200]!r}")
            if name == b"data" and value.strip() != b"[DONE]":
                json.loads(value)
