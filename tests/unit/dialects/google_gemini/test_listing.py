"""The list of models."""

from __future__ import annotations

import json

from pi_model_proxy.dialects.google_gemini import ListedModel, encode_model, encode_models

MODEL = ListedModel(name="acme/m", display_name="M", context_tokens=1000, output_tokens=100, thinks=True)


def test_a_model_is_named_as_callers_ask_for_it() -> None:
    assert json.loads(encode_model(MODEL)) == {
        "name": "models/acme/m",
        "baseModelId": "acme/m",
        "version": "001",
        "displayName": "M",
        "description": "M",
        "inputTokenLimit": 1000,
        "outputTokenLimit": 100,
        "supportedGenerationMethods": ["generateContent", "streamGenerateContent", "countTokens"],
        "thinking": True,
    }


def test_a_page_says_where_the_next_one_begins() -> None:
    assert json.loads(encode_models([MODEL], next_token="2")).keys() == {"models", "nextPageToken"}
    assert json.loads(encode_models([])) == {"models": []}
