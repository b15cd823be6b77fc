"""The lists of models in this format: `/api/tags`, `/api/ps`, `/api/show`, and `/api/version`.

Sources: dialects.md §8; ollama-python 0.6.3 `ListResponse`, `ShowResponse`, `ProcessResponse`; VS Code
reads `capabilities` and `model_info["<architecture>.context_length"]`, and wants version 0.6.4 or newer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pi_model_proxy.dialects.ollama.words import moment
from pi_model_proxy.wire import ascii_json

__all__ = ["VERSION", "ListedModel", "encode_running", "encode_shown", "encode_tags", "encode_version"]

VERSION: Final = "0.12.11"
"""The version of Ollama whose API is spoken here: clients compare it with what they need."""
CHANGED_S: Final = 1_700_000_000
"""The catalogue knows no dates; a fixed one keeps answers comparable."""

Json = dict[str, Any]


class ListedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model as the lists show it."""

    name: str
    """The name callers use."""
    display_name: str
    family: str
    """Who serves it."""
    context_tokens: int
    thinks: bool
    sees: bool
    """Whether it takes pictures."""


def encode_tags(models: Sequence[ListedModel]) -> bytes:
    """Return the list of every model."""
    return ascii_json({"models": [_item(model) for model in models]})


def encode_running() -> bytes:
    """Return the list of models in this machine's memory: none ever is."""
    return ascii_json({"models": []})


def encode_version() -> bytes:
    """Return the version."""
    return ascii_json({"version": VERSION})


def encode_shown(model: ListedModel) -> bytes:
    """Return everything that is known of one model."""
    family = model.family
    return ascii_json(
        {
            "license": "",
            "modelfile": f"FROM {model.name}\n",
            "parameters": "",
            "template": "{{ .Prompt }}",
            "details": _details(model),
            "model_info": {
                "general.architecture": family,
                "general.basename": model.display_name,
                "general.parameter_count": 0,
                f"{family}.context_length": model.context_tokens,
                f"{family}.embedding_length": 0,
            },
            "capabilities": _capabilities(model),
            "modified_at": moment(CHANGED_S),
        }
    )


def _capabilities(model: ListedModel) -> list[str]:
    optional = (("vision", model.sees), ("thinking", model.thinks))
    return ["completion", "tools", *(name for name, has in optional if has)]


def _item(model: ListedModel) -> Json:
    return {
        "name": model.name,
        "model": model.name,
        "modified_at": moment(CHANGED_S),
        "size": 0,
        "digest": hashlib.sha256(model.name.encode("utf-8", "replace")).hexdigest(),
        "details": _details(model),
        "capabilities": _capabilities(model),
    }


def _details(model: ListedModel) -> Json:
    return {
        "parent_model": "",
        "format": "api",
        "family": model.family,
        "families": [model.family],
        "parameter_size": "",
        "quantization_level": "",
    }
