"""How each fault goes about it: plans that replace the normal one, for every dialect, streamed or not."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from itertools import repeat
from typing import Any, Final

from support.strict_provider import vendor_errors
from support.strict_provider.reply import (
    JSON,
    LAST_CHUNK,
    Exchange,
    answered,
    chunk,
    head,
    json_reply,
    stream_head,
)
from support.strict_provider.sse import dump, frame
from support.strict_provider.steps import Doom, HangUp, Linger, Pause, Reset, Send, Step
from support.strict_provider.vendor_errors import VendorError, error_body, for_status

__all__ = [
    "Plan",
    "bad_chunk",
    "bad_json",
    "begun",
    "big_line",
    "byte_by_byte",
    "clean_cut",
    "close_before_headers",
    "closes_after",
    "disordered",
    "dribbled_head",
    "drip",
    "endless_line",
    "error_body_as_success",
    "error_event",
    "error_frame",
    "extra_bytes",
    "first_twice",
    "garbage",
    "gzip_bomb",
    "half_head",
    "huge_header",
    "kept_open",
    "key_echo",
    "last_twice",
    "multi_line",
    "odd",
    "other_answer",
    "other_form",
    "re_framed",
    "redirect",
    "reset_after_headers",
    "reset_before_headers",
    "response_failed",
    "silence",
    "spread",
    "stale",
    "then",
    "unended",
    "vendor_error",
    "with_cr",
    "with_crlf",
    "without_names",
    "without_space",
    "wrong_content_type",
]

Plan = Callable[[Exchange], Iterator[Step]]

HUGE_HEADER_BYTES: Final = 2 * 1024 * 1024
BIG_LINE_BYTES: Final = 4 * 1024 * 1024
ENDLESS_BYTES: Final = 1024 * 1024 * 1024
"""Where even the endless line ends, should nobody give it up."""
BOMB_MIB: Final = 512
DRIP_S: Final = 0.01
DRIBBLE_S: Final = 0.2
KEPT_FRAMES: Final = 6
"""Most events that leave before a fault in mid-stream; never more than half of the answer's."""
MIB: Final = 1024 * 1024


# ── before the headers ──


def reset_before_headers(_: Exchange) -> Iterator[Step]:
    yield Reset()


def close_before_headers(_: Exchange) -> Iterator[Step]:
    yield HangUp()


def garbage(_: Exchange) -> Iterator[Step]:
    yield Send(b"\x16\x03\x01 this is not HTTP\r\n\r\n")
    yield HangUp()


def silence(_: Exchange) -> Iterator[Step]:
    yield Linger()


def half_head(exchange: Exchange) -> Iterator[Step]:
    yield Send(head(200, exchange.headers())[:40])
    yield Linger()


def dribbled_head(exchange: Exchange) -> Iterator[Step]:
    yield Send(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        yield Pause(DRIBBLE_S)
        yield Send(b"x-drop-%d: y\r\n" % number)
    yield from answered(exchange)


def huge_header(exchange: Exchange) -> Iterator[Step]:
    yield Send(head(200, {"x-huge": "h" * HUGE_HEADER_BYTES, "content-length": "0", **exchange.headers()}))


def stale(exchange: Exchange) -> Iterator[Step]:
    yield from answered(exchange)
    yield Doom()


def closes_after(exchange: Exchange) -> Iterator[Step]:
    yield from answered(exchange)
    yield HangUp()


# ── statuses and bodies that are no answer ──


def vendor_error(status: int, *, retry_after: str | None = None, error: VendorError | None = None) -> Plan:
    """Return the plan of a vendor's HTTP error, with its own body."""

    def plan(exchange: Exchange) -> Iterator[Step]:
        found = error or for_status(exchange.dialect, status)
        body = error_body(exchange.dialect, found, exchange.request_id)
        extra = {} if retry_after is None else {"retry-after": retry_after}
        yield Send(json_reply(status, body, {**exchange.headers(), **extra}))

    return plan


def key_echo(exchange: Exchange) -> Iterator[Step]:
    error = replace(for_status(exchange.dialect, 401), message=f"Incorrect API key provided: {exchange.key}.")
    body = error_body(exchange.dialect, error, exchange.request_id)
    yield Send(json_reply(401, body, {**exchange.headers(), "x-key-seen": exchange.key}))


def other_answer(status: int, content_type: str, body: bytes, **headers: str) -> Plan:
    """Return the plan of an answer that is something else entirely."""

    def plan(exchange: Exchange) -> Iterator[Step]:
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        base = {"content-type": content_type, "content-length": str(len(body)), **exchange.headers()}
        yield Send(head(status, {**base, **extra}) + body)

    return plan


def error_body_as_success(exchange: Exchange) -> Iterator[Step]:
    error = for_status(exchange.dialect, 529)
    yield Send(json_reply(200, error_body(exchange.dialect, error, exchange.request_id), exchange.headers()))


def redirect(exchange: Exchange) -> Iterator[Step]:
    yield Send(head(307, {"location": "/redirected", "content-length": "0", **exchange.headers()}))


def wrong_content_type(exchange: Exchange) -> Iterator[Step]:
    if exchange.stream:
        yield Send(stream_head(exchange, content_type="text/plain"))
        yield from (Send(chunk(data)) for data in [*exchange.frames()])
        yield Send(LAST_CHUNK)
        return
    body = dump(exchange.body())
    yield Send(
        head(200, {"content-type": "text/html", "content-length": str(len(body)), **exchange.headers()})
        + body
    )


def other_form(exchange: Exchange) -> Iterator[Step]:
    yield from answered(replace(exchange, stream=not exchange.stream))


# ── in the body ──


def begun(exchange: Exchange, *, keep: int = KEPT_FRAMES) -> Iterator[Step]:
    """Yield head and first part of a good answer: some events, or half of the body under a true length."""
    if exchange.stream:
        frames = exchange.frames()
        yield Send(stream_head(exchange))
        yield from (Send(chunk(data)) for data in frames[: min(keep, len(frames) // 2)])
        return
    body = dump(exchange.body())
    whole_head = head(200, {"content-type": JSON, "content-length": str(len(body)), **exchange.headers()})
    yield Send(whole_head + body[: len(body) // 2])


def reset_after_headers(exchange: Exchange) -> Iterator[Step]:
    yield from (
        begun(exchange, keep=0) if exchange.stream else iter([Send(head(200, {"content-length": "9"}))])
    )
    yield Reset()


def then(last: Step) -> Plan:
    def plan(exchange: Exchange) -> Iterator[Step]:
        yield from begun(exchange)
        yield last

    return plan


def clean_cut(exchange: Exchange) -> Iterator[Step]:
    """End the stream in good HTTP order, but without its last words."""
    if not exchange.stream:
        body = dump(exchange.body())
        yield from other_answer(200, JSON, body[: len(body) // 2])(exchange)
        return
    yield from begun(exchange)
    yield Send(LAST_CHUNK)


def bad_chunk(exchange: Exchange) -> Iterator[Step]:
    if exchange.stream:
        yield from begun(exchange)
    else:
        yield Send(head(200, {"content-type": JSON, "transfer-encoding": "chunked", **exchange.headers()}))
    yield Send(b"zz-not-hex\r\nwhatever\r\n")
    yield HangUp()


def bad_json(exchange: Exchange) -> Iterator[Step]:
    if not exchange.stream:
        yield from other_answer(200, JSON, dump(exchange.body())[:-1] + b"!")(exchange)
        return
    frames = exchange.frames()
    at = min(KEPT_FRAMES, len(frames) // 2)
    yield Send(stream_head(exchange))
    yield from (
        Send(chunk(data)) for data in [*frames[:at], frames[at].replace(b"}", b"", 1), *frames[at + 1 :]]
    )
    yield Send(LAST_CHUNK)


def error_frame(exchange: Exchange, status: int = 529) -> bytes:
    name, data = vendor_errors.error_event(
        exchange.dialect, for_status(exchange.dialect, status), exchange.request_id
    )
    return frame(data, event=name)


def error_event(keep: int) -> Plan:
    def plan(exchange: Exchange) -> Iterator[Step]:
        if not exchange.stream:
            yield from error_body_as_success(exchange)
            return
        yield from begun(exchange, keep=keep)
        yield Send(chunk(error_frame(exchange)) + LAST_CHUNK)

    return plan


def response_failed(exchange: Exchange) -> Iterator[Step]:
    if exchange.dialect != "responses":
        yield from error_event(KEPT_FRAMES)(exchange)
        return
    failure = {"code": "server_error", "message": "The server had an error processing your request."}
    response = {**exchange.body(), "status": "failed", "error": failure, "usage": None, "output": []}
    if not exchange.stream:
        yield from other_answer(200, JSON, dump(response))(exchange)
        return
    yield from begun(exchange)
    data = {"type": "response.failed", "response": response, "sequence_number": KEPT_FRAMES}
    yield Send(chunk(frame(data, event="response.failed")) + LAST_CHUNK)


def drip(exchange: Exchange) -> Iterator[Step]:
    if exchange.stream:
        yield Send(stream_head(exchange))
        for data in exchange.frames():
            yield Pause(DRIP_S)
            yield Send(chunk(data))
        yield Send(LAST_CHUNK)
        return
    body = dump(exchange.body())
    yield Send(head(200, {"content-type": JSON, "content-length": str(len(body)), **exchange.headers()}))
    for at in range(0, len(body), 64):
        yield Pause(DRIP_S)
        yield Send(body[at : at + 64])


def big_line(exchange: Exchange) -> Iterator[Step]:
    """Carry 4 MiB of padding in one field that nobody needs."""
    padding = {"padding": "p" * BIG_LINE_BYTES}
    if not exchange.stream:
        yield from other_answer(200, JSON, dump({**exchange.body(), **padding}))(exchange)
        return
    first, *rest = exchange.frames()
    fat = first.rstrip(b"\n")[:-1] + b"," + dump(padding)[1:] + b"\n\n"
    yield Send(stream_head(exchange))
    yield from (Send(chunk(data)) for data in [fat, *rest])
    yield Send(LAST_CHUNK)


def endless_line(exchange: Exchange) -> Iterator[Step]:
    content = (
        stream_head(exchange)
        if exchange.stream
        else head(200, {"content-type": JSON, "transfer-encoding": "chunked"})
    )
    yield Send(content + chunk(b'data: {"x":"' if exchange.stream else b'{"x":"'))
    yield from repeat(Send(chunk(b"y" * MIB)), ENDLESS_BYTES // MIB)
    yield HangUp()


@cache
def _bomb() -> bytes:
    """Return gzip of 512 MiB of spaces: one compressed MiB, repeated behind full flushes."""
    block = b" " * MIB
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    once = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    checksum = 0
    for _ in range(BOMB_MIB):
        checksum = zlib.crc32(block, checksum)
    last = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    size = (BOMB_MIB * MIB) & 0xFFFFFFFF
    trailer = checksum.to_bytes(4, "little") + size.to_bytes(4, "little")
    return b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03" + once * BOMB_MIB + last + trailer


def gzip_bomb(exchange: Exchange) -> Iterator[Step]:
    kind = "text/event-stream" if exchange.stream else JSON
    yield from other_answer(200, kind, _bomb(), content_encoding="gzip")(exchange)


def kept_open(exchange: Exchange) -> Iterator[Step]:
    """Say everything, and then do not end the body."""
    if not exchange.stream:
        yield from answered(exchange)
        return
    yield Send(stream_head(exchange))
    yield from (Send(chunk(data)) for data in exchange.frames())
    yield Linger()


def extra_bytes(exchange: Exchange) -> Iterator[Step]:
    """Poison the connection for whoever uses it next."""
    yield from answered(exchange)
    yield Send(b'HTTP/1.1 200 OK\r\ncontent-length: 15\r\n\r\n{"poisoned": 1}')


# ── events that are odd but no error ──


def re_framed(change: Callable[[list[bytes]], list[bytes]], *, lead: bytes = b"") -> Plan:
    """Return the plan of a good stream whose frames have been changed; a JSON answer stays as it is."""

    def plan(exchange: Exchange) -> Iterator[Step]:
        if not exchange.stream:
            yield from answered(exchange)
            return
        yield Send(stream_head(exchange))
        if lead:
            yield Send(chunk(lead))
        yield from (Send(chunk(data)) for data in change(exchange.frames()) if data)
        yield Send(LAST_CHUNK)

    return plan


def spread(extra: bytes) -> Callable[[list[bytes]], list[bytes]]:
    return lambda frames: [part for data in frames for part in (data, extra)][:-1]


def with_crlf(frames: list[bytes]) -> list[bytes]:
    return [data.replace(b"\n", b"\r\n") for data in frames]


def with_cr(frames: list[bytes]) -> list[bytes]:
    return [data.replace(b"\n", b"\r") for data in frames]


def without_space(frames: list[bytes]) -> list[bytes]:
    return [data.replace(b"data: ", b"data:", 1).replace(b"event: ", b"event:", 1) for data in frames]


def multi_line(frames: list[bytes]) -> list[bytes]:
    return [data.replace(b'{"', b'{\ndata: "', 1) if b"[DONE]" not in data else data for data in frames]


def unended(frames: list[bytes]) -> list[bytes]:
    return [*frames[:-1], frames[-1].rstrip(b"\n")]


def byte_by_byte(frames: list[bytes]) -> list[bytes]:
    joined = b"".join(frames)
    return [joined[at : at + 1] for at in range(len(joined))]


def without_names(frames: list[bytes]) -> list[bytes]:
    return [data[data.index(b"data:") :] for data in frames]


def first_twice(frames: list[bytes]) -> list[bytes]:
    return [frames[0], *frames]


def last_twice(frames: list[bytes]) -> list[bytes]:
    return [*frames, *frames[-2:]]


def disordered(frames: list[bytes]) -> list[bytes]:
    return [*frames[1:3], frames[0], *frames[3:]]


def odd(value: dict[str, Any], name: str | None) -> Plan:
    return re_framed(spread(frame(value, event=name)))
