"""The objects of an upstream's answer, whichever way they are framed: events, a JSON array, or bare.

We ask for events (`alt=sse`). Servers in between ignore that and send the JSON array; and Google
itself breaks into its own events with a bare error object, over several lines and without `data:`
(google-genai 3.4.0 and @google/genai 3.1 both look for it).
"""

from __future__ import annotations

import re
from typing import Final

from pi_model_proxy.errors import BrokenStream
from pi_model_proxy.wire import MAX_FRAME_BYTES, FrameDecoder

__all__ = ["ObjectReader"]

_BLANK: Final = b" \t\r\n\xef\xbb\xbf"
_PLAIN_HEAD: Final = b"data: {"
_PLAIN_ENDS: Final = (b"}\r\n\r\n", b"}\n\n")
_TOKEN: Final = re.compile(rb'\\.|["{}]', re.DOTALL)


class ObjectReader:
    """Turns bytes, split anywhere, into the JSON texts of whole objects."""

    def __init__(self) -> None:
        self._head: bytes | None = b""
        """What came before the first byte that tells the framing; None once it is known."""
        self._frames = FrameDecoder()
        self._bare: _BareObjects | None = None
        self._at_line_start = True
        self._between = False
        """Whether the last piece ended with an event, so that nothing of it is left in `_frames`."""

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the objects that `chunk` completes, oldest first.

        Raises:
            BrokenStream: a single object grew past `MAX_FRAME_BYTES`.
        """
        if self._head is not None:
            chunk = self._opening(chunk)
        if not chunk:
            return []
        if self._bare is not None:
            return self._bare.feed(chunk)
        if self._between and chunk.startswith(_PLAIN_HEAD) and chunk.count(b"\n") == 2:  # noqa: PLR2004 - those of its end
            # One whole event, as Google sends each by itself.
            returns = chunk.count(b"\r")
            if returns == 2 and chunk.endswith(_PLAIN_ENDS[0]):  # noqa: PLR2004 - as above
                return [chunk[6:-4]]
            if not returns and chunk.endswith(_PLAIN_ENDS[1]):
                return [chunk[6:-2]]
        start = 0 if self._at_line_start and chunk[:1] == b"{" else chunk.find(b"\n{") + 1 or -1
        if start < 0:
            self._at_line_start = chunk.endswith(b"\n")
            self._between = chunk.endswith(_PLAIN_ENDS)
            return [frame.data for frame in self._frames.feed(chunk) if frame.data]
        found = [frame.data for frame in self._frames.feed(chunk[:start]) if frame.data]
        self._bare = _BareObjects()
        return found + self._bare.feed(chunk[start:])

    def _opening(self, chunk: bytes) -> bytes:
        """Return what may be read once the first byte tells how the answer is framed; b"" until then."""
        head = (self._head or b"") + chunk
        told = head.lstrip(_BLANK)
        if not told:
            self._head = head[-len(_BLANK) :]
            return b""
        self._head = None
        if told[:1] in {b"[", b"{"}:
            self._bare = _BareObjects()
            return told
        return head

    def close(self) -> list[bytes]:
        """Return what was still open: an event without its blank line, an object that broke off."""
        if self._bare is not None:
            return self._bare.close()
        return [frame.data for frame in self._frames.close() if frame.data]


class _BareObjects:
    """Finds the ends of objects by counting braces outside of strings."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0
        """How far `_buffer` has been looked at."""
        self._start = 0
        self._depth = 0
        self._in_string = False

    def feed(self, chunk: bytes) -> list[bytes]:
        buffer = self._buffer
        buffer += chunk
        found: list[bytes] = []
        # A backslash at the very end waits for the character it escapes.
        whole = len(buffer) - _trailing_backslashes(buffer, self._position) % 2
        for token in _TOKEN.finditer(buffer, self._position, whole):
            self._take(token[0], token.start(), found)
        self._position = whole
        keep_from = self._start if self._depth else whole
        del buffer[:keep_from]
        self._position -= keep_from
        self._start = 0
        if len(buffer) > MAX_FRAME_BYTES:
            raise BrokenStream(
                f"The provider sent a single object of more than {MAX_FRAME_BYTES // 1024 // 1024} MiB; the answer was given up."
            )
        return found

    def _take(self, token: bytes, at: int, found: list[bytes]) -> None:
        if token == b'"':
            self._in_string = not self._in_string and self._depth > 0
        elif self._in_string:
            return
        elif token == b"{":
            if not self._depth:
                self._start = at
            self._depth += 1
        elif token == b"}" and self._depth:
            self._depth -= 1
            if not self._depth:
                found.append(bytes(self._buffer[self._start : at + 1]))

    def close(self) -> list[bytes]:
        rest = bytes(self._buffer[self._start :]) if self._depth else b""
        self._buffer.clear()
        self._depth = 0
        return [rest] if rest else []


def _trailing_backslashes(buffer: bytearray, start: int) -> int:
    count = 0
    while len(buffer) - count > start and buffer[-1 - count] == ord("\\"):
        count += 1
    return count
