"""Amazon's event-stream encoding, read from bytes split anywhere, with no I/O.

    message := total length (4) header length (4) CRC of these eight (4) headers payload CRC of all before (4)
    header  := name length (1) name type (1) value

Numbers are big-endian and unsigned lengths; the CRC is CRC-32.

Source: "Amazon Event Stream Specification" (https://smithy.io/2.0/aws/amazon-eventstream.html).
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import msgspec

from pi_model_proxy.errors import BrokenStream

__all__ = ["MAX_MESSAGE_BYTES", "EventMessage", "EventStreamDecoder"]

MAX_MESSAGE_BYTES: Final = 24 * 1024 * 1024
"""One message may be this long (Amazon's own limit for a payload); a longer one breaks the stream."""
MAX_HEADER_BYTES: Final = 128 * 1024
"""Amazon's limit for the headers of a message."""

_PRELUDE: Final = struct.Struct(">III")
_CRC: Final = struct.Struct(">I")
_OVERHEAD: Final = _PRELUDE.size + _CRC.size
_SPEECH: Final = 7
"""The header type whose value is text; all we ever ask for."""
_FIXED: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Header types of a fixed length: true, false, byte, short, integer, long, timestamp, UUID."""
_COUNTED: Final = frozenset({6, _SPEECH})
"""Header types that say their length first: bytes, text."""


class EventMessage(msgspec.Struct, frozen=True):
    """One message: those of its headers whose values are text, and its payload."""

    headers: dict[str, str]
    payload: bytes


class EventStreamDecoder:
    """Turns bytes, split anywhere, into whole messages; both checksums are verified.

    `feed` what has arrived, then ask for the `next` message until there is none.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._start = 0
        """Where the next message begins in the buffer."""

    @property
    def is_between(self) -> bool:
        """Whether no message has begun that is not complete."""
        return self._start == len(self._buffer)

    def feed(self, chunk: bytes) -> None:
        """Add bytes; messages that were taken are forgotten."""
        if self._start:
            del self._buffer[: self._start]
            self._start = 0
        self._buffer += chunk

    def next(self) -> EventMessage | None:
        """Return the oldest message that is complete and was not taken.

        Raises:
            BrokenStream: the bytes are no event stream, were damaged, or a message is longer than is allowed.
        """
        buffer = self._buffer
        start = self._start
        if len(buffer) - start < _PRELUDE.size:
            return None
        total, headers, checksum = _PRELUDE.unpack_from(buffer, start)
        if zlib.crc32(buffer[start : start + 8]) != checksum:
            raise BrokenStream(
                "The provider's answer is no event stream, or was damaged on its way (checksum of a message's "
                "beginning); check the model's base URL, or try again."
            )
        if total > MAX_MESSAGE_BYTES or headers > MAX_HEADER_BYTES or total < headers + _OVERHEAD:
            raise BrokenStream(
                f"The provider sent an event of {total} bytes with {headers} bytes of headers, which its format "
                "does not allow; the answer was given up."
            )
        if len(buffer) - start < total:
            return None
        whole = bytes(buffer[start : start + total])
        if zlib.crc32(whole[: -_CRC.size]) != _CRC.unpack_from(whole, total - _CRC.size)[0]:
            raise BrokenStream(
                "The provider's answer was damaged on its way (checksum of a message); try again."
            )
        self._start = start + total
        payload = _PRELUDE.size + headers
        return EventMessage(_headers(whole[_PRELUDE.size : payload]), whole[payload : -_CRC.size])


def _headers(data: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    try:
        while position < len(data):
            name_end = position + 1 + data[position]
            name = data[position + 1 : name_end].decode("utf-8", "replace")
            kind = data[name_end]
            position = name_end + 1
            length = _FIXED.get(kind, 0)
            if kind in _COUNTED:
                length = int.from_bytes(data[position : position + 2], "big")
                position += 2
            elif kind not in _FIXED:
                raise BrokenStream(
                    f"The provider sent a header of the unknown type {kind}; the answer was given up."
                )
            if position + length > len(data):
                raise BrokenStream(_CUT_HEADERS)
            if kind == _SPEECH:
                found[name] = data[position : position + length].decode("utf-8", "replace")
            position += length
    except IndexError as error:
        raise BrokenStream(_CUT_HEADERS) from error
    return found


_CUT_HEADERS: Final = "The provider sent an event whose headers are cut off; the answer was given up."
