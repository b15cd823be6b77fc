from __future__ import annotations

import pytest

from pi_model_proxy.gateway.headers import dropped_value, hop_chain, join_betas, passed_back

UPSTREAM = {
    "retry-after": "7",
    "x-ratelimit-limit-requests": "100",
    "x-ratelimit-remaining-tokens": "5",
    "x-ratelimit-reset-tokens": "6m0s",
    "set-cookie": "a=b",
    "server": "nginx",
    "content-encoding": "gzip",
    "openai-organization": "org-secret",
    "access-control-allow-origin": "*",
    "openai-version": "x" * 5000,
}


def test_only_listed_headers_come_back() -> None:
    assert passed_back(UPSTREAM, upstream="openai_chat", caller="openai_chat") == {
        "retry-after": "7",
        "x-ratelimit-limit-requests": "100",
        "x-ratelimit-remaining-tokens": "5",
        "x-ratelimit-reset-tokens": "6m0s",
    }


def test_rate_limits_are_renamed_between_dialects() -> None:
    headers = passed_back(UPSTREAM, upstream="openai_chat", caller="anthropic_messages")
    assert headers["anthropic-ratelimit-requests-limit"] == "100"
    assert headers["anthropic-ratelimit-tokens-remaining"] == "5"
    back = passed_back(
        {"anthropic-ratelimit-tokens-limit": "9"}, upstream="anthropic_messages", caller="openai_chat"
    )
    assert back["x-ratelimit-limit-tokens"] == "9"


@pytest.mark.parametrize("value", ["a\r\nx: y", "é", "\x00"])
def test_a_value_that_could_split_an_answer_is_left_out(value: str) -> None:
    assert passed_back({"retry-after": value}, upstream="openai_chat", caller="openai_chat") == {}


def test_the_dropped_list_is_bounded_and_counts_the_rest() -> None:
    value = dropped_value(f"messages[{number}].name" for number in range(1000))
    assert len(value) <= 1024
    shown = value.split(", ")
    assert shown[0] == "messages[0].name"
    assert shown[-1] == f"+{1000 - (len(shown) - 1)}"


def test_a_path_cannot_smuggle_a_header() -> None:
    assert dropped_value(["a\r\nset-cookie: x", "b,c", "é"]) == "a__set-cookie:_x, b_c, _"


def test_hop_chains_are_read_and_bounded() -> None:
    assert hop_chain({"x-pi-model-proxy-hop": "a, b,,c"}) == ("a", "b", "c")
    assert hop_chain({}) == ()
    assert len(hop_chain({"x-pi-model-proxy-hop": ",".join(["x"] * 10_000)})) <= 16


def test_betas_are_joined_once_each_in_order() -> None:
    assert join_betas("a, b", None, "b,c", "") == "a,b,c"


@pytest.mark.parametrize("junk", ["\xff\xfe", "a b", "x" * 65, "<script>", "a\tb", ""])
def test_what_is_no_mark_of_a_gateway_is_not_passed_on(junk: str) -> None:
    assert hop_chain({"x-pi-model-proxy-hop": f"one,{junk},two"}) == ("one", "two")


def test_the_newest_marks_count_however_many_stand_before_them() -> None:
    assert hop_chain({"x-pi-model-proxy-hop": "," * 1000 + "mine"}) == ("mine",)
