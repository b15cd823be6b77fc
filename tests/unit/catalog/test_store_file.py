"""pi's models-store.json, which pi writes and does not check."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pi_model_proxy.catalog import InvalidFileError, parse_models_store

RECORD: dict[str, Any] = {
    "id": "m",
    "provider": "p",
    "api": "openai-completions",
    "baseUrl": "http://s",
    "name": "M",
}


def stored(*records: Any, **entry: Any) -> str:
    return json.dumps({"p": {"models": records, "checkedAt": 1, **entry}})


@pytest.mark.parametrize("text", ["", "\ufeff", "  \n", "{}"])
def test_a_store_without_content_is_an_empty_one(text: str) -> None:
    assert not parse_models_store(text, "models-store.json").providers


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param('{"p": \n', "models-store.json:2:1", id="cut off, as while pi writes it"),
        pytest.param("[]", "models-store.json:1:1", id="no object"),
    ],
)
def test_a_file_that_is_no_json_object_is_refused(text: str, where: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        parse_models_store(text, "models-store.json")

    assert caught.value.faults[0].where == where


def test_chat_models_of_the_provider_are_read() -> None:
    text = stored(
        RECORD,
        {**RECORD, "id": "typed", "type": "chat"},
        {**RECORD, "id": "foreign", "provider": "other"},
        {**RECORD, "id": "picture", "type": "image"},
        {**RECORD, "id": "judge", "type": "classifier"},
        {**RECORD, "id": "unheard of", "type": "video"},
        {**RECORD, "id": "blank", "compat": None, "lab": "x"},
        "not a record",
        lastModified=5,
    )
    catalog = parse_models_store(text, "models-store.json").providers["p"]

    assert [model.id for model in catalog.models] == ["m", "typed", "blank"]
    assert catalog.others == 2
    assert catalog.last_modified_ms == 5


@pytest.mark.parametrize("modified", [None, "yesterday", True])
def test_a_date_that_is_no_number_is_no_date(modified: object) -> None:
    store = parse_models_store(stored(RECORD, lastModified=modified), "models-store.json")

    assert store.providers["p"].last_modified_ms is None


def test_a_record_that_makes_no_model_is_passed_over_and_reported() -> None:
    store = parse_models_store(stored({"id": "x", "provider": "p"}, RECORD), "models-store.json")

    assert [model.id for model in store.providers["p"].models] == ["m"]
    (fault,) = store.faults
    assert fault.text.startswith("models-store.json: p.models[0] is no model this version understands: ")


@pytest.mark.parametrize("entry", [None, 3, {}, {"models": {}}])
def test_an_entry_without_models_is_reported(entry: object) -> None:
    store = parse_models_store(json.dumps({"p": entry}), "models-store.json")

    assert store.providers["p"].models == ()
    assert store.faults[0].path == "p"
