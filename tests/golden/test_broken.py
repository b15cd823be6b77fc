"""No bytes crash a codec: golden requests and streams, broken in seeded ways, in every half that reads them.

A number that once found something stays: the seeds are fixed, `BROKEN_MORE=n` tries n times as many.
"""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from golden.test_any_to_any import STREAMS, bytes_of, client_of, context, names_of, target_of
from pi_model_proxy.dialects.table import CLIENTS, DIALECTS
from pi_model_proxy.errors import CallerError
from pi_model_proxy.hub import Failure, Target, check_order, fold

ROOT = Path(__file__).parent
REQUESTS = sorted(
    path for path in ROOT.glob("*/*/request.json") if DIALECTS[path.parents[1].name].server is not None
)
TIMES = int(os.environ.get("BROKEN_MORE", "1"))
STREAM_TRIES = 12 * TIMES
REQUEST_TRIES = 40 * TIMES
ODD: list[Any] = [
    None, True, 0, -1, 1.5, 10**30, 1e308, "", "x", "\ud800", "\x00", "\u2028", [], {}, [None], [[]], {"type": 5}, {"": None},
    "data:,", "pmp1.x.e30", {"type": "text", "text": None}, [{"type": "image"}],
]  # fmt: skip

Json = Any
T = TypeVar("T")


def broken_bytes(data: bytes, rng: random.Random) -> bytes:
    """Return bytes cut, doubled, exchanged or flipped somewhere."""
    for _ in range(rng.randint(1, 3)):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        match rng.randrange(6):
            case 0:
                data = data[:at]
            case 1:
                data = data[:at] + data[to:]
            case 2:
                data = data[:to] + data[at:to] + data[to:]
            case 3:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case 4:
                data = (
                    data[:at]
                    + rng.choice([b"\n\n", b"\r", b'"', b"}", b"\xff", b"null", b"[" * 400])
                    + data[at:]
                )
            case _:
                frames = data.split(b"\n\n")
                rng.shuffle(frames)
                data = b"\n\n".join(frames)
        if not data:
            return b""
    return data


def broken_json(value: Json, rng: random.Random) -> Json:
    """Return a copy with one to three members exchanged, doubled or gone, anywhere."""
    value = copy.deepcopy(value)
    for _ in range(rng.randint(1, 3)):
        places = list(_places(value))
        if not places:
            return value
        holder, key = rng.choice(places)
        match rng.randrange(4):
            case 0:
                holder[key] = copy.deepcopy(rng.choice(ODD))
            case 1:
                other, name = rng.choice(places)
                holder[key] = copy.deepcopy(other[name])
            case 2 if isinstance(holder, list):
                holder.insert(key, copy.deepcopy(holder[key]))
            case _:
                del holder[key]
    return value


def _places(value: Json) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in items:
        yield value, key
        yield from _places(each)


def tried(make: Callable[..., T], *given: Any) -> T | None:
    """Return what was made; None when the caller would have been told what is wrong."""
    try:
        return make(*given)
    except CallerError as error:
        if not error.message:
            raise
        return None


def dumped(value: Json) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("path", STREAMS, ids=lambda path: f"{path.parents[1].name}/{path.parent.name}")
def test_no_broken_stream_crashes_a_decoder_or_a_relay(path: Path) -> None:
    data, names, goes_to, client = bytes_of(path), names_of(path), target_of(path), client_of(path)
    relay = DIALECTS[path.parents[1].name].relay
    for number in range(STREAM_TRIES):
        rng = random.Random(f"{path.parent.name} {number}")
        bad = broken_bytes(data, rng)
        cut = rng.randrange(len(bad) + 1)
        decoder = client.stream_decoder(goes_to, names)
        events = decoder.feed(bad[:cut]) + decoder.feed(bad[cut:]) + decoder.close()
        assert check_order(events) is None, (number, bad)
        for row in DIALECTS.values():
            if row.server is not None and number % 3 == 0:
                encoder = row.server.stream_encoder(context(path))
                assert b"".join(encoder.feed(event) for event in events).isascii(), (number, bad)
                if not isinstance(events[-1], Failure):
                    row.server.encode_message(fold(events), context(path))
        plain = client.decode_message(bad, goes_to, names)
        assert check_order(plain) is None, (number, bad)
        assert client.decode_error(500, {}, bad).message
        if relay is not None:
            pipe = relay.stream_pipe(context(path))
            pipe.feed(bad[:cut])
            pipe.feed(bad[cut:])
            pipe.close()
            assert pipe.facts.done or pipe.facts.failure is not None, (number, bad)
            relay.message(bad, context(path))


@pytest.mark.parametrize("path", REQUESTS, ids=lambda path: f"{path.parents[1].name}/{path.parent.name}")
def test_no_broken_request_crashes_a_half(path: Path) -> None:
    row = DIALECTS[path.parents[1].name]
    server, whole = row.server, json.loads(path.read_bytes())
    assert server is not None
    kinds = sorted(CLIENTS)
    for number in range(REQUEST_TRIES):
        rng = random.Random(f"{path.parent.name} {number}")
        bad = dumped(broken_json(whole, rng)) if number % 4 else broken_bytes(dumped(whole), rng)
        tried(server.peek, bad)
        request = tried(server.decode_request, bad)
        if request is None:
            continue
        server.shows_reasoning(request)
        kind = kinds[number % len(kinds)]
        goes_to = Target(
            provider="acme",
            model="claude-opus-4-5",
            public_model="acme/m",
            kind=kind,
            reasoning=bool(number % 2),
        )
        outgoing = tried(CLIENTS[kind].encode_request, request, goes_to)
        assert outgoing is None or json.loads(outgoing.body)
        if row.relay is not None:
            at_home = Target(
                provider="acme",
                model="m",
                public_model="acme/m",
                kind=row.clients[0].kind if row.clients else kind,
            )
            outgoing = (
                tried(row.relay.encode_request, bad, at_home, {}) if row.relay.suits(bad, at_home) else None
            )
            assert outgoing is None or json.loads(outgoing.body)
