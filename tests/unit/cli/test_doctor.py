"""`doctor`: everything that can be wrong, each with its remedy."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from pi_model_proxy.cli import main
from pi_model_proxy.cli.checkup import TOPICS, address

HOUR_MS = 3_600_000
LOGIN = {"type": "oauth", "access": "secret-a", "refresh": "secret-r"}


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh machine with an empty agent folder."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("PI_") or name.endswith("_API_KEY"):
            monkeypatch.delenv(name)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("PI_MODEL_PROXY_PORT", str(free_port()))
    (tmp_path / ".pi" / "agent").mkdir(parents=True)
    return tmp_path


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def agent_file(home: Path, name: str, content: object, *, mode: int = 0o600) -> Path:
    path = home / ".pi" / "agent" / name
    path.write_text(json.dumps(content))
    path.chmod(mode)
    return path


def text(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["doctor", *words])
    out = capsys.readouterr().out
    assert "secret" not in out
    return status, out


def findings(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    status, out = text(capsys, "--json", *words)
    told = json.loads(out)
    assert told["ok"] is (status == 0)
    return status, told["findings"]


def of(topic: str, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in found if each["topic"] == topic]


def test_a_fresh_machine_has_nothing_wrong_but_no_login(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = text(capsys, "-q")
    assert status == 0
    assert out.startswith("Accounts\n  warning  no provider has a login or key")
    assert "→ `pi-model-proxy login` lists the logins" in out
    assert "0 errors, 1 warning, 0 notes; " in out


def test_with_demo_models_there_is_nothing_to_say(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = text(capsys, "-q", "--demo")
    assert status == 0
    assert out.startswith("0 errors, 0 warnings, 0 notes; ")


def test_every_line_fits_a_terminal_and_every_worry_has_a_remedy(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent_file(home, "auth.json", {"xai": {**LOGIN, "expires": 1}, "groq": {"type": "?"}}, mode=0o644)
    (home / ".pi" / "agent" / "auth.json.lock").touch()
    _, out = text(capsys)
    unbreakable = str(home)
    assert all(len(line) <= 80 or unbreakable in line for line in out.splitlines())
    _, found = findings(capsys)
    assert all(each["fix"] for each in found if each["level"] in {"error", "warning"})


def test_a_configuration_that_cannot_be_read_is_an_error_and_the_program_is_told_all_the_same(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / ".pi" / "model-proxy.json").write_text('{"port": "many"}')
    status, found = findings(capsys)
    assert status == 1
    (error,) = (each for each in found if each["level"] == "error")
    assert error["topic"] == "configuration"
    assert "model-proxy.json:1:" in error["where"]
    assert of("program", found)


def test_a_login_says_who_won_who_did_not_what_renewing_would_do_and_the_terms(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    later = int(time.time() * 1000 + 2 * HOUR_MS)
    agent_file(
        home,
        "auth.json",
        {"anthropic": {**LOGIN, "expires": later}, "xai": {**LOGIN, "expires": later - 2 * HOUR_MS}},
    )
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-e")
    status, found = findings(capsys)
    assert status == 0
    anthropic, xai = of("accounts", found)
    assert anthropic["what"].startswith("login from auth.json (login); ")
    renewal, other, terms = anthropic["details"]
    assert renewal.startswith("renewal: not due")
    assert other == "not $ANTHROPIC_API_KEY: auth.json comes first, usable or not"
    assert "extra usage" in terms
    assert "https://code.claude.com/docs/en/legal-and-compliance, 20" in terms
    assert (
        xai["details"][0]
        == "renewal: due: the next request asks auth.x.ai for new tokens first, under pi's lock"
    )
    assert not (home / ".pi" / "agent" / "auth.json.lock").exists()


def test_a_lapsed_login_that_cannot_be_renewed_is_a_warning(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    agent_file(home, "auth.json", {"xai": {**LOGIN, "refresh": "", "expires": 1_700_000_000_000}})
    (xai,) = of("accounts", findings(capsys)[1])
    assert xai["level"] == "warning"
    assert "`pi-model-proxy login xai`" in xai["fix"]


def test_a_forged_token_address_is_told_before_it_is_asked(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    agent_file(home, "auth.json", {"xai": {**LOGIN, "expires": 1_700_000_000_000}})
    monkeypatch.setenv("PI_MODEL_PROXY_XAI_TOKEN_URL", "http://elsewhere.example/token")
    (xai,) = of("accounts", findings(capsys)[1])
    assert "it would fail" in xai["details"][0]
    assert xai["level"] == "warning"


def test_commands_are_counted_never_shown_and_not_run_from_a_file_that_others_may_write(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = {"groq": {"type": "api_key", "key": "!echo secret-c"}}
    agent_file(home, "auth.json", entries)
    (fine,) = of("commands", findings(capsys)[1])
    assert (fine["level"], fine["where"]) == ("ok", "auth.json")
    agent_file(home, "auth.json", entries, mode=0o620)
    status, found = findings(capsys)
    (refused,) = of("commands", found)
    assert status == 1
    assert refused["level"] == "error"
    assert "chmod go-w" in refused["what"]


def test_what_pi_s_files_say_wrong_is_told_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent_file(home, "auth.json", {"mistral": {"type": "api_key", "key": "$NOT_SET_ANYWHERE"}})
    path = home / ".pi" / "agent" / "models.json"
    path.write_text("{")
    path.chmod(0o600)
    status, found = findings(capsys)
    assert status == 1
    told = json.dumps(found)
    assert told.count("NOT_SET_ANYWHERE") == 1
    assert [each["level"] for each in of("files", found) if ":1:" in each["where"]] == ["error"]


def test_a_port_that_somebody_holds_is_an_error_with_the_holder(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        thread = threading.Thread(target=refuse_politely, args=(sock,), daemon=True)
        thread.start()
        status, found = findings(capsys, "--port", str(sock.getsockname()[1]))
    (held,) = (each for each in of("address", found) if each["level"] == "error")
    assert status == 1
    assert "the port is taken by" in held["what"]
    assert "--port" in held["fix"]


def test_an_address_of_another_machine_is_an_error_and_not_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(address, "ask", refuse)
    # TEST-NET-1 (RFC 5737) is nobody's.
    status, found = findings(capsys, "--host", "192.0.2.1", "--api-key", "0123456789abcdef0123")
    assert status == 1
    (error,) = (each for each in of("address", found) if each["level"] == "error")
    assert "cannot listen there" in error["what"]


def refuse_politely(sock: socket.socket) -> None:
    while True:
        try:
            connection, _ = sock.accept()
        except OSError:
            return
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n")


def test_a_folder_for_the_log_and_a_broken_database_are_errors_or_warnings(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log, database = home / "log", home / "kept.db"
    log.mkdir()
    database.write_bytes(b"no database at all " * 200)
    status, found = findings(capsys, "--log-path", str(log), "--db-path", str(database))
    assert status == 1
    assert [each["level"] for each in of("log", found)] == ["warning"]
    (damaged,) = of("database", found)
    assert damaged["level"] == "error"
    assert "sets it aside" in damaged["fix"]
    assert database.read_bytes().startswith(b"no database")


def test_a_folder_in_the_database_s_place_is_told_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder,) = of("database", findings(capsys, "--db-path", str(home))[1])
    assert folder["level"] == "warning"
    assert folder["fix"] == "name a file in dbPath"


def test_nothing_is_changed_by_looking(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    agent_file(home, "auth.json", {"xai": {**LOGIN, "expires": 1_700_000_000_000}}, mode=0o644)
    (home / ".pi" / "agent" / "auth.json.lock").mkdir()

    def everything() -> dict[str, tuple[int, int, int]]:
        return {
            str(path): (path.stat().st_mode, path.stat().st_size, path.stat().st_mtime_ns)
            for path in home.rglob("*")
        }

    before = everything()
    text(capsys)
    assert everything() == before


class Recorder(BaseHTTPRequestHandler):
    """A provider that only says who it is, and remembers what it was sent."""

    seen: list[tuple[str, str, dict[str, str]]]
    status = 401

    def do_GET(self) -> None:
        self.seen.append(
            (self.command, self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        self.send_response(self.status)
        self.send_header("content-length", "0")
        self.end_headers()

    @override
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[ThreadingHTTPServer]:
    Recorder.seen, Recorder.status = [], 401
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def models_json(home: Path, *, url: str) -> None:
    model = {"id": "m", "headers": {"x-own": "secret-h"}}
    own = {"baseUrl": url, "api": "openai-completions", "apiKey": "secret-k", "models": [model]}
    agent_file(home, "models.json", {"providers": {"own": {**own, "headers": {"x-all": "secret-h"}}}})


def test_online_asks_an_address_once_without_any_credential(
    home: Path, provider: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    port = provider.server_address[1]
    models_json(home, url=f"http://user:secret@127.0.0.1:{port}/v1?key=secret")
    status, found = findings(capsys, "--online")
    assert status == 0
    (reached,) = of("reach", found)
    assert reached["level"] == "ok"
    assert reached["what"].startswith(f"http://127.0.0.1:{port}/v1 answers (HTTP 401, ")
    ((method, path, headers),) = Recorder.seen
    assert (method, path) == ("GET", "/v1")
    assert "secret" not in str(headers)
    assert "authorization" not in headers
    assert any("within a minute" in each["what"] for each in of("clock", found))


def test_without_online_nobody_is_asked(
    home: Path, provider: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    models_json(home, url=f"http://127.0.0.1:{provider.server_address[1]}/v1")
    assert not of("reach", findings(capsys)[1])
    assert Recorder.seen == []


def test_a_provider_that_is_not_well_is_a_warning(
    home: Path, provider: ThreadingHTTPServer, capsys: pytest.CaptureFixture[str]
) -> None:
    Recorder.status = 503
    models_json(home, url=f"http://127.0.0.1:{provider.server_address[1]}/v1")
    status, found = findings(capsys, "--online")
    assert status == 0
    assert [each["level"] for each in of("reach", found)] == ["warning"]


def test_a_provider_that_cannot_be_reached_is_an_error_with_its_cause(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models_json(home, url=f"http://127.0.0.1:{free_port()}/v1")
    status, found = findings(capsys, "--online")
    assert status == 1
    (refused,) = of("reach", found)
    assert "connection_refused" in refused["what"]
    assert refused["fix"] == "start that server, or mend baseUrl in models.json"
    assert refused["where"] == "own"


def test_online_without_any_credential_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    (said,) = of("reach", findings(capsys, "--online")[1])
    assert said["level"] == "note"


def test_every_topic_is_in_the_documentation() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs" / "doctor.md").read_text(encoding="utf-8")
    table = "\n".join(line for line in page.splitlines() if line.startswith("| `"))
    assert all(f"`{topic}`" in table for topic in TOPICS)
