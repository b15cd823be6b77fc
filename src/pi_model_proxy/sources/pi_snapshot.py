"""What the gateway and its user are told of pi's files: offers, reports and problems."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from pi_model_proxy.catalog import ComposedProvider, select_models
from pi_model_proxy.credentials import (
    ApiKeyCredential,
    Credential,
    OAuthCredential,
    oauth_row,
    token_url,
    variables_in,
)
from pi_model_proxy.sources.accounts import AUTH_FILE, MODELS_FILE, Account, looks_like_old_variable
from pi_model_proxy.sources.base import Offer, Problem, ProviderReport, Snapshot
from pi_model_proxy.sources.leasing import secret_headers
from pi_model_proxy.sources.pi_state import PiState

__all__ = ["NOT_RENEWED", "Describing", "Standing", "entry_of", "stand", "take_snapshot"]

OLD_ENTRY_NAMES: Final[Mapping[str, str]] = {"azure": "azure-openai-responses"}
"""What pi before 1.0.3 called a provider in auth.json; today's pi leaves such an entry unused."""
FOUND_ELSEWHERE: Final = frozenset({"llama.cpp"})
"""Entries of auth.json for models that another source lists (`sources.local`)."""
NOT_RENEWED: Final = "its login lapses and is not renewed"
"""How a problem of that kind begins."""
COPILOT: Final = "github-copilot"
ANTHROPIC: Final = "anthropic"


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """pi's files at one moment and the credential chosen for each provider; `repr` shows no secret."""

    state: PiState
    providers: Mapping[str, ComposedProvider]
    accounts: Mapping[str, Account]
    is_waiting: bool = False
    """True while a command of auth.json runs."""
    waits_for_commands: bool = False
    """True while one runs, or has given no key."""
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"Standing(accounts={list(self.accounts.values())!r})"


class Describing(msgspec.Struct, frozen=True, kw_only=True):
    """What a snapshot depends on beside pi's files."""

    only_enabled_models: bool
    environment: Mapping[str, str]
    failures: Mapping[str, str]
    """Providers whose login could not be renewed, and why."""
    why_not_renewable: Callable[[str, OAuthCredential], str]
    """Why a login can never be renewed here; empty when it can."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"Describing(failures={dict(self.failures)!r})"


def entry_of(state: PiState, provider: str) -> Credential | None:
    """Return a provider's entry of auth.json, also under the name an earlier pi gave it."""
    return state.entries.get(provider) or state.entries.get(OLD_ENTRY_NAMES.get(provider, ""))


def stand(state: PiState, accounts: Mapping[str, Account]) -> Standing:
    """Put files and choices together."""
    commanded = [
        account for account in accounts.values() if account.command and account.key_file == "auth.json"
    ]
    return Standing(
        state=state,
        providers={provider.id: provider for provider in state.composition.providers},
        accounts=accounts,
        is_waiting=any(account.is_waiting for account in commanded),
        waits_for_commands=any(account.is_waiting or account.found is None for account in commanded),
        secrets=tuple(dict.fromkeys(_secrets(state, accounts))),
    )


def _secrets(state: PiState, accounts: Mapping[str, Account]) -> Iterator[str]:
    for entry in state.entries.values():
        if isinstance(entry, OAuthCredential):
            yield from filter(None, (entry.access, entry.refresh))
        elif isinstance(entry, ApiKeyCredential) and entry.key and not variables_in(entry.key):
            yield entry.key
    for account in accounts.values():
        if account.found is not None and account.found.secret:
            yield account.found.secret
    for provider in state.composition.providers:
        if provider.config is not None:
            yield from secret_headers(provider.config.headers or {})
            for model in provider.config.models:
                yield from secret_headers(model.headers)
            for override in provider.config.model_overrides.values():
                yield from secret_headers(override.headers or {})


def take_snapshot(standing: Standing, describing: Describing, *, revision: int) -> Snapshot:
    """Describe everything; pure."""
    providers = standing.state.composition.providers
    offers = tuple(
        offer for provider in providers for offer in _offers(provider, standing.accounts[provider.id])
    )
    notes: tuple[str, ...] = ()
    if describing.only_enabled_models:
        offers, notes = _only_enabled(offers, standing.state.settings.enabled_models)
    return Snapshot(
        offers=offers,
        problems=tuple(_problems(standing, describing, notes)),
        providers=tuple(_reports(standing)),
        revision=revision,
    )


def _offers(provider: ComposedProvider, account: Account) -> Iterator[Offer]:
    picked = _copilot_models(provider, account)
    for model in provider.models:
        if picked is not None and model.id not in picked:
            reason = "this Copilot account may not use it (`availableModelIds` in auth.json)"
            yield Offer(model=model, account=account.kind, usable=False, reason=reason)
        else:
            yield Offer(model=model, account=account.kind, usable=account.usable, reason=account.reason)


def _copilot_models(provider: ComposedProvider, account: Account) -> frozenset[str] | None:
    """Return the models a Copilot login may use; None when it does not say (pi-ai `github-copilot.js`)."""
    if provider.id != COPILOT or account.login is None:
        return None
    ids = account.login.extras.get("availableModelIds")
    if not isinstance(ids, list) or not all(isinstance(model_id, str) for model_id in ids):
        return None
    return frozenset(ids)


def _only_enabled(
    offers: tuple[Offer, ...], patterns: tuple[str, ...] | None
) -> tuple[tuple[Offer, ...], tuple[str, ...]]:
    """Keep what `enabledModels` selects among the usable ones; without patterns everything stays, as in pi."""
    if not patterns:
        return offers, ("there is no `enabledModels`, so every model is offered",)
    selection = select_models(patterns, [offer.model for offer in offers if offer.usable])
    kept = {(chosen.model.provider, chosen.model.id) for chosen in selection.selected}
    return tuple(
        offer
        if not offer.usable or (offer.model.provider, offer.model.id) in kept
        else msgspec.structs.replace(offer, usable=False, reason="it is not among pi's `enabledModels`")
        for offer in offers
    ), selection.notes


def _reports(standing: Standing) -> Iterator[ProviderReport]:
    for provider in standing.state.composition.providers:
        account = standing.accounts[provider.id]
        if not provider.models and not account.chosen:
            continue
        yield ProviderReport(
            provider=provider.id,
            name=provider.name or account.row.name,
            account=account.kind,
            usable=account.usable,
            chosen=account.chosen,
            reason=account.reason,
            passed_over=account.passed_over,
            subscription=account.usable and account.is_subscription,
            note=_note(account, standing),
            expires_ms=account.login.expires_ms
            if account.login and account.login.expires_ms != math.inf
            else None,
            models=len(provider.models),
        )


def _note(account: Account, standing: Standing) -> str:
    if not account.usable or not account.is_subscription or account.row.login is None:
        return ""
    if account.provider == ANTHROPIC and not standing.state.settings.warns_of_extra_usage:
        return ""
    return account.row.login.note


def _problems(
    standing: Standing, describing: Describing, enabled_notes: tuple[str, ...]
) -> Iterator[Problem]:
    state = standing.state
    for fault in state.broken:
        fix = "mend the file; what it held before stays in force until then"
        yield Problem(where=fault.where, what=fault.what, fix=fix, severity="error")
    for fault in state.doubtful:
        yield Problem(where=fault.where, what=fault.what)
    for note in enabled_notes:
        yield Problem(where="settings.json: enabledModels", what=note, severity="note")
    if state.entries_are_old:
        yield Problem(
            where="oauth.json, settings.json",
            what="there is no auth.json; the credentials of an early pi are used, and no login is renewed",
            fix="start `pi` once, which moves them to auth.json",
        )
    for account in standing.accounts.values():
        yield from _account_problems(account, describing)
    yield from _renewal_problems(standing, describing)
    for provider, entry in state.entries.items():
        known = provider in standing.providers or provider in FOUND_ELSEWHERE
        if not known and provider not in OLD_ENTRY_NAMES.values():
            kind = "login" if isinstance(entry, OAuthCredential) else "entry"
            yield Problem(
                where=f"auth.json: {provider}",
                what=f"no model is known for this {kind}: an extension's, or one that pi no longer has",
                severity="note",
            )


def _account_problems(account: Account, describing: Describing) -> Iterator[Problem]:
    """Tell of credentials that somebody wrote down and that give nothing."""
    written = account.written_key or ""
    if not account.usable and account.chosen.startswith(AUTH_FILE):
        yield Problem(where=f"{account.chosen}: {account.provider}", what=account.reason)
    elif not account.usable and account.chosen.startswith(MODELS_FILE):
        # Many keep more providers in models.json than they have keys for.
        yield Problem(where=f"{account.chosen}: {account.provider}", what=account.reason, severity="note")
    if account.key_file == "auth.json" and looks_like_old_variable(written, describing.environment):
        yield Problem(
            where=f"auth.json: {account.provider}",
            what="the key looks like the name of a variable; since pi 0.77 it is taken as the key itself",
            fix="write a $ before the name if a variable is meant",
        )


def _renewal_problems(standing: Standing, describing: Describing) -> Iterator[Problem]:
    for provider, message in describing.failures.items():
        yield Problem(where=provider, what=message.removeprefix(f"{provider}: "), severity="error")
    told: set[str] = set()
    for account in standing.accounts.values():
        row = oauth_row(account.provider, standing.state.gateways)
        if account.login is None or not account.usable:
            continue
        try:
            if row is not None:
                token_url(row, describing.environment)
        except ValueError as error:
            yield Problem(where=account.provider, what=str(error), severity="error")
        why = describing.why_not_renewable(account.provider, account.login)
        if why and account.login.expires_ms < FAR_MS and why not in told:
            told.add(why)
            yield Problem(where=account.provider, what=f"{NOT_RENEWED}: {why}", severity="note")


FAR_MS: Final = 4_102_444_800_000
"""The year 2100: a login that lapses later never does (openrouter's)."""
