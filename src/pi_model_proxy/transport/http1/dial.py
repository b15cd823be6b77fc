"""Making connections: names, several addresses, proxies, TLS.

Sources: RFC 8305 (happy eyeballs), RFC 9110 §9.3.6 (CONNECT).
"""

from __future__ import annotations

import asyncio
import itertools
import re
import socket
import ssl
from typing import Any, Final, cast

from typing_extensions import override

from pi_model_proxy.transport.http1 import faults
from pi_model_proxy.transport.http1.connection import Connection
from pi_model_proxy.transport.http1.inbox import new_inbox, read_by
from pi_model_proxy.transport.http1.route import Place, Route
from pi_model_proxy.transport.http1.tls import Tls

__all__ = ["Trust", "dial"]

NEXT_ADDRESS_AFTER_S: Final = 0.25
"""How long one address may keep the others waiting (RFC 8305 §5)."""
MAX_PROXY_HEAD_BYTES: Final = 64 * 1024

_TUNNEL_STANDS: Final = re.compile(rb"HTTP/1\.[01] 2\d\d[ \r]")


class Trust:
    """Which certificates are believed, read when first needed: it takes some 20 ms. Belongs to one event loop."""

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file
        self._context: ssl.SSLContext | None = None
        self.inbox = new_inbox()

    def context(self) -> ssl.SSLContext:
        """Return the TLS settings for every provider.

        Raises:
            UpstreamUnreachable: `caFile` cannot be used.
        """
        if self._context is None:
            context = ssl.create_default_context()
            context.set_alpn_protocols(["http/1.1"])
            # So that a write never has to wait for something to read.
            context.options |= ssl.OP_NO_RENEGOTIATION
            if self._ca_file:
                try:
                    context.load_verify_locations(self._ca_file)
                except OSError as error:
                    raise faults.bad_trust_store() from error
            self._context = context
        return self._context

    def tls(self, protocol: asyncio.Protocol, host: str) -> Tls:
        """Return TLS with `host` for `protocol`."""
        return Tls(protocol, self.context(), host, inbox=self.inbox)


async def dial(route: Route, trust: Trust, connection: Connection) -> None:
    """Make `connection` stand.

    Raises:
        UpstreamUnreachable: it cannot be made.
    """
    way = route.proxy or route.place
    if way.tls or route.place.tls:
        trust.context()  # before there is a socket to lose
    try:
        sock = await _connect(way)
        if route.tunnels:
            await _through_tunnel(route, trust, connection, sock)
        else:
            await _attach(connection, sock, way, trust)
    except OSError as error:
        raise faults.no_connection(error, host=route.place.host, by_proxy=route.proxy is not None) from error


async def _attach(
    protocol: asyncio.Protocol, sock: socket.socket, place: Place, trust: Trust
) -> asyncio.Transport:
    """Let `protocol` have the socket, by TLS where the place wants it."""
    loop = asyncio.get_running_loop()
    if not place.tls:
        transport, _ = await loop.create_connection(lambda: read_by(protocol, trust.inbox), sock=sock)
        return transport
    tls = trust.tls(protocol, place.host)
    await loop.create_connection(lambda: tls, sock=sock)
    await tls.stand()
    return tls


class _TunnelRequest(asyncio.Protocol):
    """Waits for a proxy's answer to CONNECT."""

    def __init__(self) -> None:
        self._head = b""
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    @override
    def data_received(self, data: bytes) -> None:
        """Collect the head; nothing may follow it, as the first word in TLS is ours."""
        self._head += data
        if (b"\r\n\r\n" in self._head or len(self._head) > MAX_PROXY_HEAD_BYTES) and not self.answered.done():
            self.answered.set_result(self._head)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The proxy closed instead of answering."""
        if not self.answered.done():
            self.answered.set_result(b"")


async def _through_tunnel(route: Route, trust: Trust, connection: Connection, sock: socket.socket) -> None:
    place, proxy = route.place, cast("Place", route.proxy)
    request = _TunnelRequest()
    transport = await _attach(request, sock, proxy, trust)
    try:
        authority = place.authority
        transport.write(
            f"CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n{route.proxy_authorization}\r\n".encode()
        )
        _check(await request.answered)
        tls = trust.tls(connection, place.host)
        transport.set_protocol(tls)
        tls.connection_made(transport)
        await tls.stand()
    except BaseException:
        transport.abort()
        raise


def _check(head: bytes) -> None:
    if not _TUNNEL_STANDS.match(head) or head.find(b"\r\n\r\n") != len(head) - 4:
        raise faults.proxy_refused()


async def _connect(place: Place) -> socket.socket:
    """Return a socket connected to the first of the place's addresses that answers."""
    addresses = await _addresses(place)
    if len(addresses) == 1:
        return await _connect_to(addresses[0])
    return await _race(addresses)


async def _addresses(place: Place) -> list[Any]:
    try:
        # An address needs no resolver, and no thread for it.
        return socket.getaddrinfo(
            place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    return _by_turns(found)


def _by_turns(found: list[Any]) -> list[Any]:
    """Order addresses: the resolver's preferred family first, then by turns (RFC 8305 §4)."""
    first = [address for address in found if address[0] == found[0][0]]
    second = [address for address in found if address[0] != found[0][0]]
    return [a for pair in itertools.zip_longest(first, second) for a in pair if a is not None]


async def _connect_to(address: Any) -> socket.socket:  # noqa: ANN401 - getaddrinfo's own tuple
    family, kind, protocol, _, where = address
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)  # noqa: FBT003 - the standard library's signature
        await asyncio.get_running_loop().sock_connect(sock, where)
    except BaseException:
        sock.close()
        raise
    return sock


async def _race(addresses: list[Any]) -> socket.socket:
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[socket.socket]] = set()
    errors: list[OSError] = []
    try:
        for number, address in enumerate(addresses, 1):
            running.add(loop.create_task(_connect_to(address)))
            while running:
                patience = NEXT_ADDRESS_AFTER_S if number < len(addresses) else None
                done, _ = await asyncio.wait(running, timeout=patience, return_when=asyncio.FIRST_COMPLETED)
                if winner := _winner(done, running, errors):
                    return winner
                if number < len(addresses):
                    break
    finally:
        for task in running:
            task.add_done_callback(_close_late)
            task.cancel()
    raise next((error for error in errors if isinstance(error, ConnectionRefusedError)), errors[0])


def _winner(
    done: set[asyncio.Task[socket.socket]],
    running: set[asyncio.Task[socket.socket]],
    errors: list[OSError],
) -> socket.socket | None:
    """Take a connected socket from the tasks that are done, and the failed ones away."""
    for task in done:
        error = task.exception()
        if error is None:
            running.remove(task)
            return task.result()
        if not isinstance(error, OSError):
            raise error
        running.remove(task)
        errors.append(error)
    return None


def _close_late(task: asyncio.Task[socket.socket]) -> None:
    """Close a socket that connected after another one had won."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()
