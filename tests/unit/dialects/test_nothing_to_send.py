"""A conversation of which nothing is left is refused by us, under the caller's own word for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.table import CLIENTS, DIALECTS
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from pi_model_proxy.hub import Target

EMPTY: list[tuple[str, dict[str, Any], str]] = [
    ("openai_responses", {"input": []}, "input"),
    ("openai_responses", {"input": ""}, "input"),
    ("openai_responses", {"input": [{"role": "user", "content": None}]}, "input"),
    ("google_gemini", {"contents": [{"parts": [{}]}]}, "contents"),
    ("ollama", {"messages": [{"role": "user", "content": None}]}, "messages"),
]


def target(kind: str) -> Target:
    return Target(provider="acme", model="m", public_model="acme/m", kind=kind)


@pytest.mark.parametrize("kind", sorted(CLIENTS))
@pytest.mark.parametrize(("dialect", "asked", "word"), EMPTY)
def test_nothing_to_send_is_refused_under_the_callers_word(
    dialect: str, asked: dict[str, Any], word: str, kind: str
) -> None:
    server = DIALECTS[dialect].server
    assert server is not None
    request = server.decode_request(json.dumps({"model": "m", **asked}).encode())
    with pytest.raises(BadRequest, match="nothing to send") as refused:
        CLIENTS[kind].encode_request(request, target(kind))
    assert refused.value.param == word


@pytest.mark.parametrize("kind", sorted(CLIENTS))
def test_several_answers_are_refused_under_the_callers_word(kind: str) -> None:
    server = DIALECTS["google_gemini"].server
    assert server is not None
    asked = {"contents": [{"parts": [{"text": "hi"}]}], "generationConfig": {"candidateCount": 2}}
    request = server.decode_request(json.dumps(asked).encode())
    with pytest.raises(UnsupportedFeature) as refused:
        CLIENTS[kind].encode_request(request, target(kind))
    assert refused.value.param == "generationConfig.candidateCount"
