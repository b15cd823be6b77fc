from __future__ import annotations

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.cli import main
from pi_model_proxy.cli.status import duration

HEALTH: dict[str, Any] = {
    "status": "ok",
    "service": "pi-model-proxy",
    "version": "9.9.9",
    "ready": True,
    "draining": False,
    "uptime_s": 11_520.4,
    "models": 212,
    "providers": 4,
    "problems": 0,
}
KEY = "a-key-of-twenty-chars"


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)


@contextmanager
def answering(body: Callable[[str | None], bytes]) -> Iterator[int]:
    """A server whose answer depends on the caller's authorization; yields its port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = body(self.headers.get("authorization"))
            self.send_response(200 if self.path == "/health" else 404)
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:  # type: ignore[explicit-override]  # keeps the test's output quiet
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def closed_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def test_a_running_server_tells_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(lambda _: json.dumps(HEALTH).encode()) as port:
        assert main(["status", "--port", str(port)]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == [
        f"pi-model-proxy 9.9.9 is running at http://127.0.0.1:{port}, up 3 h 12 min",
        "  models           212",
        "  providers        4",
    ]


def test_the_key_is_sent_and_never_printed(capsys: pytest.CaptureFixture[str]) -> None:
    def body(authorization: str | None) -> bytes:
        full = authorization == f"Bearer {KEY}"
        return json.dumps(
            HEALTH if full else {k: HEALTH[k] for k in ("status", "service", "version")}
        ).encode()

    with answering(body) as port:
        assert main(["status", "--port", str(port), "--api-key", KEY]) == 0
        assert "212" in (with_key := capsys.readouterr().out)
        assert main(["status", "--port", str(port)]) == 0
        without_key = capsys.readouterr().out
    assert KEY not in with_key
    assert "to a caller that has its key" in without_key


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("ready", False, "still reading pi's files"),
        ("draining", True, "about to stop"),
        ("problems", 2, "`pi-model-proxy check`"),
        ("status", "failing", "not well"),
    ],
)
def test_what_is_unusual_is_said(
    field: str, value: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with answering(lambda _: json.dumps(HEALTH | {field: value}).encode()) as port:
        assert main(["status", "--port", str(port)]) == 0
    assert said in capsys.readouterr().out


def test_nothing_there_says_how_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    port = closed_port()
    assert main(["status", "--port", str(port)]) == 1
    out = capsys.readouterr().out
    assert f"not running: nothing listens at http://127.0.0.1:{port}" in out
    assert f"`pi-model-proxy --port {port}`" in out


@pytest.mark.parametrize(
    "body", [b"<html>hello</html>", b'{"status":"ok"}', b"[1]", b"", b"[" * 100_000], ids=repr
)
def test_something_else_there_is_not_taken_for_us(body: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    with answering(lambda _: body) as port:
        assert main(["status", "--port", str(port)]) == 1
    assert f"something else answers at http://127.0.0.1:{port}" in capsys.readouterr().out


def test_a_port_that_speaks_no_http_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        assert main(["status", "--port", str(server.getsockname()[1])]) == 1
        thread.join()
    assert "cannot be asked" in capsys.readouterr().out


def test_a_silent_port_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("pi_model_proxy.cli.status.TIMEOUT_S", 0.05)
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        assert main(["status", "--port", str(server.getsockname()[1])]) == 1
    assert "says nothing" in capsys.readouterr().out


def test_a_server_on_all_addresses_is_asked_on_loopback(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(lambda _: json.dumps(HEALTH).encode()) as port:
        words = ["status", "--host", "0.0.0.0", "--api-key", KEY, "--port", str(port)]
        assert main(words) == 0
    assert f"http://127.0.0.1:{port}" in capsys.readouterr().out


def test_port_0_cannot_be_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--port", "0"]) == 1
    assert "port 0 means any free port" in capsys.readouterr().out


def test_json_says_whether_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    with answering(lambda _: json.dumps(HEALTH).encode()) as port:
        assert main(["status", "--json", "--port", str(port)]) == 0
    running = json.loads(capsys.readouterr().out)
    assert (running["running"], running["health"]) == (True, HEALTH)
    assert main(["status", "--json", "--port", str(closed_port())]) == 1
    stopped = json.loads(capsys.readouterr().out)
    assert stopped["running"] is False
    assert "nothing listens" in stopped["reason"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59.9, "59 s"), (60, "1 min"), (3599, "59 min"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
