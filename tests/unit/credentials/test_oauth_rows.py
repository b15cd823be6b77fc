"""Requests to token endpoints, byte by byte as pi sends them, and their answers."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs

import pytest

from pi_model_proxy.credentials import OAUTH_ROWS, OAuthCredential, oauth_row, token_url, token_url_variable
from pi_model_proxy.credentials.oauth_requests import (
    BadTokenAnswer,
    build_request,
    describe_refusal,
    parse_answer,
)

LOGIN = OAuthCredential(
    access="old-access",
    refresh="r+1/=",
    expires_ms=1.0,
    extras={"clientId": "issued-9", "accountId": "acc-0"},
)
NOW_MS = 1_000_000.0


def answer(**fields: object) -> bytes:
    return json.dumps({"access_token": "new", "refresh_token": "r2", "expires_in": 3600, **fields}).encode()


def jwt(claims: dict[str, object]) -> str:
    payload = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{payload}.sign"


def test_anthropic_is_asked_in_json() -> None:
    request = build_request(OAUTH_ROWS["anthropic"], LOGIN, {})
    assert request.url == "https://platform.claude.com/v1/oauth/token"
    assert request.headers["content-type"] == "application/json"
    assert json.loads(request.body) == {
        "grant_type": "refresh_token",
        "client_id": "9d1c250a-e61b-44d9-88ed-5944d1962f5e",
        "refresh_token": "r+1/=",
    }


@pytest.mark.parametrize(
    ("provider", "url", "fields"),
    [
        (
            "openai-codex",
            "https://auth.openai.com/oauth/token",
            {"client_id": "app_EMoamEEZ73f0CkXaXp7hrann"},
        ),
        (
            "openai",
            "https://auth.openai.com/api/accounts/oauth/token",
            {"client_id": "issued-9", "resource": "https://api.openai.com/v1"},
        ),
        ("xai", "https://auth.x.ai/oauth2/token", {"client_id": "b1a00492-073a-47ea-816f-4c329264a828"}),
        (
            "kimi-coding",
            "https://auth.kimi.com/api/oauth/token",
            {"client_id": "17e5f671-d194-4dfb-9706-5516cb48c098"},
        ),
        ("radius", "https://radius.pi.dev/v1/oauth/token", {"client_id": "pi-gateway"}),
    ],
)
def test_the_others_are_asked_with_a_form(provider: str, url: str, fields: dict[str, str]) -> None:
    request = build_request(OAUTH_ROWS[provider], LOGIN, {})
    assert request.url == url
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    sent = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
    assert sent == {"grant_type": "refresh_token", "refresh_token": "r+1/=", **fields}


def test_meta_mints_a_key_with_the_identity_token_and_keeps_that() -> None:
    row = OAUTH_ROWS["meta"]
    request = build_request(row, LOGIN, {})
    assert (request.url, request.body) == ("https://api.meta.ai/muse-code/key", b"{}")
    assert dict(request.headers) == {
        "accept": "application/json",
        "authorization": "Bearer r+1/=",
        "content-type": "application/json",
        "x-api-version": "1.0.0",
    }
    fields = parse_answer(row, b'{"api_key": "k", "refresh_token": "no"}', LOGIN, now_ms=NOW_MS)
    assert fields == {"type": "oauth", "access": "k", "refresh": "r+1/=", "expires": 1_000_000 + 86_400_000}


def test_copilot_fetches_a_token_with_the_github_token_at_the_logins_own_domain() -> None:
    row = OAUTH_ROWS["github-copilot"]
    request = build_request(row, LOGIN, {})
    assert (request.url, request.body) == ("https://api.github.com/copilot_internal/v2/token", b"")
    assert request.headers["authorization"] == "Bearer r+1/="
    assert request.headers["editor-version"] == "vscode/1.107.0"
    enterprise = OAuthCredential(
        access="a", refresh="r", extras={"enterpriseUrl": "https://company.ghe.com/x"}
    )
    assert build_request(row, enterprise, {}).url == "https://api.company.ghe.com/copilot_internal/v2/token"
    override = {"PI_MODEL_PROXY_GITHUB_COPILOT_TOKEN_URL": "https://corp.example/token"}
    assert build_request(row, enterprise, override).url == "https://corp.example/token"


def test_a_radius_answer_is_stored_with_its_scope() -> None:
    fields = parse_answer(OAUTH_ROWS["radius"], answer(scope="gateway offline_access"), LOGIN, now_ms=0)
    assert (fields["scope"], fields["expires"]) == ("gateway offline_access", 3_540_000)


@pytest.mark.parametrize(
    ("gateway", "url"),
    [
        ("https://gw.example/", "https://gw.example/v1/oauth/token"),
        ("gw.example:8443/some/path", "https://gw.example:8443/v1/oauth/token"),
        ("http://127.0.0.1:99", "http://127.0.0.1:99/v1/oauth/token"),
    ],
)
def test_a_radius_gateway_may_be_written_with_or_without_scheme(gateway: str, url: str) -> None:
    row = oauth_row("corp", {"corp": gateway})
    assert row is not None
    assert row.url == url


def test_a_chatgpt_login_without_its_own_client_id_cannot_be_refreshed() -> None:
    with pytest.raises(ValueError, match="clientId"):
        build_request(OAUTH_ROWS["openai"], OAuthCredential(access="a", refresh="r"), {})


def test_a_request_never_shows_its_token() -> None:
    assert "r+1" not in repr(build_request(OAUTH_ROWS["anthropic"], LOGIN, {}))


@pytest.mark.parametrize(
    "url",
    [
        "https://sso.corp.example/token",
        "http://127.0.0.1:81/t",
        "http://localhost/t",
        "http://[::1]:8080/t",
        "https://h:8443/a?b=c",
    ],
)
def test_a_token_address_may_be_https_or_on_this_machine(url: str) -> None:
    assert token_url(OAUTH_ROWS["anthropic"], {"PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL": url}) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://sso.corp.example/token",
        "http://127.0.0.1.evil.example/",
        "http://10.0.0.1/",
        "ftp://localhost/",
        "https://user:pw@corp.example/",
        "localhost:81",
        "https://",
        "https://h:port/",
        "https://[::1",
        "http://0.0.0.0/",
    ],
)
def test_any_other_token_address_is_refused_by_the_name_of_its_variable(url: str) -> None:
    with pytest.raises(ValueError, match="PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL"):
        token_url(OAUTH_ROWS["anthropic"], {"PI_MODEL_PROXY_ANTHROPIC_TOKEN_URL": url})


def test_the_variable_of_a_provider_with_a_dash_or_dot_has_an_underscore() -> None:
    assert token_url_variable("openai-codex") == "PI_MODEL_PROXY_OPENAI_CODEX_TOKEN_URL"
    assert token_url_variable("my.corp") == "PI_MODEL_PROXY_MY_CORP_TOKEN_URL"


def test_kimis_own_host_variables_are_honoured_and_ours_wins() -> None:
    row = OAUTH_ROWS["kimi-coding"]
    theirs = {"KIMI_OAUTH_HOST": "https://second.example", "KIMI_CODE_OAUTH_HOST": "https://first.example//"}
    assert token_url(row, theirs) == "https://first.example/api/oauth/token"
    assert token_url(row, {**theirs, "KIMI_CODE_OAUTH_HOST": ""}) == "https://second.example/api/oauth/token"
    ours = {**theirs, "PI_MODEL_PROXY_KIMI_CODING_TOKEN_URL": "https://ours.example/t"}
    assert token_url(row, ours) == "https://ours.example/t"


@pytest.mark.parametrize(
    ("provider", "margin_ms"),
    [("anthropic", 300_000), ("openai", 180_000), ("xai", 300_000), ("kimi-coding", 0)],
)
def test_an_answer_is_stored_with_the_providers_margin(provider: str, margin_ms: int) -> None:
    fields = parse_answer(OAUTH_ROWS[provider], answer(), LOGIN, now_ms=NOW_MS)
    assert fields == {
        "type": "oauth",
        "access": "new",
        "refresh": "r2",
        "expires": 1_000_000 + 3_600_000 - margin_ms,
    }


def test_chatgpt_scopes_are_stored() -> None:
    fields = parse_answer(
        OAUTH_ROWS["openai"], answer(scope=" openid  chatgpt.tokens.use.direct"), LOGIN, now_ms=0
    )
    assert fields["scopes"] == ["openid", "chatgpt.tokens.use.direct"]


def test_codex_takes_its_account_from_the_token() -> None:
    token = jwt({"https://api.openai.com/auth": {"chatgpt_account_id": "acc-7"}})
    fields = parse_answer(OAUTH_ROWS["openai-codex"], answer(access_token=token), LOGIN, now_ms=0)
    assert fields["accountId"] == "acc-7"


@pytest.mark.parametrize(
    "token", ["opaque", jwt({}), "a.b.c", "a.%%%.c", jwt({"https://api.openai.com/auth": 3})]
)
def test_a_codex_token_without_account_keeps_the_account_it_had(token: str) -> None:
    fields = parse_answer(OAUTH_ROWS["openai-codex"], answer(access_token=token), LOGIN, now_ms=0)
    assert "accountId" not in fields


@pytest.mark.parametrize("refresh", [None, "", 7])
def test_an_answer_without_refresh_token_keeps_the_old_one(refresh: object) -> None:
    fields = parse_answer(OAUTH_ROWS["xai"], answer(refresh_token=refresh), LOGIN, now_ms=0)
    assert fields["refresh"] == "r+1/="


@pytest.mark.parametrize(
    ("lifetime", "seconds"),
    [(None, 3600), ("7200", 7200), ("soon", 3600), (-1, 3600), (1e300, 3600), ([], 3600), (60.5, 60.5)],
)
def test_an_odd_lifetime_never_costs_the_login(lifetime: object, seconds: float) -> None:
    fields = parse_answer(OAUTH_ROWS["kimi-coding"], answer(expires_in=lifetime), LOGIN, now_ms=0)
    assert fields["expires"] == int(seconds * 1000)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"{}", b'{"access_token": ""}', b"[" * 100_000])
def test_an_answer_without_access_token_is_refused(body: bytes) -> None:
    with pytest.raises(BadTokenAnswer):
        parse_answer(OAUTH_ROWS["anthropic"], body, LOGIN, now_ms=0)


@pytest.mark.parametrize(
    ("status", "body", "said", "final"),
    [
        (
            400,
            b'{"error": "invalid_grant", "error_description": "token r+1/= reused"}',
            "HTTP 400 invalid_grant",
            True,
        ),
        (401, b'{"error": {"type": "invalid_request_error", "code": "refresh_token_reused"}}', None, True),
        (403, b"<html>blocked</html>", "HTTP 403", True),
        (400, b'{"error": "temporarily_unavailable"}', "HTTP 400 temporarily_unavailable", False),
        (500, b"r+1/=", "HTTP 500", False),
        (429, b'{"error": "rate_limit_error"}', "HTTP 429 rate_limit_error", False),
        (400, b'{"error": "the token r+1/= is bad"}', "HTTP 400", True),
    ],
)
def test_a_refusal_is_told_by_its_code_and_never_by_its_text(
    status: int, body: bytes, said: str | None, final: bool
) -> None:
    what, is_final = describe_refusal(status, body)
    assert "r+1" not in what
    assert is_final is final
    if said is not None:
        assert what == said
