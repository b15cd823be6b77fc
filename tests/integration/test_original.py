"""What the first pi-model-proxy got wrong, one test a row; the row's own words stand in each docstring.

C = chat completions, M = messages. What it did well: `test_original_does_well.py`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from integration.materials import (
    CHAT,
    CHAT_TOOLS,
    KINDS,
    MESSAGES,
    MESSAGES_TOOLS,
    PDF,
    PICTURE_URL,
    PNG,
    PNG_SEEN,
    Kind,
    as_base64,
    dropped,
    events,
    heard,
    logged,
    serving,
)
from support.agent_dir import STUB_KEY
from support.gateway_process import Answer, GatewayProcess, running_gateway
from support.strict_provider import FAULTS, StrictProvider, Usage, http_error, say
from support.strict_provider import Answer as Said
from support.strict_provider import Text as SaidText

TIMEOUT_MS: Final = 600
HELLO: Final[list[dict[str, Any]]] = [{"role": "user", "content": "Hello."}]
PATHS: Final = {"C": CHAT, "M": MESSAGES}

every_kind = pytest.mark.parametrize("kind", KINDS)
every_caller = pytest.mark.parametrize("caller", PATHS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture(scope="module")
def gateway(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    root = tmp_path_factory.mktemp("original")
    with serving(provider, root, requestTimeoutMs=TIMEOUT_MS, aliases={"fast": "stub-chat/text"}) as running:
        yield running
        assert STUB_KEY not in running.printed()


def ask(gateway: GatewayProcess, caller: str, model: str, *, stream: bool = False, **fields: Any) -> Answer:
    body = {"model": model, "messages": HELLO, "max_tokens": 1000, "stream": stream, **fields}
    return gateway.post(PATHS[caller], body)


def error_of(answer: Answer) -> dict[str, Any]:
    return dict(answer.json()["error"])


# ── errors ──


@every_kind
@pytest.mark.parametrize("fault", ["reset-mid-body", "close-mid-body", "clean-cut", "error-event-mid"])
def test_an_answer_that_breaks_off_never_ends_like_a_whole_one(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, fault: str
) -> None:
    """Upstream error or cut **after a stream began = success** (C): reset after "Part one, part two, " -> `stop`, `[DONE]`."""
    provider.queue(say("Part one, part two, part three."), fault=FAULTS[fault])
    answer = ask(gateway, "C", f"stub-{kind}/text", stream=True)
    assert set(events(answer)[-1]) == {"error"}
    assert "[DONE]" not in answer.text
    assert '"finish_reason":"' not in answer.text.replace(" ", "")


@every_kind
@every_caller
def test_a_stream_that_the_provider_refuses_has_the_providers_status(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str
) -> None:
    """Stream answered 200 before the provider answered (C, M): HTTP 200 where 429 was wanted."""
    provider.queue(http_error(429))
    answer = ask(gateway, caller, f"stub-{kind}/text", stream=True)
    assert (answer.status, answer.headers["content-type"]) == (429, "application/json")


@every_kind
@every_caller
@both_ways
def test_a_providers_error_keeps_its_kind(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str, *, stream: bool
) -> None:
    """Every provider error -> 502 (C, M): 400 "maximum context length" -> 502, so SDKs retry it; `retry-after` lost."""
    provider.queue(FAULTS["context-overflow"], http_error(429, retry_after="7"), http_error(404))
    answers = [ask(gateway, caller, f"stub-{kind}/text", stream=stream) for _ in range(3)]
    assert [answer.status for answer in answers] == [400, 429, 404]
    assert "200000" in error_of(answers[0])["message"]
    assert answers[1].headers["retry-after"] == "7"


@every_kind
def test_messages_callers_get_errors_in_their_own_envelope(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind
) -> None:
    """M errors in the chat envelope: no top-level `type:"error"`."""
    provider.queue(http_error(401))
    refused = ask(gateway, "M", f"stub-{kind}/text")
    unknown = ask(gateway, "M", "stub-chat/nothing")
    broken = gateway.post(MESSAGES, b"{")
    for answer in (refused, unknown, broken):
        assert answer.json()["type"] == "error"
        assert set(error_of(answer)) >= {"type", "message"}


@every_kind
@every_caller
@pytest.mark.parametrize("fault", ["html-200", "empty-200", "null-200", "list-200"])
def test_garbage_is_no_answer(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str, fault: str
) -> None:
    """200 of garbage = empty success."""
    provider.queue(FAULTS[fault], FAULTS[fault])
    assert ask(gateway, caller, f"stub-{kind}/text").status == 502
    assert ask(gateway, caller, f"stub-{kind}/text", stream=True).status == 502


@every_caller
@both_ways
def test_the_limit_of_time_is_kept_and_told(
    gateway: GatewayProcess, provider: StrictProvider, caller: str, *, stream: bool
) -> None:
    """`requestTimeoutMs` not kept during retries; a time-out in a stream ends as 200 without any end mark, in JSON as 502 instead of 504."""
    provider.queue(FAULTS["silence-before-headers"])
    answer = ask(gateway, caller, "stub-chat/text", stream=stream)
    assert answer.status == 504
    assert len(provider.diary.arrivals()) == 1
    provider.queue(say("Part one, part two, part three."), fault=FAULTS["silence-mid-stream"])
    stalled = ask(gateway, caller, "stub-chat/text", stream=stream)
    if stream:
        assert "error" in events(stalled)[-1]
    else:
        assert stalled.status == 504


# ── counts ──


@every_kind
@both_ways
def test_cached_tokens_are_counted(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, *, stream: bool
) -> None:
    """Cached tokens not counted: (60, 9, 0) where (160, 9, 100) was right."""
    counted = Said(parts=(SaidText("Counted."),), usage=Usage(fresh=60, cache_read=100, output=9))
    provider.queue(counted)
    options = {"stream_options": {"include_usage": True}} if stream else {}
    answer = ask(gateway, "C", f"stub-{kind}/text", stream=stream, **options)
    usage = events(answer)[-1]["usage"] if stream else answer.json()["usage"]
    cached = usage["prompt_tokens_details"]["cached_tokens"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], cached) == (160, 9, 100)


@every_kind
def test_a_messages_stream_tells_its_input(gateway: GatewayProcess, kind: Kind) -> None:
    """M stream: input usage always 0: agents see an empty context."""
    found = events(ask(gateway, "M", f"stub-{kind}/text", stream=True))
    start, delta = found[0]["message"]["usage"], found[-2]["usage"]
    assert delta.get("input_tokens", start["input_tokens"]) > 0
    assert kind != "messages" or start["input_tokens"] > 0


@every_kind
@pytest.mark.parametrize("wanted", [True, False], ids=["asked for", "not asked for"])
def test_usage_is_a_chunk_of_its_own_and_only_when_asked_for(
    gateway: GatewayProcess, kind: Kind, *, wanted: bool
) -> None:
    """Usage chunk wrong shape (C): usage on the finish chunk (choices not empty), sent also when `include_usage` is absent."""
    options = {"stream_options": {"include_usage": True}} if wanted else {}
    *chunks, last = events(ask(gateway, "C", f"stub-{kind}/text", stream=True, **options))
    assert all(chunk["choices"] and not chunk.get("usage") for chunk in chunks)
    assert (last["choices"] == [] and last["usage"]["total_tokens"] > 0) if wanted else last["choices"]


# ── what was asked ──


def test_a_tools_result_has_its_tools_name_where_that_is_wanted(
    gateway: GatewayProcess, provider: StrictProvider
) -> None:
    """**Tool loops fail on Google upstreams**: tool result has an empty tool name.

    Google's own kind is not served yet; other servers that want the name are.
    """
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
    ]
    answer = ask(gateway, "C", "stub-chat/compatible", messages=messages, tools=CHAT_TOOLS)
    assert answer.status == 200, answer.text
    assert provider.diary.last().body["messages"][-1]["name"] == "get_weather"


@every_kind
def test_thinking_is_asked_for_and_shown(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind
) -> None:
    """Thinking never asked for, never shown: `thinking` / `reasoning_effort` not forwarded; thinking blocks of the history dropped."""
    model = "stub-chat/deepseek" if kind == "chat" else f"stub-{kind}/thinker"
    chat = ask(gateway, "C", model, reasoning_effort="high", max_tokens=8000)
    assert heard(provider).thinking
    assert chat.json()["choices"][0]["message"]["reasoning_content"]
    fields: dict[str, Any] = {"thinking": {"type": "enabled", "budget_tokens": 2000}, "max_tokens": 8000}
    first = ask(gateway, "M", model, **fields).json()["content"]
    assert [block["type"] for block in first] == ["thinking", "text"]
    messages = [*HELLO, {"role": "assistant", "content": first}, *HELLO]
    assert ask(gateway, "M", model, messages=messages, **fields).status == 200
    # Responses takes a summary back only with its seal, and chat as a field: either way the words are there.
    assert first[0]["thinking"] in provider.diary.last().raw.decode()


CHAT_WISHES: Final[dict[str, Any]] = {
    "stop": ["END"],
    "top_p": 0.9,
    "seed": 7,
    "response_format": {"type": "json_object"},
    "reasoning_effort": "low",
    "parallel_tool_calls": False,
    "tool_choice": "auto",
    "user": "ann",
    "max_completion_tokens": 77,
}
CHAT_HOMES: Final[dict[Kind, dict[str, str]]] = {
    "chat": {name: name for name in CHAT_WISHES},
    "responses": {
        "response_format": "text",
        "reasoning_effort": "reasoning",
        "parallel_tool_calls": "parallel_tool_calls",
        "tool_choice": "tool_choice",
        "max_completion_tokens": "max_output_tokens",
        "stop": "(watched for by the gateway)",
    },
    "messages": {
        "stop": "stop_sequences",
        "response_format": "system",
        "reasoning_effort": "thinking",
        "parallel_tool_calls": "tool_choice",
        "tool_choice": "tool_choice",
        "user": "metadata",
        "max_completion_tokens": "max_tokens",
    },
}


@every_kind
def test_every_wish_of_a_chat_caller_arrives_or_is_listed(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind
) -> None:
    """Parameters dropped in silence: asked: stop, top_p, seed, n, response_format, reasoning_effort, parallel_tool_calls, tool_choice, user, max_completion_tokens 77."""
    wishes = {
        **CHAT_WISHES,
        "messages": [{"role": "user", "content": "Answer in JSON."}],
        "tools": CHAT_TOOLS,
    }
    if kind == "chat":
        del wishes["reasoning_effort"]  # this model takes none, and a pass-through leaves that to it
        wishes |= {"n": 1, "max_tokens": None}
    model = f"stub-{kind}/text" if kind == "chat" else f"stub-{kind}/thinker"
    answer = gateway.post(CHAT, {"model": model, **wishes})
    assert answer.status == 200, answer.text
    sent, lost = provider.diary.last().body, dropped(answer)
    for name in CHAT_WISHES.keys() & wishes.keys():
        home = CHAT_HOMES[kind].get(name, "")
        assert home in sent or home.startswith("(") or name in lost, name


@pytest.mark.parametrize("kind", ["responses", "messages"])
def test_two_answers_are_refused_where_one_would_come(gateway: GatewayProcess, kind: Kind) -> None:
    """Parameters dropped in silence: … n …: one answer came."""
    answer = ask(gateway, "C", f"stub-{kind}/text", n=2)
    assert (answer.status, error_of(answer)["param"]) == (400, "n")


@every_kind
def test_every_wish_of_a_messages_caller_arrives_or_is_listed(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind
) -> None:
    """M: stop_sequences, top_p, top_k, thinking, metadata, tool_choice dropped."""
    wishes: dict[str, Any] = {
        "stop_sequences": ["END"],
        "top_p": 0.9,
        "top_k": 5,
        "metadata": {"user_id": "ann"},
        "tool_choice": {"type": "any"},
    }
    homes = {
        "chat": {"stop_sequences": "stop", "top_p": "top_p", "tool_choice": "tool_choice"},
        "responses": {"top_p": "top_p", "tool_choice": "tool_choice"},
        "messages": {name: name for name in wishes},
    }[kind]
    answer = ask(gateway, "M", f"stub-{kind}/text", tools=MESSAGES_TOOLS, **wishes)
    assert answer.status == 200, answer.text
    sent, lost = provider.diary.last().body, dropped(answer)
    watched = {"stop_sequences"} if kind == "responses" else set()
    for name in wishes.keys() - watched:
        assert homes.get(name) in sent or any(path.startswith(name) for path in lost), (name, lost)


@every_kind
def test_no_content_of_a_chat_caller_vanishes(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind
) -> None:
    """Content dropped in silence: role `developer` message vanishes; http image URL vanishes (text goes alone); file and audio parts vanish."""
    file = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{as_base64(PDF)}"}
    parts = [
        {"type": "text", "text": "Look."},
        {"type": "image_url", "image_url": {"url": PICTURE_URL}},
        {"type": "file", "file": file},
    ]
    messages = [{"role": "developer", "content": "Be brief."}, {"role": "user", "content": parts}]
    assert ask(gateway, "C", f"stub-{kind}/vision", messages=messages).status == 200
    assert heard(provider).system == "Be brief."
    sent = provider.diary.last().raw.decode()
    assert PICTURE_URL in sent
    assert as_base64(PDF) in sent
    audio = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
    spoken = ask(gateway, "C", f"stub-{kind}/vision", messages=[{"role": "user", "content": [audio]}])
    arrived = "AAAA" in provider.diary.last().raw.decode()
    assert arrived if kind == "chat" else spoken.status == 400 or dropped(spoken)


@every_kind
def test_no_content_of_a_messages_caller_vanishes(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind
) -> None:
    """Image inside a tool_result vanishes; M url image becomes an image without data (502); M document vanishes."""
    picture = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": as_base64(PNG)},
    }
    document = {"type": "base64", "media_type": "application/pdf", "data": as_base64(PDF)}
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [picture]}
    messages = [
        *HELLO,
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}],
        },
        {
            "role": "user",
            "content": [
                result,
                {"type": "image", "source": {"type": "url", "url": PICTURE_URL}},
                {"type": "document", "source": document},
                {"type": "text", "text": "script:pictures"},
            ],
        },
    ]
    answer = ask(gateway, "M", f"stub-{kind}/vision", messages=messages, tools=MESSAGES_TOOLS)
    assert answer.status == 200, answer.text
    told = answer.json()["content"][0]["text"]
    assert PNG_SEEN in told
    assert PICTURE_URL in told
    assert as_base64(PDF) in provider.diary.last().raw.decode()


@every_kind
def test_the_history_is_not_rewritten(gateway: GatewayProcess, provider: StrictProvider, kind: Kind) -> None:
    """History rewritten: broken tool-argument JSON in the history becomes `{}`; a late system message moves to the front."""
    call = {"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Par'}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
        {"role": "assistant", "content": "It is sunny."},
        {"role": "system", "content": "From now on, in French."},
        {"role": "user", "content": "And tomorrow?"},
    ]
    assert ask(gateway, "C", f"stub-{kind}/text", messages=messages, tools=CHAT_TOOLS).status == 200
    sent = provider.diary.last().raw.decode()
    assert "Par" in sent
    places = [sent.index(text) for text in ("It is sunny.", "From now on, in French.", "And tomorrow?")]
    assert places == sorted(places)


@every_kind
@both_ways
def test_an_answer_cut_for_length_says_so(gateway: GatewayProcess, kind: Kind, *, stream: bool) -> None:
    """Length taken for stop."""
    messages = [{"role": "user", "content": "script:length"}]
    answer = ask(gateway, "C", f"stub-{kind}/text", stream=stream, messages=messages)
    choices = [c for e in events(answer) for c in e["choices"]] if stream else answer.json()["choices"]
    assert [choice["finish_reason"] for choice in choices if choice["finish_reason"]] == ["length"]


# ── the door ──


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/models/stub-chat/text"),
        ("GET", "/v1/models/stub-chat%2Ftext"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/chat/completions"),
        ("GET", "/readyz"),
    ],
)
def test_routes_that_clients_ask_for_are_there(gateway: GatewayProcess, method: str, path: str) -> None:
    """Absent routes: 404."""
    body = {"model": "stub-chat/text", "messages": HELLO} if method == "POST" else None
    assert gateway.ask(method, path, body).status == 200


def test_models_are_listed_with_name_context_limits_and_price(gateway: GatewayProcess) -> None:
    """/v1/models without name, context or limits: `id, object, created (now), owned_by` only."""
    for item in gateway.get("/v1/models").json()["data"]:
        assert {"id", "object", "created", "owned_by", "context_window", "pricing"} <= set(item)
    claude = gateway.get("/v1/models", {"anthropic-version": "2023-06-01"}).json()["data"][0]
    assert {"display_name", "max_input_tokens", "max_tokens", "created_at"} <= set(claude)


WRONG_MESSAGES: Final[list[Any]] = [None, 5, {}]
WRONG_MODELS: Final[list[Any]] = [{}, 5, "toString", "__proto__"]


@pytest.mark.parametrize(
    "body",
    [
        b"null",
        {"model": "stub-chat/text"},
        *({"model": "stub-chat/text", "messages": messages} for messages in WRONG_MESSAGES),
        *({"model": model, "messages": HELLO} for model in WRONG_MODELS),
    ],
    ids=lambda body: str(body)[:60],
)
@every_caller
def test_no_request_ends_the_process(gateway: GatewayProcess, caller: str, body: Any) -> None:
    """One request ends the whole process: body `null`; `messages` missing, null, a number, an object; `model` an object or a number; with any alias set also `model:"toString"` or `"__proto__"`."""
    assert 400 <= gateway.post(PATHS[caller], body).status < 500
    assert gateway.ask("GET", "//").status == 404
    assert gateway.process.poll() is None


def test_only_this_machine_can_reach_it(gateway: GatewayProcess) -> None:
    """Listens on all interfaces although its README says localhost."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, state = line.split()[1], line.split()[3]
        address, port = local.split(":")
        if state == "0A" and int(port, 16) == gateway.port:
            assert address == "0100007F"
    assert f":{gateway.port:04X} " not in Path("/proc/net/tcp6").read_text()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"content-type": "text/plain"}, 415),
    ],
)
def test_web_pages_cannot_use_it(
    gateway: GatewayProcess, provider: StrictProvider, headers: dict[str, str], status: int
) -> None:
    """Any Host, any Origin, text/plain posts served; JSON answers always `*`."""
    answer = gateway.post(CHAT, {"model": "stub-chat/text", "messages": HELLO}, headers)
    assert answer.status == status
    assert answer.headers.get("access-control-allow-origin") != "*"
    assert provider.diary.arrivals() == []


def test_the_callers_own_origin_alone_is_allowed(provider: StrictProvider, tmp_path: Path) -> None:
    """Two `allowedOrigins` joined into one header."""
    origins = ["https://one.example", "https://two.example"]
    with serving(provider, tmp_path, allowedOrigins=origins) as gateway:
        for origin in origins:
            answer = gateway.get("/v1/models", {"origin": origin})
            assert answer.headers["access-control-allow-origin"] == origin


def test_a_body_has_a_limit(gateway: GatewayProcess) -> None:
    """No body limit (400 MiB taken)."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as sock:
        sock.sendall(
            b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
            b"content-length: 419430400\r\n\r\n{"
        )
        assert b" 413 " in sock.recv(4096)


@every_kind
@every_caller
def test_a_redirect_is_not_followed(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str
) -> None:
    """Redirects followed to other hosts with credentials."""
    provider.queue(FAULTS["redirect"])
    assert ask(gateway, caller, f"stub-{kind}/text").status == 502
    assert [arrival.told for arrival in provider.diary.arrivals()] == ["redirect"]


@every_kind
@every_caller
def test_a_key_that_the_upstream_repeats_stays_between_the_two(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str
) -> None:
    """An upstream 401 that echoes the key: the key goes to the client and into the log."""
    provider.queue(FAULTS["key-echoed"])
    answer = ask(gateway, caller, f"stub-{kind}/text")
    assert STUB_KEY not in answer.text + str(answer.headers)
    assert logged(gateway, answer.headers["x-request-id"])["status"] == 401
    assert STUB_KEY not in gateway.log_path.read_text()


def test_the_gateways_key_is_read_as_clients_send_it(tmp_path: Path) -> None:
    """`Authorization: bearer` in lower case → 401; a wrong Bearer beats a right x-api-key; PATCH /health → 200."""
    with running_gateway(tmp_path, "--demo", key="right-key-12345") as gateway:
        gateway.key = None
        lower = {"authorization": "bearer right-key-12345"}
        mixed = {"authorization": "Bearer wrong", "x-api-key": "right-key-12345"}
        assert [gateway.get("/v1/models", headers).status for headers in (lower, mixed)] == [200, 200]
        assert gateway.ask("PATCH", "/health", headers=lower).status == 405
