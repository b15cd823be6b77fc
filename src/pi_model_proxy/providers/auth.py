"""Which headers authenticate a request, exactly as pi would send them.

Lowest first; a later one replaces an earlier one whatever the case of its name, and None removes it:

    user-agent of the gateway, or what a login must send
    the key, in the style of provider and API kind
    headers of the provider in models.json, then `authHeader`
    headers of the model in the catalogue, in `modelOverrides`, in `models[]`

pi's attribution headers (`HTTP-Referer: https://pi.dev` and the like) are left out: we are not pi.

Source: pi-ai 1.5.2 `dist/api/*.js` `createClient`, `dist/models.js`, `dist/providers/cloudflare-auth.js`;
pi-coding-agent 1.5.2 `dist/core/provider-composer.js`, `dist/core/model-runtime.js`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from pi_model_proxy import __version__
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.hub import Identity
from pi_model_proxy.providers.row import KIND_OWNED_HEADERS, AuthStyle, Login, Provider
from pi_model_proxy.providers.table import ANTHROPIC_LOGIN, provider_row

__all__ = ["HeaderSettings", "Presented", "auth_headers", "login_identity", "merge_headers"]

USER_AGENT: Final = f"pi-model-proxy/{__version__}"

Headers = Mapping[str, str | None]
"""Header values by name in any case; None removes a header."""

NO_HEADERS: Final[Headers] = {}


class Presented(msgspec.Struct, frozen=True, kw_only=True):
    """A credential as it is presented to an upstream; `repr` hides the secret."""

    account: Literal["api_key", "oauth", "none"]
    secret: str = ""
    """The key or access token, resolved; empty when there is none."""
    as_bearer: bool = False
    """A bare bearer token (`ANTHROPIC_AUTH_TOKEN`): `authorization` and nothing else, never taken for a login."""
    account_id: str = ""
    """The ChatGPT account that an `openai-codex` login belongs to."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"Presented(account={self.account!r})"


class HeaderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Headers that users and the catalogue configure, values resolved."""

    provider: Headers = NO_HEADERS
    """Of the provider in models.json."""
    auth_header: bool = False
    """models.json `authHeader`: send the key as Bearer too."""
    catalog: Headers = NO_HEADERS
    """`Model.headers`."""
    model: Headers = NO_HEADERS
    """What models.json says of the model (`catalog.configured_headers`)."""


NO_SETTINGS: Final = HeaderSettings()


def auth_headers(
    provider: str, kind: str, presented: Presented, settings: HeaderSettings = NO_SETTINGS
) -> dict[str, str]:
    """Return every header that authenticates or identifies a request, names in lower case.

    Raises:
        CredentialError: `authHeader` is set and there is no key to send.
    """
    row = provider_row(provider)
    login = _login_of(row, kind, presented)
    layers: list[Headers] = [{"user-agent": USER_AGENT}]
    if login is not None:
        layers.append(login.headers)
    if presented.secret:
        layers += (_key_headers(row, kind, presented, login=login), dict.fromkeys(row.removed_headers))
    layers.append(_allowed(kind, settings.provider))
    if settings.auth_header:
        layers.append(_bearer(_key_for_auth_header(row, kind, presented)))
    layers += (_allowed(kind, settings.catalog), _allowed(kind, settings.model))
    return merge_headers(layers)


def login_identity(provider: str, kind: str, presented: Presented, *, base_url: str) -> Identity:
    """Return what the body must say or leave out for this credential; nothing for an ordinary key.

    `base_url` is the request's. A key that only looks like a login's (no `sk-`) is taken for one at the
    provider's own address alone; a stored login is one wherever its requests are sent.
    """
    login = _login_of(provider_row(provider), kind, presented)
    elsewhere = login is not None and bool(login.base_url) and login.base_url != base_url
    if login is None or (elsewhere and presented.account != "oauth"):
        return Identity()
    return login.identity


def merge_headers(layers: Iterable[Headers]) -> dict[str, str]:
    """Return the headers of all layers, later ones winning whatever the case, without those set to None."""
    merged: dict[str, str | None] = {}
    for layer in layers:
        for name, value in layer.items():
            merged[name.lower()] = value
    return {name: value for name, value in merged.items() if value is not None}


def _allowed(kind: str, headers: Headers) -> Headers:
    """Return the configured headers but for those that are the API kind's own business."""
    owned = KIND_OWNED_HEADERS.get(kind)
    if owned is None:
        return headers
    return {name: value for name, value in headers.items() if not name.lower().startswith(owned)}


def _login_of(row: Provider, kind: str, presented: Presented) -> Login | None:
    """Return the login whose token this is, if requests of `kind` show it.

    A token with Anthropic's mark is a login's wherever it was configured, where it would travel as `x-api-key`.
    """
    if presented.as_bearer or not presented.secret:
        return None
    if (
        ANTHROPIC_LOGIN.mark in presented.secret
        and ANTHROPIC_LOGIN.kind == kind
        and row.auth_style(kind) is AuthStyle.X_API_KEY
    ):
        return ANTHROPIC_LOGIN
    own = row.login
    if own is None or own.kind != kind:
        return None
    is_no_key = bool(own.key_prefix) and not presented.secret.startswith(own.key_prefix)
    return own if presented.account == "oauth" or is_no_key else None


def _key_headers(row: Provider, kind: str, presented: Presented, *, login: Login | None) -> Headers:
    style = row.auth_style(kind)
    if presented.as_bearer:
        style = AuthStyle.BEARER
    elif login is not None and login.auth is not None:
        style = login.auth
    headers = _written(style, presented.secret)
    return (
        {**headers, "chatgpt-account-id": presented.account_id} if login and presented.account_id else headers
    )


def _bearer(secret: str) -> Headers:
    return _written(AuthStyle.BEARER, secret)


_WRITTEN: Final[Mapping[AuthStyle, tuple[str, str]]] = {
    AuthStyle.BEARER: ("authorization", "Bearer "),
    AuthStyle.X_API_KEY: ("x-api-key", ""),
    AuthStyle.API_KEY: ("api-key", ""),
    AuthStyle.X_GOOG_API_KEY: ("x-goog-api-key", ""),
    AuthStyle.CF_AIG: ("cf-aig-authorization", "Bearer "),
}
"""Each style's header and what stands before the secret."""


def _written(style: AuthStyle, secret: str) -> Headers:
    name, scheme = _WRITTEN[style]
    return {name: f"{scheme}{secret}"}


def _key_for_auth_header(row: Provider, kind: str, presented: Presented) -> str:
    if presented.secret and not presented.as_bearer and row.auth_style(kind) is not AuthStyle.CF_AIG:
        return presented.secret
    raise CredentialError(
        f'models.json: providers.{row.id}.authHeader needs an API key; set "apiKey" there, or log in with pi.'
    )
