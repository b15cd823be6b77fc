"""The upstream that every system under test is put in front of: a scripted server of three dialects, plain and TLS.

It answers any `POST` at once: 1 KB of JSON or, when the body asks for a stream, as many chunks as the script inside the
body says (see dialects.py). As little work as Python allows: plain sockets and epoll, no parser, no event loop library,
because on the benchmark's second core it must not be what limits a system. Linux only.
"""

from __future__ import annotations

import argparse
import gc
import re
import select
import socket
import ssl
import sys
import time
from collections import deque
from dataclasses import dataclass

from dialects import ANSWER_TEXT, DIALECTS, SPOKEN, STAMP, STAMP_DIGITS, Dialect, compact

READ_BYTES = 65_536
LARGE_READ_BYTES = 262_144
"""Read at once of a large body; small enough that paced streams beside it are not held up."""
EDGE_BYTES = 4_096
"""How much of a body's begin and end is looked at; the middle of a large one is counted, not kept."""
BACKLOG = 4_096
PACED_FROM_NS = 1_000_000
"""Chunks that are nearer to each other are a burst: sent one by one as fast as they go, with the first one's time."""
BURST_WRITES = 8
"""Chunks of a burst that are sent before other connections have their turn."""
WORDS_A_CHUNK = 1
"""Words in a chunk of a plain answer that is streamed (one a token, as providers do)."""

CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
WANTS_STREAM = re.compile(rb'"stream":\s*true')
MODELS = b'{"object":"list","data":[{"id":"bench","object":"model","created":1700000000,"owned_by":"bench"}]}'
STREAM_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
STREAM_END = b"0\r\n\r\n"


def answer(status: bytes, body: bytes) -> bytes:
    """Return a whole answer."""
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body


def framed(data: bytes) -> bytes:
    """Return the bytes as one HTTP chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def in_pieces(text: str) -> list[bytes]:
    """Cut a text as a provider does that sends several tokens at once."""
    words = text.encode().split(b" ")
    return [b" ".join(words[at : at + WORDS_A_CHUNK]) + b" " for at in range(0, len(words), WORDS_A_CHUNK)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Voice:
    """A dialect's bytes, ready to be sent."""

    dialect: Dialect
    plain: bytes
    opening: bytes
    before_stamp: bytes
    after_stamp: bytes
    plain_as_stream: bytes
    """What a system gets that streams from its upstream although its caller asked for a plain answer."""

    @staticmethod
    def of(dialect: Dialect) -> Voice:
        """Prepare a dialect."""
        blank = b"0" * STAMP_DIGITS
        before, after = framed(dialect.chunk.replace(STAMP, STAMP + blank)).split(blank)
        opening = framed(dialect.opening)
        pieces = b"".join(framed(dialect.chunk.replace(STAMP, words)) for words in in_pieces(ANSWER_TEXT))
        return Voice(
            dialect=dialect,
            plain=answer(b"200 OK", compact(dialect.answer)),
            opening=opening,
            before_stamp=before,
            after_stamp=after,
            plain_as_stream=STREAM_HEAD
            + opening
            + pieces
            + framed(dialect.closing(ANSWER_TEXT))
            + STREAM_END,
        )

    def chunk(self, stamp: bytes) -> bytes:
        """Return one chunk with its time."""
        return self.before_stamp + stamp + self.after_stamp

    def closing(self, stamps: list[bytes]) -> bytes:
        """Return what follows the last chunk."""
        text = "".join("@" + stamp.decode() for stamp in stamps)
        return framed(self.dialect.closing(text)) + STREAM_END


VOICES = {dialect.path.encode(): Voice.of(dialect) for dialect in DIALECTS.values()}


class Connection:
    """One kept-alive connection."""

    __slots__ = (
        "burst",
        "due_ns",
        "front",
        "held",
        "interval_ns",
        "left",
        "missing",
        "outbox",
        "path",
        "server",
        "shaking",
        "socket",
        "stamps",
        "tail",
        "voice",
    )

    def __init__(self, server: Server, connected: socket.socket, *, shaking: bool) -> None:
        self.server = server
        self.socket = connected
        self.shaking = shaking
        self.front = b""
        self.tail = b""
        self.missing = 0
        self.outbox = b""
        self.left = 0
        self.held = False
        self.stamps: list[bytes] = []

    # --- reading ------------------------------------------------------------------------------------------------------

    def on_readable(self) -> None:
        """Take what has come; of TLS all of it, since epoll knows nothing of what OpenSSL holds."""
        if self.shaking and not self.shake_hands():
            return
        while True:
            try:
                data = self.read()
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            except OSError:
                self.server.forget(self)
                return
            if not data:
                self.server.forget(self)
                return
            if not isinstance(self.socket, ssl.SSLSocket):
                return

    def shake_hands(self) -> bool:
        """Go on with the TLS handshake; whether it is done."""
        assert isinstance(self.socket, ssl.SSLSocket)
        try:
            self.socket.do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return False
        except OSError:
            self.server.forget(self)
            return False
        self.shaking = False
        return True

    def read(self) -> int:
        """Read once and return how many bytes came; answer when a request is whole."""
        if self.missing:
            size = self.socket.recv_into(self.server.large)
            self.missing -= size
            self.tail = (self.tail + bytes(self.server.large[max(0, size - EDGE_BYTES) : size]))[-EDGE_BYTES:]
            if size and not self.missing:
                self.reply()
            return size
        data = self.socket.recv(READ_BYTES)
        if not data:
            return 0
        size = len(data)
        if self.front:
            data = self.front + data
        head_end = data.find(b"\r\n\r\n")
        self.front = data
        if head_end < 0:
            return size
        length = CONTENT_LENGTH.search(data, 0, head_end)
        self.missing = head_end + 4 + (int(length[1]) if length else 0) - len(data)
        self.tail = data[-EDGE_BYTES:]
        if not self.missing:
            self.reply()
        elif self.missing < 0:  # a chunked body or a pipelined request: nobody here may send one
            self.missing, self.front = 0, b""
            self.send(answer(b"411 Length Required", b'{"error":{"message":"send a content-length"}}'))
        return size

    # --- answering ----------------------------------------------------------------------------------------------------

    def reply(self) -> None:
        """Answer the request whose begin and end are at hand."""
        front, tail = self.front, self.tail
        self.front = self.tail = b""
        method, path, _ = front.split(b" ", 2)
        path = path.partition(b"?")[0]
        if method == b"GET":
            self.send(answer(b"200 OK", MODELS))
            return
        voice = VOICES.get(path)
        if voice is None:
            self.send(answer(b"404 Not Found", b'{"error":{"message":"no such path"}}'))
            return
        if not (WANTS_STREAM.search(front, 0, EDGE_BYTES) or WANTS_STREAM.search(tail)):
            self.send(voice.plain)
            return
        script = SPOKEN.search(tail) or SPOKEN.search(front)
        if script is None:
            self.send(answer(b"400 Bad Request", b'{"error":{"message":"no script in the body"}}'))
            return
        self.begin_stream(voice, int(script[1]), int(script[2]) * 1_000)

    def begin_stream(self, voice: Voice, chunks: int, interval_ns: int) -> None:
        """Send the head and the first chunk; without any interval all chunks in one piece."""
        if not chunks:
            self.send(voice.plain_as_stream)
            return
        now = time.monotonic_ns()
        stamp = b"%019d" % now
        self.voice, self.interval_ns = voice, interval_ns
        first = voice.chunk(stamp)
        if not interval_ns:
            whole = STREAM_HEAD + voice.opening + first * chunks
            self.send(whole + voice.closing([stamp] * chunks))
            return
        self.burst = first if interval_ns < PACED_FROM_NS else b""
        self.stamps = [stamp] * (chunks if self.burst else 1)
        self.left = chunks - 1
        self.send(STREAM_HEAD + voice.opening + first)
        self.due_ns = now + interval_ns
        self.server.pace(self)

    def tick(self) -> None:
        """Send what is next, or the end; while the other side has not taken what was sent, wait until it has."""
        if self.outbox:
            self.held = True
            return
        if not self.left:
            self.send(self.voice.closing(self.stamps))
            self.stamps = []
            return
        if self.burst:
            writes = min(self.left, BURST_WRITES)
            self.left -= writes
            for _ in range(writes):
                self.send(self.burst)
        else:
            stamp = b"%019d" % time.monotonic_ns()
            self.stamps.append(stamp)
            self.left -= 1
            self.send(self.voice.chunk(stamp))
        self.due_ns += self.interval_ns
        self.server.pace(self)

    def send(self, data: bytes) -> None:
        """Send, and keep what the kernel does not take."""
        if self.outbox:
            self.outbox += data
            return
        sent = self.push(data)
        if sent < len(data):
            self.outbox = data[sent:]
            self.server.watch(self, select.EPOLLIN | select.EPOLLOUT)

    def on_writable(self) -> None:
        """Send more of what was kept."""
        self.outbox = self.outbox[self.push(self.outbox) :]
        if not self.outbox:
            self.server.watch(self, select.EPOLLIN)
            if self.held:
                self.held = False
                self.due_ns = time.monotonic_ns()
                self.server.pace(self)

    def push(self, data: bytes) -> int:
        """Give bytes to the kernel; return how many it took."""
        try:
            return self.socket.send(data)
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            return 0
        except OSError:
            self.server.forget(self)
            return len(data)


class Server:
    """All connections, and the streams that wait for their next chunk."""

    def __init__(self) -> None:
        self.poll = select.epoll()
        self.listeners: dict[int, tuple[socket.socket, ssl.SSLContext | None]] = {}
        self.connections: dict[int, Connection] = {}
        self.paced: dict[int, deque[Connection]] = {}
        """By interval: with one interval the order of asking is the order of being due."""
        self.large = memoryview(bytearray(LARGE_READ_BYTES))

    def listen(self, port: int, context: ssl.SSLContext | None) -> None:
        """Listen on loopback."""
        listener = socket.create_server(("127.0.0.1", port), backlog=BACKLOG)
        listener.settimeout(0)
        self.listeners[listener.fileno()] = listener, context
        self.poll.register(listener.fileno(), select.EPOLLIN)

    def watch(self, connection: Connection, events: int) -> None:
        """Change what is waited for on a connection."""
        if connection.socket.fileno() in self.connections:
            self.poll.modify(connection.socket.fileno(), events)

    def pace(self, connection: Connection) -> None:
        """Put a stream behind the others of its pace."""
        self.paced.setdefault(connection.interval_ns, deque()).append(connection)

    def forget(self, connection: Connection) -> None:
        """Close a connection; its streams end with their next tick."""
        number = connection.socket.fileno()
        if number in self.connections:
            del self.connections[number]
            self.poll.unregister(number)
            connection.socket.close()
        connection.outbox = b""

    def accept(self, listener: socket.socket, context: ssl.SSLContext | None) -> None:
        """Take every connection that waits."""
        while True:
            try:
                connected, _ = listener.accept()
            except BlockingIOError:
                return
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connected.settimeout(0)
            if context is not None:
                connected = context.wrap_socket(connected, server_side=True, do_handshake_on_connect=False)
            self.connections[connected.fileno()] = Connection(self, connected, shaking=context is not None)
            self.poll.register(connected.fileno(), select.EPOLLIN)

    def send_due(self) -> float:
        """Send every chunk that is due; return the seconds until the next."""
        next_ns = 0
        for waiting in self.paced.values():
            now = time.monotonic_ns()
            # Each at most once: streams without a pace are due again at once, and others must be heard too.
            for _ in range(len(waiting)):
                if waiting[0].due_ns > now:
                    break
                connection = waiting.popleft()
                if connection.socket.fileno() >= 0:
                    connection.tick()
            if waiting and (not next_ns or waiting[0].due_ns < next_ns):
                next_ns = waiting[0].due_ns
        return max(0.0, (next_ns - time.monotonic_ns()) / 1e9) if next_ns else -1

    def serve_forever(self) -> None:
        """Serve until the process is ended."""
        wait_s = -1.0
        while True:
            for number, events in self.poll.poll(wait_s):
                if number in self.listeners:
                    self.accept(*self.listeners[number])
                    continue
                connection = self.connections.get(number)
                if connection is None:
                    continue
                if events & select.EPOLLOUT:
                    connection.on_writable()
                if events & ~select.EPOLLOUT:
                    connection.on_readable()
            wait_s = self.send_due()


def main() -> int:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls-port", type=int)
    parser.add_argument("--certificate", help="PEM file with the chain and the key, for --tls-port")
    arguments = parser.parse_args()
    server = Server()
    server.listen(arguments.port, None)
    if arguments.tls_port:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(arguments.certificate)
        server.listen(arguments.tls_port, context)
    gc.disable()  # nothing here makes cycles that matter; its pauses would show as delays
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
