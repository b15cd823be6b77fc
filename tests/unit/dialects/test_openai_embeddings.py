"""Embeddings in the form they were asked for."""

from __future__ import annotations

import base64
import json
import struct

import pytest

from pi_model_proxy.dialects.openai_embeddings import as_base64, wants_base64

ANSWER = b'{"object":"list", "data":[{"object":"embedding","index":0,"embedding":[0.5, -1e-3, 2]},{"index":1,"embedding":"AAAA"}],"x":1.10}'


def test_vector_096_numbers_become_base64_where_that_was_asked_for() -> None:
    told = as_base64(ANSWER)
    read = json.loads(told)
    numbers = struct.unpack("<3f", base64.b64decode(read["data"][0]["embedding"]))
    assert numbers == pytest.approx((0.5, -1e-3, 2.0))
    assert read["data"][1] == {"index": 1, "embedding": "AAAA"}  # the server did it itself
    assert b'"x":1.10' in told


@pytest.mark.parametrize(
    "answer",
    [
        b"", b"no json", b"[]", b"{}", b'{"data":5}', b'{"data":[5]}', b'{"data":[{"embedding":["a"]}]}',
        b'{"data":[{"embedding":[1e300]}]}', b'{"data":[{"index":0,"embedding":"AAAA"}]}', b'{"data":[]}', b"[" * 90_000,
    ],
)  # fmt: skip
def test_what_holds_no_numbers_stays_as_it_is(answer: bytes) -> None:
    assert as_base64(answer) is answer


@pytest.mark.parametrize(("said", "wants"), [(b'"base64"', True), (b'"float"', False), (b"null", False)])
def test_only_who_asks_for_base64_gets_it(said: bytes, wants: bool) -> None:
    assert wants_base64({"encoding_format": said}) is wants
    assert not wants_base64({})
    assert not wants_base64(None)
