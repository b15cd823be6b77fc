"""What is sent once more where it was refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.google_gemini import CLIENT
from pi_model_proxy.errors import UpstreamError
from support.gemini_wire import event

UNKNOWN = "Invalid JSON payload received. Unknown name \"responseJsonSchema\" at 'generation_config': Cannot find field."
MISSING = "Function call is missing a thought_signature in functionCall parts. Additional data, function call `f`, position 2."
CORRUPTED = "Corrupted thought signature."


def _mended(body: Any, message: str, kind: str = "bad_request") -> Any:
    mended = CLIENT.mend(json.dumps(body).encode(), UpstreamError(message, status=400, kind=kind))
    return None if mended is None else json.loads(mended)


@pytest.mark.parametrize("message", [MISSING, CORRUPTED])
def test_refused_signatures_give_way_to_googles_stand_in(message: str) -> None:
    parts = [
        {"text": "hm", "thought_signature": "QUJD"},
        {"function_call": {"name": "f"}, "thoughtSignature": "QUJD"},
        {"functionCall": {"name": "g"}, "thoughtSignature": "QUJD"},
    ]
    mended = _mended({"contents": [{"role": "model", "parts": parts}, {"parts": {"text": "x"}}]}, message)
    assert mended["contents"] == [
        {
            "role": "model",
            "parts": [
                {"text": "hm"},
                {"function_call": {"name": "f"}, "thoughtSignature": "skip_thought_signature_validator"},
                {"functionCall": {"name": "g"}},
            ],
        },
        {"parts": {"text": "x"}},
    ]
    assert _mended(mended, message) is None


def test_unknown_json_schemas_become_googles_own() -> None:
    schema = {"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}}
    mended = _mended(
        {
            "tools": [
                {"function_declarations": [{"name": "f", "parameters_json_schema": schema}, {"name": "g"}]}
            ],
            "generation_config": {"responseJsonSchema": schema},
        },
        UNKNOWN,
    )
    plain = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert mended == {
        "tools": [{"function_declarations": [{"name": "f", "parameters": plain}, {"name": "g"}]}],
        "generation_config": {"responseSchema": plain},
    }


@pytest.mark.parametrize(
    ("body", "message", "kind"),
    [
        ({"contents": []}, "something else", "bad_request"),
        ({"contents": []}, CORRUPTED, "overloaded"),
        ({"contents": 1, "tools": "x", "generationConfig": []}, UNKNOWN, "bad_request"),
        ({"contents": 1}, CORRUPTED, "bad_request"),
        ([], CORRUPTED, "bad_request"),
    ],
)
def test_nothing_else_is_sent_again(body: Any, message: str, kind: str) -> None:
    assert _mended(body, message, kind) is None
    assert event() is not None
