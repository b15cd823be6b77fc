"""Every golden stream of every dialect, as a Responses caller gets it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from pi_model_proxy.dialects.names import ToolNames
from pi_model_proxy.dialects.openai_responses import SERVER
from pi_model_proxy.dialects.table import DIALECTS
from pi_model_proxy.hub import Event, Failure, Request, Target, TextBlock, ToolCallBlock, fold
from support.responses_caller import answer, context, told

GOLDEN = Path(__file__).parents[3] / "golden"
STREAMS = [
    path
    for name, row in sorted(DIALECTS.items())
    if row.clients
    for path in sorted((GOLDEN / name).glob("*/stream.sse"))
]


def events_of(path: Path) -> list[Event]:
    client = DIALECTS[path.parents[1].name].clients[0]
    given = path.with_name("target.json")
    fields = json.loads(given.read_bytes()) if given.exists() else {}
    goes_to = msgspec.convert(
        {"provider": "acme", "model": "m", "public_model": "acme/m", "kind": client.kind, **fields}, Target
    )
    asked = path.with_name("request.hub.json")
    names = ToolNames()
    if asked.exists():
        request = msgspec.json.decode(asked.read_bytes(), type=Request)
        names = client.encode_request(request, goes_to).names
    decoder = client.stream_decoder(goes_to, names)
    return [*decoder.feed(path.read_bytes()), *decoder.close()]


@pytest.mark.parametrize("body", [{"reasoning": {"summary": "auto"}}, {"reasoning": {"effort": "low"}}, None])
@pytest.mark.parametrize("path", STREAMS, ids=lambda path: f"{path.parents[1].name}/{path.parent.name}")
def test_it_keeps_the_grammar_and_nothing_is_lost(path: Path, body: Any) -> None:
    events = events_of(path)
    where = context(body, shows_reasoning=body is not None)
    payloads = told(events, where)
    if isinstance(events[-1], Failure):
        assert payloads[-1]["type"] == "response.failed"
        return
    message = fold(events)
    plain = answer(message, where)
    output = payloads[-1]["response"]["output"]
    assert [item["type"] for item in output] == [item["type"] for item in plain["output"]]
    (turn,) = SERVER.decode_request(json.dumps({"input": output}).encode()).turns if output else (None,)
    blocks = turn.blocks if turn is not None else ()
    for kind in (TextBlock, ToolCallBlock):
        assert _said(kind, blocks) == _said(kind, message.blocks)
    assert payloads[-1]["response"]["usage"] == plain["usage"]


def _said(kind: Any, blocks: Any) -> str:
    """Return all that blocks of one kind say; a call without arguments has an empty object."""
    found = [block for block in blocks if isinstance(block, kind)]
    return "".join(getattr(block, "text", "") or getattr(block, "arguments", "") or "{}" for block in found)
