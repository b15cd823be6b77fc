"""Ollama's own format, towards callers: `/api/chat`, `/api/generate`, the lists of models, embeddings.

Source: Ollama's API reference; ollama-python 0.6.3 `_types.py` and `_client.py`, ollama-js 0.6.4;
dialects.md §1.1 OL, §2.6, §8.
"""

from pi_model_proxy.dialects.ollama.embedding import EmbedForm, embed_request, encode_embeddings
from pi_model_proxy.dialects.ollama.errors_out import encode_error
from pi_model_proxy.dialects.ollama.listing import (
    VERSION,
    ListedModel,
    encode_running,
    encode_shown,
    encode_tags,
    encode_version,
)
from pi_model_proxy.dialects.ollama.loading import Load, encode_load, read_load
from pi_model_proxy.dialects.ollama.server import GENERATE_SERVER, SERVER, OllamaServer
from pi_model_proxy.dialects.ollama.words import DIALECT, Form

__all__ = [
    "DIALECT",
    "GENERATE_SERVER",
    "SERVER",
    "VERSION",
    "EmbedForm",
    "Form",
    "ListedModel",
    "Load",
    "OllamaServer",
    "embed_request",
    "encode_embeddings",
    "encode_error",
    "encode_load",
    "encode_running",
    "encode_shown",
    "encode_tags",
    "encode_version",
    "read_load",
]
