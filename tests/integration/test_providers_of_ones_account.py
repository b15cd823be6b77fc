"""Providers whose address, model name or headers depend on the account, through the installed command."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.cloud_upstream import Arrived, CloudUpstream, Reply
from support.gateway_process import GatewayProcess, running_gateway

MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m",
    "content": [{"type": "text", "text": "Bonjour"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "status": "completed",
    "model": "m",
    "output": [
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Bonjour", "annotations": []}],
        }
    ],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}


@pytest.fixture
def upstream() -> Iterator[CloudUpstream]:
    with CloudUpstream.running() as running:
        running.answer = answer
        yield running


def answer(arrived: Arrived) -> Reply:
    if arrived.target == "/v1/oauth/token":
        return Reply(body=b'{"access_token":"federated","expires_in":3600,"token_type":"Bearer"}')
    return Reply(body=json.dumps(MESSAGE if "messages" in arrived.target else RESPONSE).encode())


@contextlib.contextmanager
def gateway(
    root: Path,
    providers: Mapping[str, Any],
    environment: Mapping[str, str],
    auth: Mapping[str, Any] | None = None,
) -> Iterator[GatewayProcess]:
    agent = root / "agent"
    agent.mkdir()
    (agent / "models.json").write_text(json.dumps({"providers": providers}))
    (agent / "auth.json").write_text(json.dumps(auth or {}))
    with running_gateway(root, agent_dir=agent, environment=environment) as running:
        yield running


def asked(running: GatewayProcess, model: str, **fields: Any) -> None:
    body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **fields}
    answered = running.post("/v1/chat/completions", body)
    assert answered.status == 200, answered.text


def test_anthropics_workload_identity_stands_in_for_a_key(upstream: CloudUpstream, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("identity")
    environment = {
        "ANTHROPIC_FEDERATION_RULE_ID": "rule",
        "ANTHROPIC_ORGANIZATION_ID": "org",
        "ANTHROPIC_IDENTITY_TOKEN_FILE": str(token),
    }
    with gateway(tmp_path, {"anthropic": {"baseUrl": upstream.origin}}, environment) as running:
        asked(running, "anthropic/claude-haiku-4-5")
        asked(running, "anthropic/claude-haiku-4-5")
    exchange, *requests = upstream.arrived
    assert json.loads(exchange.body)["assertion"] == "identity"
    for arrived in requests:
        assert arrived.headers["authorization"] == "Bearer federated"
        assert "oauth-2025-04-20" in arrived.headers["anthropic-beta"].split(",")
        assert "x-api-key" not in arrived.headers
        assert "claude-code" not in arrived.headers["anthropic-beta"], "it is no Claude login"
    assert len(requests) == 2


def test_azures_address_keeps_its_query_and_models_their_deployment(
    upstream: CloudUpstream, tmp_path: Path
) -> None:
    own = {
        "AZURE_OPENAI_BASE_URL": f"{upstream.origin}/openai/v1?tenant=a",
        "AZURE_OPENAI_API_VERSION": "preview",
        "AZURE_OPENAI_DEPLOYMENT_NAME_MAP": "gpt-5.4=mine, gpt-5.5=other",
    }
    auth = {"azure": {"type": "api_key", "key": "k", "env": own}}
    with gateway(tmp_path, {}, {"AZURE_OPENAI_BASE_URL": "http://127.0.0.1:9/"}, auth) as running:
        asked(running, "azure/gpt-5.4")
    arrived = upstream.last
    assert arrived.target == "/openai/v1/responses?tenant=a&api-version=preview"
    assert arrived.headers["api-key"] == "k"
    assert "authorization" not in arrived.headers
    assert json.loads(arrived.body)["model"] == "mine"


def test_a_provider_of_ones_own_may_be_azures(upstream: CloudUpstream, tmp_path: Path) -> None:
    provider = {
        "baseUrl": f"{upstream.origin}/openai/v1",
        "api": "azure-openai-responses",
        "apiKey": "k",
        "models": [{"id": "m"}],
    }
    environment = {"AZURE_OPENAI_DEPLOYMENT_NAME_MAP": "m=mine"}
    with gateway(tmp_path, {"ours": provider}, environment) as running:
        asked(running, "ours/m")
    assert upstream.last.target == "/openai/v1/responses?api-version=v1"
    assert json.loads(upstream.last.body)["model"] == "mine"


def test_copilot_is_told_who_speaks_and_opencode_in_which_conversation(
    upstream: CloudUpstream, tmp_path: Path
) -> None:
    providers = {name: {"baseUrl": upstream.origin} for name in ("github-copilot", "opencode")}
    environment = {"COPILOT_GITHUB_TOKEN": "c", "OPENCODE_API_KEY": "o"}
    with gateway(tmp_path, providers, environment) as running:
        asked(running, "github-copilot/claude-haiku-4.5")
        copilot = upstream.last.headers
        asked(running, "opencode/claude-haiku-4-5", prompt_cache_key="talk-1")
        opencode = upstream.last.headers
    assert (copilot["x-initiator"], copilot["openai-intent"]) == ("user", "conversation-edits")
    assert "copilot-vision-request" not in copilot
    assert copilot["authorization"] == "Bearer c"
    assert opencode["x-opencode-session"] == "talk-1"
    assert "x-initiator" not in opencode
