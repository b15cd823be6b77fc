"""Bytes and upstreams that mean harm, over raw sockets, through the installed command (SECURITY.md's table)."""

from __future__ import annotations

import base64
import json
import re
import resource
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import KEY, write_agent_dir
from support.gateway_process import GatewayProcess, running_gateway
from support.strict_provider import Fault, StrictProvider, say
from support.strict_provider import fault_plans as plans
from support.strict_provider.reply import LAST_CHUNK, Exchange, chunk, json_reply, stream_head
from support.strict_provider.steps import Send, Step

HOST = b"Host: 127.0.0.1\r\n"
CHAT = "/v1/chat/completions"
ASK = {"model": "stub-chat/text", "messages": [{"role": "user", "content": "hi"}]}
JSON_POST = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
CHUNKED = JSON_POST + b"Transfer-Encoding: chunked\r\n"
LIBRARY_WORDS = (b"Invalid HTTP request", b"Internal Server Error\r\n\r\nInternal", b"uvicorn", b"text/plain")


@pytest.fixture(scope="module")
def victim(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One gateway that must stand through all of this and print nothing but its banner."""
    home = tmp_path_factory.mktemp("victim")
    agent_dir = write_agent_dir(home / "agent", provider)
    with running_gateway(home, agent_dir=agent_dir, config={"maxBodyBytes": 1_000_000}) as running:
        yield running
        assert running.get("/health").json()["active_requests"] == 0
        assert running.stop() == 0
        said = running.printed()
        assert "Traceback" not in said
        assert KEY not in said
        assert KEY not in running.log_path.read_text()


def talk(gateway: GatewayProcess, *pieces: bytes, timeout_s: float = 10.0) -> bytes:
    """Send the pieces and return all that comes until the server closes."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=timeout_s) as sock:
        for piece in pieces:
            sock.sendall(piece)
        return rest(sock)


def rest(sock: socket.socket) -> bytes:
    heard = b""
    try:
        while data := sock.recv(65536):
            heard += data
    except ConnectionResetError:
        pass
    return heard


def posted(body: Any, *headers: bytes) -> bytes:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = b"".join(line + b"\r\n" for line in headers)
    return JSON_POST + b"Content-Length: %d\r\n" % len(data) + lines + b"\r\n" + data


def get(path: bytes, *headers: bytes) -> bytes:
    return b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in headers) + b"\r\n"


def statuses(heard: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"HTTP/1\.1 (\d{3}) ", heard)]


AMBIGUOUS = {
    "absolute target": get(b"http://evil.example/v1/models"),
    "absolute target of ours": get(b"http://127.0.0.1/health"),
    "host in authority": b"CONNECT evil.example:443 HTTP/1.1\r\n" + HOST + b"\r\n",
    "two hosts": get(b"/health", b"Host: evil.example"),
    "length and chunks": CHUNKED + b"Content-Length: 4\r\n\r\n0\r\n\r\n" + get(b"/health"),
    "chunks and length": JSON_POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": JSON_POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": JSON_POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "chunked twice": CHUNKED + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "space before the colon": JSON_POST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "bad chunk size": CHUNKED + b"\r\nzz\r\n",
    "negative chunk": CHUNKED + b"\r\n-1\r\n",
    "endless chunk size": CHUNKED + b"\r\nffffffffffffffffff\r\n",
    "two lengths": JSON_POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "signed length": JSON_POST + b"Content-Length: +2\r\n\r\n{}",
    "endless length": JSON_POST + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    "line feeds only": b"GET /health HTTP/1.1\nHost: 127.0.0.1\n\n",
    "folded header": get(b"/health", b"X-A: b\r\n c"),
    "NUL in a header": get(b"/health", b"X-A: a\0b"),
    "NUL in the path": get(b"/hea\0lth"),
    "raw bytes in the path": get(b"/v1/models/\xff\xfe"),
    "unknown method": b"FOO /health HTTP/1.1\r\n" + HOST + b"\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100,
    "10,000 headers": get(b"/health", *(b"x-%d: y" % number for number in range(10_000))),
    "endless trailer": CHUNKED + b"\r\n0\r\nx: " + b"y" * 400_000,
    "endless chunk extension": CHUNKED + b"\r\n1;" + b"y" * 400_000,
    "a header too long": get(b"/health", b"x: " + b"y" * 400_000),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_what_is_ambiguous_is_refused_once_and_the_connection_closed(
    victim: GatewayProcess, provider: StrictProvider, name: str
) -> None:
    with socket.create_connection(("127.0.0.1", victim.port), timeout=10) as sock:
        try:
            sock.sendall(AMBIGUOUS[name])
        except OSError:
            assert "endless" in name or "too long" in name  # it was refused while it was being sent
        heard = rest(sock)
    assert statuses(heard) in ([400], [403], [431]), heard[:300]
    assert b'{"error":{"message":' in heard
    assert b"x-request-id: " in heard
    assert not any(words in heard for words in LIBRARY_WORDS)
    assert provider.diary.arrivals() == []


@pytest.mark.parametrize(
    "host", [b"", b"127.0.0.1/?#", b"127.0.0.1@evil.example", b"evil.example", b"127.0.0.1.evil.example"]
)
def test_a_host_that_is_not_ours_is_refused(victim: GatewayProcess, host: bytes) -> None:
    line = b"Host: " + host + b"\r\n" if host else b""
    heard = talk(victim, b"GET /v1/models HTTP/1.1\r\n" + line + b"Connection: close\r\n\r\n")
    assert statuses(heard)[0] in {400, 403}
    assert b'"data"' not in heard


@pytest.mark.parametrize(
    "origin", [b"null", b"file://", b"chrome-extension://abc", b"http://[", b"https://evil.example"]
)
def test_a_foreign_page_gets_no_leave_to_reach_the_private_network(
    victim: GatewayProcess, origin: bytes
) -> None:
    asked = b"Access-Control-Request-Private-Network: true\r\nConnection: close\r\n"
    heard = talk(
        victim, b"OPTIONS /v1/models HTTP/1.1\r\n" + HOST + b"Origin: " + origin + b"\r\n" + asked + b"\r\n"
    )
    assert statuses(heard) == [403]
    assert b"access-control-allow" not in heard


def test_an_upgrade_to_websocket_is_never_granted(victim: GatewayProcess) -> None:
    heard = talk(
        victim,
        get(
            b"/v1/models",
            b"Upgrade: websocket",
            b"Connection: Upgrade",
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            b"Sec-WebSocket-Version: 13",
        ),
    )
    assert statuses(heard) == [200]
    assert b"connection: close" in heard


def test_an_upgrade_with_a_body_is_told_why_it_cannot_be_served(victim: GatewayProcess) -> None:
    heard = talk(
        victim, posted(ASK, b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA")
    )
    assert statuses(heard) == [400]
    assert b"only HTTP/1.1" in heard


def test_a_trailer_is_no_header(victim: GatewayProcess) -> None:
    body = json.dumps(ASK).encode()
    trailers = b"Host: evil.example\r\nOrigin: https://evil.example\r\nx-request-id: stolen\r\n"
    whole = (
        CHUNKED + b"Connection: close\r\n\r\n%x\r\n" % len(body) + body + b"\r\n0\r\n" + trailers + b"\r\n"
    )
    heard = talk(victim, whole)
    assert statuses(heard) == [200]
    assert b"stolen" not in heard


def test_garbage_behind_a_request_is_never_taken_for_its_answer(victim: GatewayProcess) -> None:
    heard = talk(victim, posted(ASK) + b"\x00\x00\r\n\r\n")
    assert 400 not in statuses(heard)


def test_a_connection_serves_on_after_an_error(victim: GatewayProcess) -> None:
    bad = posted(b"{")
    heard = talk(victim, get(b"/nowhere") + bad + posted(ASK) + get(b"/livez", b"Connection: close"))
    assert statuses(heard) == [404, 400, 200, 200]


@pytest.mark.parametrize("method", [b"TRACE", b"PUT", b"DELETE"])
def test_other_methods_are_405_and_nothing_is_echoed(victim: GatewayProcess, method: bytes) -> None:
    heard = talk(
        victim, method + b" /health HTTP/1.1\r\n" + HOST + b"X-Told: told\r\nConnection: close\r\n\r\n"
    )
    assert statuses(heard) == [405]
    assert b"told" not in heard


@pytest.mark.parametrize("model", ["x\r\nX-Evil: 1", "a\0b", "../../etc/passwd", "\x1b[31m", "x" * 100_000])
def test_a_model_name_reaches_no_header_and_no_path(victim: GatewayProcess, model: str) -> None:
    answer = victim.post(CHAT, {**ASK, "model": model})
    assert answer.status == 404
    assert "x-evil" not in answer.headers
    assert "\x1b" not in answer.text
    assert len(answer.body) < 2000


def test_bytes_that_are_no_ascii_in_headers_cost_nothing(victim: GatewayProcess) -> None:
    for header in (b"x-request-id", b"x-pi-model-proxy-hop", b"user-agent", b"anthropic-beta", b"x-api-key"):
        assert statuses(talk(victim, posted(ASK, header + b": \xff\xfe\xe9", b"Connection: close"))) == [200]


@pytest.mark.parametrize("field", ["max_tokens", "temperature", "seed", "top_p"])
def test_a_number_of_5000_digits_is_the_callers_mistake(victim: GatewayProcess, field: str) -> None:
    body = json.dumps(ASK)[:-1] + f',"{field}":' + "9" * 5000 + "}"
    answer = victim.post(CHAT, body.encode())
    assert answer.status == 400, answer.text
    assert len(answer.body) < 1000


@pytest.mark.parametrize("field", ["api_base", "base_url", "extra_headers", "api_key"])
def test_a_field_that_would_steer_our_transport_is_removed_and_listed(
    victim: GatewayProcess, provider: StrictProvider, field: str
) -> None:
    answer = victim.post(CHAT, {**ASK, field: "https://evil.example"})
    assert answer.status == 200
    assert field in answer.headers["x-pi-model-proxy-dropped"]
    assert b"evil.example" not in json.dumps(provider.diary.last().body).encode()


@pytest.mark.parametrize("size", [2_000_000, 100_000_000])
def test_a_caller_that_sends_far_too_much_still_hears_413(victim: GatewayProcess, size: int) -> None:
    answer = victim.post("/v1/messages", b"x" * size)
    assert (answer.status, answer.json()["error"]["type"]) == (413, "request_too_large")


def memory_kib(gateway: GatewayProcess) -> int:
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def torrent(exchange: Exchange) -> Iterator[Step]:
    delta = {"index": 0, "delta": {"content": "x" * 65_536}, "finish_reason": None}
    event = {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "text", "choices": [delta]}
    yield Send(stream_head(exchange))
    for _ in range(1500):
        yield Send(chunk(b"data: " + json.dumps(event).encode() + b"\n\n"))


def test_a_caller_that_reads_nothing_costs_no_memory(
    victim: GatewayProcess, provider: StrictProvider
) -> None:
    """The upstream has 94 MiB to say."""
    before = memory_kib(victim)
    provider.queue(say("x"), fault=Fault(name="torrent", row="client does not read", plan=torrent))
    with socket.create_connection(("127.0.0.1", victim.port), timeout=10) as sock:
        sock.sendall(posted({**ASK, "stream": True}))
        assert sock.recv(100)
        # Others are served meanwhile; when they are through, the unread answer has been stalled.
        for _ in range(100):
            assert victim.post(CHAT, ASK).status == 200
        assert memory_kib(victim) - before < 32 * 1024


def echoing_events(exchange: Exchange) -> bytes:
    key = exchange.key
    error: dict[str, Any]
    if exchange.dialect == "messages":
        error = {"type": "error", "error": {"type": "api_error", "message": f"bad key {key}"}}
    elif exchange.dialect == "responses":
        error = {
            "type": "error",
            "code": key,
            "message": f"bad key {key}",
            "param": key,
            "sequence_number": 3,
        }
    else:
        error = {"error": {"message": f"bad key {key}", "type": key, "code": key, "param": key}}
    name = b"" if exchange.dialect == "chat" else b"event: error\n"
    return name + b"data: " + json.dumps(error).encode() + b"\n\n"


def echo_in_mid_stream(exchange: Exchange) -> Iterator[Step]:
    yield from plans.begun(exchange, keep=3)
    yield Send(chunk(echoing_events(exchange)) + LAST_CHUNK)


def echo_in_every_way(exchange: Exchange) -> Iterator[Step]:
    key = exchange.key
    shown = f"bad {key} {key.upper()} {base64.b64encode(key.encode()).decode()}"
    error = {"type": "error", "error": {"message": shown, "type": key, "code": key, "param": key}}
    headers = {"x-ratelimit-key": key, "retry-after": key, "x-request-id": key, "request-id": key}
    yield Send(json_reply(400, error, {**exchange.headers(), **headers}))


def echo_in_headers(exchange: Exchange) -> Iterator[Step]:
    yield Send(
        stream_head(
            exchange, x_ratelimit_key=exchange.key, x_request_id=exchange.key, request_id=exchange.key
        )
    )
    yield Send(b"".join(map(chunk, exchange.frames())) + LAST_CHUNK)


@pytest.mark.parametrize("path", [CHAT, "/v1/messages"])
@pytest.mark.parametrize("kind", ["stub-chat", "stub-responses", "stub-messages"])
@pytest.mark.parametrize("plan", [echo_in_mid_stream, echo_in_every_way, echo_in_headers])
def test_a_key_that_an_upstream_repeats_reaches_nobody(
    victim: GatewayProcess, provider: StrictProvider, plan: Any, kind: str, path: str
) -> None:
    provider.queue(say("hello there"), fault=Fault(name="echo", row="401 that repeats the key", plan=plan))
    answer = victim.post(path, {**ASK, "model": f"{kind}/text", "max_tokens": 99, "stream": True})
    heard = (answer.text + str(answer.headers)).lower()
    assert KEY.lower() not in heard
    assert base64.b64encode(KEY.encode()).decode().rstrip("=").lower() not in heard
    if plan is not echo_in_headers:
        assert (
            "[redacted]" in heard or "[hidden]" in heard
        )  # the Messages dialect hides what looks like a key itself
    assert KEY not in json.dumps(victim.log())


def test_few_descriptors_and_many_idle_connections_keep_nobody_out(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with running_gateway(tmp_path, "--demo") as gateway:
        resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (soft, hard))
        socks = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(300)]
        for _ in range(5):
            assert gateway.get("/health").status == 200
        for sock in socks:
            sock.close()
        assert "Traceback" not in gateway.printed()


def test_200_slow_and_500_idle_connections_slow_nobody_else_and_are_ended(
    victim: GatewayProcess,
) -> None:
    """Slow ones: a header dribbled, a body dribbled, an empty line and silence, an answer before the body's end."""
    idle = [socket.create_connection(("127.0.0.1", victim.port)) for _ in range(500)]
    kinds = (
        get(b"/health")[:-2] + b"X-A",
        posted(ASK)[:-5],
        get(b"/livez"),
        JSON_POST.replace(b"application/json", b"text/plain") + b"Content-Length: 9000\r\n\r\n{",
    )
    slow = []
    for number in range(200):
        sock = socket.create_connection(("127.0.0.1", victim.port), timeout=30)
        sock.sendall(kinds[number % 4])
        if number % 4 == 2:
            assert sock.recv(1000)
            sock.sendall(b"\r\n")
        slow.append(sock)
    stop = threading.Event()

    def dribble() -> None:
        while not stop.wait(0.5):
            for number, sock in enumerate(slow):
                if number % 4 in {0, 1}:
                    try:
                        sock.sendall(b" ")
                    except OSError:
                        continue

    dribbler = threading.Thread(target=dribble)
    dribbler.start()
    began_s = time.monotonic()
    try:
        took_s = []
        for _ in range(100):
            at_s = time.monotonic()
            assert victim.post(CHAT, ASK).status == 200
            took_s.append(time.monotonic() - at_s)
        assert sorted(took_s)[94] < 0.25  # the figure is 0.1 s; the machine that tests may be busy
        for sock in slow:
            rest(sock)
            assert time.monotonic() - began_s < 25
    finally:
        stop.set()
        dribbler.join()
        for sock in (*idle, *slow):
            sock.close()
