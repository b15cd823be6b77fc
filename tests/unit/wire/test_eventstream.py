"""Amazon's event streams from bytes split anywhere."""

from __future__ import annotations

import struct
import zlib

import pytest

from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.wire import EventMessage, EventStreamDecoder
from pi_model_proxy.wire.eventstream import MAX_HEADER_BYTES, MAX_MESSAGE_BYTES
from support.kind_streams import frame, pieces

HEADERS = {":event-type": "messageStart", ":message-type": "event"}
SPECIFIED = bytes.fromhex("000000100000000005c248eb7d98c8ff")
"""The specification's example of an empty message."""


def read(data: bytes, size: int = 1 << 20) -> list[EventMessage]:
    decoder = EventStreamDecoder()
    found = []
    for piece in pieces(data, size):
        decoder.feed(piece)
        while (message := decoder.next()) is not None:
            found.append(message)
    return found


def raw(headers: bytes, payload: bytes = b"") -> bytes:
    """Return a message with headers as they are."""
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def test_the_empty_message_of_the_specification_is_read() -> None:
    assert read(SPECIFIED) == [EventMessage({}, b"")]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 11, 10**6])
def test_bytes_may_be_split_anywhere(size: int) -> None:
    data = frame(HEADERS, b'{"role":"assistant"}') + frame({}, b"") + frame({"a": "é"}, bytes(range(256)))
    assert read(data, size) == [
        EventMessage(HEADERS, b'{"role":"assistant"}'),
        EventMessage({}, b""),
        EventMessage({"a": "é"}, bytes(range(256))),
    ]


def test_headers_that_are_no_text_are_passed_over() -> None:
    others = (
        b"\x01a\x00" + b"\x01b\x01" + b"\x01c\x02\xff" + b"\x01d\x03\x00\x01" + b"\x01e\x04\x00\x00\x00\x01"
        b"\x01f\x05" + bytes(8) + b"\x01g\x06\x00\x02xy" + b"\x01h\x08" + bytes(8) + b"\x01i\x09" + bytes(16)
    )
    assert read(raw(others + b"\x01z\x07\x00\x02ok"))[0].headers == {"z": "ok"}


def test_it_knows_whether_a_message_has_begun() -> None:
    decoder = EventStreamDecoder()
    decoder.feed(SPECIFIED + SPECIFIED[:5])
    assert not decoder.is_between
    decoder.next()
    assert decoder.next() is None
    decoder.feed(SPECIFIED[5:])
    assert decoder.next() == EventMessage({}, b"")
    assert decoder.is_between


@pytest.mark.parametrize("place", [0, 5, 9, 13, 20, -1])
def test_a_flipped_bit_is_noticed_wherever_it_is(place: int) -> None:
    data = bytearray(frame(HEADERS, b"{}"))
    data[place] ^= 1
    with pytest.raises(BrokenStream, match="checksum"):
        read(bytes(data))


@pytest.mark.parametrize("data", [b"<html><body>502</body></html>", b'data: {"a":1}\n\n  '])
def test_what_is_no_event_stream_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(BrokenStream, match="no event stream"):
        read(data)


@pytest.mark.parametrize(
    ("total", "headers"),
    [(MAX_MESSAGE_BYTES + 1, 0), (MAX_HEADER_BYTES + 100, MAX_HEADER_BYTES + 1), (20, 8)],
)
def test_lengths_beyond_the_format_are_refused_before_anything_is_collected(total: int, headers: int) -> None:
    prelude = struct.pack(">II", total, headers)
    with pytest.raises(BrokenStream, match=f"{total} bytes with {headers}"):
        read(prelude + struct.pack(">I", zlib.crc32(prelude)))


@pytest.mark.parametrize(
    "headers", [b"\x05ab", b"\x01a", b"\x01a\x07\x00", b"\x01a\x07\x00\x05xy", b"\x01a\x05\x00"]
)
def test_headers_that_are_cut_off_break_the_stream(headers: bytes) -> None:
    with pytest.raises(BrokenStream, match="cut off"):
        read(raw(headers))


def test_a_header_of_an_unknown_type_breaks_the_stream() -> None:
    with pytest.raises(BrokenStream, match="unknown type 12"):
        read(raw(b"\x01a\x0c"))


def test_messages_before_a_broken_one_are_still_given() -> None:
    decoder = EventStreamDecoder()
    decoder.feed(SPECIFIED + b"x" * 16)
    assert decoder.next() is not None
    with pytest.raises(BrokenStream):
        decoder.next()
