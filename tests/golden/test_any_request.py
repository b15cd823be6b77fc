"""Any to any: what callers of every dialect ask, as upstreams of every kind read it.

Every golden request goes to every kind. What was said, called and given back arrives, in its order,
or it is listed as dropped, or the request is refused with the place: nothing goes in silence.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pi_model_proxy.dialects.base import Outgoing
from pi_model_proxy.dialects.table import CLIENTS, DIALECTS
from pi_model_proxy.errors import CallerError
from pi_model_proxy.hub import (
    RefusalBlock,
    Request,
    Target,
    TextBlock,
    ToolCallBlock,
    ToolResultBlock,
)

ROOT = Path(__file__).parent
REQUESTS = sorted(
    path for path in ROOT.glob("*/*/request.json") if DIALECTS[path.parents[1].name].server is not None
)
MAX_REFUSED = 0.2
"""The part of the matrix that may be refused: requests that ask what a kind cannot give."""

Json = dict[str, Any]


@cache
def asked(path: Path) -> Request:
    server = DIALECTS[path.parents[1].name].server
    assert server is not None
    return server.decode_request(path.read_bytes())


def target(kind: str) -> Target:
    return Target(
        provider="acme",
        model="claude-sonnet-4-5" if "bedrock" in kind or "anthropic" in kind else "m-1",
        public_model="acme/m",
        kind=kind,
        reasoning=True,
        max_output=64_000,
        context_tokens=200_000,
    )


def sent(path: Path, kind: str) -> Outgoing | None:
    """Return what goes out; None when the request was refused, which names the place."""
    try:
        return CLIENTS[kind].encode_request(asked(path), target(kind))
    except CallerError as error:
        if not error.param:
            raise
        return None


def strings(value: Any) -> Iterator[str]:
    """Yield every text of the body, in its order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for each in value:
            yield from strings(each)
    elif isinstance(value, dict):
        for each in value.values():
            yield from strings(each)


def calls(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name and the arguments of every call in the body, whatever the format calls them."""
    if isinstance(value, list):
        for each in value:
            yield from calls(each)
    elif isinstance(value, dict):
        given = next((value[key] for key in ("arguments", "input", "args") if key in value), None)
        if isinstance(value.get("name"), str) and given is not None:
            yield value["name"], given
        else:
            for each in value.values():
                yield from calls(each)


def is_listed(at: str, outgoing: Outgoing) -> bool:
    """Tell whether what stands at a place is listed as dropped, itself or with something around it."""
    return any(at == path or at.startswith((f"{path}.", f"{path}[")) for path in outgoing.dropped)


def whole(arguments: Any) -> Any:
    """Return arguments as what they mean."""
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments or "{}")
    except ValueError:
        return arguments


def spaceless(text: str) -> str:
    return "".join(text.split())


every_kind = pytest.mark.parametrize("kind", sorted(CLIENTS))
every_request = pytest.mark.parametrize(
    "path", REQUESTS, ids=lambda path: f"{path.parents[1].name}/{path.parent.name}"
)


def test_every_dialect_of_callers_takes_part_and_few_requests_are_refused() -> None:
    assert {row.server.dialect for row in DIALECTS.values() if row.server} <= {
        path.parents[1].name for path in REQUESTS
    }
    refused = [1 for path in REQUESTS for kind in CLIENTS if sent(path, kind) is None]
    assert len(refused) <= MAX_REFUSED * len(REQUESTS) * len(CLIENTS)


@every_kind
@every_request
def test_what_was_said_arrives_in_its_order_or_is_listed(path: Path, kind: str) -> None:
    outgoing = sent(path, kind)
    if outgoing is None:
        return
    said = spaceless("\n".join(strings(json.loads(outgoing.body))))
    for text in asked(path).instructions:
        assert spaceless(text.text) in said or is_listed(text.at, outgoing), text.text
    place = 0
    for turn in asked(path).turns:
        for block in turn.blocks:
            if isinstance(block, TextBlock | RefusalBlock) and turn.role != "system":
                found = said.find(spaceless(block.text), place)
                assert found >= 0 or is_listed(block.at, outgoing), block
                place = max(place, found)
            elif isinstance(block, TextBlock):
                assert spaceless(block.text) in said or is_listed(block.at, outgoing), block
            elif isinstance(block, ToolResultBlock):
                for part in block.content:
                    if isinstance(part, TextBlock):
                        assert spaceless(part.text) in said or is_listed(part.at, outgoing), part


@every_kind
@every_request
def test_calls_arrive_with_their_names_and_arguments(path: Path, kind: str) -> None:
    outgoing = sent(path, kind)
    if outgoing is None:
        return
    found = [
        (outgoing.names.original(name), whole(given)) for name, given in calls(json.loads(outgoing.body))
    ]
    for turn in asked(path).turns:
        for block in turn.blocks:
            if not isinstance(block, ToolCallBlock) or is_listed(block.at, outgoing):
                continue
            meant = whole(block.arguments)
            names = {block.name, f"{block.namespace}__{block.name}"}
            candidates = [given for name, given in found if name in names]
            assert any(
                given in (meant, {"input": block.arguments}, {"_raw": block.arguments})
                for given in candidates
            ), (block, found)


@every_kind
@every_request
def test_tools_and_numbers_arrive_or_are_listed(path: Path, kind: str) -> None:
    outgoing = sent(path, kind)
    if outgoing is None:
        return
    request, body = asked(path), json.loads(outgoing.body)
    said = set(strings(body))
    restored = {outgoing.names.original(each) for each in said}
    choice = request.tool_choice
    for tool in request.tools:
        # Where only some tools are allowed, the others are not even offered.
        allowed = choice is None or choice.mode != "subset" or tool.name in choice.names
        if tool.kind != "server" and allowed:
            names = {tool.name, f"{tool.namespace}__{tool.name}"}
            assert names & restored or is_listed(tool.at, outgoing), tool
    flat = json.dumps(body)
    for name in ("temperature", "top_p", "seed"):
        value = getattr(request.sampling, name)
        if value is not None:
            listed = is_listed(request.paths.get(f"sampling.{name}", f"sampling.{name}"), outgoing)
            assert listed or json.dumps(value) in flat or json.dumps(int(value)) in flat, name
