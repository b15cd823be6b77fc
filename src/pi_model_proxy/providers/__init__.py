"""What each provider wants: keys, headers, addresses and the quirks of its API; pure values and data."""

from pi_model_proxy.providers.auth import (
    USER_AGENT,
    HeaderSettings,
    Presented,
    auth_headers,
    login_identity,
    merge_headers,
)
from pi_model_proxy.providers.bedrock import BedrockPlace, bedrock_place, is_unsigned
from pi_model_proxy.providers.endpoint import account_identity, base_url_of, copilot_base_url, url_below
from pi_model_proxy.providers.keys import KeyFound, KeyMissing, find_key
from pi_model_proxy.providers.per_request import RequestTraits, request_headers, wants_traits
from pi_model_proxy.providers.quirks import COMPAT_DEFAULTS, detected_compat
from pi_model_proxy.providers.row import Address, AuthStyle, Lists, Login, Means, Provider
from pi_model_proxy.providers.table import PROVIDERS, provider_row
from pi_model_proxy.providers.vertex import vertex_base_url

__all__ = [
    "COMPAT_DEFAULTS",
    "PROVIDERS",
    "USER_AGENT",
    "Address",
    "AuthStyle",
    "BedrockPlace",
    "HeaderSettings",
    "KeyFound",
    "KeyMissing",
    "Lists",
    "Login",
    "Means",
    "Presented",
    "Provider",
    "RequestTraits",
    "account_identity",
    "auth_headers",
    "base_url_of",
    "bedrock_place",
    "copilot_base_url",
    "detected_compat",
    "find_key",
    "is_unsigned",
    "login_identity",
    "merge_headers",
    "provider_row",
    "request_headers",
    "url_below",
    "vertex_base_url",
    "wants_traits",
]
