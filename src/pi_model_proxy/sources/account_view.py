"""Every place a provider's credential could come from, which of them counts, and why the others do not.

The order is pi's (see `accounts.py`); `status` is what `pi auth check --no-refresh` says of the provider: no command
is run for it, no login renewed, and one entry of `auth.json` that pi cannot read makes everything invalid.

Source: pi-coding-agent 1.5.2 `dist/cli/auth-check.js`, `dist/core/auth-storage.js` (`ReadOnlyAuthStorage`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import msgspec

from pi_model_proxy.catalog import ComposedProvider
from pi_model_proxy.credentials import (
    ApiKeyCredential,
    CommandOutcome,
    Credential,
    OAuthCredential,
    is_command,
    oauth_row,
    variables_in,
)
from pi_model_proxy.sources.accounts import AUTH_FILE, MODELS_FILE, Account, Surroundings, choose_account
from pi_model_proxy.sources.pi_snapshot import entry_of
from pi_model_proxy.sources.pi_state import PiState

__all__ = ["AccountView", "Place", "view_accounts"]

Status = Literal["ready", "not_ready", "invalid"]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One place where something is written down for a provider."""

    where: str
    """File and kind, or `$VARIABLE`."""
    used: bool
    why: str = ""
    """Why it does not count; empty when it does."""


class AccountView(msgspec.Struct, frozen=True, kw_only=True):
    """How a provider's credential is found; never a secret."""

    provider: str
    status: Status
    auth_type: Literal["api_key", "oauth", ""]
    """Empty unless `status` is `ready`."""
    places: tuple[Place, ...] = ()
    """In pi's order; only places where there is something."""
    renews: bool = False
    """Whether its login is renewed here when it is about to lapse."""


def view_accounts(
    state: PiState,
    environment: Mapping[str, str],
    *,
    file_exists: Callable[[str], bool],
    subscriptions: bool | tuple[str, ...] = True,
) -> tuple[AccountView, ...]:
    """Return a view of each provider of pi's, in catalogue order. Reads nothing, runs nothing.

    `file_exists` tells whether a file is there; a leading `~` is the home directory. `subscriptions` is our own
    setting: it decides which place is used here, and has no say in `status`.
    """
    around = Surroundings(
        environment=environment,
        subscriptions=True,
        file_exists=file_exists,
        outcome_of=_believed,
        missing_extra=lambda _means: "",
    )
    gateways = state.gateways
    return tuple(
        _view(
            provider,
            state,
            around,
            subscriptions,
            is_known_login=oauth_row(provider.id, gateways) is not None,
        )
        for provider in state.composition.providers
    )


def _believed(_command: str) -> CommandOutcome:
    """A command counts unrun, as in `pi auth check`."""
    return CommandOutcome(value="?")


def _view(
    provider: ComposedProvider,
    state: PiState,
    around: Surroundings,
    subscriptions: bool | tuple[str, ...],  # noqa: FBT001 - the setting itself
    *,
    is_known_login: bool,
) -> AccountView:
    account = choose_account(provider, state.entries.get(provider.id), around)
    status: Status = "ready" if account.usable else "not_ready"
    if state.is_invalid:
        status = "invalid"
    auth_type = account.kind if status == "ready" else ""
    entry = entry_of(state, provider.id)  # also under an old name, which pi no longer looks for, and we do
    account = choose_account(provider, entry, msgspec.structs.replace(around, subscriptions=subscriptions))
    login = account.login
    return AccountView(
        provider=provider.id,
        status=status,
        auth_type=auth_type,
        places=tuple(_places(provider, entry, account, around)),
        renews=login is not None and bool(login.refresh) and login.expires_ms != math.inf and is_known_login,
    )


def _places(
    provider: ComposedProvider, entry: Credential | None, account: Account, around: Surroundings
) -> Iterator[Place]:
    """Name every place in pi's order; the first two own the provider whether or not they can be used."""
    owner = ""
    if entry is not None:
        where = f"{AUTH_FILE} ({_kind(entry)})"
        used = account.chosen.startswith(AUTH_FILE) and account.usable
        why = "" if used else (account.reason if account.chosen.startswith(AUTH_FILE) else _passed(account))
        yield Place(where=where, used=used, why=why)
        is_passed_over = (
            isinstance(entry, OAuthCredential) and account.login is None and bool(account.passed_over)
        )
        owner = "" if is_passed_over else AUTH_FILE
    written = provider.config.api_key if provider.config is not None else None
    if written is not None:
        used = account.chosen.startswith(MODELS_FILE) and account.usable
        why = "" if used else (f"{owner} comes first" if owner else account.reason)
        yield Place(where=f"{MODELS_FILE} ({_written(written)})", used=used, why=why)
        owner = owner or MODELS_FILE
    yield from _variables(account, around, owner=owner)


def _passed(account: Account) -> str:
    return next((why.removeprefix(f"{AUTH_FILE}: ") for why in account.passed_over), "it gives no key")


def _variables(account: Account, around: Surroundings, *, owner: str) -> Iterator[Place]:
    row, found = account.row, account.found
    winner = found.variable if found is not None and account.usable else ""
    names = (*row.key_variables, *(name for names in row.ambient for name in names))
    for name in dict.fromkeys(names):
        if not around.environment.get(name, "").strip():
            continue
        if name == winner:
            yield Place(where=f"${name}", used=True)
        elif winner:
            yield Place(where=f"${name}", used=False, why=f"${winner} comes first")
        elif account.usable or owner:
            yield Place(where=f"${name}", used=False, why=f"{owner} comes first, usable or not")
        else:
            yield Place(where=f"${name}", used=False, why=account.reason)


def _kind(entry: Credential) -> str:
    if isinstance(entry, OAuthCredential):
        return "login"
    if isinstance(entry, ApiKeyCredential):
        return _written(entry.key) if entry.key else "no key"
    return "broken entry"


def _written(key: str) -> str:
    """Say how a key is written down, without the key."""
    if is_command(key):
        return "a command"
    names = variables_in(key)
    return f"key from {', '.join(f'${name}' for name in names)}" if names else "key"
