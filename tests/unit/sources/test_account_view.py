"""Every place a credential could come from, and why all but one do not count."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.sources import AccountView, PiFilesReader, view_accounts

LATER_MS = 4_000_000_000_000
LOGIN = {"type": "oauth", "access": "secret-a", "refresh": "secret-r", "expires": LATER_MS}


def view(
    folder: Path,
    provider: str,
    *,
    auth: object = None,
    providers: dict[str, Any] | None = None,
    **environment: str,
) -> AccountView:
    if auth is not None:
        (folder / "auth.json").write_text(auth if isinstance(auth, str) else json.dumps(auth))
        (folder / "auth.json").chmod(0o600)
    if providers is not None:
        (folder / "models.json").write_text(json.dumps({"providers": providers}))
    state = PiFilesReader(folder).read()
    views = view_accounts(state, environment, file_exists=lambda _path: False)
    found = next(each for each in views if each.provider == provider)
    assert "secret" not in repr(found)
    return found


def told(found: AccountView) -> list[tuple[str, bool, str]]:
    return [(place.where, place.used, place.why) for place in found.places]


def test_a_login_owns_the_provider_and_each_other_place_is_told_why_not(tmp_path: Path) -> None:
    found = view(
        tmp_path,
        "anthropic",
        auth={"anthropic": LOGIN},
        providers={"anthropic": {"apiKey": "$MY_KEY"}},
        ANTHROPIC_API_KEY="secret-k",
    )
    assert (found.status, found.auth_type, found.renews) == ("ready", "oauth", True)
    assert told(found) == [
        ("auth.json (login)", True, ""),
        ("models.json (key from $MY_KEY)", False, "auth.json comes first"),
        ("$ANTHROPIC_API_KEY", False, "auth.json comes first, usable or not"),
    ]


def test_an_owner_that_cannot_be_used_is_not_passed_over(tmp_path: Path) -> None:
    found = view(tmp_path, "groq", providers={"groq": {"apiKey": "$GONE"}}, GROQ_API_KEY="secret-k")
    assert (found.status, found.auth_type) == ("not_ready", "")
    assert told(found) == [
        ("models.json (key from $GONE)", False, "$GONE is not set"),
        ("$GROQ_API_KEY", False, "models.json comes first, usable or not"),
    ]


def test_a_stored_key_without_a_value_lets_the_variable_through(tmp_path: Path) -> None:
    found = view(
        tmp_path, "groq", auth={"groq": {"type": "api_key", "key": "$GONE"}}, GROQ_API_KEY="secret-k"
    )
    assert found.status == "ready"
    assert told(found) == [
        ("auth.json (key from $GONE)", False, "$GONE is not set"),
        ("$GROQ_API_KEY", True, ""),
    ]


def test_of_several_variables_the_first_counts(tmp_path: Path) -> None:
    found = view(tmp_path, "anthropic", ANTHROPIC_API_KEY="secret-1", ANTHROPIC_OAUTH_TOKEN="secret-2")
    assert told(found) == [
        ("$ANTHROPIC_OAUTH_TOKEN", True, ""),
        ("$ANTHROPIC_API_KEY", False, "$ANTHROPIC_OAUTH_TOKEN comes first"),
    ]


def test_a_command_counts_unrun_and_is_not_shown(tmp_path: Path) -> None:
    found = view(tmp_path, "groq", auth={"groq": {"type": "api_key", "key": "!echo secret; touch ran"}})
    assert (found.status, told(found)) == ("ready", [("auth.json (a command)", True, "")])
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "auth",
    [
        "",
        "{",
        {"groq": {"type": "api_key", "key": "k"}, "old": {"type": "oauth", "access": "a", "refresh": "r"}},
        {"groq": {"type": "api_key", "key": "k"}, "odd": 3},
    ],
)
def test_one_entry_that_pi_cannot_read_makes_everything_invalid_to_pi(tmp_path: Path, auth: object) -> None:
    assert view(tmp_path, "groq", auth=auth, GROQ_API_KEY="k").status == "invalid"


def test_a_provider_with_nothing_has_no_places(tmp_path: Path) -> None:
    found = view(tmp_path, "groq", GROQ_API_KEY="  ")
    assert (found.status, told(found), found.renews) == ("not_ready", [], False)


@pytest.mark.parametrize(
    ("provider", "login", "renews"),
    [
        ("openrouter", {**LOGIN, "refresh": ""}, False),
        ("github-copilot", LOGIN, True),
        ("groq", LOGIN, False),
    ],
)
def test_only_a_login_that_can_be_renewed_here_is_said_to_be(
    tmp_path: Path, provider: str, login: dict[str, Any], *, renews: bool
) -> None:
    assert view(tmp_path, provider, auth={provider: login}).renews is renews


def test_a_gateway_of_models_json_renews_its_logins(tmp_path: Path) -> None:
    corp = {"baseUrl": "https://gw.example", "oauth": "radius"}
    found = view(tmp_path, "corp", auth={"corp": LOGIN}, providers={"corp": corp})
    assert (found.status, found.auth_type, found.renews) == ("ready", "oauth", True)


def test_an_entry_under_its_old_name_is_no_entry_to_pi_and_still_used_here(tmp_path: Path) -> None:
    old = {"azure-openai-responses": {"type": "api_key", "key": "secret-k"}}
    found = view(tmp_path, "azure", auth=old)
    assert found.status == "not_ready"
    assert told(found) == [("auth.json (key)", True, "")]
