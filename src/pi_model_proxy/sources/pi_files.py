"""The first model source: what pi's own files say (`auth.json`, `models.json`, ...).

Nothing of pi's is written here but a login's new tokens (`credentials.Refresher`).
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from pi_model_proxy.catalog import ComposedProvider, Model
from pi_model_proxy.catalog.store_file import StoredCatalog
from pi_model_proxy.credentials import (
    ApiKeyCredential,
    Clock,
    Commands,
    OAuthCredential,
    Post,
    Refresher,
    auth_path,
    is_command,
)
from pi_model_proxy.errors import CredentialError
from pi_model_proxy.sources.accounts import Account, Surroundings, choose_account
from pi_model_proxy.sources.base import Lease, Snapshot
from pi_model_proxy.sources.cloud import Clouds, missing_extra
from pi_model_proxy.sources.leasing import Leasing
from pi_model_proxy.sources.pi_snapshot import Describing, Standing, entry_of, stand, take_snapshot
from pi_model_proxy.sources.pi_state import PiFilesReader, PiState

__all__ = ["PiFiles", "PiFilesSettings"]

WATCH_S: Final = 0.25
"""Between two looks at the files."""
COMMAND_PATIENCE_S: Final = 0.4
"""How long a snapshot waits for auth.json's commands; those still running then are believed to give a key."""
FAILED_COMMAND_RETRY_S: Final = 30.0
"""Between two runs of a command of auth.json that gave no key."""
REFUSED_PAUSE_S: Final = 30.0
"""For this long after an upstream refused a command's fresh value, it is not run again because of a 401."""

LEASE_S: Final = 0.1
"""How long a lease is handed out again without a look at the files; a refusal always looks."""

MAX_LENT_SECRETS: Final = 256
"""What leases brought that no file of pi's holds (a cloud's tokens, values of variables); the newest are remembered."""

SYSTEM_CLOCK: Final = Clock()


class _Leased(msgspec.Struct, frozen=True):
    """A lease and how long it may be handed out again."""

    lease: Lease
    standing: Standing
    until_s: float


class PiFilesSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What this source must be told; `repr` shows nothing of the environment."""

    agent_dir: Path
    """pi's agent directory, absolute (`~/.pi/agent` unless `PI_CODING_AGENT_DIR` or `--agent-dir` say else)."""
    environment: Mapping[str, str]
    """The process environment, read once by `config`."""
    subscriptions: bool | tuple[str, ...] = True
    """True: every login of pi's may be used; False: none; names: only those providers' logins."""
    only_enabled_models: bool = False
    """True: offer only what pi's `enabledModels` setting selects."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"PiFilesSettings(agent_dir={str(self.agent_dir)!r}, subscriptions={self.subscriptions!r})"


class PiFiles:
    """Implements `sources.ModelSource` over pi's files. Lives in one event loop."""

    name = "pi"

    def __init__(self, settings: PiFilesSettings, *, post: Post, clock: Clock = SYSTEM_CLOCK) -> None:
        self._settings = settings
        self._clock = clock
        self._reader = PiFilesReader(settings.agent_dir)
        self._commands = Commands(settings.environment, monotonic_s=clock.monotonic_s)
        self._refresher = Refresher(
            auth_path(settings.agent_dir), post=post, environment=settings.environment, clock=clock
        )
        self._clouds = Clouds(post, clock)
        self._standing: Standing | None = None
        self._snapshot = Snapshot(loaded=False)
        self._reloading: asyncio.Task[None] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._stale = True
        self._failures: Mapping[str, str] = {}
        self._retry_commands_s = 0.0
        self._refused: dict[str, tuple[str, float]] = {}
        self._leased: dict[str, _Leased] = {}
        """By public model name; bounded by the models there are, emptied when the files change."""
        self._lent: dict[str, None] = {}

    async def start(self) -> None:
        """Begin reading in a thread and watch the files from then on; returns at once."""
        if self._watching is None:
            # Owned here: `close` ends it.
            self._watching = asyncio.get_running_loop().create_task(self._watch(), name="watch-pi-files")

    async def ready(self) -> Snapshot:
        """Return the snapshot of the first complete read, waiting for it if need be."""
        if self._standing is None:
            await self._up_to_date()
        return self._snapshot

    async def close(self) -> None:
        """Stop watching; a refresh that has begun is finished and written first."""
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
            self._watching = None
        if self._reloading is not None:
            await self._reloading
        await self._refresher.close()

    async def refresh(self) -> Snapshot:
        """Look at the files now instead of at the next tick, and return what they say."""
        await self._up_to_date()
        return self._snapshot

    def configure(self, settings: PiFilesSettings) -> None:
        """Take new `subscriptions` and `only_enabled_models` (hot reload); they count from the next look.

        Agent directory and environment stay as they were: another one needs another source.
        """
        self._settings = msgspec.structs.replace(
            self._settings,
            subscriptions=settings.subscriptions,
            only_enabled_models=settings.only_enabled_models,
        )
        self._stale = True

    @property
    def snapshot(self) -> Snapshot:
        """The current offers; no I/O."""
        return self._snapshot

    def take_lists(self, fetched: Mapping[str, StoredCatalog]) -> None:
        """Take model lists that were fetched (`sources.fetching`); they count from the next look."""
        self._reader.take_lists(fetched)

    def stored_key(self, provider: str) -> ApiKeyCredential | None:
        """Return the key that auth.json has for a provider, as it was last read."""
        entry = self._standing.state.entries.get(provider) if self._standing is not None else None
        return entry if isinstance(entry, ApiKeyCredential) else None

    def alive(self) -> bool:
        """Files can always be asked."""
        return True

    def secrets(self) -> Sequence[str]:
        """Every secret held right now, for the redactor."""
        known = self._standing.secrets if self._standing is not None else ()
        return (*known, *self._commands.values(), *self._refresher.secrets(), *self._lent)

    def held(self, model: Model) -> Lease | None:
        """See `ModelSource.held`: a lease is good for `LEASE_S`, unless the files change."""
        held = self._leased.get(model.ref)
        if held is None or held.standing is not self._standing or self._stale:
            return None
        return held.lease if self._clock.monotonic_s() < held.until_s else None

    async def lease(self, model: Model) -> Lease:
        """Return what authenticates a request to `model`, its login refreshed if it is about to lapse.

        Raises:
            CredentialError: there is no credential, or it cannot be used; the message says what to do.
        """
        held = self.held(model)
        if held is not None:
            return held
        now_s = self._clock.monotonic_s()
        lease = await self._new_lease(model)
        # pi may renew a login at any moment, so a login's lease is never older than the file.
        if self._standing is not None and lease.account != "oauth":
            self._leased[model.ref] = _Leased(lease, self._standing, now_s + LEASE_S)
        return lease

    async def _new_lease(self, model: Model) -> Lease:
        standing = await self._up_to_date()
        provider, account = self._account_of(standing, model)
        login = account.login
        if login is not None and self._refresher.due(login):
            account, login = await self._renewed(standing, provider, account, refused=False)
        return self._remembered(await self._leasing(standing).lease(model, provider, account, login))

    def _remembered(self, lease: Lease) -> Lease:
        """Remember the secrets of a lease that goes out, for the redactor."""
        lent = self._lent
        for secret in lease.secrets:
            lent.pop(secret, None)
            lent[secret] = None
        while len(lent) > MAX_LENT_SECRETS:
            del lent[next(iter(lent))]
        return lease

    async def lease_after_refusal(self, model: Model, refused: Lease) -> Lease | None:
        """Return another lease after the upstream answered 401 to `refused`, or None when there is none to be had.

        A newer token in auth.json comes first; else a login is refreshed once (at most once a
        minute), and a `!command` run again once.

        Raises:
            CredentialError: the refresh itself failed.
        """
        self._leased.pop(model.ref, None)
        another = await self._new_lease(model)
        if another.token != refused.token:
            return another
        standing = await self._up_to_date()
        provider, account = self._account_of(standing, model)
        if account.login is not None:
            if not self._refresher.may_force(model.provider):
                # The refresh that another 401 caused may have ended just now.
                another = await self._new_lease(model)
                return another if another.token != refused.token else None
            account, login = await self._renewed(standing, provider, account, refused=True)
            another = self._remembered(await self._leasing(standing).lease(model, provider, account, login))
        else:
            another = await self._with_fresh_commands(model, standing, provider, account, refused)
        return another if another.token != refused.token else None

    async def _with_fresh_commands(
        self, model: Model, standing: Standing, provider: ComposedProvider, account: Account, refused: Lease
    ) -> Lease:
        token, since_s = self._refused.get(model.provider, ("", 0.0))
        now_s = self._clock.monotonic_s()
        if token == refused.token and now_s - since_s < REFUSED_PAUSE_S:
            return refused
        another = self._remembered(
            await self._leasing(standing, fresh=True).lease(model, provider, account, None)
        )
        if another.token == refused.token:
            self._refused[model.provider] = (refused.token, now_s)
        return another

    def _account_of(self, standing: Standing, model: Model) -> tuple[ComposedProvider, Account]:
        provider, account = standing.providers.get(model.provider), standing.accounts.get(model.provider)
        if provider is None or account is None:
            raise CredentialError(f"{model.provider}: pi's files no longer name this provider.")
        if not account.usable:
            raise CredentialError(f"{model.provider}: {account.reason}.")
        return provider, account

    async def _renewed(
        self, standing: Standing, provider: ComposedProvider, account: Account, *, refused: bool
    ) -> tuple[Account, OAuthCredential | None]:
        """Return account and login once the login has been refreshed, or what has taken its place."""
        login = account.login
        if login is None:
            return account, None
        if standing.state.entries_are_old:
            if self._refresher.lapsed(login) or refused:
                raise CredentialError(
                    f"{provider.id}: this login is in a file of an early pi and cannot be renewed there; "
                    "start `pi` once, which moves it to auth.json."
                )
            return account, login
        entry = await self._refresher.refreshed(provider.id, login, refused=refused)
        if isinstance(entry, OAuthCredential):
            return account, entry
        fresh = await self._up_to_date()
        provider = fresh.providers.get(provider.id, provider)
        account = fresh.accounts.get(provider.id, account)
        if not account.usable or account.login is not None:
            raise CredentialError(
                f"{provider.id}: the login was removed from auth.json; log in again: `pi-model-proxy login {provider.id}`."
            )
        return account, None

    def _leasing(self, standing: Standing, *, fresh: bool = False) -> Leasing:
        async def ask(command: str) -> str:
            outcome = await self._commands.run_async(command, fresh=fresh)
            if outcome.value is None:
                raise CredentialError(
                    f"A command in pi's files gave no value ({outcome.failure}); run it in a shell to see why."
                )
            return outcome.value

        return Leasing(self._surroundings(standing.state), ask=ask, clouds=self._clouds, fresh=fresh)

    async def _watch(self) -> None:
        """Look at the files again and again; the first look also finishes what an earlier process left."""
        await self._up_to_date()
        if await self._refresher.recover():
            await self._up_to_date()
        while True:
            await asyncio.sleep(WATCH_S)
            await self._up_to_date()

    def _is_stale(self) -> bool:
        if self._stale or self._standing is None or self._reader.changed():
            return True
        if self._failures != self._refresher.failures():
            return True
        return bool(self._standing.waits_for_commands) and self._clock.monotonic_s() >= self._retry_commands_s

    async def _up_to_date(self) -> Standing:
        """Return what the files say now; reads them in a thread if one has changed."""
        while True:
            if self._reloading is None:
                if self._standing is not None and not self._is_stale():
                    return self._standing
                # Owned here: whoever waits may go, `close` waits for it.
                self._reloading = asyncio.get_running_loop().create_task(self._reload(), name="read-pi-files")
            # Until it is done the reader is between two states and must not be asked.
            await asyncio.shield(self._reloading)

    async def _reload(self) -> None:
        try:
            self._stale = False
            self._failures = self._refresher.failures()
            standing, self._snapshot = await asyncio.to_thread(self._look, self._settings)
            self._standing = standing
            self._leased.clear()
            self._refresher.forget_outdated(standing.state.entries)
            pause_s = WATCH_S if standing.is_waiting else FAILED_COMMAND_RETRY_S
            self._retry_commands_s = self._clock.monotonic_s() + pause_s
        finally:
            self._reloading = None

    def _look(self, settings: PiFilesSettings) -> tuple[Standing, Snapshot]:
        """Read, choose every provider's account, and describe it all. Runs in a thread."""
        state = self._reader.read()
        around = self._surroundings(state)
        self._begin_commands(state)
        accounts = {
            provider.id: choose_account(provider, entry_of(state, provider.id), around)
            for provider in state.composition.providers
        }
        standing = stand(state, accounts)
        self._refresher.use_gateways(state.gateways)
        describing = Describing(
            only_enabled_models=settings.only_enabled_models,
            environment=settings.environment,
            failures=self._failures,
            why_not_renewable=self._refresher.why_not,
        )
        snapshot = take_snapshot(standing, describing, revision=self._snapshot.revision + 1)
        if msgspec.structs.replace(snapshot, revision=self._snapshot.revision) == self._snapshot:
            snapshot = self._snapshot
        return standing, snapshot

    def _begin_commands(self, state: PiState) -> None:
        """Start all of auth.json's commands side by side and wait for them a little."""
        if state.refused_in_auth:
            return
        entries = (entry for entry in state.entries.values() if isinstance(entry, ApiKeyCredential))
        self._commands.begin_all(
            [entry.key for entry in entries if entry.key and is_command(entry.key)],
            patience_s=COMMAND_PATIENCE_S,
        )

    def _surroundings(self, state: PiState) -> Surroundings:
        return Surroundings(
            environment=self._settings.environment,
            subscriptions=self._settings.subscriptions,
            file_exists=self._file_exists,
            outcome_of=self._commands.peek,
            missing_extra=missing_extra,
            refused_in_auth=state.refused_in_auth,
            refused_in_models=state.refused_in_models,
        )

    def _file_exists(self, path: str) -> bool:
        home = self._settings.environment.get("HOME") or str(Path.home())
        return os.path.exists(home + path[1:] if path.startswith("~") else path)  # noqa: PTH110 - strings, as given
