"""Log lines of a worker on their way to the process that writes the file: one writer for one file."""

from __future__ import annotations

import socket

__all__ = ["HandOver"]


class HandOver:
    """Implements `LineSink` over a stream socket; the other end reads whole lines."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def write(self, data: bytes, count: int) -> bool:
        """See `LineSink.write`; waits while the writer is slow."""
        del count
        try:
            self._sock.sendall(data)
        except OSError:
            # The supervisor has gone; this worker is about to be told.
            return False
        return True

    def close(self) -> None:
        """The socket belongs to whoever opened it."""
