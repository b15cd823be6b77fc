"""What every provider offers: the built-in catalogue, pi's newer copies of it, and the user's models.json.

    built-in models
      ← models-store.json, where it is newer            (a record replaces the one of the same id)
      ← the provider's `baseUrl` and `compat`           (on all of these)
      ← `models[]`                                      (replaces by id, or is appended)
      ← `modelOverrides`                                (last)

Source: pi 1.5.2 `dist/core/provider-composer.js`, `dist/core/model-runtime.js`,
`dist/core/remote-catalog-provider.js`, pi-ai `dist/providers/radius.js`. Checked against a running pi.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from pi_model_proxy.catalog.builtin import builtin_models, builtin_provider_ids, catalog_index
from pi_model_proxy.catalog.model import Model
from pi_model_proxy.catalog.models_file import ModelDefinition, ModelsFile, ProviderConfig
from pi_model_proxy.catalog.override import apply_override, in_tokens, known_levels, merge_compat
from pi_model_proxy.catalog.store_file import ModelsStore, StoredCatalog

__all__ = ["ComposedProvider", "Composition", "CompositionFault", "compose", "configured_headers"]

RENAMED_PROVIDERS: Final[Mapping[str, str]] = {"azure-openai-responses": "azure"}
"""Old ids that pi 1.0.3 renamed, and what they are called now."""

VIRTUAL_API: Final = "pi-virtual"
"""The API kind of models that only a running pi extension can route."""

RADIUS: Final = "radius"
RADIUS_GATEWAY: Final = "https://radius.pi.dev"
"""The gateway whose models are the built-in ones of `radius`."""

PERSONAL_CATALOGS: Final = frozenset({"openrouter"})
"""Providers whose stored list is what the user's key may use, and so replaces the built-in one whatever its age."""


class CompositionFault(msgspec.Struct, frozen=True, kw_only=True):
    """Why a provider of models.json is not used as written; it keeps its built-in form, if it has one."""

    provider: str
    message: str


class ComposedProvider(msgspec.Struct, frozen=True, kw_only=True):
    """One provider with everything it offers."""

    id: str
    name: str | None
    """As models.json names it; None leaves it to the provider table."""
    models: tuple[Model, ...]
    """Chat models in pi's order; `Model.headers` are those of the catalogue only (see `configured_headers`)."""
    config: ProviderConfig | None = None
    """Its entry in models.json; None also when that entry is at fault."""
    is_builtin: bool = False


class Composition(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is, whether or not a credential can reach it."""

    providers: tuple[ComposedProvider, ...]
    """The built-in ones in pi's order, then Radius gateways, then the others of models.json in the file's order."""
    faults: tuple[CompositionFault, ...] = ()


class _CannotComposeError(Exception):
    """A provider's entry contradicts itself or lacks something."""


def compose(
    models_file: ModelsFile,
    store: ModelsStore,
    *,
    shipped: Callable[[str], tuple[Model, ...]] = builtin_models,
    shipped_ids: Sequence[str] | None = None,
    shipped_at_ms: int | None = None,
) -> Composition:
    """Merge all three sources, provider by provider; an error in one leaves the others alone.

    The keyword arguments replace the shipped catalogue: its models by provider, its providers, and when pi
    generated it.
    """
    ids = builtin_provider_ids() if shipped_ids is None else tuple(shipped_ids)
    generated_at_ms = catalog_index().generated_at_ms if shipped_at_ms is None else shipped_at_ms
    configs = _with_current_names(models_file.providers)
    providers: list[ComposedProvider] = []
    faults: list[CompositionFault] = []
    gateways = [name for name, config in configs.items() if _is_gateway(config)]
    for provider in dict.fromkeys((*ids, *gateways, *configs)):
        config = configs.get(provider)
        stored = store.providers.get(provider)
        if config is not None and config.base_url and _is_gateway(config):
            base = _radius_models(provider, config.base_url, stored=stored, shipped=shipped)
        elif provider in ids:
            base = _with_stored(provider, shipped(provider), stored=stored, generated_at_ms=generated_at_ms)
        else:
            base = ()
        try:
            models = _configured(provider, base, config)
        except _CannotComposeError as error:
            faults.append(CompositionFault(provider=provider, message=str(error)))
            if provider not in ids:
                continue
            models, config = base, None
        providers.append(
            ComposedProvider(
                id=provider,
                name=config.name if config else None,
                models=tuple(model for model in models if model.api != VIRTUAL_API),
                config=config,
                is_builtin=provider in ids,
            )
        )
    return Composition(providers=tuple(providers), faults=tuple(faults))


def configured_headers(config: ProviderConfig | None, model_id: str) -> dict[str, str]:
    """Return the headers that models.json sets for one model, values as written; `models[]` wins over `modelOverrides`.

    Provider-level headers are not among them: they rank below the catalogue's own.
    """
    if config is None:
        return {}
    override = config.model_overrides.get(model_id)
    definition = next((entry for entry in config.models if entry.id == model_id), None)
    return {
        **((override.headers or {}) if override else {}),
        **(definition.headers if definition else {}),
    }


def _is_gateway(config: ProviderConfig) -> bool:
    """Whether an entry declares a Radius gateway, which pi lists right after its own providers."""
    return config.oauth == RADIUS and bool(config.base_url)


def _with_current_names(configs: Mapping[str, ProviderConfig]) -> dict[str, ProviderConfig]:
    """Read an old provider id as the current one, unless the entry is a whole provider of its own under that name.

    Today's pi takes the old id for an unknown provider; one that defines models there still works, and keeps working.
    """
    named: dict[str, ProviderConfig] = {}
    for name, config in configs.items():
        current = RENAMED_PROVIDERS.get(name, name)
        is_taken = current != name and (current in configs or bool(config.models) or config.oauth is not None)
        named[name if is_taken else current] = config
    return named


def _with_stored(
    provider: str, builtin: tuple[Model, ...], *, stored: StoredCatalog | None, generated_at_ms: int
) -> tuple[Model, ...]:
    """Lay what pi fetched over the built-in models, by the rules of each provider."""
    if stored is None:
        return builtin
    if provider == RADIUS:
        return stored.models
    if provider in PERSONAL_CATALOGS:
        return stored.models if stored.models or stored.others else builtin
    if stored.last_modified_ms is None or stored.last_modified_ms <= generated_at_ms:
        return builtin
    return _by_id((*builtin, *stored.models))


def _by_id(models: Iterable[Model]) -> tuple[Model, ...]:
    """Keep the last model of each id, at the place of the first."""
    return tuple({model.id: model for model in models}.values())


def _radius_models(
    provider: str, base_url: str, *, stored: StoredCatalog | None, shipped: Callable[[str], tuple[Model, ...]]
) -> tuple[Model, ...]:
    """Return the models of a Radius gateway that models.json declares with `"oauth": "radius"`."""
    if stored is not None:
        return stored.models
    gateway = base_url.removesuffix("/").removesuffix("/v1")
    if not gateway.lower().startswith(("http://", "https://")):
        gateway = f"https://{gateway}"
    if gateway.rstrip("/") != RADIUS_GATEWAY:
        return ()
    return tuple(msgspec.structs.replace(model, provider=provider) for model in shipped(RADIUS))


def _configured(provider: str, base: tuple[Model, ...], config: ProviderConfig | None) -> tuple[Model, ...]:
    """Apply a provider's entry of models.json.

    Raises:
        _CannotComposeError: the entry says too little.
    """
    if config is None:
        return base
    _check_says_something(config)
    models = [_with_provider_settings(model, config) for model in base]
    for definition in config.models:
        model = _defined_model(provider, definition, config, known=models)
        place = next((index for index, other in enumerate(models) if other.id == definition.id), None)
        if place is None:
            models.append(model)
        else:
            models[place] = model
    overrides = config.model_overrides
    return tuple(
        apply_override(model, overrides[model.id]) if model.id in overrides else model for model in models
    )


def _check_says_something(config: ProviderConfig) -> None:
    if config.oauth and not config.base_url:
        raise _CannotComposeError('"baseUrl" is required when "oauth" is set')
    says = (
        config.models, config.base_url, config.headers is not None, config.compat is not None, config.model_overrides,
        config.api_key, config.oauth, config.auth_header is not None,
    )  # fmt: skip
    if not any(says):
        raise _CannotComposeError(
            'must give at least one of "baseUrl", "headers", "compat", "modelOverrides", "models", "apiKey"'
        )


def _with_provider_settings(model: Model, config: ProviderConfig) -> Model:
    keeps_url = config.oauth == RADIUS or config.base_url is None
    return msgspec.structs.replace(
        model,
        base_url=model.base_url if keeps_url else config.base_url,
        compat=merge_compat(model.compat, config.compat),
    )


def _defined_model(
    provider: str, definition: ModelDefinition, config: ProviderConfig, *, known: Sequence[Model]
) -> Model:
    """Make a whole model of an entry of `models`; only a missing `api` and `baseUrl` are borrowed from a known one."""
    lender = _find_lender(known, definition.id, definition.api or config.api)
    api = definition.api or config.api or (lender.api if lender else None)
    if not api:
        raise _CannotComposeError(
            f'model {definition.id}: no "api" given; set it for the provider or the model'
        )
    base_url = definition.base_url or config.base_url or (lender.base_url if lender else None)
    if not base_url:
        raise _CannotComposeError(f'model {definition.id}: "baseUrl" is required for models of your own')
    return Model(
        provider=provider,
        id=definition.id,
        name=definition.name or definition.id,
        api=api,
        base_url=base_url,
        reasoning=definition.reasoning,
        thinking_level_map=known_levels(definition.thinking_level_map),
        input=definition.input,
        input_limits=definition.input_limits,
        cost=definition.cost,
        context_window=in_tokens(definition.context_window),
        max_tokens=in_tokens(definition.max_tokens),
        prompt_cache=definition.prompt_cache,
        sampling_params=definition.sampling_params,
        sampling_params_by_thinking_level=known_levels(definition.sampling_params_by_thinking_level),
        compat=merge_compat(config.compat or {}, definition.compat),
    )


def _find_lender(known: Sequence[Model], model_id: str, api: str | None) -> Model | None:
    """Return whose `api` and `baseUrl` to borrow: the same id, else the same kind, else chat completions, else any."""
    tests: tuple[Callable[[Model], Any], ...] = (
        lambda model: model.id == model_id,
        lambda model: api is not None and model.api == api,
        lambda model: model.api == "openai-completions",
        lambda _model: True,
    )
    return next((model for test in tests for model in known if test(model)), None)
