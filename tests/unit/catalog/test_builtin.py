"""The shipped catalogue."""

from __future__ import annotations

import hashlib
import pkgutil

import pytest

from pi_model_proxy.catalog import builtin, builtin_models, builtin_provider_ids, catalog_index

DATA = "pi_model_proxy.catalog"


def test_the_catalogue_is_the_published_one() -> None:
    index = catalog_index()

    assert (index.package, index.version) == ("@earendil-works/pi-ai", "1.5.2")
    assert index.generated_at == "2026-11-10T12:05:37.628Z"
    assert index.generated_at_ms == 1_794_312_337_628
    assert len(builtin_provider_ids()) == 43
    assert sum(provider.models for provider in index.providers) == 1643


@pytest.mark.parametrize("provider", catalog_index().providers, ids=lambda provider: provider.id)
def test_each_file_is_whole_and_holds_what_the_index_says(provider: builtin.ProviderIndex) -> None:
    content = pkgutil.get_data(DATA, f"data/{provider.id}.json")
    models = builtin_models(provider.id)

    assert content is not None
    assert hashlib.sha256(content).hexdigest() == provider.sha256
    assert len(models) == provider.models
    assert {model.provider for model in models} <= {provider.id}
    assert len({model.id for model in models}) == len(models)


def test_a_model_has_everything_pi_knows_of_it() -> None:
    (claude,) = [model for model in builtin_models("anthropic") if model.id == "claude-sonnet-5"]

    assert claude.ref == "anthropic/claude-sonnet-5"
    assert (claude.api, claude.base_url) == ("anthropic-messages", "https://api.anthropic.com")
    assert (claude.cost.input, claude.cost.output, claude.cost.cache_read) == (2, 10, 0.2)
    assert (claude.context_window, claude.max_tokens) == (1_000_000, 128_000)
    assert claude.input == ("text", "image")
    assert claude.compat["forceAdaptiveThinking"] is True
    assert claude.prompt_cache == {"short": 300, "long": 3600}
    assert claude.input_limits["images"]["maxPerRequest"] == 600


def test_tiers_and_static_headers_are_there() -> None:
    tiers = [
        tier for name in builtin_provider_ids() for model in builtin_models(name) for tier in model.cost.tiers
    ]
    copilot = builtin_models("github-copilot")

    assert len(tiers) >= 277
    assert all(tier.input_tokens_above > 0 for tier in tiers)
    assert {model.headers["Copilot-Integration-Id"] for model in copilot} == {"vscode-chat"}


def test_a_provider_without_chat_models_has_none_and_an_unknown_one_neither() -> None:
    assert builtin_models("typesafe") == ()
    assert builtin_models("../index") == ()


def test_an_incomplete_installation_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pkgutil, "get_data", lambda *_: None)

    with pytest.raises(FileNotFoundError, match="install it again"):
        builtin.read_data("index.json")
