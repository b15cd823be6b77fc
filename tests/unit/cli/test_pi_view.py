"""`models` and `check` over pi's real files, read by the real source."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pi_model_proxy.cli import main

NEVER = 4_102_444_800_000


@pytest.fixture(autouse=True)
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An agent folder of a machine without any key in its environment."""
    for name in list(os.environ):
        if name.startswith("PI_") or name.endswith(("_API_KEY", "_TOKEN")) or name == "SSL_CERT_FILE":
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".pi" / "agent"
    folder.mkdir(parents=True)
    return folder


def write(path: Path, value: object) -> None:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    path.chmod(0o600)


def models(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, dict[str, object]]:
    main(["models", "--json", *words])
    return {model["id"]: model for model in json.loads(capsys.readouterr().out)}


def test_a_key_makes_its_provider_s_models_usable(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(agent / "auth.json", {"groq": {"type": "api_key", "key": "gsk-x"}})
    found = models(capsys)
    served = {model["provider"] for model in found.values() if model["served"]}
    assert served == {"groq"}
    assert len({model["provider"] for model in found.values()}) > 20


def test_subscriptions_can_be_left_out(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    login = {"type": "oauth", "access": "sk-ant-oat01-x", "refresh": "r", "expires": NEVER}
    write(agent / "auth.json", {"anthropic": login})
    assert any(model["served"] for model in models(capsys, "anthropic/*").values())
    without = models(capsys, "anthropic/*", "--subscriptions", "false")
    assert without
    assert not any(model["served"] for model in without.values())


def test_the_gateway_itself_as_a_provider_is_not_served(
    agent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    provider = {
        "baseUrl": "http://localhost:9876/v1",
        "api": "openai-completions",
        "apiKey": "x",
        "models": [{"id": "again"}],
    }
    write(agent / "models.json", {"providers": {"loop": provider}})
    assert models(capsys, "loop/*")["loop/again"]["reason"] == "its address is this gateway itself"
    assert models(capsys, "loop/*", "--port", "1")["loop/again"]["served"] is True


def test_a_broken_file_of_pi_s_is_found_by_check_with_its_place(
    agent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(agent / "models.json", '{\n  "providers": oops\n}')
    assert main(["check", "--json"]) == 1
    (problem,) = [
        each for each in json.loads(capsys.readouterr().out)["problems"] if each["severity"] == "error"
    ]
    assert problem["where"].startswith(f"{agent}/models.json:2:")


def test_looking_changes_nothing_on_disk(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(agent / "auth.json", {"anthropic": {"type": "oauth", "access": "a", "refresh": "r", "expires": 1}})
    before = {path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in agent.parent.rglob("*")}
    main(["models"])
    main(["check"])
    assert {
        path: (path.stat().st_mtime_ns, path.stat().st_mode) for path in agent.parent.rglob("*")
    } == before


def test_no_secret_is_printed(agent: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        agent / "auth.json",
        {"groq": {"type": "api_key", "key": "gsk-secret"}, "xai": {"type": "api_key", "key": 5}},
    )
    for words in (["models"], ["models", "--json"], ["check"], ["check", "--json"]):
        main(words)
        captured = capsys.readouterr()
        assert "gsk-secret" not in captured.out + captured.err


def test_the_demo_models_are_listed_when_asked_for_and_labelled_as_scripted(
    agent: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert agent.exists()
    assert all(model["served"] for model in models(capsys, "demo/*", "--demo").values())
    assert models(capsys, "demo/*") == {}
    main(["check", "--demo"])
    assert "Scripted answers" in capsys.readouterr().out
