"""No value and no text gets past a setting's kind as anything but a value or a refusal."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_model_proxy.config import (
    SETTINGS,
    ConfigError,
    Environment,
    Inputs,
    Secret,
    Setting,
    Settings,
    load,
    show,
)
from pi_model_proxy.config.values import Refused

EVERY = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
FEW = settings(max_examples=60, derandomize=True, deadline=None)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@EVERY
@FEW
@given(value=JSON)
def test_any_json_is_read_or_refused(setting: Setting, value: object) -> None:
    try:
        read = setting.kind.read(value)
    except Refused as error:
        refused = error.what
    else:
        again = read.reveal() if isinstance(read, Secret) else show(read)
        assert setting.kind.read(again) == read, "what is shown can be written back"
        return
    assert refused


@EVERY
@FEW
@given(text=st.text() | st.from_regex(r"[-a-z0-9=,:/.~ ]{0,20}", fullmatch=True))
def test_any_text_is_read_or_refused(setting: Setting, text: str) -> None:
    try:
        setting.kind.read(setting.kind.from_text(text))
    except Refused as error:
        refused = error.what
    else:
        return
    assert refused


@FEW
@given(
    members=st.dictionaries(
        st.sampled_from([setting.key for setting in SETTINGS]) | st.text(), JSON, max_size=4
    )
)
def test_any_file_is_loaded_or_refused_with_a_place(members: dict[str, object]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.json"
        file.write_text(json.dumps(members))
        environment = Environment({}, home=Path(folder), directory=Path(folder))
        try:
            configuration = load(Inputs(environment=environment, config_file=str(file)))
        except ConfigError as error:
            said = str(error)
        else:
            assert isinstance(configuration.settings, Settings)
            return
    assert said.startswith(str(file))
