"""pi's models.json: what is accepted, and how what is not is named."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.catalog import InvalidFileError, parse_models_json
from pi_model_proxy.catalog.models_file import MAX_FAULTS
from pi_model_proxy.catalog.schema import Schema

GOOD = """\ufeff{
  // mine
  "$schema": "https://pi.dev/schemas/models.schema.json",
  "providers": {
    "local": {
      "name": "My box",
      "baseUrl": "http://127.0.0.1:8080/v1", "api": "openai-completions", "apiKey": "$LOCAL_KEY",
      "authHeader": true, "headers": {"x-a": "!echo b"},
      "compat": {"maxTokensField": "max_tokens", "reasoningEffortMap": {"high": "max"}},
      "models": [
        {"id": "a/b:c", "reasoning": true, "contextWindow": 1e5, "thinkingLevelMap": {"off": null, "someday": 1},
         "cost": {"input": 1, "output": 2, "cacheRead": 0, "cacheWrite": 0,
                  "tiers": [{"inputTokensAbove": 2e5, "input": 2, "output": 4, "cacheRead": 0, "cacheWrite": 0}]}},
      ],
      "modelOverrides": {"x": {"cost": {"output": 3}, "futureField": 1}},
    },
  },
}"""


def faults_of(text: str) -> list[str]:
    with pytest.raises(InvalidFileError) as caught:
        parse_models_json(text, "models.json")
    return [fault.text for fault in caught.value.faults]


def test_everything_pi_allows_is_read() -> None:
    local = parse_models_json(GOOD, "models.json").providers["local"]

    (model,) = local.models
    assert (local.name, local.base_url, local.api_key, local.auth_header) == (
        "My box", "http://127.0.0.1:8080/v1", "$LOCAL_KEY", True,
    )  # fmt: skip
    assert local.headers == {"x-a": "!echo b"}
    assert (model.id, model.context_window, model.max_tokens, model.input) == (
        "a/b:c",
        100_000,
        16_384,
        ("text",),
    )
    assert model.cost.tiers[0].input_tokens_above == 200_000
    assert local.model_overrides["x"].cost is not None
    assert local.model_overrides["x"].cost.input is None
    assert local.compat is not None
    assert local.compat["reasoningEffortMap"] == {"high": "max"}


def test_neither_key_nor_headers_are_shown_by_repr() -> None:
    shown = repr(parse_models_json(GOOD, "models.json"))

    assert "LOCAL_KEY" not in shown
    assert "echo" not in shown


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        pytest.param("", "models.json:1:1: the file is empty", id="an empty file"),
        pytest.param("{", "models.json:1:2: the file ends in the middle of a value", id="cut off"),
        pytest.param(
            "[]", "models.json:1:1: the file must be an object {...}, not an array [...]", id="no object"
        ),
        pytest.param("{}", 'models.json:1:1: the file lacks "providers"', id="no providers"),
        pytest.param(
            '{"providers": {/* no */}}', "models.json:1:16: expecting", id="a comment pi does not know"
        ),
    ],
)
def test_a_file_of_another_shape_is_refused(text: str, complaint: str) -> None:
    (fault,) = faults_of(text)

    assert fault.startswith(complaint)


@pytest.mark.parametrize(
    ("provider", "complaint"),
    [
        ({"apiKey": 5}, "providers.p.apiKey must be a string, not a number"),
        ({"apiKey": ""}, "providers.p.apiKey must have at least 1 character(s)"),
        ({"baseUrl": None}, "providers.p.baseUrl must be a string, not null"),
        ({"oauth": "github"}, 'providers.p.oauth must be "radius"'),
        ({"authHeader": "yes"}, "providers.p.authHeader must be true or false, not a string"),
        ({"headers": {"a": None}}, "providers.p.headers.a must be a string, not null"),
        ({"models": {}}, "providers.p.models must be an array [...], not an object {...}"),
        ({"models": [{"name": "x"}]}, 'providers.p.models[0] lacks "id"'),
        ({"models": [{"id": "m", "input": ["audio"]}]}, 'providers.p.models[0].input[0] must be "text" or "image"'),
        ({"models": [{"id": "m", "maxTokens": True}]}, "providers.p.models[0].maxTokens must be a number, not true or false"),
        ({"models": [{"id": "m", "maxTokens": 0}]}, "providers.p.models[0].maxTokens must be greater than 0"),
        ({"models": [{"id": "m", "cost": {"input": 1}}]}, 'providers.p.models[0].cost lacks "output"'),
        (
            {"models": [{"id": "m", "thinkingLevelMap": {"high": 3}}]},
            "providers.p.models[0].thinkingLevelMap.high must be a string or null",
        ),
        (
            {"models": [{"id": "m", "inputLimits": {"images": {"resize": {"jpegQuality": 101}}}}]},
            "providers.p.models[0].inputLimits.images.resize.jpegQuality must be at most 100",
        ),
        (
            {"models": [{"id": "m", "inputLimits": {"maxRequestBytes": 0.5}}]},
            "providers.p.models[0].inputLimits.maxRequestBytes must be a whole number, not a number",
        ),
        ({"compat": {"supportsStore": 1}}, "providers.p.compat.supportsStore must be true or false, not a number"),
        ({"compat": {"maxTokensField": "x"}}, 'providers.p.compat.maxTokensField must be "max_completion_tokens" or "max_tokens"'),
        (
            {"compat": {"allowedFallbackModels": [{}] * 4}},
            "providers.p.compat.allowedFallbackModels must have at most 3 elements",
        ),
        ({"modelOverrides": {"a/b": {"reasoning": 0}}}, 'providers.p.modelOverrides["a/b"].reasoning must be true or false, not a number'),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_each_rule_of_pis_schema_is_named_with_its_path(provider: dict[str, Any], complaint: str) -> None:
    faults = faults_of(json.dumps({"providers": {"p": provider}}))

    assert any(fault.endswith(complaint) for fault in faults), faults


def test_every_fault_is_named_where_it_stands() -> None:
    text = '{"providers": {\n  "a": {"apiKey": 1},\n  "b": {\n    "models": [{"id": "x"}, {"id": ""}]}}}'

    assert faults_of(text) == [
        "models.json:2:19: providers.a.apiKey must be a string, not a number",
        "models.json:4:36: providers.b.models[1].id must have at least 1 character(s)",
    ]


def test_no_value_is_shown_since_it_may_be_a_secret() -> None:
    assert "hunter2" not in "".join(
        faults_of('{"providers": {"p": {"apiKey": ["hunter2"], "oauth": "hunter2"}}}')
    )


def test_faults_are_bounded() -> None:
    many = {f"p{number}": 1 for number in range(1000)}

    assert len(faults_of(json.dumps({"providers": many}))) == MAX_FAULTS


def test_a_choice_is_described_by_its_options() -> None:
    schema = Schema({"anyOf": [{"enum": ["a", "b"]}, {"const": "c"}, {"type": "null"}]})

    assert [violation.message for violation in schema.violations(3)] == ['must be "a" or "b" or "c" or null']
    assert not schema.violations(None)


@pytest.mark.parametrize(
    "schema",
    [
        pytest.param({"multipleOf": 2}, id="a keyword"),
        pytest.param({"properties": {"a": {"items": {"pattern": "x"}}}}, id="deep inside"),
        pytest.param({"anyOf": [{"format": "uri"}]}, id="in a choice"),
        pytest.param({"$defs": {"A": {"not": {}}}}, id="in a definition"),
        pytest.param({"additionalProperties": False}, id="closed objects"),
        pytest.param({"patternProperties": {"^x": {}}}, id="names by pattern"),
    ],
)
def test_a_schema_with_rules_that_are_not_checked_is_refused(schema: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="not checked here"):
        Schema(schema)
