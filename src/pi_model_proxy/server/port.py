"""Taking the port, and saying who has it when we cannot."""

from __future__ import annotations

import errno
import http.client
import json
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["BACKLOG", "PortError", "bind"]

PROBE_S: Final = 0.5
BACKLOG: Final = 2048
_LISTENING: Final = "0A"


class PortError(Exception):
    """The address cannot be listened on; the text says why."""

    def __init__(self, why: str, *, fix: str, is_taken: bool = False) -> None:
        super().__init__(why)
        self.fix = fix
        """What to do about it."""
        self.is_taken = is_taken
        """Whether somebody on this machine has the port."""


def bind(host: str, port: int, *, shared: bool = False, listens: bool = True) -> socket.socket:
    """Return a socket that listens on `host` and `port` (0: any free one).

    `shared`: other sockets of this user's that are bound so too share the port, and the kernel deals connections
    out among those that listen. One that does not (`listens`) only keeps the port.

    Raises:
        PortError: it is taken, or not an address of this machine.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise PortError("not an address of this machine", fix="choose another with --host") from error
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind(address)
        if listens:
            sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise _refusal(error, host, port) from error
    sock.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    return sock


def _refusal(error: OSError, host: str, port: int) -> PortError:
    if error.errno == errno.EADDRINUSE:
        return PortError(
            f"the port is taken by {holder(host, port)}",
            fix="choose another with --port, or stop it",
            is_taken=True,
        )
    if error.errno == errno.EACCES:
        return PortError(
            "this port needs more rights than this user has", fix="choose one above 1023 with --port"
        )
    return PortError(f"cannot listen there: {error.strerror}", fix="choose another with --host or --port")


def holder(host: str, port: int) -> str:
    """Return who listens on `port`, as far as this user can see."""
    process = _process_of(port)
    service = _service_of(host, port)
    if service and process:
        return f"{service} ({process})"
    return service or process or "another program"


def _service_of(host: str, port: int) -> str:
    """Return what a `pi-model-proxy` that listens there says of itself."""
    anywhere = {"0.0.0.0", "::"}  # noqa: S104 - compared, not bound
    near = "127.0.0.1" if host in anywhere else host
    connection = http.client.HTTPConnection(near, port, timeout=PROBE_S)
    try:
        connection.request("GET", "/health")
        said = json.loads(connection.getresponse().read(4096))
        if said.get("service") == "pi-model-proxy":
            return f"another pi-model-proxy {str(said.get('version', ''))[:20]}".rstrip()
    except (OSError, ValueError, AttributeError, http.client.HTTPException):
        return ""
    finally:
        connection.close()
    return ""


def _process_of(port: int) -> str:
    """Return name and pid of the process that listens on `port` (Linux; empty elsewhere or when hidden)."""
    inodes = _listening_inodes(port)
    if not inodes:
        return ""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                if str(descriptor.readlink()) in inodes:
                    return f"{(folder / 'comm').read_text().strip()}, pid {folder.name}"
    return ""


def _listening_inodes(port: int) -> set[str]:
    inodes: set[str] = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING and int(columns[1].rpartition(":")[2], 16) == port:
                    inodes.add(f"socket:[{columns[9]}]")
    return inodes
