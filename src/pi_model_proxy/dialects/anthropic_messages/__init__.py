"""Anthropic's Messages format: `POST /v1/messages` and its count of tokens, both halves and the relay."""

from pi_model_proxy.dialects.anthropic_messages.client import CLIENT, MessagesClient
from pi_model_proxy.dialects.anthropic_messages.relay import RELAY, MessagesRelay
from pi_model_proxy.dialects.anthropic_messages.server import (
    SERVER,
    MessagesServer,
    decode_count,
    encode_count,
)

__all__ = [
    "CLIENT",
    "RELAY",
    "SERVER",
    "MessagesClient",
    "MessagesRelay",
    "MessagesServer",
    "decode_count",
    "encode_count",
]
