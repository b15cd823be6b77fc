"""A stream without `alt=sse`: the same objects as one JSON array that grows.

Everything of ours is written as events first, each `data: ` and one line of JSON; here those become
elements.

Source: dialects.md §2.4; Google's servers put a comma and a line break between elements.
"""

from __future__ import annotations

from typing import Final

from pi_model_proxy.dialects.base import Facts, Pipe, StreamEncoder
from pi_model_proxy.dialects.google_gemini.answer_out import PING
from pi_model_proxy.errors import GatewayError
from pi_model_proxy.hub import Event, Failure, Finish

__all__ = ["ArrayEncoder", "ArrayPipe"]

_FRAME_HEAD: Final = b"data: "
_FRAME_END: Final = b"\n\n"


class _ArrayWriter:
    """Turns frames of ours into elements."""

    def __init__(self) -> None:
        self._lead = b"["
        self._closed = False

    def elements(self, frames: bytes) -> bytes:
        """Return whole frames as elements."""
        out: list[bytes] = []
        for frame in frames.split(_FRAME_END):
            if frame:
                out += [self._lead, frame.removeprefix(_FRAME_HEAD)]
                self._lead = b",\r\n"
        return b"".join(out)

    def end(self) -> bytes:
        """Return the array's end, once; a whole empty array when nothing was written."""
        if self._closed:
            return b""
        self._closed = True
        return b"[]" if self._lead == b"[" else b"]"


class ArrayEncoder:
    """Implements `StreamEncoder` over that of events."""

    def __init__(self, inner: StreamEncoder) -> None:
        self._inner = inner
        self._writer = _ArrayWriter()

    def feed(self, event: Event) -> bytes:
        """See `StreamEncoder.feed`."""
        out = self._writer.elements(self._inner.feed(event))
        return out + self._writer.end() if isinstance(event, Finish | Failure) else out

    def ping(self) -> bytes:
        """Return white space, which may stand between elements and before the array."""
        return PING


class ArrayPipe:
    """Implements `Pipe` over that of events."""

    def __init__(self, inner: Pipe) -> None:
        self.facts: Facts = inner.facts
        self._inner = inner
        self._writer = _ArrayWriter()

    def feed(self, chunk: bytes) -> bytes:
        """See `Pipe.feed`."""
        return self._written(self._inner.feed(chunk))

    def close(self) -> bytes:
        """See `Pipe.close`."""
        return self._written(self._inner.close())

    def _written(self, frames: bytes) -> bytes:
        out = self._writer.elements(frames)
        return out + self._writer.end() if self.facts.done else out

    def fail(self, error: GatewayError) -> bytes:
        """See `Pipe.fail`."""
        return self._writer.elements(self._inner.fail(error)) + self._writer.end()

    def ping(self) -> bytes:
        """Return white space, which may stand between elements and before the array."""
        return PING
