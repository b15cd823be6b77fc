"""`enabledModels`, compared with pi's own resolver (`golden/make_reference_golden.mjs`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.catalog import Model, select_models

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden" / "reference.json").read_text())
MODELS = [Model(api="openai-completions", **record) for record in GOLDEN["models"]]


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: " ; ".join(case["patterns"]))
def test_patterns_select_what_they_select_in_pi(case: dict[str, Any]) -> None:
    selection = select_models(case["patterns"], MODELS)

    assert [(entry.model, entry.level) for entry in selection.selected] == [
        (MODELS[index], level) for index, level in case["selected"]
    ]
    assert len(selection.notes) == case["notes"]


@pytest.mark.parametrize(
    ("pattern", "note"),
    [
        pytest.param("no-such-thing", 'no model matches "no-such-thing"', id="nothing matches"),
        pytest.param(
            "gpt-5", '"gpt-5" is offered by azure, openai; write provider/id to choose one', id="two offer it"
        ),
        pytest.param(
            "opus:hgih", '"hgih" in "opus:hgih" is no thinking level; the default is used', id="no level"
        ),
    ],
)
def test_a_pattern_that_may_surprise_is_noted(pattern: str, note: str) -> None:
    assert select_models([pattern], MODELS).notes == (note,)


def test_no_patterns_select_nothing() -> None:
    assert not select_models([], MODELS).selected


def test_of_several_levels_the_outermost_one_counts() -> None:
    (chosen,) = select_models(["claude-sonnet:low:high"], MODELS).selected

    assert (chosen.model.id, chosen.level) == ("claude-sonnet-5", "high")
