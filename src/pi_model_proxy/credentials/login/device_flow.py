"""The login by device code: the code is shown, and the provider asked again and again until it was used."""

from __future__ import annotations

import json
from typing import Any, Final

from pi_model_proxy.credentials.auth_file import OAuthCredential
from pi_model_proxy.credentials.copilot import known_models, models_request, parse_models, policy_request
from pi_model_proxy.credentials.login.browser import Code
from pi_model_proxy.credentials.login.device import (
    SLOW_DOWN_S,
    BadDeviceAnswer,
    DeviceCode,
    Poll,
    device_request,
    poll_request,
    read_device,
    read_poll,
)
from pi_model_proxy.credentials.login.rows import Device
from pi_model_proxy.credentials.login.talk import (
    HTTP_OK,
    REQUEST_LIMIT_S,
    Around,
    LoginFailed,
    Method,
    Talk,
    ask,
    entry_of,
    exchange,
    member,
)
from pi_model_proxy.credentials.oauth_requests import build_request, describe_refusal, parse_answer
from pi_model_proxy.credentials.oauth_rows import Grant, OAuthRow
from pi_model_proxy.errors import UpstreamError

__all__ = ["log_in_by_device"]

TICK_S: Final = 1.0
POLICY_LIMIT_S: Final = 5.0
MAX_POLICIES: Final = 100
MAX_FAILED_POLLS: Final = 5
"""In a row: a short outage must not cost a login that the user is about to confirm."""
_HTTP_TOO_MANY: Final = 429


async def log_in_by_device(
    oauth: OAuthRow, device: Device, method: Method, around: Around, talk: Talk
) -> dict[str, Any]:
    """Log in and return the entry.

    Raises:
        LoginFailed, LoginDenied, BadDeviceAnswer, BadTokenAnswer, ValueError: see `log_in`.
    """
    request = device_request(oauth, device, around.environment, enterprise=method.enterprise)
    code = read_device(device, *await ask(request, around))
    talk.show(code.page, code.user_code)
    body = await _Waiting(oauth, device, method, around, talk).answer_to(code)
    if device.is_codex:
        return await exchange(oauth, None, _codex_code(body, device.redirect), around, talk)
    if oauth.grant is Grant.REFRESH:
        return entry_of(oauth, None, body, around)
    return await _with_identity(oauth, body, method, around, talk)


class _Waiting:
    """Waits until the user has decided."""

    def __init__(self, oauth: OAuthRow, device: Device, method: Method, around: Around, talk: Talk) -> None:
        self._oauth = oauth
        self._device = device
        self._method = method
        self._around = around
        self._talk = talk

    async def answer_to(self, code: DeviceCode) -> bytes:
        """Return the answer that says the login is done."""
        around = self._around
        request = poll_request(
            self._oauth, self._device, code, around.environment, enterprise=self._method.enterprise
        )
        until_s = around.clock.monotonic_s() + code.lifetime_s
        interval_s, failed = code.interval_s, 0
        while (left_s := until_s - around.clock.monotonic_s()) > 0:
            await self._pause(min(interval_s, left_s), until_s)
            try:
                status, body = await around.post(request.url, request.headers, request.body, REQUEST_LIMIT_S)
            except UpstreamError as error:
                failed += 1
                if failed >= MAX_FAILED_POLLS:
                    raise LoginFailed(f"{request.url} does not answer ({error.message})") from error
                continue
            failed = 0
            polled = read_poll(self._device, status, body)
            if polled.poll is Poll.DONE:
                return body
            if polled.poll is Poll.SLOW_DOWN:
                interval_s = polled.interval_s or interval_s + SLOW_DOWN_S
        raise LoginFailed("the code has lapsed before it was used; start again")

    async def _pause(self, seconds: float, until_s: float) -> None:
        """Wait in steps of a second, each shown."""
        while seconds > 0:
            self._talk.waiting(until_s - self._around.clock.monotonic_s())
            step_s = min(seconds, TICK_S)
            await self._around.sleep(step_s)
            seconds -= step_s


def _codex_code(body: bytes, redirect: str) -> Code:
    try:
        answer = json.loads(body)
        code, verifier = answer["authorization_code"], answer["code_verifier"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadDeviceAnswer("the answer has no `authorization_code`") from error
    if not isinstance(code, str) or not isinstance(verifier, str):
        raise BadDeviceAnswer("the answer's `authorization_code` is not a string")
    return Code(code=code, verifier=verifier, redirect=redirect)


async def _with_identity(
    oauth: OAuthRow, body: bytes, method: Method, around: Around, talk: Talk
) -> dict[str, Any]:
    """Exchange what the device login gave (a GitHub or Meta token) for what requests are sent with."""
    identity = member(body, "access_token")
    extras = {"enterpriseUrl": method.enterprise} if method.enterprise else {}
    held = OAuthCredential(access=identity, refresh=identity, extras=extras)
    talk.say("Fetching the key ...")
    status, answer = await ask(build_request(oauth, held, around.environment), around)
    if status not in HTTP_OK:
        what, _ = describe_refusal(status, answer)
        raise LoginFailed(f"logged in, but the account gets no key ({what}); does it have the subscription?")
    fields = parse_answer(oauth, answer, held, now_ms=around.clock.now_s() * 1000)
    if oauth.grant is not Grant.COPILOT:
        return fields
    return {**fields, **extras, **await _copilot_models(fields["access"], method, around, talk)}


async def _copilot_models(token: str, method: Method, around: Around, talk: Talk) -> dict[str, Any]:
    """Return the models the account may use; those that nobody has decided on are accepted first, as pi does."""
    url, headers = models_request(token, method.enterprise)
    try:
        status, body = await around.post(url, headers, b"", REQUEST_LIMIT_S)
        if status not in HTTP_OK:
            raise LoginFailed(f"logged in, but the list of models is refused (HTTP {status}); try again")
        models = parse_models(token, method.enterprise, body)
    except (UpstreamError, ValueError, RecursionError) as error:
        raise LoginFailed("logged in, but the list of models cannot be had; try again") from error
    wanted = known_models(models, around.listed_models)[:MAX_POLICIES]
    accepted: list[str] = []
    if wanted:
        talk.say(f"Accepting the terms of {len(wanted)} models for the account, as pi does ...")
    for model_id in wanted:
        url, headers, sent = policy_request(token, method.enterprise, model_id)
        try:
            status, _ = await around.post(url, headers, sent, POLICY_LIMIT_S)
        except UpstreamError:
            continue
        if status == _HTTP_TOO_MANY:
            break
        if status in HTTP_OK:
            accepted.append(model_id)
    return {"availableModelIds": list(dict.fromkeys((*models.available, *accepted)))}
