"""A stream of this format read and written anew, for callers of the same format: where bytes cannot be passed on."""

from __future__ import annotations

from collections.abc import Iterable

from pi_model_proxy.dialects.base import AnswerContext, Facts
from pi_model_proxy.dialects.openai_responses.decoder import ResponsesDecoder
from pi_model_proxy.dialects.openai_responses.server_stream import ResponsesStreamEncoder
from pi_model_proxy.hub import Event, Failure, Finish, Ping, Start, UsageUpdate
from pi_model_proxy.wire import Frame, encode_frame

__all__ = ["Rewriting"]


class Rewriting:
    """One answer's decoder and encoder."""

    def __init__(self, context: AnswerContext) -> None:
        self._decoder = ResponsesDecoder(context.names)
        self.encoder = ResponsesStreamEncoder(context)

    def feed(self, frame: Frame, facts: Facts) -> bytes:
        """Return what an event of the upstream lets us say; `facts` hears of it."""
        return self._written(
            self._decoder.feed(encode_frame(frame.data.replace(b"\n", b" "), event=frame.event.encode())),
            facts,
        )

    def close(self, facts: Facts) -> bytes:
        """Return the last bytes of an upstream that has ended."""
        return self._written(self._decoder.close(), facts)

    def _written(self, events: Iterable[Event], facts: Facts) -> bytes:
        out: list[bytes] = []
        for event in events:
            if isinstance(event, Failure):
                facts.failure = event.error
                break
            _note(event, facts)
            out.append(self.encoder.feed(event))
        return b"".join(out)


def _note(event: Event, facts: Facts) -> None:
    match event:
        case Ping():
            return
        case Start():
            facts.upstream_id, facts.upstream_model = event.id, event.model
            facts.usage = event.usage or facts.usage
        case UsageUpdate(usage=usage):
            facts.usage = usage
        case Finish():
            facts.finish, facts.done = event, True
    facts.began = True
