"""Errors in Google's words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy import errors
from pi_model_proxy.dialects.google_gemini import SERVER
from pi_model_proxy.errors import (
    BadRequest,
    BodyTooLarge,
    CredentialError,
    Forbidden,
    GatewayError,
    KindNotServed,
    LoopDetected,
    MethodNotAllowed,
    NotAuthenticated,
    NotReady,
    TooManyRequests,
    UnknownModel,
    UnsupportedFeature,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)


def _words(error: GatewayError) -> Any:
    answer = SERVER.encode_error(error, "req_1")
    words = json.loads(answer.body)["error"]
    assert words["code"] == answer.status
    return words


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadRequest("x"), 400, "INVALID_ARGUMENT"),
        (UnsupportedFeature("x"), 400, "INVALID_ARGUMENT"),
        (NotAuthenticated("x"), 401, "UNAUTHENTICATED"),
        (Forbidden("x"), 403, "PERMISSION_DENIED"),
        (UnknownModel("x"), 404, "NOT_FOUND"),
        (MethodNotAllowed("x"), 405, "UNIMPLEMENTED"),
        (BodyTooLarge("x"), 413, "INVALID_ARGUMENT"),
        (TooManyRequests("x"), 429, "RESOURCE_EXHAUSTED"),
        (KindNotServed("x"), 501, "UNIMPLEMENTED"),
        (CredentialError("x"), 502, "INTERNAL"),
        (NotReady("x"), 503, "UNAVAILABLE"),
        (LoopDetected("x"), 508, "FAILED_PRECONDITION"),
        (UpstreamUnreachable("x"), 502, "INTERNAL"),
        (UpstreamTimeout("x"), 504, "DEADLINE_EXCEEDED"),
        (UpstreamError("x", status=402, kind="billing"), 402, "RESOURCE_EXHAUSTED"),
        (
            UpstreamError("x", status=409, kind="bad_request", family="google", native_type="ABORTED"),
            409,
            "ABORTED",
        ),
        (
            UpstreamError("x", status=400, kind="bad_request", family="openai", native_type="ABORTED"),
            400,
            "INVALID_ARGUMENT",
        ),
        (UpstreamError("x", status=502, family="google", native_type="MALFORMED_RESPONSE"), 502, "INTERNAL"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, GatewayError) else str(value),
)
def test_an_error_has_its_status_and_canonical_code(error: GatewayError, status: int, code: str) -> None:
    words = _words(error)
    assert (words["code"], words["status"], words["message"]) == (status, code, "x")


def test_every_kind_of_error_has_a_row() -> None:
    kinds = {
        each.kind
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, GatewayError)
    }
    for kind in kinds:
        assert _words(UpstreamError("x", status=500, kind=kind))["status"]


def test_details_tell_what_to_do() -> None:
    assert _words(TooManyRequests("x", retry_after_s=1.2))["details"] == [
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "2s"}
    ]
    assert _words(NotAuthenticated("x"))["details"][0]["reason"] == "API_KEY_INVALID"
    assert _words(BadRequest("a: must be b.", param="a"))["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "a", "description": "a: must be b."}],
        }
    ]


def test_headers_tell_whether_to_try_again() -> None:
    assert SERVER.encode_error(UpstreamError("x", status=402, kind="billing"), "r").headers == {
        "x-should-retry": "false"
    }
    error = UpstreamError("x", status=429, kind="rate_limit", retry_after_s=0.4, should_retry=True)
    assert SERVER.encode_error(error, "r").headers == {"retry-after": "1", "x-should-retry": "true"}
    assert SERVER.encode_error(BadRequest("x"), "r").headers == {}
