"""What GitHub Copilot's login has beyond OAuth: its own domains, a list of models, and their policies. Pure.

Source: pi-ai 1.5.2, `dist/auth/oauth/github-copilot.js`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import msgspec

from pi_model_proxy.credentials.oauth_rows import COPILOT_HEADERS

__all__ = [
    "GITHUB",
    "CopilotModels",
    "domain_of",
    "enterprise_domain",
    "known_models",
    "models_request",
    "on_domain",
    "parse_models",
    "policy_request",
]

GITHUB: Final = "github.com"
INDIVIDUAL: Final = "https://api.individual.githubcopilot.com"
API_VERSION: Final = "2026-06-01"
"""pi's `COPILOT_API_VERSION`."""
_PROXY: Final = re.compile(r"proxy-ep=([^;]+)")
_HOST: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d+)?")


class CopilotModels(msgspec.Struct, frozen=True, kw_only=True):
    """What `GET /models` says of an account."""

    available: tuple[str, ...]
    """Stored as `availableModelIds`."""
    unconfigured: tuple[str, ...]
    """Models whose policy nobody has decided on yet; a login accepts it for those that pi lists."""


def domain_of(written: str) -> str:
    """Return the domain of a GitHub Enterprise address as people write it; empty for github.com.

    Raises:
        ValueError: it is no address.
    """
    text = written.strip()
    if not text:
        return ""
    try:
        host = urlsplit(text if "://" in text else f"https://{text}").hostname or ""
    except ValueError:
        host = ""
    if not _HOST.fullmatch(host):
        raise ValueError("that is no domain; write it like company.ghe.com")
    return "" if host == GITHUB else host


def enterprise_domain(extras: Mapping[str, Any]) -> str:
    """Return the enterprise domain a stored login belongs to; empty for github.com."""
    written = extras.get("enterpriseUrl")
    try:
        return domain_of(written) if isinstance(written, str) else ""
    except ValueError:
        return ""


def on_domain(url: str, enterprise: str) -> str:
    """Return one of github.com's addresses as the enterprise domain has it."""
    return url.replace(GITHUB, enterprise, 1) if enterprise else url


def _base_url(token: str, enterprise: str) -> str:
    named = _PROXY.search(token)
    if named and _HOST.fullmatch(named[1]):
        return f"https://{re.sub(r'^proxy[.]', 'api.', named[1])}"
    return f"https://copilot-api.{enterprise}" if enterprise else INDIVIDUAL


def models_request(token: str, enterprise: str) -> tuple[str, Mapping[str, str]]:
    """Return address and headers of the request (a GET) for the account's models."""
    return f"{_base_url(token, enterprise)}/models", {
        "accept": "application/json",
        "authorization": f"Bearer {token}",
        **dict(COPILOT_HEADERS),
        "x-github-api-version": API_VERSION,
    }


def policy_request(token: str, enterprise: str, model_id: str) -> tuple[str, Mapping[str, str], bytes]:
    """Return address, headers and body of the request that accepts a model's policy."""
    headers = {
        "content-type": "application/json",
        "authorization": f"Bearer {token}",
        **dict(COPILOT_HEADERS),
        "openai-intent": "chat-policy",
        "x-interaction-type": "chat-policy",
    }
    url = f"{_base_url(token, enterprise)}/models/{quote(model_id, safe='')}/policy"
    return url, headers, json.dumps({"state": "enabled"}).encode()


def parse_models(token: str, enterprise: str, body: bytes) -> CopilotModels:
    """Read the list of models.

    Raises:
        ValueError: it is no such list.
    """
    answer = json.loads(body)
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list):
        raise ValueError("Copilot's list of models is not one")  # noqa: TRY004 - as for text that is no JSON
    models = [_Model(item) for item in data if isinstance(item, dict) and isinstance(item.get("id"), str)]
    models = [model for model in models if model.calls_tools]
    picked = [model.id for model in models if model.is_picked and model.policy != "disabled"]
    # Some individual accounts have every picker flag false despite explicit policies (pi's words).
    falls_back = not picked and _base_url(token, enterprise) == INDIVIDUAL
    available = [model.id for model in models if model.policy == "enabled"] if falls_back else picked
    unconfigured = [
        model.id for model in models if model.policy == "unconfigured" and (model.is_picked or falls_back)
    ]
    return CopilotModels(available=tuple(available), unconfigured=tuple(unconfigured))


class _Model:
    """One item of the list, as far as it matters."""

    def __init__(self, item: dict[str, Any]) -> None:
        self.id: str = item["id"]
        self.is_picked = item.get("model_picker_enabled") is True
        policy, capabilities = item.get("policy"), item.get("capabilities")
        self.policy = policy.get("state") if isinstance(policy, dict) else None
        supports = capabilities.get("supports") if isinstance(capabilities, dict) else None
        self.calls_tools = not (isinstance(supports, dict) and supports.get("tool_calls") is False)


def known_models(models: CopilotModels, listed: Collection[str]) -> tuple[str, ...]:
    """Return the models whose policy a login may accept: only those that pi's catalogue lists."""
    return tuple(model_id for model_id in models.unconfigured if model_id in listed)
