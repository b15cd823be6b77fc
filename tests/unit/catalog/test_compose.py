"""Merging the catalogue with pi's files; `golden/compose.json` holds what a running pi made of generated ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pi_model_proxy.catalog import (
    Composition,
    Model,
    ModelsStore,
    builtin_models,
    builtin_provider_ids,
    catalog_index,
    compose,
    configured_headers,
    parse_models_json,
    parse_models_store,
)

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "compose.json").read_text())
NOTHING = '{"providers": {}}'


def composed(providers: dict[str, Any], store: dict[str, Any] | None = None) -> Composition:
    models_file = parse_models_json(json.dumps({"providers": providers}), "models.json")
    return compose(models_file, parse_models_store(json.dumps(store or {}), "models-store.json"))


def models_of(composition: Composition, provider: str) -> dict[str, Model]:
    return {
        model.id: model for entry in composition.providers if entry.id == provider for model in entry.models
    }


def record_of(model: Model) -> dict[str, Any]:
    return record_in_short(json.loads(msgspec.json.encode(model)))


RADIUS_ONLY = {"lab", "enabled", "providers", "free"}
MAY_BE_BLANK = {"provider", "id", "name", "api", "baseUrl", "input"}


def record_in_short(record: dict[str, Any]) -> dict[str, Any]:
    """Drop what says nothing: pi leaves out or sets to undefined what we hold as an empty value."""
    cost = {name: rate for name, rate in record["cost"].items() if rate not in (None, [])}
    limits = {name: limit for name, limit in record.get("inputLimits", {}).items() if limit is not None}
    return {
        name: value
        for name, value in {**record, "cost": cost, "inputLimits": limits}.items()
        if name not in {"type", *RADIUS_ONLY} and (name in MAY_BE_BLANK or value not in (None, {}))
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"seed {case['seed']}")
def test_every_record_is_the_one_that_pi_gives_for_the_same_files(case: dict[str, Any]) -> None:
    composition = composed(case["models"]["providers"], case["store"])

    named = {*case["models"]["providers"], *case["store"]}
    ours = [
        record_of(model) for entry in composition.providers if entry.id in named for model in entry.models
    ]
    shipped = {
        (model.provider, model.id): record_of(model) for name in named for model in builtin_models(name)
    }
    theirs = [
        shipped[tuple(record)] if isinstance(record, list) else record_in_short(record)
        for record in case["offered"]
    ]
    assert ours == theirs


def test_without_files_every_shipped_model_is_offered_in_order() -> None:
    composition = compose(parse_models_json(NOTHING, "models.json"), ModelsStore())

    assert tuple(entry.id for entry in composition.providers) == builtin_provider_ids()
    assert sum(len(entry.models) for entry in composition.providers) == 1643
    assert not composition.faults


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [
        pytest.param({}, "must give at least one of", id="nothing said"),
        pytest.param({"api": "x", "name": "y"}, "must give at least one of", id="nothing that counts said"),
        pytest.param(
            {"oauth": "radius"}, '"baseUrl" is required when "oauth"', id="a gateway without address"
        ),
        pytest.param({"models": [{"id": "m"}], "baseUrl": "http://x"}, 'no "api" given', id="no kind"),
        pytest.param(
            {"models": [{"id": "m", "api": "openai-completions"}]}, '"baseUrl" is required', id="no address"
        ),
    ],
)
def test_an_incomplete_provider_is_left_out_and_the_others_stay(
    entry: dict[str, Any], complaint: str
) -> None:
    good = {"baseUrl": "http://g", "api": "openai-completions", "models": [{"id": "m"}]}
    composition = composed({"acme": entry, "good": good})

    (fault,) = composition.faults
    assert fault.provider == "acme"
    assert complaint in fault.message
    assert not models_of(composition, "acme")
    assert list(models_of(composition, "good")) == ["m"]


def test_a_built_in_provider_with_a_faulty_entry_keeps_its_built_in_form() -> None:
    composition = composed({"anthropic": {"oauth": "radius"}})

    (anthropic,) = [entry for entry in composition.providers if entry.id == "anthropic"]
    assert composition.faults[0].provider == "anthropic"
    assert anthropic.models == builtin_models("anthropic")
    assert anthropic.config is None


def test_the_old_name_of_azure_means_azure() -> None:
    composition = composed({"azure-openai-responses": {"baseUrl": "https://mine.example"}})

    assert {model.base_url for model in models_of(composition, "azure").values()} == {"https://mine.example"}
    assert "azure-openai-responses" not in {entry.id for entry in composition.providers}


def test_the_old_name_of_azure_gives_way_to_the_new_one() -> None:
    composition = composed(
        {"azure-openai-responses": {"baseUrl": "http://old"}, "azure": {"baseUrl": "http://new"}}
    )

    assert {model.base_url for model in models_of(composition, "azure").values()} == {"http://new"}


def test_a_whole_provider_under_azures_old_name_stays_one() -> None:
    own = {"baseUrl": "http://x", "api": "openai-responses", "models": [{"id": "m"}]}

    assert list(models_of(composed({"azure-openai-responses": own}), "azure-openai-responses")) == ["m"]


def test_models_that_only_a_running_extension_can_route_are_left_out() -> None:
    own = {
        "baseUrl": "http://x",
        "models": [{"id": "v", "api": "pi-virtual"}, {"id": "m", "api": "openai-completions"}],
    }

    assert list(models_of(composed({"acme": own}), "acme")) == ["m"]


def test_gateways_of_ones_own_are_listed_before_other_providers_of_ones_own() -> None:
    plain = {"baseUrl": "http://x", "api": "openai-completions", "models": [{"id": "m"}]}
    gateway = {"baseUrl": "https://radius.pi.dev/v1", "oauth": "radius"}
    composition = composed({"acme": plain, "team": gateway})

    assert [entry.id for entry in composition.providers][-2:] == ["team", "acme"]
    assert len(models_of(composition, "team")) == len(builtin_models("radius"))


def test_a_stored_catalogue_counts_only_when_it_is_newer_than_the_shipped_one() -> None:
    record = {"id": "brand-new", "provider": "deepseek", "api": "openai-completions", "baseUrl": "http://s"}
    shipped_at = catalog_index().generated_at_ms

    stale = composed({}, {"deepseek": {"models": [record], "lastModified": shipped_at}})
    fresh = composed({}, {"deepseek": {"models": [record], "lastModified": shipped_at + 1}})

    assert "brand-new" not in models_of(stale, "deepseek")
    assert list(models_of(fresh, "deepseek"))[-1] == "brand-new"


def test_an_enormous_number_of_tokens_is_cut_where_whole_numbers_end() -> None:
    own = f'{{"providers": {{"acme": {{"baseUrl": "http://x", "api": "a", "models": [{{"id": "m", "maxTokens": 1e999, "contextWindow": {"9" * 40}}}]}}}}}}'
    (model,) = models_of(compose(parse_models_json(own, "models.json"), ModelsStore()), "acme").values()

    assert (model.max_tokens, model.context_window) == (2**53, 2**53)


def test_headers_of_a_definition_win_over_those_of_an_override() -> None:
    entry = {
        "baseUrl": "http://x",
        "api": "a",
        "headers": {"x-provider": "p"},
        "models": [{"id": "m", "headers": {"x-a": "definition"}}],
        "modelOverrides": {"m": {"headers": {"x-a": "override", "x-b": "$B"}}, "other": {"reasoning": True}},
    }
    config = parse_models_json(json.dumps({"providers": {"acme": entry}}), "models.json").providers["acme"]

    assert configured_headers(config, "m") == {"x-a": "definition", "x-b": "$B"}
    assert configured_headers(config, "other") == {}
    assert configured_headers(None, "m") == {}


def test_the_shipped_catalogue_can_be_exchanged() -> None:
    only = Model(provider="demo", id="m", api="openai-completions")
    composition = compose(
        parse_models_json(NOTHING, "models.json"),
        ModelsStore(),
        shipped=lambda _provider: (only,),
        shipped_ids=("demo",),
        shipped_at_ms=0,
    )

    assert [entry.models for entry in composition.providers] == [(only,)]
