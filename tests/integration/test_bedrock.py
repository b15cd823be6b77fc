"""Amazon Bedrock through the installed command, before an upstream that checks every signature."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from support.cloud_upstream import Arrived, CloudUpstream, Reply, signature_fault
from support.gateway_process import GatewayProcess, running_gateway
from support.kind_streams import event_frame

MODEL: Final = "us.anthropic.claude-opus-4-8"
"""One of the catalogue."""
ARN: Final = "arn:aws:bedrock:eu-west-1:123456789012:application-inference-profile/abc"
SECRET: Final = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
KEYS: Final = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET}
STREAM: Final = (
    event_frame("messageStart", role="assistant")
    + event_frame("contentBlockDelta", contentBlockIndex=0, delta={"text": "Bonjour"})
    + event_frame("contentBlockStop", contentBlockIndex=0)
    + event_frame("messageStop", stopReason="end_turn")
    + event_frame("metadata", usage={"inputTokens": 3, "outputTokens": 2, "totalTokens": 5})
)
ANSWER: Final = Reply(body=STREAM, headers={"content-type": "application/vnd.amazon.eventstream"})


@pytest.fixture
def upstream() -> Iterator[CloudUpstream]:
    with CloudUpstream.running() as running:
        running.answer = lambda arrived: ANSWER
        yield running


@contextlib.contextmanager
def gateway(
    root: Path,
    upstream: CloudUpstream,
    environment: Mapping[str, str],
    auth: Mapping[str, Any] | None = None,
    **fields: Any,
) -> Iterator[GatewayProcess]:
    agent = root / "agent"
    agent.mkdir()
    models = [{"id": ARN, "name": "Claude of mine", "api": "bedrock-converse-stream"}]
    config = {"baseUrl": upstream.origin, "models": models, **fields}
    (agent / "models.json").write_text(json.dumps({"providers": {"amazon-bedrock": config}}))
    if auth is not None:
        (agent / "auth.json").write_text(json.dumps({"amazon-bedrock": auth}))
    quick = {"AWS_EC2_METADATA_DISABLED": "true", **environment}
    with running_gateway(root, agent_dir=agent, environment=quick) as running:
        yield running


def chat(model: str = MODEL, **fields: Any) -> dict[str, Any]:
    return {
        "model": f"amazon-bedrock/{model}",
        "messages": [{"role": "user", "content": "Say hello."}],
        **fields,
    }


def asked(running: GatewayProcess, model: str = MODEL) -> str:
    answer = running.post("/v1/chat/completions", chat(model))
    assert answer.status == 200, answer.text
    return str(answer.json()["choices"][0]["message"]["content"])


def test_every_attempt_is_signed_over_its_own_body(upstream: CloudUpstream, tmp_path: Path) -> None:
    environment = {**KEYS, "AWS_SESSION_TOKEN": "session", "AWS_REGION": "us-west-2"}
    with gateway(tmp_path, upstream, environment) as running:
        assert asked(running) == "Bonjour"
        assert asked(running) == "Bonjour"
        streamed = running.post("/v1/chat/completions", chat(stream=True)).text
        asked(running, ARN)
        assert SECRET not in running.log_path.read_text()
    assert '"content":"Bonjour"' in streamed
    assert [arrived.target for arrived in upstream.arrived] == [
        f"/model/{MODEL}/converse-stream",
        f"/model/{MODEL}/converse-stream",
        f"/model/{MODEL}/converse-stream",
        "/model/" + ARN.replace(":", "%3A").replace("/", "%2F") + "/converse-stream",
    ]
    for arrived, region in zip(upstream.arrived, (*["us-west-2"] * 3, "eu-west-1"), strict=True):
        assert signature_fault(arrived, upstream.origin, secret_key=SECRET, region=region) == ""
        assert arrived.method == "POST"
        assert arrived.headers["x-amz-security-token"] == "session"
        assert json.loads(arrived.body)["messages"][0]["content"][0] == {"text": "Say hello."}
    assert upstream.arrived[0].headers["accept"] == "application/vnd.amazon.eventstream"


def test_a_body_that_is_mended_is_signed_anew(upstream: CloudUpstream, tmp_path: Path) -> None:
    def answer(arrived: Arrived) -> Reply:
        if b'"strict"' in arrived.body:
            refusal = {"message": "Too many strict tools (1)."}
            return Reply(400, json.dumps(refusal).encode(), {"x-amzn-errortype": "ValidationException"})
        return ANSWER

    upstream.answer = answer
    schema = {"type": "object", "properties": {}, "additionalProperties": False}
    tool = {"type": "function", "function": {"name": "look", "parameters": schema, "strict": True}}
    overrides = {MODEL: {"compat": {"supportsStrictMode": True}}}
    environment = {**KEYS, "AWS_REGION": "us-east-1"}
    with gateway(tmp_path, upstream, environment, modelOverrides=overrides) as running:
        answered = running.post("/v1/chat/completions", chat(tools=[tool]))
    assert answered.status == 200, answered.text
    assert len(upstream.arrived) == 2
    assert len({arrived.headers["authorization"] for arrived in upstream.arrived}) == 2
    for arrived in upstream.arrived:
        assert signature_fault(arrived, upstream.origin, secret_key=SECRET, region="us-east-1") == ""


def test_a_large_body_is_signed_whole(upstream: CloudUpstream, tmp_path: Path) -> None:
    with gateway(tmp_path, upstream, {**KEYS, "AWS_REGION": "us-east-1"}) as running:
        text = "x" * 700_000
        answer = running.post("/v1/chat/completions", chat(messages=[{"role": "user", "content": text}]))
        assert answer.status == 200
    assert signature_fault(upstream.last, upstream.origin, secret_key=SECRET, region="us-east-1") == ""


@pytest.mark.parametrize("stored", [True, False])
def test_a_bearer_token_is_sent_as_it_is(upstream: CloudUpstream, tmp_path: Path, stored: bool) -> None:
    environment = {**KEYS} if stored else {**KEYS, "AWS_BEARER_TOKEN_BEDROCK": "bedrock-token"}
    auth = {"type": "api_key", "key": "bedrock-token"} if stored else None
    headers = {"X-Amz-Evil": "1", "Authorization": "mine", "X-Team": "a"}
    with gateway(tmp_path, upstream, environment, auth, headers=headers) as running:
        assert asked(running) == "Bonjour"
    sent = upstream.last.headers
    assert (sent["authorization"], sent["x-team"]) == ("Bearer bedrock-token", "a")
    assert not [name for name in sent if name.startswith("x-amz-")]


def test_a_proxy_that_signs_itself_gets_no_credential(upstream: CloudUpstream, tmp_path: Path) -> None:
    with gateway(tmp_path, upstream, {**KEYS, "AWS_BEDROCK_SKIP_AUTH": "1"}) as running:
        assert asked(running) == "Bonjour"
    assert "authorization" not in upstream.last.headers


def test_a_profile_of_the_credential_wins_over_keys_of_the_environment(
    upstream: CloudUpstream, tmp_path: Path
) -> None:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "credentials").write_text(
        f"[work]\naws_access_key_id = AKIDWORK\naws_secret_access_key = {SECRET}\n"
    )
    environment = {"AWS_ACCESS_KEY_ID": "AKIDOTHER", "AWS_SECRET_ACCESS_KEY": "no"}
    auth = {"type": "api_key", "env": {"AWS_PROFILE": "work", "AWS_REGION": "ap-south-1"}}
    with gateway(tmp_path, upstream, environment, auth) as running:
        asked(running)
    assert "Credential=AKIDWORK/" in upstream.last.headers["authorization"]
    assert signature_fault(upstream.last, upstream.origin, secret_key=SECRET, region="ap-south-1") == ""


def test_the_profile_of_the_environment_names_the_region(upstream: CloudUpstream, tmp_path: Path) -> None:
    folder = tmp_path / ".aws"
    folder.mkdir()
    (folder / "config").write_text(
        f"[profile work]\nregion = sa-east-1\naws_access_key_id = AKIDWORK\naws_secret_access_key = {SECRET}\n"
        "[profile nowhere]\n"
    )
    with gateway(tmp_path, upstream, {"AWS_PROFILE": "work"}) as running:
        asked(running)
    assert signature_fault(upstream.last, upstream.origin, secret_key=SECRET, region="sa-east-1") == ""


def test_the_governments_regions_and_forced_cache_marks_shape_the_body(
    upstream: CloudUpstream, tmp_path: Path
) -> None:
    environment = {**KEYS, "AWS_REGION": "us-gov-west-1", "AWS_BEDROCK_FORCE_CACHE": "1"}
    models = [{"id": ARN, "name": "Mine", "api": "bedrock-converse-stream"}]
    with gateway(tmp_path, upstream, environment, models=models) as running:
        running.post("/v1/chat/completions", chat(reasoning_effort="high"))
        thinking = json.loads(upstream.last.body)["additionalModelRequestFields"]["thinking"]
        asked(running, ARN)
    assert thinking == {"type": "adaptive"}
    assert "cachePoint" in upstream.last.body.decode()


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({"AWS_PROFILE": "gone", "AWS_REGION": "us-east-1"}, "The config profile (gone) could not be found"),
        ({"AWS_PROFILE": "gone"}, "The config profile (gone) could not be found"),
        ({**KEYS, "AWS_REGION": "not a region"}, "set AWS_REGION"),
    ],
)
def test_what_is_missing_is_said(
    upstream: CloudUpstream, tmp_path: Path, environment: dict[str, str], words: str
) -> None:
    with gateway(tmp_path, upstream, environment) as running:
        answer = running.post("/v1/chat/completions", chat())
    assert answer.status == 502
    assert words in answer.text
    assert upstream.arrived == []


def test_keys_of_a_container_are_renewed_after_a_refusal(upstream: CloudUpstream, tmp_path: Path) -> None:
    given = 0

    def answer(arrived: Arrived) -> Reply:
        nonlocal given
        if arrived.target == "/keys":
            assert arrived.headers["authorization"] == "container-secret"
            given += 1
            keys = {
                "AccessKeyId": f"AKID{given}",
                "SecretAccessKey": SECRET,
                "Token": f"t{given}",
                "Expiration": "2099-01-01T00:00:00Z",
            }
            return Reply(body=json.dumps(keys).encode())
        if "Credential=AKID1/" in arrived.headers["authorization"]:
            refusal = {"message": "The security token included in the request is expired"}
            return Reply(403, json.dumps(refusal).encode(), {"x-amzn-errortype": "ExpiredTokenException"})
        return ANSWER

    upstream.answer = answer
    environment = {
        "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{upstream.origin}/keys",
        "AWS_CONTAINER_AUTHORIZATION_TOKEN": "container-secret",
        "AWS_REGION": "us-east-1",
    }
    with gateway(tmp_path, upstream, environment) as running:
        assert asked(running) == "Bonjour"
        assert asked(running) == "Bonjour"
    assert given == 2, "found once, looked up again after the refusal, kept then"
    for arrived in upstream.arrived:
        if arrived.target != "/keys":
            assert signature_fault(arrived, upstream.origin, secret_key=SECRET, region="us-east-1") == ""


def test_a_web_identity_is_exchanged_for_keys(upstream: CloudUpstream, tmp_path: Path) -> None:
    def answer(arrived: Arrived) -> Reply:
        if arrived.target != "/":
            return ANSWER
        assert b"Action=AssumeRoleWithWebIdentity" in arrived.body
        assert b"WebIdentityToken=identity-token" in arrived.body
        keys = (
            f"<AccessKeyId>AKIDWEB</AccessKeyId><SecretAccessKey>{SECRET}</SecretAccessKey>"
            "<SessionToken>web</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration>"
        )
        result = f"<AssumeRoleWithWebIdentityResult><Credentials>{keys}</Credentials></AssumeRoleWithWebIdentityResult>"
        body = f'<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{result}</AssumeRoleWithWebIdentityResponse>'
        return Reply(body=body.encode(), headers={"content-type": "text/xml"})

    upstream.answer = answer
    token = tmp_path / "token"
    token.write_text("identity-token")
    environment = {
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/gateway",
        "AWS_ENDPOINT_URL_STS": upstream.origin,
    }
    with gateway(tmp_path, upstream, environment) as running:
        assert asked(running) == "Bonjour"
        asked(running)
    assert [arrived.target for arrived in upstream.arrived].count("/") == 1
    assert upstream.last.headers["x-amz-security-token"] == "web"
    assert signature_fault(upstream.last, upstream.origin, secret_key=SECRET, region="us-east-1") == ""
