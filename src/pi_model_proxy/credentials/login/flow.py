"""A whole login, from the first question to the entry for `auth.json`.

What differs between providers is in the rows; what is asked of the person, and how, is behind `Talk`.
Nothing is written here: the entry is handed to `credentials.store_entry`.
"""

from __future__ import annotations

from typing import Any

from pi_model_proxy.credentials.login.browser import LoginDenied
from pi_model_proxy.credentials.login.browser_flow import log_in_by_browser
from pi_model_proxy.credentials.login.device import BadDeviceAnswer
from pi_model_proxy.credentials.login.device_flow import log_in_by_device
from pi_model_proxy.credentials.login.rows import LoginRow
from pi_model_proxy.credentials.login.talk import Around, LoginFailed, Method, Talk
from pi_model_proxy.credentials.oauth_requests import BadTokenAnswer

__all__ = ["log_in"]


async def log_in(login: LoginRow, method: Method, around: Around, talk: Talk) -> dict[str, Any]:
    """Log in and return the provider's entry as pi writes it.

    Raises:
        LoginFailed: it came to nothing.
    """
    try:
        if login.device is not None and (method.device or login.browser is None):
            return await log_in_by_device(login.oauth, login.device, method, around, talk)
        if login.browser is not None:
            return await log_in_by_browser(login.oauth, login.browser, method, around, talk)
    except LoginFailed as error:
        raise LoginFailed(f"{login.provider}: {error}") from error
    except (LoginDenied, BadTokenAnswer, BadDeviceAnswer, ValueError) as error:
        # A ValueError is an override of an address that is not allowed.
        raise LoginFailed(f"{login.provider}: {error}") from error
    raise LoginFailed(f"{login.provider} has no login")
