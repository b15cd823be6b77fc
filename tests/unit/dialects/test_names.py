"""Names and ids: legal on the wire, distinct, and the same again on the way back."""

from __future__ import annotations

import json
import re

import pytest

from pi_model_proxy.dialects.losses import Losses
from pi_model_proxy.dialects.names import (
    NO_NAMES,
    CallIds,
    ToolNames,
    ToolOrigin,
    distinct_tools,
    legal_id,
    unwrap_input,
    wrap_input,
    wrapped_schema,
)
from pi_model_proxy.hub import Request, Target, Tool, ToolCallBlock

LEGAL = re.compile(r"[A-Za-z0-9_-]{1,64}")
LONG = "mcp.server/" + "tool.with.dots" * 5
TARGET = Target(provider="acme", model="m", public_model="acme/m", kind="k")


def test_vector_107_a_long_dotted_name_becomes_legal_and_is_restored() -> None:
    names = ToolNames([Tool(name=LONG)])
    wire = names.wire(LONG)
    assert LEGAL.fullmatch(wire)
    assert names.original(wire) == LONG


def test_vector_037_a_namespace_is_flattened_and_restored() -> None:
    names = ToolNames([Tool(name="get", namespace="crm")])
    assert names.wire("get", "crm") == "crm__get"
    assert names.origin("crm__get") == ToolOrigin(name="get", namespace="crm")


def test_a_choice_that_names_only_the_tool_finds_it_in_its_namespace() -> None:
    assert ToolNames([Tool(name="get", namespace="crm")]).wire("get") == "crm__get"


def test_names_that_become_equal_stay_apart_and_the_legal_one_keeps_its_own() -> None:
    names = ToolNames([Tool(name="a.b"), Tool(name="a_b"), Tool(name="a/b")])
    wires = {name: names.wire(name) for name in ("a.b", "a_b", "a/b")}
    assert wires["a_b"] == "a_b"
    assert len(set(wires.values())) == 3
    assert {names.original(wire) for wire in wires.values()} == set(wires)


def test_a_tool_given_twice_has_one_name() -> None:
    names = ToolNames([Tool(name="a.b"), Tool(name="a.b")])
    assert names.original(names.wire("a.b")) == "a.b"
    assert names.wire("a/b") != names.wire("a.b") == "a_b"


def test_names_depend_on_nothing_but_the_request() -> None:
    tools = [Tool(name="a.b"), Tool(name="a/b"), Tool(name=LONG)]
    first, second = ToolNames(tools), ToolNames(tools)
    assert [first.wire(tool.name) for tool in tools] == [second.wire(tool.name) for tool in tools]


def test_a_name_from_old_history_is_made_legal_without_taking_a_tools_name() -> None:
    names = ToolNames([Tool(name="a_b")])
    wire = names.wire("a.b")
    assert LEGAL.fullmatch(wire)
    assert wire != "a_b"
    assert names.original(wire) == "a.b"


def test_a_login_may_ask_for_a_spelling_and_the_callers_own_comes_back() -> None:
    names = ToolNames([Tool(name="read"), Tool(name="other")], casing=("Read", "Bash"))
    assert names.wire("read") == "Read"
    assert names.original("Read") == "read"
    assert names.wire("other") == "other"


def test_an_empty_name_still_becomes_one() -> None:
    wire = ToolNames([Tool(name="")]).wire("")
    assert LEGAL.fullmatch(wire)


def test_server_tools_keep_their_names_to_themselves() -> None:
    names = ToolNames([Tool(name="web_search", kind="server"), Tool(name="web.search")])
    assert names.wire("web.search") == "web_search"


@pytest.mark.parametrize(("wraps", "custom"), [(True, True), (False, False)])
def test_a_call_of_a_custom_tool_is_known_by_how_it_went_out(wraps: bool, custom: bool) -> None:
    names = ToolNames([Tool(name="apply_patch", kind="custom")], wraps_custom=wraps)
    stub = names.call_stub("apply_patch", call_id="call_1", item_id="fc_1")
    assert stub == ToolCallBlock(id="call_1", name="apply_patch", custom=custom, item_id="fc_1")


def test_a_name_the_upstream_made_up_passes_as_it_is() -> None:
    assert NO_NAMES.original("made_up") == "made_up"


@pytest.mark.parametrize("text", ['*** Begin Patch\n"x" \\ é\u2028', "", "{}"])
def test_wrapped_input_comes_back_as_it_was(text: str) -> None:
    arguments = wrap_input(text)
    assert json.loads(arguments) == {"input": text}
    assert unwrap_input(arguments) == text


@pytest.mark.parametrize("broken", ["", "plain text", '{"other":1}', '{"input":7}', "[" * 100_000])
def test_arguments_that_are_no_wrapped_input_are_taken_as_the_input(broken: str) -> None:
    assert unwrap_input(broken) == broken


def test_the_wrapped_schema_takes_one_string_and_nothing_else() -> None:
    schema = wrapped_schema()
    assert schema["required"] == list(schema["properties"]) == ["input"]
    assert schema["additionalProperties"] is False


def test_vector_028_an_id_with_illegal_characters_becomes_legal_alike_for_call_and_result() -> None:
    ids = CallIds()
    wire = ids.call("call_ab|cd+/=")
    assert LEGAL.fullmatch(wire)
    assert ids.result("call_ab|cd+/=") == wire


def test_vector_030_two_calls_that_share_an_id_become_distinct_and_are_answered_in_turn() -> None:
    ids = CallIds(max_length=40)
    first, second = ids.call("call_1"), ids.call("call_1")
    assert first == "call_1"
    assert second != first
    assert len(second) <= 40
    assert [ids.result("call_1"), ids.result("call_1")] == [first, second]


def test_one_answer_too_many_goes_to_the_last_call() -> None:
    ids = CallIds()
    wire = ids.call("c")
    assert [ids.result("c"), ids.result("c")] == [wire, wire]


def test_a_result_without_a_call_keeps_a_legal_id() -> None:
    assert CallIds().result("nobody") == "nobody"


def test_an_id_made_from_one_call_never_hits_the_id_of_another() -> None:
    first = CallIds().call("a|b")
    ids = CallIds()
    assert ids.call("a|b") == first
    assert ids.call(first) != first


@pytest.mark.parametrize("call_id", ["", "x" * 41, "a b", "é", "\ud83d"])
def test_any_id_becomes_legal_and_short(call_id: str) -> None:
    wire = legal_id(call_id, max_length=40)
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,40}", wire)
    assert wire == legal_id(call_id, max_length=40)


def test_of_tools_that_share_a_name_the_last_counts() -> None:
    old = Tool(name="a", description="old", at="tools[0]")
    losses = Losses(Request(dialect="d", model=None), TARGET)
    kept = distinct_tools([old, Tool(name="b"), Tool(name="a", description="new")], losses)
    assert [(tool.name, tool.description) for tool in kept] == [("a", "new"), ("b", None)]
    assert losses.paths == ("tools[0]",)


def test_tools_of_different_namespaces_are_different_tools() -> None:
    tools = [Tool(name="a"), Tool(name="a", namespace="n")]
    losses = Losses(Request(dialect="d", model=None), TARGET)
    assert (distinct_tools(tools, losses), losses.paths) == (tuple(tools), ())
