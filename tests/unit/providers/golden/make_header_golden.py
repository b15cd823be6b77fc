"""Writes headers.json: which headers pi itself sends, for credentials and settings of every sort.

    python make_header_golden.py NODE UNPACKED-PI-CODING-AGENT-PACKAGE > headers.json

Runs pi against a loopback server, once for each scenario, with the provider's base URL overridden.
"""

from __future__ import annotations

import http.server
import json
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any, ClassVar

NOISE = {
    "accept-encoding", "accept-language", "connection", "content-length", "content-type", "content-encoding", "host",
    "sec-fetch-mode", "session-id", "session_id", "x-client-request-id", "x-session-id", "x-session-affinity",
    "anthropic-version", "transfer-encoding", "keep-alive", "x-opencode-session", "x-opencode-client", "accept",
    "http-referer", "x-goog-api-client", "x-affinity", "x-openrouter-title", "x-openrouter-categories", "x-billing-invoke-origin",
}  # fmt: skip
"""The HTTP client's own headers, the codec's, the session's and pi's attribution."""

KEY = {"type": "api_key", "key": "sk-plain"}
FAR = 9007199254740991


def login(access: str, **extras: Any) -> dict[str, Any]:
    return {"type": "oauth", "access": access, "refresh": "r", "expires": FAR, **extras}


CHAT, MESSAGES, RESPONSES = "openai-completions", "anthropic-messages", "openai-responses"
JWT = "h.eyJodHRwczovL2FwaS5vcGVuYWkuY29tL2F1dGgiOnsiY2hhdGdwdF9hY2NvdW50X2lkIjoiYWNjIn19.s"
MODEL = {"id": "m"}

SCENARIOS: list[dict[str, Any]] = [
    {"name": "anthropic key", "provider": "anthropic", "kind": MESSAGES, "auth": KEY},
    {"name": "anthropic login", "provider": "anthropic", "kind": MESSAGES, "auth": login("sk-ant-oat01-x")},
    {"name": "anthropic login's token as a key", "provider": "anthropic", "kind": MESSAGES, "auth": {"type": "api_key", "key": "sk-ant-oat01-x"}},
    {"name": "anthropic bearer variable", "provider": "anthropic", "kind": MESSAGES, "env": {"ANTHROPIC_AUTH_TOKEN": "sk-ant-oat01-x"}},
    {"name": "anthropic OAuth variable", "provider": "anthropic", "kind": MESSAGES, "env": {"ANTHROPIC_OAUTH_TOKEN": "sk-ant-oat01-x"}},
    {"name": "anthropic login, chat model", "provider": "anthropic", "kind": CHAT, "auth": login("sk-ant-oat01-x")},
    {"name": "anthropic login, own beta header", "provider": "anthropic", "kind": MESSAGES, "auth": login("sk-ant-oat01-x"), "config": {"headers": {"Anthropic-Beta": "mine"}}},
    {"name": "anthropic key, authHeader", "provider": "anthropic", "kind": MESSAGES, "auth": KEY, "config": {"authHeader": True}},
    {"name": "openai key", "provider": "openai", "kind": RESPONSES, "auth": KEY},
    {"name": "openai login", "provider": "openai", "kind": RESPONSES, "auth": login("eyJ.x.y", clientId="c")},
    {"name": "xai login", "provider": "xai", "kind": RESPONSES, "auth": login("tok")},
    {"name": "kimi login", "provider": "kimi-coding", "kind": CHAT, "auth": login("tok")},
    {"name": "kimi key", "provider": "kimi-coding", "kind": CHAT, "auth": KEY},
    {"name": "meta login", "provider": "meta", "kind": RESPONSES, "auth": login("tok")},
    {"name": "openrouter chat", "provider": "openrouter", "kind": CHAT, "auth": KEY},
    {"name": "openrouter messages", "provider": "openrouter", "kind": MESSAGES, "auth": KEY},
    {"name": "openrouter login, messages", "provider": "openrouter", "kind": MESSAGES, "auth": login("tok")},
    {"name": "copilot token, chat", "provider": "github-copilot", "kind": CHAT, "auth": KEY},
    {"name": "copilot token, messages", "provider": "github-copilot", "kind": MESSAGES, "auth": KEY},
    {"name": "copilot token, responses", "provider": "github-copilot", "kind": RESPONSES, "auth": KEY},
    {"name": "copilot's own model", "provider": "github-copilot", "kind": MESSAGES, "auth": KEY, "builtin": "claude-opus-5"},
    {"name": "copilot, provider headers lose", "provider": "github-copilot", "kind": MESSAGES, "auth": KEY, "builtin": "claude-opus-5", "config": {"headers": {"editor-version": "mine", "x-p": "1"}}},
    {"name": "copilot, override headers win", "provider": "github-copilot", "kind": MESSAGES, "auth": KEY, "builtin": "claude-opus-5", "override": {"editor-version": "mine"}},
    {"name": "nvidia's own model", "provider": "nvidia", "kind": CHAT, "auth": KEY, "builtin": "google/gemma-3-12b-it"},
    {"name": "gateway chat", "provider": "cloudflare-ai-gateway", "kind": CHAT, "auth": KEY, "cloudflare": True},
    {"name": "gateway messages", "provider": "cloudflare-ai-gateway", "kind": MESSAGES, "auth": KEY, "cloudflare": True},
    {"name": "gateway responses", "provider": "cloudflare-ai-gateway", "kind": RESPONSES, "auth": KEY, "cloudflare": True},
    {"name": "gateway with upstream key", "provider": "cloudflare-ai-gateway", "kind": CHAT, "auth": KEY, "cloudflare": True, "config": {"headers": {"Authorization": "Bearer up"}}},
    {"name": "gateway with upstream key, lower case", "provider": "cloudflare-ai-gateway", "kind": MESSAGES, "auth": KEY, "cloudflare": True, "config": {"headers": {"x-api-key": "up"}}},
    {"name": "workers", "provider": "cloudflare-workers-ai", "kind": CHAT, "auth": KEY, "cloudflare": True},
    {"name": "azure chat", "provider": "azure", "kind": CHAT, "auth": KEY},
    {"name": "azure responses", "provider": "azure", "kind": "azure-openai-responses", "auth": KEY},
    {"name": "fireworks messages", "provider": "fireworks", "kind": MESSAGES, "auth": KEY},
    {"name": "google", "provider": "google", "kind": "google-generative-ai", "auth": KEY},
    {"name": "mistral", "provider": "mistral", "kind": "mistral-conversations", "auth": KEY},
    {"name": "codex login", "provider": "openai-codex", "kind": "openai-codex-responses", "auth": login(JWT, accountId="acc")},
    {"name": "own provider, chat", "provider": "acme", "kind": CHAT, "auth": KEY},
    {"name": "own provider, messages", "provider": "acme", "kind": MESSAGES, "auth": KEY},
    {"name": "own provider, Anthropic login's token", "provider": "acme", "kind": MESSAGES, "auth": {"type": "api_key", "key": "x-sk-ant-oat-x"}},
    {"name": "own provider, token over chat", "provider": "acme", "kind": CHAT, "auth": {"type": "api_key", "key": "x-sk-ant-oat-x"}},
    {"name": "own provider, authHeader", "provider": "acme", "kind": MESSAGES, "auth": KEY, "config": {"authHeader": True}},
    {"name": "own provider, headers", "provider": "acme", "kind": CHAT, "auth": KEY, "config": {"headers": {"X-A": "provider", "x-b": "provider", "User-Agent": "mine"}}, "model_headers": {"x-a": "model"}, "override": {"X-A": "override", "X-C": "override"}},
    {"name": "own provider, authHeader over headers", "provider": "acme", "kind": CHAT, "auth": KEY, "config": {"authHeader": True, "headers": {"authorization": "mine"}}},
]  # fmt: skip


class Recorder(http.server.BaseHTTPRequestHandler):
    """Keeps the headers of the last request and refuses it."""

    seen: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        Recorder.seen = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(400)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *arguments: object) -> None:  # type: ignore[explicit-override]  # noqa: A002
        pass


def record(scenario: dict[str, Any], *, address: str, node: str, package: Path) -> dict[str, str]:
    config: dict[str, Any] = {"baseUrl": address, **scenario.get("config", {})}
    name = scenario.get("builtin", "m")
    if "builtin" not in scenario:
        config["models"] = [{**MODEL, "api": scenario["kind"], "headers": scenario.get("model_headers", {})}]
    if "override" in scenario:
        config["modelOverrides"] = {name: {"headers": scenario["override"]}}
    provider = scenario["provider"]
    variables = (
        {"CLOUDFLARE_ACCOUNT_ID": "a", "CLOUDFLARE_GATEWAY_ID": "g"} if "cloudflare" in scenario else {}
    )
    with tempfile.TemporaryDirectory() as scratch:
        agent = Path(scratch) / "agent"
        agent.mkdir()
        (agent / "models.json").write_text(json.dumps({"providers": {provider: config}}))
        (agent / "auth.json").write_text(
            json.dumps({provider: scenario["auth"]} if "auth" in scenario else {})
        )
        (agent / "settings.json").write_text(json.dumps({"transport": "sse", "retry": {"enabled": False}}))
        environment = {
            "HOME": scratch, "PATH": os.environ["PATH"], "PI_CODING_AGENT_DIR": str(agent), "PI_OFFLINE": "1",
            "PI_TELEMETRY": "0", **variables, **scenario.get("env", {}),
        }  # fmt: skip
        command = [
            node,
            str(package / "dist/bundle/cli.js"),
            "--no-session",
            "--no-tools",
            "--provider",
            provider,
        ]
        Recorder.seen = {}
        ran = subprocess.run(
            [*command, "--model", name, "-p", "hi"], env=environment, capture_output=True, timeout=60, cwd=scratch,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
    if not Recorder.seen:
        sys.exit(
            f"{scenario['name']}: pi sent nothing: {ran.stderr.decode()[-500:]}{ran.stdout.decode()[-500:]}"
        )
    return {
        header: value
        for header, value in sorted(Recorder.seen.items())
        if header not in NOISE and not header.startswith("x-stainless-")
    }


def main(node: str, package: str) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}"
    rows = [
        {**scenario, "sent": record(scenario, address=address, node=node, package=Path(package))}
        for scenario in SCENARIOS
    ]
    sys.stdout.write("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
