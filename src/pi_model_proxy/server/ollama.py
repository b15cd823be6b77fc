"""Ollama's paths: what its clients ask beside answers is told here, answers come from the gateway."""

from __future__ import annotations

import time
from typing import Final

from pi_model_proxy.catalog import Model
from pi_model_proxy.dialects import ollama
from pi_model_proxy.dialects.ollama import Form, ListedModel
from pi_model_proxy.dialects.reading import read_json
from pi_model_proxy.errors import UnknownModel
from pi_model_proxy.gateway import Call
from pi_model_proxy.server.exchange import Exchange
from pi_model_proxy.server.models import named_models
from pi_model_proxy.server.state import ServerState

__all__ = ["answer_chat", "answer_generate", "list_running", "list_tags", "show_model", "tell_version"]

JSON: Final = {"content-type": "application/json; charset=utf-8"}
_ROWS: Final[dict[Form, str]] = {"chat": "ollama", "generate": "ollama_generate"}
_LATEST: Final = ":latest"
"""Ollama's clients add it to names without a tag."""


async def answer_chat(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /api/chat`."""
    await _answer("chat", state, call, exchange)


async def answer_generate(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /api/generate`."""
    await _answer("generate", state, call, exchange)


async def _answer(form: Form, state: ServerState, call: Call, exchange: Exchange) -> None:
    load = ollama.read_load(call.body, form)
    if load is not None:
        _, model = _find(state, load.model)
        exchange.entry.model, exchange.entry.provider = model.ref, model.provider
        body = ollama.encode_load(load, form, name=load.model or model.ref, now_s=time.time())
        exchange.answer(200, body, JSON)
        return
    gateway, entry = state.gateway, exchange.entry
    try:
        await gateway.answer(_ROWS[form], call, exchange, entry)
    except UnknownModel:
        asked = entry.model_asked or ""
        if not asked.endswith(_LATEST):
            raise
        await gateway.answer(_ROWS[form], call, exchange, entry, model=asked.removesuffix(_LATEST))


async def list_tags(state: ServerState, _: Call, exchange: Exchange) -> None:
    """Answer `GET /api/tags`."""
    models = [_listed(model, name) for name, model in named_models(state.gateway, state.settings().aliases)]
    exchange.answer(200, ollama.encode_tags(models), JSON)


async def list_running(_: ServerState, __: Call, exchange: Exchange) -> None:
    """Answer `GET /api/ps`."""
    exchange.answer(200, ollama.encode_running(), JSON)


async def tell_version(_: ServerState, __: Call, exchange: Exchange) -> None:
    """Answer `GET /api/version`."""
    exchange.answer(200, ollama.encode_version(), JSON)


async def show_model(state: ServerState, call: Call, exchange: Exchange) -> None:
    """Answer `POST /api/show`.

    Raises:
        BadRequest: no model is named.
        UnknownModel, KindNotServed: it cannot be used.
    """
    request = read_json(call.body)
    name, model = _find(state, request.text("model") or request.text("name"))
    exchange.answer(200, ollama.encode_shown(_listed(model, name)), JSON)


def _find(state: ServerState, name: str | None) -> tuple[str, Model]:
    """Return the name a model is listed under, and the model."""
    settings, directory = state.settings(), state.gateway.listing().directory
    try:
        entry = directory.resolve(name, aliases=settings.aliases, default=settings.default_model).entry
    except UnknownModel:
        if name is None or not name.endswith(_LATEST):
            raise
        name = name.removesuffix(_LATEST)
        entry = directory.resolve(name, aliases=settings.aliases, default=None).entry
    entry.client()
    listed = name if name is not None and name in settings.aliases else entry.ref
    return listed, entry.offer.model


def _listed(model: Model, name: str) -> ListedModel:
    return ListedModel(
        name=name,
        display_name=model.name or model.id,
        family=model.provider,
        context_tokens=model.context_window,
        thinks=model.reasoning,
        sees="image" in model.input,
    )
