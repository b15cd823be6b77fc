"""docs/providers.md says what the provider table, the catalogue and the dialects say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Final

import pytest

from pi_model_proxy.catalog import builtin_models, builtin_provider_ids
from pi_model_proxy.dialects.table import CLIENTS
from pi_model_proxy.providers import PROVIDERS

ROOT: Final = Path(__file__).resolve().parents[2]
PAGE: Final = ROOT / "docs" / "providers.md"
PROVIDERS_OF_PI: Final = 43
MODELS_OF_PI: Final = 1643


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("providers_docs", ROOT / "scripts" / "providers_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_what_the_script_writes(script: ModuleType) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert script.page_with_tables(page) == page, "run scripts/providers_docs.py"


def test_every_provider_of_pi_has_a_row_and_stands_on_the_page() -> None:
    known = builtin_provider_ids()
    assert len(known) == PROVIDERS_OF_PI
    assert set(known) == set(PROVIDERS)
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    assert [provider for provider in known if not any(f"| `{provider}` |" in line for line in lines)] == []


def test_every_model_of_the_catalogue_speaks_a_kind_that_is_served() -> None:
    models = [model for provider in builtin_provider_ids() for model in builtin_models(provider)]
    assert len(models) == MODELS_OF_PI
    assert {model.api for model in models} == set(CLIENTS)
