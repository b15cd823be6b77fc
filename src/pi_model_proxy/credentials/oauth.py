"""Refreshing pi's logins, safely beside any number of running pis.

The procedure is pi's own (pi-ai 1.5.2, `dist/auth/resolve.js`): a login is due five minutes
before it lapses; the decision is taken again under pi's lock; the token endpoint is asked while
the lock is held; the answer is stored before it is released. A refresh that has begun is finished
whether or not anyone still waits, for the old refresh token may be spent by then.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from pi_model_proxy.credentials.auth_file import AuthEntries, Credential, OAuthCredential, parse_auth
from pi_model_proxy.credentials.auth_write import WriteRefused, finish_journal, journal_path, write_journal
from pi_model_proxy.credentials.clock import Clock
from pi_model_proxy.credentials.copilot import enterprise_domain, models_request, parse_models
from pi_model_proxy.credentials.lock import HeldLock, LockLost, LockTimings, LockUnavailable, acquire_lock
from pi_model_proxy.credentials.oauth_requests import (
    BadTokenAnswer,
    Post,
    TokenRequest,
    build_request,
    describe_refusal,
    parse_answer,
)
from pi_model_proxy.credentials.oauth_rows import Grant, OAuthRow, oauth_row
from pi_model_proxy.credentials.tracked_file import Malformed, read_file
from pi_model_proxy.errors import CredentialError, UpstreamError

__all__ = ["REFRESH_DUE_MS", "RefreshTimings", "Refresher"]

REFRESH_DUE_MS: Final = 300_000
"""pi's `DEFAULT_OAUTH_MINIMUM_VALIDITY_MS`."""
MODELS_LIMIT_S: Final = 5.0
"""Limit for Copilot's list of models (pi: 5000 ms a try)."""
_HTTP_OK: Final = range(200, 300)
_HTTP_MANY: Final = 429
_HTTP_SERVER: Final = range(500, 600)


class RefreshTimings(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds; the defaults are pi's where pi has one."""

    request_s: float = 15.0
    """Limit for the token endpoint, tries included (pi: `DEFAULT_OAUTH_REFRESH_TIMEOUT_MS`)."""
    final_failure_s: float = 60.0
    """How long a refusal that a new login must mend is answered from memory."""
    passing_failure_s: float = 5.0
    """The same for a failure that may pass."""
    forced_pause_s: float = 60.0
    """After a refresh that a 401 caused, the next 401 causes none for this long."""
    lock: LockTimings = LockTimings()


DEFAULT_TIMINGS: Final = RefreshTimings()
SYSTEM_CLOCK: Final = Clock()


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A refresh that failed, remembered so that not every request tries again."""

    login: OAuthCredential
    until_s: float
    message: str


class Refresher:
    """Refreshes the logins of one `auth.json`. Lives in one event loop."""

    def __init__(
        self,
        auth_path: Path,
        *,
        post: Post,
        environment: Mapping[str, str],
        clock: Clock = SYSTEM_CLOCK,
        timings: RefreshTimings = DEFAULT_TIMINGS,
    ) -> None:
        self._path = auth_path
        self._post = post
        self._environment = environment
        self._clock = clock
        self._timings = timings
        self._turn = asyncio.Lock()
        self._give_up = threading.Event()
        self._tasks: dict[tuple[str, bool], asyncio.Task[Credential | None]] = {}
        self._recovering: asyncio.Task[bool] | None = None
        self._failures: dict[str, _Failure] = {}
        self._forced_s: dict[str, float] = {}
        self._unsaved: dict[str, tuple[OAuthCredential, dict[str, Any]]] = {}
        self._gateways: Mapping[str, str] = {}

    def use_gateways(self, gateways: Mapping[str, str]) -> None:
        """Take the Radius gateways of models.json: base URL by provider id."""
        self._gateways = gateways

    def due(self, login: OAuthCredential) -> bool:
        """Whether the login should be refreshed before it is used."""
        return self._clock.now_s() * 1000 + REFRESH_DUE_MS >= login.expires_ms

    def lapsed(self, login: OAuthCredential) -> bool:
        """Whether the access token can no longer be used."""
        return self._clock.now_s() * 1000 >= login.expires_ms

    def why_not(self, provider: str, login: OAuthCredential) -> str:
        """Return why this login cannot be refreshed here; empty when it can."""
        row = oauth_row(provider, self._gateways)
        if row is None:
            return "only pi itself can renew this provider's login: run `pi` once"
        if row.grant is Grant.NONE:
            return f"its key does not lapse; if it is refused, {how_to_log_in(provider)}"
        if not login.refresh:
            return f"the login has no refresh token: {how_to_log_in(provider)}"
        if not os.access(Path(os.path.realpath(self._path)).parent, os.W_OK):
            return "pi's agent directory is read-only here, so no login is renewed: run `pi` where it can be written to"
        return ""

    def failures(self) -> dict[str, str]:
        """Return each provider whose last refresh failed or could not be stored, and how; a new login clears it."""
        failed = {provider: failure.message for provider, failure in self._failures.items()}
        kept = "the login was renewed, but its new tokens could not be written and are kept in memory only"
        return {**{provider: f"{provider}: {kept}: see {self._path}" for provider in self._unsaved}, **failed}

    def forget_outdated(self, entries: AuthEntries) -> None:
        """Drop the memory of failures whose login `auth.json` no longer holds."""
        for provider, failure in tuple(self._failures.items()):
            entry = entries.get(provider)
            if not isinstance(entry, OAuthCredential) or not entry.same_tokens(failure.login):
                del self._failures[provider]

    def secrets(self) -> tuple[str, ...]:
        """Tokens that are not in the file yet."""
        return tuple(
            value
            for _, fields in self._unsaved.values()
            for name, value in fields.items()
            if name in {"access", "refresh"} and isinstance(value, str)
        )

    async def refreshed(
        self, provider: str, login: OAuthCredential, *, refused: bool = False
    ) -> Credential | None:
        """Return what `auth.json` holds for the provider once `login` has been refreshed.

        That may be another credential, or None, when someone changed the file meanwhile. With
        `refused` (an upstream's 401) an access token that has not lapsed is exchanged too, at most
        once a minute, unless the file already holds another one.
        A login whose refresh fails is returned as it is while its access token still counts.

        Raises:
            CredentialError: it cannot be refreshed; the message says what to do.
        """
        try:
            self._raise_remembered(provider, login)
            return await self._shared(provider, login, refused=refused)
        except CredentialError:
            if refused or self.lapsed(login):
                raise
            return login

    def may_force(self, provider: str) -> bool:
        """Whether a 401 may cause a refresh now, or wait for the one that another 401 has caused."""
        if (provider, True) in self._tasks:
            return True
        forced_s = self._forced_s.get(provider)
        return forced_s is None or self._clock.monotonic_s() - forced_s >= self._timings.forced_pause_s

    async def recover(self) -> bool:
        """Finish what an earlier process journalled and could not write; whether there was something.

        Once begun it is finished whether or not the caller waits, as a refresh is.
        """
        if not journal_path(self._path).exists():
            return False
        if self._recovering is None:
            self._recovering = asyncio.get_running_loop().create_task(self._recover(), name="finish-journal")
        return await asyncio.shield(self._recovering)

    async def _recover(self) -> bool:
        try:
            async with self._turn, self._locked() as lock:
                return await asyncio.to_thread(finish_journal, self._path, check_lock=lock.check)
        except (WriteRefused, LockUnavailable, LockLost, OSError):
            return False  # it stays where it is, and the next refresh tries again
        finally:
            self._recovering = None

    async def close(self) -> None:
        """Finish what has begun; those who still wait for the lock give up."""
        self._give_up.set()
        begun = [*self._tasks.values(), *([self._recovering] if self._recovering else [])]
        await asyncio.gather(*begun, return_exceptions=True)

    async def _shared(self, provider: str, login: OAuthCredential, *, refused: bool) -> Credential | None:
        """Wait for the one refresh of this provider, starting it if need be."""
        key = (provider, refused)
        task = self._tasks.get(key)
        if task is None:
            if reason := self.why_not(provider, login):
                raise CredentialError(f"{provider}: {reason}")
            task = self._own(key, self._refresh(provider, login, refused=refused))
        return await asyncio.shield(task)

    def _own(
        self, key: tuple[str, bool], work: Coroutine[Any, Any, Credential | None]
    ) -> asyncio.Task[Credential | None]:
        task = asyncio.get_running_loop().create_task(work, name=f"refresh-{key[0]}")

        def settle(done: asyncio.Task[Credential | None]) -> None:
            self._tasks.pop(key, None)
            if not done.cancelled():
                done.exception()  # retrieved: every waiter may be gone

        self._tasks[key] = task  # owned here: `close` waits for it
        task.add_done_callback(settle)
        return task

    def _raise_remembered(self, provider: str, login: OAuthCredential) -> None:
        failure = self._failures.get(provider)
        if failure is None:
            return
        left_s = failure.until_s - self._clock.monotonic_s()
        if not failure.login.same_tokens(login):
            del self._failures[provider]
        elif left_s > 0:
            raise CredentialError(failure.message, retry_after_s=round(left_s + 0.5))

    def _failed(self, provider: str, login: OAuthCredential, message: str, *, final: bool) -> CredentialError:
        lasts_s = self._timings.final_failure_s if final else self._timings.passing_failure_s
        self._failures[provider] = _Failure(
            login=login, until_s=self._clock.monotonic_s() + lasts_s, message=message
        )
        return CredentialError(message, retry_after_s=None if final else lasts_s)

    async def _refresh(self, provider: str, known: OAuthCredential, *, refused: bool) -> Credential | None:
        row = oauth_row(provider, self._gateways)
        if row is None:
            raise CredentialError(f"{provider}: {self.why_not(provider, known)}")
        try:
            async with self._turn, self._locked() as lock:
                current = await asyncio.to_thread(self._look, provider, lock)
                if not isinstance(current, OAuthCredential):
                    return current
                if refused and current.access != known.access:
                    return current
                if not refused and not self.due(current):
                    return current
                if refused:
                    self._forced_s[provider] = self._clock.monotonic_s()
                fields = await self._exchange(row, current)
                renewed = await self._store(provider, current, fields, lock)
        except (LockUnavailable, LockLost) as error:
            message = f"{provider}: the login could not be renewed: {error}"
            raise self._failed(provider, known, message, final=False) from error
        except (Malformed, OSError) as error:
            what = error.what if isinstance(error, Malformed) else (error.strerror or type(error).__name__)
            message = f"{provider}: the login could not be renewed: {self._path}: {what}"
            raise self._failed(provider, known, message, final=False) from error
        self._failures.pop(provider, None)
        return renewed

    @asynccontextmanager
    async def _locked(self) -> AsyncGenerator[HeldLock]:
        """Hold pi's lock; waiting and releasing happen in a thread."""
        loop = asyncio.get_running_loop()
        acquiring = loop.run_in_executor(
            None, lambda: acquire_lock(self._path, timings=self._timings.lock, give_up=self._give_up)
        )
        try:
            lock = await asyncio.shield(acquiring)
        except asyncio.CancelledError:
            self._give_up.set()
            acquiring.add_done_callback(_release_unused)
            raise
        try:
            yield lock
        finally:
            lock.release()

    def _look(self, provider: str, lock: HeldLock) -> Credential | None:
        """Read the provider's entry under the lock, after finishing what is left of an earlier refresh."""
        with suppress(WriteRefused):
            finish_journal(self._path, check_lock=lock.check)
        return self._entries().get(provider)

    def _entries(self) -> AuthEntries:
        return parse_auth(read_file(self._path).text or "")

    async def _exchange(self, row: OAuthRow, login: OAuthCredential) -> dict[str, Any]:
        """Ask the token endpoint and return the fields to store over `login`'s entry."""
        unsaved = self._unsaved.get(row.provider)
        if unsaved is not None and unsaved[0].same_tokens(login):
            # Exchanged already, but the file could not be written.
            login = _renewed(login, unsaved[1])
            if not self.due(login):
                return unsaved[1]
        try:
            request = build_request(row, login, self._environment)
        except ValueError as error:
            message = f"{row.provider}: the login cannot be renewed: {error}"
            raise self._failed(row.provider, login, message, final=True) from error
        try:
            async with asyncio.timeout(self._timings.request_s):
                status, body = await self._asked(row, request)
        except (UpstreamError, OSError) as error:  # TimeoutError is an OSError
            what = error.message if isinstance(error, UpstreamError) else type(error).__name__
            message = (
                f"{row.provider}: the login could not be renewed: no answer from the token endpoint ({what})"
            )
            raise self._failed(row.provider, login, message, final=False) from error
        if status not in _HTTP_OK:
            what, final = describe_refusal(status, body)
            mend = f"; {how_to_log_in(row.provider)}" if final else "; try again in a minute"
            message = f"{row.provider}: the login could not be renewed (the token endpoint said {what}){mend}"
            raise self._failed(row.provider, login, message, final=final)
        try:
            fields = parse_answer(row, body, login, now_ms=self._clock.now_s() * 1000)
        except BadTokenAnswer as error:
            message = (
                f"{row.provider}: the login could not be renewed: {error}; {how_to_log_in(row.provider)}"
            )
            raise self._failed(row.provider, login, message, final=True) from error
        return (
            {**fields, **await self._copilot_models(login, fields)} if row.grant is Grant.COPILOT else fields
        )

    async def _copilot_models(self, login: OAuthCredential, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return the models the renewed token may use; nothing when they cannot be had, so that the old list stays.

        (pi gives the whole refresh up then; the token is as good without the list.)
        """
        enterprise = enterprise_domain(login.extras)
        url, headers = models_request(fields["access"], enterprise)
        try:
            status, body = await self._post(url, headers, b"", MODELS_LIMIT_S)
            if status not in _HTTP_OK:
                return {}
            models = parse_models(fields["access"], enterprise, body)
        except (UpstreamError, OSError, ValueError, RecursionError):
            return {}
        return {"availableModelIds": list(models.available)}

    async def _asked(self, row: OAuthRow, request: TokenRequest) -> tuple[int, bytes]:
        """Send the request; where the row says so, again after no answer, 429 or 5xx."""
        for delay_s in row.retry_delays_s:
            with suppress(UpstreamError, ConnectionError):
                status, body = await self._send(request)
                if status != _HTTP_MANY and status not in _HTTP_SERVER:
                    return status, body
            await asyncio.sleep(delay_s)
        return await self._send(request)

    async def _send(self, request: TokenRequest) -> tuple[int, bytes]:
        return await self._post(request.url, request.headers, request.body, self._timings.request_s)

    async def _store(
        self, provider: str, spent: OAuthCredential, fields: dict[str, Any], lock: HeldLock
    ) -> Credential | None:
        """Write the new tokens; they count even when that fails, and are written at the next chance."""
        renewed = _renewed(spent, fields)
        self._unsaved[provider] = (spent, fields)
        try:
            # In this very moment and thread: from here on a kill costs nothing.
            write_journal(self._path, provider, spent=spent, fields=fields)
            try:
                await asyncio.to_thread(finish_journal, self._path, check_lock=lock.check)
            except LockLost:
                lock.release()
                async with self._locked() as again:
                    await asyncio.to_thread(finish_journal, self._path, check_lock=again.check)
        except WriteRefused as error:
            if error.superseded:
                del self._unsaved[provider]
                return self._entries().get(provider)
            return renewed
        except (OSError, LockUnavailable, LockLost):
            return renewed
        del self._unsaved[provider]
        return renewed


def how_to_log_in(provider: str) -> str:
    """Return what mends a login that no longer counts."""
    return f"log in again: `pi-model-proxy login {provider}`, or `/login` in pi"


def _renewed(spent: OAuthCredential, fields: dict[str, Any]) -> OAuthCredential:
    """Return the login as the file has it once `fields` are stored."""
    own = {"type", "access", "refresh", "expires"}
    return OAuthCredential(
        access=fields["access"],
        refresh=fields["refresh"],
        expires_ms=float(fields["expires"]),
        extras={**spent.extras, **{name: value for name, value in fields.items() if name not in own}},
    )


def _release_unused(acquiring: asyncio.Future[HeldLock]) -> None:
    if not acquiring.cancelled() and acquiring.exception() is None:
        acquiring.result().release()
