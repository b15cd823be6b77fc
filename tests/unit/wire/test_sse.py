from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.wire import MAX_FRAME_BYTES, Frame, FrameDecoder, encode_frame

STREAM = (
    "\ufeffevent: a\r\ndata: é😀\r\n\r\n: ping\rdata:2\rdata: 3\r\rdata:\n\nevent: only-a-name\n\n"
    "data: with\u2028separator\n\nid: 7\nretry: 5\ndata: last"
).encode()
FRAMES = [
    Frame("a", "é😀".encode()),
    Frame("", b"2\n3"),
    Frame("", b""),
    Frame("", "with\u2028separator".encode()),
    Frame("", b"last"),
]


def decode(chunks: list[bytes]) -> list[Frame]:
    decoder = FrameDecoder()
    return [frame for chunk in chunks for frame in decoder.feed(chunk)] + decoder.close()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 1000])
def test_vector_091_frames_are_the_same_wherever_the_bytes_are_cut(size: int) -> None:
    assert decode([STREAM[i : i + size] for i in range(0, len(STREAM), size)]) == FRAMES


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.text("ad:\r\n \u2028x", max_size=60), st.lists(st.integers(0, 60), max_size=6))
def test_chunk_boundaries_do_not_matter_for_any_text(text: str, cuts: list[int]) -> None:
    data = text.encode()
    places = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    pieces = [data[a:b] for a, b in zip(places, places[1:], strict=False)]
    assert decode(pieces) == decode([data])


@pytest.mark.parametrize("name", [b"", b"message_stop"])
def test_what_is_encoded_is_decoded(name: bytes) -> None:
    assert decode([encode_frame(b'{"a":1}', event=name)]) == [Frame(name.decode(), b'{"a":1}')]


def test_an_endless_event_is_given_up_at_the_named_limit() -> None:
    decoder = FrameDecoder()
    piece = b"data: " + b"x" * (1024 * 1024 - 7) + b"\n"
    with pytest.raises(BrokenStream, match="16 MiB"):
        for _ in range(MAX_FRAME_BYTES // len(piece) + 2):
            decoder.feed(piece)


def test_an_endless_line_is_given_up_at_the_named_limit() -> None:
    decoder = FrameDecoder()
    with pytest.raises(BrokenStream, match="16 MiB"):
        for _ in range(MAX_FRAME_BYTES // (1024 * 1024) + 2):
            decoder.feed(b"x" * 1024 * 1024)


def test_comments_are_skipped() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(b": one\n\n:two\n\ndata: x\n\n") == [Frame("", b"x")]
