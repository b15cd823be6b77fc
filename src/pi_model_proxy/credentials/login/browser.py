"""A login in the browser, without any I/O: the address to open, what comes back, and the exchange.

Source: pi-ai 1.5.2, `dist/auth/oauth/{anthropic,openai-codex,openai-chatgpt,openrouter,radius,pkce}.js`;
RFC 7636 (PKCE), RFC 8252 (native apps).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec

from pi_model_proxy.credentials.login.rows import Browser, StateStyle
from pi_model_proxy.credentials.oauth_requests import TokenRequest, encode_fields
from pi_model_proxy.credentials.oauth_rows import OAuthRow, token_url

__all__ = [
    "Attempt",
    "Code",
    "LoginDenied",
    "NotThisLogin",
    "authorize_url",
    "begin",
    "exchange_request",
    "read_answer",
    "read_pasted",
]

MAX_PASTED_CHARS: Final = 16_384
_VERIFIER_BYTES: Final = 32
_STATE_BYTES: Final = 32


class LoginDenied(Exception):
    """The provider says that the login was refused; the message is for the user."""


class NotThisLogin(Exception):
    """What came back does not belong to this login, or lacks something; the login goes on waiting."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """The secrets of one attempt to log in; `repr` shows none."""

    verifier: str
    state: str
    nonce: str
    path: str
    """Where the callback is expected."""

    @property
    def challenge(self) -> str:
        return _base64url(hashlib.sha256(self.verifier.encode()).digest())

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"Attempt(path={self.path!r})"


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """What is exchanged for tokens; `repr` shows nothing of it."""

    code: str
    verifier: str
    redirect: str
    state: str = ""
    client_id: str = ""
    """Of the client that this login registered; empty when the row has one."""

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"Code(redirect={self.redirect!r})"


def _base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def begin(browser: Browser) -> Attempt:
    """Draw the secrets of a new attempt."""
    verifier = _base64url(secrets.token_bytes(_VERIFIER_BYTES))
    is_path = browser.state is StateStyle.PATH
    return Attempt(
        verifier=verifier,
        state=verifier if browser.state is StateStyle.VERIFIER else secrets.token_urlsafe(_STATE_BYTES),
        nonce=secrets.token_urlsafe(_STATE_BYTES),
        path=f"{browser.path}/{secrets.token_urlsafe(_STATE_BYTES)}" if is_path else browser.path,
    )


def authorize_url(
    oauth: OAuthRow, browser: Browser, attempt: Attempt, *, page: str, redirect: str, device_id: str
) -> str:
    """Return the address to open in the browser; `page` is the provider's page for logins."""
    query = dict(browser.query)
    if not browser.is_bare:
        query.setdefault("client_id", oauth.client_id)
    query |= {
        browser.redirect_name: redirect,
        "code_challenge": attempt.challenge,
        "code_challenge_method": "S256",
    }
    if browser.scope:
        query["scope"] = browser.scope
    if browser.state is not StateStyle.PATH:
        query["state"] = attempt.state
    if browser.issues_client:
        query |= {"nonce": attempt.nonce, "ext_agent_host_id": f"urn:uuid:{device_id.lower()}"}
    return f"{page}{'&' if urlsplit(page).query else '?'}{urlencode(query)}"


def read_answer(
    browser: Browser, attempt: Attempt, answer: Mapping[str, str], *, redirect: str, has_state: bool
) -> Code:
    """Return the code that a callback, or what was pasted, brings.

    `has_state` is whether `state` must be there; a code that was copied from a page comes without one.

    Raises:
        NotThisLogin: it belongs to another attempt, or lacks something.
        LoginDenied: the provider refused.
    """
    state = answer.get("state", "")
    is_checked = browser.state is not StateStyle.PATH and (bool(state) or has_state)
    # Before anything else: whoever does not know the state has no say, not even "denied".
    if is_checked and not hmac.compare_digest(state.encode(), attempt.state.encode()):
        raise NotThisLogin("its `state` is not this login's: it belongs to another attempt")
    if error := answer.get("error"):
        raise LoginDenied(f"the provider said {_plain(error)}")
    code = answer.get("code", "").strip()
    if not code:
        raise NotThisLogin("there is no `code` in it")
    client_id = answer.get("client_id", "").strip()
    if browser.issues_client and not client_id:
        raise NotThisLogin("there is no `client_id` in it: the whole address of the last page is needed")
    return Code(
        code=code, verifier=attempt.verifier, redirect=redirect, state=attempt.state, client_id=client_id
    )


def _plain(error: str) -> str:
    """Return an error code as the provider gives it; free text might hold anything."""
    return f"`{error}`" if error.replace("_", "").isalnum() and error.isascii() else "no"


def read_pasted(text: str) -> dict[str, str]:
    """Return the fields of what a person pasted: a redirect's address, `code#state`, a query, or a bare code."""
    text = text.strip()[:MAX_PASTED_CHARS]
    if not text:
        return {}
    if text.startswith(("http://", "https://")):
        return dict(parse_qsl(text.partition("?")[2].partition("#")[0]))
    if "#" in text:
        code, _, state = text.partition("#")
        return {"code": code, "state": state}
    if "code=" in text or "error=" in text:
        return dict(parse_qsl(text.lstrip("?")))
    return {"code": text}


def exchange_request(
    oauth: OAuthRow, browser: Browser | None, code: Code, environment: Mapping[str, str]
) -> TokenRequest:
    """Return the request that exchanges a code for tokens; without `browser` the code came by device login.

    Raises:
        ValueError: an override is not allowed; says which.
    """
    fields = {"code": code.code, "code_verifier": code.verifier}
    if browser is not None and browser.is_bare:
        fields["code_challenge_method"] = "S256"
    else:
        fields |= {
            "grant_type": "authorization_code",
            "client_id": code.client_id or oauth.client_id,
            "redirect_uri": code.redirect,
            **dict(oauth.fields),
        }
        if browser is not None and browser.state_in_exchange:
            fields["state"] = code.state
    headers, body = encode_fields(fields, as_json=oauth.json_body)
    return TokenRequest(url=token_url(oauth, environment), headers=headers, body=body)
