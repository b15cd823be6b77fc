"""Surgery on JSON text: change some members of an object and keep every other byte.

Signatures, key order and escapes inside the members that are not touched stay as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

__all__ = [
    "ascii_json",
    "compact_json",
    "edit_object",
    "escape_separators",
    "join_array",
    "raw_array",
    "raw_object",
]

_object_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_array_decoder = msgspec.json.Decoder(list[msgspec.Raw])
_encoder = msgspec.json.Encoder()
_SEPARATORS = (
    (b"\xe2\x80\xa8", b"\\u2028"),
    (b"\xe2\x80\xa9", b"\\u2029"),
    (b"\xc2\x85", b"\\u0085"),
)
"""U+2028, U+2029 and U+0085: some SSE readers split lines on them (clients.md, pitfall 1)."""


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


def _escaped(text: str) -> bytes:
    # Outside of strings JSON is ASCII, so every other character may be escaped where it stands.
    return "".join(char if char < "\x80" else _escape(char) for char in text).encode("ascii")


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x10000:  # noqa: PLR2004 - the end of the basic plane
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 | code >> 10:04x}\\u{0xDC00 | code & 0x3FF:04x}"


def escape_separators(data: bytes) -> bytes:
    """Return JSON text with raw U+2028, U+2029 and U+0085 escaped, and line breaks between tokens removed."""
    if not data.isascii():
        for raw, escaped in _SEPARATORS:
            if raw in data:
                data = data.replace(raw, escaped)
    if b"\n" in data or b"\r" in data:
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
    return b"{" + b",".join(_encoder.encode(key) + b":" + value for key, value in merged.items()) + b"}"


def join_array(elements: Iterable[bytes]) -> bytes:
    """Return the array of these JSON texts."""
    return b"[" + b",".join(elements) + b"]"
