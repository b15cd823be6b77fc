"""The folders of tests/golden/openai_responses: what more they hold than the shared runner looks at.

    upstream_answer.json   the upstream's own plain answer, which says what its stream says

Streams are fed in small pieces here. What we write ourselves the shared runner rewrites when told to.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import msgspec
import pytest

from pi_model_proxy.dialects.openai_responses import CLIENT
from pi_model_proxy.hub import Event, Request, Target, TextBlock, Turn, check_order, fold

FOLDER = Path(__file__).parents[3] / "golden" / "openai_responses"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/upstream_answer.json"))

NOTHING_ASKED = Request(
    dialect="openai_responses", model="m", turns=(Turn(role="user", blocks=(TextBlock(text="hi"),)),)
)


def _case(name: str) -> tuple[Path, Request, Target]:
    folder = FOLDER / name
    asked = folder / "request.hub.json"
    request = msgspec.json.decode(asked.read_bytes(), type=Request) if asked.exists() else NOTHING_ASKED
    return folder, request, msgspec.json.decode((folder / "target.json").read_bytes(), type=Target)


def _events(folder: Path, asked: Request, goes_to: Target, *, pieces: int) -> list[Event]:
    decoder = CLIENT.stream_decoder(goes_to, CLIENT.encode_request(asked, goes_to).names)
    data = (folder / "stream.sse").read_bytes()
    events: list[Event] = []
    for start in range(0, len(data), pieces):
        events += decoder.feed(data[start : start + pieces])
    return events + decoder.close()


def test_there_are_enough_cases_and_each_says_where_it_comes_from() -> None:
    assert len(CASES) >= 8
    for name in CASES:
        about = tomllib.loads((FOLDER / name / "about.toml").read_text(encoding="utf-8"))
        assert about.keys() >= {"source", "captured", "redacted", "why"}


@pytest.mark.parametrize("pieces", [7, 10**6])
@pytest.mark.parametrize("name", CASES)
def test_the_stream_means_what_it_meant(name: str, pieces: int) -> None:
    folder, asked, goes_to = _case(name)
    events = _events(folder, asked, goes_to, pieces=pieces)
    assert check_order(events) is None
    lines = (folder / "events.hub.jsonl").read_text(encoding="utf-8").split("\n")
    assert [json.loads(line) for line in lines if line] == [
        json.loads(msgspec.json.encode(event)) for event in events
    ]


@pytest.mark.parametrize("name", CASES)
def test_the_plain_answer_means_the_same(name: str) -> None:
    folder, asked, goes_to = _case(name)
    streamed = fold(_events(folder, asked, goes_to, pieces=1000))
    names = CLIENT.encode_request(asked, goes_to).names
    # Items that are kept as written are written in the stream without line breaks.
    body = json.dumps(json.loads((folder / "upstream_answer.json").read_bytes())).encode()
    plain = fold(CLIENT.decode_message(body, goes_to, names))
    # Servers that do not say their model at first say it only in the whole answer.
    assert plain == msgspec.structs.replace(streamed, model=streamed.model or plain.model)
