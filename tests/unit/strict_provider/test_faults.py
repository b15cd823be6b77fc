"""Each fault does on the wire what its name says, in every dialect, streamed or not."""

from __future__ import annotations

import http.client
import json
import socket
import time
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final, get_args

import pytest

from support.strict_provider import FAULTS, Outcome, StrictProvider, http_error
from unit.strict_provider.asking import DIALECTS, PATHS, ask, body_for, connect, receive, send

MIB: Final = 1024 * 1024
IMPATIENCE_S: Final = 0.25
"""How long these tests listen to silence."""


@pytest.fixture(scope="module")
def provider() -> Iterator[StrictProvider]:
    with StrictProvider.running() as running:
        yield running


@dataclass(frozen=True, slots=True)
class Wire:
    """Every byte that came, and how it ended: `closed`, `reset` or `silence`."""

    raw: bytes
    end: str

    @property
    def head(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[0]

    @property
    def tail(self) -> bytes:
        return self.raw.partition(b"\r\n\r\n")[2]


def listen(
    provider: StrictProvider, fault: str, dialect: str = "chat", *, stream: bool = True, limit: int = 64 * MIB
) -> Wire:
    """Ask for a fault over a bare socket and write down what comes."""
    raw = json.dumps(body_for(dialect, f"fault:{fault}", stream=stream)).encode()
    lines = [
        f"POST {PATHS[dialect]} HTTP/1.1",
        "host: x",
        "content-type: application/json",
        "anthropic-version: 2023-06-01",
    ]
    head = "\r\n".join([*lines, "connection: close", f"content-length: {len(raw)}", "", ""]).encode()
    got = bytearray()
    with closing(socket.create_connection(("127.0.0.1", provider.port), timeout=IMPATIENCE_S)) as line:
        line.sendall(head + raw)
        try:
            while len(got) < limit:
                piece = line.recv(MIB)
                if not piece:
                    return Wire(bytes(got), "closed")
                got += piece
        except TimeoutError:
            return Wire(bytes(got), "silence")
        except ConnectionResetError:
            return Wire(bytes(got), "reset")
    return Wire(bytes(got), "enough")


def unchunked(raw: bytes) -> bytes:
    """The body behind as many whole chunks as there are."""
    body = b""
    while True:
        size, _, rest = raw.partition(b"\r\n")
        if not size or int(size, 16) == 0:
            return body
        body, raw = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]


every_form = pytest.mark.parametrize("stream", [False, True], ids=["json", "stream"])
every_dialect = pytest.mark.parametrize("dialect", DIALECTS)


# ── before the headers ──


@every_dialect
@every_form
@pytest.mark.parametrize(
    ("fault", "raw", "end"),
    [
        ("reset-before-headers", b"", "reset"),
        ("close-before-headers", b"", "closed"),
        ("garbage-before-headers", b"\x16\x03\x01 this is not HTTP\r\n\r\n", "closed"),
        ("silence-before-headers", b"", "silence"),
    ],
)
def test_no_head_ever_comes(
    provider: StrictProvider, dialect: str, fault: str, raw: bytes, end: str, *, stream: bool
) -> None:
    assert listen(provider, fault, dialect, stream=stream) == Wire(raw, end)


def test_half_a_head_comes_and_no_more(provider: StrictProvider) -> None:
    wire = listen(provider, "half-headers")

    assert wire.raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (b"\r\n\r\n" in wire.raw, wire.end) == (False, "silence")


def test_a_dribbling_head_grows_but_never_ends(provider: StrictProvider) -> None:
    connection = connect(provider)
    send(connection, PATHS["chat"], body_for("chat", "fault:dribbled-headers"))
    connection.sock.settimeout(2)
    got = b""
    while got.count(b"x-drop-") < 2:
        got += connection.sock.recv(1_000)
    connection.close()

    assert b"\r\n\r\n" not in got
    assert provider.diary.wait_until_left(provider.diary.last()) < 5


def test_a_header_of_two_mebibytes(provider: StrictProvider) -> None:
    assert len(listen(provider, "huge-header").head) > 2 * MIB


def test_a_stale_connection_is_reset_when_used_again(provider: StrictProvider) -> None:
    connection = connect(provider)
    send(connection, PATHS["chat"], body_for("chat", "fault:stale-connection"))
    assert receive(connection).status == 200

    with pytest.raises((ConnectionError, http.client.RemoteDisconnected)):
        send(connection, PATHS["chat"], body_for("chat"))
        receive(connection)
    connection.close()


def test_a_connection_may_close_after_its_answer(provider: StrictProvider) -> None:
    wire = listen(provider, "closed-after-answer", stream=False)

    assert (json.loads(wire.tail)["object"], wire.end) == ("chat.completion", "closed")


# ── statuses and other answers ──


@every_dialect
@every_form
@pytest.mark.parametrize(
    "status", [400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 429, 500, 502, 503, 504, 529]
)
def test_statuses_come_with_the_vendors_body(
    provider: StrictProvider, dialect: str, status: int, *, stream: bool
) -> None:
    reply = ask(provider, dialect, body_for(dialect, f"fault:http-{status}", stream=stream))

    assert reply.status == status
    assert reply.error["message"]
    assert ("type" in reply.body) == (dialect == "messages")
    assert (reply.headers.get("retry-after") == "7") == (status == 429)


def test_a_429_may_ask_for_any_patience(provider: StrictProvider) -> None:
    provider.queue(http_error(429, retry_after="120"))

    assert ask(provider, "chat", body_for("chat")).headers["retry-after"] == "120"


@every_dialect
def test_overflow_and_quota_have_words_that_clients_know(provider: StrictProvider, dialect: str) -> None:
    overflow = ask(provider, dialect, body_for(dialect, "fault:context-overflow"))
    quota = ask(provider, dialect, body_for(dialect, "fault:quota-exhausted"))

    assert overflow.error["message"].startswith("prompt is too long: ")
    assert (quota.status, quota.error["type"]) == (429, "insufficient_quota")


@every_dialect
def test_a_401_repeats_the_key_in_body_and_header(provider: StrictProvider, dialect: str) -> None:
    reply = ask(provider, dialect, body_for(dialect, "fault:key-echoed"))

    assert reply.status == 401
    assert "sk-stub" in reply.error["message"]
    assert reply.headers["x-key-seen"] == "sk-stub"


OTHER: Final = [
    ("html-503", 503, b"<!DOCTYPE html>"),
    ("html-200", 200, b"<!DOCTYPE html>"),
    ("empty-200", 200, b""),
    ("null-200", 200, b"null"),
    ("list-200", 200, b"[]"),
    ("text-error", 500, b'{"error":"'),
    ("detail-error", 500, b'{"detail":"'),
    ("message-error", 500, b'{"message":"'),
    ("empty-500", 500, b""),
    ("redirect", 307, b""),
]


@every_form
@pytest.mark.parametrize(("fault", "status", "begins"), OTHER, ids=[row[0] for row in OTHER])
def test_answers_that_are_something_else(
    provider: StrictProvider, fault: str, status: int, begins: bytes, *, stream: bool
) -> None:
    reply = ask(provider, "chat", body_for("chat", f"fault:{fault}", stream=stream))

    assert reply.status == status
    assert reply.raw.startswith(begins)
    assert bool(reply.raw) == bool(begins)


@every_dialect
@every_form
def test_an_error_body_may_come_as_200(provider: StrictProvider, dialect: str, *, stream: bool) -> None:
    reply = ask(provider, dialect, body_for(dialect, "fault:error-body-as-200", stream=stream))

    assert (reply.status, reply.error["message"]) == (200, "Overloaded")


@every_dialect
@every_form
def test_the_form_may_be_the_other_one(provider: StrictProvider, dialect: str, *, stream: bool) -> None:
    reply = ask(provider, dialect, body_for(dialect, "fault:the-other-form", stream=stream))

    assert reply.headers["content-type"].startswith("application/json" if stream else "text/event-stream")
    assert bool(reply.body if stream else reply.datas)


@every_form
def test_the_content_type_may_lie(provider: StrictProvider, *, stream: bool) -> None:
    reply = ask(provider, "chat", body_for("chat", "fault:wrong-content-type", stream=stream))

    assert reply.headers["content-type"] == ("text/plain" if stream else "text/html")
    assert bool(reply.datas if stream else reply.body["choices"])


# ── in the body ──


def events_in(wire: Wire) -> list[Any]:
    body = unchunked(wire.tail)
    return [line for line in body.split(b"\n") if line.startswith(b"data: ")]


@every_dialect
@pytest.mark.parametrize(
    ("fault", "end"),
    [("reset-mid-body", "reset"), ("close-mid-body", "closed"), ("silence-mid-stream", "silence")],
)
def test_a_stream_stops_in_the_middle(provider: StrictProvider, dialect: str, fault: str, end: str) -> None:
    whole = listen(provider, "closed-after-answer", dialect)
    wire = listen(provider, fault, dialect)

    assert wire.end == end
    assert wire.raw.startswith(b"HTTP/1.1 200 OK\r\n")
    assert 2 <= len(events_in(wire)) <= len(events_in(whole)) // 2
    assert not wire.raw.endswith(b"0\r\n\r\n")


@every_dialect
@pytest.mark.parametrize(
    ("fault", "end"),
    [("reset-mid-body", "reset"), ("close-mid-body", "closed"), ("silence-mid-stream", "silence")],
)
def test_a_json_answer_stops_before_its_length(
    provider: StrictProvider, dialect: str, fault: str, end: str
) -> None:
    wire = listen(provider, fault, dialect, stream=False)
    length = int(wire.head.partition(b"content-length: ")[2].split(b"\r\n")[0])

    assert (wire.end, 0 < len(wire.tail) < length) == (end, True)


def test_headers_alone_may_come_before_a_reset(provider: StrictProvider) -> None:
    wire = listen(provider, "reset-after-headers")

    assert (wire.head.startswith(b"HTTP/1.1 200"), wire.tail, wire.end) == (True, b"", "reset")


@every_dialect
def test_a_stream_may_end_in_good_order_without_its_last_words(
    provider: StrictProvider, dialect: str
) -> None:
    reply = ask(provider, dialect, body_for(dialect, "fault:clean-cut", stream=True))

    assert reply.datas
    assert not {"message_stop", "response.completed"} & {name for name, _ in reply.events}
    assert b"[DONE]" not in reply.raw
    assert b'finish_reason":"stop' not in reply.raw


@every_form
def test_a_chunk_may_have_no_length(provider: StrictProvider, *, stream: bool) -> None:
    wire = listen(provider, "bad-chunk", stream=stream)

    assert wire.raw.endswith(b"zz-not-hex\r\nwhatever\r\n")
    assert (len(events_in(Wire(wire.raw.replace(b"zz-not-hex", b"0"), ""))) > 1) == stream


@every_dialect
@every_form
def test_json_may_be_broken(provider: StrictProvider, dialect: str, *, stream: bool) -> None:
    reply = ask(provider, dialect, body_for(dialect, "fault:bad-json", stream=stream))
    texts = (
        [line[6:] for line in reply.raw.split(b"\n") if line.startswith(b"data: {")]
        if stream
        else [reply.raw]
    )

    broken = 0
    for text in texts:
        try:
            json.loads(text)
        except ValueError:
            broken += 1
    assert broken == 1


@every_dialect
def test_an_error_may_be_the_first_event(provider: StrictProvider, dialect: str) -> None:
    events = ask(provider, dialect, body_for(dialect, "fault:error-event-first", stream=True)).events

    assert len(events) == 1
    assert "verloaded" in json.dumps(events[0][1])
    assert events[0][0] == (None if dialect == "chat" else "error")


@every_dialect
def test_an_error_may_come_after_some_content(provider: StrictProvider, dialect: str) -> None:
    events = ask(provider, dialect, body_for(dialect, "fault:error-event-mid", stream=True)).events

    assert len(events) > 3
    assert "verloaded" in json.dumps(events[-1][1])
    assert not any("verloaded" in json.dumps(data) for _, data in events[:-1])


def test_a_response_may_fail_by_name(provider: StrictProvider) -> None:
    name, data = ask(
        provider, "responses", body_for("responses", "fault:response-failed", stream=True)
    ).events[-1]

    assert (name, data["response"]["status"], data["response"]["error"]["code"]) == (
        "response.failed",
        "failed",
        "server_error",
    )


@every_dialect
@every_form
def test_a_drip_arrives_whole_and_late(provider: StrictProvider, dialect: str, *, stream: bool) -> None:
    began = time.monotonic()
    reply = ask(provider, dialect, body_for(dialect, "fault:drip", stream=stream))

    assert time.monotonic() - began > 0.04
    assert bool(reply.datas[-1] if stream else reply.body)


@every_dialect
@every_form
def test_a_line_of_four_mebibytes_is_still_good_json(
    provider: StrictProvider, dialect: str, *, stream: bool
) -> None:
    reply = ask(provider, dialect, body_for(dialect, "fault:big-line", stream=stream))

    fat = reply.datas[0] if stream else reply.body
    assert len(fat["padding"]) == 4 * MIB


@every_form
def test_an_endless_line_outlasts_any_patience(provider: StrictProvider, *, stream: bool) -> None:
    wire = listen(provider, "endless-line", stream=stream, limit=40 * MIB)

    assert (wire.end, b"\n" in wire.tail.replace(b"\r\n", b"")) == ("enough", False)
    arrival = provider.diary.last()
    provider.diary.wait_until_left(arrival)
    assert arrival.bytes_sent < 60 * MIB


def test_a_bomb_is_small_on_the_wire_and_half_a_gibibyte_inside(provider: StrictProvider) -> None:
    reply = ask(provider, "chat", body_for("chat", "fault:gzip-bomb"))
    unpacker = zlib.decompressobj(31)
    size, left = 0, reply.raw
    while left and not unpacker.eof:
        size += len(unpacker.decompress(left, 16 * MIB))
        left = unpacker.unconsumed_tail

    assert (reply.headers["content-encoding"], len(reply.raw) < MIB) == ("gzip", True)
    assert (size, unpacker.eof) == (512 * MIB, True)


@every_dialect
def test_a_stream_may_be_kept_open_after_its_last_words(provider: StrictProvider, dialect: str) -> None:
    wire = listen(provider, "kept-open", dialect)
    last = {"chat": b"[DONE]", "responses": b"response.completed", "messages": b"message_stop"}[dialect]

    assert (last in wire.raw, wire.end, wire.raw.endswith(b"0\r\n\r\n")) == (True, "silence", False)


@every_form
def test_a_second_answer_that_nobody_asked_for_follows(provider: StrictProvider, *, stream: bool) -> None:
    wire = listen(provider, "extra-bytes", stream=stream)

    assert wire.raw.count(b"HTTP/1.1 200 OK") == 2
    assert wire.raw.endswith(b'{"poisoned": 1}')


# ── odd events ──


def told(provider: StrictProvider, dialect: str, fault: str) -> bytes:
    return ask(provider, dialect, body_for(dialect, f"fault:{fault}", stream=True)).raw


@every_dialect
def test_lines_may_end_in_other_ways(provider: StrictProvider, dialect: str) -> None:
    crlf, cr = told(provider, dialect, "crlf"), told(provider, dialect, "cr-only")

    assert crlf.count(b"\n") == crlf.count(b"\r\n") > 4
    assert (cr.count(b"\n"), cr.count(b"\r") > 4) == (0, True)


@every_dialect
def test_frames_may_be_written_oddly(provider: StrictProvider, dialect: str) -> None:
    assert b"data: " not in told(provider, dialect, "no-space-after-colon")
    assert told(provider, dialect, "multi-line-data").count(b"data: {\ndata: ") > 2
    assert not told(provider, dialect, "no-last-blank-line").endswith(b"\n")
    assert told(provider, dialect, "bom").startswith(b"\xef\xbb\xbf")
    assert told(provider, dialect, "comments").count(b": keep-alive\n\n") > 3
    assert b"\n\n\n\n" in told(provider, dialect, "blank-lines")
    assert b"retry: 100\nid: 7\n\n" in told(provider, dialect, "retry-and-id-lines")
    assert b"event: " not in told(provider, dialect, "no-event-names")
    assert told(provider, dialect, "null-events").count(b"data: null\n\n") > 3


@every_dialect
@pytest.mark.parametrize("fault", ["unknown-events", "codex-rate-limits"])
def test_events_that_nobody_knows_stand_between_the_others(
    provider: StrictProvider, dialect: str, fault: str
) -> None:
    reply = ask(provider, dialect, body_for(dialect, f"fault:{fault}", stream=True))
    odd = [data for data in reply.datas if data.get("type") in {"vendor.surprise", "codex.rate_limits"}]

    assert 3 < len(odd) < len(reply.datas)


@every_dialect
def test_events_may_come_twice_or_in_disorder(provider: StrictProvider, dialect: str) -> None:
    def datas(fault: str) -> list[Any]:
        return [
            data
            for _, data in ask(provider, dialect, body_for(dialect, f"fault:{fault}", stream=True)).events
        ]

    first, last, disorder = datas("first-event-twice"), datas("last-events-twice"), datas("out-of-order")
    assert first[0] == first[1]
    assert last[-2:] == last[-4:-2]
    assert disorder[2].get("type") in {None, "message_start", "response.created"}
    assert disorder[0].get("type") not in {"message_start", "response.created"}


@every_dialect
def test_a_stream_may_arrive_byte_by_byte(provider: StrictProvider, dialect: str) -> None:
    wire = listen(provider, "byte-by-byte", dialect)

    body = unchunked(wire.tail)
    assert wire.tail.count(b"1\r\n") >= len(body)


# ── the table ──


def test_every_fault_knows_its_row_and_what_it_expects() -> None:
    outcomes = set(get_args(Outcome))

    assert len(FAULTS) > 60
    for name, fault in FAULTS.items():
        assert (name, {fault.json, fault.stream} <= outcomes, bool(fault.row)) == (fault.name, True, True)


QUICK: Final = sorted(set(FAULTS) - {"dribbled-headers", "endless-line", "gzip-bomb"})


@every_dialect
@every_form
@pytest.mark.parametrize("fault", QUICK)
def test_no_fault_crashes_the_provider_itself(
    provider: StrictProvider, fault: str, dialect: str, *, stream: bool
) -> None:
    before = len(provider.diary.arrivals())
    listen(provider, fault, dialect, stream=stream)

    arrival = provider.diary.wait_for_arrivals(before + 1)[before]
    provider.diary.wait_for(
        lambda _: arrival.peer_left_after_s is not None or arrival.finished_after_s is not None
    )
    assert (arrival.told, provider.crashes) == (fault, [])
