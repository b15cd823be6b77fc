"""Facts about other people's formats: `tests/golden/<dialect>/<case>/`, one folder per thing worth remembering.

A folder holds `about.toml` (source, date captured, what was redacted, why the case exists) and any of:

    target.json        the model asked (fields of `hub.Target`); absent: an ordinary one
    request.json       the request in the folder's dialect
    request.hub.json   what it means
    upstream.json      what the dialect's client half sends for that meaning (dialects with both halves)
    stream.sse         an upstream's answer, bytes untouched
    events.hub.jsonl   what that means
    answer.json        the same answer not streamed
    relayed.sse        the stream as a relay passes it to a caller that asked for usage
    error.json         the error a caller gets when the stream ends in one
    said.hub.jsonl     an answer in the hub's events (dialects that only callers speak)
    told.txt           the same as a caller's stream
    told.json          the same as a plain answer

For a dialect with a server half, `request.json` is what a caller sends; for one with only a client
half it is what the upstream receives. `REGOLD=1 pytest tests/golden` rewrites what is computed; the
difference is for the reviewer.
"""

from __future__ import annotations

import json
import os
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects.base import AnswerContext, ClientHalf
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.table import DIALECTS, Dialect
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import Event, Failure, Message, Request, Target, check_order, fold

ROOT = Path(__file__).parent
CASES = sorted(path.parent for path in ROOT.glob("*/*/about.toml"))
REGOLD = os.environ.get("REGOLD") == "1"
ABOUT = {"source", "captured", "redacted", "why"}


class Case:
    """One folder and the codec it is about."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.dialect: Dialect = DIALECTS[path.parent.name]
        # A dialect that only callers speak has no client half; its cases say nothing of upstreams.
        self.client: ClientHalf = (self.dialect.clients or DIALECTS["openai_chat"].clients)[0]
        given = self.json("target.json") if self.has("target.json") else {}
        default = {"provider": "acme", "model": "m", "public_model": "acme/m", "kind": self.client.kind}
        self.target = msgspec.convert({**default, **given}, Target)
        self.context = AnswerContext(
            model=self.target.public_model,
            answer_id="golden",
            created=1_760_000_000,
            wants_usage=True,
            target=self.target,
        )

    def has(self, name: str) -> bool:
        return (self.path / name).exists()

    def json(self, name: str) -> Any:
        return json.loads((self.path / name).read_text())

    def hub_request(self) -> Request:
        return msgspec.json.decode((self.path / "request.hub.json").read_bytes(), type=Request)

    def names(self) -> ToolNames:
        """Return how the request's tools were spelt, which reading the answer needs."""
        if not self.has("request.hub.json"):
            return ToolNames()
        return self.client.encode_request(self.hub_request(), self.target).names

    def events(self) -> list[Event]:
        decoder = self.client.stream_decoder(self.target, self.names())
        return [*decoder.feed((self.path / "stream.sse").read_bytes()), *decoder.close()]

    def agrees(self, name: str, computed: Any) -> None:
        """Compare with what the file holds, or write it when told to."""
        if REGOLD:
            (self.path / name).write_text(json.dumps(computed, indent=2, ensure_ascii=False) + "\n")
        assert self.json(name) == computed


def lines(events: Iterable[Event]) -> list[Any]:
    return [json.loads(msgspec.json.encode(event, enc_hook=_error_fields)) for event in events]


def _error_fields(error: Any) -> Any:
    assert isinstance(error, UpstreamError)
    names = ("message", "status", "kind", "family", "native_type", "code", "retry_after_s")
    return {name: getattr(error, name) for name in names}


def said(message: Message) -> Any:
    """Return what both forms of an answer can say: some streams name no model, and raw JSON is spaced as it likes."""

    def tidy(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: tidy(each) for name, each in value.items()}
        if isinstance(value, list):
            return [tidy(each) for each in value]
        return json.loads(value) if isinstance(value, str) and value.startswith("{") else value

    return tidy(json.loads(msgspec.json.encode(msgspec.structs.replace(message, model=""))))


@pytest.fixture(params=CASES, ids=lambda path: f"{path.parent.name}/{path.name}")
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def needs(case: Case, *names: str) -> None:
    if not all(case.has(name) for name in names):
        pytest.skip(f"this case has no {' or '.join(names)}")


def test_every_dialect_has_its_cases() -> None:
    told = {path.parent.name for path in CASES}
    assert told >= {row.server.dialect for row in DIALECTS.values() if row.server is not None}


def test_it_says_where_it_comes_from_and_why(case: Case) -> None:
    about = tomllib.loads((case.path / "about.toml").read_text())
    assert about.keys() >= ABOUT
    assert all(str(about[key]).strip() for key in ABOUT)


def test_the_request_means_what_it_did(case: Case) -> None:
    needs(case, "request.json")
    server = case.dialect.server
    if server is not None:
        hub = server.decode_request((case.path / "request.json").read_bytes())
        case.agrees("request.hub.json", json.loads(msgspec.json.encode(hub)))
        return
    outgoing = case.client.encode_request(case.hub_request(), case.target)
    case.agrees("request.json", json.loads(outgoing.body))


def test_the_upstream_gets_what_it_did(case: Case) -> None:
    needs(case, "request.hub.json", "upstream.json")
    outgoing = case.client.encode_request(case.hub_request(), case.target)
    case.agrees("upstream.json", {"body": json.loads(outgoing.body), "dropped": list(outgoing.dropped)})


def test_the_stream_means_what_it_did(case: Case) -> None:
    needs(case, "stream.sse")
    events = case.events()
    assert check_order(events) is None
    path = case.path / "events.hub.jsonl"
    if REGOLD:
        path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines(events)))
    assert [json.loads(line) for line in path.read_text().split("\n") if line] == lines(events)


def test_the_plain_answer_says_the_same(case: Case) -> None:
    needs(case, "stream.sse")
    events = case.events()
    if isinstance(events[-1], Failure):
        server = case.dialect.server
        needs(case, "error.json")
        assert server is not None
        answer = server.encode_error(events[-1].error, "req_golden")
        case.agrees("error.json", {"status": answer.status, "body": json.loads(answer.body)})
        return
    needs(case, "answer.json")
    message = fold(events)
    if case.dialect.server is not None:
        case.agrees("answer.json", json.loads(case.dialect.server.encode_message(message, case.context)))
        return
    body = (case.path / "answer.json").read_bytes()
    assert said(fold(case.client.decode_message(body, case.target, case.names()))) == said(message)


def test_the_relay_passes_it_on_as_it_did(case: Case) -> None:
    needs(case, "stream.sse", "relayed.sse")
    relay = case.dialect.relay
    assert relay is not None
    pipe = relay.stream_pipe(case.context)
    told = pipe.feed((case.path / "stream.sse").read_bytes()) + pipe.close()
    path = case.path / "relayed.sse"
    if REGOLD:
        path.write_bytes(told)
    assert path.read_bytes() == told


def test_the_caller_is_told_as_it_was(case: Case) -> None:
    needs(case, "said.hub.jsonl", "told.txt", "told.json")
    server = case.dialect.server
    assert server is not None
    spelt = (case.path / "said.hub.jsonl").read_bytes().splitlines()
    events = [msgspec.json.decode(line, type=Event) for line in spelt if line]
    assert check_order(events) is None
    encoder = server.stream_encoder(case.context)
    told = b"".join(encoder.feed(event) for event in events)
    path = case.path / "told.txt"
    if REGOLD:
        path.write_bytes(told)
    assert path.read_bytes() == told
    case.agrees("told.json", json.loads(server.encode_message(fold(events), case.context)))
