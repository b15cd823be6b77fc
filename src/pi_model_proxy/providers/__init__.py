"""What each provider wants: keys, headers, addresses and the quirks of its API; pure values and data."""

from pi_model_proxy.providers.auth import (
    HeaderSettings,
    Presented,
    auth_headers,
    login_identity,
    merge_headers,
)
from pi_model_proxy.providers.endpoint import account_identity, base_url_of, copilot_base_url
from pi_model_proxy.providers.keys import KeyFound, KeyMissing, find_key
from pi_model_proxy.providers.per_request import RequestTraits, request_headers, wants_traits
from pi_model_proxy.providers.quirks import COMPAT_DEFAULTS, detected_compat
from pi_model_proxy.providers.row import AuthStyle, Login, Provider
from pi_model_proxy.providers.table import PROVIDERS, provider_row

__all__ = [
    "COMPAT_DEFAULTS",
    "PROVIDERS",
    "AuthStyle",
    "HeaderSettings",
    "KeyFound",
    "KeyMissing",
    "Login",
    "Presented",
    "Provider",
    "RequestTraits",
    "account_identity",
    "auth_headers",
    "base_url_of",
    "copilot_base_url",
    "detected_compat",
    "find_key",
    "login_identity",
    "merge_headers",
    "provider_row",
    "request_headers",
    "wants_traits",
]
