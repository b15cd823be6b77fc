"""What Copilot's login has beyond OAuth."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.credentials.copilot import (
    domain_of,
    enterprise_domain,
    known_models,
    models_request,
    parse_models,
    policy_request,
)

INDIVIDUAL = "tid=1"
BUSINESS = "tid=1;proxy-ep=proxy.business.githubcopilot.com;x"


def model(
    name: str, *, policy: str | None = None, picked: bool = False, tools: bool = True
) -> dict[str, Any]:
    made: dict[str, Any] = {"id": name, "model_picker_enabled": picked}
    if policy:
        made["policy"] = {"state": policy}
    return {**made, "capabilities": {"supports": {"tool_calls": tools}}}


def body(*models: object) -> bytes:
    return json.dumps({"data": list(models)}).encode()


@pytest.mark.parametrize(
    ("written", "domain"),
    [
        ("", ""),
        ("  ", ""),
        ("github.com", ""),
        ("https://github.com/", ""),
        ("company.ghe.com", "company.ghe.com"),
        (" https://company.ghe.com/login?x=1 ", "company.ghe.com"),
    ],
)
def test_an_enterprise_address_is_taken_as_people_write_it(written: str, domain: str) -> None:
    assert domain_of(written) == domain


@pytest.mark.parametrize("written", ["a b", "https://", "x<y", "http://[::1"])
def test_what_is_no_domain_is_refused(written: str) -> None:
    with pytest.raises(ValueError, match="domain"):
        domain_of(written)
    assert enterprise_domain({"enterpriseUrl": written}) == ""


def test_the_models_are_asked_for_where_the_token_says() -> None:
    assert models_request(BUSINESS, "")[0] == "https://api.business.githubcopilot.com/models"
    assert models_request(INDIVIDUAL, "c.ghe.com")[0] == "https://copilot-api.c.ghe.com/models"
    url, headers = models_request(INDIVIDUAL, "")
    assert url == "https://api.individual.githubcopilot.com/models"
    assert headers["x-github-api-version"] == "2026-06-01"


def test_a_token_that_names_no_host_leads_nowhere_else() -> None:
    url, _ = models_request("proxy-ep=evil.example/x?;", "")
    assert url == "https://api.individual.githubcopilot.com/models"


def test_the_picked_models_that_call_tools_are_available() -> None:
    listed = body(
        model("a", picked=True),
        model("b", picked=True, policy="disabled"),
        model("c", picked=True, tools=False),
        model("d", policy="enabled"),
        model("e", picked=True, policy="unconfigured"),
        "odd",
        {"id": 3},
    )
    found = parse_models(INDIVIDUAL, "", listed)
    assert (found.available, found.unconfigured) == (("a", "e"), ("e",))
    assert known_models(found, {"e"}) == ("e",)
    assert known_models(found, {"a"}) == ()


def test_an_individual_account_that_picks_nothing_has_the_enabled_models() -> None:
    listed = body(model("a", policy="enabled"), model("b", policy="unconfigured"), model("c"))
    found = parse_models(INDIVIDUAL, "", listed)
    assert (found.available, found.unconfigured) == (("a",), ("b",))
    strict = parse_models(BUSINESS, "", listed)
    assert (strict.available, strict.unconfigured) == ((), ())


@pytest.mark.parametrize("text", [b"", b"[]", b'{"data": {}}', b"<html>"])
def test_what_is_no_list_of_models_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"models|Expecting"):
        parse_models(INDIVIDUAL, "", text)


def test_a_policy_is_accepted_as_pi_does() -> None:
    url, headers, sent = policy_request(INDIVIDUAL, "", "a/b")
    assert url == "https://api.individual.githubcopilot.com/models/a%2Fb/policy"
    assert headers["openai-intent"] == headers["x-interaction-type"] == "chat-policy"
    assert json.loads(sent) == {"state": "enabled"}
