"""A `Pipe` between two dialects: one's decoder, the other's encoder. Pure."""

from __future__ import annotations

from pi_model_proxy.dialects.base import Facts, StreamDecoder, StreamEncoder
from pi_model_proxy.dialects.estimate import UsageFiller
from pi_model_proxy.errors import GatewayError, UpstreamError
from pi_model_proxy.hub import (
    ArgumentsDelta,
    Event,
    Failure,
    Finish,
    Ping,
    Start,
    TextDelta,
    UsageUpdate,
)

__all__ = ["Translation", "as_upstream_error", "note"]


class Translation:
    """Implements `Pipe` by decoding to hub events and encoding them again."""

    def __init__(self, decoder: StreamDecoder, encoder: StreamEncoder, filler: UsageFiller) -> None:
        self._filler = filler
        self._decoder = decoder
        self._encoder = encoder
        self.facts = Facts()

    def feed(self, chunk: bytes) -> bytes:
        """See `Pipe.feed`."""
        return self._write(self._decoder.feed(chunk))

    def close(self) -> bytes:
        """See `Pipe.close`."""
        return self._write(self._decoder.close())

    def _write(self, events: list[Event]) -> bytes:
        out: list[bytes] = []
        for event in self._filler.filled(events):
            if type(event) is TextDelta or type(event) is ArgumentsDelta:  # nearly every event: the quick way
                self.facts.began = True
                out.append(self._encoder.feed(event))
                continue
            if not note(event, self.facts):
                break
            out.append(self._encoder.feed(event))
        return b"".join(out)

    def fail(self, error: GatewayError) -> bytes:
        """See `Pipe.fail`."""
        return self._encoder.feed(Failure(as_upstream_error(error)))

    def ping(self) -> bytes:
        """See `Pipe.ping`."""
        return self._encoder.ping()


def note(event: Event, facts: Facts) -> bool:
    """Remember in `facts` what `event` says; return False when it is the failure that ends the answer."""
    match event:
        case Failure(error=error):
            facts.failure = error
            return False
        case Ping():
            return True
        case Start():
            facts.upstream_model, facts.upstream_id = event.model, event.id
            facts.usage = event.usage or facts.usage
        case UsageUpdate(usage=usage):
            facts.usage = usage
        case Finish():
            facts.finish, facts.done = event, True
    facts.began = True
    return True


def as_upstream_error(error: GatewayError) -> UpstreamError:
    """Return `error` as what a stream can carry."""
    if isinstance(error, UpstreamError):
        return error
    return UpstreamError(error.message, status=error.status, kind=error.kind, proxy_error=error.proxy_error)
