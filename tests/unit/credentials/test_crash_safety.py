"""A refresh that is killed at any moment: the file always parses, and a journalled login is never lost."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pi_model_proxy.credentials import Refresher, journal_path

KILLS = int(os.environ.get("KILLS", "20"))
MOST_KILLS = 5 * max(KILLS, 60)
"""On a busy machine a child needs longer until it asks, and few kills hit the moment between journal and file."""


class Authority(http.server.ThreadingHTTPServer):
    """Rotates the refresh token and notes when it last answered."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.good = "refresh-0"
        self.count = 0
        self.reused = 0
        self.answered_s = 0.0
        self.url = f"http://127.0.0.1:{self.server_port}/token"
        self.guard = threading.Lock()
        self.quiet = threading.Condition()
        self.busy = 0

    def process_request(self, request: Any, client_address: Any) -> None:  # type: ignore[explicit-override]  # typing.override needs 3.12
        with self.quiet:
            self.busy += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # type: ignore[explicit-override]  # see above
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.quiet:
                self.busy -= 1
                self.quiet.notify_all()

    def settle(self) -> None:
        """Wait until whatever the dead had asked has been answered or given up."""
        # Connections are accepted in order: once this one has been, theirs have been too.
        with socket.create_connection(("127.0.0.1", self.server_port)) as last:
            last.shutdown(socket.SHUT_WR)
            last.recv(1)
        with self.quiet:
            assert self.quiet.wait_for(lambda: self.busy == 0, timeout=10)

    def handle_error(self, *args: object) -> None:  # type: ignore[explicit-override]  # typing.override needs 3.12
        """Say nothing: whoever asked was killed."""

    def exchange(self, token: str) -> tuple[int, dict[str, object]]:
        with self.guard:
            if token != self.good:
                self.reused += 1
                return 400, {"error": "invalid_grant"}
            self.count += 1
            self.good = f"refresh-{self.count}"
            self.answered_s = time.monotonic()
            # a lifetime of one second: due again at once
            return 200, {"access_token": f"access-{self.count}", "refresh_token": self.good, "expires_in": 1}


class Answer(http.server.BaseHTTPRequestHandler):
    server: Authority

    def do_POST(self) -> None:
        fields = json.loads(self.rfile.read(int(self.headers["content-length"])))
        status, answer = self.server.exchange(fields["refresh_token"])
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_request(self, *args: object) -> None:  # type: ignore[explicit-override]  # typing.override needs 3.12
        """Say nothing."""


@contextmanager
def authority() -> Iterator[Authority]:
    with Authority() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


@contextmanager
def forker() -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).parents[2] / "support" / "refresh_loop.py"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, str(script)], stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()


def killed_after(process: subprocess.Popen[str], auth_json: Path, url: str, delay_s: float) -> None:
    """Let one child refresh for `delay_s` seconds, then kill it."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{auth_json} {url}\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    time.sleep(delay_s)
    os.kill(child, signal.SIGKILL)
    assert process.stdout.readline() == "dead\n"


def recovered(auth_json: Path) -> dict[str, dict[str, str]]:
    """Do what the next start does, and return the file's content."""
    lock = Path(f"{auth_json}.lock")
    if lock.exists():
        lock.rmdir()  # its holder is dead; that such a lock goes stale is shown in `test_lock.py`

    async def recover() -> None:
        refresher = Refresher(auth_json, post=never, environment={})
        await refresher.recover()

    asyncio.run(recover())
    root = json.loads(auth_json.read_text())
    assert isinstance(root, dict)
    return root


async def never(url: str, headers: Mapping[str, str], body: bytes, timeout_s: float) -> tuple[int, bytes]:
    raise AssertionError("recovering asks nobody")


def test_no_kill_tears_the_file_and_none_costs_a_login_that_was_journalled(tmp_path: Path) -> None:
    auth_json = tmp_path / "auth.json"
    chance = random.Random(20261122)
    kept = {"type": "api_key", "key": "k"}
    finished_by_journal = 0

    def write_login(refresh: str) -> None:
        login = {"type": "oauth", "access": "access-0", "refresh": refresh, "expires": 1}
        auth_json.write_text(json.dumps({"first": kept, "anthropic": login, "last": kept}))

    with authority() as server, forker() as process:
        write_login(server.good)
        kills = 0
        while kills < KILLS or (
            kills < MOST_KILLS and not (finished_by_journal and server.count > KILLS / 2)
        ):
            kills += 1
            latest_s = 0.09 * max(1.0, kills / max(KILLS, 60))
            began_s = time.monotonic()
            killed_after(process, auth_json, server.url, chance.uniform(0.03, latest_s))
            server.settle()
            json.loads(auth_json.read_text())
            journalled = journal_path(auth_json).exists()
            root = recovered(auth_json)
            assert list(root) == ["first", "anthropic", "last"]
            assert root["last"] == kept
            if root["anthropic"]["refresh"] == server.good:
                finished_by_journal += journalled
                continue
            # The kill hit between the provider's answer and the journal: only then, never a login of before.
            # (How short that moment is, `test_oauth.py` measures.)
            assert server.answered_s >= began_s
            write_login(server.good)
    assert server.count > KILLS / 2, "the children did refresh"
    assert finished_by_journal, "some kills hit between journal and file, and cost nothing"
