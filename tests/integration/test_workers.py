"""`--workers`: several processes, one gateway."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from integration.conftest import write_agent_dir
from support.gateway_process import GatewayProcess, running_gateway
from support.strict_provider import Pace, StrictProvider, say

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds the workers by /proc")

TEXT = "Everything that was begun is told to its end."
ASK = {"model": "stub-chat/text", "messages": [{"role": "user", "content": "hi"}]}
DEMO = {"model": "demo/chat-text", "messages": [{"role": "user", "content": "hello"}]}


def workers_of(gateway: GatewayProcess) -> set[int]:
    pid = gateway.process.pid
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has buried yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def has_open(pid: int, path: Path) -> bool:
    """Whether a process has `path` open; other descriptors of it may come and go meanwhile."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            if os.readlink(link) == str(path):
                return True
    return False


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[GatewayProcess]:
    with running_gateway(tmp_path, "--demo", "--workers", "3") as gateway:
        yield gateway


def test_every_worker_answers_and_one_process_writes_the_log(crew: GatewayProcess) -> None:
    assert len(workers_of(crew)) == 3
    for _ in range(40):
        assert crew.post("/v1/chat/completions", DEMO).status == 200
    lines = crew.log(40)
    assert len({line["request_id"] for line in lines}) == 40
    assert crew.get("/health").json()["requests"] == 40, "whichever worker is asked, it knows of all"
    writers = [pid for pid in (crew.process.pid, *workers_of(crew)) if has_open(pid, crew.log_path)]
    assert writers == [crew.process.pid]


def test_a_killed_worker_is_replaced_and_its_place_said(crew: GatewayProcess) -> None:
    before = workers_of(crew)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    crew.wait_for(lambda: len(workers_of(crew)) == 3 and victim not in workers_of(crew), "a replacement")
    assert before - workers_of(crew) == {victim}
    for _ in range(20):
        assert crew.post("/v1/chat/completions", DEMO).status == 200
    assert "killed by signal 9" in crew.printed()


def test_a_limit_is_one_for_all_workers(tmp_path: Path) -> None:
    with running_gateway(tmp_path, "--demo", "--workers", "3", "--rate-limit", "7") as gateway:
        statuses = Counter(gateway.post("/v1/chat/completions", DEMO).status for _ in range(30))
    assert statuses == {200: 7, 429: 23}


def opened_streams(gateway: GatewayProcess, count: int) -> dict[socket.socket, bytes]:
    """Begin streams and return them once each has said something, with what that was."""
    body = json.dumps({**ASK, "stream": True}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    streams = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
        sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        streams.append(sock)
    return {sock: sock.recv(65536) for sock in streams}


def rest_of(sock: socket.socket) -> bytes:
    heard = b""
    while data := sock.recv(65536):
        heard += data
    sock.close()
    return heard


def test_a_signal_lets_running_streams_finish_in_every_worker(
    tmp_path: Path, provider: StrictProvider
) -> None:
    for _ in range(6):
        provider.queue(say(TEXT), pace=Pace(hold_after=4, gate="crew"))
    agent_dir = write_agent_dir(tmp_path / "agent", provider)
    with running_gateway(tmp_path, "--workers", "3", agent_dir=agent_dir) as gateway:
        streams = opened_streams(gateway, 6)
        gateway.process.send_signal(signal.SIGTERM)
        gateway.wait_for(lambda: not accepts(gateway), "the closing of the port")
        provider.open_gate("crew")
        ends = [(first + rest_of(sock))[-200:] for sock, first in streams.items()]
        assert [b"data: [DONE]" in end for end in ends] == [True] * 6, ends
        assert gateway.process.wait(10) == 0
        assert [line["finish"] for line in gateway.log(6)] == ["stop"] * 6


def accepts(gateway: GatewayProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", gateway.port), timeout=5).close()
    except ConnectionResetError:
        return True  # it was in the queue of a worker that just closed
    except ConnectionRefusedError:
        return False
    return True


def test_a_second_signal_ends_every_worker_at_once(tmp_path: Path, provider: StrictProvider) -> None:
    provider.queue(say(TEXT), pace=Pace(hold_after=2, gate="never"))
    agent_dir = write_agent_dir(tmp_path / "agent", provider)
    with running_gateway(tmp_path, "--workers", "2", agent_dir=agent_dir) as gateway:
        workers = workers_of(gateway)
        (stream,) = opened_streams(gateway, 1)
        gateway.process.send_signal(signal.SIGINT)
        gateway.wait_for(lambda: not accepts(gateway), "the beginning of the end")
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(10) == 130
        stream.close()
    assert not any(lives(pid) for pid in workers)


def test_workers_without_their_supervisor_end(crew: GatewayProcess) -> None:
    workers = workers_of(crew)
    crew.process.kill()
    crew.process.wait()
    crew.wait_for(lambda: not any(lives(pid) for pid in workers), "the workers' end")


def test_a_port_that_workers_share_is_taken_for_everybody_else(crew: GatewayProcess) -> None:
    for workers in ("1", "2"):
        command = [sys.executable, "-m", "pi_model_proxy", "serve", "--demo", "--port", str(crew.port)]
        other = subprocess.run(
            [*command, "--workers", workers],
            env={"HOME": str(crew.home), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        assert other.returncode == 1
        assert "another pi-model-proxy" in other.stderr + other.stdout
