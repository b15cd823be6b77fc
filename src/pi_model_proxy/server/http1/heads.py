"""The head of a request: llhttp reads it, then we refuse what llhttp tolerates. Pure.

Source: RFC 9112 §2.2 (parsing), §3.2 (request target and Host), §6 (message body length), §9.3 (persistence).
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

import httptools

from pi_model_proxy.server.http1.refusals import MALFORMED, Refusal
from pi_model_proxy.server.line import Head

__all__ = ["MAX_FIELDS", "HeadParser", "KnownHead", "RequestHead", "read_head", "remember"]

MAX_FIELDS: Final = 100
MAX_LENGTH_DIGITS: Final = 15

_LENGTH: Final = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n", re.IGNORECASE)
_ONCE: Final = frozenset({"host", "content-length", "transfer-encoding"})


class HeadParser:
    """llhttp's callbacks for one request: its head, then its chunks. Trailers are read and forgotten."""

    __slots__ = ("_has_head", "_parser", "complete", "keep_alive", "pieces")

    def __init__(self) -> None:
        # A parser per request that is read this way: nothing of one (a trailer, half a header) reaches the next.
        self._parser = httptools.HttpRequestParser(self)
        self._has_head = False
        self.keep_alive = False
        """The caller would send another request."""
        self.pieces: list[bytes] = []
        """Body bytes that have come out of chunks."""
        self.complete = False
        """The whole request is here, as far as llhttp knows: it is never given a body that has a length."""

    def feed(self, data: bytes) -> bool:
        """Take more of the request; return whether its head is complete.

        Raises:
            Refusal: this is not HTTP/1.1.
        """
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The head is whole; what the caller would rather speak is not spoken here.
            return True
        except httptools.HttpParserError as error:
            raise Refusal(400, MALFORMED) from error
        return self._has_head

    def let_go(self) -> None:
        """Feed nothing more: llhttp and this hold each other, which only the garbage collector would end."""
        del self._parser

    @property
    def upgrades(self) -> bool:
        """Whether the caller offers another protocol, or wants a tunnel."""
        return self._parser.should_upgrade()

    # What llhttp says.

    def on_headers_complete(self) -> None:
        """The blank line."""
        self._has_head = True
        self.keep_alive = self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        """A chunk, or a part of one."""
        self.pieces.append(data)

    def on_message_complete(self) -> None:
        """The last chunk and its trailers, or the blank line of a head without a body."""
        self.complete = True


class RequestHead(Head):
    """A head with its framing."""

    __slots__ = ("chunked", "expects_continue", "is_http_1_0", "is_usual", "keep_alive", "length", "upgrades")

    length: int
    """Bytes of body; 0 when there is none, or when it is chunked. Requests with equal heads differ in it alone."""
    chunked: bool
    keep_alive: bool
    """The caller would send another request."""
    is_http_1_0: bool
    """It cannot read chunks."""
    expects_continue: bool
    """Its body comes when we say so."""
    upgrades: bool
    """It offers another protocol, so what follows its head may be that protocol."""
    is_usual: bool
    """Nothing in it decides how the answer is framed."""


def read_head(raw: bytes, parser: HeadParser) -> RequestHead:
    """Return the head whose bytes `parser` has found to be one, with its final blank line.

    llhttp has checked every character, and that lines end in CRLF and none is folded: what is left is to split.

    Raises:
        Refusal: it is ambiguous, or a form of HTTP that a server is not asked in.
    """
    first, *lines = raw.decode("latin-1").strip("\r\n").split("\r\n")
    if len(lines) > MAX_FIELDS:
        raise Refusal(431, f"The request has more than {MAX_FIELDS} header fields.")
    method, _, rest = first.partition(" ")
    target, _, version = rest.partition(" ")
    if version not in {"HTTP/1.1", "HTTP/1.0"}:
        raise Refusal(400, "Only HTTP/1.1 and HTTP/1.0 are spoken here.")
    # An absolute target names a host beside Host, and a fragment is never sent (RFC 9112 §3.2).
    if not (target.startswith("/") or target == "*") or not target.isascii() or "#" in target:
        raise Refusal(400, "The request target must be a path, such as /v1/models.")
    path, _, query = target.partition("?")
    headers = _headers(lines)
    head = RequestHead(method, unquote(path) if "%" in path else path, query, headers)
    head.is_http_1_0 = version == "HTTP/1.0"
    head.upgrades = parser.upgrades
    head.keep_alive = parser.keep_alive and not head.upgrades
    head.expects_continue = not head.is_http_1_0 and headers.get("expect", "").lower() == "100-continue"
    head.is_usual = not (head.is_http_1_0 or head.expects_continue or method == "HEAD")
    _know_framing(head, headers)
    return head


def _headers(lines: list[str]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip(" \t")
        if name not in headers:
            headers[name] = value
        elif name in _ONCE:
            raise Refusal(400, f"{name}: sent more than once.")
        else:
            headers[name] = f"{headers[name]}, {value}"
    return headers


def _know_framing(head: RequestHead, headers: dict[str, str]) -> None:
    length = headers.pop("content-length", None)
    coding = headers.get("transfer-encoding")
    head.chunked = coding is not None
    # llhttp refuses most of this itself; that a body ends in one place only is worth saying twice.
    if coding is not None and (length is not None or coding.lower() != "chunked" or head.is_http_1_0):
        raise Refusal(400, "Transfer-Encoding: must be chunked alone, without Content-Length, in HTTP/1.1.")
    if length is None or head.upgrades:
        head.length = 0
    elif length.isdecimal() and length.isascii() and len(length) <= MAX_LENGTH_DIGITS:
        head.length = int(length)
    else:
        raise Refusal(400, "Content-Length: not a number of bytes.")
    if head.upgrades:
        head.chunked = False


class KnownHead:
    """A head whose bytes have been read before: the same bytes are the same request but for the body's length."""

    __slots__ = ("_after", "_before", "_size", "head")

    def __init__(self, before: bytes, after: bytes, head: RequestHead) -> None:
        self._before = before
        self._size = len(before)
        self._after = after
        self.head = head

    def match(self, data: bytes, at: int) -> int:
        """Return where the head ends that begins `at`, 0 when it is another; then `head.length` is right."""
        if not data.startswith(self._before, at):
            return 0
        start = at + self._size
        if not self._after:
            return start
        end = data.find(b"\r", start, start + MAX_LENGTH_DIGITS + 1)
        if end < 0 or not data.startswith(self._after, end):
            return 0
        digits = data[start:end]
        if not digits.isdigit():
            return 0
        self.head.length = int(digits)
        return end + len(self._after)


def remember(raw: bytes, head: RequestHead) -> KnownHead | None:
    """Return how to know `head` again by its bytes; None when its body needs a parser anyway."""
    if head.chunked:
        return None
    match = _LENGTH.search(raw)
    if match is None:
        return KnownHead(raw, b"", head)
    return KnownHead(raw[: match.start(1)], raw[match.end(1) :], head)
