"""Surgery on JSON text: change some members of an object and keep every other byte.

Signatures, key order and escapes inside the members that are not touched stay as they are.

`members_of` and `object_of` copy nothing but the result: a member is a window onto the text it
was read from (and keeps that text alive), so taking a body of many megabytes apart costs one look
at each byte, and putting it together one copy.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

__all__ = [
    "ascii_json",
    "ascii_text",
    "compact_json",
    "edit_object",
    "escape_separators",
    "join_array",
    "members_of",
    "object_of",
    "raw_array",
    "raw_object",
]

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_encoder = msgspec.json.Encoder()
_BEYOND_ASCII: Final = re.compile("[^\x00-\x7f]+")
_LF, _CR = b"\n\r"
_SEPARATORS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)
"""U+2028, U+2029 and U+0085: some SSE readers split lines on them (clients.md, pitfall 1)."""


def members_of(data: bytes | msgspec.Raw) -> dict[str, msgspec.Raw]:
    """Return an object's members as JSON text, in order; of a repeated key the last one counts.

    Raises:
        msgspec.DecodeError: not JSON, or not an object.
    """
    return _object_decoder.decode(data)


def object_of(members: Mapping[str, msgspec.Raw]) -> bytes:
    """Return the object of these members, without blanks between them."""
    return _encoder.encode(members)


def raw_object(data: bytes | msgspec.Raw) -> dict[str, bytes]:
    """Return an object's members as JSON text, in order; of a repeated key the last one counts.

    Raises:
        msgspec.DecodeError: not JSON, or not an object.
    """
    return {key: bytes(value) for key, value in _object_decoder.decode(data).items()}


def raw_array(data: bytes | msgspec.Raw) -> list[bytes]:
    """Return an array's elements as JSON text.

    Raises:
        msgspec.DecodeError: not JSON, or not an array.
    """
    return [bytes(value) for value in _array_decoder.decode(data)]


def compact_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Return compact JSON in UTF-8."""
    return _encoder.encode(value)


def ascii_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """Return compact JSON with every character beyond ASCII escaped."""
    data = _encoder.encode(value)
    return data if data.isascii() else _escaped(data.decode("utf-8"))


def ascii_text(text: str) -> bytes:
    """Return a JSON string with every character beyond ASCII escaped; quicker than `ascii_json`."""
    return _encoder.encode(text) if text.isascii() else json.dumps(text).encode("ascii")


def _escaped(text: str) -> bytes:
    # Outside of strings JSON is ASCII, so every other character may be escaped where it stands.
    return _BEYOND_ASCII.sub(_escape, text).encode("ascii")


def _escape(run: re.Match[str]) -> str:
    return json.dumps(run[0])[1:-1]


def escape_separators(data: bytes) -> bytes:
    """Return JSON text with raw U+2028, U+2029 and U+0085 escaped, and line breaks between tokens removed."""
    if not data.isascii() and (data.find(0xE2) >= 0 or data.find(0xC2) >= 0):
        # One of their first bytes is there; few languages need these, and looking for one byte is quick.
        for raw, escaped in _SEPARATORS:
            if raw in data:
                data = data.replace(raw, escaped)
    if data.find(_LF) >= 0 or data.find(_CR) >= 0:
        # Inside JSON strings line breaks are always escaped: these stand between tokens.
        data = data.replace(b"\r", b" ").replace(b"\n", b" ")
    return data


def edit_object(
    members: Mapping[str, bytes], *, put: Mapping[str, bytes], remove: Iterable[str] = ()
) -> bytes:
    """Return the object with `put` replaced or appended and `remove` taken out; values are JSON text."""
    merged = {**members, **put}
    for key in remove:
        merged.pop(key, None)
    return _encoder.encode({key: msgspec.Raw(value) for key, value in merged.items()})


def join_array(elements: Iterable[bytes]) -> bytes:
    """Return the array of these JSON texts."""
    return b"[" + b",".join(elements) + b"]"
