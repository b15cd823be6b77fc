"""Server-sent events, both directions, with no I/O.

Source: WHATWG HTML §9.2 "Server-sent events" (https://html.spec.whatwg.org/#server-sent-events).
"""

from __future__ import annotations

import msgspec

from pi_model_proxy.errors import BrokenStream

__all__ = ["MAX_FRAME_BYTES", "Frame", "FrameDecoder", "encode_frame"]

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""One event's data may be this long; a longer one breaks the stream."""

_BOM = b"\xef\xbb\xbf"
_LF = 10


class Frame(msgspec.Struct, frozen=True):
    """One event: its name (empty when none was given) and its data lines joined by newlines."""

    event: str
    data: bytes


class FrameDecoder:
    """Turns bytes, split anywhere, into whole frames.

    Lines end in CRLF, LF or CR and in nothing else: U+2028 and U+0085 are data. A frame is
    returned by the call that completes it. Comments are counted (`comments`) and skipped.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._scanned = 0
        self._event = b""
        self._data: list[bytes] = []
        self._size = 0
        self._first = True
        self._skip_lf = False
        self.comments = 0

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that `chunk` completes, oldest first.

        Raises:
            BrokenStream: a single frame grew past `MAX_FRAME_BYTES`.
        """
        self._buffer += chunk
        frames: list[Frame] = []
        start = 0
        if self._first:
            if len(self._buffer) < len(_BOM) and _BOM.startswith(bytes(self._buffer)):
                return frames
            self._first = False
            if self._buffer.startswith(_BOM):
                start = len(_BOM)
        for end, after in self._line_ends(start):
            self._line(bytes(self._buffer[start:end]), frames)
            start = after
        del self._buffer[:start]
        self._scanned = len(self._buffer)
        if self._size + len(self._buffer) > MAX_FRAME_BYTES:
            raise BrokenStream(
                f"The provider sent a single event of more than {MAX_FRAME_BYTES // 1024 // 1024} MiB; the answer was given up."
            )
        return frames

    def _line_ends(self, start: int) -> list[tuple[int, int]]:
        """Return (end of line, start of next line) for each complete line from `start` on."""
        buffer = self._buffer
        ends: list[tuple[int, int]] = []
        if self._skip_lf and len(buffer) > start:
            self._skip_lf = False
            if buffer[start] == _LF:
                # The CR that ended the previous line was the first half of a CRLF.
                ends_from = start + 1
                del buffer[start:ends_from]
        position = max(start, self._scanned)
        has_cr = buffer.find(b"\r", position) >= 0
        while True:
            lf = buffer.find(b"\n", position)
            cr = buffer.find(b"\r", position) if has_cr else -1
            if lf < 0 and cr < 0:
                return ends
            if cr >= 0 and (lf < 0 or cr < lf):
                after = cr + 1
                if after < len(buffer):
                    after += buffer[after] == _LF
                else:
                    self._skip_lf = True
                ends.append((cr, after))
            else:
                after = lf + 1
                ends.append((lf, after))
            position = after

    def _line(self, line: bytes, frames: list[Frame]) -> None:
        if not line:
            self._dispatch(frames)
            return
        name, colon, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"event":
            self._event = value
        elif not name and colon:
            self.comments += 1

    def _dispatch(self, frames: list[Frame]) -> None:
        if self._data:
            data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
            frames.append(Frame(self._event.decode("utf-8", "replace"), data))
        self._event, self._data, self._size = b"", [], 0

    def close(self) -> list[Frame]:
        """Return the last frame when the stream ended without its blank line.

        The specification drops it; real servers forget the blank line after their terminal event,
        so we keep it and let the JSON inside decide whether it is whole.
        """
        frames: list[Frame] = []
        if self._buffer:
            self._line(bytes(self._buffer), frames)
            self._buffer.clear()
        self._dispatch(frames)
        return frames


def encode_frame(data: bytes, *, event: bytes = b"") -> bytes:
    """Return one frame; `data` must not hold a line break."""
    if event:
        return b"event: " + event + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
