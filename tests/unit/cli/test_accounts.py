"""`accounts`: which login or key is used, in words and in JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.cli import main

HOUR_MS = 3_600_000
LOGIN = {"type": "oauth", "access": "secret-a", "refresh": "secret-r"}


@pytest.fixture(autouse=True)
def agent_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("ANTHROPIC_API_KEY", "GROQ_API_KEY", "XAI_API_KEY", "PI_CODING_AGENT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    folder = tmp_path / ".pi" / "agent"
    folder.mkdir(parents=True)
    return folder


def store(folder: Path, **entries: dict[str, Any]) -> None:
    path = folder / "auth.json"
    path.write_text(json.dumps({name.replace("_", "-"): entry for name, entry in entries.items()}))
    path.chmod(0o600)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["accounts", *words])
    out = capsys.readouterr().out
    assert "secret" not in out
    return status, out


def later(hours: float) -> int:
    return int(time.time() * 1000 + hours * HOUR_MS + 30_000)


def test_nothing_yet_leads_to_the_logins(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = run(capsys)
    assert status == 1
    assert "No provider has a login or key yet: `pi-model-proxy login` lists the logins." in out


def test_each_account_says_where_it_is_from_and_what_does_not_count(
    agent_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store(agent_dir, anthropic={**LOGIN, "expires": later(2)}, groq={"type": "api_key", "key": "secret-k"})
    monkeypatch.setenv("ANTHROPIC_API_KEY", "secret-e")
    status, out = run(capsys)
    assert status == 0
    assert "anthropic: login from auth.json (login); lapses in 2 h 0 min, renewed by itself\n" in out
    assert "    not $ANTHROPIC_API_KEY: auth.json comes first, usable or not\n" in out
    assert "extra usage" in out
    assert "https://code.claude.com/docs/en/legal-and-compliance, 20" in out
    assert "groq: key from auth.json (key)\n" in out
    assert "mistral" not in out
    assert "more have neither login nor key" in out


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda: {"expires": 1}, "renewed at the next\n    request"),
        (lambda: {"expires": later(3), "refresh": ""}, "lapses in 3 h 0 min, not renewed here"),
        (lambda: {"expires": 2**53 - 1}, "does not lapse"),
    ],
)
def test_a_login_says_what_becomes_of_it(
    agent_dir: Path, capsys: pytest.CaptureFixture[str], changed: Callable[[], dict[str, Any]], said: str
) -> None:
    store(agent_dir, xai={**LOGIN, **changed()})
    assert said in run(capsys)[1]


def test_a_switched_off_login_is_told_with_what_is_used_instead(
    agent_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store(agent_dir, xai={**LOGIN, "expires": later(1)})
    monkeypatch.setenv("XAI_API_KEY", "secret-e")
    _, out = run(capsys, "xai", "--subscriptions", "false")
    assert out == (
        "xai: key from $XAI_API_KEY\n    not auth.json (login): the login is switched off by `subscriptions`\n"
    )


def test_a_named_provider_is_told_even_with_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "MISTRAL") == (
        1,
        "mistral: not usable: no credential; set MISTRAL_API_KEY\n",
    )


def test_the_json_has_every_field(agent_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store(agent_dir, xai={**LOGIN, "expires": 1_900_000_000_000})
    root = json.loads(run(capsys, "--json", "xai")[1])
    assert (root["agent_dir"], root["readable"], root["problems"]) == (str(agent_dir), True, [])
    (account,) = root["accounts"]
    terms = account.pop("terms")
    assert terms["as_of"] >= "2026"
    assert terms["text"]
    assert account.pop("models") > 0
    assert account == {
        "provider": "xai",
        "name": "xAI",
        "status": "ready",
        "auth_type": "oauth",
        "usable": True,
        "account": "oauth",
        "from": "auth.json (login)",
        "reason": "",
        "expires_ms": 1_900_000_000_000,
        "expires_at": "2030-03-17T17:46:40+00:00",
        "renewed_here": True,
        "subscription": True,
        "places": [{"where": "auth.json (login)", "used": True, "why": ""}],
    }
