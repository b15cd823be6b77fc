"""Headers that authenticate, compared with those a running pi sent (`golden/make_header_golden.py`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy import __version__
from pi_model_proxy.catalog import builtin_models
from pi_model_proxy.providers import (
    HeaderSettings,
    Presented,
    RequestTraits,
    auth_headers,
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
