"""pi's own message format, towards upstreams: `POST {base}/messages`, always streamed (the Radius gateway)."""

from pi_model_proxy.dialects.pi_messages.client import CLIENT, PiMessagesClient
from pi_model_proxy.dialects.pi_messages.decoder import PiMessagesDecoder

__all__ = ["CLIENT", "PiMessagesClient", "PiMessagesDecoder"]
