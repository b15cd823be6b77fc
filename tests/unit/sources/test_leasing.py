"""A lease: final headers, address and identity, fresh or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.errors import CredentialError, UpstreamUnreachable
from pi_model_proxy.sources import Lease, PiFiles, pi_files
from support.agent_bench import NOW_MS, STUB, Bench, login, model_of


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def lease_of(bench: Bench, provider: str, model_id: str = "") -> Lease:
    leases: list[Lease] = []

    async def story(source: PiFiles) -> None:
        leases.append(await source.lease(model_of(await source.ready(), provider, model_id)))

    bench.ask(story)
    return leases[0]


def refused_lease(bench: Bench, provider: str) -> str:
    """Return what a lease that cannot be had says."""
    with pytest.raises(CredentialError) as caught:
        lease_of(bench, provider)
    return caught.value.message


def own_headers(lease: Lease) -> dict[str, str]:
    return {name: value for name, value in lease.headers.items() if name != "user-agent"}


def with_stub(bench: Bench, **fields: object) -> None:
    bench.write("models", {"providers": {"stub": {**STUB, "apiKey": "sk", **fields}}})


def test_a_key_travels_as_its_api_wants_it(bench: Bench) -> None:
    bench.environment |= {"GROQ_API_KEY": "g", "ANTHROPIC_API_KEY": "a"}
    assert own_headers(lease_of(bench, "groq")) == {"authorization": "Bearer g"}
    lease = lease_of(bench, "anthropic")
    assert own_headers(lease) == {"x-api-key": "a"}
    assert (lease.account, lease.secrets, lease.base_url) == ("api_key", ("a",), "https://api.anthropic.com")
    assert not lease.may_be_gateway


def test_anthropics_bearer_variable_is_a_bearer_token_and_no_login(bench: Bench) -> None:
    bench.environment["ANTHROPIC_AUTH_TOKEN"] = "t"
    lease = lease_of(bench, "anthropic")
    assert own_headers(lease) == {"authorization": "Bearer t"}
    assert lease.identity.system_text is None


def test_an_anthropic_login_says_what_pi_says(bench: Bench) -> None:
    bench.write("auth", {"anthropic": login(access="sk-ant-oat-1")})
    lease = lease_of(bench, "anthropic")
    assert lease.account == "oauth"
    assert lease.headers["authorization"] == "Bearer sk-ant-oat-1"
    assert lease.headers["anthropic-beta"].startswith("claude-code-20250219,oauth-2025-04-20")
    assert "x-api-key" not in lease.headers
    assert (lease.identity.system_text or "").startswith("You are Claude Code")


def test_headers_rank_as_in_pi(bench: Bench) -> None:
    with_stub(
        bench,
        headers={"X-One": "provider", "X-Two": "provider", "X-Three": "provider"},
        modelOverrides={"m1": {"headers": {"x-two": "override", "x-three": "override"}}},
        models=[{"id": "m1", "headers": {"X-THREE": "model"}}],
    )
    headers = lease_of(bench, "stub").headers
    assert (headers["x-one"], headers["x-two"], headers["x-three"]) == ("provider", "override", "model")


def test_the_catalogues_headers_rank_above_the_providers_and_below_the_models(bench: Bench) -> None:
    bench.environment["NVIDIA_API_KEY"] = "n"
    overrides = {"modelOverrides": {}, "headers": {"NVCF-POLL-SECONDS": "1", "x-mine": "yes"}}
    bench.write("models", {"providers": {"nvidia": overrides}})
    headers = lease_of(bench, "nvidia").headers
    assert (headers["nvcf-poll-seconds"], headers["x-mine"]) == ("3600", "yes")


def test_auth_header_adds_the_key_as_bearer(bench: Bench) -> None:
    with_stub(bench, api="anthropic-messages", authHeader=True)
    assert own_headers(lease_of(bench, "stub")) == {"x-api-key": "sk", "authorization": "Bearer sk"}


def test_header_values_are_templates_and_commands_of_the_credentials_own_env_first(bench: Bench) -> None:
    bench.write("auth", {"stub": {"type": "api_key", "key": "own", "env": {"TEAM": "own-team"}}})
    bench.environment |= {"TEAM": "process-team", "REGION": "eu"}
    with_stub(bench, headers={"x-team": "$TEAM", "x-region": "r-${REGION}", "x-run": "!echo out"})
    headers = own_headers(lease_of(bench, "stub"))
    assert headers == {
        "authorization": "Bearer own",
        "x-team": "own-team",
        "x-region": "r-eu",
        "x-run": "out",
    }


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("$GONE", "header 'x-extra' in models.json needs GONE"),
        ("!exit 4", "exit status 4"),
        ("!printf 'a\\nb'", "holds a line break"),
        ("\u20ac", "a character that no header can carry"),
    ],
)
def test_a_header_that_cannot_be_resolved_is_named(bench: Bench, value: str, words: str) -> None:
    with_stub(bench, headers={"x-extra": value})
    assert words in refused_lease(bench, "stub")


def test_a_key_with_a_line_break_never_reaches_a_header_or_a_message(bench: Bench) -> None:
    with_stub(bench, apiKey="!printf 'hunter2\\nx-evil: 1'")
    assert "hunter2" not in refused_lease(bench, "stub")


def test_white_space_around_a_key_is_taken_off(bench: Bench) -> None:
    bench.environment["GROQ_API_KEY"] = " g \n"
    assert lease_of(bench, "groq").headers["authorization"] == "Bearer  g"


def test_an_address_is_filled_from_the_credentials_env(bench: Bench) -> None:
    own = {"CLOUDFLARE_ACCOUNT_ID": "acc", "CLOUDFLARE_GATEWAY_ID": "gate"}
    bench.write("auth", {"cloudflare-ai-gateway": {"type": "api_key", "key": "k", "env": own}})
    lease = lease_of(bench, "cloudflare-ai-gateway")
    assert lease.base_url == "https://gateway.ai.cloudflare.com/v1/acc/gate/anthropic"
    assert own_headers(lease) == {"cf-aig-authorization": "Bearer k"}


@pytest.mark.parametrize(
    ("fields", "base_url"),
    [
        (
            {"access": "tid=1;proxy-ep=proxy.business.githubcopilot.com;"},
            "https://api.business.githubcopilot.com",
        ),
        (
            {"access": "t", "enterpriseUrl": "https://ghe.corp.example/x"},
            "https://copilot-api.ghe.corp.example",
        ),
        ({"access": "t", "enterpriseUrl": "evil.example/@"}, "https://copilot-api.evil.example"),
        ({"access": "t", "enterpriseUrl": "a b"}, "https://api.individual.githubcopilot.com"),
        ({"access": "t"}, "https://api.individual.githubcopilot.com"),
    ],
)
def test_a_copilot_login_knows_its_own_address(
    bench: Bench, fields: Mapping[str, Any], base_url: str
) -> None:
    bench.write("auth", {"github-copilot": login(**fields)})
    bench.write("models", {"providers": {"github-copilot": {"baseUrl": "http://127.0.0.1:9"}}})
    assert lease_of(bench, "github-copilot").base_url == base_url


def test_an_address_of_the_users_own_may_lead_back_here(bench: Bench) -> None:
    with_stub(bench)
    assert lease_of(bench, "stub").may_be_gateway
    bench.write("auth", {"groq": {"type": "api_key", "key": "k"}})
    bench.write("models", {"providers": {"groq": {"baseUrl": "http://127.0.0.1:9876/v1"}}})
    lease = lease_of(bench, "groq")
    assert (lease.may_be_gateway, lease.base_url) == (True, "http://127.0.0.1:9876/v1")


def test_a_provider_without_credential_gives_no_lease_and_says_why(bench: Bench) -> None:
    assert refused_lease(bench, "groq") == "groq: no credential; set GROQ_API_KEY."


def test_a_key_that_is_not_enough_names_what_is_missing(bench: Bench) -> None:
    bench.write("auth", {"cloudflare-ai-gateway": {"type": "api_key", "key": "k"}})
    bench.write("models", {"providers": {"cloudflare-ai-gateway": {"headers": {}}}})
    message = refused_lease(bench, "cloudflare-ai-gateway")
    assert "beside the key it needs CLOUDFLARE_ACCOUNT_ID, CLOUDFLARE_GATEWAY_ID" in message


def test_a_header_command_of_a_file_that_others_can_write_is_not_run(bench: Bench, tmp_path: Path) -> None:
    with_stub(bench, headers={"x-run": f"!touch {tmp_path}/ran"})
    (bench.agent_dir / "models.json").chmod(0o602)
    assert "other users may write" in refused_lease(bench, "stub")
    assert not (tmp_path / "ran").exists()


def test_a_provider_that_pis_files_no_longer_name_gives_no_lease(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        with_stub(bench)
        model = model_of(await source.ready(), "stub")
        (bench.agent_dir / "models.json").unlink()
        with pytest.raises(CredentialError, match="no longer name this provider"):
            await source.lease(model)

    bench.ask(story)


def test_a_due_login_is_refreshed_before_it_is_leased(bench: Bench) -> None:
    bench.write("auth", {"anthropic": login(expires_ms=NOW_MS + 200_000)})
    assert lease_of(bench, "anthropic").headers["authorization"] == "Bearer access-1"
    assert json.loads((bench.agent_dir / "auth.json").read_text())["anthropic"]["refresh"] == "refresh-1"


def test_a_login_that_pi_has_refreshed_meanwhile_is_used_at_once(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        bench.write("auth", {"anthropic": login()})
        model = model_of(await source.ready(), "anthropic")
        await source.lease(model)
        bench.write("auth", {"anthropic": login(access="pis-own")})
        assert (await source.lease(model)).headers["authorization"] == "Bearer pis-own"
        assert bench.endpoint.urls == []

    bench.ask(story)


def test_a_failed_refresh_is_a_problem_until_there_is_a_new_login(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        bench.write("auth", {"anthropic": login(expires_ms=1)})
        bench.endpoint.script = [UpstreamUnreachable("refused")]
        model = model_of(await source.ready(), "anthropic")
        with pytest.raises(CredentialError, match="no answer from the token endpoint"):
            await source.lease(model)
        (problem,) = (await source.refresh()).problems
        assert (problem.where, problem.severity) == ("anthropic", "error")
        bench.write("auth", {"anthropic": login(access="new")})
        await source.refresh()
        assert (await source.refresh()).problems == ()

    bench.ask(story)


def test_a_login_that_was_removed_while_it_was_refreshed_says_so(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        path = bench.write("auth", {"anthropic": login(expires_ms=1)})
        model = model_of(await source.ready(), "anthropic")
        revision = path.stat()
        path.write_text("{}" + " " * (revision.st_size - 2))
        source._reader.changed = lambda: False  # type: ignore[method-assign]  # the change comes after the look
        with pytest.raises(CredentialError, match="login was removed"):
            await source.lease(model)

    bench.ask(story)


def test_an_early_pis_login_is_used_until_it_lapses(bench: Bench) -> None:
    bench.write("oauth", {"anthropic": {"access": "a", "refresh": "r", "expires": NOW_MS + 1000}})
    assert lease_of(bench, "anthropic").headers["authorization"] == "Bearer a"
    bench.write("oauth", {"anthropic": {"access": "a", "refresh": "r", "expires": NOW_MS - 1}})
    assert "start `pi` once" in refused_lease(bench, "anthropic")
    assert bench.endpoint.urls == []


def test_a_401_refreshes_a_login_once_and_not_again_within_a_minute(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        bench.write("auth", {"anthropic": login()})
        model = model_of(await source.ready(), "anthropic")
        refused = await source.lease(model)
        renewed = await source.lease_after_refusal(model, refused)
        assert renewed is not None
        assert renewed.headers["authorization"] == "Bearer access-1"
        assert await source.lease_after_refusal(model, renewed) is None
        bench.running_s += 61
        assert await source.lease_after_refusal(model, renewed) is not None
        assert bench.endpoint.spent == ["refresh-0", "refresh-1"]

    bench.ask(story)


def test_a_401_for_an_old_token_gives_the_newer_one_without_a_refresh(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        bench.write("auth", {"anthropic": login()})
        model = model_of(await source.ready(), "anthropic")
        refused = await source.lease(model)
        bench.write("auth", {"anthropic": login(access="newer")})
        renewed = await source.lease_after_refusal(model, refused)
        assert renewed is not None
        assert renewed.headers["authorization"] == "Bearer newer"
        assert bench.endpoint.urls == []

    bench.ask(story)


def test_a_401_runs_a_command_again_once(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k1")
    command = f"!echo run >> {tmp_path}/runs; cat {tmp_path}/key"
    bench.write("auth", {"groq": {"type": "api_key", "key": command}})

    async def story(source: PiFiles) -> None:
        model = model_of(await source.ready(), "groq")
        refused = await source.lease(model)
        assert await source.lease_after_refusal(model, refused) is None
        assert await source.lease_after_refusal(model, refused) is None
        assert (tmp_path / "runs").read_text() == "run\n" * 2
        (tmp_path / "key").write_text("k2")
        bench.running_s += 31
        renewed = await source.lease_after_refusal(model, refused)
        assert renewed is not None
        assert renewed.headers["authorization"] == "Bearer k2"

    bench.ask(story)


def test_a_401_for_a_plain_key_gives_nothing_unless_the_file_has_another(bench: Bench) -> None:
    async def story(source: PiFiles) -> None:
        bench.write("auth", {"groq": {"type": "api_key", "key": "k1"}})
        model = model_of(await source.ready(), "groq")
        refused = await source.lease(model)
        assert await source.lease_after_refusal(model, refused) is None
        bench.write("auth", {"groq": {"type": "api_key", "key": "k2"}})
        assert await source.lease_after_refusal(model, refused) is not None

    bench.ask(story)


def test_the_redactor_hears_of_secrets_that_only_a_lease_brings_and_of_no_more_than_it_can_hold(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values of variables, tokens of a cloud: no file of pi's holds them, and an upstream may repeat them."""
    monkeypatch.setattr(pi_files, "MAX_LENT_SECRETS", 2)
    bench.environment |= {"TEAM_TOKEN": "team-token-value", "OTHER_TOKEN": "other-token-value"}
    with_stub(bench, headers={"x-team-token": "$TEAM_TOKEN", "x-other-token": "$OTHER_TOKEN"})

    async def story(source: PiFiles) -> None:
        snapshot = await source.ready()
        assert "team-token-value" not in source.secrets()
        await source.lease(model_of(snapshot, "stub"))
        assert {"team-token-value", "other-token-value"} <= set(source.secrets())
        assert len(source._lent) == 2

    bench.ask(story)
