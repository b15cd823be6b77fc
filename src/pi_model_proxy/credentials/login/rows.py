"""How each of pi's logins begins, as data.

Source of every literal: pi-ai 1.5.2, `dist/auth/oauth/<provider>.js`. Where the tokens come from and
how they are stored is the provider's row in `credentials/oauth_rows.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final
from urllib.parse import urljoin

import msgspec

from pi_model_proxy.credentials.oauth_rows import COPILOT_HEADERS, OAuthRow, oauth_row

__all__ = ["LOGIN_PROVIDERS", "Browser", "Device", "LoginRow", "StateStyle", "login_row"]


class StateStyle(Enum):
    """What proves that a callback belongs to this login."""

    VERIFIER = "`state`, which is the PKCE verifier"
    RANDOM = "`state`, a random value"
    PATH = "a random path, as the provider sends no `state`"


class Browser(msgspec.Struct, frozen=True, kw_only=True):
    """A login in the browser that ends with a redirect to this machine (RFC 8252 §7.3, RFC 7636)."""

    url: str = ""
    """Empty: the gateway is asked for it (`discovery`)."""
    discovery: str = ""
    """Address whose JSON names the `authorizationEndpoint`."""
    query: tuple[tuple[str, str], ...] = ()
    """Parameters that are the same each time."""
    scope: str = ""
    port: int = 0
    """Where the callback listens; 0 takes any free port."""
    any_port: bool = False
    """True: the provider accepts another port when `port` is taken."""
    host: str = "127.0.0.1"
    """The host as the redirect names it."""
    path: str = "/oauth/callback"
    redirect_name: str = "redirect_uri"
    state: StateStyle = StateStyle.RANDOM
    state_in_exchange: bool = False
    """True: `state` is sent to the token endpoint too."""
    is_bare: bool = False
    """True: neither the address nor the exchange carry OAuth's client, grant and redirect (OpenRouter)."""
    issues_client: bool = False
    """True: each login registers a client, whose id the callback carries (Sign in with ChatGPT)."""
    needed_scope: str = ""
    """Without it the login is of no use."""
    code_page: str = ""
    """A redirect to a page that shows the code for copying: for a browser on another machine."""


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """A login by a code that is typed into a page anywhere (RFC 8628)."""

    url: str
    poll: str = ""
    """Where to ask whether it is done, relative to `url`; empty: the token endpoint."""
    fields: tuple[tuple[str, str], ...] = ()
    """What is sent beside the client id."""
    headers: tuple[tuple[str, str], ...] = ()
    is_codex: bool = False
    """True: OpenAI's own variant: JSON both ways, other names, and an authorization code instead of tokens."""
    page: str = ""
    """Where the code is typed in, when the answer does not say."""
    redirect: str = ""
    """What the exchange of an authorization code names as its redirect."""
    host_variables: tuple[str, ...] = ()
    """As in `OAuthRow`."""

    def poll_url(self, url: str, token_url: str) -> str:
        """Return where to ask, when codes are given out at `url` and tokens at `token_url`."""
        return urljoin(url, self.poll) if self.poll else token_url


class LoginRow(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's login."""

    oauth: OAuthRow
    browser: Browser | None = None
    device: Device | None = None

    @property
    def provider(self) -> str:
        return self.oauth.provider


_ANTHROPIC: Final = Browser(
    url="https://claude.ai/oauth/authorize",
    query=(("code", "true"), ("response_type", "code")),
    scope=(
        "org:create_api_key user:profile user:inference user:sessions:claude_code user:mcp_servers user:file_upload"
    ),
    port=53692,
    any_port=True,
    host="localhost",
    path="/callback",
    state=StateStyle.VERIFIER,
    state_in_exchange=True,
    code_page="https://platform.claude.com/oauth/code/callback",
)
_CHATGPT: Final = Browser(
    url="https://auth.openai.com/api/accounts/authorize",
    query=(
        ("client_id", "dynamic_agent_client"),
        ("agent_name_hint", "Pi"),
        ("response_type", "code"),
        ("resource", "https://api.openai.com/v1"),
    ),
    scope="openid profile email offline_access resource.invoke chatgpt.tokens.use.direct",
    port=1455,
    path="/auth/callback",
    issues_client=True,
    needed_scope="chatgpt.tokens.use.direct",
)
_CODEX: Final = Browser(
    url="https://auth.openai.com/oauth/authorize",
    query=(
        ("response_type", "code"),
        ("id_token_add_organizations", "true"),
        ("codex_cli_simplified_flow", "true"),
        ("originator", "pi"),
    ),
    scope="openid profile email offline_access",
    port=1455,
    host="localhost",
    path="/auth/callback",
)
_CODEX_DEVICE: Final = Device(
    url="https://auth.openai.com/api/accounts/deviceauth/usercode",
    poll="token",
    is_codex=True,
    page="https://auth.openai.com/codex/device",
    redirect="https://auth.openai.com/deviceauth/callback",
)
_COPILOT: Final = Device(
    url="https://github.com/login/device/code",
    poll="../oauth/access_token",
    fields=(("scope", "read:user"),),
    headers=COPILOT_HEADERS[:1],
)
_KIMI: Final = Device(
    url="https://auth.kimi.com/api/oauth/device_authorization",
    host_variables=("KIMI_CODE_OAUTH_HOST", "KIMI_OAUTH_HOST"),
)
_META: Final = Device(url="https://auth.meta.com/oidc/device/authorization/", poll="../token/")
_OPENROUTER: Final = Browser(
    url="https://openrouter.ai/auth", redirect_name="callback_url", state=StateStyle.PATH, is_bare=True
)
_RADIUS_SCOPE: Final = "gateway offline_access"
_XAI: Final = Device(
    url="https://auth.x.ai/oauth2/device/code",
    fields=(
        ("scope", "openid profile email offline_access grok-cli:access api:access"),
        ("referrer", "pi"),
    ),
)

_WAYS: Final[Mapping[str, tuple[Browser | None, Device | None]]] = {
    "anthropic": (_ANTHROPIC, None),
    "openai": (_CHATGPT, None),
    "openai-codex": (_CODEX, _CODEX_DEVICE),
    "github-copilot": (None, _COPILOT),
    "xai": (None, _XAI),
    "kimi-coding": (None, _KIMI),
    "meta": (None, _META),
    "openrouter": (_OPENROUTER, None),
}

LOGIN_PROVIDERS: Final = (*_WAYS, "radius")
"""Every provider with a built-in login, in the order in which they are offered."""


def login_row(provider: str, gateways: Mapping[str, str]) -> LoginRow | None:
    """Return how one logs in to a provider; None when there is no login.

    `gateways` are the Radius gateways of models.json, base URL by provider id.
    """
    oauth = oauth_row(provider, gateways)
    if oauth is None:
        return None
    if provider in _WAYS and provider not in gateways:
        browser, device = _WAYS[provider]
        return LoginRow(oauth=oauth, browser=browser, device=device)
    return LoginRow(
        oauth=oauth,
        browser=Browser(
            discovery=urljoin(oauth.url, "/v1/oauth"),
            query=(("response_type", "code"), ("handoff", "url")),
            scope=_RADIUS_SCOPE,
            port=1456,
        ),
        device=Device(url=urljoin(oauth.url, "/v1/oauth/device"), fields=(("scope", _RADIUS_SCOPE),)),
    )
