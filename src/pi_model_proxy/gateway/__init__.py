"""The order of things: from a caller's request to an upstream's answer and back."""

from pi_model_proxy.gateway.caller import Call, Caller
from pi_model_proxy.gateway.gateway import Gateway
from pi_model_proxy.gateway.ids import IdSource
from pi_model_proxy.gateway.listing import Entry as ListingEntry
from pi_model_proxy.gateway.listing import Listing
from pi_model_proxy.gateway.memory import Memory, items_of
from pi_model_proxy.gateway.memory_compact import compact
from pi_model_proxy.gateway.redact import Redactor
from pi_model_proxy.gateway.settings import AnswerSettings
from pi_model_proxy.gateway.vault import Vault

__all__ = [
    "AnswerSettings",
    "Call",
    "Caller",
    "Gateway",
    "IdSource",
    "Listing",
    "ListingEntry",
    "Memory",
    "Redactor",
    "Vault",
    "compact",
    "items_of",
]
