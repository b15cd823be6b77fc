"""The login in the browser: the callback, the pasted address, whichever comes first."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

from pi_model_proxy.credentials.login.browser import (
    Attempt,
    Code,
    NotThisLogin,
    authorize_url,
    begin,
    read_answer,
    read_pasted,
)
from pi_model_proxy.credentials.login.callback import Callback, listening
from pi_model_proxy.credentials.login.rows import Browser
from pi_model_proxy.credentials.login.talk import (
    HTTP_OK,
    Around,
    EndOfInput,
    LoginFailed,
    Method,
    Talk,
    ask,
    exchange,
)
from pi_model_proxy.credentials.oauth_requests import TokenRequest
from pi_model_proxy.credentials.oauth_rows import OAuthRow, is_loopback, overridden_url

__all__ = ["log_in_by_browser"]

TICK_S: Final = 1.0
MINUTE_S: Final = 60


async def log_in_by_browser(
    oauth: OAuthRow, browser: Browser, method: Method, around: Around, talk: Talk
) -> dict[str, Any]:
    """Log in and return the entry.

    Raises:
        LoginFailed, LoginDenied, BadTokenAnswer, ValueError: see `log_in`.
    """
    attempt = begin(browser)
    page = await _authorize_page(oauth, browser, around)
    async with AsyncExitStack() as stack:
        if method.headless and browser.code_page:
            callback, redirect = None, browser.code_page
        else:
            callback, redirect = await _open_callback(stack, browser, attempt, around, talk)
        talk.show(
            authorize_url(oauth, browser, attempt, page=page, redirect=redirect, device_id=around.device_id)
        )
        code = await _await_code(
            _Pasting(browser, attempt, redirect, talk, is_only_way=callback is None), callback, around, talk
        )
    return await exchange(oauth, browser, code, around, talk)


async def _authorize_page(oauth: OAuthRow, browser: Browser, around: Around) -> str:
    """Return the provider's page for logins; a gateway is asked for its own."""
    override = overridden_url(oauth.provider, "AUTHORIZE", around.environment)
    if override or browser.url:
        return override or browser.url
    request = TokenRequest(url=browser.discovery, headers={"accept": "application/json"}, body=b"")
    status, body = await ask(request, around)
    try:
        named = json.loads(body).get("authorizationEndpoint") if status in HTTP_OK else None
    except (ValueError, AttributeError, RecursionError):
        named = None
    if not isinstance(named, str) or not named.startswith(("https://", "http://")) or not named.isprintable():
        raise LoginFailed(f"{browser.discovery} does not say where to log in (HTTP {status})")
    if not _is_as_safe(named, browser.discovery):
        raise LoginFailed(
            f"{browser.discovery} names a page that is not https, which nobody should log in at"
        )
    return named


def _is_as_safe(page: str, asked: str) -> bool:
    """Whether a page is on https or this machine; where the user wrote `http://` for the gateway itself, any page is."""
    try:
        parts = urlsplit(page)
        host = parts.hostname or ""
    except ValueError:
        return False
    return bool(host) and (parts.scheme == "https" or is_loopback(host) or not asked.startswith("https://"))


async def _open_callback(
    stack: AsyncExitStack, browser: Browser, attempt: Attempt, around: Around, talk: Talk
) -> tuple[Callback | None, str]:
    """Return the callback and the redirect that leads to it; no callback when its port is taken."""
    host = around.environment.get("PI_OAUTH_CALLBACK_HOST", "").strip() or "127.0.0.1"
    taken = ""
    for port in (browser.port, 0) if browser.any_port else (browser.port,):
        answers: list[str] = []

        def check(answer: Mapping[str, str], *, redirect: list[str] = answers) -> Code:
            return read_answer(browser, attempt, answer, redirect=redirect[0], has_state=True)

        callback = Callback(attempt.path, check)
        try:
            bound = await stack.enter_async_context(listening(callback, host, port))
        except OSError as error:
            callback.close()
            taken = f"Port {port} of {host} cannot be listened on ({error.strerror or type(error).__name__})"
            continue
        answers.append(_redirect(browser, attempt, bound))
        return callback, answers[0]
    talk.say(
        f"{taken}: another login, or the provider's own tool, may hold it. Log in all the same: the last page will "
        "not load, or will complain, and its address is what is needed."
    )
    return None, _redirect(browser, attempt, browser.port)


def _redirect(browser: Browser, attempt: Attempt, port: int) -> str:
    return f"http://{browser.host}:{port}{attempt.path}"


class _Pasting:
    """Takes pasted lines until one is this login's."""

    def __init__(
        self, browser: Browser, attempt: Attempt, redirect: str, talk: Talk, *, is_only_way: bool
    ) -> None:
        self._is_only_way = is_only_way
        self._browser = browser
        self._attempt = attempt
        self._redirect = redirect
        self._talk = talk

    async def code(self) -> Code:
        while True:
            line = await self._talk.paste(self._question())
            if not line.strip():
                continue
            try:
                return read_answer(
                    self._browser, self._attempt, read_pasted(line), redirect=self._redirect, has_state=False
                )
            except NotThisLogin as error:
                self._talk.say(f"That cannot be used: {error}.")

    def _question(self) -> str:
        if self._redirect == self._browser.code_page:
            return "Paste the code that the page shows here:"
        if self._is_only_way:
            return "Paste the address of the last page here:"
        return "Waiting. If the browser cannot come back to this machine, paste the address of its last page here:"


async def _await_code(pasting: _Pasting, callback: Callback | None, around: Around, talk: Talk) -> Code:
    """Wait for the browser, or for what the person pastes, whichever comes first."""
    try:
        async with asyncio.timeout(around.browser_wait_s), _ticking(around, talk):
            if callback is None:
                return await pasting.code()
            return await _first_of(callback.code(), pasting.code())
    except EndOfInput as error:
        raise LoginFailed("there is nothing to paste into; run this in a terminal") from error
    except TimeoutError as error:
        minutes = round(around.browser_wait_s / MINUTE_S)
        raise LoginFailed(
            f"nobody logged in within {minutes} minutes; start again when you are ready"
        ) from error


async def _first_of(arriving: Awaitable[Code], pasting: Awaitable[Code]) -> Code:
    """Return whichever comes first; the end of the input ends the pasting only."""
    arrived, pasted = asyncio.ensure_future(arriving), asyncio.ensure_future(pasting)  # owned here
    try:
        done, _ = await asyncio.wait((arrived, pasted), return_when=asyncio.FIRST_COMPLETED)
        if arrived not in done and isinstance(pasted.exception(), EndOfInput):
            return await arrived
        return (arrived if arrived in done else pasted).result()
    finally:
        arrived.cancel()
        pasted.cancel()
        await asyncio.gather(arrived, pasted, return_exceptions=True)


@asynccontextmanager
async def _ticking(around: Around, talk: Talk) -> AsyncGenerator[None]:
    """Let the person see that we wait."""
    until_s = around.clock.monotonic_s() + around.browser_wait_s

    async def tick() -> None:
        while True:
            talk.waiting(until_s - around.clock.monotonic_s())
            await asyncio.sleep(TICK_S)

    task = asyncio.ensure_future(tick())  # owned here
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
