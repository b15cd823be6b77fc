"""Which credential a provider is asked with: pi's order, and why the others did not count.

    the entry of auth.json            owns the provider, whether or not it can be used
    `apiKey` of models.json           owns it too, once it is written down
    variables of the environment

Ours on top: a login that `subscriptions` switches off is passed over as if it were not there.

Source: pi-ai 1.5.2 `dist/auth/resolve.js`, `dist/models.js` (`checkProviderAuth`); pi-coding-agent 1.5.2
`dist/core/provider-composer.js` (`composeApiKeyAuth`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from pi_model_proxy.catalog import ComposedProvider, ProviderConfig
from pi_model_proxy.credentials import (
    ApiKeyCredential,
    BrokenCredential,
    CommandOutcome,
    Credential,
    OAuthCredential,
    fill_template,
    is_command,
    missing_variables,
    variables_in,
)
from pi_model_proxy.providers import KeyFound, KeyMissing, Means, Provider, find_key, provider_row

__all__ = [
    "AUTH_FILE",
    "MODELS_FILE",
    "Account",
    "Surroundings",
    "choose_account",
    "is_allowed",
    "looks_like_old_variable",
]

AUTH_FILE: Final = "auth.json"
MODELS_FILE: Final = "models.json"


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a choice depends on beside the files' own words."""

    environment: Mapping[str, str]
    subscriptions: bool | tuple[str, ...]
    file_exists: Callable[[str], bool]
    """Whether a file is there; a leading `~` is the home directory."""
    outcome_of: Callable[[str], CommandOutcome | None]
    """What a `!command` gave; None while it runs."""
    refused_in_auth: str = ""
    """Why commands of auth.json must not be run; empty when they may."""
    refused_in_models: str = ""
    missing_extra: Callable[[Means], str]
    """What to install before a cloud's credentials can be used; empty when nothing is missing."""


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The credential chosen for a provider; `repr` shows no secret."""

    provider: str
    row: Provider
    kind: Literal["api_key", "oauth", ""] = ""
    """Empty when there is no credential."""
    usable: bool = False
    chosen: str = ""
    """Where it comes from."""
    reason: str = ""
    """Why it is not usable."""
    passed_over: tuple[str, ...] = ()
    login: OAuthCredential | None = None
    written_key: str | None = None
    """As written in `key_file`; None when the key comes from the environment."""
    key_file: Literal["auth.json", "models.json", ""] = ""
    scoped: Mapping[str, str] = {}
    """The credential's own variables."""
    found: KeyFound | None = None
    """The key as it was when this choice was made; a command's value is asked for again at each request."""
    is_waiting: bool = False
    """True while a command has not answered yet: believed usable until then."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"Account(provider={self.provider!r}, chosen={self.chosen!r}, usable={self.usable!r})"

    @property
    def command(self) -> str:
        """The `!command` that gives the key; empty when none does."""
        return self.written_key if self.written_key and is_command(self.written_key) else ""

    @property
    def is_subscription(self) -> bool:
        """Whether requests are paid by a person's subscription."""
        login = self.row.login
        if login is None or not login.is_subscription:
            return False
        return self.kind == "oauth" or (self.found is not None and holds_login(self.row, self.found.secret))


def choose_account(provider: ComposedProvider, entry: Credential | None, around: Surroundings) -> Account:
    """Return the credential pi would use for `provider`, or why there is none."""
    account = Account(provider=provider.id, row=_row_of(provider))
    if isinstance(entry, OAuthCredential):
        allowed = is_allowed(account.row, around.subscriptions)
        if allowed:
            return _with_login(account, entry, provider)
        account = _passed(account, f"{AUTH_FILE}: the login is switched off by `subscriptions`")
        entry = None
    config = provider.config
    if isinstance(entry, BrokenCredential):
        account = _refused(account, AUTH_FILE, entry.reason)
    elif isinstance(entry, ApiKeyCredential):
        account = _with_stored_key(account, entry, around, is_composed=config is not None)
    elif config is not None and config.api_key is not None:
        account = _with_configured_key(account, config.api_key, around)
    else:
        account = _with_environment(account, around)
    return _without_switched_off_token(account, around)


def is_allowed(row: Provider, subscriptions: bool | tuple[str, ...]) -> bool:  # noqa: FBT001 - the setting itself
    """Whether the provider's login may be used; one that is no subscription always may."""
    if row.login is None or not row.login.is_subscription or isinstance(subscriptions, bool):
        return subscriptions is not False or row.login is None or not row.login.is_subscription
    return row.id in subscriptions


def holds_login(row: Provider, secret: str) -> bool:
    """Whether a configured key is in truth a login's access token (`sk-ant-oat...`)."""
    return row.login is not None and bool(row.login.mark) and row.login.mark in secret


def looks_like_old_variable(key: str, environment: Mapping[str, str]) -> bool:
    """Whether a literal key is what pi before 0.77 took for the name of a variable."""
    return _ALL_CAPS.fullmatch(key) is not None and (key in environment or key.endswith(("_KEY", "_TOKEN")))


_ALL_CAPS: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")


def _row_of(provider: ComposedProvider) -> Provider:
    row = provider_row(provider.id)
    takes_keys = row.takes_keys or (provider.config is not None and provider.config.api_key is not None)
    return msgspec.structs.replace(row, takes_keys=takes_keys) if takes_keys != row.takes_keys else row


def _passed(account: Account, why: str) -> Account:
    return msgspec.structs.replace(account, passed_over=(*account.passed_over, why))


def _refused(account: Account, chosen: str, reason: str) -> Account:
    return msgspec.structs.replace(account, chosen=chosen, reason=reason)


def _with_login(account: Account, login: OAuthCredential, provider: ComposedProvider) -> Account:
    chosen = f"{AUTH_FILE} (login)"
    if account.row.login is None and not _has_radius_login(provider.config):
        return _refused(account, chosen, "only an extension of pi knows this provider's login")
    return msgspec.structs.replace(account, kind="oauth", usable=True, chosen=chosen, login=login)


def _has_radius_login(config: ProviderConfig | None) -> bool:
    return config is not None and config.oauth is not None


def _with_stored_key(
    account: Account, entry: ApiKeyCredential, around: Surroundings, *, is_composed: bool
) -> Account:
    """An entry of auth.json; where its key has no value, pi still looks at the environment.

    `is_composed`: models.json has an entry for the provider too; then a key alone is enough for pi
    to list its models, whatever else a request will need (`composeApiKeyAuth`, `check`).
    """
    account = msgspec.structs.replace(account, written_key=entry.key, key_file="auth.json", scoped=entry.env)
    key, failure, is_waiting = None, "", False
    if entry.key and is_command(entry.key):
        if around.refused_in_auth:
            failure = f"its command is not run, because {around.refused_in_auth}"
        elif (outcome := around.outcome_of(entry.key)) is None:
            is_waiting = True
        else:
            key, failure = outcome.value, outcome.failure and f"its command gave no value ({outcome.failure})"
    elif entry.key:
        key = fill_template(entry.key, own=entry.env, environment=around.environment)
        missing = missing_variables(entry.key, own=entry.env, environment=around.environment)
        failure = f"{_names(missing)} not set" if missing else ""
    found = find_key(
        account.row,
        key="?" if is_waiting else key,
        scoped=entry.env,
        environment=around.environment,
        file_exists=around.file_exists,
    )
    chosen = f"{AUTH_FILE} (key)"
    if isinstance(found, KeyMissing) and is_composed and key:
        found = KeyFound(secret=key)
    if isinstance(found, KeyMissing):
        return _refused(account, chosen, failure or _what_is_missing(found))
    if found.variable and found.variable in entry.env:
        account = msgspec.structs.replace(account, written_key=None, key_file="", found=found)
        return _usable(account, found, around, chosen=f"{AUTH_FILE} ({found.variable})")
    if found.variable:
        account = _passed(account, f"{AUTH_FILE}: {failure or 'the entry has no key'}")
        return _from_environment(account, found, around)
    account = msgspec.structs.replace(account, found=None if is_waiting else found, is_waiting=is_waiting)
    return _usable(account, account.found, around, chosen=chosen)


def _with_configured_key(account: Account, written: str, around: Surroundings) -> Account:
    """`apiKey` of models.json: a command counts unrun, a template when each variable is set."""
    account = msgspec.structs.replace(account, written_key=written, key_file="models.json")
    chosen = f"{MODELS_FILE} (apiKey)"
    if is_command(written):
        if around.refused_in_models:
            return _refused(account, chosen, f"the command is not run, because {around.refused_in_models}")
        return msgspec.structs.replace(account, kind="api_key", usable=True, chosen=chosen)
    missing = tuple(name for name in variables_in(written) if not around.environment.get(name, "").strip())
    if missing:
        return _refused(account, chosen, f"{_names(missing)} not set")
    key = fill_template(written, own={}, environment=around.environment)
    found = KeyFound(secret=key or "")
    return msgspec.structs.replace(account, kind="api_key", usable=True, chosen=chosen, found=found)


def _with_environment(account: Account, around: Surroundings) -> Account:
    found = find_key(
        account.row, key=None, scoped={}, environment=around.environment, file_exists=around.file_exists
    )
    if isinstance(found, KeyFound):
        return _from_environment(account, found, around)
    return msgspec.structs.replace(account, reason=_what_is_missing(found, account.row))


def _from_environment(account: Account, found: KeyFound, around: Surroundings) -> Account:
    """Take what the environment gives: a key, or credentials of a cloud."""
    account = msgspec.structs.replace(account, written_key=None, key_file="", found=found)
    return _usable(account, found, around, chosen=f"${found.variable}")


def _usable(account: Account, found: KeyFound | None, around: Surroundings, *, chosen: str) -> Account:
    """Return the account as one that can be used, unless a cloud's library is missing."""
    means = account.row.means
    if found is not None and not found.secret and means is not None:
        missing = around.missing_extra(means)
        if missing:
            return _refused(account, chosen, f"cloud credentials need an optional library; {missing}")
    return msgspec.structs.replace(account, kind="api_key", usable=True, chosen=chosen)


def _without_switched_off_token(account: Account, around: Surroundings) -> Account:
    """`subscriptions` also counts for a login's token that is configured as a key."""
    if not account.usable or not account.is_subscription or is_allowed(account.row, around.subscriptions):
        return account
    return msgspec.structs.replace(
        account, usable=False, reason="it is a login's token, and logins are switched off by `subscriptions`"
    )


def _what_is_missing(missing: KeyMissing, row: Provider | None = None) -> str:
    if missing.has_key:
        return f"{_names(missing.variables)} not set"
    ways = []
    if row is None or row.login is not None:
        ways.append("log in (`pi-model-proxy login`)")
    if missing.variables:
        ways.append(f"set {' or '.join(missing.variables)}")
    if not ways:
        ways.append(f"give it an apiKey in {MODELS_FILE}")
    return f"no credential; {', or '.join(ways)}"


def _names(variables: tuple[str, ...]) -> str:
    names = ", ".join(f"${name}" for name in variables)
    return f"{names} {'is' if len(variables) == 1 else 'are'}"
