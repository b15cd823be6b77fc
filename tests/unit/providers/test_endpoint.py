"""Addresses that depend on the account."""

from __future__ import annotations

import pytest

from pi_model_proxy.catalog import Model
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.hub import Identity
from pi_model_proxy.providers import (
    RequestTraits,
    account_identity,
    base_url_of,
    copilot_base_url,
    request_headers,
    wants_traits,
)


def model(provider: str, base_url: str) -> Model:
    return Model(provider=provider, id="m", api="openai-completions", base_url=base_url)


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        pytest.param("https://x/v1/", "https://x/v1", id="no slash at the end"),
        pytest.param("https://gw/{CLOUDFLARE_ACCOUNT_ID}/{CLOUDFLARE_GATEWAY_ID}/openai", "https://gw/acc/gate/openai", id="blanks are filled"),
        pytest.param("https://{location}-host", "https://{location}-host", id="what is no variable stays"),
    ],
)  # fmt: skip
def test_a_base_url_is_filled(base_url: str, expected: str) -> None:
    variables = {"CLOUDFLARE_ACCOUNT_ID": "acc", "CLOUDFLARE_GATEWAY_ID": "gate"}

    assert base_url_of(model("any", base_url), variables) == expected


def test_a_missing_variable_is_named() -> None:
    with pytest.raises(CredentialError, match="cloudflare: the address needs CLOUDFLARE_ACCOUNT_ID; set it"):
        base_url_of(model("cloudflare", "https://gw/{CLOUDFLARE_ACCOUNT_ID}"), {"CLOUDFLARE_ACCOUNT_ID": ""})


@pytest.mark.parametrize(
    ("variables", "base_url", "expected"),
    [
        ({"AZURE_OPENAI_RESOURCE_NAME": "res"}, "", "https://res.openai.azure.com/openai/v1"),
        ({"AZURE_OPENAI_BASE_URL": " https://r.openai.azure.com/ "}, "", "https://r.openai.azure.com/openai/v1"),
        ({"AZURE_OPENAI_BASE_URL": "https://r.ai.azure.com/openai/"}, "", "https://r.ai.azure.com/openai/v1"),
        ({"AZURE_OPENAI_BASE_URL": "https://r.cognitiveservices.azure.com/openai/v1/responses?api-version=1"}, "", "https://r.cognitiveservices.azure.com/openai/v1"),
        ({"AZURE_OPENAI_BASE_URL": "https://r.openai.azure.com/own/path"}, "", "https://r.openai.azure.com/own/path"),
        ({"AZURE_OPENAI_BASE_URL": "http://127.0.0.1:1/v1/"}, "", "http://127.0.0.1:1/v1"),
        ({"AZURE_OPENAI_BASE_URL": "https://url", "AZURE_OPENAI_RESOURCE_NAME": "res"}, "https://configured", "https://url"),
        ({}, "https://configured/", "https://configured"),
    ],
)  # fmt: skip
def test_azures_address_is_completed(variables: dict[str, str], base_url: str, expected: str) -> None:
    assert base_url_of(model("azure", base_url), variables) == expected


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "set AZURE_OPENAI_BASE_URL or AZURE_OPENAI_RESOURCE_NAME"),
        ({"AZURE_OPENAI_BASE_URL": "res.openai.azure.com"}, "is not a URL"),
        ({"AZURE_OPENAI_BASE_URL": "https://[broken"}, "is not a URL"),
    ],
)
def test_azure_without_an_address_says_what_to_set(variables: dict[str, str], says: str) -> None:
    with pytest.raises(CredentialError, match=says):
        base_url_of(model("azure", ""), variables)


@pytest.mark.parametrize(
    ("written", "deployment"),
    [
        ("m = mine , broken, n=", "mine"),
        ("m=", ""),
        ("m=first,m=second", "second"),
        ("m=a=b", "a"),
        ("n=mine", ""),
        ("", ""),
    ],
)
def test_a_deployment_may_have_another_name_than_its_model(written: str, deployment: str) -> None:
    variables = {"AZURE_OPENAI_DEPLOYMENT_NAME_MAP": written, "AZURE_OPENAI_API_VERSION": " preview "}
    identity = Identity(tool_names=("Read",))
    told = account_identity(identity, model("azure", ""), variables)
    assert told == Identity(tool_names=("Read",), deployment=deployment, api_version="preview")


def test_variables_of_azure_mean_nothing_elsewhere() -> None:
    variables = {"AZURE_OPENAI_DEPLOYMENT_NAME_MAP": "m=mine", "AZURE_OPENAI_API_VERSION": "preview"}
    assert account_identity(Identity(), model("openai", ""), variables) == Identity()
    assert account_identity(Identity(), model("azure", ""), {}) == Identity()


@pytest.mark.parametrize(
    ("token", "domain", "expected"),
    [
        ("tid=1;proxy-ep=proxy.business.githubcopilot.com;x", None, "https://api.business.githubcopilot.com"),
        ("tid=1;proxy-ep=other.example;x", "corp.example", "https://other.example"),
        ("opaque", "corp.example", "https://copilot-api.corp.example"),
        ("opaque", None, "https://api.individual.githubcopilot.com"),
    ],
)
def test_a_copilot_token_knows_where_it_belongs(token: str, domain: str | None, expected: str) -> None:
    assert copilot_base_url(token, domain) == expected


def test_copilot_is_told_who_began_and_whether_there_are_images() -> None:
    assert request_headers("github-copilot", "", RequestTraits(ends_with_user=False, has_images=True)) == {
        "x-initiator": "agent",
        "openai-intent": "conversation-edits",
        "copilot-vision-request": "true",
    }
    assert wants_traits("github-copilot", "")


@pytest.mark.parametrize(
    ("provider", "base_url", "is_told"),
    [
        ("opencode", "http://127.0.0.1:1", True),
        ("opencode-go", "http://127.0.0.1:1", True),
        ("acme", "https://opencode.ai/zen/v1", True),
        ("acme", "https://not-opencode.ai/v1", False),
        ("acme", "http://[broken", False),
    ],
)
def test_opencode_is_told_the_conversation(provider: str, base_url: str, is_told: bool) -> None:
    headers = request_headers(provider, base_url, RequestTraits(session="s"))

    assert headers == ({"x-opencode-session": "s"} if is_told else {})
    assert wants_traits(provider, base_url) is is_told
    assert not request_headers(provider, base_url, RequestTraits())
