"""The list of models in this format: `GET /v1beta/models` and `/v1beta/models/{id}`.

Source: dialects.md §8; google-genai 3.4.0 `Model` (it reads `supportedGenerationMethods`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.google_gemini.address import COUNT, GENERATE, STREAM
from pi_model_proxy.wire import ascii_json

__all__ = ["DEFAULT_PAGE", "MAX_PAGE", "ListedModel", "encode_model", "encode_models"]

DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 1000
METHODS: Final = (GENERATE, STREAM, COUNT)


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model as the list shows it."""

    name: str
    """The name callers use, without `models/`; slashes are part of it."""
    display_name: str
    context_tokens: int
    output_tokens: int
    thinks: bool


def encode_model(model: ListedModel) -> bytes:
    """Return one model's item."""
    return ascii_json(_item(model))


def encode_models(models: Sequence[ListedModel], *, next_token: str = "") -> bytes:
    """Return a page of the list; `next_token` is what `pageToken` must say for the next one."""
    page: dict[str, Any] = {"models": [_item(model) for model in models]}
    if next_token:
        page["nextPageToken"] = next_token
    return ascii_json(page)


def _item(model: ListedModel) -> dict[str, Any]:
    return {
        "name": f"models/{model.name}",
        "baseModelId": model.name,
        "version": "001",
        "displayName": model.display_name,
        "description": model.display_name,
        "inputTokenLimit": model.context_tokens,
        "outputTokenLimit": model.output_tokens,
        "supportedGenerationMethods": list(METHODS),
        "thinking": model.thinks,
    }
