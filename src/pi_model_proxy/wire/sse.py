"""Server-sent events, both directions, with no I/O.

Source: WHATWG HTML §9.2 "Server-sent events" (https://html.spec.whatwg.org/#server-sent-events).
"""

from __future__ import annotations

from typing import Final

import msgspec

from pi_model_proxy.errors import BrokenStream

__all__ = ["MAX_FRAME_BYTES", "Frame", "FrameDecoder", "encode_frame"]

MAX_FRAME_BYTES = 16 * 1024 * 1024
"""One event's data may be this long; a longer one breaks the stream."""
MAX_CARRIED_BYTES: Final = 16 * 1024
"""So much of an unfinished frame is joined to the next piece; a longer one is read line by line as it comes."""

_BOM = b"\xef\xbb\xbf"
_UNDECIDED: Final = frozenset({b"", _BOM[:1]})
"""Beginnings of a stream that may still become a byte order mark."""
_LF, _CR = b"\n\r"
_DATA: Final = b"data: "
_EVENT: Final = b"event: "


class Frame(msgspec.Struct, frozen=True, gc=False):
    """One event: its name (empty when none was given) and its data lines joined by newlines."""

    event: str
    data: bytes


class FrameDecoder:
    """Turns bytes, split anywhere, into whole frames.

    Lines end in CRLF, LF or CR and in nothing else: U+2028 and U+0085 are data. A frame is
    returned by the call that completes it. Comments are skipped.

    There are two ways to the same frames. Between two frames a piece is split at its blank lines;
    the unfinished rest is carried to the next piece as it is. What that cannot do (lone CRs, a
    byte order mark, very long frames) is read line by line, until a frame is complete again.
    """

    def __init__(self) -> None:
        self._carried = b""
        """The beginning of the next frame, unread; only between frames."""
        self._between = False
        """Whether nothing of an unfinished frame has been read: no line of it, no half line end."""
        self._buffer = bytearray()
        self._scanned = 0
        self._event = b""
        self._data: list[bytes] = []
        self._size = 0
        self._first = True
        self._skip_lf = False
        self._head = _DATA
        """What the last ordinary frame had before its data: `data: `, perhaps after a line with the event's name."""
        self._name = ""

    def feed(self, chunk: bytes) -> list[Frame]:
        """Return the frames that `chunk` completes, oldest first.

        Raises:
            BrokenStream: a single frame grew past `MAX_FRAME_BYTES`.
        """
        if not self._between:
            if not self._first or self._buffer or chunk[:1] in _UNDECIDED:
                return self._scan(chunk)
            self._first, self._between = False, True
        if self._carried:
            chunk, self._carried = self._carried + chunk, b""
        frames = self._split(chunk)
        return self._scan(chunk) if frames is None else frames

    def _split(self, piece: bytes) -> list[Frame] | None:
        """Return the whole frames in `piece`, the rest carried; None when it must be read line by line."""
        head = self._head
        end = len(piece) - 2
        if piece.startswith(head) and piece.find(_LF, len(head)) == end and piece[-1] == _LF:
            data = piece[len(head) : end]
            if data.find(_CR) < 0:
                return [Frame(self._name, data)]  # a stream at the model's own pace: one event, one piece
        if piece.find(_CR) >= 0:
            piece = piece.replace(b"\r\n", b"\n")
            if piece.find(_CR) >= 0:
                return None
        end = piece.rfind(b"\n\n")
        rest = piece[end + 2 :] if end >= 0 else piece
        if len(rest) > MAX_CARRIED_BYTES:
            return None
        self._carried = rest
        frames: list[Frame] = []
        if end < 0:
            return frames
        for text in piece[:end].split(b"\n\n"):
            head = self._head
            if not text.startswith(head):
                head = self._learn_head(text)
            data = text[len(head) :]
            if head and data.find(_LF) < 0:
                frames.append(Frame(self._name, data))
                continue
            for line in text.split(b"\n"):
                self._line(line, frames)
            self._dispatch(frames)
        return frames

    def _learn_head(self, text: bytes) -> bytes:
        """Note how a frame begins, up to its data, if it is an ordinary one: most begin like the one before."""
        if text.startswith(_DATA):
            self._head, self._name = _DATA, ""
            return _DATA
        first, _, second = text.partition(b"\n")
        if not (first.startswith(_EVENT) and second.startswith(_DATA)):
            return b""
        self._head = text[: len(first) + 1 + len(_DATA)]
        self._name = first[len(_EVENT) :].decode("utf-8", "replace")
        return self._head

    def _scan(self, chunk: bytes) -> list[Frame]:
        """Read line by line."""
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
        self._between = not (
            self._data or self._event or self._skip_lf or len(self._buffer) > MAX_CARRIED_BYTES
        )
        if self._between:
            self._carried = bytes(self._buffer)
            self._buffer.clear()
            self._scanned = 0
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
        name, _colon, value = line.partition(b":")
        if value.startswith(b" "):
            value = value[1:]
        if name == b"data":
            self._data.append(value)
            self._size += len(value)
        elif name == b"event":
            self._event = value

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
        unread, self._carried = self._carried, b""
        frames = self._scan(unread)
        last_line, self._carried = self._carried or bytes(self._buffer), b""
        self._buffer.clear()
        if last_line:
            self._line(last_line, frames)
        self._dispatch(frames)
        return frames


def encode_frame(data: bytes, *, event: bytes = b"") -> bytes:
    """Return one frame; `data` must not hold a line break."""
    if event:
        return b"event: " + event + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"
