"""Which credential a provider is asked with, and why the others did not count."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.sources import PiFiles
from pi_model_proxy.sources.cloud import extras
from support.agent_bench import STUB, Bench, login, offers_of


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_stored_key_wins_over_models_json_and_environment(bench: Bench) -> None:
    bench.write("auth", {"groq": {"type": "api_key", "key": "sk"}})
    bench.write("models", {"providers": {"groq": {"apiKey": "sk-2"}}})
    bench.environment["GROQ_API_KEY"] = "sk-3"
    report = bench.report("groq")
    assert (report.usable, report.account, report.chosen) == (True, "api_key", "auth.json (key)")


def test_models_json_wins_over_the_environment(bench: Bench) -> None:
    bench.write("models", {"providers": {"groq": {"apiKey": "$GONE"}}})
    bench.environment["GROQ_API_KEY"] = "sk-3"
    report = bench.report("groq")
    assert (report.usable, report.chosen, report.reason) == (
        False,
        "models.json (apiKey)",
        "$GONE is not set",
    )


def test_the_environment_comes_last_and_is_named(bench: Bench) -> None:
    bench.environment["GROQ_API_KEY"] = "sk-3"
    assert bench.report("groq").chosen == "$GROQ_API_KEY"


@pytest.mark.parametrize("value", ["", " ", "\t"])
def test_a_blank_variable_counts_as_unset(bench: Bench, value: str) -> None:
    bench.environment["GROQ_API_KEY"] = value
    assert not bench.report("groq").usable


def test_a_stored_key_without_value_gives_way_to_the_environment_and_says_so(bench: Bench) -> None:
    bench.write("auth", {"groq": {"type": "api_key", "key": "$GONE"}})
    bench.environment["GROQ_API_KEY"] = "sk-3"
    report = bench.report("groq")
    assert (report.usable, report.chosen) == (True, "$GROQ_API_KEY")
    assert report.passed_over == ("auth.json: $GONE is not set",)


def test_a_stored_key_without_value_and_without_environment_names_the_variable(bench: Bench) -> None:
    bench.write("auth", {"groq": {"type": "api_key", "key": "$GONE$KEPT"}})
    bench.environment["KEPT"] = "x"
    report = bench.report("groq")
    assert (report.usable, report.reason) == (False, "$GONE is not set")
    (problem,) = bench.snapshot().problems
    assert problem.where == "auth.json (key): groq"


def test_the_credentials_own_env_fills_its_template(bench: Bench) -> None:
    bench.write("auth", {"groq": {"type": "api_key", "key": "$MINE", "env": {"MINE": "sk"}}})
    assert bench.report("groq").usable


def test_a_login_owns_its_provider_and_is_never_replaced_by_a_key(bench: Bench) -> None:
    bench.write("auth", {"anthropic": login(expires_ms=1)})
    bench.environment["ANTHROPIC_API_KEY"] = "sk"
    report = bench.report("anthropic")
    assert (report.usable, report.account, report.chosen) == (True, "oauth", "auth.json (login)")
    assert report.subscription
    assert "extra usage" in report.note
    assert report.expires_ms == 1


def test_a_login_for_a_provider_without_logins_is_not_usable(bench: Bench) -> None:
    bench.write("auth", {"groq": login()})
    bench.environment["GROQ_API_KEY"] = "sk"
    report = bench.report("groq")
    assert (report.usable, report.reason) == (False, "only an extension of pi knows this provider's login")


def test_an_entry_that_cannot_be_understood_owns_its_provider(bench: Bench) -> None:
    bench.write("auth", {"groq": {"type": "cookie"}})
    bench.environment["GROQ_API_KEY"] = "sk"
    assert bench.report("groq").reason == "the entry's `type` is neither `api_key` nor `oauth`"


def test_a_provider_without_any_credential_says_how_to_get_one(bench: Bench) -> None:
    bench.write("models", {"providers": {"stub": STUB}})
    assert bench.report("anthropic").reason == (
        "no credential; log in (`pi-model-proxy login`), or set ANTHROPIC_AUTH_TOKEN or ANTHROPIC_OAUTH_TOKEN or "
        "ANTHROPIC_API_KEY"
    )
    assert bench.report("groq").reason == "no credential; set GROQ_API_KEY"
    assert bench.report("stub").reason == "no credential; give it an apiKey in models.json"


@pytest.mark.parametrize(
    ("subscriptions", "chosen"),
    [
        (True, "auth.json (login)"),
        (("openai", "anthropic"), "auth.json (login)"),
        (("openai",), "$ANTHROPIC_API_KEY"),
        ((), "$ANTHROPIC_API_KEY"),
        (False, "$ANTHROPIC_API_KEY"),
    ],
)
def test_a_login_that_is_switched_off_gives_way_to_a_key(
    bench: Bench, subscriptions: bool | tuple[str, ...], chosen: str
) -> None:
    bench.write("auth", {"anthropic": login()})
    bench.environment["ANTHROPIC_API_KEY"] = "sk"
    bench.settings["subscriptions"] = subscriptions
    report = bench.report("anthropic")
    assert (report.usable, report.chosen) == (True, chosen)
    if chosen.startswith("$"):
        assert report.passed_over == ("auth.json: the login is switched off by `subscriptions`",)


def test_a_logins_token_configured_as_a_key_is_switched_off_too(bench: Bench) -> None:
    bench.environment["ANTHROPIC_OAUTH_TOKEN"] = "sk-ant-oat01-x"
    assert bench.report("anthropic").subscription
    bench.settings["subscriptions"] = False
    report = bench.report("anthropic")
    assert (report.usable, report.note) == (False, "")
    assert "switched off" in report.reason


def test_a_login_that_is_no_subscription_cannot_be_switched_off(bench: Bench) -> None:
    bench.write("auth", {"openrouter": login(refresh="", expires_ms=9007199254740991)})
    bench.settings["subscriptions"] = False
    report = bench.report("openrouter")
    assert (report.usable, report.subscription) == (True, False)


def test_cloudflare_needs_account_and_gateway_beside_the_key(bench: Bench) -> None:
    bench.write(
        "auth",
        {"cloudflare-ai-gateway": {"type": "api_key", "key": "k", "env": {"CLOUDFLARE_ACCOUNT_ID": "a"}}},
    )
    assert bench.report("cloudflare-ai-gateway").reason == "$CLOUDFLARE_GATEWAY_ID is not set"
    bench.environment["CLOUDFLARE_GATEWAY_ID"] = "g"
    assert bench.report("cloudflare-ai-gateway").usable


@pytest.mark.parametrize(
    ("ids", "usable"),
    [(["claude-haiku-4.5"], {"claude-haiku-4.5"}), ([], set()), (None, None), ("gpt", None), ([1], None)],
)
def test_a_copilot_login_offers_the_models_its_account_may_use(
    bench: Bench, ids: object, usable: set[str] | None
) -> None:
    fields: dict[str, Any] = {} if ids is None else {"availableModelIds": ids}
    bench.write("auth", {"github-copilot": login(**fields)})
    offers = offers_of(bench.snapshot(), "github-copilot")
    expected = {offer.model.id for offer in offers} if usable is None else usable
    assert {offer.model.id for offer in offers if offer.usable} == expected


def test_workload_identity_counts_when_all_of_it_is_there(bench: Bench) -> None:
    for name in ("FEDERATION_RULE_ID", "ORGANIZATION_ID", "IDENTITY_TOKEN_FILE"):
        assert not bench.report("anthropic").usable
        bench.environment[f"ANTHROPIC_{name}"] = "x"
    report = bench.report("anthropic")
    assert (report.usable, report.chosen) == (True, "$ANTHROPIC_FEDERATION_RULE_ID")


def test_a_profile_stored_with_pi_is_named_as_what_auth_json_says(bench: Bench) -> None:
    bench.write("auth", {"amazon-bedrock": {"type": "api_key", "env": {"AWS_PROFILE": "work"}}})
    report = bench.report("amazon-bedrock")
    assert (report.usable, report.chosen) == (True, "auth.json (AWS_PROFILE)")


def test_cloud_credentials_without_their_library_name_the_command_that_installs_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "_is_there", lambda module: False)
    bench.environment |= {"AWS_ACCESS_KEY_ID": "i", "AWS_SECRET_ACCESS_KEY": "s"}
    report = bench.report("amazon-bedrock")
    assert not report.usable
    assert report.reason.endswith("run: pip install 'pi-model-proxy[bedrock]'")
    bench.environment["AWS_BEARER_TOKEN_BEDROCK"] = "t"
    assert bench.report("amazon-bedrock").usable, "a bearer token needs no library"


def test_an_entry_under_a_providers_old_name_is_used(bench: Bench) -> None:
    bench.write("auth", {"azure-openai-responses": {"type": "api_key", "key": "k"}})
    assert bench.report("azure").usable
    assert bench.snapshot().problems == ()


@pytest.mark.parametrize(
    ("command", "usable", "reason"),
    [
        ("!echo sk", True, ""),
        ("!exit 7", False, "its command gave no value (exit status 7)"),
    ],
)
def test_a_command_of_auth_json_is_run_to_see_whether_it_gives_a_key(
    bench: Bench, command: str, usable: bool, reason: str
) -> None:
    bench.write("auth", {"groq": {"type": "api_key", "key": command}})
    report = bench.report("groq")
    assert (report.usable, report.reason) == (usable, reason)


def test_a_command_of_models_json_counts_without_being_run(bench: Bench, tmp_path: Path) -> None:
    bench.write("models", {"providers": {"groq": {"apiKey": f"!touch {tmp_path}/ran"}}})
    assert bench.report("groq").usable
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["auth", "models"])
def test_a_file_that_others_can_write_runs_no_command(bench: Bench, tmp_path: Path, name: str) -> None:
    command = f"!touch {tmp_path}/ran; echo key"
    root: dict[str, Any] = {"groq": {"type": "api_key", "key": command}}
    path = bench.write(name, root if name == "auth" else {"providers": {"groq": {"apiKey": command}}})
    path.chmod(0o622)
    report = bench.report("groq")
    assert not report.usable
    assert "other users may write to the file (mode 0622" in report.reason
    assert not (tmp_path / "ran").exists()


def test_a_slow_command_is_believed_until_it_has_answered(bench: Bench, tmp_path: Path) -> None:
    command = f"!while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exit 1"
    bench.write("auth", {"groq": {"type": "api_key", "key": command}})

    async def story(source: PiFiles) -> None:
        def usable() -> bool:
            return any(offer.usable for offer in offers_of(source.snapshot, "groq"))

        await source.ready()
        assert usable()
        (tmp_path / "go").touch()
        for _ in range(100):
            bench.running_s += 1
            await source.refresh()
            if not usable():
                return
            await asyncio.sleep(0.05)
        raise AssertionError("its failure was never noticed")

    bench.ask(story)
