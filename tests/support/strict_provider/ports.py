"""Places where no provider answers: a port that refuses, one that never accepts, and TLS that nobody vouches for."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

__all__ = ["CERTIFICATE", "hanging_port", "refusing_port", "self_signed"]

CERTIFICATE: Final = Path(__file__).with_name("self_signed.pem")
"""Key and self-signed certificate for localhost, 127.0.0.1 and ::1, good for tests only; trust it to test a custom CA."""

FILLERS: Final = 3
"""Connections that fill the shortest backlog there is."""


def self_signed() -> ssl.SSLContext:
    """Return the server's side of TLS with `CERTIFICATE`, for `Options(tls=…)`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    return context


def refusing_port() -> int:
    """Return a loopback port that was free a moment ago: connecting to it is refused."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def hanging_port() -> Iterator[int]:
    """Yield a loopback port on which connecting neither succeeds nor fails (Linux: its backlog is full)."""
    with ExitStack() as stack:
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(FILLERS):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        yield deaf.getsockname()[1]
