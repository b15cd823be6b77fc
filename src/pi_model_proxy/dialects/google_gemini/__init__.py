"""Google's Gemini format: `:generateContent`, `:streamGenerateContent`, `:countTokens`, both halves and the relay.

The same bodies go to the Gemini API and to Vertex AI; only the addresses differ. Model and method
stand in the URL (`read_address`), so there is one pair of server half and relay for each form of answer.
"""

from pi_model_proxy.dialects.google_gemini.address import Address, Form, read_address
from pi_model_proxy.dialects.google_gemini.client import CLIENT, VERTEX_CLIENT, GeminiClient
from pi_model_proxy.dialects.google_gemini.listing import ListedModel, encode_model, encode_models
from pi_model_proxy.dialects.google_gemini.relay import ARRAY_RELAY, RELAY, SSE_RELAY, GeminiRelay
from pi_model_proxy.dialects.google_gemini.server import (
    ARRAY_SERVER,
    SERVER,
    SSE_SERVER,
    GeminiServer,
    decode_count,
    encode_count,
)

__all__ = [
    "ARRAY_RELAY",
    "ARRAY_SERVER",
    "CLIENT",
    "RELAY",
    "SERVER",
    "SSE_RELAY",
    "SSE_SERVER",
    "VERTEX_CLIENT",
    "Address",
    "Form",
    "GeminiClient",
    "GeminiRelay",
    "GeminiServer",
    "ListedModel",
    "decode_count",
    "encode_count",
    "encode_model",
    "encode_models",
    "read_address",
]
