"""What the first pi-model-proxy did well and must not be lost, one test a line; the line's own words in each docstring.

Clients that leave: `test_disconnects.py`. Requests of coding agents: `test_agents.py`. Here both in short.
"""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from integration.materials import (
    CHAT,
    CHAT_TOOLS,
    CITIES,
    KINDS,
    MESSAGES,
    MESSAGES_TOOLS,
    PNG,
    PNG_SEEN,
    Kind,
    as_base64,
    events,
    logged,
    serving,
)
from support.agent_dir import STUB_KEY
from support.gateway_process import Answer, GatewayProcess, running_gateway
from support.strict_provider import FAULTS, UNICODE_TEXT, Pace, StrictProvider, say

STREAMS: Final = 300
"""At once; the original was seen to carry 1,000, and `make bench` asks for that many."""
GATEWAY_KEY: Final = "gateway-key-0123456789"
PATHS: Final = {"chat": CHAT, "messages": MESSAGES}
TOOLS: Final = {"chat": CHAT_TOOLS, "messages": MESSAGES_TOOLS}

every_kind = pytest.mark.parametrize("kind", KINDS)
every_caller = pytest.mark.parametrize("caller", PATHS)
both_ways = pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])


@pytest.fixture(scope="module")
def gateway(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    root = tmp_path_factory.mktemp("well")
    with serving(provider, root, "--api-key", GATEWAY_KEY, requestTimeoutMs=20_000) as running:
        running.key = GATEWAY_KEY
        yield running
        assert STUB_KEY not in running.printed()


def ask(
    gateway: GatewayProcess, caller: str, kind: Kind, prompt: Any, *, stream: bool = False, **fields: Any
) -> Answer:
    messages = [{"role": "user", "content": prompt}]
    body = {
        "model": f"stub-{kind}/vision",
        "messages": messages,
        "max_tokens": 1000,
        "stream": stream,
        **fields,
    }
    answer = gateway.post(PATHS[caller], body)
    assert answer.status == 200, answer.text[:500]
    return answer


def text_of(answer: Answer, caller: str, *, stream: bool) -> str:
    if caller == "chat":
        choices = [c for e in events(answer) for c in e["choices"]] if stream else answer.json()["choices"]
        return "".join(choice["delta" if stream else "message"].get("content") or "" for choice in choices)
    if stream:
        found = events(answer)
        assert found[-1]["type"] == "message_stop"
        return "".join(event.get("delta", {}).get("text", "") for event in found)
    return "".join(block.get("text", "") for block in answer.json()["content"])


def calls_of(answer: Answer, caller: str) -> list[tuple[str, Any]]:
    """Return name and arguments of each call of a plain answer."""
    if caller == "chat":
        calls = answer.json()["choices"][0]["message"]["tool_calls"]
        return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]
    blocks = answer.json()["content"]
    return [(block["name"], block["input"]) for block in blocks if block["type"] == "tool_use"]


def request_bytes(caller: str, kind: Kind, prompt: str, *, stream: bool) -> bytes:
    messages = [{"role": "user", "content": prompt}]
    body = {"model": f"stub-{kind}/text", "max_tokens": 100, "messages": messages, "stream": stream}
    data = json.dumps(body).encode()
    head = (
        f"POST {PATHS[caller]} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nx-api-key: {GATEWAY_KEY}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
    )
    return head.encode() + data


def test_many_streams_at_once_complete_and_those_left_take_their_upstream_along(
    gateway: GatewayProcess, provider: StrictProvider
) -> None:
    """The client goes → the upstream is dropped within 0.3 s. 1,000 streams at once complete, no leaked upstream connection."""
    provider.queue(
        *([say("From the first word to the last.")] * STREAMS), pace=Pace(hold_after=4, gate="crowd")
    )

    async def one(number: int) -> bytes:
        caller, kind = ("chat", "messages")[number % 2], KINDS[number % 3]
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**20)
        writer.write(request_bytes(caller, kind, "Go.", stream=True))
        seen = await reader.readuntil(b"data: ")
        if number % 10:
            seen += await reader.read(-1)
        writer.close()
        return seen

    async def all_of_them() -> list[bytes]:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one(number)) for number in range(STREAMS)]
            await asyncio.to_thread(provider.diary.wait_for_arrivals, STREAMS, 30.0)
            provider.open_gate("crowd")
        return [task.result() for task in running]

    answers = asyncio.run(all_of_them())
    stayed = [answer for number, answer in enumerate(answers) if number % 10]
    assert all(b"[DONE]" in answer or b'"message_stop"' in answer for answer in stayed)
    provider.diary.wait_for(
        lambda diary: all(
            found.finished_after_s is not None or found.peer_left_after_s is not None
            for found in diary.arrivals()
        )
    )


@every_kind
def test_fields_that_nobody_documented_do_no_harm(gateway: GatewayProcess, kind: Kind) -> None:
    """**Lenient**: 25 of 25 recorded first requests of coding agents work, unknown fields and `?beta=true` included."""
    messages = [{"role": "user", "content": "script:hello", "note": {"to": "self"}}]
    body = {"model": f"stub-{kind}/text", "max_tokens": 100, "messages": messages, "surprise": True}
    if kind != "messages":
        assert gateway.post(f"{MESSAGES}?beta=true", body).status == 200
    if kind != "chat":
        assert gateway.post(CHAT, body).status == 200


@both_ways
@every_caller
@every_kind
def test_text_is_right_however_it_is_cut(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str, *, stream: bool
) -> None:
    """Text streamed and not, Unicode cut at any byte."""
    provider.queue(say(UNICODE_TEXT), pace=Pace(chunk_bytes=1))
    answer = ask(gateway, caller, kind, "Go.", stream=stream)
    assert text_of(answer, caller, stream=stream) == UNICODE_TEXT


@both_ways
@every_caller
@every_kind
def test_a_long_answer_to_a_long_request_is_whole(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str, *, stream: bool
) -> None:
    """300 KB answers, 2 MB requests."""
    long = "0123456789abcdef" * (300 * 64)
    provider.queue(say(long, piece_chars=1000))
    picture = as_base64(PNG + b"\0" * (3 * 2**19))
    part: dict[str, Any] = {
        "chat": {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{picture}"}},
        "messages": {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": picture},
        },
    }[caller]
    answer = ask(gateway, caller, kind, [part, {"type": "text", "text": "Go on."}], stream=stream)
    assert text_of(answer, caller, stream=stream) == long
    assert picture in provider.diary.last().raw.decode()


@every_caller
@every_kind
def test_twenty_at_once_keep_apart(gateway: GatewayProcess, kind: Kind, caller: str) -> None:
    """20 at once."""

    async def one(number: int) -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port, limit=2**20)
        writer.write(request_bytes(caller, kind, f"number {number}.", stream=False))
        seen = await reader.read(-1)
        writer.close()
        return f"You said: number {number}.".encode() in seen

    async def all_of_them() -> list[bool]:
        return await asyncio.gather(*(one(number) for number in range(20)))

    assert all(asyncio.run(all_of_them()))


@every_caller
@every_kind
def test_calls_of_every_sort_arrive(gateway: GatewayProcess, kind: Kind, caller: str) -> None:
    """Parallel and empty-argument tool calls, text then tool: right on chat, Responses and Anthropic upstreams from both dialects."""
    answers = {
        script: ask(gateway, caller, kind, f"script:{script}", tools=TOOLS[caller])
        for script in ("parallel-tools", "empty-call", "text-then-tool")
    }
    assert calls_of(answers["parallel-tools"], caller) == [("get_weather", {"city": city}) for city in CITIES]
    assert calls_of(answers["empty-call"], caller) == [("get_weather", {})]
    assert calls_of(answers["text-then-tool"], caller) == [("get_weather", {"city": "Oslo"})]
    assert text_of(answers["text-then-tool"], caller, stream=False) == "I will look."


@every_kind
def test_a_picture_in_a_data_url_arrives(gateway: GatewayProcess, kind: Kind) -> None:
    """Data-URL images."""
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{as_base64(PNG)}"}}
    answer = ask(gateway, "chat", kind, [picture, {"type": "text", "text": "script:pictures"}])
    assert text_of(answer, "chat", stream=False) == f"I see 1: {PNG_SEEN}"


def test_the_prompt_is_cached_for_callers_who_cannot_ask_for_it(
    gateway: GatewayProcess, provider: StrictProvider
) -> None:
    """Prompt-cache marks are placed for Anthropic upstreams (system, last user turn, last tool) where the client's dialect has none (chat clients), as pi does; `eager_input_streaming`."""
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi."}]
    ask(gateway, "chat", "messages", "", messages=messages, tools=CHAT_TOOLS)
    sent = provider.diary.last().body
    for marked in (sent["system"][-1], sent["messages"][-1]["content"][-1], sent["tools"][-1]):
        assert marked["cache_control"] == {"type": "ephemeral"}
    assert sent["tools"][-1]["eager_input_streaming"] is True
    ask(gateway, "messages", "messages", "Hi.", tools=MESSAGES_TOOLS)
    assert b"cache_control" not in provider.diary.last().raw


@every_kind
def test_an_error_in_mid_stream_is_an_event_to_messages_callers(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind
) -> None:
    """M streams report mid-stream errors as `event: error`."""
    provider.queue(say("Part one, part two, part three."), fault=FAULTS["error-event-mid"])
    answer = ask(gateway, "messages", kind, "Go.", stream=True)
    assert "event: error" in answer.text
    assert events(answer)[-1]["error"]["type"] == "overloaded_error"


@every_kind
def test_stale_connections_are_repaired(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind
) -> None:
    """Transient upstream failures before the first byte are repaired (stale keep-alive: 20 of 20)."""
    provider.queue(*([FAULTS["stale-connection"]] * 20))
    for _ in range(20):
        assert ask(gateway, "chat", kind, "Go.").status == 200


def test_health_is_open_and_limits_say_when_to_come_back(tmp_path: Path) -> None:
    """`/health` open without a key; 429 and 503 with `Retry-After`."""
    with running_gateway(tmp_path, "--demo", "--rate-limit", "1", key=GATEWAY_KEY) as gateway:
        statuses = [gateway.post(CHAT, {}).status for _ in range(2)]
        assert statuses == [400, 429]
        assert int(gateway.post(CHAT, {}).headers["retry-after"]) > 0
        gateway.key = None
        assert gateway.get("/health").json()["status"] == "ok"


def test_a_port_in_use_is_said_with_its_holder(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Port in use does not stop pi; `/proxy-status`."""
    command = [sys.executable, "-m", "pi_model_proxy"]
    done = subprocess.run(
        [*command, "--port", str(gateway.port)],
        env={"HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 1
    assert "taken" in done.stderr
    assert gateway.get("/health").status == 200
    status = subprocess.run(
        [*command, "status", "--port", str(gateway.port)],
        env={"HOME": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert status.returncode == 0, status.stderr


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/1.1\r\nhost: localhost\r\n\x00: bad\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n{}",
    ],
    ids=["a NUL in a header", "TLS", "two framings", "two lengths"],
)
def test_malformed_bytes_are_refused(gateway: GatewayProcess, provider: StrictProvider, raw: bytes) -> None:
    """Malformed bytes and smuggling refused by Node's parser."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as sock:
        sock.sendall(raw)
        assert sock.recv(4096).startswith(b"HTTP/1.1 400 ")
    assert provider.diary.arrivals() == []


@every_caller
@every_kind
def test_no_prompt_is_logged_and_the_gateways_key_stays_here(
    gateway: GatewayProcess, provider: StrictProvider, kind: Kind, caller: str
) -> None:
    """No prompt text in its log; its own key never sent upstream."""
    answer = ask(gateway, caller, kind, "The heron stands in the reeds.")
    assert logged(gateway, answer.headers["x-request-id"])["status"] == 200
    log = gateway.log_path.read_text()
    assert "heron" not in log
    assert GATEWAY_KEY not in log
    arrival = provider.diary.last()
    assert GATEWAY_KEY not in str(arrival.headers) + arrival.raw.decode()


def test_it_answers_soon_after_its_start(tmp_path: Path) -> None:
    """Small: 1.2 s to the first answer. (`make bench` measures it; here with room for a busy machine.)"""
    began = time.monotonic()
    with running_gateway(tmp_path, "--demo") as gateway:
        assert gateway.get("/health").status == 200
        assert time.monotonic() - began < 5.0
