"""pi's `models-store.json`: catalogues it fetched, which may be newer than the built-in one.

Source: pi 1.5.2 `dist/core/models-store.js`, `dist/core/remote-catalog-provider.js`. pi writes the file, and does
not check it when reading; a record that no model can be made of is passed over here and reported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.catalog.model import Model
from pi_model_proxy.catalog.models_file import FileFault, InvalidFileError
from pi_model_proxy.wire import lenient_json

__all__ = ["ModelsStore", "StoredCatalog", "parse_models_store"]

OTHER_TYPES: Final = frozenset({"image", "classifier"})
"""Models that pi knows and that no endpoint of ours speaks to."""


class StoredCatalog(msgspec.Struct, frozen=True, kw_only=True):
    """What pi fetched for one provider."""

    models: tuple[Model, ...] = ()
    """Chat models that name this provider."""
    others: int = 0
    """How many image and classifier models name this provider."""
    last_modified_ms: float | None = None
    """The server's `Last-Modified`, in milliseconds since the epoch; None when pi never learnt it."""


class ModelsStore(msgspec.Struct, frozen=True, kw_only=True):
    """A readable `models-store.json`."""

    providers: dict[str, StoredCatalog] = {}
    faults: tuple[FileFault, ...] = ()
    """Records that were passed over."""


def parse_models_store(text: str, filename: str) -> ModelsStore:
    """Decode a `models-store.json`; an empty text is an empty store, as in pi.

    Raises:
        InvalidFileError: it is not a JSON object.
    """
    if not text.lstrip(lenient_json.BYTE_ORDER_MARK).strip():
        return ModelsStore()
    try:
        document = lenient_json.parse(text, block_comments=False)
    except lenient_json.JsonSyntaxError as error:
        line, column = error.position
        fault = FileFault(filename=filename, line=line, column=column, path="", message=error.message)
        raise InvalidFileError((fault,)) from error
    if not isinstance(document.value, dict):
        fault = FileFault(
            filename=filename, line=1, column=1, path="the file", message="must be an object {...}"
        )
        raise InvalidFileError((fault,))
    catalogs: dict[str, StoredCatalog] = {}
    faults: list[FileFault] = []
    for provider, entry in document.value.items():
        catalogs[provider], broken = _read_entry(provider, entry)
        faults += (
            FileFault(
                filename=filename, line=0, column=0, path=lenient_json.format_path(path), message=message
            )
            for path, message in broken
        )
    return ModelsStore(providers=catalogs, faults=tuple(faults))


_Broken = tuple[tuple[lenient_json.PathStep, ...], str]


def _read_entry(provider: str, entry: object) -> tuple[StoredCatalog, list[_Broken]]:
    """Return what can be read of one provider's entry, and why not the rest."""
    if not isinstance(entry, dict) or not isinstance(entry.get("models"), list):
        return StoredCatalog(), [((provider,), "has no list of models; pi fetches it anew")]
    models: list[Model] = []
    broken: list[_Broken] = []
    others = 0
    for index, record in enumerate(entry["models"]):
        if not isinstance(record, dict) or record.get("provider") != provider:
            continue
        if record.get("type") in OTHER_TYPES:
            others += 1
        elif record.get("type", "chat") == "chat":
            try:
                models.append(_read_model(record))
            except msgspec.ValidationError as error:
                broken.append(((provider, "models", index), f"is no model this version understands: {error}"))
    modified = entry.get("lastModified")
    known = isinstance(modified, int | float) and not isinstance(modified, bool)
    return StoredCatalog(
        models=tuple(models), others=others, last_modified_ms=modified if known else None
    ), broken


def _read_model(record: Mapping[str, Any]) -> Model:
    return msgspec.convert({name: value for name, value in record.items() if value is not None}, Model)
