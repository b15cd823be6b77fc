"""Where a request goes: base URLs and model names that depend on the account or the environment.

Source: pi-ai 1.5.2 `dist/providers/cloudflare-stream.js`, `dist/providers/azure.js`, `dist/api/azure-openai-config.js`,
`dist/auth/oauth/github-copilot.js`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit, urlunsplit

import msgspec

from pi_model_proxy.catalog import Model
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.hub import Identity
from pi_model_proxy.providers.row import Address
from pi_model_proxy.providers.table import provider_row

__all__ = ["account_identity", "base_url_of", "copilot_base_url", "url_below"]

AZURE_HOSTS: Final = (".openai.azure.com", ".cognitiveservices.azure.com", ".ai.azure.com")
AZURE_PATH: Final = "/openai/v1"
AZURE_PATHS_COMPLETED: Final = frozenset({"", "/", "/openai", "/openai/v1/responses"})
"""Paths that people copy from Azure's portal and that mean `/openai/v1`."""

COPILOT_INDIVIDUAL: Final = "https://api.individual.githubcopilot.com"

_REPEATED_ENDS: Final[Mapping[str, tuple[str, ...]]] = {
    "openai-codex-responses": ("/codex/responses", "/codex")
}
"""Ends of a configured address that the API kind's own path says again (pi: `resolveCodexUrl`)."""

_PLACEHOLDER: Final = re.compile(r"\{([A-Z][A-Z0-9_]*)\}")
_COPILOT_PROXY: Final = re.compile(r"proxy-ep=([^;]+)")


def base_url_of(model: Model, variables: Mapping[str, str]) -> str:
    """Return the base URL for requests to `model`, without a trailing slash.

    `variables` are the credential's own `env` over the process environment. Copilot logins know better: see
    `copilot_base_url`.

    Raises:
        CredentialError: a variable is missing, or Azure's address is none; says what to set.
    """
    if provider_row(model.provider).address_of(model.api) is Address.AZURE:
        return _azure_base_url(model, variables)
    missing = [name for name in _PLACEHOLDER.findall(model.base_url) if not variables.get(name)]
    if missing:
        raise CredentialError(
            f"{model.provider}: the address needs {', '.join(missing)}; set it in the environment, "
            f'or in "env" of the credential in auth.json.'
        )
    filled = _PLACEHOLDER.sub(lambda match: variables[match[1]], model.base_url).rstrip("/")
    for end in _REPEATED_ENDS.get(model.api, ()):
        if filled.endswith(end):
            return filled.removesuffix(end)
    return filled


def url_below(base_url: str, path: str) -> str:
    """Return the URL of `path` (with its query) below `base_url`, whose own query (an API version, say) comes first."""
    if "?" not in base_url:
        return base_url + path
    base, _, given = base_url.partition("?")
    path, _, asked = path.partition("?")
    named = {pair.partition("=")[0] for pair in given.split("&")}
    more = [pair for pair in asked.split("&") if pair and pair.partition("=")[0] not in named]
    return f"{base.rstrip('/')}{path}?{'&'.join((given, *more))}"


def account_identity(
    identity: Identity, model: Model, variables: Mapping[str, str], *, region: str = ""
) -> Identity:
    """Return `identity` with what the account's variables say of the model, whatever the API kind.

    `variables` are the credential's own `env` over the process environment, as for `base_url_of`; `region` is
    Bedrock's.
    """
    match provider_row(model.provider).address_of(model.api):
        case Address.AZURE:
            return msgspec.structs.replace(
                identity,
                deployment=_azure_deployment(model.id, variables),
                api_version=variables.get("AZURE_OPENAI_API_VERSION", "").strip(),
            )
        case Address.BEDROCK:
            forces = variables.get("AWS_BEDROCK_FORCE_CACHE") == "1"
            return msgspec.structs.replace(identity, region=region, forces_cache_marks=forces)
        case _:
            return identity


def _azure_deployment(model_id: str, variables: Mapping[str, str]) -> str:
    """Return what `AZURE_OPENAI_DEPLOYMENT_NAME_MAP` (`model=deployment,...`) calls the model; of two entries the last."""
    named = ""
    for entry in variables.get("AZURE_OPENAI_DEPLOYMENT_NAME_MAP", "").split(","):
        name, deployment, *_ = (*entry.split("="), "")
        if name.strip() == model_id and deployment.strip():
            named = deployment.strip()
    return named


def copilot_base_url(token: str, enterprise_domain: str | None) -> str:
    """Return the endpoint that a Copilot access token belongs to; it overrides every configured base URL."""
    named = _COPILOT_PROXY.search(token)
    if named:
        return f"https://{re.sub(r'^proxy[.]', 'api.', named[1])}"
    return f"https://copilot-api.{enterprise_domain}" if enterprise_domain else COPILOT_INDIVIDUAL


def _azure_base_url(model: Model, variables: Mapping[str, str]) -> str:
    resource = variables.get("AZURE_OPENAI_RESOURCE_NAME", "")
    configured = variables.get("AZURE_OPENAI_BASE_URL", "").strip()
    address = configured or (
        f"https://{resource}.openai.azure.com{AZURE_PATH}" if resource else model.base_url
    )
    if not address:
        raise CredentialError(
            f"{model.provider}: no address; set AZURE_OPENAI_BASE_URL or AZURE_OPENAI_RESOURCE_NAME, in the environment or in "
            '"env" of the credential in auth.json.'
        )
    return _normal_azure_url(model.provider, address)


def _normal_azure_url(provider: str, address: str) -> str:
    try:
        parts = urlsplit(address.strip().rstrip("/"))
        host = parts.hostname
    except ValueError as error:
        raise CredentialError(f"{provider}: AZURE_OPENAI_BASE_URL is not a URL.") from error
    if not host or not parts.scheme:
        raise CredentialError(f"{provider}: AZURE_OPENAI_BASE_URL is not a URL; it begins with https://.")
    path = parts.path.rstrip("/")
    if host.endswith(AZURE_HOSTS) and path in AZURE_PATHS_COMPLETED:
        return urlunsplit((parts.scheme, parts.netloc, AZURE_PATH, "", ""))
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, parts.fragment)).rstrip("/")
