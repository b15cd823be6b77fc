"""Answers without a socket: a connection that keeps a diary, and answers of every framing."""

from __future__ import annotations

import asyncio

from pi_model_proxy.transport.http1.answer import Answer

HEAD = b"HTTP/1.1 200 OK\r\nx-a: 1\r\nX-A: 2\r\nx-empty:\r\n"
SIZED = HEAD + b"content-length: 5\r\n\r\nhello"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nx-sum: 1\r\n\r\n"
INTERIM = b"HTTP/1.1 100 Continue\r\nx-a: 0\r\n\r\n" + SIZED
BARE_LF = SIZED.replace(b"\r\n", b"\n")
UNSIZED = HEAD + b"\r\nhello"
EMPTY = b"HTTP/1.1 204 No Content\r\nx-a: 1\r\nx-a: 2\r\nx-empty: \r\n\r\n"
SPLITS = {
    "length": (SIZED, b"hello", True),
    "chunks": (CHUNKED, b"hello", True),
    "after 100": (INTERIM, b"hello", True),
    "bare line feeds": (BARE_LF, b"hello", True),
    "until close": (UNSIZED, b"hello", False),
    "no content": (EMPTY, b"", True),
}
"""What is sent, the body it has, and whether the connection may serve again."""


class Line:
    """A connection that keeps a diary."""

    def __init__(self) -> None:
        self.diary: list[str] = []

    def pause_reading(self) -> None:
        self.diary.append("pause")

    def resume_reading(self) -> None:
        self.diary.append("resume")

    def finished(self, *, reusable: bool) -> None:
        self.diary.append("kept" if reusable else "closed")

    def abort(self) -> None:
        self.diary.append("aborted")


def begun(loop: asyncio.AbstractEventLoop, *pieces: bytes) -> tuple[Answer, Line]:
    line = Line()
    answer = Answer(line, loop)
    for piece in pieces:
        answer.feed(piece)
    return answer, line


async def head_of(answer: Answer) -> None:
    while not answer.has_head:
        answer.check_head()
        await answer.news()


async def to_end(answer: Answer) -> bytes:
    body = b""
    while data := await answer.read():
        body += data
    return body
