"""pi's `models.json`: providers and models that users add or change.

Source: pi 1.5.2 `dist/core/model-config.js` and its schema. As in pi, one error rejects the whole file; unlike pi,
every error names its line and column.
"""

from __future__ import annotations

import functools
from typing import Any, Final, Literal

import msgspec

from pi_model_proxy.catalog.builtin import read_data
from pi_model_proxy.catalog.model import Price, PriceTier
from pi_model_proxy.catalog.schema import Schema
from pi_model_proxy.wire import lenient_json

__all__ = [
    "FileFault",
    "InvalidFileError",
    "ModelDefinition",
    "ModelOverride",
    "ModelsFile",
    "PriceChange",
    "ProviderConfig",
    "parse_models_json",
]

MAX_FAULTS: Final = 20
"""Faults named for one file; whoever mends twenty reads on."""


class FileFault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong in a file."""

    filename: str
    line: int
    """Counts from 1; 0 when the fault has no place."""
    column: int
    """Counts from 1, in characters; 0 when the fault has no place."""
    path: str
    """JSON path, such as `providers.acme.models[0].id`; empty for a syntax error."""
    message: str
    """What is wrong; shows no value, which may be a secret."""

    @property
    def where(self) -> str:
        """`file:line:column`, as editors and terminals understand it."""
        return f"{self.filename}:{self.line}:{self.column}" if self.line else self.filename

    @property
    def text(self) -> str:
        """The whole complaint on one line."""
        return f"{self.where}: {self.path} {self.message}" if self.path else f"{self.where}: {self.message}"


class InvalidFileError(ValueError):
    """A file of pi's is rejected as a whole; whoever holds an earlier state keeps it."""

    def __init__(self, faults: tuple[FileFault, ...]) -> None:
        super().__init__("\n".join(fault.text for fault in faults))
        self.faults = faults
        """At least one, in the order of the file; at most `MAX_FAULTS`."""


class PriceChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Some rates of a `Price`; None keeps what the model has."""

    input: float | None = None
    output: float | None = None
    cache_read: float | None = None
    cache_write: float | None = None
    tiers: tuple[PriceTier, ...] | None = None


class ModelOverride(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An entry of `modelOverrides`; None keeps what the model has, objects merge member by member."""

    name: str | None = None
    reasoning: bool | None = None
    thinking_level_map: dict[str, Any] | None = None
    input: tuple[str, ...] | None = None
    input_limits: dict[str, Any] | None = None
    cost: PriceChange | None = None
    prompt_cache: dict[str, Any] | None = None
    context_window: float | None = None
    max_tokens: float | None = None
    sampling_params: dict[str, Any] | None = None
    sampling_params_by_thinking_level: dict[str, Any] | None = None
    headers: dict[str, str] | None = None
    """Values as written: templates, or `!command`."""
    compat: dict[str, Any] | None = None


class ModelDefinition(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An entry of `models`: a whole model, with pi's defaults for what it leaves out."""

    id: str
    name: str | None = None
    api: str | None = None
    base_url: str | None = None
    reasoning: bool = False
    thinking_level_map: dict[str, Any] = {}
    """May hold other names than levels: pi allows them, and nobody reads them."""
    input: tuple[str, ...] = ("text",)
    input_limits: dict[str, Any] = {}
    cost: Price = Price()
    prompt_cache: dict[str, Any] = {}
    context_window: float = 128_000
    max_tokens: float = 16_384
    sampling_params: dict[str, Any] = {}
    sampling_params_by_thinking_level: dict[str, Any] = {}
    headers: dict[str, str] = {}
    """Values as written: templates, or `!command`."""
    compat: dict[str, Any] = {}


class ProviderConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An entry of `providers`; `repr` shows neither key nor headers."""

    name: str | None = None
    base_url: str | None = None
    api_key: str | None = None
    """As written: a literal, a template or `!command`."""
    api: str | None = None
    oauth: Literal["radius"] | None = None
    headers: dict[str, str] | None = None
    """Values as written: templates, or `!command`."""
    compat: dict[str, Any] | None = None
    auth_header: bool | None = None
    models: tuple[ModelDefinition, ...] = ()
    model_overrides: dict[str, ModelOverride] = {}

    def __repr__(self) -> str:  # type: ignore[explicit-override]  # typing.override needs Python 3.12
        return f"ProviderConfig(name={self.name!r}, base_url={self.base_url!r}, models={len(self.models)})"


class ModelsFile(msgspec.Struct, frozen=True, kw_only=True):
    """A valid `models.json`."""

    providers: dict[str, ProviderConfig] = {}
    """In the order of the file."""


@functools.cache
def _schema() -> Schema:
    return Schema(msgspec.json.decode(read_data("models.schema.json")))


def parse_models_json(text: str, filename: str) -> ModelsFile:
    """Decode and check a `models.json`.

    Args:
        text: The file's text. `//` comments, trailing commas and a byte order mark are allowed; `/* */` is not,
            because pi would reject the file.
        filename: For messages only.

    Raises:
        InvalidFileError: it is no JSON, or breaks pi's schema.
    """
    if not text.lstrip(lenient_json.BYTE_ORDER_MARK).strip():
        message = 'the file is empty; write {"providers": {}} or delete it'
        raise InvalidFileError((FileFault(filename=filename, line=1, column=1, path="", message=message),))
    try:
        document = lenient_json.parse(text, block_comments=False)
    except lenient_json.JsonSyntaxError as error:
        line, column = error.position
        fault = FileFault(filename=filename, line=line, column=column, path="", message=error.message)
        raise InvalidFileError((fault,)) from error
    faults = [
        _fault(document, filename, violation.path, violation.message)
        for violation in _schema().violations(document.value)[:MAX_FAULTS]
    ]
    if faults:
        raise InvalidFileError(tuple(faults))
    return msgspec.convert(document.value, ModelsFile)


def _fault(
    document: lenient_json.JsonDocument, filename: str, path: tuple[lenient_json.PathStep, ...], message: str
) -> FileFault:
    line, column = document.position_of(path)
    where = lenient_json.format_path(path) or "the file"
    return FileFault(filename=filename, line=line, column=column, path=where, message=message)
