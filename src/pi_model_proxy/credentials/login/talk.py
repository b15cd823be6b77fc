"""What a login needs of the world and of the person at the terminal, and how it fails."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, Protocol

import msgspec

from pi_model_proxy.credentials.auth_file import OAuthCredential
from pi_model_proxy.credentials.clock import Clock
from pi_model_proxy.credentials.login.browser import Code, exchange_request
from pi_model_proxy.credentials.login.rows import Browser
from pi_model_proxy.credentials.oauth_requests import (
    BadTokenAnswer,
    Post,
    TokenRequest,
    describe_refusal,
    parse_answer,
)
from pi_model_proxy.credentials.oauth_rows import Grant, OAuthRow
from pi_model_proxy.errors import UpstreamError

__all__ = ["HTTP_OK", "Around", "EndOfInput", "LoginFailed", "Method", "Talk", "ask", "exchange", "member"]

BROWSER_WAIT_S: Final = 600.0
"""How long a login in the browser is waited for (pi waits five minutes at OpenRouter, else for ever)."""
REQUEST_LIMIT_S: Final = 30.0
"""pi's `REQUEST_TIMEOUT_MS`."""
HTTP_OK: Final = range(200, 300)


class LoginFailed(Exception):
    """The login came to nothing and nothing was stored; says why and what to do, without secrets."""


class EndOfInput(Exception):
    """There is nobody who could type or paste anything."""


class Talk(Protocol):
    """How a login speaks with the person at the terminal."""

    def say(self, text: str) -> None:
        """Tell something."""
        ...

    def show(self, url: str, user_code: str = "") -> None:
        """Show an address to open (and the code to type there), and open it where that is possible."""
        ...

    async def paste(self, question: str) -> str:
        """Wait for one pasted line.

        Raises:
            EndOfInput: none can come.
        """
        ...

    def waiting(self, left_s: float) -> None:
        """Show that we wait, and for how long at most; called about once a second."""
        ...


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """How to log in."""

    device: bool = False
    """True: by device code, where the provider has one."""
    headless: bool = False
    """True: the browser is on another machine, so the redirect cannot reach this one."""
    enterprise: str = ""
    """The domain of a GitHub Enterprise; empty for github.com."""


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What a login needs of the world."""

    post: Post
    environment: Mapping[str, str]
    device_id: str = ""
    """pi's `deviceId` (settings.json), which Sign in with ChatGPT names this installation by."""
    listed_models: Collection[str] = ()
    """Copilot's models as the catalogue has them: only their policies are accepted."""
    clock: Clock = Clock()
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    browser_wait_s: float = BROWSER_WAIT_S


async def ask(request: TokenRequest, around: Around) -> tuple[int, bytes]:
    """Send one request and return status and body.

    Raises:
        LoginFailed: no answer came.
    """
    try:
        return await around.post(request.url, request.headers, request.body, REQUEST_LIMIT_S)
    except UpstreamError as error:
        raise LoginFailed(f"{request.url} does not answer ({error.message})") from error


async def exchange(
    oauth: OAuthRow, browser: Browser | None, code: Code, around: Around, talk: Talk
) -> dict[str, Any]:
    """Exchange a code and return the entry for `auth.json`.

    Raises:
        LoginFailed: the code is not taken.
        BadTokenAnswer: the answer lacks what a login needs.
    """
    talk.say("Fetching the tokens ...")
    status, body = await ask(exchange_request(oauth, browser, code, around.environment), around)
    if status not in HTTP_OK:
        what, _ = describe_refusal(status, body)
        raise LoginFailed(
            f"the token endpoint refused the code ({what}): each code counts once and not for long; start again"
        )
    return entry_of(oauth, browser, body, around, client_id=code.client_id)


def entry_of(
    oauth: OAuthRow, browser: Browser | None, body: bytes, around: Around, *, client_id: str = ""
) -> dict[str, Any]:
    """Return the entry that an answer of the token endpoint makes.

    Raises:
        BadTokenAnswer: it lacks something that later requests need.
    """
    entry = parse_answer(oauth, body, OAuthCredential(access=""), now_ms=around.clock.now_s() * 1000)
    if not entry["refresh"] and oauth.grant is Grant.REFRESH:
        raise BadTokenAnswer("the answer has no `refresh_token`")
    if oauth.account_claim[0] and "accountId" not in entry:
        raise BadTokenAnswer("the token names no account")
    if browser is not None and browser.issues_client:
        member(body, "id_token")  # part of the contract, and not looked at, as in pi
        scopes = entry.pop("scopes", [])
        entry |= {"clientId": client_id, "scopes": scopes}
    if browser is not None and browser.needed_scope and browser.needed_scope not in entry.get("scopes", ()):
        raise BadTokenAnswer(f"the account did not grant `{browser.needed_scope}`")
    return entry


def member(body: bytes, name: str) -> str:
    """Return a string of a JSON answer.

    Raises:
        BadTokenAnswer: it is not there.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadTokenAnswer("the answer is not JSON") from error
    value = answer.get(name) if isinstance(answer, dict) else None
    if not isinstance(value, str) or not value:
        raise BadTokenAnswer(f"the answer has no `{name}`")
    return value
