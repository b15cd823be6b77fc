"""Every login that pi knows, as data: how each is renewed, and where.

Source of every literal: pi-ai 1.5.2, `dist/auth/oauth/<provider>.js`. A provider that is not in
`OAUTH_ROWS` can be used until its access token lapses; refreshing it takes pi itself. How a login
begins is in `credentials/login/rows.py`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from enum import Enum
from typing import Final
from urllib.parse import urlsplit

import msgspec

__all__ = [
    "OAUTH_ROWS",
    "RADIUS_GATEWAY",
    "Grant",
    "OAuthRow",
    "oauth_row",
    "overridden_url",
    "radius_row",
    "token_url",
    "token_url_variable",
    "url_variable",
]


class Grant(Enum):
    """What the stored refresh token is, and so how it is exchanged."""

    REFRESH = "an OAuth refresh token (RFC 6749 §6)"
    COPILOT = "a GitHub token, with which a Copilot token is fetched"
    MINT = "an identity token, with which a key is minted"
    NONE = "nothing: the key does not lapse"


class OAuthRow(msgspec.Struct, frozen=True, kw_only=True):
    """How one provider's login is refreshed."""

    provider: str
    url: str
    host_variables: tuple[str, ...] = ()
    """Environment variables of the provider's own that replace scheme and host of `url`."""
    client_id: str = ""
    """Empty: each login has its own, stored as `clientId`, or none is needed."""
    grant: Grant = Grant.REFRESH
    json_body: bool = False
    """True: the fields are sent as JSON; else form-encoded."""
    fields: tuple[tuple[str, str], ...] = ()
    """Further fields of the request."""
    headers: tuple[tuple[str, str], ...] = ()
    """Further headers of the request, names in lower case."""
    access_name: str = "access_token"
    """Which member of the answer is the access token."""
    lifetime_s: float = 3600.0
    """How long an access token counts whose answer does not say (pi: `DEFAULT_TOKEN_LIFETIME_SECONDS` of xAI)."""
    margin_s: float = 0.0
    """Taken off the lifetime when the expiry is stored."""
    stores_scope: bool = False
    """True: the granted scope is stored as `scope`, as it came."""
    stores_scopes: bool = False
    """True: the granted scopes are stored as `scopes`, one by one."""
    account_claim: tuple[str, str] = ("", "")
    """JWT claim and field that hold the account id, stored as `accountId`."""
    retry_delays_s: tuple[float, ...] = ()
    """Pauses before another try after no answer, 429 or 5xx; empty: one try."""


RADIUS_GATEWAY: Final = "https://radius.pi.dev"
"""pi's `DEFAULT_RADIUS_GATEWAY`."""

COPILOT_HEADERS: Final = (
    ("user-agent", "GitHubCopilotChat/0.35.0"),
    ("editor-version", "vscode/1.107.0"),
    ("editor-plugin-version", "copilot-chat/0.35.0"),
    ("copilot-integration-id", "vscode-chat"),
)


def radius_row(provider: str, gateway: str) -> OAuthRow:
    """Return the row of a Radius gateway: the built-in one, or one that models.json declares."""
    origin = gateway if re.match(r"https?://", gateway, re.IGNORECASE) else f"https://{gateway}"
    parts = urlsplit(origin)
    return OAuthRow(
        provider=provider,
        # As pi's `new URL("/v1/oauth/token", gateway)`: a path of the gateway's own is dropped.
        url=f"{parts.scheme}://{parts.netloc}/v1/oauth/token",
        client_id="pi-gateway",
        margin_s=60,
        stores_scope=True,
    )


OAUTH_ROWS: Final[Mapping[str, OAuthRow]] = {
    row.provider: row
    for row in (
        OAuthRow(
            provider="anthropic",
            url="https://platform.claude.com/v1/oauth/token",
            client_id="9d1c250a-e61b-44d9-88ed-5944d1962f5e",
            json_body=True,
            margin_s=300,
        ),
        OAuthRow(
            provider="github-copilot",
            url="https://api.github.com/copilot_internal/v2/token",
            client_id="Iv1.b507a08c87ecfe98",
            grant=Grant.COPILOT,
            headers=COPILOT_HEADERS,
            access_name="token",
            margin_s=300,
        ),
        OAuthRow(
            provider="kimi-coding",
            url="https://auth.kimi.com/api/oauth/token",
            host_variables=("KIMI_CODE_OAUTH_HOST", "KIMI_OAUTH_HOST"),
            client_id="17e5f671-d194-4dfb-9706-5516cb48c098",
            retry_delays_s=(1.0, 2.0, 4.0),
        ),
        OAuthRow(
            provider="meta",
            url="https://api.meta.ai/muse-code/key",
            client_id="1031625952748946",
            grant=Grant.MINT,
            headers=(("x-api-version", "1.0.0"),),
            access_name="api_key",
            lifetime_s=86_400.0,
        ),
        OAuthRow(
            provider="openai",
            url="https://auth.openai.com/api/accounts/oauth/token",
            fields=(("resource", "https://api.openai.com/v1"),),
            margin_s=180,
            stores_scopes=True,
        ),
        OAuthRow(
            provider="openai-codex",
            url="https://auth.openai.com/oauth/token",
            client_id="app_EMoamEEZ73f0CkXaXp7hrann",
            account_claim=("https://api.openai.com/auth", "chatgpt_account_id"),
        ),
        OAuthRow(
            provider="openrouter",
            url="https://openrouter.ai/api/v1/auth/keys",
            grant=Grant.NONE,
            json_body=True,
            access_name="key",
        ),
        radius_row("radius", RADIUS_GATEWAY),
        OAuthRow(
            provider="xai",
            url="https://auth.x.ai/oauth2/token",
            client_id="b1a00492-073a-47ea-816f-4c329264a828",
            margin_s=300,
        ),
    )
}
"""Every login we can refresh, by provider id."""


def oauth_row(provider: str, gateways: Mapping[str, str]) -> OAuthRow | None:
    """Return how a provider's login is refreshed; None when only pi knows.

    `gateways` are the Radius gateways of models.json, base URL by provider id; they win over a built-in row.
    """
    gateway = gateways.get(provider)
    return radius_row(provider, gateway) if gateway else OAUTH_ROWS.get(provider)


def url_variable(provider: str, what: str) -> str:
    """Return the environment variable that overrides one address: `what` is `TOKEN`, `AUTHORIZE` or `DEVICE`."""
    return f"PI_MODEL_PROXY_{re.sub(r'[^A-Z0-9]', '_', provider.upper())}_{what}_URL"


def token_url_variable(provider: str) -> str:
    """Return the environment variable that overrides a provider's token address."""
    return url_variable(provider, "TOKEN")


def overridden_url(provider: str, what: str, environment: Mapping[str, str]) -> str:
    """Return the address that the environment gives instead of the provider's own; empty when it gives none.

    Raises:
        ValueError: it is neither https nor on loopback, or is no address; says which variable.
    """
    name = url_variable(provider, what)
    override = environment.get(name, "").strip()
    if override:
        _check_address(name, override)
    return override


def on_own_host(url: str, variables: tuple[str, ...], environment: Mapping[str, str]) -> str:
    """Return `url` on the host that the provider's own variables name, if one does.

    Raises:
        ValueError: that host is neither https nor on loopback; says which variable.
    """
    for name in variables:
        host = environment.get(name, "").strip().rstrip("/")
        if host:
            _check_address(name, host)
            return host + urlsplit(url).path
    return url


def token_url(row: OAuthRow, environment: Mapping[str, str]) -> str:
    """Return where to refresh: our own override, else the provider's host variable, else the row's.

    Raises:
        ValueError: the override is neither https nor on loopback, or is no address; says which variable.
    """
    return overridden_url(row.provider, "TOKEN", environment) or on_own_host(
        row.url, row.host_variables, environment
    )


def _check_address(variable: str, url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        raise ValueError(f"{variable} is not a URL") from error
    if parts.username or parts.password or parts.fragment or not host:
        raise ValueError(f"{variable} must be a plain URL with a host, without user, password or fragment")
    if parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)):
        return
    raise ValueError(f"{variable} must begin with https:// (http:// is allowed for this machine only)")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
