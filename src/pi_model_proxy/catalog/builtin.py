"""The models that pi ships with, as data of ours.

`data/` is written by `scripts/generate_catalog.py` from the published package `@earendil-works/pi-ai`: one JSON
array per provider, one model a line, and `index.json`, which records where it all came from. A provider is decoded
when it is first asked for.
"""

from __future__ import annotations

import functools
import pkgutil
from typing import Final

import msgspec

from pi_model_proxy.catalog.model import Model

__all__ = [
    "CatalogIndex",
    "ProviderIndex",
    "builtin_models",
    "builtin_provider_ids",
    "catalog_index",
    "decode_index",
    "decode_models",
    "read_data",
]

DATA_FOLDER: Final = "data"


class ProviderIndex(msgspec.Struct, frozen=True, kw_only=True):
    """One provider's data file."""

    id: str
    models: int
    """How many chat models the file holds."""
    sha256: str
    """Of the file's bytes."""


class CatalogIndex(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the data came from, and what there is."""

    package: str
    """npm name, `@earendil-works/pi-ai`."""
    version: str
    tarball_sha256: str
    """Of the `.tgz` as published."""
    schema_version: int
    """pi's own version of the shape of its data."""
    structure_hash: str
    """pi's own hash of that shape."""
    generated_at: str
    """When pi generated its data, ISO 8601 in UTC."""
    generated_at_ms: int
    """The same in milliseconds since the epoch; pi's cached catalogues count only when they are later."""
    providers: tuple[ProviderIndex, ...]
    """In pi's order, which is the order of every list of models."""


_INDEX_DECODER: Final = msgspec.json.Decoder(CatalogIndex)
_MODELS_DECODER: Final = msgspec.json.Decoder(tuple[Model, ...])


def decode_index(data: bytes) -> CatalogIndex:
    """Decode `index.json`.

    Raises:
        msgspec.ValidationError: the data is not of this shape.
    """
    return _INDEX_DECODER.decode(data)


def decode_models(data: bytes) -> tuple[Model, ...]:
    """Decode one provider's file.

    Raises:
        msgspec.ValidationError: the data is not of this shape.
    """
    return _MODELS_DECODER.decode(data)


@functools.cache
def catalog_index() -> CatalogIndex:
    """Return the shipped index."""
    return decode_index(read_data("index.json"))


def builtin_provider_ids() -> tuple[str, ...]:
    """Return every built-in provider in pi's order, also one without chat models (`typesafe`)."""
    return tuple(provider.id for provider in catalog_index().providers)


def builtin_models(provider: str) -> tuple[Model, ...]:
    """Return the built-in chat models of `provider` in pi's order; none for an unknown provider."""
    return _shipped_models(provider) if provider in builtin_provider_ids() else ()


@functools.lru_cache(maxsize=64)  # more than there are built-in providers; others never get here
def _shipped_models(provider: str) -> tuple[Model, ...]:
    return decode_models(read_data(f"{provider}.json"))


def read_data(name: str) -> bytes:
    """Return a file of `data/`, also from inside a zip.

    Raises:
        FileNotFoundError: the installation is incomplete.
    """
    content = pkgutil.get_data("pi_model_proxy.catalog", f"{DATA_FOLDER}/{name}")
    if content is None:
        raise FileNotFoundError(f"the package was installed without {DATA_FOLDER}/{name}; install it again")
    return content
