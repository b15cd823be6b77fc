"""GET /v1/models and /v1/models/{id}: OpenAI's list, Anthropic's paginated one, each with our extras."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pi_model_proxy.catalog import Model
from pi_model_proxy.errors import BadRequest, UnknownModel
from pi_model_proxy.gateway import Gateway, ListingEntry
from pi_model_proxy.server.query import read_query
from pi_model_proxy.wire import ascii_json

__all__ = ["is_anthropic", "is_google", "list_models", "named_models", "one_model"]

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 1000
CREATED: Final = 1_700_000_000
"""The catalogue knows no dates of birth; a fixed one keeps answers comparable."""


def is_anthropic(headers: Mapping[str, str]) -> bool:
    """Tell whether the caller speaks Anthropic's dialect (it always sends its version)."""
    return "anthropic-version" in headers


def is_google(headers: Mapping[str, str]) -> bool:
    """Tell whether the caller speaks Gemini's dialect (its clients always send their key so), and no other."""
    return "x-goog-api-key" in headers and not is_anthropic(headers)


def list_models(
    gateway: Gateway, headers: Mapping[str, str], query: str, aliases: Mapping[str, str]
) -> bytes:
    """Return the list in the caller's dialect.

    Raises:
        BadRequest: `limit` is not a number from 1 to 1000, or a cursor names no model.
    """
    items = [
        _item(model, name) | ({"alias_of": aliases[name]} if name in aliases else {})
        for name, model in named_models(gateway, aliases)
    ]
    if not is_anthropic(headers):
        return ascii_json({"object": "list", "data": items})
    page, more = _page(items, query)
    first, last = (page[0]["id"], page[-1]["id"]) if page else (None, None)
    return ascii_json({"data": page, "has_more": more, "first_id": first, "last_id": last})


def one_model(gateway: Gateway, name: str, aliases: Mapping[str, str]) -> bytes:
    """Return one model's item.

    Raises:
        UnknownModel: nothing usable has this name.
        KindNotServed: it exists, but its API kind cannot be served.
    """
    choice = gateway.listing().directory.resolve(name, aliases=aliases, default=None)
    choice.entry.client()
    return ascii_json(_item(choice.entry.offer.model, name if name in aliases else choice.entry.ref))


def named_models(gateway: Gateway, aliases: Mapping[str, str]) -> list[tuple[str, Model]]:
    """Return every name that can be asked for, aliases last, with the model it means."""
    listing = gateway.listing()
    named = [(entry.ref, entry.offer.model) for entry in listing.usable]
    for alias in aliases:
        try:
            entry: ListingEntry = listing.directory.resolve(alias, aliases=aliases, default=None).entry
        except (UnknownModel, BadRequest):
            continue
        if entry.usable:
            named.append((alias, entry.offer.model))
    return named


def _item(model: Model, public_id: str) -> dict[str, Any]:
    return {
        "id": public_id,
        "object": "model",
        "created": CREATED,
        "owned_by": model.provider,
        "type": "model",
        "display_name": model.name or model.id,
        "created_at": datetime.fromtimestamp(CREATED, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "context_window": model.context_window,
        "max_output_tokens": model.max_tokens,
        "max_input_tokens": model.context_window,
        "max_tokens": model.max_tokens,
        "input_modalities": list(model.input),
        "output_modalities": ["text"],
        "reasoning": model.reasoning,
        "pricing": {
            "currency": "USD",
            "unit": "1M tokens",
            "input": model.cost.input,
            "output": model.cost.output,
            "cache_read": model.cost.cache_read,
            "cache_write": model.cost.cache_write,
        },
    }


def _page(items: Sequence[dict[str, Any]], query: str) -> tuple[list[dict[str, Any]], bool]:
    """Return one page of the list and whether there is more (Anthropic's cursors)."""
    fields = read_query(query)
    try:
        limit = int(fields.get("limit", [str(DEFAULT_LIMIT)])[0])
    except ValueError:
        limit = 0
    if not 1 <= limit <= MAX_LIMIT:
        raise BadRequest(f"limit: must be a number from 1 to {MAX_LIMIT}.", param="limit")
    ids = [item["id"] for item in items]
    if after := fields.get("after_id"):
        start = _cursor(ids, after[0], "after_id") + 1
        return list(items[start : start + limit]), start + limit < len(items)
    if before := fields.get("before_id"):
        end = _cursor(ids, before[0], "before_id")
        return list(items[max(0, end - limit) : end]), end > limit
    return list(items[:limit]), limit < len(items)


def _cursor(ids: Sequence[str], cursor: str, field: str) -> int:
    try:
        return ids.index(cursor)
    except ValueError as error:
        raise BadRequest(f"{field}: there is no such model.", param=field) from error
