"""An answer's objects, however they are framed."""

from __future__ import annotations

import json

import pytest

from pi_model_proxy.dialects.google_gemini.framing import ObjectReader
from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.wire import MAX_FRAME_BYTES

FIRST = b'{"a":"}{\\"\\\\"}'
SECOND = b'{"b":[{"c":1},{}]}'
ERROR = b'{\n  "error": {\n    "code": 503,\n    "message": "busy {"\n  }\n}\n'


def _read(*chunks: bytes) -> list[bytes]:
    reader = ObjectReader()
    return [each for chunk in chunks for each in reader.feed(chunk)] + reader.close()


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + FIRST + b"\n\ndata: " + SECOND + b"\n\n",
        b"data:" + FIRST + b"\r\n\r\n: ping\r\n\r\ndata: " + SECOND + b"\r\n",
        b"[" + FIRST + b",\r\n" + SECOND + b"\n]\n",
        b" \n[" + FIRST + b"\n,\n" + SECOND + b"]",
        FIRST + b"\n" + SECOND,
        b"\xef\xbb\xbf[" + FIRST + b"," + SECOND + b"]",
    ],
    ids=[
        "events",
        "events with CRLF and without an end",
        "array",
        "array after a line break",
        "bare",
        "array with a byte order mark",
    ],
)
def test_objects_are_found_in_any_framing_and_however_it_is_split(stream: bytes) -> None:
    assert _read(stream) == [FIRST, SECOND]
    assert _read(*(stream[place : place + 1] for place in range(len(stream)))) == [FIRST, SECOND]
    for place in range(len(stream)):
        assert _read(stream[:place], stream[place:]) == [FIRST, SECOND]


@pytest.mark.parametrize("end", [b"\n\n", b"\r\n\r\n"], ids=["LF", "CRLF"])
def test_events_that_come_each_by_itself_are_found_among_those_that_do_not(end: bytes) -> None:
    one, two = b"data: " + FIRST + end, b"data: " + SECOND + end
    half = b'data: {"a":\ndata: 1}' + end
    assert _read(one, one, two[:9], two[9:], one, two + one, half, one) == [
        FIRST, FIRST, SECOND, FIRST, SECOND, FIRST, b'{"a":\n1}', FIRST,
    ]  # fmt: skip


def test_a_bare_error_among_events_is_found_wherever_the_stream_is_split() -> None:
    stream = b"data: " + FIRST + b"\r\n\r\n" + ERROR
    for place in range(len(stream)):
        found = _read(stream[:place], stream[place:])
        assert found[0] == FIRST
        assert json.loads(found[1])["error"]["code"] == 503


def test_an_object_that_breaks_off_is_handed_out_to_be_refused() -> None:
    assert _read(b"[" + FIRST + b',{"half":"') == [FIRST, b'{"half":"']


def test_blank_lines_alone_are_no_answer_and_are_not_kept() -> None:
    reader = ObjectReader()
    for _ in range(1000):
        assert reader.feed(b"\n\n") == []
    assert reader.feed(b"data: {}\n\n") == [b"{}"]


def test_an_endless_object_is_given_up() -> None:
    reader = ObjectReader()
    reader.feed(b'[{"a":"')
    piece = b"x" * (1024 * 1024)
    with pytest.raises(BrokenStream, match="16 MiB"):
        for _ in range(MAX_FRAME_BYTES // len(piece) + 1):
            reader.feed(piece)
