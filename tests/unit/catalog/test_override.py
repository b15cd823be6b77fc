"""How settings of models.json merge into a model, member by member or as a whole."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.catalog import Model, Price, PriceTier, parse_models_json
from pi_model_proxy.catalog.override import apply_override, merge_compat

TIER = PriceTier(input_tokens_above=9, input=9)
BASE = Model(
    provider="p",
    id="m",
    api="a",
    name="Base",
    thinking_level_map={"low": "l", "high": "h"},
    input_limits={
        "maxRequestBytes": 1,
        "images": {"maxPerRequest": 2, "resize": {"maxWidth": 3, "maxHeight": 4}},
    },
    cost=Price(input=1, output=2, tiers=(TIER,)),
    prompt_cache={"short": 5, "long": 6},
    sampling_params={"a": 1, "b": 2},
    sampling_params_by_thinking_level={"low": {"x": 1, "y": 2}},
)


def overridden(**settings: Any) -> Model:
    text = json.dumps({"providers": {"p": {"modelOverrides": {"m": settings}}}})
    return apply_override(BASE, parse_models_json(text, "models.json").providers["p"].model_overrides["m"])


def test_an_override_that_says_nothing_changes_nothing() -> None:
    assert overridden() == BASE


@pytest.mark.parametrize(
    ("settings", "field", "merged"),
    [
        ({"name": "New"}, "name", "New"),
        ({"reasoning": True}, "reasoning", True),
        ({"input": []}, "input", ()),
        ({"contextWindow": 5, "maxTokens": 3}, "context_window", 5),
        ({"thinkingLevelMap": {"low": None, "unheard of": "x"}}, "thinking_level_map", {"low": None, "high": "h"}),
        ({"promptCache": {"long": 7}}, "prompt_cache", {"short": 5, "long": 7}),
        ({"samplingParams": {"b": 3}}, "sampling_params", {"a": 1, "b": 3}),
        (
            {"samplingParamsByThinkingLevel": {"low": {"y": 3}, "max": {"z": 1}}},
            "sampling_params_by_thinking_level",
            {"low": {"x": 1, "y": 3}, "max": {"z": 1}},
        ),
        ({"cost": {"output": 3}}, "cost", Price(input=1, output=3, tiers=(TIER,))),
        ({"cost": {"tiers": []}}, "cost", Price(input=1, output=2)),
        (
            {"inputLimits": {"images": {"resize": {"maxHeight": 9}}}},
            "input_limits",
            {"maxRequestBytes": 1, "images": {"maxPerRequest": 2, "resize": {"maxWidth": 3, "maxHeight": 9}}},
        ),
        (
            {"inputLimits": {"maxRequestBytes": 8, "images": {"maxPerMessage": 1}}},
            "input_limits",
            {"maxRequestBytes": 8, "images": {"maxPerRequest": 2, "maxPerMessage": 1, "resize": {"maxWidth": 3, "maxHeight": 4}}},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_setting_merges_as_in_pi(settings: dict[str, Any], field: str, merged: object) -> None:
    assert getattr(overridden(**settings), field) == merged


@pytest.mark.parametrize(
    "flag", ["openRouterRouting", "vercelGatewayRouting", "chatTemplateKwargs", "chatTemplateArgs"]
)
def test_the_flags_that_hold_objects_merge_member_by_member(flag: str) -> None:
    assert merge_compat({flag: {"a": 1, "b": 1}}, {flag: {"b": 2}}) == {flag: {"a": 1, "b": 2}}
    assert merge_compat({}, {flag: {"b": 2}}) == {flag: {"b": 2}}
    assert merge_compat({flag: {"a": 1}}, {"supportsStore": False}) == {
        flag: {"a": 1},
        "supportsStore": False,
    }


def test_every_other_flag_is_replaced_as_a_whole() -> None:
    assert merge_compat({"unheardOf": {"a": 1}, "x": 1}, {"unheardOf": {"b": 2}}) == {
        "unheardOf": {"b": 2},
        "x": 1,
    }
    assert merge_compat({"x": 1}, None) == {"x": 1}
