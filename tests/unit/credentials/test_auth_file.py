"""auth.json as typed values, of both generations of pi."""

from __future__ import annotations

import json
import math

import pytest

from pi_model_proxy.credentials import (
    ApiKeyCredential,
    BrokenCredential,
    Malformed,
    OAuthCredential,
    parse_auth,
    parse_entry,
)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param({"type": "api_key", "key": "sk"}, ApiKeyCredential(key="sk"), id="a key"),
        pytest.param({"type": "api_key"}, ApiKeyCredential(), id="a key may be left out"),
        pytest.param(
            {"type": "api_key", "key": "$X", "env": {"X": "1"}},
            ApiKeyCredential(key="$X", env={"X": "1"}),
            id="env",
        ),
        pytest.param(
            {"type": "oauth", "access": "a", "refresh": "r", "expires": 5, "accountId": "acc"},
            OAuthCredential(access="a", refresh="r", expires_ms=5.0, extras={"accountId": "acc"}),
            id="a login with what its provider adds",
        ),
        pytest.param(
            {"type": "oauth", "access": "a"}, OAuthCredential(access="a"), id="a login without expiry"
        ),
        pytest.param(
            {"type": "oauth", "access": "a", "refresh": "", "expires": 9007199254740991},
            OAuthCredential(access="a", expires_ms=9007199254740991.0),
            id="a permanent login",
        ),
    ],
)
def test_an_entry_gets_its_type(entry: object, expected: object) -> None:
    assert parse_entry(entry) == expected


@pytest.mark.parametrize(
    "entry",
    [
        "sk-1",
        ["api_key"],
        {},
        {"type": "cookie"},
        {"type": "api_key", "key": 5},
        {"type": "api_key", "env": {"A": 1}},
        {"type": "api_key", "env": []},
        {"type": "oauth"},
        {"type": "oauth", "access": ""},
        {"type": "oauth", "access": "a", "refresh": 1},
    ],
    ids=json.dumps,
)
def test_what_cannot_be_used_says_why_and_still_owns_its_provider(entry: object) -> None:
    broken = parse_auth(json.dumps({"openai": entry}))["openai"]
    assert isinstance(broken, BrokenCredential)
    assert broken.reason


def test_an_expiry_that_is_no_date_never_comes() -> None:
    for expires in (None, True, "soon", 10**30):
        login = parse_entry({"type": "oauth", "access": "a", "expires": expires})
        assert isinstance(login, OAuthCredential)
        assert login.expires_ms == math.inf


def test_a_null_entry_is_no_entry() -> None:
    assert parse_auth('{"openai": null}') == {}


def test_nothing_at_all_counts_as_no_entries() -> None:
    assert parse_auth(" \n") == {}


@pytest.mark.parametrize("text", ["[]", "3", "{", '{"a": NaN}', "[" * 100_000, '{"a": ' + "9" * 5000 + "}"])
def test_what_is_no_json_object_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        parse_auth(text)


def test_credentials_hide_their_secrets() -> None:
    shown = repr(
        (
            ApiKeyCredential(key="hunter2", env={"AWS_PROFILE": "hunter3"}),
            OAuthCredential(access="hunter4", refresh="hunter5", extras={"clientId": "hunter6"}),
        )
    )
    assert "hunter" not in shown
    assert "AWS_PROFILE" in shown
