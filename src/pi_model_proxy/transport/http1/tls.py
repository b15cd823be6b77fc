"""TLS between a connection and its socket: OpenSSL from the standard library, without the event loops' own layer.

Theirs cost more: asyncio's keeps 256 KiB for each connection, uvloop's asks OpenSSL for a second record after each
one, which keeps OpenSSL's 16 KiB of reading buffer from being given back. See docs/decisions/0001.

Sources: RFC 8446 §6.1 (closing alerts), RFC 9112 §9.8 (a body without a length needs one at its end).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any, Final, cast

from typing_extensions import Buffer, override

__all__ = ["Tls"]

RECORD_BYTES: Final = 16 * 1024
"""The most that one record holds (RFC 8446 §5.1). More is never given to OpenSSL at once, in neither direction,
because its buffers keep the size of the most they ever held."""


class Tls(asyncio.Transport, asyncio.BufferedProtocol):
    """To the event loop a protocol, to the connection a transport.

    `inbox` is what is read into (see inbox.py).
    """

    __slots__ = (
        "_beneath", "_inbox", "_incoming", "_is_lost", "_outgoing", "_protocol", "_read", "_session", "_standing", "_stands",
    )  # fmt: skip

    def __init__(
        self, protocol: asyncio.Protocol, context: ssl.SSLContext, host: str, *, inbox: memoryview
    ) -> None:
        super().__init__()
        self._inbox = inbox
        self._protocol: asyncio.Protocol | Tls = protocol
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._session = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._read = self._session.read
        self._beneath: asyncio.Transport | None = None
        self._is_lost = False
        self._stands = False
        self._standing: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    async def stand(self) -> None:
        """Return once the other side has shown who it is; the connection is told of it before.

        Raises:
            OSError: it could not, or went away; `ssl.SSLError` says what was wrong.
        """
        try:
            error = await self._standing
        except BaseException:
            self.abort()
            raise
        if error is not None:
            raise error

    # What the event loop says.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """There is a socket: the first word is ours."""
        self._beneath = cast("asyncio.Transport", transport)
        self._shake_hands()

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        return self._inbox

    @override
    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(self._inbox[:nbytes])

    def data_received(self, data: Buffer) -> None:
        """Take what was sent; what lies beneath may be TLS too, with a proxy, and has no buffers to fill."""
        view = memoryview(data)
        if len(view) <= RECORD_BYTES:
            self._take(view)
            return
        for start in range(0, len(view), RECORD_BYTES):
            self._take(view[start : start + RECORD_BYTES])

    @override
    def eof_received(self) -> None:
        """The socket ended without TLS having said so: anybody on the way could have done that."""
        self._lose(ConnectionAbortedError("the connection ended without a closing alert"))

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc)

    @override
    def pause_writing(self) -> None:
        self._protocol.pause_writing()

    @override
    def resume_writing(self) -> None:
        self._protocol.resume_writing()

    # What the connection says.

    @override
    def write(self, data: Buffer) -> None:
        beneath = self._beneath
        if beneath is None:
            return
        try:
            view = memoryview(data)
            if len(view) <= RECORD_BYTES:
                self._session.write(view)
                beneath.write(self._outgoing.read())
                return
            records: list[bytes] = []
            for start in range(0, len(view), RECORD_BYTES):
                self._session.write(view[start : start + RECORD_BYTES])
                records.append(self._outgoing.read())
        except ssl.SSLError as error:
            self._lose(error)
        else:
            beneath.writelines(records)

    @override
    def abort(self) -> None:
        beneath, self._beneath = self._beneath, None
        if beneath is not None:
            beneath.abort()

    @override
    def close(self) -> None:
        beneath, self._beneath = self._beneath, None
        if beneath is not None:
            beneath.close()

    @override
    def is_closing(self) -> bool:
        return self._beneath is None or self._beneath.is_closing()

    @override
    def pause_reading(self) -> None:
        if self._beneath is not None:
            self._beneath.pause_reading()

    @override
    def resume_reading(self) -> None:
        if self._beneath is not None:
            self._beneath.resume_reading()

    @override
    def get_write_buffer_size(self) -> int:
        return 0 if self._beneath is None else self._beneath.get_write_buffer_size()

    @override
    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        if not isinstance(protocol, asyncio.Protocol | Tls):
            raise TypeError("only a protocol for streams can follow another")
        self._protocol = protocol

    @override
    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default if self._beneath is None else self._beneath.get_extra_info(name, default)

    # Between the two.

    def _shake_hands(self) -> None:
        """Do what the handshake allows by now."""
        try:
            self._session.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except OSError as error:
            self._is_lost = True
            self._flush()  # the alert that says why
            self.close()
            self._settle(error)
        else:
            self._flush()
            self._stands = True
            self._protocol.connection_made(self)
            self._settle(None)

    def _settle(self, error: Exception | None) -> None:
        if not self._standing.done():
            self._standing.set_result(error)

    def _take(self, data: Buffer) -> None:
        """Give what was sent to the connection, the records of one read joined."""
        if self._beneath is None:
            return
        incoming = self._incoming
        incoming.write(data)
        if not self._stands:
            self._shake_hands()
            if not self._stands:
                return
        # Never asked for more than is here: OpenSSL would get a buffer ready for it, and keep that.
        try:
            plain = self._read(RECORD_BYTES) if incoming.pending else None
        except ssl.SSLWantReadError:
            return  # half a record, or one that was meant for OpenSSL alone
        except ssl.SSLError as error:
            self._lose(error)
            return
        if plain and not incoming.pending and not self._session.pending():
            self._protocol.data_received(plain)
        elif plain is not None:
            self._take_more(plain)
        if self._outgoing.pending:
            self._flush()  # TLS has an answer of its own: to a wish for new keys, say

    def _take_more(self, plain: bytes) -> None:
        """Give all the records that are here, joined, and the end."""
        incoming, session = self._incoming, self._session
        pieces = [plain]
        error: Exception | None = None
        try:
            while pieces[-1] and (incoming.pending or session.pending()):
                pieces.append(self._read(RECORD_BYTES))
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as caught:
            error = caught
        if data := b"".join(pieces):
            self._protocol.data_received(data)
        if error is not None:
            self._lose(error)
        elif not pieces[-1]:
            self._protocol.eof_received()
            self._lose(None)

    def _flush(self) -> None:
        if self._beneath is not None and (data := self._outgoing.read()):
            self._beneath.write(data)

    def _lose(self, error: Exception | None) -> None:
        """End it, and say so once."""
        self.abort()
        if self._is_lost:
            return
        self._is_lost = True
        if self._stands:
            self._protocol.connection_lost(error)
        else:
            self._settle(error or ConnectionResetError("closed during the handshake"))
