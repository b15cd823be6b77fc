"""Google Vertex AI through the installed command: API keys and Application Default Credentials."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support.cloud_upstream import Arrived, CloudUpstream, Reply
from support.gateway_process import GatewayProcess, running_gateway

MODEL: Final = "gemini-2.5-flash"
CHUNK: Final = {
    "candidates": [
        {"content": {"role": "model", "parts": [{"text": "Bonjour"}]}, "finishReason": "STOP", "index": 0}
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
}
PLACE: Final = {"GOOGLE_CLOUD_PROJECT": "my-project", "GOOGLE_CLOUD_LOCATION": "europe-west4"}


@pytest.fixture
def upstream() -> Iterator[CloudUpstream]:
    with CloudUpstream.running() as running:
        running.answer = answer
        yield running


def answer(arrived: Arrived) -> Reply:
    if arrived.target == "/token":
        return Reply(body=json.dumps({"access_token": "ya29.token", "expires_in": 3600}).encode())
    return Reply(
        body=f"data: {json.dumps(CHUNK)}\n\n".encode(), headers={"content-type": "text/event-stream"}
    )


@contextlib.contextmanager
def gateway(
    root: Path,
    upstream: CloudUpstream,
    environment: Mapping[str, str],
    auth: Mapping[str, Any] | None = None,
    path: str = "",
) -> Iterator[GatewayProcess]:
    agent = root / "agent"
    agent.mkdir()
    providers = {"google-vertex": {"baseUrl": upstream.origin + path}}
    (agent / "models.json").write_text(json.dumps({"providers": providers}))
    if auth is not None:
        (agent / "auth.json").write_text(json.dumps({"google-vertex": auth}))
    with running_gateway(root, agent_dir=agent, environment=environment) as running:
        yield running


def asked(running: GatewayProcess) -> str:
    body = {"model": f"google-vertex/{MODEL}", "messages": [{"role": "user", "content": "Say hello."}]}
    answered = running.post("/v1/chat/completions", body)
    assert answered.status == 200, answered.text
    return str(answered.json()["choices"][0]["message"]["content"])


def account_file(root: Path, upstream: CloudUpstream) -> Path:
    """Write a service account's file, with a token endpoint of our own."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = root / "service.json"
    account = {
        "type": "service_account",
        "project_id": "p",
        "private_key_id": "1",
        "private_key": pem.decode(),
        "client_email": "gateway@p.iam.gserviceaccount.com",
        "token_uri": f"{upstream.origin}/token",
    }
    file.write_text(json.dumps(account))
    return file


@pytest.mark.parametrize(
    ("path", "expected"), [("", "/v1"), ("/v1beta1/", "/v1beta1"), ("/gate", "/gate/v1")]
)
def test_an_api_key_needs_no_place(upstream: CloudUpstream, tmp_path: Path, path: str, expected: str) -> None:
    with gateway(tmp_path, upstream, {"GOOGLE_CLOUD_API_KEY": "AIza"}, path=path) as running:
        assert asked(running) == "Bonjour"
    (arrived,) = upstream.arrived
    assert arrived.target == f"{expected}/publishers/google/models/{MODEL}:streamGenerateContent?alt=sse"
    assert arrived.headers["x-goog-api-key"] == "AIza"
    assert "authorization" not in arrived.headers
    assert json.loads(arrived.body)["contents"][0]["parts"] == [{"text": "Say hello."}]


def test_default_credentials_give_an_access_token_that_is_kept(
    upstream: CloudUpstream, tmp_path: Path
) -> None:
    file = account_file(tmp_path, upstream)
    env = {**PLACE, "GOOGLE_APPLICATION_CREDENTIALS": str(file)}
    with gateway(tmp_path, upstream, {}, {"type": "api_key", "env": env}) as running:
        assert asked(running) == "Bonjour"
        assert asked(running) == "Bonjour"
        assert "ya29" not in running.log_path.read_text()
    exchange, *requests = upstream.arrived
    (assertion,) = parse_qs(exchange.body.decode())["assertion"]
    claims = json.loads(base64.urlsafe_b64decode(assertion.split(".")[1] + "=="))
    assert claims["scope"] == "https://www.googleapis.com/auth/cloud-platform"
    assert [arrived.headers["authorization"] for arrived in requests] == ["Bearer ya29.token"] * 2
    assert "x-goog-api-key" not in requests[0].headers


def test_a_refused_token_is_fetched_anew_once(upstream: CloudUpstream, tmp_path: Path) -> None:
    tokens = iter(["ya29.stale", "ya29.fresh", "ya29.more"])

    def refusing(arrived: Arrived) -> Reply:
        if arrived.target == "/token":
            return Reply(body=json.dumps({"access_token": next(tokens), "expires_in": 3600}).encode())
        if arrived.headers["authorization"] == "Bearer ya29.stale":
            return Reply(401, b'{"error":{"code":401,"message":"stale","status":"UNAUTHENTICATED"}}')
        return answer(arrived)

    upstream.answer = refusing
    env = {**PLACE, "GOOGLE_APPLICATION_CREDENTIALS": str(account_file(tmp_path, upstream))}
    with gateway(tmp_path, upstream, env) as running:
        assert asked(running) == "Bonjour"
        assert asked(running) == "Bonjour"
    assert next(tokens) == "ya29.more"


def test_a_refusal_of_googles_names_the_file_and_what_to_do(upstream: CloudUpstream, tmp_path: Path) -> None:
    upstream.answer = lambda arrived: Reply(400, b'{"error":"invalid_grant","error_description":"hunter2"}')
    env = {**PLACE, "GOOGLE_APPLICATION_CREDENTIALS": str(account_file(tmp_path, upstream))}
    with gateway(tmp_path, upstream, env) as running:
        body = {"model": f"google-vertex/{MODEL}", "messages": [{"role": "user", "content": "hi"}]}
        answered = running.post("/v1/chat/completions", body)
    assert answered.status == 502
    assert "service.json" in answered.text
    assert "hunter2" not in answered.text


def test_gemini_callers_are_passed_on(upstream: CloudUpstream, tmp_path: Path) -> None:
    env = {**PLACE, "GOOGLE_APPLICATION_CREDENTIALS": str(account_file(tmp_path, upstream))}
    with gateway(tmp_path, upstream, env) as running:
        body = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        path = f"/v1beta/models/google-vertex/{MODEL}:streamGenerateContent?alt=sse"
        answered = running.post(path, body)
    assert "Bonjour" in answered.text
    assert upstream.last.target == f"/v1/publishers/google/models/{MODEL}:streamGenerateContent?alt=sse"
