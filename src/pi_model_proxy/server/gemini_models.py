"""GET /v1beta/models and /v1beta/models/{id}: the same models in Gemini's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pi_model_proxy.catalog import Model
from pi_model_proxy.dialects.google_gemini import ListedModel, encode_model, encode_models
from pi_model_proxy.errors import BadRequest
from pi_model_proxy.gateway import Gateway
from pi_model_proxy.server.models import named_models
from pi_model_proxy.server.query import read_query

__all__ = ["list_gemini_models", "one_gemini_model"]

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 1000


def list_gemini_models(gateway: Gateway, query: str, aliases: Mapping[str, str]) -> bytes:
    """Return one page of the list.

    Raises:
        BadRequest: `pageSize` or `pageToken` cannot be meant.
    """
    fields = read_query(query)
    size = min(_number(fields, "pageSize", DEFAULT_PAGE) or DEFAULT_PAGE, MAX_PAGE)
    start = _number(fields, "pageToken", 0)
    models = [_listed(model, name) for name, model in named_models(gateway, aliases)]
    more = str(start + size) if start + size < len(models) else ""
    return encode_models(models[start : start + size], next_token=more)


def one_gemini_model(gateway: Gateway, name: str, aliases: Mapping[str, str]) -> bytes:
    """Return one model.

    Raises:
        UnknownModel: nothing usable has this name.
        KindNotServed: it exists, but its API kind cannot be served.
    """
    entry = gateway.listing().directory.resolve(name, aliases=aliases, default=None).entry
    entry.client()
    return encode_model(_listed(entry.offer.model, name if name in aliases else entry.ref))


def _listed(model: Model, name: str) -> ListedModel:
    return ListedModel(
        name=name,
        display_name=model.name or model.id,
        context_tokens=model.context_window,
        output_tokens=model.max_tokens,
        thinks=model.reasoning,
    )


def _number(fields: Mapping[str, list[str]], name: str, default: int) -> int:
    given = fields.get(name, [str(default)])[0]
    if not given.isdecimal() or len(given) > 9:  # noqa: PLR2004 - more models than anybody has
        raise BadRequest(f"{name}: must be a number, as the list before said it.", param=name)
    return int(given)
