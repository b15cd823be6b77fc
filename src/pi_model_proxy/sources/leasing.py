"""Turns a chosen account into what authenticates one request: final headers, address, identity."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec

from pi_model_proxy.catalog import ComposedProvider, Model, configured_headers
from pi_model_proxy.credentials import OAuthCredential, fill_template, is_command, missing_variables
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.providers import (
    Address,
    BedrockPlace,
    HeaderSettings,
    KeyMissing,
    Means,
    Presented,
    Provider,
    account_identity,
    auth_headers,
    base_url_of,
    copilot_base_url,
    find_key,
    is_unsigned,
    login_identity,
    vertex_base_url,
)
from pi_model_proxy.sources.accounts import MODELS_FILE, Account, Surroundings
from pi_model_proxy.sources.base import Lease
from pi_model_proxy.sources.cloud import Asked, Clouds, Given

__all__ = ["Ask", "Leasing", "mark_of", "secret_headers"]

Ask = Callable[[str], Awaitable[str]]
"""`await ask(command)` gives a `!command`'s value; raises `CredentialError` when it has none."""

_SECRET_NAME: Final = re.compile(r"auth|key|token|secret|cookie|password", re.IGNORECASE)
_NO_HEADER_TEXT: Final = re.compile(r"[^\t\x20-\x7e\x80-\xff]")
_DOMAIN: Final = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?", re.IGNORECASE)


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    """A credential at the moment of a request."""

    presented: Presented
    variables: Mapping[str, str] = {}
    """What the credential brings for addresses and header templates."""
    is_unsigned: bool = False
    """The user wants nothing presented, whatever there is."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"_Held({self.presented!r})"


def mark_of(secret: str) -> str:
    """Return an opaque mark by which a credential is known again."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Leasing:
    """Builds leases for one state of pi's files."""

    def __init__(self, around: Surroundings, *, ask: Ask, clouds: Clouds, fresh: bool = False) -> None:
        """Take what values are resolved with; `fresh`: what clouds gave earlier has been refused."""
        self._around = around
        self._ask = ask
        self._clouds = clouds
        self._fresh = fresh

    async def lease(
        self, model: Model, provider: ComposedProvider, account: Account, login: OAuthCredential | None
    ) -> Lease:
        """Return the lease; `login` is the account's, refreshed if it was due.

        Raises:
            CredentialError: a value cannot be resolved; names it, and says what to do.
        """
        held = _from_login(login) if login is not None else await self._from_key(account)
        place = await self._place(model, held, account, login)
        given = await self._from_cloud(model, held, account, place) if login is None else NOTHING_GIVEN
        if given.bearer or held.is_unsigned:
            held = msgspec.structs.replace(held, presented=_presented(given))
        config = provider.config
        of_provider = await self._headers(model.provider, (config.headers if config else None) or {}, held)
        of_model = await self._headers(model.ref, configured_headers(config, model.id), held)
        settings = HeaderSettings(
            provider=of_provider,
            auth_header=bool(config and config.auth_header),
            catalog=model.headers,
            model=of_model,
        )
        headers = {
            **given.headers,
            **auth_headers(model.provider, model.api, held.presented, settings),
        }
        base_url = place.base_url
        return Lease(
            provider=model.provider,
            account=held.presented.account,
            headers={name: _checked(model.provider, name, value) for name, value in headers.items()},
            base_url=base_url,
            secrets=tuple(
                filter(
                    None,
                    (
                        held.presented.secret,
                        *given.secrets,
                        *secret_headers(of_provider),
                        *secret_headers(of_model),
                    ),
                )
            ),
            identity=account_identity(
                login_identity(model.provider, model.api, held.presented, base_url=base_url),
                model,
                {**self._around.environment, **held.variables},
                region=place.region,
            ),
            may_be_gateway=_is_users_own(model, provider)
            and not (login is not None and _names_host(account.row)),
            sign=given.sign,
            token=mark_of(
                "\0".join((held.presented.secret, *given.secrets, *of_provider.values(), *of_model.values()))
            ),
        )

    async def _from_key(self, account: Account) -> _Held:
        """Resolve the key as pi does at each request."""
        around, row = self._around, account.row
        key: str | None = None
        if account.command:
            key = await self._ask(account.command)
        elif account.written_key:
            key = fill_template(account.written_key, own=account.scoped, environment=around.environment)
        found = find_key(
            row,
            key=key,
            scoped=account.scoped,
            environment=around.environment,
            file_exists=around.file_exists,
        )
        if isinstance(found, KeyMissing):
            if key and not row.takes_keys:
                raise CredentialError(
                    f"{account.provider}: it takes no API key; log in: `pi-model-proxy login {account.provider}`."
                )
            if found.has_key:
                needed = ", ".join(found.variables)
                raise CredentialError(f"{account.provider}: beside the key it needs {needed}; set it.")
            raise CredentialError(f"{account.provider}: the key from {account.chosen} has no value now.")
        return _Held(
            presented=Presented(account="api_key", secret=found.secret, as_bearer=found.as_bearer),
            variables={**account.scoped, **found.variables},
            is_unsigned=row.means is Means.SIGV4 and is_unsigned({**around.environment, **account.scoped}),
        )

    async def _headers(self, owner: str, written: Mapping[str, str], held: _Held) -> dict[str, str]:
        """Resolve header values of models.json."""
        resolved: dict[str, str] = {}
        environment = self._around.environment
        for name, value in written.items():
            if is_command(value):
                if self._around.refused_in_models:
                    raise CredentialError(
                        f"{owner}: the command of header {name!r} in {MODELS_FILE} is not run, because "
                        f"{self._around.refused_in_models}."
                    )
                resolved[name] = await self._ask(value)
                continue
            filled = fill_template(value, own=held.variables, environment=environment)
            if filled is None:
                missing = ", ".join(missing_variables(value, own=held.variables, environment=environment))
                raise CredentialError(
                    f"{owner}: header {name!r} in {MODELS_FILE} needs {missing}; set it in the environment."
                )
            resolved[name] = filled
        return resolved

    async def _place(
        self, model: Model, held: _Held, account: Account, login: OAuthCredential | None
    ) -> BedrockPlace:
        """Return where requests go; the region is Bedrock's business alone."""
        environment = self._around.environment
        if login is not None and _names_host(account.row):
            return _at(copilot_base_url(login.access, _enterprise_domain(login)))
        match account.row.address_of(model.api):
            case Address.BEDROCK:
                return await self._clouds.bedrock_place(model, held.variables, environment)
            case Address.VERTEX:
                variables = {**environment, **held.variables}
                by_key = bool(held.presented.secret)
                return _at(vertex_base_url(model.provider, model.base_url, variables, by_key=by_key))
            case _:
                return _at(base_url_of(model, {**environment, **held.variables}))

    async def _from_cloud(self, model: Model, held: _Held, account: Account, place: BedrockPlace) -> Given:
        """Return what stands in for a key."""
        if held.presented.secret or held.is_unsigned:
            return NOTHING_GIVEN
        return await self._clouds.authenticate(
            Asked(
                provider=model.provider,
                row=account.row,
                base_url=place.base_url,
                region=place.region,
                own=held.variables,
                environment=self._around.environment,
                fresh=self._fresh,
            )
        )


NOTHING_GIVEN: Final = Given()


def _presented(given: Given) -> Presented:
    return Presented(account="api_key", secret=given.bearer, as_bearer=bool(given.bearer))


def _at(base_url: str) -> BedrockPlace:
    return BedrockPlace(region="", base_url=base_url)


def _names_host(row: Provider) -> bool:
    return row.login is not None and row.login.token_names_host


def _from_login(login: OAuthCredential) -> _Held:
    account_id, own = login.extras.get("accountId"), login.extras.get("env")
    return _Held(
        presented=Presented(
            account="oauth", secret=login.access, account_id=account_id if isinstance(account_id, str) else ""
        ),
        variables={name: value for name, value in own.items() if isinstance(value, str)}
        if isinstance(own, dict)
        else {},
    )


def _enterprise_domain(login: OAuthCredential) -> str | None:
    """Return the stored GitHub domain, which may have been typed as a URL (pi: `normalizeDomain`)."""
    stored = login.extras.get("enterpriseUrl")
    if not isinstance(stored, str):
        return None
    domain = re.sub(r"^[a-z]+://", "", stored.strip(), flags=re.IGNORECASE).partition("/")[0]
    return domain if _DOMAIN.fullmatch(domain) else None


def _checked(provider: str, name: str, value: str) -> str:
    """Refuse what no header can hold: a line break would begin a header of somebody else's choice."""
    value = value.strip(" \t\r\n")
    if _NO_HEADER_TEXT.search(value):
        raise CredentialError(
            f"{provider}: the value for header {name!r} holds a line break or a character that no header can "
            "carry; check the key or the command that gives it."
        )
    return value


def _is_users_own(model: Model, provider: ComposedProvider) -> bool:
    """Whether the address was written by the user, in models.json: it may lead anywhere, even back here."""
    config = provider.config
    if config is None or not provider.is_builtin:
        return not provider.is_builtin
    return bool(config.base_url) or any(entry.id == model.id and entry.base_url for entry in config.models)


def secret_headers(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the values of headers whose names speak of a secret."""
    return tuple(value for name, value in headers.items() if value and _SECRET_NAME.search(name))
