"""Rows of requests in two packets, cut at every byte: what is asked and answered is always the same."""

from __future__ import annotations

import asyncio
import re

import pytest

from unit.server.http1.served import CLOSE, Place, Run, chunked, get, post, rest, serving

SMUGGLED = get(b"/smuggled")
ROWS = {
    "answers in order": post(body=b"a") + get(b"/empty") + post(body=b"bb") + get(b"/stream", CLOSE),
    "an early answer before its body": post(b"/early", SMUGGLED) + post() + post(b"/early", SMUGGLED) + get(b"/x", CLOSE),
    "early answers before chunks": chunked(b"/early", SMUGGLED, b"x") + chunked(b"/echo", b"y") + get(b"/x", CLOSE),
    "blank lines before a head that is known": post() + b"\r\n\r\n" + post(body=SMUGGLED) + b"\r\n" + post(b"/echo", b"", CLOSE),
    "blank lines behind chunks": chunked(b"/echo", b"a") + b"\r\n\r\n" + chunked(b"/echo", b"b") + get(b"/x", CLOSE),
    "HEAD between others": b"HEAD /echo HTTP/1.1\r\nHost: a\r\n\r\n" + post() + b"HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n" + get(b"/x", CLOSE),
    "HTTP/1.0 that stays and goes": post(b"/echo", b"q", b"Connection: keep-alive", version=b"1.0") * 2
    + post(b"/stream", version=b"1.0"),
    "an expectation": post(b"/echo", b"hello", b"Expect: 100-continue") + get(b"/x", CLOSE),
    "errors and then others": post(b"/echo", b"z" * 30) + post(b"/early", b"{") + post(b"/empty", b"") + get(b"/x", CLOSE),
}  # fmt: skip
STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")


async def heard(place: Place, pieces: tuple[bytes, ...]) -> tuple[list[bytes], list[tuple[str, str, bytes]]]:
    place.house.asked.clear()
    reader, writer = await place.connect()
    for piece in pieces:
        writer.write(piece)
        for _ in range(3):
            await asyncio.sleep(0)  # so that it is read, and answered as far as it goes
    answers = await rest(reader)
    writer.close()
    return [each for each in STATUS.findall(answers) if each != b"100"], list(place.house.asked)


@pytest.mark.parametrize("name", ROWS)
def test_where_a_row_of_requests_is_cut_into_packets_changes_no_answer(run: Run, name: str) -> None:
    async def scene() -> None:
        row = ROWS[name]
        async with serving() as place:
            whole = await heard(place, (row,))
            assert whole[0][0] in {b"200", b"401"}
            assert not any(path == "/smuggled" for _, path, _ in whole[1])
            for at in range(1, len(row)):
                assert await heard(place, (row[:at], row[at:])) == whole, f"cut at {at}"
            assert place.complaints == []

    run(scene())


def test_a_body_behind_blank_lines_is_a_body_and_no_request(run: Run) -> None:
    """The head is known by its bytes; a parser that has read the blank lines must not be given the body."""

    async def scene() -> None:
        known = post(body=SMUGGLED)
        cut = len(known) - len(SMUGGLED)
        async with serving() as place:
            last = post(b"/echo", b"", CLOSE)
            answers, asked = await heard(
                place, (known, b"\r\n\r\n", known[: cut + 4], known[cut + 4 :], last)
            )
            assert answers == [b"200"] * 3
            assert asked == [
                ("POST", "/echo", SMUGGLED),
                ("POST", "/echo", SMUGGLED),
                ("POST", "/echo", b""),
            ]

    run(scene())
