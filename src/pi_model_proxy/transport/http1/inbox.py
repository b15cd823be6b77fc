"""Reading from sockets into one buffer.

asyncio's own loop makes an object of 256 KiB for each read and gives most of it back. Depending on where the heap
happens to end, that is two page faults a read, some 20 µs; uvloop reads into a buffer of its own.
"""

from __future__ import annotations

import asyncio
from typing import Final

from typing_extensions import override

__all__ = ["INBOX_BYTES", "Inbox", "new_inbox", "read_by"]

INBOX_BYTES: Final = 64 * 1024
"""What is read at once."""


def new_inbox() -> memoryview:
    """Return a buffer for all connections of one event loop: it is filled and emptied within one callback."""
    return memoryview(bytearray(INBOX_BYTES))


def read_by(protocol: asyncio.Protocol, inbox: memoryview) -> asyncio.BaseProtocol:
    """Return what a socket of the running event loop shall be given for `protocol`."""
    if isinstance(asyncio.get_running_loop(), asyncio.SelectorEventLoop):
        return Inbox(protocol, inbox)
    return protocol


class Inbox(asyncio.BufferedProtocol):
    """Gives `protocol` what is read, in objects that are as long as that."""

    __slots__ = ("_inbox", "_protocol")

    def __init__(self, protocol: asyncio.Protocol, inbox: memoryview) -> None:
        self._protocol = protocol
        self._inbox = inbox

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._protocol.connection_made(transport)

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox

    @override
    def buffer_updated(self, nbytes: int) -> None:
        self._protocol.data_received(bytes(self._inbox[:nbytes]))

    @override
    def eof_received(self) -> bool | None:
        return self._protocol.eof_received()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)

    @override
    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    @override
    def resume_writing(self) -> None:
        self._protocol.resume_writing()
