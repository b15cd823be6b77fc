"""Headers that authenticate, compared with those a running pi sent (`golden/make_header_golden.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy import __version__
from pi_model_proxy.catalog import builtin_models
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.hub import Identity
from pi_model_proxy.providers import (
    HeaderSettings,
    Presented,
    RequestTraits,
    auth_headers,
    login_identity,
    merge_headers,
    request_headers,
)

SCENARIOS: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "headers.json").read_text())
OURS = f"pi-model-proxy/{__version__}"
MESSAGES, RESPONSES, CHAT = "anthropic-messages", "openai-responses", "openai-completions"


def presented(scenario: dict[str, Any]) -> Presented:
    auth = scenario.get("auth")
    if auth is None:
        ((variable, value),) = scenario["env"].items()
        return Presented(account="api_key", secret=value, as_bearer=variable == "ANTHROPIC_AUTH_TOKEN")
    if auth["type"] == "oauth":
        return Presented(account="oauth", secret=auth["access"], account_id=auth.get("accountId", ""))
    return Presented(account="api_key", secret=auth["key"])


def settings(scenario: dict[str, Any]) -> HeaderSettings:
    config = scenario.get("config", {})
    builtin = {model.id: model for model in builtin_models(scenario["provider"])}.get(
        scenario.get("builtin", "")
    )
    return HeaderSettings(
        provider=config.get("headers", {}),
        auth_header=config.get("authHeader", False),
        catalog=builtin.headers if builtin else {},
        model={
            **{name.lower(): value for name, value in scenario.get("override", {}).items()},
            **{name.lower(): value for name, value in scenario.get("model_headers", {}).items()},
        },
    )


def without_pi_itself(sent: dict[str, str]) -> dict[str, str]:
    """What a gateway that is not pi, and no web page, should send."""
    expected = dict(sent)
    if expected["user-agent"].startswith("pi/"):
        expected["user-agent"] = OURS
    if not expected["user-agent"].startswith("claude-cli/"):
        expected.pop("anthropic-dangerous-direct-browser-access", None)
    return expected


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario["name"])
def test_the_headers_are_those_that_pi_sends(scenario: dict[str, Any]) -> None:
    headers = auth_headers(scenario["provider"], scenario["kind"], presented(scenario), settings(scenario))

    dynamic = request_headers(scenario["provider"], "http://127.0.0.1", RequestTraits())
    sent = {name: value for name, value in {**dynamic, **headers}.items() if name != "accept"}
    assert sent == without_pi_itself(scenario["sent"])


def test_a_token_of_anthropics_login_under_another_providers_name_brings_its_identity() -> None:
    key = Presented(account="api_key", secret="sk-ant-oat01-x")

    assert login_identity("acme", MESSAGES, key, base_url="http://x").system_text is not None
    assert login_identity("acme", CHAT, key, base_url="http://x") == Identity()


@pytest.mark.parametrize("provider", ["cloudflare-ai-gateway", "github-copilot"])
def test_where_a_key_does_not_travel_as_anthropics_its_looks_mean_nothing(provider: str) -> None:
    key = Presented(account="api_key", secret="sk-ant-oat01-x")

    assert auth_headers(provider, MESSAGES, key)["user-agent"] == OURS
    assert login_identity(provider, MESSAGES, key, base_url="http://x") == Identity()


def test_anthropics_login_speaks_as_claude_code() -> None:
    identity = login_identity(
        "anthropic", MESSAGES, Presented(account="oauth", secret="any"), base_url="https://api.anthropic.com"
    )

    assert identity.system_text == "You are Claude Code, Anthropic's official CLI for Claude."
    assert len(identity.tool_names) == 17
    assert {"Read", "Bash", "TodoWrite", "WebSearch"} <= set(identity.tool_names)
    assert not identity.omitted_fields


def test_a_login_whose_token_lacks_the_mark_travels_as_bearer_too() -> None:
    headers = auth_headers("anthropic", MESSAGES, Presented(account="oauth", secret="any"))

    assert headers["authorization"] == "Bearer any"
    assert "x-api-key" not in headers


@pytest.mark.parametrize(
    ("secret", "account", "base_url", "omits"),
    [
        pytest.param("eyJ", "oauth", "https://api.openai.com/v1", True, id="a login at OpenAI"),
        pytest.param("eyJ", "api_key", "https://api.openai.com/v1", True, id="its token as a key"),
        pytest.param("sk-x", "api_key", "https://api.openai.com/v1", False, id="a key"),
        pytest.param("eyJ", "oauth", "http://127.0.0.1:1/v1", True, id="a login at another address"),
        pytest.param("eyJ", "api_key", "http://127.0.0.1:1/v1", False, id="some key at another address"),
    ],
)
def test_a_chatgpt_login_leaves_out_what_openai_refuses(
    secret: str, account: Any, base_url: str, omits: bool
) -> None:
    identity = login_identity(
        "openai", RESPONSES, Presented(account=account, secret=secret), base_url=base_url
    )

    expected = {
        "max_output_tokens", "temperature", "prompt_cache_retention", "prompt_cache_options", "configuration_update"
    }  # fmt: skip
    assert identity.omitted_fields == (expected if omits else frozenset())


def test_a_bearer_variable_is_never_taken_for_a_login() -> None:
    bearer = Presented(account="api_key", secret="sk-ant-oat01-x", as_bearer=True)

    assert login_identity("anthropic", MESSAGES, bearer, base_url="https://api.anthropic.com") == Identity()


def test_a_server_without_authentication_gets_none() -> None:
    nobody = Presented(account="none")

    assert auth_headers("acme", MESSAGES, nobody) == {"user-agent": OURS}
    assert auth_headers(
        "cloudflare-ai-gateway", CHAT, nobody, HeaderSettings(provider={"x-api-key": "up"})
    ) == {
        "user-agent": OURS,
        "x-api-key": "up",
    }


@pytest.mark.parametrize(
    ("provider", "presented"),
    [
        pytest.param("acme", Presented(account="none"), id="no key"),
        pytest.param(
            "anthropic", Presented(account="api_key", secret="t", as_bearer=True), id="a bearer token only"
        ),
        pytest.param(
            "cloudflare-ai-gateway", Presented(account="api_key", secret="k"), id="a gateway's own key"
        ),
    ],
)
def test_auth_header_needs_a_key(provider: str, presented: Presented) -> None:
    with pytest.raises(CredentialError, match=f"providers.{provider}.authHeader needs an API key"):
        auth_headers(provider, MESSAGES, presented, HeaderSettings(auth_header=True))


def test_a_header_set_to_none_is_removed_whatever_its_case() -> None:
    layers: list[dict[str, str | None]] = [
        {"X-A": "1", "x-b": "2"},
        {"x-a": None},
        {"X-B": "3"},
        {"x-c": None},
    ]

    assert merge_headers(layers) == {"x-b": "3"}


def test_a_secret_is_not_shown_by_repr() -> None:
    assert "hunter2" not in repr(Presented(account="api_key", secret="hunter2"))
