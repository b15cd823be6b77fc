"""OpenAI's endpoints beside chat that are passed on as they are, and Ollama's for the same."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Final

from pi_model_proxy.dialects import ollama
from pi_model_proxy.dialects.ollama import EmbedForm
from pi_model_proxy.errors import UnsupportedFeature
from pi_model_proxy.gateway import Call
from pi_model_proxy.gateway.headers import DROPPED_HEADER, dropped_value
from pi_model_proxy.server.exchange import Exchange
from pi_model_proxy.server.state import ServerState

__all__ = ["PASSED_FORMS", "PASSED_JSON", "answer_embed", "answer_embeddings", "pass_on"]

PASSED_JSON: Final = ("embeddings", "images/generations", "audio/speech")
PASSED_FORMS: Final = ("audio/transcriptions", "audio/translations", "images/edits", "images/variations")
"""These take a file, so their bodies are forms (the edits of newer models may be JSON)."""
_EMBEDDINGS: Final = "/embeddings"
_JSON: Final = {"content-type": "application/json; charset=utf-8"}


def pass_on(endpoint: str, state: ServerState, call: Call, exchange: Exchange) -> Awaitable[None]:
    """Answer a request for one of `PASSED_JSON` or `PASSED_FORMS`."""
    return state.gateway.pass_on(f"/{endpoint}", call, exchange, exchange.entry)


async def answer_embed(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /api/embed`."""
    await _embed("embed", state, call, exchange)


async def answer_embeddings(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /api/embeddings`, the older form."""
    await _embed("embeddings", state, call, exchange)


async def _embed(form: EmbedForm, state: ServerState, call: Call, exchange: Exchange) -> None:
    name, body, dropped = ollama.embed_request(call.body, form)
    entry = exchange.entry
    entry.dialect = ollama.DIALECT
    if dropped and call.strict:
        raise UnsupportedFeature(f"{dropped[0]}: the provider cannot be asked for this.", param=dropped[0])
    answer = await state.gateway.fetch(_EMBEDDINGS, call, entry, model=name, body=body)
    seconds = time.monotonic() - call.arrived_s
    told = ollama.encode_embeddings(answer, form, name=name or "", seconds=seconds)
    headers = dict(_JSON)
    if dropped:
        entry.dropped = dropped
        headers[DROPPED_HEADER] = dropped_value(dropped)
    exchange.answer(200, told, headers)
