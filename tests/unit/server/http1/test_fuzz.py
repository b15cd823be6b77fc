"""Mutated requests against a running server, on both event loops: every byte that comes back is an answer of ours."""

from __future__ import annotations

import asyncio
import json
import random

import pytest

from unit.server.http1.mutations import mutated
from unit.server.http1.served import MAX_BODY, Place, Run, chunked, get, post, rest, serving

SEEDS = (
    post() + get(b"/stream"),
    get(b"/stream") + post(b"/early", b"x" * 2000) + get(),
    chunked(b"/echo", b"hello", b"world", trailers=b"X: y\r\n") + post(b"/empty"),
    post(b"/echo", b"hello", b"Expect: 100-continue") + chunked(b"/early", b"abc") + get(b"/huge"),
    post(b"/echo", version=b"1.0"),
    get(b"/echo", b"Connection: Upgrade", b"Upgrade: h2c") + post(),
    post(b"/echo", b"y" * (MAX_BODY + 1)) + get(),
)
OURS = {200, 204, 400, 401, 408, 413, 431}


def check_answers(heard: bytes) -> None:
    """Read a row of answers, strictly, to the last byte."""
    while heard:
        head, found, heard = heard.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        assert found, head[:200]
        version, status, reason = first.split(b" ", 2)
        assert version == b"HTTP/1.1"
        assert reason
        if status == b"100":
            assert lines == []
            continue
        assert int(status) in OURS
        headers = dict(line.split(b": ", 1) for line in lines)
        if b"content-length" in headers:
            size = int(headers[b"content-length"])
            body, heard = heard[:size], heard[size:]
            assert len(body) == size
        elif b"transfer-encoding" in headers:
            body, heard = unchunked(heard)
        elif status == b"204":
            body = b""
        else:
            assert headers[b"connection"] == b"close"
            body, heard = heard, b""
        if headers.get(b"x-pi-model-proxy-error"):
            assert json.loads(body)["error"]["type"] == "invalid_request_error"
        if headers.get(b"connection") == b"close":
            assert heard == b"", "something follows what was said to be the last answer"


def unchunked(heard: bytes) -> tuple[bytes, bytes]:
    body = b""
    while True:
        size, _, heard = heard.partition(b"\r\n")
        chunk, end, heard = heard[: int(size, 16)], heard[int(size, 16) :][:2], heard[int(size, 16) + 2 :]
        assert end == b"\r\n"
        if not chunk:
            return body, heard
        body += chunk


async def attack(place: Place, rng: random.Random) -> None:
    data = mutated(rng, rng.choice(SEEDS))
    reader, writer = await place.connect()
    cut = rng.randrange(len(data))
    for piece in (data[:cut], data[cut:]):
        writer.write(piece)
        await asyncio.sleep(0)
    writer.write_eof()
    check_answers(await rest(reader))
    writer.close()


@pytest.mark.parametrize("seed", range(6))
def test_no_bytes_upset_the_server_or_make_it_say_anything_but_answers(run: Run, seed: int) -> None:
    async def story() -> None:
        rng = random.Random(seed)
        async with serving() as place:
            for _ in range(25):
                async with asyncio.TaskGroup() as callers:
                    for _ in range(8):
                        callers.create_task(attack(place, random.Random(rng.random())))
            await place.empties()
            assert place.complaints == []
            assert set(place.house.ended) <= {"finished", "left"}

    run(story())
