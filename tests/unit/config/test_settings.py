from __future__ import annotations

import importlib.util
import json
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest

from pi_model_proxy.config import (
    SCHEMA_FILE,
    SETTINGS,
    Environment,
    Inputs,
    Setting,
    Settings,
    encode_schema,
    json_schema,
    load,
    show,
)

ROOT = Path(__file__).resolve().parents[3]
EVERY = pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
FIELDS = {setting.name for setting in SETTINGS} - {"api_key_file"}


@pytest.fixture(scope="module")
def docs_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("settings_docs", ROOT / "scripts" / "settings_docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nothing_given(home: Path) -> Inputs:
    return Inputs(environment=Environment({}, home=home, directory=home))


def test_the_table_and_the_type_name_the_same_settings() -> None:
    assert set(Settings.__struct_fields__) == FIELDS


@EVERY
def test_each_setting_has_names_of_the_same_words(setting: Setting) -> None:
    words = setting.name.split("_")
    assert setting.flag == "--" + "-".join(words)
    assert setting.variable == "PI_MODEL_PROXY_" + "_".join(words).upper()
    assert setting.key == words[0] + "".join(word.capitalize() for word in words[1:])


@pytest.mark.parametrize(
    ("key", "default"),
    [
        ("port", 9876),
        ("host", "127.0.0.1"),
        ("rateLimit", 0),
        ("requestTimeoutMs", 120_000),
        ("connectTimeoutMs", 10_000),
        ("totalTimeoutMs", 0),
        ("maxBodyBytes", 33_554_432),
        ("logMaxBytes", 52_428_800),
        ("logKeep", 3),
        ("logPath", "~/.pi/model-proxy-log.jsonl"),
        ("agentDir", "~/.pi/agent"),
        ("promptCache", "auto"),
        ("strict", False),
        ("subscriptions", True),
        ("allowedOrigins", []),
        ("allowedHosts", []),
        ("aliases", {}),
        ("apiKey", None),
        ("defaultModel", None),
    ],
)
def test_the_promised_defaults_hold(key: str, default: object) -> None:
    (setting,) = (setting for setting in SETTINGS if setting.key == key)
    assert setting.default == default


@EVERY
def test_each_default_is_a_value_that_its_setting_accepts(setting: Setting, tmp_path: Path) -> None:
    if setting.default is None:
        assert setting.may_be_null
        return
    effective = getattr(load(nothing_given(tmp_path)).settings, setting.name)
    written = str(show(effective)).replace(str(tmp_path), "~")
    assert written == str(show(setting.kind.read(setting.default)))


@EVERY
def test_each_setting_is_in_the_schema_of_the_file_or_says_why_not(setting: Setting) -> None:
    properties = json_schema()["properties"]
    assert (setting.key in properties) is setting.in_file
    if setting.in_file:
        assert properties[setting.key]["description"] == setting.help
        assert properties[setting.key].get("default") == setting.default


def test_the_shipped_schema_is_up_to_date() -> None:
    shipped = resources.files("pi_model_proxy.config").joinpath(SCHEMA_FILE).read_text()
    assert shipped == encode_schema(), "run scripts/settings_docs.py"
    assert json.loads(shipped)["additionalProperties"] is False


def accepts(schema: dict[str, Any], value: object) -> bool:
    """As much of JSON Schema as ours uses."""
    if "anyOf" in schema:
        return any(accepts(option, value) for option in schema["anyOf"])
    if "enum" in schema:
        return bool(value in schema["enum"])
    names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    python = {
        "integer": int,
        "boolean": bool,
        "string": str,
        "array": list,
        "object": dict,
        "null": type(None),
    }
    if not any(type(value) is python[name] for name in names):
        return False
    match value:
        case bool() | None:
            return True
        case int():
            return bool(schema["minimum"] <= value <= schema["maximum"])
        case str():
            return len(value) >= int(schema.get("minLength", 0))
        case list():
            return all(accepts(schema["items"], each) for each in value)
        case dict():
            return all(accepts(schema["additionalProperties"], each) for each in value.values())
    raise AssertionError(value)


PROBES: list[object] = [
    0,
    -1,
    1,
    5000,
    10**14,
    True,
    False,
    None,
    "",
    "x",
    "auto",
    "info",
    [],
    ["a"],
    [1],
    {},
    {"a": 1},
    1.5,
]


@EVERY
def test_what_the_schema_refuses_is_refused(setting: Setting) -> None:
    if not setting.in_file:
        return
    schema = json_schema()["properties"][setting.key]
    for probe in PROBES:
        try:
            setting.kind.read(probe)
            read = True
        except ValueError:
            read = probe is None and setting.may_be_null
        # A kind may be stricter than its schema can say (host names, say), never more lenient.
        assert accepts(schema, probe) or not read, probe


@EVERY
def test_each_setting_has_a_row_in_the_documentation(setting: Setting) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    rows = [line for line in page.splitlines() if line.startswith("|") and f"`{setting.flag}`" in line]
    assert len(rows) == 1
    assert setting.variable in rows[0]
    assert setting.help.replace("|", "\\|") in rows[0]


def test_the_tables_of_the_documentation_are_up_to_date(docs_script: ModuleType) -> None:
    page = (ROOT / "docs" / "configuration.md").read_text()
    assert docs_script.page_with_tables(page) == page, "run scripts/settings_docs.py"


@EVERY
def test_each_help_text_is_whole_sentences_of_one_paragraph(setting: Setting) -> None:
    assert setting.help.endswith(".")
    assert "\n" not in setting.help


def test_settings_cannot_be_changed(tmp_path: Path) -> None:
    settings = load(nothing_given(tmp_path)).settings
    with pytest.raises(AttributeError):
        settings.port = 1  # type: ignore[misc]  # that it fails is the point
    assert msgspec.structs.replace(settings, port=1).port == 1
