"""What each format offers the demo server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import msgspec

from pi_model_proxy.demo.reading import Refused
from pi_model_proxy.demo.scenes import Ask, Script

__all__ = ["Format", "NewId", "frame"]

NewId = Callable[[str], str]
"""Returns an id nobody has had yet, with the prefix it is given."""

_encoder = msgspec.json.Encoder()


class Format(Protocol):
    """One wire format, as an upstream speaks it."""

    id: str
    """The first part of the models' names."""
    kind: str
    """pi's name of it."""
    base_path: str
    """What the models' base URL has after the server's address."""
    path: str
    """Where requests are posted."""
    key_header: str
    key_prefix: str
    required_header: str
    """Without it a request is refused; empty when there is none."""

    def read(self, body: dict[str, Any]) -> Ask:
        """Return what a request asks.

        Raises:
            Refused: something is missing that every request of the format has.
        """
        ...

    def stream(self, script: Script, ask: Ask, new_id: NewId) -> Iterator[bytes]:
        """Yield the frames of a streamed answer."""
        ...

    def whole(self, script: Script, ask: Ask, new_id: NewId) -> dict[str, Any]:
        """Return the plain answer."""
        ...

    def refusal(self, error: Refused) -> dict[str, Any]:
        """Return the body of an error answer."""
        ...

    def broken(self, error: Refused) -> bytes:
        """Return the frame that ends an answer with an error."""
        ...


def frame(data: dict[str, Any], *, event: str = "") -> bytes:
    """Return one server-sent event."""
    name = f"event: {event}\n" if event else ""
    return name.encode() + b"data: " + _encoder.encode(data) + b"\n\n"
