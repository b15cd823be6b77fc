"""What upstream errors mean, whoever's words they use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.dialects.errors import (
    MAX_MESSAGE_CHARS,
    error_from_payload,
    overflow_numbers,
    upstream_error,
)
from pi_model_proxy.errors import KINDS, UpstreamError


def read(status: int, body: Any, headers: dict[str, str] | None = None) -> UpstreamError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return upstream_error(status, headers or {}, data, family="openai")


def openai(message: str = "no", **rest: Any) -> dict[str, Any]:
    return {"error": {"message": message, **rest}}


def anthropic(type_: str, message: str = "no") -> dict[str, Any]:
    return {"type": "error", "error": {"type": type_, "message": message}, "request_id": "req_1"}


KIND_CASES: list[tuple[str, int, Any, str]] = [
    ("an OpenAI overflow code", 400, openai(code="context_length_exceeded"), "context_too_long"),
    ("Anthropic's overflow text", 400, anthropic("invalid_request_error", "prompt is too long: 213462 tokens > 200000 maximum"), "context_too_long"),
    ("Google's overflow text", 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)"}}, "context_too_long"),
    ("z.ai's overflow code", 400, openai(code="1261"), "context_too_long"),
    ("Mistral's backend at its capacity", 429, {"object": "error", "message": "Service tier capacity exceeded for this model.", "type": "service_tier_capacity_exceeded", "param": None, "code": "3505"}, "overloaded"),
    ("the same without a code", 429, {"object": "error", "message": "Service tier capacity exceeded for this model.", "type": "invalid_request_error", "param": None, "code": None}, "overloaded"),
    ("Azure's deployment that is not there", 404, openai("The API deployment for this resource does not exist.", code="DeploymentNotFound"), "unknown_model"),
    ("a bare 413", 413, b"", "context_too_long"),
    ("a 413 with words", 413, anthropic("request_too_large", "Request exceeds the maximum size"), "too_large"),
    ("a throttle that speaks of tokens", 429, {"message": "ThrottlingException: Too many tokens, please wait before trying again."}, "rate_limit"),
    ("OpenAI's rate limit", 429, openai(type="tokens", code="rate_limit_exceeded"), "rate_limit"),
    ("Google's quota that resets by the minute", 429, [{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota, please check your plan and billing details.", "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "17s"}]}}], "rate_limit"),
    ("Google's quota that does not reset", 429, {"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "message": "You exceeded your current quota, please check your plan and billing details."}}, "billing"),
    ("an empty purse at OpenAI", 429, openai(type="insufficient_quota", code="insufficient_quota"), "billing"),
    ("an empty purse at Anthropic", 400, anthropic("invalid_request_error", "Your credit balance is too low to access the Anthropic API."), "billing"),
    ("Anthropic's extra usage", 400, anthropic("invalid_request_error", "Third-party apps now draw from your extra usage, not your plan limits."), "billing"),
    ("ChatGPT's usage limit", 429, openai(type="usage_limit_reached", resets_in_seconds=9568), "billing"),
    ("a usage limit in words that says when it ends", 429, openai("You have hit your usage limit.", resets_in_seconds=60), "billing"),
    ("nothing but a code", 400, {"error": {"code": "context_length_exceeded"}}, "context_too_long"),
    ("nothing but a type", 500, {"error": {"type": "overloaded_error"}}, "overloaded"),
    ("a type beside the error", 500, {"type": "overloaded_error", "error": "busy"}, "overloaded"),
    ("a crash that speaks of the model", 500, openai("the model crashed"), "upstream"),
    ("a plain 402", 402, {"detail": "Payment"}, "billing"),
    ("an overloaded Anthropic", 529, anthropic("overloaded_error"), "overloaded"),
    ("overload told as 429", 429, anthropic("overloaded_error"), "overloaded"),
    ("overload told in words", 500, openai("The servers are currently busy"), "overloaded"),
    ("a bare 503", 503, b"", "overloaded"),
    ("a refused key", 401, openai(code="invalid_api_key"), "upstream_auth"),
    ("Google's refused key", 400, {"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": "API key not valid. Please pass a valid API key."}}, "upstream_auth"),
    ("a forbidden model", 403, anthropic("permission_error"), "forbidden"),
    ("an unknown model at OpenAI", 404, openai(code="model_not_found"), "unknown_model"),
    ("an unknown model at Anthropic", 404, anthropic("not_found_error", "model: claude-9"), "unknown_model"),
    ("an unknown model at Ollama", 404, {"error": 'model "x" not found, try pulling it first'}, "unknown_model"),
    ("a wrong path", 404, {"detail": "Not Found"}, "not_found"),
    ("a wrong method", 405, {"detail": "Method Not Allowed"}, "upstream"),
    ("a validation error list", 422, {"detail": [{"loc": ["body"], "msg": "field required", "type": "missing"}]}, "bad_request"),
    ("Mistral's own shape", 400, {"object": "error", "message": "Unexpected role 'user' after role 'tool'", "type": "invalid_request_message_order", "code": "3230"}, "bad_request"),
    ("a timeout", 504, b"", "timeout"),
    ("Cloudflare's timeout", 524, b"<!DOCTYPE html><title>524</title>", "timeout"),
    ("a crash", 500, openai(type="server_error"), "upstream"),
    ("a redirect", 307, b"", "upstream"),
    ("a vague type with telling code", 400, openai(type="invalid_request_error", code="model_not_found"), "unknown_model"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("status", "body", "kind"), [case[1:] for case in KIND_CASES], ids=[case[0] for case in KIND_CASES]
)
def test_the_kind_is_found_in(status: int, body: Any, kind: str) -> None:
    error = read(status, body)
    assert error.kind == kind
    assert error.kind in KINDS


def test_amazon_says_the_type_in_a_header() -> None:
    headers = {"x-amzn-errortype": "ModelNotReadyException:http://internal.amazon.com/"}
    error = read(429, {"message": "wait"}, headers)
    assert (error.kind, error.native_type) == ("overloaded", "ModelNotReadyException")


@pytest.mark.parametrize(
    ("status", "kept"), [(401, 401), (429, 429), (529, 529), (302, 502), (200, 502), (700, 502)]
)
def test_the_upstreams_status_is_kept_when_it_is_an_error(status: int, kept: int) -> None:
    assert read(status, openai()).status == kept


MESSAGE_CASES: list[tuple[str, Any, str]] = [
    ("OpenAI", openai("Bad thing"), "Bad thing"),
    ("a string under error", {"error": "Bad thing"}, "Bad thing"),
    ("detail", {"detail": "Bad thing"}, "Bad thing"),
    ("message", {"message": "Bad thing"}, "Bad thing"),
    ("an error in an error", {"error": {"error": {"message": "Bad thing"}}}, "Bad thing"),
    ("a list of errors", {"success": False, "errors": [{"code": 10000, "message": "Bad thing"}]}, "Bad thing"),
    ("a message that is an object", {"error": {"message": {"message": "Bad thing"}}}, "Bad thing"),
    ("OpenRouter's raw cause", openai("Provider returned error", metadata={"raw": "Bad thing"}), "Provider returned error: Bad thing"),
    ("a response object", {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "Bad thing"}}}, "Bad thing"),
    ("a response that is text", {"message": "Bad thing", "response": "raw"}, "Bad thing"),
    ("plain text", b"Bad thing", "Bad thing"),
    ("an SSE frame", b'event: error\ndata: {"error":{"message":"Bad thing"}}\n\n', "Bad thing"),
    ("a JSON string", b'"Bad thing"', "Bad thing"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("body", "message"), [c[1:] for c in MESSAGE_CASES], ids=[c[0] for c in MESSAGE_CASES]
)
def test_the_providers_own_words_are_kept_from(body: Any, message: str) -> None:
    assert read(400, body).message == message


@pytest.mark.parametrize(
    ("body", "hint"),
    [
        (b"", "without saying why"),
        (b"<html><title>Just a moment</title>secret page</html>", "web page instead"),
        (b"<!doctype html><body>Attention Required! | Cloudflare</body>", "of Cloudflare's"),
        (b"{}", "nothing readable"),
        (b"[[[[[[", "nothing readable"),
        (b'{"error":null}', "nothing readable"),
    ],
)
def test_a_body_without_words_is_described_not_relayed(body: bytes, hint: str) -> None:
    message = read(500, body).message
    assert hint in message
    assert "secret page" not in message
    assert "500" in message


def test_a_redirect_is_explained() -> None:
    assert "base URL" in read(301, b"").message


def test_long_words_are_cut() -> None:
    assert len(read(400, openai("x" * 5000)).message) == MAX_MESSAGE_CHARS


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"error":' * 50_000, b"\xff\xfe\x00", b'{"error":{"message":5}}']
)
def test_no_body_breaks_the_reading(body: bytes) -> None:
    assert read(500, body).kind == "upstream"


class TestRetryAfter:
    def test_milliseconds_win(self) -> None:
        assert read(429, openai(), {"retry-after-ms": "1500", "retry-after": "9"}).retry_after_s == 1.5

    def test_seconds_are_read(self) -> None:
        assert read(429, openai(), {"retry-after": "2.5"}).retry_after_s == 2.5

    def test_a_date_needs_the_time(self) -> None:
        headers = {"retry-after": "Thu, 01 Jan 1970 00:01:40 GMT"}
        assert read(429, openai(), headers).retry_after_s is None
        error = upstream_error(429, headers, b"{}", family="", now=40.0)
        assert error.retry_after_s == 60.0
        assert upstream_error(429, {"retry-after": "soon"}, b"{}", family="", now=40.0).retry_after_s is None

    @pytest.mark.parametrize(
        ("error", "seconds"),
        [
            ({"resets_in_seconds": 9568}, 9568.0),
            ({"retry_after": "12"}, 12.0),
            ({"message": "Please try again in 6.379s."}, 6.379),
            ({"message": "Please try again in 6m0s. Visit"}, 360.0),
            ({"message": "try again in 20ms"}, 0.02),
            ({"details": [{"retryDelay": "17s"}]}, 17.0),
            ({"retry_after": True}, None),
            ({"retry_after": -1}, None),
            ({"retry_after": "soon", "message": "later"}, None),
        ],
    )
    def test_bodies_say_it_too(self, error: dict[str, Any], seconds: float | None) -> None:
        assert read(429, {"error": {"message": "wait", **error}}).retry_after_s == seconds

    def test_a_reset_time_counts_from_now(self) -> None:
        payload = {"error": {"type": "usage_limit_reached", "resets_at": 160}}
        assert error_from_payload(payload, family="openai", now=100.0).retry_after_s == 60.0
        assert error_from_payload(payload, family="openai").retry_after_s is None


class TestInsideAnAnswer:
    @pytest.mark.parametrize(
        ("payload", "family", "status", "kind"),
        [
            (anthropic("overloaded_error"), "anthropic", 529, "overloaded"),
            (openai(code="server_is_overloaded"), "openai", 503, "overloaded"),
            (openai(code="rate_limit_exceeded"), "openai", 429, "rate_limit"),
            ({"error": {"code": 502, "message": "Provider returned error"}}, "openai", 502, "upstream"),
            ({"type": "error", "status_code": 429, "error": {"type": "usage_limit_reached", "resets_in_seconds": 9568}}, "openai", 429, "billing"),
            (anthropic("api_error"), "anthropic", 500, "upstream"),
            ({"type": "error", "code": "context_length_exceeded", "message": "long"}, "openai", 400, "context_too_long"),
            ("boom", "openai", 500, "upstream"),
            ([], "openai", 500, "upstream"),
            (None, "openai", 500, "upstream"),
            (anthropic("authentication_error"), "anthropic", 401, "upstream_auth"),
        ],
    )  # fmt: skip
    def test_the_status_follows_from_the_words(
        self, payload: Any, family: str, status: int, kind: str
    ) -> None:
        error = error_from_payload(payload, family=family)
        assert (error.status, error.kind) == (status, kind)

    def test_a_given_status_wins(self) -> None:
        assert error_from_payload(openai(), family="openai", status=418).status == 418

    def test_native_words_are_kept(self) -> None:
        error = error_from_payload(openai(type="t", code="c", param="p"), family="openai")
        assert (error.native_type, error.code, error.param, error.family) == ("t", "c", "p", "openai")

    def test_an_error_without_words_gets_some(self) -> None:
        assert "no code" in error_from_payload({}, family="").message
        assert "weird" in error_from_payload({"error": {"code": "weird"}}, family="").message

    def test_anthropics_error_code_is_read(self) -> None:
        payload = {"error": {"type": "rate_limit_error", "message": "x", "details": {"error_code": "abc"}}}
        assert error_from_payload(payload, family="anthropic").code == "abc"


class TestShouldRetry:
    def test_billing_is_not_worth_a_retry(self) -> None:
        assert read(402, openai()).should_retry is False

    @pytest.mark.parametrize(("told", "expected"), [("true", True), ("false", False), ("perhaps", None)])
    def test_the_providers_own_advice_is_kept(self, told: str, expected: bool | None) -> None:
        assert read(500, openai(), {"x-should-retry": told}).should_retry is expected


class TestSecrets:
    @pytest.mark.parametrize(
        "secret",
        [
            "sk-ant-oat01-abcdefghijk",
            "sk-proj-****************abcd",
            "gsk_abcdef123456",
            "AIzaSyA1234567890abcdef",
        ],
    )
    def test_a_key_that_the_provider_quotes_is_masked(self, secret: str) -> None:
        error = read(
            401, openai(f"Incorrect API key provided: {secret}. Find your key at https://x.example/keys.")
        )
        assert secret not in error.message
        assert "Incorrect API key provided" in error.message
        assert "https://x.example/keys" in error.message

    def test_where_a_credential_is_refused_every_opaque_word_is_masked(self) -> None:
        assert "deadbeef00112233" not in read(401, openai("Token deadbeef00112233 is unknown")).message
        assert "deadbeef00112233" in read(400, openai("No file deadbeef00112233")).message

    def test_a_bearer_token_is_masked(self) -> None:
        assert "abc.def" not in read(400, openai("Bearer abc.def refused")).message


@pytest.mark.parametrize(
    ("text", "asked", "maximum"),
    [
        ("prompt is too long: 213462 tokens > 200000 maximum", 213462, 200000),
        ("This model's maximum context length is 131072 tokens. However, you requested 140000 tokens", 140000, 131072),
        ("Input length (265330) exceeds model's maximum context length (262144).", 265330, 262144),
        ("The input token count (1196265) exceeds the maximum number of tokens allowed (1048575)", 1196265, 1048575),
        ("maximum prompt length is 131072 but the request contains 537812 tokens", 537812, 131072),
        ("Input length 9,000 exceeds the maximum allowed input length of 8,192 tokens.", 9000, 8192),
        ("prompt token count of 130000 exceeds the limit of 128000", 130000, 128000),
        ("Your request exceeded model token limit: 262144 (requested: 300000)", 300000, 262144),
        ("Range of input length should be [1, 129024]", None, 129024),
        ("the request exceeds the available context size", None, None),
        ("maximum context length is 9999999999999999 tokens", None, None),
    ],
)  # fmt: skip
def test_overflow_counts_are_found(text: str, asked: int | None, maximum: int | None) -> None:
    numbers = overflow_numbers(text)
    assert (numbers.asked, numbers.maximum) == (asked, maximum)
