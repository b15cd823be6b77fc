"""The process around the server: signals and draining, the port, files that change, files that cannot be used."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import KEY, write_agent_dir
from support.gateway_process import GatewayProcess, running_gateway
from support.strict_provider import FAULTS, Pace, StrictProvider, say

CHAT = "/v1/chat/completions"
TEXT = "Everything that was begun is told to its end."
ASK: dict[str, Any] = {"model": "stub-chat/text", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def agent_dir(tmp_path: Path, provider: StrictProvider) -> Path:
    return write_agent_dir(tmp_path / "agent", provider)


@pytest.fixture
def own(tmp_path: Path, agent_dir: Path) -> Iterator[GatewayProcess]:
    """A gateway of the test's own, to be ended or upset; it prints no traceback, whatever happens."""
    with running_gateway(tmp_path, agent_dir=agent_dir) as running:
        yield running
        running.stop()
        assert "Traceback" not in running.printed()
        assert KEY not in running.printed()


def run_command(gateway: GatewayProcess, *words: str) -> subprocess.CompletedProcess[str]:
    variables = {"HOME": str(gateway.home), "PATH": os.environ["PATH"], "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "pi_model_proxy", *words],
        env=variables,
        cwd=gateway.home,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def opened_stream(gateway: GatewayProcess) -> socket.socket:
    body = json.dumps({**ASK, "stream": True}).encode()
    sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    sock.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    return sock


def read_until(sock: socket.socket, mark: bytes) -> bytes:
    heard = b""
    while mark not in heard and (data := sock.recv(65536)):
        heard += data
    return heard


def refuses_connections(gateway: GatewayProcess) -> bool:
    try:
        socket.create_connection(("127.0.0.1", gateway.port), timeout=1).close()
    except OSError:
        return True
    return False


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP], ids=lambda n: str(n.name))
def test_a_signal_lets_a_running_stream_finish_and_nobody_new_in(
    own: GatewayProcess, provider: StrictProvider, number: signal.Signals
) -> None:
    provider.queue(say(TEXT), pace=Pace(hold_after=4, gate=number.name))
    idle = socket.create_connection(("127.0.0.1", own.port), timeout=10)
    with opened_stream(own) as sock, idle:
        heard = read_until(sock, b"data: ")
        own.process.send_signal(number)
        own.wait_for(lambda: refuses_connections(own), "the closing of the port")
        assert idle.recv(1) == b""
        assert own.process.poll() is None
        provider.open_gate(number.name)
        heard += read_until(sock, b"data: [DONE]")
    assert b'"finish_reason":"stop"' in heard
    assert own.process.wait(timeout=10) == 0
    assert own.log()[-1]["finish"] == "stop"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: str(n.name))
def test_a_second_signal_ends_at_once(
    own: GatewayProcess, provider: StrictProvider, number: signal.Signals
) -> None:
    provider.queue(say(TEXT), pace=Pace(hold_after=2, gate="never"))
    with opened_stream(own) as sock:
        read_until(sock, b"data: ")
        own.process.send_signal(number)
        own.wait_for(lambda: refuses_connections(own), "the beginning of the end")
        own.process.send_signal(number)
        assert own.process.wait(timeout=2) == 130


def test_what_does_not_end_in_15_s_is_told_so_in_our_words(
    own: GatewayProcess, provider: StrictProvider
) -> None:
    provider.queue(FAULTS["silence-before-headers"])
    answers: list[Any] = []
    asking = threading.Thread(target=lambda: answers.append(own.post(CHAT, ASK, timeout_s=40)))
    asking.start()
    own.wait_for(lambda: bool(provider.diary.arrivals()), "the question")
    assert own.stop() == 0
    asking.join()
    assert (answers[0].status, answers[0].headers["retry-after"]) == (503, "1")
    assert answers[0].json()["error"]["code"] == "not_ready"
    assert own.log()[-1]["ended_by"] == "shutdown"


def test_a_taken_port_is_refused_with_its_holder_and_the_flag(own: GatewayProcess) -> None:
    second = run_command(own, "serve", "--port", str(own.port))
    assert second.returncode == 1
    assert "another pi-model-proxy" in second.stderr
    assert f"pid {own.process.pid}" in second.stderr
    assert "--port" in second.stderr
    assert "Traceback" not in second.stderr


def test_status_says_by_its_exit_whether_one_runs(own: GatewayProcess) -> None:
    assert run_command(own, "status", "--port", str(own.port)).returncode == 0
    own.stop()
    gone = run_command(own, "status", "--port", str(own.port))
    assert gone.returncode == 1
    assert "Traceback" not in gone.stderr


def test_settings_are_followed_when_good_and_kept_when_broken_or_gone(own: GatewayProcess) -> None:
    file = own.home / ".pi" / "model-proxy.json"
    aliased = {**ASK, "model": "mine"}
    assert own.post(CHAT, aliased).status == 404
    file.write_text(json.dumps({"aliases": {"mine": "stub-chat/text"}}))
    # Without a file at the start there is nothing to follow but its appearance.
    own.wait_for(lambda: own.post(CHAT, aliased).status == 200, "the alias")
    file.write_text('{"aliases": {"mine": 5')
    own.wait_for(lambda: "model-proxy.json" in own.printed(), "the complaint")
    assert own.post(CHAT, aliased).status == 200
    file.write_text(json.dumps({"aliases": {"yours": "stub-chat/text"}}))
    own.wait_for(lambda: own.post(CHAT, aliased).status == 404, "the new alias")
    file.unlink()
    own.wait_for(lambda: "gone" in own.printed(), "the second complaint")
    assert own.post(CHAT, {**ASK, "model": "yours"}).status == 200


def test_a_provider_added_to_models_json_is_served_and_a_torn_file_changes_nothing(
    own: GatewayProcess, agent_dir: Path
) -> None:
    file = agent_dir / "models.json"
    whole = json.loads(file.read_text())
    whole["providers"]["stub-new"] = whole["providers"]["stub-chat"]
    file.write_text(json.dumps(whole, indent=2))
    added = {**ASK, "model": "stub-new/text"}
    own.wait_for(lambda: own.post(CHAT, added).status == 200, "the new provider")
    for at in (1, 200, len(file.read_text()) - 3):
        file.write_text(json.dumps(whole, indent=2)[:at])
        assert own.post(CHAT, added).status == 200
    found = run_command(own, "check", "--agent-dir", str(agent_dir))
    assert found.returncode != 0
    said = found.stdout + found.stderr
    assert re.search(r"models\.json:\d+:\d+: ", said), said
    assert "Traceback" not in said
    assert KEY not in said
    assert own.post(CHAT, added).status == 200


def test_a_torn_auth_json_logs_nobody_out(own: GatewayProcess, agent_dir: Path) -> None:
    models = json.loads((agent_dir / "models.json").read_text())
    file = agent_dir / "auth.json"
    login = json.dumps({"stub-nokey": {"type": "api_key", "key": "sk-later-0123456789"}})
    file.write_text(login)
    file.chmod(0o600)
    ask = {**ASK, "model": "stub-nokey/text"}
    assert "stub-nokey" in models["providers"]
    own.wait_for(lambda: own.post(CHAT, ask).status == 200, "the login")
    file.write_text(login[:20])
    for _ in range(20):
        assert own.post(CHAT, ask).status == 200
    assert file.read_text() == login[:20]


def test_an_agent_dir_that_cannot_be_written_serves(tmp_path: Path, agent_dir: Path) -> None:
    before = sorted(path.name for path in agent_dir.iterdir())
    agent_dir.chmod(0o500)
    try:
        with running_gateway(tmp_path, agent_dir=agent_dir) as gateway:
            assert gateway.post(CHAT, ASK).status == 200
            assert gateway.stop() == 0
            assert "Traceback" not in gateway.printed()
    finally:
        agent_dir.chmod(0o700)
    assert sorted(path.name for path in agent_dir.iterdir()) == before


def test_the_log_is_private_and_rotated(tmp_path: Path, agent_dir: Path) -> None:
    flags = ("--log-max-bytes", "5000", "--log-keep", "2")
    with running_gateway(tmp_path, *flags, agent_dir=agent_dir) as gateway:
        oldest = gateway.log_path.with_name(gateway.log_path.name + ".2")
        for _ in range(30):
            assert gateway.post(CHAT, ASK).status == 200
        gateway.wait_for(oldest.exists, "the second rotation")
        assert gateway.stop() == 0
        files = sorted(gateway.log_path.parent.glob("model-proxy-log.jsonl*"))
        assert len(files) == 3
        for file in files:
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert all(json.loads(line) for line in file.read_text().splitlines())


@pytest.mark.parametrize("what", ["folder", "symlink", "full", "fifo", "no folder"])
def test_a_log_that_cannot_be_written_stops_no_answer(tmp_path: Path, agent_dir: Path, what: str) -> None:
    path, kept = tmp_path / "requests.jsonl", tmp_path / "kept.txt"
    kept.write_text("not ours")
    match what:
        case "folder":
            path.mkdir()
        case "symlink":
            path.symlink_to(kept)
        case "full":
            path = Path("/dev/full")
        case "fifo":
            os.mkfifo(path)
        case _:
            path = kept / "below-a-file" / "log.jsonl"
    with running_gateway(tmp_path, "--log-path", str(path), agent_dir=agent_dir) as gateway:
        for _ in range(3):
            assert gateway.post(CHAT, ASK).status == 200
        gateway.wait_for(lambda: "log" in gateway.printed().partition("Next")[2], "the complaint")
        assert gateway.stop() == 0
        assert "Traceback" not in gateway.printed()
    assert kept.read_text() == "not ours"
