"""Answers at every split and of every kind of nonsense, without a socket."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_model_proxy.errors import BrokenStream, UpstreamError, UpstreamUnreachable
from pi_model_proxy.transport.http1.answer import MAX_HEADER_BYTES, PAUSE_ABOVE_BYTES, Answer
from pi_model_proxy.transport.inflate import MAX_INFLATED_BYTES
from unit.transport.http1.lines import (
    CHUNKED,
    EMPTY,
    HEAD,
    INTERIM,
    SIZED,
    SPLITS,
    UNSIZED,
    begun,
    head_of,
    to_end,
)


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def finish(loop: asyncio.AbstractEventLoop, answer: Answer) -> bytes:
    loop.run_until_complete(head_of(answer))
    return loop.run_until_complete(to_end(answer))


@pytest.mark.parametrize("kind", SPLITS)
def test_an_answer_is_the_same_wherever_it_is_split(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    sent, body, reusable = SPLITS[kind]
    for cut in range(len(sent) + 1):
        answer, line = begun(loop, *filter(None, (sent[:cut], sent[cut:])))
        if not reusable:
            answer.end_of_input(orderly=True)
        assert finish(loop, answer) == body
        assert (answer.headers["x-a"], answer.headers["x-empty"]) == ("1,2", "")
        answer.release()
        assert line.diary == ["kept" if reusable else "closed"]


@pytest.mark.parametrize("kind", SPLITS)
def test_an_answer_is_the_same_byte_by_byte(loop: asyncio.AbstractEventLoop, kind: str) -> None:
    sent, body, reusable = SPLITS[kind]
    answer, _ = begun(loop, *(sent[at : at + 1] for at in range(len(sent))))
    if not reusable:
        answer.end_of_input(orderly=True)
    assert finish(loop, answer) == body


@pytest.mark.parametrize("kind", sorted(SPLITS.keys() - {"until close"}))
@pytest.mark.parametrize("surplus", [b"x", SIZED, b"\x00"], ids=["a letter", "an answer", "a zero"])
def test_surplus_ends_the_connection_but_not_the_answer(
    loop: asyncio.AbstractEventLoop, kind: str, surplus: bytes
) -> None:
    sent, body, _ = SPLITS[kind]
    for pieces in ((sent + surplus,), (sent, surplus)):
        answer, line = begun(loop, *pieces)
        assert finish(loop, answer) == body
        answer.release()
        assert line.diary == ["closed"]


@pytest.mark.parametrize("cut", range(1, len(CHUNKED)))
def test_chunks_without_their_end_are_never_complete(loop: asyncio.AbstractEventLoop, cut: int) -> None:
    answer, _ = begun(loop, CHUNKED[:cut])
    answer.end_of_input(orderly=True)
    with pytest.raises(UpstreamError) as caught:
        finish(loop, answer)
    assert caught.value.proxy_error in {"connection_terminated", "http_response_incomplete"}
    assert isinstance(caught.value, BrokenStream) == answer.has_head


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 099 What\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"y" * MAX_HEADER_BYTES + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * MAX_HEADER_BYTES,
        b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" * 16_000,
        b"HTTP/1.1 200 " + b"O" * MAX_HEADER_BYTES,
    ],
    ids=[
        "upgrade", "a status below 100", "another version", "another protocol", "two lengths", "length and chunks",
        "a negative length", "a header without a name", "a long header", "many headers", "endless interim answers",
        "an endless reason",
    ],
)  # fmt: skip
def test_a_head_that_is_none_is_no_answer(loop: asyncio.AbstractEventLoop, head: bytes) -> None:
    answer, _ = begun(loop, *(head[at : at + 4096] for at in range(0, len(head), 4096)))
    with pytest.raises(UpstreamUnreachable) as caught:
        loop.run_until_complete(head_of(answer))
    assert caught.value.proxy_error == "http_protocol_error"


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"chunked, gzip"])
def test_a_transfer_coding_nobody_asked_for_is_named(loop: asyncio.AbstractEventLoop, coding: bytes) -> None:
    answer, _ = begun(loop, b"HTTP/1.1 200 OK\r\ntransfer-encoding: " + coding + b"\r\n\r\nabc")
    with pytest.raises(UpstreamUnreachable) as caught:
        loop.run_until_complete(head_of(answer))
    assert caught.value.proxy_error == "http_response_transfer_coding"


@pytest.mark.parametrize(
    "rest",
    [
        b"XYZ\r\n",
        b"2\r\nhiXX",
        b"0\r\nx: " + b"y" * 2 * MAX_HEADER_BYTES,
        b"2;" + b"x" * 2 * MAX_HEADER_BYTES,
    ],
    ids=["no length", "no end", "an endless trailer", "an endless extension"],
)
def test_bad_chunks_break_the_answer_after_what_was_good(
    loop: asyncio.AbstractEventLoop, rest: bytes
) -> None:
    head = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n"
    answer, line = begun(loop, head, *(rest[at : at + 8192] for at in range(0, len(rest), 8192)))
    loop.run_until_complete(head_of(answer))
    assert loop.run_until_complete(answer.read()).startswith(b"ok")
    for _ in range(2):
        with pytest.raises(BrokenStream) as caught:
            loop.run_until_complete(answer.read())
        assert caught.value.proxy_error == "http_response_transfer_coding"
    assert line.diary == ["aborted"]


def test_reading_stops_above_the_limit_and_goes_on_after_a_read(loop: asyncio.AbstractEventLoop) -> None:
    answer, line = begun(loop, HEAD + b"content-length: 1000000\r\n\r\n")
    piece = b"x" * (PAUSE_ABOVE_BYTES // 2)
    answer.feed(piece)
    answer.feed(piece)
    assert line.diary == []
    answer.feed(b"x")
    answer.feed(b"x")
    assert line.diary == ["pause"]
    assert len(loop.run_until_complete(answer.read())) == PAUSE_ABOVE_BYTES + 2
    assert line.diary == ["pause", "resume"]


def test_a_released_answer_that_is_not_complete_closes_its_connection(
    loop: asyncio.AbstractEventLoop,
) -> None:
    answer, line = begun(loop, SIZED[:-1])
    answer.release()
    answer.release()
    answer.abort()
    assert line.diary == ["closed"]
    with pytest.raises(BrokenStream):
        loop.run_until_complete(answer.read())


@pytest.mark.parametrize("kind", sorted(SPLITS.keys() - {"until close"}))
def test_a_whole_answer_is_taken_without_waiting_and_only_once(
    loop: asyncio.AbstractEventLoop, kind: str
) -> None:
    sent, body, _ = SPLITS[kind]
    for cut in range(1, len(sent)):
        answer, line = begun(loop, sent[:cut])
        assert answer.whole() is None
        answer.feed(sent[cut:])
        assert answer.whole() == body
        assert answer.whole() == b""
        assert loop.run_until_complete(answer.read()) == b""
        answer.release()
        assert line.diary == ["kept"]


def test_a_body_that_cannot_be_inflated_is_never_whole(loop: asyncio.AbstractEventLoop) -> None:
    answer, line = begun(loop, HEAD + b"content-encoding: br\r\ncontent-length: 3\r\n\r\nabc")
    with pytest.raises(BrokenStream):
        answer.whole()
    assert answer.whole() is None
    with pytest.raises(BrokenStream):
        loop.run_until_complete(answer.read())
    assert line.diary == ["aborted"]


def test_an_answer_is_read_by_one_task_at_a_time(loop: asyncio.AbstractEventLoop) -> None:
    async def main() -> None:
        answer, _ = begun(loop, SIZED[:-1])
        answer._unread_bytes()
        first = asyncio.ensure_future(answer.read())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="one task"):
            await answer.read()
        answer.feed(b"o")
        assert await first == b"o"

    loop.run_until_complete(main())


def test_a_late_deadline_does_not_touch_an_answer_that_has_begun(loop: asyncio.AbstractEventLoop) -> None:
    answer, _ = begun(loop, SIZED)
    answer.fail(UpstreamUnreachable("late"))
    assert finish(loop, answer) == b"hello"


@settings(derandomize=True, max_examples=400, deadline=None, database=None)
@given(data=st.data())
def test_no_bytes_crash_an_answer(data: st.DataObject) -> None:
    loop = asyncio.new_event_loop()
    try:
        good = data.draw(st.sampled_from([SIZED, CHUNKED, INTERIM, UNSIZED, EMPTY]))
        mutated = bytearray(good)
        for _ in range(data.draw(st.integers(0, 4))):
            at = data.draw(st.integers(0, len(mutated) - 1))
            mutated[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=4))
            mutated = mutated or bytearray(b"x")
        stream = bytes(mutated) + data.draw(st.binary(max_size=20))
        cut = data.draw(st.integers(0, len(stream)))
        answer, line = begun(loop, *filter(None, (stream[:cut], stream[cut:])))
        answer.end_of_input(orderly=data.draw(st.booleans()))
        try:
            loop.run_until_complete(head_of(answer))
            body = loop.run_until_complete(to_end(answer))
        except UpstreamError:
            answer.abort()
        else:
            assert len(body) <= MAX_INFLATED_BYTES
            answer.release()
        assert line.diary in (["closed"], ["aborted"])
    finally:
        loop.close()
