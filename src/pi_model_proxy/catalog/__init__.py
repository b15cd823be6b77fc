"""Which models exist: limits, prices, thinking levels, quirks; pure values and data."""

from pi_model_proxy.catalog.builtin import (
    CatalogIndex,
    builtin_models,
    builtin_provider_ids,
    catalog_index,
)
from pi_model_proxy.catalog.compose import (
    ComposedProvider,
    Composition,
    CompositionFault,
    compose,
    configured_headers,
)
from pi_model_proxy.catalog.model import Model, Price, PriceTier
from pi_model_proxy.catalog.models_file import (
    FileFault,
    InvalidFileError,
    ModelsFile,
    ProviderConfig,
    parse_models_json,
)
from pi_model_proxy.catalog.near import find_near
from pi_model_proxy.catalog.price import cost_of
from pi_model_proxy.catalog.reference import Selected, Selection, select_models
from pi_model_proxy.catalog.store_file import ModelsStore, parse_models_store
from pi_model_proxy.catalog.thinking import THINKING_LEVELS, clamp_level, split_level, supported_levels

__all__ = [
    "THINKING_LEVELS",
    "CatalogIndex",
    "ComposedProvider",
    "Composition",
    "CompositionFault",
    "FileFault",
    "InvalidFileError",
    "Model",
    "ModelsFile",
    "ModelsStore",
    "Price",
    "PriceTier",
    "ProviderConfig",
    "Selected",
    "Selection",
    "builtin_models",
    "builtin_provider_ids",
    "catalog_index",
    "clamp_level",
    "compose",
    "configured_headers",
    "cost_of",
    "find_near",
    "parse_models_json",
    "parse_models_store",
    "select_models",
    "split_level",
    "supported_levels",
]
