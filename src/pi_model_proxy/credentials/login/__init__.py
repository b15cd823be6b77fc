"""Logging in: the browser with a callback to this machine, a device code, or a pasted address."""

from pi_model_proxy.credentials.login.flow import log_in
from pi_model_proxy.credentials.login.rows import LOGIN_PROVIDERS, LoginRow, login_row
from pi_model_proxy.credentials.login.talk import (
    Around,
    EndOfInput,
    LoginFailed,
    Method,
    Talk,
)

__all__ = [
    "LOGIN_PROVIDERS",
    "Around",
    "EndOfInput",
    "LoginFailed",
    "LoginRow",
    "Method",
    "Talk",
    "log_in",
    "login_row",
]
