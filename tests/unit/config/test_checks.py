from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from pi_model_proxy.config import ConfigError, Environment, Inputs, check_model_names, is_loopback_host, load
from pi_model_proxy.routing import Directory


class Model(msgspec.Struct, frozen=True):
    ref: str
    usable: bool = True
    yields: bool = False

    @property
    def bare(self) -> str:
        return self.ref.partition("/")[2]


MODELS = Directory(
    [
        Model("openai/gpt-5"),
        Model("groq/llama"),
        Model("together/llama"),
        Model("google/gemini", usable=False),
    ]
)


def complaints(tmp_path: Path, **flags: str | bool) -> list[str]:
    environment = Environment({}, home=tmp_path, directory=tmp_path)
    configuration = load(Inputs(environment=environment, flags=flags))
    found = check_model_names(configuration.settings, configuration.origins, MODELS)
    return [f"{problem.severity} {problem.where} {problem.what}" for problem in found]


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"aliases": "smart=openai/gpt-5"},
        {"aliases": "smart=openai/gpt-5:high"},
        {"default_model": "openai/gpt-5"},
        {"default_model": "gpt-5"},
        {"default_model": "smart", "aliases": "smart=openai/gpt-5"},
    ],
    ids=str,
)
def test_names_that_lead_to_a_model_are_fine(flags: dict[str, str], tmp_path: Path) -> None:
    assert complaints(tmp_path, **flags) == []


def test_an_alias_to_nothing_is_warned_about_with_near_names(tmp_path: Path) -> None:
    (complaint,) = complaints(tmp_path, aliases="smart=openai/gpt-55")
    assert complaint.startswith("warning --aliases aliases.smart leads nowhere")
    assert "openai/gpt-5" in complaint


def test_a_default_that_means_several_models_is_warned_about(tmp_path: Path) -> None:
    (complaint,) = complaints(tmp_path, default_model="llama")
    assert complaint.startswith("warning --default-model defaultModel leads nowhere")
    assert "groq/llama, together/llama" in complaint


def test_a_name_that_cannot_be_used_now_is_warned_about(tmp_path: Path) -> None:
    (complaint,) = complaints(tmp_path, aliases="g=google/gemini")
    assert complaint == "warning --aliases aliases.g is google/gemini, which cannot be used now"


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.255.0.1", "::1", "localhost", "LocalHost.", "::ffff:127.0.0.1"]
)
def test_loopback_is_recognised(host: str) -> None:
    # Python 3.13 counts IPv4-mapped addresses, 3.11 does not; either way 127.0.0.1 itself must count.
    assert is_loopback_host(host) or host.startswith("::ffff")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.example", ""])
def test_everything_else_is_not_loopback(host: str) -> None:
    assert not is_loopback_host(host)


def settings_file(tmp_path: Path, mode: int, text: str = '{"apiKey": "a-key-of-twenty-chars"}') -> list[str]:
    file = tmp_path / "settings.json"
    file.write_text(text)
    file.chmod(mode)
    environment = Environment({}, home=tmp_path, directory=tmp_path)
    return [problem.what for problem in load(Inputs(environment=environment, config_file=str(file))).problems]


def test_a_file_with_the_key_that_others_may_read_is_warned_about(tmp_path: Path) -> None:
    assert settings_file(tmp_path, 0o600) == []
    assert settings_file(tmp_path, 0o640) == ["other users may read apiKey in it"]


def test_a_file_that_only_names_the_key_s_file_may_be_read_by_others(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a-key-of-twenty-chars")
    (tmp_path / "key").chmod(0o600)
    assert settings_file(tmp_path, 0o644, '{"apiKeyFile": "key"}') == []


def test_a_key_file_that_others_may_read_is_warned_about(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("a-key-of-twenty-chars\n")
    key.chmod(0o644)
    environment = Environment({}, home=tmp_path, directory=tmp_path)
    (problem,) = load(Inputs(environment=environment, flags={"api_key_file": str(key)})).problems
    assert problem.what == "other users may read the key in it"
    assert problem.fix == f"chmod 600 {key}"


def test_a_folder_instead_of_a_file_is_refused_by_name(tmp_path: Path) -> None:
    environment = Environment({}, home=tmp_path, directory=tmp_path)
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        load(Inputs(environment=environment, config_file=str(tmp_path)))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, r"cannot be read \(not a regular file\)"), (b"\xff\xfe", r"cannot be read \(not UTF-8\)")],
)
def test_a_key_file_that_is_none_is_refused_by_name(content: bytes | None, said: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    if content is None:
        key.mkdir()
    else:
        key.write_bytes(content)
    environment = Environment({}, home=tmp_path, directory=tmp_path)
    with pytest.raises(ConfigError, match=f"--api-key-file: the key file .*/key {said}"):
        load(Inputs(environment=environment, flags={"api_key_file": str(key)}))


def test_a_name_of_a_local_server_may_lead_somewhere_later(tmp_path: Path) -> None:
    assert complaints(tmp_path, default_model="ollama/qwen3:8b") == []
    (complaint,) = complaints(tmp_path, default_model="ollama/qwen3:8b", discover_local=False)
    assert "leads nowhere" in complaint
