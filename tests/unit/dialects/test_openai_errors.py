"""The envelope that callers of OpenAI's formats know."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.openai_errors import encode_error, error_status
from pi_model_proxy.errors import (
    KINDS,
    BadRequest,
    GatewayError,
    MethodNotAllowed,
    NotReady,
    UnsupportedFeature,
    UpstreamError,
)


def said(error: GatewayError) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(encode_error(error).body)["error"]
    assert list(body) == ["message", "type", "param", "code"]
    return body


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_has_words(kind: str) -> None:
    assert said(UpstreamError("m", kind=kind))["type"]
    error = GatewayError("m")
    error.kind = kind
    assert 400 <= error_status(error) < 600


def test_the_path_of_the_fault_is_told() -> None:
    error = BadRequest("input[0].role: must be known.", param="input[0].role")
    assert said(error) == {
        "message": "input[0].role: must be known.",
        "type": "invalid_request_error",
        "param": "input[0].role",
        "code": None,
    }


def test_a_code_of_its_own_stands_for_the_kinds() -> None:
    error = UnsupportedFeature("m")
    assert said(error)["code"] == "unsupported_parameter"
    error.code = "previous_response_not_found"
    assert said(error)["code"] == "previous_response_not_found"


def test_openais_own_words_are_passed_on_and_others_are_not() -> None:
    native: dict[str, Any] = {
        "native_type": "tokens",
        "code": "rate_limit_exceeded_tpm",
        "kind": "rate_limit",
    }
    assert said(UpstreamError("m", family="openai", **native))["type"] == "tokens"
    assert said(UpstreamError("m", family="anthropic", **native))["type"] == "rate_limit_error"
    assert said(UpstreamError("m", family="openai", kind="upstream_auth", code="x"))["code"] == (
        "upstream_authentication_failed"
    )


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (
            "prompt is too long: 213462 tokens > 200000 maximum",
            "This model's maximum context length is 200000 tokens. However, your messages resulted in 213462 tokens. prompt is too long: 213462 tokens > 200000 maximum",
        ),
        ("too much", "The input is longer than this model's maximum context length. too much"),
        ("It exceeds the maximum context length.", "It exceeds the maximum context length."),
        (
            "This model's maximum context length is 10 tokens.",
            "This model's maximum context length is 10 tokens.",
        ),
    ],
)
def test_an_overflow_is_told_in_the_words_that_make_clients_compact(given: str, told: str) -> None:
    error = UpstreamError(given, status=413, kind="context_too_long", family="openai", code="else")
    assert (said(error)["message"], said(error)["code"]) == (told, "context_length_exceeded")
    assert encode_error(error).status == 400


def test_statuses_that_sdks_do_not_know_are_renamed() -> None:
    assert error_status(UpstreamError("m", status=529, kind="overloaded")) == 503
    assert error_status(UpstreamError("m", status=418, kind="upstream")) == 418


def test_waits_are_headers() -> None:
    assert encode_error(UpstreamError("m", retry_after_s=6.379)).headers == {
        "retry-after": "7",
        "retry-after-ms": "6379",
    }
    assert encode_error(UpstreamError("m", retry_after_s=30.0)).headers == {"retry-after": "30"}
    assert encode_error(NotReady("m")).headers == {"retry-after": "1"}
    assert encode_error(MethodNotAllowed("m", headers={"allow": "POST"})).headers == {"allow": "POST"}


def test_whether_to_try_again_is_a_header() -> None:
    assert encode_error(UpstreamError("m", kind="billing")).headers == {"x-should-retry": "false"}
    assert encode_error(UpstreamError("m", should_retry=True)).headers == {"x-should-retry": "true"}
