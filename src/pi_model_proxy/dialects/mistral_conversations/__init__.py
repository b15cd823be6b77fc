"""Mistral's chat completions, towards upstreams: `POST {base}/v1/chat/completions`, always streamed."""

from pi_model_proxy.dialects.mistral_conversations.client import CLIENT, MistralClient
from pi_model_proxy.dialects.mistral_conversations.decoder import MistralDecoder

__all__ = ["CLIENT", "MistralClient", "MistralDecoder"]
