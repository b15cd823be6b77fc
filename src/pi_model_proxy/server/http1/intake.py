"""Bytes in, requests out: one at a time, in order, however the bytes are split. Pure."""

from __future__ import annotations

from typing import Final

from pi_model_proxy.server.http1.heads import HeadParser, KnownHead, RequestHead, read_head, remember
from pi_model_proxy.server.http1.refusals import Refusal

__all__ = ["Intake"]

_BLANK_LINE: Final = b"\r\n\r\n"
_SEAM: Final = len(_BLANK_LINE) - 1


class Intake:
    """Reads one connection. Bytes that nobody has asked for yet wait unread; their owner bounds them.

    llhttp is given a head, or chunks, only as far as the next blank line, and only there can a request end: so
    it never sees the request behind the one that is being answered. A body with a length it never sees at all.
    """

    __slots__ = (
        "_at",
        "_body",
        "_data",
        "_known",
        "_left",
        "_max_head_bytes",
        "_overhead",
        "_parser",
        "_raw",
        "complete",
    )

    def __init__(self, max_head_bytes: int) -> None:
        self._max_head_bytes = max_head_bytes
        self._data = b""
        self._at = 0
        """Before it, `_data` has been read."""
        self._raw = b""
        """The beginning of a head, as it came; or the last bytes of the chunks that were read."""
        self._parser: HeadParser | None = None
        self._left = 0
        self._body = b""
        """The whole body of the current request, if it came with its head."""
        self._overhead = 0
        self._known: KnownHead | None = None
        self.complete = True
        """Nothing of the current request is missing."""

    def feed(self, data: bytes) -> None:
        """Take bytes that arrived."""
        if self._at < len(self._data):
            data = self._data[self._at :] + data
        self._data, self._at = data, 0

    def _advance(self, at: int) -> None:
        """Note how far `_data` has been read, and let go of it once that is all."""
        if at == len(self._data):
            self._data, self._at = b"", 0
        else:
            self._at = at

    @property
    def waiting_bytes(self) -> int:
        """Bytes that have not been read."""
        return len(self._data) - self._at

    @property
    def in_head(self) -> bool:
        """Whether the beginning of a head is here."""
        return self.complete and bool(self._raw.lstrip(b"\r\n"))

    def head(self) -> RequestHead | None:
        """Return the next request's head, None until it is here. The request before it must be complete.

        Raises:
            Refusal: these bytes are no request.
        """
        known = self._known
        if known is not None and self._parser is None:
            data = self._data
            end = known.match(data, self._at)
            if end:
                length = known.head.length
                stop = end + length
                if stop <= len(data):
                    # Most requests come in one piece.
                    self._body = data[end:stop]
                    self._advance(stop)
                    self._left, self.complete = 0, True
                else:
                    self._advance(end)
                    self._left, self.complete = length, False
                return known.head
        return self._read_head()

    def _read_head(self) -> RequestHead | None:
        data, at = self._data, self._at
        parser = self._parser
        while at < len(data):
            if parser is None:
                parser = self._parser = HeadParser()
            end = self._blank_line(data, at)
            stop = end or len(data)
            if len(self._raw) + stop - at > self._max_head_bytes:
                raise Refusal(
                    431,
                    f"The request's headers are longer than {self._max_head_bytes} bytes (maxHeaderBytes).",
                )
            part = data[at:stop]
            self._raw += part
            self._advance(stop)
            at = stop
            if parser.feed(part):
                return self._begin(parser)
            if end:
                # Blank lines before the request line are no part of it (RFC 9112 §2.2).
                self._raw = b""
        return None

    def _begin(self, parser: HeadParser) -> RequestHead:
        head = read_head(self._raw, parser)
        self._known = remember(self._raw, head)
        self._raw = self._body = b""
        self._overhead = 0
        self._left = head.length
        if head.chunked:
            self._parser = parser
        else:
            self._parser = None
            parser.let_go()
        self.complete = not head.length and not head.chunked
        return head

    def body(self) -> bytes:
        """Return what is here of the current request's body and was not returned before.

        Raises:
            Refusal: it is chunked, and the chunks cannot be read.
        """
        if self.complete:
            body, self._body = self._body, b""
            return body
        parser = self._parser
        if parser is not None:
            return self._chunks(parser)
        data, at = self._data, self._at
        stop = min(at + self._left, len(data))
        self._left -= stop - at
        self._advance(stop)
        self.complete = not self._left
        return data[at:stop]

    def _chunks(self, parser: HeadParser) -> bytes:
        data, at = self._data, self._at
        while at < len(data) and not parser.complete:
            stop = self._blank_line_in_chunks(data, at)
            part = data[at:stop]
            at = stop
            parser.feed(part)
            self._overhead = 0 if parser.pieces else self._overhead + len(part)
            if self._overhead > self._max_head_bytes:
                raise Refusal(
                    431, f"The body's framing is longer than {self._max_head_bytes} bytes (maxHeaderBytes)."
                )
        self._advance(at)
        pieces = parser.pieces
        piece = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        if parser.complete:
            self._parser, self._raw, self.complete = None, b"", True
            parser.let_go()
        return piece

    def _blank_line_in_chunks(self, data: bytes, at: int) -> int:
        """Return where the next blank line ends; else the end of `data`."""
        stop = self._blank_line(data, at)
        if stop:
            self._raw = b""
            return stop
        self._raw = (self._raw + data[max(at, len(data) - _SEAM) :])[-_SEAM:]
        return len(data)

    def _blank_line(self, data: bytes, at: int) -> int:
        """Return where the next blank line ends, which may have begun in bytes before `at`; 0 when there is none."""
        before = self._raw[-_SEAM:]
        if before:
            end = (before + data[at : at + _SEAM]).find(_BLANK_LINE)
            if end >= 0:
                return at + end + len(_BLANK_LINE) - len(before)
        end = data.find(_BLANK_LINE, at)
        return end + len(_BLANK_LINE) if end >= 0 else 0
