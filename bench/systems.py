"""The systems under test: how each is installed, configured and started in front of the same upstream."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CACHE = ROOT / ".cache" / "bench"
KEY = "sk-bench-key"


class MissingSystemError(Exception):
    """A system is not on this machine and cannot be had; the message says how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command line, its environment, and the model's name behind it."""

    command: list[str]
    environment: dict[str, str]
    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One row of the comparison."""

    name: str
    title: str
    launch: Callable[[Path, int, int], Launch]
    """(scratch folder, own port, upstream's port) -> how to start it."""
    version: Callable[[], str]
    start_timeout_s: float = 20.0


# --- ours -------------------------------------------------------------------------------------------------------------


def launch_ours(scratch: Path, port: int, upstream: int) -> Launch:
    """pi-model-proxy as installed, with a key, a log, and one provider in models.json."""
    agent = scratch / "agent"
    agent.mkdir()
    model = {"id": "bench", "name": "bench", "contextWindow": 200_000, "maxTokens": 8_192, "input": ["text"]}
    provider = {
        "baseUrl": f"http://127.0.0.1:{upstream}/v1",
        "api": "openai-completions",
        "apiKey": "upstream-key",
        "models": [model],
    }
    (agent / "models.json").write_text(json.dumps({"providers": {"bench": provider}}))
    key_file = scratch / "key"
    key_file.write_text(KEY)
    command = [
        str(Path(sys.executable).parent / "pi-model-proxy"), "serve", "--port", str(port),
        "--agent-dir", str(agent), "--api-key-file", str(key_file), "--log-path", str(scratch / "log.jsonl"),
    ]  # fmt: skip
    return Launch(command=command, environment=bare_environment(scratch), model="bench/bench")


def version_of_ours() -> str:
    """Return the installed version."""
    program = "from importlib.metadata import version; print(version('pi-model-proxy'))"
    return output(sys.executable, "-c", program)


# --- nginx ------------------------------------------------------------------------------------------------------------


def find_nginx() -> str:
    """Return nginx's path; on Debian and Ubuntu it is unpacked into the cache, nothing is installed or started."""
    unpacked = CACHE / "nginx" / "usr" / "sbin" / "nginx"
    for candidate in (shutil.which("nginx"), "/usr/sbin/nginx", str(unpacked)):
        if candidate and Path(candidate).exists():
            return candidate
    if shutil.which("apt-get") and shutil.which("dpkg-deb"):
        CACHE.mkdir(parents=True, exist_ok=True)
        got = subprocess.run(
            ["apt-get", "download", "nginx"], cwd=CACHE, capture_output=True, text=True, check=False
        )
        archives = sorted(CACHE.glob("nginx_*.deb"))
        if got.returncode == 0 and archives:
            subprocess.run(["dpkg-deb", "-x", str(archives[-1]), str(CACHE / "nginx")], check=True)
            return str(unpacked)
    raise MissingSystemError(
        "nginx is not installed (Debian, Ubuntu: apt-get install nginx-light; macOS: brew install nginx)"
    )


def launch_nginx(scratch: Path, port: int, upstream: int) -> Launch:
    """One worker that passes everything on over kept-alive connections, unbuffered, without a log."""
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    folders = "".join(
        f"  {kind}_temp_path {scratch}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = scratch / "nginx.conf"
    config.write_text(
        f"{user}\nworker_processes 1;\ndaemon off;\npid {scratch}/nginx.pid;\nerror_log {scratch}/error.log;\n"
        "events { worker_connections 2048; }\n"
        "http {\n"
        f"{folders}  access_log off;\n  keepalive_requests 1000000000;\n"
        f"  upstream bench {{ server 127.0.0.1:{upstream}; keepalive 256; keepalive_requests 1000000000; }}\n"
        f"  server {{\n    listen 127.0.0.1:{port};\n    location / {{\n"
        "      proxy_pass http://bench; proxy_http_version 1.1; proxy_set_header Connection '';\n"
        "      proxy_buffering off;\n"
        "    }\n  }\n}\n"
    )
    command = [find_nginx(), "-e", str(scratch / "error.log"), "-c", str(config)]
    return Launch(command=command, environment=bare_environment(scratch), model="bench")


def version_of_nginx() -> str:
    """Return nginx's version, which it says on its error stream."""
    said = subprocess.run([find_nginx(), "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition("/")[2]


# --- LiteLLM ----------------------------------------------------------------------------------------------------------


def litellm_home() -> Path:
    """Return LiteLLM's own environment, installed from its lock file when it is not there."""
    home = CACHE / "litellm"
    stamp = home / "installed.txt"
    pinned = ROOT / "requirements" / "bench.txt"
    if stamp.exists() and stamp.read_text() == pinned.read_text():
        return home
    print("bench: installing LiteLLM into .cache/bench (one or two minutes, once)", flush=True)
    venv.create(home, with_pip=True, clear=True)
    pip = [str(home / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    if subprocess.run([*pip, "--require-hashes", "-r", str(pinned)], check=False).returncode:
        raise MissingSystemError(
            "LiteLLM could not be installed from requirements/bench.txt (pip's words are above)"
        )
    stamp.write_text(pinned.read_text())
    return home


def launch_litellm(scratch: Path, port: int, upstream: int) -> Launch:
    """Its proxy with one worker, one model and a master key, without database, telemetry or network."""
    model = {
        "model": "openai/bench",
        "api_base": f"http://127.0.0.1:{upstream}/v1",
        "api_key": "upstream-key",
    }
    config = {
        "model_list": [{"model_name": "bench", "litellm_params": model}],
        "general_settings": {"master_key": KEY},
    }
    path = scratch / "config.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    command = [
        str(litellm_home() / "bin" / "litellm"), "--config", str(path), "--host", "127.0.0.1", "--port", str(port),
        "--num_workers", "1", "--telemetry", "False",
    ]  # fmt: skip
    environment = bare_environment(scratch) | {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    return Launch(command=command, environment=environment, model="bench")


def version_of_litellm() -> str:
    """Return the version in its environment."""
    program = "from importlib.metadata import version; print(version('litellm'))"
    return output(str(litellm_home() / "bin" / "python"), "-c", program)


# --- all --------------------------------------------------------------------------------------------------------------


def bare_environment(home: Path) -> dict[str, str]:
    """Return an environment without the user's keys and settings, with a home of its own."""
    return {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}


def output(*command: str) -> str:
    """Return what a command printed, without the line's end."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


SYSTEMS = (
    System(name="nginx", title="nginx, pass-through", launch=launch_nginx, version=version_of_nginx),
    System(name="ours", title="pi-model-proxy", launch=launch_ours, version=version_of_ours),
    System(
        name="litellm",
        title="LiteLLM proxy",
        launch=launch_litellm,
        version=version_of_litellm,
        start_timeout_s=240.0,
    ),
)
