"""The systems under test: how each is configured and started in front of the same upstream, and what each does."""

from __future__ import annotations

import getpass
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
from dialects import CHAT, DIALECTS
from processes import free_port

KEY = "sk-bench-key"
UPSTREAM_KEY = "upstream-key"
PLAIN, TLS = "chat>chat", "chat>chat tls"
"""The routes that every system has: chat completions on both sides, the upstream plain or behind TLS."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """Where the scripted upstream listens, and who signed its certificate (None: no TLS in this run)."""

    port: int
    tls_port: int
    authority: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How to ask a system: port, dialect, model, header lines."""

    port: int
    model: str = "bench"
    dialect: str = CHAT.name
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A command line, its folder and environment, and what can be asked of it (`caller>upstream`)."""

    command: list[str]
    environment: dict[str, str]
    routes: Mapping[str, Route]
    folder: Path | None = None
    connect: Callable[[Mapping[str, Route]], Mapping[str, Route]] = field(default=lambda routes: routes)
    """Called once it listens: sets up by its own interface what has no file, and returns the routes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """One column of the comparison."""

    name: str
    title: str
    does: str
    """What it does and does not do in these tests, for the reader."""
    launch: Callable[[Path, int, Upstream], Launch]
    """(scratch folder, own port, upstream) -> how to start it."""
    version: Callable[[], str]
    start_timeout_s: float = 20.0
    light: bool = False
    """Whether it takes part in every test of the short run; the others only in those that targets speak of."""
    warm_s: float = 0.4
    """How long it is under load before its first figure is taken."""


def bearer(key: str) -> str:
    """Return the header line with a key."""
    return f"authorization: Bearer {key}"


# --- no proxy ---------------------------------------------------------------------------------------------------------


def direct_routes(upstream: Upstream) -> Mapping[str, Route]:
    """Return the routes without anything between."""
    return {f"{name}>{name}": Route(port=upstream.port, dialect=name) for name in DIALECTS}


# --- ours -------------------------------------------------------------------------------------------------------------


def launch_ours(scratch: Path, port: int, upstream: Upstream) -> Launch:
    """pi-model-proxy as installed: key, rate limit and log on; a provider for each dialect in models.json."""
    agent = scratch / "agent"
    agent.mkdir()
    origin = f"http://127.0.0.1:{upstream.port}"
    places = {
        "chat": (f"{origin}/v1", "openai-completions"),
        "messages": (origin, "anthropic-messages"),
        "responses": (f"{origin}/v1", "openai-responses"),
        "tls": (f"https://127.0.0.1:{upstream.tls_port}/v1", "openai-completions"),
    }
    model = {"id": "bench", "name": "bench", "contextWindow": 200_000, "maxTokens": 8_192, "input": ["text"]}
    providers = {
        f"bench-{name}": {"baseUrl": url, "api": kind, "apiKey": UPSTREAM_KEY, "models": [model]}
        for name, (url, kind) in places.items()
    }
    (agent / "models.json").write_text(json.dumps({"providers": providers}))
    key_file = scratch / "key"
    key_file.write_text(KEY)
    command = [
        str(Path(sys.executable).parent / "pi-model-proxy"), "serve", "--port", str(port),
        "--agent-dir", str(agent), "--api-key-file", str(key_file), "--log-path", str(scratch / "log.jsonl"),
        "--rate-limit", "1000000",
    ]  # fmt: skip
    if upstream.authority:
        command += ["--ca-file", str(upstream.authority)]
    routes = {
        f"{caller}>{callee}": Route(
            port=port, model=f"bench-{callee}/bench", dialect=caller, headers=(bearer(KEY),)
        )
        for caller in DIALECTS
        for callee in DIALECTS
    }
    if upstream.authority:
        routes[TLS] = Route(port=port, model="bench-tls/bench", headers=(bearer(KEY),))
    return Launch(command=command, environment=peers.bare_environment(scratch), routes=routes)


def version_of_ours() -> str:
    """Return the installed version."""
    program = "from importlib.metadata import version; print(version('pi-model-proxy'))"
    return peers.run(sys.executable, "-c", program)


# --- nginx ------------------------------------------------------------------------------------------------------------


def launch_nginx(scratch: Path, port: int, upstream: Upstream) -> Launch:
    """One worker that passes everything on over kept-alive connections, unbuffered, without a log.

    Bodies are kept in memory until they are whole, as every gateway must that reads the model's name from them.
    """
    user = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
    folders = "".join(
        f"  {kind}_temp_path {scratch}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    keepalive = "keepalive 2048; keepalive_requests 1000000000;"
    passing = "proxy_http_version 1.1; proxy_set_header Connection ''; proxy_buffering off;"
    tls_port = free_port()
    tls = ""
    if upstream.authority:
        tls = (
            f"  upstream tls {{ server 127.0.0.1:{upstream.tls_port}; {keepalive} }}\n"
            f"  server {{\n    listen 127.0.0.1:{tls_port} backlog=4096;\n    location / {{\n"
            f"      proxy_pass https://tls; {passing}\n"
            "      proxy_ssl_verify on; proxy_ssl_name localhost; proxy_ssl_server_name on;"
            f" proxy_ssl_trusted_certificate {upstream.authority};\n"
            "    }\n  }\n"
        )
    config = scratch / "nginx.conf"
    config.write_text(
        f"{user}\nworker_processes 1;\nworker_rlimit_nofile 16384;\ndaemon off;\npid {scratch}/nginx.pid;\n"
        f"error_log {scratch}/error.log;\nevents {{ worker_connections 8192; }}\n"
        "http {\n"
        f"{folders}  access_log off;\n  keepalive_requests 1000000000;\n"
        "  client_max_body_size 0; client_body_buffer_size 16m;\n"
        f"  upstream plain {{ server 127.0.0.1:{upstream.port}; {keepalive} }}\n"
        f"  server {{\n    listen 127.0.0.1:{port} backlog=4096;\n"
        f"    location / {{ proxy_pass http://plain; {passing} }}\n  }}\n{tls}}}\n"
    )
    routes = {f"{name}>{name}": Route(port=port, dialect=name) for name in DIALECTS}
    if upstream.authority:
        routes[TLS] = Route(port=tls_port)
    command = [str(peers.nginx()), "-e", str(scratch / "error.log"), "-c", str(config)]
    return Launch(command=command, environment=peers.bare_environment(scratch), routes=routes)


def version_of_nginx() -> str:
    """Return nginx's version, which it says on its error stream."""
    said = subprocess.run([peers.nginx(), "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition("/")[2]


# --- LiteLLM ----------------------------------------------------------------------------------------------------------


def launch_litellm(scratch: Path, port: int, upstream: Upstream) -> Launch:
    """Its proxy with one worker, one model and a master key, without database, telemetry or network."""
    model = {
        "model": "openai/bench",
        "api_base": f"http://127.0.0.1:{upstream.port}/v1",
        "api_key": UPSTREAM_KEY,
    }
    config = {
        "model_list": [{"model_name": "bench", "litellm_params": model}],
        "general_settings": {"master_key": KEY},
    }
    path = scratch / "config.yaml"
    path.write_text(json.dumps(config))  # JSON is YAML
    command = [
        str(peers.litellm_home() / "bin" / "litellm"), "--config", str(path),
        "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1", "--telemetry", "False",
    ]  # fmt: skip
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"}
    environment = peers.bare_environment(scratch) | quiet
    routes = {PLAIN: Route(port=port, headers=(bearer(KEY),))}
    return Launch(command=command, environment=environment, routes=routes)


def version_of_litellm() -> str:
    """Return the version in its environment."""
    program = "from importlib.metadata import version; print(version('litellm'))"
    return peers.run(peers.litellm_home() / "bin" / "python", "-c", program)


# --- on Node.js -------------------------------------------------------------------------------------------------------


def version_of_npm(name: str, package: str) -> Callable[[], str]:
    """Return how to read an installed package's version."""

    def read() -> str:
        manifest = peers.npm_home(name) / "node_modules" / package / "package.json"
        node = peers.run(peers.node(), "--version").removeprefix("v")
        return f"{json.loads(manifest.read_text())['version']} (Node {node})"

    return read


def launch_portkey(scratch: Path, port: int, upstream: Upstream) -> Launch:
    """The open-source gateway, led to the upstream by headers as its documentation shows; it has no key of its own."""
    home = peers.npm_home("portkey")
    program = home / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    headers = (
        bearer(UPSTREAM_KEY),
        "x-portkey-provider: openai",
        f"x-portkey-custom-host: http://127.0.0.1:{upstream.port}/v1",
    )
    return Launch(
        command=[str(peers.node()), str(program), f"--port={port}", "--headless"],
        environment=peers.bare_environment(scratch) | {"NODE_ENV": "production"},
        routes={PLAIN: Route(port=port, headers=headers)},
    )


def launch_pi_ai(scratch: Path, port: int, upstream: Upstream) -> Launch:
    """pi-ai behind the minimal server of bench/peers/pi_ai."""
    home = peers.npm_home("pi_ai")
    environment = peers.bare_environment(scratch) | {"NODE_ENV": "production", "GATEWAY_KEY": KEY}
    return Launch(
        command=[
            str(peers.node()),
            str(home / "server.mjs"),
            str(port),
            f"http://127.0.0.1:{upstream.port}/v1",
        ],
        environment=environment,
        folder=home,
        routes={PLAIN: Route(port=port, headers=(bearer(KEY),))},
    )


def launch_9router(scratch: Path, port: int, upstream: Upstream) -> Launch:
    """Its server file, started directly, with native SQLite; provider and key are made through its own interface."""
    home = peers.npm_home("9router")
    modules = home / "node_modules"
    environment = peers.bare_environment(scratch) | {
        "DATA_DIR": str(scratch),
        "NODE_PATH": str(modules),
        "NODE_ENV": "production",
        "PORT": str(port),
        "HOSTNAME": "127.0.0.1",
    }

    def connect(routes: Mapping[str, Route]) -> Mapping[str, Route]:
        key = set_up_9router(port, f"http://127.0.0.1:{upstream.port}/v1")
        return {
            name: Route(port=port, model="bench/bench", dialect=route.dialect, headers=(bearer(key),))
            for name, route in routes.items()
        }

    return Launch(
        command=[str(peers.node()), "custom-server.js"],
        environment=environment,
        folder=modules / "9router" / "app",
        routes={PLAIN: Route(port=port)},
        connect=connect,
    )


def set_up_9router(port: int, base_url: str) -> str:
    """Log in with the first password, add the upstream and a key for callers; return that key."""
    cookie = ""

    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        nonlocal cookie
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        headers = {"content-type": "application/json", "cookie": cookie}
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        said = answer.read()
        cookie = cookie or (answer.getheader("set-cookie") or "").partition(";")[0]
        if answer.status >= 300:
            raise peers.MissingSystemError(f"9router's {path} answered {answer.status}: {said[:200]!r}")
        value: dict[str, Any] = json.loads(said)
        return value

    post("/api/auth/login", {"password": "123456"})
    place = {"name": "Bench", "prefix": "bench", "apiType": "chat", "type": "openai-compatible"}
    node = post("/api/provider-nodes", place | {"baseUrl": base_url})["node"]["id"]
    post("/api/providers", {"provider": node, "apiKey": UPSTREAM_KEY, "name": "key 1"})
    return str(post("/api/keys", {"name": "bench"})["key"])


# --- the table --------------------------------------------------------------------------------------------------------

DIRECT, NGINX, OURS = "direct", "nginx", "ours"
DIRECT_TITLE = "no proxy"

SYSTEMS = (
    System(
        name=NGINX,
        title="nginx",
        does="passes every byte on: no key, no model name, no log. What is possible, not a gateway.",
        launch=launch_nginx,
        version=version_of_nginx,
        light=True,
    ),
    System(
        name=OURS,
        title="pi-model-proxy",
        does="as installed: checks the key and a rate limit, finds the model, swaps the credential, checks each event, "
        "counts tokens and cost, writes its log line. One worker.",
        launch=launch_ours,
        version=version_of_ours,
        light=True,
    ),
    System(
        name="litellm",
        title="LiteLLM proxy",
        does="checks a master key, finds the model, swaps the credential, counts tokens and cost; no database, no log. One worker.",
        launch=launch_litellm,
        version=version_of_litellm,
        start_timeout_s=240.0,
        warm_s=4.0,
    ),
    System(
        name="portkey",
        title="Portkey gateway",
        does="takes provider, address and credential from the caller's headers; has no key, no model table, no log of its own. "
        "Its web framework is pinned to hono 4.9.7 and @hono/node-server 1.13.8: with the newest it fails every stream.",
        launch=launch_portkey,
        version=version_of_npm("portkey", "@portkey-ai/gateway"),
        warm_s=5.0,
    ),
    System(
        name="pi_ai",
        title="pi-ai server",
        does="pi's own library behind 130 lines of node:http (bench/peers/pi_ai/server.mjs): checks a key, finds the model, "
        "turns the request into pi-ai's and its events back into chat completions. It always streams from the upstream, "
        "which sends a plain answer's 1 KB as a provider would, a chunk a token; no log.",
        launch=launch_pi_ai,
        version=version_of_npm("pi_ai", "@earendil-works/pi-ai"),
        warm_s=5.0,
    ),
    System(
        name="9router",
        title="9router",
        does="its server as it comes, native SQLite: checks a key, finds the model, swaps the credential, records usage in its "
        "database and prints lines on each request.",
        launch=launch_9router,
        version=version_of_npm("9router", "9router"),
        start_timeout_s=40.0,
        warm_s=5.0,
    ),
)
TITLES = {DIRECT: DIRECT_TITLE} | {system.name: system.title for system in SYSTEMS}
