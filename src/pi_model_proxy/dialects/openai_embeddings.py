"""Embeddings in the form they were asked for: `encoding_format: base64` where the server knows numbers only.

openai-python asks for base64 unless told otherwise and takes whatever comes; other callers decode it
without looking.

Source: openai-python 3.54.0 `resources/embeddings.py` (float32, little endian); dialects.md §9, §10 (vector 96).
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from pi_model_proxy.wire import compact_json, edit_object, raw_array, raw_object

__all__ = ["as_base64", "wants_base64"]

_FORMAT: Final = "encoding_format"
_floats: Final = msgspec.json.Decoder(list[float])


def wants_base64(members: Mapping[str, bytes] | None) -> bool:
    """Tell whether a request asks for base64."""
    return members is not None and bytes(members.get(_FORMAT, b"")) == b'"base64"'


def as_base64(answer: bytes) -> bytes:
    """Return an answer whose lists of numbers are float32 in base64; what is no such answer stays as it is."""
    try:
        members = raw_object(answer)
        items = [_item(item) for item in raw_array(members["data"])]
    except (KeyError, ValueError, RecursionError, struct.error, OverflowError):
        return answer
    if not any(coded is not None for _, coded in items):
        return answer
    listed: list[Any] = [
        msgspec.Raw(raw if coded is None else edit_object(raw_object(raw), put={"embedding": coded}))
        for raw, coded in items
    ]
    return edit_object(members, put={"data": msgspec.json.encode(listed)})


def _item(raw: bytes) -> tuple[bytes, bytes | None]:
    vector = bytes(raw_object(raw).get("embedding", b""))
    if not vector.startswith(b"["):
        return raw, None
    numbers = _floats.decode(vector)
    return raw, compact_json(base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode())
