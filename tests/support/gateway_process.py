"""The installed command as a subprocess, between a scratch agent dir and whoever calls it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Answer", "GatewayProcess", "free_port", "running_gateway"]

PATIENCE_S = 15.0


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode()


@dataclass(slots=True)
class GatewayProcess:
    """One running `pi-model-proxy serve`."""

    process: subprocess.Popen[bytes]
    port: int
    home: Path
    key: str | None = None
    console: Path = field(default=Path())

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.origin}/v1"

    @property
    def log_path(self) -> Path:
        return self.home / ".pi" / "model-proxy-log.jsonl"

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float = PATIENCE_S,
    ) -> Answer:
        """Send one request; a body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        sent = {"content-type": "application/json"} if data is not None else {}
        if self.key is not None:
            sent["authorization"] = f"Bearer {self.key}"
        try:
            connection.request(method, path, data, {**sent, **(headers or {})})
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None, **options: Any) -> Answer:
        return self.ask("POST", path, body, headers, **options)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.ask("GET", path, None, headers)

    def log(self, count: int = 1) -> list[dict[str, Any]]:
        """Return the log's lines once there are at least `count`."""
        until = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(FileNotFoundError):
                text = self.log_path.read_text()
                lines = text[: text.rfind("\n") + 1].splitlines()  # the last one may still be being written
                if len(lines) >= count:
                    return [json.loads(line) for line in lines]
            if time.monotonic() > until:
                raise AssertionError(f"the log has not reached {count} lines")
            time.sleep(0.01)

    def wait_for(self, happened: Callable[[], bool], what: str) -> None:
        until = time.monotonic() + PATIENCE_S
        while not happened():
            if time.monotonic() > until:
                raise AssertionError(f"{what} did not happen")
            time.sleep(0.02)

    def printed(self) -> str:
        """Return what it has printed so far."""
        return self.console.read_text()

    def stop(self) -> int:
        """Ask it to end, and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=30)


@contextlib.contextmanager
def running_gateway(
    home: Path,
    *flags: str,
    agent_dir: Path | None = None,
    config: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    key: str | None = None,
    wait_until_ready: bool = True,
) -> Iterator[GatewayProcess]:
    """Run the command with `home` as home folder until the block ends.

    The environment is empty but for what is named: no key of this machine can leak in.
    """
    port = free_port()
    (home / ".pi").mkdir(parents=True, exist_ok=True)
    if config is not None:
        (home / ".pi" / "model-proxy.json").write_text(json.dumps(config))
    variables = {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", "NO_COLOR": "1"}
    variables |= {name: os.environ[name] for name in ("COVERAGE_PROCESS_START",) if name in os.environ}
    # What happens to listen on this machine is no part of a test.
    variables |= {"PI_MODEL_PROXY_DISCOVER_LOCAL": "false"}
    variables |= environment or {}
    command = [sys.executable, "-m", "pi_model_proxy", "serve", "--port", str(port), *flags]
    if agent_dir is not None:
        command += ["--agent-dir", str(agent_dir)]
    if key is not None:
        command += ["--api-key", key]
    console = home / "console.txt"
    with console.open("wb") as out:
        process = subprocess.Popen(command, env=variables, cwd=home, stdout=out, stderr=subprocess.STDOUT)
    gateway = GatewayProcess(process, port, home, key, console)
    try:
        if wait_until_ready:
            _wait_until_ready(gateway)
        yield gateway
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(gateway: GatewayProcess) -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(OSError):
            if gateway.get("/readyz").status == 200:
                return
        if gateway.process.poll() is not None or time.monotonic() > until:
            raise AssertionError(f"the gateway did not start:\n{gateway.printed()}")
        time.sleep(0.02)
