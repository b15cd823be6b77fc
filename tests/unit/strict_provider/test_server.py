"""The provider at its door: who gets in, what it writes down, what it says to whom, and what it remembers."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from typing import Any, Final

import pytest

from support.strict_provider import (
    FAULTS,
    Answer,
    Asked,
    Options,
    Pace,
    StrictProvider,
    TokenDesk,
    say,
)
from unit.strict_provider.asking import DIALECTS, PATHS, ask, body_for, connect, get, receive, send, text_of

PNG_BYTES: Final = b"\x89PNG\r\n\x1a\n" + bytes(16)
PNG: Final = base64.b64encode(PNG_BYTES).decode()
SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
}


@pytest.fixture
def provider() -> Iterator[StrictProvider]:
    with StrictProvider.running() as running:
        yield running


# ── what it writes down ──


def test_the_diary_keeps_what_arrived_byte_for_byte(provider: StrictProvider) -> None:
    raw = b'{ "model":"vision",  "messages":[{"role":"user","content":"h\\u0069 \xc3\xbc"}] }'
    ask(provider, "/v1/chat/completions?beta=true", raw, {"X-Extra": "a", "authorization": "Bearer k"})

    arrival = provider.diary.last()
    assert arrival.raw == raw
    assert arrival.body["messages"][0]["content"] == "hi ü"
    assert (arrival.method, arrival.path, arrival.query) == ("POST", "/v1/chat/completions", "beta=true")
    assert (arrival.header("X-EXTRA"), arrival.header("authorization"), arrival.header("absent")) == (
        "a",
        "Bearer k",
        None,
    )
    assert (arrival.dialect, arrival.status, arrival.told, arrival.verdict) == ("chat", 200, "auto", None)
    assert arrival.bytes_sent > 0


def test_the_path_of_an_absolute_target_is_understood(provider: StrictProvider) -> None:
    ask(provider, f"{provider.origin}/v1/chat/completions?x=1", body_for("chat"))

    arrival = provider.diary.last()
    assert arrival.target.startswith("http://")
    assert (arrival.path, arrival.query, arrival.status) == ("/v1/chat/completions", "x=1", 200)


def test_requests_of_one_connection_are_known_as_such(provider: StrictProvider) -> None:
    connection = connect(provider)
    for _ in range(2):
        send(connection, PATHS["chat"], body_for("chat"))
        receive(connection)
    connection.close()
    ask(provider, "chat", body_for("chat"))

    assert [arrival.connection for arrival in provider.diary.arrivals()] == [1, 1, 2]
    assert provider.accepted == 2


def test_a_chunked_request_body_is_put_together(provider: StrictProvider) -> None:
    raw = json.dumps(body_for("messages")).encode()
    connection = connect(provider)
    headers = {"content-type": "application/json", "anthropic-version": "2023-06-01"}
    pieces = (raw[at : at + 7] for at in range(0, len(raw), 7))
    connection.request("POST", PATHS["messages"], pieces, headers, encode_chunked=True)

    assert receive(connection).status == 200
    assert provider.diary.last().raw == raw
    connection.close()


def test_a_peer_that_leaves_in_the_middle_is_noticed(provider: StrictProvider) -> None:
    provider.queue(say("never heard to the end"), pace=Pace(hold_after=2))
    connection = connect(provider)
    send(connection, PATHS["chat"], body_for("chat", stream=True))
    arrival = provider.diary.wait_until_held("gate")
    assert not arrival.aborted
    connection.close()

    left_after = provider.diary.wait_until_left(arrival)
    assert 0 <= left_after < 5
    assert arrival.aborted
    assert arrival.finished_after_s is None


def test_a_peer_that_leaves_after_the_answer_has_not_aborted_it(provider: StrictProvider) -> None:
    ask(provider, "chat", body_for("chat"))

    arrival = provider.diary.last()
    provider.diary.wait_until_left(arrival)
    assert arrival.finished_after_s is not None
    assert not arrival.aborted


def test_waiting_in_vain_says_what_did_arrive(provider: StrictProvider) -> None:
    ask(provider, "chat", body_for("chat"))

    with pytest.raises(TimeoutError, match="/v1/chat/completions"):
        provider.diary.wait_for_arrivals(2, timeout_s=0.01)


def test_an_answer_waits_at_its_gate_until_the_test_opens_it(provider: StrictProvider) -> None:
    provider.queue(say("hello there"), pace=Pace(hold_after=2, gate="middle"))
    replies = []
    asking = threading.Thread(
        target=lambda: replies.append(ask(provider, "chat", body_for("chat", stream=True)))
    )
    asking.start()
    provider.diary.wait_until_held("middle")
    assert not replies

    provider.open_gate("middle")
    asking.join(5)
    assert replies[0].events[-1][1] == "[DONE]"


def test_a_crash_inside_the_provider_fails_the_test() -> None:
    def broken(_: Asked) -> Answer:
        raise ZeroDivisionError("a script's own mistake")

    with pytest.raises(ZeroDivisionError, match="own mistake"), StrictProvider.running() as provider:
        provider.queue(broken)
        with pytest.raises(ConnectionError):
            ask(provider, "chat", body_for("chat"))


# ── the door ──


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_broken_rule_is_refused_in_the_vendors_shape(provider: StrictProvider, dialect: str) -> None:
    reply = ask(provider, dialect, body_for(dialect, nonsense=1))

    assert reply.status == 400
    assert reply.error["type"] == "invalid_request_error"
    assert "nonsense" in reply.error["message"]
    if dialect == "messages":
        assert reply.body["type"] == "error"
        assert reply.body["request_id"] == reply.headers["request-id"]
    else:
        assert set(reply.error) == {"message", "type", "param", "code"}
        assert reply.headers["x-request-id"].startswith("req_")
    verdict = provider.diary.refusals()[0].verdict
    assert verdict is not None
    assert verdict.rule == "top-level-fields-are-known"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_refused_request_takes_no_turn(provider: StrictProvider, dialect: str) -> None:
    provider.queue(say("still here"))
    ask(provider, dialect, body_for(dialect, nonsense=1))
    assert provider.queued() == 1

    assert text_of(dialect, ask(provider, dialect, body_for(dialect)).body) == "still here"
    assert provider.queued() == 0


BROKEN_BODIES: Final = [
    ("half an object", b'{"model":', 400),
    ("not a number", b'{"model":"vision","n":NaN}', 400),
    ("a list", b"[]", 400),
    ("no UTF-8", b'{"model":"\xff"}', 400),
    ("nested beyond reason", b"[" * 100_000, 400),
]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    ("raw", "status"), [row[1:] for row in BROKEN_BODIES], ids=[row[0] for row in BROKEN_BODIES]
)
def test_a_body_that_is_no_json_object_is_refused(
    provider: StrictProvider, dialect: str, raw: bytes, status: int
) -> None:
    reply = ask(provider, dialect, raw)

    assert reply.status == status
    assert reply.error["type"] == "invalid_request_error"


WRONG_HEADERS: Final = [
    {"content-type": "text/plain"},
    {"content-encoding": "gzip"},
    {"content-encoding": "zstd"},
]


@pytest.mark.parametrize("headers", WRONG_HEADERS, ids=str)
def test_only_plain_json_is_taken(provider: StrictProvider, headers: dict[str, str]) -> None:
    assert ask(provider, "chat", body_for("chat"), headers).status == 415


def test_a_body_above_32_mib_is_too_large(provider: StrictProvider) -> None:
    reply = ask(provider, "messages", b"x" * (32 * 1024 * 1024 + 1))

    assert (reply.status, reply.error["type"]) == (413, "request_too_large")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_unknown_model_is_not_found(provider: StrictProvider, dialect: str) -> None:
    reply = ask(provider, dialect, body_for(dialect, model="nobody"))

    assert reply.status == 404
    assert "nobody" in reply.error["message"]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_without_the_right_key_nobody_gets_in(dialect: str) -> None:
    with StrictProvider.running(Options(keys=frozenset({"sk-right"}))) as provider:
        assert ask(provider, dialect, body_for(dialect), {"authorization": "Bearer sk-wrong"}).status == 401
        assert ask(provider, dialect, body_for(dialect), {"authorization": "bearer sk-right"}).status == 200
        assert (
            ask(provider, dialect, body_for(dialect), {"authorization": "", "x-api-key": "sk-right"}).status
            == 200
        )
        assert (
            ask(provider, dialect, body_for(dialect), {"authorization": "", "api-key": "sk-right"}).status
            == 200
        )
        assert ask(provider, dialect, body_for(dialect), {"authorization": ""}).status == 401


def test_a_401_repeats_the_key_only_on_demand() -> None:
    with StrictProvider.running(Options(keys=frozenset(), echo_key=True)) as provider:
        assert "sk-stub" in ask(provider, "chat", body_for("chat")).error["message"]
    with StrictProvider.running(Options(keys=frozenset())) as provider:
        assert b"sk-stub" not in ask(provider, "chat", body_for("chat")).raw


def test_a_login_opens_the_door_and_brings_its_own_rules() -> None:
    desk = TokenDesk()
    login = desk.issue()
    with StrictProvider.running(Options(keys=frozenset()), desk=desk) as provider:
        bearer = {"authorization": f"Bearer {login.access}"}
        assert ask(provider, "messages", body_for("messages"), bearer).status == 401
        words = "You are Claude Code, Anthropic's official CLI for Claude."
        betas = {**bearer, "anthropic-beta": "oauth-2025-04-20"}
        assert ask(provider, "messages", body_for("messages", system=words), betas).status == 200
        desk.expire(login.access)
        assert ask(provider, "messages", body_for("messages", system=words), betas).status == 401


def test_the_codex_backend_has_its_own_path_and_contract(provider: StrictProvider) -> None:
    reply = ask(provider, "/backend-api/codex/responses", body_for("responses"))

    assert (reply.status, reply.error["message"]) == (400, "Store must be set to false")


def test_what_is_no_http_is_turned_away(provider: StrictProvider) -> None:
    connection = connect(provider)
    connection.connect()
    connection.sock.sendall(b"PRI * HTTP/2.0 SM\r\n\r\n")
    assert connection.sock.recv(10) == b""
    connection.close()

    provider.diary.wait_for_arrivals(1)
    assert provider.diary.last().method == "?"


# ── the other places ──


def test_models_are_listed_in_either_shape(provider: StrictProvider) -> None:
    ours = get(provider, "/v1/models").body
    theirs = get(provider, "/v1/models?limit=1000", {"anthropic-version": "2023-06-01"}).body

    assert ours["object"] == "list"
    assert {"text", "vision", "thinker"} <= {item["id"] for item in ours["data"]}
    assert theirs["data"][0]["type"] == "model"
    assert not theirs["has_more"]
    assert get(provider, "/v1/models/thinker").body["id"] == "thinker"
    assert get(provider, "/v1/models/nobody").status == 404


def test_tokens_are_counted_the_same_each_time(provider: StrictProvider) -> None:
    body = {"model": "vision", "messages": [{"role": "user", "content": "x" * 400}]}
    first, second = (ask(provider, "/v1/messages/count_tokens?beta=true", body) for _ in range(2))

    assert first.body == second.body
    assert 100 < first.body["input_tokens"] < 130
    assert ask(provider, "/v1/messages/count_tokens", {**body, "max_tokens": 9}).status == 400


def test_a_server_may_not_count_at_all() -> None:
    with StrictProvider.running(Options(counts_tokens=False)) as provider:
        assert ask(provider, "/v1/messages/count_tokens", body_for("messages")).status == 404


def test_other_paths_lead_nowhere_and_are_written_down(provider: StrictProvider) -> None:
    assert get(provider, "/v1/nothing").status == 404
    assert get(provider, "/redirected").status == 200
    assert [arrival.told for arrival in provider.diary.arrivals()] == ["nothing here", "trap"]


# ── who gets which answer ──


@pytest.mark.parametrize("dialect", DIALECTS)
def test_turns_are_taken_in_order_and_then_the_default_returns(
    provider: StrictProvider, dialect: str
) -> None:
    provider.queue(say("first"), lambda asked: say(f"second, {asked.prompt}"))
    texts = [text_of(dialect, ask(provider, dialect, body_for(dialect)).body) for _ in range(3)]

    assert texts == ["first", "second, Hello", "You said: Hello"]


def test_leftover_turns_can_be_dropped(provider: StrictProvider) -> None:
    provider.queue(say("never said"), say("nor this"))

    assert (provider.drop_turns(), provider.queued()) == (2, 0)
    assert text_of("chat", ask(provider, "chat", body_for("chat")).body) == "You said: Hello"


def test_a_turn_may_be_meant_for_one_model(provider: StrictProvider) -> None:
    provider.queue(say("for the thinker"), model="thinker")

    assert text_of("chat", ask(provider, "chat", body_for("chat")).body) == "You said: Hello"
    assert text_of("chat", ask(provider, "chat", body_for("chat", model="thinker")).body) == "for the thinker"


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_prompt_or_the_model_name_may_choose(provider: StrictProvider, dialect: str) -> None:
    greeting = "Hello! How can I help you today?"

    assert text_of(dialect, ask(provider, dialect, body_for(dialect, "script:hello please")).body) == greeting
    assert text_of(dialect, ask(provider, dialect, body_for(dialect, model="hello")).body) == greeting
    assert ask(provider, dialect, body_for(dialect, "fault:http-503")).status == 503
    assert ask(provider, dialect, body_for(dialect, model="http-418")).status == 418
    assert provider.diary.last().told == "http-418"


def test_a_queued_fault_spoils_a_queued_answer(provider: StrictProvider) -> None:
    provider.queue(say("one two three four five six"), fault=FAULTS["clean-cut"])
    reply = ask(provider, "chat", body_for("chat", stream=True))

    said = "".join(
        choice["delta"].get("content") or "" for chunk in reply.datas for choice in chunk["choices"]
    )
    assert said == "one two three four"
    assert "[DONE]" not in reply.raw.decode()


def picture(dialect: str) -> Any:
    url = f"data:image/png;base64,{PNG}"
    if dialect == "chat":
        return [{"type": "image_url", "image_url": {"url": url}}]
    if dialect == "responses":
        return [{"type": "input_image", "image_url": url}]
    return [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_pictures_are_seen(provider: StrictProvider, dialect: str) -> None:
    turn = [{"role": "user", "content": picture(dialect)}]
    body = body_for(dialect) | {"input" if dialect == "responses" else "messages": turn}
    said = text_of(dialect, ask(provider, dialect, body).body)

    assert (
        said
        == f"I see 1: image/png sha256:{hashlib.sha256(PNG_BYTES).hexdigest()[:12]} ({len(PNG_BYTES)} bytes)"
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_mirror_shows_what_arrived(provider: StrictProvider, dialect: str) -> None:
    body = body_for(dialect, "script:mirror", temperature=0.5)

    assert json.loads(text_of(dialect, ask(provider, dialect, body).body)) == body


@pytest.mark.parametrize("dialect", DIALECTS)
def test_structured_output_follows_its_schema(provider: StrictProvider, dialect: str) -> None:
    closed = {**SCHEMA, "additionalProperties": False}
    fields: dict[str, dict[str, Any]] = {
        "chat": {"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": closed}}},
        "responses": {"text": {"format": {"type": "json_schema", "name": "a", "schema": closed}}},
        "messages": {"output_config": {"format": {"type": "json_schema", "schema": closed}}},
    }

    said = text_of(dialect, ask(provider, dialect, body_for(dialect, **fields[dialect])).body)
    assert json.loads(said) == {"city": "Paris"}
