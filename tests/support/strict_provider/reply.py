"""HTTP replies: heads with the vendors' headers, bodies, and the plan of an answer without faults."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from support.strict_provider import speak_chat, speak_messages, speak_responses
from support.strict_provider.answer import Pace
from support.strict_provider.glimpse import Dialect
from support.strict_provider.speech import Speech
from support.strict_provider.sse import dump
from support.strict_provider.steps import Hold, Pause, Send, Step
from support.strict_provider.vendor_errors import VendorError, error_body

__all__ = [
    "JSON",
    "LAST_CHUNK",
    "SSE",
    "Exchange",
    "answered",
    "chunk",
    "head",
    "json_reply",
    "paced",
    "refused",
    "stream_head",
    "vendor_headers",
]

JSON: Final = "application/json"
SSE: Final = "text/event-stream; charset=utf-8"
LAST_CHUNK: Final = b"0\r\n\r\n"

STREAMED: Final[dict[Dialect, Callable[[Speech], list[bytes]]]] = {
    "chat": speak_chat.frames,
    "responses": speak_responses.frames,
    "messages": speak_messages.frames,
}
WHOLE: Final[dict[Dialect, Callable[[Speech], dict[str, Any]]]] = {
    "chat": speak_chat.whole,
    "responses": speak_responses.whole,
    "messages": speak_messages.whole,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request that passed the rules, and the answer it is to get."""

    dialect: Dialect
    stream: bool
    request_id: str
    key: str
    """The credential as presented: faults may repeat it, to see whether anybody redacts."""
    speech: Speech

    def frames(self) -> list[bytes]:
        """Return the answer as events."""
        return STREAMED[self.dialect](self.speech)

    def body(self) -> dict[str, Any]:
        """Return the answer as one object."""
        return WHOLE[self.dialect](self.speech)

    def headers(self) -> dict[str, str]:
        """Return what the vendor sends with every answer."""
        return vendor_headers(self.dialect, self.request_id)


def vendor_headers(dialect: Dialect, request_id: str) -> dict[str, str]:
    """Return the vendor's usual headers, those that must not be passed on included."""
    shared = {
        "server": "cloudflare",
        "cf-ray": "8f00ba4-LHR",
        "set-cookie": "__cf_bm=secret; path=/; HttpOnly",
    }
    if dialect == "messages":
        return {
            "request-id": request_id,
            "anthropic-organization-id": "org-secret-0001",
            "anthropic-ratelimit-requests-limit": "50",
            "anthropic-ratelimit-requests-remaining": "49",
            "anthropic-ratelimit-requests-reset": "2030-01-01T00:00:00Z",
            **shared,
        }
    return {
        "x-request-id": request_id,
        "openai-organization": "org-secret-0001",
        "openai-processing-ms": "42",
        "openai-version": "2020-10-01",
        "x-ratelimit-limit-requests": "5000",
        "x-ratelimit-remaining-requests": "4999",
        "x-ratelimit-reset-requests": "12ms",
        **shared,
    }


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return status line and headers."""
    known = {item.value: item.phrase for item in HTTPStatus}
    lines = [f"HTTP/1.1 {status} {known.get(status, 'Overloaded')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def json_reply(status: int, value: object, headers: Mapping[str, str]) -> bytes:
    """Return a whole reply with a JSON body."""
    body = dump(value)
    return head(status, {"content-type": JSON, "content-length": str(len(body)), **headers}) + body


def stream_head(exchange: Exchange, **changes: str) -> bytes:
    """Return the head of a chunked event stream; `changes` use underscores for hyphens."""
    headers = {
        "content-type": SSE,
        "transfer-encoding": "chunked",
        "cache-control": "no-cache",
        **exchange.headers(),
    }
    headers |= {name.replace("_", "-"): value for name, value in changes.items()}
    return head(200, headers)


def chunk(data: bytes) -> bytes:
    """Return one HTTP chunk."""
    return b"%x\r\n%s\r\n" % (len(data), data)


def paced(parts: Iterable[bytes], pace: Pace, *, chunked: bool) -> Iterator[Step]:
    """Yield the sending of `parts`, cut and delayed as the pace says."""
    pieces = list(parts)
    if pace.chunk_bytes:
        joined = b"".join(pieces)
        pieces = [joined[at : at + pace.chunk_bytes] for at in range(0, len(joined), pace.chunk_bytes)]
    for number, piece in enumerate(pieces):
        if number == pace.hold_after:
            yield Hold(pace.gate)
        if number and pace.pause_s:
            yield Pause(pace.pause_s)
        yield Send(chunk(piece) if chunked else piece)


def answered(exchange: Exchange) -> Iterator[Step]:
    """Yield the plan of an answer that goes well."""
    pace = exchange.speech.answer.pace
    if exchange.stream:
        yield Send(stream_head(exchange))
        yield from paced(exchange.frames(), pace, chunked=True)
        yield Send(LAST_CHUNK)
        return
    body = dump(exchange.body(), escaped=exchange.speech.style.escaped)
    yield Send(head(200, {"content-type": JSON, "content-length": str(len(body)), **exchange.headers()}))
    yield from paced([body], pace, chunked=False)


def refused(
    dialect: Dialect, error: VendorError, request_id: str, headers: Mapping[str, str] = {}
) -> Iterator[Step]:
    """Yield the plan of a refusal in the vendor's shape."""
    merged = {**vendor_headers(dialect, request_id), **headers}
    yield Send(json_reply(error.status, error_body(dialect, error, request_id), merged))
