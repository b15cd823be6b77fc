from __future__ import annotations

from pathlib import Path

import pytest

from pi_model_proxy.config import (
    ConfigError,
    Environment,
    Inputs,
    Secret,
    SettingsWatcher,
    encode_schema,
    load,
)

KEY = "sk-very-secret-indeed"


def test_a_secret_shows_only_when_asked_to_reveal_itself() -> None:
    secret = Secret(KEY)
    assert KEY not in f"{secret} {secret!r} {[secret]} {secret!s}"
    assert secret.reveal() == KEY


def test_secrets_compare_by_what_they_hide() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert Secret(KEY) != Secret("another")
    assert Secret(KEY) != KEY
    assert len({Secret(KEY), Secret(KEY)}) == 1


def test_no_repr_of_the_configuration_holds_the_key(tmp_path: Path) -> None:
    environment = Environment(
        {"PI_MODEL_PROXY_API_KEY": KEY, "GROQ_API_KEY": KEY}, home=tmp_path, directory=tmp_path
    )
    inputs = Inputs(environment=environment, flags={"api_key": KEY})
    configuration = load(inputs)
    watcher = SettingsWatcher(inputs)
    shown = f"{environment!r} {inputs!r} {configuration!r} {watcher.current!r} {watcher.problems!r}"
    assert KEY not in shown
    assert "PI_MODEL_PROXY" not in repr(environment)


@pytest.mark.parametrize("wrong", [f"{KEY}\n{KEY}", f" {KEY}", f"{KEY}é"])
def test_a_refused_key_is_not_quoted(wrong: str, tmp_path: Path) -> None:
    environment = Environment({"PI_MODEL_PROXY_API_KEY": wrong}, home=tmp_path, directory=tmp_path)
    with pytest.raises(ConfigError) as caught:
        load(Inputs(environment=environment))
    assert KEY not in str(caught.value)
    assert "PI_MODEL_PROXY_API_KEY" in str(caught.value)


def test_the_schema_has_no_place_for_a_key_in_two_ways() -> None:
    assert '"not"' in encode_schema()
