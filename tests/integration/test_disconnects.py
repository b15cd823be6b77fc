"""A caller that leaves takes its upstream with it, and one that does not read makes its upstream wait."""

from __future__ import annotations

import json
import secrets
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import pytest

from integration.materials import CHAT, KINDS, MESSAGES, Kind, logged, serving
from support.gateway_process import GatewayProcess
from support.strict_provider import FAULTS, LONG_TEXT, Arrival, Pace, StrictProvider, say

LEFT_WITHIN_S: Final = 1.0
"""The promise is 250 ms; the rest is for a busy machine."""
PATIENCE_S: Final = 15.0
PATHS: Final = {"chat": CHAT, "messages": MESSAGES}

every_kind = pytest.mark.parametrize("kind", KINDS)
every_caller = pytest.mark.parametrize("caller", PATHS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])

SILENT: Final = FAULTS["silence-before-headers"]
STALLED: Final = FAULTS["silence-mid-stream"]


@pytest.fixture(scope="module")
def gateway(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose own time limits are too long to matter here."""
    with serving(provider, tmp_path_factory.mktemp("leaving"), requestTimeoutMs=120_000) as running:
        yield running


class Caller:
    """A caller with its socket in its own hands."""

    def __init__(self, gateway: GatewayProcess, *, receive_bytes: int | None = None) -> None:
        self._socket = socket.socket()
        if receive_bytes is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self._socket.settimeout(PATIENCE_S)
        self._socket.connect(("127.0.0.1", gateway.port))
        self.request_id = f"caller-{secrets.token_hex(6)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, caller: str, kind: Kind, *, stream: bool) -> None:
        """Send a request and read nothing."""
        body = {
            "model": f"stub-{kind}/text",
            "max_tokens": 1000,
            "messages": [{"role": "user", "content": "Hello."}],
            "stream": stream,
        }
        data = json.dumps(body).encode()
        head = (
            f"POST {PATHS[caller]} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
            f"x-request-id: {self.request_id}\r\n"
            f"content-length: {len(data)}\r\n\r\n"
        )
        self._socket.sendall(head.encode() + data)

    def read_until(self, mark: bytes) -> bytes:
        """Return what came up to and with `mark`."""
        seen = b""
        while mark not in seen:
            seen += self.receive()
        return seen

    def receive(self) -> bytes:
        """Return some more of the answer."""
        chunk = self._socket.recv(2**20)
        assert chunk, "the answer ended too early"
        return chunk

    def leave(self) -> float:
        """Close the connection as a killed process would; return the moment."""
        self._socket.close()
        return time.monotonic()


def seconds_to_close(provider: StrictProvider, arrival: Arrival, left_at: float) -> float:
    """Return how long after its caller the upstream's connection went."""
    return arrival.at + provider.diary.wait_until_left(arrival) - left_at


def check_gone(gateway: GatewayProcess, provider: StrictProvider, who: Caller) -> None:
    """Leave: the upstream is closed in time and not asked again, and the log knows who ended it."""
    left_at = who.leave()
    (arrival,) = provider.diary.wait_for_arrivals(1)
    assert seconds_to_close(provider, arrival, left_at) < LEFT_WITHIN_S
    assert arrival.aborted
    assert logged(gateway, who.request_id)["ended_by"] == "client"
    assert len(provider.diary.arrivals()) == 1, "an answer that nobody waits for was asked for again"


@both_ways
@every_caller
@every_kind
def test_a_caller_who_leaves_before_the_first_byte(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str, *, stream: bool
) -> None:
    provider.queue(SILENT)
    with Caller(gateway) as who:
        who.ask(caller, kind, stream=stream)
        provider.diary.wait_for_arrivals(1)
        check_gone(gateway, provider, who)


@every_caller
@every_kind
def test_a_caller_who_leaves_while_the_upstream_speaks(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str
) -> None:
    provider.queue(say(LONG_TEXT), pace=Pace(pause_s=0.01))
    with Caller(gateway) as who:
        who.ask(caller, kind, stream=True)
        who.read_until(b"word-2")
        check_gone(gateway, provider, who)


@every_caller
@every_kind
def test_a_caller_who_leaves_while_the_upstream_is_stalled(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str
) -> None:
    provider.queue(say("Part one, part two, part three."), fault=STALLED)
    with Caller(gateway) as who:
        who.ask(caller, kind, stream=True)
        who.read_until(b"Part")
        check_gone(gateway, provider, who)


@every_caller
@every_kind
def test_a_caller_who_leaves_while_a_plain_answer_is_half_read(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str
) -> None:
    provider.queue(say("Part one, part two, part three."), fault=STALLED)
    with Caller(gateway) as who:
        who.ask(caller, kind, stream=False)
        provider.diary.wait_for(lambda diary: any(found.status == 200 for found in diary.arrivals()))
        check_gone(gateway, provider, who)


MEGABYTES: Final = {"chat": 80, "responses": 15, "messages": 80}
"""More than the kernel's buffers, which grow to 40 MB; a Responses stream says everything five times over."""
OUR_SHARE_BYTES: Final = 16 * 2**20


def memory_bytes(gateway: GatewayProcess) -> int:
    """Return the resident memory of the gateway's process."""
    pages = Path(f"/proc/{gateway.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096


def settled(arrival: Arrival) -> int:
    """Wait until nothing more is sent for half a second; return how much was."""
    until = time.monotonic() + PATIENCE_S
    sent, since = arrival.bytes_sent, time.monotonic()
    while time.monotonic() - since < 0.5:
        assert time.monotonic() < until, "it never stopped sending"
        if arrival.bytes_sent != sent:
            sent, since = arrival.bytes_sent, time.monotonic()
        time.sleep(0.02)
    return sent


@every_caller
@every_kind
def test_a_caller_who_does_not_read_makes_its_upstream_wait(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str
) -> None:
    """Between them stand only the kernel's buffers and a bounded one of ours; the answer is whole in the end."""
    provider.queue(say("0123456789abcdef" * 65_536 * MEGABYTES[kind] + "END.", piece_chars=65_536))
    before = memory_bytes(gateway)
    with Caller(gateway, receive_bytes=65_536) as who:
        who.ask(caller, kind, stream=True)
        (arrival,) = provider.diary.wait_for_arrivals(1)
        sent = settled(arrival)
        assert arrival.finished_after_s is None, f"all {sent} bytes went into somebody's memory"
        assert memory_bytes(gateway) - before < OUR_SHARE_BYTES
        ended = b"data: [DONE]" if caller == "chat" else b'"message_stop"'
        tail = b""
        while ended not in tail:
            tail = (tail + who.receive())[-4096:]
        assert b"END." in tail
