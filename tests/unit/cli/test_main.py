from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pi_model_proxy import __version__
from pi_model_proxy.cli import main
from pi_model_proxy.cli.main import COMMANDS
from pi_model_proxy.config import SETTINGS, Setting

EVERY_SETTING = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
EVERY_COMMAND = pytest.mark.parametrize("command", COMMANDS)
EVERY_COMMAND_WITH_SETTINGS = pytest.mark.parametrize(
    "command", [command for command in COMMANDS if command != "conformance"]
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh machine: no variable of anybody's, an empty home."""
    for name in list(os.environ):
        if name.startswith("PI_") or name.endswith("_API_KEY") or name in {"SSL_CERT_FILE", "NO_COLOR"}:
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(words)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], ["help", "nonsense"]], ids=" ".join)
def test_help_names_every_command_and_says_how_to_begin(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, _ = run(capsys, *words)
    assert status == 0
    for command, summary in COMMANDS.items():
        assert re.search(rf"^  {command} +{re.escape(summary)}$", out, re.MULTILINE)
    assert "curl http://127.0.0.1:9876/v1/models" in out
    assert max(map(len, out.splitlines())) <= 80


@pytest.mark.parametrize("words", [["--version"], ["-V"]], ids=" ".join)
def test_the_version_is_told(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, *words) == (0, f"pi-model-proxy {__version__}\n", "")


@EVERY_COMMAND
def test_each_command_explains_itself_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, command, "--help")
    assert status == 0
    assert out.startswith(f"usage: pi-model-proxy {command} ")
    assert "Examples:\n" in out
    assert max(map(len, out.splitlines())) <= 90
    assert run(capsys, "help", command)[1] == out


@EVERY_SETTING
def test_the_help_of_serve_mentions_each_setting(
    setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "serve", "--help")
    assert re.search(rf"^  {setting.flag}\b", out, re.MULTILINE)
    assert setting.help.split()[0] in out


@EVERY_COMMAND
@EVERY_SETTING
def test_each_command_understands_each_setting(
    command: str, setting: Setting, capsys: pytest.CaptureFixture[str]
) -> None:
    # `--help` behind it ends the run before anything happens, but only if the flag before it was understood.
    words = [setting.flag] if setting.kind.accepts == "true or false" else [setting.flag, "x"]
    assert run(capsys, command, *words, "--help")[0] == 0


def test_an_unknown_command_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "modles")
    assert (status, out) == (2, "")
    assert (
        err == "pi-model-proxy: error: there is no command 'modles'; did you mean `pi-model-proxy models`?\n"
    )


def test_an_unknown_command_like_no_other_leads_to_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "xyzzy")
    assert status == 2
    assert "`pi-model-proxy --help` lists them" in err


def test_an_unknown_flag_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys, "--prot", "8080")
    assert (status, out) == (2, "")
    assert err == (
        "pi-model-proxy: error: unknown option --prot; did you mean --port? (see `pi-model-proxy serve --help`)\n"
    )


def test_a_flag_is_not_guessed_from_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "config", "--api", "secret")
    assert status == 2
    assert "unknown option --api" in err


def test_a_flag_without_its_value_is_an_error_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "config", "--port")
    assert status == 2
    assert err.startswith("pi-model-proxy: error: argument --port: expected one argument")
    assert err.count("\n") == 1


def test_an_argument_too_many_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "config", "port")
    assert status == 2
    assert "unknown argument port" in err


@EVERY_COMMAND_WITH_SETTINGS
def test_wrong_settings_are_errors_and_never_a_traceback(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out, err = run(capsys, command, "--port", "x", "--log-keep", "y")
    assert status == 1
    assert "--port: must be a whole number" in out + err
    assert "--log-keep: must be a whole number" in out + err
    if command not in {"check", "doctor"}:
        assert [line[:22] for line in err.splitlines()] == ["pi-model-proxy: error:"] * 2


def test_a_missing_working_folder_is_an_error(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = home / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    status, _, err = run(capsys, "config")
    assert status == 2
    assert err.startswith("pi-model-proxy: error: no working or home folder")
    monkeypatch.chdir(home)


@pytest.mark.parametrize("words", [["--version"], ["help"], ["config"], ["config", "--schema"]], ids=" ".join)
def test_a_reader_that_stops_reading_is_no_error(
    words: list[str], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # what is still in the buffer at exit is the point
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "pi_model_proxy", *words]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True, cwd=home, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def modules_after(*words: str, home: Path) -> set[str]:
    program = (
        "import sys, json\n"
        "from pi_model_proxy.cli import main\n"
        f"main({list(words)!r})\n"
        "sys.stderr.write(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=home, check=True
    )
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("words", [["--version"], ["--help"]], ids=" ".join)
def test_the_smallest_questions_import_next_to_nothing(words: list[str], home: Path) -> None:
    assert not modules_after(*words, home=home) & {"argparse", "msgspec", "asyncio", "pi_model_proxy.config"}


@pytest.mark.parametrize(
    "words",
    [["config", "--json"], ["serve", "--help"], ["models", "--help"], ["check", "--help"]],
    ids=" ".join,
)
def test_commands_that_serve_nothing_import_no_http_library(words: list[str], home: Path) -> None:
    assert not modules_after(*words, home=home) & {"aiohttp", "uvicorn", "httptools", "uvloop"}
