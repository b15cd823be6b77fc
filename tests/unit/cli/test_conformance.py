"""`conformance` as a command: what it refuses, what it prints, what it writes, its exit status."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from xml.etree import ElementTree as ET

import pytest
from typing_extensions import override

from pi_model_proxy.cli.main import main
from pi_model_proxy.conformance import ABSENCES, CHECKS

PAGE = Path(__file__).resolve().parents[3] / "docs" / "conformance.md"
KEY = "a-key-of-the-server"


class TinyServer(BaseHTTPRequestHandler):
    """Knows one model and can only say hello, in chat and not streamed."""

    refusals: ClassVar[list[str]] = []
    """How long the next requests must wait, each with 429."""

    def do_GET(self) -> None:
        model = {"id": "tiny", "object": "model", "created": 1, "owned_by": "test"}
        self._answer({"object": "list", "data": [model]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        message = {"role": "assistant", "content": f"Hello <b>{len(body)}</b>"}
        self._answer(
            {
                "id": "a",
                "object": "chat.completion",
                "created": 1,
                "model": "tiny",
                "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            }
        )

    def _answer(self, body: Any) -> None:
        if self.command == "POST" and self.refusals:
            self.send_response(429)
            self.send_header("retry-after", self.refusals.pop())
            self.end_headers()
            return
        keyed = self.headers.get("authorization") == f"Bearer {KEY}"
        data = json.dumps(body).encode()
        self.send_response(200 if keyed else 401)
        self.send_header("content-type", "application/json")
        self.end_headers()  # neither a length nor chunks: the end of the connection is the answer's end
        self.wfile.write(data)

    @override
    def log_message(self, *arguments: object) -> None:
        """Stay quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    listening = ThreadingHTTPServer(("127.0.0.1", 0), TinyServer)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listening.server_address[1]}/v1"
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def key_file(tmp_path: Path) -> str:
    (tmp_path / "key").write_text(f"{KEY}\n")
    return str(tmp_path / "key")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["conformance", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_a_server_that_passes_what_is_asked_gets_status_0(
    server: str, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--model", "tiny", "--dialect", "chat", "--only", "models", "--api-key-file", key_file)
    status, out, err = run(capsys, server, *words)
    assert (status, err) == (0, "")
    assert "1 of 1 passed, 0 failed, 0 n/a" in out


def test_reports_tell_what_failed_and_what_it_stands_on(
    server: str, key_file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / name for name in ("a.json", "a.xml", "a.html")]
    reports = [
        word
        for flag, file in zip(("--json", "--junit", "--html"), files, strict=True)
        for word in (flag, str(file))
    ]
    words = ("--model", "tiny", "--dialect", "chat", "--only", "text,usage,count", "--api-key-file", key_file)
    status, out, _ = run(capsys, server, *words, *reports)
    assert status == 1
    page = "https://platform.openai.com/docs/api-reference/chat/object"
    assert "usage, chat (whole): the answer has no usage\n" in out
    assert page in out
    assert "1 of 4 passed, 3 failed, 1 n/a" in out

    told = json.loads(files[0].read_text())
    assert told["counts"] == {"pass": 1, "fail": 3, "n/a": 1}
    cell = next(each for each in told["cells"] if each["check"] == "usage" and not each["streamed"])
    assert (cell["state"], cell["why"], cell["cites"]) == ("fail", "the answer has no usage", page)

    suite = ET.fromstring(files[1].read_bytes())[0]  # our own file
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("5", "3", "1")
    assert [case.get("name") for case in suite if case.find("skipped") is not None] == ["count (whole)"]

    html = files[2].read_text()
    assert html.count("<svg") == 2
    assert "<script" not in html
    assert "src=" not in html
    assert KEY not in "".join(file.read_text() for file in files) + out


@pytest.mark.parametrize(("refusals", "gave_up"), [(["0", "0"], False), (["0"] * 4, True), (["3600"], True)])
def test_a_rate_limit_is_waited_for_within_bounds(
    server: str, key_file: str, capsys: pytest.CaptureFixture[str], refusals: list[str], gave_up: bool
) -> None:
    TinyServer.refusals[:] = refusals
    words = ("--model", "tiny", "--dialect", "chat", "--only", "tool-none", "--jobs", "1")
    try:
        status, out, _ = run(capsys, server, *words, "--api-key-file", key_file)
    finally:
        TinyServer.refusals.clear()
    assert ("status 429 instead of 200" in out) == gave_up
    assert status == 1  # the streamed half fails in any case: this server cannot stream


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("ftp://x",), "'ftp://x' is no address; write http://HOST:PORT"),
        (("http://127.0.0.1:1", "--only", "nonsense"), "--only: there is no 'nonsense'"),
        (("http://127.0.0.1:1", "--dialect", "latin"), "--dialect: there is no 'latin'"),
        (("http://127.0.0.1:1", "--only", "text", "--skip", "text"), "leave no check"),
        (("http://127.0.0.1:1", "--model", "m", "--jobs", "65"), "--jobs is 65; write 1 to 64"),
        (("http://127.0.0.1:1", "--model", "m", "--timeout", "0"), "must be above 0"),
        (("http://127.0.0.1:1", "--model", "m"), "Connect call failed"),
    ],
)
def test_what_cannot_be_asked_gets_status_2(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, *words)
    assert status == 2
    assert says in err


def test_without_a_model_the_server_s_are_named(
    server: str, key_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = run(capsys, server, "--api-key-file", key_file)
    assert status == 2
    assert "name the model to ask with --model; the server lists tiny" in err


def test_the_checks_can_be_listed(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, "--list")
    assert status == 0
    assert [line.split()[0] for line in out.splitlines()] == [check.id for check in CHECKS]


def test_the_page_lists_every_check_and_every_absence() -> None:
    told = PAGE.read_text(encoding="utf-8")
    for check in CHECKS:
        assert f"| `{check.id}` | {check.what} | {check.how} |" in told
    for absence in ABSENCES:
        assert f"| `{absence.check}` | `{absence.dialect}` | {absence.why} | <{absence.page}> |" in told
