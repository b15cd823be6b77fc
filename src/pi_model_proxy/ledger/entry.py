"""What is remembered of a request: numbers and names, never a prompt, never a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from pi_model_proxy.hub import Usage

__all__ = ["Attempt", "Entry", "Recorder"]


class Attempt(msgspec.Struct, kw_only=True):
    """One try at an upstream."""

    provider: str
    status: int = 0
    """The upstream's HTTP status; 0 when none came."""
    error: str = ""
    """RFC 9209 name, empty when the attempt began an answer."""
    upstream_id: str = ""
    """The provider's own request id."""


class Entry(msgspec.Struct, kw_only=True):
    """One request, filled in as it goes and settled exactly once."""

    request_id: str
    timestamp: float
    """Seconds since the epoch, when the request arrived."""
    method: str
    path: str
    dialect: str = ""
    client: str = ""
    """The User-Agent's product token, or what `x-pi-model-proxy-client` says."""
    status: int = 0
    """What was answered; 499 when the caller left before anything was."""
    latency_ms: float = 0.0
    first_byte_ms: float | None = None
    """From arrival to the first byte of the answer."""
    model_asked: str = ""
    model: str = ""
    """`provider/id` of the model used."""
    provider: str = ""
    account: str = ""
    stream: bool = False
    usage: Usage | None = None
    cost: float | None = None
    """US dollars, from the catalogue's prices."""
    ended_by: str = "server"
    """Who ended it: `server` (complete), `client` (left), `upstream` (failed), `timeout`, `shutdown`."""
    error: str = ""
    """What the caller was told, redacted."""
    error_kind: str = ""
    """RFC 9209 name."""
    finish: str = ""
    dropped: Sequence[str] = ()
    attempts: list[Attempt] = []


class Recorder(Protocol):
    """Remembers requests; the JSONL log is the first, a database another."""

    def begin(self, entry: Entry) -> None:
        """A request has arrived."""
        ...

    def attempt(self, entry: Entry, attempt: Attempt) -> None:
        """An upstream has been tried."""
        ...

    def settle(self, entry: Entry) -> None:
        """The request is over, one way or another. Called exactly once; never raises, never blocks."""
        ...

    def close(self) -> None:
        """Write what is left."""
        ...
