"""The folders of tests/golden/openai_responses: what we send, and what the answers mean.

`REGOLD=1` rewrites what we write ourselves (request.json, events.hub.jsonl); review the difference.
"""

from __future__ import annotations

import json
import os
import tomllib
from pathlib import Path

import msgspec
import pytest

from pi_model_proxy.dialects.openai_responses import CLIENT
from pi_model_proxy.hub import Event, Request, Target, check_order, fold

FOLDER = Path(__file__).parents[3] / "golden" / "openai_responses"
CASES = sorted(path.parent.name for path in FOLDER.glob("*/about.toml"))


def _case(name: str) -> tuple[Path, Request, Target]:
    folder = FOLDER / name
    asked = msgspec.json.decode((folder / "request.hub.json").read_bytes(), type=Request)
    return folder, asked, msgspec.json.decode((folder / "target.json").read_bytes(), type=Target)


def _written(path: Path, text: str) -> str:
    """Return what stands in a golden file, after writing `text` there if that is asked for."""
    if os.environ.get("REGOLD"):
        path.write_text(text, encoding="utf-8")
    return path.read_text(encoding="utf-8")


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


@pytest.mark.parametrize("name", CASES)
def test_the_request_is_written_as_it_was(name: str) -> None:
    folder, asked, goes_to = _case(name)
    body = json.loads(CLIENT.encode_request(asked, goes_to).body)
    assert json.loads(_written(folder / "request.json", json.dumps(body, indent=2) + "\n")) == body


@pytest.mark.parametrize("pieces", [7, 10**6])
@pytest.mark.parametrize("name", CASES)
def test_the_stream_means_what_it_meant(name: str, pieces: int) -> None:
    folder, asked, goes_to = _case(name)
    events = _events(folder, asked, goes_to, pieces=pieces)
    assert check_order(events) is None
    lines = "".join(msgspec.json.encode(event).decode() + "\n" for event in events)
    assert _written(folder / "events.hub.jsonl", lines) == lines


@pytest.mark.parametrize("name", CASES)
def test_the_plain_answer_means_the_same(name: str) -> None:
    folder, asked, goes_to = _case(name)
    streamed = fold(_events(folder, asked, goes_to, pieces=1000))
    names = CLIENT.encode_request(asked, goes_to).names
    # Items that are kept as written are written in the stream without line breaks.
    body = json.dumps(json.loads((folder / "answer.json").read_bytes())).encode()
    plain = fold(CLIENT.decode_message(body, goes_to, names))
    # Servers that do not say their model at first say it only in the whole answer.
    assert plain == msgspec.structs.replace(streamed, model=streamed.model or plain.model)
