"""A relay that keeps what it carries: to see, byte by byte, what a client asks and what it is told."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

__all__ = ["Tee", "relaying"]

CHUNK_BYTES = 65_536
LONGEST_SILENCE_S = 120.0


@dataclass(slots=True)
class Tee:
    """Carries bytes between whoever connects and 127.0.0.1:`target`."""

    target: int
    folder: Path
    listener: socket.socket
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def port(self) -> int:
        return int(self.listener.getsockname()[1])

    def accept(self) -> None:
        """Carry connections until the listener is closed."""
        while True:
            try:
                caller, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(caller, next(self.numbers)), daemon=True).start()

    def _carry(self, caller: socket.socket, number: int) -> None:
        with contextlib.suppress(OSError), caller:
            caller.settimeout(LONGEST_SILENCE_S)
            with socket.create_connection(("127.0.0.1", self.target), LONGEST_SILENCE_S) as server:
                name = f"{number:03}"
                back = threading.Thread(
                    target=_pump, args=(server, caller, self.folder / f"{name}-answer.http"), daemon=True
                )
                back.start()
                _pump(caller, server, self.folder / f"{name}-request.http")
                back.join()


def _pump(source: socket.socket, sink: socket.socket, kept: Path) -> None:
    """Carry one direction to its end, writing it down as it goes."""
    with contextlib.suppress(OSError), kept.open("ab") as file:
        while data := source.recv(CHUNK_BYTES):
            file.write(data)
            file.flush()
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def relaying(target: int, folder: Path) -> Iterator[Tee]:
    """Listen on a free port and write each connection's two halves into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        tee = Tee(target, folder, listener)
        threading.Thread(target=tee.accept, daemon=True).start()
        yield tee
