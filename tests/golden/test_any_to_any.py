"""Any to any: every golden stream of every kind, told to callers of every dialect, read by plain clients.

What both ends can say arrives equal: text, thinking, calls with their names, ids and arguments, why
the answer ended, and the counts. Streamed and whole answers say the same, wherever the upstream's
bytes were cut.
"""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects.base import AnswerContext, ClientHalf
from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.table import DIALECTS
from pi_model_proxy.errors import UpstreamError
from pi_model_proxy.hub import (
    Event,
    Failure,
    Message,
    ReasoningBlock,
    RefusalBlock,
    Request,
    Target,
    TextBlock,
    ToolCallBlock,
    Usage,
    check_order,
    fold,
)
from support.kind_streams import frame
from support.plain_readers import READERS, Heard

ROOT = Path(__file__).parent
STREAMS = sorted([*ROOT.glob("*/*/stream.sse"), *ROOT.glob("*/*/stream.jsonl")])
SERVERS = sorted(name for name, row in DIALECTS.items() if row.server is not None)
TEXT_ONLY = {"openai_completions"}
"""No place for thinking."""
NO_CALLS = {"openai_completions", "ollama_generate"}
COUNTS_TWO = {"ollama", "ollama_generate"}
"""Input and output in all; nothing of caches and thinking."""
SHOWN_AS_OBJECTS = {
    "anthropic_messages",
    "google_gemini",
    "google_gemini_sse",
    "google_gemini_array",
    "ollama",
}
ANSWERED = 1_760_000_000

ENDS: dict[str, dict[str, str]] = {
    "openai_chat": {
        "stop": "stop", "stop_sequence": "stop", "tool_calls": "tool_calls", "length": "length",
        "context_full": "length", "refusal": "content_filter", "content_filter": "content_filter", "pause": "stop",
    },
    "openai_completions": {
        "stop": "stop", "stop_sequence": "stop", "tool_calls": "stop", "length": "length",
        "context_full": "length", "refusal": "content_filter", "content_filter": "content_filter", "pause": "stop",
    },
    "anthropic_messages": {
        "stop": "end_turn", "stop_sequence": "stop_sequence", "tool_calls": "tool_use", "length": "max_tokens",
        "context_full": "model_context_window_exceeded", "refusal": "refusal", "content_filter": "refusal",
        "pause": "pause_turn",
    },
    "openai_responses": {
        "stop": "completed", "stop_sequence": "completed", "tool_calls": "completed",
        "length": "incomplete:max_output_tokens", "context_full": "incomplete:max_output_tokens",
        "refusal": "completed", "content_filter": "incomplete:content_filter", "pause": "completed",
    },
    "google_gemini": {
        "stop": "STOP", "stop_sequence": "STOP", "tool_calls": "STOP", "length": "MAX_TOKENS",
        "context_full": "MAX_TOKENS", "refusal": "SAFETY", "content_filter": "SAFETY", "pause": "STOP",
    },
    "ollama": {
        "stop": "stop", "stop_sequence": "stop", "tool_calls": "stop", "length": "length",
        "context_full": "length", "refusal": "stop", "content_filter": "stop", "pause": "stop",
    },
}  # fmt: skip
"""dialects.md §5.2."""


def client_of(path: Path) -> ClientHalf:
    return DIALECTS[path.parents[1].name].clients[0]


def target_of(path: Path) -> Target:
    given = path.with_name("target.json")
    fields = json.loads(given.read_bytes()) if given.exists() else {}
    default = {"provider": "acme", "model": "m", "public_model": "acme/m", "kind": client_of(path).kind}
    return msgspec.convert({**default, **fields}, Target)


def bytes_of(path: Path) -> bytes:
    """Return the stream; Bedrock's, which is binary, stands one message a line."""
    if path.suffix == ".sse":
        return path.read_bytes()
    said = [json.loads(line) for line in path.read_text().splitlines()]
    return b"".join(frame(each["headers"], json.dumps(each["payload"]).encode()) for each in said)


def names_of(path: Path) -> ToolNames:
    """Return how the request's tools were spelt, which reading the answer needs."""
    asked = path.with_name("request.hub.json")
    if not asked.exists():
        return ToolNames()
    request = msgspec.json.decode(asked.read_bytes(), type=Request)
    return client_of(path).encode_request(request, target_of(path)).names


def read(path: Path, pieces: list[bytes]) -> list[Event]:
    """Return what the upstream's bytes mean."""
    decoder = client_of(path).stream_decoder(target_of(path), names_of(path))
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


@cache
def events_of(path: Path) -> list[Event]:
    return read(path, [bytes_of(path)])


def context(path: Path, *, shown: bool = True) -> AnswerContext:
    return AnswerContext(
        model="acme/m",
        answer_id="0123456789abcdef01234567",
        created=ANSWERED,
        target=target_of(path),
        shows_reasoning=shown,
    )


def streamed(server: str, path: Path, *, shown: bool = True) -> Heard:
    half = DIALECTS[server].server
    assert half is not None
    encoder = half.stream_encoder(context(path, shown=shown))
    told = b"".join(encoder.feed(event) for event in events_of(path))
    assert told.isascii()  # some readers split lines at U+2028 and its like
    return READERS[server](told, streamed=True)


def words(message: Message) -> tuple[str, str]:
    """Return what the answer says and what was thought."""
    spoken = "".join(block.text for block in message.blocks if isinstance(block, TextBlock | RefusalBlock))
    thought = "".join(block.text for block in message.blocks if isinstance(block, ReasoningBlock))
    return spoken, thought


def parsed(arguments: str) -> Any:
    """Return arguments as what they mean; text that is no JSON as it is."""
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def is_whole(call: ToolCallBlock) -> bool:
    return call.custom or isinstance(parsed(call.arguments), dict)


def meant(call: ToolCallBlock, server: str) -> Any:
    """Return a call's arguments; where calls have objects only, a custom tool's input is a member."""
    if call.custom:
        return {"input": call.arguments} if server in SHOWN_AS_OBJECTS else call.arguments
    return parsed(call.arguments)


matrix = pytest.mark.parametrize("server", SERVERS)
each_stream = pytest.mark.parametrize(
    "path", STREAMS, ids=lambda path: f"{path.parents[1].name}/{path.parent.name}"
)


def test_every_kind_and_every_dialect_takes_part() -> None:
    kinds = {path.parents[1].name for path in STREAMS}
    assert kinds == {row.name for row in DIALECTS.values() if row.clients}
    assert set(READERS) == set(SERVERS)


@each_stream
def test_where_the_bytes_are_cut_does_not_matter(path: Path) -> None:
    data, whole = bytes_of(path), events_of(path)
    assert check_order(whole) is None
    rng = random.Random(path.parent.name)
    cuts = sorted(rng.randrange(len(data) + 1) for _ in range(40))
    sizes = [[data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]]
    sizes.append([data[at : at + 1] for at in range(len(data))] if len(data) < 12_000 else [data])
    for pieces in sizes:
        events = read(path, pieces)
        assert check_order(events) is None
        if isinstance(whole[-1], Failure):
            assert isinstance(events[-1], Failure)
            assert events[-1].error.message == whole[-1].error.message
        else:
            assert fold(events) == fold(whole)


@matrix
@each_stream
def test_what_the_caller_can_hear_arrives_equal(path: Path, server: str) -> None:
    events, heard = events_of(path), streamed(server, path)
    if isinstance(events[-1], Failure):
        assert events[-1].error.message in heard.error
        assert not heard.finish or server.startswith("google")
        return
    message = fold(events)
    spoken, thought = words(message)
    assert heard.text == spoken + _reason_told(message, server)
    assert heard.thinking == ("" if server in TEXT_ONLY else thought)
    assert not heard.error
    calls = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if server in NO_CALLS:
        assert not heard.calls
    else:
        _calls_arrive(heard, calls, server)
    ends = ENDS[_family(server)]
    expected = ends[message.finish.reason]
    if expected == "SAFETY":
        assert heard.finish in {"SAFETY", message.finish.native}
    elif message.finish.reason == "refusal" and expected == "content_filter":
        assert heard.finish in {"stop", "content_filter"}
    else:
        assert heard.finish == expected
    _counts_arrive(heard, message, server)


def _reason_told(message: Message, server: str) -> str:
    """Return why the model declined, where the dialect has no other place for it than the answer's words."""
    if message.finish.reason != "refusal" or _family(server) in {"anthropic_messages", "google_gemini"}:
        return ""
    spoken, refused = words(message)[0], any(isinstance(block, RefusalBlock) for block in message.blocks)
    has_part = server in {"openai_chat", "openai_responses"}
    return (message.finish.detail or "") if (has_part and not refused) or not spoken else ""


def _family(server: str) -> str:
    if server.startswith("google"):
        return "google_gemini"
    return "ollama" if server.startswith("ollama") else server


def _calls_arrive(heard: Heard, calls: list[ToolCallBlock], server: str) -> None:
    if server.startswith("google"):
        calls = [call for call in calls if is_whole(call)]  # half a call would be run
    assert [call.name for call in heard.calls] == [
        f"{call.namespace}__{call.name}" if call.namespace else call.name for call in calls
    ]
    ids = [call.id for call in heard.calls]
    assert len(set(ids)) == len(ids)
    for call, said in zip(calls, heard.calls, strict=True):
        assert said.id
        if call.id and len(call.id) <= 40 and call.id.replace("_", "").replace("-", "").isalnum():
            assert said.id == call.id
        if is_whole(call):
            given = (
                said.arguments if call.custom and server not in SHOWN_AS_OBJECTS else parsed(said.arguments)
            )
            assert given == meant(call, server)


def _counts_arrive(heard: Heard, message: Message, server: str) -> None:
    usage = message.usage
    assert (heard.input, heard.output) == (usage.total_input, usage.output)
    assert heard.total in {None, usage.total}
    if server not in COUNTS_TWO:
        assert heard.cached == usage.cache_read
        assert heard.thought == usage.reasoning


@matrix
@each_stream
@pytest.mark.parametrize("shown", [True, False])
def test_streamed_and_whole_say_the_same(path: Path, server: str, shown: bool) -> None:
    events, half = events_of(path), DIALECTS[server].server
    assert half is not None
    if isinstance(events[-1], Failure):
        with pytest.raises(UpstreamError):
            fold(events)  # not streamed, it is a status
        return
    whole = READERS[server](half.encode_message(fold(events), context(path, shown=shown)), streamed=False)
    assert _comparable(whole) == _comparable(streamed(server, path, shown=shown))


def _comparable(heard: Heard) -> Heard:
    for call in heard.calls:
        call.arguments = json.dumps(parsed(call.arguments))
    return heard


def _is_relayed(path: Path) -> bool:
    """Tell whether such an answer comes through a relay: not where its request has to be put in other words."""
    relay, asked = DIALECTS[path.parents[1].name].relay, path.with_name("request.json")
    if relay is None or asked.exists():
        return relay is not None and relay.suits(asked.read_bytes(), target_of(path))
    return not path.with_name("request.hub.json").exists()


RELAYED = [path for path in STREAMS if _is_relayed(path)]


@pytest.mark.parametrize("path", RELAYED, ids=lambda path: f"{path.parents[1].name}/{path.parent.name}")
def test_passed_on_between_equals_it_says_the_same(path: Path) -> None:
    name = path.parents[1].name
    server = "google_gemini_sse" if name == "google_gemini" else name
    relay = DIALECTS[server].relay
    assert relay is not None
    pipe = relay.stream_pipe(msgspec.structs.replace(context(path), names=names_of(path)))
    told = pipe.feed(bytes_of(path)) + pipe.close()
    events = events_of(path)
    if isinstance(events[-1], Failure):
        assert pipe.facts.failure is not None or b"finishReason" in told
        return
    heard, translated = (
        _comparable(each) for each in (READERS[server](told, streamed=True), streamed(server, path))
    )
    assert (pipe.facts.usage or Usage()) == fold(events).usage
    assert (heard.text, heard.thinking, heard.calls) == (
        translated.text,
        translated.thinking,
        translated.calls,
    )
    assert heard.finish == translated.finish
