from __future__ import annotations

import json
from pathlib import Path

import pytest

from pi_model_proxy.cli import console, main
from pi_model_proxy.config import SETTINGS, encode_schema

KEY = "a-key-of-twenty-chars"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("PI_CODING_AGENT_DIR", "SSL_CERT_FILE", "PI_MODEL_PROXY_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def config_file(home: Path, text: str) -> None:
    (home / ".pi").mkdir()
    file = home / ".pi" / "model-proxy.json"
    file.write_text(text)
    file.chmod(0o600)


def test_every_setting_is_shown_with_its_origin(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file(home, '{"rateLimit": 60}')
    assert main(["config", "--port", "8080"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "# file: ~/.pi/model-proxy.json"
    shown = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert set(shown) == {setting.key for setting in SETTINGS} - {"apiKeyFile"}
    assert shown["port"] == ["8080", "flag", "--port"]
    assert shown["rateLimit"] == ["60", "file", "~/.pi/model-proxy.json:1:2"]
    assert shown["logPath"] == ["~/.pi/model-proxy-log.jsonl", "default"]
    assert shown["defaultModel"] == ["-", "default"]


def test_a_missing_file_is_said_to_be_no_trouble(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config"]) == 0
    assert "there is no such file; nothing needs it" in capsys.readouterr().out


def test_the_key_is_masked_everywhere(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file(home, f'{{"apiKey": "{KEY}"}}')
    for words in (["config"], ["config", "--json"], ["config", "--api-key", KEY + "2"]):
        assert main(words) == 0
        captured = capsys.readouterr()
        assert "********" in captured.out
        assert KEY not in captured.out + captured.err


def test_json_holds_value_source_and_place(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file(home, '{"aliases": {"fast": "groq/llama"}, "prot": 1}')
    assert main(["config", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["file_found"] is True
    assert tree["settings"]["aliases"] == {
        "value": {"fast": "groq/llama"},
        "source": "file",
        "where": f"{home}/.pi/model-proxy.json:1:2",
    }
    assert tree["settings"]["port"] == {"value": 9876, "source": "default", "where": ""}
    assert [problem["fix"] for problem in tree["problems"]] == ['did you mean "port"?']


def test_warnings_go_to_standard_error(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file(home, '{"prot": 1}')
    assert main(["config"]) == 0
    captured = capsys.readouterr()
    assert captured.err == (
        f"pi-model-proxy: warning: {home}/.pi/model-proxy.json:1:2: prot is not a setting and is ignored; "
        'did you mean "port"?\n'
    )
    assert "prot" not in captured.out


def test_the_schema_is_printed_as_it_is_shipped(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--schema"]) == 0
    assert capsys.readouterr().out == encode_schema()


def test_lines_of_a_narrow_terminal_stay_narrow(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(console, "ANY_WIDTH", 80)
    aliases = ",".join(f"name{number}=provider/model-number-{number}" for number in range(4))
    assert main(["config", "--aliases", aliases, "--ca-file", "/dev/null", "--default-model", "x" * 33]) == 1
    capsys.readouterr()
    assert main(["config", "--default-model", "x" * 40, "--port", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    place = next(index for index, line in enumerate(lines) if line.startswith("defaultModel"))
    assert lines[place + 1].strip() == "flag --default-model"
