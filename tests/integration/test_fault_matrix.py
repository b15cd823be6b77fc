"""Every fault of an upstream, in every pair of dialects, streamed and not, through the installed command.

What each must become stands in the strict provider's table (`support.strict_provider.faults`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.conftest import KEY, write_agent_dir
from support.gateway_process import Answer, GatewayProcess, running_gateway
from support.strict_provider import FAULTS, Fault, StrictProvider, say

TEXT = "All of this arrives, or an error says that it did not."
TIMEOUT_MS = 600
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}
SLOW = {"dribbled-headers", "gzip-bomb", "endless-line", "drip"}


@pytest.fixture(scope="module")
def impatient(provider: StrictProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway that waits for 0.6 s only."""
    home = tmp_path_factory.mktemp("impatient")
    agent_dir = write_agent_dir(home / "agent", provider)
    with running_gateway(home, agent_dir=agent_dir, config={"requestTimeoutMs": TIMEOUT_MS}) as running:
        yield running
        assert KEY not in running.printed()
        assert not running.log_path.exists() or KEY not in running.log_path.read_text()


def ask(gateway: GatewayProcess, kind: str, caller: str, *, stream: bool) -> Answer:
    body = {
        "model": f"stub-{kind}/text",
        "messages": [{"role": "user", "content": "hello"}],
        "max_tokens": 1000,
        "stream": stream,
    }
    return gateway.post(PATHS[caller], body, timeout_s=30)


def events(answer: Answer) -> list[dict[str, Any]]:
    found = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(data) for data in found if data != "[DONE]"]


def streamed_text(caller: str, answer: Answer) -> str:
    if caller == "chat":
        return "".join(
            choice["delta"].get("content") or ""
            for event in events(answer)
            for choice in event.get("choices", ())
        )
    return "".join(
        event["delta"].get("text", "") for event in events(answer) if event["type"] == "content_block_delta"
    )


def ended_well(caller: str, answer: Answer) -> bool:
    if caller == "chat":
        finishes = [
            c["finish_reason"] for e in events(answer) for c in e.get("choices", ()) if c["finish_reason"]
        ]
        return (
            finishes == ["stop"]
            and answer.text.count("data: [DONE]") == 1
            and "error" not in events(answer)[-1]
        )
    types = [event["type"] for event in events(answer)]
    return types.count("message_start") == types.count("message_stop") == 1 and types[-1] == "message_stop"


def ended_with_error(caller: str, answer: Answer) -> bool:
    last = events(answer)[-1]
    if caller == "chat":
        finished = any(c["finish_reason"] for e in events(answer) for c in e.get("choices", ()))
        return set(last) == {"error"} and "[DONE]" not in answer.text and not finished
    return last["type"] == "error" and all(event["type"] != "message_stop" for event in events(answer))


def is_envelope(caller: str, answer: Answer) -> bool:
    body = answer.json()
    if caller == "messages":
        return body["type"] == "error" and isinstance(body["error"]["message"], str)
    return set(body["error"]) == {"message", "type", "param", "code"}


def is_whole(caller: str, answer: Answer, *, stream: bool) -> bool:
    if answer.status != 200:
        return False
    if stream:
        return ended_well(caller, answer) and streamed_text(caller, answer) == TEXT
    body = answer.json()
    if caller == "chat":
        return bool(body["choices"][0]["message"]["content"] == TEXT)
    return "".join(block["text"] for block in body["content"]) == TEXT


def expected_statuses(fault: Fault, caller: str) -> set[int]:
    if fault.status in {None, 200, 307}:
        return {502, 503, 500}
    assert fault.status is not None
    return {503} if fault.status == 529 and caller == "chat" else {fault.status}


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "streamed"])
@pytest.mark.parametrize("caller", PATHS)
@pytest.mark.parametrize("kind", ["chat", "responses", "messages"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_becomes_what_the_matrix_says(
    impatient: GatewayProcess, provider: StrictProvider, name: str, kind: str, caller: str, *, stream: bool
) -> None:
    fault = FAULTS[name]
    # A plain answer is asked of the upstream as a stream when it must be translated.
    upstream_streams = stream or kind != caller
    outcome = fault.stream if upstream_streams else fault.json
    provider.queue(say(TEXT), fault=fault)
    answer = ask(impatient, kind, caller, stream=stream)
    assert KEY not in answer.text
    match outcome:
        case "whole":
            assert is_whole(caller, answer, stream=stream), answer.text[:2000]
        case "status":
            assert answer.status in expected_statuses(fault, caller), answer.text[:500]
            assert is_envelope(caller, answer)
        case "whole-or-error":
            good = is_whole(caller, answer, stream=stream)
            told = answer.status >= 500 and is_envelope(caller, answer)
            assert good or told or (stream and ended_with_error(caller, answer)), answer.text[:2000]
        case "none":
            pass
        case _:
            # An error event that becomes a status keeps what it said: overloaded is 503 or 529.
            statuses = {"timeout": {504}, "stalled": {504}, "bad-gateway": {502}}.get(
                outcome, {500, 502, 503, 529}
            )
            if not stream:
                assert answer.status in statuses, answer.text[:500]
                assert is_envelope(caller, answer)
            elif outcome in {"cut", "stalled"} and answer.status == 200:
                assert ended_with_error(caller, answer), answer.text[:2000]
                assert TEXT.startswith(streamed_text(caller, answer))
            else:
                assert answer.status in statuses, answer.text[:500]
                assert is_envelope(caller, answer)
    provider.diary.clear()


def test_a_rate_limit_keeps_its_retry_after(impatient: GatewayProcess, provider: StrictProvider) -> None:
    for kind in ("chat", "responses", "messages"):
        for caller in PATHS:
            provider.queue(say(TEXT), fault=FAULTS["http-429"])
            answer = ask(impatient, kind, caller, stream=True)
            assert (answer.status, answer.headers["retry-after"]) == (429, "7")


def test_an_overflow_is_said_in_the_words_agents_compact_on(
    impatient: GatewayProcess, provider: StrictProvider
) -> None:
    for kind in ("chat", "responses", "messages"):
        provider.queue(say(TEXT), fault=FAULTS["context-overflow"])
        error = ask(impatient, kind, "chat", stream=True).json()["error"]
        assert error["code"] == "context_length_exceeded"
        provider.queue(say(TEXT), fault=FAULTS["context-overflow"])
        error = ask(impatient, kind, "messages", stream=True).json()["error"]
        assert error["type"] == "invalid_request_error"
        assert error["message"].startswith("prompt is too long: 213462 tokens > 200000 maximum")


def test_the_gateway_serves_on_after_every_fault(impatient: GatewayProcess, provider: StrictProvider) -> None:
    provider.queue(say(TEXT))
    assert is_whole("chat", ask(impatient, "chat", "chat", stream=False), stream=False)


def test_a_stopped_answer_is_never_logged_as_whole(tmp_path: Path, provider: StrictProvider) -> None:
    agent_dir = write_agent_dir(tmp_path / "agent", provider)
    with running_gateway(tmp_path, agent_dir=agent_dir, config={"requestTimeoutMs": TIMEOUT_MS}) as gateway:
        provider.queue(say(TEXT), fault=FAULTS["clean-cut"])
        ask(gateway, "chat", "chat", stream=True)
        provider.queue(say(TEXT), fault=FAULTS["silence-mid-stream"])
        ask(gateway, "messages", "chat", stream=True)
        cut, silent = gateway.log(2)
        assert (cut["status"], cut["ended_by"], cut["error_kind"]) == (
            200,
            "upstream",
            "http_response_incomplete",
        )
        assert (silent["ended_by"], silent["error_kind"]) == ("timeout", "http_response_timeout")
