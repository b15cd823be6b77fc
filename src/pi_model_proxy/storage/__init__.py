"""The one database file: what must outlive a request, and can be looked up by whoever goes on from it."""

from pi_model_proxy.storage.database import Database, Work
from pi_model_proxy.storage.responses import Item, KeptConversation, KeptResponse, ResponseStore, StoreLimits
from pi_model_proxy.storage.thoughts import ThoughtStore

__all__ = [
    "Database",
    "Item",
    "KeptConversation",
    "KeptResponse",
    "ResponseStore",
    "StoreLimits",
    "ThoughtStore",
    "Work",
]
