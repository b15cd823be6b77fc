"""The golden folders of the kinds that have a client half only; see `tests/golden/test_golden.py` for what they hold.

Bedrock's streams are binary; in their place stands `stream.jsonl`, one message a line, headers and
payload, which is put into Amazon's encoding here. `REGOLD=1` rewrites what is computed.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects import bedrock_converse, mistral_conversations, pi_messages
from pi_model_proxy.dialects.base import ClientHalf
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import Event, Failure, Request, Target, check_order, fold
from support.kind_streams import frame, pieces

GOLDEN = Path(__file__).parents[2] / "golden"
CLIENTS: dict[str, ClientHalf] = {
    half.dialect: half for half in (bedrock_converse.CLIENT, mistral_conversations.CLIENT, pi_messages.CLIENT)
}
CASES = sorted(path.parent for dialect in CLIENTS for path in (GOLDEN / dialect).glob("*/about.toml"))
MIN_CASES = 8


class Case:
    """One folder and the codec it is about."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.client = CLIENTS[path.parent.name]
        self.target = msgspec.json.decode((path / "target.json").read_bytes(), type=Target)

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def request(self) -> Request:
        return msgspec.json.decode((self.path / "request.hub.json").read_bytes(), type=Request)

    def names(self) -> ToolNames:
        if not self.has("request.hub.json"):
            return ToolNames()
        return self.client.encode_request(self.request(), self.target).names

    def stream(self) -> bytes:
        if self.has("stream.sse"):
            return (self.path / "stream.sse").read_bytes()
        messages = [json.loads(line) for line in (self.path / "stream.jsonl").read_text().splitlines()]
        return b"".join(frame(each["headers"], json.dumps(each["payload"]).encode()) for each in messages)

    def events(self, size: int) -> list[Event]:
        decoder = self.client.stream_decoder(self.target, self.names())
        events = [event for piece in pieces(self.stream(), size) for event in decoder.feed(piece)]
        return events + decoder.close()

    def agrees(self, name: str, text: str) -> None:
        path = self.path / name
        if os.environ.get("REGOLD"):
            path.write_text(text, encoding="utf-8")
        assert path.read_text(encoding="utf-8") == text


@pytest.fixture(params=CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def _written(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _error(error: Any) -> Any:
    assert isinstance(error, UpstreamError)
    names = ("message", "status", "kind", "family", "native_type", "code", "retry_after_s")
    return {name: getattr(error, name) for name in names}


def _line(event: Event) -> str:
    return json.dumps(json.loads(msgspec.json.encode(event, enc_hook=_error)), ensure_ascii=False) + "\n"


def _needs(case: Case, *names: str) -> None:
    if not any(case.has(name) for name in names):
        pytest.skip(f"this case has no {' or '.join(names)}")


@pytest.mark.parametrize("dialect", sorted(CLIENTS))
def test_there_are_enough_cases_and_each_says_where_it_comes_from(dialect: str) -> None:
    folders = [path for path in CASES if path.parent.name == dialect]
    assert len(folders) >= MIN_CASES
    for folder in folders:
        about = tomllib.loads((folder / "about.toml").read_text(encoding="utf-8"))
        assert about.keys() >= {"source", "captured", "redacted", "why"}


def test_the_request_is_written_as_it_was(case: Case) -> None:
    _needs(case, "request.hub.json")
    outgoing = case.client.encode_request(case.request(), case.target)
    case.agrees("request.json", _written(json.loads(outgoing.body)))
    beside = {"path": outgoing.path, "headers": dict(outgoing.headers), "dropped": list(outgoing.dropped)}
    case.agrees("outgoing.json", _written(beside))


@pytest.mark.parametrize("size", [1, 7, 10**6])
def test_the_stream_means_what_it_meant(case: Case, size: int) -> None:
    _needs(case, "stream.sse", "stream.jsonl")
    events = case.events(size)
    assert check_order(events) is None
    case.agrees("events.hub.jsonl", "".join(map(_line, events)))


def test_the_plain_answer_means_the_same(case: Case) -> None:
    _needs(case, "answer.json")
    streamed = fold(case.events(1000))
    body = (case.path / "answer.json").read_bytes()
    plain = fold(case.client.decode_message(body, case.target, case.names()))
    assert _loosely(plain.blocks) == _loosely(streamed.blocks)
    assert (plain.usage, plain.finish) == (streamed.usage, streamed.finish)


def _loosely(blocks: Any) -> Any:
    """Return blocks with arguments read: whole answers have them as objects."""
    found = json.loads(msgspec.json.encode(blocks))
    for block in found:
        if block["type"] == "tool_call":
            block["arguments"] = json.loads(block["arguments"])
    return found


def test_failures_are_told_by_some_cases() -> None:
    failing = {
        case.client.dialect
        for case in map(Case, CASES)
        if (case.has("stream.sse") or case.has("stream.jsonl"))
        and isinstance(case.events(10**6)[-1], Failure)
    }
    assert failing == set(CLIENTS)
