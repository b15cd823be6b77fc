"""A request for pictures, said as a chat; a chat's pictures, said as OpenAI's answer."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pi_model_proxy.dialects.openai_pictures import MODALITIES, encode_pictures, picture_chat, read_pictures
from pi_model_proxy.errors import BadRequest, BrokenStream, CallerError

LAWS = settings(max_examples=100, deadline=None, derandomize=True)
PNG = "data:image/png;base64,QUJD"


def answered(*images: Any, **more: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": None, "images": images}}], **more}).encode()


def test_what_a_chat_cannot_say_is_listed_and_what_asks_for_nothing_is_not() -> None:
    body = {
        "model": "m", "prompt": "a fox", "n": 1, "size": "auto", "quality": "high", "background": None, "user": "u",
        "output_format": "webp", "stream": False, "partial_images": 0, "next": 1,
    }  # fmt: skip
    wish = read_pictures(json.dumps(body).encode())
    assert wish.dropped == ("quality", "output_format", "next")
    said = json.loads(picture_chat(wish, MODALITIES[0]))
    assert (said["user"], said["modalities"], said["stream"]) == ("u", ["image", "text"], False)


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": 3}, {"prompt": "x", "n": "two"}, []])
def test_a_wrong_request_is_refused(body: Any) -> None:
    with pytest.raises(BadRequest):
        read_pictures(json.dumps(body).encode())


@pytest.mark.parametrize(
    "image", [{"image_url": {"url": PNG}}, {"image_url": PNG, "type": "image_url", "index": 0}]
)
def test_a_picture_is_found_however_it_is_written(image: Any) -> None:
    told, usage = encode_pictures(
        answered(image, {"image_url": "https://elsewhere.example/x.png"}), created=5
    )
    assert json.loads(told) == {"created": 5, "data": [{"b64_json": "QUJD"}]}
    assert usage is None


@pytest.mark.parametrize(
    "answer", [answered(), answered({}), b"", b"[]", b'{"choices":[]}', b'{"choices":[{}]}']
)
def test_an_answer_without_a_picture_is_none(answer: bytes) -> None:
    with pytest.raises(BrokenStream):
        encode_pictures(answer, created=5)


@LAWS
@given(st.binary(max_size=60))
def test_no_bytes_crash_it(data: bytes) -> None:
    with contextlib.suppress(CallerError):
        read_pictures(data)
    with contextlib.suppress(BrokenStream):
        encode_pictures(data, created=0)
