"""What clouds give: looked up once, in a thread, by libraries that nobody else pays for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import botocore.session
import google.auth
import pytest
from botocore.credentials import Credentials

from pi_model_proxy.credentials import Clock
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.providers import Means
from pi_model_proxy.sources.cloud import extras
from pi_model_proxy.sources.cloud.amazon import Amazon, AwsKeys, KeysWanted, signer
from pi_model_proxy.sources.cloud.federation import Federation
from pi_model_proxy.sources.cloud.google import Google
from pi_model_proxy.sources.cloud.lookup import Lookups


class Running:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.s = 1000.0
        self.clock = Clock(now_s=lambda: self.s, monotonic_s=lambda: self.s)


def test_who_calls_no_cloud_pays_for_no_cloud() -> None:
    code = (
        "import sys, pi_model_proxy.server.build\n"
        "from pi_model_proxy.providers import Means\n"
        "from pi_model_proxy.sources.cloud import missing_extra\n"
        "assert not any(missing_extra(means) for means in Means)\n"
        "print([name for name in ('botocore', 'google', 'google.auth', 'urllib.request') if name in sys.modules])"
    )
    path = str(Path(extras.__file__).parents[3])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": path}
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(("means", "name"), [(Means.SIGV4, "bedrock"), (Means.GOOGLE, "vertex")])
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch, means: Means, name: str
) -> None:
    assert extras.missing_extra(means) == ""
    monkeypatch.setattr(extras, "_is_there", lambda module: False)
    with pytest.raises(CredentialError) as caught:
        extras.require_extra("acme", means)
    assert caught.value.message.endswith(f"run: pip install 'pi-model-proxy[{name}]'")
    assert extras.missing_extra(Means.FEDERATION) == ""


@pytest.mark.parametrize(
    ("module", "is_there"),
    [
        ("botocore", True),
        ("google.auth", True),
        ("google.nothing", False),
        ("no_such", False),
        ("no_such.x", False),
    ],
)
def test_a_library_is_found_without_importing_it(module: str, is_there: bool) -> None:
    assert extras._is_there(module) is is_there


def test_what_is_asked_for_at_once_is_looked_up_once_and_kept_until_it_lapses() -> None:
    running, asked = Running(), []

    async def story() -> None:
        lookups: Lookups[int] = Lookups(running.clock)

        async def ask() -> tuple[int, float]:
            asked.append(1)
            await asyncio.sleep(0)
            return len(asked), 10.0

        together = await asyncio.gather(*(lookups.get("k", ask) for _ in range(5)))
        running.s += 9
        kept = await lookups.get("k", ask)
        fresh = await lookups.get("k", ask, fresh=True)
        running.s += 10
        lapsed = await lookups.get("k", ask)
        assert (together, kept, fresh, lapsed) == ([1] * 5, 1, 2, 3)

    asyncio.run(story())


def test_one_refusal_after_another_does_not_ask_again_and_again() -> None:
    running, asked = Running(), []

    async def story() -> None:
        lookups: Lookups[int] = Lookups(running.clock)

        async def ask() -> tuple[int, float]:
            asked.append(1)
            return len(asked), 3600.0

        first = await lookups.get("k", ask)
        refused = [await lookups.get("k", ask, fresh=True) for _ in range(3)]
        running.s += 31
        later = await lookups.get("k", ask, fresh=True)
        assert (first, refused, later) == (1, [2, 2, 2], 3)

    asyncio.run(story())


def test_roles_are_taken_in_the_requests_region(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[tuple[str, str]] = []

    class Session:
        def __init__(self, profile: str | None) -> None:
            assert profile == "work"

        def get_config_variable(self, name: str) -> None:
            return None

        def set_config_variable(self, name: str, value: str) -> None:
            said.append((name, value))

        def get_credentials(self) -> Credentials:
            return Credentials("i", "s", "t")

    monkeypatch.setattr(botocore.session, "Session", Session)
    own = {"AWS_PROFILE": "work"}
    wanted = KeysWanted(own=own, environment={}, region="us-gov-west-1")
    keys = asyncio.run(Amazon(Running().clock).keys("b", wanted))
    assert keys == AwsKeys(access_key="i", secret_key="s", token="t")
    assert said == [("region", "us-gov-west-1")]


def test_who_leaves_does_not_end_the_look_up_for_others() -> None:
    async def story() -> None:
        lookups: Lookups[str] = Lookups(Running().clock)
        go = asyncio.Event()

        async def ask() -> tuple[str, float]:
            await go.wait()
            return "found", 10.0

        leaving = asyncio.ensure_future(lookups.get("k", ask))
        staying = asyncio.ensure_future(lookups.get("k", ask))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        go.set()
        assert await staying == "found"

    asyncio.run(story())


def test_a_failed_look_up_is_not_kept() -> None:
    async def story() -> None:
        lookups: Lookups[str] = Lookups(Running().clock)
        failing = True

        async def ask() -> tuple[str, float]:
            if failing:
                raise CredentialError("none")
            return "found", 10.0

        with pytest.raises(CredentialError):
            await lookups.get("k", ask)
        failing = False
        assert await lookups.get("k", ask) == "found"

    asyncio.run(story())


def test_keys_of_variables_need_no_look_up() -> None:
    environment = {"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}
    wanted = KeysWanted(own={}, environment=environment, region="us-east-1")
    keys = asyncio.run(Amazon(Running().clock).keys("b", wanted))
    assert keys == AwsKeys(access_key="i", secret_key="s")
    assert "s" not in repr(keys).removeprefix("AwsKeys")


def test_a_signature_covers_the_configured_headers_but_not_the_user_agent() -> None:
    sign = signer(AwsKeys(access_key="i", secret_key="s", token="t"), "eu-west-1")
    headers = {"user-agent": "x", "x-team": "a", "content-type": "application/json"}
    sent = sign("POST", "https://h.example/model/a%3A1/converse-stream", headers, b"{}")
    assert "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-team," in sent["authorization"]
    assert "/eu-west-1/bedrock/aws4_request" in sent["authorization"]
    assert sent["user-agent"] == "x"
    other = sign("POST", "https://h.example/model/a%3A1/converse-stream", headers, b"{ }")
    assert other["authorization"].rpartition("=")[2] != sent["authorization"].rpartition("=")[2]


def test_googles_token_is_kept_until_shortly_before_it_lapses(monkeypatch: pytest.MonkeyPatch) -> None:
    running, fetched = Running(), []

    def load(file: str, **_: Any) -> tuple[object, None]:
        def refresh(_: object) -> None:
            fetched.append(file)

        expiry = datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
        return SimpleNamespace(
            token=f"t{len(fetched)}", expiry=expiry, quota_project_id="payer", refresh=refresh
        ), None

    monkeypatch.setattr(google.auth, "load_credentials_from_file", load)

    async def story() -> None:
        made = Google(running.clock)
        first = await made.token("v", "/f", fresh=False)
        running.s += 3000
        assert await made.token("v", "/f", fresh=False) is first
        running.s += 600
        assert (await made.token("v", "/f", fresh=False)) is not first
        assert first.quota_project == "payer"
        assert fetched == ["/f", "/f"]

    asyncio.run(story())


IDENTITY = {
    "ANTHROPIC_FEDERATION_RULE_ID": "rule",
    "ANTHROPIC_ORGANIZATION_ID": "org",
    "ANTHROPIC_WORKSPACE_ID": "space",
}


class Exchange:
    """Anthropic's token endpoint."""

    def __init__(self, status: int = 200, answer: object = None) -> None:
        self.status = status
        self.answer = {"access_token": "at", "expires_in": 600} if answer is None else answer
        self.asked: list[tuple[str, Mapping[str, str], Any]] = []

    async def __call__(
        self, url: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> tuple[int, bytes]:
        self.asked.append((url, headers, json.loads(body)))
        return self.status, json.dumps(self.answer).encode()


def federated(exchange: Exchange, variables: Mapping[str, str], base_url: str = "https://a.example") -> str:
    federation = Federation(exchange, Running().clock)

    async def story() -> str:
        first = await federation.token("anthropic", base_url, variables, fresh=False)
        assert await federation.token("anthropic", base_url, variables, fresh=False) == first
        return first

    return asyncio.run(story())


def test_an_identity_token_is_exchanged_as_anthropics_sdk_does(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("jwt\n")
    exchange = Exchange()
    assert federated(exchange, {**IDENTITY, "ANTHROPIC_IDENTITY_TOKEN_FILE": str(file)}) == "at"
    ((url, headers, body),) = exchange.asked
    assert url == "https://a.example/v1/oauth/token"
    assert headers["anthropic-beta"] == "oauth-2025-04-20,oidc-federation-2026-04-01"
    assert body == {
        "grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer",
        "assertion": "jwt",
        "federation_rule_id": "rule",
        "organization_id": "org",
        "workspace_id": "space",
    }


@pytest.mark.parametrize(
    ("written", "base_url", "exchange", "words"),
    [
        (None, "https://a.example", Exchange(), "cannot be read"),
        (" ", "https://a.example", Exchange(), "no identity token"),
        ("x" * 20_000, "https://a.example", Exchange(), "16 KiB"),
        ("jwt", "http://a.example", Exchange(), "https only"),
        ("jwt", "https://a.example", Exchange(401, {"error": "jwt is bad"}), "refused (401)"),
        ("jwt", "https://a.example", Exchange(200, {"token": "x"}), "no access token"),
    ],
)
def test_an_exchange_that_fails_says_what_to_do_and_shows_no_token(
    tmp_path: Path, written: str | None, base_url: str, exchange: Exchange, words: str
) -> None:
    file = tmp_path / "token"
    if written is not None:
        file.write_text(written)
    with pytest.raises(CredentialError) as caught:
        federated(exchange, {**IDENTITY, "ANTHROPIC_IDENTITY_TOKEN_FILE": str(file)}, base_url)
    assert words in caught.value.message
    assert "jwt" not in caught.value.message
