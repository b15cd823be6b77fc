"""What is remembered of a request: numbers and names, never a prompt, never a key."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

import msgspec

from pi_model_proxy.hub import Usage

__all__ = ["Attempt", "Entry", "Recorder", "moment_text"]


class Attempt(msgspec.Struct, kw_only=True):
    """One try at an upstream; as it stands in the log."""

    provider: str
    status: int = 0
    """The upstream's HTTP status; 0 when none came."""
    error: str | None = None
    """RFC 9209 name; None when the attempt began an answer."""
    upstream_id: str | None = None
    """The provider's own request id."""


class Entry(msgspec.Struct, kw_only=True):
    """One request, filled in as it goes and settled exactly once.

    As it stands it is a line of the log: the original extension's fields have their own names, and the order here is
    the order in the file. None: not known.
    """

    timestamp: str
    """When the request arrived; see `moment_text`."""
    request_id: str
    method: str
    path: str
    status: int = 0
    """What was answered; 499 when the caller left before anything was."""
    latency_ms: float = 0.0
    """Rounded to a tenth, as `first_byte_ms` is."""
    first_byte_ms: float | None = None
    """From arrival to the first byte of the answer."""
    model: str | None = None
    """`provider/id` of the model used."""
    model_asked: str | None = None
    provider: str | None = None
    account: str | None = None
    dialect: str | None = None
    client: str | None = None
    """The User-Agent's product token, or what `x-pi-model-proxy-client` says."""
    stream: bool = False
    input_tokens: int | None = None
    """All of the input, cached or not."""
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    estimated: bool = False
    """The counts are our own guess."""
    cost_usd: float | None = None
    """US dollars, from the catalogue's prices."""
    finish: str | None = None
    ended_by: str = "server"
    """Who ended it: `server` (complete), `client` (left), `upstream` (failed), `timeout`, `shutdown`."""
    error: str | None = None
    """What the caller was told, redacted."""
    error_kind: str | None = None
    """RFC 9209 name."""
    dropped: Sequence[str] = ()
    attempts: list[Attempt] = []

    def count(self, usage: Usage | None) -> None:
        """Take the tokens that the request used; None: nobody said."""
        if usage is None:
            return
        self.input_tokens = usage.total_input
        self.output_tokens = usage.output
        self.cache_read_tokens = usage.cache_read
        self.cache_write_tokens = usage.cache_write
        self.reasoning_tokens = usage.reasoning
        self.estimated = usage.estimated


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    """Return a second in ISO form; neighbouring requests share it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def moment_text(moment_s: float) -> str:
    """Return seconds since the epoch in ISO form, with milliseconds, in UTC."""
    seconds = int(moment_s)
    return f"{_second(seconds)}.{int((moment_s - seconds) * 1000):03d}Z"


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
