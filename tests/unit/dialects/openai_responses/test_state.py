"""What a request asks of a store, and how it goes on without one."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects.openai_responses import SERVER, State, input_items, read_state, resumed
from pi_model_proxy.errors import BadRequest, UnsupportedFeature
from support.responses_caller import asked, asking

EARLIER = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "My name is Alice."}]},
    {
        "type": "message",
        "id": "msg_1",
        "role": "assistant",
        "content": [{"type": "output_text", "text": "Hello."}],
    },
]
KEPT = [json.dumps(item).encode() for item in EARLIER]


def test_a_plain_request_needs_nothing() -> None:
    state = read_state(asking())
    assert state == State(model=state.model)
    assert not state.is_needed
    assert state.stores


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"previous_response_id": "resp_1"}, State(previous_response_id="resp_1")),
        ({"previous_response_id": None, "conversation": None}, State()),
        ({"conversation": "conv_1"}, State(conversation_id="conv_1")),
        ({"conversation": {"id": "conv_1"}}, State(conversation_id="conv_1")),
        ({"store": False}, State(stores=False)),
        ({"store": None}, State()),
        ({"background": True}, State(background=True)),
        (
            {"input": [{"type": "item_reference", "id": "rs_1"}, {"role": "user", "content": "a", "id": "u"}, {"id": "m"}]},
            State(references=("rs_1", "m")),
        ),
        ({"input": [7, {"id": "m"}]}, State()),
    ],
)  # fmt: skip
def test_everything_a_request_can_ask_of_a_store(fields: dict[str, Any], state: State) -> None:
    read = read_state(asking(**fields))
    assert read == msgspec.structs.replace(state, model=read.model)


@pytest.mark.parametrize(
    ("fields", "path"),
    [({"previous_response_id": 7}, "previous_response_id"), ({"store": "no"}, "store"), ({"conversation": []}, "conversation")],
)  # fmt: skip
def test_wrong_types_are_named_by_their_path(fields: dict[str, Any], path: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_state(asking(**fields))
    assert caught.value.param == path


def test_an_input_is_items_whatever_it_was() -> None:
    (message,) = input_items(asking(input='a"b'))
    assert json.loads(message) == {
        "type": "message",
        "role": "user",
        "content": [{"type": "input_text", "text": 'a"b'}],
    }
    assert input_items(b'{"input":[{"a": 1} , {"b":2}]}') == [b'{"a": 1}', b'{"b":2}']
    assert input_items(b'{"input":null}') == []
    with pytest.raises(BadRequest, match="input"):
        input_items(b'{"input":7}')


def test_a_resumed_request_holds_the_whole_conversation_and_no_name_of_it() -> None:
    body = asking(input="What is my name?", previous_response_id="resp_1", instructions="be kind", store=True)
    whole = json.loads(resumed(body, KEPT))
    assert "previous_response_id" not in whole
    assert whole["input"][:2] == EARLIER
    assert whole["input"][2]["content"] == [{"type": "input_text", "text": "What is my name?"}]
    assert (whole["instructions"], whole["store"]) == ("be kind", True)
    request = SERVER.decode_request(json.dumps(whole).encode())
    assert [turn.role for turn in request.turns] == ["user", "assistant", "user"]


def test_references_become_the_items_they_name() -> None:
    body = asking(
        input=[{"type": "item_reference", "id": "msg_1"}, {"id": "gone"}, {"role": "user", "content": "b"}]
    )
    items = json.loads(resumed(body, [], {"msg_1": KEPT[1]}))["input"]
    assert items == [EARLIER[1], {"id": "gone"}, {"role": "user", "content": "b"}]


def test_an_item_that_cannot_be_read_is_left_to_who_reads_the_request() -> None:
    assert json.loads(resumed(b'{"input":[7]}', [], {"a": b"{}"}))["input"] == [7]


def test_an_unknown_response_has_openais_code() -> None:
    with pytest.raises(UnsupportedFeature) as caught:
        asked(previous_response_id="resp_1")
    told = SERVER.encode_error(caught.value, "req_1")
    assert told.status == 400
    assert json.loads(told.body)["error"] == {
        "message": "previous_response_id: the response `resp_1` is not known here; "
        "send the whole conversation as `input`.",
        "type": "invalid_request_error",
        "param": "previous_response_id",
        "code": "previous_response_not_found",
    }


@pytest.mark.parametrize(
    "item",
    [b'{"id":"\xff"}', b'{"type":"item_reference","id":"\xff"}', b'{"id":1}', b'[{"id":"x"}]', b'"id"'],
)
def test_items_that_cannot_be_read_name_nothing(item: bytes) -> None:
    """The bytes are no UTF-8, or no item: whoever decodes the whole request says what is wrong."""
    assert read_state(b'{"model":"m","input":[%b]}' % item).references == ()
